"""The representation channel by what vectors have to do with each other: the student's may have any width.

A row of weight 0 costs nothing and has no say in the others, whatever stands in it: the teacher has not scored it, or
it only fills up the batch. `cka` and `procrustes` exist for a whole batch: each row that counts has the value of the
batch, so that the mean over rows is the loss.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import huber_loss

from distill.losses.comparing import counted, mean_over, only_counted, partners, products, there
from distill.losses.representation import EPSILON, unit

Vectors = Float[Tensor, "*members rows width"]
Wide = Float[Tensor, "*members rows wide"]
Weights = Float[Tensor, "*members rows"]


def cka(student: Vectors, teacher: Wide, weight: Weights) -> Weights:
    """One minus the linear centred kernel alignment, from 0 to 1: 1 - |T'S|^2 / (|S'S| |T'T|), S and T centred.

    Norms are Frobenius norms, columns are centred over the rows by weight. 0 where the student's vectors are the
    teacher's, turned and made longer or shorter; 1 where the student says the same of every row, and in a batch of one
    row, both with no gradient. Of a batch with fewer rows than the width it is too small: any vectors look alike.

    Args:
        student: the student's vectors.
        teacher: the teacher's vectors, of any width; no gradient flows into them.
        weight: of each row in the batch.

    References:
        Kornblith et al.: Similarity of Neural Network Representations Revisited, 2019.
    """
    student, teacher = _standard(student, weight), _standard(teacher.detach(), weight)
    own, other, cross = (
        products(left.mT, right.mT).square().sum((-2, -1))
        for left, right in ((student, student), (teacher, teacher), (student, teacher))
    )
    return _of_every_row(1 - cross / (own * other + EPSILON**2).sqrt(), weight)


def procrustes(student: Vectors, teacher: Wide, weight: Weights) -> Weights:
    """Squared distance that is left when the student's vectors are turned onto the teacher's, from 0 to 2.

    min over orthogonal Q of |S - T Q|^2 = |S|^2 + |T|^2 - 2 |T'S|*, the last one the nuclear norm, S and T centred and
    divided by their Frobenius norms; the narrower is filled up with zeros. It costs a singular value decomposition of
    width x width for each member.

    Args:
        student: the student's vectors.
        teacher: the teacher's vectors, of any width; no gradient flows into them.
        weight: of each row in the batch.

    References:
        Schoenemann: A Generalized Solution of the Orthogonal Procrustes Problem, 1966; as a loss of distillation beside
        Gram matrices, in arXiv 2509.25253, 2025.
    """
    student, teacher = _standard(student, weight), _standard(teacher.detach(), weight)
    # A decomposition of a number that is none would fail for all members; it stays in the norms of its own.
    cross = products(student.mT, teacher.mT).nan_to_num(0.0, 0.0, 0.0)
    nuclear = torch.linalg.svdvals(cross).sum(-1)
    norms = student.square().sum((-2, -1)) + teacher.square().sum((-2, -1))
    return _of_every_row(norms - 2 * nuclear, weight)


def gram(student: Vectors, teacher: Wide, weight: Weights) -> Weights:
    """Squared difference of scalar products with the rows of the batch: the mean over j of (s_i.s_j - t_i.t_j)^2.

    Each side is divided by the root of its mean squared norm, so that neither width nor scale counts. The mean over
    rows is |S S' - T T'|^2 / n^2. 0 where the student's vectors are the teacher's, turned.

    Args:
        student: the student's vectors.
        teacher: the teacher's vectors, of any width; no gradient flows into them.
        weight: of each row among the others.

    References:
        Tung, Mori: Similarity-Preserving Knowledge Distillation, 2019, without their norm of each row.
    """
    student, teacher = (_sized(counted(side, weight), weight) for side in (student, teacher.detach()))
    gap = products(student, student) - products(teacher, teacher)
    return only_counted(mean_over(gap.square(), weight.unsqueeze(-2) * there(weight)), weight)


def rkd_distance(student: Vectors, teacher: Wide, weight: Weights) -> Weights:
    """Huber loss of the distances to the other rows, each side's divided by its mean: the mean over these rows.

    0 where the student's vectors are the teacher's, turned, shifted, made longer or shorter.

    Args:
        student: the student's vectors.
        teacher: the teacher's vectors, of any width; no gradient flows into them.
        weight: of each row among the others.

    References:
        Park, Kim, Lu, Cho: Relational Knowledge Distillation, 2019, section 3.2.1.
    """
    own, other = _distances(student, weight), _distances(teacher.detach(), weight)
    return mean_over(huber_loss(own, other, reduction="none"), partners(weight))


def rkd_angle(student: Vectors, teacher: Wide, weight: Weights, others: int = 8) -> Weights:
    """Huber loss of the cosines of the angles that a row sees between two others: the mean over these pairs.

    0 where the student's vectors are the teacher's, turned, shifted, made longer or shorter. All angles of n rows are
    n^3; here a row sees those between the next `others` rows that count, the last row being followed by the first.
    Batches come in no order, so these are a sample of all.

    Args:
        student: the student's vectors.
        teacher: the teacher's vectors, of any width; no gradient flows into them.
        weight: of each row among the others.
        others: rows that each row looks at; all angles from n - 1 on.

    References:
        Park, Kim, Lu, Cho: Relational Knowledge Distillation, 2019, section 3.2.2.
    """
    index, seen = _next(weight, others)
    own, other = _angles(student, weight, index), _angles(teacher.detach(), weight, index)
    pairs = seen.unsqueeze(-1) * partners(seen)
    return mean_over(huber_loss(own, other, reduction="none").flatten(-2), pairs.flatten(-2))


def _centred(vectors: Vectors, weight: Weights) -> Vectors:
    """Minus their mean by weight, with zeros in the rows that do not count."""
    vectors = counted(vectors, weight)
    return counted(vectors - mean_over(vectors.mT, weight.unsqueeze(-2)).unsqueeze(-2), weight)


def _sized(vectors: Vectors, weight: Weights) -> Vectors:
    """Divided by the root of their mean squared norm."""
    size = mean_over(vectors.square().sum(-1), weight)
    return vectors * (size + EPSILON).rsqrt()[..., None, None]


def _standard(vectors: Vectors, weight: Weights) -> Vectors:
    """Centred, with a Frobenius norm of one, each row by the root of its weight: S'S is a covariance."""
    total = weight.sum(-1, keepdim=True)
    share = weight / torch.where(total > 0, total, 1.0)
    return _sized(_centred(vectors, weight), weight) * share.sqrt().unsqueeze(-1)


def _of_every_row(value: Float[Tensor, "*members"], weight: Weights) -> Weights:
    return only_counted(value.unsqueeze(-1).expand(weight.shape), weight)


def _distances(vectors: Vectors, weight: Weights) -> Float[Tensor, "*members rows rows"]:
    vectors = _sized(_centred(vectors, weight), weight)
    norm = vectors.square().sum(-1)
    squared = norm.unsqueeze(-1) + norm.unsqueeze(-2) - 2 * products(vectors, vectors)
    distance = (squared.clamp_min(0) + EPSILON).sqrt()
    pairs = weight.unsqueeze(-1) * partners(weight)
    mean = mean_over(distance.flatten(-2), pairs.flatten(-2))
    return distance / torch.where(mean > 0, mean, 1.0)[..., None, None]


def _next(
    weight: Weights, others: int
) -> tuple[Int[Tensor, "*members rows others"], Float[Tensor, "*members rows others"]]:
    """The rows that follow each row among those that count, and their weight; 0 for those that are not there."""
    counts = weight > 0
    first = (~counts).int().argsort(dim=-1, stable=True)
    count = counts.sum(-1)[..., None, None]
    steps = torch.arange(1, min(others, weight.shape[-1] - 1) + 1, device=weight.device)
    place = (counts.cumsum(-1).unsqueeze(-1) - 1 + steps) % count.clamp_min(1)
    index = torch.take_along_dim(first.unsqueeze(-2), place, dim=-1)
    seen = torch.take_along_dim(weight.unsqueeze(-2), index, dim=-1)
    return index, seen * (counts.unsqueeze(-1) & (steps < count))


def _angles(
    vectors: Vectors, weight: Weights, index: Int[Tensor, "*members rows others"]
) -> Float[Tensor, "*members rows others others"]:
    vectors = _sized(_centred(vectors, weight), weight)
    seen = torch.take_along_dim(vectors, index.flatten(-2).unsqueeze(-1), dim=-2).unflatten(-2, index.shape[-2:])
    directions = unit(seen - vectors.unsqueeze(-2))
    return products(directions, directions)
