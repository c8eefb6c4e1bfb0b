"""Tools in chats: calls in answers, whole and streamed, sent back with their answers; and the server's own tools."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import BadRequestError

from lilliput import api
from lilliput.generation.tools import CALCULATOR
from lilliput.server.served import Served
from tests.conversations import SUM
from tests.server.conftest import Address, serving

ASKED: dict[str, Any] = {"model": "caller", "messages": SUM[:1], "tools": [CALCULATOR], "temperature": 0}


@pytest.fixture(scope="module")
def caller(chatty: Path) -> Iterator[Address]:
    with serving(Served("caller", api.load(chatty, "cpu", compile=False))) as address:
        yield address


def test_the_official_client_runs_a_tool(caller: Address) -> None:
    (choice,) = caller.client.chat.completions.create(**ASKED).choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name) == ("function", "calculator")  # type: ignore[union-attr]
    assert json.loads(call.function.arguments) == {"expression": "3 + 4"}  # type: ignore[union-attr]
    sent = choice.message.model_dump(exclude_none=True)
    answered = {"role": "tool", "tool_call_id": call.id, "content": "7"}
    again = {**ASKED, "messages": [*SUM[:1], sent, answered]}
    (choice,) = caller.client.chat.completions.create(**again).choices
    assert (choice.message.content, choice.finish_reason) == ("It is 7.", "stop")
    assert choice.message.tool_calls is None


def test_a_stream_holds_whole_calls(caller: Address) -> None:
    text, calls, reasons = "", [], []
    for chunk in caller.client.chat.completions.create(**ASKED, stream=True):
        (choice,) = chunk.choices
        text += choice.delta.content or ""
        calls += choice.delta.tool_calls or []
        reasons.append(choice.finish_reason)
    assert text == ""
    (call,) = calls
    assert call.index == 0
    assert call.id.startswith("call-")
    assert json.loads(call.function.arguments) == {"expression": "3 + 4"}
    assert reasons[-1] == "tool_calls"
    assert set(reasons[:-1]) == {None}


def test_without_tools_a_call_is_text(caller: Address) -> None:
    """The prompt lists the tools in either case that the model knows: the text of the call is the same."""
    plain = {key: value for key, value in ASKED.items() if key != "tools"}
    texts = [
        caller.client.chat.completions.create(**plain, max_tokens=8, **more).choices[0]
        for more in ({}, {"tools": [CALCULATOR], "tool_choice": "none"})
    ]
    assert texts[0].message == texts[1].message
    assert texts[0].message.tool_calls is None
    assert texts[0].finish_reason != "tool_calls"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "calculator"}}}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}, "strict"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools"),
        (
            {
                "messages": [
                    *SUM[:1],
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "3"}}],
                    },
                ]
            },
            "no JSON object",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": "x",
                        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                    }
                ]
            },
            "has no tool_calls",
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name(caller: Address, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        caller.client.chat.completions.create(**{**ASKED, **more})


def test_the_server_runs_its_own_tools(caller: Address) -> None:
    listed = httpx.get(f"{caller.url}/tools").json()
    assert listed["data"] == [CALCULATOR]
    ran = httpx.post(f"{caller.url}/tools/calculator", json={"arguments": {"expression": "2 ** 3 / 5"}})
    assert ran.json() == {"content": "1.6"}
    wrong = httpx.post(f"{caller.url}/tools/calculator", json={"arguments": {"expression": "open('x')"}})
    assert wrong.status_code == 200
    assert wrong.json()["content"].startswith("error: the calculator knows numbers")
    unknown = httpx.post(f"{caller.url}/tools/calculators", json={"arguments": {}})
    assert unknown.status_code == 404
    assert "did you mean 'calculator'" in unknown.json()["error"]["message"]
    card = httpx.get(f"{caller.url}/v1/models/caller").json()
    assert (card["chat"], card["tools"]) == (True, True)
