"""Probes: what repeats, what differs in one token, and a score that a known model passes and its controls do not."""

from dataclasses import replace

import pytest
import torch

from lilliput.base.errors import DataError
from lilliput.lens.probes import (
    aligned_pairs,
    encode_pairs,
    encoded_pairs,
    is_one_token,
    plain_ids,
    preferences,
    prompts,
    repeated,
    repeated_for,
    score_pairs,
    shuffled_words,
)
from lilliput.lens.texts import text_of
from lilliput.objectives.reversed import Reversed
from lilliput.storybook.minimal_pairs import MAKERS, MinimalPair
from lilliput.storybook.openings import ENDINGS, OPENINGS
from tests.lens.story_subject import generator


def test_random_tokens_come_twice():
    made = repeated(torch.arange(5, 60), bos=0, rows=6, length=20)
    block, again = made.tokens[:, 1:21], made.tokens[:, 21:]
    assert made.tokens.shape == (6, 41)
    assert torch.equal(block, again)
    assert (made.tokens[:, 0] == 0).all()
    assert all(len(set(row)) == 20 for row in block.tolist())
    assert torch.equal(made.shuffled[:, :21], made.tokens[:, :21])
    assert torch.equal(made.shuffled[:, 21:].sort(1).values, again.sort(1).values)
    assert (made.shuffled[:, 21:] != again).any(1).all()
    assert torch.equal(repeated(torch.arange(5, 60), 0, 6, 20).tokens, made.tokens)
    assert not torch.equal(repeated(torch.arange(5, 60), 0, 6, 20, seed=1).tokens, made.tokens)
    assert repeated(torch.tensor([3, 4]), 0, rows=1, length=5).tokens.shape == (1, 11)
    with pytest.raises(DataError, match="no token"):
        repeated(torch.tensor([], dtype=torch.int64), 0)


def test_rows_fit_the_context_and_hold_no_special_token():
    one = generator()
    assert repeated_for(one, length=400).tokens.shape[1] <= one.model.config.context_length
    assert not set(plain_ids(one.tokenizer).tolist()) & set(one.tokenizer.specials.values())


def test_prompts_are_in_reading_order():
    one, back = generator(), generator(objective=Reversed())
    assert [one.tokenizer.decode(ids[1:]) for ids in prompts(one)] == list(OPENINGS)
    assert len(prompts(back)) == len(ENDINGS)


@pytest.mark.parametrize("kind", MAKERS)
def test_pairs_differ_in_one_token_at_the_known_place(kind):
    one = generator()
    pairs = encoded_pairs(one, kind, 12)
    rows = torch.arange(len(pairs.pairs))
    differs = pairs.tokens != pairs.twins
    assert (differs.sum(1) == 1).all()
    assert differs[rows, pairs.place].all()
    for row, pair in enumerate(pairs.pairs):
        whole = pairs.tokens[row, 1 : pairs.last[row] + 1].tolist()
        assert one.tokenizer.decode(whole) == pair.text
        assert one.tokenizer.decode([int(pairs.right[row])], continuing=True) == f" {pair.right}"
        assert is_one_token(one.tokenizer, pair.wrong)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("objective", [Reversed(by="word"), Reversed(by="token")])
def test_a_model_that_reads_backwards_is_asked_for_the_word_before(kind, objective):
    one = generator(objective=objective)
    pairs = encoded_pairs(one, kind, 8)
    assert ((pairs.tokens != pairs.twins).sum(1) == 1).all()
    for row, pair in enumerate(pairs.pairs):
        read = pairs.tokens[row, 1 : pairs.last[row] + 1].tolist()
        assert text_of(one, read) == pair.text
        assert text_of(one, [*read, int(pairs.right[row])]) == f"{pair.right} {pair.text}"


@pytest.mark.parametrize("objective", [None, Reversed()])
def test_aligned_pairs_are_one_sentence(objective):
    one = generator(objective=objective)
    pairs = aligned_pairs(one, "hero", 6, longest=24)
    assert len(set(pairs.pairs)) == len(pairs.pairs) > 2
    differs = (pairs.tokens != pairs.tokens[0]).any(0).nonzero()[:, 0].tolist()
    assert differs == [int(pairs.place[0])]
    with pytest.raises(DataError, match="fits into 5 tokens"):
        aligned_pairs(one, "hero", 6, longest=5)


def test_the_word_beside_the_answer_keeps_its_place():
    pair = MinimalPair("hero", "a b c d e f g h", "a b c x e f g h", "i", "j")
    for one, beside in ((pair, 7), (replace(pair, forwards=False), 0)):
        mixed = shuffled_words(one, seed=0)
        words, others = mixed.text.split(" "), mixed.twin.split(" ")
        assert words[beside] == pair.text.split(" ")[beside]
        assert mixed.text != pair.text
        assert sorted(words) == list("abcdefgh")
        assert [(a, b) for a, b in zip(words, others, strict=True) if a != b] == [("d", "x")]


def test_texts_that_are_no_pairs_are_refused():
    with pytest.raises(DataError, match="exactly one token"):
        encode_pairs(generator(), [MinimalPair("hero", "Xyzzy", "Qwerty is here", "she", "he")])


class Oracle(torch.nn.Module):
    """Gives the token at a known place of each row the largest logit: it reads the word that differs."""

    def __init__(self, size: int, right: dict[tuple[int, ...], int]):
        super().__init__()
        self.size, self.right = size, right

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*tokens.shape, self.size)
        for row, ids in enumerate(tokens.tolist()):
            logits[row, :, self.right[tuple(ids)]] = 3.0
        return logits

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden


def test_the_score_is_that_of_a_known_model():
    one = generator()
    pairs = encoded_pairs(one, "number", 16)
    known = dict(zip(map(tuple, pairs.tokens.tolist()), pairs.right.tolist(), strict=True))
    known |= dict(zip(map(tuple, pairs.twins.tolist()), pairs.wrong.tolist(), strict=True))
    oracle = Oracle(one.tokenizer.vocab_size, known)
    assert preferences(oracle, pairs.tokens, pairs).tolist() == [3.0] * len(pairs.pairs)  # pyright: ignore
    score = score_pairs(oracle, pairs)  # pyright: ignore
    assert (score.share, score.difference, score.high) == (1.0, 6.0, 1.0)
    assert 0.7 < score.low < 1
    blind = Oracle(one.tokenizer.vocab_size, dict.fromkeys(known, 3))
    assert score_pairs(blind, pairs).share == 0.5  # pyright: ignore
