"""Tracker: takes records from the training path."""

from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from distill.tracking.address import check
from distill.tracking.outbox import Outbox
from distill.tracking.record import RunRecord
from distill.tracking.writer import Writer


class Delivery(NamedTuple):
    """What a tracker has done.

    Attributes:
        sent: records that MLflow has got from it.
        waiting: records that are still in the outbox, for the next tracker.
        error: why some wait; empty if none do.
    """

    sent: int
    waiting: int
    error: str


class Tracker:
    """Records runs in MLflow. A server that is down delays them and loses nothing.

    Records from an earlier process that still wait are sent first. mlflow is imported only if something is to be sent.

    Args:
        uri: a sqlite file (relative to the current folder), another database, or an MLflow server.
        experiment: name of the experiment; created where it does not exist.
        folder: the outbox goes below it.

    Raises:
        RecipeError: nothing lasting can be written under this address.

    Example:
        with Tracker("sqlite:///mlruns/mlflow.db", "quickstart", Path("mlruns")) as tracker:
            tracker.record(RunRecord(key="3f2a", parent=None, name="travel/distilled/0", metrics={"ne": 0.91}))
    """

    def __init__(self, uri: str, experiment: str, folder: Path) -> None:
        check(uri)
        self._outbox = Outbox(folder, uri, experiment)
        self._writer = Writer(self._outbox, uri, experiment, folder)
        if len(self._outbox):
            self._writer.wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close(timeout=120 if kind is None else 5)

    def record(self, run: RunRecord) -> None:
        """Writes a record to the outbox and returns; the writer sends it.

        The same key again with the same content does nothing; with other content it updates the run, except for
        parameters that MLflow already has.

        Raises:
            StoreError: the disk does not take it.
        """
        if self._outbox.put(run):
            self._writer.wake()

    def run_ids(self) -> dict[str, str]:
        """Key -> MLflow's run id, of every record that has been sent, now or by an earlier tracker."""
        return self._outbox.run_ids()

    def close(self, timeout: float = 120) -> Delivery:
        """Sends what waits, for at most `timeout` seconds, and says how it went."""
        in_time = self._writer.finish(timeout)
        waiting = len(self._outbox)
        late = "" if in_time else f"not sent within {timeout:g} s"
        reason = self._writer.error or late or "the record of their parent is missing"
        return Delivery(self._writer.sent, waiting, reason if waiting else "")


class Untracked:
    """Takes records as a tracker does, and keeps none: for runs that nobody wants to look at in MLflow."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def record(self, run: RunRecord) -> None:
        """Does nothing."""

    def run_ids(self) -> dict[str, str]:
        """Nothing has an id."""
        return {}

    def close(self, timeout: float = 0) -> Delivery:
        """Nothing waits."""
        return Delivery(0, 0, "")


def open_tracker(uri: str | None, experiment: str, folder: Path) -> Tracker | Untracked:
    """A tracker for an address; where there is none, nothing is recorded."""
    return Untracked() if uri is None else Tracker(uri, experiment, folder)
