"""Text files: separators, found and given."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.base.errors import DataError
from lilliput.data import text as module
from lilliput.data.text import BLANK_LINES, Text, _split


def texts_of(path, **options):
    return [document.text for document in Text(paths=(str(path),), **options).documents()]


def test_end_of_text_wins_over_blank_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\nOne.\n\nStill one.\n<|endoftext|>\nTwo.\n<|endoftext|>\n\n")
    assert texts_of(path) == ["One.\n\nStill one.", "Two."]
    assert "split on '<|endoftext|>'" in Text(paths=(str(path),)).describe()


def test_blank_line_groups_where_blank_lines_may_hold_spaces(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("First:\nSpeak.\n \t\nAll:\nSpeak, speak.\r\n\r\n\n\nEnd.\n")
    assert texts_of(path) == ["First:\nSpeak.", "All:\nSpeak, speak.", "End."]
    assert "split on blank lines" in Text(paths=(str(path),)).describe()


def test_whole_file_when_nothing_separates(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\nOne line.\nAnother.\n")
    assert texts_of(path) == ["One line.\nAnother."]
    assert "each file is one document" in Text(paths=(str(path),)).describe()


def test_each_file_of_a_folder_is_split_and_reported(tmp_path):
    (tmp_path / "a.txt").write_text("a<|endoftext|>b")
    (tmp_path / "b.txt").write_text("c\n\nd")
    source = Text(paths=(str(tmp_path),))
    assert [document.text for document in source.documents()] == ["a", "b", "c", "d"]
    assert [document.id.rpartition("/")[2] for document in source.documents()] == [
        "a.txt#0",
        "a.txt#1",
        "b.txt#0",
        "b.txt#1",
    ]
    assert "'<|endoftext|>' (1 files), blank lines (1 files)" in source.describe()


@pytest.mark.parametrize(
    ("separator", "expected"),
    [
        ("\n", ["a.b", "c", "d"]),
        (".", ["a", "b\n\nc\nd"]),
        ("blank_lines", ["a.b", "c\nd"]),
        ("whole_file", ["a.b\n\nc\nd"]),
    ],
)
def test_a_given_separator_is_taken_literally(tmp_path, separator, expected):
    path = tmp_path / "a.txt"
    path.write_text("a.b\n\nc\nd\n")
    assert texts_of(path, separator=separator) == expected


@given(st.text("ab \n|", max_size=60), st.integers(1, 7), st.sampled_from(["blank_lines", "\n", "||", "|\n"]))
def test_splitting_does_not_depend_on_where_blocks_end(text, size, separator):
    blocks = [text[start : start + size] for start in range(0, len(text), size)]
    pattern = BLANK_LINES if separator == "blank_lines" else re.compile(re.escape(separator))
    whole = [part.strip() for part in pattern.split(text) if part.strip()]
    assert list(_split(blocks, separator, Path("a.txt"))) == whole


def test_a_document_beyond_the_largest_is_refused_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_DOCUMENT_CHARACTERS", 100)
    path = tmp_path / "a.txt"
    path.write_text("x" * 101)
    with pytest.raises(DataError, match=r"longer than 100 characters.*\n.*separator"):
        texts_of(path)


def test_the_fingerprint_follows_content_and_options_but_not_the_date(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\n\ntwo")
    first = Text(paths=(str(path),)).fingerprint()
    path.touch()
    assert Text(paths=(str(path),)).fingerprint() == first
    assert Text(paths=(str(path),), weight=2).fingerprint() == first
    assert Text(paths=(str(path),), separator="\n").fingerprint() != first
    path.write_text("one\n\ntow")
    assert Text(paths=(str(path),)).fingerprint() != first


def test_tiny_shakespeare_is_one_document_a_speech(shared_data):
    source = Text(paths=(str(shared_data / "prose/tinyshakespeare.txt"),))
    documents = list(source.documents())
    assert len(documents) == 7222
    assert documents[0].text == "First Citizen:\nBefore we proceed any further, hear me speak."


def test_tiny_stories_are_split_on_their_mark(shared_data):
    texts = [document.text for document in Text(paths=(str(shared_data / "tinystories"),)).documents()]
    assert len(texts) == 4045
    assert not any("<|endoftext|>" in text or not text for text in texts)
