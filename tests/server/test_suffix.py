"""`suffix` of /v1/completions: the answer is the text between the prompt and the suffix, for a model that fills in."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import BadRequestError

from lilliput.generation.text_generator import TextGenerator
from lilliput.server.served import Served
from tests.fillings import CONTEXT, TEXT, WORDS
from tests.server.conftest import Address, serving

MIDDLE = WORDS[7]
ASKED: dict[str, Any] = {"prompt": MIDDLE.prefix, "suffix": MIDDLE.suffix, "temperature": 0, "max_tokens": 20}


@pytest.fixture(scope="module")
def filling(filler: TextGenerator, models: dict[str, Served]) -> Iterator[Address]:
    with serving(Served("filling", filler), models["forwards"], models["backwards"]) as address:
        yield address


def post(server: Address, **body: object) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/completions", json=body, timeout=60)


def test_the_answer_is_the_middle_and_it_ends(filling: Address) -> None:
    for each in WORDS:
        answer = filling.client.completions.create(
            model="filling", prompt=each.prefix, suffix=each.suffix, temperature=0, max_tokens=20
        )
        assert (answer.choices[0].text, answer.choices[0].finish_reason) == (each.middle, "stop")


def test_a_stream_and_several_prompts_give_the_same(filling: Address) -> None:
    streamed = filling.client.completions.create(model="filling", stream=True, **ASKED)
    assert "".join(choice.text for chunk in streamed for choice in chunk.choices) == MIDDLE.middle
    several = post(filling, **{**ASKED, "prompt": [MIDDLE.prefix, "Once upon"]}, n=2).json()["choices"]
    assert [choice["text"] for choice in several[:2]] == [MIDDLE.middle] * 2
    assert len(several) == 4


def test_ids_scores_and_usage_are_of_the_whole_prompt(filling: Address, filler: TextGenerator) -> None:
    prompt = filler.objective.prompt(filler.tokenizer, MIDDLE.prefix, MIDDLE.suffix)
    answer = post(filling, **ASKED, return_token_ids=True, logprobs=1).json()
    (choice,) = answer["choices"]
    assert choice["prompt_token_ids"] == prompt.ids
    assert filler.tokenizer.decode(choice["token_ids"], continuing=True) == MIDDLE.middle
    assert answer["usage"]["prompt_tokens"] == len(prompt.ids)
    assert all(-0.7 < score <= 0 for score in choice["logprobs"]["token_logprobs"])  # greedy, and nearly sure
    assert choice["logprobs"]["text_offset"][0] == 0
    forced = filler.tokenizer.encode(" green", continuing=True)
    changed = post(filling, **ASKED, forced_token_ids=forced).json()["choices"][0]["text"]
    assert changed.startswith(" green")
    stopped = post(filling, **ASKED, stop=MIDDLE.middle[-1]).json()["choices"][0]
    assert (stopped["text"], stopped["finish_reason"]) == (MIDDLE.middle[:-1], "stop")


def test_without_a_suffix_the_model_goes_on_from_left_to_right(filling: Address) -> None:
    asked = {"prompt": "Once upon", "temperature": 0, "max_tokens": 80}
    texts = [
        post(filling, **asked, **more).json()["choices"][0]["text"] for more in ({}, {"suffix": ""}, {"suffix": None})
    ]
    assert texts == [TEXT.removeprefix("Once upon")] * 3
    no_prefix = post(filling, suffix=TEXT[4:], max_tokens=3)
    assert no_prefix.status_code == 200


def test_a_model_is_listed_with_whether_it_fills_in(filling: Address) -> None:
    found = {model.id: model.model_dump()["fills_middle"] for model in filling.client.models.list()}
    assert found == {"filling": True, "forwards": False, "backwards": False}


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("suffix", {"model": "forwards"}),
        ("suffix", {"model": "backwards"}),
        ("ending", {"prompt": None, "ending": "home."}),
        ("echo", {"echo": True}),
        ("prompt", {"prompt": [5, 6]}),
        ("prompt", {"prompt": [[5, 6]]}),
        ("prompt", {"prompt": "Tom " * CONTEXT}),
        ("suffix", {"suffix": 5}),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(filling: Address, param: str, body: dict) -> None:
    answer = post(filling, **{**ASKED, **body})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


def test_the_official_client_sees_what_to_do(filling: Address) -> None:
    with pytest.raises(BadRequestError, match=r"'forwards' takes no 'suffix'.*objective.kind=fim"):
        filling.client.completions.create(model="forwards", prompt="One", suffix="home.")
