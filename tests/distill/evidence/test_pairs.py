"""Evidence: resamples against brute force, intervals and verdicts against simulated truth."""

import math
import time
from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
import pytest
from scipy import optimize, stats

from distill import evidence, metrics
from distill.evidence import Estimate, Sums

Rater = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""What a ranker says of rows whose true log-odds are given."""

ERROR_RATE = 0.04
"""The rate that `distill.evidence` states for each of the two verdicts, at level 0.95."""


def sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def noisy(spread: float) -> Rater:
    return lambda truth, draw: truth + spread * draw.normal(size=truth.shape)


def heavy(spread: float) -> Rater:
    return lambda truth, draw: truth + spread * draw.standard_t(3, size=truth.shape)


def shifted(shift: float) -> Rater:
    return lambda truth, draw: truth + shift


def rows_of(
    draw: np.random.Generator, rows: int, intercept: float, users: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cluster, true log-odds, label and weight of rows; users differ in their taste and in how much they read."""
    cluster = np.arange(rows) if users is None else (users * draw.random(rows) ** 1.5).astype(np.int64)
    taste = draw.normal(size=rows if users is None else users)[cluster]
    truth = intercept + 0.7 * taste + 0.7 * draw.normal(size=rows)
    return cluster, truth, (draw.random(rows) < sigmoid(truth)).astype(float), np.ones(rows)


def true_loss(rater: Rater, intercept: float) -> float:
    """Expected cross entropy of a row, over many rows, the same for every rater."""
    draw = np.random.default_rng(99)
    truth = intercept + math.sqrt(0.98) * draw.normal(size=200_000)
    return float(metrics.log_loss(rater(truth, draw), sigmoid(truth)))


def as_bad_as(bad: Rater, family: Callable[[float], Rater], intercept: float) -> Rater:
    """The member of a family that has the same expected cross entropy."""
    target, low, high = true_loss(bad, intercept), 0.0, 3.0
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (middle, high) if true_loss(family(middle), intercept) < target else (low, middle)
    return family((low + high) / 2)


def some_sums(seed: int = 0, rows: int = 400, users: int | None = 120, gain: float = 0.4) -> Sums:
    """A student whose control is noisier than itself by `gain`, under a teacher without noise."""
    draw = np.random.default_rng(seed)
    cluster, truth, label, weight = rows_of(draw, rows, -1.0, users)
    control, student = noisy(0.4 + gain)(truth, draw), noisy(0.4)(truth, draw)
    return evidence.paired(cluster, label, weight, control[None], student[None], truth)[0]


def test_weights_are_poisson_and_independent() -> None:
    weights = evidence.poisson_weights(np.arange(3000), 1000, seed=0)
    found = np.bincount(weights.astype(int).ravel(), minlength=9)[:9] / weights.size
    np.testing.assert_allclose(found, stats.poisson.pmf(np.arange(9), 1), atol=4 * 0.5 / math.sqrt(weights.size))
    for part in (weights[:200], weights[:, :200].T):
        correlation = np.corrcoef(part)[np.triu_indices(200, 1)]
        assert abs(correlation.std() * math.sqrt(part.shape[1]) - 1) < 0.03
        assert abs(correlation).max() * math.sqrt(part.shape[1]) < 5.5


def test_weights_depend_on_code_seed_and_resample_alone() -> None:
    codes = np.array([-5, 0, 7, 2**62])
    weights = evidence.poisson_weights(codes, 1000, seed=3)
    np.testing.assert_array_equal(evidence.poisson_weights(codes[[2, 0]], 101, seed=3), weights[[2, 0], :101])
    assert (evidence.poisson_weights(codes, 1000, seed=4) != weights).any(axis=1).all()


def test_a_resample_is_its_rows_written_out() -> None:
    draw = np.random.default_rng(0)
    cluster, truth, label, weight = rows_of(draw, 300, 0.0, users=150)
    weight = draw.uniform(0.5, 2, len(weight))
    control, student, teacher = (noisy(spread)(truth, draw) for spread in (0.6, 0.3, 0.1))
    sums = evidence.paired(cluster, label, weight, control[None], student[None], teacher, resamples=20, seed=1)[0]
    copies = evidence.poisson_weights(np.arange(150), 20, seed=1).astype(int)
    for resample in range(-1, 20):
        times = np.ones(300, dtype=int) if resample < 0 else copies[cluster, resample]
        label_, weight_ = np.repeat(label, times), np.repeat(weight, times)
        for name, logit in (("control", control), ("student", student), ("teacher", teacher)):
            expected = metrics.tally(np.repeat(logit, times), label_, weight_)
            assert getattr(sums, name)[resample + 1] == pytest.approx(expected.cross_entropy)
            assert sums.base_entropy[resample + 1] == pytest.approx(expected.base_entropy)
    assert sums.clicked < len(np.unique(cluster)) > sums.unclicked
    assert sums.clicked == len(np.unique(cluster[label == 1]))
    assert sums.unclicked == len(np.unique(cluster[label == 0]))


def test_neither_row_order_nor_company_moves_an_interval() -> None:
    draw = np.random.default_rng(0)
    cluster, truth, label, weight = rows_of(draw, 500, -1.0, users=150)
    arms = [np.stack([noisy(spread)(truth, draw) for spread in spreads]) for spreads in ((0.8, 0.5), (0.4, 0.5))]
    both = evidence.paired(cluster, label, weight, *arms)
    mixed = draw.permutation(500)
    alone = evidence.paired(cluster[mixed], label[mixed], weight[mixed], *(arm[1:, mixed] for arm in arms))
    np.testing.assert_allclose(evidence.ne_gain(both[1])[:3], evidence.ne_gain(alone[0])[:3], rtol=1e-9)


def test_users_of_several_verticals_are_one_cluster() -> None:
    draw = np.random.default_rng(0)
    cluster, truth, label, weight = rows_of(draw, 3000, -1.0, users=800)
    arms = noisy(0.6)(truth, draw)[None], noisy(0.4)(truth, draw)[None]
    here = evidence.paired(cluster, label, weight, *arms)
    elsewhere = evidence.paired(cluster + 10_000, label, weight, *arms)
    one, same, others = (evidence.ne_gain(evidence.pool(sums)) for sums in (here, here + here, here + elsewhere))
    np.testing.assert_allclose(same[:3], one[:3], rtol=1e-9)
    assert others.value == pytest.approx(one.value)
    assert (others.high - others.low) / (one.high - one.low) == pytest.approx(math.sqrt(1 / 2), abs=0.06)


def test_pooling_adds_numerators_and_denominators() -> None:
    small, large = some_sums(1, rows=200), some_sums(2, rows=2000, users=600, gain=0.2)
    pooled = evidence.pool([small, large])
    expected = (small.control + large.control - small.student - large.student)[0]
    assert evidence.ne_gain(pooled).value == pytest.approx(expected / (small.base_entropy + large.base_entropy)[0])
    lead = (small.control + large.control - small.teacher - large.teacher)[0]
    assert evidence.gap_closed(pooled).value == pytest.approx(expected / lead)
    assert (pooled.clicked, pooled.unclicked) == (large.clicked, large.unclicked)


def test_large_samples_give_the_interval_of_the_delta_method() -> None:
    draw = np.random.default_rng(0)
    cluster, truth, label, weight = rows_of(draw, 20_000, -1.0, users=4000)
    control, student = noisy(0.6)(truth, draw), noisy(0.4)(truth, draw)
    sums = evidence.paired(cluster, label, weight, control[None], student[None], resamples=5000)[0]
    found = evidence.ne_gain(sums)
    rate, entropy = label.mean(), metrics.base_entropy(label)
    surprise = -np.where(label == 1, np.log(rate), np.log1p(-rate))
    gain = metrics.cross_entropy(control, label) - metrics.cross_entropy(student, label)
    influence = np.bincount(cluster, gain - found.value * surprise) / entropy
    reach = 1.96 * math.sqrt((influence**2).sum())
    assert found.value - found.low == pytest.approx(reach, rel=0.08)
    assert found.high - found.value == pytest.approx(reach, rel=0.08)


@pytest.mark.parametrize("seed", range(6))
def test_a_bound_is_the_wider_of_the_percentile_and_of_fieller(seed: int) -> None:
    sums = some_sums(seed, rows=120, users=None)
    gain, base = sums.control - sums.student, sums.base_entropy
    clusters = min(sums.clicked, sums.unclicked)
    t = stats.t.ppf(0.975, clusters - 1)
    tail = stats.norm.cdf(-t * math.sqrt(clusters / (clusters - 1)))
    percentile = np.quantile((gain / base)[1:], [tail, 1 - tail])

    def outside(ratio: float) -> float:
        distance = gain - ratio * base
        return abs(distance[0]) - t * distance[1:].std(ddof=1)

    value = gain[0] / base[0]
    fieller = [optimize.brentq(outside, value, value + reach) for reach in (-1, 1)]
    found = evidence.ne_gain(sums)
    assert found.low == pytest.approx(min(percentile[0], fieller[0]), abs=1e-5)
    assert found.high == pytest.approx(max(percentile[1], fieller[1]), abs=1e-5)


def test_level_sets_the_width() -> None:
    sums = some_sums(rows=2000, users=None)
    widths = [found.high - found.low for found in (evidence.ne_gain(sums, level) for level in (0.8, 0.95))]
    assert widths[1] / widths[0] == pytest.approx(1.96 / 1.2816, rel=0.1)


def test_gap_closed_is_the_students_share_of_the_lead() -> None:
    sums = some_sums(rows=4000, users=1000)
    found = evidence.gap_closed(sums)
    assert found.value == pytest.approx((sums.control - sums.student)[0] / (sums.control - sums.teacher)[0])
    assert found.low < found.value < found.high
    assert not found.reason
    perfect = evidence.gap_closed(sums._replace(student=sums.teacher))
    np.testing.assert_allclose(perfect[:3], 1, rtol=1e-6)


def test_gap_closed_does_not_exist_without_a_better_teacher() -> None:
    sums = some_sums(rows=2000, users=500)
    worse = evidence.gap_closed(sums._replace(teacher=sums.control + 0.01 * sums.base_entropy))
    assert math.isnan(worse.value)
    assert worse.reason == "the teacher is not better than the control"
    absent = evidence.gap_closed(sums._replace(teacher=sums.teacher * math.nan))
    assert math.isnan(absent.value)
    assert absent.reason == "the teacher did not score every test row"


def test_gap_closed_has_no_interval_where_the_lead_is_not_sure() -> None:
    sums = some_sums(rows=600, users=200)
    lead = sums.control - sums.teacher
    unsure = sums._replace(teacher=sums.control - lead + lead[0] * 0.95)
    found = evidence.gap_closed(unsure)
    assert found.value == pytest.approx((sums.control - sums.student)[0] / (0.05 * lead[0]))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.reason == "the teacher's lead over the control is not sure"


def test_labels_of_one_class_have_no_gain() -> None:
    rows = np.arange(10)
    logit = np.linspace(-1, 1, 10)[None]
    sums = evidence.paired(rows, np.zeros(10), np.ones(10), logit, logit + 1, logit[0])[0]
    for found in (evidence.ne_gain(sums), evidence.gap_closed(sums)):
        assert math.isnan(found.value)
        assert found.reason == "the labels are of one class"


def test_two_users_make_no_interval() -> None:
    label = np.array([1.0, 0, 1, 0])
    logit = np.array([[0.1, 0.2, -0.3, 0.4]])
    found = evidence.ne_gain(evidence.paired(np.array([0, 0, 1, 1]), label, np.ones(4), logit, logit / 2)[0])
    assert math.isfinite(found.value)
    assert math.isnan(found.low)
    assert found.reason == "too few clicks or non-clicks for an interval"


def test_true_probabilities_serve_as_labels() -> None:
    draw = np.random.default_rng(0)
    cluster, truth, _, weight = rows_of(draw, 2000, -1.0, users=500)
    logit = noisy(0.5)(truth, draw)
    sums = evidence.paired(cluster, sigmoid(truth), weight, logit[None], truth[None], truth)[0]
    p = sigmoid(truth)
    true_entropy = -(p * np.log(p) + (1 - p) * np.log1p(-p)).sum()
    assert sums.teacher[0] == pytest.approx(true_entropy, rel=1e-9)
    assert evidence.ne_gain(sums).low > 0
    assert evidence.gap_closed(sums).value == 1


@pytest.mark.parametrize(
    ("low", "high", "clusters", "word"),
    [
        (0.001, 0.02, 30, "helped"),
        (-0.02, -0.001, 30, "hurt"),
        (-0.001, 0.02, 30, "undecided"),
        (-0.001, 0.0015, 30, "unchanged"),
        (0.0005, 0.0015, 30, "unchanged"),
        (0.0005, 0.002, 30, "helped"),
        (-0.002, 0.001, 30, "undecided"),
        (0.001, 0.02, 29, "undecided"),
        (math.nan, math.nan, 30, "undecided"),
    ],
)
def test_verdict(low: float, high: float, clusters: int, word: str) -> None:
    sums = some_sums()
    for clicked, unclicked in ((clusters, 100), (100, clusters)):
        counted = sums._replace(clicked=clicked, unclicked=unclicked)
        gain = Estimate((low + high) / 2, low, high, "" if low == low else "not known")
        found = evidence.verdict(gain, counted, negligible=0.002, min_positives=30)
        assert found.word == word
        assert bool(found.reason) == (clusters < 30 or math.isnan(low))


def test_clicks_of_a_few_users_are_not_enough() -> None:
    sums = some_sums(rows=3000, users=20)
    found = evidence.verdict(evidence.ne_gain(sums), sums, negligible=0.002, min_positives=30)
    assert found == ("undecided", "20 users or rows with a click, a verdict needs 30")


SETTINGS = list(
    product(["noisy", "heavy", "biased", "biased or noisy"], [(-1.0, 150, None), (-1.3, 400, 120), (-2.0, 350, None)])
)
"""Kinds of error, and log-odds of the base rate, rows and users: 30, 25 and 15 % of the rows are clicks."""


@cache
def equals(kind: str, intercept: float) -> tuple[Rater, Rater]:
    """A control and a student of equal true NE."""
    if kind == "noisy":
        return noisy(0.5), noisy(0.5)
    if kind == "heavy":
        return heavy(0.3), heavy(0.3)
    if kind == "biased":
        return shifted(0.4), as_bad_as(shifted(0.4), lambda by: shifted(-by), intercept)
    return shifted(0.4), as_bad_as(shifted(0.4), noisy, intercept)


def judged(
    kind: str, world: tuple[float, int, int | None], resamples: int, draw: np.random.Generator
) -> tuple[str, bool]:
    """The verdict on one pair of equal true NE, and whether the interval holds the true gain of 0."""
    intercept, rows, users = world
    raters = equals(kind, intercept)
    control, student = raters if draw.random() < 0.5 else raters[::-1]
    cluster, truth, label, weight = rows_of(draw, rows, intercept, users)
    cluster = cluster + int(draw.integers(2**40))
    arms = control(truth, draw)[None], student(truth, draw)[None]
    sums = evidence.paired(cluster, label, weight, *arms, resamples=resamples)[0]
    gain = evidence.ne_gain(sums)
    return evidence.verdict(gain, sums, negligible=0.0, min_positives=30).word, gain.low <= 0 <= gain.high


@pytest.mark.parametrize(("resamples", "pairs"), [(400, 90), pytest.param(1000, 1000, marks=pytest.mark.slow)])
def test_equal_rankers_are_seldom_called_different(resamples: int, pairs: int) -> None:
    draw = np.random.default_rng(7)
    outcomes = [judged(kind, world, resamples, draw) for kind, world in SETTINGS for _ in range(pairs)]
    assert len(outcomes) >= 1_000
    for word in ("helped", "hurt"):
        wrong = sum(found == word for found, _ in outcomes)
        assert stats.beta.ppf(0.95, wrong + 1, len(outcomes) - wrong) <= ERROR_RATE, f"{word}: {wrong}"
    covered = sum(holds for _, holds in outcomes) / len(outcomes)
    assert 0.935 <= covered <= 0.975


def test_better_students_are_found() -> None:
    draw = np.random.default_rng(3)
    words = []
    for _ in range(60):
        cluster, truth, label, weight = rows_of(draw, 1500, -1.0, users=500)
        arms = noisy(0.9)(truth, draw)[None], noisy(0.3)(truth, draw)[None]
        for one, other in (arms, arms[::-1]):
            sums = evidence.paired(cluster, label, weight, one, other, resamples=300)[0]
            words.append(evidence.verdict(evidence.ne_gain(sums), sums, negligible=0.002, min_positives=30).word)
    assert words[::2].count("helped") >= 57
    assert words[1::2].count("hurt") >= 57


def test_intervals_hold_true_gains_and_gaps() -> None:
    draw, intercept = np.random.default_rng(4), -1.0
    base = metrics.base_entropy(sigmoid(intercept + math.sqrt(0.98) * draw.normal(size=400_000))) / 400_000
    losses = {spread: true_loss(noisy(spread), intercept) for spread in (0.9, 0.5, 0.1)}
    gain, lead = losses[0.9] - losses[0.5], losses[0.9] - losses[0.1]
    held = []
    for _ in range(400):
        cluster, truth, label, weight = rows_of(draw, 700, intercept, users=300)
        control, student, teacher = (noisy(spread)(truth, draw) for spread in losses)
        found = evidence.paired(cluster, label, weight, control[None], student[None], teacher, resamples=400)[0]
        gained, closed = evidence.ne_gain(found), evidence.gap_closed(found)
        held.append((gained.low <= gain / base <= gained.high, closed.low <= gain / lead <= closed.high))
    for covered in np.mean(held, axis=0):
        assert 0.925 <= covered <= 0.985


@pytest.mark.slow
def test_two_hundred_verticals_take_seconds() -> None:
    draw = np.random.default_rng(0)
    sizes = draw.pareto(0.8, 200) + 0.05
    sizes = (sizes / sizes.sum() * 360_000).astype(int) + 2
    start, first, pairs = time.process_time(), 0, []
    for rows in sizes:
        _, truth, label, weight = rows_of(draw, rows, -1.0)
        arms = [noisy(0.5)(truth, draw)[None] for _ in range(2)]
        pairs += evidence.paired(np.arange(first, first + rows), label, weight, *arms, truth)
        first += rows
    found = [evidence.gap_closed(sums) for sums in (*pairs, evidence.pool(pairs))]
    assert len(found) == 201
    assert time.process_time() - start < 20
