"""Fleet: many modules of one architecture, run and trained as one."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_leaves, tree_map

from distill.layers import FieldEmbedding

TRIED = 3
"""Members on which a module is tried out: more than two, since mistakes with pairs may cancel."""


class Fleet(nn.Module):
    """Stacks the parameters and buffers of its members on a leading axis and runs the ordinary module on all of them.

    A member's author writes one module for one vertical. Tables of unequal height are filled up with zeros, which no
    id reaches and no gradient moves. With nothing shared, a fleet gives every member what it would get alone:
    the losses are summed over members and each optimizer step looks at one member.

    A module made of the shared layers, and of operations that count axes from the back, can be called on the stack as
    it is. Whether one can is tried out, against `vmap`, on the first batch; any other is mapped by `vmap`, several
    times more slowly.

    Args:
        modules: the members, all of one class and shape. They are taken over: their own tensors are emptied.
        batched: False runs the members one after another. Slow, and the oracle of the batched path.

    References:
        equinox, "Ensembling" (docs/tricks.md): map the constructor, then the call.
    """

    def __init__(self, modules: Sequence[nn.Module], *, batched: bool = True) -> None:
        super().__init__()
        self.batched = batched
        self._parameters_of = [name for name, _ in modules[0].named_parameters()]
        self._buffers_of = [name for name, _ in modules[0].named_buffers()]
        for name in self._parameters_of:
            self.register_parameter(_flat(name), nn.Parameter(_stack([m.get_parameter(name) for m in modules])))
        for name in self._buffers_of:
            self.register_buffer(_flat(name), _stack([m.get_buffer(name) for m in modules]))
        self._names = [*self._parameters_of, *self._buffers_of]
        # On the meta device a module is only its code and shapes. Kept in a list, so that it is no submodule of ours.
        self._blueprints = [module.to("meta") for module in modules]
        self._whole = [self._filled()]
        self._direct: bool | None = None

    def __len__(self) -> int:
        """Members still in the stack."""
        return len(self._tensor(self._names[0]))

    def forward(self, *inputs: Any) -> Any:
        """Runs every member on its own slice of the inputs.

        Args:
            inputs: trees of tensors, each with a leading members axis.

        Returns:
            What the module returns, with a leading members axis on every tensor.
        """
        tensors = {name: self._tensor(name) for name in self._names}
        if not self.batched or (len(self) == 1 and not self._direct):
            return _merge([self._call(*self._member_of(index, tensors, inputs)) for index in range(len(self))])
        return self._whole[0](*inputs) if self.direct(*inputs) else vmap(self._call)(tensors, *inputs)

    @torch.no_grad()
    def direct(self, *inputs: Any) -> bool:
        """Whether the module can be called on the stack as it is; tried out once, on `inputs` of a few members.

        On random weights, since fresh ones are often zero and would hide a mistake.
        """
        if self._direct is None:
            tensors = {name: self._tensor(name)[:TRIED] for name in self._names}
            tensors |= {name: torch.randn_like(tensors[name]) for name in self._parameters_of}
            inputs = tree_map(lambda tensor: tensor[:TRIED], inputs)
            try:
                self._direct = _close(self._call(tensors, *inputs), vmap(self._call)(tensors, *inputs))
            except (RuntimeError, IndexError, ValueError, TypeError):
                self._direct = False
        return self._direct

    def alone(self, index: int, *inputs: Any) -> Any:
        """Runs one member, on inputs without a members axis, wherever they are."""
        return self._call({name: self._tensor(name)[index] for name in self._names}, *self._here(inputs))

    def some(self, places: Sequence[int]) -> Callable[..., Any]:
        """What runs some members as one stack with their present weights, on inputs with a leading axis of as many."""
        tensors = {name: self._tensor(name)[list(places)] for name in self._names}
        call = self._call if self._direct else vmap(self._call)
        return lambda *inputs: call(tensors, *self._here(inputs))

    def dense(self) -> list[nn.Parameter]:
        """The stacked parameters that are no tables of field embeddings."""
        tables = {id(one.weight) for one in self._whole[0].modules() if isinstance(one, FieldEmbedding)}
        return [one for one in self.parameters() if id(one) not in tables]

    def tables(self, *, sparse: bool = True) -> list[nn.Parameter]:
        """The stacked tables of field embeddings, whose gradients hold from now on the rows that were read.

        Args:
            sparse: False lets them hold all rows, as a program in one piece must have it.
        """
        found = []
        for whole, one in zip(self._whole[0].modules(), self._blueprints[0].modules(), strict=True):
            if isinstance(whole, FieldEmbedding) and isinstance(whole.weight, nn.Parameter):  # It may be frozen.
                whole.sparse = one.sparse = sparse
                found.append(whole.weight)
        return found

    def state(self, index: int) -> dict[str, Tensor]:
        """Copies of one member's parameters and persistent buffers: its own names, its own shapes."""
        shapes = {name: tensor.shape for name, tensor in self._blueprints[index].state_dict().items()}
        return {name: _copied(_cut(self._tensor(name)[index], shape)) for name, shape in shapes.items()}

    def member(self, index: int) -> nn.Module:
        """One member as the ordinary module it was written as, with a copy of its present weights."""
        module = copy.deepcopy(self._blueprints[index])
        module.load_state_dict(self.state(index), assign=True)
        for name in self._buffers_of:
            owner, _, leaf = name.rpartition(".")
            module.get_submodule(owner)._buffers[leaf] = _copied(self._tensor(name)[index])
        return module

    def narrow(self, members: int) -> None:
        """Lets all but the first `members` leave the stack. No copy: what stays is a prefix."""
        for name in self._names:
            tensor = self._tensor(name)
            tensor.data = tensor.data[:members]
            tensor.grad = None

    def set_clock(self, clock: Tensor) -> None:
        """Tells every random layer each member's seed and step, `[members, 2]`."""
        for buffer in self._told("clock"):
            buffer.copy_(clock)

    def set_rows(self, weight: Float[Tensor, "members rows"]) -> None:
        """Tells every layer that reckons over rows how many each member has; those behind them fill up its batch.

        Args:
            weight: of the rows, 0 for those that fill up a batch.
        """
        layers = self._told("rows")
        if layers:
            place = torch.arange(1, weight.shape[-1] + 1, device=weight.device)
            last = ((weight > 0) * place).amax(-1)
            for buffer in layers:
                buffer.copy_(last)

    def train(self, mode: bool = True) -> "Fleet":
        """Sets the members to training or evaluation, as for any module."""
        super().train(mode)
        for module in (self._blueprints[0], *self._whole):
            module.train(mode)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Fleet":
        """Moves to a device or a type, as for any module."""
        super()._apply(fn, recurse)
        self._whole = [self._filled()]
        return self

    def _filled(self) -> nn.Module:
        """The ordinary module with the whole stack for its parameters and buffers."""
        module = copy.deepcopy(self._blueprints[0])
        for name in self._names:
            owner, _, leaf = name.rpartition(".")
            held = module.get_submodule(owner)
            (held._parameters if leaf in held._parameters else held._buffers)[leaf] = self._tensor(name)
        return module

    def _here(self, inputs: Any) -> Any:
        """Inputs on the device of the stack."""
        device = self._tensor(self._names[0]).device
        return tree_map(lambda tensor: tensor.to(device), inputs)

    def _told(self, leaf: str) -> list[Tensor]:
        """The buffers of one name, whatever layer they belong to."""
        return [self._tensor(name) for name in self._buffers_of if name.rpartition(".")[2] == leaf]

    def _tensor(self, name: str) -> Tensor:
        return getattr(self, _flat(name))

    def _member_of(self, index: int, tensors: dict[str, Tensor], inputs: tuple) -> tuple:
        """One member's tensors and inputs."""
        return {name: Pick.apply(tensor, index) for name, tensor in tensors.items()}, *_slice(inputs, index)

    def _call(self, tensors: dict[str, Tensor], *inputs: Any) -> Any:
        return functional_call(self._blueprints[0], tensors, inputs)


class Pick(torch.autograd.Function):
    """`stack[index]`, whose gradient may be a sparse tensor; torch's own cannot take one."""

    @staticmethod
    def forward(ctx: FunctionCtx, stack: Tensor, index: int) -> Tensor:
        ctx.index, ctx.stack = index, stack.shape
        return stack[index]

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        if not gradient.is_sparse:
            whole = gradient.new_zeros(ctx.stack)
            whole[ctx.index] = gradient
            return whole, None
        rows = gradient._indices()
        member = torch.full_like(rows[:1], ctx.index)
        return torch.sparse_coo_tensor(
            torch.cat([member, rows]), gradient._values(), ctx.stack, check_invariants=False
        ), None


def seeded(make: Callable[[int], nn.Module], seeds: Sequence[int]) -> list[nn.Module]:
    """One module for each seed, whose initial weights depend on that seed alone.

    Args:
        make: builds the module at a place of the list.
        seeds: one a module.
    """
    modules = []
    with torch.random.fork_rng(devices=[]):
        for place, seed in enumerate(seeds):
            torch.manual_seed(seed)
            modules.append(make(place))
    return modules


def _flat(name: str) -> str:
    """A parameter's name without dots, which torch does not allow in the names of our own parameters."""
    return "stack:" + name.replace(".", "/")


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """Stacks tensors of unequal height, filled up with zeros."""
    shape = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    stacked = tensors[0].detach().new_zeros(len(tensors), *shape)
    for row, tensor in zip(stacked, tensors, strict=True):
        _cut(row, tensor.shape).copy_(tensor.detach())
    return stacked


def _copied(tensor: Tensor) -> Tensor:
    """A copy in main memory."""
    return tensor.detach().to("cpu", copy=True)


def _cut(tensor: Tensor, shape: torch.Size) -> Tensor:
    return tensor[tuple(slice(0, size) for size in shape)]


def _close(tree: Any, other: Any) -> bool:
    """Whether two trees of tensors have the same shapes and, up to rounding, the same numbers."""
    pairs = list(zip(tree_leaves(tree), tree_leaves(other), strict=True))
    return all(a.shape == b.shape and torch.allclose(a, b, 1e-3, 1e-4, equal_nan=True) for a, b in pairs)


def _slice(tree: Any, index: int) -> Any:
    return tree_map(lambda tensor: tensor[index], tree)


def _merge(outputs: Sequence[Any]) -> Any:
    return tree_map(lambda *tensors: torch.stack(tensors), *outputs)
