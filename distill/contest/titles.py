"""Titles: short names for teachers, by what tells them apart."""

from collections.abc import Mapping, Sequence
from typing import Any

MODEL, FEATURES = "teacher.model", "teacher.features"


def titles(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """A name for each teacher: its class, the settings that it does not share with another of that class, what else of
    `teacher.` differs. Names that are the same even so are numbered.

    >>> titles([{"teacher.model": {"class": "teachers.GEM", "size": "nano"}, "teacher.train.share": 0.5},
    ...         {"teacher.model": {"class": "teachers.GEM", "size": "small"}, "teacher.train.share": 0.5},
    ...         {"teacher.model": {"class": "teachers.HSTU", "heads": 2}, "teacher.train.share": 1.0}])
    ['GEM size=nano share=0.5', 'GEM size=small share=0.5', 'HSTU share=1.0']
    """
    told = [_told(one) for one in changes]
    found: list[str] = []
    for one in told:
        alike = told if one.get("class") is None else [other for other in told if other.get("class") == one["class"]]
        keys = [key for key in one if _tells(key, alike) or ("." in key and _tells(key, told))]
        words = [one["class"]] if one.get("class") else []
        name = " ".join([*words, *(f"{key.rpartition('.')[2]}={_said(one[key])}" for key in keys)]) or "teacher"
        copies = sum(other == name or other.startswith(f"{name} #") for other in found)
        found.append(f"{name} #{copies + 1}" if copies else name)
    return found


def _told(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the model by their names, all others by dotted keys; features are told by number alone."""
    own = {key: value for key, value in changes.items() if key.startswith("teacher.") and key not in (MODEL, FEATURES)}
    model = dict(changes.get(MODEL) or {})
    named = {"class": str(model.pop("class")).rpartition(".")[2]} if "class" in model else {}
    return named | model | own


def _tells(key: str, alike: Sequence[Mapping[str, Any]]) -> bool:
    return key != "class" and any(one.get(key) != alike[0].get(key) for one in alike)


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) and value != round(value, 3) else str(value).replace(" ", "")
