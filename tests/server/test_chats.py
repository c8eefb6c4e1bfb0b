"""Chat: the route, through the official client."""

import json

import pytest
from openai import BadRequestError

from lilliput.server.served import Served
from tests.server.conftest import Address

MESSAGES = [{"role": "system", "content": "Tell tales. "}, {"role": "user", "content": "One day\n\nTom?"}]


def test_the_official_client_chats(server: Address, models: dict[str, Served]) -> None:
    served = models["chatty"]
    assert served.chat is not None
    asked = {"model": "chatty", "messages": MESSAGES, "max_completion_tokens": 12, "temperature": 0}
    answer = server.client.chat.completions.create(**asked, logprobs=True, top_logprobs=2)
    choice = answer.choices[0]
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == len(served.chat.ids(MESSAGES, served.tokenizer))
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    data = b"".join(bytes(token.bytes or []) for token in choice.logprobs.content)
    assert data.decode(errors="replace") == choice.message.content
    assert all(len(token.top_logprobs) == 2 for token in choice.logprobs.content)

    printed, roles, usage = "", [], None
    for chunk in server.client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage
        for delta in chunk.choices:
            printed += delta.delta.content or ""
            roles.append(delta.delta.role)
    assert printed == choice.message.content
    assert roles == ["assistant"] + [None] * (len(roles) - 1)
    assert usage == answer.usage


def test_content_may_come_in_parts(server: Address) -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "One "}, {"type": "text", "text": "day"}]}]
    whole = [{"role": "user", "content": "One day"}]
    one, other = (
        server.client.chat.completions.create(model="chatty", messages=messages, max_tokens=8, temperature=0)  # type: ignore[arg-type]
        for messages in (parts, whole)
    )
    assert one.choices[0].message.content == other.choices[0].message.content


def test_an_answer_without_a_limit_goes_on_to_the_end_of_the_context(server: Address) -> None:
    answer = server.client.chat.completions.create(model="chatty", messages=MESSAGES, temperature=0, n=2)  # type: ignore[arg-type]
    assert answer.usage is not None
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == answer.choices[1].message.content


def test_json_of_a_schema(server: Address) -> None:
    pytest.importorskip("llguidance")
    schema = {"type": "object", "properties": {"mood": {"enum": ["glad", "sad"]}}, "required": ["mood"]}
    answer = server.client.chat.completions.create(
        model="chatty",
        messages=MESSAGES,  # type: ignore[arg-type]
        seed=2,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "mood", "strict": True, "schema": {**schema, "additionalProperties": False}},
        },
    )
    assert json.loads(answer.choices[0].message.content or "") in ({"mood": "glad"}, {"mood": "sad"})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"model": "forwards"}, "'forwards' was not trained to chat"),
        ({"top_logprobs": 2}, "needs logprobs"),
        ({"max_tokens": 3, "max_completion_tokens": 3}, "two names"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "has a tool_call_id"),
        ({"messages": [{"role": "user", "content": None}]}, "lacks its content"),
        ({"messages": [{"role": "user", "content": "x", "name": "Tom"}]}, "name is not supported"),
        ({"extra_body": {"toolz": []}}, "unknown key 'toolz'"),
    ],
)
def test_what_cannot_be_done_is_said(server: Address, more: dict, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        server.client.chat.completions.create(**{"model": "chatty", "messages": MESSAGES, **more})
