"""Estimates: arithmetic by hand for one device, and what must hold for any number of them."""

import pytest

from distill.cost import Cost
from distill.rack.devices import DEVICES
from distill.rack.estimate import EFFICIENCY, LARGEST, REACHED, Job, estimate, least_devices

H100 = DEVICES["h100"]


def job(dense: int = 10_000_000, sparse: int = 10**9, flops: int = 10**8, activations: int = 10**6) -> Job:
    cost = Cost(dense=dense, sparse=sparse, flops=flops, memory=0, activations=activations, width=100)
    return Job(cost, blocks=dense, reads=50, tables=0, events=20, impressions=1e10)


def test_of_one_device_is_reckoned_by_hand():
    found = estimate(job(), 1, H100)
    assert found.batch == LARGEST
    assert found.states == pytest.approx(10_000_000 * 18 + 10**9 * 4 * 1.01)
    assert found.activations == LARGEST * 10**6 / 2
    products = 3 * 10**8 * LARGEST / (EFFICIENCY * 989e12)
    memory = LARGEST * (4 * 10**6 / 2 + 5 * 4 * 50 * 100) / (REACHED * 3.35e12)
    assert found.step == pytest.approx(products + memory)
    assert found.mfu == pytest.approx(3 * 10**8 * LARGEST / found.step / 989e12)
    assert found.rate == pytest.approx(LARGEST / found.step)
    assert found.tokens == pytest.approx(20 * found.rate)
    assert found.hours == pytest.approx(1e10 / found.rate / 3600)
    assert set(found.traffic) == {0}


def test_more_devices_do_more_but_never_more_than_their_number():
    alone, *others = (estimate(job(), count, H100) for count in (1, 8, 64, 1024))
    for found in others:
        assert alone.rate < found.rate <= found.layout.devices * alone.rate * (1 + 1e-9)
        assert found.mfu <= alone.mfu * (1 + 1e-9)


def test_tables_that_no_device_holds_are_split():
    found = estimate(job(sparse=10**11), 64, H100)
    assert found.layout.group >= 8
    assert found.traffic.rows > 0
    assert found.states < 0.9 * H100.memory


def test_what_does_not_fit_says_how_many_it_needs():
    giant = job(sparse=10**12)
    assert estimate(giant, 8, H100) is None
    least = least_devices(giant, H100)
    assert estimate(giant, least, H100)
    assert not estimate(giant, least // 2, H100)


def test_activations_bound_the_batch():
    found = estimate(job(activations=10**8), 1, H100)
    assert found.batch < LARGEST
    assert found.states + found.activations < 0.9 * H100.memory < found.states + 2 * found.activations


def test_a_small_network_shows():
    slow = H100._replace(link=1e8, network=1e8)
    assert estimate(job(sparse=10**11), 16, slow).bound == "table traffic"
    assert estimate(job(dense=10**9, sparse=10**6), 16, slow).bound == "dense traffic"
