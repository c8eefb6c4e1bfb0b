"""The instrument of attribution: groups sum to the total, and removing a head loses what its share says."""

import json

import pytest
import torch

from lilliput.lens.attribution import attribute
from lilliput.lens.attribution_section import AttributionInstrument, removal, shares, without_heads
from lilliput.lens.figures import figure_text, mean_figure, ratio_figure, share_text
from lilliput.lens.intervene import intervene
from tests.lens.subjects import subject
from tests.model.families import stirred, tokens


def test_groups_sum_to_the_total():
    model, ids = stirred("gpt2"), tokens()
    found = attribute(model, ids, tokens(seed=2), tokens(seed=3))
    assert torch.allclose(torch.stack([*shares(found).values()]).sum(0), found.total, atol=1e-4)


def test_a_head_writes_nothing_at_its_place_alone():
    model, ids = stirred("story"), tokens(2, 9)
    at, heads = torch.tensor([3, 8]), torch.tensor([1, 6])  # head 1 of layer 0, head 2 of layer 1
    found = without_heads(model, ids, at, heads)

    def silence(z, hook):
        z = z.clone()
        z[0, 3, 1] = 0
        return z

    with torch.no_grad(), intervene(model, {"blocks.0.attn.hook_z": silence}):
        assert torch.allclose(found[0], model.logits(model(ids))[0, 3], atol=1e-5)
    assert not torch.allclose(found[1], model.logits(model(ids))[1, 8], atol=1e-3)


def test_removing_the_largest_head_loses_more_than_a_random_head():
    """In the last layer of a model without an MLP after it, a head's share is all that its removal loses, but for the
    norm's scale."""
    model = stirred("own", n_layers=1)
    found = removal(model, tokens(40, 20), 0)
    assert found["lost_without_the_largest"]["mean"] > found["lost_without_a_random_head"]["mean"]
    assert found["lost_without_the_largest"]["mean"] == pytest.approx(found["share_of_the_largest"]["mean"], rel=0.5)


def test_the_instrument_gives_exact_sums_beside_untrained_weights():
    made = subject("pythia")
    found = AttributionInstrument().measure(made)
    assert json.loads(json.dumps(found)) == found
    assert found["models"]["this model"]["largest_error"] < 1e-4
    groups = found["models"]["this model"]["groups"]
    total = sum(one["mean"] for one in groups.values())
    assert total == pytest.approx(found["models"]["this model"]["total"]["mean"], abs=1e-3)
    assert "bias of the final norm" in groups
    assert "position" not in groups
    section = AttributionInstrument().section(found)
    assert "MLP, layer 1" in section
    assert "lost without a random head instead" in section
    assert "a single head" in AttributionInstrument().refuses(subject(n_layers=1, n_heads=1, d_head=48))


def test_figures():
    found = mean_figure([1.0, 2.0, float("nan"), 3.0])
    assert (found["mean"], found["count"]) == (2.0, 3)
    assert 1 <= found["low"] < 2 < found["high"] <= 3
    assert figure_text(found) == f"2.00 ({found['low']:.2f} to {found['high']:.2f})"
    ratio = ratio_figure([1.0, 2.0, 6.0], [2.0, 4.0, 4.0])
    assert ratio["mean"] == pytest.approx(0.9)
    assert 0.5 <= ratio["low"] < 0.9 < ratio["high"] <= 1.5
    same = ratio_figure([1.0, -2.0], [1.0, -2.0])
    assert [same[key] for key in ("mean", "low", "high")] == [1, 1, 1]
    assert figure_text(mean_figure([])) == share_text(mean_figure([])) == "-"
