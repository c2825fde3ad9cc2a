"""Groups of real processes over gloo, forked from this one so that nothing has to be imported again."""

import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator

import pytest
import torch

from distill.distributed import Place, joined
from distill.ranks import free_port
from tests.distill.distributed.double import double_kernels  # noqa: F401

Gang = Callable[[int, Callable[[], object]], list[int]]


@pytest.fixture
def gang() -> Gang:
    """Runs something in so many processes of one group; their exit codes."""
    return run


@pytest.fixture
def doubled() -> Iterator[None]:
    """What differs by rounding alone differs by 1e-16 then, and not by 1e-7."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def run(ranks: int, work: Callable[[], object]) -> list[int]:
    context = multiprocessing.get_context("fork")
    port = free_port()
    places = [Place(rank, ranks, rank, "127.0.0.1", port) for rank in range(ranks)]
    processes = [context.Process(target=live, args=(place, work)) for place in places]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def live(place: Place, work: Callable[[], object]) -> None:
    try:
        with joined(place, "cpu"):
            work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # Not back into the tests.
