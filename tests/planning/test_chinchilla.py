import math

import pytest

from lilliput.base.errors import ConfigError
from lilliput.planning.chinchilla import CHINCHILLA, CHINCHILLA_FLOPS, chosen_model, methods, methods_of, rule_of_20


def test_the_law_at_gophers_size():
    assert round(CHINCHILLA.loss(280e9, 300e9), 3) == 1.993


@pytest.mark.parametrize("flops", [1e17, 10**17.5, 1e20, 5.76e23])
def test_the_closed_form_is_a_fine_grids_optimum(flops):
    best = CHINCHILLA.optimum(flops)
    grid = [best.parameters * 10 ** (i / 2000) for i in range(-2000, 2001)]
    found = min(grid, key=lambda size: CHINCHILLA.loss_at(size, flops))
    assert found == pytest.approx(best.parameters, rel=1.2e-3)
    assert best.loss == pytest.approx(CHINCHILLA.loss_at(found, flops), abs=1e-6)
    assert 6 * best.parameters * best.tokens == pytest.approx(flops)


def test_the_fifty_dollar_model():
    best = chosen_model(None, None, None)
    assert best.flops == 10**17.5
    assert (round(best.parameters / 1e6, 1), round(best.tokens / 1e9, 2)) == (47.9, 1.10)
    assert best.loss is not None
    assert round(best.loss, 3) == 3.892


def test_rounded_constants_disagree_at_chinchillas_own_budget():
    found = methods(CHINCHILLA_FLOPS)
    rounded = found["approach 3, rounded constants"]
    assert (round(rounded.parameters / 1e9), round(rounded.tokens / 1e12, 1)) == (32, 3.0)
    for name, optimum in found.items():
        if optimum is not rounded:
            assert 60e9 < optimum.parameters < 75e9, name
    assert rule_of_20(CHINCHILLA_FLOPS).tokens_per_parameter == pytest.approx(20)


def test_what_cannot_be_is_refused():
    for bad in (0, -1, math.nan, math.inf):
        with pytest.raises(ConfigError, match="flops has to be above 0"):
            CHINCHILLA.optimum(bad)
    with pytest.raises(ConfigError, match="tied"):
        chosen_model(1e18, 1e6, 1e9)
    with pytest.raises(ConfigError, match="size open"):
        chosen_model(None, None, 1e9)


def test_a_size_alone_is_given_the_tokens_that_it_is_best_for():
    chosen = chosen_model(None, 117e6, None)
    assert chosen.parameters == 117e6
    assert chosen.tokens == pytest.approx(3.2528e9, rel=1e-4)
    for name, found in methods_of(117e6).items():
        again = methods(found.flops)[name]
        assert again.parameters == pytest.approx(117e6, rel=1e-9), name
        assert again.tokens == pytest.approx(found.tokens, rel=1e-9), name
    with pytest.raises(ConfigError, match="parameters has to be above 0"):
        methods_of(0)
