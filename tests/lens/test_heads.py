"""Scores of heads: TransformerLens' definitions, a model made by hand, every style, and controls in their order."""

# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false

import pytest
import torch

from lilliput.lens import capture
from lilliput.lens.head_targets import (
    attention_to,
    duplicate_token,
    first_token,
    induction,
    previous_token,
    real_positions,
    spread,
)
from lilliput.lens.heads import repeated_scores, shuffled_rows, text_scores, written
from lilliput.lens.probes import repeated
from lilliput.model.transformer import Model
from tests.lens.induction_model import WORDS, induction_model
from tests.lens.subjects import vector
from tests.model.families import DECODERS, PATTERNED, SUMS, config, stirred, tokens

FAMILIES = [family for family in SUMS if family in DECODERS and family in PATTERNED]
families = pytest.mark.parametrize("family", FAMILIES)
TEXT = torch.tensor([[0, 5, 7, 5, 7, 9, 5, 7, 7, 7, 9, 0]])
BY_TRANSFORMERLENS = {
    previous_token: (0.208411, 0.175268, 0.162649),
    duplicate_token: (0.179262, 0.157774, 0.154959),
    induction: (0.155391, 0.157774, 0.186452),
}
"""`compute_head_attention_similarity_score(..., error_measure="mul")` of TransformerLens 4.3.0 on `pattern()`.
test_transformer_lens.py compares them with the installed version."""


def pattern() -> torch.Tensor:
    """(1, 3, 12, 12): a causal pattern of three heads."""
    steps = torch.arange(12)
    scores = torch.stack([((steps[:, None] * 3 + steps * (5 + 2 * head)) % 7) / 3 for head in range(3)])[None]
    return scores.masked_fill(steps[:, None] < steps, float("-inf")).softmax(-1)


@pytest.mark.parametrize(
    ("target", "expected"), BY_TRANSFORMERLENS.items(), ids=lambda each: getattr(each, "__name__", "")
)
def test_scores_equal_transformerlens(target, expected):
    assert attention_to(pattern(), target(TEXT))[0].tolist() == pytest.approx(expected, abs=2e-5)


def test_targets_of_a_small_text():
    row = torch.tensor([[4, 2, 3, 2, 2]])
    assert previous_token(row)[0].nonzero().tolist() == [[1, 0], [2, 1], [3, 2], [4, 3]]
    assert first_token(row)[0].nonzero().tolist() == [[1, 0], [2, 0], [3, 0], [4, 0]]
    assert duplicate_token(row)[0].nonzero().tolist() == [[3, 1], [4, 1], [4, 3]]
    # After an earlier 2 stand the 3 and, for the last position, the last 2 itself.
    assert induction(row)[0].nonzero().tolist() == [[3, 2], [4, 2], [4, 4]]


def test_only_chosen_queries_count_and_padding_does_not():
    row = torch.tensor([[0, 4, 2, 9, 9]])
    assert real_positions(row, 9).tolist() == [[True, True, True, False, False]]
    assert real_positions(torch.tensor([[9, 4, 9, 3]]), 9).all()
    seen = torch.zeros(1, 1, 5, 5)
    seen[0, 0, range(5), [0, 0, 1, 3, 4]] = 1.0
    assert attention_to(seen, previous_token(row)).item() == pytest.approx(0.4)
    assert attention_to(seen, previous_token(row), torch.tensor([[False, True, True, False, False]])).item() == 1.0


def test_spread_is_0_for_one_position_and_1_for_all():
    every = torch.ones(1, 1, 6, 6).tril()
    counted = torch.ones(1, 6, dtype=torch.bool)
    assert spread(every / every.sum(-1, keepdim=True), counted).item() == pytest.approx(1.0)
    assert spread(torch.eye(6)[None, None], counted).item() == 0.0


def test_the_heads_of_the_model_made_by_hand_are_found():
    model, made = induction_model(), repeated(torch.arange(1, WORDS), 0, rows=6, length=20)
    true, mixed = repeated_scores(model, made), repeated_scores(model, made, shuffled=True)
    mean = {name: value.mean(0) for name, value in true.items()}
    assert mean["induction"][1, 0] > 0.99
    assert mean["induction"].flatten().sort().values[-2] < 0.2
    assert mean["adds"][1, 0] > 1
    assert mean["adds"].flatten().sort().values[-2].abs() < 1e-4
    # The order of the controls: the head goes by token and not by place, and first weights do not find it.
    untrained = repeated_scores(Model(model.config, seed=0), made)["induction"].mean(0)
    assert mixed["induction"].mean(0)[1, 0] < 0.2
    assert untrained.max() < 0.2
    assert mixed["adds"].mean(0)[1, 0] < 0.2 * mean["adds"][1, 0]
    text = text_scores(model, made.tokens, pad=-1)
    assert text["previous"].mean(0)[0, 0] > 0.99
    assert text["previous"].mean(0).flatten().sort().values[-2] < 0.3
    assert text["copies"].mean(0).tolist() == [[0, 0], [1, 0]]
    assert text["spread"].mean(0)[0, 1] == pytest.approx(1.0)
    assert text["spread"].mean(0)[0, 0] < 0.1
    # A head that goes by place stays where the words are in another order.
    assert text_scores(model, shuffled_rows(made.tokens, -1), pad=-1)["previous"].mean(0)[0, 0] > 0.99


@families
def test_every_style_has_scores(family):
    model, made = stirred(family), repeated(torch.arange(61), 0, rows=3, length=9)
    scores = {**text_scores(model, tokens(3), pad=-1), **repeated_scores(model, made)}
    assert scores.keys() == {"previous", "first", "spread", "copies", "duplicate", "induction", "adds"}
    for name, values in scores.items():
        assert values.shape == (3, 2, model.config.n_heads), name
        assert values.isfinite().all(), name
        assert name == "adds" or (values.min() >= 0 and values.max() <= 1 + 1e-5), name
    again = repeated_scores(model, made)
    assert torch.equal(again["adds"], scores["adds"])


@families
def test_the_writings_of_all_heads_add_up(family):
    model, ids = stirred(family), tokens()
    with torch.no_grad(), capture(model, ["blocks.1.attn.hook_z", "blocks.1.hook_attn_out"]) as seen:
        model(ids)
    out = model.blocks[1].attn.out
    with torch.no_grad():
        z = seen["blocks.1.attn.hook_z"]
        total = sum(written(model, 1, z, head) for head in range(model.config.n_heads))
        bias = 0 if out.bias is None else out.bias
    torch.testing.assert_close(total + bias, seen["blocks.1.hook_attn_out"], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", [family for family in FAMILIES if config(family).window_layers is None])
def test_what_all_parts_add_is_the_logit(family):
    """The direct logit attribution of heads is exact: with a stream of heads alone, it sums to the logits."""
    model, made = stirred(family, n_layers=1), repeated(torch.arange(61), 0, rows=2, length=9)
    with torch.no_grad(), capture(model, ["blocks.0.hook_attn_out", "ln_final.hook_scale"]) as seen:
        model(made.tokens)
        out = model.blocks[0].attn.out
        vectors = seen["blocks.0.hook_attn_out"] - (0 if out.bias is None else out.bias)
        if model.config.norm == "layer":
            vectors = vectors - vectors.mean(-1, keepdim=True)
        logits = model.logits(vectors / seen["ln_final.hook_scale"] * vector(model.ln_final))[:, 10:18]
        expected = logits.gather(2, made.tokens[:, 2:10, None])[..., 0] - logits.mean(2)
    found = repeated_scores(model, made)["adds"].sum(2)[:, 0]
    torch.testing.assert_close(found, expected.mean(1), atol=1e-4, rtol=1e-3)


def test_shuffled_rows_keep_first_token_padding_and_words():
    rows = torch.tensor([[0, 1, 2, 3, 4, 5, 9, 9], [0, 1, 9, 9, 9, 9, 9, 9]])
    mixed = shuffled_rows(rows, 9)
    assert torch.equal(mixed.sort(1).values, rows.sort(1).values)
    assert torch.equal(mixed[:, 0], rows[:, 0])
    assert torch.equal(mixed[0, 6:], rows[0, 6:])
    assert not torch.equal(mixed[0], rows[0])
    assert torch.equal(mixed[1], rows[1])
