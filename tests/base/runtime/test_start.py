"""The runtime is applied by the command and by train, turned off by one switch, and never filled by another user."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from lilliput.base import cache
from lilliput.base.errors import ConfigError
from lilliput.base.machine import compiler
from lilliput.base.runtime import allocator, libraries, native, products, spin, start, switch

as_root = pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give files away")
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
SET = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "TORCHINDUCTOR_CACHE_DIR", "LILLIPUT_PLAIN", "LILLIPUT_MKL", "LD_PRELOAD")
ANOTHER = 4242


@pytest.fixture(autouse=True)
def untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without choices, an empty cache, and the same environment again afterwards."""
    for name in SET:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(products, "concerned", lambda: False)
    cache.temporary_cache.cache_clear()
    cache.report.cache_clear()


def test_what_pytorch_reads_is_set_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert start.begin() == []
    assert os.environ["GOMP_SPINCOUNT"] in (str(spin.SPINS_ALONE), str(spin.SPINS_BESIDE_OTHERS))
    assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]) == cache.cache_folder() / "inductor"
    assert start.begin() == []


def test_what_comes_too_late_is_named_and_not_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    missing = start.begin()
    assert missing == ["how threads wait (GOMP_SPINCOUNT)"]
    assert "GOMP_SPINCOUNT" not in os.environ
    assert "how threads wait" in start.too_late(missing)
    monkeypatch.setattr(products, "prepare", lambda: Path("built"))
    monkeypatch.setattr(products, "loaded", lambda: False)
    assert start.begin() == ["how threads wait (GOMP_SPINCOUNT)", "MKL's faster kernels"]


PLAIN = """
import os
before = dict(os.environ)
from lilliput.base.runtime import allocator, native, products, spin, start
start.restart()
missing = start.begin(trains=True)
assert dict(os.environ) == before
print(missing, allocator.name(), products.name(), products.prepare(), native.why_not())
"""


def test_one_switch_turns_all_of_it_off():
    done = subprocess.run(
        [sys.executable, "-c", PLAIN],
        env={**os.environ, "LILLIPUT_PLAIN": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[] system system None LILLIPUT_PLAIN=1 leaves C++ out"


def test_it_is_on_or_off(monkeypatch: pytest.MonkeyPatch):
    for value, plain in (("", False), ("0", False), ("1", True)):
        monkeypatch.setenv(switch.PLAIN, value)
        assert switch.plain() == plain
        assert (switch.choice(allocator.VARIABLE, allocator.CHOICES) == "system") == plain
    monkeypatch.setenv(switch.PLAIN, "yes")
    with pytest.raises(ConfigError, match="LILLIPUT_PLAIN=yes is neither 1 nor 0"):
        start.begin()


def test_a_wrong_choice_is_refused_under_the_switch_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(switch.PLAIN, "1")
    monkeypatch.setenv(allocator.VARIABLE, "jemaloc")
    with pytest.raises(ConfigError, match="did you mean 'jemalloc'"):
        allocator.asked()


@pytest.mark.parametrize("place", ["", "some.so"])
def test_compiled_code_that_others_could_write_is_not_used(place: str, capsys: pytest.CaptureFixture[str]):
    folder = cache.private_folder("inductor")
    folder.chmod(0o755)  # as PyTorch made it in earlier versions
    (folder / "some.so").write_text("planted")
    (folder / place).chmod(0o777)
    start.begin()
    assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]) == cache.temporary_cache() / "inductor"
    assert f"{folder / place} can be written" in capsys.readouterr().err


# ---------------------------------------------------------------------------- libraries


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "answer.cpp"
    file.write_text('extern "C" int ask() { return 42; }\n')
    return file


def _planted(source: Path) -> Path:
    """A build in the cache that another one, with its own right hash beside it, was put in the place of."""
    native.build.__wrapped__(source)
    (kept,) = (cache.cache_folder() / "native").glob("*.so")
    other = source.with_name("other.cpp")
    other.write_text('extern "C" int ask() { return 666; }\n')
    native.build.__wrapped__(other)
    (planted,) = {*(cache.cache_folder() / "native").glob("*.so")} - {kept}
    os.replace(planted, kept)
    os.replace(libraries.hash_file(planted), libraries.hash_file(kept))
    return kept


@needs_compiler
@as_root
@pytest.mark.parametrize("part", ["library", "hash"])
def test_a_library_of_another_user_is_never_loaded(source: Path, part: str, capsys: pytest.CaptureFixture[str]):
    kept = _planted(source)
    assert libraries.whole(kept)  # the hash is no protection
    os.chown(kept if part == "library" else libraries.hash_file(kept), ANOTHER, ANOTHER)
    assert native.build.__wrapped__(source).ask() == 42
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert f"belongs to user {ANOTHER}" in lines[0]
    assert kept.stat().st_uid == os.geteuid()


@needs_compiler
@pytest.mark.parametrize("place", ["..", "."])
def test_in_a_folder_that_others_can_write_nothing_is_loaded(
    source: Path, place: str, capsys: pytest.CaptureFixture[str]
):
    kept = _planted(source)
    (kept.parent / place).resolve().chmod(0o777)
    assert native.build.__wrapped__(source).ask() == 42
    assert "can be written by other users" in capsys.readouterr().err
    assert len(list((cache.temporary_cache() / "native").glob("*.so"))) == 1


UNREADABLE = """
import os
from lilliput.base.runtime import native, products, start
import lilliput.base.machine
products.concerned = lambda: True
lilliput.base.machine.compiler = lambda: None
os.setgid({user}); os.setuid({user})
os.chdir("/")
start.begin()
print(products.prepare(), products.library().name)
"""


@as_root
def test_a_cache_that_cannot_be_read_raises_nothing(tmp_path: Path):
    tmp_path.chmod(0o700)
    environment = {**os.environ, "LILLIPUT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", UNREADABLE.format(user=ANOTHER)], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"None {products.NAME}\n"), done.stderr
