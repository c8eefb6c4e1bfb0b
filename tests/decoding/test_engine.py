import random
from dataclasses import replace

import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.decoding import reading
from lilliput.decoding.decode import generate
from lilliput.decoding.engine import Engine, Request
from lilliput.decoding.sampling import SamplingConfig

GREEDY = SamplingConfig(temperature=0, max_tokens=12)
WAYS = [
    GREEDY,
    SamplingConfig(temperature=1.3, max_tokens=9, seed=1),
    SamplingConfig(temperature=1.3, max_tokens=9, seed=2, top_k=7),
    SamplingConfig(temperature=0, max_tokens=7, repetition_penalty=1.5),
    SamplingConfig(temperature=0.9, max_tokens=20, top_p=0.8, min_p=0.01, repetition_penalty=1.2),
]


def requests(count, seed=0):
    rng = random.Random(seed)
    return [
        Request(
            tuple(rng.randrange(50) for _ in range(rng.randrange(1, 12))),
            rng.choice(WAYS),
            sample=rng.randrange(3),
            stop_ids=frozenset(rng.sample(range(50), 2)),
            forbidden_first=tuple(rng.sample(range(50), 3)),
            alternatives=rng.randrange(4),
            window=rng.random() < 0.5,
        )
        for _ in range(count)
    ]


def run(engine, jobs, arrivals=()):
    """All events by job; `arrivals` are (step, request) still to be submitted."""
    texts = {job: [] for job in jobs}
    late, step = list(arrivals), 0
    while late or not engine.idle:
        for when, request in list(late):
            if when <= step:
                texts[engine.submit(request)] = []
                late.remove((when, request))
        for job, token in engine.step():
            texts[job].append(token)
        step += 1
    return texts


def alone(model, request):
    engine = Engine(model, slots=1)
    return run(engine, [engine.submit(request)]).popitem()[1]


def same(one, other):
    """Equal tokens, finishes and alternatives; log-probabilities to rounding."""
    assert [(t.id, t.finish) for t in one] == [(t.id, t.finish) for t in other]
    assert [[i for i, _ in t.alternatives] for t in one] == [[i for i, _ in t.alternatives] for t in other]
    for a, b in zip(one, other, strict=True):
        assert a.log_probability == pytest.approx(b.log_probability, abs=1e-4)


@pytest.mark.parametrize("slots", [1, 3, 32])
def test_a_requests_text_does_not_depend_on_the_requests_beside_it(tiny, slots):
    model = tiny(context_length=16)
    asked = requests(14)
    texts = run(Engine(model, slots=slots), [], [(3 * i, request) for i, request in enumerate(asked)])
    assert len(texts) == 14
    for job, tokens in texts.items():
        assert job.finish == tokens[-1].finish is not None
        assert all(token.finish is None for token in tokens[:-1])
        assert job.generated == len(tokens)
        same(tokens, alone(model, job.request))


def test_prompts_beyond_one_pass_are_read_in_several(tiny, monkeypatch):
    model = tiny(context_length=16)
    asked = requests(9, seed=3)
    expected = [alone(model, request) for request in asked]
    monkeypatch.setattr(reading, "PREFILL_TOKENS", 20)
    shapes = []
    model.register_forward_pre_hook(lambda module, args: shapes.append(tuple(args[0].shape)))
    engine = Engine(model)
    texts = run(engine, [engine.submit(request) for request in asked])
    assert sum(length > 1 for _, length in shapes) > 2
    assert all(rows * length <= 20 for rows, length in shapes if length > 1)
    for job, tokens in texts.items():
        same(tokens, expected[asked.index(job.request)])


def test_slots_are_filled_in_order_and_freed_at_once(tiny):
    engine = Engine(tiny(), slots=2)
    assert engine.idle
    assert engine.step() == []
    jobs = [engine.submit(Request((i,), GREEDY)) for i in (1, 2, 3, 4)]
    assert (engine.waiting, engine.running) == (4, 0)
    assert {job for job, _ in engine.step()} == set(jobs[:2])
    assert (engine.waiting, engine.running) == (2, 2)
    engine.cancel(jobs[0])
    engine.cancel(jobs[2])
    assert (engine.waiting, engine.running) == (1, 1)
    assert {job for job, _ in engine.step()} == {jobs[1], jobs[3]}
    texts = run(engine, jobs)
    assert engine.idle
    assert [len(texts[job]) for job in jobs] == [0, 10, 0, 11]
    engine.cancel(jobs[1])
    assert jobs[0].finish is None
    assert jobs[1].finish == "length"


def test_a_cancelled_neighbour_leaves_the_others_undisturbed(tiny):
    model = tiny(context_length=32)
    engine = Engine(model, slots=4)
    jobs = [engine.submit(Request((5, i, 7), GREEDY, alternatives=2)) for i in range(6)]
    texts = {job: [] for job in jobs}
    for step in range(40):
        if step == 4:
            engine.cancel(jobs[1])
            engine.cancel(jobs[0])
        for job, token in engine.step():
            texts[job].append(token)
    for job in jobs[2:]:
        same(texts[job], alone(model, job.request))
    assert len(texts[jobs[0]]) == 4


def test_alternatives_are_the_likeliest_tokens_under_the_model(tiny):
    model = tiny(context_length=32)
    request = Request((1, 2, 3), SamplingConfig(temperature=1.5, top_k=5, max_tokens=6), alternatives=4)
    tokens = alone(model, request)
    ids = [1, 2, 3] + [token.id for token in tokens]
    with torch.no_grad():
        scores = model.logits(model(torch.tensor([ids])))[0].log_softmax(-1)
    for place, token in enumerate(tokens, start=2):
        best = scores[place].topk(4)
        assert [i for i, _ in token.alternatives] == best.indices.tolist()
        assert [s for _, s in token.alternatives] == pytest.approx(best.values.tolist(), abs=1e-4)
        assert token.log_probability == pytest.approx(float(scores[place, token.id]), abs=1e-4)


def test_a_prompt_is_scored_when_asked(tiny):
    model = tiny(context_length=16)
    prompt = (4, 8, 15, 16, 23, 42)
    engine = Engine(model)
    plain = engine.submit(Request(prompt, GREEDY))
    scored = engine.submit(Request(prompt, GREEDY, alternatives=2, prompt_log_probabilities=True))
    single = engine.submit(Request((7,), GREEDY, prompt_log_probabilities=True))
    engine.step()
    assert plain.prompt_scores is None
    assert single.prompt_scores == (None,)
    assert scored.prompt_scores is not None
    with torch.no_grad():
        scores = model.logits(model(torch.tensor([prompt])))[0].log_softmax(-1)
    assert scored.prompt_scores[0] is None
    rest = scored.prompt_scores[1:]
    assert [token and token.id for token in rest] == list(prompt[1:])
    for place, token in enumerate(rest):
        assert token is not None
        assert token.log_probability == pytest.approx(float(scores[place, prompt[place + 1]]), abs=1e-4)
        assert token.alternatives[0][0] == int(scores[place].argmax())


def test_a_prompt_that_begins_before_the_window_is_scored_where_it_was_seen(tiny):
    engine = Engine(tiny(context_length=8))
    job = engine.submit(Request(tuple(range(1, 12)), GREEDY, prompt_log_probabilities=True, window=True))
    engine.step()
    assert job.prompt_scores is not None
    assert [token and token.id for token in job.prompt_scores] == [None] * 8 + [9, 10, 11]


def test_a_smaller_capacity_is_a_smaller_context(tiny):
    engine = Engine(tiny(context_length=16), capacity=6)
    with pytest.raises(ConfigError, match="7 tokens and the model's context holds 6"):
        engine.submit(Request((1,) * 7))
    texts = run(engine, [engine.submit(Request((1, 2, 3, 4), GREEDY))])
    assert [[token.finish for token in tokens] for tokens in texts.values()] == [[None, None, "context"]]
    with pytest.raises(ConfigError, match="got 0 and None"):
        Engine(tiny(), slots=0)


def test_requests_that_cannot_be_met_are_refused_and_leave_nothing_behind(tiny):
    engine = Engine(tiny())
    good = Request((1,))
    for bad in (
        replace(good, prompt=()),
        replace(good, prompt=(50,)),
        replace(good, prompt=(1,) * 17),
        replace(good, alternatives=51),
        replace(good, forbidden_first=(50,)),
    ):
        with pytest.raises(ConfigError):
            engine.submit(bad)
    assert engine.idle


def test_the_engine_generates_what_generate_returns(tiny):
    model = tiny(context_length=32)
    sampling = SamplingConfig(temperature=1.1, max_tokens=8, seed=3, n=3)
    engine = Engine(model, slots=2)
    texts = run(engine, [engine.submit(Request((5, 6), sampling, sample=k)) for k in range(3)])
    assert [[token.id for token in tokens] for tokens in texts.values()] == generate(model, [[5, 6]], sampling)
