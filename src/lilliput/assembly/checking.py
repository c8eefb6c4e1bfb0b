"""Checking a corpus: synthetic text by marker words, diversity, and overlap with texts that models are evaluated on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lilliput.base.console import progress
from lilliput.base.errors import ConfigError
from lilliput.data.checks import check, named, synthetic_share
from lilliput.evaluation.overlap import N, overlap


def check_corpus(
    data: Sequence[str],
    *,
    against: Sequence[str] = (),
    people: Sequence[str] = (),
    models: Sequence[str] = (),
    n: int = N,
) -> dict[str, Any]:
    """Check the documents of `data` (files, folders, names of sources).

    Returns their counts by year, source, topic and form; the words and phrases that language models are known by; with
    texts of `people` and of `models` as references, the share of the words that models wrote; and for each file of
    `against`, the documents that share a run of n words with `data`. Raises DataError and ConfigError."""
    if bool(people) != bool(models):
        raise ConfigError(
            "one reference is missing", "name texts of people and of models: --people FILES --models FILES"
        )
    with progress("checking", unit="documents") as bar:

        def counted() -> Any:
            for pair in named(data):
                bar.advance()
                yield pair

        found = check(counted())
    result: dict[str, Any] = found.as_dict()
    if people:
        result["synthetic"] = synthetic_share(found, check(named(people)), check(named(models)))
    if against:
        sets: dict[str, list[str]] = {}
        for name, document in named(against):
            sets.setdefault(name, []).append(document.text)
        texts = (document.text for _, document in named(data))
        result["overlap"] = {name: one.as_dict() for name, one in overlap(sets, texts, n).items()}
    return result
