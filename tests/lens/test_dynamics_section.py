"""The instrument "time" on the checkpoints of a run, with its controls."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lilliput.base.errors import ConfigError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.lens.checkpoints import earlier_steps, load_steps, newest_step
from lilliput.lens.instrument import INSTRUMENTS
from tests.lens.hand_made import learned, run_folder, seen, small, subject


def test_layers_grow_towards_the_newest_model(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run")
    found, drawn = seen(INSTRUMENTS["time"](), replace(subject(), run=run, sibling=learned(1)))
    states = found["states"]
    assert [one["name"] for one in states] == ["untrained", "step 5", "step 20", "now"]
    losses = [one["bits_per_byte"]["mean"] for one in states]
    assert losses == sorted(losses, reverse=True)
    for layer in range(2):
        alike = [one["likeness"][layer]["mean"] for one in states]
        assert alike[-1] == pytest.approx(1)
        assert alike[0] < alike[2] < 1
        assert found["permuted"][layer]["mean"] < found["sibling"]["likeness"][layer]["mean"]
    assert found["own_layers"][0][0] == pytest.approx(1)
    beside = INSTRUMENTS["time"]().comparable(found)
    assert len(beside) == 4
    alike = beside["likeness of the last layer to untrained weights (CKA)"]
    assert alike.control is not None
    assert alike.value == states[0]["likeness"][-1]["mean"]
    for text in ("step 20", "control: positions mixed", "another seed", "layer 1", "<svg", "effective rank"):
        assert text in drawn


def test_layers_that_had_their_present_form_are_a_finding() -> None:
    def state(name: str, *means: float) -> dict[str, Any]:
        return {"name": name, "likeness": [{"mean": mean, "margin": 0.02} for mean in means]}

    states = [
        state("untrained", 0.93, 0.3),
        state("step 5", 0.94, 0.95),
        state("step 20", 0.98, 0.96),
        state("now", 1, 1),
    ]
    (line,) = INSTRUMENTS["time"]().findings({"states": states})
    assert "at step 20: each layer is 0.96 ± 0.02 like the same" in line
    assert "with untrained weights 0.93 ± 0.02 or less" in line
    for other in (state("step 20", 0.98, 0.85), state("step 20", 0.96, 0.96)):
        assert INSTRUMENTS["time"]().findings({"states": [*states[:2], other, states[3]]}) == []
    states[0]["likeness"][1]["mean"] = None
    assert INSTRUMENTS["time"]().findings({"states": states}) == []


def test_a_model_without_a_run_is_compared_with_its_untrained_weights() -> None:
    found, drawn = seen(INSTRUMENTS["time"](), subject())
    assert [one["name"] for one in found["states"]] == ["untrained", "now"]
    assert "<svg" not in drawn


def test_a_sibling_with_other_tokens_is_refused() -> None:
    other = small()
    other.tokenizer = Tokenizer.train(["quite another text " * 9], TokenizerConfig(vocab_size=290))
    with pytest.raises(ConfigError, match="cut text into other tokens"):
        INSTRUMENTS["time"]().measure(replace(subject(), sibling=other))


def test_checkpoints_are_spread_and_damage_is_reported(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", (5, 20))
    for step in range(100, 2000, 100):
        (run / "checkpoints" / f"step-{step:07d}").mkdir()
    assert earlier_steps(run, 3) == [5, 900, 1800]
    assert earlier_steps(run, 1) == [5]
    assert newest_step(run) == 1900
    assert earlier_steps(None, 3) == []
    assert newest_step(tmp_path) is None
    lines: list[str] = []
    loaded = [step for step, _ in load_steps(run, [5, 100], "cpu", lines.append)]
    assert loaded == [5]
    assert lines
    assert "step 100 is left out" in lines[0]
    shutil.rmtree(run)
