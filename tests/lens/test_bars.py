"""Bars: lengths, intervals and the control in percent of the width."""

from lilliput.lens.bars import bars


def test_bars_show_interval_and_control() -> None:
    figure = {"mean": 0.5, "low": 0.25, "high": 1.0}
    drawn = bars([("head 0.1", figure, 0.75), ("MLP 0", {"mean": -1.0, "low": -1.0, "high": -1.0}, None)])
    assert "0.500 (0.250 to 1.000)" in drawn
    assert 'class="level"' in drawn
    assert 'd="M62.50,9 H100.00"' in drawn
