"""Planning: the teacher of a recipe, in each of its sizes, on so many devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.func import vmap
from torch.utils._pytree import tree_map

from distill.data.impressions import load
from distill.distributed.sharding import units
from distill.errors import Fault, RecipeError, suggestion
from distill.planning import Size, sizes
from distill.rack.devices import DEVICES, Device
from distill.rack.estimate import Estimate, Job, estimate, least_devices
from distill.rack.traffic import Traffic
from distill.ranker import Ranker
from distill.recipe import Recipe
from distill.recipe.sections import OutsideTeacher
from distill.store import Store
from distill.testing import example_features
from distill.types import FeatureSchema


class Rack(NamedTuple):
    """What is to be rented, and for what.

    Attributes:
        devices: how many.
        device: name of one of `DEVICES`.
        parameters: of all tables together; as many as the recipe's data give where it is None.
        impressions: of one day.
    """

    devices: int
    device: str = "h100"
    parameters: float | None = None
    impressions: float = 1e10


def rack_plan(recipe: Recipe, rack: Rack) -> dict[str, Any]:
    """What each size of a recipe's teacher would take. Reads the data for the heights of its tables, trains nothing.

    Returns:
        The object that `distill plan --devices N --json` writes. `sizes` has a row for each size; `step`, `sent_mb`
        (by one device in a step) and `throughput` have one for each that fits.

    Raises:
        RecipeError: no such device, or a teacher from outside.
    """
    if rack.device not in DEVICES:
        raise RecipeError(Fault("--device", f"`{rack.device}` is not known.", suggestion(rack.device, list(DEVICES))))
    if isinstance(recipe.teacher, OutsideTeacher):
        raise RecipeError(Fault("teacher", "comes from outside: there is nothing to train.", "Name a teacher.model."))
    schema = load(recipe.data, Store(recipe.store).data).view(recipe.teacher.features, "all").schema(None)
    jobs = {one.name or "as given": _job(one, schema, rack) for one in sizes(recipe.teacher.model, schema)}
    device = DEVICES[rack.device]
    found = {name: fits for name, job in jobs.items() if (fits := estimate(job, rack.devices, device))}
    return {
        "teacher": recipe.teacher.model.path,
        **rack._asdict(),
        "sizes": [_size(name, job, device) for name, job in jobs.items()],
        "step": [{"size": name, **_step(one)} for name, one in found.items()],
        "sent_mb": [{"size": name, **_megabytes(one.traffic)} for name, one in found.items()],
        "throughput": [{"size": name, **_throughput(jobs[name], one, device)} for name, one in found.items()],
    }


def _job(size: Size, schema: FeatureSchema, rack: Rack) -> Job:
    sparse = size.cost.sparse if rack.parameters is None else int(rack.parameters)
    events = sum(field.length for field in schema.sequences if field.ordered)
    cost, blocks = size.cost._replace(sparse=sparse), _in_blocks(size.build, schema)
    return Job(cost, blocks, schema.reads, len(schema.tables), events, rack.impressions)


def _in_blocks(build: Callable[[], Ranker], schema: FeatureSchema) -> int:
    """Parameters in the blocks of a ranker; like its cost, without allocating anything of its size."""
    with torch.device("meta"):
        ranker = build().eval()
    rows = example_features(schema, 1, torch.Generator().manual_seed(0))
    member = tree_map(lambda tensor: tensor.to("meta").unsqueeze(0), rows)
    blocks = units(ranker, lambda: vmap(ranker)(member))  # Mapped, no shape depends on data.
    return sum(weight.numel() for block in blocks for weight in block.parameters())


def _size(name: str, job: Job, device: Device) -> dict[str, Any]:
    cost = job.cost
    counted = {"dense": cost.dense, "sparse": cost.sparse, "flops": cost.flops, "activations": cost.activations}
    return {"size": name, **counted, "least_devices": least_devices(job, device)}


def _step(found: Estimate) -> dict[str, Any]:
    layout = found.layout
    return {
        "dense_mesh": f"{layout.replicas} x {layout.shard}",
        "table_mesh": f"{layout.groups} x {layout.group}",
        "batch": found.batch,
        "states_gb": found.states / 1e9,
        "activations_gb": found.activations / 1e9,
        "milliseconds": 1e3 * found.step,
        "bound": found.bound,
        "mfu": found.mfu,
    }


def _megabytes(sent: Traffic) -> dict[str, float]:
    return {name: count / 1e6 for name, count in sent._asdict().items()}


def _throughput(job: Job, found: Estimate, device: Device) -> dict[str, Any]:
    return {
        "impressions_per_second": found.rate,
        "tokens_per_second": found.tokens,
        "hours_for_a_day": found.hours,
        "devices_to_keep_up": max(found.needed, least_devices(job, device) or 0),
    }
