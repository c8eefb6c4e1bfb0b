"""Dynamics: CKA against its definition and its controls, ranks and sparsities of known matrices."""

import math

import pytest
import torch

from lilliput.base.errors import DataError
from lilliput.lens.dynamics import (
    activations,
    effective_rank,
    hoyer,
    layer_figures,
    layer_likeness,
    likeness,
    linear_cka,
    near_zero,
    participation_ratio,
    permuted,
)
from tests.lens.hand_made import counted, successor


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_definition(x: torch.Tensor, y: torch.Tensor) -> float:
    """HSIC_1 with the (M, M) matrices of Song et al. 2012, eq. 5."""

    def hsic(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        n = len(a)
        k, m = a @ a.T, b @ b.T
        k.fill_diagonal_(0)
        m.fill_diagonal_(0)
        one = torch.ones(n, dtype=torch.float64)
        middle = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        return (torch.trace(k @ m) + middle - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))

    return float(hsic(x, y) / (hsic(x, x) * hsic(y, y)).sqrt())


def test_cka_is_its_definition() -> None:
    x = noise(40, 5) + 3
    y = x[:, :3] @ noise(3, 7, seed=1) + noise(40, 7, seed=2)
    assert linear_cka(x, y) == pytest.approx(by_definition(x, y), abs=1e-9)
    assert 0.2 < linear_cka(x, y) < 1


def test_cka_is_1_for_the_same_and_0_for_what_does_not_belong_together() -> None:
    x, rows = noise(600, 24), torch.arange(600) // 50
    turned = torch.linalg.qr(noise(24, 24, seed=1)).Q
    assert linear_cka(x, x) == pytest.approx(1)
    assert linear_cka(x, 7 * x @ turned + 2) == pytest.approx(1)
    control = likeness(x, permuted(x, rows), rows)
    assert abs(control["mean"]) < 0.05
    assert control["margin"] > 0
    assert sorted(permuted(x, rows)[:, 0].tolist()) == sorted(x[:, 0].tolist())
    assert math.isnan(linear_cka(x, torch.ones(600, 3)))
    assert likeness(x, torch.ones(600, 3), rows) == {"mean": None, "margin": None}
    with pytest.raises(DataError, match="same examples"):
        linear_cka(x, x[:10])


def test_ranks_of_a_line_and_of_a_ball() -> None:
    ball, line = noise(4000, 10), noise(200, 1) @ noise(1, 10, seed=1)
    assert effective_rank(ball) == pytest.approx(10, abs=0.1)
    assert participation_ratio(ball) == pytest.approx(10, abs=0.2)
    assert effective_rank(line) == pytest.approx(1, abs=1e-3)
    assert participation_ratio(line) == pytest.approx(1)
    two = torch.tensor([[3.0, 0], [-3, 0], [0, 4], [0, -4]])
    parts = (3 / 7, 4 / 7)
    assert effective_rank(two) == pytest.approx(math.exp(-sum(part * math.log(part) for part in parts)))
    assert participation_ratio(two) == pytest.approx((9 + 16) ** 2 / (9**2 + 16**2))
    assert math.isnan(effective_rank(torch.ones(9, 3)))


def test_sparsity_of_one_and_of_all() -> None:
    assert hoyer(torch.eye(6)) == pytest.approx(1)
    assert hoyer(torch.tensor([[2.0, -2, 2, 2], [0, 0, 0, 0]])) == pytest.approx(0)
    assert math.isnan(hoyer(torch.zeros(2, 4)))
    assert near_zero(torch.tensor([[0.0, 1, 1, 0.001]])) == 0.5


def test_figures_of_a_model_made_by_hand() -> None:
    found = activations(successor((1.0, 1.0)), counted())
    (figures,) = layer_figures(found)
    block_input = 16**0.5  # the norm of a token's row after ln1: 16 numbers of mean square 1
    assert figures["norm"] == pytest.approx(math.hypot(1, 2 * block_input), rel=1e-3)
    assert figures["hoyer"] is None
    assert figures["near_zero"] == 1
    assert figures["effective_rank"] == pytest.approx(7, abs=0.2)
    assert layer_likeness(found, found)[0][0] == pytest.approx(1)
    other = activations(successor((0.0, 1.0)), counted())
    assert layer_likeness(found, other)[0][0] == pytest.approx(1, abs=1e-3)
