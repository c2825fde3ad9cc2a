"""Trees: gradient boosting on what a teacher sees, tuned on validation rows; what every teacher must beat.

scikit-learn's histogram gradient boosting, after Ke et al., LightGBM: A Highly Efficient Gradient Boosting Decision
Tree, 2017. It takes no order of events: of a history it sees the length.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from distill.contest.columns import Columns, columns
from distill.data.impressions import VALID
from distill.errors import Fault, RecipeError
from distill.fingerprint import derived_seed, fingerprint
from distill.knowledge import Knowledge, KnowledgeStore, Manifest
from distill.lesson import Lesson
from distill.scoring import finish
from distill.types import Prediction

LEAVES = (15, 63, 255)
"""Leaves of a tree that are tried."""
RATE, ROUNDS, PATIENCE = 0.1, 500, 15
"""Weight of a tree, most trees, and trees in a row without a gain on validation rows after which no more are grown."""


class Trees(NamedTuple):
    """What is to be grown.

    Attributes:
        lesson: of the teacher whose rows and features they see.
        manifest: under which their marks are found again.
    """

    lesson: Lesson
    manifest: Manifest

    def knowledge(self, store: KnowledgeStore, tell: Callable[[str], None]) -> Knowledge:
        """Their marks of validation and test rows, found or made; they never speak of training rows.

        Args:
            store: where.
            tell: told what was chosen on validation rows.
        """
        found = store.find(self.manifest.fingerprint)
        if found is not None:
            return found
        later = self.lesson.later_rows
        each = [_grown(self.lesson, later, task, tell) for task in range(len(self.manifest.tasks))]
        logit = torch.from_numpy(np.stack([marks for marks, _ in each], axis=-1)).float()
        writer = store.writer(self.manifest)
        writer.add(later, Prediction(logit + self.lesson.impressions.correction("teacher"), torch.empty(len(later), 0)))
        writer.commit()
        return finish(writer, self.lesson.impressions, {}, {"chosen": [chosen for _, chosen in each]})


def trees_of(lesson: Lesson) -> Trees:
    """The trees that see what a teacher sees."""
    impressions, view = lesson.impressions, lesson.view
    settings = {"trees": [LEAVES, RATE, ROUNDS, PATIENCE], "negatives": impressions.share("teacher")}
    key = fingerprint(settings, view.fingerprint, impressions.fingerprint, lesson.seed)
    train = impressions.time[lesson.train_rows].max() if impressions.time is not None else None
    return Trees(
        lesson,
        Manifest(
            fingerprint=key,
            teacher="sklearn.ensemble.HistGradientBoostingClassifier",
            data=impressions.fingerprint,
            view=view.fingerprint,
            row_id=impressions.row_id or "position",
            rows=impressions.rows,
            tasks=impressions.tasks,
            width=0,
            kind="snapshot",
            cut_off=None if train is None else float(train),
            negatives=impressions.share("teacher"),
        ),
    )


def _grown(
    lesson: Lesson, later: Int[np.ndarray, " rows"], task: int, tell: Callable[[str], None]
) -> tuple[Float[np.ndarray, " rows"], dict[str, Any]]:
    """Log-odds of the best trees by validation rows, and what they are."""
    impressions = lesson.impressions
    train, valid = (rows[impressions.valid[rows, task]] for rows in (lesson.learnt_rows, impressions.select(VALID)))
    learnt, judged = columns(lesson, train, task), columns(lesson, valid, task)
    best, least, chosen = None, np.inf, {}
    for leaves in LEAVES:
        model = _fitted(lesson, learnt, train, judged, valid, task, leaves)
        rounds = int(np.argmax(model.validation_score_))
        loss = -float(model.validation_score_[rounds])
        tell(f"trees of {leaves} leaves: log loss {loss:.5f} on validation rows after {rounds} trees")
        if loss < least:
            best, least, chosen = model, loss, {"leaves": leaves, "trees": rounds}
    return _marks(best, columns(lesson, later, task), chosen["trees"]), chosen


def _fitted(
    lesson: Lesson,
    learnt: Columns,
    train: Int[np.ndarray, " rows"],
    judged: Columns,
    valid: Int[np.ndarray, " rows"],
    task: int,
    leaves: int,
) -> Any:
    impressions = lesson.impressions
    model = _library().HistGradientBoostingClassifier(
        learning_rate=RATE,
        max_iter=ROUNDS,
        max_leaf_nodes=leaves,
        categorical_features=learnt.categories,
        early_stopping=True,
        n_iter_no_change=PATIENCE,
        random_state=derived_seed(lesson.seed, "trees") % 2**32,
    )
    return model.fit(
        learnt.values,
        impressions.label[train, task] > 0,
        sample_weight=impressions.weight[train],
        X_val=judged.values,
        y_val=impressions.label[valid, task] > 0,
        sample_weight_val=impressions.worth(valid),
    )


def _marks(model: Any, seen: Columns, rounds: int) -> Float[np.ndarray, " rows"]:
    """Log-odds after so many trees."""
    if rounds == 0:
        return np.full(len(seen.values), float(model._baseline_prediction.item()))
    chance = next(islice(model.staged_predict_proba(seen.values), rounds - 1, None))[:, 1]
    return np.log(chance) - np.log1p(-chance)


def _library() -> Any:
    try:
        from sklearn import ensemble
    except ImportError:
        raise RecipeError(Fault("--trees", "needs scikit-learn.", "Install scikit-learn, or leave it out.")) from None
    return ensemble
