"""What devices send: against rings that are walked through, and against what must not depend on the layout."""

import pytest

from distill.rack.devices import DEVICES
from distill.rack.layout import Layout, layouts
from distill.rack.traffic import ID_BYTES, Traffic, traffic


def walked(devices: int, size: float, rounds: int) -> float:
    """Bytes that each device of a ring sends, which passes on one part of `size` a turn; a round visits all others."""
    sent = [0.0] * devices
    for _ in range(rounds):
        for _turn in range(devices - 1):
            for device in range(devices):
                sent[device] += size / devices
    assert max(sent) == min(sent)
    return sent[0]


def of(layout: Layout) -> Traffic:
    job = {"dense": 1200, "blocks": 900, "sparse": 4800, "exchanged": 320, "ids": 40}
    return traffic(layout, **job, weight=2, row=4, interval=10)


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
def test_one_shard_group_walks_its_rings(devices):
    sent = of(Layout(devices, shard=devices, group=devices))
    assert sent.gather == pytest.approx(walked(devices, (1200 + 900) * 2, rounds=1))
    assert sent.scatter == pytest.approx(walked(devices, 1200 * 2, rounds=1))
    assert sent.reduce == sent.tables == 0


@pytest.mark.parametrize("devices", [1, 2, 3, 8])
def test_replicas_walk_theirs(devices):
    sent = of(Layout(devices, shard=1, group=1))
    assert sent.reduce == pytest.approx(walked(devices, 1200 * 2, rounds=2))
    told = walked(devices, devices * 40 * ID_BYTES, rounds=1), walked(devices, devices * 320 * 4, rounds=1)
    assert (sent.ids, sent.rows) == pytest.approx(told)  # Each tells all others what its own rows have read.
    assert sent.gather == sent.scatter == sent.tables == 0


def test_a_mesh_reduces_the_share_of_each_device():
    sent = of(Layout(8, shard=4, group=2))
    assert sent.reduce == pytest.approx(walked(2, 1200 * 2 / 4, rounds=2))
    assert sent.tables == pytest.approx(walked(4, 4800 * 4 / 2 / 10, rounds=2))
    assert sent.ids == 40 * ID_BYTES / 2
    assert sent.rows == 2 * 320 * 4 / 2


def test_alone_nothing_is_sent():
    assert set(of(Layout(1, 1, 1))) == {0}


@pytest.mark.parametrize("devices", [1, 4, 6, 8, 12, 1024])
def test_layouts_divide_the_devices(devices):
    for layout in layouts(devices, DEVICES["h100"]):
        assert layout.replicas * layout.shard == layout.groups * layout.group == devices
        assert layout.shard <= DEVICES["h100"].node
