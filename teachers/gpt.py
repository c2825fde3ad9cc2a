"""GPT: softmax attention, learned places, a GELU network four times as wide, norms before each part.

Radford et al., Language Models are Unsupervised Multitask Learners (GPT-2), 2019; as a tower for histories, Guo et al.,
Scaling New Frontiers: Insights into Large Recommendation Models, 2024, who do not say which GPT.
"""

from distill.layers.sequence.settings import Activation, Attention, Bias
from teachers.sequence_ranker import SequenceRanker


class GPT(SequenceRanker):
    """A teacher whose tower is built as GPT-2's."""

    class Config(SequenceRanker.Config):
        """The same switches, set as in GPT-2."""

        attention: Attention = "softmax"
        """What becomes of a score."""
        bias: Bias | None = "none"
        """What attention knows of order, beside the places."""
        gate: bool = False
        """Whether what attention found is multiplied by a projection of the token that asked."""
        ffn: Activation = "gelu"
        """The feed-forward network behind each attention, by its activation."""
        places: bool = True
        """Whether each token has a learned vector added that says how many events ago it was."""
