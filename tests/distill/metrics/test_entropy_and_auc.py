"""Metrics against scikit-learn, closed forms, brute force, and what must not change them."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from distill import metrics


def sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


@st.composite
def scored(draw: st.DrawFn, both_classes: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits on a coarse grid (so that ties are common), labels, and weights of 1 to 3."""
    size = draw(st.integers(4, 40))
    grid = draw(st.lists(st.integers(-8, 8), min_size=size, max_size=size))
    label = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    weight = draw(st.lists(st.integers(1, 3), min_size=size, max_size=size))
    if both_classes:
        label[0], label[1] = 0, 1
    return np.array(grid) / 2, np.array(label, dtype=float), np.array(weight, dtype=float)


def test_cross_entropy_keeps_its_digits_far_out() -> None:
    logit = np.array([-1000.0, -50.0, 0.0, 50.0, 1000.0])
    right = metrics.cross_entropy(logit, np.array([0, 0, 0, 1, 1]))
    wrong = metrics.cross_entropy(logit, np.array([1, 1, 1, 0, 0]))
    np.testing.assert_allclose(right, [0, math.exp(-50), math.log(2), math.exp(-50), 0], rtol=1e-12)
    np.testing.assert_allclose(wrong, [1000, 50, math.log(2), 50, 1000], rtol=1e-12)


def test_cross_entropy_of_what_is_not_finite_is_not_either_and_warns_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        costs = metrics.cross_entropy([np.inf, -np.inf, np.inf, np.nan, 0.0], [1, 0, 0, 1, 1])
    assert np.isfinite(costs).tolist() == [False] * 4 + [True]


def test_cross_entropy_of_a_probability_is_least_at_that_probability() -> None:
    truth = np.array([0.01, 0.2, 0.7])
    best = np.log(truth / (1 - truth))
    entropy = -(truth * np.log(truth) + (1 - truth) * np.log1p(-truth))
    np.testing.assert_allclose(metrics.cross_entropy(best, truth), entropy, rtol=1e-12)
    assert (metrics.cross_entropy(best + 0.1, truth) > entropy).all()
    assert (metrics.cross_entropy(best - 0.1, truth) > entropy).all()


@given(scored())
@settings(deadline=None, max_examples=40)
def test_log_loss_and_auc_are_those_of_scikit_learn(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    logit, label, weight = rows
    expected = sklearn_log_loss(label, sigmoid(logit), sample_weight=weight)
    np.testing.assert_allclose(metrics.log_loss(logit, label, weight), expected, rtol=1e-10)
    expected = roc_auc_score(label, logit, sample_weight=weight)
    np.testing.assert_allclose(metrics.auc(logit, label, weight), expected, rtol=1e-10)


@given(scored())
@settings(deadline=None, max_examples=40)
def test_auc_sees_only_the_order(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    logit, label, weight = rows
    value = metrics.auc(logit, label, weight)
    assert metrics.auc(np.exp(logit) * 3 - 7, label, weight) == value
    assert metrics.auc(-logit, label, weight) == pytest.approx(1 - value)
    assert metrics.auc(np.zeros_like(logit), label, weight) == 0.5


@given(scored())
@settings(deadline=None, max_examples=40)
def test_a_weight_is_a_row_that_comes_again(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    logit, label, weight = rows
    again = [np.repeat(column, weight.astype(int)) for column in (logit, label)]
    group = np.arange(len(logit)) % 3
    groups = np.repeat(group, weight.astype(int))
    for metric in (metrics.log_loss, metrics.normalized_entropy, metrics.auc):
        np.testing.assert_allclose(metric(logit, label, weight), metric(*again), rtol=1e-10)
    assert metrics.base_entropy(label, weight) == pytest.approx(metrics.base_entropy(again[1]))
    np.testing.assert_allclose(
        metrics.expected_calibration_error(logit, label, weight, bins=5),
        metrics.expected_calibration_error(*again, bins=5),
        atol=1e-12,
    )
    np.testing.assert_allclose(metrics.calibration(logit, label, weight).ratio, metrics.calibration(*again).ratio)
    np.testing.assert_allclose(metrics.gauc(logit, label, group, weight), metrics.gauc(*again, groups), rtol=1e-10)


@given(scored())
@settings(deadline=None, max_examples=40)
def test_the_base_rate_has_a_normalized_entropy_of_one(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, label, weight = rows
    rate = np.average(label, weights=weight)
    constant = np.full_like(label, np.log(rate / (1 - rate)))
    np.testing.assert_allclose(metrics.normalized_entropy(constant, label, weight), 1, rtol=1e-12)
    assert metrics.normalized_entropy(constant + 0.5, label, weight) > 1


@given(scored(both_classes=False), st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_tallies_add_up(rows: tuple[np.ndarray, np.ndarray, np.ndarray], cut: int) -> None:
    logit, label, weight = rows
    slices = [metrics.tally(*(column[part] for column in rows)) for part in (slice(cut), slice(cut, None))]
    whole, pooled = metrics.tally(logit, label, weight), metrics.pool(slices)
    assert pooled[:2] == whole[:2]
    np.testing.assert_allclose(pooled[2:5], whole[2:5], rtol=1e-10, atol=1e-12)
    assert pooled.base_entropy == slices[0].base_entropy + slices[1].base_entropy
    assert pooled.base_entropy <= whole.base_entropy + 1e-9  # own base rates explain more than a common one


@given(scored(both_classes=False), st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_rows_of_a_group_are_a_slice(rows: tuple[np.ndarray, np.ndarray, np.ndarray], groups: int) -> None:
    """Wherever they stand."""
    group = np.arange(len(rows[0])) % groups
    slices = [metrics.tally(*(column[group == number] for column in rows)) for number in range(groups)]
    np.testing.assert_allclose(metrics.tally_by(group, *rows), metrics.pool(slices), rtol=1e-12, atol=1e-12)


def test_a_tally_gives_the_ratios_of_its_slice() -> None:
    logit, label, weight = np.array([0.3, -1.0, 2.0]), np.array([1, 0, 0]), np.array([1.0, 2.0, 0.0])
    found = metrics.tally(logit, label, weight)
    assert (found.rows, found.positives, found.weight, found.clicks) == (2, 1, 3, 1)
    assert found.normalized_entropy == metrics.normalized_entropy(logit, label, weight)
    assert found.log_loss == metrics.log_loss(logit, label, weight)
    assert metrics.pool([]).rows == 0


def test_pooled_entropy_is_not_the_mean_of_ratios() -> None:
    large = metrics.Tally(1000, 500, 1000.0, 500.0, cross_entropy=500.0, base_entropy=1000.0)
    small = metrics.Tally(10, 5, 10.0, 5.0, cross_entropy=15.0, base_entropy=10.0)
    assert metrics.pool([large, small]).normalized_entropy == pytest.approx(515 / 1010)


def brute_force_gauc(logit: np.ndarray, label: np.ndarray, group: np.ndarray, weight: np.ndarray) -> tuple:
    values, sizes = [], []
    for name in np.unique(group):
        rows = group == name
        if len(np.unique(label[rows])) == 2:
            values.append(roc_auc_score(label[rows], logit[rows], sample_weight=weight[rows]))
            sizes.append(weight[rows].sum())
    mean = np.mean(values) if values else math.nan
    return (np.average(values, weights=sizes) if values else math.nan), sum(sizes) / weight.sum(), mean


@given(scored(), st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_gauc_is_the_weighted_mean_of_the_groups(rows: tuple[np.ndarray, np.ndarray, np.ndarray], groups: int) -> None:
    logit, label, weight = rows
    group = np.random.default_rng(len(logit)).integers(0, groups, len(logit))
    np.testing.assert_allclose(
        metrics.gauc(logit, label, group, weight), brute_force_gauc(logit, label, group, weight), rtol=1e-10
    )


def test_gauc_takes_groups_of_any_type() -> None:
    found = metrics.gauc(np.array([1.0, 0.0, 5.0]), np.array([1, 0, 1]), np.array(["ann", "ann", "bob"]))
    assert found.value == 1
    assert found.kept == pytest.approx(2 / 3)


def test_calibration_is_one_where_the_scores_are_true() -> None:
    draw = np.random.default_rng(0)
    logit = draw.normal(-4, 1, 400_000)
    truth = sigmoid(logit)
    found = metrics.calibration(logit, draw.random(len(logit)) < truth)
    assert abs(found.ratio - 1) < 4 * found.standard_error
    high = metrics.calibration(logit + math.log(2), draw.random(len(logit)) < truth)
    assert 1.8 < high.ratio < 2


def test_the_standard_error_of_calibration_is_its_spread() -> None:
    draw = np.random.default_rng(1)
    logit = draw.normal(-4, 1, (1_000, 4_000))
    found = metrics.calibration(logit, draw.random(logit.shape) < sigmoid(logit))
    assert np.mean(found.standard_error) == pytest.approx(np.std(found.ratio), rel=0.15)


def test_calibration_of_weighted_rows_has_a_wider_error_than_of_as_many_equal_ones() -> None:
    logit, label = np.zeros(100), np.arange(100) % 2
    even = metrics.calibration(logit, label).standard_error
    uneven = metrics.calibration(logit, label, np.where(np.arange(100) < 10, 10.0, 0.1)).standard_error
    assert even == pytest.approx(math.sqrt(1 / 50))
    assert uneven > 2 * even


def test_expected_calibration_error_by_hand() -> None:
    logit = np.repeat([-1.0, 1.0], 10)
    label = np.concatenate([np.arange(10) < 3, np.arange(10) < 6])
    expected = (abs(sigmoid(np.array(-1.0)) - 0.3) + abs(sigmoid(np.array(1.0)) - 0.6)) / 2
    assert metrics.expected_calibration_error(logit, label, bins=2) == pytest.approx(float(expected))
    assert metrics.expected_calibration_error(logit, label, bins=1) < expected
    shuffled = np.random.default_rng(0).permutation(20)
    assert metrics.expected_calibration_error(logit[shuffled], label[shuffled]) == pytest.approx(float(expected))


def test_equal_scores_go_where_most_of_them_belong() -> None:
    logit, label = np.repeat([-1.0, 0.5, 1.0], [4, 2, 4]), np.arange(10) % 2
    distance = sigmoid(logit) - label
    by_hand = (abs(distance[:4].sum()) + abs(distance[4:].sum())) / 10
    assert metrics.expected_calibration_error(logit, label, bins=2) == pytest.approx(by_hand)


def test_bins_hold_equal_weight() -> None:
    logit = np.linspace(-3, 3, 1000)
    label = np.random.default_rng(0).random(1000) < 0.5
    by_hand = np.abs((sigmoid(logit) - label).reshape(10, 100).mean(axis=1)).mean()
    assert metrics.expected_calibration_error(logit, label, bins=10) == pytest.approx(by_hand)


def test_members_are_scored_at_once() -> None:
    draw = np.random.default_rng(0)
    logit, label, weight = draw.normal(size=(3, 50)), draw.random(50) < 0.4, draw.random(50)
    for metric in (metrics.log_loss, metrics.normalized_entropy, lambda *rows: metrics.calibration(*rows).ratio):
        together = metric(logit, label, weight)
        np.testing.assert_allclose(together, [metric(one, label, weight) for one in logit], rtol=1e-12)


@pytest.mark.parametrize(
    ("label", "weight", "reason"),
    [
        ([], [], "no rows"),
        ([1, 0], [0, 0], "no rows"),
        ([0, 0], [1, 1], "no positives"),
        ([1, 0], [0, 1], "no positives"),
        ([1, 1], [1, 1], "no negatives"),
        ([1, 0], [1, 1], ""),
    ],
)
def test_what_does_not_exist_is_nan_and_says_why(label: list, weight: list, reason: str) -> None:
    logit = np.linspace(-1, 1, len(label))
    rows = (logit, np.array(label, dtype=float), np.array(weight, dtype=float))
    assert metrics.why_undefined(*rows[1:]) == reason
    for value in (metrics.normalized_entropy(*rows), metrics.auc(*rows), metrics.tally(*rows).normalized_entropy):
        assert math.isnan(value) == bool(reason)
    assert math.isnan(metrics.calibration(*rows).ratio) == (reason in ("no rows", "no positives"))
    assert math.isnan(metrics.log_loss(*rows)) == (reason == "no rows")
    assert math.isnan(metrics.expected_calibration_error(*rows)) == (reason == "no rows")


def test_single_precision_input_is_summed_in_double() -> None:
    logit = np.full(100_000, 0.1, dtype=np.float32)
    found = metrics.log_loss(logit, np.zeros(100_000))
    assert found.dtype == np.float64
    assert float(found) == pytest.approx(math.log1p(math.exp(float(np.float32(0.1)))), rel=1e-12)
