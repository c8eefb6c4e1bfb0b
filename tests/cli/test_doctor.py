"""`lilliput doctor` tells what a run would choose here, in words and in JSON."""

import json
import re

import pytest
import torch

from lilliput.base import machine
from lilliput.base.cache import cache_folder
from lilliput.base.runtime import allocator
from lilliput.base.undisturbed import Peak
from tests.cli.conftest import Command


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring takes seconds and is tested elsewhere."""
    rates = {torch.float32: 200e9, torch.bfloat16: 800e9}
    peaks = {dtype: Peak(rate, 1.0, 0.0) for dtype, rate in rates.items()}
    monkeypatch.setattr(machine, "measured_peak", lambda device, dtype, threads=None, refresh=False: peaks[dtype])


def test_words(command: Command, quick):
    result = command("doctor", "--device", "cpu")
    assert result.code == 0
    assert "200 GFLOP/s in fp32, 800 in bf16" in result.out
    assert "precision     bf16" in result.out
    assert re.search(
        r"rollouts +(with bf16 weights by (amx|avx512)_bf16|in fp32), (in|also in) runs in bf16", result.out
    )
    assert torch.__version__ in result.out
    assert re.search("by PyTorch +cross-attention, linear attention", result.out)


def test_json(command: Command, quick):
    result = command("doctor", "--device", "cpu", "--json")
    found = json.loads(result.out)
    assert found["precision"] == "bf16"
    assert found["threads"] == torch.get_num_threads()
    assert found["cores"] >= found["physical_cores"] >= 1


def test_it_names_the_cache_and_the_switch(command: Command, quick, monkeypatch: pytest.MonkeyPatch):
    assert str(cache_folder()) in command("doctor", "--device", "cpu").out
    monkeypatch.setenv("LILLIPUT_PLAIN", "1")
    found = json.loads(command("doctor", "--device", "cpu", "--json").out)
    assert found["runtime"] == "off (LILLIPUT_PLAIN=1)"
    assert found["cache"] == str(cache_folder())


def test_it_names_what_to_install(command: Command, quick, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(allocator, "installed", dict)
    monkeypatch.setattr(allocator, "loaded", lambda: None)
    monkeypatch.setattr("lilliput.planning.doctor.can_compile", lambda device: False)
    monkeypatch.delenv(allocator.VARIABLE, raising=False)
    out = command("doctor", "--device", "cpu").out
    assert "apt install libtcmalloc-minimal4" in out
    assert "apt install g++" in out


def test_a_device_that_is_not_here(command: Command):
    result = command("doctor", "--device", "cuda:7")
    assert result.code == 2
    assert result.err.startswith("error: ")
