"""/v1/completions through the official client: texts, prompts of every kind, scores, and both directions."""

import math

import httpx
import pytest
import torch
from openai import BadRequestError, NotFoundError

from lilliput.base.errors import ConfigError
from lilliput.objectives.words import reverse_words
from lilliput.server.served import Served
from tests.server.conftest import CONTEXT, Address

PROMPT = "One day Tom"


def ask(server: Address, **body: object) -> dict:
    """The answer's JSON, whatever it is."""
    return httpx.post(f"{server.url}/v1/completions", json=body, timeout=60).json()


def scores(served: Served, ids: list[int]) -> torch.Tensor:
    """Log-probabilities of ids 1, 2 ... as the model itself gives them, without cache or server."""
    with torch.inference_mode():
        logits = served.model.logits(served.model(torch.tensor([ids])))[0].float()
    return logits.log_softmax(-1)[:-1].gather(-1, torch.tensor(ids[1:])[:, None])[:, 0]


def test_the_official_client_reads_an_answer(server: Address) -> None:
    answer = server.client.completions.create(model="forwards", prompt=PROMPT, max_tokens=9, seed=3)
    assert answer.object == "text_completion"
    assert answer.model == "forwards"
    assert len(answer.choices[0].text) > 3
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 9
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 9


def test_a_stream_gives_the_same_as_a_whole_answer(server: Address) -> None:
    asked = {"model": "forwards", "prompt": [PROMPT, "She"], "n": 2, "max_tokens": 30, "seed": 7}
    whole = server.client.completions.create(**asked)
    texts, usage = [""] * 4, None
    reasons: list[str | None] = [None] * 4
    for chunk in server.client.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            reasons[choice.index] = choice.finish_reason
    assert texts == [choice.text for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert usage == whole.usage


def test_seeds_decide_and_samples_differ(server: Address) -> None:
    def texts(**body: object) -> list[str]:
        answer = ask(server, prompt=PROMPT, max_tokens=20, **body)
        return [choice["text"] for choice in answer["choices"]]

    assert texts(seed=5) == texts(seed=5)
    assert texts(seed=5) != texts(seed=6)
    assert len(set(texts(seed=5, n=4))) == 4
    assert texts(seed=5, n=4)[0] == texts(seed=5)[0]
    assert texts() != texts()  # without a seed one is drawn
    assert texts(temperature=0, seed=1) == texts(temperature=0, seed=2)


@pytest.mark.parametrize(
    "option", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 0}], ids=lambda option: str(*option)
)
def test_every_way_of_drawing_reaches_the_engine(server: Address, option: dict) -> None:
    greedy = ask(server, prompt=PROMPT, max_tokens=12, temperature=0)["choices"][0]["text"]
    assert ask(server, prompt=PROMPT, max_tokens=12, **option)["choices"][0]["text"] == greedy
    assert ask(server, prompt=PROMPT, max_tokens=12, temperature=2, seed=1)["choices"][0]["text"] != greedy


def test_a_repetition_penalty_reaches_the_engine(server: Address) -> None:
    asked = {"prompt": PROMPT, "max_tokens": 60, "temperature": 0, "logprobs": 0, "return_token_ids": True}
    plain, penalised = (ask(server, **asked, **more)["choices"][0] for more in ({}, {"repetition_penalty": 10.0}))
    assert len(set(penalised["token_ids"])) > len(set(plain["token_ids"]))


def test_prompts_come_as_text_or_as_ids(server: Address, models: dict[str, Served]) -> None:
    tokenizer = models["forwards"].tokenizer
    ids = [tokenizer.bos_id, *tokenizer.encode(PROMPT)]
    texts = [
        ask(server, prompt=prompt, max_tokens=8, temperature=0)["choices"][0]["text"]
        for prompt in (PROMPT, [PROMPT], ids, [ids])
    ]
    assert len(set(texts)) == 1
    two = ask(server, prompt=[ids, ids[:2]], max_tokens=8, temperature=0)
    assert [choice["index"] for choice in two["choices"]] == [0, 1]
    assert two["usage"]["prompt_tokens"] == len(ids) + 2


def test_no_prompt_begins_a_text(server: Address) -> None:
    answer = ask(server, max_tokens=4)
    assert answer["usage"] == {"prompt_tokens": 1, "completion_tokens": 4, "total_tokens": 5}


def test_scores_are_the_models_own(server: Address, models: dict[str, Served]) -> None:
    served = models["forwards"]
    answer = ask(server, prompt=PROMPT, max_tokens=10, seed=2, logprobs=3, return_token_ids=True)
    choice = answer["choices"][0]
    ids = [*choice["prompt_token_ids"], *choice["token_ids"]]
    logprobs = choice["logprobs"]
    expected = scores(served, ids)[-10:]
    assert logprobs["token_logprobs"] == pytest.approx(expected.tolist(), abs=1e-4)
    assert logprobs["tokens"] == [served.spell(number) for number in choice["token_ids"]]
    assert served.tokenizer.decode(choice["token_ids"], continuing=True) == choice["text"]
    for printed, score, top, ranked in zip(
        logprobs["tokens"],
        logprobs["token_logprobs"],
        logprobs["top_logprobs"],
        logprobs["top_tokens"],
        strict=True,
    ):
        assert top[printed] >= score
        assert 3 <= len(top) <= 4 or len({one["token"] for one in ranked}) < 3
        assert [one["logprob"] for one in ranked] == sorted((one["logprob"] for one in ranked), reverse=True)


def test_echo_scores_the_prompt(server: Address, models: dict[str, Served]) -> None:
    served = models["forwards"]
    ids = [served.tokenizer.bos_id, *served.tokenizer.encode(PROMPT)]
    asked = {"max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
    by_text, by_ids = (ask(server, prompt=prompt, **asked)["choices"][0] for prompt in (PROMPT, ids))
    assert by_text["text"].startswith(PROMPT)
    assert by_text["logprobs"]["token_logprobs"][:-1] == pytest.approx(scores(served, ids).tolist(), abs=1e-4)
    assert by_text["logprobs"]["text_offset"][:2] == [0, len(by_text["logprobs"]["tokens"][0])]
    # Ids are echoed one for one, the first without a score: what lm-eval counts on.
    assert by_ids["logprobs"]["token_logprobs"][0] is None
    assert by_ids["logprobs"]["top_logprobs"][0] is None
    assert by_ids["logprobs"]["token_logprobs"][1:] == by_text["logprobs"]["token_logprobs"]
    assert len(by_ids["logprobs"]["tokens"]) == len(ids) + 1


def test_stop_strings_end_the_text_before_them(server: Address) -> None:
    asked = {"prompt": PROMPT, "max_tokens": 40, "temperature": 1, "seed": 11}
    plain = ask(server, **asked)["choices"][0]["text"]
    stop = plain[12:15]
    cut = ask(server, **asked, stop=[stop, "never there"], logprobs=0)
    choice = cut["choices"][0]
    assert choice["text"] == plain[: plain.index(stop)]
    assert choice["finish_reason"] == "stop"
    assert cut["usage"]["completion_tokens"] < 40
    assert choice["logprobs"]["text_offset"][-1] < len(choice["text"])
    echoed = ask(server, **asked, stop="Tom", echo=True)["choices"][0]["text"]
    assert echoed.startswith(PROMPT)


def test_forced_ids_begin_the_answer(server: Address) -> None:
    asked = {"prompt": PROMPT, "max_tokens": 12, "temperature": 0, "logprobs": 4, "return_token_ids": True}
    plain = ask(server, **asked)["choices"][0]
    other = plain["logprobs"]["top_tokens"][3][1]
    forced = [*plain["token_ids"][:3], other["id"]]
    branch = ask(server, **asked, forced_token_ids=forced)["choices"][0]
    assert branch["token_ids"][:4] == forced
    assert branch["prompt_token_ids"] == plain["prompt_token_ids"]
    assert branch["logprobs"]["token_logprobs"][:3] == pytest.approx(plain["logprobs"]["token_logprobs"][:3], abs=1e-5)
    assert branch["logprobs"]["token_logprobs"][3] == pytest.approx(other["logprob"], abs=1e-5)
    assert len(branch["token_ids"]) == 4 + 12
    same = ask(server, **asked, forced_token_ids=plain["token_ids"][:5])["choices"][0]
    assert same["text"].startswith(plain["text"])
    assert "cannot be had together" in str(
        ask(server, **asked, forced_token_ids=forced, response_format={"type": "json_object"})
    )


def test_a_model_that_reads_backwards_leads_to_an_ending(server: Address, models: dict[str, Served]) -> None:
    asked = {"model": "backwards", "ending": "They were happy.", "max_tokens": 25, "seed": 4}
    before = ask(server, **asked)["choices"][0]["text"]
    assert ask(server, **asked, echo=True)["choices"][0]["text"] == before + "They were happy."
    chunks = [chunk.choices[0].text for chunk in _stream(server, **asked)]
    assert len(chunks) > 3
    assert "".join(reversed(chunks)) == before
    ids = ask(server, **asked, logprobs=0, return_token_ids=True)["choices"][0]["token_ids"]
    tokenizer = models["backwards"].tokenizer
    assert reverse_words(tokenizer.decode(ids, continuing=True)) == before
    cut = ask(server, **asked, stop=before[3:6])["choices"][0]["text"]
    assert cut == before[before.rindex(before[3:6]) + 3 :]


def _stream(server: Address, **body: object):
    own = {key: value for key, value in body.items() if key in ("ending",)}
    rest = {key: value for key, value in body.items() if key not in own}
    return server.client.completions.create(prompt=None, stream=True, extra_body=own, **rest)  # type: ignore[arg-type]


def test_a_prompt_longer_than_the_context_is_refused_with_the_numbers(server: Address) -> None:
    with pytest.raises(BadRequestError, match=rf"{CONTEXT + 1} tokens and the model's context holds {CONTEXT}"):
        server.client.completions.create(model="forwards", prompt=[5] * (CONTEXT + 1))
    full = ask(server, prompt=[5] * (CONTEXT - 3), max_tokens=50, temperature=0, seed=0)
    assert full["choices"][0]["finish_reason"] == "length"
    assert full["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"promt": "x"}, "unknown key 'promt' (did you mean 'prompt'?)"),
        ({"temperature": 3}, "temperature"),
        ({"n": "2"}, "'n'"),
        ({"best_of": 2}, "best_of"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"prompt": [400]}, "holds the id 400; 'forwards' knows 0 to 309"),
        ({"forced_token_ids": [400]}, "forced_token_ids holds the id 400"),
        ({"prompt": "x", "ending": "y"}, "both 'prompt' and 'ending'"),
        ({"ending": "y"}, "reads forwards"),
        ({"model": "backwards", "prompt": "x"}, "reads backwards"),
        ({"model": "backwards", "response_format": {"type": "json_object"}}, "reads backwards"),
        ({"stream_options": {}}, "stream_options is for streams"),
        ({"prompt": ["x"] * 50_000, "n": 128}, "6400000 texts are requested at once"),
        ({"prompt": "x", "n": 100}, "100 texts are requested at once; the server has 8 slots and a queue of 64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_reported(server: Address, body: dict, words: str) -> None:
    answer = httpx.post(f"{server.url}/v1/completions", json=body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_unknown_model_is_not_found(server: Address) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'forwards'") as found:
        server.client.completions.create(model="forward", prompt="x")
    assert found.value.code == "model_not_found"


def test_json_of_a_schema(server: Address) -> None:
    pytest.importorskip("llguidance")
    schema = {"type": "object", "properties": {"age": {"type": "integer", "maximum": 99}}, "required": ["age"]}
    form = {"type": "json_schema", "json_schema": {"name": "age", "schema": {**schema, "additionalProperties": False}}}
    answer = ask(server, prompt=PROMPT, max_tokens=60, seed=1, response_format=form)
    value = httpx.Response(200, text=answer["choices"][0]["text"]).json()
    assert isinstance(value["age"], int)
    assert answer["choices"][0]["finish_reason"] == "stop"
    wrong = ask(server, response_format={"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}})
    assert "JSON schema" in wrong["error"]["message"]
    assert "lacks the schema" in ask(server, response_format={"type": "json_schema"})["error"]["message"]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "integer", "multipleOf": 982451653}, "multipleOf 982451653"),
        ({"multipleOf": 982451653}, "multipleOf 982451653"),
        ({"$ref": "#"}, "no text satisfies"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused(server: Address, schema: dict, says: str) -> None:
    pytest.importorskip("llguidance")
    form = {"type": "json_schema", "json_schema": {"schema": schema}}
    for more in ({}, {"stream": True}, {"n": 3}):
        answer = httpx.post(f"{server.url}/v1/completions", json={"prompt": "x", "response_format": form, **more})
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "response_format"
        assert says in answer.json()["error"]["message"]


def test_a_constraint_that_fails_in_the_middle_is_no_success(server: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llguidance")
    from lilliput.decoding.constrained import Matcher

    def fails(self: Matcher, number: int) -> None:
        raise ConfigError("the constraint cannot be followed: too large")

    monkeypatch.setattr(Matcher, "push", fails)
    body = {"prompt": "x", "response_format": {"type": "json_object"}}
    answer = httpx.post(f"{server.url}/v1/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "response_format")
    streamed = httpx.post(f"{server.url}/v1/completions", json={**body, "stream": True}).text
    assert "cannot be followed" in streamed
    assert "[DONE]" not in streamed


def test_tokens_that_share_a_spelling_are_distinguished_by_id(server: Address) -> None:
    answer = ask(server, prompt=PROMPT, max_tokens=30, seed=3, temperature=2, logprobs=20, return_token_ids=True)
    logprobs = answer["choices"][0]["logprobs"]
    assert any(token.startswith("bytes:\\x") for top in logprobs["top_logprobs"] for token in top)
    assert all(len({one["id"] for one in top}) == 20 for top in logprobs["top_tokens"])
    assert all(math.isfinite(score) for score in logprobs["token_logprobs"])
