"""Hops: how far knowledge came on the way from the teacher to domain models, and from these to students."""

from collections.abc import Mapping
from typing import Any

from distill.recipe.outcome import Evidence
from distill.report.leaderboard import leaderboard
from distill.report.results import Entry, Outcomes, Results

Row = dict[str, Any]


def with_hops(table: Row, results: Results, heard: Mapping[str, Outcomes], settings: Evidence, seed: int) -> Row:
    """A leaderboard with NE of the domain models, and the share of the gap that each hop closed.

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
    models = [_model(entry, heard[entry.vertical]) for entry in results.entries]
    first = leaderboard(results._replace(entries=models), settings, seed)
    second = leaderboard(results._replace(outcomes=heard), settings, seed)
    whole = first["summary"]["failed"] == table["summary"]["failed"]
    summary = table["summary"] | {
        "ne_domain": first["summary"]["ne_student"] if whole else None,
        **_gap(first, "gap_closed_teacher_to_domain"),
        **_gap(second, "gap_closed_domain_to_student"),
    }
    entropies = {(row["vertical"], row["task"]): row["ne"] for row in first["students"] if row["arm"] == "distilled"}
    rows = [row | {"ne_domain": entropies.get((row["vertical"], row["task"]))} for row in table["students"]]
    return table | {"students": rows, "summary": summary}


def _model(entry: Entry, heard: Outcomes) -> Entry:
    """The domain model in the place of a student; it fails where it scored less than all test rows."""
    if entry.arm == "control" or entry.logit is None:
        return entry
    whole = heard.teacher is not None and bool(heard.covered.all())
    return entry._replace(logit=heard.teacher if whole else None, reason="" if whole else "no domain model scored it")


def _gap(table: Row, name: str) -> Row:
    return {f"{name}{end}": table["summary"][f"gap_closed{end}"] for end in ("", "_low", "_high")}
