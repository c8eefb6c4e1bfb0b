"""Files: finding, opening, decoding, and every way in which that fails."""

import gzip

import pytest
import zstandard

from lilliput.base.errors import DataError
from lilliput.data import files
from lilliput.data.files import expand, lines, reading, text_blocks
from lilliput.data.source import Errors
from lilliput.data.text import Text

SUFFIXES = (".txt",)


def read(path, errors: Errors = "strict"):
    return "".join(text_blocks(path, errors))


def test_folders_globs_and_files_in_the_order_given(tmp_path):
    for name in ("b.txt", "a.txt.gz", "deep/c.txt", "d.csv", ".hidden.txt", ".git/e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "empty.txt").touch()
    folder = [path.relative_to(tmp_path).as_posix() for path in expand([str(tmp_path)], SUFFIXES)]
    assert folder == ["a.txt.gz", "b.txt", "deep/c.txt"]
    assert [path.name for path in expand([f"{tmp_path}/*.csv", f"{tmp_path}/b.txt"], SUFFIXES)] == ["d.csv", "b.txt"]
    assert [path.name for path in expand([f"{tmp_path}/**/c.*"], SUFFIXES)] == ["c.txt"]
    assert len(expand([str(tmp_path), f"{tmp_path}/b.txt"], SUFFIXES)) == 3  # no file twice


def test_a_missing_path_names_its_neighbour(tmp_path):
    (tmp_path / "stories.txt").write_text("x")
    with pytest.raises(DataError, match=r"storys.txt does not exist \(did you mean 'stories.txt'\?\)"):
        expand([str(tmp_path / "storys.txt")], SUFFIXES)
    with pytest.raises(DataError, match=r"there is no folder"):
        expand([str(tmp_path / "no/where.txt")], SUFFIXES)


def test_an_empty_file_that_is_named_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.touch()
    with pytest.raises(DataError, match=r"a.txt is empty \(0 bytes\)"):
        expand([str(path)], SUFFIXES)


def test_a_folder_or_glob_without_readable_files_is_refused(tmp_path):
    (tmp_path / "a.pdf").write_text("x")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(DataError, match=r"holds no readable .txt file \(1 empty\)"):
        expand([str(tmp_path)], SUFFIXES)
    with pytest.raises(DataError, match=r"no file matches .*\*.md"):
        expand([f"{tmp_path}/*.md"], SUFFIXES)


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz", ".txt.zst"])
def test_compression_is_read_as_it_is(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 2)
    text = "\ufeffOnce upon a time – über 🙂\n" * 40
    pack = {".txt": bytes, ".txt.gz": gzip.compress, ".txt.zst": zstandard.compress}[suffix]
    path = tmp_path / f"a{suffix}"
    # Two members after each other, as `cat a.gz b.gz` makes them.
    path.write_bytes(pack(text.encode()) + pack(b"end"))
    assert read(path) == text.removeprefix("\ufeff") + "end"


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-20], lambda data: data[:30] + b"#####" + data[35:], lambda data: b"no"]
)
def test_damaged_archives_are_named(tmp_path, suffix, damage):
    data = bytes(range(1, 128)) * 40
    pack = {".gz": gzip.compress, ".zst": lambda d: zstandard.ZstdCompressor(write_checksum=True).compress(d)}[suffix]
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(damage(pack(data)))
    with pytest.raises(DataError, match=f"a.txt{suffix}"):
        read(path)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 2**20])
def test_invalid_utf8_names_the_byte_and_replace_goes_on(tmp_path, monkeypatch, size):
    monkeypatch.setattr(files, "BLOCK_BYTES", size)
    path = tmp_path / "a.txt"
    path.write_bytes("né 🙂".encode() + b"\xe2\x28" + b" on")
    with pytest.raises(DataError, match=r"a.txt is not UTF-8 at byte 8 \(0xe2.*\n.*data.errors=replace"):
        read(path)
    assert read(path, "replace") == "né 🙂\ufffd( on"


def test_a_character_cut_off_at_the_end_of_the_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"ab\xf0\x9f")
    with pytest.raises(DataError, match="at byte 2"):
        read(path)
    assert read(path, "replace") == "ab\ufffd"


def test_binary_and_utf16_files_say_what_they_are(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"PNG\x00\x01")
    with pytest.raises(DataError, match=r"binary file, not text .a NUL byte at byte 3"):
        read(path, "replace")
    path.write_bytes("hello".encode("utf-16-le"))
    with pytest.raises(DataError, match=r"binary file(?s:.*)UTF-16 without its byte order mark: iconv"):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_with_its_mark_is_read_as_the_text_it_is(tmp_path, encoding):
    path = tmp_path / "a.txt"
    text = "naïve 東京 🦊\n" * 1000
    path.write_bytes(("\ufeff" + text).encode(encoding))
    assert read(path) == text
    path.write_bytes(("\ufeff" + text).encode(encoding)[:-1])
    with pytest.raises(DataError, match="is not UTF-16"):
        read(path)


def test_latin1_gets_the_command_that_converts_it(tmp_path):
    path = tmp_path / "a b.txt"
    path.write_bytes("café".encode("latin-1"))
    with pytest.raises(
        DataError,
        match=r"not UTF-8 at byte 3(?s:.*)data.errors=replace.*iconv -f LATIN1 -t UTF-8 '.*a b.txt' > utf8.txt$",
    ):
        read(path)


def test_links_to_folders_are_followed_once(tmp_path):
    inside, linked = tmp_path / "data", tmp_path / "elsewhere"
    inside.mkdir()
    linked.mkdir()
    (inside / "a.txt").write_text("a")
    (linked / "b.txt").write_text("b")
    (inside / "sub").symlink_to(linked, target_is_directory=True)
    (inside / "again").symlink_to(linked, target_is_directory=True)
    (linked / "loop").symlink_to(inside, target_is_directory=True)
    found = files.expand([str(inside)], (".txt",))
    assert sorted(path.name for path in found) == ["a.txt", "b.txt"]


def test_no_permission_is_reported_with_the_command_that_helps(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("x")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "byte_blocks", refuse)
    with pytest.raises(DataError, match=r"no permission to read .*a.txt\n.*chmod u\+r"):
        read(path)


def test_other_failures_of_the_disk_are_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*: Input/output error"), reading(tmp_path / "a"):
        raise OSError(5, "Input/output error")


def test_a_pipe_is_refused(tmp_path):
    import os

    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(DataError, match="not a regular file"):
        expand([str(path)], SUFFIXES)


def test_lines_across_blocks_and_without_a_last_newline(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 3)
    path = tmp_path / "a.jsonl"
    path.write_bytes("one\n\nthr\u2028ee\x0b\nfour".encode())
    assert list(lines(path, "strict")) == [(1, "one\n"), (2, "\n"), (3, "thr\u2028ee\x0b\n"), (4, "four")]


def test_a_huge_line_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_DOCUMENT_CHARACTERS", 50)
    monkeypatch.setattr(files, "BLOCK_BYTES", 10)
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n" + "x" * 10_000)
    with pytest.raises(DataError, match="line 2 is longer than 50 characters"):
        list(lines(path, "strict"))


def test_one_line_describes_a_source(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo")
    text = Text(paths=(str(path),)).describe()
    assert text.startswith(f"text: {path}, 8 bytes, split on blank lines · ")
    assert "\n" not in text
