"""The report: one HTML page that holds everything about a run and needs nothing from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from distill.columns import SIGNS
from distill.report import diagrams, figures, svg
from distill.report.lines import Row
from distill.report.sentences import of_lead, sentences
from distill.report.style import SCRIPT, STYLE
from distill.report.tables import number, span, students, summed


class Facts(NamedTuple):
    """What a page says beside the leaderboard.

    Attributes:
        recipe: as YAML with every default filled in.
        commands: by which it was made and can be made again.
        level: coverage of the intervals.
        refusals: what keeps students back, in sentences; None where no gate was asked.
        others: name -> leaderboard of further runs, for the heat map.
    """

    recipe: str
    commands: Sequence[str]
    level: float = 0.95
    refusals: Sequence[str] | None = None
    others: Mapping[str, Row] = {}


def page(table: Row, facts: Facts) -> str:
    """The whole page of one run.

    Args:
        table: its leaderboard.
        facts: what else is to be said.
    """
    name = escape(table["recipe"])
    parts = [
        _head(table, name),
        _said(table, facts.level),
        _figures(table, facts),
        _students(table),
        _parts(table),
        _gates(facts.refusals),
        _made(table, facts),
    ]
    return document(name, parts)


def document(name: str, parts: Sequence[str]) -> str:
    """A page of parts, with its style and its script; `name` is markup already."""
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
    )
    return f"{head}<body>{''.join(parts)}<script>{SCRIPT}</script></body></html>\n"


def _head(table: Row, name: str) -> str:
    """What a reader must know, if he reads nothing else."""
    summary, method = table["summary"], table.get("method", {})
    gain = number("+.4f")(summary["ne_gain"])
    gap = "undefined" if summary["gap_closed"] is None else of_lead(summary["gap_closed"])
    seeds = method.get("seeds", 0)
    facts = [
        (
            gain,
            f"gain in NE over all rows, {span(summary)}" if summary.get("ne_gain_low") is not None else "gain in NE",
        ),
        *_known(summary, "ne_gain_median", "gain of the median vertical"),
        *_known(summary, "ne_gain_without_top10", "gain without the ten verticals that gain most"),
        (
            gap,
            "the teacher's lead over the students" if gap.endswith("wider") else "share of the teacher's lead closed",
        ),
        (method.get("verdict", "undecided"), f"as a method, from {seeds} seed{'s' if seeds != 1 else ''}"),
    ]
    listed = "".join(f"<li><b>{value}</b><span>{escape(what)}</span></li>" for value, what in facts)
    sub = f'<p class="soft">Distilled students against their twins without a teacher. Run {table["fingerprint"]}.</p>'
    return f"<h1>{name}</h1>{sub}{_verdicts(summary)}<ul class='facts'>{listed}</ul>"


def _known(summary: Row, name: str, what: str) -> list[tuple[str, str]]:
    value = summary.get(name)
    return [] if value is None else [(number("+.4f")(value), what)]


def _verdicts(summary: Row) -> str:
    counts = {word: summary[word] for word in SIGNS if summary.get(word)}
    bar = "".join(f'<i class="{word}" style="flex:{count}"></i>' for word, count in counts.items())
    key = "".join(f'<span class="word {word}">{SIGNS[word]} {count} {word}</span>' for word, count in counts.items())
    return f'<div class="share" aria-hidden="true">{bar}</div><p class="key">{key}</p>'


def _said(table: Row, level: float) -> str:
    said = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences(table, level))
    return f"<h2>What this says</h2><ul>{said}</ul>"


def _figures(table: Row, facts: Facts) -> str:
    runs = {table["recipe"]: table, **facts.others}
    methods = {name: gains(one["students"]) for name, one in runs.items()} if facts.others else {}
    level = f"{facts.level:.0%}"
    drawn = [
        ("Verdicts", figures.forest(table), f"Gain of each student with its {level} interval, by verdict."),
        ("Gain against size", figures.sizes(table), "Small verticals are wide: their rows cannot tell."),
        ("Methods", figures.heat(methods), "Gain in NE of each method over its own controls."),
    ]
    pair = [
        ("Reliability", diagrams.reliability(table), "All verticals together, in bins of equal weight."),
        ("Learning curves", diagrams.curves(table), "Median vertical; the band holds the middle half."),
        ("Teacher and student", figures.teacher_student(table), "Each line leads from the control to its student."),
    ]
    wide = "".join(_figure(*one) for one in drawn)
    return f'{wide}<div class="pair">{"".join(_figure(*one) for one in pair)}</div>'


def drawings(table: Row) -> dict[str, str]:
    """File name -> figure, each a file of its own; those that have nothing to show are left out."""
    drawn = {
        "verdicts": figures.forest(table),
        "gain_against_size": figures.sizes(table),
        "reliability": diagrams.reliability(table),
        "learning_curves": diagrams.curves(table),
        "teacher_and_student": figures.teacher_student(table),
    }
    return {f"figures/{name}.svg": svg.standalone(drawing, STYLE) for name, drawing in drawn.items() if drawing}


def _figure(title: str, drawing: str, caption: str) -> str:
    if not drawing:
        return ""
    return f"<section><h2>{title}</h2><figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure></section>"


def gains(students: Sequence[Row]) -> dict[str, float | None]:
    """Vertical -> gain, the mean of its distilled students among some rows of a leaderboard."""
    found: dict[str, list[float]] = {}
    for row in students:
        if row["arm"] == "distilled" and row["ne_gain"] is not None:
            found.setdefault(row["vertical"], []).append(row["ne_gain"])
    return {vertical: sum(values) / len(values) for vertical, values in found.items()}


def _students(table: Row) -> str:
    search = '<input type="search" placeholder="search a vertical" aria-label="search a vertical">'
    whole = '<label><input type="checkbox" id="whole"> all columns</label>'
    lead = f'<p class="soft tools">{search} {whole} <span>A click on a head sorts.</span> <span id="found"></span></p>'
    return f"<h2>Students</h2>{lead}{students(table)}"


def _parts(table: Row) -> str:
    """Domains and slices, where there are any."""
    domains, slices = table.get("domains", []), table.get("slices", [])
    found = ""
    if domains:
        found += "<h2>Domains</h2>" + summed(domains, [("domain", "domain"), ("verticals", "verticals")])
    if slices:
        lead = '<h2>Slices</h2><p class="soft">Over all verticals; NE is relative to the base rate of each slice.</p>'
        found += lead + summed(slices, [("slice", "slice"), ("value", "value")])
    return found


def _gates(refusals: Sequence[str] | None) -> str:
    if refusals is None:
        return ""
    said = "".join(f"<li>{escape(reason)}</li>" for reason in refusals)
    return f"<h2>Gates</h2>{f'<ul>{said}</ul>' if said else '<p>Every student passes.</p>'}"


def _made(table: Row, facts: Facts) -> str:
    """How it was made, and how to make it again."""
    stages = "".join(f"<li>{escape(stage)}: {taken:.1f} s</li>" for stage, taken in table["seconds"].items())
    found = "".join(f"<li>{escape(name)}: {escape(value)}</li>" for name, value in table.get("environment", {}).items())
    commands = escape("\n".join(facts.commands))
    return (
        f"<h2>How to make it again</h2><pre>{commands}</pre>"
        f"<details><summary>Recipe, with every default</summary><pre>{escape(facts.recipe)}</pre></details>"
        f"<details><summary>Environment</summary><ul>{found}</ul></details>"
        f"<details><summary>Time and cost</summary><ul>{stages}{_cost(table.get('cost'))}</ul></details>"
    )


def _cost(cost: Row | None) -> str:
    if not cost or cost["per_step"] is None:
        return f"<li>{escape(cost['reason'])}</li>" if cost else ""
    words = {
        "teacher_seconds": "seconds of the teacher",
        "domain_seconds": "seconds of the domain models",
        "student_seconds": "seconds of the students, both arms",
        "teacher_cpu_seconds": "CPU seconds of the teacher",
        "domain_cpu_seconds": "CPU seconds of the domain models",
        "student_cpu_seconds": "CPU seconds of the students, both arms",
        "teacher_calls": "rows scored by the teacher",
        "knowledge_bytes": "bytes of knowledge",
    }
    known = {key: what for key, what in words.items() if cost["per_step"].get(key)}
    return "".join(f"<li>{cost['per_step'][key]:,.3g} {what} for each 0.01 % of NE</li>" for key, what in known.items())
