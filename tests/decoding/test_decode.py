from typing import Any

import numpy as np
import pytest
import torch
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor

from lilliput.base.errors import ConfigError, ModelError
from lilliput.decoding.decode import generate, stream
from lilliput.decoding.sampling import SamplingConfig

GREEDY = SamplingConfig(temperature=0, max_tokens=12)
PROMPTS = [[1, 7, 9, 4, 30, 2], [5], [3, 3, 8], [11, 12, 13, 14]]


def reference(model, prompt, count, window=False, penalty=1.0):
    """Greedy decoding that reads everything again for each token, one row at a time."""
    context, ids, begin = model.config.context_length, list(prompt), 0
    while len(ids) < len(prompt) + count:
        if len(ids) - begin > context:
            if not window:
                break
            begin = len(ids) - context // 2
        with torch.no_grad():
            logits = model.logits(model(torch.tensor([ids[begin:]])))[:, -1]
        history: Any = torch.tensor([ids])
        logits = RepetitionPenaltyLogitsProcessor(penalty)(history, logits)
        ids.append(int(logits.argmax()))
    return ids[len(prompt) :]


def watch(model):
    """The token shapes of every forward pass from now on."""
    shapes = []
    model.register_forward_pre_hook(lambda module, args: shapes.append(tuple(args[0].shape)))
    return shapes


def test_cached_greedy_decoding_equals_reading_everything_again(tiny):
    model = tiny(context_length=32)
    for prompt in PROMPTS:
        assert generate(model, [prompt], GREEDY) == [reference(model, prompt, 12)]


def test_rows_of_different_lengths_decode_as_they_do_alone(tiny):
    model = tiny(context_length=32)
    assert generate(model, PROMPTS, GREEDY) == [reference(model, prompt, 12) for prompt in PROMPTS]


def test_rows_that_end_at_different_times_do_not_disturb_the_rest(tiny):
    model = tiny(context_length=16)
    sampling = SamplingConfig(temperature=0, max_tokens=100)
    texts = generate(model, PROMPTS, sampling)
    assert texts == [reference(model, prompt, 100) for prompt in PROMPTS]
    # The last token is said from the last position of the context and never read.
    assert [len(p) + len(t) for p, t in zip(PROMPTS, texts, strict=True)] == [17] * 4
    steps = list(stream(model, PROMPTS, sampling))
    ended = [[i for i, s in enumerate(steps) if s.finished[row]] for row in range(4)]
    assert ended == [[10], [15], [13], [12]]
    assert {s.finished[row] for s in steps for row in range(4)} == {None, "context"}
    assert steps[11].tokens[0] is None
    assert steps[11].log_probabilities[0] == 0.0
    assert steps[11].added(0) == []


@pytest.mark.parametrize("count", [4, 9, 30])
def test_a_window_goes_on_from_the_last_half_context(tiny, count):
    model = tiny(context_length=16)
    sampling = SamplingConfig(temperature=0, max_tokens=count)
    prompts = [*PROMPTS, list(range(1, 17)), list(range(1, 18)), list(range(1, 40))]
    texts = generate(model, prompts, sampling, window=True)
    assert texts == [reference(model, prompt, count, window=True) for prompt in prompts]
    assert [len(ids) for ids in texts] == [count] * len(prompts)


def test_a_context_of_one_token_still_slides(tiny):
    model = tiny(context_length=1)
    texts = generate(model, [[4, 5]], SamplingConfig(temperature=0, max_tokens=5), window=True)
    assert len(texts[0]) == 5


def test_a_prompt_may_fill_the_context_but_not_exceed_it(tiny):
    model = tiny(context_length=16)
    assert len(generate(model, [[1] * 16], GREEDY)[0]) == 1
    with pytest.raises(ConfigError, match=r"17 tokens and the model's context holds 16") as caught:
        stream(model, [[1], [1] * 17], GREEDY)
    assert "--window" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("prompt", "says"),
    [([], "no token"), ([3, 50], "ids from 3 to 50; the model knows 0 to 49"), ([-1], "from -1")],
)
def test_prompts_that_cannot_be_read_are_refused_at_the_call(tiny, prompt, says):
    with pytest.raises(ConfigError, match=says):
        stream(tiny(), [prompt], GREEDY)


def test_no_prompts_give_no_rows(tiny):
    assert generate(tiny(), [], GREEDY) == []


def test_a_stop_id_ends_its_row_and_is_left_out_of_the_text(tiny):
    model = tiny(context_length=32)
    whole = generate(model, PROMPTS[:2], GREEDY)
    stop = whole[0][4]
    steps = list(stream(model, PROMPTS[:2], GREEDY, stop_ids={stop}))
    first = whole[0].index(stop)
    assert steps[first].tokens[0] == stop
    assert steps[first].finished[0] == "stop"
    assert steps[first].added(0) == []
    cut = [ids[: ids.index(stop)] if stop in ids else ids for ids in whole]
    assert generate(model, PROMPTS[:2], GREEDY, stop_ids=[stop]) == cut


def test_the_token_budget_ends_a_row_with_reason_length(tiny):
    steps = list(stream(tiny(context_length=32), [[1, 2]], GREEDY))
    assert [s.finished[0] for s in steps] == [None] * 11 + ["length"]


def test_forbidden_ids_do_not_come_first_but_may_come_later(tiny):
    model = tiny(context_length=32)
    free = generate(model, [[1, 2]], GREEDY)[0]
    texts = generate(model, [[1, 2]], GREEDY, forbidden_first=[free[0]])[0]
    assert texts[0] != free[0]
    only = [i for i in range(50) if i != 17]
    sampled = generate(model, [[1, 2], [3]], SamplingConfig(temperature=2, n=3), forbidden_first=only)
    assert [ids[0] for ids in sampled] == [17] * 6
    assert {i for ids in sampled for i in ids[1:]} - {17}
    with pytest.raises(ConfigError, match="at least one of the ids 0 to 49"):
        stream(model, [[1]], GREEDY, forbidden_first=range(50))


def test_the_repetition_penalty_counts_the_prompt_and_generated_tokens(tiny):
    model = tiny(context_length=32)
    sampling = SamplingConfig(temperature=0, max_tokens=12, repetition_penalty=1.6)
    texts = generate(model, PROMPTS, sampling)
    assert texts == [reference(model, prompt, 12, penalty=1.6) for prompt in PROMPTS]
    assert texts != generate(model, PROMPTS, GREEDY)


def test_log_probabilities_are_those_of_the_model_before_any_filter(tiny):
    model = tiny(context_length=32)
    sampling = SamplingConfig(temperature=1.5, top_k=5, max_tokens=10, repetition_penalty=1.2, seed=4)
    steps = list(stream(model, PROMPTS, sampling, forbidden_first=[4]))
    for row, prompt in enumerate(PROMPTS):
        printed = [s.tokens[row] for s in steps]
        with torch.no_grad():
            logits = model.logits(model(torch.tensor([prompt + printed])))[0].log_softmax(-1)
        expected = [float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(printed)]
        np.testing.assert_allclose([s.log_probabilities[row] for s in steps], expected, atol=1e-4)


def test_a_sample_is_the_same_whatever_n_is_and_wherever_its_prompt_stands(tiny):
    model = tiny(context_length=32)
    sampling = SamplingConfig(temperature=1.5, max_tokens=10, seed=5)
    many = generate(model, [PROMPTS[0]], sampling.model_copy(update={"n": 6}))
    assert generate(model, [PROMPTS[0]], sampling) == many[:1]
    assert len({tuple(ids) for ids in many}) == 6
    mixed = generate(model, [PROMPTS[1], PROMPTS[0]], sampling.model_copy(update={"n": 3}))
    assert mixed[3:] == many[:3]
    assert generate(model, [PROMPTS[0]], sampling.model_copy(update={"seed": 6})) != many[:1]


def test_own_generators_replace_the_seed(tiny):
    model = tiny(context_length=32)
    sampling = SamplingConfig(temperature=1.5, max_tokens=10)
    texts = generate(model, [[1], [1]], sampling, generators=[np.random.default_rng(i) for i in (1, 2)])
    assert texts[0] != texts[1]
    with pytest.raises(ConfigError, match="1 random generators for 2 rows"):
        stream(model, [[1], [1]], sampling, generators=[np.random.default_rng(1)])


def test_each_token_costs_one_position_of_the_unfinished_rows(tiny):
    model = tiny(context_length=16)
    shapes = watch(model)
    steps = stream(model, [[1] * 13, [2] * 14, [2] * 14], SamplingConfig(temperature=0))
    assert shapes == []
    next(steps)
    assert shapes == [(2, 14)]  # the two equal prompts are read once
    rest = len(list(steps))
    assert rest == 3
    assert shapes[1:] == [(3, 1), (3, 1), (1, 1)]


def train_step(model, optimizer):
    tokens = torch.randint(0, 50, (2, 9))
    loss = model.loss(model(tokens[:, :-1]), tokens[:, 1:], torch.ones(2, 8))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def test_training_is_bit_exact_when_samples_are_drawn_in_between(tiny):
    sampling = SamplingConfig(temperature=1.0, n=2, max_tokens=8)
    ends = []
    for sampled in (False, True):
        model = tiny(context_length=16, dropout=0.2).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        torch.manual_seed(1)
        np.random.seed(1)
        if sampled:
            generate(model, PROMPTS, sampling)
        left = stream(model, PROMPTS, sampling, window=True)
        for _ in range(3):
            if sampled:
                generate(model, PROMPTS, sampling)
                next(left)
            train_step(model, optimizer)
        ends.append((model.state_dict(), torch.rand(1).item(), np.random.rand()))
    (plain, *rng), (sampled, *rng_after) = ends
    assert rng == rng_after
    assert all(torch.equal(plain[name], sampled[name]) for name in plain)


def test_every_submodule_keeps_its_mode_and_dropout_is_off_while_telling(tiny):
    model = tiny(dropout=0.5)
    texts = generate(model, PROMPTS, GREEDY)
    model.train()
    frozen = list(model.modules())[-1]
    frozen.eval()
    modes = [module.training for module in model.modules()]
    steps = stream(model, PROMPTS, GREEDY)
    assert [next(steps).tokens[0] for _ in range(3)] == texts[0][:3]
    assert [module.training for module in model.modules()] == modes
    assert not torch.is_inference_mode_enabled()
    assert generate(model, PROMPTS, GREEDY) == texts
    assert [module.training for module in model.modules()] == modes
    assert not frozen.training


def test_the_mode_is_restored_after_an_error(tiny):
    model = tiny().train()
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    for temperature in (0, 1):
        with pytest.raises(ModelError, match="not finite"):
            generate(model, [[1]], SamplingConfig(temperature=temperature))
    assert model.training


def test_under_autocast_cached_and_uncached_agree_to_bf16_rounding(tiny):
    model = tiny(context_length=32)
    with torch.autocast("cpu", torch.bfloat16):
        steps = list(stream(model, PROMPTS, GREEDY))
        for row, prompt in enumerate(PROMPTS):
            printed = [s.tokens[row] for s in steps]
            with torch.no_grad():
                logits = model.logits(model(torch.tensor([prompt + printed])))[0].log_softmax(-1)
            expected = [float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(printed)]
            np.testing.assert_allclose([s.log_probabilities[row] for s in steps], expected, atol=0.1)
