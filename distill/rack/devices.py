"""Devices: the figures of accelerators that a plan reckons with, as their makers publish them."""

from typing import NamedTuple


class Device(NamedTuple):
    """One accelerator and how it is connected.

    Attributes:
        flops: floating-point operations a second of dense bf16 products, at its peak.
        memory: bytes.
        bandwidth: bytes a second between it and its own memory.
        link: bytes a second that it sends to the others of its node.
        network: bytes a second that it sends to other nodes.
        node: devices of one node.
    """

    flops: float
    memory: float
    bandwidth: float
    link: float
    network: float
    node: int


DEVICES = {
    "a100": Device(flops=312e12, memory=80e9, bandwidth=2.04e12, link=300e9, network=25e9, node=8),
    "h100": Device(flops=989e12, memory=80e9, bandwidth=3.35e12, link=450e9, network=50e9, node=8),
    "h200": Device(flops=989e12, memory=141e9, bandwidth=4.8e12, link=450e9, network=50e9, node=8),
    "b200": Device(flops=2250e12, memory=180e9, bandwidth=8e12, link=900e9, network=50e9, node=8),
}
"""By the makers' data sheets (SXM modules, 2020 to 2025): dense rates without sparsity, links in one direction. The
network is one adapter a device, of 200 Gbit/s beside an A100 and 400 Gbit/s beside the others."""
