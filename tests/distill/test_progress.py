import io
import subprocess
import sys

import pytest

from distill.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_at_the_start_now_and_then_and_at_the_end() -> None:
    out, clock = io.StringIO(), Clock()
    progress = Progress(out, clock)
    with progress.stage("teacher", total=4000) as bar:
        for second in range(1, 26):
            clock.now = second
            bar.advance(160, f"NE {1 - second / 100:.3f}")
    assert out.getvalue().splitlines() == [
        "teacher: 4,000 rows",
        "teacher: 1,600 of 4,000 rows, NE 0.900, 10 s",
        "teacher: 3,200 of 4,000 rows, NE 0.800, 20 s",
        "teacher: done in 25.0 s, NE 0.750",
    ]


def test_a_stage_without_a_known_end() -> None:
    out, clock = io.StringIO(), Clock()
    with Progress(out, clock).stage("read") as bar:
        clock.now = 11
        bar.advance(7)
    assert out.getvalue().splitlines() == ["read", "read: 7 rows, 11 s", "read: done in 11.0 s"]


def test_seconds_add_up_by_name_and_stages_nest() -> None:
    clock = Clock()
    progress = Progress(io.StringIO(), clock)
    with progress.stage("students"):
        for _ in range(2):
            with progress.stage("cohort"):
                clock.now += 3
        clock.now += 1
    assert progress.seconds == {"cohort": 6.0, "students": 7.0}


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()])
def test_a_stage_that_fails_is_not_said_to_be_done(out: io.StringIO) -> None:
    clock = Clock()
    progress = Progress(out, clock)
    with pytest.raises(ValueError, match="no"), progress.stage("teacher", total=2):
        clock.now = 2
        raise ValueError("no")
    assert progress.seconds == {"teacher": 2.0}
    assert "done" not in out.getvalue()
    progress.note("after")
    assert out.getvalue().endswith("after\n")


def test_a_terminal_gets_bars_and_notes_between_them() -> None:
    out = Terminal()
    progress = Progress(out)
    with progress.stage("students", total=3) as bar:
        bar.advance(1, "NE 0.9")
        progress.note("cohort [1] begins")
        with progress.stage("cohort") as inner:
            inner.advance(5)
        bar.advance(2, "NE 0.8")
    drawn = out.getvalue()
    assert "cohort [1] begins" in drawn
    assert "3/3" in drawn
    assert "5/5" in drawn
    assert "NE 0.8" in drawn


def test_rich_is_only_imported_for_a_terminal() -> None:
    code = "import sys; from distill.progress import Progress; Progress().note('x'); assert 'rich' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
