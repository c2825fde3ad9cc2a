"""Gates: which students may be shipped, and what keeps the others back."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from distill.recipe.outcome import Gates
from distill.report.lines import Row

UNMEASURED = "it has not been measured as it is served; `distill compare RECIPE --gate` does that"


class Refusal(NamedTuple):
    """A student that does not pass, or the whole run where `member` is empty."""

    member: str
    task: str
    gate: str
    reason: str


def refusals(table: Row, gates: Gates) -> list[Refusal]:
    """Everything that keeps students back; a number that does not exist passes no gate.

    Args:
        table: a leaderboard; a row that was measured in service has its `latency` and `size` too.
        gates: what is asked; a gate that is None asks for nothing.
    """
    rows = [row for row in table["students"] if row["arm"] == "distilled"]
    twins = {(row["vertical"], row["seed"], row["task"]): row for row in table["students"] if row["arm"] == "control"}
    found = [refusal for row in rows for refusal in _of(row, twins.get(_key(row)), gates)]
    return [*_hurt(table["summary"], gates), *found]


def passed(table: Row, gates: Gates) -> list[str]:
    """The distilled students that nothing keeps back."""
    found = refusals(table, gates)
    if any(not refusal.member for refusal in found):
        return []
    kept = {refusal.member for refusal in found}
    members = dict.fromkeys(row["member"] for row in table["students"] if row["arm"] == "distilled")
    return [member for member in members if member not in kept]


def _key(row: Row) -> tuple[Any, ...]:
    return row["vertical"], row["seed"], row["task"]


def _hurt(summary: Row, gates: Gates) -> Iterator[Refusal]:
    if gates.hurt is None:
        return
    judged = sum(summary[word] for word in ("helped", "hurt", "unchanged", "undecided"))
    share = summary["hurt"] / judged if judged else 0.0
    if share > gates.hurt:
        reason = f"{summary['hurt']} of {judged} students are hurt, {share:.1%}; at most {gates.hurt:.1%} may be"
        yield Refusal("", "", "hurt", reason)


def _of(row: Row, control: Row | None, gates: Gates) -> Iterator[Refusal]:
    """What keeps one student back, in the order of the gates; a failed student passes none."""
    asked = [("ne_gain", _gain), ("calibration", _calibration), ("gauc", _gauc), ("latency", _latency), ("size", _size)]
    if row["status"] == "failed":
        yield Refusal(row["member"], row["task"], "status", f"it failed: {row['reason']}")
        return
    for name, check in asked:
        bound = getattr(gates, name)
        reason = "" if bound is None else check(row, control, bound)
        if reason:
            yield Refusal(row["member"], row["task"], name, reason)


def _gain(row: Row, _: Row | None, least: float) -> str:
    low = row["ne_gain_low"]
    if low is None:
        return f"its gain has no interval: {_why(row, 'ne_gain_low')}"
    return "" if low >= least else f"its gain may be as low as {low:+.4f}; at least {least:+.4f} is asked"


def _calibration(row: Row, _: Row | None, most: float) -> str:
    ratio, error = row["calibration"], row["calibration_se"]
    if ratio is None:
        return f"it has no calibration ratio: {_why(row, 'calibration')}"
    bound = max(most, 2 * error)
    return (
        "" if abs(ratio - 1) <= bound else f"its calibration ratio is {ratio:.3f}; at most {bound:.3f} off 1 is asked"
    )


def _gauc(row: Row, control: Row | None, most: float) -> str:
    theirs = control["gauc"] if control else None
    if row["gauc"] is None or theirs is None:
        return f"it cannot be compared by GAUC: {_why(row, 'gauc')}"
    loss = theirs - row["gauc"]
    return "" if loss <= most else f"its GAUC is {loss:.4f} below its control's; at most {most:.4f} is asked"


def _latency(row: Row, _: Row | None, most: float) -> str:
    found = row.get("latency")
    if found is None:
        return UNMEASURED
    return "" if found <= most else f"one impression takes {found:,.0f} us; at most {most:,.0f} us is asked"


def _size(row: Row, _: Row | None, most: float) -> str:
    found = row.get("size")
    if found is None:
        return UNMEASURED
    return "" if found <= most else f"it has {found:,} bytes; at most {most:,} is asked"


def _why(row: Row, name: str) -> str:
    return row["undefined"].get(name) or row["reason"] or "its control has none"
