"""Experiment: the one module that talks to MLflow, and the one that imports it."""

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import NamedTuple

from distill.tracking.address import absolute, database_file, is_server
from distill.tracking.journal import locked
from distill.tracking.lineage import Lineage
from distill.tracking.outbox import Waiting
from distill.tracking.record import KEY_TAG, RunRecord
from distill.tracking.view import VIEW_TAG, view

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""No telemetry, no chatter; and no retries below ours, which would create a run twice when an answer is lost."""

_PAGE = 1000


class _Run(NamedTuple):
    """A run, and what MLflow has of it."""

    id: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    fresh: bool


class Experiment:
    """An MLflow experiment, created with its database where it does not exist; one thread writes to it.

    Every call may raise what MLflow raises.
    """

    def __init__(self, uri: str, name: str, folder: Path) -> None:
        quieten()
        from mlflow import MlflowClient

        database = database_file(uri)
        with locked(database.with_name(f"{database.name}.lock")) if database else nullcontext():
            if database:
                _make(database)
                _let_readers_in(database)
            self._client = MlflowClient(absolute(uri))
            self.id = self._found(name) or self._client.create_experiment(name, _artifacts(uri, folder))
        self._lineage = Lineage(self._client, self.id)
        self._save_view()

    def run_id(self, key: str) -> str | None:
        """The run with this key, deleted ones among them."""
        runs = self._search(f"tags.`{KEY_TAG}` = '{key}'")
        return next((run_id for _, run_id in runs), None)

    def run_ids(self) -> dict[str, str]:
        """Key -> run id, of all runs that have a key, deleted ones among them."""
        return dict(self._search(""))

    def write(self, waiting: Waiting, run_id: str | None, parent: str | None, teachers: Sequence[str] = ()) -> str:
        """Brings a run to what the record says, in one batch; creates it where there is none.

        Writing the same again, whole or after half of it, changes nothing: the times of its points come with it.

        Args:
            waiting: what to say of the run.
            run_id: the run, where MLflow may have it.
            parent: run id of its parent.
            teachers: run ids of those whose models it learned from.

        Returns:
            Its run id.
        """
        record = waiting.record
        run = (self._opened(run_id) if run_id else None) or self._created(waiting, parent)
        if not run.fresh and run.tags.get("mlflow.runName") != record.name:
            self._client.update_run(run.id, name=record.name)
        self._log(record, run, waiting.at)
        self._name_data(record, run)
        if record.model:
            self._lineage.make(record.model, run.id, record.tags)
        self._lineage.link(run.id, teachers, run.fresh)
        for name, text in record.artifacts.items():
            self._client.log_text(run.id, text, name)
        if record.finished:
            self._client.set_terminated(run.id, record.status, waiting.at)
        elif not run.fresh:
            self._client.update_run(run.id, "RUNNING")
        return run.id

    def _found(self, name: str) -> str | None:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return None
        if experiment.lifecycle_stage == "deleted":
            self._client.restore_experiment(experiment.experiment_id)
        return experiment.experiment_id

    def _created(self, waiting: Waiting, parent: str | None) -> _Run:
        tags = {KEY_TAG: waiting.record.key} | ({"mlflow.parentRunId": parent} if parent else {})
        run = self._client.create_run(self.id, waiting.since, tags, waiting.record.name)
        return _Run(run.info.run_id, {}, {}, {}, fresh=True)

    def _opened(self, run_id: str) -> _Run | None:
        """The run as MLflow has it, restored if it was deleted; None if it is gone."""
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        if run.info.lifecycle_stage == "deleted":
            self._client.restore_run(run_id)
        return _Run(run_id, run.data.metrics, run.data.params, run.data.tags, fresh=False)

    def _log(self, record: RunRecord, run: _Run, milliseconds: int) -> None:
        """One batch with all that MLflow lacks. The client splits it where it is over a limit."""
        from mlflow.entities import Metric, Param, RunTag

        tags = {**record.tags, "mlflow.note.content": record.note} if record.note else record.tags
        points = [(name, 0, value) for name, value in record.metrics.items() if run.metrics.get(name) != value]
        points += self._missing_points(record, run)
        self._client.log_batch(
            run.id,
            metrics=[Metric(name, value, milliseconds, step) for name, step, value in points],
            params=[Param(name, value) for name, value in record.params.items() if name not in run.params],
            tags=[RunTag(name, value) for name, value in tags.items() if run.tags.get(name) != value],
        )

    def _name_data(self, record: RunRecord, run: _Run) -> None:
        """Names what a run was trained on, by fingerprint alone: MLflow reads no data. Twice is once."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        tags = [InputTag("mlflow.data.context", "train")]
        named = [Dataset(name, digest[:36], "code", "{}") for name, digest in record.datasets.items()]
        if named:
            self._client.log_inputs(run.id, [DatasetInput(one, tags) for one in named])

    def _missing_points(self, record: RunRecord, run: _Run) -> Iterator[tuple[str, int, float]]:
        for name, points in record.curves.items():
            history = [] if run.fresh else self._client.get_metric_history(run.id, name)
            present = {(point.step, point.value) for point in history}
            yield from ((name, step, value) for step, value in points if (step, value) not in present)

    def _search(self, condition: str) -> Iterator[tuple[str, str]]:
        """Key and run id of each run that has a key, newest first."""
        from mlflow.entities import ViewType

        token = None
        while True:
            page = self._client.search_runs([self.id], condition, ViewType.ALL, _PAGE, page_token=token)
            yield from ((run.data.tags[KEY_TAG], run.info.run_id) for run in page if KEY_TAG in run.data.tags)
            token = page.token
            if not token:
                return

    def _save_view(self) -> None:
        """Leaves the view that the links of `serve` open; without it the runs are as good, and less well laid out."""
        from mlflow.exceptions import MlflowException

        try:
            tags = self._client.get_experiment(self.id).tags
            if tags.get(VIEW_TAG) != view():
                self._client.set_experiment_tag(self.id, VIEW_TAG, view())
        except MlflowException:
            logging.getLogger(__name__).debug("the view was not saved", exc_info=True)


def is_refusal(error: Exception) -> bool:
    """Whether MLflow was there, and would not have this record, so that trying again is of no use."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.get_http_status_code() == 400


def quieten() -> None:
    """Makes mlflow silent, before it is first imported; what the user has set stays."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())


def _artifacts(uri: str, folder: Path) -> str | None:
    """Where artifacts go. A server knows; MLflow's own choice for a database would be the current folder."""
    if is_server(uri):
        return None
    return ((database_file(uri) or folder.absolute() / "_").parent / "artifacts").as_uri()


def _make(database: Path) -> None:
    """Makes a database that is there at once: with half of its tables, as a kill leaves them, MLflow never goes on."""
    from mlflow import MlflowClient

    if database.exists() and database.stat().st_size:
        return
    draft = database.with_name(f"{database.name}.draft")
    for left in (draft, draft.with_name(f"{draft.name}-journal")):  # A journal would be played back into the new one.
        left.unlink(missing_ok=True)
    MlflowClient(f"sqlite:///{draft}")
    draft.replace(database)


def _let_readers_in(database: Path) -> None:
    """Write-ahead logging: nobody who reads holds up the writer. The file remembers it."""
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
