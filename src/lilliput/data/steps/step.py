"""Step: the contract of everything that changes or drops a document, and the registry that finds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.base.config import Config
from lilliput.base.registry import Registry
from lilliput.data.document import Document
from lilliput.data.files import digest


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document that a step drops. `reason` is a key of the manifest's counts, so it names no single document. `like`
    is the place, among all documents that came to the step, of the document that it repeats."""

    reason: str
    like: int | None = field(default=None, compare=False)


class Step(Config):
    """A curation step. Subclass it, give `kind` a Literal, and register it with @STEPS.add(NAME)."""

    kind: Any = None

    def reads(self) -> tuple[str, ...]:
        """Return the files whose content decides what the step does: a word list, a model."""
        return ()

    def fingerprint(self) -> list[Any]:
        """Return what decides the step's outcomes: its settings, and the hashes of the files that it reads."""
        return [self.kind, self.model_dump(mode="json"), [digest(Path(path).expanduser()) for path in self.reads()]]

    def apply(self, document: Document) -> Document | Dropped:
        """Return the document, a changed document, or the reason to drop it. The result depends on the document
        alone. A step needs no rule for examples (see `applied`)."""
        raise NotImplementedError

    def apply_all(self, documents: Sequence[Document]) -> list[Document | Dropped]:
        """Return the outcomes of many documents. A step that is faster on many at once overrides this."""
        return [self.apply(document) for document in documents]


class CorpusStep(Step):
    """A curation step that looks at all documents before it changes or drops any: for duplicates, or for the words of a
    whole corpus. The documents come in batches. Each batch is digested by itself, in any process; one process decides
    from all digests; and each batch is concluded by itself with its part of the decision."""

    def digest(self, documents: Sequence[Document]) -> np.ndarray:
        """Return what the decision needs of a batch: (rows, ...), small beside the texts."""
        raise NotImplementedError

    def decide(self, digests: Iterator[np.ndarray]) -> list[np.ndarray]:
        """Return what `conclude` needs for each batch, from the digests of all batches in their order."""
        raise NotImplementedError

    def conclude(self, documents: Sequence[Document], part: np.ndarray) -> list[Document | Dropped]:
        """Return the outcomes of a batch, given its part of the decision."""
        raise NotImplementedError

    def apply(self, document: Document) -> Document | Dropped:
        raise TypeError("this step looks at all documents first: call digest, decide and conclude")


def applied(step: Step, documents: Sequence[Document], part: np.ndarray | None = None) -> list[Document | Dropped]:
    """Apply a step to a batch of documents; `part` is the batch's part of the decision of a CorpusStep. Of an example,
    the whole text decides whether the example is dropped, and each text is changed by itself, so that no text moves
    from one part to another. A step that looks at all documents drops an example or leaves it as it is."""
    if isinstance(step, CorpusStep):
        assert part is not None
        return [
            document if document.example is not None and isinstance(outcome, Document) else outcome
            for document, outcome in zip(documents, step.conclude(documents, part), strict=True)
        ]
    outcomes = step.apply_all(documents)
    return [_in_parts(step, document, outcome) for document, outcome in zip(documents, outcomes, strict=True)]


def decided(step: CorpusStep, batches: Sequence[Sequence[Document]]) -> list[list[Document | Dropped]]:
    """Return the outcomes of batches that are all in memory."""
    parts = step.decide(map(step.digest, batches))
    return [step.conclude(batch, part) for batch, part in zip(batches, parts, strict=True)]


def step_into(
    outcomes: list[Document | Dropped],
    step: Step,
    part: np.ndarray | None = None,
    seen: Sequence[bool] | None = None,
) -> list[tuple[int, Document | Dropped]]:
    """Apply a step to the documents among the outcomes of a batch so far, in place: to those that `seen` marks, or to
    all. Return the places and outcomes of those that it changed or dropped. Tokens that came with a changed text are
    gone."""
    there: list[int] = []
    before: list[Document] = []
    for place, outcome in enumerate(outcomes):
        if isinstance(outcome, Document) and (seen is None or seen[place]):
            there.append(place)
            before.append(outcome)
    changed: list[tuple[int, Document | Dropped]] = []
    for place, old, new in zip(there, before, applied(step, before, part), strict=True):
        if isinstance(new, Document) and new.text != old.text:
            new = replace(new, tokens=None)
        if new is not old:
            outcomes[place] = new
            changed.append((place, new))
    return changed


def _in_parts(step: Step, document: Document, outcome: Document | Dropped) -> Document | Dropped:
    """The outcome of a document, with the texts of an example changed one by one."""
    if document.example is None or isinstance(outcome, Dropped) or outcome.example is not document.example:
        return outcome
    if outcome.meta is not document.meta and outcome.text == document.text:
        return outcome  # a grade or a topic of the whole, which no part of it has

    def change(text: str) -> str:
        part = step.apply(replace(document, text=text, example=None))
        return text if isinstance(part, Dropped) else part.text

    example = document.example.mapped(change)
    return replace(outcome, text=example.text, example=example)


STEPS: Registry[type[Step]] = Registry("curation step", "lilliput.data.steps")
