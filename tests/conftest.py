"""Fixtures shared by the suite: real text that sits beside the checkout, and a cache of its own for every test."""

import os
import shutil
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

# Workers inherit a terminal of 80 columns, which breaks the cells of tables. The console reads it when it is imported.
os.environ.pop("COLUMNS", None)

from lilliput.base import console, machine

TESTS = Path(__file__).parent

if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    # Processes that test side by side share the cores: threads that wait for a core taken by another cost much.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

LONGEST = (
    "faults/test_part.py",
    "cli/test_kill.py",
    "cli/test_readme.py",
    "cli/test_plan.py",
    "cli/test_surroundings.py",
    "test_benchmarks_teaching.py",
    "test_benchmarks_finetune.py",
    "test_notebooks.py",
    "formats/test_backends.py",
    "model/test_export.py",
    "training/test_trainer.py",
    "model/test_kernels.py",
    "model/test_attention_kernel.py",
    "cli/test_next.py",
    "cli/test_options.py",
    "model/test_contract.py",
    "test_benchmarks.py",
    "formats/test_onnx.py",
    "training/test_interrupt.py",
    "test_additions.py",
    "cli/test_train.py",
    "cli/test_texts.py",
    "model/test_stock_fields.py",
    "cli/test_exchange.py",
)
"""Files that take ten seconds and more. Workers take them first: a long file at the end would keep all but one worker
waiting. A run without workers keeps pytest's order."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first for the workers of pytest-xdist."""
    if workers:
        rank = {TESTS / name: number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: rank.get(item.path, len(LONGEST)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that use it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data is not beside this checkout")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_compilations(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What torch.compile makes is kept for the session and no longer."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path_factory.mktemp("inductor"))


@pytest.fixture(scope="session")
def native_builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the C++ compiler makes: for the session, since building takes seconds."""
    return tmp_path_factory.mktemp("native")


@pytest.fixture(scope="session")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that was taught to chat (tests/conversations.py); tests must not change it."""
    from tests.conversations import learned_by_heart

    return learned_by_heart(tmp_path_factory.mktemp("chatty"))


@pytest.fixture(scope="session")
def filler() -> Any:
    """A tiny TextGenerator that fills in the words of one text (tests/fillings.py); tests must not change it."""
    from tests.fillings import learned_by_heart

    return learned_by_heart()


@pytest.fixture(scope="session")
def filler_folder(filler: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a model folder."""
    from tests.fillings import write

    return write(filler, tmp_path_factory.mktemp("filler"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, native_builds: Path) -> None:
    """No test reads or fills the user's cache."""
    cache = tmp_path_factory.mktemp("cache")
    (cache / "native").symlink_to(native_builds)
    monkeypatch.setenv("LILLIPUT_CACHE", str(cache))


@pytest.fixture(autouse=True)
def own_mode() -> Iterator[None]:
    """No test leaves the JSON mode of a command to the next one."""
    yield
    console.use_json(False)


@pytest.fixture(scope="session", autouse=True)
def measured_once() -> Iterator[None]:
    """The matmul peak of a dtype and a number of threads is measured once in a session. Every test has an empty cache,
    in which a run measures for two to ten seconds, and trains for half a second."""
    measure, found = machine._measure_peak, {}

    @wraps(measure)
    def once(device: Any, dtype: Any) -> tuple[float, float]:
        import torch

        key = (str(device), dtype, torch.get_num_threads())
        if key not in found:
            found[key] = measure(device, dtype)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "_measure_peak", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def unsynced() -> Iterator[None]:
    """Nothing is forced to the disk: it protects from a power cut alone, which no test makes, and takes a third of a
    small run's time. Processes that a test starts do force what they write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def peaks(own_cache: None) -> None:
    """The cache holds the matmul peaks of this machine: for a test whose processes train."""
    import torch

    for dtype in (torch.float32, torch.bfloat16):
        machine.matmul_peak(torch.device("cpu"), dtype)


# Of a module and no wider: while Playwright runs, no other test of the process can start an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless Chromium that is on this machine already; nothing is downloaded for it."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    sync_api.expect.set_options(timeout=30_000)  # 5 s are too few for a page on cores that others use
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()
