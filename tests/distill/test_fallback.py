"""Who goes without the teacher: probabilities that mean what they say, decided without a look at the test rows."""

from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from distill.data.impressions import TEST, VALID, Impressions, load
from distill.data.settings import DataSettings, World
from distill.data.synthetic import generate
from distill.fallback import Trial, harmed, trial
from distill.member import Member
from distill.training import Student, _fallen_back, _trial

WORLD = World(verticals=2, domains=1, users=40, items=20, rows=1200, days=5, conversion_delay=12)


def phi(z: float) -> float:
    return NormalDist().cdf(z)


def test_two_users_by_hand() -> None:
    """Gains 3 and 1 in nats over a base of 10: 0.4 in all, with an error of their difference; rows of one add up."""
    control, student = np.array([2.0, 2.0, 3.0]), np.array([1.0, 0.0, 2.0])
    found = trial(student, control, np.array([7, 7, 9]), 10.0)
    assert found == pytest.approx((0.4, 0.2))


def test_the_error_is_that_of_the_bootstrap_over_users() -> None:
    """Whose rows rise and fall together; rows taken for independent would look far surer."""
    draw = np.random.default_rng(0)
    cluster = draw.integers(200, size=1000)
    gains = draw.normal(size=200)[cluster] + draw.normal(size=1000)
    found = trial(-gains, np.zeros(1000), cluster, 50.0)
    sums = np.bincount(cluster, gains / 50, 200)
    again = sums[draw.integers(200, size=(4000, 200))].sum(1)
    assert found.error == pytest.approx(again.std(), rel=0.05)
    assert found.error > 1.5 * trial(-gains, np.zeros(1000), np.arange(1000), 50.0).error


@pytest.mark.parametrize(("cluster", "base"), [([1, 1, 1], 5.0), ([1, 2, 3], 0.0)])
def test_one_user_or_one_class_of_labels_tells_nothing(cluster: list[int], base: float) -> None:
    found = trial(np.ones(3), np.zeros(3), np.array(cluster), base)
    assert np.isnan(found).all()
    assert harmed([found]).tolist() == [0.0]


def test_nobody_was_tried() -> None:
    assert harmed([]).shape == (0,)


def test_one_trial_speaks_for_itself() -> None:
    """As likely as its own error makes it, not a certainty."""
    assert harmed([Trial(0.02, 0.01)])[0] == pytest.approx(phi(-2))
    assert harmed([Trial(-0.02, 0.01)])[0] == pytest.approx(phi(2))


def test_gains_that_differ_less_than_their_errors_are_one_gain() -> None:
    """No spread: everybody is judged by the weighted mean, and as sure as that is."""
    trials = [Trial(0.011, 0.02), Trial(0.009, 0.01), Trial(0.010, 0.04)]
    weight = np.array([one.error**-2 for one in trials])
    mean = np.average([one.gain for one in trials], weights=weight)
    assert harmed(trials) == pytest.approx([phi(-mean * weight.sum() ** 0.5)] * 3)


def test_gains_that_differ_far_more_than_their_errors_are_judged_each_alone() -> None:
    gains = np.linspace(-50, 50, 41)
    gains[20] = 0.01
    found = harmed([Trial(gain, 0.01) for gain in gains])
    assert found[20] == pytest.approx(phi(-1), abs=1e-3)
    assert found[:20].min() > 0.999 and found[21:].max() < 0.001


def test_between_the_two_it_is_the_posterior_of_the_whole_model() -> None:
    """Solved as one system of linear equations, the mean an unknown like the gains."""
    draw = np.random.default_rng(1)
    error = draw.uniform(0.002, 0.02, 12)
    gain = draw.normal(0.004, 0.008, 12) + error * draw.normal(size=12)
    weight = error**-2
    excess = (weight * (gain - np.average(gain, weights=weight)) ** 2).sum() - 11
    spread = excess / (weight.sum() - (weight**2).sum() / weight.sum())
    assert spread > 0
    precision = np.zeros((13, 13))
    precision[:12, :12] = np.diag(weight + 1 / spread)
    precision[12, :12] = precision[:12, 12] = -1 / spread
    precision[12, 12] = 12 / spread
    covariance = np.linalg.inv(precision)
    mean = covariance @ np.append(weight * gain, 0)
    expected = [phi(-centre / width) for centre, width in zip(mean, covariance.diagonal() ** 0.5, strict=True)][:12]
    assert harmed([Trial(*one) for one in zip(gain, error, strict=True)]) == pytest.approx(expected)


def test_who_cannot_tell_does_not_count() -> None:
    """Neither is such a student taken to be harmed, nor do the others hear of it."""
    told = [Trial(0.01, 0.01), Trial(-0.03, 0.02)]
    found = harmed([told[0], Trial(np.nan, np.nan), told[1], Trial(-1.0, 0.0)])
    assert found[[0, 2]].tolist() == harmed(told).tolist() and found[[1, 3]].tolist() == [0, 0]


def calibrated(probability: np.ndarray, truth: np.ndarray) -> bool:
    """Whether it happens as often as is said, in each fifth of what is said, to four standard errors."""
    for fifth in range(5):
        inside = (probability >= fifth / 5) & (probability < (fifth + 1) / 5)
        said, happened, count = probability[inside].mean(), truth[inside].mean(), inside.sum()
        if count < 50 or abs(said - happened) > 4 * (0.25 / count) ** 0.5:
            return False
    return True


def test_probabilities_mean_what_they_say_among_many() -> None:
    """Of students that are harmed with 30 %, three of ten are: gains drawn, tried with errors of their own, judged."""
    draw = np.random.default_rng(2)
    truth, error = draw.normal(0.001, 0.01, 6000), draw.uniform(0.003, 0.03, 6000)
    gain = truth + error * draw.normal(size=6000)
    found = harmed([Trial(*one) for one in zip(gain, error, strict=True)])
    assert calibrated(found, truth < 0)
    alone = np.array([phi(-one / other) for one, other in zip(gain, error, strict=True)])
    wrong = lambda said: ((said > 0.5) != (truth < 0)).mean()  # noqa: E731
    assert wrong(found) < wrong(alone) + 0.005 and not calibrated(alone, truth < 0)


@pytest.mark.parametrize("few", [1, 3])
def test_probabilities_mean_what_they_say_among_few(few: int) -> None:
    """Where all gain alike, and by how much may be anything."""
    draw = np.random.default_rng(3)
    truth = draw.normal(0, 0.02, 3000)
    error = draw.uniform(0.01, 0.02, (3000, few))
    gain = truth[:, None] + error * draw.normal(size=error.shape)
    pairs = [[Trial(*one) for one in zip(*both, strict=True)] for both in zip(gain, error, strict=True)]
    weight = (error**-2).sum(1)
    prior = 1 + 1 / (weight * 0.02**2)  # our judgement knows of no prior; shrink what it says for the comparison
    said = np.array([harmed(group)[0] for group in pairs])
    shrunk = np.array(
        [phi(NormalDist().inv_cdf(min(max(p, 1e-12), 1 - 1e-12)) / k**0.5) for p, k in zip(said, prior, strict=True)]
    )
    assert calibrated(shrunk, truth < 0)


def impressions(folder: Path, frame: pl.DataFrame) -> Impressions:
    folder.mkdir()
    frame.write_parquet(folder / "rows.parquet")
    settings = {
        "path": folder / "rows.parquet",
        "label": {"click": "label", "sale": "converted"},
        "time": "time",
        "user": "user_id",
        "split": {"by": "column", "column": "split"},
        "features": {"item_id": "categorical"},
    }
    return load(DataSettings.model_validate(settings), folder / "data")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Impressions:
    return impressions(tmp_path_factory.mktemp("fallback") / "rows", generate(WORLD))


def student(rows: Impressions, arm: str, off: float, vertical: int = 0, noise: float = 0.0) -> Student:
    """One that says half of each label's sign, `off` less of it, and some noise."""
    name = rows.verticals[vertical]
    member = Member(name, None, arm, 0, 0, 10, 1, {}, "adam", "", name + arm, "group")
    right = rows.label[rows.select(VALID, name)] * 2 - 1
    said = (0.5 - off) * right + noise * np.random.default_rng(vertical).normal(size=right.shape)
    return Student(member, np.full((3, 2), off), "", said, False, 2, [off], [off])


def decided(rows: Impressions, students: list[Student], level: float | None = 0.5) -> list[Student]:
    fallback = None if level is None else SimpleNamespace(level=level)
    course = SimpleNamespace(impressions=rows, students=SimpleNamespace(distill=SimpleNamespace(fallback=fallback)))
    return _fallen_back(students, course)


def test_a_trial_counts_every_task_and_every_user_once(rows: Impressions) -> None:
    """By brute force, row by row; a conversion that is not known yet counts nothing."""
    one, other = student(rows, "distilled", 0.2, noise=0.3), student(rows, "control", 0.0)
    numbers = rows.select(VALID, rows.verticals[0])
    assert not rows.valid[numbers].all()
    sums: dict[int, float] = {}
    clicks, weights = np.zeros(2), np.zeros(2)
    for place, row in enumerate(numbers):
        for task in range(2):
            if rows.valid[row, task]:
                sign = 2 * rows.label[row, task] - 1
                cost = [np.log1p(np.exp(-sign * float(who.valid[place, task]))) for who in (one, other)]
                user = int(rows.user[row])
                sums[user] = sums.get(user, 0.0) + cost[1] - cost[0]
                clicks[task] += rows.label[row, task]
                weights[task] += 1
    rate = clicks / weights
    base = -(clicks * np.log(rate) + (weights - clicks) * np.log(1 - rate)).sum()
    gains = np.array(list(sums.values())) / base
    users = len(np.unique(rows.user[numbers]))
    gains = np.append(gains, np.zeros(users - len(gains)))
    expected = gains.sum(), (users / (users - 1) * ((gains - gains.mean()) ** 2).sum()) ** 0.5
    assert _trial(one, other, rows) == pytest.approx(expected)


def test_whoever_is_harmed_is_served_by_its_control(rows: Impressions) -> None:
    """All of it, under its own name; nobody else is touched."""
    everyone = [
        student(rows, arm, off, place)
        for place, off in ((0, 0.3), (1, -0.3))
        for arm, off in (("distilled", off), ("control", 0.0))
    ]
    found = decided(rows, everyone)
    assert found[1:] == everyone[1:]
    assert found[0].fell_back and found[0].member == everyone[0].member
    assert found[0]._replace(member=everyone[1].member, fell_back=False) == everyone[1]


def test_the_level_decides_and_no_section_no_fallback(rows: Impressions) -> None:
    """Just above and just below the probability that there is."""
    pair = [student(rows, "distilled", 0.0, noise=0.3), student(rows, "control", 0.0)]
    [harm] = harmed([_trial(*pair, rows)])
    assert 0.01 < harm < 1
    assert decided(rows, pair, harm - 1e-9)[0].fell_back
    assert decided(rows, pair, harm + 1e-9) == pair
    assert decided(rows, pair, None) == pair


def test_failures_are_not_tried(rows: Impressions) -> None:
    """A student that failed stays failed, and where the control did there is nothing to fall back on."""
    harmful, control = student(rows, "distilled", 0.3), student(rows, "control", 0.0)
    failed = {"valid": None, "logit": None, "reason": "it is not finite"}
    for pair in ([harmful._replace(**failed), control], [harmful, control._replace(**failed)], [harmful]):
        assert decided(rows, pair) == pair


def test_labels_of_test_rows_decide_nothing(rows: Impressions, tmp_path: Path) -> None:
    """Turned round, every one of them; labels of validation rows do."""
    turned = lambda split: generate(WORLD).with_columns(  # noqa: E731
        pl.when(pl.col("split") == split).then(1 - pl.col(name)).otherwise(name).alias(name)
        for name in ("label", "converted")
    )
    test, valid = impressions(tmp_path / "test", turned("test")), impressions(tmp_path / "valid", turned("valid"))
    name = rows.verticals[0]
    assert (test.label[test.select(TEST, name)] != rows.label[rows.select(TEST, name)]).any()
    pair = [student(rows, "distilled", 0.3), student(rows, "control", 0.0)]
    assert _trial(*pair, test) == _trial(*pair, rows)
    assert decided(test, pair)[0].fell_back and not decided(valid, pair)[0].fell_back
