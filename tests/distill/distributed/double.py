"""FBGEMM's kernels in double precision, which they refuse: what TorchRec does around them is seen exactly."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor


class _Lookup(torch.autograd.Function):
    """Reads rows, and steps them by row-wise Adagrad in the backward pass, as the kernel does."""

    @staticmethod
    def forward(context: Any, anchor: Tensor, kernel: Any, indices: Tensor, edges: list[int]) -> Tensor:
        context.kernel, context.edges = kernel, edges
        context.save_for_backward(indices)
        tables = kernel.split_embedding_weights()
        return torch.cat([tables[table][ids] for table, ids in _asked(kernel, indices, edges)])

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[None, ...]:
        kernel, [indices] = context.kernel, context.saved_tensors
        tables, [sums] = kernel.split_embedding_weights(), zip(*kernel.split_optimizer_states(), strict=True)
        merged = [torch.zeros_like(table) for table in tables]
        parts = gradient.split([len(ids) for _, ids in _asked(kernel, indices, context.edges)])
        for (table, ids), part in zip(_asked(kernel, indices, context.edges), parts, strict=True):
            merged[table].index_add_(0, ids, part)
        for table, added, rows in zip(tables, sums, merged, strict=True):
            added += rows.square().mean(-1)
            table -= kernel.rate * rows / (added.sqrt() + kernel.optimizer_args.eps)[:, None]
        return None, None, None, None


def _asked(kernel: Any, indices: Tensor, edges: list[int]) -> list[tuple[int, Tensor]]:
    """The ids of each feature, with the number of its table."""
    parts = indices.split([last - first for first, last in pairwise(edges)])
    return list(zip(kernel.feature_table_map, parts, strict=True))


@pytest.fixture
def double_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of TorchRec in double precision, in this process and those that are forked from it."""
    lookup = pytest.importorskip("torchrec.distributed.embedding_lookup", reason="torchrec is not installed")
    kernel = lookup.SplitTableBatchedEmbeddingBagsCodegen
    reserve, begin = kernel._apply_split, lookup.GroupedEmbeddingsLookup.__init__

    def apply_split(self: Any, *args: Any, **kwargs: Any) -> None:
        reserve(self, *args, **kwargs | {"dtype": torch.float64})

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        self._dummy_embs_tensor = self._dummy_embs_tensor.double()  # Answers of who has no table.

    def forward(self: Any, indices: Tensor, offsets: Tensor) -> Tensor:
        edges = offsets[:: (len(offsets) - 1) // len(self.feature_table_map)].tolist()
        anchor = torch.empty(0, requires_grad=torch.is_grad_enabled())
        return _Lookup.apply(anchor, self, indices, edges)

    def set_learning_rate(self: Any, rate: float) -> None:
        self.rate = float(rate)

    permute = torch.ops.fbgemm.permute_2D_sparse_data

    def permuted(order: Tensor, lengths: Tensor, values: Tensor, weights: Tensor | None, count: int) -> tuple:
        same = torch.int64 if values.dtype == torch.float64 else values.dtype  # They are moved, whatever they mean.
        lengths, moved, weights = permute(order, lengths, values.view(same), weights, count)
        return lengths, moved.view(values.dtype), weights

    monkeypatch.setattr(torch.ops.fbgemm, "permute_2D_sparse_data", permuted)
    monkeypatch.setattr(kernel, "_apply_split", apply_split)
    monkeypatch.setattr(kernel, "forward", forward)
    monkeypatch.setattr(kernel, "set_learning_rate", set_learning_rate)
    monkeypatch.setattr(lookup.GroupedEmbeddingsLookup, "__init__", init)
