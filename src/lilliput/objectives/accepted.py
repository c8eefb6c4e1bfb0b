"""Accepted: which kinds of documents an objective learns from, and the error for others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lilliput.base.errors import DataError
from lilliput.data.document import Document
from lilliput.data.example_rows import PLURAL
from lilliput.data.examples import TEXTS, Example
from lilliput.data.rows import Encoded
from lilliput.objectives.objective import OBJECTIVES, ObjectiveConfig

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


def accepts(objective: type[ObjectiveConfig] | ObjectiveConfig, kind: str) -> bool:
    """Whether an objective learns from documents of this kind. A text with labels is a text, too."""
    kinds = objective.examples if isinstance(objective, type) else objective.learns_from
    return kind in kinds or (kind in TEXTS and "text" in kinds)


def check_accepted(objective: ObjectiveConfig, document: Document) -> None:
    """Raise DataError for a document of a kind that the objective does not learn from. The error names the objectives
    that do."""
    kind = document.kind
    if accepts(objective, kind):
        return
    wanted = " or ".join(PLURAL[each] for each in objective.learns_from)
    others = [name for name in OBJECTIVES if accepts(OBJECTIVES[name], kind)]
    hint = f"train one of {', '.join(others)}: objective.kind={others[0]}" if others else "give data of another kind"
    more = " (the row has no label)" if kind == "text" and "labelled" in objective.learns_from else ""
    raise DataError(
        f"{document.id}: the rows of this source are {PLURAL[kind]}{more}, and the objective '{objective.kind}' learns "
        f"from {wanted}",
        f"{hint}; or name the column of a text: data.sources.0.format=text data.sources.0.column=NAME"
        if kind != "text"
        else hint,
    )


def examples_of(documents: Sequence[Document], objective: ObjectiveConfig) -> list[Example]:
    """The structured rows of documents, all of them of kinds that the objective learns from. Raises DataError as
    `check_accepted` does."""
    for document in documents:
        check_accepted(objective, document)
    return [document.example for document in documents if document.example is not None]


def encode_to_score(
    objective: ObjectiveConfig, documents: Sequence[Document], tokenizer: Tokenizer
) -> Sequence[Encoded | Sequence[Encoded]]:
    """Encode documents that a model is to be scored on. A model that generates text is scored on plain text, too, also
    where its objective learns from examples alone. Raises DataError for other documents that it does not learn from."""
    texts = objective.generates and all(document.kind in TEXTS for document in documents)
    if texts and not accepts(objective, "text"):
        return objective.encode_texts(documents, tokenizer)
    for document in documents:
        check_accepted(objective, document)
    return objective.encode_held_out(documents, tokenizer)
