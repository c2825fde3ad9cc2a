"""Recorder: takes down each member of a cohort at the end of each of its passes."""

from collections.abc import Sequence
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
from distill.member import Member
from distill.metrics import base_entropy, cross_entropy


class Recorder:
    """Keeps weights, training loss, whether teacher and labels agree, and how a member does on its validation rows.

    Args:
        passes: of every member.
        members: those of the cohort.
        impressions: the rows.
        view: their features.

    Attributes:
        failed: place of a member -> why it failed.
    """

    def __init__(self, passes: int, members: Sequence[Member], impressions: Impressions, view: View) -> None:
        self.members, self.impressions, self.view = members, impressions, view
        self.rows = [impressions.select(VALID, member.vertical) for member in members]
        self.weights: list[dict[str, Tensor]] = [{} for _ in range(passes)]
        self.cross_entropy: list[list[float | None]] = [[None] * passes for _ in members]
        self.curves: list[list[float]] = [[] for _ in members]
        self.cosines: list[list[float | None]] = [[] for _ in members]
        self.failed: dict[int, str] = {}

    def keep(self, passes: Sequence[Pass], fleet: Fleet) -> None:
        """Takes down the members whose passes have ended, all of them validated at once."""
        sound = [one for one in passes if self._weigh(one, fleet)]
        places = [one.member for one in sound]
        if places:
            rows, correction = [self.rows[place] for place in places], self.impressions.correction("students")
            said = logits(fleet.some(places), self.view, rows, correction)
            for one, logit in zip(sound, said, strict=True):
                self.cross_entropy[one.member][one.number - 1] = self._cost(logit, self.rows[one.member])
                self.curves[one.member].append(one.loss)

    def agree(self, place: int, cosine: float) -> None:
        """Takes down whether a member's teacher and labels pulled alike, at the end of a pass."""
        self.cosines[place].append(cosine if np.isfinite(cosine) else None)

    def save(self, folder: Path) -> None:
        """Writes all that is known."""
        for number, weights in enumerate(self.weights, 1):
            save_file(weights, folder / f"pass-{number}.safetensors")
        validations = [
            {"cross_entropy": sums, "rest": self._rest(rows)}
            for sums, rows in zip(self.cross_entropy, self.rows, strict=True)
        ]
        known = {"curves": self.curves, "cosines": self.cosines, "failed": self.failed}
        write_json(folder / "record.json", {"validations": validations} | known)

    def load(self, folder: Path) -> None:
        """Goes on from what was saved."""
        self.weights = [load_file(folder / f"pass-{number}.safetensors") for number in range(1, len(self.weights) + 1)]
        record: dict[str, Any] = read_json(folder / "record.json")
        self.cross_entropy = [one["cross_entropy"] for one in record["validations"]]
        self.curves, self.cosines = record["curves"], record.get("cosines", self.cosines)
        self.failed = {int(place): reason for place, reason in record["failed"].items()}

    def _weigh(self, ended: Pass, fleet: Fleet) -> bool:
        """Keeps a member's weights, unless they are no longer finite."""
        weights = fleet.state(ended.member)
        if not all(tensor.isfinite().all() for tensor in weights.values()):
            self.failed.setdefault(ended.member, f"its weights were no longer finite after pass {ended.number}")
            return False
        self.weights[ended.number - 1] |= {f"{ended.member}/{name}": tensor for name, tensor in weights.items()}
        return True

    def _cost(self, logit: Tensor, rows: np.ndarray) -> float | None:
        total = float(cross_entropy(logit.numpy(), *self._truth(rows)).sum())
        return total if np.isfinite(total) else None

    def _rest(self, rows: np.ndarray) -> tuple[float, int, int]:
        label, weight = self._truth(rows)
        base = sum(base_entropy(clicks, weights) for clicks, weights in zip(label.T, weight.T, strict=True))
        there = weight > 0
        return float(base), int((label * there).sum()), int(((1 - label) * there).sum())

    def _truth(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels and weights, `[rows, tasks]`; a label that does not exist weighs nothing."""
        known = self.impressions
        return known.label[rows], known.worth(rows)[:, None] * known.valid[rows]
