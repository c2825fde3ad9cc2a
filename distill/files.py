"""Files that are there whole or not at all, whenever the process dies."""

import errno
import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distill.errors import Fault, RecipeError, StoreError, nearest


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text())


def write_json(path: Path, content: Any) -> None:
    """Replaces a JSON file atomically; it is on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    with open(draft, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A draft to fill, which becomes `target` by one rename when the block ends well, and vanishes when it does not.

    Whoever comes second finds `target` there and lets go of its own draft: equal names mean equal contents.

    Raises:
        StoreError: nothing can be made in its place.
    """
    _sweep(target)
    draft = target.with_name(f"{target.name}.{os.getpid()}.draft")
    with making(target):
        draft.mkdir(parents=True)
    try:
        yield draft
        if not target.exists():
            draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def making(path: Path) -> Iterator[None]:
    """Why a file or folder cannot be made, in one sentence; of a full disk the command line has one already.

    Raises:
        StoreError: it cannot be made where it is meant to be.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        what = f"cannot be made: {error.strerror or error}."
        raise StoreError(Fault(str(path), what, "Name another place.")) from None


def refuse_parquet(path: Path) -> None:
    """A file that is to be written must not be there, since nobody's rows are overwritten, and be named as Parquet is.

    Raises:
        RecipeError: it is there, or has another name.
    """
    if path.is_dir():
        raise RecipeError(Fault(str(path), "is a folder.", f"Name a file, such as {path / 'rows.parquet'}."))
    if path.suffix.lower() != ".parquet":
        raise RecipeError(Fault(str(path), "is not named as Parquet is.", f"Such as {path.with_suffix('.parquet')}."))
    if path.exists():
        raise RecipeError(Fault(str(path), "is there already.", "Give another name, or remove it."))


def absent(path: Path, remedy: str) -> Fault:
    """That there is no such file or folder, and which one beside it was probably meant; `remedy` where none is near."""
    if not path.parent.is_dir():
        return Fault(str(path), f"does not exist, nor does the folder {path.parent}.", remedy)
    near = nearest(path.name, [entry.name for entry in path.parent.iterdir()])
    return Fault(str(path), "does not exist.", f'Did you mean "{path.parent / near}"?' if near else remedy)


def discard(folder: Path) -> None:
    """Removes a folder; whoever looks for it finds it whole or not at all."""
    gone = folder.with_name(".gone")
    gone.mkdir(exist_ok=True)
    folder.rename(gone / f"{folder.name}.{os.getpid()}")
    shutil.rmtree(gone, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Removes the drafts of `target` whose process is dead, or was an earlier one with our number."""
    for draft in target.parent.glob(f"{glob.escape(target.name)}.*.draft"):
        process = int(draft.name.split(".")[-2])
        if process == os.getpid() or not _alive(process):
            shutil.rmtree(draft, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # It is there, and somebody else's.
        return True
    return True


def reserve(path: Path) -> None:
    """Gives a file of holes its blocks: a write into a hole of a full disk would kill the process without a word.

    Raises:
        StoreError: there is no room.
    """
    with open(path, "r+b") as file:
        size = path.stat().st_size
        try:
            os.posix_fallocate(file.fileno(), 0, max(1, size))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                return  # A file system without this call; a full disk is then found out when it happens.
            remedy = "Free some space; the same command goes on from what is done."
            raise StoreError(Fault(str(path), f"the disk has no room for {size / 2**20:.0f} MiB.", remedy)) from None
