"""The verbs of a sweep."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from distill.cli import main

RECIPE = """
name: tiny
data:
  world: {verticals: 2, domains: 2, users: 40, items: 20, rows: 600, days: 6}
  time: time
  user: user_id
  split: {by: column, column: split}
  features: {item_id: categorical, hour: categorical}
teacher:
  model: {class: teachers.AttentiveCross, embedding: 4, hidden: [4], heads: 1}
  train: {batch: 128}
students:
  model: {class: students.DNN, embedding: 2, hidden: [4]}
  train: {epochs: 1, batch: 64, least_steps: 2}
evidence: {resamples: 100}
tracking: {uri: null}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "sweep.yaml").write_text("base: tiny.yaml\ngrid: {students.train.learning_rate: [1.0e-3, 1.0e+30]}\n")
    return folder


class Said(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: Path) -> Callable[..., Said]:
    """Runs `distill ARGUMENTS` in the folder."""
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["distill", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        return Said(ended.value.code or 0, *capfd.readouterr())

    return run


def test_a_sweep_with_failures_ends_with_1_and_says_whose_they_are(call: Callable[..., Said]) -> None:
    """All students of an absurd learning rate, by cause; the others are good, and compare shows the same."""
    said = call("sweep", "sweep.yaml", "--json", "-")
    table = json.loads(said.out)
    assert said.code == 1
    (failure,) = table["failures"]
    assert failure["members"] == 4 and "finite" in failure["cause"]
    assert failure["verticals"] == ["vertical_0", "vertical_1"]
    assert failure["points"] == ["learning_rate=1e+30"] and "--retry-failed" in failure["remedy"]
    assert "Warning" not in said.err
    assert [point["failed"] for point in table["points"]] == [0, 4]
    assert json.loads(call("compare", "sweep.yaml", "--json", "-").out) == table
    shown = call("compare", "sweep.yaml").out
    assert re.search(r"finite +4 +learning_rate=1e\+30 +vertical_0, vertical_1", shown)
    assert shown.count("--retry-failed trains them again") == 1
    again = call("sweep", "sweep.yaml", "--retry-failed", "--json", "-")
    assert "4 students that failed are trained again" in again.err
    assert json.loads(again.out)["failures"] == table["failures"]


def test_slurm_is_a_script_that_bash_reads(call: Callable[..., Said]) -> None:
    """Nothing is trained for it."""
    said = call("sweep", "sweep.yaml", "seed=3", "--print-slurm", "--tasks", "5")
    assert said.code == 0
    assert "--array=0-4" in said.out and 'distill sweep sweep.yaml seed=3 --share "$SLURM_ARRAY_TASK_ID/5"' in said.out
    checked = subprocess.run(["bash", "-n"], input=said.out, text=True, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


SBATCH = """#!/bin/bash
# Runs at once, one after another, what Slurm would run somewhere; says the number of the job.
echo "$*" >> submitted
for word in "$@"; do
  case "$word" in
    --array=0-*) last=${word#--array=0-} ;;
    --wrap) wrap=yes ;;
    *) final=$word ;;
  esac
done
if [ -n "${wrap:-}" ]; then bash -c "$final" >&2; exit; fi
for task in $(seq 0 "$last"); do SLURM_ARRAY_TASK_ID=$task bash "$final" >&2; done
echo 42
"""


def test_slurm_runs_every_share_and_then_the_table(call: Callable[..., Said], tmp_path: Path) -> None:
    """With a queue that runs everything here, and a command that only says how it was called."""
    (tmp_path / "sbatch").write_text(SBATCH)
    (tmp_path / "distill").write_text('#!/bin/bash\necho "$OMP_NUM_THREADS: $*" >> called\n')
    for program in ("sbatch", "distill"):
        (tmp_path / program).chmod(0o755)
    (tmp_path / "job.sh").write_text(call("sweep", "sweep.yaml", "seed=3", "--print-slurm", "--tasks", "3").out)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OMP_NUM_THREADS": "7"}
    done = subprocess.run(
        ["bash", "job.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    array, last = (tmp_path / "submitted").read_text().splitlines()
    assert "--array=0-2" in array and "--requeue" in array and "--dependency=afterany:42" in last
    shares = [f"1: sweep sweep.yaml seed=3 --share {number}/3" for number in range(3)]
    assert (tmp_path / "called").read_text().splitlines() == [*shares, "1: sweep sweep.yaml seed=3"]


def test_a_plan_is_as_long_as_a_screen_and_says_what_it_leaves_out(
    call: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON has all of it, in bytes."""
    table = {
        "points": [{"point": f"seed={number}", "members": 4} for number in range(1023)],
        "cohorts": [{"members": 4092, "bytes": 3 << 19, "memory": 5 << 29}],
        "bytes": 3 << 19,
        "memory": 5 << 29,
        "seconds": 12.3456,
    }
    monkeypatch.setattr("distill.sweep.planning.plan", lambda sweep: table)
    shown = call("plan", "sweep.yaml").out
    assert "seed=19" in shown and "seed=20" not in shown and "... and 1,003 more points" in shown
    assert re.search(r"4,092 +1\.5 MiB +2\.5 GiB", shown) and "bytes: 1.5 MiB\nmemory: 2.5 GiB\n" in shown
    assert "seconds: 12.35 to train the students; the teacher and validation are not counted" in shown
    assert json.loads(call("plan", "sweep.yaml", "--json", "-").out) == table


def test_sync_with_nothing_to_send_says_no_more(call: Callable[..., Said]) -> None:
    """An error there is none."""
    assert call("sync", "sweep.yaml").out == "sent: 0\nwaiting: 0\n"


def test_what_does_not_exist_is_answered(call: Callable[..., Said]) -> None:
    """Engines and shares."""
    assert 'Did you mean "ray"' in call("sweep", "sweep.yaml", "--engine", "rya").err
    said = call("sweep", "sweep.yaml", "--share", "8/8")
    assert said.code == 2 and "is no share" in said.err
