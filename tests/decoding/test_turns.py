"""Fair shares of an engine's slots: nobody waits long for a first token, and what a text says stays what it is."""

from lilliput.decoding import turns
from lilliput.decoding.engine import Engine
from lilliput.decoding.sampling import SamplingConfig
from lilliput.decoding.turns import TURN
from tests.decoding.test_engine import alone, requests, run, same

LONG = SamplingConfig(temperature=1.0, max_tokens=60)
SHORT = SamplingConfig(temperature=1.0, max_tokens=2)


def ask(engine, request, count, client, call, **changes):
    """Submit a request `count` times."""
    return [engine.submit(request(**changes), client=client, call=call) for _ in range(count)]


def made(sampling):
    """A request that nothing ends early."""
    from dataclasses import replace

    (one,) = requests(1)
    return lambda **changes: replace(one, **{"sampling": sampling, "stop_ids": frozenset(), "window": True} | changes)


def steps_until(engine, job):
    """Steps until the job's first token."""
    for step in range(1, 1000):
        if any(one is job for one, _ in engine.step()):
            return step
    raise AssertionError("it never began")


def test_a_small_request_begins_within_a_turn_behind_two_large_ones(tiny):
    for fair in (True, False):
        engine = Engine(tiny(context_length=64), slots=4, fair=fair)
        for call in ("a", "b"):
            ask(engine, made(LONG), 30, "one address", call)
        for _ in range(3):
            engine.step()
        (small,) = ask(engine, made(SHORT), 1, "one address", "small")
        assert (steps_until(engine, small) <= TURN) == fair


def test_a_new_text_begins_within_a_turn_beside_many_streams(tiny):
    engine = Engine(tiny(context_length=64), slots=4, fair=True)
    for call in range(40):
        ask(engine, made(LONG), 1, "one address", call)
    for _ in range(150):
        engine.step()
    (new,) = ask(engine, made(LONG), 1, "one address", "new")
    assert steps_until(engine, new) <= TURN


def test_clients_have_equal_shares_however_much_they_ask_for(tiny):
    engine = Engine(tiny(context_length=64), slots=4, fair=True)
    greedy = [job for call in range(20) for job in ask(engine, made(LONG), 2, "greedy", call)]
    for _ in range(TURN + 1):
        engine.step()
    modest = ask(engine, made(LONG), 4, "modest", "only")
    before = sum(job.generated for job in greedy)
    for _ in range(50):
        engine.step()
    printed = sum(job.generated for job in modest)
    assert 0.35 < printed / (printed + sum(job.generated for job in greedy) - before) < 0.65


def test_texts_that_take_turns_say_what_they_say_alone(tiny):
    model = tiny(context_length=32)
    asked = [made(LONG)(sample=sample, window=sample % 2 == 0) for sample in range(8)] + requests(12)
    engine = Engine(model, slots=3, fair=True)
    jobs = [engine.submit(request, client=number % 2, call=number) for number, request in enumerate(asked)]
    interrupted = set()

    def watch(step=engine.step):
        before = set(engine._running)
        events = step()
        interrupted.update(job for job in before - set(engine._running) if job.finish is None)
        return events

    engine.step = watch
    texts = run(engine, jobs)
    assert len(interrupted) > 3
    for job, tokens in texts.items():
        assert job.finish == tokens[-1].finish is not None
        same(tokens, alone(model, job.request))


def test_a_long_text_is_not_starved_by_small_ones(tiny, monkeypatch):
    monkeypatch.setattr(turns, "AGE_STEPS", 8)
    engine = Engine(tiny(context_length=64), slots=1, fair=True)
    (long,) = ask(engine, made(LONG), 1, "one address", "long")
    for _ in range(20):
        engine.step()
    small = [ask(engine, made(SHORT), 1, "one address", ("small", number))[0] for number in range(3)]
    for step in range(400):
        for job, token in engine.step():
            if token.finish and job is not long:
                small += ask(engine, made(SHORT), 1, "one address", ("small", step))
        if long.finish:
            return
    raise AssertionError(f"after 400 steps it had generated {long.generated}")


def test_texts_of_one_call_do_not_interrupt_each_other(tiny):
    engine = Engine(tiny(context_length=64), slots=2, fair=True)
    jobs = ask(engine, made(LONG), 6, "client", "call")
    ended = [job for job, tokens in run(engine, jobs).items() for token in tokens if token.finish]
    assert len(ended) == 6
    assert all(job.generated_before == 0 for job in jobs)
