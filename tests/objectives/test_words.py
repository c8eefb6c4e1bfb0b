"""Word reversal is an exact involution on any text."""

from hypothesis import given
from hypothesis import strategies as st

from lilliput.objectives.words import reverse_words


def test_the_example() -> None:
    assert reverse_words("butterfly in the sky.") == ".sky the in butterfly"


def test_marks_are_pieces_of_their_own_and_gaps_stay_whole() -> None:
    assert reverse_words('She said, "No!" -- \n\nand left') == 'left and -- \n\n"!No" ,said She'


@given(st.text())
def test_involution_on_any_text(text: str) -> None:
    assert reverse_words(reverse_words(text)) == text


@given(st.text(alphabet="ab'7_ .\"?!,-\n\u00e9\u0301\u0664"))
def test_involution_where_pieces_meet(text: str) -> None:
    assert reverse_words(reverse_words(text)) == text
    assert sorted(reverse_words(text)) == sorted(text)
