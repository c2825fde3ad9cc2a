"""What is known about a table of knowledge."""

from typing import Literal

from distill.types import Settings

Kind = Literal["time_ahead", "cross_fit", "in_sample", "snapshot", "unknown"]


class Manifest(Settings):
    """What is known about a table of knowledge. Two tables with one fingerprint hold the same scores."""

    fingerprint: str
    """Of the teacher's settings and of the data it reads."""
    teacher: str
    """Class path of the teacher, or the name of an outside table."""
    data: str
    """Fingerprint of the impressions that the rows belong to."""
    view: str
    """Fingerprint of the features that the teacher saw."""
    row_id: str
    """Column that identifies a row, or `position`."""
    rows: int
    """Number of rows, covered or not."""
    tasks: tuple[str, ...]
    """Names of the columns of the logits."""
    width: int
    """Numbers of a representation; 0 where there is none."""
    kind: Kind
    """How the training rows were scored."""
    cut_off: float | None
    """Latest time whose labels the teacher had seen when it scored the validation and test rows."""
    unseen: tuple[str, ...] = ()
    """Features that the teacher took for unseen when it scored, such as the place on a page."""
    negatives: float = 1.0
    """Share of the rows without a click that the teacher learnt from. What is stored speaks of all rows: the shift of
    log-odds that this costs is taken back."""
    dtype: Literal["float16"] = "float16"
    """Type of logits (raw, natural log-odds) and representations on disk."""
