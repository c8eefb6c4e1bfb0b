"""Long work of a library that ignores Ctrl-C: it runs in a second thread, and the main thread shows its progress."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from lilliput.base import console

T = TypeVar("T")
POLL_SECONDS = 0.1


def in_background(work: Callable[[], T], description: str) -> T:
    """Return the result of `work()`, or raise its error, and show its seconds as progress.

    `work` has to release Python's lock while it computes. On Ctrl-C, KeyboardInterrupt is raised at once. The work then
    continues in its thread until its end or the process's end, and its result is lost."""
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
