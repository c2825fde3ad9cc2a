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
from distill.report.lines import Row
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
    return {
        "baseline": baseline,
        "runs": [{"run": name, **{key: table["summary"][key] for key in SHOWN}} for name, table in tables.items()],
        "settings": _changed(tables),
        "against": [_against(name, tables[name], tables[baseline], level) for name in others],
        "verticals": _verticals(tables),
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
    times = times_plain(pool(pairs[0]), pool(pairs[1]), level)
    ratio = transfer_ratio(pool(pairs[1]), pool(pairs[0]), level) if _teachers(table) != _teachers(plain) else None
    return {
        "run": name,
        "verdict": claim.word,
        "seeds": claim.seeds,
        **_columns("ne_better_by", claim.gain),
        "seed_spread": number(claim.seed_spread),
        "row_error": number(claim.row_error),
        **_columns("times_baseline", times),
        **_columns("transfer_ratio", ratio or _same_teacher()),
    }


def _teachers(table: Row) -> Any:
    """What tells teachers apart: their settings and how well they do."""
    return table.get("settings", {}).get("teacher"), table["summary"]["ne_teacher"]


def _same_teacher() -> Estimate:
    return Estimate(math.nan, math.nan, math.nan, "both runs have the same teacher")


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
