"""Keys: single keys and written texts from a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from lilliput.base.errors import ConfigError

QUIT = "q"
ENDS = ("\x03", "\x04", "")
"""Ctrl-C, Ctrl-D, and the end of the input."""
ALONE = "."
"""A line with this alone ends a text, as Ctrl-D does."""

ESCAPE = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|O.|)")
"""An arrow or a function key: several bytes that are no answer."""


class Keyboard(Protocol):
    """Where keys come from: a terminal, or the script of a test."""

    def key(self) -> str:
        """The next key: a character, '\\x7f' for Backspace; 'q' at the end of the input."""
        ...

    def text(self, announce: Callable[[], None]) -> str:
        """A text of several lines. `announce` shows that it may be written, once the keyboard is ready for it."""
        ...

    def forget(self) -> None:
        """Drop keys that were pressed and not read yet: no key answers an item that was not on the screen."""
        ...


@contextmanager
def terminal() -> Iterator[Keyboard]:
    """The keyboard of this terminal, without echo, and as it was before at the end. Raises ConfigError where standard
    input is not a terminal."""
    if not sys.stdin.isatty():
        raise ConfigError("standard input is not a terminal, so no key can be read", "label in a browser: --page")
    try:
        import termios
    except ImportError:
        yield _Windows()
        return
    keyboard = _Posix(sys.stdin.fileno())
    before = termios.tcgetattr(keyboard.descriptor)
    try:
        keyboard.single_keys()
        yield keyboard
    finally:
        termios.tcsetattr(keyboard.descriptor, termios.TCSADRAIN, before)


class _Posix:
    def __init__(self, descriptor: int):
        import termios

        self.descriptor, self._lines = descriptor, termios.tcgetattr(descriptor)
        self._held = ""

    def single_keys(self) -> None:
        import termios
        import tty

        tty.setcbreak(self.descriptor, termios.TCSADRAIN)

    def key(self) -> str:
        while not self._held:
            read = os.read(self.descriptor, 64)
            if not read:
                return QUIT
            self._held = ESCAPE.sub(b"", read).decode("utf-8", errors="ignore")
        key, self._held = self._held[0], self._held[1:]
        return QUIT if key in ENDS else key

    def text(self, announce: Callable[[], None]) -> str:
        import termios

        self.forget()
        termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._lines)
        try:
            announce()  # a text that is written at once would be forgotten before
            return lines_of(input)
        finally:
            self.single_keys()

    def forget(self) -> None:
        import termios

        self._held = ""
        termios.tcflush(self.descriptor, termios.TCIFLUSH)


class _Windows:
    def key(self) -> str:
        import msvcrt

        key = msvcrt.getwch()  # type: ignore[attr-defined]
        if key in "\x00\xe0":  # an arrow, a function key
            msvcrt.getwch()  # type: ignore[attr-defined]
            return self.key()
        return QUIT if key in ENDS else {"\b": "\x7f", "\r": "\n"}.get(key, str(key))

    def text(self, announce: Callable[[], None]) -> str:
        announce()
        return lines_of(input)

    def forget(self) -> None:
        import msvcrt

        while msvcrt.kbhit():  # type: ignore[attr-defined]
            msvcrt.getwch()  # type: ignore[attr-defined]


def lines_of(read: Callable[[], str]) -> str:
    """The lines that `read()` gives, up to a line with a point alone or the end of the input."""
    lines: list[str] = []
    try:
        while (line := read()) != ALONE:
            lines.append(line)
    except EOFError:
        pass
    # Bytes that are not UTF-8 come as halves of characters, which no file could hold.
    return "\n".join(lines).encode("utf-8", errors="replace").decode("utf-8")
