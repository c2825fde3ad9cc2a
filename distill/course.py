"""Course: everything that the members of a stack are trained with."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from distill.data.impressions import Impressions, View
from distill.errors import Fault, RecipeError
from distill.inputs import Inputs
from distill.knowledge import Knowledge
from distill.layers.embedding import INITIAL_SPREAD, FieldEmbedding
from distill.low_rank import lowered
from distill.member import DOMAIN, SOURCE, Member
from distill.ranker import Ranker
from distill.recipe.sections import Students
from distill.recipe.trainer import Trainer
from distill.sharing import DomainModels, TeacherTables
from distill.standing import Standing
from distill.traits import RANK, SHARED


class Course(NamedTuple):
    """What every cohort of a run is trained with.

    Attributes:
        students: their section of the recipe.
        impressions: the rows.
        view: their features.
        knowledge: what the teacher said; None where training is only timed.
        tell: called with the rows of each step.
        trainer: on what.
        inputs: the features of students that have a vector of the teacher among them.
        tables: makes where students begin: the teacher's embeddings, or the models of their domains.
        domain: what the models of domains said, where there are any.
        hears: name of a source -> its weight among those whose marks the students learn from.
        others: what the other teachers said, by name of the source.
        standing: how the sources stood shortly before each row, where it matters.
        group: number of the user or session of every row, where the order within one is learnt.
    """

    students: Students
    impressions: Impressions
    view: View
    knowledge: Knowledge | None
    tell: Callable[[int], None]
    trainer: Trainer = Trainer()
    inputs: Inputs | None = None
    tables: Callable[[], TeacherTables | DomainModels] | None = None
    domain: Knowledge | None = None
    hears: Mapping[str, float] = {SOURCE: 1.0}
    others: Mapping[str, Knowledge] = {}
    standing: Standing | None = None
    group: np.ndarray | None = None

    @property
    def matched(self) -> bool:
        """Whether students' representations come near the teacher's."""
        return self.students.distill.representation.weight > 0

    @property
    def sources(self) -> dict[str, Knowledge]:
        """What a batch brings along."""
        needed = {*self.hears, SOURCE} if self.matched else {*self.hears}
        every = {SOURCE: self.knowledge, DOMAIN: self.domain, **self.others}
        return {name: table for name, table in every.items() if table is not None and name in needed}

    def seen(self, member: Member) -> View:
        """What a member sees."""
        return self.inputs if member.inputs else self.view

    def fresh(self, member: Member) -> Ranker:
        """A member before its first step; random weights are drawn from torch's global generator."""
        view = self.seen(member)
        ranker = self.students.model.build(view.schema(member.vertical), member.settings)
        with torch.no_grad():
            for table in (one for one in ranker.modules() if isinstance(one, FieldEmbedding)):
                table.weight.mul_(self.students.spread / INITIAL_SPREAD)
        copied = self.students.distill.copies and member.arm == "distilled"
        if self.tables is not None and (copied or SHARED in member.settings):
            self.tables().start(ranker, view, member.vertical)
        if RANK in member.settings:
            if member.vertical not in self.tables().models:
                what = f"{member.vertical} has no domain model from which it could differ."
                raise RecipeError(Fault("students.distill.sharing.rank", what, "Give it a domain, or leave rank out."))
            lowered(ranker, int(member.settings[RANK]))
        return ranker
