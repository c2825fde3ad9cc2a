"""Students trained as BARS trains its own on Frappe, against what it publishes.

Opt-in, since the data may not be passed on: name the folder of frappe.train.libfm, frappe.validation.libfm and
frappe.test.libfm (github.com/hexiangnan/neural_factorization_machine) in DISTILL_FRAPPE, then
pytest -m slow -s tests/students/test_frappe.py. Five seeds of three students take an hour or two on two cores.

Zhu et al., BARS: Towards Open Benchmarking for Recommender Systems, SIGIR 2022; the settings and the five runs are
those of DNN_frappe_x1, DeepFM_frappe_x1 and DCNv2_frappe_x1 in its repository (openbenchmark/BARS).
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from distill import pipeline
from distill.data.impressions import TEST
from distill.data.public.listing import SETS
from distill.fingerprint import derived_seed
from distill.member import roster
from distill.metrics import auc
from distill.progress import Progress
from distill.recipe import Recipe, load
from distill.store import Store
from distill.training import pooled_students
from distill.transfer import course_of, heard_fingerprint

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "frappe.yaml"
COPY = os.environ.get("DISTILL_FRAPPE")
NEAR, SEEDS = 1e-3, 5
"""How near the mean AUC of so many seeds must be."""


class Published(NamedTuple):
    """Mean AUC of five runs on test rows, and what differs from the recipe."""

    auc: float
    changes: dict[str, object]


PUBLISHED = {
    "DNN": Published(0.984045, {}),
    "DeepFM": Published(0.983947, {}),
    "DCNv2": Published(0.983824, {"cross_layers": 4, "dropout": 0.4}),
}


def converted(folder: Path, to: Path) -> Path:
    """The set as Parquet, and a teacher that says nothing of it: these students have none."""
    rows = SETS["frappe"].convert(folder, to / "rows.parquet")
    pl.read_parquet(to / "rows.parquet").with_row_index("row_id").write_parquet(to / "frappe.parquet")
    pl.DataFrame({"row_id": range(rows), "logit": np.zeros(rows)}).write_parquet(to / "silent.parquet")
    return to / "frappe.parquet"


def recipe_of(path: Path, name: str, changes: dict[str, object], *others: str) -> Recipe:
    """The recipe, with another student of the same settings."""
    base = load(RECIPE, [f"data.path={path}"]).students.model.config.model_dump(mode="json")
    model = {"class": f"students.{name}", **base, **PUBLISHED[name].changes, **changes}
    given = [f"data.path={path}", "data.row_id=row_id", f"teacher={{knowledge: {path.parent / 'silent.parquet'}}}"]
    places = [f"store={path.parent / name}", "tracking.uri=null", f"students.model={json.dumps(model)}"]
    return load(RECIPE, [*given, *places, *others])


def aucs(recipe: Recipe) -> list[float]:
    """AUC on test rows of the control of each seed."""
    store, progress = Store(recipe.store), Progress()
    rows = pipeline.read(recipe, store, progress)
    knowledge = pipeline.teach(recipe, rows, store, progress)
    course = course_of(recipe, rows, knowledge, store, lambda _: None)
    heard = heard_fingerprint(recipe, rows, knowledge.manifest.fingerprint)
    everyone = roster(recipe.students, rows, course.view, heard, recipe.seed)
    controls = [one for one in everyone if one.arm == "control"]
    found = pooled_students(controls, {controls[0].stack: course}, store.cohorts, store.stopping)
    label = rows.label[rows.select(TEST)][:, 0]
    return [float(auc(one.logit[:, 0], label)) for one in found]


@pytest.mark.slow
@pytest.mark.skipif(COPY is None, reason="DISTILL_FRAPPE names no folder of Frappe")
@pytest.mark.parametrize("name", PUBLISHED)
def test_it_is_as_good_as_published(name: str, tmp_path: Path) -> None:
    found = aucs(recipe_of(converted(Path(COPY), tmp_path), name, {}, f"students.seeds={SEEDS}"))
    print(f"{name}: AUC {np.mean(found):.5f}, std {np.std(found):.5f}; published {PUBLISHED[name].auc:.5f}")
    assert np.mean(found) > PUBLISHED[name].auc - NEAR


def written(folder: Path) -> Path:
    """A set in the published format: some users like more, and some apps are liked more; labels are 1 and -1."""
    generator = np.random.default_rng(derived_seed(0, "frappe"))
    for split, rows in (("train", 3000), ("validation", 600), ("test", 600)):
        user, item, context = (generator.integers(0, high, rows) for high in (40, 60, 7))
        liked = generator.random(rows) < 1 / (1 + np.exp(-2.0 * (user % 3 + item % 3 - 2)))
        fields = [user, 100 + item, *(200 + 10 * place + context for place in range(8))]
        lines = zip(np.where(liked, 1, -1), *fields, strict=True)
        text = "".join(f"{label} {' '.join(f'{number}:1' for number in ids)}\n" for label, *ids in lines)
        (folder / f"frappe.{split}.libfm").write_text(text)
    return folder


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_recipe_learns_from_the_published_format(name: str, tmp_path: Path) -> None:
    """On a small set of its own making: smaller layers and batches, all else as published."""
    (tmp_path / "published").mkdir()
    path = converted(written(tmp_path / "published"), tmp_path)
    small = ["students.train.batch=256", "students.train.l2=0.001", "students.train.learning_rate=0.01"]
    recipe = recipe_of(path, name, {"hidden": [16, 16, 16]}, *small, "students.train.epochs=12")
    assert recipe.students.model.config.batch_norm and recipe.students.train.schedule == "plateau"
    assert aucs(recipe)[0] > 0.8  # The best possible is about .88.
