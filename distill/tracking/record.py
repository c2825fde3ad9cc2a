"""RunRecord: everything that MLflow is told about one run, at once, in the form in which it takes it."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from distill.tracking.address import redacted

KEY_TAG = "distill.key"
"""Tag by which a run is found again in MLflow."""

LONGEST_PARAM, LONGEST_TAG = 6000, 8000
"""Characters that MLflow keeps of a value."""

LONGEST_NAME = 240
"""Characters of a name; MLflow allows 250, of which the last ten tell equal names apart."""

_CUT = "\n...\n"

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class RunRecord:
    """One run: a recipe, a teacher, or a student in one arm.

    Attributes:
        key: unique and stable; recording it again updates the run. No quotes, no line breaks.
        parent: key of the record whose child it is.
        name: what the run list shows, such as `travel/distilled/0`.
        tags: what runs are filtered by.
        params: settings; MLflow never changes one that it has.
        metrics: final numbers; those that do not exist (None, NaN, infinite) are left out.
        curves: metric -> (step, value) of each point.
        artifacts: file name, perhaps with folders -> text.
        datasets: name -> fingerprint of the data that it was trained on.
        model: name of the model that it made and others learned from; empty where there is none.
        taught_by: keys of the records whose models it learned from, recorded before it.
        note: Markdown, shown on the run's page.
        finished: False while the run goes on.
        status: how it ended, `FINISHED` or `FAILED`.
    """

    key: str
    parent: str | None
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    taught_by: Sequence[str] = ()
    note: str = ""
    finished: bool = True
    status: str = "FINISHED"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^'\"`\r\n]{1,250}", self.key):
            raise ValueError(f"key {self.key!r} is empty, long, or has a quote or a line break")
        if self.status not in ("FINISHED", "FAILED"):
            raise ValueError(f"status {self.status!r} is neither FINISHED nor FAILED")
        for name in self.artifacts:
            if not _inside(name):
                raise ValueError(f"artifact {name!r} would lie outside its run")


def fingerprint(record: RunRecord) -> str:
    """A hash of the record's content."""
    return hashlib.sha256(json.dumps(asdict(record), sort_keys=True).encode()).hexdigest()


def from_json(content: dict[str, Any]) -> RunRecord:
    """The record that `dataclasses.asdict` and JSON have taken apart."""
    curves = {name: [(step, value) for step, value in points] for name, points in content["curves"].items()}
    return RunRecord(**{**content, "curves": curves, "taught_by": tuple(content.get("taught_by", ()))})


def cleaned(record: RunRecord) -> RunRecord:
    """The record as it is stored and sent: names and lengths that MLflow takes, numbers that exist, no credentials."""
    numbers = valid_names([*record.metrics, *record.curves])
    return replace(
        record,
        name=shortened(redacted(record.name), LONGEST_NAME) or record.key,
        tags=_texts(record.tags, LONGEST_TAG),
        params=_texts(record.params, LONGEST_PARAM),
        metrics={numbers[name]: float(value) for name, value in record.metrics.items() if _exists(value)},
        curves={numbers[name]: _points(points) for name, points in record.curves.items()},
        artifacts={name: redacted(text) for name, text in record.artifacts.items()},
        model=re.sub(r"[^A-Za-z0-9_-]+", "-", redacted(record.model))[:LONGEST_NAME],
        note=shortened(redacted(record.note), LONGEST_TAG),
    )


def valid_names(names: Iterable[str]) -> dict[str, str]:
    """Name -> the name that MLflow allows: letters, digits, `_ . - /` and space; a different one for each.

    >>> valid_names(["ne", "recall@10", "recall_10", "a//b"])
    {'ne': 'ne', 'recall_10': 'recall_10', 'recall@10': 'recall_10_2', 'a//b': 'a/b'}
    """
    given = list(dict.fromkeys(names))
    allowed = {name: _allowed(name) for name in given}
    chosen: dict[str, str] = {}
    for name in sorted(given, key=lambda name: allowed[name] != name):
        candidate, copies = allowed[name], 1
        while candidate in chosen.values():
            copies += 1
            candidate = f"{allowed[name]}_{copies}"
        chosen[name] = candidate
    return chosen


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning and its end where it has more than `limit` characters; whole lines if it has lines."""
    if len(text) <= limit:
        return text
    room = limit - len(_CUT)
    head, tail = text[: room - room // 3], text[-(room // 3) :]
    if "\n" in head and "\n" in tail:
        head, tail = head.rpartition("\n")[0], tail.partition("\n")[2]
    return head + _CUT + tail


def _allowed(name: str) -> str:
    characters = re.sub(r"[^A-Za-z0-9_./ -]", "_", name)
    segments = ["_" if segment == ".." else segment for segment in characters.split("/") if segment not in ("", ".")]
    whole = re.sub(r"^\.\.", "__", "/".join(segments)) or "_"
    half = (LONGEST_NAME - len("...")) // 2
    return whole if len(whole) <= LONGEST_NAME else f"{whole[:half]}...{whole[-half:]}"


def _texts(values: Mapping[str, Scalar], limit: int) -> dict[str, str]:
    names = valid_names(values)
    return {names[name]: shortened(redacted(_text(value)), limit) for name, value in values.items()}


def _text(value: Scalar) -> str:
    """As YAML writes it, so that a parameter reads as it does in the recipe."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _points(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    return [(int(step), float(value)) for step, value in points if _exists(value)]


def _exists(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and str(path) == name
