"""Lowering: a teacher's products taken in FP8 where that does little harm, and how much it did."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distill import fp8
from distill.data.impressions import VALID
from distill.feed import predictions
from distill.files import read_json, write_json
from distill.lesson import Lesson
from distill.metrics import tally_by
from distill.ranker import Ranker

PROBED = 1024
"""Rows on which layers are probed."""

REPORT = "fp8-{}.json"
"""File beside a table, one for each group of rows, in which it is said what FP8 cost."""


def lowered(lesson: Lesson, rankers: Sequence[Ranker]) -> Sequence[Ranker]:
    """Fresh rankers, their products in FP8 as far as the recipe allows it; all in the same layers, since they run as
    one. The first of them is probed on rows that it will learn from; no label is looked at."""
    limit = lesson.teacher.train.fp8
    if limit is None:
        return rankers
    errors = _probed(lesson, rankers[0], lesson.learnt_rows)
    names = fp8.admitted(rankers[0], errors, limit)
    for ranker in rankers:
        fp8.lower(ranker, names)
    return rankers


def report(lesson: Lesson, ranker: Ranker, exact: Ranker, folder: Path) -> None:
    """Writes down which layers run in FP8, how far off each one is by now, and NE on validation rows.

    Args:
        lesson: what the ranker was trained with.
        ranker: trained.
        exact: of its kind; is given its weights, and computes in full precision.
        folder: of the table.
    """
    exact.load_state_dict(ranker.state_dict())
    rows = lesson.impressions.select(VALID)
    rows = rows if lesson.own is None else rows[lesson.own[rows]]
    names = set(fp8.lowered(ranker))
    errors = _probed(lesson, exact, rows) if len(rows) else {}
    layers = {name: {"fp8": name in names, "error": error} for name, error in errors.items()}
    entropies = {"fp8": _entropy(lesson, ranker, rows), "fp32": _entropy(lesson, exact, rows)}
    limit = lesson.teacher.train.fp8
    write_json(folder / REPORT.format(lesson.group), {"limit": limit, "layers": layers, "ne": entropies})


def fp8_sentences(folder: Path) -> list[str]:
    """The reports of a table in sentences."""
    return [_sentence(read_json(path)) for path in sorted(folder.glob(REPORT.format("*")))]


def _sentence(found: Mapping[str, Any]) -> str:
    layers, entropies = found["layers"], found["ne"]
    inside = [name for name, layer in layers.items() if layer["fp8"]]
    beyond = [name for name in inside if layers[name]["error"] > found["limit"]]
    cost = "undefined" if None in entropies.values() else f"{entropies['fp8'] - entropies['fp32']:+.5f}"
    drifted = f" Trained, {', '.join(beyond)} exceed the limit." if beyond else ""
    return f"FP8: {len(inside)} of {len(layers)} linear layers; it costs {cost} of NE on validation rows.{drifted}"


def _probed(lesson: Lesson, ranker: Ranker, rows: np.ndarray) -> dict[str, float]:
    features = lesson.view.take(torch.from_numpy(rows[:PROBED])).features
    training = ranker.training
    errors = fp8.probe(ranker.eval(), features)
    ranker.train(training)
    return errors


def _entropy(lesson: Lesson, ranker: Ranker, rows: np.ndarray) -> float | None:
    """NE of the first task that there is, as the audit takes it; None where it is undefined."""
    if not len(rows):
        return None
    chunks = predictions(ranker.eval(), lesson.view, rows, lesson.impressions.correction("teacher"))
    logit = np.concatenate([one.logit[:, 0].numpy() for _, one in chunks])
    impressions, there = lesson.impressions, lesson.impressions.valid[rows, 0]
    ours = rows[there]
    whole = tally_by(impressions.vertical[ours], logit[there], impressions.label[ours, 0], impressions.worth(ours))
    entropy = whole.normalized_entropy
    return None if np.isnan(entropy) else entropy
