"""What losses that compare rows with rows have in common: which rows count, and means over the others.

A weight of 0 marks a row that is not there: a teacher has not scored it, or it only fills up the batch. Whatever stands
in it, infinite numbers among them, reaches neither the value nor the gradient of any other row.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def counted(values: Float[Tensor, "*members rows width"], weight: Float[Tensor, "*members rows"]) -> Tensor:
    """The values in single precision at least, with zeros in the rows that do not count."""
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    return torch.where(weight.unsqueeze(-1) > 0, values, 0.0)


def only_counted(
    loss: Float[Tensor, "*members rows"], weight: Float[Tensor, "*members rows"]
) -> Float[Tensor, "*members rows"]:
    """The loss, and 0 in the rows that do not count."""
    return torch.where(weight > 0, loss, 0.0)


def there(weight: Float[Tensor, "*members rows"]) -> Bool[Tensor, "*members rows rows"]:
    """Whether two rows both count."""
    counts = weight > 0
    return counts.unsqueeze(-1) & counts.unsqueeze(-2)


def partners(weight: Float[Tensor, "*members rows"]) -> Float[Tensor, "*members rows rows"]:
    """How much each other row weighs for a row: [i, j] is the weight of j, and 0 for i itself."""
    itself = torch.eye(weight.shape[-1], dtype=torch.bool, device=weight.device)
    return weight.unsqueeze(-2) * (there(weight) & ~itself)


def mean_over(values: Float[Tensor, "..."], weight: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Mean over the last axis by weight; 0 where nothing has a weight."""
    total = weight.sum(-1)
    return (values * weight).sum(-1) / torch.where(total > 0, total, 1.0)


def products(left: Float[Tensor, "*members rows width"], right: Float[Tensor, "*members columns width"]) -> Tensor:
    """Scalar products of all pairs, `[*members, rows, columns]`; never in lower precision, as differences follow."""
    with torch.autocast(left.device.type, enabled=False):
        return left @ right.mT
