"""MLP: linear layers with ReLU and dropout, and perhaps batch norm."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from distill.layers.batch_norm import BatchNormReLU
from distill.layers.dropout import Dropout
from distill.layers.linear import Linear


class MLP(nn.Module):
    """Linear layers, each followed by a ReLU and dropout.

    Args:
        inputs: width of what comes in, all pieces together.
        hidden: width of each layer.
        dropout: share of the units dropped after each layer.
        salt: tells apart the dropout of several MLPs in one ranker.
        batch_norm: whether each layer is normalised over the rows of a step, before its ReLU.
    """

    def __init__(
        self, inputs: int, hidden: Sequence[int], dropout: float = 0.0, salt: int = 0, *, batch_norm: bool = False
    ) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        self.layers = nn.ModuleList(
            Linear(*pair, relu=not batch_norm, bias=not batch_norm) for pair in pairwise(widths)
        )
        self.norms = nn.ModuleList(BatchNormReLU(width) if batch_norm else nn.Identity() for width in hidden)
        self.dropouts = nn.ModuleList(Dropout(dropout, salt * 1000 + layer) for layer in range(len(hidden)))
        self.width = widths[-1]

    def forward(self, *pieces: Float[Tensor, "*members rows _"]) -> Float[Tensor, "*members rows {self.width}"]:
        for layer, norm, dropout in zip(self.layers, self.norms, self.dropouts, strict=True):
            pieces = (dropout(norm(layer(*pieces))),)
        (outputs,) = pieces
        return outputs
