"""Drawing: a diagnosis as figures, and as one page."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from distill.report import figures as drawn
from distill.report import svg
from distill.report.style import STYLE
from distill.report.svg import Scale, plain, reach

Matrix = Sequence[Sequence[float | None]]


def figures(found: Mapping[str, Any]) -> dict[str, str]:
    """File name -> content: each figure by itself, and what was measured as JSON."""
    files = {f"figures/{name}.svg": svg.standalone(drawing, STYLE) for name, _, drawing, _ in _sections(found)}
    return files | {"diagnosis.json": json.dumps(found, indent=1)}


def page(found: Mapping[str, Any]) -> str:
    """One page that needs nothing from elsewhere."""
    title = f"{escape(found['recipe'])}: what {escape(found['teacher'])} leans on"
    parts = [
        f"<section><h2>{escape(head)}</h2><figure>{drawing}<figcaption>{escape(said)}</figcaption></figure></section>"
        for _, head, drawing, said in _sections(found)
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f'<h1>{title}</h1><p class="soft">{found["rows"]:,} validation rows, from which it has not learnt.</p>'
        f"{''.join(parts)}</html>"
    )


def _sections(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """File name, heading, figure and caption of everything that there is to show."""
    names, layers = found["verticals"], found["correlation"]
    if "all" in layers:
        by_name = {name: dict(zip(names, row, strict=True)) for name, row in zip(names, layers["all"], strict=True)}
        yield (
            "gradients",
            "Do verticals pull the same way?",
            drawn.heat(by_name, "Gradient correlation between verticals"),
            "Cosine of the gradients of two verticals' losses on all shared parameters; below zero they disagree.",
        )
        apart = {
            "mean": {name: _mean(matrix) for name, matrix in layers.items()},
            "least": {name: min(_others(matrix), default=None) for name, matrix in layers.items()},
        }
        yield (
            "gradients-by-layer",
            "In which layers?",
            drawn.heat(apart, "Gradient correlation by layer"),
            "Mean and least cosine over pairs of verticals; layers in which they differ most, of at most 40.",
        )
    yield (
        "importance",
        "Which features count, and where?",
        drawn.heat(found["importance"], "Importance of features by vertical"),
        "Rise of the mean loss (nats) when a feature's values are dealt out anew among the rows.",
    )
    for history, rises in found["importance_by_age"].items():
        yield (
            f"age-{history}",
            f"How far back does {history} count?",
            ages(rises),
            "Rise of the mean loss (nats) when the step of one age changes places among rows; newest first.",
        )


def ages(rises: Sequence[float]) -> str:
    """What each step of a history is worth, newest first."""
    x = Scale(0, max(len(rises), 1), 70, 745)
    y = Scale(*reach([0.0, *rises]), 220, 30)
    parts = [svg.left(y, 70, 745, plain, "nats"), svg.line(70, y(0), 745, y(0), "zero")]
    wide = 0.6 * (x(1) - x(0))
    for age, rise in enumerate(rises):
        top, height = min(y(rise), y(0)), abs(y(rise) - y(0))
        parts.append(svg.box(x(age + 0.2), top, wide, height, "teacher", f"{age + 1}: {rise:.6f}"))
        parts.append(svg.text(x(age + 0.5), 238, str(age + 1), "tick", "middle"))
    return svg.figure(250, parts, "Importance of the steps of a history by age")


def _others(matrix: Matrix) -> list[float]:
    """What a matrix says of pairs of different verticals."""
    return [value for place, row in enumerate(matrix) for value in row[:place] if value is not None]


def _mean(matrix: Matrix) -> float | None:
    values = _others(matrix)
    return sum(values) / len(values) if values else None
