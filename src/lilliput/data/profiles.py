"""Profiles: lists of steps that fit a sort of text, and the choice of one by looking at documents.

Rules that were made for web pages lose much of other text: of clean children's books they drop a fifth to a third. So a
source has a profile of its own, whose steps come before the steps of the corpus.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from lilliput.data.document import Document
from lilliput.data.steps import STEPS, Step
from lilliput.data.steps.markup import NOTICES, TAG
from lilliput.data.steps.measures import Texts
from lilliput.data.steps.readability import counts_of, flesch_kincaid

PROFILES: dict[str, tuple[dict[str, Any], ...]] = {
    "none": (),
    "web": (
        {"kind": "repair"},
        {"kind": "normalise"},
        {"kind": "markup"},
        {"kind": "boilerplate"},
        {"kind": "gopher_repetition"},
        {"kind": "gopher_quality"},
        {"kind": "c4", "lines_end": False},
        {"kind": "fineweb"},
        {"kind": "near_duplicates"},
    ),
    "simple": (
        {"kind": "repair"},
        {"kind": "normalise"},
        {"kind": "markup", "wiki": True},
        {"kind": "boilerplate"},
        {"kind": "length", "min_words": 20},
        {"kind": "gopher_repetition"},
        {"kind": "substitute", "words": "plain"},
        {"kind": "readability", "max_grade": 8.0},
        {"kind": "word_list", "words": "toxic"},
        {"kind": "redact"},
        {"kind": "near_duplicates"},
    ),
    "stories": (
        {"kind": "repair"},
        {"kind": "normalise"},
        {"kind": "length", "min_words": 20},
        {"kind": "exact_duplicates"},
        {"kind": "near_duplicates", "similarity": 0.8},
    ),
    "books": (
        {"kind": "repair"},
        {"kind": "normalise"},
        {"kind": "length", "min_words": 50},
        {"kind": "near_duplicates"},
    ),
    "code": ({"kind": "normalise"}, {"kind": "length", "min_words": 5}, {"kind": "exact_duplicates"}),
}
"""The steps of each profile. Many stories begin and end alike, so near duplicates of stories are nearer."""
LOOKED_AT = 200
"""Documents that the choice of a profile looks at."""
LONG, EASY = 20_000, 5.5
"""Characters of a document that is longer than most pages, and the grade below which sentences are a child's."""
CODE_LINE = re.compile(
    r"^(?:\t| {2,})\S|[;{}(\[,]\s*$|\)\s*[:{]?\s*$|\w\(|==?\s|->|^(?:import|from|#include|def|class|@)\b"
)


def steps_of(profile: str) -> tuple[Step, ...]:
    """Return the steps of a profile."""
    return tuple(STEPS[values["kind"]](**values) for values in PROFILES[profile])


def choose(documents: Iterable[Document]) -> str:
    """Return the profile that fits the first documents: code by its lines; web by tags and notices; books by length;
    stories by short, easy sentences; else web. Structured rows have the profile none."""
    first = list(islice(documents, LOOKED_AT))
    texts = [document.text for document in first if document.text and document.example is None]
    if not texts:
        return "none"
    if _code(texts) > 0.6:
        return "code"
    if np.median([len(text) for text in texts]) > LONG:
        return "books"
    if np.mean([bool(TAG.search(text) or NOTICES.search(text)) for text in texts]) > 0.2:
        return "web"
    grades = flesch_kincaid(counts_of(Texts([text[:LONG] for text in texts])))
    return "stories" if float(np.median(grades)) < EASY else "web"


def _code(texts: Sequence[str]) -> float:
    """Return the share of lines that look like code."""
    lines = [line for text in texts for line in text[:LONG].splitlines() if line.strip()]
    return sum(CODE_LINE.search(line) is not None for line in lines) / max(1, len(lines))
