"""Traffic: bytes that each device sends in one step, by kind, in closed form.

Collectives are taken to be rings, which send the fewest bytes: a gather or a scatter over n devices sends (n - 1) / n
of the whole from each, a reduction that leaves the sum everywhere twice that (Patarasu and Yuan, Bandwidth Optimal
All-reduce Algorithms for Clusters of Workstations, 2009).
"""

from typing import NamedTuple

from distill.rack.layout import Layout

ID_BYTES = 8
"""Of one id on its way to the device that has its row."""
KEPT_BYTES = 4
"""Of one number of a table when copies agree on it: weights, unlike rows on their way, are not rounded."""


class Traffic(NamedTuple):
    """Bytes that one device sends in one step.

    Attributes:
        gather: dense weights, put together before the forward pass, and those of blocks once more before the
            backward one.
        scatter: gradients of dense weights, summed over the devices that share them.
        reduce: gradients of a device's own share, summed over the replicas.
        ids: which rows of tables are wanted, and how many of each table.
        rows: those rows, and their gradients on the way back.
        tables: split tables, and what the optimizer keeps of them, averaged over their copies; what it is a step, since
            it happens at an interval.
    """

    gather: float
    scatter: float
    reduce: float
    ids: float
    rows: float
    tables: float


def traffic(
    layout: Layout,
    *,
    dense: int,
    blocks: int,
    sparse: float,
    exchanged: float,
    ids: float,
    weight: int,
    row: int,
    interval: int,
) -> Traffic:
    """What one device sends in a step.

    Where tables are whole on every device, rows are read on the spot, and the gradients of each go to all others.

    Args:
        layout: which device holds what.
        dense: dense parameters.
        blocks: those of them in blocks, which are taken apart again after the forward pass.
        sparse: parameters in tables, and numbers that the optimizer keeps of them.
        exchanged: numbers of table rows that a device's impressions read in a step.
        ids: numbers that say which, and how many of each table.
        weight: bytes of one dense weight, or of its gradient, on its way.
        row: bytes of one number of a table row on its way.
        interval: steps between two averages of the tables' copies.
    """
    split, copies = _others(layout.shard), _others(layout.replicas)
    away, whole = _others(layout.group), layout.group == 1
    alike = 0 if whole else _others(layout.groups)
    told = layout.groups - 1 if whole else 0
    return Traffic(
        gather=split * (dense + blocks) * weight,
        scatter=split * dense * weight,
        reduce=2 * copies * dense / layout.shard * weight,
        ids=(away + told) * ids * ID_BYTES,
        rows=(2 * away + told) * exchanged * row,
        tables=2 * alike * sparse / layout.group * KEPT_BYTES / interval,
    )


def _others(devices: int) -> float:
    """The share that lies elsewhere."""
    return (devices - 1) / devices
