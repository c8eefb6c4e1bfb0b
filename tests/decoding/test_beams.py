import itertools
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from lilliput.base.errors import ConfigError
from lilliput.decoding.beams import beam_search
from lilliput.decoding.decode import generate
from lilliput.decoding.sampling import SamplingConfig
from lilliput.model.huggingface import to_huggingface
from tests.model.families import stirred


def log_probability(model, prompt, ids):
    with torch.no_grad():
        scores = model.logits(model(torch.tensor([[*prompt, *ids]])))[0].log_softmax(-1)
    return sum(float(scores[len(prompt) - 1 + i, number]) for i, number in enumerate(ids))


def test_one_beam_is_greedy(tiny):
    model = tiny(context_length=32)
    (beam,) = beam_search(model, [1, 2, 3], 1, 10)
    assert list(beam.ids) == generate(model, [[1, 2, 3]], SamplingConfig(temperature=0, max_tokens=10))[0]
    assert beam.log_probability == pytest.approx(log_probability(model, [1, 2, 3], beam.ids), abs=1e-3)


def test_as_many_beams_as_tokens_find_the_best_text_of_all(tiny):
    model = tiny(vocab_size=5, context_length=8)
    every = {ids: log_probability(model, [1], ids) for ids in itertools.product(range(5), repeat=3)}
    best = sorted(every, key=lambda ids: -every[ids])
    found = beam_search(model, [1], 5, 3)
    assert found[0].ids == best[0]
    scores = [beam.score for beam in found]
    assert scores == sorted(scores, reverse=True)
    for beam in found:
        assert beam.log_probability == pytest.approx(every[beam.ids], abs=1e-4)


@pytest.mark.parametrize("beams", [2, 4])
@pytest.mark.parametrize("prompt", [[1, 2, 3], [7], [9, 30, 4, 4]])
def test_the_best_beam_is_that_of_transformers(tmp_path, beams, prompt):
    model = stirred("llama")
    stops = [11, 12, 13, 14, 15, 16]
    to_huggingface(model, tmp_path, bos_token_id=1, eos_token_id=11, pad_token_id=0)
    theirs: Any = AutoModelForCausalLM.from_pretrained(tmp_path)
    texts = theirs.generate(
        torch.tensor([prompt]), num_beams=beams, max_new_tokens=8, do_sample=False, eos_token_id=stops, pad_token_id=0
    )[0, len(prompt) :].tolist()
    ours = list(beam_search(model, prompt, beams, 8, stop_ids=stops)[0].ids)
    assert ours == texts[: len(ours)]
    assert set(texts[len(ours) :]) <= {0}


def test_beams_end_at_the_context_and_heed_what_is_forbidden(tiny):
    model = tiny(context_length=16)
    free = beam_search(model, [1] * 14, 3, 50)
    assert {len(beam.ids) for beam in free} == {3}
    first = free[0].ids[0]
    assert all(beam.ids[0] != first for beam in beam_search(model, [1] * 14, 3, 50, forbidden_first=[first]))
    with pytest.raises(ConfigError, match="3 beams and a prompt of 17"):
        beam_search(model, [1] * 17, 3, 5)
    with pytest.raises(ConfigError, match="0 beams"):
        beam_search(model, [1], 0, 5)
