"""Decoding from an encoded source: cached, in any company, greedy and by beams as transformers does it."""

import random
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from lilliput.base.errors import ConfigError, ModelError
from lilliput.decoding.beams import beam_search
from lilliput.decoding.decode import generate
from lilliput.decoding.engine import Engine, Request
from lilliput.decoding.sampling import SamplingConfig
from lilliput.model.huggingface import to_huggingface
from lilliput.model.source import Source
from tests.decoding.test_engine import alone, requests, run, same
from tests.model.families import SOURCED, stirred

sourced = pytest.mark.parametrize("family", SOURCED)


def with_sources(count: int, seed: int = 0) -> list[Request]:
    rng = random.Random(seed)
    from dataclasses import replace

    return [
        replace(request, source=tuple(rng.randrange(50) for _ in range(rng.randrange(1, 12))))
        for request in requests(count, seed)
    ]


@sourced
@pytest.mark.parametrize("slots", [1, 3, 32])
def test_a_text_depends_on_its_source_and_on_no_other_text(family, slots):
    model = stirred(family, context_length=16)
    asked = with_sources(9)
    texts = run(Engine(model, slots=slots), [], [(2 * i, request) for i, request in enumerate(asked)])
    for job, tokens in texts.items():
        same(tokens, alone(model, job.request))
    again = [
        [token.id for token in alone(model, Request(request.prompt, request.sampling, source=(7,)))]
        for request in asked[:4]
    ]
    assert again != [[token.id for token in alone(model, request)] for request in asked[:4]]


@sourced
def test_equal_prompts_of_other_sources_are_read_apart(family):
    model = stirred(family)
    engine = Engine(model)
    jobs = [engine.submit(Request((1,), source=source)) for source in ((4, 5), (6,), (4, 5))]
    run(engine, jobs)
    found = [tuple(job._ids) for job in jobs]
    assert found[0] == found[2] != found[1]


@sourced
def test_log_probabilities_are_the_models_own(family):
    model, sampling = stirred(family), SamplingConfig(temperature=0, max_tokens=10)
    source, engine = (3, 9, 27, 33, 2), Engine(stirred(family))
    texts = run(engine, [engine.submit(Request((1,), sampling, source=source))])
    ((job, tokens),) = texts.items()
    with torch.no_grad():
        hidden = model(torch.tensor([job._ids[:-1]]), source=Source(torch.tensor([source])))
        scores = model.logits(hidden)[0].log_softmax(-1)
    for place, token in enumerate(tokens):
        assert token.id is not None
        assert token.log_probability == pytest.approx(float(scores[place, token.id]), abs=1e-4)


@pytest.mark.parametrize("family", ["t5", "t5_tied"])
@pytest.mark.parametrize("beams", [1, 3])
def test_transformers_generates_the_same(family, beams, tmp_path):
    model, sources = stirred(family), [[3, 9, 27, 33, 2], [8, 8, 1]]
    stops = [11, 12, 13, 14]
    to_huggingface(model, tmp_path, eos_token_id=11, pad_token_id=0)
    theirs: Any = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    for source in sources:
        expected = theirs.generate(
            torch.tensor([source]), num_beams=beams, max_new_tokens=8, do_sample=False, eos_token_id=stops
        )[0].tolist()
        assert expected[0] == 0  # the decoder begins with the padding mark
        ours = list(beam_search(model, [0], beams, 8, stop_ids=stops, source=source)[0].ids)
        assert ours == expected[1 : len(ours) + 1]
        assert set(expected[len(ours) + 1 :]) <= {0}


def test_generate_takes_a_source_for_each_prompt():
    model, sampling = stirred("t5"), SamplingConfig(temperature=0, max_tokens=6)
    both = generate(model, [[0], [0]], sampling, sources=[[3, 9, 27], [8]])
    assert both == [generate(model, [[0]], sampling, sources=[source])[0] for source in ([3, 9, 27], [8])]
    assert both[0] != both[1]


def test_sources_that_do_not_fit_are_refused():
    engine = Engine(stirred("t5"))
    with pytest.raises(ConfigError, match=r"0 tokens, and the encoder reads 1 to 24"):
        engine.submit(Request((1,)))
    with pytest.raises(ConfigError, match="25 tokens"):
        engine.submit(Request((1,), source=(1,) * 25))
    with pytest.raises(ConfigError, match="outside 0 to 60"):
        engine.submit(Request((1,), source=(61,)))
    with pytest.raises(ConfigError, match="without an encoder"):
        Engine(stirred("story")).submit(Request((1,), source=(1,)))
    with pytest.raises(ConfigError, match="the encoder reads"):
        beam_search(stirred("t5"), [0], 2, 4)


def test_a_cache_without_the_source_says_so():
    from lilliput.decoding.cache import KVCache

    model = stirred("t5")
    with pytest.raises(ModelError, match="reads an encoded source"):
        KVCache(model.config, 1, 8).remembered(0)
    with pytest.raises(ModelError, match="reads an encoded source"):
        KVCache(stirred("story").config, 1, 8).remembered(0)
