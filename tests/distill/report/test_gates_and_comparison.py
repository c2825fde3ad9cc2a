"""Gates keep back what they should and say why; comparisons say what changed; cost is divided by gain."""

import json
from io import StringIO

import pytest
from rich.console import Console

from distill.recipe.outcome import Evidence, Gates
from distill.report import comparison, leaderboard, passed, refusals, side_by_side
from distill.report.cost import cost, students_to_pay
from distill.report.side_by_side import sentences_of
from tests.distill.report.conftest import outcomes, run

QUICK = Evidence(resamples=200)
WORLDS = {"better": outcomes(seed=1), "worse": outcomes(seed=2)}
NOISES = {"better": (0.1, 0.9), "worse": (0.9, 0.1)}


@pytest.fixture(scope="module")
def table() -> dict:
    return json.loads(json.dumps(leaderboard(run(WORLDS, NOISES, seeds=2), QUICK)))


def students(table: dict, vertical: str) -> list[dict]:
    return [row for row in table["students"] if row["arm"] == "distilled" and row["vertical"] == vertical]


class TestGates:
    def test_nothing_asked_keeps_nobody_back(self, table: dict) -> None:
        assert refusals(table, Gates()) == []
        assert passed(table, Gates()) == [f"{name}/distilled/{seed}" for name in WORLDS for seed in (0, 1)]

    def test_each_gate_asks_for_its_own(self, table: dict) -> None:
        (row,) = students(table, "better")[:1]
        for gates in (
            Gates(ne_gain=row["ne_gain_low"]),
            Gates(calibration=abs(row["calibration"] - 1)),
            Gates(hurt=0.5),
        ):
            assert row["member"] in passed(table, gates), gates
        assert row["member"] not in passed(table, Gates(ne_gain=row["ne_gain_low"] + 1e-9))

    def test_the_lower_end_counts_and_not_the_gain(self, table: dict) -> None:
        found = refusals(table, Gates(ne_gain=0.0))
        assert {one.member for one in found} == {"worse/distilled/0", "worse/distilled/1"}
        assert {one.gate for one in found} == {"ne_gain"}
        assert passed(table, Gates(ne_gain=0.0)) == ["better/distilled/0", "better/distilled/1"]

    def test_two_standard_errors_of_calibration_are_allowed(self, table: dict) -> None:
        row = students(table, "better")[0]
        for off, passes in ((1.9, True), (2.1, False)):
            changed = {**table, "students": [row | {"calibration": 1 + off * 0.1, "calibration_se": 0.1}]}
            assert bool(passed(changed, Gates(calibration=0.05))) == passes

    def test_gauc_is_compared_with_the_control(self, table: dict) -> None:
        row, control = students(table, "better")[0], table["students"][1]
        assert (control["arm"], control["vertical"]) == ("control", "better")
        for loss, passes in ((0.02, True), (0.04, False)):
            changed = {**table, "students": [row | {"gauc": 0.6}, control | {"gauc": 0.6 + loss}]}
            assert bool(passed(changed, Gates(gauc=0.03))) == passes

    def test_too_many_hurt_keep_everybody_back(self, table: dict) -> None:
        assert table["summary"]["hurt"] == 2
        (found,) = refusals(table, Gates(hurt=0.4))
        assert (found.member, found.reason) == ("", "2 of 4 students are hurt, 50.0%; at most 40.0% may be")
        assert passed(table, Gates(hurt=0.4)) == []

    def test_what_does_not_exist_does_not_pass(self) -> None:
        lost = run({"a": outcomes(rows=0), "b": outcomes()}, {"a": (0.2, 0.9), "b": (None, 0.9)})
        table = leaderboard(lost, QUICK)
        gates = Gates(ne_gain=-1.0, calibration=9.0, gauc=1.0)
        found = {(one.member, one.gate): one.reason for one in refusals(table, gates)}
        assert set(found) == {
            ("a/distilled/0", "ne_gain"), ("a/distilled/0", "calibration"), ("a/distilled/0", "gauc"),
            ("b/distilled/0", "status"),
        }  # fmt: skip
        assert all("no test rows" in found["a/distilled/0", gate] for gate in ("ne_gain", "calibration"))


class TestComparison:
    def better(self) -> dict:
        noises = {"better": (0.05, 0.9), "worse": (0.3, 0.1)}
        return leaderboard(run(WORLDS, noises, seeds=2), QUICK) | {"settings": {"weight": 0.8, "same": 1}}

    def test_says_what_changed(self, table: dict) -> None:
        plain = table | {"settings": {"weight": 0.5, "same": 1}}
        found = comparison({"plain": plain, "new": self.better()}, "plain")
        assert found["settings"] == [{"setting": "weight", "plain": 0.5, "new": 0.8}]
        assert [row["run"] for row in found["runs"]] == ["plain", "new"]
        assert found["verticals"][0]["vertical"] == "worse"
        (against,) = found["against"]
        assert against["ne_better_by"] == pytest.approx(
            plain["summary"]["ne_student"] - self.better()["summary"]["ne_student"], abs=1e-6
        )
        assert against["ne_better_by_low"] < against["ne_better_by"] < against["ne_better_by_high"]
        assert against["transfer_ratio_reason"] == "both runs have the same teacher"
        json.dumps(found, allow_nan=False)

    def test_times_the_baseline_is_undefined_where_that_gains_nothing(self, table: dict) -> None:
        found = comparison({"plain": table, "new": self.better()}, "plain")["against"][0]
        if table["summary"]["ne_gain"] <= 0:
            assert found["times_baseline"] is None
            assert found["times_baseline_reason"] == "the baseline gains nothing"
        other = comparison({"new": self.better(), "plain": table}, "new")["against"][0]
        expected = table["summary"]["ne_gain"] / self.better()["summary"]["ne_gain"]
        assert other["times_baseline"] == pytest.approx(expected, abs=1e-6)

    def test_who_has_another_verdict_is_named(self, table: dict) -> None:
        better = self.better()
        found = comparison({"old": table, "new": better}, "old")
        said = sentences_of(found["against"][0], found)
        was = {row["member"]: row["verdict"] for row in table["students"]}
        now = {row["member"]: row["verdict"] for row in better["students"]}
        assert [(row["was"], row["is"]) for row in found["verdicts"]] == [
            (was[name], now[name]) for name in was if "distilled" in name and was[name] != now[name]
        ]
        told = [
            comparison({"old": table, "new": self.turned(table, words)}, "old")
            for words in (("hurt", "hurt"), ("unchanged",))
        ]
        assert said[-1].startswith(("In new ", "No vertical"))
        first = sentences_of(told[0]["against"][0], told[0])
        assert "In new became hurt: better seed=0, better seed=1." in first
        assert not any("no longer helped" in one for one in first), "each is told once"
        assert "In new no longer helped: better seed=0." in sentences_of(told[1]["against"][0], told[1])
        same = comparison({"old": table, "new": table}, "old")
        assert sentences_of(same["against"][0], same)[-1] == "No vertical has another verdict in new than in old."

    def turned(self, table: dict, words: tuple[str, ...]) -> dict:
        """A copy with other verdicts for the first seeds of the vertical `better`."""
        copy = json.loads(json.dumps(table))
        for row, word in zip(students(copy, "better"), words, strict=False):
            row["verdict"] = word
        return copy

    def test_other_rows_are_not_compared(self, table: dict) -> None:
        others = {"better": outcomes(seed=7), "worse": outcomes(seed=8)}
        found = comparison({"a": table, "b": leaderboard(run(others, NOISES, seeds=2), QUICK)}, "a")["against"][0]
        assert (found["verdict"], found["ne_better_by"]) == ("undecided", None)
        assert found["ne_better_by_reason"] == "they were not tested on the same rows"

    def test_verticals_and_domains_have_ratios_of_their_own(self, table: dict) -> None:
        """Those of a vertical are of the means over its seeds; a teacher that lost has no transfer ratio."""
        taught = [json.loads(json.dumps(one)) for one in (table, self.better())]
        taught[1]["settings"]["teacher"] = "another"
        kept = taught[1]["pooled"]["by_vertical"]
        kept["better"]["teacher"] = [0.9 * value for value in kept["better"]["teacher"]]
        kept["worse"]["teacher"] = [1.1 * value for value in kept["worse"]["teacher"]]
        found = comparison({"a": taught[0], "b": taught[1]}, "a")
        gains = {name: [self.gain(one, name) for one in taught] for name in WORLDS}
        better, worse = found["by_vertical"]
        assert better["times_baseline"] == pytest.approx(gains["better"][1] / gains["better"][0], abs=1e-6)
        assert better["times_baseline_low"] < better["times_baseline"] < better["times_baseline_high"]
        sums = {
            name: [one["pooled"]["by_vertical"]["better"][name][0] for one in taught]
            for name in kept["better"]
            if name in ("student", "teacher")
        }
        moved = [sums[name][0] - sums[name][1] for name in ("student", "teacher")]
        assert better["transfer_ratio"] == pytest.approx(moved[0] / moved[1], abs=1e-6)
        assert (worse["transfer_ratio"], worse["transfer_ratio_reason"]) == (None, "the second teacher gains nothing")
        (domain,) = found["domains"]
        assert domain["domain"] == "travel"
        assert domain["times_baseline"] == pytest.approx(found["against"][0]["times_baseline"])

    def gain(self, table: dict, vertical: str) -> float:
        gains = [row["ne_gain"] for row in students(table, vertical)]
        return sum(gains) / len(gains)

    def test_domain_models_pay_from_as_many_students_as_share_their_cost(self, table: dict) -> None:
        """Layer: 60 s. Plain: 0.2 s a student for each step of 0.0001, of which the layer saves 30: 6 s a student."""
        plain = {"cost": {"per_step": {"student_seconds": 0.8}}, "summary": {"students": 4}}
        assert students_to_pay({"cost": {"domain_seconds": 60.0}}, plain, 0.003) == (10, "")
        for layer, price, better in ((0.0, 0.8, 0.003), (60.0, 0.8, 0.0), (60.0, None, 0.003)):
            cheap = plain | {"cost": {"per_step": price and {"student_seconds": price}}}
            number, why = students_to_pay({"cost": {"domain_seconds": layer}}, cheap, better)
            assert number is None and why

    def test_it_is_said_in_sentences(self, table: dict) -> None:
        plain = table | {"settings": {"weight": 0.5}}
        found = comparison({"new": self.better(), "plain": plain}, "new")
        console = Console(width=120, no_color=True)
        with console.capture() as captured:
            console.print(side_by_side(found))
        said = " ".join(captured.get().split())
        assert "weight 0.8000 0.5000" in said or "weight 0.8 0.5" in said
        assert f"NE of plain is {abs(found['against'][0]['ne_better_by']):.4f} higher than that of new." in said
        assert "As a method it is " in said
        assert "from 2 seeds)." in said
        assert f"Its gain over its controls is {found['against'][0]['times_baseline']:.2f} times that of new" in said
        assert "transfer_ratio is undefined: both runs have the same teacher." in said

    def test_nothing_in_common_is_said(self, table: dict) -> None:
        other = json.loads(json.dumps(table))
        other["pooled"]["seeds"] = {"7": other["pooled"]["seeds"]["0"]}
        found = comparison({"a": table, "b": other}, "a")
        assert found["against"] == [{"run": "b", "verdict": "undecided", "reason": "no seed has students in both"}]
        Console(file=StringIO()).print(side_by_side(found))


def test_cost_is_divided_by_hundredths_of_a_per_cent() -> None:
    found = cost({"ne_gain": 0.002}, {"teacher": 40.0, "students": 10.0}, 1000, 4000, {"students": 30.0})
    steps = {"teacher_seconds": 2.0, "student_seconds": 0.5, "teacher_calls": 50.0, "knowledge_bytes": 200.0}
    none = dict.fromkeys(("domain_seconds", "teacher_cpu_seconds", "domain_cpu_seconds"), 0.0)
    assert found["per_step"] == pytest.approx({**steps, **none, "student_cpu_seconds": 1.5})
    for gain in (None, 0.0, -0.1):
        assert cost({"ne_gain": gain}, {}, 0, 0)["per_step"] is None
