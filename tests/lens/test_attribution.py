"""Attribution: the parts add up to the logit in every family, and a hand-made model gives its known parts."""

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.lens.attribution import attribute, attribute_neurons, rivals
from lilliput.lens.capture import capture
from lilliput.lens.stream import block_of, linear
from lilliput.model.norms import Norm
from lilliput.model.transformer import Model
from tests.lens.subjects import vector
from tests.model.families import NEURONS, SUMS, config, stirred, tokens

families = pytest.mark.parametrize("family", SUMS)
tied = pytest.mark.parametrize("tied", [False, True])


def logits_of(model: Model, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.logits(model(ids))


@families
@tied
def test_the_parts_sum_to_the_difference_of_two_logits(family, tied):
    model, ids = stirred(family, tied_embeddings=tied), tokens()
    right, wrong = tokens(seed=2), tokens(seed=3)
    found = attribute(model, ids, right, wrong)
    logits = logits_of(model, ids)
    wanted = (logits.gather(-1, right[..., None]) - logits.gather(-1, wrong[..., None]))[..., 0]
    assert torch.allclose(found.total, wanted, atol=1e-5)
    assert torch.allclose(found.sum(), wanted, atol=1e-4)
    assert wanted.abs().mean() > 0.1


@families
def test_the_parts_sum_to_one_logit(family):
    model, ids, right = stirred(family), tokens(), tokens(seed=2)
    found = attribute(model, ids, right)
    assert torch.allclose(found.sum(), logits_of(model, ids).gather(-1, right[..., None])[..., 0], atol=1e-4)
    assert found.norm == "frozen"


@pytest.mark.parametrize("family", NEURONS)
def test_the_neurons_sum_to_their_mlp(family):
    model, ids, right = stirred(family), tokens(), tokens(seed=2)
    whole = attribute(model, ids, right)
    for layer in range(2):
        found = attribute_neurons(model, ids, layer, right)
        assert found.values.shape == (2, 20, 80)
        assert torch.allclose(found.values.sum(-1) + found.bias, whole.mlps[..., layer], atol=1e-4)


def test_biases_are_terms_of_their_own():
    """TransformerLens keeps biases apart from heads, and a LayerNorm's bias is the same for every text."""
    model, right = stirred("pythia"), tokens(seed=2)
    found = attribute(model, tokens(), right)
    assert torch.allclose(found.norm_bias, model.output_matrix[right] @ vector(model.ln_final, "bias"), atol=1e-5)
    assert (found.attn_bias != 0).all()
    vector(linear(block_of(model, 1).attn, "out"), "bias").data.zero_()
    assert (attribute(model, tokens(), right).attn_bias[..., 1] == 0).all()


def test_a_part_is_its_output_along_the_direction_of_the_logit():
    """The formula of TransformerLens: center(part) / ln_final.hook_scale * weight @ W_U."""
    model, ids, right = stirred("gpt2"), tokens(), tokens(seed=2)
    with torch.no_grad(), capture(model, ["blocks.1.hook_mlp_out", "hook_pos_embed", "ln_final.hook_scale"]) as seen:
        model(ids)
    found = attribute(model, ids, right)
    for part, name in ((found.mlps[..., 1], "blocks.1.hook_mlp_out"), (found.position, "hook_pos_embed")):
        centred = seen[name] - seen[name].mean(-1, keepdim=True)
        logits = model.logits(centred / seen["ln_final.hook_scale"] * vector(model.ln_final))
        assert torch.allclose(part, logits.gather(-1, right[..., None])[..., 0], atol=1e-5)


def copying_model() -> Model:
    """One layer with one head. The head writes a known vector at every position, and all other parts write nothing."""
    model = Model(config("llama", n_layers=1, n_heads=1, d_head=48, bias=True, vocab_size=48))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.embed.weight.copy_(torch.eye(48))
        model.output_matrix.copy_(torch.eye(48))
        for norm in (module for module in model.modules() if isinstance(module, Norm)):
            vector(norm).fill_(1.0)
        vector(linear(block_of(model, 0).attn, "qkv"), "bias")[-48:] = (
            3.0 * torch.eye(48)[7]
        )  # the values, whatever the text
        linear(block_of(model, 0).attn, "out").weight.copy_(torch.eye(48))
    return model.eval()


def test_a_model_made_by_hand_gives_its_known_parts():
    model = copying_model()
    ids = torch.tensor([[1, 2, 3]])
    seven, own = torch.full_like(ids, 7), ids
    # The stream is e(token) + 3 e(7), so the final norm divides by sqrt((1 + 9) / 48).
    unit = 1 / (10 / 48) ** 0.5
    found = attribute(model, ids, seven, own)
    assert torch.allclose(found.heads[..., 0, 0], torch.full((1, 3), 3 * unit), atol=1e-3)
    assert torch.allclose(found.embedding, torch.full((1, 3), -unit), atol=1e-3)
    assert (found.mlps == 0).all()
    assert (found.position == 0).all()
    assert (found.attn_bias == 0).all()


def test_the_rival_is_the_likeliest_wrong_token():
    model, ids = stirred("story"), tokens()
    logits = logits_of(model, ids)[:, :-1]
    truth = ids[:, 1:, None]
    masked = logits.scatter(-1, truth, float("-inf"))
    assert torch.equal(rivals(model, ids)[:, :-1], masked.argmax(-1))


def test_a_wrapped_output_matrix_is_refused():
    model = stirred("story")
    attention = block_of(model, 0).attn
    attention.out = torch.nn.Sequential(attention.out)  # type: ignore[assignment]
    with pytest.raises(ModelError, match="no plain linear map 'out'"):
        attribute(model, tokens(), tokens(seed=2))
