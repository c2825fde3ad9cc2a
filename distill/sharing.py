"""Sharing: tables of embeddings that students start from, made from those of their teacher."""

from collections.abc import Mapping
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from distill.data.impressions import View
from distill.data.matching import matched
from distill.errors import Fault, RecipeError
from distill.layers import FieldEmbedding
from distill.ranker import Ranker
from distill.types import FeatureSchema


class TeacherTables:
    """The embedding tables of a trained teacher, in as many coordinates as a student has.

    Each table is projected on the directions in which the embeddings of training rows are largest: those of its
    singular value decomposition, an id weighted by how often it is seen. Of all projections to that width this one
    loses least of the teacher's vectors (Eckart and Young, 1936), and none where they have no more directions.

    Args:
        view: what the teacher saw.
        tables: name of a table -> the teacher's embeddings of its ids.
        counts: name of a table -> how often each id is seen in training rows.
        width: of the student's embeddings.
    """

    def __init__(
        self,
        view: View,
        tables: Mapping[str, Float[Tensor, "height wide"]],
        counts: Mapping[str, np.ndarray],
        width: int,
    ) -> None:
        self.view = view
        self.tables = {name: projected(table, torch.from_numpy(counts[name]), width) for name, table in tables.items()}

    def start(self, ranker: Ranker, view: View, vertical: str) -> None:
        """Gives a student's table the teacher's vectors of its ids; those that the teacher does not know stay random.

        Args:
            ranker: a fresh student.
            view: what it sees.
            vertical: its own.
        """
        schema = view.schema(vertical)
        embedding = widest(ranker)[1]
        for name, first in starts(schema, embedding).items():
            if name in self.tables:
                ours, theirs = map(torch.from_numpy, matched(name, view, vertical, self.view, None))
                with torch.no_grad():
                    embedding.weight[first + ours] = self.tables[name][theirs]


class DomainModels:
    """The models of domains, where their students are of the same class: each begins as a copy of its own.

    Embeddings are copied id by id of equal raw value, and every other weight as it is.

    Args:
        view: what the domain models saw.
        models: name of a vertical -> the weights of its domain's model; verticals without one begin at random.
    """

    def __init__(self, view: View, models: Mapping[str, Mapping[str, Tensor]]) -> None:
        self.view, self.models = view, models

    def start(self, ranker: Ranker, view: View, vertical: str) -> None:
        """Makes a student a copy of the model of its domain; ids that this one does not know stay random.

        Args:
            ranker: a fresh student.
            view: what it sees.
            vertical: its own.
        """
        model = self.models.get(vertical)
        if model is None:
            return
        tables = {f"{name}.weight": one for name, one in ranker.named_modules() if isinstance(one, FieldEmbedding)}
        with torch.no_grad():
            for name, weight in ranker.named_parameters():
                if name in tables:
                    self._copy_tables(tables[name], model[name], view, vertical)
                else:
                    weight.copy_(model[name])

    def _copy_tables(self, embedding: FieldEmbedding, model: Tensor, view: View, vertical: str) -> None:
        theirs_first, ours_first = (starts(one, embedding) for one in (self.view.schema(None), view.schema(vertical)))
        for name, first in ours_first.items():
            ours, theirs = map(torch.from_numpy, matched(name, view, vertical, self.view, None))
            embedding.weight[first + ours] = model[theirs_first[name] + theirs]


def projected(
    table: Float[Tensor, "height wide"], counts: Float[Tensor, " height"], width: int
) -> Float[Tensor, "height width"]:
    """A table in fewer coordinates (or in more, the last ones zero), its products of rows kept as well as can be."""
    weighted = table.double() * counts.double().sqrt().unsqueeze(-1)
    directions = torch.linalg.svd(weighted, full_matrices=False).Vh[:width].mT
    narrow = (table.double() @ directions).to(table.dtype)
    return nn.functional.pad(narrow, (0, width - narrow.shape[-1]))


def widest(ranker: nn.Module) -> tuple[str, FieldEmbedding]:
    """Name and module of a ranker's embeddings; the widest ones, where there are several.

    Raises:
        RecipeError: it has none.
    """
    found = [(name, one) for name, one in ranker.named_modules() if isinstance(one, FieldEmbedding)]
    if not found:
        what = f"{type(ranker).__name__} has no FieldEmbedding, so there are no tables to take over."
        raise RecipeError(Fault("students.distill.sharing", what, "Leave it out, or name another class."))
    return max(found, key=lambda pair: pair[1].weight.shape[-1])


def starts(schema: FeatureSchema, embedding: FieldEmbedding) -> dict[str, int]:
    """First row of each table in the tall one of some embeddings, which may be of a part of the features only.

    Args:
        schema: says how high the tables are: of these embeddings, or of their like in another ranker.
        embedding: says which of them lie there, and in which order.
    """
    heights = [schema.tables[name] for name in embedding.tables]
    return dict(zip(embedding.tables, accumulate(heights, initial=0), strict=False))
