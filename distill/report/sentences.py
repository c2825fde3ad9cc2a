"""What a leaderboard says, in sentences."""

import math

from distill.report.lines import Line, Row, lines
from distill.report.teachers import described

KINDS = {
    "time_ahead": "The teacher scored each training row before it had learned from it or from anything later.",
    "cross_fit": "Training rows were scored by teachers that had not seen them, but had seen others of the same time: "
    "where items become popular, such scores know more than a teacher does in service.",
    "in_sample": "The teacher scored rows that it had been trained on: its scores leak their labels, and these "
    "students are for comparison only.",
    "unknown": "How the teacher scored the training rows is not known: if it had been trained on them, its scores leak "
    "their labels.",
}
"""Kind of knowledge -> what it means for the reader."""


def sentences(table: Row, level: float) -> list[str]:
    """The summary of a leaderboard in plain words, the most important first.

    Args:
        table: a leaderboard.
        level: coverage of its intervals.
    """
    found, summary = lines(table), table["summary"]
    kinds = sorted({line.row["knowledge_kind"] for line in found} & KINDS.keys())
    return [
        *_verdicts(found, summary),
        *_chance(found, level),
        *_standing(summary, level),
        *_entropies(summary),
        *described(table),
        *_views(summary),
        *_method(table.get("method", {})),
        *_gap(summary, level),
        *_hops(summary),
        *(KINDS[kind] for kind in kinds),
        *_limits(found, summary),
    ]


def percent(share: float) -> str:
    """A share for reading.

    >>> percent(0.384)
    '38 %'
    """
    return f"{100 * share:.0f} %"


def _verdicts(found: list[Line], summary: Row) -> list[str]:
    verticals = len({line.row["vertical"] for line in found})
    of = f"{verticals} verticals" if verticals == len(found) else f"{len(found)} results in {verticals} verticals"
    said = [
        f"The teacher helped {summary['helped']} of {of}, hurt {summary['hurt']} and left {summary['unchanged']} "
        f"unchanged; {summary['undecided']} are undecided."
    ]
    if summary["failed"]:
        said.append(f"Failed students, counting controls: {summary['failed']}.")
    return said


def _chance(found: list[Line], level: float) -> list[str]:
    """How many verdicts to expect where there is nothing to find."""
    judged = sum(line.row["ne_gain_low"] is not None for line in found)
    expected = math.ceil(judged * (1 - level) / 2)
    if not expected:
        return []
    return [f"Had the teacher changed nothing, chance would still call up to {expected} helped and {expected} hurt."]


def _standing(summary: Row, level: float) -> list[str]:
    """What of the verdicts stands among all of them."""
    if not summary.get("helped", 0) + summary.get("hurt", 0) or "helped_adjusted" not in summary:
        return []
    return [
        f"With at most {1 - level:.0%} of them expected to be wrong, {summary['helped_adjusted']} helped and "
        f"{summary['hurt_adjusted']} hurt stand (Benjamini and Hochberg); the verdicts shown are each its own."
    ]


def _views(summary: Row) -> list[str]:
    """The gain as verticals see it: one large vertical can carry the ratio over all rows."""
    names = {
        "the mean of verticals gains": "ne_gain_macro",
        "their median": "ne_gain_median",
        "all rows without the ten verticals that gain most": "ne_gain_without_top10",
    }
    known = [f"{name} {summary[key]:+.4f}" for name, key in names.items() if summary.get(key) is not None]
    return [f"By vertical: {', '.join(known)}."] if known else []


def _method(method: Row) -> list[str]:
    """What seeds say, where there are several."""
    if method.get("ne_gain_low") is None:
        return []
    words = {
        "better": "better than no teacher",
        "worse": "worse than no teacher",
        "undecided": "not shown to be better or worse than no teacher",
    }
    return [
        f"As a method, over {method['seeds']} seeds, this is {words[method['verdict']]}: a gain of "
        f"{method['ne_gain']:+.4f}, {method['ne_gain_low']:+.4f} to {method['ne_gain_high']:+.4f}; "
        f"seeds alone spread by {method['seed_spread']:.4f}, rows by {method['row_error']:.4f}."
    ]


def _entropies(summary: Row) -> list[str]:
    if summary["ne_gain"] is None:
        return []
    teacher = "" if summary["ne_teacher"] is None else f", {summary['ne_teacher']:.4f} for the teacher"
    return [
        f"Over all test rows NE is {summary['ne_control']:.4f} for the controls, {summary['ne_student']:.4f} for the "
        f"students{teacher}: a gain of {summary['ne_gain']:+.4f}."
    ]


def _gap(summary: Row, level: float) -> list[str]:
    if summary["gap_closed"] is None:
        return ["What share of the teacher's lead the students gained is undefined: it has no lead, or no scores here."]
    low, high = summary["gap_closed_low"], summary["gap_closed_high"]
    sure = "no interval: the lead itself is not sure" if low is None else f"{level:.0%} interval {_span(low, high)}"
    views = {
        "the mean of verticals is": summary["gap_closed_macro"],
        "their median": summary["gap_closed_median"],
        "the share without the ten verticals that gain most": summary["gap_closed_without_top10"],
    }
    known = [f"{name} {percent(share)}" for name, share in views.items() if share is not None]
    first = f"The students gained {percent(summary['gap_closed'])} of the teacher's lead over the controls ({sure})"
    return [f"{first}; {', '.join(known)}." if known else f"{first}."]


def _span(low: float, high: float) -> str:
    return f"{100 * low:.0f} to {percent(high)}"


def _limits(found: list[Line], summary: Row) -> list[str]:
    said = []
    if summary["undecided"]:
        said.append("Undecided is not unchanged: there were too few clicks to tell, or the interval holds both.")
    wanted = {
        line.row["vertical"]: line.row["rows_wanted"]
        for line in found
        if line.row["verdict"] == "undecided" and line.row.get("rows_wanted")
    }
    if wanted:
        nearest = sorted(wanted.items(), key=lambda one: one[1])[:3]
        rows = ", ".join(f"{name} about {count:,}" for name, count in nearest)
        said.append(f"Nearest to a verdict, in further test rows that a gain of the size seen would need: {rows}.")
    if len({line.row["seed"] for line in found}) == 1:
        said.append("Verdicts are about these students; one seed does not say how another would turn out.")
    return said


def _hops(summary: Row) -> list[str]:
    """How far it came on each way, where it went through domains."""
    if summary.get("ne_domain") is None:
        return []
    names = {
        "gap_closed_teacher_to_domain": "they hold {} of the teacher's lead over the controls",
        "gap_closed_domain_to_student": "the students gained {} of theirs",
    }
    known = [text.format(percent(summary[name])) for name, text in names.items() if summary[name] is not None]
    return [f"Domain models have {summary['ne_domain']:.4f}: {'; '.join(known) or 'no lead that could be shared out'}."]
