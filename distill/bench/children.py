"""Children: whole processes, and what they cost."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""}
"""One thread, lines that arrive when they are written, and compiled modules kept, as Python does by default."""


def command(module: str, *arguments: str | Path) -> list[str]:
    """A module run as a program, by the interpreter that runs us."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def ended(words: Sequence[str], folder: Path) -> None:
    """Runs a program in a folder until it ends; what it says is shown only if it fails."""
    said = subprocess.run(words, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if said.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {said.returncode}:\n{said.stderr or said.stdout}")
