"""Tagging for curation: a tagger of one's own finds the names in whole documents."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lilliput.data.steps.tagging import Span, Tagger, use_taggers

PIECE = re.compile(r"\S(?:[^\n]{0,400}?[.!?…][\"'”’)]*(?=\s)|[^\n]{0,400}(?=\s|$))")
"""A sentence, or as much of a line: taggers learn sentences, and cut longer texts."""


def load_tagger(run: str) -> Tagger:
    """Return the tagger of a run, which reads documents sentence by sentence."""
    from lilliput.generation.scoring import score  # PyTorch takes seconds to import, in each process that curates

    def spans(texts: Sequence[str]) -> list[list[Span]]:
        pieces = [(number, found) for number, text in enumerate(texts) for found in PIECE.finditer(text)]
        rows = score(run, [found[0] for _, found in pieces], device="cpu", notify=lambda text: None)
        made: list[list[Span]] = [[] for _ in texts]
        for (number, found), row in zip(pieces, rows, strict=True):
            at = found.start()
            made[number] += [(at + one["start"], at + one["stop"], one["type"]) for one in row["entities"]]
        return made

    return spans


def install() -> None:
    """Let the step `names` load taggers by their runs."""
    use_taggers(load_tagger)
