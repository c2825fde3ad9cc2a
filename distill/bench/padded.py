"""Padded towers: the sequence towers as one writes them in plain PyTorch, with nothing of ours in them.

Oldest event first, the candidate behind the newest, padding behind the candidate up to the longest row of the batch: a
causal mask is then all that is needed, and softmax attention without a learned bias takes torch's own fused kernel.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

BASE, EPSILON, BUCKETS = 10_000.0, 1e-6, 64


class Kind(NamedTuple):
    """Which tower it is; the names are those of the switches in a recipe."""

    attention: str
    bias: str
    residual: str
    gate: bool
    ffn: str
    norm: str
    places: bool


class Bias(nn.Module):
    """A number for each distance, and for each bucket of time."""

    def __init__(self, tokens: int, time: bool) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(tokens, 1) * 0.02)
        self.time = nn.Parameter(torch.randn(BUCKETS, 1) * 0.02) if time else None

    def forward(self, tokens: int, apart: Tensor | None) -> Tensor:
        place = torch.arange(tokens)
        bias = picked(self.position, (place.unsqueeze(-1) - place).clamp(min=0))
        if self.time is not None:
            bias = bias + picked(self.time, apart)
        return bias.unsqueeze(-3)


class FeedForward(nn.Module):
    """ReLU, GELU, or SwiGLU."""

    def __init__(self, width: int, hidden: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.inner = nn.Linear(width, hidden * (2 if kind == "swiglu" else 1), bias=kind != "swiglu")
        self.outer = nn.Linear(hidden, width, bias=kind != "swiglu")

    def forward(self, tokens: Tensor) -> Tensor:
        inner = self.inner(tokens)
        if self.kind == "swiglu":
            gate, inner = inner.chunk(2, -1)
            return self.outer(functional.silu(gate) * inner)
        return self.outer(functional.relu(inner) if self.kind == "relu" else functional.gelu(inner))


class Block(nn.Module):
    """One layer; its weights have the names of ours, so that a test can give both the same."""

    def __init__(self, kind: Kind, width: int, heads: int, hidden: int, tokens: int) -> None:
        super().__init__()
        self.kind, self.heads, self.tokens = kind, heads, tokens
        self.pointwise = kind.gate or kind.attention == "silu"
        self.bias = Bias(tokens, kind.bias == "position_time") if kind.bias.startswith("position") else None
        self.asks = nn.Linear(width, width * (1 + kind.gate), bias=False)
        self.holds = nn.Linear(width, width * 2, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        norm = nn.RMSNorm if kind.norm == "rms" else nn.LayerNorm
        self.norm = norm(width, eps=EPSILON)
        self.ffn = FeedForward(width, hidden, kind.ffn) if kind.ffn != "none" else None
        self.ffn_norm = norm(width, eps=EPSILON) if self.ffn else None

    def forward(self, tokens: Tensor, apart: Tensor | None) -> Tensor:
        if self.kind.residual == "post":
            tokens = self.norm(tokens + self.attended(tokens, apart))
            return self.ffn_norm(tokens + self.ffn(tokens)) if self.ffn else tokens
        tokens = tokens + self.attended(self.norm(tokens), apart)
        return tokens + self.ffn(self.ffn_norm(tokens)) if self.ffn else tokens

    def attended(self, tokens: Tensor, apart: Tensor | None) -> Tensor:
        """Attention with its projections, and the gate."""
        asked, held = self.asks(tokens), self.holds(tokens)
        if self.pointwise:
            asked, held = functional.silu(asked), functional.silu(held)
        query, *gate = asked.chunk(1 + self.kind.gate, -1)
        heads = [vectors.unflatten(-1, (self.heads, -1)).transpose(1, 2) for vectors in (query, *held.chunk(2, -1))]
        read = self.read(*heads, apart).transpose(1, 2).flatten(-2)
        if self.pointwise:
            read = functional.layer_norm(read, read.shape[-1:], eps=EPSILON)
        return self.output(gate[0] * read if gate else read)

    def read(self, query: Tensor, key: Tensor, value: Tensor, apart: Tensor | None) -> Tensor:
        """What each head finds."""
        count = key.shape[-2]
        if self.kind.bias == "rotary":
            query, key = turned(query), turned(key)
        bias = self.bias(count, apart) if self.bias is not None else None
        if self.kind.attention == "softmax" and bias is None:
            return functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        later = torch.ones(count, count, dtype=torch.bool).triu(1)
        if self.kind.attention == "softmax":
            bias = bias.masked_fill(later, -torch.inf)
            return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        scores = query @ key.mT if bias is None else query @ key.mT + bias
        return (functional.silu(scores) / self.tokens).masked_fill(later, 0) @ value


class PaddedTower(nn.Module):
    """Blocks over whole batches."""

    def __init__(self, kind: Kind, width: int, heads: int, hidden: int, steps: int, layers: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(steps + 1, width) * 0.02) if kind.places else None
        self.blocks = nn.ModuleList(Block(kind, width, heads, hidden, steps + 1) for _ in range(layers))
        norm = nn.RMSNorm if kind.norm == "rms" else nn.LayerNorm
        self.norm = norm(width, eps=EPSILON) if kind.residual == "pre" else nn.Identity()
        self.timed = kind.bias == "position_time"

    def forward(self, steps: Tensor, ago: Tensor, length: Tensor, candidate: Tensor) -> Tensor:
        """What each history says of its candidate.

        Args:
            steps: `[rows, longest, width]`, oldest first.
            ago: `[rows, longest]`, seconds.
            length: of each history.
            candidate: `[rows, width]`.
        """
        row = torch.arange(len(steps))
        tokens = functional.pad(steps, (0, 0, 0, 1)).index_put((row, length), candidate)
        if self.places is not None:
            age = (length.unsqueeze(-1) - torch.arange(tokens.shape[1])).clamp(min=0)
            tokens = tokens + functional.embedding(age, self.places)
        apart = (
            time_apart(functional.pad(ago, (0, 1)).index_put((row, length), torch.zeros(()))) if self.timed else None
        )
        for block in self.blocks:
            tokens = block(tokens, apart)
        return self.norm(tokens[row, length])


def picked(table: Tensor, ids: Tensor) -> Tensor:
    """Numbers of a table of one column; the backward of `embedding` is many times slower."""
    return table[:, 0].index_select(0, ids.flatten()).view_as(ids)


@torch.no_grad()
def time_apart(ago: Tensor) -> Tensor:
    """Buckets of the time between each token's successor and each token."""
    successor = torch.cat([ago[:, 1:], ago[:, -1:]], 1)
    return ((ago.unsqueeze(1) - successor.unsqueeze(2)).abs() + 1).log2().floor().long().clamp(max=BUCKETS - 1)


def turned(vectors: Tensor) -> Tensor:
    """Pairs of numbers, half a width apart, turned by their places."""
    half = vectors.shape[-1] // 2
    speed = BASE ** (-torch.arange(half, dtype=vectors.dtype) / half)
    angle = torch.arange(vectors.shape[-2], dtype=vectors.dtype).unsqueeze(-1) * speed
    first, second = vectors.split(half, -1)
    return torch.cat([first * angle.cos() - second * angle.sin(), first * angle.sin() + second * angle.cos()], -1)
