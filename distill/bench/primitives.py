"""Primitives: the calls of torch that a pass of training cannot do without, each alone, on tensors of its own.

Sizes are those of the job, outputs are allocated beforehand, and nothing is done between two calls.
"""

import torch

from distill.bench.job import LEARNING_RATE, Job
from distill.bench.rounds import Work
from distill.bench.sizes import products
from distill.data.layout import layout
from distill.layers import FieldEmbedding
from distill.ranker import Ranker


def primitives(job: Job) -> dict[str, Work]:
    """Name -> the calls of one pass over the rows of all members."""
    student, members, batch = job.alone(), job.members, job.batch
    tables = (module for module in student.modules() if isinstance(module, FieldEmbedding))
    table = max(tables, key=lambda table: table.weight.shape[1])  # one of first-order weights costs next to nothing
    matrices = [_products(outputs, inputs, members, batch) for outputs, inputs in products(student)]
    steps = job.rows // (members * batch)
    return {
        "record-gather": _records(job),
        "row-gather": _repeated(steps, _gather(table, members, batch)),
        "products": _repeated(steps, *matrices),
        "index-add": _repeated(steps, _scatter(table, members, batch)),
        "fused-adam": _repeated(steps, _adam(student, members)),
    }


def _repeated(steps: int, *works: Work) -> Work:
    def work() -> None:
        for _ in range(steps):
            for one in works:
                one()

    return work


def _records(job: Job) -> Work:
    """Whole records of every row, in a new order, a step of all members at a time."""
    view = job.view
    width = layout(view.features, len(job.impressions.tasks), view.heights).width
    records = torch.zeros(job.rows, width, dtype=torch.int32)
    order = torch.randperm(job.rows).split(job.members * job.batch)
    out = records.new_empty(len(order[0]), records.shape[1])

    def work() -> None:
        for rows in order:
            torch.index_select(records, 0, rows, out=out[: len(rows)])

    return work


def _gather(table: FieldEmbedding, members: int, rows: int) -> Work:
    """A row of the table for every id, member by member, since one table fits the processor's cache."""
    stack, ids = torch.randn(members, *table.weight.shape), _ids(table, members, rows)
    out = stack.new_empty(ids.shape[1], stack.shape[-1])

    def work() -> None:
        for own, numbers in zip(stack, ids, strict=True):
            torch.index_select(own, 0, numbers, out=out)

    return work


def _scatter(table: FieldEmbedding, members: int, rows: int) -> Work:
    """A gradient of the table, zero at first, to which that of every id is added; one table serves all members."""
    ids = _ids(table, members, rows)
    whole, gradient = torch.zeros_like(table.weight.detach()), torch.randn(ids.shape[1], table.weight.shape[1])

    def work() -> None:
        for numbers in ids:
            whole.zero_().index_add_(0, numbers, gradient)

    return work


def _products(outputs: int, inputs: int, members: int, rows: int) -> Work:
    """One linear layer of all members: forwards, and backwards to its inputs and to its weights."""
    weight, bias = torch.randn(members, outputs, inputs), torch.randn(members, 1, outputs)
    entering, leaving = torch.randn(members, rows, inputs), torch.randn(members, rows, outputs)
    forwards, backwards, own = (torch.empty_like(tensor) for tensor in (leaving, entering, weight))

    def work() -> None:
        torch.baddbmm(bias, entering, weight.mT, out=forwards)
        torch.bmm(leaving, weight, out=backwards)
        torch.bmm(leaving.mT, entering, out=own)

    return work


def _adam(student: Ranker, members: int) -> Work:
    """One step of torch's fused kernel on every weight, member by member."""
    stacks = [[torch.rand(members, *weight.shape).unbind() for weight in student.parameters()] for _ in range(3)]
    weights, means, squares = (list(zip(*stack, strict=True)) for stack in stacks)
    gradients = [torch.rand_like(weight) for weight in student.parameters()]
    steps = [torch.ones(()) for _ in gradients]
    numbers = {"lr": LEARNING_RATE, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "eps": 1e-8}

    def work() -> None:
        for own in zip(weights, means, squares, strict=True):
            weight, mean, square = map(list, own)
            torch._fused_adamw_(weight, gradients, mean, square, [], steps, **numbers, amsgrad=False, maximize=False)

    return work


def _ids(table: FieldEmbedding, members: int, rows: int) -> torch.Tensor:
    """Ids of every row and field, `[members, rows * fields]`."""
    return torch.randint(len(table.weight), (members, rows * len(table.offset)))
