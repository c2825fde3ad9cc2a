"""The sweep: many recipes from one small file, whose students train as one pool and are compared in one table."""

from distill.sweep.loading import is_sweep, load
from distill.sweep.planning import plan
from distill.sweep.points import Point, Sweep
from distill.sweep.running import compare, run, train_share
from distill.sweep.slurm import script

__all__ = ["Point", "Sweep", "compare", "is_sweep", "load", "plan", "run", "script", "train_share"]
