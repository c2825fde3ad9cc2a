"""Tables from outside: read by row id, and every fault named."""

import json
from pathlib import Path

import polars as pl
import pytest
import torch

from distill.data.impressions import Impressions, load
from distill.data.settings import DataSettings
from distill.errors import DistillError, KnowledgeError, KnowledgeLeak, KnowledgeMismatch
from distill.knowledge import KnowledgeStore, import_table

ROWS = 60


@pytest.fixture(scope="module")
def impressions(tmp_path_factory: pytest.TempPathFactory) -> Impressions:
    folder = tmp_path_factory.mktemp("impressions")
    return load(_settings(folder), folder / "store")


def _settings(folder: Path, shift: int = 0) -> DataSettings:
    frame = pl.DataFrame(
        {
            "label": [row % 2 for row in range(ROWS)],
            "vertical": ["a", "b", "b"] * (ROWS // 3),
            "split": ["train"] * 40 + ["valid"] * 10 + ["test"] * 10,
            "id": [f"row {row + shift}" for row in range(ROWS)],
            "time": list(range(ROWS)),
            "hour": [row % 5 for row in range(ROWS)],
        }
    )
    frame.write_parquet(folder / "rows.parquet")
    return DataSettings.model_validate(
        {
            "path": folder / "rows.parquet",
            "row_id": "id",
            "time": "time",
            "split": {"by": "column", "column": "split"},
            "features": {"hour": "categorical"},
        }
    )


def table(path: Path, frame: pl.DataFrame | None = None, **said: str) -> Path:
    scores = pl.DataFrame({"row_id": [f"row {row}" for row in range(50)], "logit": [row / 10 - 2 for row in range(50)]})
    (scores if frame is None else frame).sample(fraction=1, shuffle=True, seed=3).write_parquet(
        path, metadata={f"distill.{key}": value for key, value in said.items()}
    )
    return path


def test_scores_find_their_rows(tmp_path: Path, impressions: Impressions) -> None:
    """By id, whatever the order; rows that the table lacks are not covered; what it says of itself is kept."""
    path = table(tmp_path / "big.parquet", kind="time_ahead", cut_off="39", teacher="big", tasks=json.dumps(["click"]))
    knowledge = import_table(path, impressions, KnowledgeStore(tmp_path))
    prediction, covered = knowledge.take(torch.arange(ROWS))
    assert covered.tolist() == [True] * 50 + [False] * 10
    assert prediction.logit[:50, 0].tolist() == pytest.approx([row / 10 - 2 for row in range(50)], abs=2e-3)
    assert (knowledge.manifest.teacher, knowledge.manifest.kind, knowledge.manifest.cut_off) == (
        "big",
        "time_ahead",
        39,
    )
    again = import_table(path, impressions, KnowledgeStore(tmp_path))
    assert again.folder == knowledge.folder


def test_a_table_that_says_nothing_is_of_unknown_kind(tmp_path: Path, impressions: Impressions) -> None:
    """And its name is the file's."""
    manifest = import_table(table(tmp_path / "mute.parquet"), impressions, KnowledgeStore(tmp_path)).manifest
    assert (manifest.kind, manifest.teacher, manifest.cut_off, manifest.width) == ("unknown", "mute", None, 0)


def test_representations_come_along(tmp_path: Path, impressions: Impressions) -> None:
    """As lists of one length."""
    frame = pl.DataFrame(
        {"row_id": ["row 3", "row 1"], "logit": [1.0, 2.0], "representation": [[1.0, 2.0], [3.0, 4.0]]}
    )
    knowledge = import_table(table(tmp_path / "wide.parquet", frame), impressions, KnowledgeStore(tmp_path))
    assert knowledge.take(torch.tensor([1, 3])).prediction.representation.tolist() == [[3.0, 4.0], [1.0, 2.0]]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"row_id": ["row 1"], "logits": [1.0]}, 'column `logit`: is missing. Did you mean "logits"?'),
        ({"id": ["row 1"], "logit": [1.0]}, "column `row_id`: is missing."),
        ({"row_id": ["row 1", "row 1"], "logit": [1.0, 2.0]}, "'row 1' stands there more than once."),
        ({"row_id": ["row 1"], "logit": [float("nan")]}, "is nan, not a finite number."),
        ({"row_id": ["row 1"], "logit": [None]}, "not numbers."),
        ({"row_id": ["row 1"], "logit": ["1.0"]}, "holds String, not numbers."),
        (
            {"row_id": [f"row {row}" for row in range(20)], "logit": [row / 19 for row in range(20)]},
            "lies between 0 and 1 in every row, as probabilities do. Give natural log-odds: log(p / (1 - p)).",
        ),
        ({"row_id": ["x"], "logit": [1.0]}, "none of its row ids is in the data."),
        (
            {"row_id": ["row 1", "row 2"], "logit": [1.0, 1.0], "representation": [[1.0], [1.0, 2.0]]},
            "column `representation`",
        ),
    ],
)
def test_each_fault_is_named(tmp_path: Path, impressions: Impressions, frame: dict, message: str) -> None:
    """What, where, and what to do."""
    path = table(tmp_path / "bad.parquet", pl.DataFrame(frame))
    with pytest.raises(KnowledgeError) as caught:
        import_table(path, impressions, KnowledgeStore(tmp_path))
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_a_wrong_statement_is_refused(tmp_path: Path, impressions: Impressions) -> None:
    """Kind and tasks, both at once."""
    path = table(tmp_path / "bad.parquet", kind="time_ahed", tasks=json.dumps(["buy"]))
    with pytest.raises(KnowledgeError) as caught:
        import_table(path, impressions, KnowledgeStore(tmp_path))
    assert 'Did you mean "time_ahead"?' in str(caught.value) and "not of click" in str(caught.value)


def test_a_teacher_that_has_seen_the_test_is_refused(tmp_path: Path, impressions: Impressions) -> None:
    """Test rows begin at 50; labels up to 49 are fine."""
    import_table(table(tmp_path / "fine.parquet", cut_off="49"), impressions, KnowledgeStore(tmp_path))
    with pytest.raises(KnowledgeLeak, match="seen labels up to 50, and the test rows begin at 50"):
        import_table(table(tmp_path / "late.parquet", cut_off="50"), impressions, KnowledgeStore(tmp_path))


def test_missing_and_broken_files(tmp_path: Path, impressions: Impressions) -> None:
    """Are said to be so."""
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    for name, message in (("none.parquet", "does not exist"), ("broken.parquet", "cannot be read as Parquet")):
        with pytest.raises(DistillError, match=message):
            import_table(tmp_path / name, impressions, KnowledgeStore(tmp_path))


def test_a_folder_of_other_rows_is_refused(tmp_path: Path, impressions: Impressions) -> None:
    """Knowledge of this toolkit can be read where it lies, but only for the rows it was written for."""
    knowledge = import_table(table(tmp_path / "a.parquet"), impressions, KnowledgeStore(tmp_path / "store"))
    assert import_table(knowledge.folder, impressions, KnowledgeStore(tmp_path)).folder == knowledge.folder
    other = load(_settings(tmp_path, shift=1), tmp_path / "data")
    with pytest.raises(KnowledgeMismatch, match="fingerprint of the impressions"):
        import_table(knowledge.folder, other, KnowledgeStore(tmp_path))


def test_scores_of_a_share_of_the_negatives_are_shifted_to_all(tmp_path: Path, impressions: Impressions) -> None:
    """By the logarithm of the share that the table states; a share that is none is refused."""
    knowledge = import_table(table(tmp_path / "a.parquet", negatives="0.1"), impressions, KnowledgeStore(tmp_path))
    whole = import_table(table(tmp_path / "b.parquet"), impressions, KnowledgeStore(tmp_path))
    shift = [one.take(torch.arange(50)).prediction.logit for one in (knowledge, whole)]
    torch.testing.assert_close(shift[0] - shift[1], torch.full((50, 1), -2.3026), atol=4e-3, rtol=0)
    assert (knowledge.manifest.negatives, whole.manifest.negatives) == (0.1, 1.0)
    for said in ("0", "1.5", "few"):
        with pytest.raises(KnowledgeError, match=f'distill.negatives is "{said}". Give a share above 0, at most 1.'):
            import_table(table(tmp_path / "c.parquet", negatives=said), impressions, KnowledgeStore(tmp_path))
