"""The view of an experiment that opens first: distilled students, what they gained, best first."""

import json

VIEW_KEY = "distill-students"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
"""Where MLflow's UI keeps a shared view. Its format is MLflow's own affair (seen in 3.17); a UI that does not know it
shows the runs in its own way."""

_METRICS = ("ne_gain", "ne_gain_low", "ne_gain_high", "ne", "ne_control", "ne_teacher", "auc", "calibration")
_TAGS = ("distill.vertical", "distill.arm", "distill.verdict")
_MADE = 1767225600000
"""2026-01-01 in milliseconds; a constant, so that an unchanged view is not written again."""


def view() -> str:
    """The saved view, as the value of the tag `VIEW_TAG`."""
    return json.dumps({"name": "Students", "createdAt": _MADE, "updatedAt": _MADE, "state": json.dumps(_state())})


def link(address: str, experiment_id: str) -> str:
    """The address in MLflow's UI that opens the view, in the mode for models rather than for prompts."""
    return (
        f"{address}/#/experiments/{experiment_id}/runs"
        f"?workflowType=machine_learning&viewStateShareKey={VIEW_KEY}&compareRunsMode=TABLE"
    )


def _state() -> dict[str, object]:
    columns = [f"tags.`{tag}`" for tag in _TAGS] + [f"metrics.`{metric}`" for metric in _METRICS]
    return {
        "searchFilter": "tags.`distill.role` = 'student' AND tags.`distill.arm` = 'distilled'",
        "orderByKey": "metrics.`ne_gain`",
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": [],
        "columnWidths": {},
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "runsHiddenMode": "SHOWALL",
    }
