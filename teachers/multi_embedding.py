"""MultiEmbedding: several tables of embeddings of different width, shared by tasks through experts and gates.

Su et al., STEM: Unleashing the Power of Embeddings for Multi-task Recommendation, AAAI 2024 (`stem`); Ma et al.,
MMoE, KDD 2018; Tang et al., PLE, RecSys 2020; tables of several sizes are Tencent's (Ad Recommendation in a
Collapsed and Entangled World, KDD 2024, as reported: wide ones serve clicks, narrow ones sparse conversions).
"""

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from distill.layers import MLP, PLE, CandidateAttention, FieldEmbedding, MMoE, VerticalTable
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction, Settings


class MultiEmbedding(Ranker):
    """A teacher of several tasks: frequent and rare ones need not agree on one table, nor on one width."""

    class Config(Settings):
        """What a recipe may set of a MultiEmbedding."""

        embeddings: tuple[PositiveInt, ...] = Field(default=(4, 8, 16), min_length=2)
        """Width of each table; with `stem`, one for each task in turn and then a shared one."""
        gate: Literal["mmoe", "ple", "stem"] = "mmoe"
        """Who listens to whom: every task to every table's experts (`mmoe`); layers of own and shared experts over all
        tables (`ple`); a table for each task and a shared one, a task training its own and the shared (`stem`)."""
        heads: int = Field(default=4, ge=1)
        """Heads of the attention to each history, in each table."""
        experts: int = Field(default=1, ge=1)
        """Experts on each table; with `ple`, of each task."""
        hidden: tuple[PositiveInt, ...] = Field(default=(128, 64), min_length=1)
        """Width of each layer of an expert."""
        tower: tuple[PositiveInt, ...] = Field(default=(32,), min_length=1)
        """Width of each layer of a task's tower; the last ones, side by side, are the representation."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        tasks = len(schema.tasks)
        widths = [*config.embeddings]
        if config.gate == "stem":
            widths = [config.embeddings[place % len(widths)] for place in range(tasks + 1)]
        self.tables = nn.ModuleList(Table(schema, width, config.heads) for width in widths)
        self.gate, self.experts = config.gate, config.experts
        self.mixture = _mixture(config, [table.width for table in self.tables], tasks)
        self.towers = nn.ModuleList(MLP(self.mixture.width, config.tower) for _ in schema.tasks)
        self.heads = nn.ModuleList(nn.Linear(config.tower[-1], 1, bias=False) for _ in schema.tasks)
        self.bias = VerticalTable(schema.verticals, tasks)
        self.base = nn.Parameter(torch.zeros(tasks))

    def forward(self, features: Features) -> Prediction:
        heard = self._heard([table(features) for table in self.tables])
        towers = [tower(vector) for tower, vector in zip(self.towers, heard, strict=True)]
        logit = torch.cat([head(vector) for head, vector in zip(self.heads, towers, strict=True)], -1)
        return Prediction(logit + self.base + self.bias(features.vertical), torch.cat(towers, -1))

    def _heard(self, inputs: list[Tensor]) -> list[Tensor]:
        """One vector a task, from what each table gives."""
        if self.gate == "ple":
            return self.mixture(torch.cat(inputs, -1))
        gates = [torch.cat(inputs, -1)] * len(self.towers)
        if self.gate == "stem":
            *own, shared = inputs
            gates = [torch.cat([vector, shared], -1) for vector in own]
        return self.mixture([vector for vector in inputs for _ in range(self.experts)], gates)


class Table(nn.Module):
    """Every feature by embeddings of one width: one flat vector a row, with what the histories say of the candidate."""

    def __init__(self, schema: FeatureSchema, width: int, heads: int) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, width)
        self.vertical = VerticalTable(schema.verticals, width, spread=0.1)
        self.attention = CandidateAttention(schema, width, heads, width)
        self.width = self.embedding.width + width + self.attention.width

    def forward(self, features: Features) -> Tensor:
        embedded, vertical = self.embedding.embed(features), self.vertical(features.vertical)
        return torch.cat([self.embedding.flat(embedded), vertical, *self.attention(embedded, vertical)], -1)


def _mixture(config: MultiEmbedding.Config, widths: list[int], tasks: int) -> nn.Module:
    """The experts and gates above tables that give vectors of these widths."""
    if config.gate == "ple":
        return PLE(sum(widths), config.hidden, tasks, config.experts)
    inputs = [width for width in widths for _ in range(config.experts)]
    if config.gate == "mmoe":
        return MMoE(inputs, config.hidden, [sum(widths)] * tasks)
    owners = [owner for owner in [*range(tasks), None] for _ in range(config.experts)]
    return MMoE(inputs, config.hidden, [width + widths[-1] for width in widths[:-1]], owners)
