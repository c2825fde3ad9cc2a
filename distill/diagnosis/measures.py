"""Measures: which verticals pull shared parameters apart, and which features a ranker leans on."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from distill.layers import FieldEmbedding, Verticals, VerticalTable
from distill.losses import binary_cross_entropy
from distill.ranker import Ranker
from distill.types import PAD, Batch, Features, FeatureSchema, Prediction


def layer(name: str) -> str:
    """The layer that a parameter belongs to: the module that holds it.

    >>> layer("top.layers.0.weight"), layer("bias")
    ('top.layers.0', 'bias')
    """
    return name.rpartition(".")[0] or name


def gradient_correlation(
    ranker: Ranker, batches: Sequence[Batch], verticals: Sequence[int], group: Callable[[str], str] = str
) -> dict[str, Float[Tensor, "verticals verticals"]]:
    """Whether verticals would move a parameter the same way: the cosine of the gradients of their losses.

    `G[i, j] = cos(grad L_i, grad L_j)`, the heat map of Tencent's notes on their multi-scene ranker; below zero, what
    helps one vertical hurts the other. Gradients are averaged over batches before they are compared, ours.

    Args:
        ranker: without a members axis, as it is: nothing is trained.
        batches: rows of all verticals, without a members axis.
        verticals: the ones to compare.
        group: from the name of a parameter to that of what it is part of, such as its `layer`, whose gradients are
            compared as one vector. Each parameter by itself where none is given.

    Returns:
        Name of a parameter, or of a group -> one row and column for each vertical; NaN where a vertical has no rows,
        or no gradient. Tables of embeddings, of ids and of verticals, are left out: verticals read different rows.
    """
    tables = {id(weight) for module in ranker.modules() for weight in _read_by_row(module)}
    shared = {name: weight for name, weight in ranker.named_parameters() if id(weight) not in tables}
    gradients = [_gradient(ranker, batches, vertical, shared) for vertical in verticals]
    groups: dict[str, list[str]] = {}
    for name in shared:
        groups.setdefault(group(name), []).append(name)
    return {
        whole: _cosines(torch.stack([torch.cat([one[name].flatten() for name in names]) for one in gradients]))
        for whole, names in groups.items()
    }


def _read_by_row(module: nn.Module) -> list[Tensor]:
    """Weights of which a vertical reads rows of its own."""
    if isinstance(module, Verticals):
        return [module.embedding, module.bias]
    return [module.weight] if isinstance(module, FieldEmbedding | VerticalTable) else []


def _gradient(ranker: Ranker, batches: Sequence[Batch], vertical: int, shared: dict[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of a vertical's summed loss; zero where none reaches."""
    total = {name: torch.zeros_like(weight) for name, weight in shared.items()}
    for batch in batches:
        loss = (_loss(ranker(batch.features), batch) * (batch.features.vertical == vertical)).sum()
        found = torch.autograd.grad(loss, list(shared.values()), allow_unused=True)
        for name, gradient in zip(shared, found, strict=True):
            total[name] += 0 if gradient is None else gradient
    return total


def _loss(said: Prediction, batch: Batch) -> Float[Tensor, " rows"]:
    """Each row's loss, over the tasks for which it has a label."""
    return (binary_cross_entropy(said.logit, batch.label) * batch.valid).sum(-1) * batch.weight


def _cosines(gradients: Float[Tensor, "verticals numbers"]) -> Float[Tensor, "verticals verticals"]:
    unit = gradients / gradients.norm(dim=-1, keepdim=True)
    return unit @ unit.mT


@torch.no_grad()
def permutation_importance(ranker: Ranker, schema: FeatureSchema, batch: Batch, seed: int) -> dict[str, float]:
    """What each feature is worth: by how much the mean loss rises when its values are dealt out anew among the rows.

    Breiman, Random Forests, 2001, section 10. A history is dealt out whole.

    Args:
        ranker: in evaluation mode, without a members axis.
        schema: what it sees.
        batch: rows that it was not trained on.
        seed: of the deals, one for each feature.

    Returns:
        Name of a feature -> nats; near zero, or below, where the ranker does not lean on it.
    """
    names = [*schema.categorical, *schema.numeric, *(field.name for field in schema.sequences), *(schema.vectors or {})]
    before, generator, rise = _mean_loss(ranker, batch), torch.Generator().manual_seed(seed), {}
    for name in names:
        order = torch.randperm(len(batch.label), generator=generator)
        dealt = _dealt(batch.features, schema, name, order)
        rise[name] = _mean_loss(ranker, batch._replace(features=dealt)) - before
    return rise


@torch.no_grad()
def importance_by_age(ranker: Ranker, batch: Batch, history: str, seed: int) -> list[float]:
    """What each step of a history is worth, newest first: the rise of the loss when it changes places among rows.

    Steps are dealt out among the rows that have one of that age, so that every history stays as long as it is. It asks
    the ranker as a whole, so that histories may be read by any kind of attention, or by none.

    Args:
        ranker: in evaluation mode, without a members axis.
        batch: rows that it was not trained on.
        history: name of the sequence.
        seed: of the deals, one for each age.

    Returns:
        Nats; the mean is over all rows, so that ages few rows have are worth little.
    """
    before, generator, rises = _mean_loss(ranker, batch), torch.Generator().manual_seed(seed), []
    ids = batch.features.sequences[history]
    for age in range(ids.shape[1]):
        rows = (ids[:, age, 0] != PAD).nonzero().squeeze(-1)
        dealt = ids.clone()
        dealt[rows, age] = ids[rows[torch.randperm(len(rows), generator=generator)], age]
        features = batch.features._replace(sequences=batch.features.sequences | {history: dealt})
        rises.append(_mean_loss(ranker, batch._replace(features=features)) - before)
    return rises


def some_rows(batch: Batch, rows: Int[Tensor, " rows"]) -> Batch:
    """Some of the rows of a batch that has no members axis."""
    return tree_map_only(Tensor, lambda tensor: tensor[rows], batch)


def _mean_loss(ranker: Ranker, batch: Batch) -> float:
    return (_loss(ranker(batch.features), batch).sum() / (batch.weight.unsqueeze(-1) * batch.valid).sum()).item()


def _dealt(features: Features, schema: FeatureSchema, name: str, order: Int[Tensor, " rows"]) -> Features:
    """The same rows with one feature in another order."""
    for kind, names in (("categorical", schema.categorical), ("numeric", schema.numeric)):
        if name in names:
            column, values = names.index(name), getattr(features, kind).clone()
            values[:, column] = values[order, column]
            return features._replace(**{kind: values})
    kind = "sequences" if name in features.sequences else "vectors"
    values = getattr(features, kind)
    return features._replace(**{kind: values | {name: values[name][order]}})
