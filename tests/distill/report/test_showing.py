"""What a reader sees: the terminal's table, the note, and the sentences."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from rich.console import Console

from distill.columns import SIGNS
from distill.recipe.outcome import Evidence
from distill.report import leaderboard, markdown, render
from distill.report.lines import Choice, groups, lines
from distill.report.sentences import KINDS, sentences
from distill.report.terminal import CELLS, bar
from tests.distill.report.conftest import outcomes, run

QUICK = Evidence(resamples=200)


def shown(table: Mapping[str, Any], width: int = 140, everything: bool = False) -> str:
    console = Console(width=width, force_terminal=False, no_color=True)
    with console.capture() as captured:
        console.print(render(table, everything=everything))
    return captured.get()


def row(vertical: str, verdict: str | None = "helped", gain: float | None = 0.01, **others: Any) -> dict[str, Any]:
    """A row of a leaderboard; its interval reaches half its gain to either side."""
    ends = {"ne_gain_low": None, "ne_gain_high": None}
    if gain is not None:
        ends = {"ne_gain_low": gain - abs(gain) / 2, "ne_gain_high": gain + abs(gain) / 2}
    made = {
        "member": f"{vertical}/distilled/0", "vertical": vertical, "domain": None, "task": "click", "arm": "distilled",
        "seed": 0, "settings": {}, "architecture": "students.DNN", "teacher": "teachers.History",
        "knowledge_kind": "time_ahead", "rows_train": 12345, "rows_test": 1234, "positives_test": 99, "ne": 0.8,
        "auc": 0.7, "logloss": 0.4, "calibration": 1.0, "ne_control": 0.81, "ne_teacher": 0.75, "ne_gain": gain, **ends,
        "gap_closed": 0.2, "verdict": verdict, "status": "ok" if verdict else "failed", "reason": "", "run_id": None,
    }  # fmt: skip
    return made | others


def table_of(*rows: dict[str, Any], **summary: Any) -> dict[str, Any]:
    words = [one["verdict"] for one in rows if one["arm"] == "distilled"]
    counts = {word: words.count(word) for word in SIGNS} | {"failed": words.count(None), "students": len(words)}
    ratios = {
        "ne_gain": 0.0216, "gap_closed": 0.38, "gap_closed_low": 0.36, "gap_closed_high": 0.39,
        "gap_closed_macro": 0.17, "gap_closed_macro_low": 0.12, "gap_closed_macro_high": 0.22,
        "gap_closed_median": 0.21, "gap_closed_without_top10": 0.15,
        "ne_teacher": 0.7532, "ne_control": 0.8103, "ne_student": 0.7887,
    }  # fmt: skip
    return {
        "recipe": "news",
        "fingerprint": "ab",
        "seconds": {},
        "students": list(rows),
        "summary": counts | ratios | summary,
    }


def many(count: int, word: str | None = "helped") -> list[dict[str, Any]]:
    gain = {"helped": 0.02, "hurt": -0.02, None: None}.get(word, 0.0001)
    return [
        row(f"category number {number}", word, gain and gain * (1 + number), rows_test=100 * number)
        for number in range(count)
    ]


class TestBar:
    def cells(self, low: float | None, value: float | None, high: float | None, scale: float = 1.0) -> str:
        return bar({"ne_gain_low": low, "ne_gain": value, "ne_gain_high": high}, scale)

    def test_positions(self) -> None:
        assert self.cells(-0.5, 0.0, 0.5) == "    ────●────    "
        assert self.cells(-0.5, 0.25, 0.5) == "    ────┼─●──    "
        assert self.cells(-1.0, -0.75, -0.5) == "──●──   │        "
        assert self.cells(None, 0.3, None) == "        │        "

    def test_what_lies_beyond_is_an_arrow(self) -> None:
        assert self.cells(-9.0, 0.0, 9.0) == "◂───────●───────▸"
        assert self.cells(3.0, 4.0, 5.0) == "        │       ▸"
        assert self.cells(-5.0, -4.0, -3.0) == "◂       │        "

    @pytest.mark.parametrize("sign", [1, -1])
    def test_an_interval_that_excludes_zero_leaves_its_cell_free(self, sign: int) -> None:
        for ends in ((1e-9, 2e-9, 3e-9), (1e-9, 0.2, 0.4), (0.04, 0.05, 0.06)):
            cells = self.cells(*sorted(sign * end for end in ends))
            assert len(cells) == CELLS
            assert cells[CELLS // 2] == "│"
            assert cells[: CELLS // 2].isspace() == (sign > 0)
            assert "●" in cells

    def test_those_that_fell_back_leave_the_others_their_scale(self) -> None:
        """An interval without length is no reason to draw the others as dots."""
        fallen = [row(name, "unchanged", 0.0) for name in "abcdefg"]
        (line,) = [one for one in shown(table_of(*fallen, row("z", gain=-0.01))).splitlines() if one.startswith("z")]
        assert line.count("─") > 3


class TestLines:
    def test_groups_come_in_order_with_the_greatest_change_first(self) -> None:
        rows = [
            row("a", "undecided", 0.5, rows_test=10), row("b", "undecided", 0.1, rows_test=20), row("c", "hurt", -0.1),
            row("d", "hurt", -0.2), row("e", "helped", 0.1), row("f", "helped", 0.2), row("g", None, None),
        ]  # fmt: skip
        found = groups(table_of(*rows, row("x", arm="control")), most=None)
        assert [(one.word, [line.name for line in one.lines]) for one in found] == [
            ("helped", ["f", "e"]), ("hurt", ["d", "c"]), ("undecided", ["b", "a"]), ("failed", ["g"]),
        ]  # fmt: skip

    def test_a_name_says_what_tells_students_of_a_vertical_apart(self) -> None:
        settings = [{"weight": weight, "passes": seed} for weight in (0.2, 0.5) for seed in (0, 1)]
        rows = [row("a", seed=one["passes"], settings=one) for one in settings]
        assert [line.name for line in lines(table_of(*rows))] == [
            f"a seed={seed} weight={weight}" for weight in (0.2, 0.5) for seed in (0, 1)
        ]
        assert [line.name for line in lines(table_of(rows[0], row("b", settings={"passes": 3})))] == ["a", "b"]


class TestTerminal:
    def test_a_line_shows_the_numbers_of_its_row(self) -> None:
        text = shown(table_of(row("hotels", gap_closed=0.384), row("shoes", "undecided", -0.004, ne_teacher=None)))
        line = next(line for line in text.splitlines() if line.startswith("hotels"))
        assert re.split(r"\s{2,}", line.split("│")[0].strip()) == [
            "hotels", "12,345", "1,234", "0.7500", "0.8100", "0.8000", "+0.0100", "+0.0050 to +0.0150",
        ]  # fmt: skip
        assert line.endswith("38 %  ▲ helped   ")
        line = next(line for line in text.splitlines() if line.startswith("shoes"))
        assert " - " in line
        assert "? undecided" in line

    @pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
    def test_it_fits_the_terminal(self, width: int) -> None:
        lines = shown(table_of(*many(12), row("hotels", "hurt", -0.04)), width).splitlines()
        assert max(len(line) for line in lines) <= width
        head = next(line for line in lines if line.startswith("vertical"))
        assert {"vertical", "gain", "gap", "verdict"} <= set(head.split())
        assert ("student" in head) == (width >= 80)
        assert ("train rows" in head) == (width >= 160)
        assert sum("▲ helped" in line for line in lines) == 10

    def test_long_tables_say_what_they_leave_out(self) -> None:
        table = table_of(*many(193), *many(3, "hurt"))
        text = shown(table)
        assert text.count("▲ helped") == 10
        assert text.count("▼ hurt") == 3
        assert "... 183 more" in text
        assert "183 more lines; `distill compare --json FILE` has them all." in text
        everything = shown(table, everything=True)
        assert everything.count("▲ helped") == 193
        assert "more lines" not in everything

    def test_reasons_of_what_has_no_gain(self) -> None:
        rows = [row(f"v{number}", "undecided", None, reason="no test rows", rows_test=0) for number in range(12)]
        text = shown(table_of(*rows, row("shoes", None, None, reason="the loss was not finite")))
        listed = text[text.index("Without a gain:") :].splitlines()
        assert listed[1:3] == ["shoes: the loss was not finite", "v0: no test rows"]
        assert listed[11] == "... and 3 more without a gain"

    def test_why_a_gap_is_missing_stands_below_the_table(self) -> None:
        worse, unsure = "the teacher is worse", "its lead is not sure"
        missing = {
            "gap_closed": None,
            "gap_closed_low": None,
            "undefined": {"gap_closed": worse, "gap_closed_low": worse},
        }
        rows = [row(f"v{number}", **missing) for number in range(5)]
        rows += [
            row("shoes", gap_closed_low=None, undefined={"gap_closed_low": unsure}),
            row("hats", gap_closed_low=0.1),
        ]
        rows += [row("none", "undecided", None, gap_closed=None, reason="no rows", undefined={"gap_closed": "no rows"})]
        text = shown(table_of(*rows))
        ends = {line.split()[0]: line.rpartition("helped")[0].split()[-2] for line in text.splitlines() if "▲" in line}
        assert (ends["v0"], ends["shoes"], ends["hats"]) == ("-¹", "%²", "%")
        assert f"¹ no gap: {worse} (v0, v1, v2 and 2 more)." in text
        assert f"² a gap without an interval: {unsure} (shoes)." in text
        assert "no gap: no rows" not in text, "what has no gain is told elsewhere"
        note = markdown(table_of(*rows))
        assert "| -¹ | ▲ helped |" in note and "| 20 %² | ▲ helped |" in note
        assert f"¹ no gap: {worse} (v0, v1, v2 and" in note

    def test_a_choice_says_that_the_rest_is_about_all(self) -> None:
        table = table_of(row("hats"), row("shoes", "hurt", -0.1), row("none", "undecided", None, reason="no rows"))
        console = Console(width=140, no_color=True)
        with console.capture() as captured:
            console.print(render(table, choice=Choice(search="hat"), everything=True))
        text = captured.get()
        assert "shoes" not in text and "none: no rows" not in text
        assert "The table is of 1 of 3 students; what follows is about all 3." in text
        assert "what follows" not in shown(table)

    def test_what_a_table_is_sorted_by_is_shown(self) -> None:
        table = table_of(row("hats", auc=0.71), row("shoes", auc=0.75), row("caps", auc=None))
        console = Console(width=160, no_color=True)
        with console.capture() as captured:
            console.print(render(table, choice=Choice(sort="auc")), render(table, choice=Choice(sort="-ne")))
        first, second = captured.get().split("vertical ")[1:]
        lines = first.splitlines()
        assert lines[0].split()[-2:] == ["auc", "verdict"]
        assert [line.split()[0] for line in lines[1:4]] == ["shoes", "hats", "caps"]
        assert "0.7500  ▲" in lines[1] and " -  ▲" in lines[3]
        assert second.splitlines()[0].split()[-2:] == ["gap", "verdict"]

    def test_names_are_not_read_as_markup(self) -> None:
        assert "[red]shoes[/red]" in shown(table_of(row("[red]shoes[/red]")))

    def test_colour_says_what_the_sign_says(self) -> None:
        console = Console(width=120, force_terminal=True, color_system="standard")
        with console.capture() as captured:
            console.print(render(table_of(row("a"), row("b", "hurt", -0.1))))
        assert "\x1b[32m▲ helped" in captured.get()
        assert "\x1b[31m▼ hurt" in captured.get()


class TestSentences:
    def said(self, table: dict[str, Any]) -> str:
        return " ".join(sentences(table, 0.95))

    def test_verdicts_in_words(self) -> None:
        table = table_of(*many(41), *many(6, "hurt"), *many(3, "unchanged"), *many(43, "undecided"), *many(2, None))
        for number, one in enumerate(table["students"]):
            one["vertical"] = str(number)
        said = self.said(table)
        assert said.startswith("The teacher helped 41 of 95 verticals, hurt 6 and left 3 unchanged; 43 are undecided.")
        assert "Failed students, counting controls: 2." in said
        assert "By chance alone, up to 3 would be called helped and up to 3 hurt." in said
        assert "Undecided is not unchanged" in said

    def test_several_seeds_are_not_called_verticals(self) -> None:
        said = self.said(table_of(*(row("a", seed=seed) for seed in range(3))))
        assert "The teacher helped 3 of 3 results in 1 vertical," in said
        assert "another seed" not in said
        assert "with another seed they may" in self.said(table_of(row("a")))

    def test_who_fell_back_is_said(self) -> None:
        """They are as good as their controls because they are these, and not because nothing came of it."""
        fallen = [row(name, "unchanged", 0.0, settings={"fell_back": 1.0}) for name in "abcdefg"]
        said = self.said(table_of(*fallen, row("z", gain=-0.01)))
        assert "7 of 8 fell back on their controls, by validation rows: a, b, c, d, e and 2 more." in said
        assert "fell back" not in self.said(table_of(row("a"), row("b")))

    def test_pooled_numbers(self) -> None:
        said = self.said(table_of(row("a")))
        assert (
            "NE is 0.8103 for the controls, 0.7887 for the students, 0.7532 for the teacher: a gain of +0.0216." in said
        )
        assert (
            "The students gained 38 % of the teacher's lead over the controls (95 % interval 36 to 39 %). By vertical, "
            "that is: mean 17 %, median 21 %, all rows without the ten verticals that gain most 15 %." in said
        )

    def test_a_lead_that_grew_is_no_negative_share(self) -> None:
        """The lead over a student that lost two tenths is twelve tenths of that over its control."""
        lost = {"gap_closed": -0.2, "gap_closed_low": -0.4, "gap_closed_high": 0.1, "gap_closed_median": -2.48}
        table = table_of(row("a", "hurt", -0.01, gap_closed=-2.48), **lost)
        said = self.said(table)
        assert (
            "The teacher's lead over the students is 20 % wider than over the controls (95 % interval 40 % wider to "
            "10 % narrower). By vertical, that is: mean 17 %, median 248 % wider, all rows" in said
        )
        assert "248 % wider" in shown(table) and "248 % wider" in markdown(table)
        assert "-248" not in shown(table) + markdown(table) + said

    def test_who_is_nearest_to_a_verdict(self) -> None:
        wanted = {"a": 5000, "b": 700, "c": None, "d": 60, "e": 90_000}
        rows = [row(name, "undecided", rows_wanted=count) for name, count in wanted.items()]
        assert "still missing: d about 60, b about 700, a about 5,000." in self.said(
            table_of(*rows, row("f", rows_wanted=1))
        )

    def test_calibration_coverage_and_age_of_knowledge(self) -> None:
        rows = [row("a", coverage=0.5, knowledge_age=0.25, rows_train=100), row("b", coverage=1.0, rows_train=300)]
        off = {"distilled": {"relative": 0.05}, "control": {"relative": 0.04}, "teacher": {"relative": None}}
        said = self.said(table_of(*rows) | {"calibration_by_vertical": off})
        assert "clicks of a vertical differ, on average, by 5 % for the students, 4 % for the controls." in said
        assert "It had scored 88 % of the students' training rows." in said
        assert "The last label that it had seen is 6.0 hours older than the test rows." in said
        plain = self.said(table_of(row("a", coverage=1.0)))
        assert "had scored" not in plain and "older" not in plain and "differ, on" not in plain

    def test_what_is_undefined_is_not_made_up(self) -> None:
        said = self.said(table_of(row("a"), gap_closed_low=None, gap_closed_high=None, gap_closed_without_top10=None))
        assert "no interval: the teacher's lead is not sure" in said
        assert "median 21 %." in said
        said = self.said(table_of(row("a"), ne_teacher=None, gap_closed=None))
        assert "0.7887 for the students: a gain" in said
        assert "is undefined: the teacher has no lead" in said
        said = self.said(table_of(row("a", None, None), ne_gain=None, gap_closed=None))
        assert "Over all test rows" not in said
        assert "chance" not in said

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_of_knowledge_is_named(self, kind: str) -> None:
        said = self.said(table_of(row("a", knowledge_kind=kind)))
        assert [one for one in KINDS if KINDS[one] in said] == [kind]


class TestMarkdown:
    def test_it_is_a_table_under_the_first_sentence(self) -> None:
        text = markdown(table_of(row("hotels | a_b"), row("b", "undecided", None, reason="no test rows")))
        assert text.startswith("**The teacher helped 1 of 2 verticals")
        assert text.index("| vertical |") < 300, "MLflow shows four lines of a note, unless it is asked for more"
        table = [line for line in text.splitlines() if line.startswith("|")]
        assert table[2] == (
            "| hotels \\| a\\_b | 12,345 | 1,234 | 0.7500 | 0.8100 | 0.8000 | +0.0100 | +0.0050 to +0.0150 | 20 % "
            "| ▲ helped |"
        )
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {11}
        assert "1 without a gain, such as b: no test rows." in text

    def test_it_fits_into_a_note_of_mlflow(self) -> None:
        long = {"reason": "the loss was not finite in pass 2 " * 20}
        rows = [one | (long if word is None else {}) for word in (*list(SIGNS)[:4], None) for one in many(200, word)]
        text = markdown(table_of(*rows))
        assert len(text) < 8000
        assert f"{1000 - 30} more students are in `leaderboard.json`." in text


def test_a_real_leaderboard_can_be_shown() -> None:
    worlds = {f"v{number}": outcomes(rows=50 * number, seed=number) for number in range(6)}
    table = leaderboard(run(worlds, dict.fromkeys(worlds, (0.2, 0.9)) | {"v3": (None, 0.3)}), QUICK)
    for text in (shown(table), markdown(table)):
        assert "The teacher helped" in text
        assert "nan" not in text
        assert "None" not in text
