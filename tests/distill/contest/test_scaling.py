"""Power laws whose exponent was planted."""

import math

import numpy as np
import pytest

from distill.contest.scaling import power_law

SIZES = np.geomspace(1e3, 1e8, 8)


@pytest.mark.parametrize(("exponent", "floor"), [(0.1, 0.6), (0.3, 0.7), (0.7, 0.0), (1.2, 0.5)])
def test_a_planted_law_is_found(exponent: float, floor: float) -> None:
    scale = 0.2 * SIZES[0] ** exponent
    law = power_law(SIZES, (floor + scale * SIZES**-exponent)[None])
    assert law.exponent.value == pytest.approx(exponent, rel=0.03)
    assert law.floor.value == pytest.approx(floor, abs=0.01)
    assert law.residual < 1e-3
    assert law.at(SIZES[3]) == pytest.approx(floor + scale * SIZES[3] ** -exponent, abs=1e-3)


def test_its_interval_holds_the_planted_exponent() -> None:
    """Observed losses and their resamples scatter by the same noise, as those of a bootstrap do."""
    generator = np.random.default_rng(0)
    truth, held = 0.7 + 0.2 * (SIZES / SIZES[0]) ** -0.3, 0
    for _ in range(60):
        observed = truth + generator.normal(0, 0.001, len(SIZES))
        draws = observed + generator.normal(0, 0.001, (100, len(SIZES)))
        law = power_law(SIZES, np.vstack([observed, draws]))
        held += law.exponent.low <= 0.3 <= law.exponent.high
    assert held >= 51  # of 60, where 57 are expected


def test_losses_that_do_not_fall_have_no_law() -> None:
    law = power_law(SIZES, (0.7 + 0.01 * np.log(SIZES))[None])
    assert math.isnan(law.exponent.value) and law.reason == "the losses do not fall"
    assert "different sizes" in power_law(SIZES[:3], np.ones((1, 3))).reason


def test_resamples_without_a_law_leave_the_number_without_an_interval() -> None:
    losses = 0.7 + 0.2 * (SIZES / SIZES[0]) ** -0.3
    law = power_law(SIZES, np.vstack([losses, losses[::-1]]))
    assert law.exponent.value == pytest.approx(0.3, rel=0.03)
    assert math.isnan(law.exponent.low) and "some resamples" in law.exponent.reason
