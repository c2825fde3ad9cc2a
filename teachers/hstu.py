"""HSTU: pointwise SiLU attention, biased by distance and time, and gated; no feed-forward network.

Zhai et al., Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for Generative Recommendations,
ICML 2024.
"""

from teachers.sequence_ranker import SequenceRanker


class HSTU(SequenceRanker):
    """A teacher whose tower is HSTU: the defaults of every switch."""
