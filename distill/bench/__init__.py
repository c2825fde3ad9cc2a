"""Bench: how fast this toolkit is, as ratios to other ways of doing the same work, measured in one run.

Each name below is a module (`fleet-vs-loop` is `fleet_vs_loop`) whose `measure` yields figures.
"""

BENCHES = {
    "fleet-vs-loop": "our training against the best loop over single students",
    "fleet-vs-limit": "our training against the sum of its own primitives, each timed alone",
    "fleet-vs-lightning": "a run of 100 students against a Lightning Trainer for each of them, whole processes",
    "fleet-vs-peers": "our training against other toolkits, per further student",
    "loader": "gathering whole batches against a DataLoader that collates rows",
    "sequence": "sequence towers in buckets of like length against padded ones, and what a longer history costs",
    "sweep": "a sweep as one against a process for each of its students",
    "knowledge": "a stored teacher against one that scores every batch again",
    "tracking": "one batch a run against one call a number, in MLflow",
    "start": "from the command to the first step of training",
    "serve": "exported students: latency, throughput, size, cold start and memory",
    "zoo": "every student of the package: parameters, and latency of one impression and of 100 candidates",
    "evidence": "how often intervals hold the truth and verdicts are wrong, where the truth is known",
    "scaling": "time and memory against the number of members",
}
"""Name -> what it compares."""
