"""Precision, calibration by bin and field, agreement and streamed AUC against scikit-learn, SciPy and closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from distill import metrics


def sigmoid(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def world(seed: int, rows: int = 600, level: float = -1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-odds on a grid (so that ties are common), clicks drawn from them, weights."""
    draw = np.random.default_rng(seed)
    logit = np.round(draw.normal(level, 1.2, rows), 1)
    return logit, (draw.random(rows) < sigmoid(logit)).astype(float), draw.uniform(0.5, 2, rows)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_average_precision_is_that_of_scikit_learn(seed: int) -> None:
    logit, label, weight = world(seed, rows=60)
    if label.any():
        expected = average_precision_score(label, logit, sample_weight=weight)
        assert metrics.average_precision(logit, label, weight) == pytest.approx(expected, rel=1e-10)


def test_relative_cross_entropy_is_the_per_cent_below_the_base_rate() -> None:
    rows = world(1)
    assert metrics.relative_cross_entropy(*rows) == pytest.approx(100 - 100 * metrics.normalized_entropy(*rows))


@pytest.mark.parametrize("shift", [-9.0, -0.3, 0.0, 2.0, 30.0])
def test_free_of_calibration_no_shift_matters(shift: float) -> None:
    logit, label, weight = world(2)
    found = metrics.calibration_free_entropy(logit + shift, label, weight)
    root = brentq(lambda by: (weight * (sigmoid(logit + by) - label)).sum(), -20, 20, xtol=1e-14)
    assert found == pytest.approx(float(metrics.normalized_entropy(logit + root, label, weight)), rel=1e-10)
    assert found <= metrics.normalized_entropy(logit + shift, label, weight) + 1e-12


def test_free_of_calibration_for_several_rankers_at_once() -> None:
    logit, label, weight = world(3)
    both = metrics.calibration_free_entropy(np.stack([logit, 3 * logit]), label, weight)
    assert both.tolist() == pytest.approx(
        [float(metrics.calibration_free_entropy(one, label, weight)) for one in (logit, 3 * logit)]
    )


def test_reliability_bins_hold_all_rows_in_equal_parts() -> None:
    logit, label, weight = world(4, rows=5_000)
    found = metrics.reliability(logit, label, weight, bins=10)
    assert found.weight.sum() == pytest.approx(weight.sum())
    assert (found.weight * found.predicted).sum() == pytest.approx((weight * sigmoid(logit)).sum())
    assert (found.weight * found.observed).sum() == pytest.approx((weight * label).sum())
    assert found.weight.max() < 1.5 * found.weight.min()
    assert (np.diff(found.predicted) > 0).all()


def test_without_bias_a_true_ranker_is_near_zero_and_a_wrong_one_keeps_its_error() -> None:
    draw = np.random.default_rng(5)
    plain, squares, wrong = [], [], []
    for _ in range(60):
        logit = draw.normal(-1, 1, 2_000)
        label = (draw.random(2_000) < sigmoid(logit)).astype(float)
        plain.append(metrics.expected_calibration_error(logit, label))
        squares.append(metrics.debiased_calibration_error(logit, label) ** 2)
        wrong.append(metrics.debiased_calibration_error(np.full(2_000, 0.0), (draw.random(2_000) < 0.4).astype(float)))
    assert np.mean(plain) > 0.05
    assert math.sqrt(np.mean(squares)) < 0.03
    assert np.mean(wrong) == pytest.approx(0.1, abs=0.01)


def test_field_calibration_is_the_definition_written_out() -> None:
    logit, label, weight = world(6)
    field = np.array(["a", "b", "c"])[np.arange(len(logit)) % 3]
    label[field == "c"] = 0
    by_hand, relative, clicked = 0.0, 0.0, 0.0
    for name in ("a", "b", "c"):
        rows = field == name
        distance = abs((weight * (label - sigmoid(logit)))[rows].sum())
        by_hand += distance / weight.sum()
        if name != "c":
            relative += weight[rows].sum() * distance / (weight * label)[rows].sum()
            clicked += weight[rows].sum()
    found = metrics.field_calibration(logit, label, field, weight)
    assert found == pytest.approx((by_hand, relative / clicked, clicked / weight.sum()))
    opposite = metrics.field_calibration([1.0, -1.0], [0.5, 0.5], np.array([0, 1]))
    assert metrics.calibration([1.0, -1.0], [0.5, 0.5]).ratio == pytest.approx(1)
    assert opposite.error == pytest.approx(sigmoid(np.array(1.0)) - 0.5)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_agreement_is_that_of_its_definition(seed: int) -> None:
    draw = np.random.default_rng(seed)
    teacher, student = np.round(draw.normal(size=(2, 40)), 1)
    weight = draw.uniform(0.5, 2, 40)
    first, second = sigmoid(teacher), sigmoid(student)
    rows = first * np.log(first / second) + (1 - first) * np.log((1 - first) / (1 - second))
    assert metrics.divergence(teacher, student, weight) == pytest.approx(np.average(rows, weights=weight), abs=1e-14)
    assert metrics.rank_correlation(teacher, student) == pytest.approx(spearmanr(teacher, student).statistic)


class TestStreaming:
    @given(st.integers(0, 10_000), st.integers(2, 400))
    @settings(deadline=None, max_examples=30)
    def test_the_exact_value_is_within_the_error(self, seed: int, bins: int) -> None:
        logit, label, weight = world(seed, rows=200)
        label[:2] = 0, 1
        found = metrics.LogitHistogram(metrics.quantile_edges(logit, bins)).add(logit, label, weight).auc()
        exact = roc_auc_score(label, logit, sample_weight=weight)
        assert abs(found.value - exact) <= found.error + 1e-12

    def test_at_one_click_in_a_hundred_four_digits_are_right(self) -> None:
        draw = np.random.default_rng(0)
        logit = draw.normal(-5, 1, 200_000)
        label = (draw.random(len(logit)) < sigmoid(logit)).astype(float)
        counted = metrics.LogitHistogram(metrics.quantile_edges(logit[:50_000]))
        for start in range(0, len(logit), 30_000):
            counted.add(logit[start : start + 30_000], label[start : start + 30_000])
        assert counted.auc().value == pytest.approx(metrics.auc(logit, label), abs=5e-5)
        assert counted.auc().error < 1e-4

    def test_members_count_apart(self) -> None:
        logit, label, weight = world(7)
        edges = metrics.quantile_edges(logit)
        both = metrics.LogitHistogram(edges, (2,)).add(np.stack([logit, -logit]), label, weight).auc().value
        one = metrics.LogitHistogram(edges).add(logit, label, weight).auc().value
        assert both[0] == one
        assert both[1] == pytest.approx(1 - one, abs=0.01)

    def test_one_class_has_none(self) -> None:
        assert np.isnan(metrics.LogitHistogram(np.array([0.0])).add([1.0, -1.0], [1, 1]).auc().value)


@pytest.mark.parametrize("label", [[0.0, 0.0], [1.0, 1.0]])
def test_labels_of_one_class_leave_nothing_made_up(label: list[float]) -> None:
    logit = np.array([0.5, -0.5])
    assert np.isnan(metrics.calibration_free_entropy(logit, label))
    assert np.isnan(metrics.relative_cross_entropy(logit, label))
    assert np.isnan(metrics.avg_auc(logit, label, np.zeros(2)))
    assert np.isnan(metrics.average_precision(logit, label)) == (not any(label))
    assert np.isnan(metrics.rank_correlation(np.ones(2), logit))


def test_no_rows_leave_nothing_made_up() -> None:
    empty = np.zeros(0)
    assert np.isnan(metrics.debiased_calibration_error(empty, empty))
    assert np.isnan(metrics.field_calibration(empty, empty, empty)).all()
    assert np.isnan(metrics.average_precision(empty, empty))
    assert np.isnan(metrics.divergence(empty, empty))
