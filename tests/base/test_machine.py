import inspect
import json

import pytest
import torch

from lilliput.base import machine, undisturbed
from lilliput.base.cache import cache_folder
from lilliput.base.errors import ConfigError
from lilliput.base.undisturbed import Peak

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def really_measured(monkeypatch):
    """The suite measures once in a session (tests/conftest.py); here every measurement is a real one."""
    monkeypatch.setattr(machine, "_measure_peak", inspect.unwrap(machine._measure_peak))


@pytest.fixture
def quick(monkeypatch):
    """Measure for a moment only."""
    monkeypatch.setattr(machine, "MEASURE_SECONDS", 0.02)


@pytest.fixture
def linux(tmp_path, monkeypatch):
    """A made-up /proc and /sys, and eight processors that are four hyper-threaded cores."""
    monkeypatch.setattr(machine, "PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "SYS", tmp_path / "sys")
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)

    def write(path: str, text: str) -> None:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    for number in range(8):
        write(f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list", f"{number % 4},{number % 4 + 4}\n")
    return write


def test_cores_are_those_of_the_affinity(linux):
    assert machine.cores() == 8
    assert machine.physical_cores() == 4


def test_a_unified_quota_cuts_the_cores_in_any_group_above(linux):
    linux("proc/self/cgroup", "0::/work/job\n")
    linux("sys/fs/cgroup/work/job/cpu.max", "max 100000\n")
    linux("sys/fs/cgroup/work/cpu.max", "350000 100000\n")
    assert machine.cores() == 3
    assert machine.physical_cores() == 3


def test_a_quota_below_one_core_leaves_one(linux):
    linux("proc/self/cgroup", "0::/\n")
    linux("sys/fs/cgroup/cpu.max", "50000 100000\n")
    assert machine.cores() == 1


def test_a_legacy_quota_counts_and_minus_one_means_none(linux):
    linux("proc/self/cgroup", "3:cpu,cpuacct:/job\n2:memory:/job\n")
    linux("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    assert machine.cores() == 8
    linux("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "200000\n")
    assert machine.cores() == 2


def test_memory_is_cut_by_the_groups_limit(linux):
    whole = machine.memory()
    assert whole > 2**28
    linux("proc/self/cgroup", "0::/job\n")
    linux("sys/fs/cgroup/job/memory.max", "max\n")
    assert machine.memory() == whole
    linux("sys/fs/cgroup/memory.max", "1000000\n")
    assert machine.memory() == 1_000_000


def test_this_machine_has_a_name_cores_and_a_cpu():
    assert machine.cpu_name()
    assert 1 <= machine.physical_cores() <= machine.cores()
    assert machine.devices()[-1] == "cpu"


def test_auto_takes_the_best_device_there_is(monkeypatch):
    monkeypatch.setattr(machine, "devices", lambda: ["cuda:0", "cuda:1", "cpu"])
    assert machine.choose_device() == torch.device("cuda:0")
    assert machine.choose_device("cuda") == torch.device("cuda:0")
    assert machine.choose_device("cuda:1") == torch.device("cuda:1")
    assert machine.choose_device("cpu") == CPU


@pytest.mark.parametrize(("device", "printed"), [("cuda", ["high"]), ("cpu", [])])
def test_tf32_is_for_gpus(monkeypatch, device, printed):
    heard = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", heard.append)
    machine.allow_tf32(torch.device(device))
    assert heard == printed


@pytest.mark.parametrize(("asked", "words"), [("cuda", "no such CUDA"), ("mps", "no such MPS"), ("gpu", "not one of")])
def test_an_absent_device_is_refused_with_what_exists(monkeypatch, asked, words):
    monkeypatch.setattr(machine, "devices", lambda: ["cpu"])
    with pytest.raises(ConfigError, match=words) as caught:
        machine.choose_device(asked)
    assert caught.value.hint == "here there is: cpu"


def test_the_peak_is_measured_once_and_the_best_is_kept(quick, monkeypatch):
    measured = iter([5e9, 4e9, 6e9])
    monkeypatch.setattr(machine, "_measure_peak", lambda device, dtype: (next(measured), 1.0))
    assert machine.matmul_peak(CPU) == 5e9
    assert machine.matmul_peak(CPU) == 5e9
    assert machine.matmul_peak(CPU, refresh=True) == 5e9
    assert machine.matmul_peak(CPU, refresh=True) == 6e9
    assert machine.matmul_peak(CPU) == 6e9


def test_peaks_of_other_dtypes_and_threads_are_kept_apart(monkeypatch):
    measured = iter([1e9, 2e9, 3e9])
    monkeypatch.setattr(machine, "_measure_peak", lambda device, dtype: (next(measured), 1.0))
    arguments = [(torch.float32, 1), (torch.bfloat16, 1), (torch.float32, 2)]
    assert [machine.matmul_peak(CPU, *a) for a in arguments] == [1e9, 2e9, 3e9]
    assert [machine.matmul_peak(CPU, *a) for a in arguments] == [1e9, 2e9, 3e9]


def test_a_disturbed_measurement_is_tried_again_and_not_kept_for_the_next_time(monkeypatch):
    measured = iter([(1e9, 0.3), (2e9, 0.4), (1e9, 0.5), (1e9, 0.2), (5e9, 0.9), (9e9, 1.0)])
    monkeypatch.setattr(machine, "_measure_peak", lambda device, dtype: next(measured))
    assert machine.measured_peak(CPU).undisturbed is False
    assert machine.matmul_peak(CPU) == 5e9
    assert machine.matmul_peak(CPU) == 5e9
    assert next(measured) == (9e9, 1.0)


def test_a_disturbed_refresh_does_not_take_the_good_measurement_away(monkeypatch):
    measured = iter([(5e9, 1.0), (6e9, 0.3)])
    monkeypatch.setattr(machine, "_measure_peak", lambda device, dtype: next(measured))
    assert machine.matmul_peak(CPU) == 5e9
    assert machine.matmul_peak(CPU, refresh=True) == 6e9
    assert machine.measured_peak(CPU).undisturbed


@pytest.mark.parametrize("days", [31, -1])
def test_an_old_measurement_and_one_of_the_future_are_taken_again(monkeypatch, days):
    measured = iter([(5e9, 1.0), (4e9, 1.0)])
    monkeypatch.setattr(machine, "_measure_peak", lambda device, dtype: next(measured))
    monkeypatch.setattr(undisturbed, "time", lambda: 1e9)
    machine.matmul_peak(CPU)
    monkeypatch.setattr(undisturbed, "time", lambda: 1e9 + days * 86400)
    assert machine.matmul_peak(CPU) == 5e9
    assert next(measured, None) is None


@pytest.mark.parametrize(("known", "expected"), [(["avx2", "amx_bf16"], "bf16"), (["avx2", "avx512f"], "fp32")])
def test_on_a_busy_machine_the_instructions_decide(monkeypatch, known, expected):
    monkeypatch.setattr(machine, "_measure_peak", lambda device, dtype: (1e9, 0.3))
    monkeypatch.setattr(machine, "instructions", lambda: known)
    choice = machine.choose_precision("auto", CPU)
    assert choice.name == expected
    assert "too busy" in choice.reason


def test_a_thread_that_others_keep_waiting_is_disturbed(monkeypatch, tmp_path):
    waits = iter(["9 0 1", "9 3000000000 2"])
    (tmp_path / "1").mkdir()
    monkeypatch.setattr(undisturbed, "TASKS", tmp_path)
    seconds = iter([1.0, 2.0])
    monkeypatch.setattr(undisturbed, "process_time", lambda: next(seconds))

    def count() -> float:
        text = next(waits)
        (tmp_path / "1" / "schedstat").write_text(text)
        return real()

    real = undisturbed.waited
    monkeypatch.setattr(undisturbed, "waited", count)
    assert undisturbed.timed(lambda: 4.0, 8.0) == (2.0, 0.25)


@pytest.mark.parametrize("content", ["", "[]", '{"flops_per_second": null}', "{", '{"flops_per_second": 9e99}'])
def test_a_damaged_cache_is_measured_again(monkeypatch, tmp_path, content):
    monkeypatch.setattr(machine, "_measure_peak", lambda device, dtype: (7e9, 1.0))
    machine.matmul_peak(CPU)
    (path,) = (cache_folder() / "machine").iterdir()
    path.write_text(content)
    assert machine.matmul_peak(CPU) == 7e9
    assert json.loads(path.read_text())["flops_per_second"] == 7e9


def test_a_speed_that_others_could_have_written_is_measured_again(monkeypatch):
    monkeypatch.setattr(machine, "_measure_peak", lambda device, dtype: (7e9, 1.0))
    machine.matmul_peak(CPU)
    (path,) = (cache_folder() / "machine").iterdir()
    monkeypatch.setattr(machine, "_measure_peak", lambda device, dtype: (1e9, 1.0))
    assert machine.matmul_peak(CPU) == 7e9
    path.chmod(0o666)
    assert machine.matmul_peak(CPU) == 1e9
    assert not path.stat().st_mode & 0o022


def test_a_cache_that_cannot_be_written_does_no_harm(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(machine, "_measure_peak", lambda device, dtype: (7e9, 1.0))
    assert machine.matmul_peak(CPU) == 7e9


def test_a_real_measurement_gives_a_rate_and_leaves_the_threads(quick):
    before = torch.get_num_threads()
    assert 1e6 < machine.matmul_peak(CPU, threads=1) < 1e15
    assert torch.get_num_threads() == before


def test_a_dtype_without_a_product_counts_as_zero(quick):
    assert machine._measure_peak(CPU, torch.bool) == (0.0, 1.0)


def test_sizes_too_slow_for_the_time_are_not_tried(monkeypatch):
    tried = []

    def product(device, dtype, size):
        tried.append(size)
        return lambda: 1.0

    monkeypatch.setattr(machine, "_product", product)
    assert machine._measure_peak(CPU, torch.float32)[0] == 2 * 256**3
    assert tried == [256]


@pytest.mark.parametrize(("gain", "expected"), [(0.01, "fp32"), (1.29, "fp32"), (1.3, "bf16"), (4.5, "bf16")])
def test_bf16_is_taken_only_where_it_gains(monkeypatch, gain, expected):
    peaks = {torch.float32: Peak(1e11, 1.0, 0.0), torch.bfloat16: Peak(1e11 * gain, 1.0, 0.0)}
    monkeypatch.setattr(machine, "measured_peak", lambda device, dtype, threads=None: peaks[dtype])
    choice = machine.choose_precision("auto", CPU)
    assert choice.name == expected
    assert f"precision {expected}" in choice.reason
    assert f"{gain:.2f}x" in choice.reason


def test_a_precision_that_was_asked_for_is_taken_unmeasured(monkeypatch):
    monkeypatch.setattr(machine, "measured_peak", None)
    assert machine.choose_precision("bf16", CPU).dtype == torch.bfloat16
    assert machine.choose_precision("fp32", CPU).dtype == torch.float32
    with pytest.raises(ConfigError, match="fp8"):
        machine.choose_precision("fp8", CPU)
