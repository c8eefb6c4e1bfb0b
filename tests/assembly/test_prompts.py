"""Prompts of a run: openings for models that continue stories, requests for models that reply."""

import pytest

from lilliput.assembly.prompts import fitting, knows_stories
from lilliput.assembly.recipe import load
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer


@pytest.mark.parametrize(("recipe", "known"), [("story", True), ("distill", True), ("chat", False), ("grpo", False)])
def test_openings_of_stories_are_for_models_that_continue_them(recipe: str, known: bool) -> None:
    """The recipe chat has stories among its sources, and its model is shown by replies to requests."""
    assert knows_stories(load(recipe)) is known


def test_a_prompt_keeps_the_words_next_to_the_new_text() -> None:
    tokenizer = Tokenizer.train(["one two three four five six"] * 9, TokenizerConfig(vocab_size=280))
    room = len(tokenizer.encode("one two three"))
    assert fitting("one two three four", tokenizer, True, room) == "one two three"
    last = fitting("four one two three", tokenizer, False, room)
    assert "four one two three".endswith(last)
    assert 0 < len(tokenizer.encode(last)) <= room
