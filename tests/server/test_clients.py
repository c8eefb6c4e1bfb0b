"""What others send: lm-eval's local-completions, the rest of the API, and the metrics."""

import httpx
import pytest
import torch

from lilliput.server.served import Served
from tests.server.conftest import CONTEXT, Address


@pytest.mark.filterwarnings("ignore")  # lm-eval's own
def test_lm_eval_scores_by_local_completions(
    server: Address, models: dict[str, Served], tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    served = models["forwards"]
    folder = tmp_path_factory.mktemp("tokenizer")
    served.tokenizer.save(folder)
    settings = {
        "model": "forwards",
        "base_url": f"{server.url}/v1/completions",
        "tokenizer": str(folder),
        "tokenizer_backend": "huggingface",
        "tokenized_requests": True,
        "max_length": CONTEXT,
        "batch_size": 2,
        "num_concurrent": 1,
    }
    evaluated = LocalCompletionsAPI(**settings)
    pairs = [("One day Tom", " saw a ball."), ("Was it good? They were", " happy"), ("Lily saw a", " crown")]
    asked = [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)]
    found = evaluated.loglikelihood(asked)
    for (context, continuation), (total, greedy) in zip(pairs, found, strict=True):
        before = served.tokenizer.encode(context)
        ids = served.tokenizer.encode(context + continuation)
        with torch.inference_mode():
            scores = served.model.logits(served.model(torch.tensor([ids])))[0].float().log_softmax(-1)[:-1]
        printed = torch.tensor(ids[1:])
        own = scores.gather(-1, printed[:, None])[len(before) - 1 :, 0]
        assert total == pytest.approx(float(own.sum()), abs=1e-3)
        assert greedy == bool((scores.argmax(-1) == printed)[len(before) - 1 :].all())

    until = Instance("generate_until", {}, ("One day", {"until": ["q"], "max_gen_toks": 12, "temperature": 0}), 0)
    (texts,) = evaluated.generate_until([until])
    assert "q" not in texts


def test_models_are_listed_with_what_they_can(server: Address) -> None:
    found = {model.id: model.model_dump() for model in server.client.models.list()}
    assert list(found) == ["forwards", "backwards", "chatty"]
    assert found["forwards"]["context_length"] == CONTEXT
    assert [found[name]["reads_forwards"] for name in found] == [True, False, True]
    assert [found[name]["chat"] for name in found] == [False, False, True]
    assert server.client.models.retrieve("chatty").id == "chatty"
    assert httpx.get(f"{server.url}/v1/models/nobody").status_code == 404


def test_text_becomes_tokens_and_text_again(server: Address, models: dict[str, Served]) -> None:
    tokenizer, text = models["forwards"].tokenizer, "One day — \u00e9!"
    made = httpx.post(f"{server.url}/tokenize", json={"prompt": text, "return_token_strs": True}).json()
    assert made["tokens"] == [tokenizer.bos_id, *tokenizer.encode(text)]
    assert (made["count"], made["max_model_len"]) == (len(made["tokens"]), CONTEXT)
    assert made["token_strs"][:2] == [tokenizer.token(tokenizer.bos_id), "One"]
    plain = httpx.post(f"{server.url}/tokenize", json={"prompt": text, "add_special_tokens": False}).json()
    assert plain["tokens"] == made["tokens"][1:]
    assert "token_strs" not in plain
    back = httpx.post(f"{server.url}/detokenize", json={"tokens": made["tokens"], "model": "chatty"}).json()
    assert back == {"prompt": text}
    wrong = httpx.post(f"{server.url}/detokenize", json={"tokens": [310]})
    assert (wrong.status_code, "no token 310" in wrong.text) == (400, True)


def test_metrics_count_requests_and_tokens(server: Address) -> None:
    def read() -> dict[str, float]:
        lines = [line for line in httpx.get(f"{server.url}/metrics").text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    before = read()
    asked = {"model": "backwards", "ending": "The end.", "max_tokens": 7, "temperature": 0}
    usage = httpx.post(f"{server.url}/v1/completions", json=asked).json()["usage"]
    httpx.get(f"{server.url}/made/up/path")
    after = read()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert grown('lilliput_tokens_total{kind="completion",model="backwards"}') == 7
    assert grown('lilliput_tokens_total{kind="prompt",model="backwards"}') == usage["prompt_tokens"]
    assert grown('lilliput_requests_total{path="/v1/completions",status="200"}') == 1
    assert grown('lilliput_requests_total{path="other",status="404"}') == 1
    assert grown('lilliput_request_seconds_count{path="/v1/completions"}') == 1
    assert after['lilliput_slots{model="backwards"}'] == 8
    assert not any("made" in name for name in after)
