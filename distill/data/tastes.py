"""What a generated world is made of: verticals, items, and all that makes users click.

Verticals belong to domains, and their sizes follow a power law. A user has one vector of tastes; an item's vector is
that of its domain, plus a smaller part of its vertical, plus a smaller part of its own. What a user clicks in one
vertical therefore tells what she will click in the others of the domain: a teacher that sees all of them, or her
history, knows what the students of a small vertical cannot learn from their rows. The domain's habits (hours, devices)
and the ageing of items are shared in the same way. What everybody likes drifts from day to day.

In log-odds: affinity + vertical + item + hour + device + age + activity + drift - position.
"""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from distill.data.world import World

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
    position: Integers


def draw_catalogue(world: World, rng: Generator) -> Catalogue:
    """Verticals, and items that are born along the log."""
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


class Likes(NamedTuple):
    """All that makes clicks, in log-odds; drawn once for a world."""

    taste: Floats  # [TASTES, users]
    activity: Floats  # of a user
    vertical: Floats
    item: Floats
    hour: Floats  # [domains, 24]
    device: Floats  # [domains, devices]
    ageing: Floats  # of a domain, over the life of an item
    domain_walk: Floats  # [domains, days]
    item_walk: Floats  # [items, days]


def draw_likes(world: World, catalogue: Catalogue, activity: Floats, rng: Generator) -> Likes:
    """Draws what everybody likes."""
    items = len(catalogue.vertical)
    return Likes(
        taste=rng.standard_normal((TASTES, world.users)),
        activity=activity,
        vertical=VERTICAL * rng.standard_normal(world.verticals),
        item=ITEM * rng.standard_normal(items),
        hour=HOUR * _curves(rng, world.domains),
        device=DEVICE * rng.standard_normal((world.domains, len(DEVICES))),
        ageing=AGEING * (0.5 + rng.random(world.domains)),
        domain_walk=world.drift * _walks(rng, world.domains, world.days),
        item_walk=world.drift * _walks(rng, items, world.days),
    )


def log_odds(world: World, catalogue: Catalogue, likes: Likes, shown: Shown, late: float = 0.0) -> Floats:
    """The log-odds of a click on each row, by the tastes of `late` days before."""
    vertical = catalogue.vertical[shown.item]
    domain = catalogue.domain[vertical]
    day = np.maximum(shown.time // DAY - int(np.ceil(late)), 0)
    hour = shown.time // 3600 % 24
    logit = INTERCEPT + ACTIVITY * likes.activity[shown.user]
    for one, of_items in zip(likes.taste, catalogue.vector.T, strict=True):  # no table of rows x tastes
        logit += one[shown.user] * of_items[shown.item]
    logit += likes.vertical[vertical]
    logit += likes.item[shown.item]
    logit += likes.hour[domain, hour]
    logit += likes.device[domain, shown.device]
    logit += likes.ageing[domain] * (shown.time - catalogue.birth[shown.item]) / (world.days * DAY)
    logit += likes.domain_walk[domain, day]
    logit += likes.item_walk[shown.item, day]
    return logit - world.position_bias * shown.position / (CANDIDATES - 1)


def chance(logit: Floats) -> Floats:
    """The probabilities, rounded, so that the last bit of an exponential changes neither labels nor files.

    Processors differ in that bit.
    """
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
