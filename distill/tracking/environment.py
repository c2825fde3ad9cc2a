"""What a result was computed with."""

import os
import platform
from importlib import metadata

_PACKAGES = ("distill", "torch", "lightning", "numpy", "polars", "mlflow", "pydantic")


def environment() -> dict[str, str]:
    """Versions, platform, processors and threads; never an environment variable, a user or a host name."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": str(os.cpu_count()),
        "torch threads": str(torch.get_num_threads()),
        **{package: _version(package) for package in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
