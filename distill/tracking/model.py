"""Exported students as MLflow models: logged under their run, registered, loaded by MLflow without unpickling."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distill.data.streamed import from_pandas
from distill.serving import Export
from distill.tracking.address import absolute, check
from distill.tracking.recorded import recorded

TYPES = {"Int64": "long", "Float64": "double", "String": "string", "Boolean": "boolean"}
"""Plain types, as MLflow calls them."""

CAST = ("Int64", "Boolean")
"""Kinds of single values that MLflow's server would cast, 80.5 to 80 and null to false: it lets all by, we refuse."""


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
    """
    check(uri)
    import mlflow

    mlflow.set_tracking_uri(absolute(uri))
    manifest = Export(export).manifest
    tags = {f"distill.{key}": str(value) for key, value in manifest.lineage.model_dump().items() if value is not None}
    with mlflow.start_run(run_id=run_id):
        made = mlflow.pyfunc.log_model(
            name="student",
            loader_module=__name__,
            data_path=str(export),
            signature=_signature(manifest),
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
    """
    check(uri)
    import mlflow

    client = mlflow.MlflowClient(absolute(uri))
    student = Export(export).manifest.lineage.student
    versions = client.search_model_versions(f"name = '{name}'")
    known = [int(one.version) for one in versions if one.tags.get("distill.student") == student]
    version = max(known) if known else register(export, example, name, uri, run_id)
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


def _signature(manifest: Any) -> Any:
    """What goes in and what comes out; columns of times are left to whoever sends them."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType, Array

    inputs = []
    for column, kind in manifest.preprocessing.columns.items():
        plain = TYPES.get(kind.removeprefix("List(").removesuffix(")"))
        if plain is not None:
            listed = Array(plain) if kind.startswith("List(") else plain
            inputs.append(ColSpec(AnyType() if kind in CAST else listed, column))
    outputs = TensorSpec(np.dtype(np.float32), (-1, len(manifest.features.tasks)))
    return ModelSignature(Schema(inputs), Schema([outputs]))
