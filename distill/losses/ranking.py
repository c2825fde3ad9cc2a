"""The logit channel within groups: the order and the gaps of the rows that one user or one session was shown.

Each function takes the weight of every row: 0 for one that the teacher has not scored or that only fills up the batch,
which then costs nothing and has no say in the others, whatever stands in it. A row alone in its group costs nothing.
The mean over rows by weight is the loss, so that a group counts by its weight. Memory grows with rows x rows for each
member and task.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from distill.losses.comparing import counted, mean_over, partners, there
from distill.losses.logit import binary_cross_entropy

Logits = Float[Tensor, "*members rows tasks"]
Groups = Int[Tensor, "*members rows"]
Weights = Float[Tensor, "*members rows"]
Pairs = Float[Tensor, "*members tasks rows rows"]


def pairwise(logit: Logits, teacher_logit: Logits, group: Groups, weight: Weights) -> Logits:
    """Cross-entropy of which of two rows comes first, in nats: BCE(z_i - z_j, sigmoid(t_i - t_j)), the mean over j.

    RankNet with the teacher's own log-odds of the order as its target. Adding a number to all rows of a group changes
    nothing, so the level of the logit is left to a loss that sees one row at a time.

    Args:
        logit: the student's log-odds.
        teacher_logit: the teacher's log-odds; no gradient flows into it.
        group: number of the user or session.
        weight: of each row among the others of its group.

    References:
        Burges et al.: Learning to Rank using Gradient Descent, 2005.
    """
    gaps, teacher_gaps = _gaps(logit, weight), _gaps(teacher_logit.detach(), weight)
    return _mean(binary_cross_entropy(gaps, teacher_gaps.sigmoid()), group, weight)


def margin_mse(logit: Logits, teacher_logit: Logits, group: Groups, weight: Weights) -> Logits:
    """Squared difference of the gaps between two rows: ((z_i - z_j) - (t_i - t_j))^2, the mean over j.

    Adding a number to all rows of a group changes nothing.

    Args:
        logit: the student's log-odds.
        teacher_logit: the teacher's log-odds; no gradient flows into it.
        group: number of the user or session.
        weight: of each row among the others of its group.

    References:
        Hofstätter et al.: Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation,
        2020.
    """
    gaps, teacher_gaps = _gaps(logit, weight), _gaps(teacher_logit.detach(), weight)
    return _mean((gaps - teacher_gaps) ** 2, group, weight)


def listwise(logit: Logits, teacher_logit: Logits, group: Groups, weight: Weights) -> Logits:
    """Cross-entropy of shares of a group's clicks, in nats: - sum_i P_T(i) log P_S(i), P(i) = p_i / sum_j p_j.

    The shares are of probabilities sigmoid(z), not of exp(z): it is least where the student's probabilities are the
    teacher's times any factor, and the right ones are among them. So it does not pull against a cross-entropy with the
    label, which it needs beside it to find the factor. Every row of a group has the loss of the group.

    Args:
        logit: the student's log-odds.
        teacher_logit: the teacher's log-odds; no gradient flows into it.
        group: number of the user or session.
        weight: factor on a row's probability in the shares.

    References:
        Gui et al.: Calibration-compatible Listwise Distillation of Privileged Features for CTR Prediction, 2024.
    """
    shares = _log_shares(logsigmoid(_rows_last(teacher_logit.detach(), weight)), group, weight).exp()
    return _list_entropy(shares, logsigmoid(_rows_last(logit, weight)), group, weight)


def listwise_unnormalised(logit: Logits, teacher_logit: Logits, group: Groups, weight: Weights) -> Logits:
    """The same against the teacher's probabilities as they are: - (1 / n) sum_i p_T(i) log P_S(i), in nats.

    For a teacher that sees more than the student: the mean of p_T over what the student cannot see has the right
    shares, the mean of P_T does not. n is the weight of the group.

    Args:
        logit: the student's log-odds.
        teacher_logit: the teacher's log-odds; no gradient flows into it.
        group: number of the user or session.
        weight: factor on a row's probability in the shares.

    References:
        Bai et al.: Regression Compatible Listwise Objectives for Calibrated Ranking with Binary Relevance, 2023.
    """
    together = _together(group, weight)
    within = together * weight.unsqueeze(-2)
    portion = weight / torch.where(weight > 0, within.sum(-1), 1.0)
    clicks = _rows_last(teacher_logit.detach(), weight).sigmoid() * portion.unsqueeze(-2)
    return _list_entropy(clicks, logsigmoid(_rows_last(logit, weight)), group, weight)


def listwise_softmax(logit: Logits, teacher_logit: Logits, group: Groups, weight: Weights) -> Logits:
    """Cross-entropy of which row comes first, in nats: - sum_i P_T(i) log P_S(i), P = softmax of log-odds.

    Least where the student's log-odds are the teacher's plus a number; where p is not small this pulls against
    calibration, so it belongs on an auxiliary head.

    Args:
        logit: the student's log-odds.
        teacher_logit: the teacher's log-odds; no gradient flows into it.
        group: number of the user or session.
        weight: factor on a row's exp(z) in the softmax.

    References:
        Cao et al.: Learning to Rank: From Pairwise Approach to Listwise Approach (ListNet), 2007.
    """
    shares = _log_shares(_rows_last(teacher_logit.detach(), weight), group, weight).exp()
    return _list_entropy(shares, _rows_last(logit, weight), group, weight)


def _rows_last(logit: Logits, weight: Weights) -> Float[Tensor, "*members tasks rows"]:
    return counted(logit, weight).mT


def _gaps(logit: Logits, weight: Weights) -> Pairs:
    rows = _rows_last(logit, weight)
    return rows.unsqueeze(-1) - rows.unsqueeze(-2)


def _same(group: Groups) -> Tensor:
    return group.unsqueeze(-1) == group.unsqueeze(-2)


def _together(group: Groups, weight: Weights) -> Tensor:
    """Whether two rows count and are of one group; a row that does not count is with itself alone."""
    itself = torch.eye(group.shape[-1], dtype=torch.bool, device=group.device)
    return (_same(group) & there(weight)) | itself


def _mean(pairs: Pairs, group: Groups, weight: Weights) -> Logits:
    weights = partners(weight) * _same(group)
    return mean_over(pairs, weights.unsqueeze(-3)).mT


def _log_shares(score: Float[Tensor, "*members tasks rows"], group: Groups, weight: Weights) -> Tensor:
    """Log of w_i exp(s_i) over its sum in the group, `[*members, tasks, rows]`."""
    score = score + torch.where(weight > 0, weight, 1.0).log().unsqueeze(-2)
    others = score.unsqueeze(-2).masked_fill(~_together(group, weight).unsqueeze(-3), -torch.inf)
    return score - others.logsumexp(-1)


def _list_entropy(
    target: Float[Tensor, "*members tasks rows"],
    score: Float[Tensor, "*members tasks rows"],
    group: Groups,
    weight: Weights,
) -> Logits:
    """Minus the sum over each row's group of target times log share."""
    cost = -(target * _log_shares(score, group, weight))
    return (_together(group, weight).unsqueeze(-3) * cost.unsqueeze(-2)).sum(-1).mT
