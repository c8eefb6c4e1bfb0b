"""Threads: the request, then the environment, then the cores."""

import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.base.runtime import threads


def test_threads_follow_the_request_then_the_environment_then_the_cores(monkeypatch):
    before = torch.get_num_threads()
    try:
        assert threads.configure_threads(2) == 2
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        assert threads.configure_threads() == 3
        monkeypatch.delenv("OMP_NUM_THREADS")
        monkeypatch.setattr(threads, "physical_cores", lambda: 5)
        assert threads.configure_threads() == torch.get_num_threads() == 5
        with pytest.raises(ConfigError, match="0 threads"):
            threads.configure_threads(0)
    finally:
        torch.set_num_threads(before)
