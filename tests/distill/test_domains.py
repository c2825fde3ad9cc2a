"""Domain models between the teacher and the students: no label reaches its own score over either hop."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from at_hand import small_log, written
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from distill.data.impressions import TEST, TRAIN, VALID, Impressions, load
from distill.data.settings import World
from distill.data.synthetic import generate
from distill.domains import clusters, domain_manifest, domains_of, groups
from distill.errors import RecipeError
from distill.knowledge import Knowledge, KnowledgeStore
from distill.pipeline import plan, run
from distill.progress import Progress
from distill.recipe import Recipe
from distill.recipe import load as load_recipe
from distill.recording import started
from distill.scoring import knowledge_of
from distill.transfer import heard_fingerprint, hears, lesson_of

FRAME = small_log()
TIME = FRAME["time"].to_numpy()

RECIPE = """
name: tiny
seed: 3
data:
  path: rows.parquet
  vertical: vertical
  domain: domain
  time: time
  user: user_id
  split: {by: column, column: split}
  features: {item_id: categorical, user_id: categorical, hour: categorical}
teacher:
  model: {class: teachers.AttentiveCross, embedding: 4, hidden: [16], representation: 6}
  train: {batch: 64, learning_rate: 5.0e-3}
domains:
  model: {class: teachers.AttentiveCross, embedding: 4, hidden: [8], representation: 3}
  train: {batch: 64, learning_rate: 5.0e-3}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  features: [item_id, hour]
  train: {epochs: 2, batch: 32}
evidence: {resamples: 200}
tracking: {uri: null}
"""


def recipe_of(folder: Path, *overrides: str, frame: pl.DataFrame = FRAME) -> Recipe:
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / "rows.parquet")
    (folder / "tiny.yaml").write_text(RECIPE)
    return load_recipe(folder / "tiny.yaml", [f"store={folder}", *overrides])


def both(recipe: Recipe, tell=lambda rows: None) -> tuple[Knowledge, Knowledge]:
    """The tables of the teacher and of the domain models."""
    impressions, store = load(recipe.data, recipe.store / "data"), KnowledgeStore(recipe.store)
    teacher = knowledge_of(lesson_of(recipe, impressions), store)
    return teacher, domains_of(recipe, impressions, teacher, store, tell)


def scores(knowledge: Knowledge) -> np.ndarray:
    return knowledge.take(torch.arange(knowledge.manifest.rows)).prediction.logit[:, 0].numpy()


def covered(knowledge: Knowledge) -> np.ndarray:
    return knowledge.take(torch.arange(knowledge.manifest.rows)).covered.numpy()


def flipped(rows: np.ndarray) -> pl.DataFrame:
    other = pl.when(pl.Series(rows)).then(1 - pl.col("label")).otherwise(pl.col("label"))
    return FRAME.with_columns(other.alias("label"))


TRAINED = (FRAME["split"] == "train").to_numpy()
MOMENT = np.sort(TIME[TRAINED])[900]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def whole(folder: Path) -> tuple[Knowledge, Knowledge]:
    return both(recipe_of(folder))


class TestScores:
    def test_a_label_reaches_no_score_of_its_own_time_or_before(self, tmp_path: Path, whole: tuple) -> None:
        """Flip the labels of one moment: over teacher and domain model, scores change after it, and only then."""
        _, other = both(recipe_of(tmp_path, frame=flipped((TIME == MOMENT) & TRAINED)))
        before = TRAINED & (TIME <= MOMENT)
        assert np.array_equal(scores(whole[1])[before], scores(other)[before])
        assert not np.array_equal(scores(whole[1])[TRAINED & ~before], scores(other)[TRAINED & ~before])

    def test_no_label_of_validation_or_test_is_learnt_from(self, tmp_path: Path, whole: tuple) -> None:
        _, other = both(recipe_of(tmp_path, frame=flipped(~TRAINED)))
        assert np.array_equal(scores(whole[1]), scores(other))

    def test_a_domain_hears_of_others_through_the_teacher_alone(self, tmp_path: Path) -> None:
        """Without the teacher's marks, labels of one domain change nothing in the other."""
        alone = "domains.distill.logit.weight=0"
        first = FRAME["domain"].to_numpy() == FRAME["domain"].min()
        _, one = both(recipe_of(tmp_path / "a", alone))
        _, other = both(recipe_of(tmp_path / "b", alone, frame=flipped(TRAINED & first)))
        assert np.array_equal(scores(one)[~first], scores(other)[~first])
        assert not np.array_equal(scores(one)[first], scores(other)[first])

    def test_the_marks_of_the_teacher_are_learnt_from(self, folder: Path, whole: tuple) -> None:
        """Another teacher, other scores."""
        _, other = both(recipe_of(folder, "teacher.train.learning_rate=0.05"))
        assert not np.array_equal(scores(whole[1]), scores(other))

    def test_the_first_block_of_each_domain_is_not_covered(self, whole: tuple) -> None:
        """An untrained model has nothing to say; all else is covered, later rows too."""
        domain = FRAME["domain"].to_numpy()
        for name in np.unique(domain):
            own = domain == name
            missing = own & ~covered(whole[1])
            assert 64 <= missing.sum() < 64 + 8
            assert TIME[missing].max() < TIME[own & covered(whole[1])].min()

    def test_scores_are_no_purer_than_the_marks(self, folder: Path, whole: tuple) -> None:
        _, domain = both(recipe_of(folder, "teacher.score.kind=in_sample"))
        assert (domain.manifest.kind, whole[1].manifest.kind) == ("in_sample", "time_ahead")


class TestResuming:
    @pytest.mark.parametrize("stop", [150, 700, 1500])
    def test_a_killed_stage_goes_on_with_the_same_numbers(self, tmp_path: Path, whole: tuple, stop: int) -> None:
        """Bit for bit, in whichever domain it was cut off, and with an open shard repeated at most."""
        recipe, seen, counted = recipe_of(tmp_path), 0, []

        def die(rows: int) -> None:
            nonlocal seen
            seen += rows
            if seen >= stop:
                raise KeyboardInterrupt

        with pytest.raises((KeyboardInterrupt, SystemExit)):
            both(recipe, die)
        _, again = both(recipe, counted.append)
        assert np.array_equal(scores(again), scores(whole[1]))
        assert again.facts == whole[1].facts
        found = sum(rows for rows in counted if rows > 70)  # A step has less; what is found done is told at once.
        assert sum(counted) == TRAINED.sum()
        assert found >= stop - 2 * 70 - TRAINED.sum() // 12

    def test_a_second_call_finds_everything(self, whole: tuple, folder: Path) -> None:
        both(recipe_of(folder), lambda rows: pytest.fail("trained"))

    @pytest.mark.parametrize(
        "change",
        [
            "seed=4",
            "domains.distill.logit.weight=0.3",
            "domains.distill.logit.temperature=2",
            "domains.model.embedding=8",
            "domains.train.learning_rate=0.01",
            "domains.features=[item_id]",
            "domains.clusters=2",
        ],
    )
    def test_what_decides_has_another_name(self, folder: Path, change: str) -> None:
        names = {name(folder), name(folder, change), name(folder, teacher="another")}
        assert len(names) == 3

    def test_what_does_not_decide_has_not(self, folder: Path) -> None:
        changes = "students.train.epochs=3", "students.distill.logit.source=both"
        assert {name(folder, change) for change in changes} == {name(folder)}


def name(folder: Path, *overrides: str, teacher: str = "teacher") -> str:
    """Of the table of the domain models."""
    recipe = recipe_of(folder, *overrides)
    return domain_manifest(recipe, load(recipe.data, folder / "data"), "time_ahead", teacher).fingerprint


class TestHearing:
    def test_students_hear_the_domain_where_there_is_one(self, folder: Path) -> None:
        assert hears(recipe_of(folder)) == {"domain": 1.0}
        assert hears(recipe_of(folder, "domains=")) == {"teacher": 1.0}
        assert hears(recipe_of(folder, "students.distill.logit.source=both")) == {"teacher": 0.5, "domain": 0.5}

    def test_a_student_of_the_teacher_alone_is_the_same_with_domains_and_without(self, folder: Path) -> None:
        """So that both recipes share it; one that hears a domain is another, and so is one that hears both."""
        names = {}
        for name, overrides in {
            "direct": ["domains="],
            "teacher": ["students.distill.logit.source=teacher"],
            "domain": [],
            "both": ["students.distill.logit.source=both"],
            "other domains": ["domains.distill.logit.weight=0.1"],
        }.items():
            recipe = recipe_of(folder, *overrides)
            names[name] = heard_fingerprint(recipe, load(recipe.data, folder / "data"), "c0ffee")
        assert names["direct"] == names["teacher"] == "c0ffee"
        assert len(set(names.values())) == 4


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=6), st.data())
def test_every_row_is_of_the_domain_of_its_vertical(domains: list[str | None], data: st.DataObject) -> None:
    """Against a loop over rows."""
    rows = np.array(data.draw(st.lists(st.integers(0, len(domains) - 1), max_size=20)), dtype=int)
    found = groups({str(place): name for place, name in enumerate(domains)}, rows)
    assert list(found) == sorted({name for name in domains if name is not None})
    for row, vertical in enumerate(rows):
        assert [name for name, own in found.items() if own[row]] == [domains[vertical]] * (
            domains[vertical] is not None
        )


class TestClusters:
    @pytest.fixture
    def impressions(self, tmp_path: Path) -> Impressions:
        recipe = recipe_of(
            tmp_path, frame=generate(World(verticals=12, domains=3, users=60, items=40, rows=2400, days=6))
        )
        return load(recipe.data, tmp_path / "data")

    def made(self, impressions: Impressions, folder: Path, scored: np.ndarray | None = None) -> tuple[Knowledge, list]:
        """Representations around a centre for each domain, under noise in every row."""
        truth = [impressions.domains[name] for name in impressions.verticals]
        generator = np.random.default_rng(0)
        centres = dict(zip(sorted(set(truth)), generator.normal(size=(3, 5)), strict=True))
        said = np.stack([centres[truth[vertical]] for vertical in impressions.vertical])
        said += generator.normal(size=said.shape)
        return written(impressions, folder, said=said, scored=scored), truth

    def test_they_are_the_planted_domains(self, impressions: Impressions, tmp_path: Path) -> None:
        """Rand index 1, the same at every call; numbered in the order of verticals."""
        knowledge, truth = self.made(impressions, tmp_path)
        found = clusters(knowledge, impressions, 3, seed=0)
        assert list(found) == list(impressions.verticals)
        assert adjusted_rand_score(truth, list(found.values())) == 1
        assert found == clusters(knowledge, impressions, 3, seed=0)
        assert list(dict.fromkeys(found.values())) == ["cluster 1", "cluster 2", "cluster 3"]

    def test_validation_and_test_rows_have_no_say(self, impressions: Impressions, tmp_path: Path) -> None:
        """Neither have rows that the teacher did not score."""
        scored = np.isin(impressions.split, (VALID, TEST))
        knowledge, _ = self.made(impressions, tmp_path, scored)
        with pytest.raises(RecipeError, match="3 clusters of 0 verticals"):
            clusters(knowledge, impressions, 3, seed=0)

    def test_a_vertical_without_a_scored_row_is_placed_too(self, impressions: Impressions, tmp_path: Path) -> None:
        scored = impressions.vertical != 5
        knowledge, truth = self.made(impressions, tmp_path, scored)
        found = list(clusters(knowledge, impressions, 3, seed=0).values())
        del found[5], truth[5]
        assert adjusted_rand_score(truth, found) == 1

    def test_found_ones_are_written_down_and_used(self, tmp_path: Path) -> None:
        recipe = recipe_of(tmp_path, "data.domain=", "domains.clusters=2")
        _, domain = both(recipe)
        impressions = load(recipe.data, tmp_path / "data")
        grouping = domain.facts["domains"]
        assert set(grouping) == set(impressions.verticals)
        rows = impressions.select(TRAIN)
        missing = ~covered(domain)[rows]
        for name in set(grouping.values()):
            own = np.array([grouping[one] == name for one in impressions.verticals])[impressions.vertical[rows]]
            assert 64 <= (missing & own).sum() < 64 + 8


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return recipe_of(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def table(recipe: Recipe) -> dict:
    return run(recipe, Progress())


class TestRun:
    def test_the_leaderboard_shows_both_hops(self, table: dict) -> None:
        assert "domains" in table["seconds"]
        assert table["summary"]["ne_domain"] > 0
        assert all(row["ne_domain"] > 0 for row in table["students"])

    def test_a_plan_shows_the_stage(self, recipe: Recipe, table: dict) -> None:
        stages = {stage["stage"]: stage for stage in plan(recipe)["stages"]}
        assert list(stages) == ["data", "teacher", "domains", "students"]
        assert (stages["domains"]["cached"], stages["domains"]["domains"]) == (True, 2)
        assert stages["students"]["missing"] == 0

    def test_students_that_hear_the_teacher_are_found_and_so_are_all_controls(
        self, recipe: Recipe, table: dict
    ) -> None:
        """Another source is four new students; the recipe without domains has eight, four of them controls."""
        folder = recipe.store
        for overrides, missing in (["students.distill.logit.source=both"], 4), (["domains="], 4):
            stages = plan(recipe_of(folder, *overrides))["stages"]
            assert stages[-1]["missing"] == missing

    def test_what_the_domain_says_is_what_they_learn(self, recipe: Recipe, table: dict, tmp_path: Path) -> None:
        """Students of other domain models are others, their controls are the same to the bit."""
        other = run(recipe_of(tmp_path, "domains.distill.logit.weight=0"), Progress())
        for one, two in zip(table["students"], other["students"], strict=True):
            assert (one["ne"] == two["ne"]) == (one["arm"] == "control")

    def test_records_say_how_it_came(self, recipe: Recipe) -> None:
        assert started(recipe, "key", "data").tags["distill.transfer"] == "hierarchical"
        direct = recipe_of(recipe.store, "students.distill.logit.source=teacher")
        assert started(direct, "key", "data").tags["distill.transfer"] == "direct"
