"""SASRec: softmax attention, learned places, a ReLU network as wide as a token, norms behind each part.

Kang and McAuley, Self-Attentive Sequential Recommendation, ICDM 2018. The paper normalises before each part; its
released code carries on with what was normalised. That is nearer to norms behind, and is what did not scale in Guo et
al., Scaling New Frontiers, 2024; there it scales with `bias: position_time` and `residual: pre`.
"""

from pydantic import Field

from distill.layers.sequence.settings import Activation, Attention, Bias, Residual
from teachers.sequence_ranker import SequenceRanker


class SASRec(SequenceRanker):
    """A teacher whose tower is built as SASRec's."""

    class Config(SequenceRanker.Config):
        """The same switches, set as in SASRec."""

        attention: Attention = "softmax"
        """What becomes of a score."""
        bias: Bias | None = "none"
        """What attention knows of order, beside the places."""
        residual: Residual = "post"
        """Where a block normalises."""
        gate: bool = False
        """Whether what attention found is multiplied by a projection of the token that asked."""
        ffn: Activation = "relu"
        """The feed-forward network behind each attention, by its activation."""
        places: bool = True
        """Whether each token has a learned vector added that says how many events ago it was."""
        expansion: float = Field(default=1.0, gt=0)
        """Width of a feed-forward network's hidden layer, in widths of a token."""
