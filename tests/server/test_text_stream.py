"""Pieces of a text: stop strings and characters in parts, whichever way the model reads, and which tokens they hold."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.engine import Request, Token
from lilliput.objectives.causal import Causal
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.reversed import Reversed
from lilliput.server.text_stream import Order, Piece, TextStream

DIRECTIONS = {"forwards": Causal(), "by word": Reversed(by="word"), "by token": Reversed(by="token")}


def pieces_of(
    tokenizer: Tokenizer, objective: ObjectiveConfig, ids: list[int], stops: tuple[str, ...] = (), forced: int = 0
) -> list[Piece]:
    """The pieces of a text that the engine generates as `ids`, the first `forced` of them as part of the prompt."""
    order = Order(
        Request((tokenizer.bos_id, *ids[:forced])),
        objective.reader(tokenizer, None, None),
        stops,
        echoed=forced,
        forced=forced,
        forwards=objective.reads_forwards,
    )
    stream, pieces = TextStream(order), []
    tokens = [Token(number, -1.0) for number in ids[forced:]] + [Token(tokenizer.eos_id, -1.0, finish="stop")]
    for token in tokens:
        for piece in stream.hear(token, None):
            pieces.append(piece)
            if piece.finish:
                return pieces
    raise AssertionError("the text has no end")


def join(pieces: list[Piece], objective: ObjectiveConfig) -> Piece:
    whole = Piece()
    for piece in pieces:
        whole = whole.joined(piece, objective.reads_forwards)
    return whole


@pytest.mark.parametrize("objective", DIRECTIONS.values(), ids=DIRECTIONS)
@given(data=st.data())
def test_a_text_ends_before_the_first_stop_string_however_it_is_cut(
    tokenizer: Tokenizer, objective: ObjectiveConfig, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.integers(3, tokenizer.vocab_size - 1), min_size=1, max_size=20))
    text = objective.text_of(tokenizer, None, None, ids)
    start = data.draw(st.integers(0, max(0, len(text) - 1)))
    stop = text[start : start + data.draw(st.integers(1, 5))] or "absent"
    forced = data.draw(st.integers(0, len(ids)))
    whole = join(pieces_of(tokenizer, objective, ids, (stop,), forced), objective)
    if stop not in text:
        expected = text
    elif objective.reads_forwards:
        expected = text[: text.index(stop)]
    else:
        expected = text[text.rindex(stop) + len(stop) :]
    assert whole.text == expected
    assert whole.finish == "stop"


@pytest.mark.parametrize("objective", DIRECTIONS.values(), ids=DIRECTIONS)
@given(data=st.data())
def test_every_token_comes_once_and_in_order(
    tokenizer: Tokenizer, objective: ObjectiveConfig, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=20))
    whole = join(pieces_of(tokenizer, objective, ids), objective)
    assert [shown.token.id for shown in whole.tokens] == [*ids, tokenizer.eos_id]
    assert whole.text == objective.text_of(tokenizer, None, None, ids)


def test_the_bytes_of_a_character_come_as_one_piece(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode_bytes("é".encode()[:1]) + tokenizer.encode_bytes("é".encode()[1:])
    assert len(ids) == 2
    pieces = [piece for piece in pieces_of(tokenizer, Causal(), ids) if piece.tokens]
    assert [(piece.text, [shown.token.id for shown in piece.tokens]) for piece in pieces] == [
        ("é", ids),
        ("", [tokenizer.eos_id]),
    ]


def test_half_a_character_at_the_end_is_shown_as_damaged(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode_bytes("é".encode()[:1])
    assert join(pieces_of(tokenizer, Causal(), ids), Causal()).text == "\ufffd"


def test_what_may_begin_a_stop_string_is_held_back(tokenizer: Tokenizer) -> None:
    ids = [number for letter in "xEND!" for number in tokenizer.encode(letter, continuing=True)]
    pieces = pieces_of(tokenizer, Causal(), ids, ("END.",))
    assert [piece.text for piece in pieces] == ["x", "", "", "", "END!", ""]
    cut = join(pieces_of(tokenizer, Causal(), ids, ("ND",)), Causal())
    assert (cut.text, [shown.token.id for shown in cut.tokens]) == ("xE", ids[:2])


def test_a_word_generated_backwards_comes_whole(tokenizer: Tokenizer) -> None:
    objective = Reversed(by="word")
    words = ["Umbrella", "forty", "puddle", "was"]
    ids = tokenizer.encode(objective.view(" ".join(words) + "."))
    pieces = pieces_of(tokenizer, objective, ids)
    for word in words:
        (piece,) = [piece for piece in pieces if word in piece.text]
        assert piece.tokens
    assert len(pieces) > len(words)


def test_offsets_count_from_where_the_text_grows(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("One day Tom saw a kite")
    shown = join(pieces_of(tokenizer, Causal(), ids), Causal()).tokens
    for one, following in pairwise(shown):
        assert following.offset - one.offset == len(tokenizer.decode([one.token.id or 0], continuing=True))
