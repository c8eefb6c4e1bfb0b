"""Proxies: numbers that can be counted in a generated story without a judge. No proxy measures a story's quality."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lilliput.evaluation.judge.copied import words
from lilliput.evaluation.judge.story import JudgedStory
from lilliput.evaluation.scorer import score_pairs
from lilliput.storybook.consistency import consistency

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model

SENTENCE_END = re.compile(r"[.!?][\"')\u201d\u2019]*\s*\Z")
NAME = re.compile(r"(?<![.!?\"\u201c]\s)(?<!\A)(?<![\"\u201c])\b[A-Z][a-z]+\b")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. `better` is 'higher' or 'lower'. `meaning` also names the cases in which the proxy misleads."""

    better: str
    meaning: str


PROXIES = {
    "world_consistency": Proxy("higher", "rules of the built-in story world, 0 to 1; means little for other stories"),
    "distinct_2": Proxy("higher", "different word pairs among all of the model's; random words score best"),
    "repeated_4": Proxy("lower", "share of a story's 4-word runs that occurred before in it"),
    "names_kept": Proxy("higher", "share of the names in the prompt that the completion mentions"),
    "ended": Proxy("higher", "share of stories whose last sentence is finished"),
    "copied_words": Proxy("lower", "longest run of words that the training text holds too; some copying is normal"),
    "referee_bits": Proxy("lower", "bits per byte under the referee model; dull text scores well"),
}


def proxies(
    stories: Sequence[JudgedStory],
    copied: Sequence[int] | None = None,
    referee: tuple[Model, Tokenizer] | None = None,
) -> dict[str, list[float]]:
    """Return the values by proxy, one a story. A value is NaN where a story has nothing to count. `distinct_2` has one
    value for all stories together.

    `copied_words` are the lengths in `copied` (see copied.longest_copies), and `referee_bits` needs a `referee`.
    Without these arguments both are left out."""
    completions = [story.completion for story in stories]
    found = {
        "world_consistency": [consistency(story.beginning + story.completion).overall for story in stories],
        "distinct_2": [distinct(completions, 2)],
        "repeated_4": [repeated(text, 4) for text in completions],
        "names_kept": [names_kept(story) for story in stories],
        "ended": [float(bool(SENTENCE_END.search(text))) for text in completions],
    }
    if copied is not None:
        found["copied_words"] = [float(length) for length in copied]
    if referee is not None:
        found["referee_bits"] = referee_bits(stories, *referee)
    return found


def distinct(texts: Sequence[str], n: int) -> float:
    """Return distinct-n (Li et al. 2016): different n-grams of words / all n-grams of words, over all texts. NaN where
    there is no n-gram. Example: "a b a b" has the 2-grams ab, ba, ab, so distinct-2 is 2/3."""
    grams = [gram for text in texts for gram in _grams(text, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def repeated(text: str, n: int) -> float:
    """Return the share of a text's n-grams of words that occurred before in it. NaN for a text of fewer than n words.
    Example: one of the three 2-grams of "a b a b" occurred before, so the share is 1/3."""
    grams = _grams(text, n)
    return 1 - len(set(grams)) / len(grams) if grams else math.nan


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    found = words(text)
    return [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]


def names_kept(story: JudgedStory) -> float:
    """Return the share of the prompt's names that the completion mentions. A name is a capitalised word that does not
    start a sentence. NaN for a prompt without names."""
    names = set(NAME.findall(story.beginning))
    again = set(re.findall(r"\b[A-Z][a-z]+\b", story.completion))
    return len(names & again) / len(names) if names else math.nan


def referee_bits(stories: Sequence[JudgedStory], model: Model, tokenizer: Tokenizer) -> list[float]:
    """Return the bits per byte of each completion after its prompt, under `model`; NaN for an empty completion."""
    places = [i for i, story in enumerate(stories) if story.completion.strip()]
    pairs = [[(stories[i].beginning, stories[i].completion)] for i in places]
    bits = [math.nan] * len(stories)
    for place, (score,) in zip(places, score_pairs(model, tokenizer, pairs), strict=True):
        bits[place] = -score.log_probability / math.log(2) / len(stories[place].completion.encode())
    return bits
