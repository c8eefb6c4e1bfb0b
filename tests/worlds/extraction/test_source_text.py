"""Source texts: words with a space before each, and places in the text that was given."""

from hypothesis import given
from hypothesis import strategies as st

from lilliput.worlds.extraction.source_text import SourceText


def test_spans_are_places_in_the_given_text() -> None:
    text = "  Ada\n\tMoss, (Ada)  saw Adams; Ada Moss."
    source = SourceText(text)
    assert source.shown == " Ada Moss, (Ada) saw Adams; Ada Moss."
    assert [text[a:b] for a, b in source.spans("Ada Moss")] == ["Ada\n\tMoss", "Ada Moss"]
    assert [a for a, _ in source.spans("Ada")] == [2, 14, 31]  # Adams is another word
    assert list(source.spans("Adam")) == list(source.spans("")) == list(source.spans("Bo")) == []


def test_a_window_has_places_of_the_whole_text() -> None:
    text = "Bo saw Ida. Bo ran."
    assert list(SourceText(text, 12).spans("Bo")) == [(12, 14)]
    assert SourceText(text, 3, 10).shown == " saw Ida"


def test_marks_and_wide_letters_stand_alone() -> None:
    assert SourceText("e\u0301te\u0301 Moss-Berg's 3,5").chunks == [
        " e\u0301te\u0301",
        " Moss",
        "-",
        "Berg",
        "'",
        "s",
        " 3",
        ",",
        "5",
    ]
    assert SourceText("東京に").chunks == [" 東", "京", "に"]


@given(st.text(max_size=60))
def test_chunks_make_the_text_and_each_is_found(text: str) -> None:
    source = SourceText(text)
    assert "".join(source.chunks) == source.shown
    at = 0
    for chunk in source.chunks:
        places = list(source.spans(chunk))
        assert places
        assert all(text[a:b] == chunk.strip() for a, b in places)
        at += len(chunk)
