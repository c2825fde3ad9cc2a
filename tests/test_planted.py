"""What a channel is for, planted in a world whose truth is known, and found again by a whole run."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from distill.data import synthetic
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import load

RECIPE = """
name: planted
data:
  world: WORLD
  row_id: row_id
  time: time
  user: user_id
  split: {by: column, column: split}
  features: {item_id: categorical, hour: categorical, device: categorical}
teacher: {knowledge: scores.parquet}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  train: {epochs: 3, batch: 64, learning_rate: 5.0e-3}
evidence: {resamples: 100}
tracking: {uri: null}
workers: 1
"""

SMALL = "{verticals: 3, domains: 1, users: 60, items: 40, rows: 6000, days: 6, size_exponent: 0.3}"


def planted(folder: Path, shift: float, slope: float, *points: list[str], world: str = SMALL) -> list[dict]:
    """The summary and rows of each point, all taught by one who knows the truth and says `slope * truth + shift`."""
    (folder / "planted.yaml").write_text(RECIPE.replace("WORLD", world))
    log = synthetic.generate(load(folder / "planted.yaml").data.world)
    truth = (pl.col("p_true") / (1 - pl.col("p_true"))).log()
    log.select("row_id", logit=slope * truth + shift).write_parquet(folder / "scores.parquet")
    place = [f"store={folder}/mlruns", f"teacher.knowledge={folder}/scores.parquet"]
    return [run(load(folder / "planted.yaml", [*place, *point]), Progress()) for point in points]


def calibration(table: dict, arm: str) -> float:
    """Mean over students of the distance of log(predicted / observed clicks) from 0."""
    return float(np.mean([abs(np.log(row["calibration"])) for row in table["students"] if row["arm"] == arm]))


def cosines(table: dict) -> list[float]:
    """How far labels and teacher pulled each student the same way."""
    return [row["gradient_cosine"] for row in table["students"] if row["arm"] == "distilled"]


@pytest.mark.slow
def test_a_stale_teacher_is_mended_by_the_adapter(tmp_path: Path) -> None:
    """Twice too sure and 1.5 too high: the student of its plain marks is worse than its control, that of the adapted
    ones is better; a small network does as two numbers do. The cosine of the gradients had said so."""
    marks = "students.distill.logit.weight=0.8"
    plain, platt, mlp = planted(
        tmp_path,
        1.5,
        2.0,
        [marks],
        *([marks, f"students.distill.logit.adapter.form={form}"] for form in ("platt", "mlp")),
    )
    gains = [table["summary"]["ne_gain"] for table in (plain, platt, mlp)]
    assert gains[0] < -0.005 and min(gains[1:]) > 0.005
    assert max(calibration(table, "distilled") for table in (platt, mlp)) < calibration(plain, "distilled")
    assert max(cosines(plain)) < min(cosines(platt))


@pytest.mark.slow
def test_a_biased_teacher_is_kept_out_of_the_serving_head(tmp_path: Path) -> None:
    """One that promises far too many clicks: a blend passes it on, the auxiliary head does not."""
    blend, beside = planted(
        tmp_path,
        1.5,
        1.0,
        ["students.distill.logit.weight=0.5"],
        ["students.distill.logit={weight: 1.0, head: auxiliary}"],
    )
    assert calibration(blend, "distilled") > 0.25
    assert calibration(beside, "distilled") < calibration(beside, "control") + 0.05


@pytest.mark.slow
def test_what_verticals_of_a_domain_share_comes_through_its_model(tmp_path: Path) -> None:
    """Hours and devices work alike in the verticals of a domain, and each has too few rows to learn them by itself: a
    copy of the model of its own domain knows them, one of a model of all domains knows their mean."""
    copies = ["students.distill.sharing={source: domain}", "students.distill.logit.source=teacher"]
    train = "train: {batch: 64, learning_rate: 1.0e-2}"
    direct, of_all, of_domain = planted(
        tmp_path,
        0.0,
        1.0,
        [],
        [*copies, f"domains={{clusters: 1, {train}}}"],
        [*copies, f"domains={{{train}}}", "data.domain=domain"],
        world="{verticals: 12, domains: 3, users: 400, items: 60, rows: 16000, days: 6, size_exponent: 0.3}",
    )
    gains = [table["summary"]["ne_gain"] for table in (direct, of_all, of_domain)]
    assert gains[0] > 0 and gains[1] > gains[0] + 0.02 and gains[2] > gains[1] + 0.005
