"""SequenceBlock: one layer of a sequence tower, attention and perhaps a feed-forward network."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from distill.layers.sequence.bias import RelativeBias
from distill.layers.sequence.flexible import fits, flexed
from distill.layers.sequence.rotary import rotated
from distill.layers.sequence.settings import SequenceSettings

EPSILON = 1e-6
"""Added to a variance before its root is divided by, as in HSTU's code."""


class Order(NamedTuple):
    """What all blocks of a level know of the order of its tokens.

    Attributes:
        mask: added to every score; see `causal`.
        apart: buckets of the time between tokens, where there is time.
    """

    mask: Float[Tensor, "rows 1 tokens tokens"]
    apart: Int[Tensor, "rows tokens tokens"] | None = None


class SequenceBlock(nn.Module):
    """Attention of every token to itself and the older ones; gated, and followed by a feed-forward network, or not.

    With u, q, k, v projections of x' = Norm(x):

        silu       a = SiLU(q k^T + bias) / n * v     n = most tokens there can be, so that no batch changes a score
        softmax    a = softmax(q k^T / sqrt(width of a head) + bias) * v
        gate       W (u * Norm(a)) instead of W a

    Zhai et al., Actions Speak Louder than Words, 2024, equations 1 to 3, whose projections go through a SiLU;
    Guo et al., Scaling New Frontiers, 2024, for the switches. Neither says what becomes of those SiLUs and of the
    second norm where a switch is off. Ours: SiLUs stay with a gate or SiLU attention, and so does the norm, because
    that attention has no scale of its own. No projection has a bias, as in HSTU and Llama.

    Args:
        settings: of the tower.
        tokens: most tokens of a row, the candidate among them.
    """

    def __init__(self, settings: SequenceSettings, tokens: int) -> None:
        super().__init__()
        width, self.heads, self.tokens = settings.width, settings.heads, tokens
        self.softmax, self.gated = settings.attention == "softmax", settings.gate
        self.pointwise, self.flex = settings.gate or not self.softmax, settings.kernel == "flex"
        self.rotary, self.post = settings.bias == "rotary", settings.residual == "post"
        relative = settings.bias in ("position", "position_time")
        self.bias = RelativeBias(tokens, settings.bias == "position_time") if relative else None
        self.asks = nn.Linear(width, (1 + self.gated) * width, bias=False)
        self.holds = nn.Linear(width, 2 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.norm = norm(settings)
        self.ffn = FeedForward(settings) if settings.ffn != "none" else None
        self.ffn_norm = norm(settings) if self.ffn else None

    def forward(
        self, tokens: Float[Tensor, "rows tokens width"], order: Order, queries: int | None = None
    ) -> Float[Tensor, "rows queries width"]:
        """The tokens after this block.

        Args:
            tokens: newest first, the candidate before all.
            order: what is known of their order.
            queries: how many of them are asked for, from the first on; all where none is given.
        """
        asking = tokens[..., :queries, :]
        if self.post:
            found = self.norm(asking + self._attended(tokens, asking, order))
            return self.ffn_norm(found + self.ffn(found)) if self.ffn else found
        known = self.norm(tokens)
        found = asking + self._attended(known, known[..., :queries, :], order)
        return found + self.ffn(self.ffn_norm(found)) if self.ffn else found

    def _attended(self, tokens: Tensor, asking: Tensor, order: Order) -> Tensor:
        """What attention adds to the tokens that ask."""
        asked, held = self.asks(asking), self.holds(tokens)
        if self.pointwise:
            asked, held = functional.silu(asked), functional.silu(held)
        query, *gate = asked.chunk(1 + self.gated, -1)
        read = self._read(*map(self._split, (query, *held.chunk(2, -1))), order)
        read = read.transpose(-2, -3).flatten(-2)
        if self.pointwise:
            read = functional.layer_norm(read, read.shape[-1:], eps=EPSILON)
        return self.output(gate[0] * read if gate else read)

    def _read(self, query: Tensor, key: Tensor, value: Tensor, order: Order) -> Tensor:
        """What each head finds, `[rows, heads, queries, width of a head]`."""
        count, queries = key.shape[-2], query.shape[-2]
        if self.rotary:
            # Older tokens come later in a row: their places are smaller.
            places = -torch.arange(count, dtype=key.dtype, device=key.device)
            query, key = rotated(query, places[:queries]), rotated(key, places)
        bias = order.mask
        if self.bias is not None:
            bias = bias + self.bias(count, order.apart)
        if self.flex and fits(query):
            return flexed(query, key, value, bias[..., :queries, :])
        if self.softmax:
            query = query * key.shape[-1] ** -0.5
        scores = (query @ key.mT).add_(bias[..., :queries, :])  # In place: no gradient needs the product.
        return scores.softmax(-1) @ value if self.softmax else functional.silu(scores) @ value / self.tokens

    def _split(self, vectors: Tensor) -> Tensor:
        return vectors.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


class FeedForward(nn.Module):
    """Two linear layers with an activation between, or SwiGLU: W (SiLU(G x) * V x).

    Shazeer, GLU Variants Improve Transformer, 2020, equation 6. Without biases there, as in Llama; with them otherwise.
    """

    def __init__(self, settings: SequenceSettings) -> None:
        super().__init__()
        self.activation, gated = settings.ffn, settings.ffn == "swiglu"
        self.inner = nn.Linear(settings.width, (1 + gated) * settings.hidden, bias=not gated)
        self.outer = nn.Linear(settings.hidden, settings.width, bias=not gated)

    def forward(self, tokens: Float[Tensor, "rows tokens width"]) -> Float[Tensor, "rows tokens width"]:
        inner = self.inner(tokens)
        if self.activation == "swiglu":
            gate, inner = inner.chunk(2, -1)
            return self.outer(functional.silu(gate) * inner)
        return self.outer(inner.relu() if self.activation == "relu" else functional.gelu(inner))


def norm(settings: SequenceSettings) -> nn.Module:
    """A norm over the width of a token."""
    return (nn.RMSNorm if settings.norm == "rms" else nn.LayerNorm)(settings.width, eps=EPSILON)
