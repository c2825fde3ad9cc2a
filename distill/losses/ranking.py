"""The logit channel within groups: the order and the gaps of the rows that one user or one session was shown.

Each function takes the weight of every row: 0 for one that the teacher has not scored or that only fills up the batch,
which then costs nothing and has no say in the others, whatever stands in it. A row alone in its group costs nothing.
The mean over rows by weight is the loss, so that a group counts by its weight. Memory grows with rows x rows for each
member and task.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from distill.losses.comparing import counted, mean_over, partners, products, there
from distill.losses.logit import binary_cross_entropy

Logits = Float[Tensor, "*members rows tasks"]
Groups = Int[Tensor, "*members rows"]
Weights = Float[Tensor, "*members rows"]
ByTask = Float[Tensor, "*members tasks rows"]
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
    lists = _lists(group, weight)
    shares = _log_shares(logsigmoid(_rows_last(teacher_logit.detach(), weight)), lists, weight).exp()
    return _list_entropy(shares, logsigmoid(_rows_last(logit, weight)), lists, weight)


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
    lists, own = _lists(group, weight), weight.unsqueeze(-2)
    portion = own / torch.where(own > 0, _sums(own, lists), 1.0)
    clicks = _rows_last(teacher_logit.detach(), weight).sigmoid() * portion
    return _list_entropy(clicks, logsigmoid(_rows_last(logit, weight)), lists, weight)


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
    lists = _lists(group, weight)
    shares = _log_shares(_rows_last(teacher_logit.detach(), weight), lists, weight).exp()
    return _list_entropy(shares, _rows_last(logit, weight), lists, weight)


def _rows_last(logit: Logits, weight: Weights) -> ByTask:
    return counted(logit, weight).mT


def _gaps(logit: Logits, weight: Weights) -> Pairs:
    rows = _rows_last(logit, weight)
    return rows.unsqueeze(-1) - rows.unsqueeze(-2)


def _same(group: Groups) -> Bool[Tensor, "*members rows rows"]:
    return group.unsqueeze(-1) == group.unsqueeze(-2)


def _mean(pairs: Pairs, group: Groups, weight: Weights) -> Logits:
    weights = partners(weight) * _same(group)
    return mean_over(pairs, weights.unsqueeze(-3)).mT


def _lists(group: Groups, weight: Weights) -> Bool[Tensor, "*members rows rows"]:
    """Whether two rows count and are of one group; a row that does not count is with itself alone."""
    itself = torch.eye(group.shape[-1], dtype=torch.bool, device=group.device)
    return (_same(group) & there(weight)) | itself


def _sums(values: ByTask, lists: Bool[Tensor, "*members rows rows"]) -> ByTask:
    """Of each row's group."""
    return products(values, lists.to(values.dtype))


def _log_shares(score: ByTask, lists: Bool[Tensor, "*members rows rows"], weight: Weights) -> ByTask:
    """Log of w_i exp(s_i) over its sum in the group."""
    score = score + torch.where(weight > 0, weight, 1.0).log().unsqueeze(-2)
    top = score.detach().unsqueeze(-2).masked_fill(~lists.unsqueeze(-3), -torch.inf).amax(-1)
    return score - top - _sums((score - top).exp(), lists).log()


def _list_entropy(target: ByTask, score: ByTask, lists: Bool[Tensor, "*members rows rows"], weight: Weights) -> Logits:
    """Minus the sum over each row's group of target times log share."""
    return -_sums(target * _log_shares(score, lists, weight), lists).mT
