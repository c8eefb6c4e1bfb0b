"""What is known of a run's objective from the values that were kept of it."""

import pytest

from lilliput.base.errors import ConfigError
from lilliput.objectives.causal import Causal
from lilliput.objectives.figure import BITS
from lilliput.objectives.known import check_bits_per_byte, facts, figure_of, generates, objective_of
from lilliput.objectives.masked import Masked
from lilliput.objectives.reversed import Reversed


def test_an_objective_is_known_by_its_values_and_others_are_not() -> None:
    assert objective_of({"kind": "reversed", "by": "token"}) == Reversed(by="token")
    assert objective_of("causal") == Causal()
    assert objective_of({"kind": "masked"}) == Masked()
    for unknown in (None, {}, {"kind": "no such"}, {"kind": "causal", "more": 1}, 3):
        assert objective_of(unknown) is None
        assert figure_of({"objective": unknown}) == BITS
    assert figure_of({"objective": {"kind": "masked"}}).validation == "val_masked_bits_per_byte"
    assert figure_of({}) == BITS


def test_a_summary_holds_what_a_report_needs_of_an_objective() -> None:
    kept = facts(Masked())
    assert objective_of(kept["objective"]) == Masked()
    unregistered = {**kept, "objective": {"kind": "of another package"}}
    assert figure_of(unregistered) == Masked.figure
    assert not generates(unregistered)
    assert not generates({"objective": "masked"})
    assert generates({"objective": {"kind": "of another package"}})
    for damaged in (3, {"unit": "nats", "more": "x"}, None):
        assert figure_of({**kept, "figure": damaged}) == Masked.figure


def test_runs_without_bits_per_byte_are_not_compared_by_it() -> None:
    check_bits_per_byte(Causal())
    with pytest.raises(ConfigError, match="'masked' is judged by bits a masked byte"):
        check_bits_per_byte(Masked())
