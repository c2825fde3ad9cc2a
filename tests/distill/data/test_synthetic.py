import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from distill.data.settings import World
from distill.data.synthetic import CANDIDATES, DAY, HISTORY, generate, write
from distill.errors import StoreError


@pytest.fixture(scope="module")
def world() -> World:
    return World(rows=40_000)


@pytest.fixture(scope="module")
def log(world: World) -> pl.DataFrame:
    return generate(world)


def entropy(label: np.ndarray, probability: np.ndarray) -> float:
    """Normalized entropy against the base rate of `label`."""
    base = label.mean()
    own = -(label * np.log(probability) + (1 - label) * np.log1p(-probability)).mean()
    return own / -(base * np.log(base) + (1 - base) * np.log1p(-base))


class TestBytes:
    def test_same_world_same_bytes(self, tmp_path):
        world = World(rows=5_000, seed=3)
        first, again = write(world, tmp_path / "a"), write(world, tmp_path / "b")
        assert first.read_bytes() == again.read_bytes()
        assert first.name == again.name

    def test_another_seed_is_another_world(self, tmp_path):
        one, other = World(rows=5_000), World(rows=5_000, seed=1)
        assert write(one, tmp_path) != write(other, tmp_path)
        assert not generate(one)["p_true"].equals(generate(other)["p_true"])

    def test_what_is_there_is_left_alone_and_nothing_else_lies_about(self, tmp_path):
        path = write(World(rows=1_000), tmp_path)
        written = path.stat().st_mtime_ns
        assert write(World(rows=1_000), tmp_path).stat().st_mtime_ns == written
        assert list(tmp_path.iterdir()) == [path]

    def test_the_file_holds_the_world(self, tmp_path):
        world = World(rows=1_000)
        assert pl.read_parquet(write(world, tmp_path)).equals(generate(world))

    def test_a_folder_that_cannot_be_made_is_a_fault_of_the_store(self, tmp_path):
        (tmp_path / "taken").write_text("")
        with pytest.raises(StoreError, match="cannot be written"):
            write(World(rows=1_000), tmp_path / "taken")


class TestSizes:
    @settings(max_examples=25, deadline=None)
    @given(
        verticals=st.integers(1, 12),
        spare=st.integers(0, 40),
        users=st.integers(1, 50),
        rows=st.integers(100, 400),
        days=st.integers(3, 20),
        exponent=st.floats(0, 3),
        data=st.data(),
    )
    def test_any_world_has_its_rows_and_stays_in_its_bounds(self, verticals, spare, users, rows, days, exponent, data):
        world = World(
            verticals=verticals,
            domains=data.draw(st.integers(1, verticals)),
            items=verticals + spare,
            users=users,
            rows=rows,
            days=days,
            size_exponent=exponent,
        )
        log = generate(world)
        assert log.height == rows
        assert log["row_id"].equals(pl.Series("row_id", range(rows)))
        assert log["item_id"].is_between(0, world.items - 1).all()
        assert log["user_id"].is_between(0, users - 1).all()
        assert (log["item_age"] >= 0).all()
        assert log["p_true"].is_between(0, 1, closed="none").all()
        assert set(log["split"]) == {"train", "valid", "test"}
        assert log.null_count().sum_horizontal().item() == 0
        assert log.select("vertical", "domain").unique().height == log["vertical"].n_unique()
        assert log.select("item_id", "vertical").unique().height == log["item_id"].n_unique()

    def test_verticals_follow_the_power_law(self, world, log):
        share = np.arange(1.0, world.verticals + 1) ** -world.size_exponent
        expected = world.rows * share / share.sum()
        rows = log.group_by("vertical").len().sort("vertical")["len"].to_numpy()
        assert np.all(np.abs(rows - expected) < 5 * np.sqrt(expected))

    def test_days_split_and_hours_come_from_the_time(self, world, log):
        seconds = log["time"].to_numpy()
        assert np.all(np.diff(seconds) >= 0)
        assert np.array_equal(log["day"], seconds // DAY)
        assert np.array_equal(log["hour"], seconds // 3600 % 24)
        split = np.select([log["day"] == world.days - 1, log["day"] == world.days - 2], ["test", "valid"], "train")
        assert log["split"].to_list() == split.tolist()

    def test_the_rows_of_an_impression_share_user_time_and_context(self, log):
        impression = log.group_by(pl.col("row_id") // CANDIDATES).agg(
            pl.col("user_id", "time", "hour", "device").n_unique()
        )
        assert (impression.drop("row_id").to_numpy() == 1).all()

    @pytest.mark.parametrize("wrong", [{"domains": 13}, {"items": 11}, {"seed": -1}, {"days": 20_000}])
    def test_a_world_that_cannot_be_is_refused(self, wrong):
        with pytest.raises(ValidationError):
            World(**wrong)

    def test_many_rows_are_quick(self):
        start = time.perf_counter()
        assert generate(World(rows=200_000)).height == 200_000
        assert time.perf_counter() - start < 12  # less than one second on one core


class TestProbabilities:
    def test_clicks_agree_with_their_probabilities(self, log):
        label, chance = log["label"].to_numpy(), log["p_true"].to_numpy()
        error = np.sqrt((chance * (1 - chance)).sum())
        assert abs(label.sum() - chance.sum()) < 4 * error

    def test_every_tenth_is_calibrated(self, log):
        label, chance = log["label"].to_numpy(), log["p_true"].to_numpy()
        for rows in np.array_split(np.argsort(chance), 10):
            error = np.sqrt((chance[rows] * (1 - chance[rows])).sum())
            assert abs(label[rows].sum() - chance[rows].sum()) < 4 * error

    @pytest.mark.parametrize("seed", range(5))
    def test_about_one_in_five_is_clicked(self, seed):
        assert 0.12 < generate(World(seed=seed))["label"].mean() < 0.33

    def test_the_truth_is_far_better_than_the_base_rate(self, log):
        assert entropy(log["label"].to_numpy(), log["p_true"].to_numpy()) < 0.85

    def test_what_is_shown_once_with_everything_equal_has_one_probability(self):
        """Without drift, the probability is a function of the columns that a fully informed model sees."""
        log = generate(World(users=3, items=12, rows=40_000, drift=0))
        seen = log.group_by("user_id", "item_id", "hour", "device", "item_age").agg(
            pl.col("p_true").max() - pl.col("p_true").min(), pl.len()
        )
        assert seen.filter(pl.col("len") > 1).height > 100
        assert seen["p_true"].max() < 1e-3  # ages are rounded


class TestDrift:
    @staticmethod
    def spread(drift: float) -> float:
        """How far a domain's mean log-odds lie apart from day to day."""
        log = generate(World(rows=100_000, drift=drift)).with_columns(
            logit=(pl.col("p_true") / (1 - pl.col("p_true"))).log()
        )
        days = log.group_by("domain", "day").agg(pl.col("logit").mean())
        return days.group_by("domain").agg(pl.col("logit").std())["logit"].mean()

    def test_without_drift_days_are_alike(self):
        """By user and impression: some 830 impressions of a domain a day, log-odds with a deviation of 1.6."""
        assert self.spread(0.0) < 3 * 1.6 / np.sqrt(830)

    def test_drift_moves_days_apart(self):
        assert self.spread(1.0) > 2 * self.spread(0.0)


class TestHistories:
    def test_histories_are_the_last_clicks_strictly_earlier(self):
        log = generate(World(rows=3_000, users=40, items=60, days=3))
        rows = log.select("user_id", "time", "label", "item_id", "vertical", "hist_items", "hist_verticals").rows()
        clicks: dict[int, list[tuple[int, int, str]]] = {}
        for user, now, label, item, vertical, items, verticals in rows:
            earlier = [click for click in clicks.get(user, []) if click[0] < now][-HISTORY:][::-1]
            assert items == [click[1] for click in earlier]
            assert verticals == [click[2] for click in earlier]
            if label:
                clicks.setdefault(user, []).append((now, item, vertical))

    def test_some_are_empty_and_some_are_full(self, log):
        lengths = log["hist_items"].list.len()
        assert lengths.min() == 0
        assert lengths.max() == HISTORY


class TestWhatATeacherCanKnow:
    """Linear models on one-hot columns stand in for rankers."""

    SHARED = ("item_id", "vertical", "domain_hour", "domain_device")
    OWN = ("item_id", "hour", "device")

    @pytest.fixture(scope="class")
    @staticmethod
    def known(log: pl.DataFrame) -> pl.DataFrame:
        domain = dict(log.select("vertical", "domain").unique().iter_rows())
        liked = [
            f"{sum(domain[vertical] == own for vertical in history)} of {len(history)}"
            for own, history in log.select("domain", "hist_verticals").iter_rows()
        ]
        return log.with_columns(
            pl.concat_str("domain", "hour", separator="/").alias("domain_hour"),
            pl.concat_str("domain", "device", separator="/").alias("domain_device"),
            pl.Series("liked", liked),
        )

    @staticmethod
    def predict(log: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
        train, test = log.filter(pl.col("split") == "train"), log.filter(pl.col("split") == "test")
        model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression(C=0.1, max_iter=300))
        model.fit(train.select(columns).to_numpy(), train["label"].to_numpy())
        return test.with_columns(p=model.predict_proba(test.select(columns).to_numpy())[:, 1])

    def test_pooled_data_and_histories_beat_a_small_vertical_alone(self, known):
        small = pl.col("vertical") >= "vertical_06"
        alone = pl.concat([self.predict(part, self.OWN) for part in known.filter(small).partition_by("vertical")])
        pooled = self.predict(known, self.SHARED).filter(small)
        informed = self.predict(known, (*self.SHARED, "liked")).filter(small)
        scores = [entropy(test["label"].to_numpy(), test["p"].to_numpy()) for test in (informed, pooled, alone)]
        assert scores[0] < scores[1] - 0.005 < scores[2] - 0.01


class TestParts:
    """A world that is generated part by part is one world."""

    WORLD = World(rows=6_001, users=60, items=80, days=5, position_bias=1.5, conversion_delay=20, teacher_delay=2)

    @pytest.fixture(params=[50, 200, 400, 10**6])
    def frame(self, request, monkeypatch) -> pl.DataFrame:
        """Hours, several hours, days, or all at once."""
        monkeypatch.setattr("distill.data.synthetic.PART", request.param)
        return generate(self.WORLD)

    def test_rows_and_times_go_on(self, frame):
        assert frame["row_id"].to_list() == list(range(6_001))
        assert frame["time"].is_sorted() and frame["day"].n_unique() == 5
        assert frame.group_by("day").len()["len"].max() <= 6_001 / 5 + 8

    def test_histories_reach_over_parts(self, frame):
        """Brute force: the last clicks of the user before the time of the row."""
        clicks: dict[int, list[tuple[int, int]]] = {}
        for row in frame.iter_rows(named=True):
            past = [item for time, item in clicks.get(row["user_id"], ()) if time < row["time"]]
            assert row["hist_items"] == past[::-1][:HISTORY]
            if row["label"]:
                clicks.setdefault(row["user_id"], []).append((row["time"], row["item_id"]))

    def test_later_positions_are_clicked_less(self, frame):
        rates = frame.group_by("position").agg(pl.col("label").mean(), pl.col("p_true").mean()).sort("position")
        assert rates["position"].to_list() == [0, 1, 2, 3] and rates["p_true"].is_sorted(descending=True)
        assert rates["label"][0] > 1.5 * rates["label"][3]

    def test_conversions_follow_clicks_and_are_open_near_the_end(self, frame):
        assert frame.filter(pl.col("label") == 0)["converted"].sum() == 0
        known = frame.filter(pl.col("converted") == 1)
        delays = (known["conversion_time"] - known["time"]) / 3600
        assert delays.min() > 0 and known["conversion_time"].max() < 5 * DAY
        early = frame.filter(pl.col("time") < 0.8 * DAY, pl.col("label") == 1)
        assert early["converted"].null_count() == 0
        assert early["converted"].mean() == pytest.approx(early["p_conversion"].mean(), abs=0.15)
        late = frame.filter(pl.col("time") > 4.5 * DAY, pl.col("label") == 1)
        assert late["converted"].null_count() > len(late) / 3

    def test_an_old_teacher_knows_less_than_the_truth(self):
        frame = generate(self.WORLD.model_copy(update={"rows": 40_000, "drift": 3.0}))
        late = frame.filter(pl.col("day") >= 3)

        def loss(column: str) -> float:
            p = late[column]
            return -(late["label"] * p.log() + (1 - late["label"]) * (1 - p).log()).mean()

        assert loss("p_true") < loss("p_teacher") - 0.005
        fresh = generate(self.WORLD.model_copy(update={"teacher_delay": 0.0}))
        assert fresh["p_teacher"].equals(fresh["p_true"])


def test_one_file_of_many_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("distill.data.synthetic.PART", 100)
    world = World(rows=3_000, users=60, items=80)
    path = write(world, tmp_path)
    assert pl.read_parquet(path).equals(generate(world)) and len(list(tmp_path.iterdir())) == 1
