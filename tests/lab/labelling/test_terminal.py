"""The terminal: every mode by keys alone, from a script of keys and from a pseudo-terminal."""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from io import StringIO

import pytest
from rich.console import Console

from lilliput.base.errors import ConfigError
from lilliput.lab.labelling import keys, terminal
from lilliput.lab.labelling.sampling import Unusable
from lilliput.lab.labelling.store import live, read
from tests.lab.labelling.conftest import PROMPTS, Labelling, replies


class Script:
    """A keyboard whose keys are known beforehand; then it quits."""

    def __init__(self, pressed: Sequence[str], texts: Sequence[str] = ()):
        self._keys, self._texts, self.forgotten = iter(pressed), iter(texts), 0

    def key(self) -> str:
        return next(self._keys, keys.QUIT)

    def text(self, announce: Callable[[], None]) -> str:
        announce()
        return next(self._texts)

    def forget(self) -> None:
        self.forgotten += 1


@pytest.fixture(autouse=True)
def screen(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What the terminal shows, 100 columns wide."""
    shown = StringIO()
    monkeypatch.setattr(terminal, "console", Console(file=shown, width=100, highlight=False))
    return shown


def places(labelling: Labelling) -> list[list[list[int]]]:
    """The rankings as places that were pressed, from 1."""
    return [
        [[record.shown.index(number) + 1 for number in group] for group in record.answer]  # type: ignore[union-attr]
        for record in live(read(labelling.path))
    ]


@pytest.mark.parametrize(
    ("samples", "pressed", "expected"),
    [
        (2, "1", [[[1], [2]]]),
        (2, "2", [[[2], [1]]]),
        (2, "=", [[[1, 2]]]),
        (3, "31", [[[3], [1], [2]]]),
        (4, "24=", [[[2], [4], [1, 3]]]),
        (4, "2\x7f134", [[[1], [3], [4], [2]]]),  # Backspace takes a key back
        (3, "9x0\x7f113", [[[1], [3], [2]]]),  # keys without a meaning, and a place that is taken
        (3, "2?31", [[[3], [1], [2]]]),  # help ends a ranking that is not whole
        (3, "2q", []),
        (2, "1s2", [[[1], [2]], [[2], [1]]]),
    ],
)
def test_rankings_by_keys(
    labelling: Labelling, screen: StringIO, samples: int, pressed: str, expected: list[list[list[int]]]
) -> None:
    terminal.run(labelling.session(samples=samples), Script(pressed))
    found = places(labelling)
    assert [[sorted(group) for group in ranking] for ranking in found] == expected
    assert "quit" in screen.getvalue()


def test_ratings_undo_and_help(labelling: Labelling, screen: StringIO) -> None:
    session = labelling.session("rate", samples=1)
    terminal.run(session, Script("1b?uu2g"))
    assert [record.answer for record in live(read(labelling.path))] == [False, True]
    assert "Press 1 for a reply that you want" in screen.getvalue()
    assert screen.getvalue().count("1 of 3") == 2
    assert session.left == 1


def test_undo_with_nothing_before_says_so(labelling: Labelling, screen: StringIO) -> None:
    terminal.run(labelling.session("rate", samples=1), Script("u"))
    assert "there is nothing to undo" in screen.getvalue()
    assert not labelling.path.exists()


def test_demonstrations_are_written_looked_at_and_stored(labelling: Labelling, screen: StringIO) -> None:
    script = Script("wy\nnwyw", ["saw a ship.\n\nIt was red.", "dropped", "It ran.", "  "])
    terminal.run(labelling.session("demonstrate"), script)
    assert [record.answer for record in live(read(labelling.path))] == [" saw a ship.\n\nIt was red.", " It ran."]
    assert "One day Tom saw a ship." in screen.getvalue()
    assert "nothing was written" in screen.getvalue()


def test_every_item_in_turn_until_none_is_left(labelling: Labelling, screen: StringIO) -> None:
    script = Script("1" * 9)
    terminal.run(labelling.session(), script)
    assert [record.prompt for record in live(read(labelling.path))] == list(PROMPTS)
    assert script.forgotten == 3  # keys from before an item is on the screen answer nothing


def test_replies_stand_side_by_side_where_there_is_room(
    labelling: Labelling, screen: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(prompt: object) -> tuple:
        return tuple(
            each.model_copy(update={"text": f"reply {n} [bold]\x1b[31m"}) for n, each in enumerate(replies("a", 3))
        )

    terminal.run(labelling.session(samples=3, make=make), Script(""))
    line = next(line for line in screen.getvalue().splitlines() if "reply 0" in line)
    assert "reply 1" in line
    assert "reply 2" in line
    assert "[bold]" in line
    assert "\x1b" not in screen.getvalue()
    narrow = StringIO()
    monkeypatch.setattr(terminal, "console", Console(file=narrow, width=60, highlight=False))
    terminal.run(labelling.session(samples=3, make=make), Script(""))
    assert [line[:3] for line in narrow.getvalue().splitlines() if "reply" in line] == ["[1]", "[2]", "[3]"]


def test_where_a_reply_comes_from_is_hidden(labelling: Labelling, screen: StringIO) -> None:
    terminal.run(labelling.session(), Script(""))
    assert "story" not in screen.getvalue()
    assert "temperature" not in screen.getvalue()


def test_slow_replies_are_waited_for(labelling: Labelling, screen: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(terminal, "POLL_SECONDS", 0.01)

    def slow(prompt: object) -> tuple:
        assert go.wait(10)
        return replies("a", 2)

    session = labelling.session(make=slow)
    threading.Timer(0.1, go.set).start()
    terminal.run(session, Script("1"))
    assert screen.getvalue().count("generating replies") == 1
    assert len(live(read(labelling.path))) == 1


def test_a_prompt_that_the_model_does_not_take_is_left_out(labelling: Labelling, screen: StringIO) -> None:
    def make(prompt: object) -> tuple:
        if prompt == PROMPTS[0]:
            raise Unusable("the prompt is too long")
        return replies("a", 2)

    session = labelling.session(make=make)
    terminal.run(session, Script("11"))
    assert labelling.printed == ["left out: the prompt is too long ('One day Tom')"]
    assert [record.prompt for record in live(read(labelling.path))] == list(PROMPTS[1:])
    assert session.left_out == 1


# ------------------------------------------------------------------------------------------------ a real terminal


@pytest.fixture
def pseudo_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other end of the terminal that standard input is."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    with os.fdopen(slave, "r") as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield master
    os.close(master)


def test_single_keys_of_a_terminal(pseudo_terminal: int) -> None:
    termios = pytest.importorskip("termios")
    before = termios.tcgetattr(sys.stdin.fileno())
    with keys.terminal() as keyboard:
        os.write(pseudo_terminal, b"1")
        assert keyboard.key() == "1"
        os.write(pseudo_terminal, b"\x1b[A")
        os.write(pseudo_terminal, "2ß".encode())
        assert [keyboard.key(), keyboard.key()] == ["2", "ß"]  # an arrow is no answer
        os.write(pseudo_terminal, b"9")
        keyboard.forget()
        os.write(pseudo_terminal, b"\x04")
        assert keyboard.key() == keys.QUIT
    assert termios.tcgetattr(sys.stdin.fileno()) == before


def test_the_terminal_is_as_before_after_an_error(pseudo_terminal: int) -> None:
    termios = pytest.importorskip("termios")
    before = termios.tcgetattr(sys.stdin.fileno())

    def interrupted() -> None:
        with keys.terminal():
            assert termios.tcgetattr(sys.stdin.fileno()) != before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert termios.tcgetattr(sys.stdin.fileno()) == before


def test_without_a_terminal_the_page_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("1\n"))
    with pytest.raises(ConfigError, match="--page"), keys.terminal():
        pass


def test_a_text_ends_with_a_point_or_with_the_input() -> None:
    lines = iter(["One", "", "two", ".", "three"])
    assert keys.lines_of(lambda: next(lines)) == "One\n\ntwo"

    def ended() -> str:
        raise EOFError

    assert keys.lines_of(ended) == ""
    halves = iter(["a\udce9b", "."])
    assert keys.lines_of(lambda: next(halves)) == "a?b"
