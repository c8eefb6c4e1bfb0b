"""Texts for the instruments: the ids that a model reads, and their words in the reading order of a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lilliput.base.errors import ConfigError
from lilliput.objectives.words import WORD, reverse_words

if TYPE_CHECKING:
    from lilliput.generation.text_generator import TextGenerator
    from lilliput.lens.instrument import Subject


def no_next_token(generator: TextGenerator) -> str:
    """Return why the model has no next token of a text to explain; '' for a model that continues a text."""
    if generator.objective.reads_source:
        return "its decoder reads an encoder's source, and instruments look at one text"
    kind = generator.objective.kind
    return "" if generator.objective.generates else f"a model of the objective '{kind}' generates no text"


def ids_of(generator: TextGenerator, text: str) -> list[int]:
    """Return the ids of a text in the order in which the model reads, the beginning mark included. A reversed model
    reads the text from its end. Raises ConfigError for a text longer than the context, and for a model that generates
    no text."""
    ids = prompt_ids(generator, text)
    if len(ids) > (most := generator.model.config.context_length):
        raise ConfigError(f"the text has {len(ids)} tokens, and the model's context has {most}", "shorten the text")
    return ids


def prompt_ids(generator: TextGenerator, text: str) -> list[int]:
    """Return the ids of a text of any length, as `ids_of` does."""
    sides = (text, None) if generator.objective.reads_forwards else (None, text)
    return list(generator.objective.prompt(generator.tokenizer, *sides).ids)


def tensor_of(generator: TextGenerator, text: str) -> torch.Tensor:
    """Return the ids of a text as one row, (1, T) int64, on the model's device."""
    return torch.tensor([ids_of(generator, text)], device=next(generator.model.parameters()).device)


def rows_of(subject: Subject, count: int, length: int) -> torch.Tensor:
    """Return the beginnings of at most `count` held-out rows, (N, at most length), on the model's device."""
    return subject.rows[:count, :length].to(next(subject.generator.model.parameters()).device)


def controls_of(subject: Subject) -> dict[str, TextGenerator]:
    """Return the models that stand beside the subject's model as controls, by their names."""
    other = sibling_of(subject)
    return {"untrained": subject.untrained, **({} if other is None else {"another seed": other})}


def sibling_of(subject: Subject) -> TextGenerator | None:
    """Return the model of another seed, a control. None without one, and where its tokens are others."""
    other = subject.sibling
    return other if other is not None and other.tokenizer.sha256 == subject.generator.tokenizer.sha256 else None


def piece(generator: TextGenerator, number: int) -> str:
    """Return the text of one token with its spaces, the name of a special token such as '<|bos|>', or '?' for an id
    without a text."""
    tokenizer = generator.tokenizer
    if number >= tokenizer.vocab_size:
        return "?"
    return tokenizer.decode([number], continuing=True) or tokenizer.token(number) or "?"


def text_of(generator: TextGenerator, ids: Sequence[int]) -> str:
    """Return the text of `ids`, which are in the model's order, as a person reads it, without marks such as
    '<|bos|>'."""
    return generator.objective.text_of(generator.tokenizer, None, None, ids).strip()


def reading_order(generator: TextGenerator, ids: Sequence[int]) -> list[int]:
    """Return the places of `ids`, which are in the model's order, in the reading order of a person.

    A model that was trained on reversed words reads the words from the last to the first, and the tokens of a word from
    its first to its last. The tokens ['fly'] and [' butter', 'fly'] show the difference: 'butter' stays before 'fly'.
    """
    return [place for word in _words(generator, ids) for place in word]


def reading_texts(generator: TextGenerator, ids: Sequence[int], pieces: Sequence[str] | None = None) -> dict[int, str]:
    """Return the texts of ids by their places, in the reading order of a person, as they stand in the text. `pieces`
    are the texts of the tokens, by default those of `piece`.

    A token of reversed words has the gap or the mark that follows its word in the text before the word: of '.sky the
    in' the pieces ' the' and '.sky' are 'the ' and 'sky.' in 'in the sky.'.
    """
    found: dict[int, str] = {}
    pieces = [piece(generator, number) for number in ids] if pieces is None else pieces
    special = set(generator.tokenizer.specials.values())
    turned = not generator.objective.reads_forwards and getattr(generator.objective, "by", "token") == "word"
    for word in _words(generator, ids):
        texts = [pieces[place] for place in word]
        plain = not turned or ids[word[0]] in special
        found |= dict(zip(word, texts if plain else _turned(texts), strict=True))
    return found


def _turned(texts: list[str]) -> list[str]:
    """Return the tokens of one reversed word as they stand in the text: ['.sle', 'pt'] are 'sle' and 'pt.'."""
    whole = "".join(texts)
    letters = [place for place, one in enumerate(whole) if WORD.match(one)]
    if not letters:
        return [reverse_words(one) for one in texts]
    lead, trail = whole[: letters[0]], whole[letters[-1] + 1 :]
    texts[0] = texts[0][len(lead) :]
    texts[-1] = texts[-1][: len(texts[-1]) - len(trail)]
    texts[0], texts[-1] = reverse_words(trail) + texts[0], texts[-1] + reverse_words(lead)
    return texts


def _words(generator: TextGenerator, ids: Sequence[int]) -> list[list[int]]:
    """Return the places of `ids` by word, in the reading order of a person; each token is a word where tokens were not
    reversed by word."""
    places = [[place] for place in range(len(ids))]
    if generator.objective.reads_forwards:
        return places
    if getattr(generator.objective, "by", "token") == "token":
        return places[::-1]
    words: list[list[int]] = []
    before = ""
    for place, number in enumerate(ids):
        text = piece(generator, number)
        if words and before and WORD.match(before[-1]) and WORD.match(text[0]):
            words[-1].append(place)
        else:
            words.append([place])
        before = text
    return words[::-1]
