"""Wukong: factorization machines that can be stacked."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from distill.layers.linear import Linear
from distill.layers.mlp import MLP
from distill.layers.norm import LayerNorm


class Mixing(nn.Module):
    """Linear combinations of the vectors of a row: `W X`. Wukong's linear compress block (LCB, equation 4).

    Args:
        inputs: vectors that come in.
        outputs: vectors that go out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * inputs**-0.5)

    def forward(self, tokens: Float[Tensor, "*members rows inputs width"]) -> Float[Tensor, "*members rows _ width"]:
        return self.weight.unsqueeze(-3) @ tokens


class FactorizationBlock(nn.Module):
    """Wukong's factorization machine block (FMB): all pairwise products, compressed, through a perceptron.

    `MLP(LN(flatten(X (X^T Y))))`, where the order of the products makes the cost linear in the number of vectors. The
    paper lets Y depend on the row (attentive: an MLP of the compressed X); the open codes learn one Y for all rows.

    Zhang et al., Wukong: Towards a Scaling Law for Large-Scale Recommendation, ICML 2024, section 3.4. To compress to
    `rank` vectors before the attentive MLP, and to give that a single hidden layer of the same width, is ours.

    Args:
        inputs: vectors that come in.
        width: numbers of one vector.
        outputs: vectors that go out.
        rank: columns of Y.
        hidden: width of each hidden layer of the perceptron.
        attentive: whether Y depends on the row.
    """

    def __init__(
        self, inputs: int, width: int, outputs: int, rank: int, hidden: Sequence[int], *, attentive: bool
    ) -> None:
        super().__init__()
        self.width, self.rank = width, rank
        self.compress = Mixing(inputs, rank) if attentive else None
        self.attend = MLP(rank * width, (rank * width,)) if attentive else None
        self.project = Linear(rank * width, inputs * rank) if attentive else None
        self.static = None if attentive else nn.Parameter(torch.randn(inputs, rank) * inputs**-0.5)
        self.norm = LayerNorm(inputs * rank)
        self.mlp = MLP(inputs * rank, hidden)
        self.output = Linear(self.mlp.width, outputs * width)

    def forward(self, tokens: Float[Tensor, "*members rows inputs width"]) -> Float[Tensor, "*members rows _ width"]:
        products = tokens @ (tokens.mT @ self._projection(tokens))
        return self.output(self.mlp(self.norm(products.flatten(-2)))).unflatten(-1, (-1, self.width))

    def _projection(self, tokens: Tensor) -> Tensor:
        """Y, `[inputs, rank]`, of each row or of all."""
        if self.static is not None:
            return self.static.unsqueeze(-3)
        attended = self.project(self.attend(self.compress(tokens).flatten(-2)))
        return attended.unflatten(-1, (-1, self.rank)) * tokens.shape[-2] ** -0.5


class WukongLayer(nn.Module):
    """One layer: `LN(concat(FMB(X), LCB(X)) + Res(X))`, equation 2.

    The residual is X itself, or linear combinations of it where as many vectors do not go out as come in.

    Args:
        inputs: vectors that come in.
        width: numbers of one vector.
        factored: vectors that the factorization machine gives.
        compressed: vectors that the linear compress block gives.
        rank: columns of Y.
        hidden: width of each hidden layer of the perceptron.
        attentive: whether Y depends on the row.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        factored: int,
        compressed: int,
        rank: int,
        hidden: Sequence[int],
        *,
        attentive: bool = False,
    ) -> None:
        super().__init__()
        self.count = factored + compressed
        self.factorize = FactorizationBlock(inputs, width, factored, rank, hidden, attentive=attentive)
        self.compress = Mixing(inputs, compressed)
        self.carry = None if inputs == self.count else Mixing(inputs, self.count)
        self.norm = LayerNorm(width, axes=2)

    def forward(
        self, tokens: Float[Tensor, "*members rows inputs width"]
    ) -> Float[Tensor, "*members rows {self.count} width"]:
        crossed = torch.cat([self.factorize(tokens), self.compress(tokens)], -2)
        return self.norm(crossed + (tokens if self.carry is None else self.carry(tokens)))
