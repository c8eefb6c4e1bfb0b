"""Intervene: replaced activations, the order among hooks, gradients, and what is refused."""

import pytest
import torch

from lilliput import lens
from lilliput.base.errors import ModelError
from tests.model.families import FAMILIES, PATTERNED, stirred, tokens

families = pytest.mark.parametrize("family", FAMILIES)


@families
def test_the_same_activations_give_the_same_logits(family):
    model, ids = stirred(family), tokens()
    plain = model(ids)
    with lens.intervene(model, {"*": lambda x, hook: x.clone()}):
        torch.testing.assert_close(model(ids), plain, atol=1e-5, rtol=1e-5)
    assert torch.equal(model(ids), plain)


@families
def test_activations_of_another_text_give_its_logits(family):
    model, ids, other = stirred(family), tokens(), tokens(seed=4)
    with lens.capture(model, "blocks.0.hook_resid_post") as seen:
        wanted = model(other)
    with lens.intervene(model, {"blocks.0.hook_out": lambda x, hook: seen["blocks.0.hook_resid_post"]}):
        torch.testing.assert_close(model(ids), wanted, atol=1e-5, rtol=1e-5)


@families
@pytest.mark.parametrize("point", ["hook_z", "hook_q", "hook_k", "hook_v", "hook_pattern", "hook_attn_scores"])
def test_every_point_of_attention_acts(family, point):
    model, ids = stirred(family), tokens()
    plain = model(ids)
    if family not in PATTERNED and point in ("hook_pattern", "hook_attn_scores"):
        assert f"blocks.0.attn.{point}" not in model.hooks
        return

    def change(x: torch.Tensor, hook: lens.Hook) -> torch.Tensor:
        # Not a factor: it would be lost where queries and keys are divided by their lengths.
        return x.roll(1, -1) if x.isfinite().all() else x.masked_fill(x.isfinite(), 0.0)

    with lens.intervene(model, {f"blocks.0.attn.{point}": change}):
        assert not torch.allclose(model(ids), plain, atol=1e-5)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in PATTERNED])
@pytest.mark.parametrize("point", ["hook_alpha", "hook_beta"])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_rates_of_linear_attention_act(family, point, value):
    model, ids = stirred(family), tokens()
    plain = model(ids)
    with lens.intervene(model, {f"blocks.0.attn.{point}": lambda x, hook: torch.full_like(x, value)}):
        changed = model(ids)
    assert changed.isfinite().all()
    assert not torch.allclose(changed, plain, atol=1e-5)
    if point == "hook_alpha" and value == 0:  # nothing is remembered: only the convolution looks back
        other = ids.clone()
        other[:, 0] = (other[:, 0] + 1) % 61
        with lens.intervene(model, {"blocks.*.attn.hook_alpha": lambda x, hook: torch.zeros_like(x)}):
            if "full" not in model.config.attentions:
                torch.testing.assert_close(model(other)[:, 8:], model(ids)[:, 8:], atol=1e-5, rtol=1e-5)


def test_the_place_is_named():
    model, places = stirred("story"), []
    with lens.intervene(
        model, {"blocks.*.hook_mlp_out": lambda x, hook: places.append(hook), "hook_embed": _note(places)}
    ):
        model(tokens())
    assert places == [
        lens.Hook("hook_embed", None),
        lens.Hook("blocks.0.hook_mlp_out", 0),
        lens.Hook("blocks.1.hook_mlp_out", 1),
    ]


def _note(places):
    return lambda x, hook: places.append(hook)


def test_functions_of_one_place_run_in_the_order_of_the_mapping():
    model, ids = stirred("story"), tokens()
    changes = {"hook_embed": lambda x, hook: x * 0, "hook_*": lambda x, hook: x + 1}
    with lens.intervene(model, changes), lens.capture(model, "hook_embed") as seen:
        model(ids)
    assert (seen["hook_embed"] == 1).all()


def test_capture_sees_what_was_set_before_it_and_not_after():
    model, ids = stirred("story"), tokens()
    with lens.intervene(model, {"hook_embed": lambda x, hook: x * 0}), lens.capture(model, "hook_embed") as after:
        model(ids)
    with lens.capture(model, "hook_embed") as before, lens.intervene(model, {"hook_embed": lambda x, hook: x * 0}):
        model(ids)
    assert (after["hook_embed"] == 0).all()
    assert (before["hook_embed"] != 0).any()


def test_gradients_flow_through():
    model, ids = stirred("story"), tokens()
    scale = torch.ones((), requires_grad=True)
    with lens.intervene(model, {"blocks.0.hook_attn_out": lambda x, hook: x * scale}):
        model(ids).sum().backward()
    assert scale.grad is not None
    assert scale.grad != 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, hook: x[:, :1], r"\(2, 1, 48\) of float32, not the shape \(2, 20, 48\)"),
        (lambda x, hook: x.double(), "of float64"),
        (lambda x, hook: 0, "a int, not"),
    ],
)
def test_another_shape_or_type_is_refused(change, words):
    model = stirred("story")
    with pytest.raises(ModelError, match=words), lens.intervene(model, {"hook_embed": change}):
        model(tokens())
    assert not any(hook.active for hook in model.hooks.values())


def test_an_unknown_name_leaves_no_hook():
    model = stirred("story")
    with (
        pytest.raises(ModelError, match="hook_embe"),
        lens.intervene(model, {"hook_embed": lambda x, hook: x, "hook_embe": lambda x, hook: x}),
    ):
        pass
    assert not any(hook.active for hook in model.hooks.values())
