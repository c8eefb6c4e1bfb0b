"""Tells many stories and measures them: speed, words, lengths, duplicates, and repeated sequences.

    python benchmarks/storybook.py --stories 100000 --json

The share of an 8-word sequence is the share of stories that have it outside their first and last sentences
(words lower-cased, punctuation dropped; a sequence may run from one sentence into the next).
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np

from lilliput import storybook
from lilliput.storybook import sentences, tokens

GRAM = 8
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def middle(text: str) -> list[str]:
    """The words between the first and the last sentence."""
    return [word for sentence in sentences(text)[1:-1] for word in tokens(sentence)]


def hashes(words: list[str], ids: dict[str, int]) -> np.ndarray:
    """One 64-bit hash for each distinct run of GRAM words, (runs,)."""
    numbers = np.array([ids.setdefault(word, len(ids) + 1) for word in words], dtype=np.uint64)
    runs = len(numbers) - GRAM + 1
    if runs < 1:
        return np.empty(0, dtype=np.uint64)
    value = np.zeros(runs, dtype=np.uint64)
    for offset in range(GRAM):
        value = value * MULTIPLIER + numbers[offset : offset + runs]
        value ^= value >> np.uint64(29)
    return np.unique(value)


def worst_runs(texts: list[str], top: int) -> list[tuple[str, float]]:
    """The `top` most repeated runs of GRAM words and the share of stories that have each."""
    ids: dict[str, int] = {}
    values, counts = np.unique(np.concatenate([hashes(middle(text), ids) for text in texts]), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:top]
    wanted = {int(values[place]): float(counts[place] / len(texts)) for place in order}
    found: dict[int, str] = {}
    for text in texts:
        words = middle(text)
        for start in range(len(words) - GRAM + 1):
            run = words[start : start + GRAM]
            key = int(hashes(run, ids)[0])
            if key in wanted:
                found.setdefault(key, " ".join(run))
        if len(found) == len(wanted):
            break
    return [(found[key], share) for key, share in wanted.items()]


def measure(stories: int, seed: int, top: int) -> dict[str, Any]:
    """All figures, as JSON holds them."""
    storybook.story(seed, 0)
    start = time.perf_counter()
    texts = [storybook.story(seed, index).text for index in range(stories)]
    seconds = time.perf_counter() - start
    lengths = [len(text.split()) for text in texts]
    runs = worst_runs(texts, top)
    return {
        "stories": stories,
        "megabytes_per_second": sum(map(len, texts)) / seconds / 1e6,
        "word_forms": len({word for text in texts for word in tokens(text)}),
        "words_min": min(lengths),
        "words_mean": sum(lengths) / stories,
        "words_max": max(lengths),
        "duplicates": stories - len(set(texts)),
        "plans_at_least": storybook.count_plans(),
        "worst_8_gram": runs[0][0],
        "worst_8_gram_share": runs[0][1],
        "next_8_grams": dict(runs[1:]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--top", type=int, default=5, help="how many of the most repeated sequences to name")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    figures = measure(options.stories, options.seed, options.top)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        print(f"{name:24}{value:.4g}" if isinstance(value, float) else f"{name:24}{value}")


if __name__ == "__main__":
    main()
