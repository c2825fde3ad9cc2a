"""What a recipe needs of the data is looked for before its teacher trains, and nothing is refused that would do."""

# ruff: noqa: E501 -- a case a line

from io import StringIO
from pathlib import Path

import pytest

from distill.errors import RecipeError
from distill.pipeline import run
from distill.progress import Progress
from distill.sweep import load as load_sweep
from distill.sweep.running import run as run_sweep
from tests.distill.test_domain_start import FRAME, INPUT, RECIPE, recipe_of

SHARING = "students.distill.sharing"
NARROW = ["students.features=[hour]", "students.model.hidden=[8]", f"{SHARING}.rank=8"]
"""Layers of 8 by 4 and of 1 by 8: no difference has a rank above 4."""


def refused(folder: Path, *overrides: str) -> list[str]:
    """What a run says that ends before its teacher begins."""
    told = StringIO()
    with pytest.raises(RecipeError) as caught:
        run(recipe_of(folder, *overrides), Progress(told))
    assert "data: done" in told.getvalue() and "teacher" not in told.getvalue()
    return [str(fault) for fault in caught.value.faults]


WRONG = [
    (["students.distill.ranking={weight: 1, group: huor}"], "students.distill.ranking.group: ROWS: column `huor`: does not exist. Did you mean \"hour\"?"),
    (["data.domain=", "domains.clusters=9"], "domains.clusters: 9 clusters of 4 verticals with training rows. Ask for 4 at most."),
    ([f"{SHARING}.rank=99"], "students.distill.sharing.rank: 99 is more than any difference of DNN can have, whose largest layer allows 8. Take a smaller one: 1 to 8 are usual."),
    (["students.min_rows=5000"], "students.min_rows: no vertical has 5000 training rows. Lower it: the largest has MOST."),
    (["evidence.slices=[new:hours]"], "evidence.slices[0]: ROWS: column `hours`: does not exist. Did you mean \"hour\"?"),
    ([f"{SHARING}=null", "students.model={class: students.TwoTower, item: [itme_id]}"], 'students.model.item: The ranker sees no feature "itme_id". Did you mean "item_id"?'),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "message"), WRONG)
def test_what_the_data_lack_is_told_before_the_teacher_trains(
    tmp_path: Path, overrides: list[str], message: str
) -> None:
    said = refused(tmp_path, *overrides)
    most = FRAME.filter(split="train")["vertical"].value_counts()["count"].max()
    assert said == [message.replace("ROWS", str(tmp_path / "rows.parquet")).replace("MOST", str(most))]


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    overrides = [one for some, _ in WRONG[:5] for one in some]
    assert len(refused(tmp_path, *overrides)) == 5


def test_vectors_of_the_teacher_are_inputs_too(tmp_path: Path) -> None:
    """With eight numbers more in front, the first layer allows what it did not; and so it does when students train."""
    assert len(refused(tmp_path, *NARROW)) == 1
    table = run(recipe_of(tmp_path, *NARROW, INPUT, "students.train.epochs=1"), Progress(StringIO()))
    assert {row["status"] for row in table["students"]} == {"ok"}


def test_a_sweep_tells_the_faults_of_all_points_before_any_teacher_trains(tmp_path: Path) -> None:
    """Also of settings of some verticals. A point that has no students may stand beside one that has some."""
    FRAME.write_parquet(tmp_path / "rows.parquet")
    (tmp_path / "start.yaml").write_text(RECIPE)
    (tmp_path / "sweep.yaml").write_text(
        "base: start.yaml\n"
        f"grid: {{{SHARING}.rank: [2, 88], students.min_rows: [1, 9999]}}\n"
        f"verticals: {{vertical_1: {{{SHARING}.rank: 77}}}}\n"
    )
    told = StringIO()
    with pytest.raises(RecipeError) as caught:
        run_sweep(load_sweep(tmp_path / "sweep.yaml", [f"store={tmp_path}/mlruns"]), Progress(told))
    assert [fault.what.split()[0] for fault in caught.value.faults] == ["77", "88"]
    assert "teacher" not in told.getvalue()
