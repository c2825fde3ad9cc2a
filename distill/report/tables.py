"""Tables of a report: cells that sort by the number behind them."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

from distill.columns import SIGNS
from distill.report.footnotes import Footnote, footnotes, marked, why_unsure
from distill.report.lines import Line, Row, groups
from distill.report.sentences import of_lead, rounded

GAP = "share of the teacher's lead over the control"
DETECTABLE = "smallest true gain that these rows find 4 times in 5"


class Column(NamedTuple):
    """One column: its head, what stands in a cell, and the number that it sorts by (None sorts by the text)."""

    title: str
    cell: Callable[[Any], str]
    value: Callable[[Any], float | None] | None = None
    kind: str = ""
    hint: str = ""


def table(rows: Sequence[Any], columns: Sequence[Column], name: str = "") -> str:
    """A table that sorts."""
    heads = "".join(
        f'<th class="{one.kind}"{f" title={chr(34)}{escape(one.hint)}{chr(34)}" if one.hint else ""}>{one.title}</th>'
        for one in columns
    )
    body = "".join(f"<tr>{''.join(_cell(row, one) for one in columns)}</tr>" for row in rows)
    mark = f' id="{name}"' if name else ""
    return (
        f'<div class="scroll"><table class="sortable"{mark}><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def students(found: Row) -> str:
    """Every distilled student, with the columns that fit a screen; those of the kind `more` are shown on demand."""
    lines = [line for group in groups(found, None) for line in group.lines]
    notes = footnotes(lines)
    columns = [
        Column("vertical", lambda line: escape(line.name), kind="left"),
        Column("verdict", lambda line: word(line.word, f"{SIGNS[line.word]} {line.word}"), kind="left"),
        _of_row("gain", "ne_gain", number("+.4f"), "NE of the control minus NE of the student"),
        Column("interval", lambda line: span(line.row), _key("ne_gain_low"), hint="sorts by the lower end"),
        Column("gap closed", lambda line: _gap(line, notes), _key("gap_closed"), hint=GAP),
        _of_row("student", "ne", number(".4f"), "NE on the test rows; lower is better"),
        _of_row("control", "ne_control", number(".4f")),
        _of_row("teacher", "ne_teacher", number(".4f")),
        _of_row("calibration", "calibration", number(".3f"), "predicted over observed clicks"),
        _of_row("clicks", "positives_test", number(",.0f"), "among the test rows"),
        _of_row("test rows", "rows_test", number(",")),
        _of_row("rows missing", "rows_wanted", _rows, "test rows that a verdict still needs, about"),
        _of_row("train rows", "rows_train", number(","), kind="more"),
        _of_row("AUC", "auc", number(".4f"), kind="more"),
        _of_row("GAUC", "gauc", number(".4f"), "within users, by impressions", kind="more"),
        _of_row("detectable", "detectable", number(".4f"), DETECTABLE, kind="more"),
        Column("why no more is said", lambda line: escape(line.row["reason"]), kind="left why more"),
    ]
    below = "".join(f"<p class='soft'>{escape(note.text)}</p>" for note in notes)
    return table(lines, columns, "students") + below


def _rows(count: int | None) -> str:
    return number(",")(None if count is None else rounded(count))


def _gap(line: Line, notes: Sequence[Footnote]) -> str:
    """The share, with the sign of its footnote, which also says its reason where one points at it."""
    mark = marked(line, notes)
    return share(line.row["gap_closed"]) + (f'<span title="{escape(why_unsure(line))}">{mark}</span>' if mark else "")


def summed(rows: Sequence[Row], names: Sequence[tuple[str, str]]) -> str:
    """Domains or slices: what they are called, then gain, interval and the rest of what they have."""
    columns = [Column(title, _text(key), kind="left") for key, title in names]
    columns += [
        Column("gain", lambda row: number("+.4f")(row["ne_gain"]), lambda row: row["ne_gain"]),
        Column("interval", span, lambda row: row["ne_gain_low"]),
    ]
    optional = [
        Column("gap closed", lambda row: share(row["gap_closed"]), lambda row: row["gap_closed"]),
        Column("student", lambda row: number(".4f")(row["ne"]), lambda row: row["ne"]),
        Column("control", lambda row: number(".4f")(row["ne_control"]), lambda row: row["ne_control"]),
        Column("calibration", lambda row: number(".3f")(row["calibration"]), lambda row: row["calibration"]),
        Column("rows", lambda row: number(",")(row["rows"]), lambda row: row["rows"]),
        Column("verdict", lambda row: word(row["verdict"], row["verdict"]), kind="left"),
    ]
    keys = ("gap_closed", "ne", "ne_control", "calibration", "rows", "verdict")
    columns += [one for key, one in zip(keys, optional, strict=True) if rows and key in rows[0]]
    return table(rows, columns)


def number(form: str) -> Callable[[float | None], str]:
    """Writes numbers in a form; a number that does not exist is a dash."""
    return lambda value: "\N{EN DASH}" if value is None else f"{value:{form}}".replace("-", "\N{MINUS SIGN}")


def share(value: float | None) -> str:
    """What became of the teacher's lead."""
    return "\N{EN DASH}" if value is None else of_lead(value)


def span(row: Row, name: str = "ne_gain") -> str:
    """An interval."""
    show = number("+.4f")
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "\N{EN DASH}" if low is None else f"{show(low)} to {show(high)}"


def word(kind: str, words: str) -> str:
    """A verdict in its colour; the word and its sign say it without."""
    return f'<span class="word {kind}">{words}</span>'


def _cell(row: Any, column: Column) -> str:
    value = f' data-value="{_raw(column.value(row))}"' if column.value else ""
    return f'<td class="{column.kind}"{value}>{column.cell(row)}</td>'


def _raw(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _of_row(title: str, name: str, show: Callable[[float | None], str], hint: str = "", kind: str = "") -> Column:
    return Column(title, lambda line: show(line.row.get(name)), _key(name), kind, hint)


def _key(name: str) -> Callable[[Line], float | None]:
    return lambda line: line.row.get(name)


def _text(key: str) -> Callable[[Row], str]:
    return lambda row: escape(f"{row[key]:,}" if isinstance(row[key], int) else str(row[key]))
