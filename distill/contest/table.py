"""The table of a contest: one line a teacher, its figures over seeds, and what it gains over the first."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from distill.contest.contenders import TREES, Contender
from distill.contest.exam import Exam, Figures, Sides, exam_of, figures, sides
from distill.contest.laws import Grown, laws
from distill.data.impressions import TEST, VALID
from distill.evidence import NOTHING, Estimate, Sums, method_gain, ne_gain, pool
from distill.fingerprint import derived_seed, fingerprint
from distill.recipe.outcome import Evidence
from distill.report.scores import number

Table = dict[str, Any]


def table(name: str, each: Sequence[Contender], evidence: Evidence) -> Table:
    """Everything about a contest, as `distill teachers --json` writes it.

    Args:
        name: of the sweep.
        each: its contenders; of one name the seeds, the first name the one that the others are compared with.
        evidence: how sure a verdict must be.
    """
    names = list(dict.fromkeys(one.name for one in each))
    groups = {name: [one for one in each if one.name == name] for name in names}
    tasks = each[0].impressions.tasks
    found = [_lines(groups, place, task, evidence) for place, task in enumerate(tasks)]
    lines = [line for some, _ in found for line in some]
    # Trees never speak of training rows, so nobody could learn from them.
    best = min((line for line in lines if line["task"] == tasks[0] and line["teacher"] != TREES), key=_validated)
    return {
        "contest": name,
        "fingerprint": fingerprint("contest", name, [one.knowledge.manifest.fingerprint for one in each]),
        "seeds": len(groups[names[0]]),
        "best": {"teacher": best["teacher"], "by": "mean NE of its seeds on validation rows", "tables": best["tables"]},
        "teachers": lines,
        "laws": [{"task": task} | law for task, (_, some) in zip(tasks, found, strict=True) for law in some],
    }


def _validated(line: Table) -> float:
    return math.inf if line["ne_valid"] is None else line["ne_valid"]


def _lines(
    groups: dict[str, list[Contender]], place: int, task: str, evidence: Evidence
) -> tuple[list[Table], list[Table]]:
    """One line a teacher, and the laws of scale that they follow."""
    first = next(iter(groups.values()))
    valid, test = (exam_of(first[0].impressions, split, place) for split in (VALID, TEST))
    marks = {name: np.stack([test.marks(one.knowledge, place) for one in group]) for name, group in groups.items()}
    against = _against(test, marks, evidence, derived_seed(first[0].recipe.seed, "contest"))
    lines = []
    for name, group in groups.items():
        judged = [figures(test, own) for own in marks[name]]
        before = [figures(valid, valid.marks(one.knowledge, place)) for one in group]
        lines.append({"teacher": name, "task": task} | _line(group, before, judged) | _gains(against[name], evidence))
    return lines, laws(_grown(groups, against), evidence.level)


def _grown(groups: dict[str, list[Contender]], against: dict[str, list[Sides]]) -> list[Grown]:
    """The teachers whose size is known, with their NE in every resample, mean over seeds."""
    some = next((each for each in against.values() if each), None)
    if some is None:
        return []
    found = []
    for name, group in groups.items():
        pairs = [(one.whole.student, one.whole) for one in against[name]] or [
            (one.whole.control, one.whole) for one in some
        ]
        ne = np.mean([loss / whole.base_entropy for loss, whole in pairs], axis=0)
        one = group[0]
        if one.cost is not None:
            found.append(Grown(name, one.knowledge.manifest.teacher, one.cost.dense, one.rows, ne))
    return found


def _against(
    test: Exam, marks: dict[str, Float[np.ndarray, "seeds rows"]], evidence: Evidence, seed: int
) -> dict[str, list[Sides]]:
    """Name -> for each seed, the first teacher against this one; nothing for the first."""
    first, *others = marks
    found: dict[str, list[Sides]] = {first: []}
    if not others:
        return found
    each = [
        sides(test, marks[first][number], np.stack([marks[name][number] for name in others]), evidence.resamples, seed)
        for number in range(len(marks[first]))
    ]
    return found | {name: [one[place] for one in each] for place, name in enumerate(others)}


def _line(group: Sequence[Contender], before: Sequence[Figures], judged: Sequence[Figures]) -> Table:
    """Means over seeds, the least and the largest NE, and what a seed took."""
    mean = {name: number(float(np.mean([getattr(one, name) for one in judged]))) for name in Figures._fields}
    entropies = [one.ne for one in judged]
    took = [one.seconds for one in group if one.seconds is not None]
    size = group[0].cost
    return {
        "ne_valid": number(float(np.mean([one.ne for one in before]))),
        "ne_valid_mean": number(float(np.mean([one.ne_mean for one in before]))),
        **mean,
        "ne_low": number(min(entropies)),
        "ne_high": number(max(entropies)),
        "seconds": float(np.mean(took)) if took else None,
        "rows": group[0].rows,
        "dense": size.dense if size else None,
        "sparse": size.sparse if size else None,
        "flops": size.flops if size else None,
        "tables": [one.knowledge.manifest.fingerprint for one in group],
        "seeds": [one._asdict() for one in judged],
    }


def _gains(against: Sequence[Sides], evidence: Evidence) -> Table:
    """What it gains in NE over the first, pooled and in the mean over verticals, with what the seeds allow to say."""
    whole = _estimate([one.whole for one in against], evidence.level)
    means = [one.mean for one in against if one.mean is not None]
    mean = _estimate(means, evidence.level)
    found = {}
    for name, (estimate, word) in {"ne_gain": whole, "ne_mean_gain": mean}.items():
        found |= {name: number(estimate.value), f"{name}_low": number(estimate.low)}
        found |= {f"{name}_high": number(estimate.high), f"{name}_word": word}
    return found


def _estimate(each: Sequence[Sums], level: float) -> tuple[Estimate, str | None]:
    """With several seeds of their method, and with one of these two teachers alone."""
    if not each:
        return NOTHING, None
    if len(each) > 1:
        claim = method_gain(each, level)
        return claim.gain, claim.word
    found = ne_gain(pool(each), level)
    return found, "better" if found.low > 0 else "worse" if found.high < 0 else "undecided"
