"""MemberAdam: AdamW over a stack, with settings of its own for each member."""

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class MemberAdam(torch.optim.Optimizer):
    """AdamW on parameters with a leading members axis; learning rate and weight decay are vectors over members.

    Each member is stepped by torch's own fused kernel on its slices of the stack, so that its update is the one it
    would get alone, at one pass over memory. A member that is not `live` is left exactly as it is.

    Args:
        parameters: stacked parameters, `[members, ...]` each.
        learning_rate: initial learning rates.
        weight_decay: decoupled weight decay.

    References:
        Kingma, Ba: Adam, 2015. Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: Float[Tensor, " members"],
        weight_decay: Float[Tensor, " members"],
    ) -> None:
        super().__init__(parameters, {})
        self.learning_rate = learning_rate.tolist()
        self.weight_decay = weight_decay.tolist()
        self.live: list[bool] = [True] * len(learning_rate)
        self.scale: list[float] = [1.0] * len(learning_rate)
        self._stack = [parameter for group in self.param_groups for parameter in group["params"]]
        for parameter in self._stack:
            self.state[parameter] = {"mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
        self.steps = torch.zeros(len(learning_rate))
        self._slices = self._sliced()

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One step of every live member."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients = list(zip(*(parameter.grad.unbind() for parameter in self._stack), strict=True))
        for index, (parameters, means, squares, steps) in enumerate(self._slices):
            if self.live[index]:
                steps[0] += 1
                torch._fused_adamw_(
                    parameters,
                    gradients[index],
                    means,
                    squares,
                    [],
                    steps * len(parameters),
                    lr=self.learning_rate[index] * self.scale[index],
                    beta1=BETAS[0],
                    beta2=BETAS[1],
                    weight_decay=self.weight_decay[index],
                    eps=EPSILON,
                    amsgrad=False,
                    maximize=False,
                )
        return loss

    def narrow(self, members: int) -> None:
        """Forgets all but the first `members`; the fleet's own `narrow` must have gone before."""
        for parameter in self._stack:
            for name, tensor in self.state[parameter].items():
                self.state[parameter][name] = tensor[:members]
        self.steps = self.steps[:members]
        self._slices = self._sliced()

    def snapshot(self) -> dict[str, Tensor]:
        """The tensors that the next step depends on, by name; copying into them resumes."""
        moments = {f"{name}/{i}": self.state[p][name] for i, p in enumerate(self._stack) for name in ("mean", "square")}
        return moments | {"steps": self.steps}

    def quarantine(self, healthy: Bool[Tensor, " members"]) -> None:
        """Never steps a member again that is not healthy."""
        self.live = [live and ok for live, ok in zip(self.live, healthy.tolist(), strict=False)]

    def _sliced(self) -> list[tuple[list[Tensor], ...]]:
        """Each member's slices of every tensor. Made once a stack: a view costs as much as a small kernel."""
        columns = [
            [list(slices) for slices in zip(*(tensor.unbind() for tensor in tensors), strict=True)]
            for tensors in (
                [parameter.data for parameter in self._stack],
                [self.state[parameter]["mean"] for parameter in self._stack],
                [self.state[parameter]["square"] for parameter in self._stack],
            )
        ]
        return list(zip(*columns, [[step] for step in self.steps.unbind()], strict=True))
