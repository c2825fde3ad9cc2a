"""What a person sees: MLflow's pages on our runs, in a real browser."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill.tracking import RunRecord, Tracker
from tests.browser import CHROMIUM, Page, browser
from tests.distill.tracking.test_server import SERVE, port

__all__ = ["port"]

REPORT = "<!doctype html><title>r</title><h1 id='top'>All of it</h1>"
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="3"/></svg>'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.ui,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


def student(number: int, arm: str) -> RunRecord:
    vertical = f"vertical_{number:02d}"
    tags = {"distill.role": "student", "distill.vertical": vertical, "distill.arm": arm, "distill.seed": "0"}
    return RunRecord(
        key=f"{vertical}-{arm}",
        parent="sweep",
        name=f"{vertical}/{arm}/0",
        tags={**tags, "distill.verdict": "helped" if number > 6 else "undecided"},
        params={"logit_weight": 0.5, "rows_train": 100 * number, "passes": 3},
        metrics={
            "ne_gain": 0.001 * number,
            "ne": 0.9,
            "ne_gain_percent": 0.1 * number,
            "ne_teacher": 0.8,
            "positives_test": 40.0 + number,
        },
        curves={"valid/ne": [(1, 0.99), (2, 0.95)], "train/loss": [(1, 0.5), (2, 0.4)]},
        taught_by=("teacher",) if arm == "distilled" else (),
        note="**helped.**",
    )


@pytest.fixture
def link(store, port: int) -> Iterator[str]:
    """The link that the server prints, on a parent with twelve students and their twins."""
    with Tracker(store.uri, store.experiment, store.folder) as tracker:
        artifacts = {"report.html": REPORT, "figures/verdicts.svg": DRAWING}
        note = "## The leaderboard\n\n| vertical | gain |\n|---|---|\n| cars | 0.01 |\n"
        tracker.record(RunRecord("sweep", None, "quickstart", artifacts=artifacts, datasets={"d": "ab12"}, note=note))
        tracker.record(RunRecord("teacher", None, "teacher/GEM", {"distill.role": "teacher"}, model="teacher-GEM"))
        for number in range(12):
            for arm in ("distilled", "control"):
                tracker.record(student(number, arm))
    command = [sys.executable, "-c", SERVE, store.uri, str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        server.stdout.readline()
        yield server.stdout.readline().partition(": ")[2].strip()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with browser(tmp_path / "profile") as page:
        yield page


def test_what_a_person_sees(store, link: str, page: Page) -> None:
    """Run table, charts, compare view, a student's teacher, and the parent's artifacts; one browser for all of them."""
    page.open(link, width=1900)
    page.wait("document.body.innerText.includes('vertical_11/distilled/0')", seconds=120)
    seen = page.evaluate("document.body.innerText")
    order = [seen.index(f"vertical_{number:02d}/distilled/0") for number in range(11, 6, -1)]
    assert order == sorted(order), "the greatest gain comes first"
    assert "/control/0" not in seen
    for column in ("distill.verdict", "ne_teacher"):
        page.wait(f"document.body.innerText.includes('{column}')", seconds=120)

    page.open(link.replace("=TABLE", "=CHART"), width=1900, height=1600)
    for section in ("Gains (4)", "Learning (2)"):  # a name and its count stand in boxes of their own
        page.wait(f"document.body.innerText.replace(/\\s+/g, ' ').includes('{section}')", seconds=120)

    ids = {name: run.info.run_id for name, run in store.runs().items()}
    three = ",".join(f"%22{ids[f'vertical_{number:02d}/distilled/0']}%22" for number in (7, 8, 9))
    address, experiment = link.partition("/#/")[0], store.found.experiment_id
    compared = f"{address}/#/compare-runs?runs=[{three}]&experiments=[%22{experiment}%22]"
    page.open(f"{compared}&workflowType=machine_learning", height=2600)
    page.wait("document.body.innerText.includes('Comparing 3 Runs')", seconds=120)
    for seen in ("rows_train", "ne_gain_percent", "vertical_09/distilled/0"):
        page.wait(f"document.body.innerText.includes('{seen}')")
    axes = "[...document.querySelectorAll('.js-plotly-plot .axis-title')].map(axis => axis.textContent).join(' and ')"
    assert page.wait(axes, seconds=120) == "rows_train and ne_gain", "the one setting that differs, the first metric"
    lines = "document.querySelectorAll('.js-plotly-plot .parcoords-lines, .js-plotly-plot canvas').length"
    assert page.evaluate(lines) > 0

    runs = link.partition("?")[0]
    page.open(f"{runs}/{ids['vertical_09/distilled/0']}?workflowType=machine_learning", height=1600)
    page.wait("document.body.innerText.includes('helped.') && document.body.innerText.includes('teacher-GEM')")
    run = f"{runs}/{ids['quickstart']}"
    page.open(f"{run}?workflowType=machine_learning")
    page.wait("document.body.innerText.includes('The leaderboard') && document.body.innerText.includes('ab12')")
    page.open(f"{run}/artifacts/report.html?workflowType=machine_learning")
    page.wait("!!document.querySelector('iframe') && document.body.innerText.includes('figures')")
