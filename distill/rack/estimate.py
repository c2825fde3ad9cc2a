"""Estimate: memory, time and throughput of one teacher on so many devices.

A small model, meant to be within a factor of two and to say what limits. Products run at a share of the device's peak;
everything else is passes over memory; both follow one another, as kernels do. The dense part's traffic hides behind
them, the exchange of table rows does not. What is assumed stands in the constants below, and in docs/planning.md.
"""

from math import ceil
from typing import NamedTuple

from distill.cost import Cost
from distill.rack.devices import Device
from distill.rack.layout import Layout, layouts
from distill.rack.traffic import Traffic, traffic

EFFICIENCY = 0.5
"""Share of the peak that matrix products of a ranker's sizes reach."""
REACHED = 0.8
"""Share of the published rate that long messages reach, and passes over memory."""
USABLE = 0.9
"""Share of the memory that is not taken by the runtime and by fragments."""
LOW, FULL = 2, 4
"""Bytes of a number in bf16 (on its way, and in activations) and in fp32 (weights, moments)."""
PASSES = 4
"""Over each activation: written and read in the forward pass, read in the backward one, its gradient written."""
TABLE_PASSES = 5
"""Over each table row: read; its gradient written and read; read again and written by the optimizer."""
BACKWARD = 3
"""Products of a forward and a backward pass, in those of a forward pass."""
LARGEST, LEAST = 8192, 32
"""Impressions of one device's step: at most, beyond which products get no faster, and at least."""
INTERVAL = 100
"""Steps between two averages of the tables' copies."""


class Job(NamedTuple):
    """One teacher, and the traffic of a day.

    Attributes:
        cost: what one impression takes.
        blocks: dense parameters in blocks, which are put together one at a time.
        reads: table rows that it reads.
        tables: that they lie in; each is told how many are asked of it.
        events: steps of its histories, at full length.
        impressions: of one day.
    """

    cost: Cost
    blocks: int
    reads: int
    tables: int
    events: int
    impressions: float


class Estimate(NamedTuple):
    """One teacher on so many devices.

    Attributes:
        layout: which device holds what.
        batch: impressions of one device's step.
        states: bytes on each device of weights, gradients and what the optimizer keeps.
        activations: bytes on each device of what the backward pass needs.
        traffic: bytes that each device sends in a step.
        step: seconds of a step.
        bound: what takes most of it.
        mfu: share of the peak that useful products are.
        rate: impressions a second, of all devices.
        tokens: events of histories a second.
        hours: for the impressions of a day.
        needed: devices that would keep up with them, if each did as much.
    """

    layout: Layout
    batch: int
    states: float
    activations: float
    traffic: Traffic
    step: float
    bound: str
    mfu: float
    rate: float
    tokens: float
    hours: float
    needed: int


def estimate(job: Job, devices: int, device: Device) -> Estimate | None:
    """What a teacher takes on so many devices, in the layout that is fastest; None where it fits in none."""
    found = [one for layout in layouts(devices, device) if (one := _in_layout(job, layout, device))]
    return max(found, key=lambda one: one.rate, default=None)


def least_devices(job: Job, device: Device) -> int | None:
    """The least power of two of devices on which a teacher fits; None where none up to a million does."""
    return next((count for count in (1 << power for power in range(21)) if estimate(job, count, device)), None)


def _in_layout(job: Job, layout: Layout, device: Device) -> Estimate | None:
    """What it takes in one layout, with the largest power of two of impressions that fits; None where none does."""
    states = _states(job.cost, layout)
    room = (USABLE * device.memory - states) / _activations(job.cost)
    if room < LEAST:
        return None
    batch = min(LARGEST, 1 << int(room).bit_length() - 1)
    sent = _traffic(job, layout, batch)
    times = _times(job, layout, batch, sent, device)
    step = max(times["products"] + times["memory"], times["dense traffic"]) + times["table traffic"]
    rate = layout.devices * batch / step
    return Estimate(
        layout=layout,
        batch=batch,
        states=states,
        activations=batch * _activations(job.cost),
        traffic=sent,
        step=step,
        bound=max(times, key=times.__getitem__),
        mfu=BACKWARD * job.cost.flops * batch / (step * device.flops),
        rate=rate,
        tokens=rate * job.events,
        hours=job.impressions / rate / 3600,
        needed=ceil(job.impressions * layout.devices / (rate * 86400)),
    )


def _states(cost: Cost, layout: Layout) -> float:
    """Dense weights, gradients and Adam's moments in fp32, split, and whole once in bf16 while they are used; tables
    in fp32 with one number a row for row-wise Adagrad."""
    dense = cost.dense * (4 * FULL / layout.shard + LOW)
    return dense + cost.sparse * FULL * (1 + 1 / cost.width) / layout.group


def _activations(cost: Cost) -> float:
    """Of one impression, in bf16; they are counted in fp32."""
    return max(1, cost.activations * LOW / FULL)


def _traffic(job: Job, layout: Layout, batch: int) -> Traffic:
    reads = batch * job.reads
    return traffic(
        layout,
        dense=job.cost.dense,
        blocks=job.blocks,
        sparse=job.cost.sparse * (1 + 1 / job.cost.width),
        exchanged=reads * job.cost.width,
        ids=batch * (job.reads + job.tables),
        weight=LOW,
        row=LOW,
        interval=INTERVAL,
    )


def _times(job: Job, layout: Layout, batch: int, sent: Traffic, device: Device) -> dict[str, float]:
    """Seconds of each kind of work in a step."""
    link, network = REACHED * device.link, REACHED * device.network
    between = link if layout.group <= device.node else network
    copies = link if layout.devices <= device.node else network
    table_rows = TABLE_PASSES * FULL * job.reads * job.cost.width
    return {
        "products": BACKWARD * job.cost.flops * batch / (EFFICIENCY * device.flops),
        "memory": batch * (PASSES * _activations(job.cost) + table_rows) / (REACHED * device.bandwidth),
        "dense traffic": (sent.gather + sent.scatter) / link + sent.reduce / copies,
        "table traffic": (sent.ids + sent.rows) / between + sent.tables / copies,
    }
