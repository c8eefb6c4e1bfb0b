"""Embeddings: words as points, their nearest neighbours, analogies, and a map in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from lilliput.base import seeds
from lilliput.data.tokenizer import Tokenizer
from lilliput.storybook.grammar import PRONOUNS, words
from lilliput.storybook.people import BOYS, GIRLS

CLASSES: dict[str, tuple[str, ...]] = {
    "girls' names": GIRLS,
    "boys' names": BOYS,
    "animals": words("bunny puppy fox bear hedgehog badger raccoon panda mole crow owl cat dog duck mouse rabbit"),
    "people": words("mother father boy girl friend baker farmer teacher sailor painter doctor neighbor"),
    "colours": words("red blue green yellow white black brown pink purple orange golden silver"),
    "feelings": words("happy glad proud sad scared angry worried tired brave calm lonely excited"),
    "places": words("park garden river forest school house beach hill kitchen market farm village"),
    "things": words("ball kite boat book hat cake apple drum key basket lamp toy bell cup box"),
    "actions": words("went saw ran took gave made found looked smiled laughed walked played helped asked"),
    "pronouns": tuple(dict.fromkeys(form for forms in PRONOUNS.values() for form in forms)),
    "numbers": words("one two three four five six seven eight nine ten"),
}
"""Common words of stories by class. Words that are not one token of a model's tokenizer are left out."""
FAMILIES: dict[str, tuple[tuple[str, str], ...]] = {
    "he : she": (("he", "she"), ("his", "her"), ("himself", "herself"), ("boy", "girl"), ("father", "mother")),
    "one : many": tuple(
        (word, f"{word}s") for word in words("friend bird flower tree stone cloud star book hand eye boat")
    ),
    "now : then": (
        *(("go", "went"), ("see", "saw"), ("run", "ran"), ("take", "took"), ("give", "gave"), ("make", "made")),
        *(("find", "found"), ("look", "looked"), ("smile", "smiled"), ("walk", "walked"), ("play", "played")),
    ),
}
"""Pairs of words with one relation. Two pairs make an analogy, a : b as c : d."""
NEIGHBOURS = 5


@dataclass(frozen=True)
class Words:
    """Words of one token each: `classes` the class of each word; ids (W,), vectors (W, d_model)."""

    words: list[str]
    classes: list[str]
    ids: torch.Tensor
    vectors: torch.Tensor


def token_of(tokenizer: Tokenizer, word: str) -> int | None:
    """Return the id of a word inside a text, with the space before it; None where it is not one token."""
    ids = tokenizer.encode(f" {word}", continuing=True)
    return ids[0] if len(ids) == 1 else None


def words_in(tokenizer: Tokenizer, matrix: torch.Tensor, classes: Mapping[str, Sequence[str]] = CLASSES) -> Words:
    """Return the words of `classes` that are one token, with their rows of `matrix`, (vocab_size, d_model)."""
    found: dict[str, tuple[str, int]] = {}
    for name, members in classes.items():
        for word in members:
            number = token_of(tokenizer, word)
            if number is not None and word not in found:
                found[word] = (name, number)
    ids = torch.tensor([number for _, number in found.values()], dtype=torch.long)
    return Words(list(found), [name for name, _ in found.values()], ids, matrix.detach()[ids.to(matrix.device)])


def cosines(vectors: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the cosine of each vector (N, d) and each other vector (M, d), (N, M)."""
    return torch.nn.functional.normalize(vectors, dim=-1) @ torch.nn.functional.normalize(others, dim=-1).T


def neighbours(matrix: torch.Tensor, ids: torch.Tensor, among: torch.Tensor, count: int = NEIGHBOURS) -> torch.Tensor:
    """Return the ids `among` (M,) whose rows of `matrix` (vocab_size, d_model) have the largest cosine with the row of
    each of `ids` (N,), nearest first, (N, count). An id is no neighbour of itself."""
    rows = matrix.detach()
    near = cosines(rows[ids], rows[among]).masked_fill(ids[:, None] == among[None], float("-inf"))
    return among[near.topk(min(count, len(among) - 1), dim=-1).indices]


def class_purity(words: Words, classes: Sequence[str] | None = None, count: int = NEIGHBOURS) -> list[float]:
    """Return for each word the share of its nearest `count` neighbours, among all the words, that are of its class,
    (W,). `classes` replaces the words' own classes, for a control with shuffled classes."""
    labels = list(words.classes if classes is None else classes)
    near = cosines(words.vectors, words.vectors)
    near.fill_diagonal_(float("-inf"))
    found = near.topk(min(count, len(labels) - 1), dim=-1).indices.tolist()
    return [sum(labels[other] == labels[word] for other in line) / len(line) for word, line in enumerate(found)]


def shuffled_classes(words: Words, seed: int) -> list[str]:
    """Return the words' classes in a random order."""
    order = seeds.generator(seed, "shuffled classes").permutation(len(words.classes))
    return [words.classes[place] for place in order]


@dataclass(frozen=True)
class Analogy:
    """a is to b as c is to d, as words and as ids."""

    words: tuple[str, str, str, str]
    ids: tuple[int, int, int, int]


def analogies(tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]]) -> list[Analogy]:
    """Return every analogy of two different pairs whose words are one token each."""
    known = [
        (pair, (first, second))
        for pair in pairs
        if (first := token_of(tokenizer, pair[0])) is not None and (second := token_of(tokenizer, pair[1])) is not None
    ]
    return [Analogy((*a, *b), (*x, *y)) for a, x in known for b, y in known if a != b and x[1] != y[1]]


@dataclass(frozen=True)
class Answers:
    """The word that each way of answering gives for each analogy, as ids (A,): by the offset b - a + c, as the nearest
    neighbour of b alone, as the nearest neighbour of c alone, and at random."""

    offset: torch.Tensor
    near_b: torch.Tensor
    near_c: torch.Tensor
    random: torch.Tensor


def answer(matrix: torch.Tensor, asked: Sequence[Analogy], among: torch.Tensor, seed: int = 0) -> Answers:
    """Answer analogies by the rows of `matrix`: the id of `among` (M,) whose row has the largest cosine with b - a + c
    (Mikolov et al. 2013, with rows of length 1). a, b and c are no answers, in every way of answering alike. This rule
    makes the task easier, so the nearest neighbours of b and of c stand beside it as controls."""
    rows = torch.nn.functional.normalize(matrix.detach(), dim=-1)
    a, b, c, _ = torch.tensor([each.ids for each in asked], device=matrix.device).T
    given = (among[None] == a[:, None]) | (among[None] == b[:, None]) | (among[None] == c[:, None])
    generator = torch.Generator().manual_seed(seeds.derive(seed, "analogies"))
    chance = torch.rand(given.shape, generator=generator).to(matrix.device)

    def best(scores: torch.Tensor) -> torch.Tensor:
        return among[scores.masked_fill(given, float("-inf")).argmax(-1)]

    offset, near_b, near_c = (
        best(cosines(query, rows[among])) for query in (rows[b] - rows[a] + rows[c], rows[b], rows[c])
    )
    return Answers(offset, near_b, near_c, best(chance))


def project(vectors: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return the places of vectors (N, d) on their two principal axes, (N, 2), and the share of the variance that the
    two axes keep. The sign of an axis is free: the largest place on it is made positive."""
    centred = (vectors - vectors.mean(0)).double()
    left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    places = left[:, :2] * sizes[:2]
    signs = places.gather(0, places.abs().argmax(0, keepdim=True)).sign()
    return (places * signs).float(), float(sizes[:2].square().sum() / sizes.square().sum().clamp_min(1e-30))


def word_ids(tokenizer: Tokenizer) -> torch.Tensor:
    """Return the ids of tokens that are whole words with the space before them, (M,)."""
    texts = ((number, tokenizer.decode([number], continuing=True)) for number in range(tokenizer.vocab_size))
    return torch.tensor([number for number, text in texts if text[:1] == " " and text[1:].isalpha()], dtype=torch.long)
