"""Logit lens: the last stage is the model's own prediction, each stage equals its formula, and controls order."""

import json

import pytest
import torch

from lilliput.lens.capture import capture
from lilliput.lens.logit_lens import LogitLens, logit_lens, row_means, shuffled
from lilliput.lens.stream import read_out, stages
from tests.lens.subjects import subject, vector
from tests.model.families import SUMS, stirred, tokens

families = pytest.mark.parametrize("family", SUMS)


@families
def test_the_last_stage_is_the_models_own_prediction(family):
    model, ids = stirred(family), tokens()
    found = logit_lens(model, ids)
    with torch.no_grad():
        own = model.logits(model(ids)).log_softmax(-1)
    assert torch.equal(found.top[-1, ..., 0], own.argmax(-1))
    right = own[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    assert torch.allclose(found.probability[-1, :, :-1].log(), right, atol=1e-4)
    assert torch.equal(found.rank[-1, :, :-1], (own[:, :-1] > right[..., None]).sum(-1))
    assert found.kl[-1].max() < 1e-5
    assert found.kl[0].mean() > 1e-3
    assert found.norm == "applied"


@families
def test_a_stage_equals_its_formula(family):
    """As TransformerLens' accumulated_resid(apply_ln=True, incl_mid=False) @ W_U, with each stage's own scale."""
    model, ids = stirred(family), tokens()
    with torch.no_grad(), capture(model, "blocks.0.hook_resid_post") as seen:
        model(ids)
    x = seen["blocks.0.hook_resid_post"]
    norm = model.ln_final
    if model.config.norm == "layer":
        x = x - x.mean(-1, keepdim=True)
    x = x / (x.pow(2).mean(-1, keepdim=True) + model.config.norm_eps).sqrt() * vector(norm)
    x = x + vector(norm, "bias") if model.config.norm == "layer" else x
    wanted = (x @ model.output_matrix.T).softmax(-1)
    found = logit_lens(model, ids, top=61)
    assert torch.allclose(found.top_probability[1], wanted.sort(-1, descending=True).values, atol=1e-5)
    final = model.logits(model(ids)).softmax(-1)
    kl = (final * (final / wanted).log()).sum(-1)
    assert torch.allclose(found.kl[1], kl, atol=1e-4)


def test_the_last_position_of_a_row_has_no_next_token():
    found = logit_lens(stirred("story"), tokens())
    assert (found.rank[:, :, -1] == -1).all()
    assert found.probability[:, :, -1].isnan().all()
    assert (found.rank[:, :, :-1] >= 0).all()


def test_a_translation_changes_every_stage_but_the_last():
    model, ids = stirred("story"), tokens()
    plain = logit_lens(model, ids)
    last = stages(model, ids)[-1]
    ideal = logit_lens(model, ids, translate=lambda stage, stream: last)
    assert (ideal.kl < 1e-5).all()
    assert torch.equal(ideal.top[-1], plain.top[-1])


def test_streams_are_ordinary_tensors_that_gradients_flow_through():
    found = stages(stirred("gpt2"), tokens()).requires_grad_()
    read_out(stirred("gpt2"), found).sum().backward()
    assert found.grad is not None


def test_shuffled_text_keeps_the_tokens_and_the_first_token():
    rows = tokens(4, 30)
    mixed = shuffled(rows, 0)
    assert torch.equal(mixed.sort(-1).values, rows.sort(-1).values)
    assert torch.equal(mixed[:, 0], rows[:, 0])
    assert not torch.equal(mixed, rows)
    assert torch.equal(mixed, shuffled(rows, 0))


def test_row_means_leave_the_last_position_out():
    model, ids = stirred("story"), tokens(3)
    found = logit_lens(model, ids)
    last = row_means(found)[-1]
    with torch.no_grad():
        logs = model.logits(model(ids))[:, :-1].log_softmax(-1)
    bits = -logs.gather(-1, ids[:, 1:, None])[..., 0].mean(-1) / torch.log(torch.tensor(2.0))
    assert torch.allclose(torch.tensor(last["bits"]), bits, atol=1e-4)
    assert last["agrees"] == [1.0] * 3


def test_the_instrument_orders_its_controls():
    """A model that has learned its rows is less surprised by them than by their tokens in random order."""
    made = subject(n_layers=2)
    model = made.generator.model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        loss = model.loss(model(made.rows[:, :-1]), made.rows[:, 1:], torch.ones(10, 23)) / 230
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    found = LogitLens().measure(made)
    assert json.loads(json.dumps(found)) == found
    assert found == LogitLens().measure(made)
    bits = {name: [stage["bits"]["mean"] for stage in group] for name, group in found["stages"].items()}
    assert bits["model"][-1] < bits["model"][0]
    assert bits["model"][-1] < min(bits["shuffled text"][-1], bits["untrained"][-1]) - 1
    section = LogitLens().section(found)
    assert "layer 1" in section
    assert "<svg" in section
