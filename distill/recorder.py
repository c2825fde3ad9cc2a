"""Recorder: takes down each member of a cohort at the end of each of its passes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file
from torch import Tensor

from distill.callbacks import Pass
from distill.data.impressions import VALID, Impressions, View
from distill.feed import logits
from distill.files import read_json, write_json
from distill.fleet import Fleet
from distill.low_rank import merged
from distill.member import Member
from distill.metrics import auc, base_entropy, cross_entropy
from distill.recipe.sections import Criterion
from distill.stopping import setbacks

ADAPTER = "adapter"
"""What stands before the names of an adapter's weights, beside those of its student."""


class Recorder:
    """Keeps weights, training loss, whether teacher and labels agree, and how a member does on its validation rows.

    Args:
        passes: of every member.
        members: those of the cohort.
        impressions: the rows.
        view: their features.
        by: what a pass is judged by.

    Attributes:
        failed: place of a member -> why it failed.
        setbacks: how many passes of each member were no better than its best one before.
        adapters: gives what refines their teacher's marks, where anything does.
    """

    def __init__(
        self, passes: int, members: Sequence[Member], impressions: Impressions, view: View, by: Criterion = "ne"
    ) -> None:
        self.by, self.setbacks = by, [0] * len(members)
        self.members, self.impressions, self.view = members, impressions, view
        self.rows = [impressions.select(VALID, member.vertical) for member in members]
        self.weights: list[dict[str, Tensor]] = [{} for _ in range(passes)]
        self.cross_entropy: list[list[float | None]] = [[None] * passes for _ in members]
        self.misordered: list[list[float | None]] = [[None] * passes for _ in members]
        self.curves: list[list[float]] = [[] for _ in members]
        self.cosines: list[list[float | None]] = [[] for _ in members]
        self.failed: dict[int, str] = {}
        self.adapters: Callable[[], Fleet | None] = lambda: None

    def keep(self, passes: Sequence[Pass], fleet: Fleet) -> None:
        """Takes down the members whose passes have ended, all of them validated at once."""
        sound = [one for one in passes if self._weigh(one, fleet)]
        places = [one.member for one in sound]
        if places:
            rows, correction = [self.rows[place] for place in places], self.impressions.correction("students")
            said = logits(fleet.some(places), self.view, rows, correction)
            for one, logit in zip(sound, said, strict=True):
                self._judge(one, logit)
                self.curves[one.member].append(one.loss)

    def agree(self, place: int, cosine: float) -> None:
        """Takes down whether a member's teacher and labels pulled alike, at the end of a pass."""
        self.cosines[place].append(cosine if np.isfinite(cosine) else None)

    def save(self, folder: Path) -> None:
        """Writes all that is known."""
        for number, weights in enumerate(self.weights, 1):
            save_file(weights, folder / f"pass-{number}.safetensors")
        validations = [
            {"cross_entropy": sums, "misordered": pairs, "rest": self._rest(rows)}
            for sums, pairs, rows in zip(self.cross_entropy, self.misordered, self.rows, strict=True)
        ]
        known = {"curves": self.curves, "cosines": self.cosines, "failed": self.failed}
        write_json(folder / "record.json", {"validations": validations} | known)

    def load(self, folder: Path) -> None:
        """Goes on from what was saved."""
        self.weights = [load_file(folder / f"pass-{number}.safetensors") for number in range(1, len(self.weights) + 1)]
        record: dict[str, Any] = read_json(folder / "record.json")
        self.cross_entropy = [one["cross_entropy"] for one in record["validations"]]
        self.misordered = [one["misordered"] for one in record["validations"]]
        self.setbacks[:] = map(setbacks, self._costs)
        self.curves, self.cosines = record["curves"], record.get("cosines", self.cosines)
        self.failed = {int(place): reason for place, reason in record["failed"].items()}

    def _weigh(self, ended: Pass, fleet: Fleet) -> bool:
        """Keeps a member's weights, unless they are no longer finite."""
        weights = merged(fleet.state(ended.member))
        if not all(tensor.isfinite().all() for tensor in weights.values()):
            self.failed.setdefault(ended.member, f"its weights were no longer finite after pass {ended.number}")
            return False
        adapters = self.adapters()
        beside = adapters.state(ended.member) if adapters else {}
        kept = {f"{ended.member}": weights, f"{ADAPTER}/{ended.member}": beside}
        self.weights[ended.number - 1] |= {f"{one}/{name}": own[name] for one, own in kept.items() for name in own}
        return True

    @property
    def _costs(self) -> list[list[float | None]]:
        """What each pass of each member is judged by."""
        return self.misordered if self.by == "auc" else self.cross_entropy

    def _judge(self, ended: Pass, logit: Tensor) -> None:
        """Takes down how a member does on its validation rows."""
        label, weight = self._truth(self.rows[ended.member])
        scores, number = logit.numpy(), ended.number - 1
        self.cross_entropy[ended.member][number] = _finite(cross_entropy(scores, label, weight).sum())
        tasks = zip(scores.T, label.T, weight.T, strict=True)
        self.misordered[ended.member][number] = _finite(sum(misordered(*task) for task in tasks))
        self.setbacks[ended.member] = setbacks(self._costs[ended.member])

    def _rest(self, rows: np.ndarray) -> tuple[float, int, int]:
        label, weight = self._truth(rows)
        base = sum(base_entropy(clicks, weights) for clicks, weights in zip(label.T, weight.T, strict=True))
        there = weight > 0
        return float(base), int((label * there).sum()), int(((1 - label) * there).sum())

    def _truth(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels and weights, `[rows, tasks]`; a label that does not exist weighs nothing."""
        known = self.impressions
        return known.label[rows], known.worth(rows)[:, None] * known.valid[rows]


def misordered(logit: np.ndarray, label: np.ndarray, weight: np.ndarray) -> float:
    """Weight of the pairs of a click and a non-click that are scored in the wrong order; ties count half.

    Unlike AUC it can be added up over verticals.

    >>> misordered(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 1, 0, 1]), np.ones(4))
    0.5
    """
    pairs = float((label * weight).sum() * ((1 - label) * weight).sum())
    return pairs * (1 - auc(logit, label, weight)) if pairs else 0.0


def _finite(cost: float) -> float | None:
    return float(cost) if np.isfinite(cost) else None
