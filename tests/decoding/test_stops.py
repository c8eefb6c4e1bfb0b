import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.base.errors import ConfigError
from lilliput.decoding.stops import StopText


def feed(stops, pieces):
    """What is shown piece by piece, and whether it stopped."""
    stopper, shown, stopped = StopText(stops), [], False
    for piece in pieces:
        text, stopped = stopper.push(piece)
        shown.append(text)
    return [*shown, stopper.flush()], stopped


def test_a_stop_string_split_over_pieces_is_never_shown():
    assert feed(["\n\n"], ["one\n", "two", "\n", "\nthree"]) == (["one", "\ntwo", "", "", ""], True)
    assert feed(["END"], ["the E", "N", "D of it"]) == (["the ", "", "", ""], True)


def test_what_only_looked_like_a_stop_string_is_shown_as_soon_as_that_is_clear():
    assert feed(["END"], ["the E", "N", "d of it"]) == (["the ", "", "ENd of it", ""], False)
    assert feed(["aab"], ["a", "a", "a", "b"]) == (["", "", "a", "", ""], True)


def test_what_was_held_back_comes_out_at_the_end():
    assert feed(["END"], ["the EN"]) == (["the ", "EN"], False)


def test_nothing_is_shown_after_a_stop():
    stopper = StopText(["."])
    assert stopper.push("a.b") == ("a", True)
    assert stopper.push("c") == ("", True)
    assert stopper.flush() == ""


def test_without_stop_strings_everything_passes():
    assert feed([], ["a", "", "b"]) == (["a", "", "b", ""], False)


def test_an_empty_stop_string_is_refused():
    with pytest.raises(ConfigError, match="empty"):
        StopText(["a", ""])


def whole(stops, text):
    """The text before the stop string that is complete first, the longest of those; all of it where none is."""
    for end in range(len(text) + 1):
        begins = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if begins:
            return text[: min(begins)], True
    return text, False


@given(st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.lists(st.text("abc", max_size=4), max_size=8))
def test_how_the_text_is_cut_does_not_matter(stops, pieces):
    shown, stopped = feed(stops, pieces)
    assert ("".join(shown), stopped) == whole(stops, "".join(pieces))
