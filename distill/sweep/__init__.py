"""The sweep: many recipes from one small file, whose students train as one pool and are compared in one table.

Here is what reading a sweep and its table takes; `running` and `planning` import all that training takes.
"""

from distill.sweep.latest import compare
from distill.sweep.loading import is_sweep, load
from distill.sweep.points import Point, Sweep
from distill.sweep.slurm import script

__all__ = ["Point", "Sweep", "compare", "is_sweep", "load", "script"]
