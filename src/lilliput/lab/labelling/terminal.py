"""Terminal: labels given by single keys, replies side by side."""

from __future__ import annotations

from collections.abc import Callable

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from lilliput.base.console import console, printable
from lilliput.lab.labelling.keys import ALONE, QUIT, Keyboard
from lilliput.lab.labelling.prompts import prompt_text
from lilliput.lab.labelling.record import Mode
from lilliput.lab.labelling.session import Session, Shown, Waiting, joined

POLL_SECONDS = 0.5
NARROWEST = 28
"""Replies stand below each other where a column would have fewer characters."""
BACKSPACE = ("\x7f", "\b")
KEYS: dict[Mode, str] = {
    "rank": "1-{count} best first, = the others are equal, Backspace takes a key back",
    "rate": "1 or g good, 2 or b bad",
    "demonstrate": "Enter or w to write",
}
ALWAYS = "s skip, u undo, q quit, ? help"
HELP: dict[Mode, str] = {
    "rank": "Press the number of the best reply, then of the next best. The last reply needs no key. Press = when the\n"
    "replies that are left are equally good; = at once makes all of them equal.",
    "rate": "Press 1 for a reply that you want the model to give, 2 for a reply that you do not want.",
    "demonstrate": f"Write the text that should follow the prompt. A line with '{ALONE}' alone, or Ctrl-D, ends it.",
}
COMMON_HELP = (
    "Replies are in random order, and where they come from is hidden. Each answer is stored at once.\n"
    "Skipped items come again the next time. u goes back to the item before, as often as you like."
)


def run(session: Session, keyboard: Keyboard) -> None:
    """Show the items until none is left or the person quits. Every answer is stored before the next item is shown."""
    while (present := _wait(session)) is not None:
        keyboard.forget()  # before the item is shown: what is pressed from now on may be an answer to it
        _show(session, present)
        if not _answer(session, present, keyboard):
            return


def _wait(session: Session) -> Shown | None:
    printed = False
    while True:
        try:
            return session.present(timeout=POLL_SECONDS)
        except Waiting:
            if not printed:
                _line("generating replies ...", "dim")
            printed = True


def _answer(session: Session, present: Shown, keyboard: Keyboard) -> bool:
    """Handle keys until the item has changed. False when the person quits."""
    answer = ASKING[session.task.mode]
    while True:
        key = keyboard.key()
        if key == QUIT:
            return False
        if key == "s":
            session.skip(present.item.key)
            return True
        if key == "u":
            if session.undo():
                return True
            _line("there is nothing to undo", "dim")
        elif key == "?":
            _line(f"{HELP[session.task.mode]}\n{COMMON_HELP}")
        elif answer(session, present, keyboard, key):
            return True


def _rate(session: Session, present: Shown, keyboard: Keyboard, key: str) -> bool:
    rating = {"1": True, "g": True, "2": False, "b": False}.get(key)
    if rating is None:
        return False
    session.answer(present.item.key, rating)
    return True


def _rank(session: Session, present: Shown, keyboard: Keyboard, key: str) -> bool:
    """Collect a ranking that begins with `key`. A key without a meaning here leaves the ranking."""
    left, ranking = list(range(len(present.replies))), []
    while True:
        if key == "=":
            ranking.append(left)
            break
        if key.isdecimal() and int(key) - 1 in left:
            left.remove(int(key) - 1)
            ranking.append([int(key) - 1])
            if len(left) == 1:
                ranking.append(left)
                break
        elif key in BACKSPACE and ranking:
            left += ranking.pop()
        elif not key.isdecimal():
            return False
        if not ranking:
            return False
        _line("best first: " + " > ".join(str(group[0] + 1) for group in ranking) + " > ...", "dim")
        key = keyboard.key()
        if key in (QUIT, "s", "u", "?"):
            _line("this ranking is not stored; press the key again", "dim")
            return False
    session.answer(present.item.key, ranking)
    return True


def _demonstrate(session: Session, present: Shown, keyboard: Keyboard, key: str) -> bool:
    if key not in ("w", "\n", "\r"):
        return False
    text = keyboard.text(lambda: _line(f"write; a line with '{ALONE}' alone ends the text", "dim"))
    if not text.strip():
        _line("nothing was written", "dim")
        return False
    prompt = present.item.prompt
    whole = f"{prompt}{joined(prompt, text)}" if isinstance(prompt, str) else text.strip()
    _line(whole, "bold")
    _line("store it? y stores it, any other key drops it", "dim")
    if keyboard.key() != "y":
        _line(KEYS["demonstrate"], "dim")
        return False
    session.answer(present.item.key, text)
    return True


ASKING: dict[Mode, Callable[[Session, Shown, Keyboard, str], bool]] = {
    "rank": _rank,
    "rate": _rate,
    "demonstrate": _demonstrate,
}

# ------------------------------------------------------------------------------------------------ the screen


def _show(session: Session, present: Shown) -> None:
    done = session.answered + session.skipped + session.left_out
    console.rule(f"{done + 1} of {len(session.items)}", style="dim")
    _line(prompt_text(present.item.prompt), "bold")
    replies = [reply.strip() or "(no text)" for reply in present.replies]
    if len(replies) == 1:
        _line(f"\n{replies[0]}")
    elif replies:
        _side_by_side(replies)
    keys = KEYS[session.task.mode].format(count=len(replies))
    _line(f"\n{keys}; {ALWAYS}", "dim")


def _side_by_side(replies: list[str]) -> None:
    if console.width // len(replies) < NARROWEST:
        for number, reply in enumerate(replies, start=1):
            _line(f"\n[{number}] {reply}")
        return
    table = Table(box=SIMPLE, pad_edge=False, header_style="bold", expand=True)
    for number in range(1, len(replies) + 1):
        table.add_column(str(number), overflow="fold", ratio=1)
    table.add_row(*(Text(printable(reply, console.encoding)) for reply in replies))
    console.print(table)


def _line(text: str, style: str | None = None) -> None:
    console.print(Text(printable(text, console.encoding), style=style or ""))
