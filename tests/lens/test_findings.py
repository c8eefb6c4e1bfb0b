"""Findings: only a figure wholly above its control beats it."""

import math

from lilliput.lens.findings import beats, compared
from lilliput.lens.instrument import Compared


def figure(mean: float | None, low: float | None, high: float | None) -> dict[str, float | None]:
    return {"mean": mean, "low": low, "high": high}


def test_a_figure_beats_a_control_that_its_interval_does_not_touch() -> None:
    own = figure(0.5, 0.4, 0.6)
    assert beats(own, figure(0.2, 0.1, 0.3))
    assert not beats(own, figure(0.45, 0.35, 0.41))
    assert not beats(own, figure(0.8, 0.7, 0.9))
    assert not beats(own, figure(None, None, None))
    assert not beats(figure(None, None, None), own)


def test_figures_stand_side_by_side() -> None:
    own, control = figure(0.5, 0.4, 0.6), figure(0.2, 0.1, 0.3)
    assert compared(own, control) == Compared(0.5, 0.2, 0.4, 0.6)
    assert compared(own, 0.0).control == 0.0
    assert compared(own).control is None
    assert math.isnan(compared(figure(None, None, None)).value)
