"""Fields of OpenAI's that this server lacks: taken where they change nothing, else refused; `param` in every 400."""

import re
from pathlib import Path

import httpx
import pytest

from lilliput.server.neutral import Body, Neutral, NeutralChat, NeutralMessage
from lilliput.server.schemas import ChatRequest, CompletionRequest
from lilliput.server.served import Served
from tests.server.conftest import CONTEXT, Address
from tests.server.test_completions import PROMPT, ask, scores

MESSAGES = [{"role": "user", "content": "One day"}]
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SHARED = {
    "user": "someone",
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "n": 1,
    "store": False,
    "metadata": {},
    "service_tier": "auto",
    "safety_identifier": "a",
    "prompt_cache_key": "b",
    "prompt_cache_retention": "in_memory",
    "stop": [],
    "stream": False,
    "response_format": {"type": "text"},
}
COMPLETIONS = {**SHARED, "best_of": 1, "suffix": "", "echo": False}
CHATS = {
    **SHARED,
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "functions": [],
    "function_call": "none",
    "modalities": ["text"],
    "reasoning_effort": "none",
    "verbosity": "medium",
    "logprobs": False,
    "top_logprobs": 0,
}
ABSENT = ("top_p", "temperature", "max_tokens", "logprobs", "stream_options", "model")
OTHER = {
    "frequency_penalty": 0.5,
    "presence_penalty": -1,
    "store": True,
    "metadata": {"a": "b"},
    "service_tier": "flex",
    "prompt_cache_retention": "24h",
}
NOT_COMPLETIONS = {**OTHER, "user": 3, "best_of": 2, "suffix": "end", "tools": []}
NOT_CHATS = {
    **OTHER,
    "tools": [{"type": "function", "function": {"name": "f"}}],  # this template has no place for them
    "tool_choice": "required",
    "functions": [{"name": "f"}],
    "audio": {"voice": "alloy"},
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {},
    "reasoning_effort": "high",
    "verbosity": "low",
    "modalities": ["text", "audio"],
    "function_call": {"name": "f"},
}


def post(server: Address, route: str, **body: object) -> httpx.Response:
    return httpx.post(f"{server.url}{route}", json=body, timeout=60)


def refused(server: Address, route: str, **body: object) -> tuple[str, str]:
    """The field and the message of a 400."""
    answer = post(server, route, **body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    return error["param"], error["message"]


def test_neutral_values_change_nothing(server: Address) -> None:
    asked = {"prompt": PROMPT, "max_tokens": 8, "temperature": 0}
    plain = ask(server, **asked)["choices"]
    assert ask(server, **asked, **COMPLETIONS)["choices"] == plain
    nulls = dict.fromkeys((*COMPLETIONS, "ending", "forced_token_ids", "return_token_ids", "seed", *ABSENT[-3:]))
    assert ask(server, **asked, **nulls)["choices"] == plain
    assert ask(server, **asked, logit_bias={"5": 0, "7": 0.0})["choices"] == plain
    chat = {"model": "chatty", "messages": MESSAGES, "max_tokens": 8, "temperature": 0}
    texts = post(server, "/v1/chat/completions", **chat).json()["choices"]
    assert post(server, "/v1/chat/completions", **chat, **CHATS).json()["choices"] == texts
    assert post(server, "/v1/chat/completions", **chat, **dict.fromkeys(CHATS)).json()["choices"] == texts


def test_an_answer_may_be_sent_back_with_all_that_openai_puts_into_it(server: Address) -> None:
    printed = {
        "role": "assistant",
        "content": " a ball.",
        "refusal": None,
        "audio": None,
        "tool_calls": [],
        "name": None,
    }
    more = {"function_call": None, "annotations": []}
    answer = post(server, "/v1/chat/completions", model="chatty", messages=[*MESSAGES, {**printed, **more}, *MESSAGES])
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("name", "value"), [*NOT_COMPLETIONS.items(), ("logit_bias", {"5": 1})])
def test_other_values_of_completions_are_refused_by_name(server: Address, name: str, value: object) -> None:
    param, message = refused(server, "/v1/completions", prompt="x", **{name: value})
    assert re.split(r"[.[]", param)[0] == name
    assert name in message


@pytest.mark.parametrize(("name", "value"), NOT_CHATS.items())
def test_other_values_of_chats_are_refused_by_name(server: Address, name: str, value: object) -> None:
    param, message = refused(server, "/v1/chat/completions", model="chatty", messages=MESSAGES, **{name: value})
    assert re.split(r"[.[]", param)[0] == name
    assert name in message


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("promt", {"promt": "x"}),
        ("prompt", {"prompt": 5}),
        ("prompt[1]", {"prompt": [5, -1]}),
        ("prompt", {"prompt": [400]}),
        ("prompt", {"prompt": [5] * (CONTEXT + 1)}),
        ("prompt", {"prompt": ["x"] * 200}),
        ("prompt", {"model": "backwards", "prompt": "x"}),
        ("n", {"prompt": "x", "n": 100}),
        ("n", {"n": "2"}),
        ("temperature", {"temperature": 3}),
        ("stop[0]", {"stop": [""]}),
        ("ending", {"ending": "x"}),
        ("ending", {"prompt": "x", "ending": "y"}),
        ("ending", {"model": "backwards", "ending": "They were happy. " * CONTEXT}),
        ("forced_token_ids", {"forced_token_ids": [400]}),
        ("forced_token_ids", {"forced_token_ids": [5], "response_format": {"type": "json_object"}}),
        ("response_format", {"model": "backwards", "response_format": {"type": "json_object"}}),
        ("response_format.json_schema", {"response_format": {"type": "json_schema"}}),
        (
            "response_format",
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}}},
        ),
        ("response_format.type", {"response_format": {"type": "grammar"}}),
        ("response_format.type", {"response_format": {}}),
        ("stream_options", {"stream_options": {}}),
        ("stream_options.include_obfuscation", {"stream": True, "stream_options": {"include_obfuscation": True}}),
        ("max_tokens", {"prompt": "x", "max_tokens": 0}),
        ("max_tokens", {"prompt": "x", "max_tokens": -1}),
    ],
)
def test_param_names_the_field_of_completions(server: Address, param: str, body: dict) -> None:
    assert refused(server, "/v1/completions", **body)[0] == param


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("model", {"model": "forwards", "messages": MESSAGES}),
        ("messages", {}),
        ("messages", {"messages": []}),
        ("messages[0].role", {"messages": [{"role": "function", "content": "x"}]}),
        ("messages[0].tool_call_id", {"messages": [{"role": "tool", "content": "x"}]}),
        ("messages[0].name", {"messages": [{"role": "user", "content": "x", "name": "Tom"}]}),
        ("messages[0].content", {"messages": [{"role": "user"}]}),
        ("messages[0].tool_calls", {"messages": [{"role": "user", "content": "x", "tool_calls": [CALL]}]}),
        ("messages[0].content[0].type", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        ("messages", {"messages": [{"role": "user", "content": "One day Tom " * CONTEXT}]}),
        ("top_logprobs", {"messages": MESSAGES, "top_logprobs": 2}),
        ("max_tokens", {"messages": MESSAGES, "max_tokens": 3, "max_completion_tokens": 3}),
        ("n", {"messages": MESSAGES, "n": 100}),
    ],
)
def test_param_names_the_field_of_chats(server: Address, param: str, body: dict) -> None:
    assert refused(server, "/v1/chat/completions", **{"model": "chatty", **body})[0] == param


def test_param_of_the_other_routes(server: Address) -> None:
    assert refused(server, "/tokenize", prompt=None)[0] == "prompt"
    assert refused(server, "/detokenize", tokens=[310])[0] == "tokens"
    nulls = post(server, "/tokenize", prompt="One", model=None, add_special_tokens=None, return_token_strs=None)
    assert nulls.json() == post(server, "/tokenize", prompt="One").json()


# ---------------------------------------------------------------------------- max_tokens 0


@pytest.mark.parametrize("stream", [False, True])
def test_no_new_tokens_with_echo_score_the_prompt(server: Address, models: dict[str, Served], stream: bool) -> None:
    served = models["forwards"]
    ids = [served.tokenizer.bos_id, *served.tokenizer.encode(PROMPT)]
    asked = {"model": "forwards", "prompt": PROMPT, "max_tokens": 0, "echo": True, "logprobs": 2}
    text, found, reasons, usage = "", [], [], None
    if stream:
        options = {"include_usage": True}
        for chunk in server.client.completions.create(**asked, stream=True, stream_options=options):  # type: ignore[call-overload]
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.text
                found += choice.logprobs.token_logprobs
                reasons.append(choice.finish_reason)
    else:
        answer = server.client.completions.create(**asked)  # type: ignore[call-overload]
        (choice,), usage = answer.choices, answer.usage
        text, found, reasons = choice.text, choice.logprobs.token_logprobs, [choice.finish_reason]
        assert choice.logprobs.tokens == [served.spell(number) for number in ids[1:]]
        assert all(len(top) >= 2 for top in choice.logprobs.top_logprobs)
    assert text == PROMPT
    assert found == pytest.approx(scores(served, ids).tolist(), abs=1e-4)
    assert reasons[-1] == "length"
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (len(ids), 0)


def test_no_new_tokens_for_ids_for_several_prompts_and_for_a_full_context(
    server: Address, models: dict[str, Served]
) -> None:
    served = models["forwards"]
    asked = {"max_tokens": 0, "echo": True, "logprobs": 0}
    full = [5 + place % 50 for place in range(CONTEXT)]
    one, two = ask(server, prompt=[full, full[:3]], **asked)["choices"]
    assert one["logprobs"]["token_logprobs"][0] is None
    assert one["logprobs"]["token_logprobs"][1:] == pytest.approx(scores(served, full).tolist(), abs=1e-4)
    assert len(two["logprobs"]["tokens"]) == 3


def test_no_new_tokens_score_forced_ids_and_endings(server: Address, models: dict[str, Served]) -> None:
    served = models["forwards"]
    before, forced = [served.tokenizer.bos_id, *served.tokenizer.encode(PROMPT)], [7, 8, 9]
    asked = {"max_tokens": 0, "logprobs": 0, "return_token_ids": True}
    choice = ask(server, prompt=PROMPT, forced_token_ids=forced, **asked)["choices"][0]
    assert choice["token_ids"] == forced
    expected = scores(served, [*before, *forced])[-3:].tolist()
    assert choice["logprobs"]["token_logprobs"] == pytest.approx(expected, abs=1e-4)
    back = ask(server, model="backwards", ending="They were happy.", echo=True, **asked)["choices"][0]
    assert back["text"] == "They were happy."
    assert back["finish_reason"] == "length"


# ---------------------------------------------------------------------------- read from the schemas


ASKED = {
    "/v1/completions": {"model": "forwards", "prompt": PROMPT, "max_tokens": 8, "temperature": 0, "logprobs": None},
    "/v1/chat/completions": {"model": "chatty", "messages": MESSAGES, "max_tokens": 8, "temperature": 0},
}
KINDS: dict[str, type[Body]] = {"/v1/completions": CompletionRequest, "/v1/chat/completions": ChatRequest}


@pytest.mark.parametrize("route", ASKED)
def test_null_stands_for_the_default_of_every_optional_field(server: Address, route: str) -> None:
    fields, asked = KINDS[route].model_fields, ASKED[route]
    nulls = {name: None for name, field in fields.items() if not field.is_required() and name not in asked}
    assert {"logit_bias", "stop", "n", "store", "stream_options"} <= nulls.keys()
    plain, found = (post(server, route, **asked, **more) for more in ({}, nulls))
    assert found.status_code == 200, found.text
    assert found.json()["choices"] == plain.json()["choices"]


def test_every_field_without_effect_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    named = {name for quoted in re.findall(r"`([^`\n]+)`", page) for name in re.findall(r"\w+", quoted)}
    without = {name for kind in (Neutral, NeutralChat, NeutralMessage) for name in kind.model_fields}
    assert {"user", "functions", "refusal"} <= without
    assert (without | {"best_of", "include_obfuscation"}) - named == set()


def test_an_answer_of_the_official_client_can_be_sent_back(server: Address) -> None:
    answer = server.client.chat.completions.create(**ASKED["/v1/chat/completions"])  # type: ignore[call-overload]
    printed = {**answer.choices[0].message.model_dump(), "content": "x"}
    assert {"refusal", "tool_calls"} <= printed.keys()
    asked = {"model": "chatty", "max_tokens": 2}
    sent = post(server, "/v1/chat/completions", messages=[*MESSAGES, printed, *MESSAGES], **asked)
    assert sent.status_code == 200, sent.text
    called = [{**printed, "tool_calls": [{"id": "a"}]}]
    assert refused(server, "/v1/chat/completions", messages=called, **asked)[0] == "messages[0].tool_calls[0].type"


def test_a_full_context_is_scored_to_its_end_in_a_stream(server: Address) -> None:
    asked = {"model": "forwards", "prompt": [5] * CONTEXT, "max_tokens": 0, "echo": True, "logprobs": 0}
    chunks = list(server.client.completions.create(**asked, stream=True))  # type: ignore[call-overload]
    scored = [choice.logprobs for chunk in chunks for choice in chunk.choices]
    assert sum(len(each.tokens or ()) for each in scored if each) == CONTEXT
    assert chunks[-1].choices[0].finish_reason == "length"


def test_an_ending_is_scored_without_a_token_more(server: Address, models: dict[str, Served]) -> None:
    served = models["backwards"]
    ids = served.objective.prompt(served.tokenizer, None, PROMPT).ids
    asked = {"model": "backwards", "ending": PROMPT, "max_tokens": 0, "echo": True, "logprobs": 0}
    answer = ask(server, **asked)
    assert answer["choices"][0]["logprobs"]["token_logprobs"] == pytest.approx(scores(served, ids).tolist(), abs=1e-4)
    assert answer["usage"] == {"prompt_tokens": len(ids), "completion_tokens": 0, "total_tokens": len(ids)}
