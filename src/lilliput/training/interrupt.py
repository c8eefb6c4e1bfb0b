"""Interrupt: Ctrl-C, SIGTERM and SIGHUP end a run after the present step, or give up a long step, so that the run is
saved."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

PATIENCE_SECONDS = 4.0
"""The longest wait for the present step to end. A first step compiles for a minute and more."""
AGAIN_SECONDS = 2.0
"""Seconds until an exception is raised again, because an exception that is raised while Python runs a finaliser is
lost."""

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Abandoned(KeyboardInterrupt):
    """The present step was given up. Like its base class it is not caught by `except Exception`."""


class Interrupt:
    """`name` is the signal that came, or None. A second Ctrl-C acts at once, as in Python without this class.

    Work under `abandonable` has to end within PATIENCE_SECONDS after a signal. Otherwise Abandoned is raised in it.
    SIGHUP stays ignored where it is ignored (nohup). Outside the main thread signals cannot be caught, and the run
    continues without this class. Without an alarm (Windows), `abandonable` does nothing."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.abandonable = _Abandonable()
        self._before: dict[int, Any] = {}
        self._terminals: list[int] = []
        self._timer: tuple[float, float] | None = None  # whose alarm it was before

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._terminals = [number for number in _output() if os.isatty(number)]
            for number in SIGNALS:
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *exception: object) -> None:
        self.abandonable.open = False
        if self._timer is not None:
            signal.setitimer(signal.ITIMER_REAL, *self._timer)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self.name is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        if signal.Signals(number).name == "SIGHUP":
            self._leave_terminal()
        if self._timer is None and hasattr(signal, "setitimer"):
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._late)
            self._timer = signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS, AGAIN_SECONDS)
        self.name = signal.Signals(number).name

    def _late(self, number: int, frame: FrameType | None) -> None:
        if self.abandonable.open:
            raise Abandoned

    def _leave_terminal(self) -> None:
        """Discard all output from now on. The terminal is closed, and an error of printing would prevent the saving."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in self._terminals:
            os.dup2(nowhere, number)
        os.close(nowhere)


class _Abandonable:
    """The context of work that has changed nothing yet. It is a class and not a generator, so that the end of the block
    is one assignment."""

    def __init__(self) -> None:
        self.open = False

    def __enter__(self) -> None:
        self.open = True

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.open = False


def _output() -> list[int]:
    """The descriptors that this process prints to."""
    found = []
    for stream in (sys.stdout, sys.stderr):
        try:
            found.append(stream.fileno())
        except (AttributeError, OSError, ValueError):  # none, closed, or in memory
            continue
    return found
