"""The benchmark: figures are right for given timings, both sides do the same work, and every name runs."""

import json
import sys
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from distill.bench import (
    BENCHES,
    first_step,
    fleet_vs_lightning,
    fleet_vs_limit,
    fleet_vs_loop,
    fleet_vs_peers,
    knowledge,
    loader,
    running,
    scaling,
    sequence,
    sweep,
    tracking,
)
from distill.bench.figure import Figure
from distill.bench.impressions import SMALL, Shape
from distill.bench.job import Job, job, train_together
from distill.bench.loop import plain, train_one, train_singly
from distill.bench.primitives import primitives
from distill.bench.rounds import Scale, in_turn
from distill.bench.rows import Rows, rows_of
from distill.bench.sizes import multiplications, products
from distill.cli import main
from distill.data.impressions import TRAIN
from distill.errors import RecipeError
from distill.fingerprint import fingerprint
from distill.layers.sequence import SequenceTower
from distill.member import Member
from distill.progress import Progress
from distill.types import Features

TINY = Scale(0.01, rounds=1)
SHAPE = Shape(fields=3, ids=10, numeric=2, embedding=4, hidden=(8, 6))
PROCESSES = ("start", "fleet-vs-lightning", "scaling", "sweep")
"""Benchmarks that start whole processes, of which each imports everything anew."""
LONG = (*PROCESSES, "zoo", "tracking", "knowledge", "serve", "fleet-vs-loop", "fleet-vs-peers")
"""Benchmarks that take more than a few seconds however little they do."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return job("students.DeepFM", SHAPE, batch=16, members=3, rows=64, folder=tmp_path_factory.mktemp("small"))


class TestFigure:
    def test_is_the_median_with_its_range(self) -> None:
        row = Figure("speed", [3.0, 9.0, 1.0, 4.0, 2.0], target=3).row()
        assert row == {
            "name": "speed",
            "value": 3.0,
            "low": 1.0,
            "high": 9.0,
            "target": 3,
            "bound": "at least",
            "unit": "x",
            "short": False,
            "reason": None,
        }

    @pytest.mark.parametrize(
        ("value", "bound", "short"),
        [(2.9, "at least", True), (3.1, "at least", False), (2.9, "at most", False), (3.1, "at most", True)],
    )
    def test_is_short_on_one_side_of_its_target(self, value: float, bound: str, short: bool) -> None:
        assert Figure("speed", [value], target=3, bound=bound).short is short

    def test_what_was_not_measured_is_neither_short_nor_reached(self) -> None:
        row = Figure("speed", [], target=3, reason="not installed").row()
        assert (row["value"], row["low"], row["high"], row["short"]) == (None, None, None, None)
        assert row["reason"] == "not installed"
        assert Figure("speed", [1.0]).short is None


class TestRounds:
    def test_works_are_timed_in_turn_by_the_clock(self) -> None:
        """A takes 2, B takes 5; the round that warms up is not counted."""
        now, calls = 0.0, []

        def work(name: str, seconds: float) -> None:
            nonlocal now
            now += seconds + 100 * (len(calls) < 2)
            calls.append(name)

        works = partial(work, "A", 2), partial(work, "B", 5)
        assert in_turn(Scale(rounds=3), *works, clock=lambda: now) == [[2, 2, 2], [5, 5, 5]]
        assert "".join(calls) == "ABABABAB"

    def test_a_cold_start_is_counted(self) -> None:
        calls = []
        in_turn(Scale(rounds=2), lambda: calls.append(1), warm=False)
        assert len(calls) == 2


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a benchmark measure what it is told to."""

    def told(bench: object, *seconds: list[float]) -> None:
        monkeypatch.setattr(bench, "in_turn", lambda *ignored, **named: [list(each) for each in seconds])

    return told


def figures(bench: object, scale: Scale = TINY) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in bench.measure(scale)}


class TestFiguresOfGivenTimings:
    """Ours first, theirs after it; who takes longer gets the larger ratio."""

    def test_fleet_vs_loop(self, given: Callable[..., None]) -> None:
        given(fleet_vs_loop, [1, 2, 1], [3, 4, 5])
        assert set(figures(fleet_vs_loop).values()) == {3}

    def test_fleet_vs_limit(self, given: Callable[..., None]) -> None:
        """Five primitives of 1, 2, 3, 1 and 1 seconds in 10 of training, and a product of a quarter of a second."""
        given(fleet_vs_limit, [10], [0.25], [1], [2], [3], [1], [1])
        found = figures(fleet_vs_limit)
        assert found["fleet-vs-limit/deepfm-1024"] == pytest.approx(0.8)
        assert found["fleet-vs-limit/deepfm-1024/products"] == pytest.approx(0.3)
        inputs = 12 * 8 + 3
        per_row = 3 * (3 + inputs * 64 + 64 * 32 + 32)
        rows, side = 2 * 205, 20
        assert found["fleet-vs-limit/deepfm-1024/gemm-peak"] == pytest.approx(rows * per_row / 10 / (side**3 / 0.25))

    def test_fleet_vs_peers(self, given: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
        """Ours trained two members in the time of one of theirs."""

        def missing(*ignored: object) -> None:
            raise ImportError("No module named 'absent'")

        there = fleet_vs_peers.Peer("there", lambda *ignored: lambda: None, target=6)
        monkeypatch.setattr(fleet_vs_peers, "PEERS", (there, fleet_vs_peers.Peer("absent", missing, target=6)))
        given(fleet_vs_peers, [4], [10])
        found, lost = fleet_vs_peers.measure(TINY)
        assert found.value == 5
        assert (lost.value, lost.short, lost.reason) == (None, None, "cannot be imported: No module named 'absent'")

    def test_fleet_vs_lightning(self, given: Callable[..., None]) -> None:
        given(fleet_vs_lightning, [2], [30])
        assert figures(fleet_vs_lightning) == {
            "fleet-vs-lightning": 15,
            "fleet-vs-lightning/ours": 2,
            "fleet-vs-lightning/theirs": 30,
        }

    def test_loader(self, given: Callable[..., None]) -> None:
        """A tenth of the rows in six times the time."""
        given(loader, [1], [6])
        assert figures(loader)["loader"] == pytest.approx(60)

    def test_knowledge(self, given: Callable[..., None]) -> None:
        given(knowledge, [2], [1], [5])
        found = figures(knowledge)
        assert (found["knowledge/first-run"], found["knowledge/later-run"]) == (2.5, 5)
        inputs = 12 * 16 + 3
        teacher = inputs * 704 + 704 * 480 + 480 * 64 + 64
        assert found["knowledge/teacher-size"] == teacher / (3 + (12 * 8 + 3) * 64 + 64 * 32 + 32)

    def test_tracking(self, given: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
        """Two runs in 0.1 s, and one in 1 s."""
        given(tracking, [0.1], [1])
        monkeypatch.setattr(tracking, "_leaderboard", lambda *_: Figure("tracking/leaderboard", [0.5], "s", 2))
        calls = {"tracking/ours": 50, "tracking/call-by-call": 1000, "tracking/leaderboard": 0.5}
        assert figures(tracking) == {"tracking": 20, **calls}

    def test_sequence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Theirs takes 3.5 times as long; seconds of equal steps that grow as the root of their number a row."""
        timings = {2: [[2], [7]], len(sequence.LENGTHS): [[length**0.5] for length in sequence.LENGTHS]}
        monkeypatch.setattr(sequence, "in_turn", lambda scale, *works: timings[len(works)])
        monkeypatch.setattr(sequence, "WIDTH", 8)
        monkeypatch.setattr(sequence, "ROWS", 20)
        found = {figure.name: figure.value for figure in sequence.measure(Scale(1, rounds=1))}
        assert found["sequence/hstu"] == found["sequence/sasrec"] == 3.5
        assert found["sequence/llama/slope"] == pytest.approx(1.5, abs=0.01)

    def test_sweep(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Eight settings of two verticals, two seeds: 32 students and 8 controls, each at half the price of all."""
        monkeypatch.setattr(sweep, "seconds_of", lambda work: 20.0)
        monkeypatch.setattr(sweep, "_apart", lambda job, member, folder: sweep.Apart(10.0, 4.0))
        found = {figure.name: figure for figure in sweep.measure(TINY)}
        assert (found["sweep/students"].value, found["sweep/together"].value) == (40, 20)
        assert found["sweep/separately"].value == 400
        assert (found["sweep"].value, found["sweep/without-starts"].value) == (20, 8)

    def test_scaling(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Seconds that grow as the members' number to the power of 1.5; memory by 7 bytes a member."""
        monkeypatch.setattr(scaling, "_alone", lambda folder, members: scaling.Cost(members**1.5, 100 + 7 * members))
        found = {figure.name: figure for figure in scaling.measure(Scale(1, rounds=1))}
        assert found["scaling"].value == pytest.approx(1.5)
        assert found["scaling"].short
        assert found["scaling/memory"].value == 7
        assert found["scaling/100-members"].value == pytest.approx(10_000)


class TestSample:
    @pytest.mark.parametrize("count", [1, 3, 7, 50])
    def test_what_grows_as_rows_do_is_summed_nearly_right(self, count: int) -> None:
        """Skewed as verticals are; 40 members, so that 50 parts are all of them."""
        found = roster_of(rows := [int(10 * 1.2**place) for place in range(40)], count)
        assert sum(size for _, size in found) == 40
        tolerance = {1: 0.1, 3: 0.1, 7: 0.05, 50: 0}[count]
        assert sum(size * member.rows for member, size in found) == pytest.approx(sum(rows), rel=tolerance)

    def test_equals_are_drawn_by_chance(self) -> None:
        """Not always the first of the sweep's points."""
        found = roster_of([7] * 40, 4)
        assert [member.seed % 10 for member, _ in found] != [0, 0, 0, 0]


def roster_of(rows: list[int], count: int) -> list[tuple[Member, int]]:
    members = [
        Member("v", None, "distilled", place, 0, number, 1, {}, None, "", fingerprint(place), "")
        for place, number in enumerate(rows)
    ]
    return sweep.sample(members, count)


class TestBothSidesDoTheSame:
    def test_they_read_the_same_rows_and_labels(self, small: Job) -> None:
        impressions = small.impressions
        for vertical, rows in zip(impressions.verticals, rows_of(impressions), strict=True):
            own = impressions.select(TRAIN, vertical)
            batch = small.view.take(torch.from_numpy(own))
            assert torch.equal(rows.ids, batch.features.categorical.long())
            assert torch.equal(rows.numbers, batch.features.numeric)
            assert rows.label.tolist() == impressions.label[own, 0].tolist()
        assert small.rows == sum(len(rows.label) for rows in rows_of(impressions)) == 3 * 64

    def test_ids_of_one_table_do_not_meet(self) -> None:
        ids = torch.tensor([[0, 0, 0], [1, 2, 3]])
        rows = Rows(ids, [2, 3, 4], torch.zeros(2, 0), torch.zeros(2)).in_one_table()
        assert rows.ids.tolist() == [[0, 2, 5], [1, 4, 8]]
        assert rows.heights == [9]

    @pytest.mark.parametrize("name", ["students.DeepFM", "students.DCNv2"])
    def test_the_plain_module_computes_what_the_student_computes(self, small: Job, name: str) -> None:
        """Given the same weights, the same log-odds: the loop trains no lesser model."""
        work = small._replace(student=name)
        student, rows = work.alone(), rows_of(small.impressions)[0]
        other = plain(work, rows.in_one_table())
        with torch.no_grad():
            copy_weights(student, other)
        features = Features(torch.zeros(len(rows.ids)).long(), rows.ids, rows.numbers, {}, {})
        said = other(rows.in_one_table().ids, rows.numbers)
        assert torch.allclose(said, student(features).logit[:, 0], atol=1e-5)
        assert count(student) == count(other)

    @pytest.mark.parametrize("path", sequence.TOWERS)
    def test_the_padded_tower_computes_what_ours_computes(self, path: str) -> None:
        """Given the same weights, the same values and gradients, of the histories that the benchmark takes."""
        settings, batch = sequence.settings_of(path), sequence.histories(12, 20)
        ours, theirs = SequenceTower(settings, 20), sequence.padded_of(settings, 20)
        renamed = {"levels.0.": "blocks.", "norms.0.": "norm."}
        for name, weight in ours.state_dict().items():
            old = next((old for old in renamed if name.startswith(old)), "")
            theirs.get_parameter(renamed.get(old, "") + name.removeprefix(old)).data.copy_(weight)
        candidate = batch.candidate.requires_grad_()
        said, wanted = ours(*batch[:4]), theirs(*batch.padded, candidate)
        torch.testing.assert_close(said, wanted, rtol=1e-4, atol=1e-4)
        slopes = [torch.autograd.grad(one.square().sum(), candidate)[0] for one in (said, wanted)]
        torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-3)
        assert count(ours) == count(theirs)

    def test_the_loop_learns(self, small: Job) -> None:
        """From labels that one id decides; and one after another is what each alone is."""
        rows = rows_of(small.impressions)[0].in_one_table()
        easy = rows._replace(label=(rows.ids[:, 0] % 2).float())
        assert train_one(small._replace(epochs=60), easy) < 0.3
        assert len(train_singly(small, [rows, rows])) == 2

    def test_the_fleet_sees_every_row_once(self, small: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[int] = []
        take = type(small.view).take
        monkeypatch.setattr(
            type(small.view), "take", lambda self, rows: seen.extend(rows.flatten()) or take(self, rows)
        )
        train_together(small)
        assert sorted(map(int, seen)) == list(range(small.rows))

    def test_a_live_teacher_says_what_the_stored_one_says(self, small: Job, tmp_path: Path) -> None:
        view = small.impressions.view(None, "all")
        teacher = knowledge.teacher_of(view)
        stored = knowledge._stored(small, teacher, view, knowledge.KnowledgeStore(tmp_path))
        rows = torch.tensor([[5, 9], [70, 3]])
        live, read = knowledge.Live(teacher, view).take(rows), stored.take(rows, representation=False)
        assert torch.allclose(live.prediction.logit, read.prediction.logit, atol=1e-2)  # stored in half precision
        assert torch.equal(live.covered, read.covered)


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def copy_weights(student: nn.Module, other: nn.Module) -> None:
    """Gives a student the weights of the plain module: those of one shape come in one order in both."""
    theirs: dict[torch.Size, list[nn.Parameter]] = {}
    for weight in other.parameters():
        theirs.setdefault(weight.shape, []).append(weight)
    for weight in student.parameters():
        weight.copy_(theirs[weight.shape].pop(0))


class TestSizes:
    def test_products_are_those_of_the_linear_layers(self, small: Job) -> None:
        student = small.alone()
        assert sorted(products(student)) == sorted([(1, 2), (8, 3 * 4 + 2), (6, 8), (1, 6)])
        assert multiplications(student) == 2 + 8 * 14 + 6 * 8 + 6

    def test_primitives_do_all_steps_of_a_pass(self, small: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        """Four steps of three members."""
        works = primitives(small)
        calls: dict[str, int] = {}

        def counted(name: str, module: object) -> None:
            original = getattr(module, name)

            def call(*arguments: object, **named: object) -> object:
                calls[name] = calls.get(name, 0) + 1
                return original(*arguments, **named)

            monkeypatch.setattr(module, name, call)

        counted("index_select", torch)
        counted("baddbmm", torch)
        counted("bmm", torch)
        counted("_fused_adamw_", torch)
        works["record-gather"]()
        assert calls.pop("index_select") == 4
        for work in works.values():
            work()
        assert calls == {"index_select": 4 + 4 * 3, "baddbmm": 4 * 4, "bmm": 2 * 4 * 4, "_fused_adamw_": 4 * 3}


class TestFirstStep:
    def test_is_said_when_the_teacher_has_learnt_from_some_rows(self) -> None:
        out = StringIO()
        progress = first_step.Told(out)
        with progress.stage("data") as bar:
            bar.advance(10)
        with progress.stage("teacher", 10) as bar:
            bar.advance(0)
            assert first_step.STEPPED not in out.getvalue()
            bar.advance(5)
        assert first_step.STEPPED in out.getvalue().splitlines()


class TestRunning:
    @pytest.mark.parametrize("name", [name for name in BENCHES if name not in LONG])
    def test_every_name_runs(self, name: str) -> None:
        table = running.run([name], Progress(StringIO()), TINY)
        assert all(row["name"].startswith(name) for row in table["figures"])
        assert all(row["value"] is not None or row["reason"] for row in table["figures"])

    def test_scaling_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In this process, where its children would import everything anew."""
        monkeypatch.setattr(scaling, "_alone", scaling._trained)
        monkeypatch.setattr(scaling, "SMALL", SMALL.at(TINY))
        assert {"scaling", "scaling/memory"} < figures(scaling).keys()

    @pytest.mark.slow
    @pytest.mark.parametrize("name", LONG)
    def test_every_name_runs_that_takes_long(self, name: str) -> None:
        if name == "fleet-vs-peers":
            for peer in ("fuxictr", "deepctr_torch", "torchdistill"):
                pytest.importorskip(peer, reason=f"{peer} is not installed", exc_type=ImportError)
        assert all(row["value"] is not None for row in running.run([name], Progress(StringIO()), TINY)["figures"])

    def test_figures_are_told_as_they_come(self) -> None:
        out = StringIO()
        running.run(["loader"], Progress(out), TINY)
        what, stage, figure, done = out.getvalue().splitlines()
        assert (what, stage) == (f"loader: {BENCHES['loader']}", "loader")
        assert "short of 60" in figure and "done in" in done

    def test_names_that_mean_nothing_are_all_named(self) -> None:
        with pytest.raises(RecipeError) as refused:
            running.run(["loadre", "start", "fleet-vs-lop"], Progress(StringIO()))
        assert [str(fault) for fault in refused.value.faults] == [
            'loadre: there is no such benchmark. Did you mean "loader"?',
            'fleet-vs-lop: there is no such benchmark. Did you mean "fleet-vs-loop"?',
        ]


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["distill", "bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        return Result(ended.value.code or 0, *capfd.readouterr())

    return run


class TestCommand:
    @pytest.fixture(autouse=True)
    def tiny(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [
            Figure("loader", [55.0, 50.0, 58.5], target=60),
            Figure("start/first-line", [2.0], "s", 3, "at most"),
            Figure("fleet-vs-peers/fuxictr", [], target=6, reason="cannot be imported: gone"),
        ]
        monkeypatch.setattr(running, "_measure", lambda name: lambda scale: iter(rows))

    def test_json_is_one_object(self, call: Callable[..., Result]) -> None:
        result = call("loader", "--json", "-")
        table = json.loads(result.out)
        assert result.code == 0
        assert table.keys() == {"machine", "figures"}
        assert {"processor", "cores", "torch", "torch threads"} <= table["machine"].keys()
        assert [row["short"] for row in table["figures"]] == [True, False, None]
        assert "loader: 55 x [50, 58.5], short of 60" in result.err.splitlines()

    def test_the_table_says_what_is_short(self, call: Callable[..., Result]) -> None:
        lines = {words[0]: words[1:] for words in map(str.split, call("loader").out.splitlines()) if words}
        assert lines["loader"] == ["55", "x", "50", "to", "58.5", "at", "least", "60", "short"]
        assert lines["start/first-line"] == ["2", "s", "2", "to", "2", "at", "most", "3"]
        assert lines["fleet-vs-peers/fuxictr"] == ["-", "at", "least", "6", "cannot", "be", "imported:", "gone"]

    def test_without_a_name_all_are_run(self, call: Callable[..., Result]) -> None:
        assert len(json.loads(call("--json", "-").out)["figures"]) == 3 * len(BENCHES)

    def test_every_name_can_be_seen(self, call: Callable[..., Result]) -> None:
        said = call("zzz").err
        shown = call("--help").out
        assert all(name in said and f"{name}: {clause[:30]}" in shown for name, clause in BENCHES.items())

    def test_an_unknown_name_is_2_and_gets_the_nearest(self, call: Callable[..., Result]) -> None:
        assert call("trackign") == Result(2, "", 'trackign: there is no such benchmark. Did you mean "tracking"?\n')
