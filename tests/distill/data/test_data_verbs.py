"""`distill data`: the verbs as a user calls them."""

import json
from pathlib import Path

import polars as pl
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from distill.cli.data import app
from distill.data.impressions import load
from distill.data.settings import DataSettings
from distill.data.synthetic import generate
from distill.data.world import World
from distill.errors import RecipeError
from tests.distill.data.published import write_frappe

RECIPE = Path(__file__).resolve().parents[3] / "recipes" / "quickstart.yaml"

ODD = """
name: odd
data:
  path: rows.parquet
  label: label
  vertical: vertical
  time: n
  split: {by: column, column: split}
  features: {n: numeric, c: categorical}
teacher: {model: {class: teachers.AttentiveCross}, train: {epochs: 1}}
students: {model: {class: students.DNN}, distill: {logit: {weight: 0.5}}}
"""


def call(*arguments: object) -> str:
    found = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_describe_prints_a_table_json_and_a_page(tmp_path):
    store, html = f"store={tmp_path / 'store'}", tmp_path / "page.html"
    shown = call("describe", RECIPE, store, "--html", html)
    assert "Coffee House" in shown and "freq_bar" in shown and "histogram" not in shown
    assert html.read_text().startswith("<!doctype html>")
    table = json.loads(call("describe", RECIPE, store, "--json", "-"))
    assert table.keys() >= {"rows", "verticals", "columns", "warnings"} and table["rows"] == 12_684


def test_names_that_would_break_a_table_are_written_out(tmp_path):
    """On the terminal; in JSON they are what they are."""
    odd = ["two\nlines", "bell\x07", "\x1b[31mred", "sep\u2028arate", "back\u202ewards", "plain 🍷"]
    frame = pl.DataFrame({"label": [0] * 30 + [1] * 30, "vertical": odd * 10, "split": "train", "n": range(60)})
    frame.with_columns(c="vertical").write_parquet(tmp_path / "rows.parquet")
    (tmp_path / "recipe.yaml").write_text(ODD)
    store = f"store={tmp_path / 'store'}"
    shown = call("describe", tmp_path / "recipe.yaml", store)
    written = [r"two\nlines", r"bell\x07", r"\x1b[31mred", r"sep\u2028arate", r"back\u202ewards", "plain 🍷"]
    lines = shown.split("\n")
    for name in written:
        assert any(line.startswith(f" {name} ") and line.split()[-1].startswith("0.") for line in lines), name
    assert r"no test rows; their ratios do not exist: \x1b[31mred, back\u202ewards," in shown.replace("\n", " ")
    assert all(char == "\n" or char.isprintable() for char in shown)
    table = json.loads(call("describe", tmp_path / "recipe.yaml", store, "--json", "-"))
    assert {entry["vertical"] for entry in table["verticals"]} == set(odd)


def test_convert_encodes_once(tmp_path, monkeypatch):
    store = f"store={tmp_path / 'store'}"
    first = json.loads(call("convert", RECIPE, store, "--json", "-"))
    assert first["rows"] == 12_684 and first["blocks"] == 1 and first["bytes"] > 12_684 * 20
    monkeypatch.setattr("distill.data.shards.Encoding._encode", lambda *_: pytest.fail("encoded again"))
    assert json.loads(call("convert", RECIPE, store, "--json", "-")) == first


def test_convert_of_a_public_set_says_how_to_go_on(tmp_path):
    fields = " ".join(f"{100 * k}:1" for k in range(10))
    for split in ("train", "validation", "test"):
        (tmp_path / f"frappe.{split}.libfm").write_text(f"1 {fields}\n-1 {fields}\n")
    to = tmp_path / "frappe.parquet"
    said = json.loads(call("convert", tmp_path, "--set", "frappe", "--to", to, "--json", "-"))
    assert said["rows"] == 6 and said["warnings"] == ["6 rows, where 288,609 are published: a part?"]
    data = load(DataSettings.model_validate(said["data"]), tmp_path / "store")
    assert data.rows == 6 and said["licence"] and said["citation"]
    with pytest.raises(RecipeError, match=r'frape: is no public set that we know\. Did you mean "frappe"'):
        call("convert", tmp_path, "--set", "frape")


def test_the_section_of_a_public_set_can_be_pasted(tmp_path):
    """What stands under the table is YAML, and the data section of the JSON."""
    write_frappe(tmp_path)
    to = tmp_path / "rows.parquet"
    said = json.loads(call("convert", tmp_path, "--set", "frappe", "--to", to, "--json", "-"))
    shown = call("convert", tmp_path, "--set", "frappe", "--to", to)
    pasted = YAML(typ="safe").load(shown[shown.index("\ndata:") :])
    assert pasted == {"data": said["data"]}
    DataSettings.model_validate(pasted["data"])


def test_synth_writes_a_world(tmp_path):
    path = tmp_path / "world.parquet"
    said = json.loads(call("synth", path, "rows=400", "users=20", "items=40", "position_bias=1", "--json", "-"))
    world = World(rows=400, users=20, items=40, position_bias=1)
    assert pl.read_parquet(path).equals(generate(world)) and said["world"] == world.model_dump()
    assert "position" in pl.read_parquet(path).columns and [file.name for file in tmp_path.iterdir()] == [path.name]
    with pytest.raises(RecipeError, match="is there already"):
        call("synth", path, "rows=100")
    assert len(pl.read_parquet(path)) == 400


@pytest.mark.parametrize("extras", [[], ["position_bias=1", "conversion_delay=2"]])
def test_the_section_of_a_world_can_be_pasted(tmp_path, extras):
    path = tmp_path / "world.parquet"
    shown = call("synth", path, "rows=400", "users=20", "items=40", *extras)
    pasted = YAML(typ="safe").load(shown[shown.index("\ndata:") :])["data"]
    impressions = load(DataSettings.model_validate(pasted), tmp_path / "store")
    assert impressions.rows == 400 and impressions.tasks == (("click", "conversion") if extras else ("click",))
    read = set(impressions.settings.features) - {"clicked"} | {"hist_items", "hist_verticals", "row_id", "time"}
    known = read | {"label", "vertical", "domain", "split", "user_id", "day", "p_true"}
    beyond = {"converted", "conversion_time", "p_conversion"} if extras else set()
    assert set(pl.read_parquet(path).columns) == known | beyond


def test_the_section_of_a_world_is_that_of_the_recipe(tmp_path):
    recipe = YAML(typ="safe").load(RECIPE.with_name("synthetic.yaml"))["data"]
    said = json.loads(call("synth", tmp_path / "world.parquet", "rows=400", "--json", "-"))["data"]
    assert DataSettings.model_validate(said | {"path": None, "world": recipe["world"]}) == DataSettings.model_validate(
        recipe
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["rws=4", "seed"], ['rws: does not exist. Did you mean "rows"?', '"seed": is no setting. Write KEY=VALUE.']),
        (["rows=many"], ["rows: Input should be a valid integer"]),
        (["domains=5", "verticals=2"], ["5 domains need at least as many verticals; there are 2."]),
    ],
)
def test_a_world_that_is_wrongly_described(tmp_path, settings, said):
    with pytest.raises(RecipeError) as caught:
        call("synth", tmp_path / "x.parquet", *settings)
    assert all(sentence in str(caught.value) for sentence in said)
