import copy

import numpy as np
import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.decoding.decode import generate
from lilliput.decoding.sampling import SamplingConfig, distribution
from lilliput.decoding.speculative import speculate


def perturbed(model, scale):
    """A draft that is like the model, but not quite."""
    draft = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in draft.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return draft


@pytest.mark.parametrize("ahead", [1, 3, 6])
@pytest.mark.parametrize("scale", [0.0, 0.03, 1.0])
def test_greedy_telling_is_that_of_the_model_alone(tiny, ahead, scale):
    model = tiny(context_length=32)
    draft = perturbed(model, scale)
    greedy = SamplingConfig(temperature=0, max_tokens=12)
    for prompt in ([1, 7, 9], [5], [3] * 28):
        (alone,) = generate(model, [prompt], greedy)
        texts = speculate(model, draft, prompt, greedy, ahead=ahead)
        assert texts.ids == alone
        assert texts.finish == ("length" if len(alone) == 12 else "context")
        assert texts.accepted <= texts.drafted <= ahead * texts.passes
        assert len(texts.ids) == texts.accepted + texts.passes
        if scale == 0:
            assert texts.acceptance == 1
            assert texts.passes == -(-len(alone) // (ahead + 1))


def test_a_stop_id_ends_the_text_and_forbidden_ids_do_not_come_first(tiny):
    model = tiny(context_length=32)
    draft = perturbed(model, 0.03)
    greedy = SamplingConfig(temperature=0, max_tokens=12)
    (alone,) = generate(model, [[1, 7, 9]], greedy)
    texts = speculate(model, draft, [1, 7, 9], greedy, stop_ids=[alone[5]])
    assert (texts.ids, texts.finish) == (alone[: alone.index(alone[5])], "stop")
    (other,) = generate(model, [[1, 7, 9]], greedy, forbidden_first=[alone[0]])
    assert speculate(model, draft, [1, 7, 9], greedy, forbidden_first=[alone[0]]).ids == other


@pytest.mark.parametrize("tiny", ["learned"], indirect=True)
@pytest.mark.parametrize("way", [{"temperature": 1.0}, {"temperature": 1.3, "top_k": 4, "min_p": 0.02}])
def test_the_distribution_is_that_of_the_model_alone(tiny, way):
    """A chi-square test of the pairs of tokens that are told, against the model's own probabilities of them."""
    vocabulary, count = 4, 1000
    model = tiny(vocab_size=vocabulary, context_length=8, d_model=16, n_layers=1, n_heads=2)
    draft = perturbed(model, 0.1)
    sampling = SamplingConfig(max_tokens=2, **way)
    with torch.no_grad():
        first = distribution(model.logits(model(torch.tensor([[1, 2]])))[:, -1], sampling)[0]
        after = torch.tensor([[1, 2, number] for number in range(vocabulary)])
        second = distribution(model.logits(model(after))[:, -1], sampling)
    expected = (first[:, None] * second).flatten().double().numpy() * count
    seen, drafted, accepted = np.zeros(vocabulary**2), 0, 0
    for seed in range(count):
        texts = speculate(model, draft, [1, 2], sampling.model_copy(update={"seed": seed}), ahead=1)
        seen[texts.ids[0] * vocabulary + texts.ids[1]] += 1
        drafted, accepted = drafted + texts.drafted, accepted + texts.accepted
    assert 0.2 < accepted / drafted < 0.95
    assert seen[expected == 0].sum() == 0
    likely = expected >= 5
    observed = np.append(seen[likely], seen[~likely].sum())
    expected = np.append(expected[likely], expected[~likely].sum())
    observed, expected = observed[expected > 0], expected[expected > 0]
    statistic = ((observed - expected) ** 2 / expected).sum()
    degrees = len(expected) - 1
    # Wilson and Hilferty's approximation: the cube root of chi-square over its degrees is nearly normal.
    z = ((statistic / degrees) ** (1 / 3) - (1 - 2 / (9 * degrees))) / (2 / (9 * degrees)) ** 0.5
    assert z < 3.3


def test_the_same_seed_generates_the_same_and_another_sample_differs(tiny):
    model = tiny(context_length=32)
    draft = perturbed(model, 0.05)
    sampling = SamplingConfig(temperature=1.2, max_tokens=12, seed=4)
    texts = [speculate(model, draft, [1, 2], sampling, sample=sample).ids for sample in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_what_cannot_be_drafted_is_refused(tiny):
    model, sampling = tiny(), SamplingConfig()
    with pytest.raises(ConfigError, match="the draft knows 60 tokens and the model 50"):
        speculate(model, tiny(vocab_size=60), [1], sampling)
    with pytest.raises(ConfigError, match="17 tokens"):
        speculate(model, tiny(), [1] * 17, sampling)
    with pytest.raises(ConfigError, match="repetition penalty"):
        speculate(model, tiny(), [1], sampling.model_copy(update={"repetition_penalty": 1.1}))
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(Exception, match="not finite"):
        speculate(model, model, [1], sampling)
