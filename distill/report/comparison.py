"""Comparison: what changed between runs, in their settings and in their results, each against one baseline."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from distill.evidence import (
    Estimate,
    Sums,
    method_difference,
    pool,
    taken_up,
    times_plain,
    transfer_ratio,
)
from distill.report.cost import students_to_pay
from distill.report.lines import Row, lines
from distill.report.scores import number

SHOWN = ("ne_student", "ne_control", "ne_teacher", "ne_gain", "gap_closed", "helped", "hurt", "unchanged", "undecided")


def comparison(tables: Mapping[str, Row], baseline: str, level: float = 0.95) -> dict[str, Any]:
    """Every run against the baseline: as students (rows alone) and as methods (rows and seeds), never mixed.

    Args:
        tables: name -> leaderboard of a run.
        baseline: name of the run that the others are compared with.
        level: coverage of the intervals.
    """
    others = [name for name in tables if name != baseline]
    plain = tables[baseline]
    return {
        "baseline": baseline,
        "runs": [{"run": name, **{key: table["summary"][key] for key in SHOWN}} for name, table in tables.items()],
        "settings": _changed(tables),
        "against": [_against(name, tables[name], plain, level) for name in others],
        "verdicts": [row for name in others for row in _by_verdict(name, tables[name], plain)],
        "domains": [row for name in others for row in _by_domain(name, tables[name], plain, level)],
        "verticals": _verticals(tables),
        "by_vertical": [row for name in others for row in _by_vertical(name, tables[name], plain, level)],
    }


def _changed(tables: Mapping[str, Row]) -> list[dict[str, Any]]:
    """The settings in which runs differ, by key path."""
    settings = {name: flat(table.get("settings", {})) for name, table in tables.items()}
    keys = dict.fromkeys(key for one in settings.values() for key in one)
    found = [{"setting": key, **{name: one.get(key) for name, one in settings.items()}} for key in keys]
    return [row for row in found if len({str(value) for key, value in row.items() if key != "setting"}) > 1]


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Key path -> setting, of a tree of settings; a list stands as it is.

    >>> flat({"train": {"epochs": 2, "batch": 64}, "hidden": [32, 16]})
    {'train.epochs': 2, 'train.batch': 64, 'hidden': [32, 16]}
    """
    if not isinstance(value, Mapping):
        return {path: value}
    inner = [flat(below, f"{path}.{key}" if path else str(key)) for key, below in value.items()]
    return {key: leaf for one in inner for key, leaf in one.items()}


def _against(name: str, table: Row, plain: Row, level: float) -> dict[str, Any]:
    ours, theirs = _seeds(table), _seeds(plain)
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        return {"run": name, "verdict": "undecided", "reason": "no seed has students in both"}
    pairs = [ours[seed] for seed in common], [theirs[seed] for seed in common]
    claim = method_difference(*pairs, level)
    pays, why = students_to_pay(table, plain, claim.gain.value)
    return {
        "run": name,
        "verdict": claim.word,
        "seeds": claim.seeds,
        **_columns("ne_better_by", claim.gain),
        "seed_spread": number(claim.seed_spread),
        "row_error": number(claim.row_error),
        **_ratios(pool(pairs[0]), pool(pairs[1]), _same_teacher(table, plain), level),
        "students_to_pay": pays,
        "students_to_pay_reason": why,
    }


def _by_verdict(name: str, table: Row, plain: Row) -> list[dict[str, Any]]:
    """The students whose verdict is another one than in the baseline, under the names by which tables list them."""
    before = {line.name: line.word for line in lines(plain)}
    found = [(line.name, before.get(line.name), line.word) for line in lines(table)]
    return [{"run": name, "student": one, "was": was, "is": now} for one, was, now in found if was not in (None, now)]


def _by_domain(name: str, table: Row, plain: Row, level: float) -> list[dict[str, Any]]:
    """Both ratios of each domain that both runs have, from the rows of its verticals."""
    ours, theirs = table["pooled"].get("domains", {}), plain["pooled"].get("domains", {})
    found = []
    for domain in sorted(ours.keys() & theirs.keys()):
        seeds = sorted(ours[domain].keys() & theirs[domain].keys())
        if seeds:
            sums = [pool(taken_up(part[domain][seed]) for seed in seeds) for part in (ours, theirs)]
            found.append({"run": name, "domain": domain, **_ratios(*sums, _same_teacher(table, plain), level)})
    return found


def _by_vertical(name: str, table: Row, plain: Row, level: float) -> list[dict[str, Any]]:
    """Both ratios of each vertical that both runs have, the mean of their seeds, from its rows alone."""
    ours, theirs = table["pooled"].get("by_vertical", {}), plain["pooled"].get("by_vertical", {})
    same = _same_teacher(table, plain)
    return [
        {"run": name, "vertical": one, **_ratios(taken_up(ours[one]), taken_up(theirs[one]), same, level)}
        for one in sorted(ours.keys() & theirs.keys())
    ]


def _ratios(ours: Sums, plain: Sums, same_teacher: bool, level: float) -> dict[str, Any]:
    """Times the baseline, and the transfer ratio where teachers differ, each with its interval or why it has none."""
    ratio = _SAME_TEACHER if same_teacher else transfer_ratio(plain, ours, level)
    return {
        **_columns("times_baseline", times_plain(ours, plain, level)),
        **_columns("transfer_ratio", ratio),
    }


def _teachers(table: Row) -> Any:
    """What tells teachers apart: their settings and how well they do."""
    return table.get("settings", {}).get("teacher"), table["summary"]["ne_teacher"]


def _same_teacher(table: Row, plain: Row) -> bool:
    return _teachers(table) == _teachers(plain)


_SAME_TEACHER = Estimate(math.nan, math.nan, math.nan, "both runs have the same teacher")


def _seeds(table: Row) -> dict[int, Sums]:
    return {int(seed): taken_up(kept) for seed, kept in table["pooled"]["seeds"].items()}


def _columns(name: str, found: Estimate) -> dict[str, Any]:
    ends = {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return {key: number(value) for key, value in ends.items()} | {f"{name}_reason": found.reason}


def _verticals(tables: Mapping[str, Row]) -> list[dict[str, Any]]:
    """NE of the students of each vertical in each run, the mean of seeds; those that differ most come first."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, table in tables.items():
        for row in table["students"]:
            if row["arm"] == "distilled" and row["ne"] is not None:
                found.setdefault(row["vertical"], {}).setdefault(name, []).append(row["ne"])
    means = {key: {run: math.fsum(one) / len(one) for run, one in runs.items()} for key, runs in found.items()}
    rows = [{"vertical": key, **{name: runs.get(name) for name in tables}} for key, runs in means.items()]
    return sorted(rows, key=lambda row: -_range([value for value in row.values() if isinstance(value, float)]))


def _range(values: Sequence[float]) -> float:
    return max(values) - min(values) if values else 0.0
