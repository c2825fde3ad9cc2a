"""The view of an experiment that opens first: distilled students, what they gained, best first."""

import json
from collections.abc import Iterator

VIEW_KEY = "distill-students"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
"""Where MLflow's UI keeps a shared view. Its format is MLflow's own affair (seen in 3.17); a UI that does not know it
shows the runs in its own way."""

_TAGS = {"distill.verdict": 100}
_METRICS = {
    "ne_gain": 90,
    "ne_gain_low": 95,
    "ne_gain_high": 100,
    "ne": 80,
    "ne_control": 90,
    "ne_teacher": 90,
    "gap_closed": 100,
    "auc": 80,
    "gauc": 80,
    "calibration": 90,
    "positives_test": 110,
}
"""Column -> its width in pixels, in the order in which they stand. Vertical and seed are in the names of runs: gain and
interval should be seen beside the assistant that MLflow opens on the right."""

_PARAMS = ["logit_weight", "rows_train", "passes"]
"""Settings of the parallel coordinates; more of them would lie over each other."""

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
        "compareRunSections": [_section("gains", "Gains"), _section("learning", "Learning")],
        "compareRunCharts": list(_charts()),
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _section(name: str, title: str) -> dict[str, object]:
    """Two charts a row: in three, the axes of the parallel coordinates lie over each other."""
    shown = {"uuid": name, "name": title, "display": True, "isReordered": False, "columns": 2}
    return shown | {"deleted": False, "isGenerated": False}


def _charts() -> Iterator[dict[str, object]]:
    """What a bar of AUC from 0 does not show: numbers whose zero means something, and one against the other."""
    yield _chart(
        "gains", "SCATTER", "Gain against clicks", {"xaxis": _axis("positives_test"), "yaxis": _axis("ne_gain")}
    )
    yield _chart("gains", "SCATTER", "Student against teacher", {"xaxis": _axis("ne_teacher"), "yaxis": _axis("ne")})
    gain = {"metricKey": "ne_gain_percent", "dataAccessKey": None}  # MLflow writes two digits on a bar
    yield _chart("gains", "BAR", "Gain in NE over the control", gain)
    chosen = {"selectedParams": _PARAMS, "selectedMetrics": ["ne_gain", "ne"], "showAllRuns": True}
    yield _chart("gains", "PARALLEL", "Settings and gain", chosen)
    for metric, title in (("valid/ne", "Validation NE by pass"), ("train/loss", "Training loss by pass")):
        curve = {"metricKey": metric, "selectedMetricKeys": [metric], "xAxisKey": "step", "lineSmoothness": 0}
        yield _chart("learning", "LINE", title, curve)


def _chart(section: str, kind: str, title: str, more: dict[str, object]) -> dict[str, object]:
    place = {"uuid": f"{section}-{title}".lower().replace(" ", "-"), "type": kind, "metricSectionId": section}
    shown = {"runsCountToCompare": 100, "deleted": False, "isGenerated": False, "displayName": title}
    return place | shown | more


def _axis(metric: str) -> dict[str, str]:
    return {"key": metric, "type": "METRIC"}
