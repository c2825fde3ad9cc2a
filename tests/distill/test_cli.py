"""The command line: exit codes, what goes to which stream, and nothing heavy before it is needed."""

import errno
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rich.text import Text

from distill import comparing, pipeline, ranker, report, tracking
from distill.cli import doctor, main, shipped
from distill.errors import DataError, Fault
from distill.recipe import load

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
QUICKSTART = str(RECIPES / "quickstart.yaml")
BEGUN = f"recipe: {QUICKSTART}\n"
"""What `run` says at once."""
VERDICTS = ("helped", "hurt", "unchanged", "undecided")


class Result(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Runs `distill ARGUMENTS` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["distill", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        sys.stdout.flush()
        return Result(ended.value.code or 0, *capfd.readouterr())

    return run


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the pipeline gives instead of working; it prints as a library would."""
    table = {
        "recipe": "quickstart",
        "fingerprint": "ab",
        "students": [],
        "summary": {"failed": 0, "gap_closed": float("nan"), "ne": 0.5} | dict.fromkeys(VERDICTS, 0),
    }

    def run(recipe: object, progress: object) -> dict[str, Any]:
        print("chatter")
        progress.note("working")
        return table

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.setattr(comparing, "compare", lambda recipe, named: table)
    monkeypatch.setattr(
        report, "render", lambda table, level, *_: Text(f"the table of {table['recipe']} at {level} [x]")
    )
    return table


def fails(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(recipe: object, progress: object) -> None:
        raise error

    monkeypatch.setattr(pipeline, "run", run)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['distill', '--help']\n"
        "from distill.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'polars', 'mlflow', 'lightning', 'pydantic', 'ruamel', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    for verb in ("run", "sweep", "plan", "validate", "show", "compare", "ui", "models", "losses", "doctor", "recipes"):
        assert f" {verb} " in shown


def imported(*arguments: str) -> tuple[set[str], str]:
    """What a command has imported when it ends, of the packages that take seconds; and what it says."""
    code = (
        f"import sys; sys.argv = ['distill', *{arguments}]\n"
        "from distill.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*{'torch', 'polars', 'mlflow', 'lightning', 'numpy'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(ended.stdout.split()), ended.stderr


def test_a_wrong_option_of_compare_is_told_before_anything_heavy_is_imported() -> None:
    heavy, said = imported("compare", QUICKSTART, "--sort", "-ne_gian", "--verdict", "hrt")
    assert heavy == set()
    assert '--sort -ne_gian: is no column. Did you mean "ne_gain"?' in said
    assert '--verdict hrt: is no verdict. Did you mean "hurt"?' in said
    assert "vertical." in imported("compare", QUICKSTART, "--sort", "zzzz")[1], "all valid names are listed"


def test_compare_needs_neither_lightning_nor_mlflow(tmp_path: Path) -> None:
    heavy, said = imported("compare", QUICKSTART, f"store={tmp_path}")
    assert "has not been run" in said
    assert not heavy & {"lightning", "mlflow"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--baseline", "quickstart"], "--baseline: does not go with one run."),
        (["other.yaml", "--sort", "ne", "--search", "x"], "--search: does not go with several runs."),
        (["--report", "nowhere/report.html"], "there is no folder nowhere"),
    ],
)
def test_compare_refuses_what_would_be_left_out(call: Call, arguments: list[str], said: str) -> None:
    result = call("compare", QUICKSTART, *arguments)
    assert result.code == 2
    assert said in result.err


def test_run_prints_the_table_and_ends_with_0(call: Call, table: dict[str, Any]) -> None:
    result = call("run", QUICKSTART)
    assert result.code == 0
    assert result.out == "the table of quickstart at 0.95 [x]\n"
    assert result.err == f"{BEGUN}chatter\nworking\n"


def test_some_students_failed_is_1(call: Call, table: dict[str, Any]) -> None:
    table["summary"]["failed"] = 2
    result = call("run", QUICKSTART)
    assert (result.code, result.out) == (1, "the table of quickstart at 0.95 [x]\n")


@pytest.mark.parametrize("verb", ["run", "compare"])
def test_json_to_standard_output_stands_alone(call: Call, table: dict[str, Any], verb: str) -> None:
    result = call(verb, QUICKSTART, "evidence.level=0.9", "--json", "-")
    assert json.loads(result.out)["summary"] == table["summary"] | {"gap_closed": None}


def test_json_to_a_file_comes_with_the_table(call: Call, table: dict[str, Any]) -> None:
    result = call("run", QUICKSTART, "--json", "out.json", "evidence.level=0.9")
    assert result.out == "the table of quickstart at 0.9 [x]\n"
    assert json.loads(Path("out.json").read_text())["recipe"] == "quickstart"


def test_a_folder_that_is_not_there_is_refused_before_the_work(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(monkeypatch, AssertionError("began to work"))
    result = call("run", QUICKSTART, "--json", "nowhere/out.json")
    assert (result.code, result.out) == (2, "")
    assert "there is no folder nowhere" in result.err


def test_faults_go_to_standard_error_one_a_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    result = call("run", QUICKSTART, "students.train.epoch=3", "sed=1")
    assert result == Result(
        2,
        "",
        f"{BEGUN}"
        'override "students.train.epoch=3": unknown key. Did you mean "epochs"?\n'
        'override "sed=1": unknown key. Did you mean "seed"?\n',
    )
    fails(monkeypatch, DataError(Fault("rows.csv, row 3", "label is 2."), Fault("", "no rows.")))
    assert call("run", QUICKSTART) == Result(2, "", f"{BEGUN}rows.csv, row 3: label is 2.\nno rows.\n")


def as_lightning_ends() -> SystemExit:
    end = SystemExit(1)
    end.__context__ = KeyboardInterrupt()
    return end


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), as_lightning_ends()])
def test_an_interrupt_is_a_sentence(call: Call, monkeypatch: pytest.MonkeyPatch, interrupt: BaseException) -> None:
    fails(monkeypatch, interrupt)
    result = call("run", QUICKSTART)
    assert result == Result(130, "", f"{BEGUN}Stopped. What is done is kept; the same command goes on from there.\n")


def test_a_full_disk_is_a_sentence(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    fails(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "mlruns/x"))
    result = call("run", QUICKSTART)
    assert result.code == 2
    sentence = "The disk is full (mlruns/x). Free some space; the same command goes on from what is done.\n"
    assert result.err == BEGUN + sentence


def test_our_own_fault_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fails(monkeypatch, ZeroDivisionError())
    monkeypatch.setattr(sys, "argv", ["distill", "run", QUICKSTART])
    with pytest.raises(ZeroDivisionError):
        main()


def test_a_misspelt_verb_is_answered_with_the_right_one(call: Call) -> None:
    result = call("vaildate", QUICKSTART)
    assert result.code == 2
    assert "'validate'" in result.err


def test_plan_prints_its_stages(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = {
        "stages": [{"stage": "teacher", "cached": True, "bytes": 12345}],
        "cohorts": [],
        "members": 3,
        "seconds": None,
    }
    monkeypatch.setattr(pipeline, "plan", lambda recipe: planned)
    result = call("plan", QUICKSTART)
    assert result.code == 0
    assert "teacher" in result.out
    assert "12.1 KiB" in result.out
    assert "members: 3" in result.out
    assert json.loads(call("plan", QUICKSTART, "--json", "-").out) == planned


def test_validate_says_who_teaches_whom_and_warns(call: Call) -> None:
    narrow = ("teacher.features=[age, car]", "students.features=[age]")
    said = "valid: quickstart, teachers.AttentiveCross (2 features) teaches students.DNN (1 feature)\n"
    assert call("validate", QUICKSTART, *narrow) == Result(0, said, "")
    every = len(load(Path(QUICKSTART)).data.features) + 1
    result = call("validate", QUICKSTART, "data.features.rating=numeric", "students.features=")
    assert result.out.count(f"({every} features)") == 2
    assert result.err.startswith('warning: data.features.rating: column "rating" may be the answer.')


def test_validate_of_a_teacher_from_outside(call: Call) -> None:
    outside = ("teacher.knowledge=scores.parquet", "data.row_id=id", "students.features=[age]")
    assert call("validate", QUICKSTART, *outside) == Result(
        0, "valid: quickstart, scores.parquet teaches students.DNN (1 feature)\n", ""
    )


def test_show_prints_a_recipe_that_loads(call: Call) -> None:
    Path("shown.yaml").write_text(call("show", QUICKSTART, "seed=7").out, encoding="utf-8")
    assert load(Path("shown.yaml")) == load(Path(QUICKSTART), ["seed=7"])


def test_show_prints_the_schema_or_asks_for_a_recipe(call: Call) -> None:
    assert json.loads(call("show", "--schema").out)["$defs"]["Recipe"]["required"] == [
        "name",
        "data",
        "teacher",
        "students",
    ]
    result = call("show")
    assert (result.code, result.out) == (2, "")
    assert "give a recipe, or --schema" in result.err


def test_ui_serves_the_database_of_the_recipe(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[str, int]] = []
    monkeypatch.setattr(tracking, "serve", lambda uri, port: served.append((uri, port)))
    call("ui")
    call("ui", QUICKSTART, "tracking.uri=https://tracking.example", "--port", "5001")
    assert served == [("sqlite:///mlruns/mlflow.db", 5000), ("https://tracking.example", 5001)]


def test_models_lists_every_ranker(call: Call) -> None:
    shown = call("models", "--json", "models.json").out
    rows = {row["class"]: row for row in json.loads(Path("models.json").read_text())["models"]}
    assert rows["students.DNN"]["role"] == "student"
    assert rows["teachers.AttentiveCross"]["parameters"] > rows["students.DNN"]["parameters"] > 0
    assert rows["students.DNN"]["flops"] > 0
    assert "Covington" in rows["students.DNN"]["source"]
    assert "students.DCNv2" in shown


def test_models_goes_on_behind_rankers_that_do_not_work(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that branches on data, and a package that cannot be imported."""
    forward = "        if inputs.sum() > 0:\n            inputs = 2 * inputs\n"
    readme = (RECIPES.parent / "README.md").read_text()
    linear = readme[readme.index("from torch import nn") :].partition("```")[0]
    Path("odd.py").write_text(linear.replace("        return", f"{forward}        return") + '\n__all__ = ["Linear"]\n')
    Path("gone.py").write_text("import nothing_of_that_name")
    monkeypatch.syspath_prepend(".")
    monkeypatch.setattr(ranker, "packages", lambda: ("gone", "odd", "students"))
    table = json.loads(call("models", "--json", "-").out)
    assert "students.DNN" in [row["class"] for row in table["models"]]
    gone, odd = table["broken"]
    assert gone == {"class": "gone", "why": "cannot be imported: No module named 'nothing_of_that_name'"}
    assert odd["class"] == "odd.Linear" and "data-dependent control flow" in odd["why"]
    assert "Stacked with others in a fleet" in odd["why"], "the promise is named"


def test_losses_lists_every_loss(call: Call) -> None:
    rows = {row["name"]: row for row in json.loads(call("losses", "--json", "-").out)["losses"]}
    assert rows.keys() >= {"logit_distillation", "listwise", "cka"}
    assert all(row.keys() == {"name", "channel", "source"} for row in rows.values())
    assert rows["listwise"]["channel"] == "logit"
    assert rows["cka"]["channel"] == "representation"
    assert rows["cka"]["source"].startswith("Kornblith et al.: Similarity of Neural Network Representations")
    assert "Kornblith" in call("losses").out


class TestRecipes:
    def test_ls_lists_all(self, call: Call) -> None:
        rows = json.loads(call("recipes", "ls", "--json", "-").out)["recipes"]
        assert {row["name"] for row in rows} >= {"quickstart", "news", "synthetic", "epinions"}
        assert all(re.match(r"distill (run recipes|(sweep|teachers) recipes/sweeps)/", row["run"]) for row in rows)

    def test_cp_gives_a_recipe_that_still_finds_its_data(self, call: Call) -> None:
        result = call("recipes", "cp", "quickstart")
        assert result == Result(0, "quickstart.yaml is yours to change; run it with: distill run quickstart.yaml\n", "")
        assert load(Path("quickstart.yaml")) == load(Path(QUICKSTART))
        kept = [line for line in Path(QUICKSTART).read_text().splitlines() if "path:" not in line]
        assert [line for line in Path("quickstart.yaml").read_text().splitlines() if "path:" not in line] == kept

    def test_cp_keeps_extending(self, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        there = tmp_path / "there"
        there.mkdir()
        (there / "parent.yaml").write_text(Path(QUICKSTART).read_text())
        (there / "child.yaml").write_text("seed: 3\nextends: parent.yaml   # the same, with another seed\n")
        monkeypatch.setattr(shipped, "folder", lambda: there)
        call("recipes", "cp", "child")
        assert load(Path("child.yaml")) == load(there / "child.yaml")
        assert "# the same, with another seed" in Path("child.yaml").read_text()

    def test_cp_overwrites_nothing(self, call: Call) -> None:
        Path("mine.yaml").write_text("mine")
        result = call("recipes", "cp", "quickstart", "mine.yaml")
        assert result == Result(2, "", "mine.yaml: is already there. Give another name.\n")
        assert Path("mine.yaml").read_text() == "mine"

    def test_cp_of_what_is_not_there(self, call: Call) -> None:
        result = call("recipes", "cp", "quickstrat")
        assert result == Result(2, "", 'quickstrat: there is no such recipe. Did you mean "quickstart"?\n')
        assert call("recipes", "cp", "news", "nowhere/x.yaml").code == 2

    def test_a_wheel_brings_its_own(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "distill" / "recipe" / "shipped").mkdir(parents=True)
        monkeypatch.setattr("distill.__file__", str(tmp_path / "distill" / "__init__.py"))
        assert shipped.folder() == tmp_path / "distill" / "recipe" / "shipped"


class TestDoctor:
    @pytest.fixture(autouse=True)
    def installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        needs = ["torch>=2.13,<2.14", 'ray>=2.60; extra == "ray"']
        monkeypatch.setattr("importlib.metadata.requires", lambda name: needs)

    def test_a_sound_installation(self, call: Call) -> None:
        table = json.loads(call("doctor", "--json", "-").out)
        assert table["problems"] == []
        assert [row["package"] for row in table["packages"]] == ["torch"]
        assert table["packages"][0]["range"] == ">=2.13,<2.14"
        assert table["machine"]["processors"] >= 1
        assert table["database"]["state"] == "not there yet"
        there = {row["package"]: row for row in table["optional"]}
        assert there.keys() == {"torchrec", "fbgemm", "torchao"}
        assert there["torchrec"]["version"] or "--no-deps torchrec==1.8.0" in there["torchrec"]["install"]
        assert not Path("mlruns").exists(), "the doctor changes nothing"
        assert call("doctor").out.endswith("sound\n")

    def test_a_version_that_is_not_known_to_work(self, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.metadata.requires", lambda name: ["torch<2", "nonesuch>1"])
        result = call("doctor", "--json", "-")
        assert result.code == 2
        wrong, gone = json.loads(result.out)["problems"]
        assert wrong.startswith("torch is 2.")
        assert gone == "nonesuch is missing; known to work: >1"

    def test_a_database(self, call: Call) -> None:
        Path("mlruns").mkdir()
        with sqlite3.connect("mlruns/mlflow.db") as connection:
            connection.execute("create table runs (id text)")
        connection.close()
        assert json.loads(call("doctor", "--json", "-").out)["database"]["state"] == "ok"
        Path("mlruns/mlflow.db").write_bytes(b"no database" * 100)
        result = call("doctor", "--json", "-")
        assert (result.code, json.loads(result.out)["problems"]) == (
            2,
            ["the tracking database is damaged: file is not a database"],
        )

    def test_a_database_elsewhere_is_not_asked_and_its_password_not_shown(self, call: Call) -> None:
        result = call("doctor", QUICKSTART, "tracking.uri=postgresql://me:secret@host/runs", "--json", "-")
        assert json.loads(result.out)["database"]["state"] == "not examined"
        assert "secret" not in result.out

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write, not even root")
    def test_a_store_that_cannot_be_written(self) -> None:
        assert doctor.folder(Path("/proc/mlruns"))["writable"] is False

    def test_little_room(self, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
        monkeypatch.setattr(doctor, "LITTLE", 2**80)
        [problem] = json.loads(call("doctor", "--json", "-").out)["problems"]
        assert "GiB of room" in problem
