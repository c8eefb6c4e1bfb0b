"""Probes: texts with known structure: fixed prompts, random tokens that repeat, and minimal pairs with a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from lilliput.base.errors import DataError
from lilliput.base.seeds import derive
from lilliput.base.statistics import wilson
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.inference import inference
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.instrument import Subject
from lilliput.model.transformer import Model
from lilliput.storybook.minimal_pairs import MAKERS, MinimalPair, minimal_pairs
from lilliput.storybook.openings import ENDINGS, OPENINGS

ROWS_AT_ONCE = 32


def random_source(*keys: int | str) -> torch.Generator:
    """Return a generator of random numbers that belongs to this place of use alone."""
    return torch.Generator().manual_seed(derive(*keys) % 2**63)


def prompts(generator: TextGenerator) -> list[list[int]]:
    """Return the ids of the story world's fixed beginnings (its ends, for a model that reads backwards), in the order
    in which the model reads. Raises ConfigError for a model that generates no text."""
    forwards, tokenizer = generator.objective.reads_forwards, generator.tokenizer
    sides = [(text, None) for text in OPENINGS] if forwards else [(None, text) for text in ENDINGS]
    return [list(generator.objective.prompt(tokenizer, *side).ids) for side in sides]


def plain_ids(tokenizer: Tokenizer) -> torch.Tensor:
    """Return the ids of all tokens that are no special tokens, (ids,)."""
    special = set(tokenizer.specials.values())
    return torch.tensor([number for number in range(tokenizer.vocab_size) if number not in special])


@dataclass(frozen=True)
class Repeated:
    """Random tokens that come twice.

    tokens    (N, 1 + 2L): the beginning mark, a random block of L tokens, and the same block again
    shuffled  the control: the same, but the second block stands in random order
    length    L
    """

    tokens: torch.Tensor
    shuffled: torch.Tensor
    length: int


def repeated(ids: torch.Tensor, bos: int, rows: int = 8, length: int = 24, seed: int = 0) -> Repeated:
    """Return `rows` rows of random `ids`, (ids,), that come twice. The tokens of a block are all different where there
    are enough ids. Raises DataError without ids."""
    if not len(ids):
        raise DataError("there is no token to repeat")
    source = random_source(seed, "repeated tokens")
    blocks, again = [], []
    for _ in range(rows):
        order = torch.randperm(len(ids), generator=source)
        block = ids[order.repeat(-(-length // len(ids)))[:length]]
        blocks.append(block)
        again.append(block[torch.randperm(length, generator=source)])
    block, other, first = torch.stack(blocks), torch.stack(again), torch.full((rows, 1), bos)
    return Repeated(torch.cat([first, block, block], 1), torch.cat([first, block, other], 1), length)


def repeated_for(generator: TextGenerator, rows: int = 8, length: int = 24, seed: int = 0) -> Repeated:
    """Return `repeated` rows of the generator's own tokens, which fit into its context, on the model's device."""
    room = (generator.model.config.context_length - 1) // 2
    made = repeated(plain_ids(generator.tokenizer), generator.tokenizer.bos_id, rows, min(length, room), seed)
    device = next(generator.model.parameters()).device
    return Repeated(made.tokens.to(device), made.shuffled.to(device), made.length)


# ---------------------------------------------------------------------------- minimal pairs


@dataclass(frozen=True)
class EncodedPairs:
    """Minimal pairs as tokens. Rows are padded at their right, where no earlier position sees the padding.

    pairs        the texts
    tokens       (N, T) int64; twins: the same of the twins
    last         (N,) the place of the last token of each row, after which the asked word follows
    place        (N,) the place of the token that differs
    right, wrong (N,) the ids of the two next words
    """

    pairs: tuple[MinimalPair, ...]
    tokens: torch.Tensor
    twins: torch.Tensor
    last: torch.Tensor
    place: torch.Tensor
    right: torch.Tensor
    wrong: torch.Tensor


def is_one_token(tokenizer: Tokenizer, word: str) -> bool:
    """Return whether a word after a space is one token."""
    return len(tokenizer.encode(" " + word, continuing=True)) == 1


def encoded_pairs(generator: TextGenerator, kind: str, count: int = 32, seed: int = 0) -> EncodedPairs:
    """Return `count` minimal pairs of a kind of story question (`storybook.minimal_pairs.MAKERS`), whose texts differ
    in one token. Raises DataError for a model that reads backwards, and where the tokenizer has too few such words."""
    tokenizer = generator.tokenizer
    if not generator.objective.reads_forwards:
        raise DataError("minimal pairs ask for the next word, and this model reads backwards")
    try:
        made = minimal_pairs(kind, count, seed, lambda word: is_one_token(tokenizer, word))
    except ValueError as error:
        raise DataError(f"the tokenizer has too few words of one token for the pairs '{kind}': {error}") from None
    return encode_pairs(generator, made)


def encode_pairs(generator: TextGenerator, pairs: Sequence[MinimalPair]) -> EncodedPairs:
    """Encode pairs, without the pairs whose texts do not differ in exactly one token, and without the pairs that are
    longer than the context. Raises DataError where none is left."""
    tokenizer, context = generator.tokenizer, generator.model.config.context_length
    kept, rows, twins, places, asked = [], [], [], [], []
    for pair in pairs:
        text, twin = ([*tokenizer.beginning, *tokenizer.encode(one)] for one in (pair.text, pair.twin))
        words = [tokenizer.encode(" " + word, continuing=True) for word in (pair.right, pair.wrong)]
        differing = [place for place, (one, other) in enumerate(zip(text, twin, strict=False)) if one != other]
        if len(text) == len(twin) <= context and len(differing) == 1 and all(len(word) == 1 for word in words):
            kept.append(pair)
            rows.append(text)
            twins.append(twin)
            places.append(differing[0])
            asked.append([word[0] for word in words])
    if not kept:
        raise DataError("no pair of these texts differs in exactly one token", "take a tokenizer with whole words")
    device = next(generator.model.parameters()).device
    right, wrong = torch.tensor(asked, device=device).T
    last = torch.tensor([len(row) - 1 for row in rows], device=device)
    tokens, others = (_padded(one, tokenizer.pad_id, device) for one in (rows, twins))
    return EncodedPairs(tuple(kept), tokens, others, last, torch.tensor(places, device=device), right, wrong)


def _padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=device)


def preferences(model: Model, tokens: torch.Tensor, pairs: EncodedPairs) -> torch.Tensor:
    """Return log p(right) - log p(wrong) in nats after each row of `tokens`, (N,)."""
    found = []
    with inference(model):
        for start in range(0, len(tokens), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            hidden = model(tokens[part])
            rows = torch.arange(len(hidden), device=hidden.device)
            logits = model.logits(hidden[rows, pairs.last[part]])
            found.append(logits[rows, pairs.right[part]] - logits[rows, pairs.wrong[part]])
    return torch.cat(found)


@dataclass(frozen=True, slots=True)
class PairScore:
    """The share of pairs whose text makes the right word likelier, beside the wrong word, than its twin does. Guessing
    scores 1/2.

    low, high   Wilson's 95% interval
    difference  the mean of (log p(right) - log p(wrong)) of the text less that of the twin, in nats
    """

    share: float
    low: float
    high: float
    difference: float
    pairs: int


def score_pairs(model: Model, pairs: EncodedPairs) -> PairScore:
    """Score a model on minimal pairs (after BLiMP, arXiv:1912.00582, with the roles of text and answer exchanged)."""
    gains = preferences(model, pairs.tokens, pairs) - preferences(model, pairs.twins, pairs)
    # A model that does not see the word that differs gives equal numbers. Such a tie is half a point.
    won = float((gains > 0).sum()) + 0.5 * float((gains == 0).sum())
    low, high = wilson(won, len(gains))  # pyright: ignore[reportArgumentType]
    return PairScore(won / len(gains), low, high, float(gains.mean()), len(gains))


def shuffled_words(pair: MinimalPair, seed: int) -> MinimalPair:
    """Return a pair whose words stand in random order, the same order in both texts."""
    order = list(range(len(pair.text.split(" "))))
    Random(derive(seed, "words shuffled", pair.text)).shuffle(order)
    text, twin = (" ".join(one.split(" ")[place] for place in order) for one in (pair.text, pair.twin))
    return MinimalPair(pair.kind, text, twin, pair.right, pair.wrong)


def pair_scores(subject: Subject, count: int = 32) -> dict[str, dict[str, Any]]:
    """Return for each kind of pair the scores of the model, of the same model with shuffled words, of untrained
    weights, and of the sibling where there is one: {kind: {"model": {...}, ...}}. A kind that the tokenizer has too few
    words for has {"why": ...} instead."""
    generator, found = subject.generator, {}
    for kind in MAKERS:
        try:
            pairs = encoded_pairs(generator, kind, count, subject.seed)
            mixed = encode_pairs(generator, [shuffled_words(pair, subject.seed) for pair in pairs.pairs])
        except DataError as error:
            found[kind] = {"why": error.message}
            continue
        scores = {
            "model": score_pairs(generator.model, pairs),
            "words shuffled": score_pairs(generator.model, mixed),
            "untrained weights": score_pairs(subject.untrained.model, pairs),
        }
        sibling = subject.sibling
        if sibling is not None and sibling.tokenizer.sha256 == generator.tokenizer.sha256:
            scores["another seed"] = score_pairs(sibling.model, pairs)
        found[kind] = {
            name: {field: round(getattr(score, field), 4) for field in score.__slots__}
            for name, score in scores.items()
        }
        found[kind]["example"] = {
            "text": pairs.pairs[0].text,
            "twin": pairs.pairs[0].twin,
            "right": pairs.pairs[0].right,
            "wrong": pairs.pairs[0].wrong,
        }
    return found
