"""The leaderboard: its keys, its ratios by hand, and what becomes of rows that lack something."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from distill import metrics
from distill.columns import COLUMNS
from distill.recipe.outcome import Evidence
from distill.report import Outcomes, Results, leaderboard
from tests.distill.report.conftest import outcomes, run

QUICK = Evidence(resamples=200)

STUDENT = (
    *("member", "vertical", "domain", "task", "arm", "seed", "settings", "architecture", "teacher", "knowledge_kind"),
    *("rows_train", "rows_test", "positives_test", "entropy_test", "coverage", "knowledge_age", "gradient_cosine"),
    *("ne", "auc", "logloss", "calibration", "calibration_se", "rce", "ne_free", "pr_auc", "gauc", "gauc_kept"),
    *("avg_auc", "ece", "ece_debiased", "kl_teacher", "rank_teacher", "ne_control", "ne_teacher"),
    *("ne_gain", "ne_gain_low", "ne_gain_high", "gap_closed", "gap_closed_low", "gap_closed_high"),
    *(
        "p_value",
        "detectable",
        "rows_wanted",
        "verdict",
        "verdict_adjusted",
        "status",
        "reason",
        "run_id",
        "curve",
        "undefined",
    ),
)
SUMMARY = (
    *("students", "failed", "helped", "hurt", "unchanged", "undecided", "helped_adjusted", "hurt_adjusted"),
    *("ne_gain", "ne_gain_low", "ne_gain_high", "ne_gain_macro", "ne_gain_median", "ne_gain_without_top10"),
    *("gap_closed", "gap_closed_low", "gap_closed_high"),
    *("gap_closed_macro", "gap_closed_macro_low", "gap_closed_macro_high"),
    *("gap_closed_median", "gap_closed_without_top10", "ne_teacher", "ne_control", "ne_student"),
)
WHOLE = (
    "recipe",
    "fingerprint",
    "seconds",
    "students",
    "summary",
    "undefined",
    "method",
    "domains",
    "slices",
    "reliability",
    "calibration_by_vertical",
    "pooled",
)


def table_of(results: Results) -> dict:
    """The leaderboard, after a trip through strict JSON."""
    return json.loads(json.dumps(leaderboard(results, QUICK), allow_nan=False))


def student(table: dict, vertical: str, arm: str = "distilled", **wanted: object) -> dict:
    rows = [row for row in table["students"] if (row["vertical"], row["arm"]) == (vertical, arm)]
    (row,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return row


def test_keys_are_those_of_the_contract_in_their_order() -> None:
    table = table_of(run({"hotels": outcomes()}, {"hotels": (0.2, 0.9)}))
    assert tuple(table) == WHOLE
    assert [tuple(row) for row in table["students"]] == [STUDENT, STUDENT]
    assert tuple(table["summary"]) == SUMMARY
    assert (table["recipe"], table["fingerprint"], table["seconds"]) == ("sample", "0123", {"teacher": 1.5})


def test_columns_are_known_without_a_leaderboard() -> None:
    """`ne_domain` is there only where a recipe has domain models, two more only where it has adapters."""
    table = table_of(run({"hotels": outcomes()}, {"hotels": (0.2, 0.9)}))
    plain = [name for name, value in table["students"][0].items() if not isinstance(value, dict | list)]
    assert [name for name in COLUMNS if name not in ("ne_domain", "ne_platt", "ne_adapter")] == plain


def test_what_the_summary_lacks_has_a_reason() -> None:
    """Null in the summary is in `undefined`, for each of the ways in which a share of the lead can be missing."""
    world = outcomes()
    lead, none = {"hotels": (0.2, 0.9)}, {"hotels": (None, 0.9)}
    wrong, silent = world._replace(teacher=-world.teacher), outcomes(covered=False)
    expected = {
        "": table_of(run({"hotels": world}, lead)),
        "the teacher is not better than the control": table_of(
            run({"hotels": world}, lead)._replace(outcomes={"hotels": wrong})
        ),
        "the teacher did not score all test rows of any student": table_of(run({"hotels": silent}, lead)),
        "no student can be compared with its control": table_of(run({"hotels": world}, none)),
    }
    for reason, table in expected.items():
        assert table["undefined"].get("gap_closed", "") == reason
        assert (table["summary"]["gap_closed"] is None) == bool(reason)


def test_a_row_holds_the_metrics_of_its_test_rows() -> None:
    world = outcomes()._replace(weight=np.random.default_rng(0).uniform(0.5, 2, 400))
    results = run({"hotels": world}, {"hotels": (0.2, 0.9)})
    row = student(table_of(results), "hotels")
    scores = {one.arm: one.logit[:, 0] for one in results.entries}
    rows = world.label[:, 0], world.weight
    expected = {
        "ne": metrics.normalized_entropy(scores["distilled"], *rows),
        "ne_control": metrics.normalized_entropy(scores["control"], *rows),
        "ne_teacher": metrics.normalized_entropy(world.teacher[:, 0], *rows),
        "auc": metrics.auc(scores["distilled"], *rows),
        "logloss": metrics.log_loss(scores["distilled"], *rows),
        "calibration": metrics.calibration(scores["distilled"], *rows).ratio,
    }
    assert {name: row[name] for name in expected} == pytest.approx({k: float(v) for k, v in expected.items()})
    assert row["ne_gain"] == pytest.approx(row["ne_control"] - row["ne"])
    assert row["gap_closed"] == pytest.approx(row["ne_gain"] / (row["ne_control"] - row["ne_teacher"]))
    assert row["ne_gain_low"] < row["ne_gain"] < row["ne_gain_high"]
    assert (row["rows_test"], row["positives_test"]) == (400, int(world.label.sum()))
    assert (row["verdict"], row["status"], row["reason"]) == ("helped", "ok", "")


def test_a_control_is_a_row_without_a_gain() -> None:
    row = student(table_of(run({"hotels": outcomes()}, {"hotels": (0.2, 0.9)})), "hotels", "control")
    assert row["ne"] > row["ne_teacher"]
    for name in ("ne_control", "ne_gain", "ne_gain_low", "ne_gain_high", "gap_closed", "verdict"):
        assert row[name] is None
    assert (row["status"], row["reason"]) == ("ok", "")


def test_the_same_results_give_the_same_object() -> None:
    results = run({"hotels": outcomes(), "shoes": outcomes(seed=1)}, {"hotels": (0.2, 0.9), "shoes": (0.9, 0.2)})
    assert leaderboard(results, QUICK) == leaderboard(results, QUICK)
    alone = run({"hotels": outcomes()}, {"hotels": (0.2, 0.9)})
    assert student(leaderboard(results, QUICK), "hotels") == student(leaderboard(alone, QUICK), "hotels")


def test_verdicts_are_counted() -> None:
    worlds = {name: outcomes(seed=number) for number, name in enumerate(("better", "worse", "same", "failed"))}
    worlds["small"] = outcomes(rows=40)
    noises = {"better": (0.1, 0.9), "worse": (0.9, 0.1), "same": (0.0, 0.0), "failed": (None, 0.5), "small": (0.1, 0.9)}
    table = table_of(run(worlds, noises))
    words = {name: student(table, name)["verdict"] for name in worlds}
    assert words == {"better": "helped", "worse": "hurt", "same": "unchanged", "failed": None, "small": "undecided"}
    assert re.fullmatch(r"\d+ users or rows with a click, a verdict needs 30.*", student(table, "small")["reason"])
    summary = table["summary"]
    assert [summary[name] for name in ("students", "failed", "helped", "hurt", "unchanged", "undecided")] == [
        5, 1, 1, 1, 1, 1,
    ]  # fmt: skip


@dataclass
class Lacking:
    """A vertical that lacks something, and what its rows then say."""

    world: Outcomes
    reason: str
    undefined: tuple[str, ...]
    defined: tuple[str, ...] = ()


RATIOS = ("ne", "auc", "ne_control", "ne_teacher", "ne_gain", "ne_gain_low", "ne_gain_high", "gap_closed")
WORLD = outcomes()
LACKING = {
    "no clicks": Lacking(
        WORLD._replace(label=np.zeros_like(WORLD.label)),
        "no positives (test rows: 400)",
        (*RATIOS, "calibration", "calibration_se"),
        ("logloss",),
    ),
    "clicks only": Lacking(
        WORLD._replace(label=np.ones_like(WORLD.label)),
        "no negatives (test rows: 400)",
        RATIOS,
        ("logloss", "calibration", "calibration_se"),
    ),
    "no rows": Lacking(outcomes(rows=0), "no test rows", (*RATIOS, "logloss", "calibration", "calibration_se")),
    "no labels": Lacking(
        WORLD._replace(valid=np.zeros_like(WORLD.valid)),
        "no test rows",
        (*RATIOS, "logloss", "calibration", "calibration_se"),
    ),
    "no weight": Lacking(
        WORLD._replace(weight=np.zeros(400)), "no test rows", (*RATIOS, "logloss", "calibration", "calibration_se")
    ),
    "no teacher": Lacking(
        WORLD._replace(teacher=None),
        "the teacher scored none of the test rows",
        ("ne_teacher", "gap_closed"),
        ("ne", "ne_gain", "ne_gain_low"),
    ),
    "few scores": Lacking(
        WORLD._replace(covered=np.arange(400) < 300),
        "the teacher scored 300 of 400 test rows",
        ("ne_teacher", "gap_closed"),
        ("ne", "ne_gain", "ne_gain_low"),
    ),
}


@pytest.mark.parametrize("name", LACKING)
def test_what_does_not_exist_is_null_and_says_why(name: str) -> None:
    lacking = LACKING[name]
    results = run({"other": outcomes(seed=1), "hotels": WORLD}, {"other": (0.2, 0.9), "hotels": (0.2, 0.9)})
    table = table_of(results._replace(outcomes={**results.outcomes, "hotels": lacking.world}, entries=[
        one._replace(logit=one.logit[: len(lacking.world.label)]) if one.vertical == "hotels" else one
        for one in results.entries
    ]))  # fmt: skip
    row = student(table, "hotels")
    assert row["reason"] == lacking.reason
    assert row["status"] == "ok"
    assert row["verdict"] == ("helped" if "ne_gain" in lacking.defined else "undecided")
    assert {key: row[key] for key in lacking.undefined} == dict.fromkeys(lacking.undefined)
    assert all(row[key] is not None for key in lacking.defined)
    assert student(table, "hotels", "control")["reason"] == lacking.reason
    assert student(table, "other")["verdict"] == "helped"


def test_weightless_and_unlabelled_rows_do_not_count() -> None:
    keep = np.arange(400) % 4 > 0
    valid = WORLD.valid & keep[:, None]
    less = WORLD._replace(valid=valid), WORLD._replace(weight=keep.astype(float))
    rows = [student(table_of(run({"hotels": world}, {"hotels": (0.2, 0.9)})), "hotels") for world in less]
    assert rows[0] == rows[1]
    assert rows[0]["rows_test"] == 300


def test_a_failed_student_leaves_its_control_and_the_reverse() -> None:
    table = table_of(run({"a": outcomes(), "b": outcomes(seed=1)}, {"a": (None, 0.5), "b": (0.2, None)}))
    failed, lonely = student(table, "a"), student(table, "b")
    assert (failed["status"], failed["reason"]) == ("failed", "the loss was not finite in pass 2")
    assert failed["ne"] is failed["verdict"] is failed["ne_gain"] is None
    assert student(table, "a", "control")["ne"] is not None
    assert (lonely["status"], lonely["verdict"]) == ("ok", "undecided")
    assert lonely["reason"] == "its control failed: the loss was not finite in pass 2"
    assert lonely["ne"] is not None
    assert table["summary"]["failed"] == 2
    assert table["summary"]["ne_gain"] is None


def test_scores_that_are_not_finite_are_no_scores() -> None:
    results = run({"a": outcomes(), "b": outcomes(seed=1)}, {"a": (0.2, 0.9), "b": (0.2, 0.9)})
    first, *others = results.entries
    first.logit[7] = math.nan
    table = table_of(results._replace(entries=[first, *others]))
    assert student(table, "a")["reason"] == "its log-odds are not all finite"
    assert student(table, "a")["ne"] is None
    assert table["summary"]["ne_gain"] == pytest.approx(student(table, "b")["ne_gain"])


def test_a_student_without_a_twin_says_so() -> None:
    results = run({"a": outcomes()}, {"a": (0.2, 0.9)})
    table = table_of(results._replace(entries=results.entries[:1]))
    assert student(table, "a")["reason"] == "it has no control"
    assert student(table, "a")["verdict"] == "undecided"


def test_several_tasks_make_a_row_each() -> None:
    world = outcomes(tasks=2)
    world.valid[:100, 1] = False
    table = table_of(run({"hotels": world}, {"hotels": (0.2, 0.9)}))
    assert [row["task"] for row in table["students"]] == ["click", "conversion"] * 2
    assert [row["rows_test"] for row in table["students"]] == [400, 300] * 2
    single = world._replace(label=world.label[:, 1:], valid=world.valid[:, 1:], teacher=world.teacher[:, 1:])
    results = run({"hotels": world}, {"hotels": (0.2, 0.9)})
    alone = results._replace(
        tasks=("conversion",),
        outcomes={"hotels": single},
        entries=[one._replace(logit=one.logit[:, 1:]) for one in results.entries],
    )
    assert student(table, "hotels", task="conversion") == student(table_of(alone), "hotels")
    assert table["summary"]["students"] == 1


SIZES = {"large": outcomes(rows=3000, users=900), "small": outcomes(rows=300, seed=1, rate=0.0)}
SIZED = run(SIZES, {"large": (0.3, 0.9), "small": (0.8, 0.5)})


class TestSummary:
    def test_ratios_are_of_sums_over_rows(self) -> None:
        summary = table_of(SIZED)["summary"]
        tallies = {
            arm: metrics.pool(
                metrics.tally(one.logit[:, 0], SIZES[one.vertical].label[:, 0])
                for one in SIZED.entries
                if one.arm == arm
            )
            for arm in ("distilled", "control")
        }
        teacher = metrics.pool(metrics.tally(one.teacher[:, 0], one.label[:, 0]) for one in SIZES.values())
        entropies = [one.normalized_entropy for one in (teacher, tallies["control"], tallies["distilled"])]
        assert [summary[name] for name in ("ne_teacher", "ne_control", "ne_student")] == pytest.approx(entropies)
        assert summary["ne_gain"] == pytest.approx(entropies[1] - entropies[2])
        assert summary["gap_closed"] == pytest.approx((entropies[1] - entropies[2]) / (entropies[1] - entropies[0]))
        assert summary["gap_closed_low"] < summary["gap_closed"] < summary["gap_closed_high"]

    def test_macro_and_median_are_over_verticals(self) -> None:
        table = table_of(run({**SIZES, "third": outcomes(seed=5)}, {
            "large": (0.3, 0.9), "small": (0.8, 0.5), "third": (0.2, 0.9),
        }))  # fmt: skip
        rows = [student(table, name) for name in ("large", "small", "third")]
        gained, lead = (np.mean([row["ne_control"] - row[name] for row in rows]) for name in ("ne", "ne_teacher"))
        summary = table["summary"]
        assert summary["gap_closed_macro"] == pytest.approx(gained / lead)
        assert summary["gap_closed_macro_low"] < summary["gap_closed_macro"] < summary["gap_closed_macro_high"]
        gaps = [row["gap_closed"] for row in rows]
        assert table["summary"]["gap_closed_median"] == pytest.approx(np.median(gaps))

    def test_a_vertical_with_more_seeds_counts_once_and_is_no_surer(self) -> None:
        one = run({"large": SIZES["large"]}, {"large": (0.3, 0.9)})
        twice = one._replace(
            entries=one.entries
            + [
                entry._replace(member=entry.member + "bis", control=entry.control and entry.control + "bis", seed=1)
                for entry in one.entries
            ]
        )
        first, second = table_of(one)["summary"], table_of(twice)["summary"]
        assert second["students"] == second["helped"] == 2
        for name in SUMMARY[8:]:
            assert second[name] == pytest.approx(first[name])

    def test_without_the_ten_that_gain_most(self) -> None:
        worlds = {f"v{number}": outcomes(seed=number) for number in range(12)}
        noises = {name: (0.1, 0.5 + 0.1 * number) for number, name in enumerate(worlds)}
        table = table_of(run(worlds, noises))
        saved = {}
        for name in worlds:
            base = metrics.base_entropy(worlds[name].label[:, 0])
            row = student(table, name)
            saved[name] = row["ne_gain"] * base, (row["ne_control"] - row["ne_teacher"]) * base
        rest = sorted(saved.values())[:2]
        expected = sum(gain for gain, _ in rest) / sum(lead for _, lead in rest)
        assert table["summary"]["gap_closed_without_top10"] == pytest.approx(expected)
        ten = {name: worlds[name] for name in list(worlds)[:10]}
        assert table_of(run(ten, {name: noises[name] for name in ten}))["summary"]["gap_closed_without_top10"] is None

    def test_a_teacher_of_some_verticals_closes_gaps_there_alone(self) -> None:
        part = SIZED._replace(outcomes={**SIZES, "small": SIZES["small"]._replace(teacher=None)})
        summary, alone = table_of(part)["summary"], table_of(run(
            {"large": SIZES["large"]}, {"large": (0.3, 0.9)}
        ))["summary"]  # fmt: skip
        assert summary["ne_teacher"] is None
        assert summary["ne_control"] == pytest.approx(table_of(SIZED)["summary"]["ne_control"])
        assert summary["gap_closed"] == pytest.approx(alone["gap_closed"])

    def test_nothing_at_all_is_null(self) -> None:
        summary = table_of(run({"a": outcomes(rows=0)}, {"a": (0.2, 0.9)}))["summary"]
        assert summary["undecided"] == summary["students"] == 1
        assert {summary[name] for name in SUMMARY[8:]} == {None}


def test_row_count_and_settings_pass_through() -> None:
    row = student(table_of(run({"hotels": outcomes()}, {"hotels": (0.2, 0.9)})), "hotels")
    said = ("member", "domain", "seed", "settings", "architecture", "teacher", "knowledge_kind", "rows_train", "run_id")
    assert [row[name] for name in said] == [
        "hotels/distilled/0", "travel", 0, {"weight": 0.5, "passes": 2}, "students.DNN", "teachers.History",
        "time_ahead", 3200, None,
    ]  # fmt: skip


def test_real_clicks_are_judged(shared: Path) -> None:
    import polars as pl

    path = shared / "globo-news-mini" / "globo_news_mini.parquet"
    rows = pl.read_parquet(path, columns=["vertical", "split", "label", "user_id", "item_clicks_1h", "item_clicks_24h"])
    worlds, noises = {}, {}
    for (vertical,), part in rows.filter(pl.col("split") == "test").group_by("vertical", maintain_order=True):
        popular = np.log1p(part["item_clicks_1h"].to_numpy()) - 0.5 * np.log1p(part["item_clicks_24h"].to_numpy())
        worlds[vertical] = Outcomes(
            label=part["label"].to_numpy().astype(float)[:, None],
            valid=np.ones((len(part), 1), dtype=bool),
            weight=np.ones(len(part)),
            cluster=part["user_id"].to_numpy().astype(np.int64),
            teacher=(0.7 * popular - 1.5)[:, None],
            covered=np.ones(len(part), dtype=bool),
        )
        noises[vertical] = (0.3, 0.6)
    table = table_of(run(worlds, noises))
    assert len(table["students"]) == 2 * len(worlds)
    assert table["summary"]["ne_gain"] > 0
    assert 0.4 < table["summary"]["gap_closed"] < 1
    for row in table["students"]:
        assert bool(row["reason"]) or None not in (row["ne"], row["ne_teacher"])


class TestBeyondRows:
    WORLDS = {name: outcomes(seed=number) for number, name in enumerate(("hotels", "shoes", "cars"))}  # noqa: RUF012
    NOISES = {"hotels": (0.2, 0.9), "shoes": (0.3, 0.5), "cars": (0.9, 0.2)}  # noqa: RUF012

    def test_every_null_has_its_reason(self) -> None:
        worlds = {"none": outcomes(rows=0), "calm": WORLD._replace(label=np.zeros_like(WORLD.label)), "good": WORLD}
        worlds["silent"] = WORLD._replace(covered=np.zeros(400, dtype=bool))
        table = table_of(run(worlds, dict.fromkeys(worlds, (0.2, 0.9))))
        optional = {"coverage", "knowledge_age", "gradient_cosine", "rows_wanted", "domain", "run_id"}
        alone = {
            "ne_control",
            "verdict",
            "verdict_adjusted",
            "p_value",
            "detectable",
            "gap_closed_low",
            "gap_closed_high",
            *RATIOS,
        }
        for row in table["students"]:
            nulls = {name for name, value in row.items() if value is None} - optional
            nulls -= alone - {"ne", "auc", "ne_teacher"} if row["arm"] == "control" else set()
            assert nulls == set(row["undefined"]), row["member"]
            assert all(row["undefined"].values())
        silent = student(table, "silent")["undefined"]
        assert silent["kl_teacher"] == "the teacher scored 0 of 400 test rows"
        assert "gap_closed" in silent
        assert "ne_gain" not in silent

    def test_domains_pool_their_verticals(self) -> None:
        results = run(self.WORLDS, self.NOISES)
        split = [one._replace(domain="travel" if one.vertical != "shoes" else "fashion") for one in results.entries]
        table = table_of(results._replace(entries=split))
        fashion, travel = table["domains"]
        assert (fashion["domain"], fashion["verticals"], travel["verticals"]) == ("fashion", 1, 2)
        assert fashion["ne_gain"] == pytest.approx(student(table, "shoes")["ne_gain"])
        rows = [student(table, name) for name in ("hotels", "cars")]
        saved = sum(row["ne_gain"] * row["entropy_test"] for row in rows)
        assert travel["ne_gain"] == pytest.approx(saved / sum(row["entropy_test"] for row in rows))

    def test_a_method_is_the_mean_of_its_seeds(self) -> None:
        table = table_of(run(self.WORLDS, self.NOISES, seeds=3))
        gains = []
        for seed in range(3):
            rows = [student(table, name, seed=seed) for name in self.WORLDS]
            saved = sum(row["ne_gain"] * row["entropy_test"] for row in rows)
            gains.append(saved / sum(row["entropy_test"] for row in rows))
        assert table["method"]["seeds"] == 3
        assert table["method"]["ne_gain"] == pytest.approx(np.mean(gains))
        assert table["method"]["seed_spread"] == pytest.approx(np.std(gains, ddof=1))
        single = table_of(run(self.WORLDS, self.NOISES))["method"]
        assert (single["verdict"], single["ne_gain_low"]) == ("undecided", None)

    def test_verdicts_that_do_not_stand_among_all_are_adjusted(self) -> None:
        worlds = {f"v{number}": outcomes(seed=number, rows=300) for number in range(24)}
        noises = dict.fromkeys(worlds, (0.4, 0.4)) | {"v0": (0.05, 1.5)}
        table = table_of(run(worlds, noises))
        rows = [row for row in table["students"] if row["arm"] == "distilled"]
        assert student(table, "v0")["verdict_adjusted"] == "helped"
        for row in rows:
            assert row["verdict_adjusted"] in (row["verdict"], "undecided")
        helped = sum(row["verdict_adjusted"] == "helped" for row in rows)
        assert table["summary"]["helped_adjusted"] == helped <= table["summary"]["helped"]

    def test_undecided_rows_say_how_many_more_they_need(self) -> None:
        row = student(table_of(run({"a": outcomes(rows=200)}, {"a": (0.5, 0.55)})), "a")
        assert row["verdict"] == "undecided"
        assert row["rows_wanted"] > 0
        assert re.search(r"needs about [\d,]+ more test rows", row["reason"])
        assert student(table_of(run({"a": WORLD}, {"a": (0.1, 0.9)})), "a")["rows_wanted"] is None

    def test_slices_are_the_rows_of_all_verticals(self) -> None:
        codes = np.arange(400) % 2
        worlds = {name: one._replace(slices={"parity": codes}) for name, one in self.WORLDS.items()}
        results = run(worlds, self.NOISES)._replace(slices={"parity": ["even", "odd", "never"]})
        even, odd = table_of(results)["slices"]
        assert [(one["slice"], one["value"], one["rows"]) for one in (even, odd)] == [
            ("parity", "even", 600), ("parity", "odd", 600),
        ]  # fmt: skip
        scores = {one.member: one.logit[codes == 0, 0] for one in results.entries}
        logit, control = (
            np.concatenate([scores[f"{name}/{arm}/0"] for name in worlds]) for arm in ("distilled", "control")
        )
        label = np.concatenate([one.label[codes == 0, 0] for one in worlds.values()])
        assert even["ne"] == pytest.approx(float(metrics.normalized_entropy(logit, label)))
        assert even["ne_gain"] == pytest.approx(float(metrics.normalized_entropy(control, label)) - even["ne"])
        assert even["ne_gain_low"] < even["ne_gain"] < even["ne_gain_high"]

    def test_calibration_within_verticals_is_its_definition(self) -> None:
        """Distances of predicted and observed clicks over those observed, each vertical by its rows."""
        results = run(self.WORLDS, self.NOISES)
        found = table_of(results)["calibration_by_vertical"]
        for arm in ("distilled", "control"):
            off, rows = 0.0, 0
            for entry in (one for one in results.entries if one.arm == arm):
                label = self.WORLDS[entry.vertical].label[:, 0].astype(float)
                predicted = (1 / (1 + np.exp(-entry.logit[:, 0].astype(float)))).sum()
                off, rows = off + len(label) * abs(predicted - label.sum()) / label.sum(), rows + len(label)
            assert found[arm]["relative"] == pytest.approx(off / rows)
            assert found[arm]["kept"] == 1

    def test_reliability_holds_everybody_who_scored(self) -> None:
        found = table_of(run(self.WORLDS, self.NOISES))["reliability"]
        for bins in found.values():
            assert sum(share for _, _, share in bins) == pytest.approx(1)
        label = np.concatenate([one.label[:, 0] for one in self.WORLDS.values()])
        assert sum(observed * share for _, observed, share in found["distilled"]) == pytest.approx(label.mean())
