"""Store: the folder of everything that is computed once and found again."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.errors import Fault, StoreError
from distill.knowledge import KnowledgeStore


class Store:
    """Where each kind of result lies below the recipe's `store` folder.

    Args:
        root: the folder; made if it is not there.

    Raises:
        StoreError: it cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root / "store"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                Fault(str(self.root), f"cannot be made: {error.strerror}.", "Give store=FOLDER.")
            ) from None
        self.data = self.root / "data"
        self.cohorts = self.root / "cohorts"
        self.stopping = self.root / "stopping"
        self.tables = self.root / "tables"
        self.latest = self.root / "latest"
        self.programs = self.root / "programs"
        self.knowledge = KnowledgeStore(self.root / "knowledge")

    @contextmanager
    def alone(self, wait: Callable[[], None]) -> Iterator[None]:
        """Keeps other runs out of this store while one trains, since both would write the same things.

        Args:
            wait: called once if another run is at work, before waiting for it.
        """
        with open(self.root / "lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                wait()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
