"""`lilliput chat`: a conversation with a model in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lilliput.generation.conversation import Answered, Conversation, Replies

HELP = """\
/reset          begin a new conversation; the system prompt stays
/system TEXT    set the system prompt and begin anew; without TEXT, remove it
/regenerate     replace the last reply by another one
/undo           take back the last message and its reply
/help           print this list
/exit           end; so does Ctrl-D
Ctrl-C          end the reply, not the program"""


def chat(
    model: Annotated[str, typer.Argument(help="A run's name or folder, a checkpoint, or a Hugging Face folder.")],
    prompt: Annotated[str | None, typer.Option(help="Print the reply to this message, and end.")] = None,
    system: Annotated[str | None, typer.Option(help="A system prompt.")] = None,
    tool: Annotated[list[str] | None, typer.Option(help="A tool that the model may call: calculator.")] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy; at most 2.")] = 0.7,
    top_p: Annotated[float, typer.Option(help="Keep the likeliest tokens that hold this probability.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed generates the same replies.")] = 0,
    max_tokens: Annotated[int, typer.Option(help="At most this many tokens a reply.")] = 512,
    int8: Annotated[
        bool, typer.Option("--int8", help="Use int8 weights: faster on a CPU, not quite the same.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="With --prompt: print one JSON object.")] = False,
) -> None:
    """Chat with a trained model. Type a message and press Enter; /help lists what else can be typed.

    Without a terminal, each line of the standard input is a message."""
    from lilliput import api
    from lilliput.base import console
    from lilliput.base.errors import ConfigError
    from lilliput.generation.conversation import Conversation

    console.use_json(json)
    if json and prompt is None:
        raise ConfigError("--json prints the reply to one message", 'add --prompt "Who are you?"')
    generator = api.load(model, device, console.aside, int8)
    sampling = {"temperature": temperature, "top_p": top_p, "seed": seed, "max_tokens": max_tokens}
    talk = Conversation(generator, system, tool or (), **sampling)
    generator.check_chats()
    if prompt is None:
        _Terminal(talk, sys.stdin.isatty()).run(model)
    elif not json:
        _show(talk.ask(prompt))
    else:
        calls = [piece for piece in talk.ask(prompt) if not isinstance(piece, str)]
        console.emit(
            {
                "model": model,
                "system": system,
                "prompt": prompt,
                "reply": talk.reply,
                "calls": [{**_called(piece), "answer": piece.answer} for piece in calls],
                "messages": talk.messages,
            }
        )


class _Terminal:
    """Reads messages and commands, and prints replies. In a terminal a mistake is reported and the program goes on; a
    pipe ends with it."""

    def __init__(self, talk: Conversation, interactive: bool):
        self.talk, self.interactive = talk, interactive
        self.commands: dict[str, Callable[[str], None]] = {
            "/reset": self._reset,
            "/system": self._system,
            "/regenerate": lambda rest: self._say(self.talk.regenerate()),
            "/undo": self._undo,
            "/help": lambda rest: print(HELP),
        }

    def run(self, model: str) -> None:
        from lilliput.base.errors import LilliputError

        if self.interactive:
            import contextlib

            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  (arrow keys in `input`)
            print(f"{model}: type a message. /help lists commands, Ctrl-D ends.")
        while True:
            try:
                line = input("> " if self.interactive else "").strip()
                if line in ("/exit", "/quit"):
                    return
                if line:
                    self._take(line)
            except EOFError:
                if self.interactive:
                    print()
                return
            except KeyboardInterrupt:
                # It may come at any moment, also between the message and the first piece of its reply.
                if not self.interactive:
                    raise
                print("\n(Ctrl-D ends)")
            except LilliputError as error:
                if not self.interactive:
                    raise
                print(". ".join(filter(None, (error.message, error.hint))))

    def _take(self, line: str) -> None:
        from lilliput.base.errors import ConfigError, nearest

        if not line.startswith("/"):
            self._say(self.talk.ask(line))
            return
        name, _, rest = line.partition(" ")
        if name not in self.commands:
            raise ConfigError(f"there is no command {name}{nearest(name, self.commands)}", "/help lists all")
        self.commands[name](rest.strip())

    def _say(self, pieces: Replies) -> None:
        try:
            _show(pieces)
        except KeyboardInterrupt:
            if not self.interactive:
                raise
            print(" (stopped)")
        if self.talk.dropped and self.interactive:
            print(f"(the first {self.talk.dropped} messages no longer fit into the context)")

    def _reset(self, rest: str) -> None:
        self.talk.reset()
        self._note("a new conversation")

    def _system(self, rest: str) -> None:
        self.talk.system = rest or None
        self.talk.reset()
        self._note(
            "a new conversation, with this system prompt" if rest else "a new conversation, with no system prompt"
        )

    def _undo(self, rest: str) -> None:
        self._note("taken back" if self.talk.undo() else "there is no message to take back")

    def _note(self, text: str) -> None:
        if self.interactive:
            print(f"({text})")


def _show(pieces: Replies) -> None:
    """Print the pieces of a reply as they come, and a line for each call."""
    from lilliput.base.console import printable

    begun = False
    try:
        for piece in pieces:
            if isinstance(piece, str):
                text = piece
            else:
                call = _called(piece)
                text = f"{chr(10) if begun else ''}[{call['name']} {call['arguments']} = {piece.answer}]\n"
            begun = not text.endswith("\n")
            sys.stdout.write(printable(text, sys.stdout.encoding or "utf-8"))
            sys.stdout.flush()
    finally:
        pieces.close()
    sys.stdout.write("\n" if begun else "")
    sys.stdout.flush()


def _called(piece: Answered) -> dict[str, Any]:
    return {"name": piece.call.name, "arguments": dict(piece.call.arguments)}
