"""The cache is used only where nobody else could have written it: owner and permissions, of files and folders."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lilliput.base import cache
from lilliput.base.cache import (
    cache_folder,
    close_to_others,
    make_private,
    private_folder,
    refusal,
    temporary_cache,
    tree_refusal,
    usable,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="owners and modes of POSIX")
as_root = pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give files away")
ANOTHER = 4242


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, with temporary files beside it."""
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    temporary_cache.cache_clear()
    cache.report.cache_clear()
    yield tmp_path / "cache"
    temporary_cache.cache_clear()
    cache.report.cache_clear()


def _file(root: Path) -> Path:
    file = private_folder("native") / "a.so"
    file.write_text("made here")
    close_to_others(file)
    return file


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o000])
def test_what_is_made_here_is_used_whatever_the_umask(root: Path, umask: int):
    before = os.umask(umask)
    try:
        file = _file(root)
    finally:
        os.umask(before)
    assert file == root / "native" / "a.so"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert usable(file)


@pytest.mark.parametrize("place", ["", "native", "native/a.so"])
@pytest.mark.parametrize("right", [stat.S_IWGRP, stat.S_IWOTH])
def test_what_others_can_write_is_refused(root: Path, place: str, right: int, capsys: pytest.CaptureFixture[str]):
    file = _file(root)
    (root / place).chmod((root / place).stat().st_mode | right)
    assert str(root / place) in (refusal(file, root) or "")
    assert not usable(file)
    assert not usable(file)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert f"chmod -R go-w {root / place}" in lines[0]


@as_root
@pytest.mark.parametrize("place", ["", "native", "native/a.so"])
def test_what_another_user_owns_is_refused(root: Path, place: str, capsys: pytest.CaptureFixture[str]):
    file = _file(root)
    os.chown(root / place, ANOTHER, ANOTHER)
    assert not usable(file)
    assert f"belongs to user {ANOTHER}" in capsys.readouterr().err


@as_root
def test_a_link_of_another_user_is_refused(root: Path, tmp_path: Path):
    file = _file(root)
    link = file.with_name("b.so")
    link.symlink_to(file)
    assert usable(link)
    os.chown(link, ANOTHER, ANOTHER, follow_symlinks=False)
    assert not usable(link)


@pytest.mark.parametrize("place", ["", "native"])
def test_a_folder_that_is_refused_is_replaced_by_a_private_one(root: Path, place: str):
    _file(root)
    (root / place).chmod(0o777)
    folder = private_folder("native")
    assert folder == temporary_cache() / "native"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == []
    assert (private_folder("machine").parent == root) == bool(place)


def test_a_whole_folder_is_looked_through(root: Path):
    folder = private_folder("tokens") / "some"
    folder.mkdir(mode=0o755)
    (folder / "shard").write_text("1")
    (folder / "shard").chmod(0o644)
    assert tree_refusal(folder, root) is None
    (folder / "shard").chmod(0o666)
    assert str(folder / "shard") in (tree_refusal(folder, root) or "")
    close_to_others(folder)
    assert tree_refusal(folder, root) is None
    (folder / "shard").chmod(0o666)
    folder.chmod(0o700)  # nobody else can reach the file
    assert tree_refusal(folder, root) is None


def test_a_temporary_cache_that_others_can_write_is_not_used(root: Path, tmp_path: Path):
    (tmp_path / f"lilliput-{os.getuid()}").mkdir()
    (tmp_path / f"lilliput-{os.getuid()}").chmod(0o777)
    assert temporary_cache() != tmp_path / f"lilliput-{os.getuid()}"
    assert stat.S_IMODE(temporary_cache().stat().st_mode) == 0o700


def test_make_private_leaves_what_is_there(tmp_path: Path):
    tmp_path.chmod(0o755)
    make_private(tmp_path / "a" / "b")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


AS_ANOTHER = """
import os, sys
os.setgid({user}); os.setuid({user})
os.chdir("/")
from lilliput.base.cache import cache_folder, private_folder
folder = private_folder("native")
print(cache_folder()); print(os.access(folder, os.W_OK))
"""


def _as_another(**environment: str) -> tuple[list[str], str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME", "LILLIPUT_CACHE")}
    # imported as root: the other user need not be able to read the checkout
    code = f"import lilliput.base.cache\n{AS_ANOTHER.format(user=ANOTHER)}"
    done = subprocess.run([sys.executable, "-c", code], env={**kept, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


@as_root
def test_a_user_without_a_name_and_home_has_a_cache():
    with tempfile.TemporaryDirectory() as place:  # those of pytest are closed to other users
        os.chmod(place, 0o777)
        (folder, writable), errors = _as_another(TMPDIR=place)
    assert (folder, writable, errors) == (f"{place}/lilliput-{ANOTHER}", "True", "")


@as_root
def test_a_home_that_cannot_be_written_or_read_is_named_in_one_line():
    home = Path("/root")  # root's own, closed to all others
    if not home.is_dir() or home.stat().st_mode & 0o007:
        pytest.skip("root's home is open here")
    (folder, writable), errors = _as_another(HOME=str(home))
    assert Path(folder).name.startswith("lilliput-")
    assert writable == "True"
    assert errors.count("\n") == 1
    assert "cannot be written" in errors
    assert "LILLIPUT_CACHE" in errors
    assert cache_folder() != Path(folder)
