"""What a leaderboard says of adapters, against leaderboards made by hand."""

import json

import numpy as np
import pytest

from distill import metrics
from distill.recipe.outcome import Evidence
from distill.report import Results, leaderboard, with_adapters
from distill.report.sentences import sentences
from tests.distill.report.conftest import outcomes, run

QUICK = Evidence(resamples=100)
WORLDS = {"hotels": outcomes(seed=0), "trains": outcomes(seed=1, rows=300)}
RESULTS = run(WORLDS, {"hotels": (0.5, 0.9), "trains": (0.6, 0.8)})


def refined(missing: str = "") -> Results:
    """Adapters that say half of what the teacher does, and two numbers that say two thirds."""
    entries = []
    for entry in RESULTS.entries:
        said = WORLDS[entry.vertical].teacher.copy()
        said[7] = np.nan if entry.vertical == missing else said[7]
        both = {"adapter": said / 2, "platt": said * 2 / 3}
        entries.append(entry._replace(refined=both) if entry.arm == "distilled" else entry)
    return RESULTS._replace(entries=entries)


def table(results: Results) -> dict:
    return json.loads(json.dumps(with_adapters(leaderboard(results, QUICK), results), allow_nan=False))


def test_rows_and_summary_have_the_entropy_of_both() -> None:
    found, said = table(refined()), {"ne_adapter": 0.5, "ne_platt": 2 / 3}
    for name, factor in said.items():
        for row in found["students"]:
            one = WORLDS[row["vertical"]]
            meant = metrics.normalized_entropy(factor * one.teacher[:, 0], one.label[:, 0], one.weight)
            assert row[name] == (None if row["arm"] == "control" else pytest.approx(float(meant), rel=1e-6))
        both = [(one.teacher[:, 0] * factor, one.label[:, 0], one.weight) for one in WORLDS.values()]
        top = sum(metrics.cross_entropy(*one).sum() for one in both)
        base = sum(metrics.base_entropy(*one[1:]) for one in both)
        assert found["summary"][name] == pytest.approx(top / base, rel=1e-6)
    (line,) = [one for one in sentences(found, 0.95) if "(Platt)" in one]
    assert f"{found['summary']['ne_platt']:.4f} with" in line and f"{found['summary']['ne_adapter']:.4f} by" in line
    assert f"{found['summary']['ne_teacher']:.4f} as they are" in line


def test_a_row_without_a_mark_leaves_no_number() -> None:
    found = table(refined("trains"))
    said = {row["vertical"]: row["ne_adapter"] for row in found["students"] if row["arm"] == "distilled"}
    assert said["trains"] is None and said["hotels"] is not None
    assert found["summary"]["ne_adapter"] is None and not [one for one in sentences(found, 0.95) if "Platt" in one]


def test_without_adapters_nothing_is_added() -> None:
    plain = leaderboard(RESULTS, QUICK)
    assert with_adapters(plain, RESULTS) is plain
