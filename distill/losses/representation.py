"""The representation channel, row by row: a student's hidden vector against the teacher's for the same row.

Widths are the same on both sides; a projector on the student's side brings them there. A row of weight 0 costs nothing
and has no say in the others, whatever stands in it: the teacher has not scored it, or it only fills up the batch.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from distill.losses.comparing import counted, only_counted, products, there

Vectors = Float[Tensor, "*members rows width"]
Weights = Float[Tensor, "*members rows"]

EPSILON = 1e-8
"""Added to a squared norm before its root: a vector much shorter than 1e-4 has no direction."""


def hint_mse(student: Vectors, teacher: Vectors, weight: Weights) -> Weights:
    """Squared difference of two vectors, the mean over the width: |s - t|^2 / width.

    In the squared units of the teacher's representation: where that is not of order one, normalise it first.

    Args:
        student: the student's vectors, projected to the teacher's width.
        teacher: the teacher's vectors; no gradient flows into them.
        weight: 0 for a row that does not count.

    References:
        Romero et al.: FitNets: Hints for Thin Deep Nets, 2015, section 2.2.
    """
    return (counted(student, weight) - counted(teacher.detach(), weight)).square().mean(-1)


def cosine(student: Vectors, teacher: Vectors, weight: Weights) -> Weights:
    """One minus the cosine of the angle between two vectors, from 0 to 2: 1 - s.t / (|s| |t|).

    Args:
        student: the student's vectors, projected to the teacher's width.
        teacher: the teacher's vectors; no gradient flows into them.
        weight: 0 for a row that does not count.

    References:
        Sanh et al.: DistilBERT, a distilled version of BERT, 2019.
    """
    student, teacher = unit(counted(student, weight)), unit(counted(teacher.detach(), weight))
    return only_counted(1 - (student * teacher).sum(-1), weight)


def contrastive(
    student: Vectors, teacher: Vectors, weight: Weights, temperature: Float[Tensor, "..."] | float = 0.1
) -> Weights:
    """Cross-entropy of finding one's own teacher vector among all of the batch, in nats (InfoNCE).

    - log( w_i exp(s_i.t_i / T) / sum_j w_j exp(s_i.t_j / T) ), of unit vectors. It is log n where all vectors are the
    same. Its gradient does not vanish where student equals teacher: it goes on to part the rows.

    Args:
        student: the student's vectors, projected to the teacher's width.
        teacher: the teacher's vectors; no gradient flows into them.
        weight: of each row among the rows to choose from.
        temperature: a number, or one that broadcasts against `[*members, rows, rows]`.

    References:
        Tian, Krishnan, Isola: Contrastive Representation Distillation, 2020; in the form of van den Oord, Li, Vinyals:
        Representation Learning with Contrastive Predictive Coding, 2018.
    """
    student, teacher = unit(counted(student, weight)), unit(counted(teacher.detach(), weight))
    itself = torch.eye(weight.shape[-1], dtype=torch.bool, device=weight.device)
    scores = products(student, teacher) / temperature + torch.where(weight > 0, weight, 1.0).log().unsqueeze(-2)
    scores = scores.masked_fill(~(there(weight) | itself), -torch.inf)
    return scores.logsumexp(-1) - scores.diagonal(dim1=-2, dim2=-1)


def unit(vectors: Float[Tensor, "... width"]) -> Float[Tensor, "... width"]:
    """Vectors of length one; those without a length stay without."""
    return vectors * (vectors.square().sum(-1, keepdim=True) + EPSILON).rsqrt()
