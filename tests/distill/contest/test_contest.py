"""Teachers side by side: the figures by plain formulas, trees that see no label, found again, one line each."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from distill.cli import main
from distill.contest import run
from distill.contest.columns import PRIOR, columns, counts_before
from distill.contest.contenders import TREES, contenders
from distill.contest.exam import exam_of, figures, sides
from distill.contest.titles import titles
from distill.data.impressions import TEST, TRAIN, VALID
from distill.errors import KnowledgeError, RecipeError
from distill.knowledge import import_table
from distill.metrics import auc, tally
from distill.progress import Progress
from distill.store import Store
from distill.sweep import Sweep, load

RECIPE = """
name: tiny
data:
  world: {verticals: 3, domains: 2, users: 60, items: 300, rows: 3000, days: 6}
  time: time
  user: user_id
  split: {by: column, column: split}
  features:
    item_id: categorical
    hour: categorical
    item_age: numeric
    clicked: {kind: sequence, columns: {hist_items: item_id}, newest: first, length: 4}
teacher:
  model: {class: teachers.AttentiveCross, embedding: 4, hidden: [4], heads: 1}
  train: {batch: 256, learning_rate: 1.0e-2}
students:
  model: {class: students.DNN, embedding: 2, hidden: [4]}
evidence: {resamples: 100}
tracking: {uri: null}
"""
SWEEP = """
name: duel
base: tiny.yaml
list:
  - {teacher.model.embedding: 4}
  - teacher.model: {class: students.DNN, embedding: 4, hidden: [8]}
    teacher.features: [item_id, hour, item_age]
    students.features: [item_id]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contest")
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "duel.yaml").write_text(SWEEP)
    return folder


@pytest.fixture(scope="module")
def sweep(folder: Path) -> Sweep:
    return load(folder / "duel.yaml", [f"store={folder / 'runs'}"])


@pytest.fixture(scope="module")
def table(sweep: Sweep) -> dict:
    return run(sweep, Progress(), 2, trees=True)


def test_each_teacher_has_its_figures_by_plain_formulas(table: dict, sweep: Sweep) -> None:
    each = contenders(sweep, 2, Store(sweep.base.store), Progress(), trees=True)
    assert [one.name for one in each] == ["embedding=4", "DNN", TREES] * 2
    for line in table["teachers"]:
        group = [one for one in each if one.name == line["teacher"]]
        found = [plain(one.impressions, one.knowledge, TEST) for one in group]
        for place, name in enumerate(("ne", "auc", "ne_mean", "auc_mean")):
            assert line[name] == pytest.approx(np.mean([one[place] for one in found]), rel=1e-6)
        assert (line["ne_low"], line["ne_high"]) == pytest.approx((min(found)[0], max(found)[0]))
        assert line["ne_valid"] == pytest.approx(
            np.mean([plain(one.impressions, one.knowledge, VALID)[0] for one in group])
        )
    ours = [line for line in table["teachers"] if line["teacher"] != TREES]  # Nobody can learn from trees.
    least = min(ours, key=lambda line: line["ne_valid"])
    assert len(ours) == len(table["teachers"]) - 1
    assert (table["best"]["teacher"], table["best"]["tables"]) == (least["teacher"], least["tables"])


def plain(impressions, knowledge, split: int) -> tuple[float, ...]:
    """NE and AUC of a split, vertical by vertical, by scikit-learn."""
    loss, base, entropies, ranked, every = 0.0, 0.0, [], [], []
    for vertical in impressions.verticals:
        rows = impressions.select(split, vertical)
        label, logit = (
            impressions.label[rows, 0],
            knowledge.take(torch.from_numpy(rows)).prediction.logit[:, 0].double().numpy(),
        )
        chance = 1 / (1 + np.exp(-logit))
        own = log_loss(label, chance, normalize=False)
        least = log_loss(label, np.full(len(rows), label.mean()), normalize=False)
        loss, base = loss + own, base + least
        every.append((label, logit))
        if len(rows) >= 50 and 10 <= label.sum() <= len(rows) - 10:
            entropies.append(own / least)
            ranked.append(roc_auc_score(label, logit))
    label, logit = map(np.concatenate, zip(*every, strict=True))
    return loss / base, roc_auc_score(label, logit), float(np.mean(entropies)), float(np.mean(ranked))


def test_a_gain_is_the_first_teachers_ne_minus_this_ones(table: dict) -> None:
    first, *others = table["teachers"]
    assert first["ne_gain"] is None
    for line in others:
        assert line["ne_gain"] == pytest.approx(first["ne"] - line["ne"], abs=1e-6)
        assert line["ne_mean_gain"] == pytest.approx(first["ne_mean"] - line["ne_mean"], abs=1e-6)
        assert line["ne_gain_low"] < line["ne_gain"] < line["ne_gain_high"]


def test_it_is_all_found_again(table: dict, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distill.scoring.score", None)
    monkeypatch.setattr("distill.contest.trees._grown", None)
    again = run(sweep, Progress(), 2, trees=True)
    assert again["teachers"] == table["teachers"]
    assert all(line["seconds"] > 0 for line in again["teachers"])


def test_trees_say_nothing_of_training_rows_and_better_than_nothing_of_others(table: dict, sweep: Sweep) -> None:
    trees = contenders(sweep, 1, Store(sweep.base.store), Progress(), trees=True)[-1]
    covered = lambda split: trees.knowledge.take(torch.from_numpy(trees.impressions.select(split))).covered  # noqa: E731
    assert not covered(TRAIN).any() and covered(TEST).all()
    with pytest.raises(KnowledgeError, match="says nothing of any training row"):  # Nobody could learn from them.
        import_table(trees.knowledge.folder, trees.impressions, Store(sweep.base.store).knowledge)
    assert next(line for line in table["teachers"] if line["teacher"] == TREES)["ne"] < 1.01


def test_a_row_knows_only_earlier_clicks_of_its_value() -> None:
    """By brute force, with ties in time."""
    generator = np.random.default_rng(0)
    ids, time = generator.integers(0, 6, 300), generator.integers(0, 20, 300).astype(float)
    label = generator.integers(0, 2, 300).astype(float)
    seen, clicked = counts_before(ids, time, label, ids, time)
    for row in range(300):
        before = (ids == ids[row]) & (time < time[row])
        assert (seen[row], clicked[row]) == (before.sum(), label[before].sum())


def test_a_label_does_not_reach_the_columns_of_its_own_row(taught) -> None:
    """Turned round at one row, only later rows of the same values differ."""
    lesson, impressions = taught.lesson, taught.impressions
    rows = impressions.select(TRAIN)
    before = columns(lesson, rows, 0)
    place = len(rows) // 2
    label = np.array(impressions.label)
    label[rows[place]] = 1 - label[rows[place]]
    changed = columns(lesson._replace(impressions=With(impressions, label)), rows, 0)
    moved = np.abs(before.values - changed.values).max(1) > 2 / (PRIOR * len(rows))
    assert not moved[impressions.time[rows] <= impressions.time[rows[place]]].any()


class With:
    """The same impressions with other labels."""

    def __init__(self, impressions, label: np.ndarray) -> None:
        self._impressions, self.label = impressions, label

    def __getattr__(self, name: str):
        return getattr(self._impressions, name)


def test_a_mean_over_verticals_counts_each_once(taught) -> None:
    exam = exam_of(taught.impressions, TEST, 0)
    generator = np.random.default_rng(1)
    first, other = generator.normal(size=(2, len(exam.rows)))
    whole, mean = sides(exam, first, other[None], 50, 0)[0]
    counted = [part for part in exam.parts if exam.counts(part)]
    entropies = [
        [tally(marks[part], exam.label[part], exam.weight[part]).normalized_entropy for part in counted]
        for marks in (first, other)
    ]
    assert (mean.control - mean.student)[0] == pytest.approx(np.mean(entropies[0]) - np.mean(entropies[1]))
    assert figures(exam, other).auc == auc(other, exam.label)
    assert whole.student[0] / whole.base_entropy[0] == pytest.approx(figures(exam, other).ne)


def test_teachers_are_told_apart_by_what_differs() -> None:
    found = titles(
        [
            {"teacher.model": {"class": "teachers.HSTU"}, "teacher.features": ["a"]},
            {"teacher.model": {"class": "teachers.HSTU", "gate": False}, "students.features": ["a"]},
            {"teacher.model": {"class": "teachers.GEM", "size": "nano"}},
            {"teacher.model": {"class": "teachers.GEM", "size": "nano"}, "teacher.features": ["b"]},
        ]
    )
    assert found == ["HSTU", "HSTU gate=False", "GEM", "GEM #2"]


def test_what_cannot_be_compared_is_refused_at_once(folder: Path) -> None:
    (folder / "odd.yaml").write_text(
        "base: tiny.yaml\nlist:\n  - {data.world.seed: 0}\n  - {data.world.seed: 1}\n  - {data.world.seed: 2}\n"
    )
    with pytest.raises(RecipeError) as caught:
        run(load(folder / "odd.yaml", [f"store={folder / 'runs'}"]), Progress())
    assert [fault.what for fault in caught.value.faults] == ["has other data than the first teacher."] * 2
    (folder / "many.yaml").write_text("base: tiny.yaml\nlist:\n  - {teacher.seeds: 1}\n  - {teacher.seeds: 2}\n")
    with pytest.raises(RecipeError, match="has several teachers, where a contest is between single ones"):
        run(load(folder / "many.yaml", [f"store={folder / 'runs'}"]), Progress())


def test_the_verb_takes_a_recipe_and_writes_json(folder: Path, table: dict, monkeypatch, capfd) -> None:
    monkeypatch.setattr(
        sys, "argv", ["distill", "teachers", str(folder / "tiny.yaml"), f"store={folder / 'runs'}", "--json", "-"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stdout.flush()
    (line,) = json.loads(capfd.readouterr().out)["teachers"]
    assert not ended.value.code
    assert line["tables"] == [table["teachers"][0]["tables"][0]]
