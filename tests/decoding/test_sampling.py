import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from lilliput.base import seeds
from lilliput.base.config import validate
from lilliput.base.errors import ConfigError
from lilliput.decoding.sampling import SamplingConfig, distribution, draw, sample


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("temperature", 2.01, "less than or equal to 2"),
        ("temperature", -0.1, "greater than or equal to 0"),
        ("temperature", float("nan"), "finite"),
        ("top_k", -1, "greater than or equal to 0"),
        ("top_k", 1.5, "integer"),
        ("top_p", 0, "greater than 0"),
        ("top_p", 1.1, "less than or equal to 1"),
        ("min_p", -0.1, "greater than or equal to 0"),
        ("min_p", 1.1, "less than or equal to 1"),
        ("repetition_penalty", 0, "greater than 0"),
        ("repetition_penalty", float("nan"), "finite"),
        ("seed", -1, "greater than or equal to 0"),
        ("max_tokens", 0, "greater than or equal to 1"),
        ("n", 0, "greater than or equal to 1"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_limit(key, value, says):
    with pytest.raises(ConfigError) as caught:
        validate(SamplingConfig, {key: value}, "command line")
    assert f"'{key}'" in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize("temperature", [0, 2])
def test_the_ends_of_the_temperature_range_are_allowed(temperature):
    assert validate(SamplingConfig, {"temperature": temperature}, "here").temperature == temperature


def oracle(logits, config, history):
    """The same distribution by Hugging Face's processors, in the order of its `generate`."""
    logits = RepetitionPenaltyLogitsProcessor(float(config.repetition_penalty))(history, logits)
    logits = TemperatureLogitsWarper(float(config.temperature))(history, logits)
    if config.top_k:
        logits = TopKLogitsWarper(config.top_k)(history, logits)
    logits = TopPLogitsWarper(config.top_p)(history, logits) if config.top_p < 1 else logits
    logits = MinPLogitsWarper(config.min_p)(history, logits) if config.min_p else logits
    return logits.softmax(-1)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7},
        {"temperature": 2.0},
        {"top_k": 1},
        {"top_k": 7},
        {"top_k": 1000},
        {"top_p": 0.9},
        {"top_p": 0.01},
        {"top_p": 0.999},
        {"min_p": 0.1},
        {"min_p": 1.0},
        {"repetition_penalty": 1.3},
        {"repetition_penalty": 0.5},
        {"top_k": 20, "top_p": 0.8},
        {"temperature": 1.4, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "repetition_penalty": 1.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("sharpness", [0.01, 1.0, 5.0])
def test_the_filters_agree_with_hugging_face(options, sharpness):
    config = SamplingConfig(**{"temperature": 1.0, **options})
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6, 300, generator=generator) * sharpness
    history = torch.randint(0, 300, (6, 25), generator=generator)
    seen = torch.zeros(6, 300, dtype=torch.bool).scatter_(1, history, True)
    torch.testing.assert_close(distribution(logits, config, seen), oracle(logits, config, history))


def test_the_distribution_leaves_its_arguments_alone():
    logits = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
    seen = torch.ones(2, 30, dtype=torch.bool)
    before = logits.clone()
    distribution(logits, SamplingConfig(top_k=3, top_p=0.5, min_p=0.1, repetition_penalty=2.0), seen)
    assert torch.equal(logits, before)
    assert seen.all()


def test_temperature_zero_puts_everything_on_the_likeliest_token_after_the_penalty():
    logits = torch.tensor([[3.0, 2.9, -1.0]])
    seen = torch.tensor([[True, False, False]])
    greedy = SamplingConfig(temperature=0, repetition_penalty=1.2)
    assert distribution(logits, greedy).tolist() == [[1, 0, 0]]
    assert distribution(logits, greedy, seen).tolist() == [[0, 1, 0]]
    assert sample(logits, greedy, [], seen).tolist() == [1]


@pytest.mark.parametrize("temperature", [1e-3, 1e-300])
def test_the_smallest_temperatures_are_nearly_greedy(temperature):
    logits = torch.tensor([[900.0, 901.0, -900.0, -torch.inf]])
    assert distribution(logits, SamplingConfig(temperature=temperature)).tolist() == [[0, 1, 0, 0]]


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=40), st.floats(0.001, 0.999))
@settings(deadline=None)
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(values, top_p):
    logits = torch.tensor([values])
    full = logits.softmax(-1)[0]
    kept = distribution(logits, SamplingConfig(temperature=1.0, top_p=top_p))[0] > 0
    assert full[kept].max() == full.max()
    assert full[kept].sum() >= top_p - 1e-5
    assert full[kept].sum() - full[kept].min() < top_p + 1e-5
    assert kept.all() or full[kept].min() >= full[~kept].max()


def test_draws_follow_the_probabilities_and_never_take_an_impossible_token():
    probs = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0])
    ids = draw(probs.expand(20_000, -1), [np.random.default_rng(0)] * 20_000)
    shares = torch.bincount(ids, minlength=6) / 20_000
    assert (shares[probs == 0] == 0).all()
    torch.testing.assert_close(shares, probs, atol=0.015, rtol=0)


class Fixed(np.random.Generator):
    def __init__(self, value):
        super().__init__(np.random.PCG64(0))
        self.value = value

    def random(self, *args, **kwargs):
        return self.value


@pytest.mark.parametrize(("value", "first"), [(0.0, True), (1 - 2**-53, False)])
def test_the_ends_of_the_uniform_stay_inside_the_possible_tokens(value, first):
    for size in range(1, 40):
        probs = torch.rand(1, size + 4, generator=torch.Generator().manual_seed(size))
        probs[:, :2] = probs[:, -2:] = 0
        assert draw(probs, [Fixed(value)]).item() == (2 if first else size + 1)


def test_a_row_draws_the_same_whatever_its_neighbours_are():
    probs = torch.rand(5, 40, generator=torch.Generator().manual_seed(0))
    together = draw(probs, [seeds.generator(7, row) for row in range(5)])
    alone = [draw(probs[row : row + 1], [seeds.generator(7, row)]).item() for row in range(5)]
    assert together.tolist() == alone


def test_each_sample_has_its_own_stream_whatever_n_is():
    def numbers(n, seed=3):
        return [g.random() for g in SamplingConfig(n=n, seed=seed).generators()]

    assert numbers(5)[:2] == numbers(2)
    assert len(set(numbers(5))) == 5
    assert set(numbers(5)).isdisjoint(numbers(5, seed=4))
