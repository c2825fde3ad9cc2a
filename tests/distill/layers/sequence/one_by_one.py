"""A sequence tower as its papers write it: row by row, token by token, oldest first; no padding, no mask, no batch."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from distill.layers.sequence import SequenceBlock, SequenceTower


def read_one(tower: SequenceTower, steps: Tensor, ago: list[float], candidate: Tensor) -> Tensor:
    """What one history, newest first and without padding, says of the candidate."""
    tokens, moments = [*steps.flip(0), candidate], [*(-second for second in reversed(ago)), 0.0]
    if tower.places is not None:
        tokens = [token + tower.places[len(tokens) - 1 - place] for place, token in enumerate(tokens)]
    said = []
    for number, (blocks, finish) in enumerate(zip(tower.levels, tower.norms, strict=True)):
        if number:
            tokens, moments = pool(tokens, moments, tower.settings.keep, tower.settings.ratio)
        for block in blocks:
            tokens = through(block, tokens, moments)
        said.append(finish(tokens[-1]))
    return torch.cat(said)


def pool(tokens: list[Tensor], moments: list[float], keep: int, ratio: int) -> tuple[list[Tensor], list[float]]:
    """The candidate and the newest events as they are, means of the older ones, grouped from the newest on."""
    tokens, moments = tokens[::-1], moments[::-1]
    kept, times = tokens[: keep + 1], moments[: keep + 1]
    for first in range(keep + 1, len(tokens), ratio):
        group = tokens[first : first + ratio]
        kept.append(sum(group) / len(group))
        times.append(sum(moments[first : first + ratio]) / len(group))
    return kept[::-1], times[::-1]


def through(block: SequenceBlock, tokens: list[Tensor], moments: list[float]) -> list[Tensor]:
    """The tokens after one block."""
    known = tokens if block.post else [block.norm(token) for token in tokens]
    projected = [torch.cat([block.asks(token), block.holds(token)]) for token in known]
    if block.pointwise:
        projected = [functional.silu(vector) for vector in projected]
    outputs = []
    for place, token in enumerate(tokens):
        found = read(block, projected, moments, place)
        if block.pointwise:
            found = (found - found.mean()) / (found.var(correction=0) + 1e-6).sqrt()
        if block.gated:
            found = projected[place][len(token) : 2 * len(token)] * found
        found = token + block.output(found)
        found = block.norm(found) if block.post else found
        if block.ffn is not None:
            found = (
                block.ffn_norm(found + fed(block, found)) if block.post else found + fed(block, block.ffn_norm(found))
            )
        outputs.append(found)
    return outputs


def read(block: SequenceBlock, projected: list[Tensor], moments: list[float], place: int) -> Tensor:
    """What one token finds among itself and the older ones, heads side by side."""
    width = block.output.in_features
    size, found = width // block.heads, []
    for head in range(block.heads):
        own = slice(head * size, (head + 1) * size)
        query, scores, values = projected[place][:width][own], [], []
        for other in range(place + 1):
            key, value = (part[own] for part in projected[other][-2 * width :].split(width))
            turned = turn(key, place - other) if block.rotary else key
            scores.append(
                query @ turned / (math.sqrt(size) if block.softmax else 1) + bias(block, moments, place, other)
            )
            values.append(value)
        scores = torch.stack(scores)
        weights = scores.softmax(0) if block.softmax else scores * scores.sigmoid() / block.tokens
        found.append(weights @ torch.stack(values))
    return torch.cat(found)


def bias(block: SequenceBlock, moments: list[float], place: int, other: int) -> Tensor | float:
    if block.bias is None:
        return 0.0
    total = block.bias.position[place - other, 0]
    if block.bias.time is not None:
        successor = moments[min(place + 1, len(moments) - 1)]
        total = total + block.bias.time[math.floor(math.log2(1 + abs(successor - moments[other]))), 0]
    return total


def turn(vector: Tensor, distance: int) -> Tensor:
    """A key as a query sees it that stands so many places behind: pairs of numbers as complex ones, turned back."""
    first, second = vector.chunk(2)
    speeds = [10_000 ** (-pair / len(first)) for pair in range(len(first))]
    turned = torch.complex(first, second) * torch.exp(
        torch.tensor([-1j * distance * speed for speed in speeds], dtype=torch.complex128)
    )
    return torch.cat([turned.real, turned.imag])


def fed(block: SequenceBlock, token: Tensor) -> Tensor:
    inner = block.ffn.inner(token)
    if block.ffn.activation == "swiglu":
        gate, inner = inner.chunk(2)
        return block.ffn.outer(gate * gate.sigmoid() * inner)
    if block.ffn.activation == "relu":
        return block.ffn.outer(inner.clamp(min=0))
    return block.ffn.outer(0.5 * inner * (1 + torch.erf(inner / math.sqrt(2))))
