"""Auditing: whether scores of training rows know their labels."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from distill.data.impressions import TEST, TRAIN, VALID, Impressions
from distill.knowledge import Kind, Knowledge
from distill.metrics import tally_by
from distill.types import Signal

LEAK = 0.9
"""NE on labelled rows, relative to later ones, below which the audit warns: time-ahead scores of real news have 0.98,
in-sample ones 0.81."""


class Scores(Protocol):
    """What somebody said of each row: one teacher's table, or several together."""

    def take(self, rows: Int[Tensor, "..."], *, representation: bool = True) -> Signal:
        """What was said of `rows`, and which of them were ever scored."""


def audit(knowledge: Scores, impressions: Impressions) -> dict[str, dict[str, float | None]]:
    """For each task, NE of the teacher on the rows it labelled and on later ones.

    Far better on the first than on the others means that its labels leaked into its scores.
    """
    splits = {"train": TRAIN, "valid": VALID, "test": TEST}
    return {
        task: {name: _judge(knowledge, impressions, impressions.select(split), place) for name, split in splits.items()}
        for place, task in enumerate(impressions.tasks)
    }


def audited(knowledge: Knowledge, impressions: Impressions, whose: str = "the teacher's") -> list[str]:
    """The audit in sentences, one a task, with a warning where the teacher knows its labels suspiciously well.

    Args:
        knowledge: what was said; a table from outside, which has no audit of its own, is judged now.
        impressions: the rows.
        whose: of whom the sentences speak.
    """
    found = knowledge.facts.get("audit") or audit(knowledge, impressions)
    return sentences(found, knowledge.manifest.kind, whose)


def sentences(audit: Mapping[str, Mapping[str, float | None]], kind: Kind, whose: str) -> list[str]:
    """An audit in sentences.

    Args:
        audit: what was found.
        kind: how training rows were scored.
        whose: of whom the sentences speak.
    """
    said = []
    for task, entropy in audit.items():
        shown = {name: "undefined" if value is None else f"{value:.4f}" for name, value in entropy.items()}
        said.append(
            f"audit of {task}: {whose} NE is {shown['train']} on the rows it labelled ({kind}), "
            f"{shown['valid']} on validation rows, {shown['test']} on test rows."
        )
        later = [entropy[name] for name in ("valid", "test") if entropy[name] is not None]
        if later and entropy["train"] is not None and entropy["train"] < LEAK * min(later):
            said.append("warning: that is far better on the rows it labelled, so its scores leak their labels.")
        elif kind == "in_sample":
            said.append("warning: it was trained on the rows it labelled, so its scores leak their labels.")
        elif not later:
            said.append("warning: without an NE on later rows nothing shows whether its scores leak their labels.")
    return said


def _judge(knowledge: Scores, impressions: Impressions, rows: np.ndarray, task: int) -> float | None:
    """Pooled over verticals, each by its own base rate, as in every table that students or teachers are compared by."""
    prediction, covered = knowledge.take(torch.from_numpy(rows), representation=False)
    there = covered.numpy() & impressions.valid[rows, task]
    ours, logit = rows[there], prediction.logit.numpy()[there, task]
    whole = tally_by(impressions.vertical[ours], logit, impressions.label[ours, task], impressions.worth(ours))
    entropy = whole.normalized_entropy
    return None if np.isnan(entropy) else entropy
