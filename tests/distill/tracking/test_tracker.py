"""Against real databases: what is recorded arrives, once, whatever is in the way."""

import json
import logging
import shutil
import sqlite3
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from distill.errors import StoreError
from distill.tracking import RunRecord, Tracker
from distill.tracking.journal import Journal

pytestmark = pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning")

PARENT = RunRecord(key="p0", parent=None, name="quickstart", tags={"distill.role": "recipe"}, finished=False)


def student(number: int) -> RunRecord:
    return RunRecord(
        key=f"s{number}",
        parent="p0",
        name=f"travel/distilled/{number}",
        tags={"distill.role": "student", "distill.arm": "distilled", "distill.seed": str(number)},
        params={"students.model.class": "students.DNN", "students.train.batch": 256, "data.row_id": None},
        metrics={"ne": 0.9, "ne_gain": 0.001 * number, "gap_closed": None},
        curves={"train/loss": [(0, 0.7), (50, 0.6)], "valid/ne": [(50, 0.95)]},
    )


def deliver(store, *records: RunRecord):
    tracker = Tracker(store.uri, store.experiment, store.folder)
    for record in records:
        tracker.record(record)
    return tracker.close(timeout=60)


@pytest.fixture
def calls(monkeypatch):
    """How often each method of MLflow's client was called."""
    from mlflow import MlflowClient

    counted = Counter()

    def count(name):
        method = getattr(MlflowClient, name)

        def counting(self, *args, **options):
            counted[name] += 1
            return method(self, *args, **options)

        monkeypatch.setattr(MlflowClient, name, counting)

    for name in (
        "create_run",
        "log_batch",
        "set_terminated",
        "log_metric",
        "log_param",
        "set_tag",
        "get_run",
        "search_runs",
    ):
        count(name)
    return counted


def test_everything_arrives(store):
    done = replace(
        PARENT, finished=True, note="# Report\n\n**12** helped", artifacts={"recipe.yaml": "name: quickstart"}
    )
    failed = replace(student(2), key="s2", status="FAILED")
    assert deliver(store, done, student(1), failed) == (3, 0, "")

    runs = store.runs()
    parent, child = runs["quickstart"], runs["travel/distilled/1"]
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.tags.items() >= {**student(1).tags, "distill.key": "s1"}.items()
    assert child.data.params == {
        "students.model.class": "students.DNN",
        "students.train.batch": "256",
        "data.row_id": "null",
    }
    assert child.data.metrics == {"ne": 0.9, "ne_gain": 0.001, "train/loss": 0.6, "valid/ne": 0.95}
    points = store.client.get_metric_history(child.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in points] == [(0, 0.7), (50, 0.6)]
    assert (child.info.status, runs["travel/distilled/2"].info.status) == ("FINISHED", "FAILED")
    assert parent.data.tags["mlflow.note.content"] == done.note
    artifacts = Path(parent.info.artifact_uri.removeprefix("file://"))
    assert (artifacts / "recipe.yaml").read_text() == "name: quickstart"
    assert artifacts.is_relative_to(store.folder)


def test_one_batch_a_run(store, calls):
    assert deliver(store, PARENT, *map(student, range(5))).sent == 6
    assert calls == {"create_run": 6, "log_batch": 6, "set_terminated": 5, "search_runs": calls["search_runs"]}
    assert calls["search_runs"] <= 1


def test_recording_returns_before_mlflow_answers(store, monkeypatch):
    from mlflow import MlflowClient

    create = MlflowClient.create_run
    monkeypatch.setattr(MlflowClient, "create_run", lambda *args: (time.sleep(0.5), create(*args))[1])
    with Tracker(store.uri, store.experiment, store.folder) as tracker:
        began = time.monotonic()
        for record in (PARENT, student(0), student(1)):
            tracker.record(record)
        assert time.monotonic() - began < 0.5
        assert tracker.run_ids() == {}
    assert set(tracker.run_ids()) == {"p0", "s0", "s1"}


def test_the_same_again_does_nothing(store, calls):
    deliver(store, PARENT, student(1))
    before = Counter(calls)
    assert deliver(store, PARENT, student(1)) == (0, 0, "")
    assert calls == before


def test_a_changed_record_updates_its_run(store):
    deliver(store, PARENT, student(1))
    final = replace(
        PARENT,
        finished=True,
        note="done",
        metrics={"helped": 1},
        artifacts={"leaderboard.md": "| a |"},
        params={"seed": 0},
    )
    changed = replace(
        student(1),
        metrics={"ne": 0.8},
        curves={"train/loss": [(0, 0.7), (50, 0.6), (99, 0.5)]},
        params={"data.row_id": "x"},
    )
    before = store.runs()
    assert before["quickstart"].info.status == "RUNNING"
    assert deliver(store, final, changed).sent == 2

    runs = store.runs()
    parent, child = runs["quickstart"], runs["travel/distilled/1"]
    assert [run.info.run_id for run in (parent, child)] == [
        before[name].info.run_id for name in (parent.info.run_name, child.info.run_name)
    ]
    assert (parent.info.status, parent.data.metrics, parent.data.params) == ("FINISHED", {"helped": 1}, {"seed": "0"})
    assert parent.data.tags["mlflow.note.content"] == "done"
    assert child.data.metrics["ne"] == 0.8
    assert child.data.params["data.row_id"] == "null"
    points = store.client.get_metric_history(child.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in points] == [(0, 0.7), (50, 0.6), (99, 0.5)]


def test_there_and_back_ends_with_the_last(store):
    with Tracker(store.uri, store.experiment, store.folder) as tracker:
        for ne in (0.9, 0.8, 0.9):
            tracker.record(replace(student(1), parent=None, metrics={"ne": ne}))
    assert store.runs()["travel/distilled/1"].data.metrics["ne"] == 0.9


def test_a_child_waits_for_its_parent(store):
    delivery = deliver(store, student(1))
    assert delivery == (0, 1, "the record of their parent is missing")
    assert deliver(store, PARENT) == (2, 0, "")
    assert store.runs()["travel/distilled/1"].data.tags["mlflow.parentRunId"] == store.runs()["quickstart"].info.run_id


def test_more_than_a_batch_holds_arrives_whole(store, calls):
    large = RunRecord(
        key="l",
        parent=None,
        name="large",
        tags={f"t{number}": "x" for number in range(130)},
        params={f"p{number}": number for number in range(250)} | {"long": "a" * 4000 + "b" * 4000},
        curves={"train/loss": [(step, step / 7) for step in range(2500)]},
    )
    assert deliver(store, large) == (1, 0, "")
    run = store.runs()["large"]
    assert len(run.data.params) == 251 and len([tag for tag in run.data.tags if tag.startswith("t")]) == 130
    assert run.data.params["long"].startswith("aaa") and run.data.params["long"].endswith("bbb")
    points = store.client.get_metric_history(run.info.run_id, "train/loss")
    assert sorted((point.step, point.value) for point in points) == [(step, step / 7) for step in range(2500)]
    assert calls["log_batch"] == 1  # The client splits it.


def test_a_store_that_is_down_delays_and_loses_nothing(first_use, tmp_path, caplog):
    (tmp_path / "away").touch()  # A file where the folder of the database belongs.
    address = f"sqlite:///{tmp_path}/away/mlflow.db"
    with caplog.at_level(logging.WARNING):
        tracker = Tracker(address, "quickstart", tmp_path)
        tracker.record(PARENT)
        time.sleep(0.3)
        tracker.record(student(1))
        delivery = tracker.close(timeout=60)
    assert (delivery.sent, delivery.waiting) == (0, 2) and "away" in delivery.error
    (message,) = [record.getMessage() for record in caplog.records if record.name.startswith("distill")]
    assert str(tmp_path / "outbox") in message

    (tmp_path / "away").unlink()
    (tmp_path / "away").mkdir()
    shutil.copy(first_use[0] / "mlflow.db", tmp_path / "away")
    assert Tracker(address, "quickstart", tmp_path).close(timeout=60) == (2, 0, "")


def test_of_a_server_that_is_down_its_address_is_said_and_no_more(tmp_path):
    tracker = Tracker("http://127.0.0.1:9", "quickstart", tmp_path)  # discard: nobody listens there
    tracker.record(PARENT)
    assert tracker.close(timeout=60).error == "nothing answers at 127.0.0.1:9"


def test_a_run_that_waited_keeps_its_times(store, monkeypatch):
    with monkeypatch.context() as absent:
        absent.setattr("distill.tracking.writer.Writer.wake", lambda _: None)
        tracker = Tracker(store.uri, store.experiment, store.folder)
        tracker.record(PARENT)
        time.sleep(0.25)
        tracker.record(replace(PARENT, finished=True))
    time.sleep(0.25)
    assert deliver(store).sent == 1
    info = store.runs()["quickstart"].info
    assert 250 <= info.end_time - info.start_time < 10_000
    assert info.end_time <= 1000 * time.time() - 250


def test_a_store_that_comes_back_gets_the_records(first_use, tmp_path):
    (tmp_path / "away").touch()
    tracker = Tracker(f"sqlite:///{tmp_path}/away/mlflow.db", "quickstart", tmp_path)
    tracker.record(PARENT)
    time.sleep(0.5)
    (tmp_path / "away").unlink()
    (tmp_path / "away").mkdir()
    shutil.copy(first_use[0] / "mlflow.db", tmp_path / "away")
    deadline = time.monotonic() + 20
    while not tracker.run_ids() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert tracker.run_ids().keys() == {"p0"}
    assert tracker.close() == (1, 0, "")


def test_an_outage_in_the_middle_is_tried_again(store, monkeypatch):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

    log, outages = MlflowClient.log_batch, [MlflowException("away", TEMPORARILY_UNAVAILABLE), ConnectionError("reset")]

    def sometimes(self, run_id, **content):
        if outages:
            raise outages.pop()
        log(self, run_id, **content)

    monkeypatch.setattr(MlflowClient, "log_batch", sometimes)
    monkeypatch.setattr("distill.tracking.writer._FIRST_PAUSE", 0.05)
    tracker = Tracker(store.uri, store.experiment, store.folder)
    tracker.record(student(1))
    tracker.record(PARENT)
    deadline = time.monotonic() + 30
    while len(tracker.run_ids()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert tracker.close() == (2, 0, "") and not outages
    assert store.runs()["travel/distilled/1"].data.params


def test_credentials_of_the_server_are_neither_printed_nor_stored(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        tracker = Tracker("http://ann:s3cr3t@127.0.0.1:9/", "quickstart", tmp_path)
        tracker.record(replace(PARENT, artifacts={"recipe.yaml": "uri: http://ann:s3cr3t@127.0.0.1:9/"}))
        delivery = tracker.close(timeout=60)
    assert delivery.waiting == 1 and delivery.error
    stored = [path.read_text() + path.name for path in tmp_path.rglob("*") if path.is_file()]
    shown = delivery.error + caplog.text
    assert "s3cr3t" not in "".join(stored) + "".join(map(str, tmp_path.rglob("*"))) + shown
    assert "***@127.0.0.1:9" in shown


def test_a_locked_database_delays(store):
    deliver(store, PARENT)
    lock = sqlite3.connect(store.folder / "mlflow.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    tracker = Tracker(store.uri, store.experiment, store.folder)
    began = time.monotonic()
    tracker.record(student(1))
    assert time.monotonic() - began < 1
    assert tracker.close(timeout=1) == (0, 1, "not sent within 1 s")
    lock.execute("ROLLBACK")
    assert tracker.close(timeout=60) == (1, 0, "")


def test_a_refused_record_does_not_hold_up_the_others(store, monkeypatch, caplog):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    write = MlflowClient.log_text

    def refuse(self, run_id, text, name):
        if text == "bad":
            raise MlflowException.invalid_parameter_value("http://ann:s3cr3t@host does not like it")
        write(self, run_id, text, name)

    monkeypatch.setattr(MlflowClient, "log_text", refuse)
    bad = replace(student(1), artifacts={"x.txt": "bad"})
    delivery = deliver(store, PARENT, bad, student(2))
    assert (delivery.sent, delivery.waiting) == (2, 1)
    assert "travel/distilled/1" in delivery.error and "s3cr3t" not in delivery.error + caplog.text
    monkeypatch.undo()
    assert deliver(store) == (1, 0, "")
    assert set(store.runs()) == {"quickstart", "travel/distilled/1", "travel/distilled/2"}


def test_a_deleted_database_is_filled_again(first_use, store, tmp_path_factory):
    deliver(store, PARENT, student(1))
    moved = moved_store(store, tmp_path_factory)  # MLflow keeps the old file open in this process.
    for path in moved.folder.glob("mlflow.db*"):
        path.unlink()
    assert Tracker(moved.uri, moved.experiment, moved.folder).run_ids() == {}
    shutil.copy(first_use[0] / "mlflow.db", moved.folder)
    assert deliver(moved, PARENT, student(1)) == (2, 0, "")
    assert set(moved.runs()) == {"quickstart", "travel/distilled/1"}


def test_a_lost_outbox_makes_no_second_run(store):
    deliver(store, PARENT, student(1))
    before = {name: run.info.run_id for name, run in store.runs().items()}
    shutil.rmtree(store.folder / "outbox")
    assert deliver(store, PARENT, student(1), student(2)).waiting == 0
    assert {name: run.info.run_id for name, run in store.runs().items()}.items() >= before.items()
    points = store.client.get_metric_history(before["travel/distilled/1"], "train/loss")
    assert len(points) == 2


def test_a_kill_while_runs_are_adopted_leaves_none_out(store, monkeypatch):
    deliver(store, PARENT, student(1), student(2))
    shutil.rmtree(store.folder / "outbox")
    append, keys = Journal.append, []

    def dying(self, key, run_id, content):
        if keys:
            raise SystemExit
        keys.append(key)
        append(self, key, run_id, content)

    with monkeypatch.context() as dead:
        dead.setattr(Journal, "append", dying)
        dead.setattr("threading.excepthook", lambda _: None)
        assert deliver(store, PARENT, student(1), student(2)).waiting == 3
    assert keys
    deliver(store)
    assert len(store.runs()) == 3


def test_a_moved_folder_goes_on(store, tmp_path_factory):
    deliver(store, PARENT)
    moved = moved_store(store, tmp_path_factory)
    assert Tracker(moved.uri, moved.experiment, moved.folder).run_ids().keys() == {"p0"}
    assert deliver(moved, PARENT, student(1)) == (1, 0, "")
    assert len(moved.runs()) == 2


def moved_store(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("moved") / "mlruns"
    shutil.move(store.folder, folder)
    return replace(store, folder=folder)


def test_a_deleted_run_comes_back_only_with_news(store):
    deliver(store, PARENT, student(1))
    run_id = store.runs()["travel/distilled/1"].info.run_id
    store.client.delete_run(run_id)
    deliver(store, PARENT, student(1))
    assert set(store.runs()) == {"quickstart"}
    deliver(store, replace(student(1), metrics={"ne": 0.7}))
    assert store.runs()["travel/distilled/1"].info.run_id == run_id


def test_a_deleted_experiment_comes_back(store):
    deliver(store, PARENT)
    store.client.delete_experiment(store.found.experiment_id)
    assert deliver(store, student(1)) == (1, 0, "")
    assert set(store.runs()) == {"quickstart", "travel/distilled/1"}


def test_two_trackers_at_once_send_each_record_once(store):
    trackers = [Tracker(store.uri, store.experiment, store.folder) for _ in range(2)]
    for record in (PARENT, *map(student, range(6))):
        for tracker in trackers:
            tracker.record(record)
    deliveries = [tracker.close(timeout=60) for tracker in trackers]
    assert sum(delivery.waiting for delivery in deliveries) == 0
    assert len(store.runs()) == 7


def test_experiments_do_not_mix(store):
    deliver(store, PARENT)
    other = replace(store, experiment="news")
    assert deliver(other, PARENT) == (1, 0, "")
    assert len(store.runs()) == len(other.runs()) == 1


def test_the_database_lets_readers_in(store):
    deliver(store, PARENT)
    mode = sqlite3.connect(store.folder / "mlflow.db").execute("PRAGMA journal_mode").fetchone()
    assert mode == ("wal",)


def test_the_view_is_saved(store):
    from distill.tracking.view import VIEW_TAG

    deliver(store, PARENT)
    view = json.loads(store.found.tags[VIEW_TAG])
    state = json.loads(view["state"])
    assert view["name"] == "Students"
    metrics = [column for column in state["selectedColumns"] if column.startswith("metrics.")]
    assert metrics[0] == "metrics.`ne_gain`" == state["orderByKey"]
    deliver(store, student(1), replace(student(2), tags={"distill.role": "teacher"}))
    found = store.client.search_runs(
        [store.found.experiment_id], state["searchFilter"], order_by=["metrics.`ne_gain` DESC"]
    )
    assert [run.info.run_name for run in found] == ["travel/distilled/1"]


def test_a_view_that_cannot_be_saved_costs_nothing(store, monkeypatch):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def refuse(*_):
        raise MlflowException("too long")

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    assert deliver(store, PARENT) == (1, 0, "")


def test_a_disk_that_takes_nothing_is_named(store, monkeypatch):
    tracker = Tracker(store.uri, store.experiment, store.folder)
    monkeypatch.setattr(
        "distill.files.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(StoreError, match="No space left"):
        tracker.record(PARENT)


def test_a_first_run_prints_nothing(first_use):
    assert first_use[1] == ""
