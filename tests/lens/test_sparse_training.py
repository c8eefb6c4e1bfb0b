"""Training of sparse coders: exact gradients, known directions found, dead features revived, the same bits again."""

import pytest
import torch
import torch.nn.functional as F

from lilliput.base.errors import DataError, ModelError, TrainingError
from lilliput.lens.sparse import SparseCoder, SparseConfig
from lilliput.lens.sparse_figures import unexplained
from lilliput.lens.sparse_training import SparseTraining, geometric_median, train_autoencoder, train_transcoder
from tests.lens.small import known_directions, sums_of

HOOK = "blocks.0.hook_resid_post"
DIRECTIONS = known_directions(24, 12)
ACTIVATIONS = sums_of(DIRECTIONS, 2048, 2)
CONFIG = SparseConfig(width=48, k=2, steps=250, batch=256, learning_rate=2e-2, dead_steps=10, precision="fp32")


def changed(**fields: object) -> SparseConfig:
    return SparseConfig(**{**CONFIG.model_dump(), **fields})


def left(coder: SparseCoder) -> float:
    return float(unexplained(coder, ACTIVATIONS, ACTIVATIONS).mean())


@pytest.mark.parametrize("transcodes", [False, True])
def test_gradients_are_those_of_the_dense_loss(transcodes: bool) -> None:
    draw = torch.Generator().manual_seed(5)
    outputs = torch.randn(64, 12, generator=draw) if transcodes else ACTIVATIONS[:64]
    run = SparseTraining(ACTIVATIONS[:64], outputs, transcodes, changed(width=20, k=3, aux_k=4))
    run.encoder_bias.normal_(generator=draw)
    run.quiet[[1, 2, 5, 7, 11, 13]] = 99
    x, y = run.inputs[:32], run.outputs[:32]
    run.set_gradients(x, y)

    leaves = [
        weight.clone().requires_grad_() for weight in (run.encoder, run.encoder_bias, run.decoder, run.decoder_bias)
    ]
    encoder, bias, decoder, base = leaves
    scores = (x if transcodes else x - base) @ encoder.T + bias

    def chosen(some: torch.Tensor, k: int) -> torch.Tensor:
        return torch.zeros_like(scores).scatter(1, some.topk(k).indices, 1.0)

    error = (chosen(scores, 3) * scores.relu()) @ decoder + base - y
    dead = torch.full((20,), -torch.inf).index_fill(0, torch.tensor([1, 2, 5, 7, 11, 13]), 0.0)
    rest = (chosen(scores + dead, 4) * scores) @ decoder + error.detach()
    loss = error.square().mean() + run.config.aux_weight * rest.square().mean()
    for found, expected in zip(run.grads, torch.autograd.grad(loss, leaves), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_known_directions_are_found_and_the_controls_do_not_find_them() -> None:
    coder = train_autoencoder(ACTIVATIONS, HOOK, CONFIG)
    best = (DIRECTIONS @ coder.decoder.T).max(dim=1).values
    assert best.median() > 0.97
    untrained = SparseTraining(ACTIVATIONS, ACTIVATIONS, False, CONFIG).coder(HOOK, HOOK)
    assert left(coder) < 0.1 < 0.4 < left(untrained)
    torch.testing.assert_close(coder.decoder.norm(dim=1), torch.ones(48))


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    short = changed(steps=15)
    first, again, other = (train_autoencoder(ACTIVATIONS, HOOK, changed(steps=15, seed=seed)) for seed in (0, 0, 1))
    assert short.seed == 0
    assert torch.equal(first.encoder, again.encoder)
    assert torch.equal(first.decoder_bias, again.decoder_bias)
    assert not torch.equal(first.encoder, other.encoder)


def test_the_result_is_in_the_scale_of_the_activations() -> None:
    plain, large = (train_autoencoder(scale * ACTIVATIONS, HOOK, changed(steps=60)) for scale in (1.0, 1000.0))
    torch.testing.assert_close(
        large.reconstruct(1000 * ACTIVATIONS) / 1000, plain.reconstruct(ACTIVATIONS), rtol=1e-2, atol=1e-2
    )


def test_dead_features_are_revived() -> None:
    def dead(aux_k: int) -> int:
        run = SparseTraining(ACTIVATIONS, ACTIVATIONS, False, changed(aux_k=aux_k, aux_weight=1.0))
        run.encoder_bias[:40] -= 2  # 40 of 48 features cannot fire by themselves
        run.steps(CONFIG.steps)
        return int((run.quiet >= CONFIG.dead_steps).sum())

    assert dead(0) == 40
    assert dead(12) < 30


def test_bf16_chooses_nearly_as_well() -> None:
    exact, half = (train_autoencoder(ACTIVATIONS, HOOK, changed(precision=name)) for name in ("fp32", "bf16"))
    assert left(half) == pytest.approx(left(exact), abs=0.03)
    assert not torch.equal(half.encoder, exact.encoder)


def test_a_transcoder_learns_an_mlp() -> None:
    outputs = F.relu((ACTIVATIONS - 3) @ DIRECTIONS[:8].T) @ known_directions(8, 6, seed=9)
    coder = train_transcoder(
        ACTIVATIONS, outputs, "blocks.0.ln2.hook_normalized", "blocks.0.hook_mlp_out", changed(k=4)
    )
    assert coder.transcodes
    assert coder.decoder.shape == (48, 6)
    assert float(unexplained(coder, ACTIVATIONS, outputs).mean()) < 0.3


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="give more rows"):
        train_autoencoder(ACTIVATIONS[:1], HOOK, CONFIG)
    with pytest.raises(ModelError, match="two hook points"):
        train_transcoder(ACTIVATIONS, ACTIVATIONS, HOOK, HOOK, CONFIG)
    with pytest.raises(TrainingError, match="not a number"):
        train_autoencoder(ACTIVATIONS.clone().fill_(torch.inf), HOOK, changed(steps=1))


def test_the_geometric_median_is_not_drawn_to_a_few_large_rows() -> None:
    rows = torch.cat([torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), torch.full((4, 3), 1000.0)])
    assert geometric_median(rows).norm() < 0.5 < rows.mean(0).norm()
