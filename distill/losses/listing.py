"""The losses that a teacher may be heard through, by name."""

import inspect
from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor

from distill.losses import geometry, logit, ranking, representation


class Loss(NamedTuple):
    """One loss, and what it has to be given.

    Attributes:
        function: pure and unreduced. Of a row alone it takes (student, teacher), in a group (student, teacher, group,
            weight), of vectors (student, teacher, weight).
        channel: what it compares: log-odds or representations.
        grouped: whether it compares rows of one user or session.
        projected: whether both sides need one width, to which a projector brings the student.
    """

    function: Callable[..., Tensor]
    channel: Literal["logit", "representation"]
    grouped: bool = False
    projected: bool = False

    @property
    def source(self) -> str:
        """Author, title and year, from the function's own description."""
        text = inspect.getdoc(self.function) or ""
        return " ".join(text.partition("References:\n")[2].partition("\n\n")[0].split())


def _named(*losses: Loss) -> dict[str, Loss]:
    return {loss.function.__name__: loss for loss in losses}


LOSSES = _named(
    Loss(logit.logit_distillation, "logit"),
    Loss(logit.logit_mse, "logit"),
    Loss(ranking.pairwise, "logit", grouped=True),
    Loss(ranking.margin_mse, "logit", grouped=True),
    Loss(ranking.listwise, "logit", grouped=True),
    Loss(ranking.listwise_unnormalised, "logit", grouped=True),
    Loss(ranking.listwise_softmax, "logit", grouped=True),
    Loss(representation.hint_mse, "representation", projected=True),
    Loss(representation.cosine, "representation", projected=True),
    Loss(representation.contrastive, "representation", projected=True),
    Loss(geometry.cka, "representation"),
    Loss(geometry.gram, "representation"),
    Loss(geometry.procrustes, "representation"),
    Loss(geometry.rkd_distance, "representation"),
    Loss(geometry.rkd_angle, "representation"),
)
"""Name -> loss."""
