"""The towers of an exported TwoTower as two programs, made as docs/export.md says."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from distill.bench.impressions import SMALL, generated
from distill.bench.latency import laid_down
from distill.recipe.sections import Model
from distill.serving import Export

DOCS = Path(__file__).parents[3] / "docs" / "export.md"


@pytest.mark.slow
def test_the_product_of_the_towers_files_is_what_the_whole_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any number of rows, each tower with the features of its own side alone."""
    monkeypatch.chdir(tmp_path)
    impressions = generated(SMALL._replace(ids=20, history=4), 1, 64, tmp_path)
    model = Model(path="students.TwoTower", item=("id_0", "id_1"), temperature=0.5)
    student = Export(laid_down(model, impressions, *impressions.verticals, tmp_path / "one"))
    torch.nn.init.normal_(student.graph.ranker.bias)
    frame = pl.read_parquet(impressions.settings.path)
    (block,) = [one for one in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "class Side" in one]
    names = {"student": student, "frame": frame[:5]}
    exec(block, names)
    features, ranker = student.read(frame[:37]), student.graph.ranker
    vectors = []
    for name, tower, side in zip(("user", "item"), (ranker.user, ranker.item), ranker.sides, strict=True):
        inputs = names["Side"](tower).side.inputs(side(features))
        vectors.append(torch.export.load(tmp_path / f"{name}.pt2").module()(*inputs))
        assert len(inputs.categorical[0]) == (2 if name == "item" else SMALL.fields - 2)
    product = (vectors[0] * vectors[1]).sum(-1, keepdim=True)
    said = product / ranker.temperature + ranker.bias + student.graph.correction
    assert np.allclose(said.detach(), student.say(features).logit, rtol=0, atol=1e-6)
    assert (tmp_path / "item.pt2").stat().st_size < (tmp_path / "user.pt2").stat().st_size
