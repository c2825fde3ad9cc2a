"""What a recipe may set of a sequence tower; each switch of the field's ablations is one key."""

from typing import Literal

from pydantic import Field, model_validator

from distill.types import Settings

Attention = Literal["silu", "softmax"]
Bias = Literal["none", "position", "position_time", "rotary"]
Residual = Literal["pre", "post"]
Activation = Literal["none", "relu", "gelu", "swiglu"]
Norm = Literal["layer", "rms"]
Kernel = Literal["products", "flex"]


class SequenceSettings(Settings):
    """A stack of blocks over a history; the defaults are HSTU's."""

    attention: Attention = "silu"
    """What becomes of a score: its SiLU over the most steps there can be, or its share among the steps there are."""
    bias: Bias | None = None
    """What attention knows of order: nothing, a learned bias by distance, one by distance and one by time between
    events, or rotated queries and keys. Not given, it is by distance, and by time where the history has times."""
    residual: Residual = "pre"
    """Where a block normalises: what goes into it, or the sum of what went in and what came out."""
    gate: bool = True
    """Whether what attention found is multiplied by a projection of the token that asked."""
    ffn: Activation = "none"
    """The feed-forward network behind each attention, by its activation."""
    norm: Norm = "layer"
    """How a vector is normalised."""
    kernel: Kernel = Field(default="products", exclude_if=lambda kernel: kernel == "products")
    """How softmax attention is worked out: by matrix products, or by torch's FlexAttention, which never writes down the
    scores of all heads; same numbers up to rounding. On processors it has no gradient, and serves scoring alone."""
    places: bool = False
    """Whether each token has a learned vector added that says how many events ago it was."""
    width: int = Field(default=32, ge=1)
    """Numbers of one token."""
    heads: int = Field(default=2, ge=1)
    """Heads of each attention; they share the width."""
    layers: int = Field(default=2, ge=1)
    """Blocks of each level."""
    expansion: float = Field(default=4.0, gt=0)
    """Width of a feed-forward network's hidden layer, in widths of a token."""
    levels: int = Field(default=1, ge=1)
    """Levels of the pyramid; before each further one, the older events are pooled."""
    keep: int = Field(default=16, ge=1)
    """Newest events that no pooling touches."""
    ratio: int = Field(default=4, ge=2)
    """Older events that one pooling makes one of."""

    @model_validator(mode="after")
    def _fits_together(self) -> "SequenceSettings":
        if self.width % self.heads:
            raise ValueError(f"`width` must be a multiple of `heads`, and {self.width} is none of {self.heads}.")
        if self.kernel == "flex" and self.attention != "softmax":
            raise ValueError("FlexAttention ends in a softmax, so `kernel: flex` needs `attention: softmax`.")
        if self.bias == "rotary" and self.width // self.heads % 2:
            raise ValueError("a head turns pairs of numbers, so with `bias: rotary` `width / heads` must be even.")
        return self

    @property
    def hidden(self) -> int:
        """Width of a feed-forward network's hidden layer."""
        return max(1, round(self.expansion * self.width))
