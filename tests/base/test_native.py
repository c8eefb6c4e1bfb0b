"""C++ that is built on the machine: once, for this processor, from its source and headers."""

import pytest

from lilliput.base import machine, native

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
    return library.ask(), len(list((source.parent / "cache" / "native").iterdir()))


def test_a_build_is_kept_until_its_source_or_a_header_changes(source):
    assert _built(source) == (42, 1)
    assert _built(source) == (42, 1)
    (source.parent / "answer.h").write_text("inline int answer() { return 43; }\n")
    assert _built(source) == (43, 2)


def test_machines_of_one_name_that_know_other_instructions_have_builds_of_their_own(source, monkeypatch):
    monkeypatch.setattr(machine, "cpu_name", lambda: "AMD EPYC")
    monkeypatch.setattr(machine, "features", lambda: ["avx2"])
    assert _built(source) == (42, 1)
    monkeypatch.setattr(machine, "features", lambda: ["avx2", "avx512_bf16"])
    assert _built(source) == (42, 2)
