"""Who trains together."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill import member as members
from distill.inputs import NAME
from distill.member import FEWEST, MOST, Member, cohorts, roster, size_class
from distill.recipe.sections import Students
from tests.distill.conftest import Taught


def member(vertical: str, rows: int, arm: str, tables: str = "adam", inputs: str = "") -> Member:
    return Member(vertical, None, arm, 0, 0, rows, max(1, rows // 32), {}, tables, inputs, vertical + arm, "group")


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


def test_whoever_sees_more_stands_in_another_stack() -> None:
    """One shape a stack; each of the two cohorts in the order of the other."""
    pairs = [member(f"v{place}", 3200, arm, inputs=NAME * (arm == "distilled")) for place, arm in WHO]
    found = cohorts(pairs, 10_000)
    assert [[one.arm for one in group] for group in found] == [["control"] * 3, ["distilled"] * 3]
    assert [one.vertical for one in found[0]] == [one.vertical for one in found[1]]


WHO = [(place, arm) for place in range(3) for arm in ("control", "distilled")]


def named(taught: Taught, **distill: object) -> dict[str, Member]:
    """The first vertical's student of each arm."""
    settings = {"model": {"class": "students.DNN"}, "distill": distill}
    view = taught.impressions.view(["item_id"], "vertical")
    found = roster(Students.model_validate(settings), taught.impressions, view, "c0ffee", 0)
    return {one.arm: one for one in found[:2]}


CHANNELS = [
    {"representation": {"weight": 0.2}},
    {"representation": {"weight": 0.2, "loss": "cka"}},
    {"representation": {"weight": 0.3}},
    {"input": {"features": ["user_id"]}},
    {"input": {"features": ["user_id", "device"]}},
    {"sharing": {}},
    {"sharing": {"rate": 0.5}},
    {"sharing": {"tables": "frozen"}},
    {"sharing": {"tables": "pulled"}},
    {"sharing": {"tables": "pulled", "pull": 3}},
    {"input": {"features": ["user_id"], "misses": 0.1}},
    {"input": {"features": ["user_id"], "age": 2}},
    {"sharing": {"source": "domain"}},
    {"sharing": {"source": "domain", "rank": 2}},
    {"sharing": {"source": "domain", "rank": 3}},
    {"ranking": {"weight": 0.1}},
    {"ranking": {"weight": 0.1, "loss": "pairwise"}},
    {"ranking": {"weight": 0.1, "group": "device"}},
    {"schedule": {"decay": "linear"}},
    {"schedule": {"decay": "cosine"}},
    {"schedule": {"warm_up": 0.2}},
    {"logit": {"adapter": {}}},
    {"logit": {"adapter": {"form": "mlp"}}},
    {"logit": {"adapter": {"rate": 3}}},
    {"logit": {"adapter": {"weight": 2}, "head": "auxiliary"}},
    {"logit": {"adapter": {"weight": 3}, "head": "auxiliary"}},
    {"logit": {"adapter": {}, "head": "auxiliary"}},
    {"history": {}},
    {"history": {"length": 3}},
    {"logit": {"head": "auxiliary"}},
]


def test_each_channel_makes_another_student_and_the_same_control(taught: Taught) -> None:
    """Its fingerprint, that is, and its group's; the control's are those of a recipe without any channel."""
    plain = named(taught)
    found = [named(taught, **channel) for channel in CHANNELS]
    assert len({one["distilled"].fingerprint for one in [plain, *found]}) == len(CHANNELS) + 1
    assert len({one["distilled"].group for one in [plain, *found]}) == len(CHANNELS) + 1
    assert all(alone(one["control"]) == alone(plain["control"]) for one in found)


def alone(member: Member) -> Member:
    """Without the stack, which says who may train beside it."""
    return member._replace(stack="")


@pytest.mark.parametrize(
    "channel",
    [{"representation": {"loss": "cka"}}, {"fallback": {}}, {"ranking": {"loss": "pairwise"}}, {"schedule": {}}],
)
def test_what_changes_no_weight_leaves_no_trace(taught: Taught, channel: dict) -> None:
    """A loss that weighs nothing, and what is decided after training: both are found where they were."""
    changed, plain = named(taught, **channel), named(taught)
    assert all(alone(changed[arm]) == alone(plain[arm]) for arm in plain)


def test_numbers_and_starts_stand_in_one_stack_and_shapes_in_others(taught: Taught) -> None:
    """A student that begins with the teacher's tables beside one that does not; one that sees more does not."""
    numbers = ({}, {"sharing": {"tables": "pulled"}}, {"schedule": {"decay": "linear"}}, {"logit": {"weight": 0.0}})
    stacks = [named(taught, **one)["distilled"].stack for one in numbers]
    assert len(set(stacks)) == 1
    assert named(taught, input={"features": ["user_id"]})["distilled"].stack not in stacks


def test_another_format_is_another_student(taught: Taught, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept in a form that cannot be read is not looked for."""
    before = named(taught, sharing={})
    monkeypatch.setattr(members, "FORMAT", members.FORMAT + 1)
    after = named(taught, sharing={})
    assert all(before[arm].fingerprint != after[arm].fingerprint for arm in before)
    assert before["distilled"].settings["table_rate"] == 1 and "table_rate" not in before["control"].settings
