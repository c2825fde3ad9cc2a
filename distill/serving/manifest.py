"""The manifest of an exported student: what it is, where it comes from, and the hash of each of its files.

A folder is trusted no further than it can be checked. Files have fixed names, so that no name leads out of the folder;
links are refused; each file is read once, its hash compared, and what was hashed is what is used. Nothing is unpickled.
"""

import hashlib
import json
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from distill.data.preprocessing import Preprocessing
from distill.errors import ExportError, Fault
from distill.files import write_json
from distill.inputs import HISTORY, NAME
from distill.types import FeatureSchema, Settings

MANIFEST = "manifest.json"
WEIGHTS, VOCABULARY, REPORT = "weights.safetensors", "vocabulary.json", "report.json"
CACHES = {NAME: ("users.json", "vectors.safetensors"), HISTORY: ("history-users.json", "history.safetensors")}
"""The cache of each of the teacher's vectors: whose they are, and the vectors."""

Format = Literal["safetensors", "torch-export", "onnx", "int8-tables", "int8", "native"]
"""How a student is run: as a module of this package, as a program of torch, by ONNX Runtime (whose tables, or tables
and linear layers, may be in eight bits), or as machine code that torch has compiled."""

MODELS: dict[Format, str] = {
    "safetensors": WEIGHTS,
    "torch-export": "model.pt2",
    "onnx": "model.onnx",
    "int8-tables": "model.int8-tables.onnx",
    "int8": "model.int8.onnx",
    "native": "model.native.pt2",
}
"""The file that each format is run from."""

ROUNDED: tuple[Format, ...] = ("int8-tables", "int8")
"""Formats that say a little less than their student."""

FileName = Literal[
    "weights.safetensors",
    "vocabulary.json",
    "report.json",
    "users.json",
    "vectors.safetensors",
    "history-users.json",
    "history.safetensors",
    "model.pt2",
    "model.onnx",
    "model.int8-tables.onnx",
    "model.int8.onnx",
    "model.native.pt2",
]


class Content(Settings):
    """What a file holds."""

    bytes: int = Field(ge=0)
    """Its size."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Its hash."""


class Lineage(Settings):
    """Where a student comes from."""

    recipe: str
    """Name of the recipe."""
    fingerprint: str
    """Fingerprint of its leaderboard: of the recipe and the data."""
    member: str
    """Vertical, arm and seed."""
    student: str
    """Fingerprint of the member."""
    vertical: str
    """Whose impressions it scores."""
    domain: str | None
    """Of the vertical."""
    arm: str
    """`distilled` or `control`."""
    fell_back: bool = False
    """Whether the recipe's fallback put its control in its place; the weights are then the control's."""
    teacher: str
    """Who taught it, or its twin."""
    knowledge: str
    """Fingerprint of the knowledge."""
    knowledge_kind: str
    """How that was scored."""
    data: str
    """Fingerprint of the impressions."""


class Manifest(Settings):
    """Everything about an exported student that is no tensor and no vocabulary."""

    format: Literal[1] = 1
    """Goes up when older versions could not read it."""
    model: str
    """Class path, resolved in the packages that recipes may name and nowhere else."""
    config: dict[str, Any]
    """Its settings."""
    features: FeatureSchema
    """What it sees."""
    correction: float
    """Added to its log-odds, where it learnt from a share of the negatives only."""
    preprocessing: Preprocessing
    """How raw columns become what it sees."""
    lineage: Lineage
    """Where it comes from."""
    files: dict[FileName, Content] = Field(default_factory=dict)
    """What lies beside it."""


class Checked(NamedTuple):
    """An export that is as it was made.

    Attributes:
        manifest: what it says of itself.
        files: content of each file.
        size: bytes of all files.
    """

    manifest: Manifest
    files: dict[str, bytes]
    size: int


def seal(folder: Path, manifest: Manifest) -> None:
    """Writes the manifest beside the files of a folder, with their hashes and its own."""
    known = (*MODELS.values(), VOCABULARY, REPORT, *chain.from_iterable(CACHES.values()))
    names = [name for name in known if (folder / name).exists()]
    files = {name: _content((folder / name).read_bytes()) for name in names}
    said = manifest.model_copy(update={"files": files}).model_dump(mode="json")
    write_json(folder / MANIFEST, said | {"sha256": _own(said)})


def checked(folder: Path) -> Checked:
    """The manifest and the files of an export.

    Raises:
        ExportError: it is no export, or not as it was made; one sentence says what is wrong.
    """
    raw = _read(folder, MANIFEST)
    try:
        said = json.loads(raw)
        own = said.pop("sha256")
        manifest = Manifest.model_validate(said)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise refusal(folder / MANIFEST, _why(error)) from None
    if own != _own(said):
        raise refusal(folder / MANIFEST, "does not have the hash that it states")
    files = {name: _whole(folder, name, content) for name, content in manifest.files.items()}
    return Checked(manifest, files, len(raw) + sum(map(len, files.values())))


def _whole(folder: Path, name: str, content: Content) -> bytes:
    raw = _read(folder, name)
    if len(raw) != content.bytes:
        raise refusal(folder / name, f"has {len(raw):,} bytes, where {content.bytes:,} were written")
    if _content(raw) != content:
        raise refusal(folder / name, "does not have the hash that the manifest states")
    return raw


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink():
        raise refusal(path, "is a link")
    try:
        return path.read_bytes()
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}") from None


def refusal(path: Path, what: str) -> ExportError:
    """What is raised where a file of an export is not as it was made; `what` has no full stop."""
    return ExportError(Fault(str(path), f"{what}.", "Export the student again."))


def _why(error: Exception) -> str:
    """What is wrong with a manifest, in a few words."""
    return wrong_setting(error) if isinstance(error, ValidationError) else "is no manifest of an exported student"


def wrong_setting(error: ValidationError) -> str:
    """The first setting that is not what it may be, and what it may be."""
    first = error.errors()[0]
    place, what = ".".join(map(str, first["loc"])), first["msg"]
    if place.endswith(".[key]"):
        return f"{first['loc'][0]} names `{first['loc'][1]}`, and no export has such a file"
    if first["type"] == "missing":
        return f"has no `{place}`"
    if first["type"] == "extra_forbidden":
        return f"has `{place}`, which is no setting of it"
    if what.startswith("Input should be"):
        return f"`{place}` {what.removeprefix('Input ')}"
    return f"{place}: {what.removeprefix('Value error, ')}".removeprefix(": ").rstrip(".")


def _content(raw: bytes) -> Content:
    return Content(bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())


def _own(said: dict[str, Any]) -> str:
    """The hash of everything else that a manifest says."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
