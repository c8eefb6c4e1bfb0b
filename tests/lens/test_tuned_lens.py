"""Tuned lens: training finds a known map, comes nearer to the final prediction than the logit lens, and is kept."""

import json

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.lens.logit_lens import logit_lens
from lilliput.lens.stream import block_of
from lilliput.lens.tuned_lens import FACTS, Training, TunedLens, TunedLensInstrument, train
from tests.lens.subjects import subject
from tests.model.families import on, stirred, tokens

BRIEF = Training(steps=150, tokens=64, learning_rate=1e-2)


def test_zeros_are_the_logit_lens():
    model, ids = stirred("story"), tokens()
    zeros = TunedLens(torch.zeros(2, 48, 48), torch.zeros(2, 48))
    plain, tuned = logit_lens(model, ids), logit_lens(model, ids, translate=zeros)
    assert torch.equal(plain.kl, tuned.kl)


@pytest.mark.parametrize("family", ["story", "pythia", "gpt2"])
def test_training_comes_nearer_to_the_final_prediction_on_other_rows(family):
    model = stirred(family)
    lens = train(model, tokens(24, 20), BRIEF)
    held = tokens(8, 20, seed=7)
    plain, tuned = (logit_lens(model, held, translate=translate).kl.mean((1, 2)) for translate in (None, lens))
    assert (tuned[:-1] < 0.9 * plain[:-1]).all()
    assert tuned[-1] < 1e-6
    assert all(parameter.grad is None for parameter in model.parameters())


def test_training_finds_a_vector_that_a_layer_adds():
    """The last layer adds one known vector, so that the best translator of the stage before is this vector."""
    model = stirred("llama")
    added = torch.randn(48, generator=torch.Generator().manual_seed(3))
    last = block_of(model, 1)
    on(last.hook_attn_out, lambda x: torch.zeros_like(x))
    on(last.hook_mlp_out, lambda x: added.expand_as(x))
    lens = train(model, tokens(24, 20), Training(steps=300, tokens=128, learning_rate=2e-2))
    held = tokens(8, 20, seed=7)
    plain, tuned = (logit_lens(model, held, translate=translate).kl[1].mean() for translate in (None, lens))
    assert tuned < 0.05 * plain
    # The norm that follows knows no lengths, so only the direction is sure.
    assert torch.cosine_similarity(lens.bias[1], added, dim=0) > 0.8


def test_the_same_rows_give_the_same_translators_and_files_keep_them(tmp_path):
    model, rows = stirred("story"), tokens(4, 20)
    brief = Training(steps=5, tokens=32)
    lens, again = train(model, rows, brief), train(model, rows, brief)
    assert torch.equal(lens.weight, again.weight)
    lens.save(tmp_path / "lens")
    kept = TunedLens.load(tmp_path / "lens", model)
    assert torch.equal(kept.weight, lens.weight)
    assert torch.equal(kept.bias, lens.bias)
    assert kept.training == brief
    facts = json.loads((tmp_path / "lens" / FACTS).read_text())
    assert facts["source"] == "Belrose et al. 2023, arXiv:2303.08112"
    assert facts["norm"] == "applied"


def test_files_that_do_not_fit_are_refused(tmp_path):
    train(stirred("story"), tokens(4, 20), Training(steps=1, tokens=8)).save(tmp_path)
    with pytest.raises(ModelError, match="train a tuned lens for this model"):
        TunedLens.load(tmp_path, stirred("story", n_layers=3))
    with pytest.raises(ModelError, match="no tuned lens that can be read"):
        TunedLens.load(tmp_path / "nowhere", stirred("story"))
    (tmp_path / FACTS).write_text("[]")
    with pytest.raises(ModelError, match="no tuned lens that can be read"):
        TunedLens.load(tmp_path, stirred("story"))


def test_the_instrument_measures_beside_the_logit_lens_and_untrained_weights(monkeypatch):
    made = subject(rows=12)
    found = TunedLensInstrument().measure(made)
    assert json.loads(json.dumps(found)) == found
    assert (found["rows_trained_on"], found["rows"]) == (9, 3)
    kl = {name: group[0]["kl"]["mean"] for name, group in found["stages"].items()}
    assert kl["tuned lens, model"] < kl["logit lens, model"]
    assert {"logit lens, untrained", "tuned lens, untrained"} < kl.keys()
    assert "tuned lens, untrained" in TunedLensInstrument().section(found)
    assert "8 held-out texts" in TunedLensInstrument().refuses(subject(rows=3))
    stages, gain = found["stages"], found["gains"]["model"][1]["mean"]
    apart = [stages[f"{lens}, model"][1]["kl"]["mean"] for lens in ("logit lens", "tuned lens")]
    assert gain == pytest.approx(apart[0] - apart[1], abs=1e-4)
    assert len(TunedLensInstrument().comparable(found)) == 2


def test_a_translation_that_brings_the_prediction_nearer_is_a_finding():
    def figure(mean):
        return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}

    def found(own, control):
        stage = {"stage": "layer 0", "kl": figure(2.5), "right": figure(0.4)}
        group = [stage, stage, stage]
        names = [f"{lens}, {model}" for lens in ("logit lens", "tuned lens") for model in ("model", "untrained")]
        gains = {"model": [figure(own)] * 3, "untrained": [figure(control)] * 3}
        return {"stages": dict.fromkeys(names, group), "gains": gains}

    (line,) = TunedLensInstrument().findings(found(1.5, 0.2))
    assert "of layer 0 brings its prediction 1.50 (1.40 to 1.60) nats nearer" in line
    assert "2.50 (2.40 to 2.60) away" in line
    assert "with untrained weights 0.20 (0.10 to 0.30)" in line
    assert TunedLensInstrument().findings(found(0.25, 0.2)) == []
    assert TunedLensInstrument().findings(found(0.05, -0.9)) == []
    figures = TunedLensInstrument().comparable(found(1.5, 0.2))
    assert [(one.value, one.control) for one in figures.values()] == [(0.4, 0.4), (1.5, 0.2)]
