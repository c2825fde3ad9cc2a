"""A teacher that several processes train is the teacher that one trains: weights, losses and scores."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
import torch
from at_hand import small_log
from safetensors.torch import load_file
from torch import distributed

from distill.data.impressions import Impressions, load
from distill.data.settings import DataSettings
from distill.distributed import Place, joined
from distill.errors import StoreError
from distill.knowledge import Knowledge, KnowledgeStore
from distill.knowledge.group import consolidate
from distill.learner import Learner
from distill.lesson import Lesson, manifest_of
from distill.ranks import free_port
from distill.recipe.sections import TrainedTeacher
from distill.recipe.trainer import Trainer
from distill.scoring import knowledge_of

AHEAD = {"kind": "time_ahead"}
SMALL = {"class": "teachers.AttentiveCross", "embedding": 4, "hidden": [16], "representation": 6}
TRAIN = {"epochs": 1, "batch": 64, "learning_rate": 5e-3}
FEATURES = {
    "item_id": {"kind": "categorical", "hide": 0.2},
    "user_id": "categorical",
    "hour": "categorical",
    "clicked": {"kind": "sequence", "columns": {"hist_items": "item_id"}, "newest": "first", "length": 4},
}


pytestmark = pytest.mark.usefixtures("doubled")


class Case(NamedTuple):
    """A teacher on some rows, whose weights differ."""

    impressions: Impressions
    lesson: Lesson

    def by(self, **trainer: object) -> Lesson:
        return self.lesson._replace(trainer=Trainer(device="cpu", **trainer))


def case(
    folder: Path, model: dict | None = None, score: dict | None = None, features: dict | None = None, **train: object
) -> Case:
    frame = small_log(1600)
    frame = frame.with_columns(importance=pl.col("item_id") % 3 + 0.5)
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / "rows.parquet")
    settings = {
        **{"path": folder / "rows.parquet", "time": "time", "user": "user_id", "weight": "importance"},
        **{"split": {"by": "column", "column": "split"}, "features": features or FEATURES},
    }
    impressions = load(DataSettings.model_validate(settings), folder / "data")
    teacher = {"model": model or SMALL, "train": TRAIN | train, "score": score or AHEAD}
    view = impressions.view(None, "all")
    lesson = Lesson(TrainedTeacher.model_validate(teacher), impressions, view, 3, lambda rows: None)
    return Case(impressions, lesson)


def learnt(lesson: Lesson, folder: Path) -> Knowledge:
    """The table, and beside it the loss of every step."""
    losses: list[float] = []
    watch = Learner._watch

    def listening(self: Learner, cost: torch.Tensor, step: int) -> None:
        losses.extend(cost.tolist())
        watch(self, cost, step)

    Learner._watch = listening
    try:
        knowledge = knowledge_of(lesson, KnowledgeStore(folder))
    finally:
        Learner._watch = watch
    if lesson.trainer.strategy == "single" or distributed.get_rank() == 0:
        np.save(folder / "losses.npy", losses)
    return knowledge


def assert_same(one: Path, other: Path, lesson: Lesson, losses: bool = True) -> None:
    """Weights and losses to 1e-10, and every number of the table, which is kept in half precision."""
    first, second = (KnowledgeStore(folder).find(manifest_of(lesson).fingerprint) for folder in (one, other))
    assert first is not None and second is not None
    for column in ("logit.npy", "representation.npy", "covered.npy"):
        assert np.array_equal(np.load(first.folder / column), np.load(second.folder / column)), column
    before, after = (load_file(table.folder / "snapshot.safetensors") for table in (first, second))
    assert before.keys() == after.keys()
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < 1e-10
    assert first.facts["audit"] == second.facts["audit"]
    if losses:
        curves = [np.load(folder / "losses.npy") for folder in (one, other)]
        assert len(curves[0]) > 10
        assert np.abs(curves[0] - curves[1]).max() < 1e-10


@pytest.mark.dist
def test_two_processes_teach_what_one_does(tmp_path: Path, gang: Callable) -> None:
    """Rows of unequal weight, ids hidden at random, histories, and scores from the training pass."""
    here = case(tmp_path)
    learnt(here.by(), tmp_path / "one")
    assert gang(2, lambda: learnt(here.by(strategy="ddp", devices=2), tmp_path / "two")) == [0, 0]
    assert_same(tmp_path / "one", tmp_path / "two", here.lesson)
    shards = {path.name[:4] for path in tmp_path.glob("two/*/shards/*")}
    assert shards == {"0000", "0001"}, "each process puts down scores of its own"


HSDP4 = {"strategy": "hsdp", "devices": 4, "mesh": (2, 2)}
DROPOUT = {"class": "students.DNN", "embedding": 4, "hidden": [12, 5], "dropout": 0.3}
GEM = {"class": "teachers.GEM", "size": "nano"}


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize(
    ("model", "train", "trainer"),
    [
        (SMALL, {}, {"strategy": "hsdp", "devices": 2}),
        (SMALL, {}, HSDP4),
        (SMALL, {}, {"strategy": "ddp", "devices": 4}),
        (SMALL, {"tables": "rowwise_adagrad"}, {"strategy": "ddp", "devices": 2}),
        (SMALL, {"tables": "rowwise_adam"}, {"strategy": "hsdp", "devices": 2}),
        (SMALL, {"clip": 0.05}, {"strategy": "hsdp", "devices": 2}),
        (DROPOUT, {}, {"strategy": "ddp", "devices": 2, "accumulate": 3}),
        (GEM, {}, HSDP4 | {"accumulate": 2}),
    ],
    ids=str,
)
def test_every_way_to_share_a_teacher_gives_the_same(
    tmp_path: Path, gang: Callable, model: dict, train: dict, trainer: dict
) -> None:
    here = case(tmp_path, model, **train)
    learnt(here.by(), tmp_path / "one")
    count = trainer["devices"]
    assert gang(count, lambda: learnt(here.by(**trainer), tmp_path / "many")) == [0] * count
    assert_same(tmp_path / "one", tmp_path / "many", here.lesson)


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize(
    ("model", "score", "trainer"),
    [
        (SMALL, {"kind": "cross_fit", "by": "user_id", "folds": 2}, {"strategy": "ddp"}),  # one fold after another
        (GEM, AHEAD, {"strategy": "hsdp", "recompute": True, "accumulate": 2}),
    ],
    ids=["folds", "recompute"],
)
def test_a_group_of_one_teaches_what_a_process_does(tmp_path: Path, model: dict, score: dict, trainer: dict) -> None:
    here = case(tmp_path, model, score)
    learnt(here.by(), tmp_path / "one")
    with joined(Place(0, 1, 0, "127.0.0.1", free_port()), "cpu"):
        learnt(here.by(**trainer), tmp_path / "group")
    assert_same(tmp_path / "one", tmp_path / "group", here.lesson, losses=score == AHEAD)


@pytest.mark.slow
@pytest.mark.dist
def test_a_killed_process_costs_the_open_shard_and_fewer_go_on(tmp_path: Path, gang: Callable) -> None:
    """One of four is killed; two go on from the checkpoint of the four."""
    here = case(tmp_path)
    learnt(here.by(), tmp_path / "one")
    told = 0

    def die(rows: int) -> None:
        nonlocal told
        told += rows
        if told > 600 and distributed.get_rank() == 1:
            os._exit(9)

    table = tmp_path / "many" / manifest_of(here.lesson).fingerprint
    killed = gang(4, lambda: learnt(here.by(**HSDP4)._replace(tell=die), tmp_path / "many"))
    assert killed[1] == 9 and 0 not in killed
    assert len(list((table / "checkpoints").glob("[0-9]*"))) == 1
    whole = here.lesson.teacher.model.build(here.lesson.view.schema(None))
    assert consolidate(table, tmp_path / "weights.safetensors") > 0
    whole.load_state_dict(load_file(tmp_path / "weights.safetensors"))  # all of it, under its own names

    rows: list[int] = []
    lesson = here.by(strategy="hsdp", devices=2)._replace(tell=rows.append)
    assert gang(2, lambda: learnt(lesson, tmp_path / "many")) == [0, 0]
    assert_same(tmp_path / "one", tmp_path / "many", here.lesson, losses=False)


def test_a_pass_that_a_group_began_is_not_begun_again_by_one_process(tmp_path: Path) -> None:
    """Nor is the other way round: neither reads what the other one goes on from, and nothing is lost unasked."""
    here = case(tmp_path)
    store, manifest = KnowledgeStore(tmp_path / "store"), manifest_of(here.lesson)
    folder = store.writer(manifest).folder
    (folder / "checkpoints" / "000000").mkdir(parents=True)
    with pytest.raises(StoreError, match="was begun by a group"):
        store.writer(manifest)
    (folder / "checkpoints" / "000000").rmdir()
    store.writer(manifest).commit({"weight": torch.zeros(1)})
    with joined(Place(0, 1, 0, "127.0.0.1", free_port()), "cpu"), pytest.raises(StoreError, match="without a group"):
        store.writer(manifest)
