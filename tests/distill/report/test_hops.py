"""Both hops of a transfer through domains, against leaderboards made by hand."""

import json

import numpy as np
import pytest

from distill import metrics
from distill.recipe.outcome import Evidence
from distill.report import Outcomes, leaderboard, with_hops
from distill.report.sentences import sentences
from tests.distill.report.conftest import outcomes, run

QUICK = Evidence(resamples=200)
WORLDS = {"hotels": outcomes(seed=0), "trains": outcomes(seed=1, rows=300)}
RESULTS = run(WORLDS, {"hotels": (0.5, 0.9), "trains": (0.6, 0.8)}, seeds=2)


def heard(covered: bool = True) -> dict[str, Outcomes]:
    """What domain models say: the teacher's log-odds with half the noise of students."""
    draw = np.random.default_rng(5)
    return {
        name: one._replace(
            teacher=one.teacher + 0.25 * draw.normal(size=one.teacher.shape).astype(np.float32),
            covered=np.full(len(one.covered), covered or name != "trains"),
        )
        for name, one in WORLDS.items()
    }


def table(covered: bool = True) -> dict:
    said = with_hops(leaderboard(RESULTS, QUICK), RESULTS, heard(covered), QUICK, seed=0)
    return json.loads(json.dumps(said, allow_nan=False))


def test_a_row_has_the_entropy_of_its_domain_model() -> None:
    """In both arms, as it has that of the teacher."""
    for row in table()["students"]:
        said = heard()[row["vertical"]]
        expected = metrics.normalized_entropy(said.teacher[:, 0], said.label[:, 0], said.weight)
        assert row["ne_domain"] == pytest.approx(float(expected), rel=1e-6)


def test_the_summary_pools_rows_and_both_hops_multiply() -> None:
    """NE over all test rows; the product of the hops is what came through, since both start at the controls."""
    found = table()["summary"]
    top = sum(metrics.cross_entropy(one.teacher[:, 0], one.label[:, 0]).sum() for one in heard().values())
    base = sum(metrics.base_entropy(one.label[:, 0]) for one in WORLDS.values())
    assert found["ne_domain"] == pytest.approx(top / base, rel=1e-6)
    lead = found["ne_control"] - found["ne_domain"]
    first, second = found["gap_closed_teacher_to_domain"], found["gap_closed_domain_to_student"]
    assert first == pytest.approx(lead / (found["ne_control"] - found["ne_teacher"]))
    assert second == pytest.approx(found["ne_gain"] / lead)
    assert first * second == pytest.approx(found["gap_closed"])
    assert found["gap_closed_teacher_to_domain_low"] < first < found["gap_closed_teacher_to_domain_high"]


def test_nothing_else_changes() -> None:
    """All other numbers are those of the leaderboard without domains."""
    plain, hops = json.loads(json.dumps(leaderboard(RESULTS, QUICK))), table()
    assert hops["summary"].items() >= plain["summary"].items()
    for one, other in zip(plain["students"], hops["students"], strict=True):
        assert other.items() >= one.items() and other.keys() - one.keys() == {"ne_domain"}


def test_rows_without_a_domain_model_leave_the_whole_undefined() -> None:
    """NE over some rows beside that of the others over all would mislead."""
    found = table(covered=False)
    assert {row["vertical"] for row in found["students"] if row["ne_domain"] is None} == {"trains"}
    assert found["summary"]["ne_domain"] is None
    assert found["undefined"]["ne_domain"] == "they did not score all test rows"


def test_a_hop_without_a_share_says_why() -> None:
    """Domain models that know nothing have no lead that students could gain; the teacher's over them grew."""
    dull = {name: one._replace(teacher=np.zeros_like(one.teacher)) for name, one in heard().items()}
    found = with_hops(leaderboard(RESULTS, QUICK), RESULTS, dull, QUICK, seed=0)
    why = "the domain model is not better than the control"
    names = ("gap_closed_domain_to_student", "gap_closed_domain_to_student_low", "gap_closed_domain_to_student_high")
    assert [found["summary"][name] for name in names] == [None] * 3
    assert [found["undefined"][name] for name in names] == [why] * 3
    assert "gap_closed_teacher_to_domain" not in found["undefined"]
    (line,) = [one for one in sentences(found, 0.95) if one.startswith("NE of the domain models")]
    assert line.endswith(f"What share of their lead the students gained is undefined: {why}.")
    grown = -100 * found["summary"]["gap_closed_teacher_to_domain"]
    assert f"The teacher's lead over them is {grown:.0f} % wider than over the controls." in line


def test_a_sentence_says_it() -> None:
    said, found = sentences(table(), 0.95), table()["summary"]
    (line,) = [one for one in said if "omain models" in one]
    assert f"{found['ne_domain']:.4f}" in line and f"{100 * found['gap_closed_domain_to_student']:.0f} %" in line
    assert not [one for one in sentences(leaderboard(RESULTS, QUICK), 0.95) if "omain models" in one]
