"""Slurm: a sweep as an array of jobs, each of which trains a share of its cohorts, and one that puts all together."""

import shlex
from collections.abc import Sequence
from pathlib import Path

SCRIPT = """#!/bin/bash
# Submit with: bash FILE. The store must be a folder that all nodes share; MLflow is written by the last job alone.
set -euo pipefail
export OMP_NUM_THREADS=1
if [ -n "${{SLURM_ARRAY_TASK_ID:-}}" ]; then
  exec {command} --share "$SLURM_ARRAY_TASK_ID/{tasks}"
fi
first=$(sbatch --parsable --job-name={name} --array=0-{last} --ntasks=1 --cpus-per-task=1 --requeue "$0")
sbatch --job-name={name}-table --dependency=afterany:"$first" --ntasks=1 --wrap {together}
"""
"""A share that dies is requeued; whatever is still missing at the end is trained by the job that makes the table."""


def script(name: str, sweep: Path, overrides: Sequence[str], tasks: int) -> str:
    """What `distill sweep --print-slurm` prints.

    Args:
        name: of the sweep.
        sweep: its file.
        overrides: `key=value`, as on the command line.
        tasks: jobs of the array.
    """
    command = shlex.join(["distill", "sweep", str(sweep), *overrides])
    return SCRIPT.format(name=name, command=command, tasks=tasks, last=tasks - 1, together=shlex.quote(command))
