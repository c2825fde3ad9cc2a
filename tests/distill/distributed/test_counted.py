"""The bytes that a plan says a step sends, against those that real processes send."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from distill.distributed.sharding import units
from distill.rack.layout import Layout
from distill.rack.traffic import Traffic, traffic
from distill.recipe.trainer import Trainer
from tests.distill.distributed.counting import Sent, counted
from tests.distill.distributed.test_group_teacher import FEATURES, Case, case, learnt

PLAIN = FEATURES | {"item_id": "categorical"}
"""Without ids that are hidden at random, scores come from the training pass and a step is a step."""

FP32 = 4
"""Bytes of a number as a group sends it: weights, gradients and rows alike."""


def planned(here: Case, trainer: Trainer, batch: int) -> Traffic:
    """By the closed forms of the plan, for as many rows on each device."""
    schema = here.lesson.view.schema(None)
    ranker = here.lesson.teacher.model.build(schema)
    tables = ranker.embedding.weight
    blocks = units(ranker, lambda: ranker(here.lesson.view.take(torch.arange(1)).features))
    _, shard = trainer.shape
    cut = trainer.tables == "torchrec"
    return traffic(
        Layout(trainer.devices, shard, group=trainer.table_shape[1] if cut else 1),
        dense=sum(weight.numel() for weight in ranker.parameters()) - tables.numel(),
        blocks=sum(weight.numel() for block in blocks for weight in block.parameters()),
        sparse=tables.numel() + len(tables),
        exchanged=batch * schema.reads * tables.shape[1],
        ids=batch * (schema.reads + cut * len(schema.tables)),
        weight=FP32,
        row=FP32,
        interval=1,
    )


def assert_close(plan: Traffic, sent: Traffic) -> None:
    """Within 5 %: all of it, and every kind that is more than a twentieth of it."""
    assert sum(plan) == pytest.approx(sum(sent), rel=0.05)
    for kind, expected in plan._asdict().items():
        if expected > sum(plan) / 20:
            assert getattr(sent, kind) == pytest.approx(expected, rel=0.05), kind


WAYS = [
    {"strategy": "ddp", "devices": 2},
    {"strategy": "hsdp", "devices": 2},
    {"strategy": "hsdp", "devices": 4, "mesh": (2, 2)},
    {"strategy": "hsdp", "devices": 4, "mesh": (2, 2), "tables": "torchrec"},
    {"strategy": "hsdp", "devices": 4, "mesh": (2, 2), "tables": "torchrec", "average": 1},
]


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("trainer", WAYS, ids=str)
@pytest.mark.parametrize("model", [{"class": "teachers.AttentiveCross"}, {"class": "teachers.GEM"}], ids=str)
def test_a_step_sends_what_is_planned(tmp_path: Path, gang: Callable, model: dict, trainer: dict) -> None:
    if "tables" in trainer:
        pytest.importorskip("fbgemm_gpu", reason="fbgemm-gpu-cpu is not installed")
        pytest.importorskip("torchrec", reason="torchrec is not installed")
    here = case(tmp_path, model, tables="rowwise_adagrad", features=PLAIN, batch=64)

    def work() -> None:
        sent = Sent()
        sent.listen(lambda: learnt(here.by(**trainer), tmp_path / "many"))
        sent.write(tmp_path)

    devices = trainer["devices"]
    assert gang(devices, work) == [0] * devices
    assert_close(planned(here, Trainer(**trainer), 64 // devices), counted(tmp_path))
