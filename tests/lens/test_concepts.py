"""Labels of concepts: which token of a text is marked, for each direction of reading."""

import torch

from lilliput.lens.concepts import QUOTES, SENTENCES, concept_labels, concept_words, pieces_of
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.reversed import Reversed
from tests.lens.small import generator, tokenizer

TEXT = 'Lily saw a red fox. "I am happy," Tom said. They went home.'


def marked(ids: list[int], objective: ObjectiveConfig | None = None) -> dict[str, list[str]]:
    """The text up to each marked token, from the end of the token before the marked word."""
    made = generator(objective=objective)
    pieces = pieces_of(ids, made)
    found = concept_labels(torch.tensor([ids]), made)
    return {name: [pieces[at].strip() for at in row[0].nonzero().flatten().tolist()] for name, row in found.items()}


def test_each_concept_marks_the_last_token_of_its_words() -> None:
    ids = [tokenizer().bos_id, *tokenizer().encode(TEXT)]
    found = marked(ids)
    pieces = [piece.strip() for piece in pieces_of(ids, generator())]
    for name, words in {
        "names": ["Lily", "Tom"],
        "colours": ["red"],
        "animals": ["fox"],
        "feelings": ["happy"],
        "past verbs": ["saw", "said", "went"],
        SENTENCES: ["Lily", "I", "They"],
    }.items():
        assert len(found[name]) == len(words), name
        # A word of several tokens is marked at its last token, which the word ends with.
        assert all(word.endswith(token.strip('"')) for word, token in zip(words, found[name], strict=True)), name
        assert all(token in pieces for token in found[name])
    assert len(found[QUOTES]) == 2
    assert all('"' in token for token in found[QUOTES])


def test_a_model_that_reads_tokens_backwards_has_the_first_token_of_a_word() -> None:
    ids = tokenizer().encode(TEXT)
    pieces = [piece.strip() for piece in pieces_of(ids, generator())]
    found = marked(ids[::-1], Reversed(by="token"))
    assert SENTENCES not in found
    assert len(found["past verbs"]) == 3
    for word, token in zip(["went", "said", "saw"], found["past verbs"], strict=True):
        assert word.startswith(token)
        assert token in pieces


def test_no_word_belongs_to_two_concepts() -> None:
    words = [word for members in concept_words().values() for word in members]
    assert len(words) == len(set(words))
