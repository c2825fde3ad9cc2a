"""Racks: what a large teacher would take on many devices, before any of them is rented."""

from distill.rack.devices import DEVICES
from distill.rack.planning import Rack, rack_plan

__all__ = ["DEVICES", "Rack", "rack_plan"]
