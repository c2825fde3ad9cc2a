"""The report: it needs nothing from elsewhere, shows every student, and works in a browser."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

from distill.recipe.outcome import Evidence
from distill.report import Facts, drawings, leaderboard, page, svg, sweep_page
from distill.report.page import gains as gains_of
from distill.report.svg import Scale
from tests.distill.report.conftest import outcomes, run

FACTS = Facts("name: sample\n", ["distill run sample.yaml"])
ODD = "<b>shoes & 'hats'</b>"


@pytest.fixture(scope="module")
def table() -> dict:
    worlds = {
        name: outcomes(seed=number, rows=300 + 40 * number) for number, name in enumerate(("hotels", ODD, "cars"))
    }
    worlds["empty"] = outcomes(rows=0)
    noises = {"hotels": (0.1, 0.9), ODD: (0.9, 0.1), "cars": (None, 0.4), "empty": (0.1, 0.1)}
    results = run(worlds, noises, seeds=2)
    curved = [entry._replace(curve=[0.99, 0.95, 0.96]) for entry in results.entries]
    return leaderboard(results._replace(entries=curved), Evidence(resamples=200))


@pytest.fixture(scope="module")
def made(table: dict) -> str:
    return page(table, FACTS._replace(refusals=["hotels (ne_gain): too little"]))


class Reader(HTMLParser):
    """Every tag, and every attribute that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        self.rows += tag == "tr"
        if tag not in ("meta", "input", "i", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "i":
            assert self.open.pop() == tag


def test_it_is_whole_and_loads_nothing(made: str) -> None:
    reader = Reader()
    reader.feed(made)
    assert reader.open == []
    assert reader.links == []
    assert not re.search(r"https?://|@import|url\(", made)
    assert reader.rows >= 1 + 8  # eight students and the head of their table


def test_names_are_not_read_as_markup(made: str) -> None:
    assert "<b>shoes" not in made
    assert "&lt;b&gt;shoes &amp; &#x27;hats&#x27;" in made


def test_every_student_and_reason_is_there(table: dict, made: str) -> None:
    for row in table["students"]:
        if row["arm"] == "distilled" and row["ne_gain"] is not None:
            assert f"{row['ne_gain']:+.4f}".replace("-", "\N{MINUS SIGN}") in made
    assert "the loss was not finite in pass 2" in made
    assert "too little" in made
    assert "distill run sample.yaml" in made


def test_a_sweep_has_a_page_with_its_points_as_methods(table: dict) -> None:
    """Every point has its row and its column of the heat map, every vertical its best point."""
    names = ("weight=0.2", "weight=<1>")
    rows = [{"point": point, **row} for point in names for row in table["students"]]
    counted = dict.fromkeys(("helped", "hurt", "unchanged", "undecided", "failed"), 1)
    summed = ("ne_control", "ne_student", "ne_gain", "ne_gain_low", "ne_gain_high")
    points = [
        {"point": one, "ne_valid": 0.9, **{key: table["summary"][key] for key in summed}, **counted} for one in names
    ]
    best = [row for row in rows if row["arm"] == "distilled" and row["seed"] == 0][:4]
    made = sweep_page({"sweep": "weights", "fingerprint": "01", "points": points, "students": rows, "best": best})
    reader = Reader()
    reader.feed(made)
    assert (reader.open, reader.links) == ([], []) and "<1>" not in made
    assert reader.rows == 2 + len(points) + len(best)
    heat = made[made.index("Verticals by point") : made.index("Best for each vertical")]
    assert heat.count("weight=") == 2
    gains = gains_of(table["students"])
    assert heat.count('class="cell"') == 2 * len(gains)
    assert svg.gain(gains["hotels"]) in heat


def test_figures_are_files_of_their_own(table: dict) -> None:
    found = drawings(table)
    assert set(found) == {
        f"figures/{name}.svg"
        for name in ("verdicts", "gain_against_size", "reliability", "learning_curves", "teacher_and_student")
    }
    for drawing in found.values():
        assert ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg"


def test_a_run_of_nothing_has_a_page() -> None:
    lost = leaderboard(run({"a": outcomes(rows=0)}, {"a": (0.2, 0.9)}), Evidence(resamples=200))
    assert "<h2>Students</h2>" in page(lost, FACTS)
    assert "figures/verdicts.svg" not in drawings(lost)


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(-0.021, 0.021, 0, 1), [-0.02, -0.01, 0, 0.01, 0.02]),
        (Scale(0.0, 7.0, 0, 1), [0, 2, 4, 6]),
        (Scale(40, 900, 0, 1, log=True), [50, 100, 200, 500]),
        (Scale(3, 2e6, 0, 1, log=True), [10, 100, 1e3, 1e4, 1e5, 1e6]),
    ],
)
def test_ticks_are_round(scale: Scale, ticks: list[float]) -> None:
    assert scale.ticks == pytest.approx(ticks)


def test_a_scale_keeps_within_its_ends() -> None:
    scale = Scale(1, 100, 0, 200, log=True)
    assert [scale(value) for value in (0.5, 1, 10, 100, 1e9)] == [0, 0, 100, 200, 200]
    assert Scale(2, 2, 0, 10)(2) == 5


def test_a_mark_is_named_for_who_points_at_it() -> None:
    assert (
        svg.dot(1, 2, 3, "helped", "a < b")
        == '<circle cx="1" cy="2" r="3" class="helped"><title>a &lt; b</title></circle>'
    )


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVE = """<script>
addEventListener('load', () => {
  const names = () => [...document.querySelectorAll('#students tbody tr')].filter(row => !row.hidden)
    .map(row => row.cells[0].textContent);
  const gain = [...document.querySelectorAll('#students th')].find(head => head.textContent === 'gain');
  gain.click(); const first = names().join('|'); gain.click(); const last = names().join('|');
  const search = document.querySelector('input[type=search]');
  search.value = 'HOTELS'; search.dispatchEvent(new Event('input'));
  document.body.dataset.down = first; document.body.dataset.up = last; document.body.dataset.found = names().join('|');
  const table = document.querySelector('#students'), why = table.rows[0].cells[table.rows[0].cells.length - 1];
  document.body.dataset.width = table.scrollWidth; document.body.dataset.before = why.offsetWidth;
  document.querySelector('#whole').click(); document.body.dataset.after = why.offsetWidth;
  document.body.dataset.wide = document.documentElement.scrollWidth > innerWidth;
});</script>"""


@pytest.mark.ui
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_sorts_and_searches(table: dict, made: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(made.replace("</body>", f"{DRIVE}</body>"))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--window-size=900,800", "--dump-dom", file.as_uri()]
    body = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    marks = ("down", "up", "found", "wide", "width", "before", "after")
    said = {name: re.search(f'data-{name}="([^"]*)"', body)[1].split("|") for name in marks}
    rows = [row for row in table["students"] if row["arm"] == "distilled" and row["ne_gain"] is not None]
    order = sorted(rows, key=lambda row: -row["ne_gain"])
    named = [f"{row['vertical']} seed={row['seed']}" for row in order]
    unescaped = [name.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for name in said["down"]]
    assert unescaped[: len(named)] == named
    again = [name.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for name in said["up"]]
    assert again[: len(named)] == named[::-1]
    assert sorted(said["found"]) == ["hotels seed=0", "hotels seed=1"]
    assert said["wide"] == ["false"]
    assert int(said["width"][0]) <= 1158, "a window of 1,500 shows the table without scrolling"
    assert said["before"] == ["0"] and int(said["after"][0]) > 100, "the reasons are shown on demand"
