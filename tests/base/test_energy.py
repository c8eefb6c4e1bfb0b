import sys
import types

import pytest

from lilliput.base import energy as cost
from lilliput.base.energy import Energy, Meter, estimate
from lilliput.base.errors import ConfigError


def test_without_a_counter_cores_times_the_default():
    found = estimate(3600, "cpu", 2)
    assert found.kwh == pytest.approx(0.024)
    assert found.co2_grams == pytest.approx(0.024 * 480)
    assert found.dollars is None
    assert "2 cores x 12 W (Green Algorithms; estimate)" in found.basis
    assert "480 g CO2 a kWh (world average 2023, Ember; estimate)" in found.basis


def test_what_a_person_gives_goes_before_everything():
    measured = Energy(10, cpu=1e6, gpu=None)
    found = estimate(7200, "cpu", 8, energy=measured, watts=50, dollars_per_hour=0.4, grams_co2_per_kwh=30)
    assert found.kwh == pytest.approx(0.1)
    assert found.co2_grams == pytest.approx(3.0)
    assert found.dollars == pytest.approx(0.8)
    assert found.basis == "50 W (as given); 30 g CO2 a kWh (as given); 0.4 dollars an hour (as given)"


def test_a_price_and_an_intensity_of_zero_count():
    found = estimate(3600, dollars_per_hour=0, grams_co2_per_kwh=0)
    assert (found.dollars, found.co2_grams) == (0, 0)


def test_measured_energy_goes_before_the_default():
    found = estimate(100, "cpu", 64, energy=Energy(100, cpu=3.6e6, gpu=None))
    assert found.kwh == pytest.approx(1.0)
    assert "RAPL" in found.basis
    assert "cores" not in found.basis


def test_energy_of_the_last_part_is_scaled_to_the_whole_and_reported():
    found = estimate(200, "cpu", 1, energy=Energy(50, cpu=3.6e6, gpu=None))
    assert found.kwh == pytest.approx(4.0)
    assert "over the last 50 of 200 s" in found.basis


def test_on_cuda_the_gpu_is_added_measured_or_not():
    guessed = estimate(3600, "cuda:0", 1)
    assert guessed.kwh == pytest.approx(0.312)
    assert "GPU of 300 W (estimate" in guessed.basis
    measured = estimate(3600, "cuda:0", 1, energy=Energy(3600, cpu=3.6e6, gpu=7.2e6))
    assert measured.kwh == pytest.approx(3.0)
    assert "NVML" in measured.basis
    assert "estimate" not in measured.basis.split(";")[0]


def test_negative_numbers_are_refused():
    with pytest.raises(ConfigError, match="watts cannot be negative"):
        estimate(1, watts=-1)
    with pytest.raises(ConfigError, match="dollars_per_hour cannot be negative"):
        estimate(1, dollars_per_hour=-1)
    with pytest.raises(ConfigError, match="grams_co2_per_kwh cannot be negative"):
        estimate(1, grams_co2_per_kwh=-1)


@pytest.fixture
def powercap(tmp_path):
    """Two packages, a part of one, and the platform's own domain."""
    for name, kind in {"0": "package-0", "1": "package-1", "0:0": "core", "2": "psys"}.items():
        folder = tmp_path / f"intel-rapl:{name}"
        folder.mkdir()
        (folder / "name").write_text(kind + "\n")
        (folder / "energy_uj").write_text("1000000\n")
        (folder / "max_energy_range_uj").write_text("262143328850\n")
    return tmp_path


def test_the_meter_adds_up_packages_only_and_survives_a_wrap(powercap):
    meter = Meter(powercap=powercap)
    for name, value in {"0": 5_000_000, "0:0": 9_000_000, "1": 2_000_000, "2": 9_000_000}.items():
        (powercap / f"intel-rapl:{name}" / "energy_uj").write_text(str(value))
    assert meter.sample().cpu == pytest.approx(5.0)
    (powercap / "intel-rapl:0" / "energy_uj").write_text("1000000")
    assert meter.sample().cpu == pytest.approx(5.0 + 262143.32885 - 4.0)
    assert meter.sample().gpu is None


def test_a_machine_without_counters_measures_nothing(tmp_path):
    found = Meter(powercap=tmp_path / "absent").sample()
    assert (found.cpu, found.gpu) == (None, None)
    assert found.seconds >= 0


def test_a_counter_that_may_not_be_read_is_left_out(powercap, monkeypatch):
    monkeypatch.setattr(cost.os, "access", lambda path, mode: False)
    assert Meter(powercap=powercap).sample().cpu is None


class NVMLError(Exception):
    pass


def nvml(monkeypatch, readings):
    """A stand-in for the driver's library: nothing of CUDA is on the machines that run the tests."""
    import torch

    def read(handle):
        value = next(readings)
        if value is None:
            raise NVMLError
        return value

    module = types.SimpleNamespace(
        NVMLError=NVMLError, nvmlInit=lambda: None, nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=read,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: types.SimpleNamespace(uuid="a-b"))


def test_the_gpus_counter_is_read_in_millijoules(monkeypatch, tmp_path):
    nvml(monkeypatch, iter([1_000_000, 1_000_000, 1_500_000]))
    assert Meter("cuda:0", powercap=tmp_path).sample().gpu == pytest.approx(500.0)


def test_a_gpu_without_a_counter_is_left_out(monkeypatch, tmp_path):
    nvml(monkeypatch, iter([None]))
    assert Meter("cuda", powercap=tmp_path).sample().gpu is None
