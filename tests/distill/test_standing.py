"""How teachers stood before a row: against a loop over rows, and without a look at what came later."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import log_loss

from distill.data.impressions import TRAIN, Impressions, load
from distill.data.settings import DataSettings, World
from distill.data.synthetic import generate
from distill.knowledge import Knowledge, KnowledgeStore, import_table
from distill.panel import Panel
from distill.recipe.several import Combine, Recent
from distill.standing import Standing

FRAME = generate(World(verticals=3, domains=1, users=40, items=30, rows=1500, days=5)).with_row_index("row")
TIME, LABEL = FRAME["time"].to_numpy(), FRAME["label"].to_numpy()
TRAINED = (FRAME["split"] == "train").to_numpy()
MIDDLE = np.median(TIME[TRAINED])
SIZE = 120


def impressions_of(folder: Path, label: np.ndarray = LABEL) -> Impressions:
    folder.mkdir(parents=True, exist_ok=True)
    FRAME.with_columns(label=pl.Series(label)).write_parquet(folder / "rows.parquet")
    settings = {
        "path": folder / "rows.parquet",
        "row_id": "row",
        "time": "time",
        "split": {"by": "column", "column": "split"},
        "features": {"item_id": "categorical"},
    }
    return load(DataSettings.model_validate(settings), folder / "data")


def tables_of(folder: Path, impressions: Impressions) -> dict[str, Knowledge]:
    """One that is always right, and one that turns wrong in the middle; of every row but a few."""
    right = np.where(LABEL == 1, 1.0, -1.0) + 0.3 * np.random.default_rng(0).normal(size=len(LABEL))
    said = {"right": right, "stale": np.where(TIME < MIDDLE, right, -right)}
    known = np.arange(len(LABEL)) % 10 > 0
    tables = {}
    for name, logit in said.items():
        frame = pl.DataFrame({"row_id": FRAME["row"], "logit": logit}).filter(pl.Series(known))
        frame.write_parquet(folder / f"{name}.parquet")
        tables[name] = import_table(folder / f"{name}.parquet", impressions, KnowledgeStore(folder / "knowledge"))
    return tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("standing")


@pytest.fixture(scope="module")
def impressions(folder: Path) -> Impressions:
    return impressions_of(folder)


@pytest.fixture(scope="module")
def tables(folder: Path, impressions: Impressions) -> dict[str, Knowledge]:
    return tables_of(folder, impressions)


def known_before(impressions: Impressions, tables: dict[str, Knowledge], group: np.ndarray, row: int) -> list[float]:
    """The oracle: blocks of at least SIZE rows cut by a loop, the last one that ended before the row, scikit-learn."""
    covered = np.logical_and.reduce([table.take(torch.arange(len(LABEL))).covered.numpy() for table in tables.values()])
    usable = np.flatnonzero((impressions.split == TRAIN) & covered & group)
    blocks, block = [], []
    for moment in np.unique(TIME[usable]):
        block += usable[TIME[usable] == moment].tolist()
        if len(block) >= SIZE:
            blocks.append(block)
            block = []
    if block and blocks:
        blocks[-1] = blocks[-1] + block
    ended = [one for one in blocks if TIME[one].max() < TIME[row]]
    if not ended:
        return [0.0] * len(tables)
    rows = np.array(ended[-1])
    rate = LABEL[rows].mean()
    base = -rate * np.log(rate) - (1 - rate) * np.log(1 - rate)
    logits = [one.take(torch.from_numpy(rows)).prediction.logit.numpy()[:, 0] for one in tables.values()]
    return [log_loss(LABEL[rows], 1 / (1 + np.exp(-logit.astype(np.float64)))) / base for logit in logits]


@pytest.mark.parametrize("by", ["all", "vertical"])
def test_it_is_that_of_the_latest_block_that_ended_before(
    impressions: Impressions, tables: dict[str, Knowledge], by: str
) -> None:
    """Rows of every split, among them the first and the last ones."""
    standing = Standing(tables, impressions, SIZE, by)
    rows = np.unique(np.r_[0, np.random.default_rng(1).integers(0, len(LABEL), 40), len(LABEL) - 1])
    found = standing.at(torch.from_numpy(rows))
    for place, row in enumerate(rows):
        group = impressions.vertical == impressions.vertical[row] if by == "vertical" else np.ones(len(LABEL), bool)
        told = [found[name][place, 0].item() for name in tables]
        assert told == pytest.approx(known_before(impressions, tables, group, row), rel=1e-3), row


def test_no_label_of_a_row_or_of_anything_later_is_in_it(
    tmp_path: Path, impressions: Impressions, tables: dict[str, Knowledge]
) -> None:
    """Flip the labels from one moment on: what was known up to that moment is the same, and what came later is not."""
    other = impressions_of(tmp_path, np.where(TIME >= MIDDLE, 1 - LABEL, LABEL))
    rows = torch.arange(len(LABEL))
    one, two = (
        Standing(own, data, SIZE, "all").at(rows)["right"].numpy()[:, 0]
        for own, data in ((tables, impressions), (tables_of(tmp_path, other), other))
    )
    first = np.sort(TIME[TRAINED & (TIME >= MIDDLE)])[SIZE * 2]
    assert np.array_equal(one[TIME <= MIDDLE], two[TIME <= MIDDLE])
    assert not np.isclose(one[first < TIME], two[first < TIME]).any()


def test_labels_of_validation_and_test_rows_have_no_part_in_it(
    tmp_path: Path, impressions: Impressions, tables: dict[str, Knowledge]
) -> None:
    other = impressions_of(tmp_path, np.where(TRAINED, LABEL, 1 - LABEL))
    rows = torch.arange(len(LABEL))
    one, two = Standing(tables, impressions, SIZE, "all"), Standing(tables_of(tmp_path, other), other, SIZE, "all")
    assert torch.equal(one.at(rows)["stale"], two.at(rows)["stale"])


def test_a_stale_teacher_is_hardly_heard_any_more(impressions: Impressions, tables: dict[str, Knowledge]) -> None:
    """Half the weight as long as it is right, nearly none a block after it has turned wrong."""
    panel = Panel(tables, Combine(recent=Recent(rows=SIZE)), impressions)
    right, stale = (table.take(torch.arange(len(LABEL))).prediction.logit.numpy()[:, 0] for table in tables.values())
    said = panel.take(torch.arange(len(LABEL)))
    after = np.sort(TIME[TRAINED & (TIME >= MIDDLE)])[SIZE * 3]
    differ = said.covered.numpy() & (after < TIME) & (np.abs(right - stale) > 0.1)
    share = (said.prediction.logit.numpy()[:, 0] - right)[differ] / (stale - right)[differ]
    assert differ.sum() > 100 and np.abs(share).max() < 1e-3
    plain = Panel(tables, Combine(), impressions).take(torch.arange(len(LABEL))).prediction.logit.numpy()[:, 0]
    assert np.allclose(plain, (right + stale) / 2, atol=1e-6)
