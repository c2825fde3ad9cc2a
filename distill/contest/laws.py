"""Laws: how the NE of one class of teachers falls with its size and with the rows that it learns from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from distill.contest.scaling import LEAST, power_law
from distill.report.scores import number


class Grown(NamedTuple):
    """One teacher of a study of scale.

    Attributes:
        name: its title.
        model: its class.
        dense: parameters outside of tables.
        rows: what it learnt from.
        ne: normalized entropy on test rows, mean over seeds: as observed, then in each resample.
    """

    name: str
    model: str
    dense: int
    rows: int
    ne: Float[np.ndarray, " draws"]


OTHER = {"dense": "rows", "rows": "dense"}
"""What may grow -> what stays meanwhile."""


def laws(grown: Sequence[Grown], level: float) -> list[dict[str, Any]]:
    """A law for each class, each thing that grows, and each value of the other, wherever `LEAST` teachers differ in it.

    Args:
        grown: the teachers.
        level: coverage of the intervals.
    """
    found = []
    for grows, stays in OTHER.items():
        for key, group in _groups(grown, stays).items():
            sizes = [getattr(one, grows) for one in group]
            if len(set(sizes)) >= LEAST:
                found.append({"model": key[0], "grows": grows, stays: key[1]} | _law(group, sizes, level))
    return found


def _groups(grown: Sequence[Grown], stays: str) -> Mapping[tuple[str, int], list[Grown]]:
    groups: dict[tuple[str, int], list[Grown]] = {}
    for one in grown:
        groups.setdefault((one.model, getattr(one, stays)), []).append(one)
    return groups


def _law(group: Sequence[Grown], sizes: Sequence[int], level: float) -> dict[str, Any]:
    law = power_law(sizes, np.stack([one.ne for one in group], axis=-1), level)
    told = {"scale": number(law.scale), "residual": number(law.residual), "reason": law.reason or law.exponent.reason}
    for name in ("exponent", "floor"):
        estimate = getattr(law, name)
        told |= {name: number(estimate.value), f"{name}_low": number(estimate.low)}
        told |= {f"{name}_high": number(estimate.high)}
    points = sorted(zip(sizes, (float(one.ne[0]) for one in group), strict=True))
    return told | {"points": [list(point) for point in points]}


def drawn(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and figure of what grows: points with their laws."""
    from distill.report.svg import Scale, bottom, dot, figure, left, path, plain, reach, text

    for grows, title in (("dense", "parameters outside of tables"), ("rows", "rows learnt from")):
        some = [law for law in table["laws"] if law["grows"] == grows]
        if not some:
            continue
        sizes = [size for law in some for size, _ in law["points"]]
        x = Scale(min(sizes) / 1.2, max(sizes) * 1.2, 70, 560, log=True)
        y = Scale(*reach([loss for law in some for _, loss in law["points"]]), 300, 30)
        parts = [bottom(x, 300, 30, plain, title), left(y, 70, 560, plain, "NE on test rows")]
        for place, law in enumerate(some):
            kind = ("distilled", "control", "teacher", "failed")[place % 4]
            name = law["model"].rpartition(".")[2]
            said = f"{name}, {plain(law[OTHER[grows]])} {OTHER[grows]}"
            parts += [dot(x(size), y(loss), 4, kind, f"{said}: {loss:.4f}") for size, loss in law["points"]]
            parts += [path(_curve(law, x, y), f"curve {kind}"), text(572, 40 + 34 * place, said, f"word {kind}")]
            parts.append(text(572, 55 + 34 * place, _exponent(law), "tick"))
        yield f"figures/scaling-{grows}.svg", figure(344, parts, f"NE against {title}")


def _curve(law: Mapping[str, Any], x: Any, y: Any) -> list[tuple[float, float]]:
    """Nothing where a number is missing, as the scale is where sizes hardly differ and the exponent runs away."""
    if None in (law["exponent"], law["floor"], law["scale"]):
        return []
    sizes = np.geomspace(law["points"][0][0], law["points"][-1][0], 60)
    losses = law["floor"] + law["scale"] * sizes ** -law["exponent"]
    return [(x(float(size)), y(float(loss))) for size, loss in zip(sizes, losses, strict=True)]


def _exponent(law: Mapping[str, Any]) -> str:
    if law["exponent"] is None:
        return law["reason"]
    low, high = law["exponent_low"], law["exponent_high"]
    return f"exponent {law['exponent']:.2f}" + ("" if low is None else f" [{low:.2f}, {high:.2f}]")
