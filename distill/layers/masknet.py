"""MaskNet: hidden layers multiplied by masks that each row makes of its own features."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from distill.layers.linear import Linear
from distill.layers.norm import LayerNorm


class InstanceMask(nn.Module):
    """What to multiply a vector by: two linear layers with a ReLU between, and none after.

    Wang, She and Zhang, MaskNet, DLP-KDD 2021, equation 5; no activation on the mask, as published.

    Args:
        inputs: width of what the mask is made from.
        outputs: width of the mask.
        hidden: width between.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.aggregate = Linear(inputs, hidden, relu=True)
        self.project = Linear(hidden, outputs)

    def forward(self, inputs: Float[Tensor, "*members rows _"]) -> Float[Tensor, "*members rows _"]:
        return self.project(self.aggregate(inputs))


class MaskNet(nn.Module):
    """Mask blocks in a row: `h' = relu(LN(W (h * mask(x))))`, where x are the features and the first h is LN(x).

    Wang, She and Zhang, MaskNet, DLP-KDD 2021, equations 9 to 12 (the serial model).

    Args:
        inputs: width of the features.
        hidden: width of each block.
        reduction: width between the two layers of a mask, over that of the features.
    """

    def __init__(self, inputs: int, hidden: Sequence[int], reduction: float = 1.0) -> None:
        super().__init__()
        widths = [inputs, *hidden]
        between = max(1, round(inputs * reduction))
        self.normal = LayerNorm(inputs)
        self.masks = nn.ModuleList(InstanceMask(inputs, width, between) for width in widths[:-1])
        self.layers = nn.ModuleList(Linear(*pair) for pair in pairwise(widths))
        self.norms = nn.ModuleList(LayerNorm(width) for width in hidden)
        self.width = widths[-1]

    def forward(self, inputs: Float[Tensor, "*members rows _"]) -> Float[Tensor, "*members rows {self.width}"]:
        hidden = self.normal(inputs)
        for mask, layer, norm in zip(self.masks, self.layers, self.norms, strict=True):
            hidden = norm(layer(hidden * mask(inputs))).relu()
        return hidden
