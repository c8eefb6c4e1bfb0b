"""`lilliput chat`: one reply, a pipe of messages and commands, and a terminal, as a person uses them."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.cli import chat as command_file
from tests.cli.conftest import Command
from tests.conversations import SUM, TALKS

WHERE, HOME, LILY, PARK = (message["content"] for message in TALKS[1])
WHO, AM = (message["content"] for message in TALKS[0])
GREEDY = ("--temperature", "0")


@pytest.fixture
def piped(command: Command, chatty: Path, monkeypatch: pytest.MonkeyPatch):
    def run(*lines: str, options: tuple[str, ...] = GREEDY):
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        return command("chat", str(chatty), *options)

    return run


def test_one_reply(command: Command, chatty: Path) -> None:
    result = command("chat", str(chatty), "--prompt", WHERE, *GREEDY)
    assert (result.code, result.out) == (0, f"{HOME}\n")
    answer = command("chat", str(chatty), "--prompt", WHERE, "--json", *GREEDY)
    report = json.loads(answer.out)
    assert (report["reply"], report["prompt"], report["system"], report["calls"]) == (HOME, WHERE, None, [])
    assert report["messages"] == TALKS[1][:2]
    other = command("chat", str(chatty), "--prompt", WHERE, "--system", "Be unkind.", "--json", *GREEDY)
    assert json.loads(other.out)["system"] == "Be unkind."


def test_a_tool_is_run(command: Command, chatty: Path) -> None:
    words = ("chat", str(chatty), "--prompt", SUM[0]["content"], "--tool", "calculator", *GREEDY)
    assert command(*words).out == "[calculator {'expression': '3 + 4'} = 7]\nIt is 7.\n"
    (call,) = json.loads(command(*words, "--json").out)["calls"]
    assert call == {"name": "calculator", "arguments": {"expression": "3 + 4"}, "answer": "7"}


def test_piped_lines_are_messages_and_commands(piped) -> None:
    result = piped(WHERE, LILY, "", "/undo", LILY, "/regenerate", "/reset", WHO, "/exit", WHERE)
    assert result.code == 0, result.err
    assert result.out.splitlines() == [HOME, PARK, PARK, PARK, AM]
    assert "> " not in result.out


def test_a_system_prompt_begins_anew(piped) -> None:
    with_prompt = piped("/system Be unkind.", WHERE, options=(*GREEDY, "--max-tokens", "9"))
    asked = piped(WHERE, options=(*GREEDY, "--max-tokens", "9", "--system", "Be unkind."))
    assert with_prompt.out == asked.out
    assert piped(WHERE, "/system Be unkind.", "/system", WHERE).out.splitlines() == [HOME, HOME]


def test_help_lists_every_command(piped) -> None:
    out = piped("/help").out
    assert all(name in out for name in ("/reset", "/system", "/regenerate", "/undo", "/exit", "Ctrl-C", "Ctrl-D"))
    assert out.strip() == command_file.HELP


@pytest.mark.parametrize(
    ("lines", "words"),
    [(("/rest",), "did you mean '/reset'"), (("/regenerate",), "no message to reply to")],
)
def test_a_pipe_ends_with_a_mistake(piped, lines: tuple[str, ...], words: str) -> None:
    result = piped(*lines, WHO)
    assert result.code == 2
    assert words in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--json",), "--prompt"),
        (("--tool", "calculater"), "did you mean 'calculator'"),
        (("--temperature", "3"), "temperature"),
    ],
)
def test_options_that_cannot_be_are_refused(command: Command, chatty: Path, options, words: str) -> None:
    prompt = () if "--json" in options else ("--prompt", "x")
    result = command("chat", str(chatty), *prompt, *options)
    assert result.code == 2
    assert words in result.err


def test_a_model_that_does_not_chat_is_refused_before_a_message(command: Command, trained: Path) -> None:
    result = command("chat", str(trained))
    assert result.code == 2
    assert "lilliput generate RUN" in result.err


def test_a_run_that_chats_names_the_command(chatty: Path) -> None:
    from lilliput.cli.train import _next

    first, second, *_ = _next(chatty, json.loads((chatty / "summary.json").read_text()))
    assert first.endswith(f"chat {chatty}")
    assert "--prompt 'Say " in second
    aligned = {**json.loads((chatty / "summary.json").read_text()), "objective": {"kind": "dpo"}}
    assert _next(chatty, aligned)[0] == first  # the model still chats, whatever trained it last


class Terminal:
    """The command in a pseudo-terminal."""

    def __init__(self, *words: str):
        self.master, slave = pty.openpty()
        line = [sys.executable, "-m", "lilliput", "chat", *words]
        self.process = subprocess.Popen(line, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.shown = ""

    def wait_for(self, words: str, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while words not in self.shown:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"{words!r} was not printed in time: {self.shown!r}"
            self.shown += os.read(self.master, 4096).decode(errors="replace")
        self.shown = self.shown.partition(words)[2]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_ctrl_c_ends_a_reply_and_ctrl_d_the_program(chatty: Path) -> None:
    terminal = Terminal(str(chatty), "--temperature", "2", "--max-tokens", "100000")
    try:
        terminal.wait_for("> ")
        terminal.type("/rest\n")
        terminal.wait_for("did you mean '/reset'")
        terminal.wait_for("> ")
        # A hot model seldom ends by itself: there is a reply to interrupt, and where there is none, a prompt.
        terminal.type("Say\n")
        terminal.wait_for("Say\r\n")
        os.kill(terminal.process.pid, signal.SIGINT)
        terminal.wait_for("> ")
        assert terminal.process.poll() is None
        terminal.type("/help\n")
        terminal.wait_for("/regenerate")
        terminal.wait_for("> ")
        terminal.type("\x04")
        assert terminal.process.wait(60) == 0
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)


@pytest.mark.parametrize("where", ["ask", "regenerate", "reset"])
def test_ctrl_c_between_a_message_and_its_reply_does_not_end_the_program(
    where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Talk:
        """A conversation that Ctrl-C interrupts before it answers."""

        dropped = 0

        def __getattr__(self, name: str):
            assert name == where
            raise KeyboardInterrupt

    lines = iter(["Say" if where == "ask" else f"/{where}", "/help"])

    def type_line(prompt: str) -> str:
        assert prompt == "> "
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", type_line)
    command_file._Terminal(Talk(), interactive=True).run("chatty")  # type: ignore[arg-type]
    assert capsys.readouterr().out.endswith(f"(Ctrl-D ends)\n{command_file.HELP}\n\n")
