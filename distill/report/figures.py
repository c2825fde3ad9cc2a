"""Figures of gains: the forest of verdicts, gain against size, students against their teacher, methods by vertical."""

from collections.abc import Mapping, Sequence

from distill.columns import SIGNS
from distill.report import svg
from distill.report.lines import Line, Row, groups
from distill.report.svg import Scale, gain, plain, reach, signed

MOST = 40
"""Lines of a forest; more of them say less."""

PITCH = 19
"""Height of a line."""

LETTER = 6.5
"""Width of a letter of a head, about."""


def forest(table: Row) -> str:
    """Every student's gain with its interval, by verdict; of each verdict those that come first in the table."""
    shown = _shown(table)
    if not shown:
        return ""
    ends = sorted(max(abs(line.row["ne_gain_low"]), abs(line.row["ne_gain_high"])) for line in shown)
    far = ends[9 * (len(ends) - 1) // 10] * 1.08 or 1.0
    scale = Scale(-far, far, 230, 600)
    height = 14 + PITCH * len(shown)
    parts = [svg.bottom(scale, height, 6, signed, "gain in NE over the control; right is better")]
    parts.append(svg.line(scale(0), 6, scale(0), height, "zero"))
    parts += [_branch(line, scale, 16 + PITCH * place) for place, line in enumerate(shown)]
    return svg.figure(height + 42, parts, "Gain of each student with its interval")


def sizes(table: Row) -> str:
    """Gain against the clicks that it was measured on."""
    rows = [line for line in _lines(table) if line.row["positives_test"] > 0]
    if not rows:
        return ""
    x = Scale(*_spread([line.row["positives_test"] for line in rows]), 70, 745, log=True)
    y = Scale(*reach(_ends(rows), around=0.0), 300, 30)
    parts = [svg.bottom(x, 300, 30, plain, "clicks among the test rows"), svg.left(y, 70, 745, signed, "gain in NE")]
    parts.append(svg.line(70, y(0), 745, y(0), "zero"))
    for line in rows:
        place = x(line.row["positives_test"])
        parts.append(
            svg.line(place, y(line.row["ne_gain_low"]), place, y(line.row["ne_gain_high"]), f"span {line.word}")
        )
    parts += [
        svg.dot(x(line.row["positives_test"]), y(line.row["ne_gain"]), 3.5, line.word, _said(line)) for line in rows
    ]
    return svg.figure(340, parts, "Gain against size")


def teacher_student(table: Row) -> str:
    """NE of each student against that of its teacher; below the diagonal the student is the better one."""
    rows = [line for line in _lines(table) if line.row["ne_teacher"] is not None]
    if not rows:
        return ""
    low, high = reach([line.row[name] for line in rows for name in ("ne", "ne_teacher", "ne_control")])
    x, y = Scale(low, high, 60, 340), Scale(low, high, 310, 30)
    parts = [svg.bottom(x, 310, 30, plain, "NE of the teacher"), svg.left(y, 60, 340, plain, "NE of the student")]
    parts.append(svg.line(x(low), y(low), x(high), y(high), "zero"))
    for line in rows:
        place = x(line.row["ne_teacher"])
        parts.append(svg.line(place, y(line.row["ne_control"]), place, y(line.row["ne"]), f"span {line.word}"))
    parts += [svg.dot(x(line.row["ne_teacher"]), y(line.row["ne"]), 3.5, line.word, _said(line)) for line in rows]
    return svg.figure(352, parts, "Students against their teacher", width=370)


def heat(gains: Mapping[str, Mapping[str, float | None]], name: str = "Gain by vertical and method") -> str:
    """Gain by vertical and method, the strongest colour at nine tenths of the largest; or other signed numbers.

    Args:
        gains: method -> vertical -> gain in NE over its control; they head the columns and the rows.
        name: read out to those who do not see it.
    """
    verticals = _widest(gains)
    known = sorted(abs(value) for one in gains.values() for value in one.values() if value is not None)
    if not known:
        return ""
    far = known[9 * (len(known) - 1) // 10] or 1.0
    width = min(150.0, 520 / len(gains))
    longest = min(LETTER * max(map(len, gains)), 250)
    turned, top = (0, 23) if longest < width else (30, 23 + longest / 2)  # Long heads lean, and want room to the right.
    width = width if longest < width else min(150.0, (520 - 0.7 * longest) / len(gains))
    parts = [svg.text(226 + width * place, top - 9, head, "tick", turned=turned) for place, head in enumerate(gains)]
    for row, vertical in enumerate(verticals):
        parts.append(svg.text(212, top + 13 + PITCH * row, vertical[:34], "name", "end"))
        parts += [
            _cell(226 + width * place, top + PITCH * row, width - 2, one.get(vertical), far)
            for place, one in enumerate(gains.values())
        ]
    return svg.figure(top + 7 + PITCH * len(verticals), parts, name)


def _widest(gains: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """The verticals in which methods differ most, in the order of their first gain."""
    names = list(dict.fromkeys(name for one in gains.values() for name in one))

    def spread(name: str) -> float:
        values = [value for one in gains.values() if (value := one.get(name)) is not None]
        return max(values) - min(values) if values else 0.0

    return sorted(sorted(names, key=spread, reverse=True)[:MOST])


def _cell(x: float, y: float, width: float, value: float | None, far: float) -> str:
    if value is None:
        return svg.text(x + width / 2, y + 13, "-", "tick", "middle")
    share = min(abs(value) / far, 1.0)
    kind = "better" if value > 0 else "worse"
    colour = svg.box(x, y, width, PITCH - 2, kind, style=f"fill-opacity:{0.08 + 0.62 * share:.2f}")
    return colour + svg.text(x + width / 2, y + 13, gain(value), "cell", "middle")


def _shown(table: Row) -> list[Line]:
    """The lines of a forest: of each verdict its share, so that none is crowded out."""
    found = [(group.word, [one for one in group.lines if _measured(one)]) for group in groups(table, None)]
    total = sum(len(lines) for _, lines in found)
    if total <= MOST:
        return [line for _, lines in found for line in lines]
    return [line for _, lines in found for line in lines[: max(4, MOST * len(lines) // total)]]


def _lines(table: Row) -> list[Line]:
    return [line for group in groups(table, None) for line in group.lines if _measured(line)]


def _measured(line: Line) -> bool:
    return line.row["ne_gain_low"] is not None


def _branch(line: Line, scale: Scale, y: float) -> str:
    row = line.row
    name = line.name if len(line.name) <= 32 else f"{line.name[:31]}…"
    return "".join(
        [
            svg.text(210, y + 4, name, "name", "end"),
            svg.line(scale(row["ne_gain_low"]), y, scale(row["ne_gain_high"]), y, f"span {line.word}"),
            svg.dot(scale(row["ne_gain"]), y, 4, line.word, _said(line)),
            svg.text(616, y + 4, gain(row["ne_gain"]), "number"),
            svg.text(680, y + 4, f"{SIGNS[line.word]} {line.word}", f"word {line.word}"),
        ]
    )


def _said(line: Line) -> str:
    row = line.row
    span = f"{gain(row['ne_gain_low'])} to {gain(row['ne_gain_high'])}"
    return f"{line.name}: {gain(row['ne_gain'])} ({span}), {line.word}"


def _ends(rows: Sequence[Line]) -> list[float]:
    """Where most intervals end: a few wide ones must not flatten the others."""
    ends = sorted((line.row[name] for line in rows for name in ("ne_gain_low", "ne_gain_high")), key=abs)
    return ends[: max(2, 19 * len(ends) // 20)]


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return min(values) / 1.3, max(values) * 1.3
