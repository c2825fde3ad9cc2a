"""Processes that are started for a teacher, watched, and started again; and those that torchrun starts."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distill.errors import RecipeError
from distill.knowledge import KnowledgeStore
from distill.latest import identity
from distill.panel import taught_by
from distill.pipeline import read, run, teach
from distill.progress import Progress
from distill.ranks import enlisted, follows
from distill.recipe import load
from distill.store import Store

RECIPE = """
name: group
data:
  world: {verticals: 3, domains: 2, users: 60, items: 40, rows: 2000, days: 6}
  row_id: row_id
  time: time
  user: user_id
  split: {by: column, column: split}
  features: {item_id: categorical, hour: categorical, user_activity: numeric}
teacher:
  model: {class: teachers.AttentiveCross, embedding: 4, hidden: [8], heads: 1}
  train: {batch: 64, learning_rate: 5.0e-3}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  train: {epochs: 1, batch: 32}
evidence: {resamples: 100}
tracking: {uri: null}
trainer: {device: cpu}
"""
SMALL = "{model: {class: teachers.AttentiveCross, embedding: 4, hidden: [8], heads: 1}, train: {batch: 1}}"
GROUP = ["trainer.strategy=ddp", "trainer.devices=2"]

CUT = [*GROUP, "trainer.tables=torchrec", "teacher.train.tables=rowwise_adagrad"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "group.yaml").write_text(RECIPE)
    return tmp_path / "group.yaml"


def columns(store: Path) -> dict[str, np.ndarray]:
    """What the one table of a store says."""
    (folder,) = KnowledgeStore(store / "store" / "knowledge").folder.iterdir()
    return {name: np.load(folder / f"{name}.npy").astype(np.float32) for name in ("logit", "representation", "covered")}


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("started", ["here", "by torchrun"])
def test_a_run_with_a_group_is_the_run_without(tmp_path: Path, recipe: Path, started: str) -> None:
    """To the rounding of single precision; and the second time everything is found."""
    alone = run(load(recipe, [f"store={tmp_path}/alone"]), Progress())
    options = [*GROUP, f"store={tmp_path}/group", "--json", str(tmp_path / "table.json")]
    torchrun = ["torch.distributed.run", "--nproc-per-node=2", f"--master-port={29500 + os.getpid() % 1000}", "-m"]
    program = ["-m", *(torchrun if started != "here" else []), "distill.cli", "run", str(recipe), *options]
    subprocess.run([sys.executable, *program], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=600)
    one, two = columns(tmp_path / "alone"), columns(tmp_path / "group")
    assert np.array_equal(one["covered"], two["covered"])
    assert np.abs(one["logit"] - two["logit"]).max() < 2e-2 and np.abs(one["logit"] - two["logit"]).mean() < 1e-4
    table = run(load(recipe, [*GROUP, f"store={tmp_path}/group"]), Progress())
    assert abs(table["summary"]["ne_teacher"] - alone["summary"]["ne_teacher"]) < 1e-4
    assert table["time"]["training"] > 0 and 0 < table["time"]["effective"] < 1
    assert table["time"]["first_step"] > 0


@pytest.mark.slow
@pytest.mark.dist
def test_a_group_trains_every_teacher(tmp_path: Path, recipe: Path) -> None:
    """Each seed is a table of its own, which the group leaves complete; the run has the scores of one process."""
    seeds = ["teacher.seeds=2", "students.min_rows=100000"]
    for options in ([f"store={tmp_path}/alone", *seeds], [f"store={tmp_path}/group", *seeds, *GROUP]):
        settings = load(recipe, options)
        teach(settings, read(settings, Store(settings.store), Progress()), Store(settings.store), Progress())
    tables = [sorted((tmp_path / name / "store" / "knowledge").glob("*/logit.npy")) for name in ("alone", "group")]
    assert [path.parent.name for path in tables[0]] == [path.parent.name for path in tables[1]]
    assert len(tables[0]) == 2
    for one, two in zip(*tables, strict=True):
        assert np.abs(np.load(one).astype(np.float32) - np.load(two).astype(np.float32)).max() < 2e-2
        assert list(two.parent.glob("shards/0001-*")), "the second process put down a share"


def test_a_process_alone_follows_nobody(recipe: Path) -> None:
    assert not follows(load(recipe)) and not follows(load(recipe, GROUP))


@pytest.mark.parametrize(("count", "rank"), [("2", "1"), ("2", "0")])
def test_torchrun_gives_a_place(recipe: Path, monkeypatch: pytest.MonkeyPatch, count: str, rank: str) -> None:
    """The first process leads; a recipe for one process is not concerned."""
    _torchrun(monkeypatch, count, rank)
    assert enlisted(load(recipe, GROUP)) and follows(load(recipe, GROUP)) == (rank == "1")
    assert not enlisted(load(recipe))


def test_more_processes_than_devices_are_refused(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _torchrun(monkeypatch, "3", "0")
    with pytest.raises(RecipeError, match=r"trainer.devices: is 2, and 3 processes have been started\..*devices=3"):
        enlisted(load(recipe, GROUP))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["trainer.devices=2"], "trainer.strategy is single"),
        (["trainer.accumulate=2"], "trainer.strategy is single"),
        (["trainer.strategy=ddp", "trainer.mesh=[1,1]"], "every device has the whole teacher"),
        (["trainer.strategy=hsdp", "trainer.devices=4", "trainer.mesh=[2,3]"], "2 x 3 devices are not 4"),
        (["trainer.strategy=ddp", "trainer.devices=65"], "65 devices share 64 rows"),
        (["trainer.tables=torchrec"], "trainer.strategy is single"),
        ([*GROUP, "trainer.tables=torchrec"], "by rowwise_adagrad alone.*teacher.train.tables=rowwise_adagrad"),
        ([*CUT, "teacher.train.clip=1"], "before the whole gradient is known.*teacher.train.clip=null"),
        ([*CUT, "teacher.train.weight_decay=0.1"], "decays no weights of tables.*teacher.train.weight_decay=0"),
        ([*CUT, "trainer.accumulate=2"], "every micro-batch"),
        (["trainer.average=2"], "trainer.strategy is single"),
        ([*GROUP, "trainer.average=2"], "trainer.tables is whole.*trainer.tables=torchrec"),
        ([*CUT, "trainer.average=2"], "several copies of tables.*trainer.mesh of several rows"),
        (
            [*CUT, "trainer.strategy=hsdp", "trainer.average=2"],
            "several copies of tables.*trainer.mesh of several rows",
        ),
        ([*GROUP, f"teachers={{small: {SMALL}}}"], "2 devices share 1 rows.*teachers.small.train.batch"),
    ],
)
def test_what_does_not_go_together_is_said(recipe: Path, options: list[str], what: str) -> None:
    with pytest.raises(RecipeError, match=what):
        load(recipe, options)


def test_copies_of_tables_make_another_teacher_and_no_other_setting_of_a_group_does(recipe: Path) -> None:
    cut = [*CUT, "trainer.strategy=hsdp", "trainer.mesh=[2,1]"]
    one, group, copies = (load(recipe, options) for options in ([CUT[-1]], cut, [*cut, "trainer.average=2"]))
    for decides in (identity, taught_by):
        assert decides(one) == decides(group) != decides(copies)


def _torchrun(monkeypatch: pytest.MonkeyPatch, count: str, rank: str) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": count, "RANK": rank, "LOCAL_RANK": rank}.items():
        monkeypatch.setenv(name, value)
    for name in ("GROUP_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29511")
