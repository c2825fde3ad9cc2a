"""The loop: students trained one after another, as fast as plain PyTorch does it on one thread."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from distill.bench.job import LEARNING_RATE, Job
from distill.bench.plain import STUDENTS
from distill.bench.rows import Rows


def train_singly(job: Job, rows: Sequence[Rows]) -> list[float]:
    """Their side: one student, and the next. Nothing is logged, checked or kept.

    Args:
        job: whom to train.
        rows: of each of them, in one table.

    Returns:
        The loss of each student's last batch.
    """
    return [train_one(job, own) for own in rows]


def train_one(job: Job, rows: Rows) -> float:
    """Model, optimizer, passes; each pass is put in order at once, and its batches are slices of that."""
    model = plain(job, rows)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    for _ in range(job.epochs):
        order = torch.randperm(len(rows.label))
        shuffled = (rows.ids[order], rows.numbers[order], rows.label[order])
        for ids, numbers, label in zip(*(whole.split(job.batch) for whole in shuffled), strict=True):
            loss = binary_cross_entropy_with_logits(model(ids, numbers), label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return loss.item()


def plain(job: Job, rows: Rows) -> nn.Module:
    """The student of a job as a plain module, for rows in one table."""
    shape = job.shape
    return STUDENTS[job.student](rows.heights[0], shape.fields, shape.numeric, shape.embedding, shape.hidden)
