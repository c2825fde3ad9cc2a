"""The report of a sweep: one HTML page with its points beside each other, and what was best for whom."""

from collections.abc import Callable
from html import escape

from distill.columns import SIGNS
from distill.report import figures
from distill.report.lines import Row
from distill.report.page import document, gains
from distill.report.tables import Column, number, span, table, word

FIELDS = {"ne_valid": "validation NE", "ne_control": "control", "ne_student": "student", "ne_gain": "gain"}
COUNTS = ("helped", "hurt", "unchanged", "undecided", "failed")


def sweep_page(found: Row) -> str:
    """The whole page of a sweep.

    Args:
        found: its table, as `distill compare SWEEP --json` writes it.
    """
    name = escape(found["sweep"])
    lead = f'<p class="soft">{len(found["points"])} points. Sweep {found["fingerprint"]}.</p>'
    return document(name, [f"<h1>{name}</h1>{lead}", _points(found), _heat(found), _best(found)])


def drawing(found: Row) -> str:
    """Gain by vertical and point; empty where no student has one."""
    names = [point["point"] for point in found["points"]]
    return figures.heat({one: gains([row for row in found["students"] if row["point"] == one]) for one in names})


def _points(found: Row) -> str:
    columns = [Column("point", lambda row: escape(row["point"]), kind="left")]
    columns += [Column(title, _shown(name), _value(name)) for name, title in FIELDS.items()]
    columns += [Column("interval", span, lambda row: row["ne_gain_low"])]
    columns += [Column(name, lambda row, name=name: f"{row[name]}", _value(name)) for name in COUNTS]
    lead = '<p class="soft">Chosen on validation rows; gain and verdicts are on test rows. A click on a head sorts.</p>'
    return f"<h2>Points</h2>{lead}{table(found['points'], columns)}"


def _heat(found: Row) -> str:
    drawn = drawing(found)
    if not drawn:
        return ""
    caption = "Gain in NE of each point over its own controls, in the verticals where points differ most."
    return f"<h2>Verticals by point</h2><figure>{drawn}<figcaption>{caption}</figcaption></figure>"


def _best(found: Row) -> str:
    search = '<input type="search" placeholder="search a vertical" aria-label="search a vertical">'
    columns = [
        Column("vertical", lambda row: escape(row["vertical"]), kind="left"),
        Column("point", lambda row: escape(row["point"]), kind="left"),
        Column("verdict", lambda row: word(row["verdict"] or "failed", _signed(row)), kind="left"),
        Column("gain", lambda row: number("+.4f")(row["ne_gain"]), _value("ne_gain")),
        Column("interval", span, _value("ne_gain_low")),
        Column("student", lambda row: number(".4f")(row["ne"]), _value("ne")),
        Column("control", lambda row: number(".4f")(row["ne_control"]), _value("ne_control")),
    ]
    return f'<h2>Best for each vertical</h2><p>{search} <span id="found"></span></p>' + table(
        found["best"], columns, "students"
    )


def _signed(row: Row) -> str:
    verdict = row["verdict"] or "failed"
    return f"{SIGNS[verdict]} {verdict}"


def _shown(name: str) -> Callable[[Row], str]:
    show = number("+.4f" if name == "ne_gain" else ".4f")
    return lambda row: show(row[name])


def _value(name: str) -> Callable[[Row], float | None]:
    return lambda row: row[name]
