"""Drawing: scales, axes and marks as inline SVG, coloured by the page's own style."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

WIDTH = 760
"""Of every figure, in its own units; the page scales them."""


class Scale(NamedTuple):
    """From numbers to places on an axis.

    Attributes:
        low: number at `start`.
        high: number at `end`.
        start: place of the lowest number.
        end: place of the highest.
        log: whether equal steps are equal factors.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a number; beyond the ends, the end."""
        low, high, value = (math.log(max(one, 1e-300)) if self.log else one for one in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 2)

    @property
    def ticks(self) -> list[float]:
        """Round numbers between the ends, four to eight of them."""
        if self.log:
            return _powers(self.low, self.high)
        step = _step(self.high - self.low)
        first = math.ceil(self.low / step - 1e-9)
        return [round(number * step, 12) for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def reach(values: Sequence[float], *, around: float | None = None, margin: float = 0.06) -> tuple[float, float]:
    """Ends of an axis that holds all values, with some room; equally far from `around` where that is given."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if around is not None:
        far = max(abs(low - around), abs(high - around)) or 1.0
        low, high = around - far, around + far
    room = (high - low or abs(high) or 1.0) * margin
    return low - room, high + room


def figure(height: float, parts: Sequence[str], name: str, width: float = WIDTH) -> str:
    """The whole drawing; `name` is read out to those who do not see it."""
    body = "".join(parts)
    return f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(name)}">{body}</svg>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{kind}"/>'


def dot(x: float, y: float, radius: float, kind: str, title: str = "") -> str:
    """A point, with what it says when somebody points at it."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="{kind}">{_title(title)}</circle>'


def box(x: float, y: float, width: float, height: float, kind: str, title: str = "", style: str = "") -> str:
    """A rectangle."""
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect {place} class="{kind}"{f" style={chr(34)}{style}{chr(34)}" if style else ""}>{_title(title)}</rect>'


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start", turned: float = 0) -> str:
    """A line of text, turned by so many degrees to the left."""
    turn = f' transform="rotate({-turned:g} {x:g} {y:g})"' if turned else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{kind}"{turn}>{escape(words)}</text>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through points."""
    return f'<polyline points="{" ".join(f"{x:g},{y:g}" for x, y in points)}" class="{kind}"/>' if points else ""


def bottom(scale: Scale, y: float, top: float, show: Callable[[float], str], title: str) -> str:
    """An axis below, with faint lines up to `top`."""
    marks = [line(scale(tick), top, scale(tick), y, "grid") for tick in scale.ticks]
    numbers = [text(scale(tick), y + 16, show(tick), "tick", "middle") for tick in scale.ticks]
    return "".join([*marks, *numbers, text((scale.start + scale.end) / 2, y + 34, title, "axis", "middle")])


def left(scale: Scale, x: float, right: float, show: Callable[[float], str], title: str) -> str:
    """An axis on the left, with faint lines to `right` and its title above."""
    marks = [line(x, scale(tick), right, scale(tick), "grid") for tick in scale.ticks]
    numbers = [text(x - 8, scale(tick) + 4, show(tick), "tick", "end") for tick in scale.ticks]
    return "".join([*marks, *numbers, text(0, min(scale.start, scale.end) - 12, title, "axis")])


def plain(value: float) -> str:
    """A number of an axis, as short as it can be.

    >>> plain(0.25), plain(12000.0), plain(3e6)
    ('0.25', '12k', '3M')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.4g}"


def signed(value: float) -> str:
    """The same with its sign; 0 has none."""
    return f"{value:+.4g}".replace("-", "\N{MINUS SIGN}") if value else "0"


def gain(value: float) -> str:
    """A gain in NE, to four places."""
    return f"{value:+.4f}".replace("-", "\N{MINUS SIGN}")


def standalone(drawing: str, style: str) -> str:
    """A drawing as a file of its own, with the style that a page would give it."""
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        ">", f"><style>{style} svg {{ background: var(--paper); width: 100%; }}</style>", 1
    )


def _step(span: float) -> float:
    rough = span / 5 or 1.0
    power = 10 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough - 1e-12)


def _powers(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(max(low, 1e-12))), math.ceil(math.log10(max(high, 1e-12)))
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    found = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    return [value for value in found if low <= value <= high]


def _title(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""
