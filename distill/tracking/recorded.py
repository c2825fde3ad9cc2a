"""Recorded: what a run wrote beside its numbers, read back from MLflow by the run's id."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill.errors import Fault, RecipeError, first_line
from distill.tracking.address import absolute, check, redacted

RUN_ID = re.compile(r"[0-9a-f]{32}")


def recorded(run_id: str, uri: str, artifact: str) -> tuple[str, Mapping[str, str]]:
    """An artifact of a recipe's run, and the tags of the run that was named: that one, or one of its students.

    Raises:
        RecipeError: there is no such run, or it is none of ours.
    """
    check(uri)
    from distill.tracking.experiment import quieten

    quieten()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(absolute(uri))
        tags = client.get_run(run_id).data.tags
        with tempfile.TemporaryDirectory() as folder:
            path = client.download_artifacts(tags.get("mlflow.parentRunId", run_id), artifact, folder)
            return Path(path).read_text(encoding="utf-8"), tags
    except (MlflowException, OSError) as error:
        what = f"is no run of ours in {redacted(uri)}: {redacted(first_line(error))}."
        raise RecipeError(Fault(run_id, what, "Give tracking.uri=URI, or a recipe.")) from None


def leaderboard(run_id: str, uri: str) -> dict[str, Any]:
    """The leaderboard of a run, or of the run that a student belongs to.

    Raises:
        RecipeError: there is no such run, or it has no leaderboard.
    """
    return json.loads(recorded(run_id, uri, "leaderboard.json")[0])
