"""The teacher's tables as a start: nothing lost that could be kept, and every value finds its own vector."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from distill.data.impressions import View
from distill.errors import RecipeError
from distill.ranker import Ranker
from distill.recipe.sections import Model
from distill.sharing import TeacherTables, projected, starts, widest
from distill.types import PAD, UNSEEN
from tests.distill.conftest import Taught

SEEN = ["item_id", "device", "hour", "tags", "clicked"]


def lost(table: torch.Tensor, counts: torch.Tensor, directions: torch.Tensor) -> float:
    """What a projection on orthonormal directions loses of the vectors, each as often as it is seen."""
    left = table - table @ directions @ directions.mT
    return float((counts[:, None] * left.square()).sum())


@given(st.integers(1, 5), st.integers(1, 12), st.integers(0, 3))
def test_vectors_of_few_directions_lose_nothing(rank: int, height: int, more: int) -> None:
    """Products of rows stay, whatever the counts; coordinates that are not needed are zero."""
    table = (torch.randn(height, rank) @ torch.randn(rank, 8)).double()
    found = projected(table, torch.randint(1, 100, (height,)), rank + more)
    assert found.shape == (height, rank + more)
    torch.testing.assert_close(found @ found.T, table @ table.T, rtol=0, atol=1e-5)


def test_functions_of_products_are_preserved() -> None:
    """To 1e-6 at the scale of embeddings, also where the student is wider than the teacher."""
    table = (torch.randn(50, 3) @ torch.randn(3, 16)) * 0.05
    for width in (3, 4, 16, 20):
        found = projected(table, torch.rand(50) + 1, width)
        assert (found @ found.T - table @ table.T).abs().max() < 1e-6
    assert not projected(table, torch.ones(50), 20)[:, 16:].any()


def test_no_other_projection_loses_less() -> None:
    """Than the singular values that are left over; not one of many tried, nor the one that forgets the counts."""
    table, counts = torch.randn(30, 6).double(), torch.randint(1, 500, (30,)).double()
    found = projected(table, counts, 2)
    left = torch.linalg.svdvals(table * counts.sqrt()[:, None])[2:].square().sum().item()
    gone = (counts * (table.square().sum(1) - found.square().sum(1))).sum().item()
    assert gone == pytest.approx(left)
    others = [torch.linalg.qr(torch.randn(6, 2).double()).Q for _ in range(300)]
    others.append(torch.linalg.svd(table).Vh[:2].mT)
    assert min(lost(table, counts, one) for one in others) > left


@pytest.fixture(scope="module")
def view(taught: Taught) -> View:
    return taught.impressions.view(SEEN, "vertical")


def marked(taught: Taught, view: View | None = None) -> TeacherTables:
    """Tables whose every vector says of which table and id it is."""
    schema = taught.lesson.view.schema(None)
    tables = {name: torch.zeros(height, 3) for name, height in schema.tables.items()}
    found = TeacherTables(
        view or taught.lesson.view, tables, {name: np.ones(len(one)) for name, one in tables.items()}, 3
    )
    for place, (name, table) in enumerate(tables.items()):
        ids = torch.arange(len(table)).float()
        found.tables[name] = torch.stack([torch.full_like(ids, place), ids, torch.ones_like(ids)], 1)
    return found


def student(view: View, vertical: str, path: str = "students.DNN") -> Ranker:
    torch.manual_seed(1)
    return Model.model_validate({"class": path, "embedding": 3}).build(view.schema(vertical))


def columns(view: View, vertical: str | None, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """Ids of some rows, by table."""
    features, schema = view.take(rows).features, view.schema(vertical)
    found = {name: features.categorical[:, place] for place, name in enumerate(schema.categorical)}
    events = features.sequences
    return found | {"tags": events["tags"].flatten(), "clicked": events["clicked"].flatten()}


def test_each_value_starts_from_the_teachers_vector_of_it(taught: Taught, view: View) -> None:
    """Row by row, in every vertical: vocabularies that differ, null, hashes, buckets, sets and histories."""
    nulls = 0
    for number, vertical in enumerate(view.verticals):
        ranker = student(view, vertical)
        marked(taught).start(ranker, view, vertical)
        rows = torch.from_numpy(np.flatnonzero(taught.impressions.vertical == number))
        ours, theirs = columns(view, vertical, rows), columns(taught.lesson.view, None, rows)
        first, tables = starts(view.schema(vertical), ranker.embedding), marked(taught).tables
        for name, ids in ours.items():
            table = "item_id" if name == "clicked" else name
            known = (ids != PAD) & (ids != UNSEEN)
            found = ranker.embedding.weight[first[table] + ids[known].long()]
            assert torch.equal(found, tables[table][theirs[name][known].long()])
            assert torch.equal(ranker.embedding.weight[first[table]], tables[table][UNSEEN])
        nulls += (ours["item_id"][torch.from_numpy(null_items(taught)[rows.numpy()])] != UNSEEN).sum()
    assert nulls > 0


def null_items(taught: Taught) -> np.ndarray:
    return pl.read_parquet(taught.impressions.settings.path)["item_id"].is_null().to_numpy()


class Forgetful(View):
    """What a teacher saw that does not know one value, and for which another stands where it stood."""

    def __init__(self, view: View, table: str, place: int) -> None:
        self.__dict__ |= view.__dict__
        self.view, self.table, self.place = view, table, place

    def values(self, table: str, vertical: str | None) -> pl.Series | None:
        found = self.view.values(table, vertical)
        if table != self.table:
            return found
        return found.scatter(self.place, [999_999])


def test_what_the_teacher_does_not_know_stays_random(taught: Taught, view: View) -> None:
    """One value that it has not seen, and one table; nothing else is left out."""
    vertical = view.verticals[0]
    known = view.values("item_id", vertical)
    value = known[3]
    place = taught.lesson.view.values("item_id", None).to_list().index(value, 1)
    tables = marked(taught, Forgetful(taught.lesson.view, "item_id", place))
    del tables.tables["tags"]
    before, ranker = student(view, vertical), student(view, vertical)
    tables.start(ranker, view, vertical)
    schema = view.schema(vertical)
    first = starts(schema, ranker.embedding)
    same = (ranker.embedding.weight == before.embedding.weight).all(1)
    expected = {first["item_id"] + 3} | {first["tags"] + number for number in range(schema.tables["tags"])}
    assert set(same.nonzero().flatten().tolist()) == expected


def test_only_the_embeddings_change_and_no_random_number_is_drawn(taught: Taught, view: View) -> None:
    """So that student and twin are otherwise equal."""
    before, ranker = student(view, view.verticals[0]), student(view, view.verticals[0])
    state = torch.random.get_rng_state()
    marked(taught).start(ranker, view, view.verticals[0])
    assert torch.equal(state, torch.random.get_rng_state())
    changed = {name for name, one in ranker.state_dict().items() if not torch.equal(one, before.state_dict()[name])}
    assert changed == {"embedding.weight"}


def test_the_widest_embeddings_are_shared(view: View) -> None:
    """Those of a factorization machine's products, not the numbers of its linear part."""
    ranker = student(view, view.verticals[0], "students.DeepFM")
    assert widest(ranker)[1].weight.shape[-1] == 3


def test_a_ranker_without_embeddings_has_nothing_to_share() -> None:
    with pytest.raises(RecipeError, match=r"students\.distill\.sharing: Linear has no FieldEmbedding"):
        widest(nn.Linear(2, 1))
