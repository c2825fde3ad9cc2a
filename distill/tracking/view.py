"""The view of an experiment that opens first: distilled students, what they gained, best first."""

import json

VIEW_KEY = "distill-students"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
"""Where MLflow's UI keeps a shared view. Its format is MLflow's own affair (seen in 3.17); a UI that does not know it
shows the runs in its own way."""

_TAGS = {"distill.vertical": 120, "distill.arm": 90, "distill.verdict": 100}
_METRICS = {
    "ne_gain": 90,
    "ne_gain_low": 95,
    "ne_gain_high": 100,
    "ne": 80,
    "ne_control": 90,
    "ne_teacher": 90,
    "auc": 80,
    "calibration": 90,
}
"""Column -> its width in pixels, in the order in which they stand."""

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
    widths = {f"tags.`{tag}`": width for tag, width in _TAGS.items()}
    widths |= {f"metrics.`{metric}`": width for metric, width in _METRICS.items()}
    return {
        "searchFilter": "tags.`distill.role` = 'student' AND tags.`distill.arm` = 'distilled'",
        "orderByKey": "metrics.`ne_gain`",
        "orderByAsc": False,
        "selectedColumns": list(widths),
        "columnOrder": list(widths),
        "columnWidths": widths,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "runsHiddenMode": "SHOWALL",
    }
