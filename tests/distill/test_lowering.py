"""A teacher in FP8: what is admitted, what is written down, and that nothing changes for who does not ask."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from distill.distributed import Place, joined
from distill.files import read_json
from distill.knowledge import KnowledgeStore
from distill.lesson import lesson_fingerprint
from distill.lowering import fp8_sentences
from distill.ranks import free_port
from distill.recipe.sections import TeacherTrain
from distill.scoring import knowledge_of
from tests.distill.distributed.test_group_teacher import case

WIDE = {"class": "teachers.AttentiveCross", "embedding": 16, "hidden": [32], "representation": 16}


def test_a_teacher_in_fp8_says_what_that_cost(tmp_path: Path) -> None:
    plain, lower = case(tmp_path / "plain", WIDE), case(tmp_path / "lower", WIDE, fp8=0.05)
    tables = [knowledge_of(one.by(), KnowledgeStore(tmp_path / name)) for name, one in (("p", plain), ("l", lower))]
    assert fp8_sentences(tables[0].folder) == []
    found = read_json(tables[1].folder / "fp8-0.json")
    inside = [name for name, layer in found["layers"].items() if layer["fp8"]]
    assert 0 < len(inside) < len(found["layers"])
    assert "head" not in inside  # One output: no kernel takes it.
    assert all(found["layers"][name]["error"] > 0 for name in inside)
    audits = [table.facts["audit"]["click"]["valid"] for table in tables]
    assert found["ne"]["fp8"] == pytest.approx(audits[1], abs=1e-4)  # The audited scores are those of FP8 ...
    assert 0 < abs(found["ne"]["fp8"] - found["ne"]["fp32"]) < 0.01  # ... which are others, but hardly.
    assert audits[0] == pytest.approx(audits[1], abs=0.02)
    assert fp8_sentences(tables[1].folder)[0].startswith(f"FP8: {len(inside)} of {len(found['layers'])} linear layers;")


def test_who_does_not_ask_has_the_teacher_that_he_had(tmp_path: Path) -> None:
    assert "fp8" not in TeacherTrain().model_dump()
    without, asking = case(tmp_path, WIDE), case(tmp_path, WIDE, fp8=0.05)
    assert lesson_fingerprint(without.by()) != lesson_fingerprint(asking.by())


@pytest.mark.slow
@pytest.mark.dist
def test_a_group_lowers_the_same_layers(tmp_path: Path) -> None:
    here = case(tmp_path, WIDE, fp8=0.05)
    one = knowledge_of(here.by(), KnowledgeStore(tmp_path / "one"))
    with joined(Place(0, 1, 0, "127.0.0.1", free_port()), "cpu"):
        group = knowledge_of(here.by(strategy="hsdp"), KnowledgeStore(tmp_path / "group"))
    assert (
        read_json(one.folder / "fp8-0.json")["layers"].keys() == read_json(group.folder / "fp8-0.json")["layers"].keys()
    )
    before, after = (load_file(table.folder / "snapshot.safetensors") for table in (one, group))
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < 0.02
    logits = [np.load(table.folder / "logit.npy").astype(float) for table in (one, group)]
    assert np.abs(logits[0] - logits[1]).max() < 0.1  # A number on an edge may be rounded to the other side.
