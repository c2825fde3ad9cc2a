"""Layout: which device holds which part of a ranker."""

from typing import NamedTuple

from distill.rack.devices import Device


class Layout(NamedTuple):
    """How a ranker lies on so many devices.

    Attributes:
        devices: how many there are; each has other impressions.
        shard: devices over which dense weights, gradients and moments are split (one node at most).
        group: devices over which the tables are split; each group holds all of them. With 1 they are whole everywhere.
    """

    devices: int
    shard: int
    group: int

    @property
    def replicas(self) -> int:
        """Copies of the dense part."""
        return self.devices // self.shard

    @property
    def groups(self) -> int:
        """Copies of the tables."""
        return self.devices // self.group


def layouts(devices: int, device: Device) -> list[Layout]:
    """Every layout that is worth a thought: dense weights are split over as much of a node as divides the devices.

    Tables are whole on every device, or split over so many or over a multiple, always a divisor of all devices.
    """
    shard = max(one for one in range(1, min(devices, device.node) + 1) if devices % one == 0)
    groups = [1, *(group for group in range(shard, devices + 1, shard) if devices % group == 0)]
    return [Layout(devices, shard, group) for group in dict.fromkeys(groups)]
