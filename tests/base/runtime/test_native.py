"""C++ that is built on the machine: once, for this processor, from its source and headers."""

import subprocess
import sys

import pytest

from lilliput.base import machine
from lilliput.base.errors import ConfigError
from lilliput.base.runtime import libraries, native

pytestmark = pytest.mark.skipif(machine.compiler() is None, reason="no C++ compiler")


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "answer.h").write_text("inline int answer() { return 42; }\n")
    file = tmp_path / "answer.cpp"
    file.write_text('#include "answer.h"\nextern "C" int ask() { return answer(); }\n')
    return file


def _built(source):
    """What a fresh process would get, and how many builds are kept."""
    library = native.build.__wrapped__(source)
    return library.ask(), len(list((source.parent / "cache" / "native").glob("*.so")))


def test_a_build_is_kept_until_its_source_or_a_header_changes(source):
    assert _built(source) == (42, 1)
    assert _built(source) == (42, 1)
    (source.parent / "answer.h").write_text("inline int answer() { return 43; }\n")
    assert _built(source) == (43, 2)


def _damage(library, harm):
    content = library.read_bytes()
    halves = {"cut": content[: len(content) // 2], "empty": b"", "NUL": bytes(len(content))}
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0x10
    library.unlink()  # the file itself is loaded, and its memory ends with it
    library.write_bytes(halves.get(harm, bytes(flipped)))


@pytest.mark.parametrize("harm", ["cut", "empty", "NUL", "flip"])
@pytest.mark.parametrize("part", ["*.so", "*.sha256"])
def test_a_damaged_build_is_made_anew_before_it_is_loaded(source, harm, part):
    assert _built(source) == (42, 1)
    (library,) = (source.parent / "cache" / "native").glob("*.so")
    content = library.read_bytes()
    (damaged,) = library.parent.glob(part)
    _damage(damaged, harm)
    # in a process of its own, which damage that is not seen would kill
    program = "import pathlib, sys\nfrom lilliput.base.runtime import native\n"
    program += "print(native.build(pathlib.Path(sys.argv[1])).ask())"
    done = subprocess.run([sys.executable, "-c", program, str(source)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    assert libraries.whole(library)
    assert len(library.read_bytes()) == len(content)


def test_what_cannot_be_loaded_is_not_kept(source):
    source.write_text('extern "C" int elsewhere(); extern "C" int ask() { return elsewhere(); }\n')
    with pytest.raises(ConfigError, match="undefined symbol: elsewhere"):
        _built(source)
    assert list((source.parent / "cache" / "native").iterdir()) == []


def test_what_kills_the_process_that_loads_it_is_not_kept(source):
    source.write_text("__attribute__((constructor)) static void begin() { __builtin_trap(); }\n")
    with pytest.raises(ConfigError, match="loading it ends with SIGILL"):
        _built(source)
    assert list((source.parent / "cache" / "native").iterdir()) == []


def test_machines_of_one_name_that_know_other_instructions_have_builds_of_their_own(source, monkeypatch):
    monkeypatch.setattr(machine, "cpu_name", lambda: "AMD EPYC")
    monkeypatch.setattr(machine, "features", lambda: ["avx2"])
    assert _built(source) == (42, 1)
    monkeypatch.setattr(machine, "features", lambda: ["avx2", "avx512_bf16"])
    assert _built(source) == (42, 2)
