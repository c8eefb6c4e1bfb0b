"""Token scores equal log-softmax and its entropy, in value and gradient, with and without the kernels."""

from typing import Any

import pytest
import torch

from lilliput.model import kernels, token_scores
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model

ROWS, VOCABULARY, WIDTH = 37, 50, 8


def _problem() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states, a matrix, targets, and a gradient for each score."""
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(ROWS, WIDTH, generator=draw).requires_grad_()
    matrix = (3 * torch.randn(VOCABULARY, WIDTH, generator=draw)).requires_grad_()
    return hidden, matrix, torch.randint(0, VOCABULARY, (ROWS,), generator=draw), torch.randn(ROWS, generator=draw)


def _expected(hidden, matrix, targets, grad) -> list[torch.Tensor]:
    each = (hidden.double() @ matrix.double().T).log_softmax(-1)
    scores = each.gather(1, targets[:, None])[:, 0]
    gradients = torch.autograd.grad((scores * grad).sum(), (hidden, matrix))
    return [scores.detach().float(), -(each.exp() * each).sum(-1).detach().float(), *gradients]


def _found(hidden, matrix, targets, grad) -> list[torch.Tensor]:
    scores, entropies = token_scores.token_scores(hidden, matrix, targets)
    assert not entropies.requires_grad
    return [scores.detach(), entropies, *torch.autograd.grad((scores * grad).sum(), (hidden, matrix))]


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("bf16", [True, False])
def test_scores_and_gradients_are_the_plain_ones(native, bf16, monkeypatch):
    if native and not kernels.available():
        pytest.skip("no C++ compiler here")
    monkeypatch.setattr(kernels, "available", lambda: native)
    monkeypatch.setattr(token_scores, "chunk_rows", lambda *_: 10)
    problem = _problem()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found = _found(*problem)
    near: dict[str, Any] = {"atol": 0.2, "rtol": 0.05} if bf16 else {"atol": 1e-5, "rtol": 1e-5}
    for one, other in zip(found, _expected(*problem), strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, **near)


def test_a_frozen_matrix_gets_no_gradient():
    hidden, matrix, targets, grad = _problem()
    matrix = matrix.detach()
    scores, _ = token_scores.token_scores(hidden, matrix, targets)
    (found,) = torch.autograd.grad((scores * grad).sum(), hidden)
    torch.testing.assert_close(found, _expected(hidden, matrix.clone().requires_grad_(), targets, grad)[2])


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_that_is_hooked_is_called(tied):
    shape: dict[str, Any] = {"d_model": 16, "n_layers": 1, "n_heads": 2, "vocab_size": 30, "context_length": 16}
    model, ids = Model(ModelConfig(**shape, tied_embeddings=tied)), torch.arange(12)[None]
    hidden, targets = model(ids)[0], torch.arange(1, 13)
    scores, entropies = model.scores(hidden, targets)
    if model.unembed is not None:
        seen = []
        model.unembed.register_forward_hook(lambda *_: seen.append(1))
        again, spread = model.scores(hidden, targets)
        assert seen
        torch.testing.assert_close(again, scores)
        torch.testing.assert_close(spread, entropies)
    torch.testing.assert_close(scores, model.logits(hidden).log_softmax(-1).gather(1, targets[:, None])[:, 0])
