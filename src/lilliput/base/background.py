"""Long work of a library that does not listen: done beside the main thread, which shows it and hears Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from lilliput.base import console

T = TypeVar("T")
POLL_SECONDS = 0.1


def in_background(work: Callable[[], T], description: str) -> T:
    """What `work()` gives, or raises. It has to release Python's lock while it computes. Meanwhile the seconds that it
    takes are shown as progress. On Ctrl-C, KeyboardInterrupt is raised at once; the work then goes on unseen until its
    end or that of the process, and what it gives is lost."""
    made: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            made.append(work())
        except BaseException as error:
            failed.append(error)

    worker = threading.Thread(target=run, name=description, daemon=True)
    with console.progress(description, unit="s") as shown:
        worker.start()
        while worker.is_alive():
            worker.join(POLL_SECONDS)
            shown.advance(POLL_SECONDS)
    if failed:
        raise failed[0]
    return made[0]
