"""Entries of the cache: listed with their size and age, and removed only where no running process uses them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.base.cache import private_folder
from lilliput.base.cache_contents import KINDS, entries, prune
from lilliput.base.cache_use import claim, hold
from lilliput.base.errors import ConfigError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with an entry of each kind, the speeds 40 days old."""
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    for kind in KINDS:
        folder = private_folder(kind)
        if kind in ("tokens", "tokenizers"):
            (folder / "some").mkdir()
            folder = folder / "some"
        (folder / "one.so").write_text("x" * 10)
    (private_folder("native") / "one.so.sha256").write_text("hash")
    old = time.time() - 40 * 86400
    os.utime(private_folder("machine") / "one.so", (old, old))
    return tmp_path / "cache"


def _names(found: list) -> list[str]:
    return [entry.kind for entry in found]


def _mine(folder: Path, found: list) -> list:
    """Without those of the temporary cache, which other processes fill."""
    return [entry for entry in found if entry.path.is_relative_to(folder)]


def test_every_entry_is_listed_once(filled: Path):
    found = _mine(filled, entries())
    assert _names(found) == list(KINDS)
    assert {entry.size for entry in found} == {10}
    assert not any(entry.used for entry in found)
    (speeds,) = _mine(filled, entries(["machine"]))
    assert 39 < speeds.age / 86400 < 41
    with pytest.raises(ConfigError, match="did you mean 'tokens'"):
        entries(["token"])


def test_old_ones_are_removed_and_a_trial_removes_nothing(filled: Path):
    for dry_run in (True, False):
        removed, _ = prune(older=30 * 86400.0, dry_run=dry_run)
        assert _names(_mine(filled, removed)) == ["machine"]
        assert (filled / "machine" / "one.so").exists() == dry_run
    assert (filled / "tokens" / "some").exists()


def test_a_kind_is_removed_with_what_belongs_to_it(filled: Path):
    removed, _ = prune(["native"])
    assert _names(_mine(filled, removed)) == ["native"]
    assert list((filled / "native").iterdir()) == []
    assert (filled / "tokens" / "some").exists()


def test_answers_of_a_judge_go_only_where_they_are_named(filled: Path):
    removed, _ = prune()
    assert _names(_mine(filled, removed)) == [kind for kind in KINDS if kind != "judge"]
    removed, _ = prune(["judge"])
    assert _names(_mine(filled, removed)) == ["judge"]


HOLD = """
import sys
from pathlib import Path
from lilliput.base.cache_use import hold
held = hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_what_another_process_uses_stays(filled: Path):
    path = filled / "tokens" / "some"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        (entry,) = _mine(filled, entries(["tokens"]))
        assert entry.used
        removed, stayed = prune(["tokens"])
        assert (_mine(filled, removed), _names(_mine(filled, stayed))) == ([], ["tokens"])
        process.communicate("")
    assert path.exists()
    removed, _ = prune(["tokens"])
    assert _names(_mine(filled, removed)) == ["tokens"]
    assert not path.exists()


def test_a_hold_counts_as_a_use_and_ends_with_its_object(filled: Path):
    path = filled / "machine" / "one.so"
    held = hold(path)
    assert held is not None
    assert _mine(filled, entries(["machine"]))[0].age < 60
    assert claim(path) is None
    del held
    assert claim(path) is not None
    assert hold(filled / "gone") is None
