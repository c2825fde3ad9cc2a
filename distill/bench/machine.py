"""Machine: what the figures were measured on."""

import os
import platform
from pathlib import Path

from distill.tracking import environment


def machine() -> dict[str, str]:
    """Processor, cores that this process may use, how busy they are, threads, and versions."""
    load, *_ = os.getloadavg()
    facts = {"processor": _processor(), "cores": str(len(os.sched_getaffinity(0))), "load": f"{load:.1f}"}
    return facts | environment()


def _processor() -> str:
    """The processor's name, from where Linux keeps it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
