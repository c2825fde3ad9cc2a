"""A generated world of impressions whose true click probabilities are known, so that the best possible score is too.

It is generated a few days or hours at a time, in memory that does not grow with the rows; all that one part needs to
know of those before it is the last clicks of each user. What the world is made of is in `tastes`.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from distill.data.clicks import HISTORY, Clicks
from distill.data.tastes import (
    CANDIDATES,
    DAY,
    DEVICE_SHARES,
    DEVICES,
    Catalogue,
    Floats,
    Integers,
    Likes,
    Shown,
    chance,
    draw_catalogue,
    draw_likes,
    log_odds,
)
from distill.data.world import World
from distill.errors import Fault, StoreError
from distill.progress import Bar

__all__ = ["CANDIDATES", "DAY", "HISTORY", "generate", "write", "write_to"]

VERSION = 1
"""Goes up when the same settings give other rows."""

PART = 1 << 18
"""Most impressions that are generated at once, but for those of one hour."""

ROWS = 262_144
"""Rows of a row group."""

CONVERSION = -1.0
"""Log-odds of a conversion after a click, beyond those of the click."""

KNOWN = 5
"""Mean delays after which a conversion that has not come does not come."""


class Part(NamedTuple):
    """Impressions that are generated together: of some whole days, or of some hours of one day."""

    day: Integers
    hours: slice


def generate(world: World) -> pl.DataFrame:
    """The impressions of a world, in the order of time.

    Columns: `row_id`, `label`, `vertical`, `domain`, `day`, `time` (seconds; the rows of one impression share it),
    `split` (the last but one day validates, the last tests), `user_id`, `item_id`, `hour`, `device`, `user_activity`
    (impressions a day, heavy-tailed), `item_age` (hours), `hist_items` and `hist_verticals` (the user's last clicks at
    strictly earlier times, newest first), `p_true` (the probability from which the label was drawn); and those that
    the settings ask for (`world.World`).
    """
    return pl.concat(parts(world))


def parts(world: World) -> Iterator[pl.DataFrame]:
    """The same, part by part."""
    seeds = SeedSequence(world.seed).spawn(6)
    structure, people, exposure, tastes, clicks, sales = (Generator(PCG64(seed)) for seed in seeds)
    catalogue = draw_catalogue(world, structure)
    likes = draw_likes(world, catalogue, people.standard_normal(world.users), tastes)
    past, done = Clicks.none(), 0
    for part in _parts(world):
        shown = _show(world, catalogue, np.exp(likes.activity), part, world.rows - done, exposure)
        logit = log_odds(world, catalogue, likes, shown)
        label = clicks.random(len(shown.time)) < chance(logit)
        past, earlier = past.followed(shown, label)
        yield _table(world, catalogue, likes, shown, logit, label, earlier, done).with_columns(
            _extras(world, catalogue, likes, shown, logit, label, sales)
        )
        done += len(shown.time)


def write(world: World, folder: Path) -> Path:
    """Writes the impressions of a world as Parquet, and returns the file; one that is there is left as it is.

    Same world, same bytes.

    Raises:
        StoreError: no room, or no permission.
    """
    digest = hashlib.sha256(f"{VERSION} {world.model_dump_json()}".encode()).hexdigest()
    path = folder / f"world-{digest[:16]}.parquet"
    if path.exists():
        return path
    write_to(world, path)
    return path


def write_to(world: World, path: Path, bar: Bar | None = None) -> None:
    """Writes the impressions of a world as one Parquet file, which appears in one step, whole.

    Raises:
        StoreError: no room, or no permission.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    pieces = draft.with_suffix(".parts")
    try:
        pieces.mkdir(parents=True)
        for number, frame in enumerate(parts(world)):
            frame.write_parquet(pieces / f"{number:06d}.parquet", compression="zstd", row_group_size=ROWS)
            if bar is not None:
                bar.advance(len(frame))
        _join(sorted(pieces.iterdir()), draft)
        draft.replace(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(Fault(str(path), f"cannot be written: {error}.", "Make room, or change the place.")) from None
    finally:
        shutil.rmtree(pieces, ignore_errors=True)
        with suppress(OSError):
            draft.unlink()


def _join(pieces: Sequence[Path], path: Path) -> None:
    """One file of several, without holding any whole."""
    if len(pieces) == 1:
        pieces[0].rename(path)
    else:
        pl.scan_parquet(pieces).sink_parquet(path, compression="zstd", row_group_size=ROWS)


def _parts(world: World) -> Iterator[Part]:
    """Whole days as long as they fit, else hours of a day, in proportion to how busy they are."""
    impressions = -(-world.rows // CANDIDATES)
    day = np.arange(impressions) * world.days // impressions if impressions <= PART else None
    if day is not None:
        yield Part(day, slice(0, 24))
        return
    ends = -(-np.arange(world.days + 1) * impressions // world.days)
    busy = np.round(np.concatenate([[0], np.cumsum(_by_hour())]), 12)
    for day, count in enumerate(np.diff(ends)):
        marks = np.round(busy * count).astype(np.int64)
        first = 0
        while first < 24:
            last = max(first + 1, int(np.searchsorted(marks, marks[first] + PART, side="right")) - 1)
            yield Part(np.full(marks[last] - marks[first], day), slice(first, last))
            first = last


def _by_hour() -> Floats:
    """The share of each hour; the evening is busy."""
    by_hour = 1 + 0.8 * np.sin(2 * np.pi * (np.arange(24) - 12) / 24)
    return by_hour / by_hour.sum()


def _show(world: World, catalogue: Catalogue, appetite: Floats, part: Part, most: int, rng: Generator) -> Shown:
    """The rows of a part, at most so many."""
    impressions, share = len(part.day), _by_hour()[part.hours]
    hour = part.hours.start + rng.choice(len(share), impressions, p=share / share.sum())
    time = np.sort(part.day * DAY + hour * 3600 + rng.integers(3600, size=impressions))
    user = rng.choice(world.users, impressions, p=appetite / appetite.sum())
    device = rng.choice(len(DEVICES), impressions, p=DEVICE_SHARES)
    rows = min(most, impressions * CANDIDATES)
    time, user, device = (np.repeat(column, CANDIDATES)[:rows] for column in (time, user, device))
    vertical = rng.choice(world.verticals, rows, p=catalogue.share)
    item = _pick(world, catalogue, vertical, time, rng.random(rows))
    return Shown(time, user, device, item, np.arange(rows) % CANDIDATES)


def _pick(world: World, catalogue: Catalogue, vertical: Integers, time: Integers, luck: Floats) -> Integers:
    """An item of each row's vertical that is born and alive at its time, rather a fresh one."""
    span = 2 * world.days * DAY  # births lie within one life before and one after the start of the log
    newest = np.searchsorted(catalogue.vertical * span + catalogue.birth, vertical * span + time, side="right") - 1
    alive = np.minimum(newest - catalogue.first[vertical], (catalogue.items[vertical] - 1) // 2) + 1
    return newest - np.floor(alive * luck**2).astype(np.int64)


def _table(
    world: World,
    catalogue: Catalogue,
    likes: Likes,
    shown: Shown,
    logit: Floats,
    label: NDArray[np.bool_],
    earlier: tuple[Integers, Integers],
    first: int,
) -> pl.DataFrame:
    vertical = catalogue.vertical[shown.item]
    day = shown.time // DAY
    places = {"vertical": _names("vertical", world.verticals), "domain": _names("domain", world.domains)}
    appetite = np.exp(likes.activity)
    items, length = earlier
    return pl.DataFrame(
        {
            "row_id": np.arange(first, first + len(label)),
            "label": label.astype(np.int8),
            "vertical": places["vertical"].gather(vertical),
            "domain": places["domain"].gather(catalogue.domain[vertical]),
            "day": day,
            "time": shown.time,
            "split": pl.Series(["train", "valid", "test"]).gather(np.maximum(day - world.days + 3, 0)),
            "user_id": shown.user,
            "item_id": shown.item,
            "hour": shown.time // 3600 % 24,
            "device": pl.Series(DEVICES).gather(shown.device),
            "user_activity": np.round(appetite / appetite.sum() * world.rows / CANDIDATES / world.days, 2)[shown.user],
            "item_age": np.round((shown.time - catalogue.birth[shown.item]) / 3600, 1),
            "hist_items": _lists(pl.Series(items.ravel()), items.shape, length),
            "hist_verticals": _lists(places["vertical"].gather(catalogue.vertical[items.ravel()]), items.shape, length),
            "p_true": chance(logit),
        }
    )


def _extras(
    world: World,
    catalogue: Catalogue,
    likes: Likes,
    shown: Shown,
    logit: Floats,
    label: NDArray[np.bool_],
    rng: Generator,
) -> list[pl.Series]:
    """The columns that only some worlds have."""
    found = []
    if world.position_bias:
        found.append(pl.Series("position", shown.position))
    if world.conversion_delay:
        found += _conversions(world, shown, logit, label, rng)
    if world.teacher_delay is not None:
        found.append(pl.Series("p_teacher", chance(log_odds(world, catalogue, likes, shown, world.teacher_delay))))
    return found


def _conversions(
    world: World, shown: Shown, logit: Floats, label: NDArray[np.bool_], rng: Generator
) -> list[pl.Series]:
    """Conversions of clicks as they are known when the log ends; their delays are exponential."""
    probability = chance(logit + CONVERSION)
    delay = world.conversion_delay * 3600
    comes = label & (rng.random(len(label)) < probability)
    time = shown.time + np.ceil(rng.exponential(delay, len(label))).astype(np.int64)
    end = world.days * DAY
    seen = comes & (time < end)
    open_ = label & ~seen & (shown.time + KNOWN * delay >= end)
    return [
        pl.Series("converted", seen.astype(np.int8)).set(pl.Series(open_), None),
        pl.Series("conversion_time", time).set(pl.Series(~seen), None),
        pl.Series("p_conversion", probability),
    ]


def _names(kind: str, count: int) -> pl.Series:
    return pl.Series([f"{kind}_{number:0{len(str(count - 1))}d}" for number in range(count)])


def _lists(values: pl.Series, shape: tuple[int, int], length: Integers) -> pl.Series:
    full = values.reshape(shape)
    return pl.select(pl.lit(full).arr.to_list().list.head(pl.lit(pl.Series(length)))).to_series()
