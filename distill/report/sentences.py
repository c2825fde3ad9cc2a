"""What a leaderboard says, in sentences."""

import math

from distill.report import adapters
from distill.report.lines import Line, Row, lines
from distill.report.teachers import described

KINDS = {
    "time_ahead": "The teacher scored each training row before it had learned from it or from anything later.",
    "cross_fit": "Each training row was scored by a teacher that had not seen it, but had seen others of the same "
    "time. Where items become popular, such scores know more than those of a teacher in service.",
    "in_sample": "The teacher had been trained on the rows that it scored, so its scores leak their labels: these "
    "students are for comparison only.",
    "unknown": "It is not known how the training rows were scored. If the teacher had been trained on them, its scores "
    "leak their labels.",
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
        *_fallen(found),
        *_chance(found, level),
        *_standing(summary, level),
        *_entropies(summary),
        *described(table),
        *adapters.described(summary),
        *_views(summary),
        *_method(table.get("method", {})),
        *_gap(table, level),
        *_hops(table),
        *_calibration(table.get("calibration_by_vertical", {})),
        *(KINDS[kind] for kind in kinds),
        *_reach(found),
        *_limits(found, summary),
    ]


HOPS = {
    "gap_closed_teacher_to_domain": (
        "the teacher's lead they hold",
        "They hold {} of the teacher's lead over the controls.",
        "The teacher's lead over them is {} than over the controls.",
    ),
    "gap_closed_domain_to_student": (
        "their lead the students gained",
        "The students gained {} of the domain models' lead.",
        "The domain models' lead over the students is {} than over the controls.",
    ),
}
"""A hop -> what it is a share of, and the sentences of a lead that was gained and of one that grew."""

FEW = 5
"""Most names in a sentence."""


def percent(share: float) -> str:
    """A share for reading.

    >>> percent(0.384), percent(-0.001)
    ('38 %', '0 %')
    """
    return f"{round(100 * share) + 0} %"


def of_lead(share: float) -> str:
    """What became of the teacher's lead, for reading: the share that was closed, or by how much it grew.

    >>> of_lead(0.384), of_lead(-2.48), of_lead(-0.001)
    ('38 %', '248 % wider', '0 %')
    """
    return f"{percent(-share)} wider" if _grew(share) else percent(share)


def _verdicts(found: list[Line], summary: Row) -> list[str]:
    verticals = len({line.row["vertical"] for line in found})
    of = f"{verticals} vertical{'s' if verticals != 1 else ''}"
    of = of if verticals == len(found) else f"{len(found)} results in {of}"
    said = [
        f"The teacher helped {summary['helped']} of {of}, hurt {summary['hurt']} and left {summary['unchanged']} "
        f"unchanged; {summary['undecided']} are undecided."
    ]
    if summary["failed"]:
        said.append(f"Failed students, counting controls: {summary['failed']}.")
    return said


def _fallen(found: list[Line]) -> list[str]:
    """Who goes without its teacher, which no verdict shows: such a student is its control."""
    names = [line.name for line in found if line.row["settings"].get("fell_back")]
    if not names:
        return []
    shown = ", ".join(names[:FEW]) + (f" and {len(names) - FEW} more" if len(names) > FEW else "")
    return [f"{len(names)} of {len(found)} fell back on their controls, by validation rows: {shown}."]


def _chance(found: list[Line], level: float) -> list[str]:
    """How many verdicts to expect where there is nothing to find."""
    judged = sum(line.row["ne_gain_low"] is not None for line in found)
    expected = math.ceil(judged * (1 - level) / 2)
    if not expected:
        return []
    return [f"By chance alone, up to {expected} would be called helped and up to {expected} hurt."]


def _standing(summary: Row, level: float) -> list[str]:
    """What of the verdicts stands among all of them."""
    if not summary.get("helped", 0) + summary.get("hurt", 0) or "helped_adjusted" not in summary:
        return []
    return [
        f"That allowed for, {summary['helped_adjusted']} helped and {summary['hurt_adjusted']} hurt remain "
        f"(Benjamini and Hochberg: of those that remain, {percent(1 - level)} may be wrong)."
    ]


def _views(summary: Row) -> list[str]:
    """The gain as verticals see it: one large vertical can carry the ratio over all rows."""
    names = {
        "ne_gain_macro": "mean {:+.4f}",
        "ne_gain_median": "median {:+.4f}",
        "ne_gain_without_top10": "all rows without the ten verticals that gain most {:+.4f}",
    }
    known = [text.format(summary[name]) for name, text in names.items() if summary.get(name) is not None]
    return [f"Gain by vertical: {', '.join(known)}."] if known else []


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
        f"seeds spread it by {method['seed_spread']:.4f}, test rows by {method['row_error']:.4f}."
    ]


def _entropies(summary: Row) -> list[str]:
    if summary["ne_gain"] is None:
        return []
    teacher = "" if summary["ne_teacher"] is None else f", {summary['ne_teacher']:.4f} for the teacher"
    return [
        f"Over all test rows NE is {summary['ne_control']:.4f} for the controls, {summary['ne_student']:.4f} for the "
        f"students{teacher}: a gain of {summary['ne_gain']:+.4f}."
    ]


def _gap(table: Row, level: float) -> list[str]:
    summary, undefined = table["summary"], table.get("undefined", {})
    if summary["gap_closed"] is None:
        why = undefined.get("gap_closed", "the teacher has no lead, or did not score all test rows")
        return [f"What share of the teacher's lead the students gained is undefined: {why}."]
    low, high = summary["gap_closed_low"], summary["gap_closed_high"]
    why = undefined.get("gap_closed_low", "the teacher's lead is not sure")
    share = summary["gap_closed"]
    sure = f"no interval: {why}" if low is None else f"{percent(level)} interval {_ends(share, low, high)}"
    gained = "The students gained {} of the teacher's lead over the controls"
    grown = "The teacher's lead over the students is {} than over the controls"
    said = [_lead(share, f"{gained} ({sure}).", f"{grown} ({sure}).")]
    names = {
        "gap_closed_macro": "mean {}",
        "gap_closed_median": "median {}",
        "gap_closed_without_top10": "all rows without the ten verticals that gain most {}",
    }
    known = [text.format(of_lead(summary[name])) for name, text in names.items() if summary[name] is not None]
    return [*said, f"By vertical, that is: {', '.join(known)}."] if known else said


def _lead(share: float, gained: str, lost: str) -> str:
    """A share of somebody's lead in a sentence: as gained, or where it is less than none, how much the lead grew."""
    return (lost if _grew(share) else gained).format(of_lead(share))


def _ends(share: float, low: float, high: float) -> str:
    """The interval of a share; of a lead that grew, in the same words."""
    if not _grew(share):
        return f"{100 * low:.0f} to {percent(high)}"
    return " to ".join(of_lead(end) if _grew(end) else f"{percent(end)} narrower" for end in (low, high))


def _grew(share: float) -> bool:
    return round(100 * share) < 0


def _calibration(found: Row) -> list[str]:
    """How far each arm is off, vertical by vertical: over all rows, too many clicks here make up for too few there."""
    names = {"distilled": "the students", "control": "the controls", "teacher": "the teacher"}
    off = {arm: found[arm]["relative"] for arm in names if found.get(arm, {}).get("relative") is not None}
    if "distilled" not in off:
        return []
    said = ", ".join(f"{percent(value)} for {names[arm]}" for arm, value in off.items())
    return [f"Predicted and observed clicks of a vertical differ, on average, by {said}."]


def _reach(found: list[Line]) -> list[str]:
    """How much of the training rows the teacher had scored, and how old its knowledge was on the test rows."""
    rows = {line.row["vertical"]: line.row for line in found}.values()
    scored = [(row["coverage"], row["rows_train"]) for row in rows if row.get("coverage") is not None]
    ages = [row["knowledge_age"] for row in rows if row.get("knowledge_age") is not None]
    total = sum(count for _, count in scored)
    share = sum(part * count for part, count in scored) / total if total else 1.0
    said = [f"It had scored {percent(share)} of the students' training rows."] if round(share, 2) < 1 else []
    return said + ([f"The last label that it had seen is {_days(max(ages))} older than the test rows."] if ages else [])


def _days(days: float) -> str:
    return f"{24 * days:.1f} hours" if days < 1 else f"{days:.1f} days"


def _limits(found: list[Line], summary: Row) -> list[str]:
    said = []
    if summary["undecided"]:
        said.append("Undecided is not unchanged: these test rows are too few to tell.")
    wanted = {
        line.row["vertical"]: line.row["rows_wanted"]
        for line in found
        if line.row["verdict"] == "undecided" and line.row.get("rows_wanted")
    }
    if wanted:
        nearest = sorted(wanted.items(), key=lambda one: one[1])[:3]
        rows = ", ".join(f"{name} about {rounded(count):,}" for name, count in nearest)
        said.append(f"Nearest to a verdict, if gains are as large as seen, by the test rows still missing: {rows}.")
    if len({line.row["seed"] for line in found}) == 1:
        said.append("All this is about these very students: with another seed they may turn out differently.")
    return said


def _hops(table: Row) -> list[str]:
    """How far it came on each way, where it went through domains."""
    summary, undefined = table["summary"], table.get("undefined", {})
    if "ne_domain" not in summary:
        return []
    entropy = summary["ne_domain"]
    shown = f"{entropy:.4f}" if entropy is not None else "undefined: they did not score all test rows"
    said = [f"NE of the domain models is {shown}."]
    for name, (what, gained, lost) in HOPS.items():
        if summary[name] is not None:
            said.append(_lead(summary[name], gained, lost))
        elif name in undefined:
            said.append(f"What share of {what} is undefined: {undefined[name]}.")
    return [" ".join(said)]


def rounded(rows: int) -> int:
    """To two digits: the estimate has no more.

    >>> rounded(5354)
    5400
    """
    step = 10 ** max(len(str(rows)) - 2, 0)
    return math.ceil(rows / step) * step
