"""Power laws whose exponent was planted."""

import math

import numpy as np
import pytest

from distill.contest.laws import Grown, drawn, laws
from distill.contest.scaling import power_law

SIZES = np.geomspace(1e3, 1e8, 8)


@pytest.mark.parametrize(("exponent", "floor"), [(0.1, 0.6), (0.3, 0.7), (0.7, 0.0), (0.8, 0.5)])
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
    for _ in range(20):
        observed = truth + generator.normal(0, 0.001, len(SIZES))
        draws = observed + generator.normal(0, 0.001, (100, len(SIZES)))
        law = power_law(SIZES, np.vstack([observed, draws]))
        held += law.exponent.low <= 0.3 <= law.exponent.high
    assert held >= 16  # of 20, where 19 are expected


def test_losses_that_do_not_fall_have_no_law() -> None:
    law = power_law(SIZES, (0.7 + 0.01 * np.log(SIZES))[None])
    assert math.isnan(law.exponent.value) and law.reason == "the losses do not fall"
    assert "different sizes" in power_law(SIZES[:3], np.ones((1, 3))).reason


def test_resamples_without_a_law_leave_the_number_without_an_interval() -> None:
    losses = 0.7 + 0.2 * (SIZES / SIZES[0]) ** -0.3
    law = power_law(SIZES, np.vstack([losses, losses[::-1]]))
    assert law.exponent.value == pytest.approx(0.3, rel=0.03)
    assert math.isnan(law.exponent.low) and "some resamples" in law.exponent.reason


def test_a_law_for_each_class_over_what_grows_while_the_other_stays() -> None:
    """A planted law in the parameters, another in the rows; three sizes of another class are too few."""
    grown = [
        Grown(f"{dense} {rows}", "teachers.GEM", dense, rows, np.full(1, 0.6 + 10 * dense**-0.5 + 5 * rows**-0.3))
        for dense in (1_000, 8_000, 60_000, 500_000)
        for rows in (10_000, 20_000, 40_000, 80_000)
    ]
    few = [Grown(str(dense), "teachers.Wukong", dense, 80_000, np.ones(1)) for dense in (10, 100, 1_000)]
    found = laws([*grown, *few], 0.95)
    assert [(law["model"], law["grows"]) for law in found] == [("teachers.GEM", "dense")] * 4 + [
        ("teachers.GEM", "rows")
    ] * 4
    for law in found:
        assert law["exponent"] == pytest.approx({"dense": 0.5, "rows": 0.3}[law["grows"]], rel=0.03)
    names = dict(drawn({"laws": found}))
    assert set(names) == {"figures/scaling-dense.svg", "figures/scaling-rows.svg"}
    assert all(drawing.count("<circle") == 16 and "exponent" in drawing for drawing in names.values())


def test_sizes_that_hardly_differ_are_drawn_without_a_curve() -> None:
    """Their exponent may run away, and its scale be no number."""
    law = {"model": "teachers.HSTU", "grows": "dense", "rows": 100, "points": [[900, 0.86], [901, 0.85], [905, 0.87]]}
    law |= {"exponent": 140.0, "exponent_low": None, "exponent_high": None, "floor": 0.8, "scale": None}
    ((_, drawing),) = drawn({"laws": [law]})
    assert drawing.count("<circle") == 3 and "exponent 140.00" in drawing
