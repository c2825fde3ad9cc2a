"""Timelines against a look at every row."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.timeline import Timeline

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, asked=st.tuples(st.integers(0, 4), st.sampled_from([-np.inf, -1.0, 0.0, 2.0, 2.5, 5.0, 9.0])))
def test_every_place_is_where_counting_says(rows: list[tuple[int, int]], asked: tuple[int, float]) -> None:
    """`sorted` keeps the order of equal rows, as the timeline does."""
    owner, time = np.array(rows).T
    line, (who, when) = Timeline(owner, time.astype(float)), asked
    assert line.order.tolist() == sorted(range(len(rows)), key=lambda row: rows[row])
    first = sum(one < who for one, _ in rows)
    earlier = sum(one == who and other < when for one, other in rows)
    upto = sum(one == who and other <= when for one, other in rows)
    assert line.before(np.array([who]), np.array([when])).tolist() == [first + earlier]
    assert line.upto(np.array([who]), np.array([when])).tolist() == [first + upto]
    begin, end = line.block(np.arange(len(rows)))
    there = [rows[row] for row in line.order]
    assert begin.tolist() == [there.index(one) for one in there]
    assert (end - begin).tolist() == [there.count(one) for one in there]
