"""Probes: texts with known structure: fixed prompts, random tokens that repeat, and minimal pairs with a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from random import Random

import torch

from lilliput.base.errors import DataError
from lilliput.base.seeds import derive
from lilliput.base.statistics import wilson
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.inference import inference
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.texts import prompt_ids
from lilliput.model.transformer import Model
from lilliput.storybook.minimal_pairs import MinimalPair, minimal_pairs
from lilliput.storybook.openings import ENDINGS, OPENINGS

ROWS_AT_ONCE = 32
SENTENCES = 16
"""Sentences of which the shortest is taken."""


def random_source(*keys: int | str) -> torch.Generator:
    """Return a generator of random numbers that belongs to this place of use alone."""
    return torch.Generator().manual_seed(derive(*keys) % 2**63)


def prompts(generator: TextGenerator) -> list[list[int]]:
    """Return the ids of the story world's fixed beginnings (its ends, for a model that reads backwards), in the order
    in which the model reads. Raises ConfigError for a model that generates no text."""
    return [prompt_ids(generator, text) for text in (OPENINGS if generator.objective.reads_forwards else ENDINGS)]


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
    in one token. A model that reads backwards is asked for the word before. Raises DataError where the tokenizer has
    too few such words."""
    return encode_pairs(generator, _story_pairs(generator, kind, count, seed))


def aligned_pairs(generator: TextGenerator, kind: str, count: int, longest: int, seed: int = 0) -> EncodedPairs:
    """Return at most `count` minimal pairs of one sentence, with a text of its own each, which differ in the asked
    words alone: a place is the same word in all of them. The sentence is the shortest of several. Raises DataError
    where it does not fit into `longest` tokens, and where the tokenizer has too few such words."""
    made = []
    for sentence in range(SENTENCES):
        found = _story_pairs(generator, kind, 4 * count, derive(seed, "sentence", sentence), alike=True)
        own = {pair.text: pair for pair in found}
        try:
            pairs = encode_pairs(generator, list(own.values())[:count])
        except DataError:
            continue
        if pairs.tokens.shape[1] <= longest and (pairs.last == pairs.last[0]).all():
            made.append(pairs)
    if not made:
        raise DataError(f"no pair of texts '{kind}' fits into {longest} tokens, with asked words of one token each")
    return min(made, key=lambda pairs: pairs.tokens.shape[1])


def _story_pairs(generator: TextGenerator, kind: str, count: int, seed: int, alike: bool = False) -> list[MinimalPair]:
    tokenizer, forwards = generator.tokenizer, generator.objective.reads_forwards
    try:
        return minimal_pairs(kind, count, seed, cache(partial(is_one_token, tokenizer)), forwards, alike)
    except ValueError as error:
        raise DataError(f"the tokenizer has too few words of one token for the pairs '{kind}': {error}") from None


def encode_pairs(generator: TextGenerator, pairs: Sequence[MinimalPair]) -> EncodedPairs:
    """Encode pairs in the order in which the model reads, without the pairs whose texts do not differ in exactly one
    token, and without the pairs that are longer than the context. Raises DataError where none is left."""
    context = generator.model.config.context_length
    kept, rows, twins, places, asked = [], [], [], [], []
    for pair in pairs:
        text, twin = (prompt_ids(generator, one) for one in (pair.text, pair.twin))
        words = [asked_ids(generator, pair, word, text) for word in (pair.right, pair.wrong)]
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
    tokens, others = (_padded(one, generator.tokenizer.pad_id, device) for one in (rows, twins))
    return EncodedPairs(tuple(kept), tokens, others, last, torch.tensor(places, device=device), right, wrong)


def asked_ids(generator: TextGenerator, pair: MinimalPair, word: str, text: Sequence[int]) -> list[int]:
    """Return the ids of a word that comes next after the ids of a pair's text; [] where the word changes these ids."""
    whole = prompt_ids(generator, f"{pair.text} {word}" if pair.forwards else f"{word} {pair.text}")
    return whole[len(text) :] if whole[: len(text)] == list(text) else []


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
    """How often a model prefers the right word of minimal pairs. Each pair asks twice, after its text and after its
    twin, so that a model that does not see the word that differs scores 1/2.

    share       the share of answers in which the right word is likelier than the wrong word
    low, high   Wilson's 95% interval over the pairs
    difference  the mean of (log p(right) - log p(wrong)) of the text less that of the twin, in nats
    """

    share: float
    low: float
    high: float
    difference: float
    pairs: int


def score_pairs(model: Model, pairs: EncodedPairs) -> PairScore:
    """Score a model on minimal pairs (after BLiMP, arXiv:1912.00582, with the roles of text and answer exchanged)."""
    text, twin = preferences(model, pairs.tokens, pairs), preferences(model, pairs.twins, pairs)
    # sign: 1 right, -1 wrong, 0 a tie, which is half a point
    won = float((2 + text.sign() - twin.sign()).sum()) / 4
    count = len(text)
    low, high = wilson(won, count)  # pyright: ignore[reportArgumentType]
    return PairScore(won / count, low, high, float((text - twin).mean()), count)


def shuffled_words(pair: MinimalPair, seed: int) -> MinimalPair:
    """Return a pair whose words stand in random order, the same order in both texts. The word beside the asked word
    keeps its place."""
    count = len(pair.text.split(" "))
    order = list(range(count - 1) if pair.forwards else range(1, count))
    Random(derive(seed, "words shuffled", pair.text)).shuffle(order)
    order = [*order, count - 1] if pair.forwards else [0, *order]
    text, twin = (" ".join(one.split(" ")[place] for place in order) for one in (pair.text, pair.twin))
    return replace(pair, text=text, twin=twin)
