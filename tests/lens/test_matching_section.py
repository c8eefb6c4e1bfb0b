"""The instrument "matched": another seed, an earlier step, and the control."""

from dataclasses import replace
from pathlib import Path

from lilliput.lens.instrument import INSTRUMENTS
from tests.lens.hand_made import learned, run_folder, seen, subject


def test_a_later_step_is_more_alike_than_untrained_weights(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", (20, 60))
    found, drawn = seen(INSTRUMENTS["matched"](), replace(subject(), run=run, sibling=learned(1)))
    assert list(found) == ["another seed", "step 20", "untrained weights"]
    for kind in ("heads", "neurons"):
        assert found["step 20"][kind]["best"]["mean"] > found["untrained weights"][kind]["best"]["mean"]
        assert found["step 20"][kind]["best"]["mean"] > found["step 20"][kind]["shuffled"]["mean"]
    instrument = INSTRUMENTS["matched"]()
    sure = {name: {kind: dict(one) for kind, one in kinds.items()} for name, kinds in found.items()}
    for low, lines in ((0.8, 2), (0.0, 0)):
        for kind in ("heads", "neurons"):
            sure["another seed"][kind]["best"] = {"mean": 0.9, "low": low, "high": 1.0}
            sure["another seed"][kind]["shuffled"] = {"mean": 0.1, "low": 0.0, "high": 0.2}
            sure["untrained weights"][kind]["best"] = {"mean": 0.1, "low": 0.0, "high": 0.2}
        assert len(instrument.findings(sure)) == lines
    for text in ("heads, step 20", "neurons, untrained weights", "head 0.1", "with other texts (control)"):
        assert text in drawn


def test_it_needs_a_second_model(tmp_path: Path) -> None:
    instrument = INSTRUMENTS["matched"]()
    assert "no second model" in instrument.refuses(subject())
    assert "no second model" in instrument.refuses(replace(subject(), run=run_folder(tmp_path / "run", (5,))))
    assert instrument.refuses(replace(subject(), sibling=learned(1))) == ""
