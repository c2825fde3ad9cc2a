"""What must hold between the settings of a group of processes that train one teacher."""

import math
from collections.abc import Iterator, Mapping

from distill.recipe.finding import Finding
from distill.recipe.sections import OutsideTeacher, Recipe, TrainedTeacher
from distill.recipe.trainer import Trainer
from distill.recipe.tree import KeyPath


def group_findings(recipe: Recipe) -> Iterator[Finding]:
    """What a group of processes is asked for goes together."""
    trainer = recipe.trainer
    names = ("strategy", "devices", "mesh", "tables", "average", "accumulate", "recompute")
    place = {name: ("trainer", name) for name in names}
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
    if trainer.tables == "torchrec":
        yield from _cut_tables(recipe, place["tables"])
    if trainer.average is not None:
        yield from _copies(trainer, place)


def _shared(recipe: Recipe, strategy: KeyPath, devices: KeyPath) -> Iterator[Finding]:
    """There is a teacher to train, and every one has enough rows in a step."""
    trained = _trained(recipe)
    if not trained:
        what = "there is no teacher to train: it is from outside."
        yield Finding(strategy, what, "Leave it out.", (strategy, ("teacher", "knowledge")))
    for path, teacher in trained.items():
        if teacher.train.batch < recipe.trainer.devices:
            what = f"{recipe.trainer.devices} devices share {teacher.train.batch} rows of a step."
            fix = f"Take a larger {'.'.join(path)}.train.batch, or fewer devices."
            yield Finding(devices, what, fix, (devices, (*path, "train", "batch")))


def _cut_tables(recipe: Recipe, tables: KeyPath) -> Iterator[Finding]:
    """TorchRec steps tables in the backward pass: by one rule, at once, and before the whole gradient is known."""
    accumulate = ("trainer", "accumulate")
    if recipe.trainer.accumulate > 1:
        what = "steps tables in every micro-batch, where they should be stepped once."
        yield Finding(tables, what, "Leave trainer.accumulate out.", (tables, accumulate))
    for path, teacher in _trained(recipe).items():
        train = teacher.train
        wanted = {
            "tables": (train.tables == "rowwise_adagrad", "steps tables by rowwise_adagrad alone.", "rowwise_adagrad"),
            "clip": (train.clip is None, "steps tables before the whole gradient is known.", "null"),
            "weight_decay": (train.weight_decay == 0, "decays no weights of tables.", "0"),
        }
        for name, (holds, what, value) in wanted.items():
            if not holds:
                place = (*path, "train", name)
                yield Finding(tables, what, f"Say {'.'.join(place)}={value}, or trainer.tables=whole.", (tables, place))


def _copies(trainer: Trainer, place: Mapping[str, KeyPath]) -> Iterator[Finding]:
    """There are several copies to average, of tables that TorchRec has."""
    if trainer.tables == "whole":
        what = "is for copies of tables in parts, and trainer.tables is whole: those are alike at every step."
        yield Finding(place["average"], what, "Say trainer.tables=torchrec.", (place["average"], place["tables"]))
    elif trainer.strategy == "ddp" or trainer.shape[0] == 1:
        what = "is for several copies of tables in parts, each on one row of the mesh."
        fix = "Say trainer.strategy=hsdp and a trainer.mesh of several rows, such as [2, 2]."
        yield Finding(place["average"], what, fix, (place["average"], place["mesh"]))


def _trained(recipe: Recipe) -> dict[KeyPath, TrainedTeacher]:
    """Where each teacher stands that is trained."""
    paths = {name: ("teachers", name) for name in recipe.teachers}
    every = {paths.get(name, ("teacher",)): one for name, one in recipe.every_teacher.items()}
    return {path: one for path, one in every.items() if not isinstance(one, OutsideTeacher)}
