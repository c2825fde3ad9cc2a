"""Searching: settings that Optuna asks for, a batch at a time, by what validation rows said of those before.

Watanabe: Tree-Structured Parzen Estimator, 2023; the sampler is Optuna's own, as its documentation recommends it for
trials that are evaluated together.
"""

import math
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill.errors import Fault, RecipeError
from distill.fingerprint import derived_seed, fingerprint
from distill.latest import identity
from distill.report.scores import number
from distill.store import Store
from distill.sweep.choosing import means, pooled
from distill.sweep.points import Point, Range, Search, readable
from distill.sweep.pool import Taught
from distill.training import Student

Line = dict[str, Any]

ALL = "all"
"""Name of the one study, where verticals are not searched for each by itself."""


def require() -> Any:
    """Optuna.

    Raises:
        RecipeError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise RecipeError(Fault("search", "Optuna is not installed.", 'Install distill with "[optuna]".')) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def searched(
    search: Search,
    points: Sequence[Taught],
    store: Store,
    teach: Callable[[list[Point]], list[Taught]],
    study: Callable[[list[Taught]], list[list[Student]]],
) -> tuple[list[Taught], list[Line]]:
    """The points that a search asks for, and a line for each of its trials.

    Whoever is killed finds the trials in the journal and their students in the store, and goes on as if nothing had
    been: what is asked depends on the recipe's seed and on what was told, and on nothing else.

    Args:
        search: what to search.
        points: those of the sweep, drawn by chance.
        store: where everything is found.
        teach: gives points their teachers.
        study: gives points their students.
    """
    searcher = Searcher(search, points[0], study(list(points)), store)
    found: list[Taught] = []
    for first in range(0, search.trials, search.batch):
        numbers = range(first, min(first + search.batch, search.trials))
        new = teach(searcher.ask(numbers))
        searcher.tell(numbers, study(new))
        found += new
    return found, searcher.lines


class Searcher:
    """Turns what Optuna asks for into points, and students into what it is told.

    Args:
        search: what to search.
        first: a point of the sweep.
        students: of all of the sweep's points.
        store: where the journal goes.

    Attributes:
        lines: what was asked and told, as the sweep's table says it.
    """

    def __init__(self, search: Search, first: Taught, students: Sequence[Sequence[Student]], store: Store) -> None:
        self.search = search
        self.lines: list[Line] = []
        recipe = search.point("base", {}).recipe
        said = (search.space, search.batch, search.per_vertical)
        key = fingerprint("search", identity(recipe), first.impressions.fingerprint, said)
        storage = opened(store.root / "search" / f"{key}.journal")
        verticals = dict.fromkeys(student.member.vertical for of_one in students for student in of_one)
        names = list(verticals) if search.per_vertical else [ALL]
        self.studies = {name: Study(storage, name, search.space, search.batch, recipe.seed) for name in names}

    def ask(self, numbers: Sequence[int]) -> list[Point]:
        """The points of some trials; those before them have been told."""
        asked = {name: [study.ask(one) for one in numbers] for name, study in self.studies.items()}
        found = []
        for place, one in enumerate(numbers):
            values = {name: of_one[place] for name, of_one in asked.items()}
            self.lines += [{"point": f"search {one}", "study": name, **own} for name, own in values.items()]
            found.append(self._point(f"search {one}", values))
        return found

    def tell(self, numbers: Sequence[int], students: Sequence[Sequence[Student]]) -> None:
        """What the validation rows say of the students of these trials: NE, the less the better."""
        lines = iter(self.lines[-len(numbers) * len(self.studies) :])
        for one, own in zip(numbers, students, strict=True):
            said = means(own, "distilled") if self.search.per_vertical else {ALL: pooled(own, "distilled")}
            for name, study in self.studies.items():
                value = said.get(name, math.nan)
                study.tell(one, value)
                next(lines)["ne_valid"] = number(value)

    def _point(self, name: str, values: dict[str, dict[str, float]]) -> Point:
        if not self.search.per_vertical:
            return self.search.point(name, values[ALL])
        own = tuple((literal(vertical), self.search.point(name, said).recipe) for vertical, said in values.items())
        return self.search.point(name, {})._replace(verticals=own)


class Study:
    """One study of Optuna, whose trials have numbers and are asked for in their order.

    Args:
        storage: of Optuna, where it may be already.
        name: its own.
        space: dotted key -> its range.
        startup: trials by chance, before there is anything to learn from.
        seed: of what is drawn.
    """

    def __init__(self, storage: Any, name: str, space: dict[str, Range], startup: int, seed: int) -> None:
        self._optuna = require()
        self._study = self._optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
        self._space, self._startup, self._words = space, startup, (seed, "search", name)

    def ask(self, number: int) -> dict[str, float]:
        """The values of a trial: those in the journal, or new ones, drawn with a seed of the trial's own."""
        there = self._study.get_trials(deepcopy=False)
        asked = there[number].params if number < len(there) else self._asked(number)
        return {key: asked[key] if one.whole else readable(asked[key]) for key, one in self._space.items()}

    def _asked(self, number: int) -> dict[str, float]:
        """A new trial. It is asked of a copy, and comes into the journal as one line, so that none is half asked."""
        copy = self._optuna.create_study(sampler=self._sampler(number))
        copy.add_trials(self._study.get_trials())
        trial = copy.ask({key: self._distribution(one) for key, one in self._space.items()})
        running = self._optuna.trial.TrialState.RUNNING
        made = self._optuna.trial.create_trial(state=running, params=trial.params, distributions=trial.distributions)
        self._study.add_trial(made)
        return trial.params

    def tell(self, number: int, value: float) -> None:
        """What came of a trial; one that is no number has failed. Telling twice is telling once."""
        state = None if math.isfinite(value) else self._optuna.trial.TrialState.FAIL
        self._study.tell(number, None if state else value, state=state, skip_if_finished=True)

    def _sampler(self, number: int) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            seed = derived_seed(*self._words, number) % 2**32
            return self._optuna.samplers.TPESampler(
                n_startup_trials=self._startup, multivariate=True, constant_liar=True, seed=seed
            )

    def _distribution(self, one: Range) -> Any:
        kinds = self._optuna.distributions
        if one.whole:
            return kinds.IntDistribution(one.low, one.high)
        return kinds.FloatDistribution(one.low, one.high, log=one.log)


class _Alone:
    """Optuna's lock of the journal, which a killed process would leave behind; the store has a lock of its own."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def opened(path: Path) -> Any:
    """Optuna's storage in a journal, without the line that a killed process did not live to finish."""
    journal = require().storages.journal
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        text = path.read_bytes()
        if not text.endswith(b"\n"):
            with open(path, "r+b") as file:
                file.truncate(text.rfind(b"\n") + 1)
    return journal.JournalStorage(journal.JournalFileBackend(str(path), _Alone()))


def literal(name: str) -> str:
    """The pattern that one name fits and no other.

    >>> literal("[a]*")
    '[[]a][*]'
    """
    return re.sub(r"[*?[]", lambda found: f"[{found[0]}]", name)
