"""`distill doctor`: whether the installation, the machine and the store are sound."""

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from distill.cli import arguments
from distill.cli.tables import emit, silence

LITTLE = 2 * 2**30
"""Free bytes below which a run may not find room."""


def doctor(
    recipe: arguments.PerhapsRecipe = None, overrides: arguments.Overrides = None, json: arguments.Json = None
) -> None:
    """Check versions, devices and the health of the store."""
    with silence():
        table = examine(*_places(recipe, overrides))
    emit(table, json)
    if table["problems"]:
        raise typer.Exit(2)
    if json != "-":
        print("sound")


def examine(store: Path, uri: str) -> dict[str, Any]:
    """Everything the doctor looks at; `problems` is empty where all is well."""
    table = {
        "python": platform.python_version(),
        "packages": list(packages()),
        "optional": optional(),
        "machine": machine(),
        "store": folder(store),
        "database": database(uri),
    }
    return {**table, "problems": list(_problems(table))}


def packages() -> Iterator[dict[str, Any]]:
    """The packages that we depend on: installed version, and the range that is known to be good."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(text) for text in importlib.metadata.requires("distill") or []]
    except importlib.metadata.PackageNotFoundError:
        return
    for needed in (one for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})):
        version = _version(needed.name)
        wanted = ",".join(sorted(map(str, needed.specifier), reverse=True))
        good = version is not None and needed.specifier.contains(version, prereleases=True)
        yield {"package": needed.name, "version": version, "range": wanted, "good": good}


def optional() -> list[dict[str, Any]]:
    """What some settings need and is no extra of ours: the version that is there, and how to get one."""
    from distill.distributed.torchrec_tables import INSTALL

    several = ("fbgemm-gpu-cpu", "fbgemm-gpu")
    wanted = {
        "torchrec": ("trainer.tables=torchrec", _version("torchrec"), INSTALL),
        "fbgemm": ("trainer.tables=torchrec", next(filter(None, map(_version, several)), None), INSTALL),
        "torchao": ("teacher.train.fp8 on an accelerator", _version("torchao"), "pip install torchao==0.18.0"),
    }
    return [
        {"package": name, "version": version, "for": setting, "install": None if version else install}
        for name, (setting, version, install) in wanted.items()
    ]


def machine() -> dict[str, Any]:
    """Processors that this process may use, torch's threads, and devices."""
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    several = [f"{found.type}:{index}" for index in range(torch.accelerator.device_count())] if found else []
    return {
        "processors": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "devices": ["cpu", *several],
    }


def folder(store: Path) -> dict[str, Any]:
    """Whether the store can be written, and the room beside it."""
    there = next(parent for parent in (store.absolute(), *store.absolute().parents) if parent.is_dir())
    try:
        with tempfile.TemporaryFile(dir=there):
            writable = True
    except OSError:
        writable = False
    free = shutil.disk_usage(there).free
    return {"folder": str(store), "writable": writable, "free_bytes": free, "damaged": rotten(store)}


def rotten(store: Path) -> list[str]:
    """Folders of encoded impressions that a disk has damaged; every byte of them is read."""
    from distill.data.sealed import damaged

    return [str(folder) for folder in damaged(store / "store" / "data")]


def database(uri: str) -> dict[str, Any]:
    """What sqlite says of the tracking database; servers and other databases are not asked."""
    from distill.tracking import redacted
    from distill.tracking.address import database_file

    file = database_file(uri)
    if file is None:
        return {"uri": redacted(uri), "state": "not examined"}
    if not file.exists():
        return {"uri": uri, "state": "not there yet"}
    try:
        with sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True) as connection:
            return {"uri": uri, "state": str(connection.execute("PRAGMA quick_check").fetchone()[0])}
    except sqlite3.Error as error:
        return {"uri": uri, "state": str(error)}


def _places(recipe: Path | None, overrides: list[str] | None) -> tuple[Path, str]:
    """The store and the tracking address of a recipe, or the default ones."""
    from distill.recipe import Recipe, load
    from distill.recipe.outcome import Tracking

    if recipe is None:
        return Recipe.model_fields["store"].default, Tracking().uri
    loaded = load(recipe, overrides or ())
    return loaded.store, loaded.tracking.uri


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _problems(table: dict[str, Any]) -> Iterator[str]:
    if not table["packages"]:
        yield "distill itself is not installed, so its versions cannot be checked: pip install -e ."
    for row in table["packages"]:
        if not row["good"]:
            found = f"is {row['version']}" if row["version"] else "is missing"
            yield f"{row['package']} {found}; known to work: {row['range']}"
    store = table["store"]
    if not store["writable"]:
        yield f"{store['folder']} cannot be written"
    if store["free_bytes"] < LITTLE:
        yield f"{store['folder']} has only {store['free_bytes'] / 2**30:.1f} GiB of room"
    for name in store["damaged"]:
        yield f"{name} is damaged: delete it, the next run makes it again"
    if table["database"]["state"] not in ("ok", "not there yet", "not examined"):
        yield f"the tracking database is damaged: {table['database']['state']}"
