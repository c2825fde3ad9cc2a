"""Writer: the one thread that sends what waits in the outbox."""

import logging
import re
import threading
from pathlib import Path
from textwrap import shorten

from distill.tracking.address import redacted
from distill.tracking.experiment import Experiment, is_refusal
from distill.tracking.outbox import Outbox, Waiting

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Seconds between attempts while MLflow does not answer; doubled each time."""

_OUTAGE = "MLflow at %s takes no records (%s). They wait in %s, and are sent when it does, or by the next run."
_REFUSAL = "MLflow refused a record, which stays in %s: %s"

_log = logging.getLogger(__name__)


class Writer:
    """Sends records in their order, parents before children; tries again while MLflow does not answer.

    The thread starts with the first `wake`. It is a daemon: a process that ends leaves the rest in the outbox.

    Attributes:
        sent: records that MLflow has got.
        error: why the last attempt failed, or why a record was refused; empty if all is well.
    """

    def __init__(self, outbox: Outbox, uri: str, experiment: str, folder: Path) -> None:
        self.sent = 0
        self._outbox = outbox
        self._address = (uri, experiment, folder)
        self._experiment: Experiment | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tracking", daemon=True)
        self._outage = ""
        self._refused: dict[str, str] = {}

    @property
    def error(self) -> str:
        return next(iter(self._refused.values()), self._outage)

    def wake(self) -> None:
        """Something waits. Called from one thread."""
        self._wake.set()
        if self._thread.ident is None:
            self._thread.start()

    def finish(self, timeout: float) -> bool:
        """Sends what waits and ends; False if it was not done in time, and goes on."""
        self._closing.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            last = self._closing.is_set()
            self._wake.clear()
            self._attempt()
            if last:
                return
            if self._outage:
                self._closing.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._wake.wait()
                pause = _FIRST_PAUSE

    def _attempt(self) -> None:
        try:
            self._send_all()
            self._outage = ""
        except Exception as error:  # Whatever MLflow, its database or the network raise: the records stay.
            if not self._outage:
                _log.warning(_OUTAGE, redacted(self._address[0]), _reason(error), self._outbox.folder)
            self._outage = _reason(error)

    def _send_all(self) -> None:
        with self._outbox.lock():
            self._outbox.refresh()
            experiment = self._connected()
            while sum(self._send(waiting, experiment) for waiting in self._outbox.waiting()):
                pass  # Again: children whose parents have just been sent, and what came meanwhile.

    def _connected(self) -> Experiment:
        if self._experiment is None:
            experiment = Experiment(*self._address)
            if self._outbox.is_new():
                self._outbox.adopt(experiment.run_ids())
            self._experiment = experiment
        return self._experiment

    def _send(self, waiting: Waiting, experiment: Experiment) -> bool:
        """Sends one record; False if it stays, because MLflow refuses it or its parent is not there yet."""
        parent = self._outbox.run_ids().get(waiting.record.parent) if waiting.record.parent else None
        if waiting.content in self._refused or (waiting.record.parent and not parent):
            return False
        try:
            self._outbox.mark_sent(waiting, self._write(waiting, parent, experiment))
        except Exception as error:
            self._set_aside(waiting, error)
            return False
        self.sent += 1
        return True

    def _write(self, waiting: Waiting, parent: str | None, experiment: Experiment) -> str:
        """Run id of the record, once MLflow has it; created only where no run has its key."""
        key = waiting.record.key
        entry = self._outbox.entry(key)
        if entry is None:
            self._outbox.mark_on_its_way(key)
            run_id = None
        elif entry.run_id and entry.content == waiting.content:
            return entry.run_id  # Sent by a process that died, or is running, before its file was removed.
        else:
            run_id = entry.run_id or experiment.run_id(key)
        return experiment.write(waiting, run_id, parent, self._teachers(waiting))

    def _teachers(self, waiting: Waiting) -> list[str]:
        """Runs of those who taught a record's, as far as MLflow has them."""
        if not waiting.record.taught_by:
            return []
        known = self._outbox.run_ids()
        return [known[key] for key in waiting.record.taught_by if key in known]

    def _set_aside(self, waiting: Waiting, error: Exception) -> None:
        """Keeps a record that MLflow refuses from holding up the others; raises again what is not a refusal."""
        if not is_refusal(error):
            raise error
        self._refused[waiting.content] = f'"{waiting.record.name}" was refused: {_reason(error)}'
        _log.warning(
            "MLflow refused a record, which stays in %s: %s", self._outbox.folder, self._refused[waiting.content]
        )


_NOBODY = re.compile(r"host='(?P<host>[^']+)', port=(?P<port>\d+).*(Failed to establish|Connection refused)")
"""What urllib3 says where no server is."""


def _reason(error: Exception) -> str:
    """The first line of an error, without credentials; for a server that is down, that and no more."""
    lines = redacted(str(error)).strip().splitlines() or [type(error).__name__]
    if found := _NOBODY.search(lines[0]):
        return f"nothing answers at {found['host']}:{found['port']}"
    return shorten(lines[0], 300, placeholder=" ...")
