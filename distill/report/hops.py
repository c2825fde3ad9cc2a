"""Hops: how far knowledge came on the way from the teacher to domain models, and from these to students."""

from collections.abc import Mapping
from typing import Any

from distill.recipe.outcome import Evidence
from distill.report.exam import exams, sums
from distill.report.results import Entry, Outcomes, Results
from distill.report.scores import entropy, number
from distill.report.summary import Pair, closed, pairs_of, reasons, student_entropy

Row = dict[str, Any]


def with_hops(table: Row, results: Results, heard: Mapping[str, Outcomes], settings: Evidence, seed: int) -> Row:
    """A leaderboard with NE of the domain models, and the share of the gap that each hop closed, or why there is none.

    Both hops are measured from the students' controls, so that their product is the `gap_closed` of both together. The
    first is what the domain models gain over the controls, as a share of what the teacher does; the second, what the
    students gain, as a share of what the domain models do.

    Args:
        table: the leaderboard.
        results: what it was made from.
        heard: vertical -> its test rows, with what its domain model said in place of the teacher.
        settings: how sure a verdict must be.
        seed: of the bootstrap.
    """
    models = results._replace(entries=[_model(entry, heard[entry.vertical]) for entry in results.entries])
    first, entropies = _pairs(models, settings, seed)
    second, _ = _pairs(results._replace(outcomes=heard), settings, seed)
    whole = [entry.member for entry in models.entries if entry.logit is None] == [
        entry.member for entry in results.entries if entry.logit is None
    ]
    shares = {
        "gap_closed_teacher_to_domain": closed(first, settings.level),
        "gap_closed_domain_to_student": closed(second, settings.level, "domain model"),
    }
    summary = table["summary"] | {"ne_domain": student_entropy(first) if whole else None}
    undefined = table["undefined"] | ({} if whole else {"ne_domain": "they did not score all test rows"})
    for name, share in shares.items():
        summary |= {name: number(share.value), f"{name}_low": number(share.low), f"{name}_high": number(share.high)}
        undefined |= reasons(name, share)
    rows = [row | {"ne_domain": entropies.get((row["vertical"], row["task"]))} for row in table["students"]]
    return table | {"students": rows, "summary": summary, "undefined": undefined}


def _pairs(results: Results, settings: Evidence, seed: int) -> tuple[list[Pair], dict[tuple[str, str], float | None]]:
    """All pairs, and NE of the distilled students by vertical and task; other metrics are not asked for."""
    pairs, entropies = [], {}
    for task, exam in exams(results):
        pairs += pairs_of(task, exam, sums(exam, settings.resamples, seed))
        entropies |= {
            (entry.vertical, task): entropy(exam.logit.get(name), exam)
            for name, entry in exam.entries.items()
            if entry.arm == "distilled"
        }
    return pairs, entropies


def _model(entry: Entry, heard: Outcomes) -> Entry:
    """The domain model in the place of a student; it fails where it scored less than all test rows."""
    if entry.arm == "control" or entry.logit is None:
        return entry
    whole = heard.teacher is not None and bool(heard.covered.all())
    return entry._replace(logit=heard.teacher if whole else None, reason="" if whole else "no domain model scored it")
