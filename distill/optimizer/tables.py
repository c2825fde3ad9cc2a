"""How a table of embeddings is stepped: as a whole, or only the rows that were read."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from distill.optimizer.fused import EPSILON, adam
from distill.optimizer.rates import Step

Tables = Literal["adam", "rowwise_adam", "rowwise_adagrad"]

BREAK_EVEN = 8
"""Rows of a table for each read of a step, above which it is faster to step the read rows alone. Measured on one core:
8 for a large table (175,000 rows of 16 numbers), up to 20 for one that fits the cache (12,000 rows of 8)."""


def table_rule(height: int, reads: int) -> Tables:
    """The faster rule for a table of `height` rows of which a step makes `reads` reads.

    It changes results a little: rows that are not read keep still, where Adam lets them drift on their momentum.
    """
    return "adam" if height < BREAK_EVEN * reads else "rowwise_adam"


class WholeTable:
    """Adam on every row, read or not. The gradient of one member at a time stands in a table that is used again.

    Args:
        stack: the members' tables, `[members, height, width]`.
    """

    def __init__(self, stack: Tensor) -> None:
        self.state = {"mean": torch.zeros_like(stack), "square": torch.zeros_like(stack)}
        self._gradient = torch.zeros_like(stack[0])

    def step(
        self,
        table: Float[Tensor, "height width"],
        state: dict[str, Tensor],
        ids: Int[Tensor, " reads"],
        gradient: Float[Tensor, "reads width"],
        step: Step,
    ) -> None:
        """Steps one member's table in place."""
        whole = self._gradient.zero_().index_add_(0, ids, gradient)
        adam([table], [whole], [state["mean"]], [state["square"]], step, l2=step.l2)


class RowwiseAdam:
    """Adam on the rows that were read, each with moments of its own; where every row is read it is Adam.

    The same as torch's SparseAdam, but for the place of epsilon (Adam's) and decoupled weight decay.

    Args:
        stack: the members' tables, `[members, height, width]`.
    """

    def __init__(self, stack: Tensor) -> None:
        # Both moments side by side: one read and one write for the two of them.
        self.state = {"moments": stack.new_zeros(*stack.shape[:-1], 2 * stack.shape[-1])}
        self._merge = _Merge(stack)

    def step(self, table: Tensor, state: dict[str, Tensor], ids: Tensor, gradient: Tensor, step: Step) -> None:
        """Steps one member's table in place."""
        rows, gradient = self._merge(ids, gradient)
        moments = state["moments"].index_select(0, rows)
        mean, square = moments.split(gradient.shape[-1], -1)
        mean.lerp_(gradient, 1 - step.beta1)
        square.mul_(step.beta2).addcmul_(gradient, gradient, value=1 - step.beta2)
        state["moments"].index_copy_(0, rows, moments)
        number = step.number.item()
        spread = (square / (1 - step.beta2**number)).sqrt_().add_(EPSILON)
        read = table.index_select(0, rows)
        if step.weight_decay:
            read.mul_(1 - step.learning_rate * step.weight_decay)
        read.addcdiv_(mean, spread, value=-step.learning_rate / (1 - step.beta1**number))
        table.index_copy_(0, rows, read)


class RowwiseAdagrad:
    """Adagrad with one number a row: the sum, over steps, of the mean squared gradient of its coordinates.

    The rule under which the largest recommendation models are trained (Mudigere et al., Software-Hardware Co-design
    for Fast and Scalable Training of Deep Learning Recommendation Models, ISCA 2022, section 4.1). Adagrad: Duchi,
    Hazan and Singer, 2011.

    Args:
        stack: the members' tables, `[members, height, width]`.
    """

    def __init__(self, stack: Tensor) -> None:
        self.state = {"square": stack.new_zeros(*stack.shape[:-1], 1)}
        self._merge = _Merge(stack)

    def step(self, table: Tensor, state: dict[str, Tensor], ids: Tensor, gradient: Tensor, step: Step) -> None:
        """Steps one member's table in place."""
        rows, gradient = self._merge(ids, gradient)
        square = state["square"].index_select(0, rows).add_(gradient.square().mean(-1, keepdim=True))
        state["square"].index_copy_(0, rows, square)
        read = table.index_select(0, rows)
        if step.weight_decay:
            read.mul_(1 - step.learning_rate * step.weight_decay)
        read.addcdiv_(gradient, square.sqrt_().add_(EPSILON), value=-step.learning_rate)
        table.index_copy_(0, rows, read)


def pull(
    table: Float[Tensor, "height width"],
    start: Float[Tensor, "height width"],
    ids: Int[Tensor, " reads"] | None,
    share: Tensor | float,
) -> None:
    """Moves embeddings a share of the way to where they began, in place: the penalty L2-SP, decoupled as in AdamW.

    Args:
        table: as it is.
        start: as it was.
        ids: of the rows that were read, where no others are stepped; None for all rows.
        share: of the way: learning rate times weight.

    References:
        Li, Grandvalet, Davoine: Explicit Inductive Bias for Transfer Learning with Convolutional Networks, 2018;
        Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019.
    """
    if ids is None:
        table.lerp_(start, share)
    else:  # A row that was read twice is written twice, the same.
        table.index_copy_(0, ids, table.index_select(0, ids).lerp_(start.index_select(0, ids), share))


RULES = {"adam": WholeTable, "rowwise_adam": RowwiseAdam, "rowwise_adagrad": RowwiseAdagrad}


class _Merge:
    """Adds up the gradients of equal rows, in time that is linear in the reads: no sort.

    Every read writes its number to its row, and reads back the number that stayed: that read speaks for the row.
    """

    def __init__(self, stack: Tensor) -> None:
        self._speaker = torch.empty(stack.shape[1], dtype=torch.int64, device=stack.device)

    def __call__(
        self, ids: Int[Tensor, " reads"], gradient: Float[Tensor, "reads width"]
    ) -> tuple[Int[Tensor, " rows"], Float[Tensor, "rows width"]]:
        reads = torch.arange(len(ids), device=ids.device)
        speaker = self._speaker.scatter_(0, ids, reads).index_select(0, ids)
        speaks = speaker == reads
        rows = ids.masked_select(speaks)
        place = (speaks.cumsum(0) - 1).index_select(0, speaker)
        return rows, gradient.new_zeros(len(rows), gradient.shape[-1]).index_add_(0, place, gradient)
