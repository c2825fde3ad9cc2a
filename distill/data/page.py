"""The description of a data set as one HTML page that needs nothing else: no scripts, no fonts, no network."""

from collections.abc import Sequence
from html import escape
from typing import Any

Table = dict[str, Any]

SHOWN = 40
"""Most verticals drawn one by one."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #6b7785; --line: #dfe4ea; --bar: #3b6ea8; --dot: #b4472e;
  --page: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ef; --soft: #98a4b1; --line: #333d48; --bar: #6fa3dc;
  --dot: #e58a6d; --page: #14191f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 68rem;
  margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p { color: var(--soft); margin: .2rem 0 .8rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th { text-align: left; font-weight: 600; color: var(--soft); } th, td { padding: .25rem .6rem .25rem 0;
  border-bottom: 1px solid var(--line); } td.n, th.n { text-align: right; }
td:first-child { max-width: 16rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
svg { display: block; } svg .bar { fill: var(--bar); } svg .dot { fill: var(--dot); }
svg .reach { stroke: var(--dot); stroke-width: 2; } svg text { fill: var(--soft); font-size: 11px; }
svg line.axis { stroke: var(--line); } li { margin: .3rem 0; } .wide { overflow-x: auto; }
"""


def page(table: Table, name: str) -> str:
    """The page of a description (`describing.describe`).

    Args:
        table: the description.
        name: what the data are called.
    """
    splits = ", ".join(f"{count:,} {split}" for split, count in table["splits"].items() if count)
    parts = [
        f"<h1>{escape(name)}</h1><p>{table['rows']:,} rows in {len(table['verticals']):,} verticals: {splits}.</p>",
        _warnings(table["warnings"]),
        _changes(table["changes"]),
        _verticals(table["verticals"]),
        _days(table["days"]),
        _columns(table["columns"]),
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(name)}</title><style>{STYLE}</style>'
    return f"{head}<body>{''.join(parts)}</body></html>\n"


def _warnings(warnings: Sequence[str]) -> str:
    said = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f"<h2>Warnings</h2><ul>{said}</ul>" if said else "<h2>Warnings</h2><p>None.</p>"


def _changes(changes: Table | None) -> str:
    """What is new since the data were last encoded."""
    if changes is None:
        return ""
    since = f"Since {changes['since']}; {changes['verticals_kept']:,} verticals have the rows that they had."
    names = ("parts", "verticals", "rows", "days", "first", "last")
    rows = "".join(
        _row(_named(word), *(_figure(escape(_said(changes[word][name]))) for name in names))
        for word in ("new", "changed", "gone")
        if word in changes
    )
    head = _head("vertical x day", *names)
    return f'<h2>Changes</h2><p>{since}</p><div class="wide"><table>{head}{rows}</table></div>'


def _verticals(verticals: Sequence[Table]) -> str:
    shown, most = verticals[:SHOWN], max((entry["rows"] for entry in verticals), default=1)
    rest = len(verticals) - len(shown)
    top = max((entry["rate_high"] or 0 for entry in shown), default=1) or 1
    domains = any(entry["domain"] for entry in verticals)
    rows = "".join(
        _row(
            _named(entry["vertical"]),
            f"<td>{escape(entry['domain'] or '')}</td>" if domains else "",
            _figure(_count(entry["rows"])),
            f"<td>{_bar(entry['rows'] / most)}</td>",
            _figure(_count(entry["train"])) + _figure(_count(entry["test"])) + _figure(_share(entry["rate"])),
            f"<td>{_reach(entry, top)}</td>",
        )
        for entry in shown
    )
    more = f"<p>And {rest:,} smaller ones.</p>" if rest > 0 else ""
    named = ["vertical", "domain"] if domains else ["vertical"]
    head = _head(*named, "rows", "", "train", "test", "rate", f"95% interval, from 0 to {top:.0%}")
    return f'<h2>Verticals</h2><div class="wide"><table>{head}{rows}</table></div>{more}'


def _days(days: Sequence[Table]) -> str:
    if not days:
        return ""
    rows, rates = [day["rows"] for day in days], [day["rate"] or 0 for day in days]
    rows_drawn, rates_drawn = _histogram(rows, 480, 70), _histogram(rates, 480, 70, "dot")
    first, last = (escape(str(days[place]["start"])) for place in (0, -1))
    said = f"From {first} on in {len(days)} steps, the last from {last} on; at most {max(rows):,} rows in one."
    rate = f"Rate of positives; the highest bar is {_share(max(rates))}."
    return f"<h2>Time</h2><p>{said}</p>{rows_drawn}<p>{rate}</p>{rates_drawn}"


def _columns(columns: Sequence[Table]) -> str:
    rows = "".join(
        _row(
            _named(entry["column"]),
            f"<td>{entry['kind']}</td>",
            _figure(_share(entry["missing"])) + _figure(_count(entry["distinct"])) + _figure(_share(entry["unseen"])),
            _figure(_number(entry["length"])) + _figure(_number(entry["drift"])),
            f"<td>{_histogram(entry['histogram'], 150, 26)}</td>",
        )
        for entry in columns
    )
    head = _head("feature", "kind", "missing", "distinct", "unseen in test", "mean length", "drift", "distribution")
    legend = (
        "Drift is the population stability index from training to test: below 0.1 little, above 0.25 much. "
        "A distribution shows numbers between their 1st and 99th percentile, ids by frequency, histories by length."
    )
    return f'<h2>Features</h2><p>{legend}</p><div class="wide"><table>{head}{rows}</table></div>'


def _head(*names: str) -> str:
    numbers = {
        "parts",
        "verticals",
        "days",
        "first",
        "last",
        "rows",
        "train",
        "test",
        "rate",
        "missing",
        "distinct",
        "unseen in test",
        "mean length",
        "drift",
    }
    cells = "".join(f"<th{' class=n' if name in numbers else ''}>{escape(name)}</th>" for name in names)
    return f"<tr>{cells}</tr>"


def _row(*cells: str) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _named(name: str) -> str:
    return f'<td title="{escape(name)}">{escape(name)}</td>'


def _figure(text: str) -> str:
    return f'<td class="n">{text}</td>'


def _bar(share: float) -> str:
    return f'<svg width="120" height="12"><rect class="bar" width="{120 * share:.1f}" height="12" rx="2"/></svg>'


def _reach(entry: Table, top: float) -> str:
    """A rate as a dot on the line of its interval."""
    if entry["rate"] is None:
        return ""
    low, rate, high = (150 * entry[key] / top for key in ("rate_low", "rate", "rate_high"))
    axis = '<line class="axis" x1="0" x2="160" y1="7" y2="7"/>'
    line = f'<line class="reach" x1="{low + 5:.1f}" x2="{high + 5:.1f}" y1="7" y2="7"/>'
    return f'<svg width="165" height="14">{axis}{line}<circle class="dot" cx="{rate + 5:.1f}" cy="7" r="3.5"/></svg>'


def _histogram(values: Sequence[float], width: int, height: int, kind: str = "bar") -> str:
    if not values or not max(values):
        return ""
    step, most = width / len(values), max(values)
    bars = "".join(
        f'<rect class="{kind}" x="{place * step:.1f}" y="{height - height * value / most:.1f}" '
        f'width="{max(step - 1, 0.5):.1f}" height="{height * value / most:.1f}"/>'
        for place, value in enumerate(values)
    )
    axis = f'<line class="axis" x2="{width}" y1="{height}" y2="{height}"/>'
    return f'<svg width="{width}" height="{height}">{bars}{axis}</svg>'


def _share(value: float | None) -> str:
    if value is None:
        return "-"
    if 0 < value < 0.0001:
        return "&lt;0.01%"
    return f"{value:.1%}" if value >= 0.01 or not value else f"{value:.2%}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _said(value: int | str | None) -> str:
    return value if isinstance(value, str) else _count(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
