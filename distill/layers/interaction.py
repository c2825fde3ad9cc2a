"""What turns one flat vector a row into another."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from distill.layers.dropout import Dropout


class MLP(nn.Module):
    """Linear layers, each followed by a ReLU and dropout.

    Args:
        inputs: width of what comes in.
        hidden: width of each layer.
        dropout: share of the units dropped after each layer.
        salt: tells apart the dropout of several MLPs in one ranker.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], dropout: float = 0.0, salt: int = 0) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        self.layers = nn.ModuleList(map(nn.Linear, widths[:-1], widths[1:]))
        self.dropouts = nn.ModuleList(Dropout(dropout, salt * 1000 + layer) for layer in range(len(hidden)))
        self.width = widths[-1]

    def forward(self, inputs: Float[Tensor, "rows inputs"]) -> Float[Tensor, "rows {self.width}"]:
        for layer, dropout in zip(self.layers, self.dropouts, strict=True):
            inputs = dropout(layer(inputs).relu())
        return inputs


class Cross(nn.Module):
    """Cross layers with full matrices: x_{l+1} = x_0 * (W x_l + b) + x_l, elementwise.

    Wang et al., DCN V2: Improved Deep & Cross Network, WWW 2021, equation 2.

    Args:
        inputs: width of what comes in, and of what goes out.
        layers: number of layers; each adds one degree of interaction.
    """

    def __init__(self, inputs: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(inputs, inputs) for _ in range(layers))
        self.width = inputs

    def forward(self, inputs: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
        crossed = inputs
        for layer in self.layers:
            crossed = inputs * layer(crossed) + crossed
        return crossed
