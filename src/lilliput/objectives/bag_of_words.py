"""Baselines of classification: the commonest class, and a linear model of the words that a text has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

WORDS = re.compile(r"\w+")
MOST_WORDS = 20_000
"""Words that the linear model knows: the commonest ones of the training texts."""
ROUNDS = 60


def baselines(texts: Sequence[Sequence[str]], labels: Sequence[Sequence[float]], classes: int) -> dict[str, float]:
    """The errors on the second of two sets of texts, learned from the first: shares of wrong classes, or for `classes`
    of 0 the mean distance of scores.

    majority class  every text gets the commonest class of the training texts (for scores: their median)
    bag of words    softmax regression (for scores, least squares) on the words that a text has, in any order, with the
                    penalty |weights|^2 / 2 beside the summed loss
    """
    train, held = (torch.tensor(side, dtype=torch.int64 if classes else torch.float32) for side in labels)
    always = train.mode().values if classes else train.median()
    return {
        "majority class": _error(always.expand(len(held)), held, classes),
        "bag of words": _error(_linear(texts, train, classes), held, classes),
    }


def _error(found: torch.Tensor, right: torch.Tensor, classes: int) -> float:
    return float((found != right).float().mean() if classes else (found - right).abs().mean())


def _linear(texts: Sequence[Sequence[str]], labels: torch.Tensor, classes: int) -> torch.Tensor:
    """The linear model's answers for the second set of texts."""
    words = [[set(WORDS.findall(text.lower())) for text in side] for side in texts]
    common = Counter(word for each in words[0] for word in sorted(each)).most_common(MOST_WORDS)
    number = {word: place for place, (word, _) in enumerate(common)}
    learned, asked = ([sorted(number[word] for word in each if word in number) for each in side] for side in words)
    weight = nn.Parameter(torch.zeros(len(number) + 1, max(1, classes)))
    bias = nn.Parameter(torch.zeros(max(1, classes)) if classes else labels.mean().reshape(1).clone())
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ROUNDS, line_search_fn="strong_wolfe")
    bags = _bags(learned)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        found = F.embedding_bag(bags[0], weight, bags[1], mode="sum") + bias
        loss = F.cross_entropy(found, labels, reduction="sum") if classes else ((found[:, 0] - labels) ** 2).sum()
        loss = loss + weight.square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        numbers, begins = _bags(asked)
        found = F.embedding_bag(numbers, weight, begins, mode="sum") + bias
    return found.argmax(-1) if classes else found[:, 0]


def _bags(rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """The numbers of all rows end to end, and where each row begins."""
    sizes = torch.tensor([0, *(len(row) for row in rows[:-1])])
    return torch.tensor([number for row in rows for number in row], dtype=torch.int64), sizes.cumsum(0)
