"""Eight bits: near to the student whatever its class, the same each time, and refused where they cost too much."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from distill.bench.impressions import SMALL, generated
from distill.bench.latency import laid_down
from distill.cohort import find
from distill.data.impressions import TEST, load
from distill.errors import ExportError
from distill.export import Wanted, export, finding, proving
from distill.export.formats import write
from distill.export.int8 import write_int8
from distill.files import read_json
from distill.metrics import normalized_entropy
from distill.progress import Progress
from distill.ranker import available
from distill.recipe.sections import Model
from distill.serving import Export
from distill.serving.manifest import seal
from tests.distill.export.conftest import Ran

ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))

KINDS = ("int8-tables", "int8")


@pytest.mark.slow
@pytest.mark.skipif(not ONNX, reason="the extra `export` is not installed")
@pytest.mark.parametrize("numeric", [0, 3])
@pytest.mark.parametrize("student", available("students"))
def test_every_student_says_nearly_the_same_in_eight_bits_and_the_same_each_time(
    student: str, numeric: int, tmp_path: Path
) -> None:
    """A product over no numbers is 0, and stacks of weights are run. Of random weights a part of the range is near."""
    impressions = generated(SMALL._replace(ids=20, history=4, numeric=numeric), 1, 64, tmp_path)
    folder = laid_down(Model(path=student), impressions, *impressions.verticals, tmp_path / "one")
    module = Export(folder)
    inputs = module.graph.inputs(impressions.view(None, "vertical").take(torch.arange(64)).features)
    meant = module.run(inputs).logit
    for kind in KINDS:
        write(kind, module.graph, inputs, folder)
        seal(folder, module.manifest)
        rounded = Export(folder, kind)
        said = rounded.run(inputs).logit
        assert (said - meant).abs().max() < 1e-3 + 0.15 * (meant.max() - meant.min())
        assert all(torch.equal(rounded.run(inputs).logit, said) for _ in range(3))


def asked(*said: torch.Tensor) -> SimpleNamespace:
    """An export that gives these log-odds, one after the other."""
    answers = iter(said)
    return SimpleNamespace(say=lambda features: SimpleNamespace(logit=next(answers)))


def test_what_costs_too_much_or_is_not_sure_is_refused(ran: Ran) -> None:
    run = finding.found(ran.recipe, Wanted("cars"))
    (student,) = run.students
    logit, off = torch.from_numpy(student.logit), torch.zeros(len(student.logit), 1)
    off[3] = 1e-4
    found = proving.cost_of_rounding(run, student, asked(logit, logit), "int8")
    assert found["ne_cost"] == 0
    for said, again, sentence in (
        (logit * 5 + 3, logit * 5 + 3, r"cars/distilled/0 as int8: costs [\d.]+ of NE on its test rows .* 0.01 is"),
        (logit, logit + off, "says something else of the same rows when it is asked again"),
        (logit + off * torch.inf, logit + off * torch.inf, "gives numbers that are not finite"),
    ):
        with pytest.raises(ExportError, match=sentence) as error:
            proving.cost_of_rounding(run, student, asked(said, again), "int8")
        assert len(error.value.faults) == 1


@pytest.mark.slow
@pytest.mark.skipif(not ONNX, reason="the extra `export` is not installed")
def test_rounding_that_is_broken_leaves_nothing_behind(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = importlib.import_module("distill.export.int8")._parts
    monkeypatch.setattr("distill.export.int8._parts", lambda values: (parts(values)[0], 40 * parts(values)[1]))
    with pytest.raises(ExportError, match="as int8-tables: costs"):
        export(ran.recipe, Wanted("cars"), tmp_path / "one", ["int8-tables"], Progress())
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not ONNX, reason="the extra `export` is not installed")
def test_eight_bits_say_nearly_the_same_and_the_report_says_what_that_costs(ran, tmp_path):
    kinds = ["onnx", "int8-tables", "int8"]
    table = export(ran.recipe, Wanted("cars"), tmp_path / "one", kinds, Progress())
    report, module = read_json(tmp_path / "one" / "report.json")["formats"], Export(tmp_path / "one")
    meant = module.score(ran.frame).logit
    off = [0.0, *((Export(tmp_path / "one", kind).score(ran.frame).logit - meant).abs().max() for kind in kinds)]
    assert off[0] <= off[1] < off[2] < off[3] < 0.2, "each step rounds more, and none much"
    assert report["onnx"].keys() == {"probability", "logit", "identical"}
    for kind in kinds[1:]:
        rows = load(ran.recipe.data, Path(ran.recipe.store) / "store" / "data").select(TEST, "cars")
        said = Export(tmp_path / "one", kind).score(ran.frame[rows]).logit[:, 0].numpy()
        label = ran.frame[rows]["label"].to_numpy()
        assert report[kind]["ne"] == pytest.approx(normalized_entropy(said, label), rel=1e-4)
        assert report[kind]["ne_cost"] == pytest.approx(
            report[kind]["ne"] - normalized_entropy(_judged(ran, "cars"), label), abs=1e-5
        )
        assert table["students"][0][f"{kind} ne_cost"] == report[kind]["ne_cost"], "the terminal has it too"


def _judged(ran: Ran, vertical: str) -> np.ndarray:
    """What a distilled student said of its test rows, as its cohort keeps it."""
    (said,) = (
        cohort.scores()[place]
        for cohort in find(Path(ran.recipe.store) / "store" / "cohorts")
        for place, member in enumerate(cohort.members)
        if member.name == f"{vertical}/distilled/0"
    )
    return said[:, 0]


@pytest.mark.slow
@pytest.mark.skipif(not ONNX, reason="the extra `export` is not installed")
def test_a_table_in_eight_bits_is_off_by_half_a_step_of_its_own_row(tmp_path):
    """At most; rows of zeros stay zeros."""
    onnx = importlib.import_module("onnx")
    rows = (
        np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
        * np.logspace(-4, 1, 500, dtype=np.float32)[:, None]
    )
    rows[7] = 0
    table = onnx.numpy_helper.from_array(rows, "table")
    ids, out = (onnx.helper.make_tensor_value_info(*one) for one in (("ids", 7, ["rows"]), ("out", 1, ["rows", 8])))
    node = onnx.helper.make_node("Gather", ["table", "ids"], ["out"], axis=0)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "one", [ids], [out], [table]), ir_version=10)
    onnx.save(model, tmp_path / "plain.onnx")
    write_int8(tmp_path / "plain.onnx", tmp_path / "int8.onnx", linear=False)
    session = importlib.import_module("onnxruntime").InferenceSession(str(tmp_path / "int8.onnx"))
    (read,) = session.run(None, {"ids": np.arange(500)})
    step = np.abs(rows).max(1, keepdims=True) / 127
    assert (np.abs(read - rows) <= 0.501 * step).all() and not read[7].any()
    assert (tmp_path / "int8.onnx").stat().st_size < (tmp_path / "plain.onnx").stat().st_size / 2
