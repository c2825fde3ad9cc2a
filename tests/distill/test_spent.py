"""Where time goes: every second is of one kind, over restarts too."""

import os
import subprocess
import sys
import time

from distill.spent import KINDS, Spent, age, effective


class Clock:
    """Seconds that the test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_parts_add_up_to_the_whole() -> None:
    clock = Clock()
    spent = Spent(clock=clock)
    for seconds, kind in [(1, "data"), (2, "training"), (4, "data"), (8, "checkpoint")]:
        clock.now += seconds
        spent.turn(kind)
    with spent.on("evaluation"):
        clock.now += 16
    clock.now += 32
    facts = spent.facts()
    assert {kind: facts[kind] for kind in KINDS} == {
        "start": 1,
        "data": 2 + 8,
        "training": 4,
        "compile": 0,
        "evaluation": 16,
        "checkpoint": 32,
    }
    assert effective(spent.seconds) == 4 / 63


def test_no_time_has_no_share() -> None:
    assert effective(dict.fromkeys(KINDS, 0.0)) is None


def test_a_restart_adds_to_what_went_before_and_keeps_its_own_latency() -> None:
    clock = Clock()
    first = Spent(clock=clock)
    clock.now += 3
    first.stepped()
    before = first.facts()
    again = Spent(before, clock)
    clock.now += 2
    again.stepped()
    facts = again.facts()
    assert facts["start"] == 5
    assert facts["first_step"] == before["first_step"] and before["restart"] is None
    assert facts["restart"] >= facts["first_step"]


def test_a_process_knows_its_age() -> None:
    """Of which the interpreter's own start is a part."""
    code = "import time; time.sleep(0.3); from distill.spent import age; print(age())"
    begun = time.monotonic()
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert 0.29 < float(told.stdout) < time.monotonic() - begun + 0.05
    assert age() > 0
