"""Tables that TorchRec has in parts, against the plain ones."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import distributed

from distill.distributed import Place, joined, torchrec_tables
from distill.distributed.sharding import mesh_of
from distill.errors import RecipeError
from distill.knowledge import KnowledgeStore
from distill.knowledge.group import consolidate
from distill.layers import FieldEmbedding
from distill.lesson import manifest_of
from distill.ranks import free_port
from distill.testing import example_schema
from tests.distill.distributed.test_group_teacher import assert_same as assert_all_the_same
from tests.distill.distributed.test_group_teacher import case, learnt

SMALL = {"class": "teachers.AttentiveCross", "embedding": 8, "hidden": [16], "representation": 6}
CPU = torch.device("cpu")
ROUNDING = 2e-5
"""Of weights after a pass. FBGEMM's kernels are in single precision, and add up equal reads in another order."""


@pytest.fixture
def torchrec() -> None:
    pytest.importorskip("fbgemm_gpu", reason="fbgemm-gpu-cpu is not installed")
    pytest.importorskip("torchrec", reason="torchrec is not installed")


def assert_same(one: Path, other: Path, fingerprint: str) -> None:
    tables = [KnowledgeStore(folder).find(fingerprint) for folder in (one, other)]
    before, after = (load_file(table.folder / "snapshot.safetensors") for table in tables)
    assert before.keys() == after.keys()
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < ROUNDING
    logits = [np.load(table.folder / "logit.npy").astype(float) for table in tables]
    assert np.allclose(*logits, atol=2e-3)  # They are kept in half precision.


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.usefixtures("torchrec")
@pytest.mark.parametrize(
    "trainer", [{"strategy": "ddp", "devices": 2}, {"strategy": "hsdp", "devices": 4, "mesh": (2, 2)}], ids=str
)
def test_tables_in_parts_are_the_tables_of_one_process(tmp_path: Path, gang: Callable, trainer: dict) -> None:
    """Weights, losses and scores, with histories, ids hidden at random, and rows of unequal weight."""
    here = case(tmp_path, SMALL, tables="rowwise_adagrad")
    learnt(here.by(), tmp_path / "one")
    count = trainer["devices"]
    assert gang(count, lambda: learnt(here.by(**trainer, tables="torchrec"), tmp_path / "many")) == [0] * count
    losses = [np.load(tmp_path / name / "losses.npy") for name in ("one", "many")]
    assert np.abs(losses[0] - losses[1]).max() < ROUNDING
    assert_same(tmp_path / "one", tmp_path / "many", manifest_of(here.lesson).fingerprint)


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.usefixtures("torchrec", "double_kernels", "doubled")
@pytest.mark.parametrize(
    "trainer",
    [{"strategy": "ddp", "devices": 2}, {"strategy": "hsdp", "devices": 4, "mesh": (2, 2)}],
    ids=str,
)
def test_but_for_the_kernels_precision_they_are_exactly_those(tmp_path: Path, gang: Callable, trainer: dict) -> None:
    """Planner, exchange of ids, rows and gradients, and checkpoints, with a kernel in double precision: to 1e-10."""
    here = case(tmp_path, SMALL, tables="rowwise_adagrad")
    learnt(here.by(), tmp_path / "one")
    count = trainer["devices"]
    assert gang(count, lambda: learnt(here.by(**trainer, tables="torchrec"), tmp_path / "many")) == [0] * count
    assert_all_the_same(tmp_path / "one", tmp_path / "many", here.lesson)


@pytest.mark.usefixtures("torchrec")
def test_the_kernels_refuse_double_precision() -> None:
    """Why the test above has one of its own."""
    from fbgemm_gpu import split_table_batched_embeddings_ops_training as kernels

    place = (kernels.EmbeddingLocation.HOST, kernels.ComputeDevice.CPU)
    table = kernels.SplitTableBatchedEmbeddingBagsCodegen([(5, 4, *place)], pooling_mode=kernels.PoolingMode.NONE)
    with pytest.raises(NotImplementedError, match=r"split_embedding_nobag_cpu_forward_2.*not implemented for 'Double'"):
        table.double()(torch.tensor([0, 1]), torch.tensor([0, 2]))


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.usefixtures("torchrec")
@pytest.mark.parametrize(
    "others",
    [{"strategy": "hsdp", "devices": 4, "mesh": (2, 2), "tables": "torchrec"}, {"strategy": "ddp", "devices": 2}],
    ids=str,
)
def test_a_killed_process_costs_the_open_shard_and_others_go_on(tmp_path: Path, gang: Callable, others: dict) -> None:
    """One of two is killed; others go on from the checkpoint of the two, with tables that lie elsewhere, or whole."""
    here = case(tmp_path, SMALL, tables="rowwise_adagrad")
    learnt(here.by(), tmp_path / "one")
    told = 0

    def die(rows: int) -> None:
        nonlocal told
        told += rows
        if told > 600 and distributed.get_rank() == 1:
            os._exit(9)

    two = here.by(strategy="ddp", devices=2, tables="torchrec")
    table = tmp_path / "many" / manifest_of(here.lesson).fingerprint
    assert gang(2, lambda: learnt(two._replace(tell=die), tmp_path / "many"))[1] == 9
    whole = here.lesson.teacher.model.build(here.lesson.view.schema(None))
    consolidate(table, tmp_path / "weights.safetensors")
    whole.load_state_dict(load_file(tmp_path / "weights.safetensors"))  # all of it, under its own names
    count = others["devices"]
    assert gang(count, lambda: learnt(here.by(**others), tmp_path / "many")) == [0] * count
    assert_same(tmp_path / "one", tmp_path / "many", manifest_of(here.lesson).fingerprint)


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.usefixtures("torchrec")
def test_columns_apart_would_make_another_teacher(gang: Callable) -> None:
    """Why tables are not cut by columns: they read the same, but each part of a row is stepped by its own norm."""

    def work() -> None:
        torch.manual_seed(0)
        embedding = FieldEmbedding(example_schema(), 256)
        table = embedding.weight.detach().clone()
        cut = torchrec_tables.TorchRecTable("weight", embedding, CPU, mesh_of("cpu", (1, 2)), ["column_wise"])
        cut.set_rate(0.1)
        ids = torch.arange(2)[:, None] + embedding.offset
        [read] = embedding.read(ids)
        assert read.equal(table[ids])
        gradient = torch.randn(read.shape, generator=torch.Generator().manual_seed(1))
        read.backward(gradient)
        rows = torch.zeros_like(table).index_add_(0, ids.flatten(), gradient.flatten(0, 1))
        parts = rows.unflatten(-1, (2, 128))  # TorchRec's least part.
        expected = table - (0.1 * parts / norm(parts)).flatten(-2)
        assert torch.allclose(cut.whole(), expected, atol=1e-5)
        assert (table - 0.1 * rows / norm(rows) - expected).abs().max() > 0.01

    def norm(numbers: torch.Tensor) -> torch.Tensor:
        return numbers.square().mean(-1, keepdim=True).sqrt() + 1e-8

    assert gang(2, work) == [0, 0]


def test_who_asks_for_torchrec_hears_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchrec_tables, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"torchrec and fbgemm_gpu is not installed.*--no-deps torchrec==1.8.0"):
        torchrec_tables.require()


@pytest.mark.dist
def test_vectors_that_the_kernels_do_not_take_are_refused() -> None:
    embedding = FieldEmbedding(example_schema(), 6)
    group = joined(Place(0, 1, 0, "127.0.0.1", free_port()), "cpu")
    with group, pytest.raises(RecipeError, match=r"vectors of 6 numbers.*multiples of 4"):
        torchrec_tables.TorchRecTable("weight", embedding, CPU, mesh_of("cpu", (1, 1)))
    assert embedding.weight is not None
