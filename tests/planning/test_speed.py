"""The measured speed of training that the dial and init reckon with."""

import pytest
import torch

from lilliput.base import machine
from lilliput.planning import speed


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path))
    monkeypatch.setattr(speed, "choose_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(speed, "choose_precision", lambda *given: machine.Choice(torch.float32, "given"))


def test_a_step_is_measured_once_and_kept(monkeypatch, tmp_path):
    taken = []

    def measured(style=speed.STYLE, bf16=False):
        taken.append(style)
        return 2e11, 1.0

    monkeypatch.setattr(speed, "measure", measured)
    assert speed.training_speed() == speed.training_speed()
    assert speed.training_speed()[0] == 2e11
    assert taken == [speed.STYLE]
    (kept,) = (tmp_path / "machine").iterdir()
    kept.write_text(kept.read_text().replace("2", "3", 1))
    assert speed.training_speed()[0] == 2e11
    assert len(taken) == 2  # damaged: measured again


def test_an_accelerator_is_taken_by_its_peak(monkeypatch):
    class Precision:
        dtype, name = torch.bfloat16, "bf16"

    monkeypatch.setattr(speed, "choose_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(speed, "choose_precision", lambda *given: Precision)
    monkeypatch.setattr(speed, "matmul_peak", lambda *given: 1e14)
    assert speed.training_speed() == (speed.UTILISATION * 1e14, "45% of the matmul peak here")


def test_a_real_step_is_no_faster_than_products(monkeypatch):
    from lilliput.base.machine import matmul_peak

    monkeypatch.setattr(speed, "STEPS", 2)
    found, share = speed.measure("story_1m")
    assert 0 < share <= 1
    assert 0 < found < 3 * matmul_peak(torch.device("cpu"), torch.float32)  # measured beside other tests
