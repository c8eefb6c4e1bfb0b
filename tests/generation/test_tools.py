"""Tools: the calculator's bounds, calls found in text however it is cut, and a conversation that runs them."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import lilliput
from lilliput import api
from lilliput.base.errors import ConfigError, DataError
from lilliput.generation.calculator import calculate
from lilliput.generation.conversation import ROUNDS, Answered, Conversation
from lilliput.generation.text_generator import TextGenerator
from lilliput.generation.tools import CALCULATOR, Call, CallReader, descriptions, run
from tests.conversations import SUM, TALKS


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("3 + 4", "7"),
        ("(3 + 4) * 2 / 5", "2.8"),
        ("7 / 7", "1"),
        ("-2 ** 2", "-4"),
        ("2 ^ 10", "1024"),
        ("7 // 2 + 7 % 2", "4"),
        ("6 × 7 − 2 ÷ 2", "41"),
        ("sqrt(2)", "1.41421356237"),
        ("max(1, 2.5, min(9, 3)) + abs(-1)", "4"),
        ("0.1 + 0.2", "0.3"),
        ("10 ** 30", "1" + "0" * 30),
    ],
)
def test_the_calculator_computes(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "3 +",
        "1 / 0",
        "9 ** 9 ** 9",
        "10 ** 64 * 10 ** 64",
        "0.1 ** -99",
        "(-8) ** 0.5",
        "sqrt(-1)",
        "1e999",
        "'a' * 9",
        "True + 1",
        "x",
        "abs.__class__",
        "__import__('os')",
        "[1][0]",
        "(lambda: 1)()",
        "round(2.5, ndigits=1)",
        "abs(1, 2)",
        "1 if 1 else 2",
        "1 < 2",
        "1j",
        "(" * 150 + "1" + ")" * 40,
        "-" * 199 + "x",
        "1+" * 5000 + "1",
    ],
)
def test_the_calculator_refuses_at_once(expression: str) -> None:
    began = time.perf_counter()
    with pytest.raises(DataError):
        calculate(expression)
    assert time.perf_counter() - began < 1


CALL = '<tool_call>\n{"name": "f", "arguments": {"x": "</b>"}}\n</tool_call>'
TEXTS: list[tuple[str, str, list[str]]] = [
    ("plain text", "plain text", []),
    (CALL, "", ["f"]),
    (f"Let me see.\n{CALL}\n{CALL}", "Let me see.", ["f", "f"]),
    (f"{CALL}\n It is.", "It is.", ["f"]),
    ("a <tool_call> b", "a <tool_call> b", []),
    ("a <tool_call>no json</tool_call> b", "a <tool_call>no json</tool_call> b", []),
    ('<tool_call>{"name": 3}</tool_call>', '<tool_call>{"name": 3}</tool_call>', []),
    ('<tool_call>["f"]</tool_call>x', '<tool_call>["f"]</tool_call>x', []),
    ("1 < 2 <tool", "1 < 2 <tool", []),
]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize(("text", "shown", "names"), TEXTS)
def test_calls_are_read_however_the_text_is_cut(text: str, shown: str, names: list[str], size: int) -> None:
    reader, found, calls = CallReader(), "", []
    for place in range(0, len(text), size):
        more, made = reader.push(text[place : place + size])
        found, calls = found + more, calls + made
    assert found + reader.flush() == shown
    assert [call.name for call in calls] == names


def test_what_goes_wrong_is_an_answer() -> None:
    assert run(Call("calculator", {"expression": "2 * 3"}), ["calculator"]) == "6"
    assert run(Call("calculator", {"expression": 5}), ["calculator"]) == "5"
    assert run(Call("calculator", {"expression": "1 / 0"}), ["calculator"]) == "error: division by zero"
    assert run(Call("calculator", {"x": 1}), ["calculator"]).startswith("error: calculator takes")
    assert run(Call("calculator", {"expression": "1"}), []) == "error: there is no tool 'calculator'"
    assert run(Call("rm", {}), ["calculator"]) == "error: there is no tool 'rm'"
    with pytest.raises(ConfigError, match="did you mean 'calculator'"):
        descriptions(["calculater"])


# ---------------------------------------------------------------------- conversations


@pytest.fixture(scope="module")
def generator(chatty: Path) -> TextGenerator:
    return api.load(chatty, "cpu", compile=False)


def text_of(pieces: Iterable[str | Answered]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))


def test_a_call_is_run_and_the_model_goes_on(generator: TextGenerator) -> None:
    talk = lilliput.Conversation(generator, tools=["calculator"], temperature=0)
    pieces = list(talk.ask(SUM[0]["content"]))
    assert pieces[0] == Answered(Call("calculator", {"expression": "3 + 4"}), "7")
    assert "".join(piece for piece in pieces if isinstance(piece, str)) == talk.reply == "It is 7."
    assert [message["role"] for message in talk.messages] == ["user", "assistant", "tool", "assistant"]
    assert talk.messages[1]["tool_calls"] == SUM[1]["tool_calls"]


def test_a_model_that_calls_for_ever_is_stopped(generator: TextGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Conversation(generator, tools=["calculator"])
    call = json.dumps({"name": "calculator", "arguments": {"expression": "1"}})
    monkeypatch.setattr(generator, "stream_chat", lambda *_, **__: iter([f"<tool_call>{call}</tool_call>"]))
    assert sum(isinstance(piece, Answered) for piece in talk.ask("go on")) == ROUNDS


def test_history_undo_and_reset(generator: TextGenerator) -> None:
    first, reply, second, other = (message["content"] for message in TALKS[1])
    talk = Conversation(generator, temperature=0)
    assert text_of(talk.ask(first)) == reply
    assert text_of(talk.ask(second)) == other
    assert talk.messages == TALKS[1]
    assert talk.undo()
    assert talk.messages == TALKS[1][:2]
    assert text_of(talk.ask(second)) == other
    talk.reset()
    assert (talk.messages, talk.undo()) == ([], False)
    with pytest.raises(ConfigError, match="no message to reply to"):
        list(talk.regenerate())


def test_another_reply_is_another_sample(generator: TextGenerator) -> None:
    talk = Conversation(generator, temperature=2.0, max_tokens=12)
    replies = {text_of(talk.ask("x"))} | {text_of(talk.regenerate()) for _ in range(4)}
    assert len(replies) > 1
    assert [message["role"] for message in talk.messages] == ["user", "assistant"]
    once_more = Conversation(generator, temperature=2.0, max_tokens=12)
    assert text_of(once_more.ask("x")) in replies


def test_a_reply_that_is_left_stays_as_far_as_it_came(generator: TextGenerator) -> None:
    talk = Conversation(generator, temperature=0)
    pieces = talk.ask(TALKS[0][0]["content"])
    begun = next(pieces)
    pieces.close()
    assert talk.messages == [TALKS[0][0], {"role": "assistant", "content": begun}]


def test_a_full_context_forgets_the_oldest_messages(generator: TextGenerator) -> None:
    talk = Conversation(generator, temperature=0, max_tokens=1)
    for _ in range(3):
        text_of(talk.ask("Where is Tom? " * 12))
    assert 0 < talk.dropped < len(talk.messages)
    assert talk.messages[talk.dropped]["role"] == "user"
    assert sum(message["role"] == "user" for message in talk.messages) == 3


def test_a_template_without_tools_is_refused(generator: TextGenerator) -> None:
    bare = TextGenerator(
        generator.model,
        generator.tokenizer.with_template("{% for m in messages %}{{ m.content }}{% endfor %}"),
        generator.objective,
    )
    with pytest.raises(ConfigError, match="no place for tools"):
        bare.chat(SUM[:1], tools=[CALCULATOR])


def test_the_raw_reply_holds_the_call(generator: TextGenerator) -> None:
    options: dict[str, Any] = {"temperature": 0}
    reply = generator.chat(SUM[:1], tools=[CALCULATOR], **options)
    assert reply == '<tool_call>\n{"name": "calculator", "arguments": {"expression": "3 + 4"}}\n</tool_call>'
