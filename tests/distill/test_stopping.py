"""When a student has learned enough."""

import numpy as np

from distill.member import Member
from distill.recipe.sections import Stopping
from distill.stopping import Validation, decide, group_decision, own_decision

RULE = Stopping()


def member(vertical: str, group: str = "small", rows: int = 500, arm: str = "control") -> Member:
    return Member(vertical, None, arm, 0, 0, rows, 32, {}, "adam", "", vertical + arm, group)


def validation(*sums: float, clicks: int = 10) -> Validation:
    return Validation(np.array(sums), 1.0, clicks, clicks)


def test_a_large_vertical_decides_for_itself() -> None:
    """By its own least NE; a small one cannot."""
    assert own_decision(validation(3.0, 1.0, 2.0, clicks=500), RULE) == 2
    assert own_decision(validation(3.0, 1.0, 2.0, clicks=399), RULE) is None


def test_a_group_pools_sums() -> None:
    """The larger vertical weighs more; a failed one does not vote; nobody at all means the last pass."""
    assert group_decision([validation(10.0, 20.0), validation(2.0, 1.0)], RULE) == 1
    assert group_decision([validation(np.nan, 0.0), validation(2.0, 1.0)], RULE) == 2
    assert group_decision([Validation(np.zeros(3), 0.0, 0, 0)], RULE) == 3


def test_a_later_vertical_keeps_to_what_is_settled() -> None:
    """It changes nobody, not even itself."""
    passes, settled = decide([member("a"), member("b")], [validation(3.0, 1.0), validation(1.0, 1.5)], RULE, {})
    assert passes == [2, 2] and settled == {"small": 2}
    passes, again = decide([member("c")], [validation(1.0, 9.0)], RULE, settled)
    assert passes == [2] and again == settled


def test_arms_decide_by_the_same_rule_apart() -> None:
    """Each arm has its own group, so a control may stop elsewhere than its twin."""
    pair = [member("a", "control"), member("a", "distilled", arm="distilled")]
    passes, _ = decide(pair, [validation(1.0, 2.0), validation(2.0, 1.0)], RULE, {})
    assert passes == [1, 2]


def test_pairs_in_wrong_order_decide_where_the_recipe_says_so() -> None:
    """Each member's passes by cross-entropy and by order; a group adds up pairs, so that the larger one weighs more."""
    by_order = Stopping(by="auc")
    one = validation(1.0, 2.0, clicks=500)._replace(misordered=np.array([9.0, 3.0]))
    two = validation(1.0, 2.0)._replace(misordered=np.array([1.0, 2.0]))
    assert (own_decision(one, RULE), own_decision(one, by_order)) == (1, 2)
    assert group_decision([one, two], by_order) == 2
    assert group_decision([two], by_order) == 1
