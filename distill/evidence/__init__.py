"""How sure we are that a student beats its twin: a paired bootstrap over users, and the verdict that it allows.

A verdict is about *this* trained student against *its* control on rows like the test rows. The users (the rows, where
there is no user) are what would be different another time, so they are what is resampled; days and seeds are not.
A claim about a method needs several seeds.

Error rate. At level 0.95 a pair without a true gain is called `helped` in at most 4 of 100 cases, and `hurt` in at most
4 of 100 (2.5 is the aim, `tests/distill/evidence/test_pairs.py` the check). Measured on simulated pairs of equal true
NE, with 45 to 150 expected positives, base rates of 1 to 30 % and errors that are symmetric, heavy-tailed, biased or
shrunk: 2.1 on average, 3.6 at worst. On real students of five news verticals whose gain was taken away, with 40 to 400
users who click: 0.9 to 3.1. Not covered: one arm alone with rare and large mistakes. Where it is 3 log-odds off on one
row in fifty, 45 positives mostly hold no such row, and the rate is 8 to 11; no interval can see what the rows do not
show.

The interval. A percentile interval misses skewed gains on one side and a symmetric one misses them on the other, so
each bound is the wider of two: the percentile bound, expanded for few clusters, and Fieller's with the bootstrap's
covariance. Tried and left out, for their worst rates on pairs of these kinds: percentile alone (4.4), normal (4.8),
basic (5.9), BCa (5.6) and studentised (4.8). Sources: What Teachers Should Know About the Bootstrap, Hesterberg, 2015
(expanded percentile); Some Problems in Interval Estimation, Fieller, 1954; An Introduction to the Bootstrap, Efron and
Tibshirani, 1993 (the others).
"""

from distill.evidence.estimates import NOTHING, Estimate, detectable, gap_closed, ne_gain, p_value
from distill.evidence.methods import (
    Claim,
    by_seed,
    kept,
    mean,
    method_difference,
    method_gain,
    taken_up,
    times_plain,
    transfer_ratio,
)
from distill.evidence.resampling import Sums, level_out, paired, poisson_weights, pool
from distill.evidence.verdicts import Verdict, discoveries, rows_wanted, verdict

__all__ = [
    "NOTHING",
    "Claim",
    "Estimate",
    "Sums",
    "Verdict",
    "by_seed",
    "detectable",
    "discoveries",
    "gap_closed",
    "kept",
    "level_out",
    "mean",
    "method_difference",
    "method_gain",
    "ne_gain",
    "p_value",
    "paired",
    "poisson_weights",
    "pool",
    "rows_wanted",
    "taken_up",
    "times_plain",
    "transfer_ratio",
    "verdict",
]
