"""Looking inside a served model: which parts wrote a token, and texts with parts off, which change no other text."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import torch

from lilliput.decoding.engine import Request
from lilliput.decoding.sampling import SamplingConfig
from lilliput.lens.components import head
from lilliput.lens.intervene import intervene
from lilliput.model.plain import hooked
from lilliput.server.altered import Off
from lilliput.server.served import Served
from lilliput.server.worker import Worker
from tests.server.conftest import CONTEXT, Address

HEAD = {"layer": 0, "head": 1}


def ask(server: Address, path: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json=body, timeout=60)


def text(server: Address, **body: Any) -> dict[str, Any]:
    wanted = {"model": "forwards", "prompt": "One day", "max_tokens": 24, "temperature": 0, "return_token_ids": True}
    answer = ask(server, "/v1/completions", **{**wanted, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]


def ids_of(choice: dict[str, Any]) -> list[int]:
    return [*choice["prompt_token_ids"], *choice["token_ids"]]


# ---------------------------------------------------------------------------- attribution


@pytest.mark.parametrize("model", ["forwards", "backwards"])
def test_the_parts_add_up_to_the_difference_of_the_logits(
    server: Address, models: dict[str, Served], model: str
) -> None:
    side = {"prompt": "One day"} if model == "forwards" else {"prompt": None, "ending": "They were happy."}
    ids = ids_of(text(server, model=model, **side))
    found = ask(server, "/lens/attribution", model=model, token_ids=ids, position=len(ids) - 3, top=3).json()
    assert len(found["parts"]) == len(found["neurons"]) == 3
    assert sum(part["share"] for part in found["parts"]) + found["rest"] == pytest.approx(found["difference"], abs=1e-3)
    plain = models[model].generator.model
    with torch.inference_mode():
        logits = plain.logits(plain(torch.tensor([ids[: len(ids) - 3]])))[0, -1]
    assert found["token"]["id"] == ids[-3]
    assert found["against"]["id"] in logits.topk(2).indices.tolist()
    expected = float(logits[ids[-3]] - logits[found["against"]["id"]])
    assert found["difference"] == pytest.approx(expected, abs=1e-3)
    assert found["token"]["logprob"] == pytest.approx(float(logits.log_softmax(-1)[ids[-3]]), abs=1e-4)


def test_a_token_of_ones_choice_is_the_rival(server: Address) -> None:
    ids = ids_of(text(server))
    found = ask(server, "/lens/attribution", model="forwards", token_ids=ids, position=5, against=7).json()
    assert found["against"]["id"] == 7
    assert [part["kind"] for part in found["neurons"]] == ["neuron"] * len(found["neurons"])
    shares = [abs(part["share"]) for part in found["parts"]]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"token_ids": [0, 99999], "position": 1}, "token_ids"),
        ({"token_ids": [0, 5], "position": 1, "against": 99999}, "against"),
        ({"token_ids": [0, 5], "position": 2}, "position"),
        ({"token_ids": [0, 5], "position": 0}, "position"),
        ({"token_ids": [5], "position": 1}, "token_ids"),
        ({"token_ids": [5] * (CONTEXT + 2), "position": CONTEXT + 1}, "token_ids"),
        ({"token_ids": [0, 5], "position": 1, "top": 0}, "top"),
    ],
)
def test_what_cannot_be_explained_is_refused(server: Address, body: dict[str, Any], param: str) -> None:
    answer = ask(server, "/lens/attribution", model="forwards", **body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_an_unknown_model_is_refused(server: Address) -> None:
    assert ask(server, "/lens/attribution", model="none", token_ids=[0, 5], position=1).status_code == 404


# ---------------------------------------------------------------------------- parts that are off


def test_a_head_that_is_off_changes_the_text_as_a_hook_does(server: Address, models: dict[str, Served]) -> None:
    plain = text(server)
    altered = text(server, ablate=[HEAD], ablation="zero")
    assert altered["token_ids"] != plain["token_ids"]

    def zero(value: torch.Tensor, hook: object) -> torch.Tensor:
        value = value.clone()
        value[:, :, 1] = 0
        return value

    model, ids = models["forwards"].generator.model, list(altered["prompt_token_ids"])
    with torch.inference_mode(), intervene(model, {"blocks.0.attn.hook_z": zero}):
        for _ in range(8):
            ids.append(int(model.logits(model(torch.tensor([ids])))[0, -1].argmax()))
    assert ids_of(altered)[: len(ids)] == ids


def test_the_mean_is_another_stand_in_than_zero(server: Address) -> None:
    everything = [{"layer": layer, "head": head} for layer in range(2) for head in range(4)]
    zero, mean = (text(server, ablate=everything, ablation=how)["text"] for how in ("zero", "mean"))
    assert text(server, ablate=everything)["text"] == mean  # the default
    assert zero != mean


def test_a_neuron_can_be_off(server: Address, models: dict[str, Served]) -> None:
    width = models["forwards"].generator.model.config.d_mlp
    neurons = [{"layer": 1, "neuron": place} for place in range(min(64, width))]
    assert text(server, ablate=neurons, ablation="zero")["text"] != text(server)["text"]


def test_other_texts_do_not_change_while_parts_are_off(server: Address) -> None:
    """Plain and altered texts at the same time, each as it is alone."""
    seeds = range(6)
    alone = {
        (seed, off): text(server, seed=seed, temperature=1, max_tokens=40, **({"ablate": [HEAD]} if off else {}))[
            "text"
        ]
        for seed in seeds
        for off in (False, True)
    }
    assert any(alone[seed, False] != alone[seed, True] for seed in seeds)

    def one(key: tuple[int, bool]) -> tuple[tuple[int, bool], str]:
        extra = {"ablate": [HEAD]} if key[1] else {}
        return key, text(server, seed=key[0], temperature=1, max_tokens=40, **extra)["text"]

    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            assert dict(pool.map(one, alone)) == alone


def test_no_hook_and_no_engine_stay_behind(models: dict[str, Served]) -> None:
    served = models["forwards"]

    async def run() -> Worker:
        worker = Worker(served, slots=2, queue_length=2)
        worker.start()
        off = Off(frozenset([head(served.generator.model, 0, 1)]), "zero")
        request = Request((0, 5), SamplingConfig(max_tokens=5, temperature=0))
        call = await worker.submit([request], "one", off)
        async for _ in call:
            pass
        plain = await worker.submit([request], "one")
        async for _ in plain:
            pass
        worker.stop()
        return worker

    worker = asyncio.run(run())
    assert worker.outstanding == 0
    assert worker._altered == {}
    assert hooked(served.generator.model) == []


def test_work_takes_a_place_and_gives_it_back(models: dict[str, Served]) -> None:
    async def run() -> None:
        worker = Worker(models["forwards"], slots=1, queue_length=0)
        worker.start()
        thread = await worker.compute(threading.current_thread, "one")
        assert thread is worker._thread
        assert worker.outstanding == 0

        def fail() -> None:
            raise ZeroDivisionError("a defect")

        with pytest.raises(ZeroDivisionError):
            await worker.compute(fail, "one")
        assert worker.outstanding == 0
        held = threading.Event()
        waiting = asyncio.create_task(worker.compute(held.wait, "one"))
        await asyncio.sleep(0.05)
        assert worker.outstanding == 1
        waiting.cancel()  # the client left
        held.set()
        while worker.outstanding:
            await asyncio.sleep(0.01)
        assert await worker.compute(lambda: 3, "one") == 3
        worker.stop()

    asyncio.run(run())


@pytest.mark.parametrize(
    "body",
    [
        {"ablate": [{"layer": 9, "head": 0}]},
        {"ablate": [{"layer": 0, "head": 4}]},
        {"ablate": [{"layer": 0, "neuron": 99999}]},
        {"ablate": [{"layer": 0}]},
        {"ablate": [{"layer": 0, "head": 0, "neuron": 0}]},
        {"ablate": [HEAD] * 65},
        {"ablate": [{**HEAD, "why": 1}]},
        {"ablate": [HEAD], "ablation": "resample"},
        {"ablation": "zero"},
    ],
)
def test_parts_that_are_not_there_are_refused(server: Address, body: dict[str, Any]) -> None:
    answer = ask(server, "/v1/completions", model="forwards", prompt="One day", **body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("abla")
