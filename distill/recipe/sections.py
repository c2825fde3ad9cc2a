"""The sections of a recipe. What a ranker is stands in its own `Config`; what data are, in `distill.data.settings`."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from distill.data.settings import DataSettings
from distill.layers.embedding import INITIAL_SPREAD
from distill.optimizer import Rates, Tables, table_rule
from distill.ranker import Ranker, resolve
from distill.recipe.moves import Distill, DomainDistill
from distill.recipe.outcome import Evidence, Gates, Tracking
from distill.recipe.trainer import Trainer
from distill.types import FeatureSchema, Settings

Criterion = Literal["ne", "auc"]

MODEL_RATES = ("dropout",)
"""Keys of a ranker's `Config` that change no shape."""


class Model(BaseModel):
    """A ranker by class path; the other keys are those of its own `Config`."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, use_attribute_docstrings=True)

    path: str = Field(alias="class")
    """Class path, such as `students.DCNv2`."""

    @property
    def config(self) -> Settings:
        """The ranker's own settings, checked."""
        return resolve(self.path).Config.model_validate(self.model_extra or {})

    @property
    def rates(self) -> dict[str, float]:
        """What of its settings may differ between members of one stack: its layer keeps it in a buffer."""
        return {name: float(value) for name, value in self.config if name in MODEL_RATES}

    @property
    def shape(self) -> dict[str, Any]:
        """The rest: what all members of a stack have in common."""
        return {"class": self.path, **self.config.model_dump(mode="json", by_alias=True, exclude=set(MODEL_RATES))}

    def build(self, schema: FeatureSchema, settings: Mapping[str, float] = MappingProxyType({})) -> Ranker:
        """A fresh ranker with random weights from torch's global generator.

        Args:
            schema: what it sees.
            settings: of a member; what they say of `rates` holds.
        """
        own = {name: settings[name] for name in self.rates if name in settings}
        return resolve(self.path)(schema, self.config.model_copy(update=own))


class Train(Settings):
    """How long and how fast a ranker learns. AdamW, whose every setting is a number of the member."""

    epochs: int = Field(default=4, ge=1)
    """Passes over the training rows at most; the stopping rule may take an earlier one."""
    batch: int = Field(default=256, ge=1)
    """Rows of one step."""
    least_steps: int = Field(default=32, ge=1)
    """Fewest steps of a pass; where rows are few, a step takes fewer of them."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Step size of Adam at the start."""
    schedule: Literal["linear", "constant", "plateau"] = "linear"
    """How the learning rate goes on: to zero over the member's own steps, as it is, or to a tenth after each pass that
    was no better than the best one before, on the student's own validation rows, by what `stopping` goes by."""
    clip: float | None = Field(default=None, gt=0, exclude_if=lambda clip: clip is None)
    """Norm of the gradient of all weights together above which it is shortened; nothing is where none is given."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """Share of the mean gradient that Adam keeps at each step."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """Share of the mean squared gradient that Adam keeps at each step."""
    l2: float = Field(default=0.0, ge=0)
    """Weight of half the squared norm of all embeddings in the loss; needs `tables: adam`."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of products; weights, sums and everything that is scored stay in fp32. On most processors bf16 is slower."""
    tables: Literal["auto"] | Tables = "auto"
    """How embeddings are stepped: all of them, or the rows that were read; `auto` takes the faster kind of Adam, for
    each student by the height of its tables and the rows it reads in a step."""

    def rule(self, schema: FeatureSchema, rows: int) -> Tables:
        """How the tables of a ranker are stepped that sees `schema`, and so many rows in a step."""
        return table_rule(schema.height, rows * schema.reads) if self.tables == "auto" else self.tables

    @property
    def rates(self) -> dict[str, float]:
        """What of this may differ between members of one stack."""
        return {name: getattr(self, name) for name in Rates._fields if name in Train.model_fields}


class TeacherTrain(Train):
    """The same for a teacher: one pass, in larger steps."""

    epochs: int = Field(default=1, ge=1)
    """Passes over the training rows at most. Time-ahead scoring allows one."""
    batch: int = Field(default=1024, ge=1)
    """Rows of one step."""
    schedule: Literal["linear", "constant"] = "linear"
    """How the learning rate goes on: to zero over all steps, or as it is."""
    fp8: float | None = Field(default=None, gt=0, lt=1, exclude_if=lambda fp8: fp8 is None)
    """Error of a linear layer's outputs, as a share of their norm, up to which its products are taken in FP8; probed on
    real rows. 0.05 admits what is off by no more than the format itself. Off where none is given."""
    share: float = Field(default=1.0, gt=0, le=1, exclude_if=lambda share: share == 1)
    """Share of the training rows that it learns from, the newest of them; it scores all. For studies of scale."""


class TimeAhead(Settings):
    """One pass in time order; each row is scored before the teacher learns from it or from anything later."""

    kind: Literal["time_ahead"] = "time_ahead"


class CrossFit(Settings):
    """A teacher for each fold of a key, which scores the rows it has not seen. For data without time."""

    kind: Literal["cross_fit"] = "cross_fit"
    by: str
    """Column whose values stay in one fold, for example the user."""
    folds: int = Field(default=2, ge=2)
    """Number of folds, and of teachers; rows that none has seen get the mean of their log-odds."""


class InSample(Settings):
    """The teacher scores the rows it was trained on. Its scores leak their labels; for comparisons only."""

    kind: Literal["in_sample"] = "in_sample"


Score = Annotated[TimeAhead | CrossFit | InSample, Discriminator("kind")]


class TrainedTeacher(Settings):
    """A teacher trained here."""

    model: Model
    """What it is."""
    features: tuple[str, ...] | None = None
    """What it sees; every feature where none is named."""
    train: TeacherTrain = TeacherTrain()
    """How it learns."""
    score: Score = TimeAhead()
    """How it labels the training rows; left out, time_ahead where the data have a time, else cross_fit by user."""
    seeds: int = Field(default=1, ge=1)
    """Teachers of this kind, which differ in their seed and score the rows each by itself: an ensemble."""


class OutsideTeacher(Settings):
    """A teacher that lives elsewhere and has scored the rows."""

    knowledge: Path
    """Parquet by row id: `row_id`, `logit` (or `logit_<task>`), and perhaps `representation`; see docs/knowledge.md."""


def _teacher_kind(value: Any) -> str:
    names_a_table = "knowledge" in value if isinstance(value, dict) else isinstance(value, OutsideTeacher)
    return "outside" if names_a_table else "trained"


Teacher = Annotated[
    Annotated[TrainedTeacher, Tag("trained")] | Annotated[OutsideTeacher, Tag("outside")],
    Discriminator(_teacher_kind),
]


class Domains(Settings):
    """Domain foundation models: one a domain, between the teacher and the students, each learning from the rows of its
    domain in time order and scoring each row before it learns from it."""

    model: Model | None = None
    """What they are; what the students are, where it is left out."""
    features: tuple[str, ...] | None = None
    """What they see. Left out, every feature; or what the students see, where these begin as copies."""
    train: TeacherTrain = TeacherTrain()
    """How they learn: in one pass."""
    distill: DomainDistill = DomainDistill()
    """What they learn from the teacher."""
    clusters: int | None = Field(default=None, ge=1)
    """How many domains to find, by what the teacher makes of the verticals; 1 is one of them all. Where none is given,
    they are those of data.domain."""


class Stopping(Settings):
    """When a student has learned enough, by its validation rows; the same rule for both arms."""

    by: Criterion = Field(default="ne", exclude_if=lambda by: by == "ne")
    """What is to be least: normalized entropy, or (`auc`) pairs of a click and a non-click in the wrong order."""

    own_positives: int = Field(default=400, ge=1)
    """Clicks, and as many non-clicks, among its validation rows from which a student decides for itself; smaller ones
    are decided together with their size group."""


class Students(Settings):
    """The students: one a vertical, seed and arm. The control arm comes by itself."""

    model: Model
    """What they are."""
    features: tuple[str, ...] | None = None
    """What they see; every feature where none is named."""
    min_rows: int = Field(default=1, ge=1)
    """Fewest training rows of a vertical that gets a student."""
    seeds: int = Field(default=1, ge=1)
    """Students per vertical and arm, which differ in their seed."""
    spread: float = Field(default=INITIAL_SPREAD, gt=0, exclude_if=lambda spread: spread == INITIAL_SPREAD)
    """Standard deviation of fresh embeddings; those that begin at zero stay there."""
    train: Train = Train()
    """How they learn."""
    stopping: Stopping = Stopping()
    """When they have learned enough."""
    distill: Distill = Distill()
    """What they learn from the teacher."""


class Recipe(Settings):
    """One run, from impressions to a leaderboard of students."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Short name: letters, digits, dot, dash, underscore."""
    seed: int = Field(default=0, ge=0)
    """From which every stage and member derives its own."""
    data: DataSettings
    """The impressions."""
    teacher: Teacher
    """The large ranker, trained here or elsewhere."""
    teachers: dict[str, Teacher] = Field(default_factory=dict)
    """More of them, by name. Students hear them beside the first, from whom comes all that is no mark."""
    domains: Domains | None = None
    """Foundation models of domains, through which it teaches the students; null for direct transfer."""
    students: Students
    """The small ones."""
    evidence: Evidence = Evidence()
    """How sure a verdict must be."""
    gates: Gates = Gates()
    """What a student must reach to be shipped."""
    tracking: Tracking = Tracking()
    """Where the students are recorded."""
    trainer: Trainer = Trainer()
    """What rankers are trained on."""
    workers: int | None = Field(default=None, ge=1)
    """Processes that train students, 1 for this one alone; where none is given, one a core if there is enough to do."""
    store: Path = Path("mlruns")
    """Folder of everything the tool writes; relative to the current folder."""

    @property
    def every_teacher(self) -> dict[str, Teacher]:
        """All of them by name, `teacher` first."""
        return {"teacher": self.teacher, **self.teachers}

    @property
    def source(self) -> Literal["teacher", "domain", "both"]:
        """Whose marks the students learn from."""
        return self.students.distill.logit.source or ("domain" if self.domains else "teacher")

    @property
    def domain_start(self) -> bool:
        """Whether students begin as the model of their domain."""
        sharing = self.students.distill.sharing
        return sharing is not None and sharing.source == "domain"

    @property
    def domain_input(self) -> bool:
        """Whether domain models see the teacher's vectors, as the students do that begin as copies of them."""
        return self.domain_start and self.students.distill.widens

    @property
    def transfer(self) -> Literal["direct", "hierarchical"]:
        """How it comes to the students what the teacher knows."""
        return "direct" if self.source == "teacher" and not self.domain_start else "hierarchical"
