"""Scoring: trains the teacher and lets it label the log, without its having seen the labels it speaks of."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback
from safetensors.torch import save_file

from distill.auditing import audit
from distill.callbacks import Advance, Passes, Timing
from distill.data.impressions import TRAIN, Impressions
from distill.feed import CHUNK, Feed, Predict, predictions
from distill.fingerprint import derived_seed, fingerprint
from distill.fleet import Fleet, seeded
from distill.knowledge import Knowledge, KnowledgeStore, KnowledgeWriter
from distill.learner import Learner, Pace, train
from distill.lesson import Lesson, manifest_of
from distill.lowering import lowered, report
from distill.objective import Objective
from distill.optimizer import Rates
from distill.ranker import Ranker
from distill.recipe.sections import CrossFit
from distill.sampling import Part, Shuffled, in_time
from distill.time_ahead import BLOCKS, DIFFERS, GROUP, TRIED, ScoreAhead
from distill.types import Prediction

Weights = dict[str, torch.Tensor]

SHARDS = 12
"""Shards of a time-ahead pass; a killed one repeats at most this share of its work."""


def knowledge_of(lesson: Lesson, store: KnowledgeStore) -> Knowledge:
    """The teacher's table of knowledge: found, gone on with, or made."""
    manifest = manifest_of(lesson)
    found = store.find(manifest.fingerprint)
    return found if found is not None else _score(lesson, store.writer(manifest))


def _score(lesson: Lesson, writer: KnowledgeWriter) -> Knowledge:
    weights = score(lesson, writer)
    keep(weights, writer, "snapshot")
    return finish(writer, lesson.impressions, weights)


def score(lesson: Lesson, writer: KnowledgeWriter) -> Weights:
    """Trains, and scores all rows of the lesson on the way; they are committed.

    Returns:
        The weights of the ranker that scored the later rows; of several, each with its number before its names.
    """
    score_train = {"time_ahead": _time_ahead, "cross_fit": _cross_fit, "in_sample": _in_sample}
    rankers = score_train[lesson.teacher.score.kind](lesson, writer)
    _put(writer, lesson, partial(_ensemble, rankers), lesson.later_rows)
    if lesson.teacher.train.fp8 is not None and writer.rank == 0:
        report(lesson, rankers[0], lesson.teacher.model.build(lesson.view.schema(None)), writer.folder)
    writer.commit()
    return _weights(rankers)


def keep(weights: Weights, writer: KnowledgeWriter, name: str) -> None:
    """Saves a snapshot beside the table; it is there as a whole or not at all."""
    if writer.rank == 0:
        draft = writer.folder / f"{name}.draft"
        save_file(weights, draft)
        draft.rename(writer.folder / f"{name}.safetensors")
    writer.meet()


def finish(
    writer: KnowledgeWriter, impressions: Impressions, weights: Weights, facts: Mapping[str, Any] = MappingProxyType({})
) -> Knowledge:
    """Declares a table complete, with an audit of its scores and a name for the weights that they come from."""
    snapshot = fingerprint({name: tensor.double().sum().item() for name, tensor in weights.items()})
    return writer.finish({"snapshot": snapshot, "audit": audit(writer.read(), impressions), **facts})


def _time_ahead(lesson: Lesson, writer: KnowledgeWriter) -> list[Ranker]:
    """One pass in time order; each block is scored by the teacher as it was before the block."""
    train_settings, rows = lesson.teacher.train, lesson.train_rows
    seed = derived_seed(lesson.seed, "teacher", 0)
    blocks = in_time(rows, lesson.impressions.time, train_settings.batch, seed, lesson.learnt_rows)
    state = writer.state() or {}
    if int(state.get(GROUP, 0)) != lesson.group:
        state = {}  # It is of the group before; this one has not committed anything yet.
    done = int(state.get(BLOCKS, 0))
    learner = _learner(lesson, [seed], [sum(len(block.batches) for block in blocks)], writer)
    first = sum(len(block.batches) for block in blocks[:done])
    learner.resume(state, first)
    lesson.tell(sum(len(batch) for block in blocks[:done] for batch in block.batches))
    left = blocks[done:]
    steps = [torch.from_numpy(batch)[None] for block in left for batch in block.batches]
    if steps:
        score, put = partial(_put, writer, lesson), partial(_put_said, writer, lesson)
        shard_rows = len(lesson.impressions.select(TRAIN)) // SHARDS
        masked = bool(writer.manifest.unseen or lesson.view.hide.any)
        tried = int(state.get(TRIED, DIFFERS if masked else 0))
        ahead = ScoreAhead(left, score, put, writer, shard_rows, done, lesson.group, tried)
        _train(lesson, learner, _feed(lesson, steps, [seed], writer.part, first), ahead, writer)
    else:
        learner.configure_model()
        learner.configure_optimizers()
    return [learner.fleet.member(0).eval()]


def _cross_fit(lesson: Lesson, writer: KnowledgeWriter) -> list[Ranker]:
    """A teacher for each fold, trained on the other folds, scores the rows of its own."""
    settings, rows = lesson.teacher.score, lesson.train_rows
    assert isinstance(settings, CrossFit)
    fold = _folds(lesson.impressions.key(settings.by)[rows], settings.folds, lesson.seed)
    learnt = np.isin(rows, lesson.learnt_rows)
    rankers = _fit(lesson, [rows[learnt & (fold != number)] for number in range(settings.folds)], writer)
    for number, ranker in enumerate(rankers):
        _put(writer, lesson, ranker, rows[fold == number])
    return rankers


def _in_sample(lesson: Lesson, writer: KnowledgeWriter) -> list[Ranker]:
    """One teacher scores the very rows it was trained on."""
    rankers = _fit(lesson, [lesson.learnt_rows], writer)
    _put(writer, lesson, rankers[0], lesson.train_rows)
    return rankers


def _fit(lesson: Lesson, rows: Sequence[np.ndarray], writer: KnowledgeWriter) -> list[Ranker]:
    """A teacher for each set of rows, in the order of the sets: as one fleet, or one after another by a group."""
    order = sorted(range(len(rows)), key=lambda place: -len(rows[place]))
    together = [[place] for place in order] if lesson.trainer.strategy != "single" else [order]
    kept = dict(pair for places in together for pair in _fitted(lesson, rows, places, writer))
    return [kept[place] for place in range(len(rows))]


def _fitted(
    lesson: Lesson, rows: Sequence[np.ndarray], order: Sequence[int], writer: KnowledgeWriter
) -> Iterable[tuple[int, Ranker]]:
    """A fleet of teachers for some of the sets."""
    settings = lesson.teacher.train
    seeds = [derived_seed(lesson.seed, "teacher", place) for place in order]
    steps = Shuffled(
        [rows[place] for place in order], seeds, settings.batch, [settings.epochs] * len(order), settings.least_steps
    )
    learner = _learner(lesson, seeds, steps.steps.tolist(), writer)
    kept: dict[int, Ranker] = {}
    keep = lambda ended, fleet: kept.update({order[one.member]: fleet.member(one.member) for one in ended})  # noqa: E731
    passes = Passes(steps.pass_steps, keep)
    _train(lesson, learner, _feed(lesson, steps, seeds, writer.part), passes, writer)
    return kept.items()


def _train(lesson: Lesson, learner: Learner, feed: Feed, beside: Callback, writer: KnowledgeWriter) -> None:
    """By one process, or by this one's part of the rows."""
    tell = lambda rows: lesson.tell(rows * feed.part.ranks)  # noqa: E731
    trainer, precision = lesson.trainer, lesson.teacher.train.precision
    timing = Timing(writer.spent, compiled=trainer.compile)
    train(learner, feed, [timing, beside, Advance(tell)], trainer.device, precision, learner.index)


def _feed(lesson: Lesson, steps: Iterable[torch.Tensor], seeds: Sequence[int], part: Part, first: int = 0) -> Feed:
    """The batches. Marks of one above speak of all rows; its pupil may learn from a share of those without a click."""
    above = lesson.above.knowledge if lesson.above else None
    return Feed(lesson.view, steps, seeds, above, first, -lesson.impressions.correction("teacher"), part=part)


def _learner(lesson: Lesson, seeds: list[int], steps: list[int], writer: KnowledgeWriter) -> Learner:
    settings, schema, trainer = lesson.teacher.train, lesson.view.schema(None), lesson.trainer
    pace = Pace(
        rates=Rates.of([settings.rates] * len(seeds)),
        steps=torch.tensor(steps),
        seeds=tuple(seeds),
        schedule=settings.schedule,
        tables=settings.rule(schema, settings.batch),
        longest=settings.clip,
    )
    build = lambda: lowered(lesson, seeded(lambda _: lesson.teacher.model.build(schema), seeds))  # noqa: E731
    objective = Objective(lesson.above and lesson.above.distillation)
    if trainer.strategy == "single":
        return Learner(lambda: Fleet(build()), objective, pace, compiled=trainer.compile)
    from distill.distributed import RankLearner  # Who trains alone never waits for torch's sharding to be imported.

    sample = lesson.view.take(torch.arange(1)).features
    return RankLearner(lambda: build()[0], objective, pace, trainer, sample, writer.load)


def _put(writer: KnowledgeWriter, lesson: Lesson, predict: Predict, rows: np.ndarray, covered: bool = True) -> None:
    """Asks, and puts down. Every process asks equally often, since each may hold but a part of the teacher."""
    correction = lesson.impressions.correction("teacher")
    for first in range(0, len(rows), CHUNK * writer.ranks):
        whole = rows[first : first + CHUNK * writer.ranks]
        own = whole[writer.part.of(len(whole))]
        for chunk, prediction in predictions(predict, lesson.view, own if len(own) else whole[:1], correction):
            if len(own):
                writer.add(chunk, prediction, covered=covered)


def _put_said(writer: KnowledgeWriter, lesson: Lesson, said: Prediction, rows: np.ndarray, covered: bool) -> None:
    """Puts down what a step said of this process's part of its rows."""
    own = rows[writer.part.of(len(rows))]
    if len(own):
        logit = said.logit[0].cpu() + lesson.impressions.correction("teacher")
        writer.add(own, Prediction(logit, said.representation[0].cpu()), covered=covered)


def _ensemble(rankers: Sequence[Ranker], features: Any) -> Prediction:
    """The mean of their log-odds. Representations of different rankers have no common axes: the first one's stands."""
    said = [ranker(features) for ranker in rankers]
    return Prediction(torch.stack([one.logit for one in said]).mean(0), said[0].representation)


def _folds(key: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of each row: all rows of one key in one fold, drawn from the seed."""
    values, place = np.unique(key, return_inverse=True)
    generator = np.random.default_rng(derived_seed(seed, "folds"))
    return (generator.permutation(len(values)) % folds)[place]


def _weights(rankers: Sequence[Ranker]) -> Weights:
    return {f"{place}/{name}": tensor for place, one in enumerate(rankers) for name, tensor in one.state_dict().items()}
