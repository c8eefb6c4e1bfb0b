"""Fixtures shared by the suite: real text that sits beside the checkout, and a cache of its own for every test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    # Processes that test side by side share the cores: threads that wait for a core taken by another cost much.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


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


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, native_builds: Path) -> None:
    """No test reads or fills the user's cache."""
    cache = tmp_path_factory.mktemp("cache")
    (cache / "native").symlink_to(native_builds)
    monkeypatch.setenv("LILLIPUT_CACHE", str(cache))


# Of a module and no wider: while Playwright runs, no other test of the process can start an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless Chromium that is on this machine already; nothing is downloaded for it."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()
