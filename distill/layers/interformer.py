"""InterFormer: histories and crossed features, each rewritten layer by layer in the light of the other.

Zeng et al., InterFormer: Effective Heterogeneous Interaction Learning for Click-Through Rate Prediction, 2024
(arXiv 2411.09852). The whole history is kept; what passes between the two sides are summaries of a few vectors.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from distill.layers.interactions import Interactions
from distill.layers.multihead import AttentionPooling, MultiHead
from distill.layers.norm import LayerNorm
from distill.layers.wukong import Mixing

CLS = 4
"""Vectors in front of the history that begin as the summary of the features."""
POOLED = 2
"""Vectors that pooling by attention gives."""
RECENT = 2
"""Newest steps of each history that pass as they are."""


class SelfGate(nn.Module):
    """`sigmoid(W x) * x`, vector by vector: each says how much of itself is worth passing on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "rows count width"]) -> Float[Tensor, "rows count width"]:
        return self.linear(tokens).sigmoid() * tokens


class Denoise(nn.Module):
    """`MLP(S * MLP_mask(S))`: steps masked by themselves. The paper's MaskNet, which merges histories.

    The paper lays histories side by side; ours follow one another, as their lengths and times differ. The activation of
    its perceptrons is not given: SiLU, as fresh steps are too small to wake a dead ReLU.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mask = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.output = nn.Linear(width, width)

    def forward(self, steps: Float[Tensor, "rows steps width"]) -> Float[Tensor, "rows steps width"]:
        return self.output(steps * self.mask(steps))


class FeatureSummary(nn.Module):
    """`X_sum = Gate(W X)`: the few vectors by which features speak to the histories (LCE, then the gate)."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.compress = Mixing(count, CLS)
        self.gate = SelfGate(width)

    def forward(self, tokens: Float[Tensor, "rows count width"]) -> Float[Tensor, "rows summary width"]:
        return self.gate(self.compress(tokens))


class PersonalizedFFN(nn.Module):
    """`f(X_sum) S`: a matrix that each row makes from the summary of its features, applied to its steps (PFFN)."""

    def __init__(self, summary: int, width: int) -> None:
        super().__init__()
        self.matrix = nn.Linear(summary * width, width * width)
        self.width = width

    def forward(
        self, summary: Float[Tensor, "rows summary width"], steps: Float[Tensor, "rows steps width"]
    ) -> Float[Tensor, "rows steps width"]:
        return steps @ self.matrix(summary.flatten(-2)).unflatten(-1, (self.width, self.width)) * self.width**-0.5


class Attending(nn.Module):
    """Steps that look at one another: the layer norm, the attention and the residual of a transformer's block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width, axes=2)
        self.attention = MultiHead(width, heads)

    def forward(
        self, steps: Float[Tensor, "rows steps width"], present: Bool[Tensor, "rows steps"]
    ) -> Float[Tensor, "rows steps width"]:
        normal = self.norm(steps)
        return steps + self.attention(normal, normal, present)


class Rewriting(nn.Module):
    """The sequence side of one layer: `S' = S + Block(PFFN(X_sum, LN(S)))`.

    The paper gives no residual and no norm; without them deep stacks forget the steps, so they are ours.

    Args:
        block: what lets steps look at one another, `(steps, present) -> steps`.
        width: numbers of one vector.
    """

    def __init__(self, block: nn.Module, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm(width, axes=2)
        self.personal = PersonalizedFFN(CLS, width)
        self.block = block

    def forward(
        self,
        summary: Float[Tensor, "rows summary width"],
        steps: Float[Tensor, "rows steps width"],
        present: Bool[Tensor, "rows steps"],
    ) -> Float[Tensor, "rows steps width"]:
        return steps + self.block(self.personal(summary, self.norm(steps)), present)


class HistorySummary(nn.Module):
    """`Gate([CLS | PMA(S) | newest steps])`: what the features get to know of the histories.

    Args:
        width: numbers of one vector.
        heads: heads of the pooling.
        newest: places of the newest steps, counted behind the CLS vectors.
    """

    def __init__(self, width: int, heads: int, newest: Sequence[int]) -> None:
        super().__init__()
        self.pool = AttentionPooling(width, heads, POOLED)
        self.gate = SelfGate(width)
        self.newest = [CLS + place for place in newest]
        self.count = summarised(newest)

    def forward(
        self, steps: Float[Tensor, "rows steps width"], present: Bool[Tensor, "rows steps"]
    ) -> Float[Tensor, "rows {self.count} width"]:
        newest = steps[..., self.newest, :] * present[..., self.newest].unsqueeze(-1)
        return self.gate(torch.cat([steps[..., :CLS, :], self.pool(steps, present), newest], -2))


def summarised(newest: Sequence[int]) -> int:
    """How many vectors a summary of histories with these newest steps has."""
    return CLS + POOLED + len(newest)


class InterFormer(nn.Module):
    """Layers in which features are crossed together with a summary of the histories, and steps are rewritten by one of
    the features; the histories stay at full length.

    Args:
        interactions: the layers that cross; each is given what the layer before gives, and the summary.
        counts: vectors that each of them is given besides the summary.
        blocks: one module a layer but the last, whose steps nobody would read, `(steps, present) -> steps`.
        newest: places of the newest steps of the histories, which the summary holds as they are.
        width: numbers of one vector.
        heads: heads of the pooling.
    """

    def __init__(
        self,
        interactions: Interactions,
        counts: Sequence[int],
        blocks: Sequence[nn.Module],
        newest: Sequence[int],
        width: int,
        heads: int,
    ) -> None:
        super().__init__()
        self.interactions = interactions
        self.denoise = Denoise(width)
        self.features = nn.ModuleList(FeatureSummary(count, width) for count in counts[: max(1, len(blocks))])
        self.rewrite = nn.ModuleList(Rewriting(block, width) for block in blocks)
        self.histories = nn.ModuleList(HistorySummary(width, heads, newest) for _ in counts)

    def forward(
        self,
        tokens: Float[Tensor, "rows count width"],
        steps: Float[Tensor, "rows steps width"],
        present: Bool[Tensor, "rows steps"],
    ) -> Float[Tensor, "rows _ width"]:
        steps = torch.cat([self.features[0](tokens), self.denoise(steps)], -2)
        present = torch.cat([present.new_ones(len(present), CLS), present], -1)

        def beside(place: int, tokens: Tensor) -> Tensor:
            nonlocal steps
            summary = self.histories[place](steps, present)
            if place < len(self.rewrite):
                steps = self.rewrite[place](self.features[place](tokens), steps, present)
            return summary

        return self.interactions(tokens, beside)
