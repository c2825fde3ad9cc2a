"""Traits: what decides how a student turns out: numbers that may differ within one stack, and what may not."""

from collections.abc import Mapping
from typing import Literal

from distill.recipe.moves import Distill, LogitChannel, Pacing
from distill.recipe.sections import Students
from distill.recipe.several import Combine
from distill.schedule import DECAYS

Arm = Literal["distilled", "control"]
"""Taught, or not."""

SHARED = "table_rate"
"""Setting of those members alone that begin with the teacher's embeddings: how fast they learn them."""

RANK = "rank"
"""Setting of those members alone that learn differences of low rank from what they begin as."""

LOGIT_SETTINGS = {
    **dict.fromkeys(("weight", "temperature", "certainty"), True),
    "combine": {"weights": True, "recent": {"temperature"}},
    "adapter": {"rate", "weight"},
}
"""What of the logit channel is a number of each member of its own."""


def numbers_of(students: Students, arm: Arm) -> dict[str, float]:
    """What may differ between members of one stack. A channel that is not used leaves no trace in a fingerprint."""
    logit, representation = students.distill.logit, students.distill.representation
    rates = {**students.model.rates, **students.train.rates}
    if arm == "control":
        return {**rates, "logit_weight": 0.0, "temperature": 1.0}
    settings = {**rates, "logit_weight": logit.weight, "temperature": logit.temperature, **_heard(logit)}
    if representation.weight:
        settings["representation_weight"] = representation.weight
    return settings | _shared(students) | _paced(students.distill)


def _shared(students: Students) -> dict[str, float]:
    """How fast a member learns what it begins with, and how far it may go."""
    sharing = students.distill.sharing
    if sharing is None:
        return {}
    if sharing.source == "domain":
        ranked = {} if sharing.rank is None else {RANK: float(sharing.rank)}
        return {"learning_rate": students.train.learning_rate * sharing.rate, **ranked}
    settings = {SHARED: 0.0 if sharing.tables == "frozen" else sharing.rate}
    return settings | ({"table_pull": sharing.pull} if sharing.tables == "pulled" else {})


def _paced(distill: Distill) -> dict[str, float]:
    """The same of those channels that came later."""
    settings = {}
    if distill.ranking.weight:
        settings["ranking_weight"] = distill.ranking.weight
    if distill.logit.adapter is not None:
        settings["adapter_rate"] = distill.logit.adapter.rate
    if distill.logit.second:
        settings["adapter_weight"] = distill.logit.adapter.weight
    if distill.schedule != Pacing():
        settings["decay"] = float(DECAYS.index(distill.schedule.decay))
        settings["warm_up"] = distill.schedule.warm_up
    return settings


def _heard(logit: LogitChannel) -> dict[str, float]:
    """How a member hears several teachers, as far as the recipe says so."""
    combine = logit.combine
    settings = {f"weight/{name}": weight for name, weight in (combine.weights or {}).items()}
    if combine.recent is not None:
        settings["recent_temperature"] = combine.recent.temperature
    if logit.certainty is not None:
        settings["certainty"] = logit.certainty
    return settings


def lesson_of(students: Students, settings: Mapping[str, float]) -> list[object]:
    """What decides how a distilled student turns out, beyond what its twin has too and what it hears."""
    distill, lesson = students.distill, [students.distill.logit.head]
    if distill.representation.weight:
        lesson.append(distill.representation.loss)
    lesson += _combined(distill.logit.combine)
    if distill.ranking.weight:
        lesson.append([distill.ranking.loss, distill.ranking.group])
    if distill.logit.adapter is not None:
        lesson.append(distill.logit.adapter.form)
    if distill.input is not None:
        lesson.append(distill.input.model_dump(mode="json", exclude_defaults=True))
    if distill.history is not None:
        lesson.append(["history", distill.history.model_dump(mode="json")])
    if distill.sharing is not None:  # Frozen and pulled are numbers among the settings.
        rate = settings.get(SHARED, distill.sharing.rate)
        lesson.append({"source": distill.sharing.source, "tables": "start", "rate": rate})
    return lesson


def _combined(combine: Combine) -> list[object]:
    """How several teachers become one, as far as it is no number: settings say the rest."""
    recent = combine.recent
    return [*([recent.rows, recent.by] if recent else []), *(["gate"] if combine.gate else [])]
