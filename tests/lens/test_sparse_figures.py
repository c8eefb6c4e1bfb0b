"""The figures of a sparse coder: 1 and 0 for hand-made coders, on every family, and the order of the controls."""

from dataclasses import replace

import pytest
import torch

from lilliput.base.errors import DataError
from lilliput.lens.sparse import SparseConfig, collect, middle
from lilliput.lens.sparse_figures import controls, figures, losses, splice, unexplained
from lilliput.lens.sparse_training import train_autoencoder
from tests.lens.small import exact_coder, generator, story_rows
from tests.model.families import FAMILIES, stirred, tokens


@pytest.mark.parametrize("family", FAMILIES)
def test_an_exact_coder_recovers_the_loss_and_an_empty_one_is_the_ablation(family: str) -> None:
    model, rows = stirred(family), tokens(6, 9)
    coder = exact_coder(model.config.d_model, middle(model))
    torch.testing.assert_close(splice(coder, model, rows), losses(model, rows), rtol=1e-4, atol=1e-4)
    found = figures(coder, model, rows)
    assert found["variance_unexplained"]["mean"] == pytest.approx(0, abs=1e-5)
    assert found["l0"]["mean"] == pytest.approx(model.config.d_model)
    recovered = found["loss_recovered_zero"]
    assert recovered is None or recovered["mean"] == pytest.approx(1, abs=1e-2)
    empty = replace(coder, decoder=torch.zeros_like(coder.decoder))
    nothing = figures(empty, model, rows)
    assert nothing["loss_spliced"] == pytest.approx(nothing["loss_zero_ablated"], abs=1e-3)
    mean = collect(model, rows, middle(model)).mean(0)
    constant = figures(replace(empty, decoder_bias=mean), model, rows)
    assert constant["variance_unexplained"]["mean"] == pytest.approx(1, abs=1e-4)
    assert constant["loss_spliced"] == pytest.approx(constant["loss_mean_ablated"], abs=1e-3)


def test_a_transcoder_is_spliced_into_the_output_of_the_mlp() -> None:
    model, rows = stirred("gpt"), tokens(4, 9)
    # With this norm and MLP, whose output is the hook's value, a coder that repeats its input is exact.
    with torch.no_grad():
        for name, values in model.blocks[0].ln2.named_parameters():  # type: ignore[union-attr]
            values.fill_(float(name == "weight"))
    model.blocks[0].mlp.forward = lambda x: x  # type: ignore[method-assign]
    coder = replace(exact_coder(48, "blocks.0.ln2.hook_normalized"), writes="blocks.0.hook_mlp_out")
    torch.testing.assert_close(splice(coder, model, rows), losses(model, rows), rtol=1e-4, atol=1e-4)
    assert figures(coder, model, rows)["variance_unexplained"]["mean"] == pytest.approx(0, abs=1e-5)
    wrong = replace(coder, decoder=-coder.decoder)
    assert not torch.allclose(splice(wrong, model, rows), losses(model, rows), atol=1e-3)


def test_a_trained_autoencoder_is_better_than_its_controls() -> None:
    subject, rows = generator(), story_rows(24)
    model, other = subject.model, generator(seed=7).model
    config = SparseConfig(width=128, k=8, steps=80, batch=256, learning_rate=5e-3, precision="fp32")
    coder = train_autoencoder(collect(model, rows[:16], middle(model)), middle(model), config)
    found = figures(coder, model, rows[16:])
    random = controls(model, other, rows[:16], rows[16:], coder, config)
    ours = found["variance_unexplained"]
    assert ours["low"] <= ours["mean"] <= ours["high"] < random["random directions"]["variance_unexplained"]["low"]
    assert 0 < random["untrained weights"]["variance_unexplained"]["mean"] < 1.5
    assert 0 <= found["dead"] < 1
    assert 0 < found["l0"]["mean"] <= 8


def test_equal_activations_have_no_variance_to_explain() -> None:
    with pytest.raises(DataError, match="no variance to explain"):
        unexplained(exact_coder(4, "h"), torch.ones(5, 4), torch.ones(5, 4))
