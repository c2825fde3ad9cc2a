"""Exported students as MLflow models: logged under their run, registered, loaded by MLflow without unpickling."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distill.data.streamed import from_pandas
from distill.errors import Fault, RecipeError, first_line
from distill.serving import Export
from distill.serving.manifest import CACHES
from distill.tracking.address import absolute, check, redacted, require_database
from distill.tracking.recorded import recorded

TYPES = {"Int64": "long", "Float64": "double", "String": "string", "Boolean": "boolean"}
"""Plain types, as MLflow calls them."""

CAST = ("Int64", "Boolean")
"""Kinds of single values that MLflow's server would cast, 80.5 to 80 and null to false: it lets all by, we refuse."""


AGAIN = "Nothing was left behind; the same command goes on."


class Origin(NamedTuple):
    """What a run in MLflow is of.

    Attributes:
        recipe: the recipe as it was run, as YAML.
        vertical: of the student; None where it is the run of the recipe itself.
        arm: of the student.
        seed: number of its seed.
    """

    recipe: str
    vertical: str | None
    arm: str
    seed: int


class Served:
    """What MLflow asks: a frame of raw columns in, the probability of each task out."""

    def __init__(self, student: Export) -> None:
        self.student = student

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> np.ndarray:
        """The probabilities of some rows, [rows, tasks]."""
        return self.student.score(from_pandas(model_input)).probability.numpy()


def _load_pyfunc(path: str) -> Served:
    """What MLflow calls to load a model of ours, by the name of this module in the model's own description."""
    return Served(Export(Path(path)))


def require_ready(name: str, run_ids: Sequence[str], uri: str) -> None:
    """Sees to it that students can be registered, before any is exported for that.

    Args:
        name: of the registered model.
        run_ids: MLflow's ids of the students' runs.
        uri: the tracking server or database.

    Raises:
        RecipeError: MLflow refuses the name, does not have the runs, or does not answer.
        StoreError: there is no such database.
    """
    check(uri)
    require_database(uri)
    what = f"{redacted(uri)} did not give the students' runs"
    with _asked_of_mlflow("tracking.uri", what, "Give tracking.uri=URI, where they are recorded."):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client = MlflowClient(absolute(uri))
        for run_id in run_ids:
            client.get_run(run_id)
        try:
            client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                what = f"is no name to register under: {redacted(first_line(error))}."
                raise RecipeError(Fault(f'"{name}"', what, "Give another one.")) from None


def register(export: Path, example: Any, name: str, uri: str, run_id: str) -> int:
    """Logs an exported student under its run, and registers it with where it comes from.

    Args:
        export: its folder.
        example: a few raw rows, as a Polars frame.
        name: of the registered model; made where it does not exist.
        uri: the tracking server or database.
        run_id: MLflow's id of the student's run.

    Returns:
        The number of its version.

    Raises:
        RecipeError: MLflow does not take it.
    """
    check(uri)
    with _asked_of_mlflow(f'"{name}"', f"could not be registered in {redacted(uri)}", AGAIN):
        return _registered(export, example, name, uri, run_id)


def _registered(export: Path, example: Any, name: str, uri: str, run_id: str) -> int:
    import mlflow

    mlflow.set_tracking_uri(absolute(uri))
    student = Export(export)
    lineage = student.manifest.lineage.model_dump()
    tags = {f"distill.{key}": str(value) for key, value in lineage.items() if value is not None}
    with mlflow.start_run(run_id=run_id):
        made = mlflow.pyfunc.log_model(
            name="student",
            loader_module=__name__,
            data_path=str(export),
            signature=_signature(student),
            input_example=example.to_pandas(),
            pip_requirements=["distill"],
            registered_model_name=name,
            tags=tags,
        )
    version = int(made.registered_model_version)
    client = mlflow.MlflowClient()
    for key, value in tags.items():
        client.set_model_version_tag(name, str(version), key, value)
    return version


def promote(export: Path, example: Any, name: str, alias: str, uri: str, run_id: str) -> int:
    """Gives an exported student the alias of a registered model, as the version that it may have there already.

    Args:
        export: its folder.
        example: a few raw rows, as a Polars frame.
        name: of the registered model.
        alias: of the version that serves; whoever had it loses it.
        uri: the tracking server or database.
        run_id: MLflow's id of the student's run.

    Returns:
        The number of its version.

    Raises:
        RecipeError: MLflow does not take it.
    """
    check(uri)
    with _asked_of_mlflow(f'"{name}"', f"could not get the alias {alias} in {redacted(uri)}", AGAIN):
        import mlflow

        client = mlflow.MlflowClient(absolute(uri))
        student = Export(export).manifest.lineage.student
        versions = client.search_model_versions(f"name = '{name}'")
        known = [int(one.version) for one in versions if one.tags.get("distill.student") == student]
        version = max(known) if known else _registered(export, example, name, uri, run_id)
        client.set_registered_model_alias(name, alias, str(version))
        return version


def origin(run_id: str, uri: str) -> Origin:
    """The recipe of a run, and the student that it is of.

    Raises:
        RecipeError: there is no such run, or it is none of ours.
    """
    recipe, tags = recorded(run_id, uri, "recipe.yaml")
    seed = int(tags.get("distill.seed", 0))
    return Origin(recipe, tags.get("distill.vertical"), tags.get("distill.arm", "distilled"), seed)


@contextmanager
def _asked_of_mlflow(where: str, what: str, remedy: str) -> Iterator[None]:
    """What MLflow refuses, as a fault in one sentence.

    Raises:
        RecipeError: it has refused something.
    """
    from distill.tracking.experiment import quieten

    quieten()
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise RecipeError(Fault(where, f"{what}: {redacted(first_line(error))}.", remedy)) from None


def _signature(student: Export) -> Any:
    """What goes in and what comes out; columns of times are left to whoever sends them.

    A vector of the teacher is optional, since it may be null; and where there is a cache of it, so are users, since
    rows come with the one or with the other.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType, Array

    read = student.manifest.preprocessing.columns
    users = {cache.column: cache.kind for cache in student.caches.values() if cache.column not in read}
    inputs = []
    for column, kind in (read | users).items():
        plain = TYPES.get(kind.removeprefix("List(").removesuffix(")"))
        if plain is not None:
            listed = Array(plain) if kind.startswith("List(") else plain
            given = AnyType() if kind in CAST else listed
            inputs.append(ColSpec(given, column, required=column not in CACHES and column not in users))
    outputs = TensorSpec(np.dtype(np.float32), (-1, len(student.tasks)))
    return ModelSignature(Schema(inputs), Schema([outputs]))
