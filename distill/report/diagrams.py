"""Diagrams of how students came to be, and whether they promise what happens: reliability, and learning curves."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from distill.report import svg
from distill.report.lines import Row
from distill.report.svg import Scale, plain, reach

ARMS = ("distilled", "control", "teacher")
"""Who is drawn, each in the page's colour of that name."""

Points = Sequence[tuple[float, float]]


def reliability(table: Row) -> str:
    """Observed against predicted click rate, by bins of equal weight; a true ranker is on the diagonal."""
    arms = {arm: bins for arm, bins in table.get("reliability", {}).items() if bins}
    values = [rate for bins in arms.values() for one in bins for rate in one[:2] if rate > 0]
    if not values:
        return ""
    low, high = min(values) / 1.3, min(1.0, max(values) * 1.3)
    x, y = Scale(low, high, 60, 340, log=True), Scale(low, high, 310, 30, log=True)
    parts = [svg.bottom(x, 310, 30, plain, "predicted click rate"), svg.left(y, 60, 340, plain, "observed click rate")]
    parts.append(svg.line(x(low), y(low), x(high), y(high), "zero"))
    for arm in sorted(arms, key=ARMS.index, reverse=True):
        points = [(x(predicted), y(observed)) for predicted, observed, _ in arms[arm] if observed > 0]
        parts += [svg.path(points, f"curve {arm}"), *(svg.dot(*point, 2.4, arm) for point in points)]
    return svg.figure(352, [*parts, _legend(arms, 72)], "Reliability", width=370)


def curves(table: Row) -> str:
    """NE on validation rows after each pass: the median vertical of each arm, and the middle half of them as a band."""
    arms = {arm: _passes([row["curve"] for row in table["students"] if row["arm"] == arm]) for arm in ARMS[:2]}
    arms = {arm: passes for arm, passes in arms.items() if passes}
    if not arms:
        return ""
    values = [value for passes in arms.values() for one in passes for value in one]
    x = Scale(1, max(2, *map(len, arms.values())), 60, 340)
    y = Scale(*reach(values), 310, 30)
    parts = [
        svg.bottom(x, 310, 30, _whole, "pass over the training rows"),
        svg.left(y, 60, 340, plain, "validation NE"),
    ]
    for arm in sorted(arms, key=ARMS.index, reverse=True):
        band = [(x(place), y(high)) for place, (_, _, high) in enumerate(arms[arm], 1)]
        band += [(x(place), y(low)) for place, (low, _, _) in reversed(list(enumerate(arms[arm], 1)))]
        parts.append(svg.path(band, f"band {arm}"))
        parts.append(svg.path([(x(place), y(mid)) for place, (_, mid, _) in enumerate(arms[arm], 1)], f"curve {arm}"))
    return svg.figure(352, [*parts, _legend(arms, 200)], "Learning curves", width=370)


def _passes(found: Sequence[Sequence[float | None]]) -> list[tuple[float, float, float]]:
    """Lower quartile, median and upper quartile over students after each pass."""
    passes = []
    for place in range(max(map(len, found), default=0)):
        values = sorted(one[place] for one in found if len(one) > place and one[place] is not None)
        if values:
            passes.append((values[len(values) // 4], median(values), values[(3 * len(values)) // 4]))
    return passes


def _legend(arms: Mapping[str, Any], x: float) -> str:
    """Who is who."""
    parts = []
    for place, arm in enumerate(arm for arm in ARMS if arm in arms):
        y = 44 + 17 * place
        parts += [svg.line(x, y, x + 18, y, f"curve {arm}"), svg.text(x + 25, y + 4, arm, "tick")]
    return "".join(parts)


def _whole(value: float) -> str:
    return f"{value:g}" if value == int(value) else ""
