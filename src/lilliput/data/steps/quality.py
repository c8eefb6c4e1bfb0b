"""Quality: a small classifier of good and bad documents, trained on examples of both, and the step that uses it.

A document's score is a logistic function of the mean weight of its words and pairs of words, as in fastText (Joulin et
al. 2016, arXiv:1607.01759) with one number for each word. Words and pairs share a table of weights by their hashes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.base.errors import DataError
from lilliput.data.files import digest
from lilliput.data.steps.measures import Texts
from lilliput.data.steps.rules import Rules
from lilliput.data.steps.step import STEPS
from lilliput.data.steps.words import BASE, spread

TABLE_BITS = 18
EPOCHS, RATE, BATCH = 20, 0.5, 32
HELD_OUT = 5
"""One document in so many is held out, and scored."""


@STEPS.add("quality")
class Quality(Rules):
    """Drops documents that a classifier takes for bad ones. `lilliput data classifier GOOD BAD` trains it."""

    kind: Literal["quality"] = "quality"
    classifier: str = Field(description="the file of the classifier")
    least: float = Field(default=0.5, ge=0, le=1, description="the least probability of a good document that is kept")

    def reads(self) -> tuple[str, ...]:
        return (self.classifier,)

    def reasons(self, texts: Texts) -> Iterator[tuple[str, np.ndarray]]:
        path = Path(self.classifier).expanduser()
        yield "quality: low", _loaded(str(path), digest(path)).probabilities(texts) < self.least


@dataclass(frozen=True, slots=True)
class Classifier:
    """A weight for each place of the table of hashes, (2**TABLE_BITS,) float32, and a bias."""

    weights: np.ndarray
    bias: float

    def probabilities(self, texts: Texts) -> np.ndarray:
        """(texts,) float: the probability that each text is a good one."""
        places, owners = features(texts)
        sums = np.bincount(owners, self.weights[places], len(texts.texts))
        logits = sums / np.maximum(np.bincount(owners, minlength=len(texts.texts)), 1) + self.bias
        return 1 / (1 + np.exp(-logits))

    def save(self, path: Path) -> None:
        from safetensors.numpy import save_file

        tensors = {"weights": self.weights, "bias": np.array([self.bias], np.float32)}
        save_file(tensors, path, {"format": "lilliput quality classifier"})

    @classmethod
    def load(cls, path: Path) -> Classifier:
        """Raises DataError for a file that holds no classifier."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(path)
            weights, bias = tensors["weights"], float(tensors["bias"][0])
        except (OSError, SafetensorError, KeyError, IndexError) as error:
            raise DataError(
                f"{path} holds no classifier: {error}", "train one: lilliput data classifier GOOD BAD"
            ) from None
        if weights.shape != (2**TABLE_BITS,):
            raise DataError(f"{path} holds a classifier of another size: {weights.shape}")
        return cls(weights, bias)


def features(texts: Texts) -> tuple[np.ndarray, np.ndarray]:
    """(features,) int64 each: the places in the table of all words and pairs of words, and their texts."""
    words = texts.folded_hashes
    pairs = np.flatnonzero(texts.text_of[:-1] == texts.text_of[1:])
    both = spread(np.concatenate([words, words[pairs] * BASE + words[pairs + 1]]))
    return (both >> np.uint64(64 - TABLE_BITS)).astype(np.int64), np.concatenate([texts.text_of, texts.text_of[pairs]])


@dataclass(frozen=True, slots=True)
class Trained:
    """A classifier, and how it does on the documents that were held out."""

    classifier: Classifier
    documents: int
    held_out: int
    accuracy: float
    auc: float


def train(good: Sequence[str], bad: Sequence[str], seed: int = 0) -> Trained:
    """Train a classifier on texts, with both kinds weighing the same; one in HELD_OUT of each kind is held out. Raises
    DataError for fewer than HELD_OUT texts of a kind."""
    import torch

    if min(len(good), len(bad)) < HELD_OUT:
        raise DataError(f"{len(good):,} good and {len(bad):,} bad documents are too few", f"give {HELD_OUT} of each")
    texts, labels = [*good, *bad], np.repeat([1.0, 0.0], [len(good), len(bad)])
    order = np.random.default_rng(seed).permutation(len(texts))
    held = np.concatenate([order[order < len(good)][::HELD_OUT], order[order >= len(good)][::HELD_OUT]])
    learned = np.setdiff1d(order, held)
    balance = torch.tensor([len(learned) / (2 * max(1, (labels[learned] == kind).sum())) for kind in (0.0, 1.0)])
    rows = [torch.from_numpy(features(Texts([text]))[0]) for text in texts]
    bag = torch.nn.EmbeddingBag(2**TABLE_BITS, 1, mode="mean")
    torch.nn.init.zeros_(bag.weight)
    bias = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adagrad([bag.weight, bias], lr=RATE)
    draws = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        shuffled = torch.from_numpy(learned)[torch.randperm(len(learned), generator=draws)]
        for batch in shuffled.split(BATCH):
            wanted = torch.from_numpy(labels[batch.numpy()]).float()
            picked = [rows[place] for place in batch.tolist()]
            offsets = torch.tensor([0, *map(len, picked[:-1])]).cumsum(0)
            logits = bag(torch.cat(picked), offsets)[:, 0] + bias
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted, balance[wanted.long()])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    made = Classifier(bag.weight.detach()[:, 0].numpy().copy(), float(bias.detach()))
    scores = made.probabilities(Texts([texts[place] for place in held]))
    right = (scores >= 0.5) == (labels[held] == 1)
    return Trained(made, len(learned), len(held), float(right.mean()), auc(scores, labels[held]))


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the chance that a good document has a larger score than a bad one; ties count half."""
    good, bad = scores[labels == 1], np.sort(scores[labels == 0])
    below, up_to = np.searchsorted(bad, good, "left"), np.searchsorted(bad, good, "right")
    return float((below + up_to).mean() / 2 / len(bad))


@lru_cache(maxsize=4)
def _loaded(path: str, content: str) -> Classifier:
    return Classifier.load(Path(path))
