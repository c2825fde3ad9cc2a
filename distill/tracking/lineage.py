"""Lineage: models that runs have made and other runs learned from, as MLflow links them to and fro."""

from collections.abc import Mapping, Sequence
from typing import Any


class Lineage:
    """The models of one experiment. Every call may raise what MLflow raises.

    Args:
        client: MLflow's.
        experiment_id: whose runs they are.
    """

    def __init__(self, client: Any, experiment_id: str) -> None:
        self._client, self._experiment_id = client, experiment_id
        self._models: dict[str, str] = {}

    def make(self, name: str, run_id: str, tags: Mapping[str, str]) -> None:
        """Lists a model under the run that made it; where that is done already, nothing happens."""
        from mlflow.entities import LoggedModelOutput

        if self._made_by(run_id):
            return
        role = tags.get("distill.role", "")
        model = self._client.create_logged_model(self._experiment_id, name, run_id, dict(tags), model_type=role)
        self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
        self._client.finalize_logged_model(model.model_id, "READY")
        self._models[run_id] = model.model_id

    def link(self, run_id: str, teachers: Sequence[str], fresh: bool) -> None:
        """Says from whose models a run has learned.

        Args:
            run_id: the run.
            teachers: runs that made them; one without a model is left out.
            fresh: whether the run was created just now, so that nothing is linked to it yet.
        """
        from mlflow.entities import LoggedModelInput

        models = [model for one in teachers if (model := self._made_by(one))]
        if models and not fresh:
            known = {one.model_id for one in self._client.get_run(run_id).inputs.model_inputs}
            models = [model for model in models if model not in known]
        if models:
            self._client.log_inputs(run_id, models=[LoggedModelInput(model) for model in models])

    def _made_by(self, run_id: str) -> str | None:
        """The model that a run has made."""
        if run_id not in self._models:
            found = self._client.search_logged_models(
                [self._experiment_id], f"source_run_id = '{run_id}'", max_results=1
            )
            if not found:
                return None
            self._models[run_id] = found[0].model_id
        return self._models[run_id]
