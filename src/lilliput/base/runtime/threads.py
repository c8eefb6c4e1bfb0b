"""Threads: the number of threads with which PyTorch computes."""

from __future__ import annotations

import os

from lilliput.base.errors import ConfigError
from lilliput.base.machine import physical_cores

MOST_THREADS = 512
"""The most threads of a run. With far more threads the process would crash, because the system refuses to start them
and the library that starts them does not check."""


def configure_threads(asked: int | None = None) -> int:
    """Set and return torch's threads: `asked`, else $OMP_NUM_THREADS, else one for each usable physical core.

    Raises ConfigError below 1 and above MOST_THREADS."""
    import torch

    if asked is not None and asked < 1:
        raise ConfigError(f"{asked} threads is not a possible number", "give 1 or more, or leave it out")
    environment = os.environ.get("OMP_NUM_THREADS", "")[:9]
    fallback = int(environment) if environment.isdigit() and int(environment) else physical_cores()
    threads = asked or fallback
    if threads > MOST_THREADS:
        raise ConfigError(
            f"{threads:,} threads are more than any machine has cores for (at most {MOST_THREADS})",
            f"leave it out, or give the cores of this machine: {physical_cores()}",
        )
    torch.set_num_threads(threads)
    return torch.get_num_threads()


def counted(threads: int) -> str:
    """Return '1 thread' or '2 threads'."""
    return f"{threads} thread" + "s" * (threads != 1)
