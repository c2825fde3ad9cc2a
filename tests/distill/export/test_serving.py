"""Exports in service: what was changed is refused, and tables are scored as single rows are."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from distill.errors import DataError, ExportError, RecipeError
from distill.progress import Progress
from distill.serving import Export, Exports, scoring
from distill.serving.engine import engine
from distill.serving.manifest import seal

FILES = ("weights.safetensors", "vocabulary.json", "report.json", "manifest.json")


@pytest.fixture
def copy(ran, tmp_path) -> Path:
    return Path(shutil.copytree(ran.first, tmp_path / "copy"))


def refused(folder: Path, sentence: str) -> None:
    with pytest.raises(ExportError, match=sentence) as error:
        Export(folder)
    assert len(error.value.faults) == 1


@given(name=st.sampled_from(FILES), at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_changed_byte_and_every_cut_is_refused(copy, name, at, bit, cut):
    path = copy / name
    raw = path.read_bytes()
    place = int(at * len(raw))
    path.write_bytes(raw[:place] if cut else raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :])
    try:
        with pytest.raises(ExportError) as error:
            Export(copy)
        assert name in str(error.value)
    finally:
        path.write_bytes(raw)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_or_a_link_is_refused(ran, copy, name):
    (copy / name).unlink()
    refused(copy, f"{name}: cannot be read")
    (copy / name).symlink_to(ran.first / name)
    refused(copy, f"{name}: is a link")


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("files", "../w"), {"bytes": 1, "sha256": "0" * 64}, "files names `../w`, and no export has such a file"),
        (("files", "/etc/passwd"), {"bytes": 1, "sha256": "0" * 64}, "files"),
        (("format",), 2, "`format` should be 1"),
        (("model",), "os.system", "is not in a package that a recipe may name"),
        (("model",), "students.nothing", "does not exist"),
        (("config", "hidden"), [-1], "config: `hidden.0` should be greater than 0"),
        (("config", "hidden"), [9], "holds other weights"),
        (("features", "tables", "item"), 3, "more or fewer values than ids"),
        (("preprocessing", "constants"), {}, "is missing|cannot be used"),
        (("surprise",), 1, "has `surprise`, which is no setting of it"),
    ],
)
def test_a_manifest_that_was_written_anew_is_refused_for_what_it_says(copy, ran, path, value, sentence):
    """With a hash of its own that is right: who can write the manifest can hash it."""
    from distill.serving import manifest as manifests

    said = json.loads((copy / "manifest.json").read_text())
    said.pop("sha256")
    place = said
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (copy / "manifest.json").write_text(json.dumps(said | {"sha256": manifests._own(said)}))
    with pytest.raises((ExportError, DataError), match=sentence):
        Export(copy).score(ran.frame[:2])


def test_weights_of_another_shape_are_refused(copy):
    weights = load_file(copy / "weights.safetensors")
    save_file({name: tensor[:1].clone() for name, tensor in weights.items()}, copy / "weights.safetensors")
    seal(copy, json_manifest(copy))
    refused(copy, "holds other weights")


def _dropped(said: dict) -> dict:
    return {name: values for name, values in said.items() if name != "item"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_dropped, "lacks tables: item"),
        (lambda said: said | {"hashed": [1] * 6}, "has tables that the student does not read: hashed"),
        (lambda said: said | {"item": said["item"][1:]}, "has more or fewer values than ids: item"),
        (lambda said: list(said), "is not a list of values for each table"),
        (lambda said: said | {"item": "text"}, "is not a list of values for each table"),
        (lambda said: None, "is not a list of values for each table"),
    ],
)
def test_a_vocabulary_that_is_not_the_students_is_refused(copy, change, sentence):
    """A table that is missing would be learnt anew from the rows to be scored."""
    path = copy / "vocabulary.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    seal(copy, json_manifest(copy))
    refused(copy, rf"copy/vocabulary.json: {sentence}\. Export the student again\.$")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda held: held | {"head.bias": held["head.bias"].half()}, "head.bias is float16 in place of float32"),
        (lambda held: held | {"head.bias": held["head.bias"] / 0}, "head.bias has numbers that are not finite"),
        (lambda held: held | {"head.bias": torch.zeros(2)}, "head.bias is 2 in place of 1"),
        (lambda held: held | {"other": torch.zeros(2)}, "other is none of them"),
        (lambda held: {name: held[name] for name in held if name != "head.bias"}, "head.bias is missing"),
    ],
)
def test_weights_of_another_kind_are_refused(copy, change, sentence):
    save_file(change(load_file(copy / "weights.safetensors")), copy / "weights.safetensors")
    seal(copy, json_manifest(copy))
    refused(copy, rf"copy/weights.safetensors: holds other weights than those of this DeepFM: {sentence}\. Export")


def test_files_that_cannot_be_read_are_named_without_what_a_library_says(copy):
    torch.save({"head.bias": torch.zeros(1)}, copy / "weights.safetensors")
    seal(copy, json_manifest(copy))
    refused(copy, r"copy/weights.safetensors: cannot be read as safetensors\. Export")
    (copy / "vocabulary.json").write_text('{"item": 1 2}')
    seal(copy, json_manifest(copy))
    refused(copy, r"copy/vocabulary.json: cannot be read as JSON\. Export")


def json_manifest(folder: Path):
    from distill.serving.manifest import Manifest

    said = json.loads((folder / "manifest.json").read_text())
    said.pop("sha256")
    return Manifest.model_validate(said)


def test_a_program_that_holds_a_pickle_is_not_loaded(ran):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("m/archive_format", "pt2")
        config = {"config": {"x": {"path_name": "tensor_0", "use_pickle": True}}}
        archive.writestr("m/data/constants/model_constants_config.json", json.dumps(config))
    with pytest.raises(ExportError, match=r"one/model.pt2: cannot be run: it holds pickled objects. Export"):
        engine("torch-export", Export(ran.first).graph, content.getvalue(), Path("one/model.pt2"))
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("m/data/constants/custom_obj_0", "x")
    with pytest.raises(ExportError, match="it holds data/constants/custom_obj_0"):
        engine("torch-export", Export(ran.first).graph, content.getvalue(), Path("one/model.pt2"))


def test_one_row_at_a_time_gives_what_all_rows_give(ran):
    student = Export(ran.first)
    whole = student.score(ran.frame[:30]).probability
    alone = torch.cat([student.score(ran.frame[row : row + 1]).probability for row in range(30)])
    assert torch.allclose(whole, alone, rtol=0, atol=1e-6)
    assert student.score(ran.frame[:0]).probability.shape == (0, 1)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_table_is_scored_as_its_rows_are(ran, tmp_path, monkeypatch, threads):
    monkeypatch.setattr(scoring, "BLOCK", 100)
    exports = Exports(ran.exports)
    strangers = ran.frame.with_columns(
        vertical=pl.when(pl.col("id") % 10 == 0).then(pl.lit("new")).otherwise("vertical")
    )
    strangers.drop("label", "split").write_parquet(tmp_path / "raw.parquet")
    outcome = scoring.score(exports, tmp_path / "raw.parquet", tmp_path / "out.parquet", Progress(), threads)
    found = pl.read_parquet(tmp_path / "out.parquet")
    assert found["row_id"].to_list() == ran.frame["id"].to_list()
    assert outcome == (len(ran.frame), int((strangers["vertical"] == "new").sum()))
    assert found.columns == ["row_id", "logit", "probability"]
    for vertical, student in exports.students.items():
        ours = strangers["vertical"] == vertical
        meant = student.score(strangers.filter(ours)).probability[:, 0].numpy()
        assert np.allclose(found.filter(ours)["probability"].to_numpy(), meant, rtol=0, atol=1e-6)
    assert found.filter(strangers["vertical"] == "new")["probability"].null_count() == outcome.unscored


def test_what_is_wrong_with_a_table_is_named_and_nothing_is_written(ran, tmp_path):
    exports = Exports(ran.exports)
    frame = ran.frame.with_columns(text=pl.when(pl.col("id") == ran.frame["id"][777]).then(None).otherwise("text"))
    frame.write_parquet(tmp_path / "raw.parquet")
    with pytest.raises(DataError, match=r"raw.parquet: column `text`, row 777: is null"):
        scoring.score(exports, tmp_path / "raw.parquet", tmp_path / "out.parquet", Progress())
    ran.frame.drop("age", "tags").write_parquet(tmp_path / "raw.parquet")
    with pytest.raises(DataError) as error:
        scoring.score(exports, tmp_path / "raw.parquet", tmp_path / "out.parquet", Progress())
    assert [fault.where.split("`")[1] for fault in error.value.faults] == ["age", "tags"]
    ran.frame.drop("vertical").write_parquet(tmp_path / "raw.parquet")
    with pytest.raises(RecipeError, match="whose of 2 students a row is"):
        scoring.score(exports, tmp_path / "raw.parquet", tmp_path / "out.parquet", Progress())
    (tmp_path / "raw.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        scoring.score(exports, tmp_path / "raw.parquet", tmp_path / "out.parquet", Progress())
    assert [path.name for path in tmp_path.iterdir()] == ["raw.parquet"]


def test_two_students_of_one_vertical_are_refused(ran, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(ran.first, tmp_path / name)
    with pytest.raises(ExportError, match="holds two students"):
        Exports(tmp_path)
    (tmp_path / "two" / "below").mkdir()
    with pytest.raises(ExportError, match="holds no exported student"):
        Exports(tmp_path / "two" / "below")
    with pytest.raises(ExportError, match=f'does not exist. Did you mean "{tmp_path}/two"'):
        Exports(tmp_path / "tow")


def test_weights_that_students_have_in_common_are_in_memory_once(ran, tmp_path):
    """And those that they have not are their own; every student says what it said alone."""
    for name in ("one", "two"):
        shutil.copytree(ran.first, tmp_path / name)
    manifest = json_manifest(tmp_path / "two")
    lineage = manifest.lineage.model_copy(update={"vertical": "twin"})
    weights = load_file(tmp_path / "two" / "weights.safetensors")
    save_file(weights | {"head.bias": weights["head.bias"] + 1}, tmp_path / "two" / "weights.safetensors")
    seal(tmp_path / "two", manifest.model_copy(update={"lineage": lineage}))
    one, two = Exports(tmp_path).students.values()
    places = [{name: tensor.data_ptr() for name, tensor in each.graph.ranker.named_parameters()} for each in (one, two)]
    assert {name for name, place in places[0].items() if places[1][name] != place} == {"head.bias"}
    for student, folder in ((one, "one"), (two, "two")):
        alone = Export(tmp_path / folder)
        assert torch.equal(student.score(ran.frame[:20]).logit, alone.score(ran.frame[:20]).logit)
