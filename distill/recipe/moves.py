"""The sections of a recipe that say what moves from whom to whom."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from distill.adapter import Form
from distill.recipe.several import Combine
from distill.schedule import Decay
from distill.types import Settings


class StudentAdapter(Settings):
    """A small model of each student's own that refines the teacher's log-odds by labels, before it learns from them."""

    form: Form = "platt"
    """`platt`: a slope and a shift for each task; `mlp`: those, and a small network of the student's features."""
    rate: float = Field(default=10.0, gt=0)
    """How fast it learns, as a multiple of the student's learning rate."""
    weight: float | None = Field(default=None, ge=0)
    """Factor of a second auxiliary head, which learns what it says while the first keeps the teacher's marks; left out,
    what it says takes their place. Needs `head: auxiliary`."""


def _no_softmax(loss: Any) -> Any:
    """Refused with the reason, and no valid value: lists of these would otherwise offer it."""
    if loss == "softmax":
        what = "softmax over a single logit is always 1, so its gradient is exactly zero and nothing is learned."
        raise ValueError(f"{what} Use binary_cross_entropy.")
    return loss


class LogitChannel(Settings):
    """Logit distillation: binary cross-entropy against the teacher's probability at a temperature, times its square."""

    weight: float = Field(default=0.5, ge=0)
    """On the serving head, the teacher's share in a blend with the label (at most 1); on an auxiliary one, a factor."""
    temperature: float = Field(default=1.0, gt=0)
    """Divides both log-odds."""
    head: Literal["serving", "auxiliary"] = "serving"
    """Where the teacher marks: the logit that is served, or a second head that is not exported."""
    loss: Annotated[Literal["binary_cross_entropy"], BeforeValidator(_no_softmax)] = "binary_cross_entropy"
    """The one there is; `softmax` is refused: over a single logit its gradient is exactly zero."""
    source: Literal["teacher", "domain", "both"] | None = None
    """Whose marks they are; of `both`, the mean of the log-odds. Left out, those of the domain models where there are
    any, else the teacher's."""
    combine: Combine = Combine()
    """How the marks of several teachers become one."""
    certainty: float | None = Field(default=None, gt=0)
    """Spread of the teachers' log-odds at which a row's weight is halved; it is 1 / (1 + (spread / certainty)^2)."""
    adapter: StudentAdapter | None = None
    """Refines the marks where the teacher is stale or biased; null takes them as they are."""

    @property
    def second(self) -> bool:
        """Whether what the adapter says has a head of its own."""
        return self.adapter is not None and self.adapter.weight is not None


Matching = Literal["hint_mse", "cosine", "contrastive", "cka", "gram", "procrustes", "rkd_distance", "rkd_angle"]


class RepresentationChannel(Settings):
    """Representation matching: a projection of the student's representation comes near the teacher's of the row."""

    weight: float = Field(default=0.0, ge=0)
    """Of the loss, beside the others; 0 matches nothing."""
    loss: Matching = "cosine"
    """What near means; see `distill losses`."""


class RankingChannel(Settings):
    """The teacher's order of rows of one user or session, learnt by the head that it marks."""

    weight: float = Field(default=0.0, ge=0)
    """Of the loss, beside the others; 0 ranks nothing."""
    loss: Literal["listwise", "listwise_unnormalised", "pairwise", "margin_mse", "listwise_softmax"] = "listwise"
    """What the order means; see `distill losses`. `listwise` does not pull against calibration."""
    group: str | None = None
    """Column whose value the rows to be compared have in common; `data.user` where none is given."""


class Pacing(Settings):
    """How the weights of all that is learnt from others go on, over the steps of all passes."""

    decay: Decay = "constant"
    """`constant`, or down to zero with the last step: `linear`, or `cosine`, slow at first and at the end."""
    warm_up: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps in which the weights grow from zero, before they decay."""


class InputChannel(Settings):
    """Representation as an input: the trained teacher's, of an impression of which it is shown some features only."""

    features: tuple[str, ...] = Field(min_length=1)
    """What it is shown: for a vector of the user, which can be cached, nothing of the candidate."""
    misses: float = Field(default=0.0, ge=0, lt=1)
    """Share of users (rows, where no user is named) whom the cache does not have, in training and in scoring alike."""
    age: float = Field(default=0.0, ge=0)
    """Hours by which the cache lags: a vector is that of the user's last row in the vertical at least so much earlier,
    and a miss where there is none."""


class HistoryChannel(Settings):
    """What the teacher's vectors of the same user's earlier impressions say, in all verticals, as an input."""

    length: int = Field(default=50, ge=1)
    """Most impressions that count, the newest; all are strictly earlier than the row."""
    hours: float | None = Field(default=None, gt=0)
    """How far back they go; null for any time."""
    width: int = Field(default=16, ge=1)
    """Numbers that are kept of each: principal directions of the teacher's vectors, at most as many as these have."""
    age: float = Field(default=0.0, ge=0)
    """Hours by which what is known of a user lags: later impressions are not in it yet."""


class SharingChannel(Settings):
    """Parameter sharing: the student begins with the teacher's embeddings, or as a copy of its domain model."""

    source: Literal["teacher", "domain"] = "teacher"
    """Whose: of the teacher, its embeddings projected to the student's width; of the domain model, which is then of the
    students' own class and features, every weight."""
    tables: Literal["start", "frozen", "pulled"] = "start"
    """They are where the student begins (`start`), where it stays (`frozen`), or where it is drawn back to."""
    rate: float = Field(default=1.0, ge=0)
    """Learning rate of what is shared, as a share of the others'; 0 freezes it. Of a copy of the domain model, all is
    shared."""
    rank: int | None = Field(default=None, ge=1)
    """Of a copy of the domain model, what each linear layer may learn: a difference of so low a rank, and its bias; all
    else stays as it was copied. Left out, every weight learns."""
    pull: float = Field(default=1.0, gt=0)
    """How strongly `pulled` ones are drawn back: as weight decay is to zero, to where they began."""


class Fallback(Settings):
    """Students that their teacher harms on validation rows go without it: what is served is their control."""

    level: float = Field(default=0.5, gt=0, lt=1)
    """Probability of harm from which a student falls back, its own rows and those of all others considered."""


class Distill(Settings):
    """What moves from the teacher to the students."""

    logit: LogitChannel = LogitChannel()
    """The logit channel."""
    representation: RepresentationChannel = RepresentationChannel()
    """Representation matching."""
    ranking: RankingChannel = RankingChannel()
    """The order within a user or a session."""
    schedule: Pacing = Pacing()
    """How the weights of all of these go on."""
    input: InputChannel | None = None
    """The teacher's representation as an input of the student."""
    history: HistoryChannel | None = None
    """Its representations of the user's earlier impressions as another."""
    sharing: SharingChannel | None = None
    """Embeddings taken over from the teacher."""
    fallback: Fallback | None = None
    """Who goes without the teacher after all."""

    @property
    def widens(self) -> bool:
        """Whether students see vectors of their teacher."""
        return self.input is not None or self.history is not None

    @property
    def copies(self) -> bool:
        """Whether students begin as copies of the models of their domains."""
        return self.sharing is not None and self.sharing.source == "domain"


class DomainLogits(Settings):
    """What domain models learn from the teacher: its probability in a blend with the label."""

    weight: float = Field(default=0.5, ge=0, le=1)
    """The teacher's share of the blend; 0 for labels alone."""
    temperature: float = Field(default=1.0, gt=0)
    """Divides both log-odds."""


class DomainDistill(Settings):
    """What moves from the teacher to the domain models."""

    logit: DomainLogits = DomainLogits()
    """The logit channel."""
