"""The kinds of documents that objectives learn from, and the refusal of all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lilliput.base.errors import DataError
from lilliput.data.document import Document
from lilliput.data.examples import PARTS, Example

if TYPE_CHECKING:
    from lilliput.objectives.objective import ObjectiveConfig

NAMES = {
    "text": "texts",
    "messages": "conversations (messages)",
    "completion": "completions (prompt, completion)",
    "preference": "preferences (prompt, chosen, rejected)",
    "rating": "ratings (prompt, completion, label)",
    "prompt": "prompts (prompt)",
    "labelled": "labelled texts (text, label)",
}
"""Each kind as errors name it."""


def check_kinds(documents: Sequence[Document], objective: ObjectiveConfig) -> None:
    """Raise DataError for the first document of a kind that the objective does not learn from."""
    for document in documents:
        if document.kind not in objective.examples:
            raise DataError(
                f"{document.id} is one of {NAMES.get(document.kind, document.kind)}, and the objective "
                f"'{objective.kind}' learns from {' or '.join(NAMES[kind] for kind in objective.examples)}",
                _others(document.kind),
            )


def examples_of(documents: Sequence[Document], objective: ObjectiveConfig) -> list[Example]:
    """The structured rows of documents of the objective's kinds. Raises DataError as `check_kinds` does."""
    check_kinds(documents, objective)
    return [document.example for document in documents if document.example is not None]


def _others(kind: str) -> str:
    """The objectives that learn from documents of this kind."""
    from lilliput.objectives.objective import OBJECTIVES

    able = [name for name in OBJECTIVES if kind in OBJECTIVES[name].examples]
    if not able:
        parts = ", ".join(PARTS[kind]) if kind in PARTS else kind  # pyright: ignore[reportArgumentType]
        return f"no objective learns from {parts}"
    return f"objectives that learn from {NAMES.get(kind, kind)}: {', '.join(able)} (objective.kind=NAME)"
