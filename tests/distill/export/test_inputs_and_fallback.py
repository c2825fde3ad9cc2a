"""Students that need more than their own weights and columns: a vector of the user, a control in their place."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from distill.cohort import find
from distill.data.impressions import TEST, load
from distill.errors import DataError
from distill.export import Wanted, export, finding
from distill.files import read_json
from distill.inputs import HISTORY, NAME, layers
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import Recipe
from distill.recipe import load as recipe_of
from distill.serving import Export, Exports
from distill.serving.scoring import score
from distill.store import Store
from tests.distill.export.conftest import Ran, impressions

RECIPE = """
name: cached
data:
  path: impressions.parquet
  row_id: id
  user: user
  time: time
  split: {by: column, column: split}
  features: {item: categorical, place: categorical, age: {kind: numeric, missing: mean}, text: {kind: vector, width: 3}}
teacher:
  model: {class: teachers.AttentiveCross, embedding: 4, hidden: [6]}
  train: {epochs: 1, batch: 128}
  score: {kind: time_ahead}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  features: [item, text]
  train: {epochs: 1, batch: 64}
  distill: {logit: {weight: 0.5}, input: {features: [place, age]}, history: {length: 3, width: 2}}
evidence: {resamples: 100}
"""


def frame_with_users() -> pl.DataFrame:
    rng, frame = np.random.default_rng(7), impressions()
    users = [f"u{number}" for number in rng.integers(300, size=len(frame))]
    order = {"train": 0, "valid": 1, "test": 2}
    times = rng.random(len(frame)) + [order[split] for split in frame["split"]]
    return frame.with_columns(user=pl.Series(users), time=pl.Series(times * 1e5))


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("cached")
    frame = frame_with_users()
    frame.write_parquet(folder / "impressions.parquet")
    (folder / "cached.yaml").write_text(RECIPE)
    recipe = recipe_of(folder / "cached.yaml", [f"store={folder}/mlruns", "tracking.uri=null"])
    run(recipe, Progress())
    return Ran(recipe, frame, folder, export(recipe, Wanted(), folder / "exports", ["torch-export"], Progress()))


def scored(recipe: Recipe, arm: str) -> dict[str, np.ndarray]:
    """What each student of an arm said of its test rows, as its cohort keeps it."""
    return {
        member.vertical: cohort.scores()[place]
        for cohort in find(Store(recipe.store).cohorts)
        for place, member in enumerate(cohort.members)
        if member.arm == arm
    }


def rows_of_tests(ran: Ran, vertical: str) -> np.ndarray:
    return load(ran.recipe.data, Store(ran.recipe.store).data).select(TEST, vertical)


def vectors(ran: Ran, vertical: str, name: str = NAME) -> torch.Tensor:
    """The teacher's vector of every row."""
    (student,) = finding.found(ran.recipe, Wanted(vertical)).students
    return layers(student.view)[name].vectors.take(torch.arange(len(ran.frame))).prediction.representation


def histories(ran: Ran) -> pl.Series:
    """Those of the user's earlier rows, null where there are none."""
    (student,) = finding.found(ran.recipe, Wanted("cars")).students
    said, there = layers(student.view)[HISTORY].vectors.take(torch.arange(len(ran.frame)))
    rows = zip(said.representation.tolist(), there.tolist(), strict=True)
    return pl.Series(HISTORY, [one if covered else None for one, covered in rows])


def test_with_the_vector_in_a_column_scores_are_those_of_the_evaluation(cached: Ran) -> None:
    known = scored(cached.recipe, "distilled")
    for vertical, student in Exports(cached.exports).students.items():
        raw = cached.frame.with_columns(pl.Series(NAME, vectors(cached, vertical).tolist()), histories(cached))
        said = student.score(raw[rows_of_tests(cached, vertical)])
        assert np.array_equal(said.logit.numpy(), known[vertical])
        again = Export(student.folder, "torch-export").score(raw[rows_of_tests(cached, vertical)])
        assert torch.allclose(again.probability, said.probability, rtol=0, atol=1e-6)


def test_without_the_column_it_comes_from_the_cache_as_of_each_users_last_row(cached: Ran) -> None:
    """By brute force: the last row in time among training and validation rows of the vertical; null where none is."""
    for vertical, student in Exports(cached.exports).students.items():
        mine, test = vectors(cached, vertical).tolist(), rows_of_tests(cached, vertical)
        before = cached.frame.with_row_index("row").filter(vertical=vertical).filter(pl.col("split") != "test")
        last = {row["user"]: row["row"] for row in before.sort("time").iter_rows(named=True)}
        raw = cached.frame[test]
        meant = [mine[last[user]] if user in last else None for user in raw["user"]]
        assert 0 < sum(one is None for one in meant) < len(meant)
        column = pl.Series(NAME, meant, dtype=pl.List(pl.Float64))
        assert torch.equal(student.score(raw).logit, student.score(raw.with_columns(column)).logit)
        share = read_json(student.folder / "report.json")["cache"]["found"]
        assert share == pytest.approx(np.mean([one is not None for one in meant]))


def test_the_report_says_what_a_cache_costs(cached: Ran) -> None:
    """NE with own vectors is that of the leaderboard; the other two differ. Histories are known of all verticals."""
    from distill.pipeline import compare

    judged = {row["vertical"]: row["ne"] for row in compare(cached.recipe)["students"] if row["arm"] == "distilled"}
    for vertical, student in Exports(cached.exports).students.items():
        report = read_json(student.folder / "report.json")
        for cache in (report["cache"], report["history_cache"]):
            assert cache["ne"] == pytest.approx(judged[vertical], rel=1e-9)
            assert len({cache["ne"], cache["ne_cached"], cache["ne_missing"]}) == 3
        known = cached.frame.filter(pl.col("split") != "test")["user"].unique()
        share = cached.frame[rows_of_tests(cached, vertical)]["user"].is_in(known.implode()).mean()
        assert report["history_cache"]["users"] <= len(known)
        assert report["cache"]["found"] < report["history_cache"]["found"] <= share


def test_a_table_is_scored_by_column_or_by_cache(cached: Ran, tmp_path: Path) -> None:
    exports = Exports(cached.exports)
    for name, frame in (("cache", cached.frame), ("column", with_column(cached))):
        frame.drop("label", "split").write_parquet(tmp_path / f"{name}.parquet")
        score(exports, tmp_path / f"{name}.parquet", tmp_path / f"{name}-scores.parquet", Progress())
        found = pl.read_parquet(tmp_path / f"{name}-scores.parquet")["logit"].to_numpy()
        for vertical, student in exports.students.items():
            ours = (frame["vertical"] == vertical).to_numpy()
            assert np.allclose(found[ours], student.score(frame.filter(ours)).logit[:, 0].numpy(), rtol=0, atol=1e-5)
    cached.frame.drop("user").write_parquet(tmp_path / "nobody.parquet")
    with pytest.raises(DataError, match="column `user`: does not exist"):
        score(exports, tmp_path / "nobody.parquet", tmp_path / "scores.parquet", Progress())


def with_column(ran: Ran) -> pl.DataFrame:
    return ran.frame.with_columns(pl.Series(NAME, vectors(ran, "cars").tolist()))


def test_controls_see_no_vector_and_have_no_cache(cached: Ran, tmp_path: Path) -> None:
    export(cached.recipe, Wanted("cars", "control"), tmp_path / "one", [], Progress())
    student = Export(tmp_path / "one")
    said = student.score(cached.frame[rows_of_tests(cached, "cars")])
    assert not {NAME, HISTORY} & set(student.columns()) and not student.caches
    assert np.array_equal(said.logit.numpy(), scored(cached.recipe, "control")["cars"])


def test_who_fell_back_is_served_by_its_control(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leaderboard says who did."""
    told = finding.compare

    def with_one_fallen(recipe: Recipe) -> dict[str, Any]:
        table = told(recipe)
        rows = [
            row | {"settings": row["settings"] | {"fell_back": 1.0}} if row["member"] == "cars/distilled/0" else row
            for row in table["students"]
        ]
        return table | {"students": rows}

    monkeypatch.setattr(finding, "compare", with_one_fallen)
    export(ran.recipe, Wanted(), tmp_path / "all", [], Progress())
    students = Exports(tmp_path / "all").students
    for vertical, arm in (("cars", "control"), ("a/../b", "distilled")):
        lineage = students[vertical].manifest.lineage
        assert (lineage.member, lineage.fell_back) == (f"{vertical}/distilled/0", arm == "control")
        rows = load(ran.recipe.data, Store(ran.recipe.store).data).select(TEST, vertical)
        assert np.array_equal(
            students[vertical].score(ran.frame[rows]).logit.numpy(), scored(ran.recipe, arm)[vertical]
        )


@pytest.mark.slow
def test_a_recipe_with_fallback_is_exported_as_its_leaderboard_was_judged(cached: Ran, tmp_path: Path) -> None:
    """With every student sent back: all exports are controls, without the teacher's vector."""
    changes = [f"store={cached.folder}/mlruns", "tracking.uri=null", "students.distill.fallback.level=1e-9"]
    recipe = recipe_of(cached.folder / "cached.yaml", changes)
    table = run(recipe, Progress())
    fallen = {row["vertical"] for row in table["students"] if "fell_back" in row["settings"]}
    export(recipe, Wanted(), tmp_path / "all", [], Progress())
    students = Exports(tmp_path / "all").students
    assert {vertical for vertical, one in students.items() if one.manifest.lineage.fell_back} == fallen and fallen
