"""Students that pass the gates get the registry's alias; the others leave it where it is."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from distill.cli import main
from distill.pipeline import run
from distill.progress import Progress
from distill.recipe import load
from distill.shipping import CALLS, latency, model_name
from tests.distill.tracking.test_model import written


def test_a_latency_is_the_median_of_calls_after_some_that_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    student = SimpleNamespace(read=lambda row: row, say=asked.append)
    warm, calls = [9.0] * (CALLS // 10), [4e-6] * (CALLS // 2 + 1) + [1.0] * (CALLS // 2 - 1)
    clock = iter([time for taken in warm + calls for time in (0.0, taken)])
    monkeypatch.setattr("distill.shipping.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert latency(student, "row") == pytest.approx(4)
    assert asked == ["row"] * (CALLS + CALLS // 10)


def test_names_in_the_registry_are_plain_and_of_one_vertical_each() -> None:
    names = [model_name("news", vertical) for vertical in ("sport", "a/b", "a:b", "a-b", "(a)")]
    assert names[0] == "news.sport" and len(set(names)) == len(names)
    assert not any(set(name) & set("/:%\"'") for name in names)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict]]:
    """Runs `compare --gate` with settings, and gives its exit code and what its JSON says of the gates."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    changes = [f"store={tmp_path}/mlruns", f"tracking.uri=sqlite:///{tmp_path}/mlruns/mlflow.db"]
    run(load(tmp_path / "served.yaml", changes), Progress())

    def compare(*settings: str) -> tuple[int, dict]:
        arguments = ["distill", "compare", "served.yaml", *changes, *settings, "--gate", "--json", "said.json"]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), json.loads(Path("said.json").read_text())["gates"]

    return compare


@pytest.mark.slow
def test_who_passes_has_the_alias_and_who_does_not_leaves_it(gate: Callable, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    champion = "gates.alias=champion"
    first = {"cars/distilled/0": "served.cars version 1"}
    assert gate(champion, "gates.latency=1e9", "gates.size=1000000000") == (0, {"refused": [], "registered": first})
    assert gate(champion) == (0, {"refused": [], "registered": first}), "the same student is the same version"
    version = client.get_model_version_by_alias("served.cars", "champion")
    lineage = version.tags
    assert int(version.version) == 1
    assert (lineage["distill.vertical"], lineage["distill.arm"]) == ("cars", "distilled")

    code, said = gate(champion, "gates.size=10", "gates.latency=0.001")
    assert code == 1 and said["registered"] == {}
    assert ["(latency)" in said["refused"][0], "(size)" in said["refused"][1]] == [True, True]
    assert int(client.get_model_version_by_alias("served.cars", "champion").version) == 1
