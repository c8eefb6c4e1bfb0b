"""A model of another vocabulary or context length computes what it did for what it knew."""

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.model.resize import resized
from tests.model.families import stirred, tokens


@pytest.mark.parametrize("tied", [False, True])
def test_old_rows_stay_and_new_rows_are_near_their_mean(tied: bool):
    model = stirred("llama", tied_embeddings=tied)
    made = resized(model, model.config.model_copy(update={"vocab_size": 70}), seed=1)
    ids = tokens()
    with torch.no_grad():
        assert torch.equal(made.logits(made(ids))[..., :61], model.logits(model(ids)))
    for name, tensor in made.state_dict().items():
        if "embed" not in name:
            assert torch.equal(tensor, model.state_dict()[name])
            continue
        old, new = tensor[:61], tensor[61:]
        assert torch.equal(old, model.state_dict()[name])
        assert 0 < float((new - old.mean(0)).abs().max()) < 0.1 * float(old.std(0).max())
        assert len({tuple(row.tolist()) for row in new}) == 9
    again = resized(model, model.config.model_copy(update={"vocab_size": 70}), seed=1)
    other = resized(model, model.config.model_copy(update={"vocab_size": 70}), seed=2)
    assert torch.equal(again.embed.weight, made.embed.weight)
    assert not torch.equal(other.embed.weight, made.embed.weight)


def test_an_encoder_keeps_the_biases_of_its_old_tokens():
    model, ids = stirred("bert"), tokens()
    made = resized(model, model.config.model_copy(update={"vocab_size": 70}), seed=1)
    with torch.no_grad():
        assert torch.equal(made.logits(made(ids))[..., :61], model.logits(model(ids)))
    assert made.unembed_bias is not None
    old, new = made.unembed_bias.detach()[:61], made.unembed_bias.detach()[61:]
    assert new.shape == (9,)
    assert 0 < float((new - old.mean()).abs().max()) < 0.1 * float(old.std())


def test_a_longer_context_and_dropout():
    model = stirred("llama")
    made = resized(model, model.config.model_copy(update={"context_length": 48, "dropout": 0.1}), seed=1)
    ids = tokens()
    with torch.no_grad():
        assert torch.equal(made(ids), model(ids))
        assert made(tokens(length=48)).shape == (2, 48, 48)
    assert (made.config.context_length, made.config.dropout) == (48, 0.1)


@pytest.mark.parametrize(
    ("family", "changes", "problem"),
    [
        ("llama", {"n_layers": 3}, "n_layers 2 is not 3"),
        ("llama", {"vocab_size": 60}, "cannot shrink"),
        ("gpt2", {"context_length": 48}, "learned 24 positions"),
    ],
)
def test_another_shape_is_refused(family: str, changes: dict[str, int], problem: str):
    model = stirred(family)
    with pytest.raises(ModelError, match=problem):
        resized(model, model.config.model_copy(update=changes), seed=1)
