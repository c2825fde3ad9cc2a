"""Who trains together."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from distill.member import FEWEST, MOST, Member, cohorts, size_class


def member(vertical: str, rows: int, arm: str, tables: str = "adam") -> Member:
    return Member(vertical, None, arm, 0, 0, rows, max(1, rows // 32), {}, tables, "", vertical + arm, "group")


def twins(rows: list[int], tables: str = "adam") -> list[Member]:
    arms = ("control", "distilled")
    return [member(f"v{place}", size, arm, tables) for place, size in enumerate(rows) for arm in arms]


SIZES = st.lists(st.integers(1, 100_000), min_size=1, max_size=60)


@given(SIZES, st.integers(1, 20_000))
def test_a_cohort_holds_twins_of_one_size_class_longest_first(rows: list[int], step_rows: int) -> None:
    """Whatever the order they come in; nobody is lost."""
    members = twins(rows)
    found = cohorts(members, step_rows)
    assert found == cohorts(members[::-1], step_rows)
    assert sorted(one for group in found for one in group) == sorted(members)
    for group in found:
        assert len({size_class(one.rows) for one in group}) == 1
        assert all(first.rows >= second.rows for first, second in pairwise(group))
        assert {one.vertical for one in group[::2]} == {one.vertical for one in group[1::2]}
        assert len(group) <= MOST


@given(SIZES, st.integers(1, 20_000), st.integers(0, 100))
def test_what_is_left_after_a_kill_is_cut_as_before(rows: list[int], step_rows: int, done: int) -> None:
    """Whichever cohort was done: checkpoints of the others are found again."""
    found = cohorts(twins(rows), step_rows)
    gone = done % len(found)
    rest = found[:gone] + found[gone + 1 :]
    assert cohorts([one for group in rest for one in group], step_rows) == rest


def test_rows_of_a_step_bound_the_stack() -> None:
    """Neither few members nor too many."""
    assert [len(group) for group in cohorts(twins([3200] * 300), 100 * 100)] == [100] * 6
    assert len(cohorts(twins([3200] * 300), 1)[0]) == FEWEST
    assert len(cohorts(twins([3200] * 300), 10**9)[0]) == MOST


def test_tables_that_are_stepped_otherwise_stand_in_another_stack() -> None:
    """One optimizer a stack."""
    found = cohorts(twins([3200]) + twins([3200], "rowwise_adam"), 10_000)
    assert [{one.tables for one in group} for group in found] == [{"adam"}, {"rowwise_adam"}]
