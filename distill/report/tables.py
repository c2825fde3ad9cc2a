"""Tables of a report: cells that sort by the number behind them."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

from distill.columns import SIGNS
from distill.report.lines import Line, Row, groups
from distill.report.sentences import percent


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
    """Every distilled student."""
    lines = [line for group in groups(found, None) for line in group.lines]
    columns = [
        Column("vertical", lambda line: escape(line.name), kind="left"),
        Column("verdict", lambda line: word(line.word, f"{SIGNS[line.word]} {line.word}"), kind="left"),
        _of_row("gain", "ne_gain", number("+.4f"), "NE of the control minus NE of the student"),
        Column("interval", lambda line: span(line.row), _key("ne_gain_low"), hint="sorts by the lower end"),
        _of_row("gap closed", "gap_closed", share, "share of the teacher's lead over the control"),
        _of_row("student", "ne", number(".4f"), "NE on the test rows; lower is better"),
        _of_row("control", "ne_control", number(".4f")),
        _of_row("teacher", "ne_teacher", number(".4f")),
        _of_row("AUC", "auc", number(".4f")),
        _of_row("GAUC", "gauc", number(".4f"), "within users, by impressions"),
        _of_row("calibration", "calibration", number(".3f"), "predicted over observed clicks"),
        _of_row("train rows", "rows_train", number(",")),
        _of_row("test rows", "rows_test", number(",")),
        _of_row("clicks", "positives_test", number(",.0f")),
        _of_row("detectable", "detectable", number(".4f"), "smallest true gain that these rows find 4 times in 5"),
        Column("why no more is said", lambda line: escape(line.row["reason"]), kind="left why"),
    ]
    return table(lines, columns, "students")


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
    """A share in per cent."""
    return "\N{EN DASH}" if value is None else percent(value).replace("-", "\N{MINUS SIGN}")


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


def _of_row(title: str, name: str, show: Callable[[float | None], str], hint: str = "") -> Column:
    return Column(title, lambda line: show(line.row[name]), _key(name), hint=hint)


def _key(name: str) -> Callable[[Line], float | None]:
    return lambda line: line.row[name]


def _text(key: str) -> Callable[[Row], str]:
    return lambda row: escape(f"{row[key]:,}" if isinstance(row[key], int) else str(row[key]))
