"""Our controls beside FuxiCTR on the largest verticals of `news.yaml`: the same rows, columns, sizes and schedules.

Opt-in: it takes minutes, FuxiCTR (docs/bench.md says how to install it), and the news, no part of the project:
pytest -m slow -s tests/students/test_side_by_side.py prints AUC of each vertical, and CPU seconds.
"""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from distill import pipeline
from distill.bench.rounds import cpu_seconds
from distill.data.impressions import TEST, TRAIN, VALID, Impressions, View
from distill.data.impressions import load as impressions_of
from distill.metrics import auc
from distill.progress import Progress
from distill.recipe import Recipe, load
from distill.store import Store
from distill.training import Student, train_students

fuxictr = pytest.importorskip("fuxictr.pytorch", reason="FuxiCTR is not installed", exc_type=ImportError)

NEWS = Path(__file__).resolve().parents[2] / "recipes" / "news.yaml"
NEAR = 0.01
"""How near the mean AUC must be."""


class Side(NamedTuple):
    """AUC on test rows of each vertical, and CPU seconds of training all of them."""

    auc: dict[str, float]
    seconds: float


def largest(data: Path, folder: Path, count: int) -> Path:
    """The rows of the largest verticals, and a teacher that says nothing of them."""
    frame = pl.read_parquet(data)
    sizes = frame.filter(pl.col("split") == "train")["vertical"].value_counts(sort=True)
    rows = frame.filter(pl.col("vertical").is_in(sizes["vertical"][:count].implode()))
    rows = rows.with_columns(row_id=pl.int_range(len(rows)))
    rows.write_parquet(folder / "news.parquet")
    silent = pl.DataFrame({"row_id": range(len(rows)), "logit": np.zeros(len(rows))})
    silent.write_parquet(folder / "silent.parquet")
    return folder / "news.parquet"


def recipe_of(data: Path, folder: Path, name: str, seed: int) -> Recipe:
    """FuxiCTR's own schedule and clipping, which a recipe can say too, on students of `news.yaml`."""
    off = [f"students.distill.{channel}=null" for channel in ("sharing", "input")]
    teacher = f"teacher={{knowledge: {folder / 'silent.parquet'}}}"
    paths = [
        f"seed={seed}",
        f"data.path={data}",
        "data.row_id=row_id",
        f"store={folder}/mlruns",
        "tracking.uri=null",
        "workers=1",
        "domains=null",
    ]
    same = ["students.train.schedule=plateau", "students.train.clip=10", f"students.model.class=students.{name}"]
    return load(NEWS, [*paths, teacher, *off, *same])


def ours(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Side:
    """The controls, and half of what training both arms takes, together as a run does it."""
    spent = []

    def timed(*arguments: Any) -> list[Student]:
        start = cpu_seconds()
        students = train_students(*arguments)
        spent.append(cpu_seconds() - start)
        return students

    monkeypatch.setattr(pipeline, "train_students", timed)
    rows = pipeline.run(recipe, Progress())["students"]
    return Side({row["vertical"]: row["auc"] for row in rows if row["arm"] == "control"}, sum(spent) / 2)


def theirs(recipe: Recipe, folder: Path) -> Side:
    """FuxiCTR as its own scripts use it: its loader, early stopping, plateau schedule and clipping."""
    impressions = impressions_of(recipe.data, Store(recipe.store).data)
    view, found, spent = impressions.view(recipe.students.features, "vertical"), {}, 0.0
    for number, vertical in enumerate(impressions.verticals):
        own = folder / f"theirs-{number}"
        own.mkdir()
        with redirect_stdout(StringIO()):
            found[vertical], seconds = trained(recipe, impressions, view, vertical, own)
        spent += seconds
    return Side(found, spent)


def trained(recipe: Recipe, rows: Impressions, view: View, vertical: str, folder: Path) -> tuple[float, float]:
    from fuxictr.pytorch.dataloaders import RankDataLoader

    features, labels = their_features(view, vertical, folder), {}
    for name, split in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        labels[name] = written(view, rows.select(split, vertical), folder / f"{name}.npz", features)
    (folder / "rows").mkdir()
    files = {"train_data": str(folder / "train.npz"), "valid_data": str(folder / "valid.npz")}
    settings = recipe.students.train
    train, valid = RankDataLoader(features, "train", **files, batch_size=settings.batch, num_workers=0)
    test = RankDataLoader(features, "test", test_data=str(folder / "test.npz"), batch_size=4096, num_workers=0)
    start = cpu_seconds()
    model = theirs_of(recipe, features, folder)
    model.fit(train, epochs=settings.epochs, validation_data=valid)
    seconds = cpu_seconds() - start
    said = model.predict(test).astype(np.float64)
    return float(auc(np.log(said / (1 - said)), labels["test"])), seconds


def their_features(view: View, vertical: str, folder: Path) -> Any:
    from fuxictr.features import FeatureMap

    schema, found = view.schema(vertical), FeatureMap("rows", str(folder))
    for name in schema.categorical:
        found.features[name] = {"type": "categorical", "source": "", "vocab_size": schema.tables[name]}
    for name in schema.numeric:
        found.features[name] = {"type": "numeric", "source": ""}
    found.labels, found.num_fields = ["label"], len(found.features)
    found.set_column_index()
    return found


def written(view: View, rows: np.ndarray, path: Path, features: Any) -> np.ndarray:
    """Rows as the file that their loader reads; returns the labels."""
    seen, label, *_ = view.take(torch.from_numpy(rows))
    columns = [*seen.categorical.numpy().T, *seen.numeric.numpy().T]
    np.savez(path, **dict(zip(features.features, columns, strict=True)), label=label[:, 0].numpy())
    return label[:, 0].numpy()


def theirs_of(recipe: Recipe, features: Any, folder: Path) -> nn.Module:
    """DNN or DeepFM, put together of their layers as in their model zoo."""
    from fuxictr.pytorch.layers import FactorizationMachine, FeatureEmbedding, MLP_Block
    from fuxictr.pytorch.models import BaseModel

    config, deep_only = recipe.students.model.config, recipe.students.model.path == "students.DNN"

    class Student(BaseModel):
        def __init__(self) -> None:
            told = {"metrics": ["logloss", "AUC"], "monitor": "logloss", "monitor_mode": "min", "verbose": 0}
            super().__init__(features, **told, model_root=str(folder))
            features.default_emb_dim = config.embedding
            self.embedding_layer = FeatureEmbedding(features, config.embedding)
            self.fm = None if deep_only else FactorizationMachine(features)
            self.mlp = MLP_Block(features.sum_emb_out_dim(), list(config.hidden), output_dim=1)
            self.compile("adam", "binary_crossentropy", recipe.students.train.learning_rate)
            self.reset_parameters()
            self.model_to_device()

        def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            seen = self.get_inputs(inputs)
            embedded = self.embedding_layer(seen)
            logit = self.mlp(embedded.flatten(start_dim=1))
            return {"y_pred": self.output_activation(logit if deep_only else logit + self.fm(seen, embedded))}

    return Student()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("news", "count", "seed"), [("globo-news-mini", 3, 0), *(("globo-news", 10, seed) for seed in range(3))]
)
@pytest.mark.parametrize("name", ["DNN", "DeepFM"])
def test_our_control_is_as_good_as_fuxictr_on_the_largest_verticals(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, news: str, count: int, seed: int
) -> None:
    data = shared / news / f"{news.replace('-', '_')}.parquet"
    if not data.exists():
        pytest.skip("the news are not at hand")
    recipe = recipe_of(largest(data, tmp_path, count), tmp_path, name, seed)
    first = ours(recipe, monkeypatch)
    torch.manual_seed(seed)
    np.random.seed(seed)  # Their loader draws its orders from both.
    second = theirs(recipe, tmp_path)
    for vertical in first.auc:
        print(f"{vertical:>12}: AUC ours {first.auc[vertical]:.4f}, FuxiCTR {second.auc[vertical]:.4f}")
    means = [np.mean(list(side.auc.values())) for side in (first, second)]
    print(f"mean ours {means[0]:.4f}, FuxiCTR {means[1]:.4f}; CPU s {first.seconds:.1f}, {second.seconds:.1f}")
    assert means[0] > means[1] - NEAR
