"""Texts: the ids that a model reads, and the reading order of a person."""

from dataclasses import replace

import pytest

from lilliput.base.errors import ConfigError
from lilliput.lens.instrument import INSTRUMENTS
from lilliput.lens.texts import ids_of, no_next_token, piece, reading_order, reading_texts, sibling_of, text_of
from lilliput.objectives.masked import Masked
from lilliput.objectives.reversed import Reversed
from tests.lens.subjects import subject

TEXT = "Once upon a time, there was a little xylophone."


def read(generator) -> str:
    ids = ids_of(generator, TEXT)
    order = reading_order(generator, ids)
    assert sorted(order) == list(range(len(ids)))
    return "".join(piece(generator, ids[place]) for place in order if ids[place] != generator.tokenizer.bos_id)


def test_a_model_that_reads_forwards_reads_in_order():
    generator = subject().generator
    assert read(generator) == TEXT
    assert ids_of(generator, TEXT)[0] == generator.tokenizer.bos_id


def test_words_of_a_reversed_model_are_in_a_persons_order():
    generator = subject(objective=Reversed(by="word")).generator
    ids = ids_of(generator, TEXT)
    assert piece(generator, ids[1]) == "."  # the model begins at the end
    assert len(generator.tokenizer.encode(" xylophone")) > 1
    assert read(generator).replace(" ", "") == TEXT.replace(" ", "")
    assert text_of(generator, ids) == TEXT


def test_tokens_of_a_reversed_model_are_in_a_persons_order():
    generator = subject(objective=Reversed(by="token")).generator
    assert read(generator).strip() == TEXT
    assert text_of(generator, ids_of(generator, TEXT)) == TEXT


@pytest.mark.parametrize("objective", [None, Reversed(by="word"), Reversed(by="token")])
def test_pieces_in_a_persons_order_make_the_text(objective):
    generator = subject(objective=objective, context_length=96).generator
    text = 'One day, Tom said, "I have a little xylophone." He was glad.\n\nThen he slept.'
    ids = ids_of(generator, text)[1:]
    found = reading_texts(generator, ids)
    assert list(found) == reading_order(generator, ids)
    assert "".join(found.values()).strip() == text
    bos = generator.tokenizer.bos_id
    assert reading_texts(generator, [bos, *ids])[0] == generator.tokenizer.token(bos)


def test_special_tokens_have_their_name_and_unknown_ids_a_question_mark():
    generator = subject().generator
    assert piece(generator, generator.tokenizer.bos_id) == generator.tokenizer.token(generator.tokenizer.bos_id)
    assert piece(generator, 10_000) == "?"


def test_a_text_longer_than_the_context_is_refused():
    with pytest.raises(ConfigError, match="the model's context has 24"):
        ids_of(subject().generator, TEXT * 4)


def test_a_model_that_generates_no_text_has_nothing_to_explain():
    assert "generates no text" in no_next_token(subject(objective=Masked()).generator)
    assert no_next_token(subject().generator) == ""


@pytest.mark.parametrize("name", ["logit_lens", "attribution", "patching", "embeddings"])
def test_another_seed_stands_beside_the_model(name, monkeypatch):
    monkeypatch.setattr("lilliput.lens.patching_section.reads_names", lambda *given: True)  # random weights read none
    made = subject(with_sibling=True)
    instrument = INSTRUMENTS[name]()
    found, alone = instrument.measure(made), instrument.measure(subject())
    section = instrument.section(found)
    assert "another seed" in section
    assert "another seed" not in instrument.section(alone)


def test_another_seed_with_other_tokens_is_left_out():
    made, other = subject(with_sibling=True), subject(objective=Reversed())
    assert sibling_of(made) is made.sibling
    assert sibling_of(replace(made, sibling=other.generator)) is None
    assert sibling_of(subject()) is None
