"""Tables of embeddings in parts on the devices of a group, by TorchRec, which is imported when a recipe asks for it."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed._shard.sharded_tensor import Shard, ShardedTensor, init_from_local_shards
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.remote_device import _remote_device

from distill.distributed.copies import Copies
from distill.errors import Fault, RecipeError
from distill.layers import FieldEmbedding
from distill.optimizer.fused import EPSILON

INSTALL = (
    "pip install fbgemm-gpu-cpu==1.8.0 tensordict pyre-extensions iopath; "
    "pip install --no-deps torchrec==1.8.0 (with NVIDIA devices fbgemm-gpu==1.8.0)"
)
"""TorchRec's own pins exclude our torchmetrics, so that it can be no extra of ours."""

MULTIPLE = 4
"""FBGEMM's kernels take vectors of so many numbers, or a multiple."""

KINDS = ("table_wise",)
"""How tables may be cut on a processor: each lies on one device. More does not run there."""

ACCELERATOR_KINDS = (*KINDS, "row_wise", "table_row_wise")
"""The same on an accelerator. Not by columns: row-wise Adagrad would keep a number for each part of a row then, and the
tables would be others. Nor as copies, whose gradients TorchRec sends for all rows: `trainer.tables=whole` is better."""


def require() -> None:
    """Makes sure that TorchRec is there.

    Raises:
        RecipeError: it is not; says how to install it.
    """
    missing = [name for name in ("torchrec", "fbgemm_gpu") if find_spec(name) is None]
    if missing:
        raise RecipeError(Fault("trainer.tables", f"{' and '.join(missing)} is not installed.", INSTALL))


class TorchRecTable:
    """The tall table of a field embedding in parts, which reads for it from now on.

    Each table of the schema is a table of TorchRec, whose planner says what lies where. Rows that are read are stepped
    in the backward pass, by row-wise Adagrad. Weights are those that the embedding had, which lets go of them; in a
    checkpoint they are the tall table again, whoever had which part.

    Args:
        name: of its weight in the ranker.
        embedding: for whom it reads; its weight is in main memory.
        device: of this process.
        mesh: in each row of it, the processes that share a copy of the tables.
        kinds: how tables may be cut; as suits the device where none is given.

    Attributes:
        copies: of this process's parts; those of the other rows.

    Raises:
        RecipeError: its vectors do not suit the kernels.
    """

    def __init__(
        self,
        name: str,
        embedding: FieldEmbedding,
        device: torch.device,
        mesh: DeviceMesh,
        kinds: Sequence[str] | None = None,
    ) -> None:
        height, width = embedding.weight.shape
        if width % MULTIPLE:
            what = f"vectors of {width} numbers do not suit TorchRec's kernels, which take multiples of {MULTIPLE}."
            raise RecipeError(Fault("trainer.tables", what, "Choose such a width, or trainer.tables=whole."))
        self.name, self.height, self.width, self.device = name, height, width, device
        self.group = mesh.get_group("shard")
        starts = embedding.offset.tolist()
        later = sorted(set(starts))[1:]
        self.columns = [f"table{bisect_right(later, start)}" for start in starts]
        areas = pairwise([0, *later, height])
        self.tables = {f"table{number}": (first, last - first) for number, (first, last) in enumerate(areas)}
        kinds = kinds or (KINDS if device.type == "cpu" else ACCELERATOR_KINDS)
        self.module = _cut_up({key: rows for key, (_, rows) in self.tables.items()}, width, device, mesh, kinds)
        for key, (first, rows) in self.tables.items():
            _fill(self._parts(key), embedding.weight.detach()[first : first + rows])
        embedding.weight, embedding.read = None, self.read
        weights, sums = self._placed()
        self.copies = Copies(mesh.get_group("replicate"), _tensors(weights), _tensors(sums))

    def read(self, *ids: Tensor) -> list[Tensor]:
        """Rows of the tall table, one tensor for each tensor of ids, with the width behind its axes. All must ask."""
        columns = [column.reshape(len(index), -1) for index in ids for column in index.unbind(-1)]
        found: dict[int, Tensor] = {}
        rows = self.module(self._questions(columns))
        rows = rows.wait() if hasattr(rows, "wait") else rows
        for key in self.tables:
            places = self._asking(key)
            answer = self.copies.share(rows[key].values()).view(len(columns[0]), -1, self.width)
            parts = answer.split([columns[place].shape[1] for place in places], 1)
            found |= dict(zip(places, parts, strict=True))
        every = iter(found[place] for place in range(len(columns)))
        return [_side_by_side(index, [next(every) for _ in range(index.shape[-1])]) for index in ids]

    def set_rate(self, rate: float) -> None:
        """How far the next backward pass steps."""
        for group in self.module.fused_optimizer.param_groups:
            group["lr"] = self.copies.count * rate
        self.module.fused_optimizer.step()  # Steps nothing: it tells the kernels.

    def snapshot(self) -> dict[str, ShardedTensor]:
        """Weights and what Adagrad keeps, each as one tall table, which copies have agreed on; filling its parts, and
        those of all copies, resumes. All must ask."""
        self.copies.average()
        weights, sums = self._placed()
        return {
            self.name: init_from_local_shards(weights, self.height, self.width, process_group=self.group),
            f"adam/square/{self.name}": init_from_local_shards(sums, self.height, 1, process_group=self.group),
        }

    @torch.no_grad()
    def whole(self) -> Tensor:
        """The tall table in main memory, which copies have agreed on. All processes must ask."""
        self.copies.average()
        every = torch.empty(self.height, self.width)
        for key, (first, rows) in self.tables.items():
            table = torch.zeros(rows, self.width, device=self.device)
            for part in self._parts(key):
                table[_area(part)] = part.tensor
            distributed.all_reduce(table, group=self.group)
            every[first : first + rows] = table.cpu()
        return every

    def _placed(self) -> tuple[list[Shard], list[Shard]]:
        """This process's parts of the weights, and of what Adagrad keeps, as parts of the tall table."""
        squares = self.module.fused_optimizer.state_dict()["state"]
        weights, sums = [], []
        for key, (first, _) in self.tables.items():
            weights += [_placed(part, first) for part in self._parts(key)]
            kept = squares.get(f"embeddings.{key}.weight", {}).get(f"{key}.momentum1")
            sums += [_placed(part, first) for part in (kept.local_shards() if kept is not None else [])]
        return weights, sums

    def _parts(self, key: str) -> list[Shard]:
        """What this process has of a table."""
        return self.module.state_dict()[f"embeddings.{key}.weight"].local_shards()

    def _asking(self, key: str) -> list[int]:
        return [place for place, name in enumerate(self.columns) if name == key]

    def _questions(self, columns: Sequence[Tensor]) -> Any:
        """The ids by table, row by row. PAD, which is no row, asks for the first one: nobody listens to the answer."""
        from torchrec import KeyedJaggedTensor

        asked = {key: torch.cat([columns[place] for place in self._asking(key)], 1) for key in self.tables}
        values = [(asked[key] - first).clamp_min(0).flatten() for key, (first, _) in self.tables.items()]
        lengths = [one.new_full((len(one),), one.shape[1]) for one in asked.values()]
        return KeyedJaggedTensor(list(self.tables), torch.cat(values), lengths=torch.cat(lengths))


def _cut_up(
    heights: Mapping[str, int], width: int, device: torch.device, mesh: DeviceMesh, kinds: Sequence[str]
) -> Any:
    """TorchRec's sharded collection of tables, as its planner lays it on every row of the mesh."""
    from torchrec import EmbeddingCollection, EmbeddingConfig
    from torchrec.distributed.comm import get_local_size
    from torchrec.distributed.embedding import EmbeddingCollectionSharder
    from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
    from torchrec.distributed.planner.types import ParameterConstraints
    from torchrec.distributed.types import ShardingEnv

    configs = [
        EmbeddingConfig(num_embeddings=rows, embedding_dim=width, name=key, feature_names=[key])
        for key, rows in heights.items()
    ]
    whole = EmbeddingCollection(configs, device=torch.device("meta"))
    group = mesh.get_group("shard")
    topology = Topology(group.size(), device.type, local_world_size=get_local_size(group.size()))
    constraints = {key: ParameterConstraints(sharding_types=list(kinds)) for key in heights}
    sharder = EmbeddingCollectionSharder(_fused())
    planner = EmbeddingShardingPlanner(topology, constraints=constraints)
    plan = planner.collective_plan(whole, [sharder], distributed.group.WORLD).plan[""]
    _number_among_all(plan.values(), group, device.type)
    return sharder.shard(whole, plan, ShardingEnv.from_process_group(group), device)


def _number_among_all(plan: Iterable[Any], group: distributed.ProcessGroup, device: str) -> None:
    """Parts in a plan say on which process of the group they lie; those of a tensor say on which of all processes."""
    for shard in (shard for table in plan for shard in table.sharding_spec.shards):
        rank = distributed.get_global_rank(group, shard.placement.rank())
        index = shard.placement.device().index
        local = "" if index is None else f":{rank % torch.accelerator.device_count()}"
        shard.placement = _remote_device(f"rank:{rank}/{device}{local}")


def _fused() -> dict[str, Any]:
    from fbgemm_gpu.split_embedding_configs import EmbOptimType

    return {"optimizer": EmbOptimType.EXACT_ROWWISE_ADAGRAD, "eps": EPSILON, "learning_rate": 0.0}


def _tensors(parts: Sequence[Shard]) -> list[Tensor]:
    return [part.tensor for part in parts]


def _fill(parts: Sequence[Shard], table: Tensor) -> None:
    for part in parts:
        part.tensor.copy_(table[_area(part)])


def _area(part: Shard) -> tuple[slice, ...]:
    """Where a part lies in its table."""
    edges = zip(part.metadata.shard_offsets, part.metadata.shard_sizes, strict=True)
    return tuple(slice(first, first + count) for first, count in edges)


def _placed(part: Shard, first: int) -> Shard:
    """The part of a table as a part of the tall one; one number a row is a column of them."""
    tensor = part.tensor.view(len(part.tensor), -1)
    offsets = part.metadata.shard_offsets
    column = offsets[1] if tensor.shape[1] > 1 else 0
    return Shard.from_tensor_and_offsets(tensor, [first + offsets[0], column], distributed.get_rank())


def _side_by_side(index: Tensor, columns: Sequence[Tensor]) -> Tensor:
    return torch.stack([column.view(*index.shape[:-1], -1) for column in columns], -2)
