"""The chunked loss equals the plain one, in value and gradient, whatever the chunks, weights and dtype."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lilliput.model import cross_entropy
from lilliput.model.cross_entropy import chunk_rows, linear_cross_entropy
from tests.model.families import gradients, stirred, tokens


def _problem(rows: int, vocabulary: int, seed: int, zeros: float = 0.0):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, 8, generator=generator, requires_grad=True)
    matrix = (3 * torch.randn(vocabulary, 8, generator=generator)).requires_grad_()
    targets = torch.randint(0, vocabulary, (rows,), generator=generator)
    weights = torch.rand(rows, generator=generator)
    weights[torch.rand(rows, generator=generator) < zeros] = 0
    return hidden, matrix, targets, weights


def _naive(hidden, matrix, targets, weights):
    return (F.cross_entropy(F.linear(hidden, matrix), targets, reduction="none") * weights).sum()


def _loss_and_gradients(compute, hidden, matrix, targets, weights):
    loss = compute(hidden, matrix, targets, weights)
    return loss.detach(), *torch.autograd.grad(7 * loss, (hidden, matrix))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(2, 50), st.integers(0, 99), st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 50))
def test_equals_the_plain_loss(rows, vocabulary, seed, zeros, size):
    problem = _problem(rows, vocabulary, seed, zeros)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_entropy, "chunk_rows", lambda *_: size)
        ours = _loss_and_gradients(linear_cross_entropy, *problem)
    for one, other in zip(ours, _loss_and_gradients(_naive, *problem), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_without_gradient_it_is_the_same_number():
    problem = _problem(30, 20, 0, 0.3)
    with torch.inference_mode():
        loss = linear_cross_entropy(*problem)
    torch.testing.assert_close(loss, _naive(*problem).detach())


def test_rows_that_count_nothing_are_not_computed():
    hidden, matrix, targets, weights = _problem(6, 20, 0)
    weights[2:] = 0
    with torch.no_grad():
        hidden[2:] = float("nan")
    loss, hidden_grad, matrix_grad = _loss_and_gradients(linear_cross_entropy, hidden, matrix, targets, weights)
    assert torch.isfinite(loss)
    assert torch.isfinite(matrix_grad).all()
    assert (hidden_grad[2:] == 0).all()


def test_far_apart_logits_stay_finite():
    hidden, matrix, targets, weights = _problem(6, 20, 0)
    with torch.no_grad():
        hidden *= 1e4
    ours = _loss_and_gradients(linear_cross_entropy, hidden, matrix, targets, weights)
    for one, other in zip(ours, _loss_and_gradients(_naive, hidden, matrix, targets, weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("tied", [False, True])
def test_whole_model_gradients(tied):
    model, ids = stirred("story", tied_embeddings=tied).train(), tokens()
    weights = torch.rand(2, 20, generator=torch.Generator().manual_seed(0)).round()

    def step(compute):
        model.zero_grad()
        compute(model(ids)).backward()
        return gradients(model)

    ours = step(lambda hidden: model.loss(hidden, ids, weights))
    plain = step(
        lambda hidden: (
            F.cross_entropy(model.logits(hidden).flatten(0, 1), ids.flatten(), reduction="none") * weights.flatten()
        ).sum()
    )
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("vocabulary", [100, 4096, 50_304, 10_000_000])
def test_logits_are_never_whole(device, vocabulary):
    rows = chunk_rows(65_536, vocabulary, device)
    budget = cross_entropy.CHUNK_BYTES.get(device, cross_entropy.CHUNK_BYTES_ELSEWHERE)
    assert 1 <= rows <= max(cross_entropy.CHUNK_ROWS, budget // (4 * vocabulary))
    assert chunk_rows(0, vocabulary, device) == 1


class _Largest(TorchDispatchMode):
    """Records the size of the largest tensor that anything inside makes."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.numbers = max([self.numbers, *(x.numel() for x in tree_leaves(made) if isinstance(x, torch.Tensor))])
        return made


def test_no_tensor_is_larger_than_a_chunk(monkeypatch):
    monkeypatch.setitem(cross_entropy.CHUNK_BYTES, "cpu", 4 * 512 * 1000)
    hidden, matrix, targets, weights = _problem(2048, 1000, 0)
    with _Largest() as largest, torch.no_grad():
        cross_entropy.loss_and_gradients(hidden, matrix, targets, weights, torch.float32, True, True)
    assert largest.numbers == 512 * 1000


def test_the_operator_is_sound():
    hidden, matrix, targets, weights = _problem(10, 20, 0, 0.3)
    arguments = (hidden, matrix, targets, weights, torch.float32, True, True)
    torch.library.opcheck(
        cross_entropy._operator,
        arguments,
        test_utils=("test_schema", "test_faketensor", "test_autograd_registration"),
    )


@pytest.mark.parametrize("wanted", ["hidden", "matrix"])
def test_a_gradient_that_is_not_wanted_is_not_computed(wanted):
    hidden, matrix, targets, weights = _problem(30, 20, 0, 0.3)
    _, *both = _loss_and_gradients(linear_cross_entropy, hidden, matrix, targets, weights)
    asked = {"hidden": hidden, "matrix": matrix}
    for name, tensor in asked.items():
        tensor.requires_grad_(name == wanted)
    (found,) = torch.autograd.grad(7 * linear_cross_entropy(hidden, matrix, targets, weights), asked[wanted])
    assert torch.equal(found, both[list(asked).index(wanted)])
    sizes = cross_entropy.loss_and_gradients(
        hidden.detach(), matrix.detach(), targets, weights, torch.float32, wanted == "hidden", wanted == "matrix"
    )
    assert [tensor.numel() > 0 for tensor in sizes[1:]] == [wanted == "hidden", wanted == "matrix"]
