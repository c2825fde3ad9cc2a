"""The sections of a recipe on what becomes of students: how they are judged, what they must reach, where recorded."""

from pydantic import Field

from distill.types import Settings


class Evidence(Settings):
    """How sure a verdict must be."""

    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Coverage of the intervals."""
    resamples: int = Field(default=1000, ge=100)
    """Resamples of the paired bootstrap."""
    negligible: float = Field(default=0.002, ge=0)
    """A gain in NE whose whole interval is smaller than this is called `unchanged`."""
    min_positives: int = Field(default=30, ge=1)
    """Users with a click among the test rows, and as many with a non-click, below which a vertical stays `undecided`;
    rows, where no user is named. Thirty keeps the error rate that `distill.evidence` states."""
    slices: tuple[str, ...] = ()
    """Parts of the test rows to look at: columns, `new:COLUMN` (no such value in the vertical's training rows),
    `length:FEATURE` (of a history), `hour:COLUMN` (of a time)."""


class Gates(Settings):
    """What students must reach before `distill compare --gate` lets them pass; null asks for nothing."""

    ne_gain: float | None = None
    """Least lower end of the interval of the gain in NE: 0 passes what surely helps, -0.002 what surely does not hurt
    by more than that."""
    calibration: float | None = Field(default=None, ge=0)
    """Greatest distance of the calibration ratio from 1, or two standard errors of it where these are more."""
    gauc: float | None = Field(default=None, ge=0)
    """Greatest loss of GAUC against the control."""
    hurt: float | None = Field(default=None, ge=0, le=1)
    """Greatest share of the students of a run whose verdict is `hurt`; where it is more, none of them passes."""
    latency: float | None = Field(default=None, gt=0)
    """Greatest median time from the features of one impression to its probability, in microseconds, measured on one
    thread of the machine that asks."""
    size: int | None = Field(default=None, gt=0)
    """Greatest size of the exported student, in bytes: weights, vocabulary and manifest."""
    alias: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    """Alias in MLflow's model registry that students get when they pass; the others keep whoever had it."""


class Tracking(Settings):
    """Where the students are recorded."""

    uri: str | None = "sqlite:///mlruns/mlflow.db"
    """MLflow tracking server or database; null records nothing."""
    experiment: str | None = None
    """Name of the experiment; the recipe's name where none is given."""
