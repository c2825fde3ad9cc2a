"""Claims about methods, false discoveries, rows wanted and ratios between runs, against brute force and simulation."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from distill import evidence
from distill.evidence import Estimate, Sums


def gains_of(seeds: list[float], rows: float, draws: int = 400) -> list[Sums]:
    """Sums of one run: a gain for each seed, and noise of the rows that is common to all of them."""
    noise = np.concatenate([[0.0], np.random.default_rng(0).normal(0, rows, draws)])
    base, control = np.full(draws + 1, 100.0), np.full(draws + 1, 80.0)
    return [Sums(base, control, control - 100 * (gain + noise), control - 10.0, 500, 900) for gain in seeds]


def sums_of(control: float, student: float, teacher: float, spread: float = 0.0, seed: int = 0) -> Sums:
    """Sums on the rows of a seed; noise that is common to all three."""
    draw = np.random.default_rng(seed)
    common = 1 + np.concatenate([[0.0], 0.05 * draw.normal(size=500)])
    own = [np.concatenate([[0.0], spread * draw.normal(size=500)]) for _ in range(3)]
    arms = [value * common + noise for value, noise in zip((control, student, teacher), own, strict=True)]
    return Sums(100 * common, *arms, 300, 900)


class TestMethod:
    def test_the_interval_is_that_of_t_where_rows_say_no_more(self) -> None:
        gains = [0.010, 0.013, 0.018]
        claim = evidence.method_gain(gains_of(gains, rows=0.0))
        low, high = stats.t.interval(0.95, 2, np.mean(gains), stats.sem(gains))
        assert claim.gain[:3] == pytest.approx((np.mean(gains), low, high))
        assert (claim.word, claim.seeds) == ("better", 3)
        assert claim.seed_spread == pytest.approx(np.std(gains, ddof=1))

    def test_rows_count_however_many_seeds_there_are(self) -> None:
        claim = evidence.method_gain(gains_of([0.01] * 20, rows=0.02))
        assert claim.word == "undecided"
        assert claim.seed_spread == pytest.approx(0)
        assert claim.row_error == pytest.approx(0.02, rel=0.1)
        assert claim.gain.high - claim.gain.low == pytest.approx(2 * 1.965 * claim.row_error, rel=0.01)

    def test_one_seed_says_nothing(self) -> None:
        claim = evidence.method_gain(gains_of([0.5], rows=0.0))
        assert (claim.word, claim.gain.value) == ("undecided", pytest.approx(0.5))
        assert math.isnan(claim.gain.low)
        assert "one seed" in claim.gain.reason

    def test_a_worse_method_is_called_so(self) -> None:
        ours, theirs = gains_of([0.010, 0.011, 0.012], 0.001), gains_of([0.030, 0.031, 0.033], 0.001)
        assert evidence.method_difference(ours, theirs).word == "worse"
        assert evidence.method_difference(theirs, ours).word == "better"
        gain = evidence.method_difference(theirs, ours).gain.value
        assert gain == pytest.approx(np.mean([0.030, 0.031, 0.033]) - 0.011)

    def test_other_rows_are_not_compared(self) -> None:
        one, other = [sums_of(80, 70, 60, 1.0, seed=0)], [sums_of(80, 70, 60, 1.0, seed=1)]
        claim = evidence.method_difference(one, other)
        assert (claim.word, claim.gain.reason) == ("undecided", "they were not tested on the same rows")
        assert "same rows" in evidence.times_plain(one[0], other[0]).reason
        assert "same rows" in evidence.transfer_ratio(one[0], other[0]).reason

    @pytest.mark.parametrize("seeds", [3, 5])
    def test_two_methods_that_are_one_are_seldom_told_apart(self, seeds: int) -> None:
        draw, claims = np.random.default_rng(seeds), 1_500
        wrong = 0
        for _ in range(claims):
            rows = draw.normal(0, 0.004, 121)
            base, control = np.full(121, 100.0), np.full(121, 80.0)
            by_seed = [
                Sums(base, control, control - 100 * (shift + rows - rows[0] + rows[1]), control, 500, 900)
                for shift in draw.normal(0, 0.01, seeds)
            ]
            wrong += evidence.method_gain(by_seed).word != "undecided"
        assert wrong / claims <= 0.05


class TestRatios:
    def test_times_plain_is_the_ratio_of_gains(self) -> None:
        ours, plain = sums_of(80, 70, 60, 0.1), sums_of(80, 76, 60, 0.1)
        found = evidence.times_plain(ours, plain)
        assert found.value == pytest.approx(10 / 4)
        assert found.low < 2.5 < found.high

    def test_times_nothing_is_undefined_and_times_perhaps_nothing_has_no_interval(self) -> None:
        ours = sums_of(80, 70, 60)
        assert evidence.times_plain(ours, sums_of(80, 81, 60)).reason == "the baseline gains nothing"
        unsure = evidence.times_plain(sums_of(80, 70, 60, 3.0), sums_of(80, 79, 60, 3.0))
        assert unsure.value == pytest.approx(10)
        assert math.isnan(unsure.low)
        assert "not sure" in unsure.reason

    def test_transfer_ratio_is_what_arrives_of_a_better_teacher(self) -> None:
        found = evidence.transfer_ratio(sums_of(80, 70, 60, 0.1), sums_of(80, 68, 55, 0.1))
        assert found.value == pytest.approx(2 / 5)
        assert found.low < 0.4 < found.high
        assert evidence.transfer_ratio(sums_of(80, 70, 60), sums_of(80, 68, 61)).reason == (
            "the second teacher gains nothing"
        )
        silent = sums_of(80, 70, 60)._replace(teacher=np.full(501, np.nan))
        assert "did not score" in evidence.transfer_ratio(silent, sums_of(80, 68, 55)).reason

    def test_what_is_written_down_is_taken_up_again(self) -> None:
        sums = sums_of(80, 70, 60, 0.1)
        again = evidence.taken_up(json.loads(json.dumps(evidence.kept(sums), allow_nan=False)))
        assert again.control == pytest.approx(sums.control[:201])
        assert evidence.ne_gain(again).value == pytest.approx(evidence.ne_gain(sums).value)
        silent = evidence.kept(sums._replace(teacher=np.full(501, np.nan)))
        assert silent["teacher"] is None
        assert np.isnan(evidence.taken_up(silent).teacher).all()


class TestDiscoveries:
    def by_hand(self, values: list[float], rate: float) -> list[bool]:
        """The step-up procedure as it is written: the largest k whose p-value is at most k rate / m."""
        ranked, most = sorted(values), 0
        for place, value in enumerate(ranked, 1):
            most = place if value <= rate * place / len(values) else most
        return [most > 0 and value <= ranked[most - 1] for value in values]

    def test_is_the_step_up_procedure(self) -> None:
        draw = np.random.default_rng(0)
        for _ in range(200):
            values = (draw.random(draw.integers(1, 30)) ** 3).tolist()
            assert evidence.discoveries(values, 0.1) == self.by_hand(values, 0.1)

    def test_the_share_of_wrong_ones_is_held(self) -> None:
        draw, shares = np.random.default_rng(1), []
        for _ in range(400):
            true = np.arange(200) < 40
            z = draw.normal(size=200) + 3.5 * true
            stands = np.array(evidence.discoveries((2 * stats.norm.sf(np.abs(z))).tolist(), 0.05))
            shares.append((stands & ~true).sum() / max(stands.sum(), 1))
        assert np.mean(shares) <= 0.05

    def test_what_is_unknown_neither_stands_nor_counts(self) -> None:
        assert evidence.discoveries([0.03, math.nan, math.nan], 0.05) == [True, False, False]
        assert evidence.discoveries([]) == []


def pair(rows: int, gap: float, seed: int) -> tuple[Sums, float]:
    """A control that errs more than its student by `gap`, and the rows they were tested on."""
    draw = np.random.default_rng(seed)
    truth = draw.normal(-1, 1, rows)
    label = (draw.random(rows) < 1 / (1 + np.exp(-truth))).astype(float)
    arms = [truth + spread * draw.normal(size=rows) for spread in (0.5 + gap, 0.5)]
    codes = np.arange(rows) + seed * 100_000
    return evidence.paired(codes, label, np.ones(rows), arms[0][None], arms[1][None], resamples=400)[0], rows


class TestChances:
    def test_p_values_of_equal_rankers_are_even(self) -> None:
        chances = [evidence.p_value(pair(600, 0.0, seed)[0]) for seed in range(300)]
        assert stats.kstest(chances, "uniform").pvalue > 0.001
        assert np.mean(np.array(chances) < 0.05) < 0.09

    def test_a_small_p_value_excludes_zero(self) -> None:
        for seed in range(60):
            sums, _ = pair(600, 0.15, seed)
            gain, chance = evidence.ne_gain(sums), evidence.p_value(sums)
            assert not (gain.low > 0 and chance > 0.06)
            assert not (gain.low < 0 and chance < 0.02)

    def test_a_detectable_gain_is_found_four_times_in_five(self) -> None:
        smallest = float(np.median([evidence.detectable(pair(800, 0.3, seed)[0]) for seed in range(40)]))
        gains = [evidence.ne_gain(pair(800, 0.3, seed)[0]) for seed in range(150)]
        true = float(np.mean([gain.value for gain in gains]))
        found = np.mean([gain.low > 0 for gain in gains])
        expected = stats.norm.cdf(stats.norm.ppf(0.8) + (true / smallest - 1) * (1.96 + 0.84))
        assert found == pytest.approx(expected, abs=0.12)

    def test_rows_wanted_make_the_gain_sure(self) -> None:
        sums, rows = pair(400, 0.25, 3)
        gain = Estimate(0.02, -0.01, 0.05)
        more = evidence.rows_wanted(gain, sums, rows, negligible=0.002, min_positives=30)
        factor = (evidence.detectable(sums) / 0.02) ** 2
        assert more == math.ceil(rows * (factor - 1))
        few = sums._replace(clicked=10)
        assert evidence.rows_wanted(gain, few, rows, negligible=0.002, min_positives=30) >= 2 * rows
        none = sums._replace(clicked=0)
        assert evidence.rows_wanted(gain, none, rows, negligible=0.002, min_positives=30) is None
