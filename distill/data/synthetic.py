"""A generated world of impressions whose true click probabilities are known, so that the best possible score is too.

Verticals belong to domains, and their sizes follow a power law. A user has one vector of tastes; an item's vector is
that of its domain, plus a smaller part of its vertical, plus a smaller part of its own. What a user clicks in one
vertical therefore tells what she will click in the others of the domain: a teacher that sees all of them, or her
history, knows what the students of a small vertical cannot learn from their rows. The domain's habits (hours, devices)
and the ageing of items are shared in the same way. What everybody likes drifts from day to day.

In log-odds: affinity + vertical + item + hour + device + age + activity + drift.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.random import PCG64, Generator, SeedSequence
from numpy.typing import NDArray

from distill.data.world import World
from distill.errors import Fault, StoreError

VERSION = 1
"""Goes up when the same settings give other rows."""

TASTES = 8
"""Length of the vectors of users and items."""
AFFINITY = (1.0, 0.4, 0.3)
"""Standard deviation, in log-odds, of the taste for a domain, for a vertical in it, for an item in that."""
INTERCEPT = -1.0
"""Log-odds of a fresh item that nobody likes or dislikes; with the rest it makes about 22 clicks in 100."""
VERTICAL, ITEM, HOUR, DEVICE, ACTIVITY = 0.3, 0.4, 0.8, 0.4, -0.25
"""Standard deviation, in log-odds, of the other parts; busy users click less."""
AGEING = -1.0
"""Log-odds that an item of the average domain loses over its life, which lasts as many days as the log."""
DEVICES = ("phone", "tablet", "desktop")
DEVICE_SHARES = (0.6, 0.1, 0.3)
CANDIDATES = 4
"""Rows of one impression, which share a user and a time."""
HISTORY = 10
"""Most clicks that a history keeps."""
DAY = 86_400

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Catalogue(NamedTuple):
    """Verticals and their items, which stand vertical by vertical, in the order of their births."""

    domain: Integers  # of a vertical
    share: Floats  # of the rows, of a vertical
    first: Integers  # item of a vertical
    items: Integers  # number of a vertical
    vertical: Integers  # of an item
    birth: Integers  # of an item, in seconds; negative before the log
    vector: Floats  # of an item


class Shown(NamedTuple):
    """Who saw what, where and when; one entry a row, in the order of time."""

    time: Integers
    user: Integers
    device: Integers
    item: Integers


def generate(world: World) -> pl.DataFrame:
    """The impressions of a world, in the order of time.

    Columns: `row_id`, `label`, `vertical`, `domain`, `day`, `time` (seconds; the rows of one impression share it),
    `split` (the last but one day validates, the last tests), `user_id`, `item_id`, `hour`, `device`, `user_activity`
    (impressions a day, heavy-tailed), `item_age` (hours), `hist_items` and `hist_verticals` (the user's last clicks at
    strictly earlier times, newest first), `p_true` (the probability from which the label was drawn).
    """
    structure, people, exposure, tastes, clicks = (Generator(PCG64(seed)) for seed in SeedSequence(world.seed).spawn(5))
    catalogue = _catalogue(world, structure)
    activity = people.standard_normal(world.users)
    shown = _show(world, catalogue, np.exp(activity), exposure)
    chance = _probability(world, catalogue, activity, shown, tastes)
    label = clicks.random(world.rows) < chance
    return _table(world, catalogue, activity, shown, chance, label)


def write(world: World, folder: Path) -> Path:
    """Writes the impressions of a world as Parquet, and returns the file; one that is there is left as it is.

    Same world, same bytes. The file appears in one step, whole.

    Raises:
        StoreError: no room, or no permission.
    """
    digest = hashlib.sha256(f"{VERSION} {world.model_dump_json()}".encode()).hexdigest()
    path = folder / f"world-{digest[:16]}.parquet"
    draft = path.with_suffix(f".{os.getpid()}.draft")
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        generate(world).write_parquet(draft, compression="zstd", row_group_size=262_144)
        draft.replace(path)
    except OSError as error:
        raise StoreError(Fault(str(path), f"cannot be written: {error}.", "Make room, or change the store.")) from None
    finally:
        with suppress(OSError):
            draft.unlink()
    return path


def _catalogue(world: World, rng: Generator) -> Catalogue:
    share = np.arange(1, world.verticals + 1) ** -world.size_exponent
    share /= share.sum()
    domain = np.arange(world.verticals) % world.domains
    items = 1 + _apportion(world.items - world.verticals, share)
    vertical = np.repeat(np.arange(world.verticals), items)
    first = np.cumsum(items) - items
    place = np.arange(len(vertical)) - first[vertical] + rng.random(world.verticals)[vertical]
    birth = np.floor((2 * place / items[vertical] - 1) * world.days * DAY).astype(np.int64)
    birth[first] = np.minimum(birth[first], 0)  # a vertical always has something to show
    for_domain, for_vertical, for_item = AFFINITY
    vector = (
        for_domain * _directions(rng, world.domains)[domain][vertical]
        + for_vertical * _directions(rng, world.verticals)[vertical]
        + for_item * _directions(rng, len(vertical))
    )
    return Catalogue(domain, share, first, items, vertical, birth, vector)


def _apportion(total: int, share: Floats) -> Integers:
    """Whole numbers in proportion to `share` that add up to `total` (the method of the largest remainder)."""
    exact = total * share
    whole = np.floor(exact).astype(np.int64)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole


def _directions(rng: Generator, count: int) -> Floats:
    vectors = rng.standard_normal((count, TASTES))
    return vectors / np.sqrt((vectors**2).sum(axis=1, keepdims=True))


def _show(world: World, catalogue: Catalogue, appetite: Floats, rng: Generator) -> Shown:
    impressions = -(-world.rows // CANDIDATES)
    by_hour = 1 + 0.8 * np.sin(2 * np.pi * (np.arange(24) - 12) / 24)  # busy in the evening
    hour = rng.choice(24, impressions, p=by_hour / by_hour.sum())
    day = np.arange(impressions) * world.days // impressions  # as many on each
    time = np.sort(day * DAY + hour * 3600 + rng.integers(3600, size=impressions))
    user = rng.choice(world.users, impressions, p=appetite / appetite.sum())
    device = rng.choice(len(DEVICES), impressions, p=DEVICE_SHARES)
    time, user, device = (np.repeat(column, CANDIDATES)[: world.rows] for column in (time, user, device))
    vertical = rng.choice(world.verticals, world.rows, p=catalogue.share)
    return Shown(time, user, device, _pick(world, catalogue, vertical, time, rng.random(world.rows)))


def _pick(world: World, catalogue: Catalogue, vertical: Integers, time: Integers, luck: Floats) -> Integers:
    """An item of each row's vertical that is born and alive at its time, rather a fresh one."""
    span = 2 * world.days * DAY  # births lie within one life before and one after the start of the log
    newest = np.searchsorted(catalogue.vertical * span + catalogue.birth, vertical * span + time, side="right") - 1
    alive = np.minimum(newest - catalogue.first[vertical], (catalogue.items[vertical] - 1) // 2) + 1
    return newest - np.floor(alive * luck**2).astype(np.int64)


def _probability(world: World, catalogue: Catalogue, activity: Floats, shown: Shown, rng: Generator) -> Floats:
    """The true click probabilities.

    Rounded, so that the last bit of an exponential, in which processors differ, changes neither labels nor files.
    """
    taste = rng.standard_normal((TASTES, world.users))
    vertical = catalogue.vertical[shown.item]
    domain = catalogue.domain[vertical]
    day = shown.time // DAY
    hour = shown.time // 3600 % 24
    logit = INTERCEPT + ACTIVITY * activity[shown.user]
    for one, of_items in zip(taste, catalogue.vector.T, strict=True):  # one at a time: no table of rows x tastes
        logit += one[shown.user] * of_items[shown.item]
    logit += VERTICAL * rng.standard_normal(world.verticals)[vertical]
    logit += ITEM * rng.standard_normal(len(catalogue.vertical))[shown.item]
    logit += HOUR * _curves(rng, world.domains)[domain, hour]
    logit += DEVICE * rng.standard_normal((world.domains, len(DEVICES)))[domain, shown.device]
    ageing = AGEING * (0.5 + rng.random(world.domains))
    logit += ageing[domain] * (shown.time - catalogue.birth[shown.item]) / (world.days * DAY)
    logit += world.drift * _walks(rng, world.domains, world.days)[domain, day]
    logit += world.drift * _walks(rng, len(catalogue.vertical), world.days)[shown.item, day]
    return np.clip(np.round(1 / (1 + np.exp(-logit)), 6), 1e-6, 1 - 1e-6)


def _curves(rng: Generator, count: int) -> Floats:
    """Smooth curves over the 24 hours: two waves of random phase, with variance one over the day."""
    angle = 2 * np.pi * (np.arange(24) / 24 + rng.random((count, 1)))
    return np.sin(angle) + np.sin(2 * angle + 2 * np.pi * rng.random((count, 1)))


def _walks(rng: Generator, count: int, days: int) -> Floats:
    """Random walks over days, from zero; the end has variance one."""
    steps = rng.standard_normal((count, days)) / np.sqrt(days - 1)
    steps[:, 0] = 0
    return np.cumsum(steps, axis=1)


def _table(
    world: World, catalogue: Catalogue, activity: Floats, shown: Shown, chance: Floats, label: NDArray[np.bool_]
) -> pl.DataFrame:
    vertical = catalogue.vertical[shown.item]
    day = shown.time // DAY
    places = {"vertical": _names("vertical", world.verticals), "domain": _names("domain", world.domains)}
    appetite = np.exp(activity)
    past, length = _last_clicks(shown, label)
    return pl.DataFrame(
        {
            "row_id": np.arange(world.rows),
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
            "hist_items": _lists(pl.Series(shown.item), past, length),
            "hist_verticals": _lists(places["vertical"].gather(vertical), past, length),
            "p_true": chance,
        }
    )


def _names(kind: str, count: int) -> pl.Series:
    return pl.Series([f"{kind}_{number:0{len(str(count - 1))}d}" for number in range(count)])


def _last_clicks(shown: Shown, label: NDArray[np.bool_]) -> tuple[Integers, Integers]:
    """The rows of each row's history, newest first, and how many of them count.

    Clicks are sorted by user and time, so that those of one user before one time lie side by side.
    """
    span = int(shown.time[-1]) + 1
    key = shown.user * span + shown.time
    clicks = np.flatnonzero(label)
    clicks = clicks[np.argsort(key[clicks], kind="stable")]
    end = np.searchsorted(key[clicks], key, side="left")
    start = np.searchsorted(key[clicks], shown.user * span, side="left")
    past = np.maximum(end[:, None] - 1 - np.arange(HISTORY), 0)
    return clicks[past] if len(clicks) else past, np.minimum(end - start, HISTORY)


def _lists(values: pl.Series, past: Integers, length: Integers) -> pl.Series:
    full = values.gather(past.ravel()).reshape(past.shape)
    return pl.select(pl.lit(full).arr.to_list().list.head(pl.lit(pl.Series(length)))).to_series()
