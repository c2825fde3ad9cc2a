"""Representing: what a trained teacher has to give besides its marks: vectors of users, and its tables."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from distill.data.impressions import TRAIN, Impressions, View
from distill.data.layout import EVENTS, IDS, numeric_columns, of_kind
from distill.data.settings import Vector
from distill.domains import groups
from distill.feed import predictions
from distill.fingerprint import fingerprint
from distill.inputs import moments
from distill.knowledge import Knowledge, KnowledgeStore
from distill.lesson import Lesson
from distill.ranker import Ranker
from distill.recipe import Recipe
from distill.sharing import DomainModels, TeacherTables, starts, widest
from distill.types import PAD, UNSEEN, Batch

SHARD = 1_000_000
"""Rows of a shard."""


class Shown(View):
    """A view of which only some features are shown; ids of the others are unseen, their numbers and histories empty.

    Args:
        view: the whole.
        features: what is shown.
    """

    def __init__(self, view: View, features: tuple[str, ...]) -> None:
        self.__dict__ |= view.__dict__
        self.view = view
        shown = set(features)
        columns = [name for name in view.features for _ in numeric_columns({name: view.features[name]})]
        self._ids = torch.tensor([name in shown for name in of_kind(view.features, *IDS)], dtype=torch.bool)
        self._numbers = torch.tensor([name in shown for name in columns], dtype=torch.bool)
        self._events = {name: name in shown for name in of_kind(view.features, *EVENTS)}
        self._vectors_shown = {name: name in shown for name in of_kind(view.features, Vector)}

    def take(self, rows: torch.Tensor) -> Batch:
        """Gathers the impressions with these row numbers, as far as they are shown."""
        batch = self.view.take(rows)
        seen = batch.features
        shown = seen._replace(
            categorical=seen.categorical.where(self._ids, UNSEEN),
            numeric=seen.numeric.where(self._numbers, 0),
            sequences={
                name: ids if self._events[name] else ids.new_full(ids.shape, PAD)
                for name, ids in seen.sequences.items()
            },
            vectors={name: one if self._vectors_shown[name] else one * 0 for name, one in seen.vectors.items()},
        )
        return batch._replace(features=shown)


def vectors_of(lesson: Lesson, knowledge: Knowledge, features: tuple[str, ...], store: KnowledgeStore) -> Knowledge:
    """The representations that the trained teacher gives to every row when it is shown some features only.

    All by its last state: vectors of one teacher have the same axes, where those of a teacher that goes on learning
    turn. It has seen the labels of training rows, but not of these rows alone: rows of one user and time look alike.

    Args:
        lesson: of the teacher.
        knowledge: its table.
        features: what it is shown; for the vector of a user, nothing of the candidate.
        store: where the table is found or made.
    """
    name = fingerprint("vectors", knowledge.manifest.fingerprint, sorted(features))
    found = store.find(name)
    if found is not None:
        return found
    changes = {"fingerprint": name, "kind": "snapshot", "tasks": ()}
    writer = store.writer(knowledge.manifest.model_copy(update=changes))
    ranker, view = trained(lesson, knowledge.folder), Shown(lesson.view, features)
    for first in range(0, knowledge.manifest.rows, SHARD):
        rows = np.arange(first, min(first + SHARD, knowledge.manifest.rows))
        for chunk, said in predictions(ranker, view, rows[writer.part.of(len(rows))]):
            writer.add(chunk, said._replace(logit=said.logit[:, :0]))
        writer.commit()
    return writer.finish(moments(writer.read(), lesson.impressions.select(TRAIN)))


def tables_of(lesson: Lesson, knowledge: Knowledge, width: int) -> TeacherTables:
    """The tables of the trained teacher, for students with embeddings of so many numbers."""
    embedding = widest(trained(lesson, knowledge.folder))[1]
    schema = lesson.view.schema(None)
    tables = {
        name: embedding.weight.detach()[first : first + schema.tables[name]]
        for name, first in starts(schema, embedding).items()
    }
    return TeacherTables(lesson.view, tables, _counts(lesson), width)


def domain_models(recipe: Recipe, impressions: Impressions, table: Knowledge) -> DomainModels:
    """The models of domains as they were after their last row, for students that begin as they are.

    Args:
        recipe: one that has the section `domains`.
        impressions: the rows.
        table: what they said.
    """
    grouping: dict[str, str | None] = table.facts["domains"]
    models = {}
    for number, name in enumerate(groups(grouping, impressions.vertical)):
        path = table.folder / f"snapshot-{number}.safetensors"
        weights = load_file(path) if path.exists() else {}
        models |= {one: weights for one, domain in grouping.items() if domain == name and weights}
    whole = {one: {key.removeprefix("0/"): weight for key, weight in model.items()} for one, model in models.items()}
    assert recipe.domains is not None
    return DomainModels(impressions.view(recipe.domains.features, "all"), whole)


def trained(lesson: Lesson, folder: Path) -> Ranker:
    """The teacher as it was after its last row; the first one, where there are several."""
    ranker = lesson.teacher.model.build(lesson.view.schema(None)).eval()
    weights = load_file(folder / "snapshot.safetensors")
    ranker.load_state_dict({name[2:]: tensor for name, tensor in weights.items() if name.startswith("0/")})
    return ranker


def _counts(lesson: Lesson) -> dict[str, np.ndarray]:
    """How often the candidates of training rows have each id of each table; at least once, for histories have more."""
    schema, rows = lesson.view.schema(None), lesson.impressions.select(TRAIN)
    counts = {name: np.ones(height) for name, height in schema.tables.items()}
    for first in range(0, len(rows), SHARD):
        ids = lesson.view.take(torch.from_numpy(rows[first : first + SHARD])).features.categorical.numpy()
        for place, name in enumerate(schema.categorical):
            counts[name] += np.bincount(ids[:, place], minlength=schema.tables[name])
    return counts
