"""What every test stands on: one thread, fixed seeds, and the folder of outside data where there is one."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # Before torch is imported: with more, small tests wait for threads.

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import first_calls
import numpy as np
import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)

settings.register_profile("shared", deadline=None)  # On a busy machine time says nothing about the code.
settings.load_profile("shared")

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    first_calls.begin()  # Ahead of all fixtures.


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers in every test, whichever ran before."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C means the same in every test. Lightning tells the process to ignore it once a training was interrupted,
    and a shell does so for what it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of outside data: $DISTILL_SHARED, or the folder `shared` beside the checkout."""
    folder = Path(os.environ.get("DISTILL_SHARED", CHECKOUT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"there are no outside data at {folder}; name their folder in DISTILL_SHARED")
    return folder / "data"
