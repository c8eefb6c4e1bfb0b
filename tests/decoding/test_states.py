"""States of linear attention in a cache: rows that join, leave, wait as padding; what a state cannot do is refused."""

from typing import Any, cast

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.decoding import reading
from lilliput.decoding.beams import beam_search
from lilliput.decoding.cache import KVCache
from lilliput.decoding.decode import generate
from lilliput.decoding.engine import Engine, Job, Request
from lilliput.decoding.sampling import SamplingConfig
from lilliput.decoding.speculative import refuses, speculate
from tests.model.families import FAMILIES, PATTERNED, config, stirred, tokens

linear = pytest.mark.parametrize("family", [family for family in FAMILIES if family not in PATTERNED])


def after(model, ids: list[int]) -> torch.Tensor:
    """The hidden state of the last of these tokens, without a cache."""
    return model(torch.tensor([ids]))[0, -1]


@linear
def test_a_cache_holds_a_state_in_place_of_keys_and_values(family):
    made = config(family)
    cache = KVCache(made, 2, 20)
    assert len(cache.keys) == len(cache.values) == made.attentions.count("full")
    assert cache.states is not None
    shapes = {layer: [tuple(one.shape) for one in state] for layer, state in cache.states.numbers.items()}
    linear = [layer for layer, kind in enumerate(made.attentions) if kind != "full"]
    assert shapes == {layer: [(2, 4, 12, 12), (2, 3, 3 * 48)] for layer in linear}
    assert KVCache(config("story"), 2, 20).states is None


@linear
def test_rows_join_and_leave_and_keep_their_states(family):
    model, ids = stirred(family), tokens(3, 9)
    source = KVCache(model.config, 3, 9)
    model(ids, cache=source)
    source.advance([9, 4, 6])
    cache = KVCache(model.config, 0, 16, room=4)
    for row in (2, 0, 1, 2):
        cache.put(cache.batch, source, row)
    cache.drop(1)
    texts = [ids[2, :6].tolist(), ids[2, :6].tolist(), ids[1, :4].tolist()]
    cache.select([2, 0, 2])
    texts = [texts[2], texts[0], texts[2]]
    assert cache.lengths == [4, 6, 4]
    for step in range(3):
        new = [5 + step, 9, 30 - step]
        hidden = model(torch.tensor([[one] for one in new]), cache=cache)
        cache.advance(1)
        texts = [[*text, one] for text, one in zip(texts, new, strict=True)]
        for text, found in zip(texts, hidden[:, 0], strict=True):
            torch.testing.assert_close(found, after(model, text), atol=1e-5, rtol=1e-5)


@linear
def test_a_pass_that_is_not_counted_changes_nothing(family):
    model, ids = stirred(family), tokens(2, 8)
    cache = KVCache(model.config, 2, 20)
    model(ids[:, :5], cache=cache)
    cache.advance(5)
    once = model(ids[:, 5:], cache=cache)
    assert torch.equal(model(ids[:, 5:], cache=cache), once)


@linear
def test_a_state_forgets_nothing_and_refuses_to(family):
    model, ids = stirred(family), tokens(1, 8)
    cache = KVCache(model.config, 1, 20)
    model(ids, cache=cache)
    cache.advance(8)
    cache.lengths = [6]
    with pytest.raises(ModelError, match=r"cannot forget .* holds \[8\] tokens, and \[6\] are asked for") as caught:
        model(ids, cache=cache)
    assert "new cache" in (caught.value.hint or "")


@linear
def test_a_cache_of_keys_and_values_alone_is_refused(family):
    model, other = stirred(family), KVCache(config("story"), 1, 20)
    with pytest.raises(ModelError, match="layer 0 keeps a state"):
        model(tokens(1, 3), cache=other)
    with pytest.raises(ModelError, match="layer 1 keeps a state"):
        other.write(1, lambda counts: ())


@linear
def test_texts_are_those_without_a_cache(family):
    model, prompts = stirred(family), [[1, 2, 3], [9], [7] * 11, [1, 2, 3]]
    greedy = SamplingConfig(temperature=0, max_tokens=6)
    wanted = []
    for prompt in prompts:
        text = list(prompt)
        for _ in range(6):
            text.append(int(model.logits(after(model, text)).argmax()))
        wanted.append(text[len(prompt) :])
    assert generate(model, prompts, greedy) == wanted
    assert list(beam_search(model, prompts[0], 1, 6)[0].ids) == wanted[0]
    best = beam_search(model, prompts[0], 4, 6)
    for beam in best:
        text, score = list(prompts[0]), 0.0
        for one in beam.ids:
            score += model.logits(after(model, text)).log_softmax(-1)[one].item()
            text.append(one)
        assert beam.log_probability == pytest.approx(score, abs=1e-4)
    assert best[0].log_probability >= best[-1].log_probability


@linear
@pytest.mark.parametrize("slots", [1, 2, 8])
def test_a_text_does_not_depend_on_the_texts_beside_it(family, slots, monkeypatch):
    """Texts join and leave, one is cancelled, prompts are read in several passes, and windows slide."""
    monkeypatch.setattr(reading, "PREFILL_TOKENS", 20)
    model = stirred(family, context_length=16)
    prompts = [(1, 2, 3), (9,), (7,) * 11, (4, 5), (1, 2, 3), tuple(range(15))]
    sampling = SamplingConfig(temperature=0.9, max_tokens=12, seed=3)
    requests = [Request(prompt, sampling, sample, window=True) for sample, prompt in enumerate(prompts)]
    wanted = [run(Engine(model, 1), [request])[0] for request in requests]
    many = Engine(model, slots)
    cancelled = many.submit(Request((8, 8), sampling))
    many.step()
    many.cancel(cancelled)
    assert run(many, requests) == wanted


def run(machine: Engine, requests: list[Request]) -> list[list[int | None]]:
    """The ids of every request."""
    texts: dict[Job, list[int | None]] = {machine.submit(request): [] for request in requests}
    while not machine.idle:
        for job, token in machine.step():
            texts[job].append(token.id)
    return [*texts.values()]


@linear
def test_a_shared_beginning_is_read_once(family):
    """The scorer reads the common beginning of choices once, and goes on from it in several rows."""
    model, shared = stirred(family), [3, 1, 4, 1, 5]
    cache = KVCache(model.config, 1, 20, room=3)
    model(torch.tensor([shared]), cache=cache)
    cache.advance(5)
    cache.select([0, 0, 0])
    ends = tokens(3, 4, seed=6)
    found = model(ends, cache=cache)
    for row, end in enumerate(ends.tolist()):
        torch.testing.assert_close(found[row, -1], after(model, [*shared, *end]), atol=1e-5, rtol=1e-5)


@linear
def test_a_draft_steps_aside_by_name(family, capsys, monkeypatch):
    from lilliput.decoding import speculative
    from lilliput.model.plain import Once

    monkeypatch.setattr(speculative, "_say_once", Once(speculative.warn))
    model, plain = stirred(family), stirred("story")
    for pair in ((model, plain), (plain, model)):
        assert any("attention=gated_delta (needs full)" in reason for reason in refuses(*pair))
    greedy = SamplingConfig(temperature=0, max_tokens=6)
    text = speculate(model, plain, [1, 2, 3], greedy)
    assert text.ids == generate(model, [[1, 2, 3]], greedy)[0]
    assert text.drafted == 0
    assert "attention=gated_delta (needs full)" in capsys.readouterr().err


def test_an_odd_state_is_no_part_of_the_protocol() -> None:
    """A cache that does not override `state` and `write` refuses, so that no layer's state is lost silently."""
    from lilliput.model.attention import Cache

    class Bare(Cache):
        pass

    with pytest.raises(ModelError, match="keys and values alone"):
        cast(Any, Bare)().state(3)
