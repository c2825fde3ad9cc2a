"""The leaderboard, and what is known of one student, as Markdown that fits into the note of an MLflow run."""

from collections.abc import Sequence

from distill.columns import SIGNS
from distill.report.footnotes import Footnote, footnotes, marked
from distill.report.lines import Line, Row, absent, groups, lines
from distill.report.sentences import of_lead, sentences

MOST = 6
"""Lines of each verdict: MLflow keeps 8,000 characters of a note."""

HEAD = ("vertical", "train rows", "test rows", "teacher", "control", "student", "gain", "interval", "gap", "verdict")


def markdown(table: Row, level: float = 0.95) -> str:
    """The first lines of each verdict between what the leaderboard says: MLflow shows four lines of a note unasked.

    Args:
        table: as `leaderboard` makes it.
        level: coverage of its intervals.
    """
    shown = groups(table, MOST)
    first, *others = sentences(table, level)
    rule = "|".join([" :-- ", *[" --: "] * (len(HEAD) - 2), " :-- "])
    there = [line for group in shown for line in group.lines]
    notes = footnotes(there)
    rows = [_bar_separated(HEAD), f"|{rule}|", *(_cells(line, notes) for line in there)]
    parts = [
        f"**{first}** Figures and every student are in `report.html`, under Artifacts.",
        "\n".join(rows),
        *(_plain(note.text) for note in notes),
        *_left_out(table, sum(one.hidden for one in shown)),
        "\n".join(f"- {sentence}" for sentence in others),
    ]
    return "\n\n".join(parts) + "\n"


def student_note(rows: Sequence[Row]) -> str:
    """What became of one student, in a line a task.

    Args:
        rows: those of the leaderboard that are about it.
    """
    tasks = [f"{_plain(row['task'])}: " if len(rows) > 1 else "" for row in rows]
    return "\n\n".join(task + _became(row) for task, row in zip(tasks, rows, strict=True))


def _became(row: Row) -> str:
    reason = f" {_plain(row['reason'])}." if row["reason"] else ""
    if row["status"] == "failed":
        return f"**{SIGNS['failed']} failed.**{reason}"
    if row["arm"] == "control":
        entropy = "" if row["ne"] is None else f" NE {row['ne']:.4f}."
        return f"The control: the same student without a teacher.{entropy}{reason}"
    word = row["verdict"] or "undecided"
    if row["ne_gain"] is None:
        return f"**{SIGNS[word]} {word}.**{reason}"
    return f"**{SIGNS[word]} {word}.** Gain in NE over its control: {row['ne_gain']:+.4f}{_between(row)}.{reason}"


def _between(row: Row) -> str:
    return "" if row["ne_gain_low"] is None else f" ({row['ne_gain_low']:+.4f} to {row['ne_gain_high']:+.4f})"


def _cells(line: Line, notes: Sequence[Footnote]) -> str:
    row = line.row
    mark = marked(line, notes)
    gap = ("-" if mark else "") if row["gap_closed"] is None else of_lead(row["gap_closed"])
    span = "" if row["ne_gain_low"] is None else f"{row['ne_gain_low']:+.4f} to {row['ne_gain_high']:+.4f}"
    entropies = ["" if row[name] is None else f"{row[name]:.4f}" for name in ("ne_teacher", "ne_control", "ne")]
    gain = "" if row["ne_gain"] is None else f"{row['ne_gain']:+.4f}"
    sizes = f"{row['rows_train']:,}", f"{row['rows_test']:,}"
    return _bar_separated([line.name, *sizes, *entropies, gain, span, gap + mark, f"{SIGNS[line.word]} {line.word}"])


def _left_out(table: Row, hidden: int) -> list[str]:
    """What the table does not show, in a paragraph each."""
    missing = absent(lines(table))
    more = f"{hidden} more students are in `leaderboard.json`." if hidden else ""
    some = "; ".join(_plain(reason)[:120] for reason in missing[:MOST])
    return [*filter(None, [more, f"{len(missing)} without a gain, such as {some}." if missing else ""])]


def _bar_separated(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """Without the signs that Markdown would read."""
    return "".join(f"\\{sign}" if sign in "|*_`<>[]\\" else sign for sign in " ".join(text.split()))
