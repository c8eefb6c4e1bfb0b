"""Walk-through: every step by its plain formula equals the model's own number, in every family."""

import json

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.lens.capture import capture
from lilliput.lens.stream import block_of, linear
from lilliput.lens.walkthrough import differences, rotate, softmax, unknown_formulas, visible, walk
from lilliput.lens.walkthrough_section import TOKENS, Walkthrough
from lilliput.objectives.reversed import Reversed
from tests.lens.subjects import subject, vector
from tests.model.families import SUMS, stirred, tokens

families = pytest.mark.parametrize("family", [one for one in SUMS if not unknown_formulas(stirred(one))])


@families
@pytest.mark.parametrize("tied", [False, True])
def test_every_step_equals_the_models_own_number(family, tied):
    model, ids = stirred(family, tied_embeddings=tied), tokens(1, 12)[0]
    for layer in range(2):
        for head in range(model.config.n_heads):
            found = differences(model, ids, walk(model, ids, layer, head))
            assert len(found) == 10
            assert max(found.values()) < 1e-5, found


@families
def test_the_heads_and_the_bias_sum_to_the_attention_output(family):
    model, ids = stirred(family), tokens(1, 12)
    with torch.no_grad(), capture(model, "blocks.1.hook_attn_out") as seen:
        model(ids)
    outputs = [walk(model, ids[0], 1, head).output for head in range(model.config.n_heads)]
    bias = linear(block_of(model, 1).attn, "out").bias
    total = torch.stack(outputs).sum(0) + (0 if bias is None else bias)
    assert torch.allclose(total, seen["blocks.1.hook_attn_out"][0], atol=1e-5)


def test_differences_finds_a_wrong_step():
    model, ids = stirred("story"), tokens(1, 12)[0]
    right = walk(model, ids, 0, 0)
    assert max(differences(model, ids, walk(model, ids, 0, 1)).values()) < 1e-5
    with torch.no_grad():
        vector(block_of(model, 0).attn, "q_norm.weight").mul_(1.5)
    assert differences(model, ids, right)["attn.hook_rot_q"] > 0.01
    assert differences(model, ids, right)["attn.hook_q"] < 1e-5


def test_formulas_by_hand():
    assert torch.allclose(softmax(torch.tensor([[0.0, float("-inf"), 0.0]])), torch.tensor([[0.5, 0.0, 0.5]]))
    assert visible(3, None).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert visible(3, 2).tolist() == [[True, False, False], [True, True, False], [False, True, True]]
    # Position 1 turns the first pair by 1 radian; the third channel is not rotated.
    turned = rotate(torch.tensor([[1.0, 0.0, 5.0], [1.0, 0.0, 5.0]]), 2, 10_000.0)
    assert torch.allclose(turned, torch.tensor([[1.0, 0.0, 5.0], [0.540302, 0.841471, 5.0]]))


def test_a_head_or_layer_that_the_model_lacks_is_refused():
    model, ids = stirred("story"), tokens(1, 5)[0]
    with pytest.raises(ModelError, match="no head 4"):
        walk(model, ids, 0, 4)
    with pytest.raises(ModelError, match="no layer 2"):
        walk(model, ids, 2, 0)


@pytest.mark.parametrize("family", ["story_window", "gpt2", "pythia"])
def test_the_section_shows_the_models_numbers(family):
    made = subject(family)
    found = Walkthrough().measure(made)
    assert json.loads(json.dumps(found)) == found
    assert max(found["differences"].values()) < 1e-5
    assert len(found["words"]) == TOKENS
    head = walk(made.generator.model, made.rows[0, :TOKENS], 0, found["head"])
    assert found["steps"]["q"][2] == [round(value, 3) for value in head.q[2, :4].tolist()]
    product = found["product"]
    assert sum(a * b for a, b in zip(product["q"], product["k"], strict=True)) + product["rest"] == pytest.approx(
        product["sum"], abs=0.02
    )
    assert product["score"] == pytest.approx(product["sum"] / made.generator.model.config.d_head**0.5, abs=2e-3)
    section = Walkthrough().section(found)
    assert f"{found['steps']['q'][2][0]:.2f}" in section
    assert ("plus the vector of its position" in section) == (family == "gpt2")
    assert "The first 4 are drawn" in section


def test_a_reversed_model_is_named_as_such():
    found = Walkthrough().measure(subject(objective=Reversed()))
    assert "reads from the end of the text" in Walkthrough().section(found)
