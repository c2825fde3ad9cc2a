"""PEPNet: gates between 0 and 2 by which a prior, such as the vertical, personalises embeddings and hidden layers."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float, Int
from torch import Tensor, nn

from distill.layers.linear import Linear
from distill.layers.verticals import VerticalTable


class GateNU(nn.Module):
    """`2 sigmoid(W' relu(W [prior, stop_gradient(inputs)]))`: 1 where it has nothing to say.

    Chang et al., PEPNet: Parameter and Embedding Personalized Network, KDD 2023, equations 1 to 3 (gamma = 2).

    Args:
        prior: width of what is known beforehand.
        inputs: width of what is gated, or of what the gate may look at.
        hidden: width between.
        outputs: width of the gate.
    """

    def __init__(self, prior: int, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = Linear(prior + inputs, hidden, relu=True)
        self.gate = Linear(hidden, outputs)

    def forward(
        self, prior: Float[Tensor, "*members rows prior"], inputs: Float[Tensor, "*members rows inputs"]
    ) -> Float[Tensor, "*members rows _"]:
        return 2 * self.gate(self.hidden(prior, inputs.detach())).sigmoid()


class GatedMLP(nn.Module):
    """A perceptron whose inputs are gated by a prior (EPNet), and each hidden layer as well (PPNet).

    Chang et al., PEPNet, KDD 2023, sections 3.2 and 3.3.

    Args:
        inputs: width of what comes in.
        hidden: width of each hidden layer.
        prior: width of what is known beforehand.
        between: width of each gate's hidden layer.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], prior: int, between: int) -> None:
        super().__init__()
        self.embedding_gate = GateNU(prior, inputs, between, inputs)
        self.layers = nn.ModuleList(Linear(*pair, relu=True) for pair in pairwise([inputs, *hidden]))
        self.gates = nn.ModuleList(GateNU(prior, inputs, between, width) for width in hidden)
        self.width = hidden[-1]

    def forward(
        self, inputs: Float[Tensor, "*members rows inputs"], prior: Float[Tensor, "*members rows prior"]
    ) -> Float[Tensor, "*members rows {self.width}"]:
        inputs = inputs * self.embedding_gate(prior, inputs)
        hidden = inputs
        for layer, gate in zip(self.layers, self.gates, strict=True):
            hidden = layer(hidden) * gate(prior, inputs)
        return hidden


class PersonalizedMLP(GatedMLP):
    """A perceptron that the vertical personalises.

    The prior of all gates is the vertical's embedding: users and items stand among the inputs, which the gates see too.
    An unknown vertical has an embedding of zeros.

    Args:
        inputs: width of what comes in.
        hidden: width of each hidden layer.
        count: number of verticals.
        prior: width of a vertical's embedding, and of each gate's hidden layer.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], count: int, prior: int) -> None:
        super().__init__(inputs, hidden, prior, prior)
        self.vertical = VerticalTable(count, prior, spread=0.1)

    def forward(
        self, inputs: Float[Tensor, "*members rows inputs"], vertical: Int[Tensor, "*members rows"]
    ) -> Float[Tensor, "*members rows {self.width}"]:
        return super().forward(inputs, self.vertical(vertical))
