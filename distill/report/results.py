"""What a run hands in to have its leaderboard made."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Outcomes(NamedTuple):
    """What happened on the test rows of one vertical, and what the teacher had said.

    Attributes:
        label: 0 or 1, or a probability where it is known.
        valid: which labels exist.
        weight: rows of weight 0 do not count.
        cluster: code of the user, the same in every vertical; a number of its own for each row where there is no user.
        teacher: log-odds of the teacher; None where it scored nothing.
        covered: which rows it scored.
        slices: name of a slicing -> the slice of each row, an index into the names in `Results.slices`.
    """

    label: Float[np.ndarray, "rows tasks"]
    valid: Bool[np.ndarray, "rows tasks"]
    weight: Float[np.ndarray, " rows"]
    cluster: Int[np.ndarray, " rows"]
    teacher: Float[np.ndarray, "rows tasks"] | None
    covered: Bool[np.ndarray, " rows"]
    slices: Mapping[str, Int[np.ndarray, " rows"]] = {}


class Entry(NamedTuple):
    """One student of one arm.

    Attributes:
        member: its name, which no other has.
        vertical: whose rows it learned from.
        domain: of the vertical, where there is one.
        arm: `distilled`, or `control` for a twin without a teacher.
        control: name of its twin; None for a control.
        seed: number of its seed.
        settings: what differs between members of one fleet.
        architecture: class path of its ranker.
        teacher: class path or table of its teacher.
        knowledge_kind: how the teacher had scored the training rows.
        rows_train: number of its training rows.
        logit: its log-odds on the test rows of its vertical, in the order of `Outcomes`; None if it failed.
        reason: why it failed.
        run_id: of its record in MLflow.
        coverage: share of its training rows that the teacher had scored; None where nobody counted.
        knowledge_age: from the last label that the teacher had seen to the first test row, in days; None without time.
        curve: its NE on validation rows after each pass.
        gradient_cosine: of what its labels and its teacher ask for, after its last pass; None for a control.
        refined: log-odds of its test rows' marks, as its `adapter` refines them and as two numbers would (`platt`);
            empty without an adapter.
    """

    member: str
    vertical: str
    domain: str | None
    arm: Literal["distilled", "control"]
    control: str | None
    seed: int
    settings: Mapping[str, Any]
    architecture: str
    teacher: str | None
    knowledge_kind: str | None
    rows_train: int
    logit: Float[np.ndarray, "rows tasks"] | None
    reason: str = ""
    run_id: str | None = None
    coverage: float | None = None
    knowledge_age: float | None = None
    curve: Sequence[float] = ()
    gradient_cosine: float | None = None
    refined: Mapping[str, Float[np.ndarray, "rows tasks"]] = {}


class Results(NamedTuple):
    """All that a run has found out.

    Attributes:
        recipe: its name.
        fingerprint: of the leaderboard.
        seconds: stage -> seconds.
        tasks: names, in the order of the tasks axis.
        outcomes: vertical -> its test rows.
        entries: the students, both arms.
        slices: name of a slicing -> the names of its slices.
    """

    recipe: str
    fingerprint: str
    seconds: Mapping[str, float]
    tasks: Sequence[str]
    outcomes: Mapping[str, Outcomes]
    entries: Sequence[Entry]
    slices: Mapping[str, Sequence[str]] = {}
