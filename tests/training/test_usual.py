"""AsUsual: one sentence at each evaluation, and one line outside the measured points."""

from types import SimpleNamespace

from lilliput.training.usual import AsUsual
from tests.runs.test_bands import made


def seen(callback: AsUsual, tokens: list[int], ahead: float = 0.0, **figures: float) -> list[str]:
    """What the trainer reports while the callback sees steps after so many tokens, with a clock that is so far ahead of
    them."""
    notes: list[str] = []
    for each in tokens:
        counters = SimpleNamespace(progress=each / 4000 + ahead)
        trainer = SimpleNamespace(notify=notes.append, counters=counters)
        callback.on_step(trainer, {"tokens": each, "bits_per_byte": 1.31, **figures})  # type: ignore[arg-type]
    return notes


def test_it_speaks_at_evaluations_only() -> None:
    shown: list[str] = []
    callback = AsUsual(made(), shown.append)
    assert seen(callback, [1900, 2100]) == []
    assert shown == []
    assert seen(callback, [2000], val_bits_per_byte=1.41) == []
    assert [text.rsplit(": ", 1)[1] for text in shown] == ["yours is as usual"]


def test_outside_the_measured_points_one_line_is_printed_once() -> None:
    shown: list[str] = []
    callback = AsUsual(made(), shown.append)
    notes = seen(callback, [5000, 6000], val_bits_per_byte=1.41)
    assert notes == ["no band of losses after 5k tokens: the runs of story were measured from 1k to 4k"]
    resumed = AsUsual(made(), shown.append)
    resumed.load_state(callback.state())
    assert seen(resumed, [7000], val_bits_per_byte=1.41) == []
    assert shown == []
    resumed.load_state({})  # a checkpoint of an earlier version
    assert len(seen(resumed, [7000], val_bits_per_byte=1.41)) == 1


def test_a_clock_that_is_ahead_is_reported_once() -> None:
    shown: list[str] = []
    callback = AsUsual(made(), shown.append)
    notes = seen(callback, [2000, 3000], ahead=0.25, val_bits_per_byte=1.41)
    assert notes == ["no band of losses after 2k tokens: 75% of the budget is used, and 50% was in the runs of story"]
    assert shown == []


def test_it_adds_nothing_to_the_record() -> None:
    assert AsUsual.phase == "show"
