"""Llama: softmax attention with rotated queries and keys, SwiGLU, RMS norms before each part.

Touvron et al., LLaMA: Open and Efficient Foundation Language Models, 2023; as a tower for histories, Guo et al.,
Scaling New Frontiers: Insights into Large Recommendation Models, 2024.
"""

from pydantic import Field

from distill.layers.sequence.settings import Activation, Attention, Bias, Norm
from teachers.sequence_ranker import SequenceRanker


class Llama(SequenceRanker):
    """A teacher whose tower is built as Llama's."""

    class Config(SequenceRanker.Config):
        """The same switches, set as in Llama."""

        attention: Attention = "softmax"
        """What becomes of a score."""
        bias: Bias | None = "rotary"
        """What attention knows of order."""
        gate: bool = False
        """Whether what attention found is multiplied by a projection of the token that asked."""
        ffn: Activation = "swiglu"
        """The feed-forward network behind each attention, by its activation."""
        norm: Norm = "rms"
        """How a vector is normalised."""
        expansion: float = Field(default=8 / 3, gt=0)
        """Width of a feed-forward network's hidden layer, in widths of a token."""
