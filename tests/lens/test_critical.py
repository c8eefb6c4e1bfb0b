"""Critical components: models made by hand whose critical and redundant parts are known."""

import pytest

from lilliput.lens.components import all_heads
from lilliput.lens.critical import rank_components, rank_pairs, rank_sets, shares
from lilliput.lens.effects import Effects
from tests.lens.hand_made import counted, successor


def test_the_head_that_writes_is_critical_and_the_others_are_not() -> None:
    ranked = rank_components(Effects(successor((0.0, 2.0, 0.0)), counted()))
    first, *others = ranked["components"]
    assert first["name"] == "head 0.1"
    assert first["critical"]
    assert first["low"] > ranked["controls"]["head"]["high"] > ranked["controls"]["head"]["mean"] > 0
    assert [one["mean"] for one in others] == pytest.approx([0, 0, 0], abs=1e-6)
    assert not any(one["critical"] for one in others)
    assert ranked["controls"]["mlp"]["mean"] == pytest.approx(0, abs=1e-6)


def test_two_heads_that_write_the_same_are_redundant() -> None:
    effects = Effects(successor((2.0, 2.0, 0.0)), counted())
    found = rank_pairs(effects, all_heads(effects.model))
    first, *others = found["pairs"]
    assert first["pair"] == ["head 0.0", "head 0.1"]
    assert first["redundant"]
    assert first["joint"] > 2 * first["sum"] > 0
    assert first["joint"] - first["sum"] == pytest.approx(first["more"]["mean"])
    assert not any(one["redundant"] for one in others)
    assert first["more"]["mean"] > found["control"]["mean"]


def test_sets_of_heads_stand_in_order() -> None:
    effects = Effects(successor((2.0, 1.0, 0.0, 0.0)), counted())
    found = rank_sets(effects, rank_components(effects), draws=6)
    assert [one["heads"] for one in found] == [1, 2]
    for one in found:
        assert one["most"]["mean"] > one["random"]["mean"] > one["least"]["mean"] - 1e-9


def test_shares_are_by_depth_and_kind() -> None:
    effects = Effects(successor((0.0, 2.0)), counted())
    found = shares(rank_components(effects), 1)
    assert found is not None
    assert found["heads"]["share"] == pytest.approx(1, abs=1e-6)
    assert found["heads"]["even"] == pytest.approx(2 / 3)
    assert found["middle third"]["share"] == pytest.approx(1)
    assert found["first third"]["share"] == 0
    assert sum(found[kind]["share"] for kind in ("heads", "MLPs")) == pytest.approx(1)
    assert shares(rank_components(Effects(successor((0.0, 0.0)), counted())), 1) is None


def test_the_same_model_gives_the_same_figures() -> None:
    once, again = (rank_components(Effects(successor(), counted())) for _ in range(2))
    assert once == again
