"""The allocator is chosen by name, found where it is installed, and really in use after a restart."""

import ctypes
import os
import subprocess
import sys

import pytest

from lilliput.base.errors import ConfigError
from lilliput.base.runtime import allocator

LIBRARIES = {"tcmalloc": "libtcmalloc_minimal.so.4", "jemalloc": "libjemalloc.so.2"}


@pytest.fixture
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "loaded", lambda: None)
    monkeypatch.setattr(allocator, "installed", lambda: LIBRARIES)
    monkeypatch.delenv(allocator.VARIABLE, raising=False)


def test_by_itself_it_takes_the_first_that_is_installed(nothing_loaded, monkeypatch: pytest.MonkeyPatch):
    environment = allocator.better_environment({"HOME": "/root"})
    assert environment == {
        "HOME": "/root",
        "LD_PRELOAD": LIBRARIES["tcmalloc"],
        "MALLOC_CONF": allocator.JEMALLOC_KEEPS,
    }
    monkeypatch.setattr(allocator, "installed", dict)
    assert allocator.better_environment({}) is None


@pytest.mark.parametrize("name", LIBRARIES)
def test_one_asked_for_by_name(nothing_loaded, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv(allocator.VARIABLE, name)
    assert (allocator.better_environment({}) or {})["LD_PRELOAD"] == LIBRARIES[name]
    monkeypatch.setattr(allocator, "installed", dict)
    with pytest.raises(ConfigError) as caught:
        allocator.better_environment({})
    assert allocator.PACKAGES[name] in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["system", "glibc"])
def test_no_restart_where_none_is_wanted(nothing_loaded, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv(allocator.VARIABLE, name)
    assert allocator.better_environment({}) is None


def test_a_preloaded_library_of_the_persons_own_stays(nothing_loaded):
    assert allocator.better_environment({"LD_PRELOAD": "libmine.so"}) is None


def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(allocator.VARIABLE, "jemaloc")
    with pytest.raises(ConfigError, match="did you mean 'jemalloc'"):
        allocator.asked()


def _run(code: str, **environment: str) -> str:
    kept = {key: value for key, value in os.environ.items() if key not in ("LD_PRELOAD", allocator.VARIABLE)}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**kept, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_glibc_is_set_to_keep_memory():
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("no glibc here")
    code = "from lilliput.base.runtime import allocator; allocator.keep(); print(allocator.state())"
    assert _run(code, LILLIPUT_ALLOCATOR="glibc").startswith("memory by glibc, which keeps")
    assert _run(code, LILLIPUT_ALLOCATOR="system") == "memory by the system's allocator"


@pytest.mark.parametrize("name", LIBRARIES)
def test_training_restarts_on_an_installed_library(name: str):
    if name not in allocator.installed():
        pytest.skip(f"{allocator.PACKAGES[name]} is not installed")
    code = (
        "from lilliput.base.runtime import allocator, start; start.restart(); allocator.keep(); "
        "print(allocator.loaded(), '|', allocator.state())"
    )
    loaded, _, words = _run(code, LILLIPUT_ALLOCATOR=name).partition(" | ")
    assert loaded == name
    assert words.startswith(f"memory by {name} (preloaded")
