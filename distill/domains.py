"""Domains: foundation models between the teacher and the students, one for each group of verticals.

Each learns in time order from the rows of its domain, their labels blended with what the teacher had said ahead, and
scores each block of rows before it learns from it. The teacher's mark of a row knows earlier labels only, and so does
what its pupil makes of it: no label reaches its own score over either hop. What all of them say is one table.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from distill.data.impressions import TRAIN, Impressions, View
from distill.errors import Fault, RecipeError
from distill.files import read_json, write_json
from distill.fingerprint import derived_seed, fingerprint
from distill.knowledge import Kind, Knowledge, KnowledgeStore, KnowledgeWriter, Manifest
from distill.lesson import Above, Lesson, manifest_of
from distill.member import SOURCE
from distill.objective import Distillation
from distill.recipe import Recipe
from distill.recipe.sections import TimeAhead, TrainedTeacher
from distill.scoring import finish, keep, score

CHUNK = 100_000
"""Rows whose representations are in memory at once."""

Grouping = Mapping[str, str | None]
"""Vertical -> its domain, or None where it has none."""


def domains_of(
    recipe: Recipe,
    impressions: Impressions,
    knowledge: Knowledge,
    store: KnowledgeStore,
    tell: Callable[[int], None] = lambda _: None,
    see: Callable[[View], View] | None = None,
) -> Knowledge:
    """The table of the domain models of a recipe: found, gone on with, or made.

    Args:
        recipe: one that has the section `domains`.
        impressions: the rows.
        knowledge: what the teacher said.
        store: where the table is.
        tell: called with the rows of each step.
        see: adds to a view the vectors of the teacher, where students see them and begin as copies of domain models.

    Raises:
        RecipeError: the domains that are to be found cannot be.
    """
    manifest = domain_manifest(recipe, impressions, knowledge.manifest.kind, knowledge.manifest.fingerprint)
    found = store.find(manifest.fingerprint)
    if found is not None:
        return found
    lesson = _lesson(recipe, impressions)._replace(tell=tell, above=_above(recipe, knowledge))
    if see is not None:
        lesson = lesson._replace(view=see(lesson.view))
        manifest = manifest.model_copy(update={"width": manifest_of(lesson).width})
    writer = store.writer(manifest)
    grouping = _recorded(writer, recipe, impressions, knowledge)
    weights: dict[str, torch.Tensor] = {}
    for number, (name, own) in enumerate(groups(grouping, impressions.vertical).items()):
        pupil = lesson._replace(seed=derived_seed(recipe.seed, "domain", name), own=own, group=number)
        if len(pupil.learnt_rows):
            weights |= {f"{name}/{parameter}": tensor for parameter, tensor in _taught(pupil, writer).items()}
    return finish(writer, impressions, weights, {"domains": grouping})


def domain_manifest(recipe: Recipe, impressions: Impressions, kind: Kind, teacher: str) -> Manifest:
    """What the table is called, before anything is trained. Scores are no purer than the marks they were learnt from.

    Args:
        recipe: one that has the section `domains`.
        impressions: the rows.
        kind: of the teacher's table.
        teacher: its fingerprint.
    """
    domains = recipe.domains
    assert domains is not None, "no domain models without their section"
    learner = manifest_of(_lesson(recipe, impressions))
    distill = recipe.students.distill
    copied = [one for one in (distill.input, distill.history) if one] if recipe.domain_input else []
    name = fingerprint("domains", learner.fingerprint, domains.distill, domains.clusters, teacher, *copied)
    return learner.model_copy(update={"fingerprint": name, "kind": kind})


def groups(grouping: Grouping, vertical: np.ndarray) -> dict[str, np.ndarray]:
    """Domain -> whether each row is of it.

    Args:
        grouping: vertical -> its domain, or None where it has none.
        vertical: of each row, its place in `grouping`.

    Example:
        >>> groups({"shoes": "fashion", "cars": None, "hats": "fashion"}, np.array([0, 1, 2]))
        {'fashion': array([ True, False,  True])}
    """
    names = sorted({name for name in grouping.values() if name is not None})
    domain = np.array([-1 if name is None else names.index(name) for name in grouping.values()])
    return {name: domain[vertical] == place for place, name in enumerate(names)}


def clusters(knowledge: Knowledge, impressions: Impressions, count: int, seed: int) -> dict[str, str]:
    """Verticals whose rows look alike to the teacher: k-means over the means of its representations.

    Coordinates are scaled to spread 1 over verticals, and a vertical counts by its rows. One of which the teacher has
    scored no training row stands in the middle.

    Args:
        knowledge: what the teacher said.
        impressions: the rows.
        count: how many clusters.
        seed: of the first centres.

    Returns:
        Vertical -> name of its cluster, numbered in the order of the verticals.
    """
    from sklearn.cluster import KMeans  # Takes a second to import.

    means, rows = _means(knowledge, impressions)
    seen = rows > 0
    if seen.sum() < count:
        what = f"{count} clusters of {seen.sum()} verticals with training rows that the teacher scored."
        raise RecipeError(Fault("domains.clusters", what, "Ask for fewer."))
    centre = np.average(means[seen], axis=0, weights=rows[seen])
    spread = np.sqrt(np.average((means[seen] - centre) ** 2, axis=0, weights=rows[seen]))
    scaled = np.where(seen[:, None], means - centre, 0.0) / np.where(spread > 0, spread, 1.0)
    fitted = KMeans(count, n_init=10, random_state=derived_seed(seed, "clusters") % 2**32)
    found = fitted.fit(scaled[seen], sample_weight=rows[seen]).predict(scaled)
    order = {code: number for number, code in enumerate(dict.fromkeys(found.tolist()), 1)}
    return {name: f"cluster {order[code]}" for name, code in zip(impressions.verticals, found.tolist(), strict=True)}


def _lesson(recipe: Recipe, impressions: Impressions) -> Lesson:
    """What all domain models have in common."""
    domains = recipe.domains
    assert domains is not None and domains.model is not None, "a recipe that was loaded has both"
    learner = TrainedTeacher(model=domains.model, features=domains.features, train=domains.train, score=TimeAhead())
    view = impressions.view(domains.features, "all")
    return Lesson(learner, impressions, view, recipe.seed, lambda _: None, recipe.trainer.alone)


def _above(recipe: Recipe, knowledge: Knowledge) -> Above:
    assert recipe.domains is not None
    channel = recipe.domains.distill.logit
    weight, temperature = torch.tensor([channel.weight]), torch.tensor([channel.temperature])
    return Above({SOURCE: knowledge}, Distillation({SOURCE: 1.0}, weight, temperature, "serving"))


def _recorded(writer: KnowledgeWriter, recipe: Recipe, impressions: Impressions, knowledge: Knowledge) -> Grouping:
    """Which vertical belongs where; clusters are found once, and kept for whoever goes on."""
    count = recipe.domains.clusters if recipe.domains else None
    if count is None:
        return impressions.domains
    if count == 1:
        return dict.fromkeys(impressions.verticals, "all")
    if not knowledge.manifest.width:
        what = "the teacher's table has no representations by which verticals could be told apart."
        raise RecipeError(Fault("domains.clusters", what, "Name a column: data.domain."))
    path = writer.folder / "grouping.json"
    if not path.exists():
        write_json(path, clusters(knowledge, impressions, count, recipe.seed))
    return read_json(path)


def _taught(lesson: Lesson, writer: KnowledgeWriter) -> dict[str, Any]:
    """The weights of one domain model whose rows are all scored."""
    path = writer.folder / f"snapshot-{lesson.group}.safetensors"
    if path.exists():
        lesson.tell(len(lesson.learnt_rows))
    else:
        keep(score(lesson, writer), writer, path.stem)
    return load_file(path)


def _means(knowledge: Knowledge, impressions: Impressions) -> tuple[np.ndarray, np.ndarray]:
    """Of each vertical, the mean representation of its training rows, and how many of these the teacher scored."""
    train = impressions.select(TRAIN)
    total = np.zeros((len(impressions.verticals), knowledge.manifest.width))
    rows = np.zeros(len(total))
    for first in range(0, len(train), CHUNK):
        chunk = train[first : first + CHUNK]
        said, covered = knowledge.take(torch.from_numpy(chunk))
        own = impressions.vertical[chunk][covered.numpy()]
        np.add.at(total, own, said.representation.numpy()[covered.numpy()].astype(np.float64))
        rows += np.bincount(own, minlength=len(rows))
    return total / np.maximum(rows, 1)[:, None], rows
