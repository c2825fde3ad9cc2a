"""What is exported is what was judged, bit for bit, and nothing is exported that is not."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from distill.bench.impressions import SMALL, generated
from distill.bench.latency import laid_down
from distill.cohort import find
from distill.data.impressions import TEST, load
from distill.errors import ExportError, RecipeError
from distill.export import Wanted, export, making, proving
from distill.export.formats import write
from distill.files import read_json
from distill.progress import Progress
from distill.ranker import available, resolve
from distill.recipe.sections import Model
from distill.serving import Export, Exports
from distill.serving.manifest import seal

ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))


def judged(ran) -> dict[str, np.ndarray]:
    """What each distilled student said of its test rows, as its cohort keeps it."""
    return {
        member.vertical: cohort.scores()[place]
        for cohort in find(Path(ran.recipe.store) / "store" / "cohorts")
        for place, member in enumerate(cohort.members)
        if member.arm == "distilled"
    }


def test_raw_columns_give_the_scores_of_the_evaluation_bit_for_bit(ran):
    known, students = judged(ran), Exports(ran.exports).students
    rows = load(ran.recipe.data, Path(ran.recipe.store) / "store" / "data")
    assert students.keys() == known.keys() == {"a/../b", "cars"}
    for vertical, student in students.items():
        said = student.score(ran.frame[rows.select(TEST, vertical)])
        assert np.array_equal(said.logit.numpy(), known[vertical])
        assert torch.equal(said.probability, said.logit.sigmoid())


def test_no_head_that_only_helped_to_learn_is_exported(ran):
    student = Export(ran.first)
    kind = resolve(student.manifest.model)
    fresh = kind(student.manifest.features, kind.Config.model_validate(student.manifest.config))
    held = load_file(ran.first / "weights.safetensors")
    assert {name: tensor.shape for name, tensor in held.items()} == {
        name: tensor.shape for name, tensor in fresh.state_dict().items()
    }


def test_the_correction_for_thinned_negatives_is_served(ran):
    assert Export(ran.first).manifest.correction == pytest.approx(np.log(0.5))


def test_the_report_says_how_it_was_compared(ran):
    report = read_json(ran.first / "report.json")
    assert report["formats"]["safetensors"] == {"probability": 0.0, "logit": 0.0, "identical": True}
    assert (report["rows"], report["features"]) == (ran.table["students"][0]["rows"], "identical")
    assert report["rows"] > 50


def test_folders_have_harmless_names(ran):
    names = sorted(path.name for path in ran.exports.iterdir())
    assert [name.rpartition("-")[0] for name in names] == ["a-b", "cars"]


def test_the_lineage_leads_back(ran):
    lineage = Export(ran.first).manifest.lineage
    assert (lineage.recipe, lineage.member, lineage.teacher) == ("small", "a/../b/distilled/0", "scores")
    members = {
        member.fingerprint for cohort in find(Path(ran.recipe.store) / "store" / "cohorts") for member in cohort.members
    }
    assert lineage.student in members


def test_the_control_can_be_exported_too(ran, tmp_path):
    table = export(ran.recipe, Wanted("cars", "control"), tmp_path / "one", [], Progress())
    assert [row["member"] for row in table["students"]] == ["cars/control/0"]
    assert Export(tmp_path / "one").manifest.lineage.arm == "control"


def test_a_student_that_says_something_else_is_not_exported(ran, tmp_path, monkeypatch):
    told = making.found

    def changed(recipe, wanted):
        run = told(recipe, wanted)
        weights = run.students[0].weights | {"head.bias": run.students[0].weights["head.bias"] + 1e-3}
        return run._replace(students=[run.students[0]._replace(weights=weights)])

    monkeypatch.setattr(making, "found", changed)
    with pytest.raises(ExportError, match="cars/distilled/0: as safetensors differs from its evaluation by"):
        export(ran.recipe, Wanted("cars"), tmp_path / "one", [], Progress())
    assert not list(tmp_path.iterdir())


def test_a_preprocessing_that_reads_otherwise_is_not_exported(ran, tmp_path, monkeypatch):
    before = Export.__init__

    def swapped(self, *arguments):
        before(self, *arguments)
        words = self.preprocessor.words["table:item"]
        words.table = np.roll(words.table, 1)

    monkeypatch.setattr(Export, "__init__", swapped)
    with pytest.raises(ExportError, match="reads its raw columns otherwise"):
        export(ran.recipe, Wanted("cars"), tmp_path / "one", [], Progress())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (Wanted("crs"), 'Did you mean "cars"'),
        (Wanted(seed=3), "there is no seed number 3"),
    ],
)
def test_a_student_that_is_not_there_is_named(ran, tmp_path, wanted, sentence):
    with pytest.raises(RecipeError, match=sentence):
        export(ran.recipe, wanted, tmp_path / "one", [], Progress())


def test_a_folder_that_is_there_is_left_alone(ran, tmp_path):
    with pytest.raises(RecipeError, match="is there already"):
        export(ran.recipe, Wanted("cars"), tmp_path, [], Progress())


def test_a_program_of_torch_says_the_same_of_any_number_of_rows(ran, tmp_path):
    table = export(ran.recipe, Wanted("cars"), tmp_path / "one", ["torch-export"], Progress())
    assert table["students"][0]["torch-export"] <= proving.TOLERANCE
    program, module = Export(tmp_path / "one", "torch-export"), Export(tmp_path / "one")
    for rows in (1, 2, 37):
        said, meant = program.score(ran.frame[:rows]), module.score(ran.frame[:rows])
        assert torch.allclose(said.probability, meant.probability, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not ONNX, reason="the extra `export` is not installed")
def test_onnx_says_the_same_of_any_number_of_rows(ran, tmp_path):
    table = export(ran.recipe, Wanted("cars"), tmp_path / "one", ["onnx"], Progress())
    assert table["students"][0]["onnx"] <= proving.TOLERANCE
    session, module = Export(tmp_path / "one", "onnx"), Export(tmp_path / "one")
    for rows in (1, 2, 37):
        said, meant = session.score(ran.frame[:rows]), module.score(ran.frame[:rows])
        assert torch.allclose(said.probability, meant.probability, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not ONNX, reason="the extra `export` is not installed")
@pytest.mark.parametrize("student", available("students"))
def test_every_student_has_an_onnx_file_that_says_the_same(student: str, tmp_path: Path) -> None:
    """With its own defaults, some of which leave a part of it without features; with histories."""
    impressions = generated(SMALL._replace(ids=20, history=4), 1, 64, tmp_path)
    folder = laid_down(Model(path=student), impressions, *impressions.verticals, tmp_path / "one")
    module = Export(folder)
    inputs = module.graph.inputs(impressions.view(None, "vertical").take(torch.arange(37)).features)
    write("onnx", module.graph, inputs, folder)
    seal(folder, module.manifest)
    said, meant = Export(folder, "onnx").run(inputs), module.run(inputs)
    assert torch.allclose(said.probability, meant.probability, rtol=0, atol=1e-6)


def test_without_onnx_one_sentence_says_what_to_install(ran, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"onnxruntime: is not installed. Install the extra"):
        export(ran.recipe, Wanted("cars"), tmp_path / "one", ["onnx"], Progress())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_compiled_it_says_the_same_of_any_number_of_rows_and_runs_only_when_asked(ran, tmp_path, monkeypatch):
    table = export(ran.recipe, Wanted("cars"), tmp_path / "one", ["native"], Progress())
    assert table["students"][0]["native"] <= proving.TOLERANCE
    compiled, module = Export(tmp_path / "one", "native"), Export(tmp_path / "one")
    for rows in (1, 2, 37):
        said, meant = compiled.score(ran.frame[:rows]), module.score(ran.frame[:rows])
        assert torch.allclose(said.probability, meant.probability, rtol=0, atol=1e-6)
    monkeypatch.setattr("torch._inductor.aoti_load_package", lambda *_, **__: pytest.fail("machine code was loaded"))
    Exports(tmp_path / "one").score(ran.frame[:3], None)
