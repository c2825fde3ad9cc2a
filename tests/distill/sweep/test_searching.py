"""A search goes on where it was killed, learns from validation rows alone, and stands beside as many draws."""

import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from distill.errors import RecipeError
from distill.progress import Progress
from distill.sweep import Sweep, compare, load
from distill.sweep.planning import plan
from distill.sweep.points import Range
from distill.sweep.running import run

RECIPE = """
name: tiny
data:
  path: rows.parquet
  row_id: row_id
  split: {by: column, column: split}
  features: {item: categorical, size: numeric}
teacher: {knowledge: scores.parquet}
students:
  model: {class: students.LR}
  min_rows: 10
  train: {epochs: 1, batch: 32, least_steps: 8}
evidence: {resamples: 100}
tracking: {uri: null}
"""

SEARCH = """
base: tiny.yaml
search:
  n: 4
  batch: 2
  students.train.learning_rate: {low: 1.0e-4, high: 1.0e-1, log: true}
  students.distill.logit.weight: {low: 0.0, high: 1.0}
"""


def loaded(folder: Path, text: str = SEARCH, flipped: bool = False, store: str = "store") -> Sweep:
    """Two verticals of 200 rows; clicks of the test rows are the other way round where `flipped`."""
    folder.mkdir(exist_ok=True)
    count = 400
    split = [("train", "train", "train", "valid", "test")[row % 5] for row in range(count)]
    clicks = [int((row * 7 + row // 3) % 5 < 2) for row in range(count)]
    label = [1 - click if flipped and where == "test" else click for click, where in zip(clicks, split, strict=True)]
    columns = {"row_id": range(count), "vertical": [f"v[{row % 2}]" for row in range(count)], "split": split}
    columns |= {"item": [row % 3 for row in range(count)], "size": [float(row % 7) for row in range(count)]}
    pl.DataFrame(columns | {"label": label}).write_parquet(folder / "rows.parquet")
    pl.DataFrame({"row_id": range(count), "logit": [-0.4] * count}).write_parquet(folder / "scores.parquet")
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "sweep.yaml").write_text(text)
    return load(folder / "sweep.yaml", [f"store={folder}/{store}"])


def faults(folder: Path, text: str) -> str:
    with pytest.raises(RecipeError) as error:
        loaded(folder, text)
    return "\n".join(map(str, error.value.faults))


def test_what_cannot_be_searched_is_told(tmp_path: Path) -> None:
    """All of it at once; ends of ranges are tried as recipes."""
    said = faults(tmp_path, f"{SEARCH}  students.model.dropuot: {{low: 0.0, high: 0.5}}\ngrid: {{seed: [1, 2]}}\n")
    assert "cannot stand beside search" in said and "dropuot" in said
    assert "expected a range" in faults(tmp_path, SEARCH.replace("high: 1.0}", "high: -1.0}"))
    assert "logit.weight" in faults(tmp_path, SEARCH.replace("high: 1.0}", "high: 7.0}"))
    assert "random.n" not in faults(tmp_path, SEARCH.replace("n: 4", "n: 0"))
    said = faults(tmp_path, SEARCH.replace("batch: 2", "batch: 0"))
    assert "Write batch: 8" in said
    apart = SEARCH.replace("batch: 2", "per_vertical: true\n  teacher.unit: {low: 0.0, high: 1.0}")
    assert "one vertical's own" in faults(tmp_path, f"{apart}verticals: {{a: {{students.train.beta1: 0.5}}}}\n")


def test_chance_has_as_many_points_and_a_plan_counts_both(tmp_path: Path) -> None:
    """Four and four, of both arms; those by chance are what `random` draws."""
    sweep = loaded(tmp_path)
    drawn = SEARCH.replace("search:", "random:").replace("  batch: 2\n", "")
    assert [point.changes for point in sweep.points] == [point.changes for point in loaded(tmp_path, drawn).points]
    assert len(sweep.points) == 4 and plan(sweep)["members"] == 2 * 2 * (4 + 4)


def test_without_optuna_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is trained."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    sweep = loaded(tmp_path)
    with pytest.raises(RecipeError, match=r"Optuna is not installed.*\[optuna\]"):
        run(sweep, Progress())
    assert not (tmp_path / "store").exists()


SPACE = {"x": Range(-3.0, 3.0), "rate": Range(1e-4, 1e-1, log=True), "depth": Range(1, 4)}


def asked(path: Path, upto: int = 12, batch: int = 4, seed: int = 0) -> list[dict[str, float]]:
    """What a study asks for, that is told a parabola after each batch."""
    from distill.sweep.searching import Study, opened

    study, found = Study(opened(path), "one", SPACE, batch, seed), []
    for first in range(0, upto, batch):
        found += [study.ask(number) for number in range(first, first + batch)]
        for number in range(first, first + batch):
            study.tell(number, float("nan") if number == 5 else (found[number]["x"] - 1) ** 2)
    return found


class TestStudy:
    @pytest.fixture(autouse=True)
    def optuna(self) -> Any:
        return pytest.importorskip("optuna", reason="Optuna is not installed")

    def test_stays_within_its_ranges_and_learns(self, tmp_path: Path) -> None:
        """After 24 trials it knows where the parabola is low."""
        found = asked(tmp_path / "a", upto=32)
        for key, one in SPACE.items():
            assert all(one.low <= values[key] <= one.high for values in found)
        assert all(type(values["depth"]) is int for values in found)
        near = lambda part: sum(abs(values["x"] - 1) for values in part) / len(part)  # noqa: E731
        assert near(found[24:]) < 0.6 * near(found[:8])

    def test_asks_the_same_with_the_same_seed(self, tmp_path: Path) -> None:
        """And something else with another one, or after other values."""
        assert asked(tmp_path / "a") == asked(tmp_path / "b") != asked(tmp_path / "c", seed=1)

    def test_goes_on_wherever_it_was_killed(self, tmp_path: Path) -> None:
        """The journal is cut after each of its lines, and in the middle of each."""
        whole = asked(tmp_path / "whole", upto=8, batch=4)
        lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
        assert len(lines) == 1 + 2 * 8
        for place in range(len(lines)):
            for cut in (b"", lines[place][: len(lines[place]) // 2]):
                (tmp_path / "cut").write_bytes(b"".join(lines[:place]) + cut)
                assert asked(tmp_path / "cut", upto=8, batch=4) == whole


@pytest.mark.slow
class TestRun:
    @pytest.fixture(autouse=True)
    def optuna(self) -> Any:
        return pytest.importorskip("optuna", reason="Optuna is not installed")

    @pytest.mark.parametrize("apart", ["per_vertical: false", "per_vertical: true"])
    def test_stands_beside_chance_and_goes_on_after_a_kill(
        self, tmp_path: Path, apart: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed between its two batches. Test rows that say the contrary change nothing of what is asked."""
        text = SEARCH.replace("batch: 2", f"batch: 2\n  {apart}")
        sweep = loaded(tmp_path / "whole", text)
        table = run(sweep, Progress())
        assert [line["by"] for line in table["search"]] == ["search", "random"]
        assert [line["points"] for line in table["search"]] == [4, 4]
        assert [point["point"] for point in table["points"][4:]] == [f"search {number}" for number in range(4)]
        assert compare(sweep) == table
        self._is_of_validation_rows(table, apart.endswith("true"))
        other = run(loaded(tmp_path / "flipped", text, flipped=True), Progress())
        assert [line | {"ne_valid": None} for line in other["trials"]] == [
            line | {"ne_valid": None} for line in table["trials"]
        ]
        assert other["search"][0]["ne_student"] != pytest.approx(table["search"][0]["ne_student"], abs=1e-3)
        with monkeypatch.context() as patch:
            patch.setattr("distill.sweep.searching.Study.tell", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                run(loaded(tmp_path / "whole", text, store="killed"), Progress())
        resumed = run(loaded(tmp_path / "whole", text, store="killed"), Progress())
        assert resumed | {"seconds": None} == table | {"seconds": None}

    def _is_of_validation_rows(self, table: dict[str, Any], apart: bool) -> None:
        """Each trial was told the validation NE of its point, or of its vertical there; the best is the least."""
        assert len(table["trials"]) == 4 * (2 if apart else 1)
        told = {line["point"]: line["ne_valid"] for line in table["points"]}
        if not apart:
            assert all(line["ne_valid"] == told[line["point"]] for line in table["trials"])
            best = [min(list(told.values())[part]) for part in (slice(4, None), slice(4))]
            assert [line["ne_valid"] for line in table["search"]] == best
        rates = {row["settings"]["learning_rate"] for row in table["students"] if row["point"].startswith("search")}
        assert rates == {line["students.train.learning_rate"] for line in table["trials"]}
