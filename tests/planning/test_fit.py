import math

import numpy as np
import pytest

from lilliput.base.errors import ConfigError
from lilliput.model.config import ModelConfig
from lilliput.planning.chinchilla import CHINCHILLA, Law
from lilliput.planning.fit import fit_law, fit_parabola, residual_draws, undetermined
from lilliput.planning.shapes import beyond, choose, ladder
from lilliput.planning.study import Trial, analyse
from lilliput.planning.study_page import page

BITS = Law(E=0.3, A=20.0, B=60.0, alpha=0.4, beta=0.4)


def test_a_parabola_is_found_again():
    sizes = [1e5, 3e5, 1e6, 3e6]
    losses = [2 + 0.1 * math.log(size / 5e5) ** 2 for size in sizes]
    best = fit_parabola(sizes, losses).best
    assert best == pytest.approx(5e5)
    assert fit_parabola(sizes, [-loss for loss in losses]).best is None
    with pytest.raises(ConfigError, match="three sizes"):
        fit_parabola([1, 1, 2], [1, 2, 3])


@pytest.mark.parametrize("law", [CHINCHILLA, BITS])
def test_the_law_is_found_again_from_its_own_losses(law):
    pytest.importorskip("scipy")
    pairs = [(n, c / 6 / n) for c in (1e17, 1e18, 1e19) for n in (1e7, 3e7, 1e8, 3e8, 1e9)]
    sizes, tokens = [n for n, _ in pairs], [d for _, d in pairs]
    found = fit_law(sizes, tokens, [law.loss(n, d) for n, d in pairs])
    for name, value in law.as_dict().items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-3), name
    assert undetermined(found) == []
    assert undetermined(Law(math.exp(-10), 1, 1, 0.3, 4.0)) == ["E", "beta"]


def test_draws_keep_to_the_size_of_the_residuals():
    rng = np.random.default_rng(0)
    seen = (2 * np.exp(0.01 * rng.standard_normal(40))).tolist()
    draws = np.log(np.array(residual_draws([2.0] * 40, seen, 5, 1)) / 2)
    assert draws.std() == pytest.approx(0.01, rel=0.35)


def trials(held_out: float) -> list[Trial]:
    rng = np.random.default_rng(3)
    found = []
    for budget in (1e12, 3e12, 1e13, held_out):
        centre = BITS.optimum(budget).parameters
        for i in range(-3, 4):
            size = centre * 2.0**i
            tokens = budget / 6 / size
            loss = BITS.loss(size, tokens) * math.exp(0.002 * rng.standard_normal())
            found.append(Trial(f"c{budget:g}-{i}", budget, size, int(size), int(tokens), 0.5, 1, loss, 1.0))
    return found


def test_a_study_predicts_the_budget_it_has_not_seen():
    pytest.importorskip("scipy")
    found = analyse(trials(3e13), 3e13)
    truth = BITS.optimum(3e13)
    assert len(found.curves) == 3
    assert all(curve.enclosed for curve in found.curves)
    assert found.held_out is not None
    assert found.held_out.size_by_line == pytest.approx(truth.parameters, rel=0.35)
    assert found.held_out.loss_by_law == pytest.approx(truth.loss, rel=0.02)
    assert abs(found.held_out.worst) < 0.02
    low, high = found.exponent_interval or (0, 0)
    assert low < found.exponent < high
    assert any("one seed" in doubt for doubt in found.doubts)
    # what is held out takes no part in any fit
    others = [trial if trial.budget < 3e13 else Trial(*[*trial_values(trial)[:-2], 9.9, 1.0]) for trial in trials(3e13)]
    assert analyse(others, 3e13).law == found.law
    assert "held out of every fit" in page("study", trials(3e13), found, 3e13)


def trial_values(trial: Trial) -> list:
    return [getattr(trial, name) for name in Trial.__slots__]


def test_budgets_get_sizes_that_they_can_pay_for():
    rungs = ladder(ModelConfig(style="story_1m"))
    assert [shape.size for shape in rungs] == sorted(shape.size for shape in rungs)
    chosen = choose(rungs, 1e12, 5, 512, 20)
    assert len(chosen) == 5
    assert all(shape.tokens(1e12) >= 20 * 512 for shape in chosen)
    assert beyond(rungs, chosen[:3], chosen[2]) == rungs[rungs.index(chosen[2]) + 1]
    assert beyond(rungs, chosen, chosen[1]) is None
    with pytest.raises(ConfigError, match="a curve needs three"):
        choose(rungs, 1e9, 5, 512, 20)
