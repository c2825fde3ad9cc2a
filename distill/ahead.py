"""Ahead: the next batch made by a thread while a step runs on an accelerator."""

from collections.abc import Collection, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch.utils._pytree import tree_map_only

from distill.types import Batch


class Ahead:
    """The same batches in the same order, each made while the one before is used.

    An accelerator works while the processor gathers, and torch's gathers let go of Python's lock. On a processor with a
    process a core there is nobody who could do it meanwhile. What goes wrong in the thread is raised where the
    batch was wanted. The thread ends with the last batch, or when this is closed.

    Args:
        batches: made in the thread, and only there.
        pinned: whether they are put where a device can fetch them by itself.
    """

    def __init__(self, batches: Collection[Batch], *, pinned: bool = False) -> None:
        self.batches, self.pinned = batches, pinned
        self._runs: list[Generator[Batch]] = []

    def __iter__(self) -> Iterator[Batch]:
        """Starts from the beginning; the thread starts when the first batch is asked for."""
        self._runs.append(self._run())
        return self._runs[-1]

    def __len__(self) -> int:
        """Number of batches."""
        return len(self.batches)

    def close(self) -> None:
        """Ends the thread, once it is done with the batch it is at."""
        for run in self._runs:
            run.close()

    def _run(self) -> Generator[Batch]:
        made = map(self._placed, self.batches)
        with ThreadPoolExecutor(1, "feed") as thread:
            coming = thread.submit(next, made, None)
            while (batch := coming.result()) is not None:
                coming = thread.submit(next, made, None)
                yield batch

    def _placed(self, batch: Batch) -> Batch:
        return tree_map_only(torch.Tensor, torch.Tensor.pin_memory, batch) if self.pinned else batch
