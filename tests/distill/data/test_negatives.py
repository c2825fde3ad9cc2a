"""Thinned negatives: which rows are left, and that the shift gives the truth back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from distill.data.impressions import TRAIN
from distill.data.negatives import correction, heard, kept, shares
from distill.data.settings import Negatives

SHARES = st.floats(0.01, 1)


@given(st.lists(st.booleans(), max_size=60), SHARES, SHARES, st.integers(0, 9))
def test_all_positives_stay_and_a_smaller_share_keeps_a_subset(labels, one, other, seed):
    positive, rows = np.array(labels, dtype=bool), np.arange(len(labels))
    few, many = (set(kept(rows, positive, share, seed).tolist()) for share in sorted((one, other)))
    assert set(rows[positive].tolist()) <= few <= many
    assert set(kept(rows[::2], positive[::2], max(one, other), seed).tolist()) == many & set(rows[::2].tolist())


def test_the_share_is_met_and_the_seed_draws_others():
    rows, none = np.arange(100_000), np.zeros(100_000, dtype=bool)
    first, second = (kept(rows, none, 0.2, seed) for seed in (1, 2))
    assert len(first) == pytest.approx(20_000, abs=400) and len(np.intersect1d(first, second)) < 4_500
    assert kept(rows, none, 1.0, 0) is rows


def test_the_shift_gives_the_truth_back():
    """A logistic regression on thinned rows, shifted, is that of all rows: calibrated, with the same coefficients."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400_000, 2))
    logit = x @ [1.0, -0.5] - 3
    label = rng.random(len(x)) < 1 / (1 + np.exp(-logit))
    rows = kept(np.arange(len(x)), label, 0.1, seed=0)
    model = LogisticRegression(C=1e6).fit(x[rows], label[rows])
    thinned = model.decision_function(x)
    assert (1 / (1 + np.exp(-thinned))).mean() > 3 * label.mean(), "what the correction is for"
    corrected = thinned + correction(0.1)
    assert (1 / (1 + np.exp(-corrected))).mean() == pytest.approx(label.mean(), rel=0.02)
    np.testing.assert_allclose(corrected, logit, atol=0.15)


@given(st.floats(-5, 5), SHARES, SHARES)
def test_a_student_hears_its_teacher_in_its_own_space(truth, teacher, student):
    """Both say the same of all rows: what the teacher says, moved, is what the student must say of what it sees."""
    assert truth - correction(teacher) + heard(teacher, student) == pytest.approx(truth - correction(student))


def test_the_shares_of_the_files_count_too(table, load_frame):
    assert shares(Negatives(source=0.5, teacher=0.2)) == {"teacher": 0.1, "students": 0.5}
    with_, without = load_frame(table, negatives={"students": 0.5}), load_frame(table)
    assert with_.fingerprint == without.fingerprint, "nothing is encoded again"
    rows = with_.training_rows("cars", "students", seed=3)
    all_ = with_.select(TRAIN, "cars")
    positive = with_.label[all_].any(axis=1)
    assert rows.tolist() == kept(all_, positive, 0.5, 3).tolist() and 0 < len(rows) < len(all_)
    assert without.training_rows("cars", "students", seed=3).tolist() == all_.tolist()
    assert with_.training_rows(None, "teacher", seed=3).tolist() == with_.select(TRAIN).tolist()
    assert (with_.correction("students"), with_.correction("teacher")) == (np.log(0.5), 0.0)
