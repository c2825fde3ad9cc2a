"""Copies of tables that are trained apart and averaged, against one table, and against what is said of them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, distributed

from distill.distributed.adam import everyone
from distill.distributed.copies import Copies
from distill.distributed.sharding import mesh_of
from distill.distributed.torchrec_tables import TorchRecTable
from distill.knowledge import KnowledgeStore
from distill.layers import FieldEmbedding
from distill.lesson import Lesson, lesson_fingerprint
from distill.types import FeatureSchema
from tests.distill.distributed.test_group_teacher import assert_same, case, learnt

pytestmark = pytest.mark.usefixtures("doubled")

SMALL = {"class": "teachers.AttentiveCross", "embedding": 8, "hidden": [16], "representation": 6}
GROUP = {"strategy": "hsdp", "devices": 4, "mesh": (2, 2), "tables": "torchrec"}
SCHEMA = FeatureSchema(("click",), 1, {"item": 30, "user": 20}, ("item", "user"))
RATE, EPSILON = 0.1, 1e-8


@pytest.fixture
def torchrec(request: pytest.FixtureRequest) -> None:
    pytest.importorskip("fbgemm_gpu", reason="fbgemm-gpu-cpu is not installed")
    pytest.importorskip("torchrec", reason="torchrec is not installed")
    request.getfixturevalue("double_kernels")


@pytest.mark.dist
def test_copies_agree_on_the_mean_and_on_all_that_was_added_up(gang: Callable) -> None:
    def work() -> None:
        rank = distributed.get_rank()
        weight, added = torch.full((3, 2), 1.0), torch.full((3, 1), 5.0)
        copies = Copies(distributed.group.WORLD, [weight], [added])
        for _ in range(2):
            weight += rank
            added += 1 + rank
            copies.average()
        assert weight.eq(1 + 0.5 + 0.5).all() and added.eq(5 + 3 + 3).all()
        rows = copies.share(torch.ones(2, requires_grad=True) * 3)
        rows.sum().backward(inputs=[rows])
        assert not copies.share(torch.ones(2)).requires_grad

    assert gang(2, work) == [0, 0]


class Read(NamedTuple):
    """What one process reads of the tall table in a step, and its gradient: of the loss over all rows."""

    ids: Tensor
    gradient: Tensor


def reads(apart: bool) -> list[list[Read]]:
    """Step -> process -> what it reads; where they are apart, one copy reads even rows and the other one odd rows."""
    generator = torch.Generator().manual_seed(0)
    halves = torch.tensor([15, 10])

    def read(copy: int) -> Read:
        places = (torch.rand(6, 2, generator=generator) * halves).long()
        odd = copy if apart else torch.randint(2, (6, 2), generator=generator)
        ids = 2 * places + odd + torch.tensor([0, 30])
        return Read(ids, torch.randn(6, 2, 8, generator=generator))

    return [[read(rank // 2) for rank in range(4)] for _ in range(7)]


def adagrad(table: Tensor, added: Tensor, parts: list[Read], rate: float) -> None:
    """Row-wise Adagrad on one table, by all that is given at once."""
    rows = torch.zeros_like(table)
    for ids, gradient in parts:
        rows.index_add_(0, ids.flatten(), gradient.flatten(0, 1))
    added += rows.square().mean(-1, keepdim=True)
    table -= rate * rows / (added.sqrt() + EPSILON)


def averaged(table: Tensor, every: list[list[Read]], interval: int) -> Tensor:
    """Two copies, each by its own part of every step, at twice the rate; averaged at an interval, and in the end."""
    added = torch.zeros(len(table), 1)
    for first in range(0, len(every), interval):
        copies = [(table.clone(), added.clone()) for _ in range(2)]
        for parts in every[first : first + interval]:
            for number, (weight, squares) in enumerate(copies):
                adagrad(weight, squares, parts[2 * number : 2 * number + 2], 2 * RATE)
        table = (copies[0][0] + copies[1][0]) / 2
        added = copies[0][1] + copies[1][1] - added
    return table


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.usefixtures("torchrec")
@pytest.mark.parametrize(("interval", "apart"), [(1, True), (1, False), (3, False)])
def test_copies_do_what_is_said_of_them(gang: Callable, interval: int, apart: bool) -> None:
    """On 2 x 2 processes. Rows that one copy alone has read are stepped as in one table, if copies agree at once."""
    every = reads(apart)

    def work() -> None:
        embedding = FieldEmbedding(SCHEMA, 8)
        table = embedding.weight.detach().clone()
        cut = TorchRecTable("weight", embedding, torch.device("cpu"), mesh_of("cpu", (2, 2)))
        for step, parts in enumerate(every):
            cut.set_rate(RATE)
            ids, gradient = parts[distributed.get_rank()]
            [rows] = embedding.read(ids)
            rows.backward(4 * gradient)  # As a learner does, so that the mean over processes is the sum.
            if step % interval == interval - 1:
                cut.copies.average()
        found = cut.whole()
        assert everyone(found).diff(dim=0).eq(0).all(), "copies are alike once they are averaged"
        assert (found - averaged(table, every, interval)).abs().max() < 1e-10
        one, added = table.clone(), torch.zeros(len(table), 1)
        for parts in every:
            adagrad(one, added, parts, RATE)
        off = (found - one).abs().max()
        assert off < 1e-10 if apart else off > 1e-3

    torch.manual_seed(0)
    assert gang(4, work) == [0] * 4


def errors(folder: Path, lesson: Lesson) -> dict[str, float]:
    """Normalized entropy of a teacher, on the rows that it labels and on later ones."""
    table = KnowledgeStore(folder).find(lesson_fingerprint(lesson))
    assert table is not None
    return table.facts["audit"]["click"]


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.usefixtures("torchrec")
@pytest.mark.parametrize("others", [GROUP, GROUP | {"devices": 2, "mesh": (2, 1)}], ids=str)
def test_a_teacher_with_copies_is_killed_and_goes_on(tmp_path: Path, gang: Callable, others: dict) -> None:
    """It ends as if it had not been; it begins as the teacher without copies does, and learns as much."""
    here = case(tmp_path, SMALL, tables="rowwise_adagrad")
    learnt(here.by(), tmp_path / "one")
    lesson = here.by(**GROUP, average=3)
    assert gang(4, lambda: learnt(lesson, tmp_path / "many")) == [0] * 4
    told = 0

    def die(rows: int) -> None:
        nonlocal told
        told += rows
        if told > 600 and distributed.get_rank() == 3:
            os._exit(9)

    killed = gang(4, lambda: learnt(lesson._replace(tell=die), tmp_path / "killed"))
    assert killed[3] == 9
    count = others["devices"]
    assert gang(count, lambda: learnt(here.by(**others, average=3), tmp_path / "killed")) == [0] * count
    assert_same(tmp_path / "many", tmp_path / "killed", lesson, losses=False)
    one, many = (np.load(tmp_path / name / "losses.npy") for name in ("one", "many"))
    assert abs(one[0] - many[0]) < 1e-10 and 1e-10 < np.abs(one - many).max() < 0.05
    assert errors(tmp_path / "many", lesson) == pytest.approx(errors(tmp_path / "one", here.lesson), abs=5e-3)


def test_a_teacher_with_copies_is_another_one(tmp_path: Path) -> None:
    here = case(tmp_path)
    plain, *others = (here.by(**GROUP), here.by(**GROUP, average=3), here.by(**GROUP, average=4))
    assert lesson_fingerprint(plain) == lesson_fingerprint(here.lesson)
    assert len({lesson_fingerprint(one) for one in (plain, *others)}) == 3
