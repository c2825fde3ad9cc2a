"""What adapters say of test rows when training is over, and the two numbers that they are compared with."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from at_hand import small_log
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from distill.adapter import Adapter
from distill.cohort import find
from distill.data.impressions import TEST, load
from distill.knowledge import import_table
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import load as load_recipe
from distill.refining import refined
from distill.store import Store
from distill.transfer import course_of, members_of

RECIPE = """
name: refined
data:
  path: rows.parquet
  row_id: row_id
  time: time
  split: {by: column, column: split}
  features: {item_id: categorical, hour: categorical}
teacher: {knowledge: scores.parquet}
students:
  model: {class: students.DNN, embedding: 4, hidden: [8]}
  train: {epochs: 2, batch: 32, learning_rate: 5.0e-3}
  distill:
    logit: {weight: 1.0, head: auxiliary, adapter: {form: mlp, weight: 1.0}}
evidence: {resamples: 100}
tracking: {uri: null}
workers: 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher who knows the truth and says it three times too loud and 2 too high."""
    folder, log = tmp_path_factory.mktemp("refined"), small_log(2000)
    log.write_parquet(folder / "rows.parquet")
    truth = (pl.col("p_true") / (1 - pl.col("p_true"))).log()
    log.select("row_id", logit=3 * truth + 2).write_parquet(folder / "scores.parquet")
    (folder / "refined.yaml").write_text(RECIPE)
    return folder


def test_a_run_says_how_good_the_adapters_are(folder: Path) -> None:
    """Better than the marks as they are; what two numbers make of them is what scikit-learn says they do."""
    recipe = load_recipe(folder / "refined.yaml", [f"store={folder}/mlruns"])
    table = run(recipe, Progress())
    log = pl.read_parquet(folder / "rows.parquet").join(pl.read_parquet(folder / "scores.parquet"), on="row_id")
    for row in table["students"]:
        if row["arm"] == "control":
            assert row["ne_platt"] is None and row["ne_adapter"] is None
            continue
        own = log.filter(vertical=row["vertical"])
        train, test = (own.filter(split=name) for name in ("train", "test"))
        marks = [one["logit"].to_numpy()[:, None].astype(np.float16).astype(float) for one in (train, test)]
        line = LogisticRegression(C=1e6).fit(marks[0], train["label"].to_numpy())
        cost = log_loss(test["label"].to_numpy(), line.predict_proba(marks[1])[:, 1])
        assert row["ne_platt"] == pytest.approx(cost * len(test) / row["entropy_test"], rel=1e-3)
    assert max(table["summary"]["ne_platt"], table["summary"]["ne_adapter"]) < table["summary"]["ne_teacher"]
    assert {len(one.refined(0)) for one in find(Store(recipe.store).cohorts)} <= {0, 2}


def test_an_adapter_is_asked_with_the_students_own_representation(folder: Path) -> None:
    """By hand, with weights that nobody has trained; rows without a mark have no number."""
    recipe = load_recipe(folder / "refined.yaml", [f"store={folder}/mlruns"])
    store = Store(recipe.store)
    impressions = load(recipe.data, store.data)
    knowledge = import_table(folder / "scores.parquet", impressions, store.knowledge)
    member = members_of(recipe, impressions, knowledge.manifest.fingerprint, store.knowledge)[0]
    course = course_of(recipe, impressions, knowledge, store, lambda rows: None)
    ranker = recipe.students.model.build(course.view.schema(member.vertical)).eval()
    adapter = Adapter("mlp", 1, 8, 10.0)
    with torch.no_grad():
        for one in adapter.parameters():
            one.copy_(torch.randn_like(one))
        said = refined(course, member, ranker, adapter.state_dict())["adapter"]
        rows = torch.from_numpy(impressions.select(TEST, member.vertical))
        hidden = ranker(course.view.take(rows).features).representation
        torch.testing.assert_close(said, adapter(knowledge.take(rows).prediction.logit, hidden))
    knowledge._columns[-1][rows[0]] = False
    assert refined(course, member, ranker, adapter.state_dict())["platt"].isnan().flatten().tolist() == [
        row == 0 for row in range(len(rows))
    ]
