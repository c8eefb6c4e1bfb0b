"""Step: the contract of everything that changes or drops a document, and the registry that finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lilliput.base.config import Config
from lilliput.base.registry import Registry
from lilliput.data.document import Document


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document that a step drops. `reason` is a key of the manifest's counts, so it names no single document."""

    reason: str


class Step(Config):
    """A curation step. Subclass it, give `kind` a Literal, and register it with @STEPS.add(NAME)."""

    kind: Any = None

    def apply(self, document: Document) -> Document | Dropped:
        """Return the document, a changed document, or the reason to drop it. The result depends on the document
        alone. A step needs no rule for examples (see `applied`)."""
        raise NotImplementedError

    def apply_all(self, documents: Sequence[Document]) -> list[Document | Dropped]:
        """Return the outcomes of many documents. A step that is faster on many at once overrides this."""
        return [self.apply(document) for document in documents]


class CorpusStep(Step):
    """A curation step that looks at all documents before it changes or drops any: for duplicates. The documents are
    read once more for it. `survey` has to keep its memory small for each document."""

    def survey(self, batches: Iterator[Sequence[Document]]) -> Survey:
        """Read all documents that come to this step. Returns what `apply_all` of a pass needs."""
        raise NotImplementedError

    def apply(self, document: Document) -> Document | Dropped:
        raise TypeError("this step looks at all documents first: call survey")


class Survey:
    """What a step found in all documents. A pass gives the same documents again, in the same order."""

    def begin(self) -> Callable[[Sequence[Document]], list[Document | Dropped]]:
        """Return the function that a new pass calls with one batch of documents after the other."""
        raise NotImplementedError


def applied(
    step: Step,
    documents: Sequence[Document],
    surveyed: Callable[[Sequence[Document]], list[Document | Dropped]] | None = None,
) -> list[Document | Dropped]:
    """Apply a step to documents; `surveyed` is the pass of a step that looked at all documents first. Of an example,
    the whole text decides whether the example is dropped, and each text is changed by itself, so that no text moves
    from one part to another. A step that looks at all documents drops an example or leaves it as it is."""
    if surveyed is not None:
        outcomes = surveyed(documents)
        return [
            document if document.example is not None and isinstance(outcome, Document) else outcome
            for document, outcome in zip(documents, outcomes, strict=True)
        ]
    outcomes = step.apply_all(documents)
    return [_in_parts(step, document, outcome) for document, outcome in zip(documents, outcomes, strict=True)]


def _in_parts(step: Step, document: Document, outcome: Document | Dropped) -> Document | Dropped:
    """The outcome of a document, with the texts of an example changed one by one."""
    if document.example is None or isinstance(outcome, Dropped) or outcome.example is not document.example:
        return outcome

    def change(text: str) -> str:
        part = step.apply(replace(document, text=text, example=None))
        return text if isinstance(part, Dropped) else part.text

    example = document.example.mapped(change)
    return replace(outcome, text=example.text, example=example)


STEPS: Registry[type[Step]] = Registry("curation step", "lilliput.data.steps")
