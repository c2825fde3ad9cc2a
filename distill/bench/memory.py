"""What processes have in memory, as Linux says it.

`ru_maxrss` will not do: whatever a process starts inherits it, so that a small child of a large benchmark seems large.
"""

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")

UNKNOWN = "this system does not say what a process has in memory"


def known() -> bool:
    """Whether this system says it."""
    return STATUS.exists()


def resident() -> int:
    """Bytes that this process has in memory now."""
    return _said("VmRSS")


def peak() -> int:
    """The most bytes that this process had in memory since its program began."""
    return _said("VmHWM")


def largest_child() -> int | None:
    """Bytes of the largest process that this one has waited for; None where they are no more than this one had."""
    child, own = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    return 1024 * child if child > own else None


def _said(name: str) -> int:
    for line in STATUS.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return 1024 * int(value.split()[0])
    raise KeyError(name)
