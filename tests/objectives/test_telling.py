"""Prompts and told texts in both directions: what was given is kept exactly, whatever the model adds."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.base.errors import ConfigError
from lilliput.data.config import TokenizerConfig
from lilliput.data.document import Document
from lilliput.data.tokenizer import Tokenizer
from lilliput.objectives.causal import Causal
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.reversed import Reversed
from lilliput.objectives.words import WORD, reverse_words

TEXT = 'Once upon a time, a cat saw a butterfly in the sky. "Oh!" said the cat. They were happy, and it was good.\n\n'

SIZE = 330


def texts() -> Iterator[str]:
    words = TEXT.split(" ")
    for number in range(300):
        yield " ".join(words[number % 7 :]) + f"Day {number} of {number * 7919}. " + reverse_words(TEXT)


@pytest.fixture(scope="module", params=["bpe", "sentencepiece"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train(texts(), TokenizerConfig(vocab_size=SIZE, kind=request.param))


def test_encoding_puts_bounds_round_every_story(tokenizer: Tokenizer) -> None:
    (row,) = Causal().encode([Document(TEXT, "a")], tokenizer)
    assert row.ids[0] == tokenizer.bos_id
    assert row.ids[-1] == tokenizer.eos_id
    assert tokenizer.decode(list(row.ids)[1:-1]) == TEXT


def test_both_reversed_arms_keep_the_bounds_in_reading_order(tokenizer: Tokenizer) -> None:
    (forwards,) = Causal().encode([Document(TEXT, "a")], tokenizer)
    (by_token,) = Reversed(by="token").encode([Document(TEXT, "a")], tokenizer)
    (by_word,) = Reversed(by="word").encode([Document(TEXT, "a")], tokenizer)
    assert list(by_token.ids) == [tokenizer.bos_id, *forwards.ids[1:-1][::-1], tokenizer.eos_id]
    assert (by_word.ids[0], by_word.ids[-1]) == (tokenizer.bos_id, tokenizer.eos_id)
    assert reverse_words(tokenizer.decode(list(by_word.ids)[1:-1])) == TEXT


@pytest.mark.parametrize("by", ["word", "token"])
@given(ids=st.lists(st.integers(0, SIZE - 1), max_size=12))
@pytest.mark.parametrize("ending", ["butterfly in the sky.", "The end", '"Oh!"', "."])
def test_a_generated_text_ends_exactly_as_asked(tokenizer: Tokenizer, by: str, ids: list[int], ending: str) -> None:
    objective = Reversed(by=by)  # type: ignore[arg-type]
    assert objective.text_of(tokenizer, None, ending, ids).endswith(ending)


@pytest.mark.parametrize("ending", ["butterfly in the sky.", '"Oh!"', ""])
@pytest.mark.parametrize("objective", [Reversed(by="word"), Reversed(by="token"), Causal()], ids=["word", "token", ""])
@given(ids=st.lists(st.integers(0, SIZE - 1), max_size=24))
def test_a_reader_gives_the_generated_text_piece_by_piece(
    tokenizer: Tokenizer, objective: ObjectiveConfig, ending: str, ids: list[int]
) -> None:
    sides = (ending, None) if objective.reads_forwards else (None, ending)
    reader = objective.reader(tokenizer, *sides)
    pieces = [reader.push(number) for number in ids]
    assert reader.characters >= len("".join(pieces))
    pieces.append(reader.flush())
    assert reader.characters == len("".join(pieces))
    if objective.reads_forwards:
        assert ending + "".join(pieces) == objective.text_of(tokenizer, *sides, ids)
    else:
        assert "".join(reversed(pieces)) + ending == objective.text_of(tokenizer, *sides, ids)


@given(ids=st.lists(st.integers(0, SIZE - 1), max_size=12), opening=st.text(max_size=20))
def test_a_generated_text_begins_exactly_as_asked(tokenizer: Tokenizer, ids: list[int], opening: str) -> None:
    assert Causal().text_of(tokenizer, opening, None, ids).startswith(opening)


@pytest.mark.parametrize("by", ["word", "token"])
def test_the_rest_of_a_story_comes_back_from_its_own_ids(tokenizer: Tokenizer, by: str) -> None:
    objective = Reversed(by=by)  # type: ignore[arg-type]
    ending = "They were happy."
    story = "A cat saw a butterfly. " + ending
    (row,) = objective.encode([Document(story, "a")], tokenizer)
    prompt = objective.prompt(tokenizer, None, ending)
    assert list(row.ids[: len(prompt.ids)]) == prompt.ids
    assert objective.text_of(tokenizer, None, ending, list(row.ids)[len(prompt.ids) : -1]) == story


def test_the_first_new_word_cannot_grow_into_the_ending(tokenizer: Tokenizer) -> None:
    prompt = Reversed(by="word").prompt(tokenizer, None, "butterfly in the sky.")
    assert prompt.forbidden
    assert all(WORD.match(tokenizer.decode([i])) for i in prompt.forbidden)
    assert tokenizer.encode(" a")[0] not in prompt.forbidden
    assert not Reversed(by="word").prompt(tokenizer, None, '"Oh!"').forbidden


def test_the_wrong_side_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="reads forwards"):
        Causal().prompt(tokenizer, None, "The end.")
    with pytest.raises(ConfigError, match="reads backwards"):
        Reversed().prompt(tokenizer, "Once", None)
