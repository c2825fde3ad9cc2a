"""SequenceTower: a history read by blocks of attention, and what it says of the candidate."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from distill.layers.sequence.bias import causal, seconds_ago, time_apart
from distill.layers.sequence.block import Order, SequenceBlock, norm
from distill.layers.sequence.buckets import in_buckets
from distill.layers.sequence.pyramid import pooled, reduced
from distill.layers.sequence.settings import SequenceSettings


class SequenceTower(nn.Module):
    """Blocks over a history with the candidate as its newest token, level by level of a pyramid.

    Zhai et al., Actions Speak Louder than Words (HSTU), 2024: the target-aware mask. The candidate reads the whole
    history, an event reads itself and older ones. As nothing but the candidate is asked for in the end, the last block
    of each level is worked out for what the next one needs: for the last level, the candidate alone.

    Before each further level of the pyramid the older events are pooled. What comes out is what the candidate has
    become at the end of each level, side by side; GEM's authors do not say how they summarise, so that is ours.

    Args:
        settings: of the blocks.
        steps: most steps of a history.
    """

    def __init__(self, settings: SequenceSettings, steps: int) -> None:
        super().__init__()
        self.settings = settings
        self.places = nn.Parameter(torch.randn(steps + 1, settings.width) * 0.02) if settings.places else None
        lengths = [steps]
        for _ in range(settings.levels - 1):
            lengths.append(reduced(lengths[-1], settings.keep, settings.ratio))
        self.levels = nn.ModuleList(
            nn.ModuleList(SequenceBlock(settings, length + 1) for _ in range(settings.layers)) for length in lengths
        )
        # Sums that were never normalised are, in the end; after "post" they have been.
        self.norms = nn.ModuleList(norm(settings) if settings.residual == "pre" else nn.Identity() for _ in lengths)
        self.width = settings.levels * settings.width

    def forward(
        self,
        present: Bool[Tensor, "rows steps"],
        steps: Float[Tensor, "rows steps width"],
        gaps: Int[Tensor, "rows steps"] | None,
        candidate: Float[Tensor, "rows width"],
    ) -> Float[Tensor, "rows {self.width}"]:
        """What the history says of the candidate, worked out in buckets of rows of about the same length.

        Args:
            present: which steps there are, from the newest on.
            steps: events, newest first.
            gaps: how long ago they were, by powers of two; see `SequenceField.times`. Needed for a bias by time.
            candidate: what may be clicked.
        """
        return in_buckets(self.padded, present, (steps, gaps), (candidate,))

    def padded(
        self,
        present: Bool[Tensor, "rows steps"],
        steps: Float[Tensor, "rows steps width"],
        gaps: Int[Tensor, "rows steps"] | None,
        candidate: Float[Tensor, "rows width"],
    ) -> Float[Tensor, "rows {self.width}"]:
        """The same for all rows at once, each as long as the longest."""
        # What stands where no step is may be any number; only an ordinary one is sure to be masked.
        tokens = torch.cat([candidate.unsqueeze(-2), steps.masked_fill(~present.unsqueeze(-1), 0)], -2)
        if self.places is not None:
            tokens = tokens + self.places[: tokens.shape[-2]]
        ago = seconds_ago(gaps).to(steps.dtype).unsqueeze(-1) if self.settings.bias == "position_time" else None
        said = []
        for number, (blocks, finish) in enumerate(zip(self.levels, self.norms, strict=True), start=1):
            tokens = _through(blocks, tokens, _order(present, ago, steps), 1 if number == len(self.levels) else None)
            said.append(finish(tokens[..., 0, :]))
            if number < len(self.levels):
                keep, ratio = self.settings.keep, self.settings.ratio
                older, there = pooled(tokens[..., 1:, :], present, keep, ratio)
                ago = ago if ago is None else pooled(ago, present, keep, ratio)[0]
                tokens, present = torch.cat([tokens[..., :1, :], older], -2), there
        return torch.cat(said, -1)


def _through(blocks: nn.ModuleList, tokens: Tensor, order: Order, queries: int | None) -> Tensor:
    """All blocks of a level; the last one for the first `queries` tokens."""
    *first, last = blocks
    for block in first:
        tokens = block(tokens, order)
    return last(tokens, order, queries)


def _order(present: Tensor, ago: Tensor | None, like: Tensor) -> Order:
    """What is known of the order of the candidate and the steps that are present."""
    mask = causal(functional.pad(present, (1, 0), value=True), like)
    return Order(mask, None if ago is None else time_apart(functional.pad(ago.squeeze(-1), (1, 0))))
