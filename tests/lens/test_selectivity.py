"""Selectivity: AUCs against counting pairs, a planted unit found, shuffled labels near chance."""

import pytest
import torch

from lilliput.lens.selectivity import aucs, average_ranks, best_units, placements


def test_ranks_and_aucs_equal_a_count_of_pairs() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randint(0, 6, (40, 3), generator=draw).float()  # with many ties
    labels = torch.rand(40, 2, generator=draw) < 0.3
    assert average_ranks(torch.tensor([[5.0, 1, 5, 2]])).tolist() == [[3.5, 1, 3.5, 2]]
    found = aucs(values, labels)
    for unit in range(3):
        for concept in range(2):
            own, others = values[labels[:, concept], unit], values[~labels[:, concept], unit]
            pairs = own[:, None] - others[None]
            expected = ((pairs > 0).double() + (pairs == 0).double() / 2).mean()
            assert float(found[unit, concept]) == pytest.approx(float(expected))
            assert float(placements(values[:, unit], labels[:, concept]).mean()) == pytest.approx(float(expected))


def test_the_planted_unit_is_found_with_its_sign_and_beats_shuffled_labels() -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(4000, 30, generator=draw)
    labels = {"high": torch.rand(4000, generator=draw) < 0.1, "low": torch.rand(4000, generator=draw) < 0.1}
    labels["rare"] = torch.arange(4000) < 3
    other = values.clone()
    values[labels["high"], 4] += 3
    other[labels["low"], 9] -= 3
    found = best_units({"a": values, "b": other}, labels, torch.arange(4000) // 20)
    assert [(one.concept, one.hook, one.unit, one.sign) for one in found] == [("high", "a", 4, 1), ("low", "b", 9, -1)]
    for one in found:
        assert one.low <= one.auc <= one.high
        assert one.low > 0.95
        assert one.shuffled < 0.6
    assert best_units({"a": values}, {"rare": labels["rare"]}, torch.arange(4000)) == []


def test_the_half_that_chose_the_unit_does_not_measure_it() -> None:
    draw = torch.Generator().manual_seed(1)
    noise, labels = torch.randn(200, 2000, generator=draw), torch.rand(200, generator=draw) < 0.2
    (found,) = best_units({"noise": noise}, {"any": labels}, torch.arange(200))
    assert found.low < 0.5 < found.high  # the best of 2,000 is far above chance only where it was chosen
