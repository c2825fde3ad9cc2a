"""Transforms against scikit-learn and closed forms."""

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from distill.data.numeric import apply, fit
from distill.data.settings import Numeric

NAN = float("nan")


def both(values: list[float], train: list[bool], **settings) -> np.ndarray:
    feature, numbers = Numeric.model_validate(settings), np.array(values)
    return apply(numbers, fit(numbers[np.array(train)], feature), feature)


def test_standardise_is_that_of_the_training_rows():
    rng = np.random.default_rng(0)
    values, train = rng.normal(3, 5, 50), rng.random(50) < 0.6
    wanted = StandardScaler().fit(values[train, None]).transform(values[:, None])
    np.testing.assert_allclose(both(values, train), wanted, rtol=1e-12)


def test_log1p_keeps_the_sign():
    found = both([-3.0, 0.0, np.e - 1], [True] * 3, transform=["log1p"])
    np.testing.assert_allclose(found[:, 0], [-np.log(4), 0, 1], rtol=1e-15)


def test_transforms_go_in_their_order():
    values = np.array([0.0, 1.0, 5.0])
    logs = np.log1p(values)
    scaled = (values - 2) / values.std()
    first = both(values, [True] * 3, transform=["log1p", "standardise"])
    second = both(values, [True] * 3, transform=["standardise", "log1p"])
    np.testing.assert_allclose(first[:, 0], (logs - logs.mean()) / logs.std(), rtol=1e-12)
    np.testing.assert_allclose(second[:, 0], np.sign(scaled) * np.log1p(abs(scaled)), rtol=1e-12)


def test_a_constant_becomes_zero():
    assert both([7.0, 7.0, 9.0], [True, True, False])[:, 0].tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("missing", "wanted"),
    [("mean", [[1], [3], [2], [2]]), ("zero", [[1], [3], [0], [0]]), ("indicator", [[1, 0], [3, 0], [2, 1], [2, 1]])],
)
def test_missing_numbers(missing, wanted):
    assert both([1, 3, NAN, NAN], [True, True, True, False], transform=[], missing=missing).tolist() == wanted


def test_zero_counts_among_the_training_rows_and_the_mean_does_not():
    zero = both([2, 4, NAN], [True] * 3, missing="zero")
    np.testing.assert_allclose(zero, StandardScaler().fit_transform([[2.0], [4.0], [0.0]]), rtol=1e-12)
    mean = both([2, 4, NAN], [True] * 3, missing="mean")
    np.testing.assert_allclose(mean[:, 0], [-1, 1, 0], atol=1e-12)


def test_an_indicator_is_a_column_of_its_own(load_frame):
    frame = pl.DataFrame({"label": [0, 1, 1], "vertical": "v", "split": "train", "a": [1.0, None, 3], "b": [1, 2, 3]})
    features = {
        "a": {"kind": "numeric", "missing": "indicator", "transform": []},
        "b": {"kind": "numeric", "transform": []},
    }
    view = load_frame(frame, features=features).view(None, "all")
    assert view.schema(None).numeric == ("a", "a_missing", "b")
    assert view.take(torch.arange(3)).features.numeric.tolist() == [[1, 0, 1], [2, 1, 2], [3, 0, 3]]
    assert view.take(torch.arange(3)).features.numeric.dtype == torch.float32


def test_verticals_share_the_constants(table, load_frame):
    impressions = load_frame(table)
    everyone, each = (
        impressions.view(["age"], scope).take(torch.arange(60)).features.numeric for scope in ("all", "vertical")
    )
    assert torch.equal(everyone, each)
    train = table.filter(pl.col("split") == "train")["age"].to_numpy()
    wanted = (table["age"].to_numpy() - train.mean()) / train.std()
    np.testing.assert_allclose(everyone[:, 0].numpy(), wanted, rtol=1e-5, atol=1e-6)
