"""A headless browser for tests: Chromium over its debugging pipe, with nothing but the standard library."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The browser of this machine, or None."""


PLACED = (
    "import fcntl, os, sys; pipes = [fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3]];"
    "[os.dup2(one, place) for place, one in enumerate(pipes, 3)]; os.execv(sys.argv[3], sys.argv[3:])"
)
"""Puts the pipes where the browser looks for them, as files 3 and 4, and becomes it."""


class Page:
    """One tab."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write, self._numbers, self._left = read, write, itertools.count(1), b""
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]

    def open(self, url: str, width: int = 1500, height: int = 900, dark: bool = False) -> None:
        """Goes to an address, in a window of that size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", {"features": scheme})
        self.call("Page.navigate", {"url": url})

    def evaluate(self, script: str) -> Any:
        """The value of an expression on the page."""
        found = self.call("Runtime.evaluate", {"expression": script, "returnByValue": True})
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """The value of an expression as soon as it is true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = self.evaluate(script)
            if value:
                return value
            time.sleep(0.3)
        raise TimeoutError(f"{script}; the page says: {self.evaluate('document.body.innerText.slice(0, 600)')}")

    def picture(self, file: Path) -> None:
        """Writes what is to be seen."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", {"format": "png"})["data"]))

    def call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """One command to the tab."""
        return self._call(method, arguments, {"sessionId": self._session})

    def _call(self, method: str, arguments: dict[str, Any], where: dict[str, str] | None = None) -> dict[str, Any]:
        number = next(self._numbers)
        said = json.dumps({"id": number, "method": method, "params": arguments, **(where or {})})
        os.write(self._write, said.encode() + b"\0")
        while True:
            message = json.loads(self._message())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(message["error"]["message"])
                return message["result"]

    def _message(self) -> bytes:
        while b"\0" not in self._left:
            found = os.read(self._read, 1 << 20)
            if not found:
                raise RuntimeError("the browser has ended")
            self._left += found
        message, _, self._left = self._left.partition(b"\0")
        return message


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A browser with a fresh profile, which ends with the block."""
    (their_read, our_write), (our_read, their_write) = os.pipe(), os.pipe()
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
    command += [f"--user-data-dir={profile}", "about:blank"]
    placed = [sys.executable, "-c", PLACED, str(their_read), str(their_write), *command]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(placed, pass_fds=(their_read, their_write), **quiet)
    os.close(their_read), os.close(their_write)
    try:
        yield Page(our_read, our_write)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(our_write), os.close(our_read)
