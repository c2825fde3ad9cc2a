"""MLflow's UI, on the loopback address only, and the links that open the right view."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from distill.errors import Fault, RecipeError, StoreError
from distill.tracking.address import absolute, check, database_file, is_server, redacted, require_database
from distill.tracking.view import VIEW_TAG, link

_HOST = "127.0.0.1"
_PATIENCE = 180
"""Seconds within which the server must answer; it needs 10 to 25 on a small machine."""
_GRACE = 20
"""Seconds that the server has to end, of which it needs 4."""

_LEAN = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "false",
}
"""Without the first it starts 15 processes in 3.4 GB."""


def serve(uri: str, port: int = 5000) -> None:
    """Runs MLflow's UI until it is interrupted (Ctrl-C, or a termination signal), and prints where to look.

    Only this machine can reach it. Call it from the main thread.

    Raises:
        RecipeError: the port is taken, or the address is not one of a database or server.
        StoreError: there is no database yet, or the server does not start.
    """
    check(uri)
    if is_server(uri):
        print(f"MLflow is served at {redacted(uri)}")
        return
    require_database(uri)
    _require_port(port)
    address = f"http://{_HOST}:{port}"
    with tempfile.TemporaryFile("w+") as log, _stop_signals() as stop, _server(uri, port, log) as server:
        if _answers(server, address, stop):
            print(f"MLflow is served at {address} (Ctrl-C ends it)", *_links(address), sep="\n", flush=True)
        while server.poll() is None and not stop.wait(0.5):
            pass
        if not stop.is_set():
            raise StoreError(Fault(redacted(uri), f"MLflow's server ended by itself.\n{_tail(log)}"))


def _require_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            what = f"port {port} cannot be used: {error.strerror}."
            raise RecipeError(Fault("", what, "Choose another one, for example `--port 5001`.")) from None


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that is set when we are asked to end, in place of an exception at any line."""
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in signals}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _server(uri: str, port: int, log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """MLflow's server with one worker, in a process group of its own, which ends with the block."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", _HOST, "--port", str(port), "--workers", "1"]
    command += ["--uvicorn-opts", "--log-level warning"]
    server = subprocess.Popen(
        command, env=_surroundings(uri), stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield server
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(_GRACE)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _surroundings(uri: str) -> dict[str, str]:
    """The address goes by the environment: a command line, and the password in it, can be read by every user."""
    database = database_file(uri)
    artifacts = {"MLFLOW_ARTIFACTS_DESTINATION": str(database.parent / "artifacts")} if database else {}
    return {**os.environ, **_LEAN, **artifacts, "MLFLOW_BACKEND_STORE_URI": absolute(uri)}


def _answers(server: subprocess.Popen[str], address: str, stop: threading.Event) -> bool:
    """Waits until the server answers; False if it has ended, or was told to."""
    deadline = time.monotonic() + _PATIENCE
    while server.poll() is None and not stop.wait(0.3):
        with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
            return True
        if time.monotonic() > deadline:
            raise StoreError(Fault(address, f"MLflow's server has not answered within {_PATIENCE} s."))
    return False


def _links(address: str) -> list[str]:
    """A line for each experiment of ours, the latest first."""
    question = json.dumps({"max_results": 1000, "order_by": ["last_update_time DESC"]}).encode()
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/experiments/search", question, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            experiments = json.load(answer).get("experiments", [])
    except OSError:
        return []
    return [f"  {found['name']}: {link(address, found['experiment_id'])}" for found in experiments if _has_view(found)]


def _has_view(experiment: dict[str, Any]) -> bool:
    return any(tag["key"] == VIEW_TAG for tag in experiment.get("tags", []))


def _tail(log: IO[str]) -> str:
    log.seek(0)
    return redacted("".join(log.readlines()[-12:])).rstrip()
