"""What must hold between the settings of a group of processes that train one teacher."""

import math
from collections.abc import Iterator

from distill.recipe.finding import Finding
from distill.recipe.sections import OutsideTeacher, Recipe
from distill.recipe.trainer import Trainer
from distill.recipe.tree import KeyPath


def group_findings(recipe: Recipe) -> Iterator[Finding]:
    """What a group of processes is asked for goes together."""
    trainer = recipe.trainer
    place = {name: ("trainer", name) for name in ("strategy", "devices", "mesh", "accumulate", "recompute")}
    given = [name for name in place if name != "strategy" and getattr(trainer, name) != getattr(Trainer(), name)]
    if trainer.strategy == "single":
        for name in given:
            what = "is for a group of processes, and trainer.strategy is single."
            yield Finding(place[name], what, "Say ddp or hsdp; a group may have one device.", (place[name],))
        return
    if trainer.mesh is not None and trainer.strategy == "ddp":
        yield Finding(place["mesh"], "is for hsdp; with ddp every device has the whole teacher.", "Leave it out.")
    elif trainer.mesh is not None and math.prod(trainer.mesh) != trainer.devices:
        what = f"{trainer.mesh[0]} x {trainer.mesh[1]} devices are not {trainer.devices}."
        yield Finding(place["mesh"], what, "Let the product be trainer.devices.", (place["mesh"], place["devices"]))
    yield from _shared(recipe, place["strategy"], place["devices"])


def _shared(recipe: Recipe, strategy: KeyPath, devices: KeyPath) -> Iterator[Finding]:
    """There is a teacher to train, and every one has enough rows in a step."""
    every = recipe.every_teacher
    if all(isinstance(teacher, OutsideTeacher) for teacher in every.values()):
        what = "there is no teacher to train: it is from outside."
        yield Finding(strategy, what, "Leave it out.", (strategy, ("teacher", "knowledge")))
    for name, teacher in every.items():
        if not isinstance(teacher, OutsideTeacher) and teacher.train.batch < recipe.trainer.devices:
            path = ("teacher",) if teacher is recipe.teacher else ("teachers", name)
            what = f"{recipe.trainer.devices} devices share {teacher.train.batch} rows of a step."
            fix = f"Take a larger {'.'.join(path)}.train.batch, or fewer devices."
            yield Finding(devices, what, fix, (devices, (*path, "train", "batch")))
