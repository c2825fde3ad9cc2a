"""Students in the registry: of those that see their teacher's vector too, and all or nothing where MLflow refuses."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from distill.cli.exporting import export
from distill.errors import RecipeError, StoreError
from distill.inputs import HISTORY, NAME
from distill.latest import compare
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import load
from distill.serving import Export
from distill.shipping import ship
from tests.distill.export.test_inputs_and_fallback import RECIPE, frame_with_users
from tests.distill.tracking.test_model import written


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """A recipe that has been run, and its settings."""
    folder = tmp_path_factory.mktemp("served")
    written(folder)
    changes = [f"store={folder}/mlruns", f"tracking.uri=sqlite:///{folder}/mlruns/mlflow.db"]
    run(load(folder / "served.yaml", changes), Progress())
    return str(folder / "served.yaml"), changes


def loaded(uri: str, name: str):
    """The first version of a model, as MLflow loads it."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    return mlflow.pyfunc.load_model(f"models:/{name}/1")


@pytest.mark.slow
@pytest.mark.parametrize("cached", [True, False])
def test_students_that_see_a_vector_are_asked_with_it_or_with_the_user(cached: bool, tmp_path: Path) -> None:
    """MLflow drops columns that are not in the signature, and refuses rows that lack one."""
    frame, uri = frame_with_users(), f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    frame.write_parquet(tmp_path / "impressions.parquet")
    text = RECIPE if cached else RECIPE.replace("  user: user\n", "").replace(", history: {length: 3, width: 2}", "")
    (tmp_path / "cached.yaml").write_text(text)
    changes = [f"store={tmp_path}/mlruns", f"tracking.uri={uri}", "gates.alias=champion", "gates.latency=1e9"]
    recipe = load(tmp_path / "cached.yaml", changes)
    run(recipe, Progress())
    export(str(tmp_path / "cached.yaml"), tmp_path / "one", changes, vertical="cars", register="cars")
    student, model = Export(tmp_path / "one"), loaded(uri, "cars")
    names, rng = [name for name in (NAME, HISTORY) if name in student.preprocessor.columns], np.random.default_rng(1)
    assert len(names) == 1 + cached
    wide = student.manifest.features.vectors
    given = {name: [None, *rng.normal(size=(29, wide[name])).tolist()] for name in names}
    rows = frame.drop("label", "split", "vertical").drop_nulls()[:30]
    asked = [rows.drop("user").with_columns(**{name: pl.Series(name, column) for name, column in given.items()})]
    for one in [rows, *asked] if cached else asked:
        said = model.predict(one.to_pandas())
        assert np.allclose(said, student.score(one).probability.numpy(), rtol=0, atol=1e-6)
    shipped = ship(recipe, compare(recipe), Progress())
    assert not shipped.refused and len(shipped.registered) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changed", "sentence"),
    [
        ("a/b:c", [], r'"a/b:c": is no name to register under: .*cannot contain'),
        ("cars", ["tracking.uri=null"], r"tracking.uri: is null, and --register needs MLflow. Give"),
        ("cars", ["tracking.uri=sqlite:///{}/other.db"], "other.db: there is no tracking database yet"),
        ("cars", ["tracking.uri=http://127.0.0.1:9"], "did not give the students' runs: .*refused"),
    ],
)
def test_what_keeps_students_from_being_registered_is_told_before_they_are_exported(
    served: tuple[str, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    changed: list[str],
    sentence: str,
) -> None:
    recipe, changes = served
    monkeypatch.setattr("distill.export.making.found", lambda *_: pytest.fail("it was exported"))
    with pytest.raises((RecipeError, StoreError), match=sentence) as error:
        export(recipe, tmp_path / "one", [*changes, *(one.format(tmp_path) for one in changed)], register=name)
    assert len(error.value.faults) == 1 and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_where_mlflow_fails_nothing_is_left_and_the_same_command_goes_on(
    served: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    (recipe, changes), told = served, mlflow.pyfunc.log_model

    def broken(**_: object) -> None:
        raise mlflow.exceptions.MlflowException("the disk of the server is full.\nDetails")

    monkeypatch.setattr(mlflow.pyfunc, "log_model", broken)
    sentence = r'"ours": could not be registered in sqlite:.*: the disk of the server is full. Nothing was left behind'
    with pytest.raises(RecipeError, match=sentence):
        export(recipe, tmp_path / "one", changes, vertical="cars", register="ours")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(mlflow.pyfunc, "log_model", told)
    export(recipe, tmp_path / "one", changes, vertical="cars", register="ours")
    said = loaded(changes[1].removeprefix("tracking.uri="), "ours").metadata.signature
    assert [one.required for one in said.inputs] == [True] * 4
