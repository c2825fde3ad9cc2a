"""Two numbers that mend a calibration, against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from distill.metrics import platt


class TestPlatt:
    def test_it_is_a_logistic_regression(self) -> None:
        rng = np.random.default_rng(4)
        logit, weight = rng.normal(size=400) * 2, rng.random(400)
        label = (rng.random(400) < 1 / (1 + np.exp(-(0.4 * logit - 1)))).astype(float)
        line = platt(logit, label, weight)
        theirs = LogisticRegression(C=1e8, tol=1e-10, max_iter=1000).fit(logit[:, None], label, weight)
        assert [line.slope, line.shift] == pytest.approx([theirs.coef_[0, 0], theirs.intercept_[0]], rel=1e-3)

    def test_there_is_an_answer_where_there_is_none(self) -> None:
        """Rows that the scores part, rows of one class, no rows."""
        parted = platt([-1.0, -2.0, 1.0, 3.0], [0, 0, 1, 1])
        assert 1 < parted.slope < 100 and np.isfinite(parted.shift)
        assert platt([0.0, 0.5], [1, 1]).shift > 1
        assert platt([], []) == (1.0, 0.0)
