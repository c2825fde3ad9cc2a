"""sequence: sequence towers in buckets of like length against padded ones, and what a longer history costs."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from distill.bench.figure import Figure
from distill.bench.padded import Kind, PaddedTower
from distill.bench.rounds import Scale, in_turn, ratios
from distill.bench.scaling import slope
from distill.layers.sequence import SequenceSettings, SequenceTower
from distill.layers.sequence.bias import seconds_ago
from distill.ranker import resolve

TOWERS = ("teachers.HSTU", "teachers.Llama", "teachers.GPT", "teachers.SASRec")
WIDTH, HEADS, LAYERS = 64, 4, 2
ROWS, STEPS = 256, 200
LENGTHS = (50, 100, 200, 500, 1000)
"""Longest histories, for the slope; rows of each are fewer, so that all have as many steps."""
SHARE, SPREAD = 0.15, 1.0
"""Histories are as skewed as those of logs are: lognormal, half of them shorter than that share of the longest."""


class Histories(NamedTuple):
    """A batch of histories as a tower takes them, newest first, and as the padded one does, oldest first."""

    present: Tensor
    steps: Tensor
    gaps: Tensor
    candidate: Tensor
    padded: tuple[Tensor, Tensor, Tensor]


def measure(scale: Scale) -> Iterator[Figure]:
    """Rows per CPU second, forwards and backwards, ours over theirs; and the slope of our cost a row."""
    for path in TOWERS:
        name = f"sequence/{path.rpartition('.')[2].lower()}"
        settings = settings_of(path)
        yield _compared(name, settings, scale)
        yield _slope(f"{name}/slope", settings, scale)


def settings_of(path: str) -> SequenceSettings:
    """The switches of a teacher's tower, with a bias by time where the teacher takes one when it can."""
    given = resolve(path).Config().model_dump(include=set(SequenceSettings.model_fields))
    named = {"bias": given["bias"] or "position_time", "width": WIDTH, "heads": HEADS, "layers": LAYERS}
    return SequenceSettings(**{**given, **named})


def padded_of(settings: SequenceSettings, steps: int) -> PaddedTower:
    """The same tower in plain PyTorch."""
    kind = Kind(**settings.model_dump(include=set(Kind._fields)))
    return PaddedTower(kind, settings.width, settings.heads, settings.hidden, steps, settings.layers)


def histories(rows: int, steps: int) -> Histories:
    """Random events in histories of skewed lengths, one of them full."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(rows, generator=generator).mul(SPREAD).exp() * SHARE * steps
    length = drawn.round().long().clamp(max=steps).index_fill(0, torch.tensor([0]), steps)
    present = torch.arange(steps) < length.unsqueeze(-1)
    values = torch.randn(rows, steps, WIDTH, generator=generator) * present.unsqueeze(-1)
    gaps = torch.randint(1, 30, (rows, steps), generator=generator).sort(-1).values
    candidate = torch.randn(rows, WIDTH, generator=generator)
    oldest_first = (length.unsqueeze(-1) - 1 - torch.arange(steps)).clamp(min=0)
    turned = values.take_along_dim(oldest_first.unsqueeze(-1), 1) * present.unsqueeze(-1)
    ago = seconds_ago(gaps).float().take_along_dim(oldest_first, 1) * present
    return Histories(present, values, gaps, candidate, (turned, ago, length))


def _compared(name: str, settings: SequenceSettings, scale: Scale) -> Figure:
    steps = scale.of(STEPS, 8)
    batch = histories(scale.of(ROWS, 4), steps)
    ours, theirs = SequenceTower(settings, steps), padded_of(settings, steps)
    seconds = in_turn(scale, partial(_pass, ours, *batch[:4]), partial(_pass, theirs, *batch.padded, batch.candidate))
    return Figure(name, ratios(seconds[1], seconds[0]), target=3)


def _slope(name: str, settings: SequenceSettings, scale: Scale) -> Figure:
    """Of the logs of seconds a row against those of the longest history; 1 where cost grows as histories do."""
    lengths = [scale.of(steps, 2 + place) for place, steps in enumerate(LENGTHS)]
    rows = [max(2, scale.of(ROWS * STEPS // 2) // steps) for steps in lengths]
    works = [
        partial(_pass, SequenceTower(settings, steps), *histories(count, steps)[:4])
        for count, steps in zip(rows, lengths, strict=True)
    ]
    rounds = zip(*in_turn(scale, *works), strict=True)
    return Figure(name, [slope(lengths, ratios(seconds, rows)) for seconds in rounds], "slope", 1.3, "at most")


def _pass(tower: nn.Module, *inputs: Tensor) -> None:
    """Forwards, and backwards to every weight, event and candidate."""
    leaves = [tensor.detach().requires_grad_(tensor.is_floating_point() and tensor.dim() > 1) for tensor in inputs]
    tower.zero_grad()
    tower(*leaves).square().sum().backward()
