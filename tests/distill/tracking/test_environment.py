import os
import platform
import socket

import torch

from distill.tracking import environment


def test_versions_and_threads_are_those_in_use():
    found = environment()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["python"] == platform.python_version()
    assert found["torch threads"] == str(torch.get_num_threads())


def test_nothing_of_the_surroundings_is_told(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cr3t-7f")
    values = " ".join([*environment(), *environment().values()])
    assert "s3cr3t-7f" not in values and socket.gethostname() not in values.split()
    assert not any(os.environ.get(name, "\0") in values.split() for name in ("HOME", "USER", "PATH"))
