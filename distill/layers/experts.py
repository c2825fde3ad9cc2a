"""Experts: perceptrons that tasks share, each task with a gate that says how much it listens to whom."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from distill.layers.linear import Linear
from distill.layers.mlp import MLP


class Gating(nn.Module):
    """A mixture of what experts say, weighed by a softmax of the row: `sum_i softmax(W x)_i e_i`.

    Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts, KDD 2018.

    Args:
        inputs: width of what the gate looks at.
        experts: number of experts.
    """

    def __init__(self, inputs: int, experts: int) -> None:
        super().__init__()
        self.linear = Linear(inputs, experts)

    def forward(
        self, inputs: Float[Tensor, "*members rows _"], said: Float[Tensor, "*members rows experts width"]
    ) -> Float[Tensor, "*members rows width"]:
        return (self.linear(inputs).softmax(-1).unsqueeze(-2) @ said).squeeze(-2)


class MMoE(nn.Module):
    """Experts that all tasks share, and a gate for each task.

    Ma et al., MMoE, KDD 2018. Experts may read different inputs, such as tables of embeddings of different width: as
    reported of Tencent's Multi-Embedding Net, wide ones serve clicks and narrow ones sparse conversions. With
    `owners`, a task learns from all experts but trains only its own and the shared ones: what other tasks' experts say
    is used without a gradient (Su et al., STEM, AAAI 2024, section 3.3).

    Args:
        inputs: width of what each expert reads.
        hidden: width of each layer of an expert.
        gates: width of what each task's gate looks at.
        owners: place of the task that owns each expert, None for a shared one; without it all are shared.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        hidden: Sequence[int],
        gates: Sequence[int],
        owners: Sequence[int | None] | None = None,
    ) -> None:
        super().__init__()
        self.experts = nn.ModuleList(MLP(width, hidden) for width in inputs)
        self.gates = nn.ModuleList(Gating(width, len(inputs)) for width in gates)
        owners = owners or [None] * len(inputs)
        taught = [[owner in (None, task) for owner in owners] for task in range(len(gates))]
        self.register_buffer("taught", torch.tensor(taught), persistent=False)
        self.width = hidden[-1]

    taught: Bool[Tensor, "*members tasks experts"]
    """Whether each task trains each expert."""

    def forward(
        self, inputs: Sequence[Float[Tensor, "*members rows _"]], gates: Sequence[Float[Tensor, "*members rows _"]]
    ) -> list[Float[Tensor, "*members rows {self.width}"]]:
        """One vector a task.

        Args:
            inputs: what each expert reads.
            gates: what each task's gate looks at.
        """
        said = torch.stack([expert(own) for expert, own in zip(self.experts, inputs, strict=True)], -2)
        return [
            gate(looked, torch.where(self.taught[..., task, :][..., None, :, None], said, said.detach()))
            for task, (gate, looked) in enumerate(zip(self.gates, gates, strict=True))
        ]


class PLELayer(nn.Module):
    """One extraction: a task's gate listens to its own experts and the shared ones, the shared gate to everyone.

    Tang et al., Progressive Layered Extraction (PLE), RecSys 2020, equations 3 to 8.

    Args:
        inputs: width of what comes in, for each task and for the shared experts.
        width: width of what goes out.
        tasks: number of tasks.
        experts: experts of each task, and as many shared ones.
        last: whether no further layer follows, so that nobody would hear the shared gate.
    """

    def __init__(self, inputs: int, width: int, tasks: int, experts: int, *, last: bool) -> None:
        super().__init__()
        self.groups = nn.ModuleList(
            nn.ModuleList(MLP(inputs, (width,)) for _ in range(experts)) for _ in range(tasks + 1)
        )
        self.gates = nn.ModuleList(Gating(inputs, 2 * experts) for _ in range(tasks))
        self.common = None if last else Gating(inputs, (tasks + 1) * experts)

    def forward(self, inputs: Sequence[Float[Tensor, "*members rows _"]]) -> list[Float[Tensor, "*members rows _"]]:
        """One vector a task, and, but for the last layer, one that is shared.

        Args:
            inputs: what each task's experts read, then what the shared ones do.
        """
        said = [torch.stack([one(own) for one in group], -2) for group, own in zip(self.groups, inputs, strict=True)]
        *own, shared = said
        heard = [
            gate(looked, torch.cat([mine, shared], -2))
            for gate, looked, mine in zip(self.gates, inputs, own, strict=False)
        ]
        return heard if self.common is None else [*heard, self.common(inputs[-1], torch.cat(said, -2))]


class PLE(nn.Module):
    """Extraction layers, in which what tasks share and what they keep is separated step by step.

    Tang et al., Progressive Layered Extraction (PLE), RecSys 2020.

    Args:
        inputs: width of what comes in.
        hidden: width of each layer.
        tasks: number of tasks.
        experts: experts of each task, and as many shared ones.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], tasks: int, experts: int) -> None:
        super().__init__()
        pairs = list(zip([inputs, *hidden[:-1]], hidden, strict=True))
        self.layers = nn.ModuleList(
            PLELayer(*pair, tasks, experts, last=place == len(pairs) - 1) for place, pair in enumerate(pairs)
        )
        self.tasks = tasks
        self.width = hidden[-1]

    def forward(self, inputs: Float[Tensor, "*members rows _"]) -> list[Float[Tensor, "*members rows {self.width}"]]:
        """One vector a task."""
        heard = [inputs] * (self.tasks + 1)
        for layer in self.layers:
            heard = layer(heard)
        return heard
