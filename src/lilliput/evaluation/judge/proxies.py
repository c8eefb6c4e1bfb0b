"""Proxies: what can be counted in a told story without a judge. None of them measures whether it is good."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lilliput.evaluation.judge.copied import words
from lilliput.evaluation.judge.story import Told
from lilliput.evaluation.scorer import score_pairs
from lilliput.storybook.consistency import consistency

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model

SENTENCE_END = re.compile(r"[.!?][\"')\u201d\u2019]*\s*\Z")
NAME = re.compile(r"(?<![.!?\"\u201c]\s)(?<!\A)(?<![\"\u201c])\b[A-Z][a-z]+\b")


@dataclass(frozen=True, slots=True)
class Proxy:
    """What is counted. `better` is 'higher' or 'lower'; `says` is what it stands in for, and where it misleads."""

    better: str
    says: str


PROXIES = {
    "world_consistency": Proxy("higher", "rules of the built-in story world, 0 to 1; means little for other stories"),
    "distinct_2": Proxy("higher", "different word pairs among all of the model's; random words score best"),
    "repeated_4": Proxy("lower", "share of a story's 4-word runs that it has had before"),
    "names_kept": Proxy("higher", "share of the names in the beginning that the rest mentions"),
    "ended": Proxy("higher", "share of stories whose last sentence is finished"),
    "copied_words": Proxy("lower", "longest run of words that the training text holds too; some is unavoidable"),
    "referee_bits": Proxy("lower", "bits per byte under the referee model; dull text scores well"),
}


def proxies(
    stories: Sequence[Told],
    copied: Sequence[int] | None = None,
    referee: tuple[Model, Tokenizer] | None = None,
) -> dict[str, list[float]]:
    """Values by proxy, one a story (NaN where a story has nothing to count; one in all for `distinct_2`).
    `copied_words` are the lengths in `copied` (see copied.longest_copies) and `referee_bits` needs a `referee`; without
    them they are left out."""
    told = [story.completion for story in stories]
    found = {
        "world_consistency": [consistency(story.beginning + story.completion).overall for story in stories],
        "distinct_2": [distinct(told, 2)],
        "repeated_4": [repeated(text, 4) for text in told],
        "names_kept": [names_kept(story) for story in stories],
        "ended": [float(bool(SENTENCE_END.search(text))) for text in told],
    }
    if copied is not None:
        found["copied_words"] = [float(length) for length in copied]
    if referee is not None:
        found["referee_bits"] = referee_bits(stories, *referee)
    return found


def distinct(texts: Sequence[str], n: int) -> float:
    """distinct-n (Li et al. 2016): different n-grams of words / all n-grams of words, over all texts. NaN for none."""
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def repeated(text: str, n: int) -> float:
    """The share of a text's n-grams of words that it has had before. NaN for a text of fewer than n words."""
    grams = _grams(text, n)
    return 1 - len(set(grams)) / len(grams) if grams else math.nan


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    found = words(text)
    return [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]


def names_kept(story: Told) -> float:
    """The share of the beginning's names (capitalised words that do not start a sentence) that are told of again. NaN
    where it names nobody."""
    names = set(NAME.findall(story.beginning))
    again = set(re.findall(r"\b[A-Z][a-z]+\b", story.completion))
    return len(names & again) / len(names) if names else math.nan


def referee_bits(stories: Sequence[Told], model: Model, tokenizer: Tokenizer) -> list[float]:
    """Bits per byte of each completion after its beginning, under `model`; NaN for an empty completion."""
    places = [i for i, story in enumerate(stories) if story.completion.strip()]
    pairs = [[(stories[i].beginning, stories[i].completion)] for i in places]
    bits = [math.nan] * len(stories)
    for place, (score,) in zip(places, score_pairs(model, tokenizer, pairs), strict=True):
        bits[place] = -score.log_probability / math.log(2) / len(stories[place].completion.encode())
    return bits
