"""Filters of datatrove as a step: languages, addresses of pages, and what else it has that need not be fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field, field_validator

from lilliput.base.errors import ConfigError, MissingExtra, nearest
from lilliput.data.document import Document
from lilliput.data.steps.step import STEPS, Dropped, Step

KNOWN = (
    "C4BadWordsFilter",
    "C4ParagraphFilter",
    "FastTextClassifierFilter",
    "LanguageFilter",
    "RegexFilter",
    "SamplerFilter",
    "UnigramLogProbFilter",
    "URLFilter",
)
"""Filters that decide by a document alone, and that no step of ours does. Some download a model when they begin."""


@STEPS.add("datatrove")
class Datatrove(Step):
    """Drops documents by a filter of datatrove (extra `cluster`; some filters need `datatrove[processing]`). The filter
    reads the text and the meta: URLFilter the `url`, which the source warc gives."""

    kind: Literal["datatrove"] = "datatrove"
    filter: str = Field(description=f"the class of the filter: {', '.join(KNOWN)}")
    options: Mapping[str, Any] = Field(default_factory=dict, description="its arguments, such as {languages: [en]}")

    @field_validator("filter")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in KNOWN:
            raise ValueError(f"'{value}' is not one of {', '.join(KNOWN)}{nearest(value, KNOWN)}")
        return value

    def apply_all(self, documents: Sequence[Document]) -> list[Document | Dropped]:
        made = _filter(self.filter, self.model_dump_json())
        from datatrove.data import Document as Theirs  # it is installed: the filter is from there

        outcomes: list[Document | Dropped] = []
        for document in documents:
            verdict = made.filter(Theirs(text=document.text, id=document.id, metadata={**document.meta}))
            kept, reason = verdict if isinstance(verdict, tuple) else (verdict, "")
            outcomes.append(document if kept else Dropped(": ".join(filter(None, (self.filter, reason)))))
        return outcomes

    def apply(self, document: Document) -> Document | Dropped:
        return self.apply_all([document])[0]


@lru_cache(maxsize=16)
def _filter(name: str, settings: str) -> Any:
    """Return a filter. Raises MissingExtra, and ConfigError for arguments that it does not take."""
    try:
        from datatrove.pipeline import filters
    except ImportError:
        raise MissingExtra("datatrove", "cluster", "a filter of datatrove") from None
    options = Datatrove.model_validate_json(settings).options
    try:
        return getattr(filters, name)(**options)
    except ImportError as error:
        raise ConfigError(f"{name} needs more packages: {error}", "pip install 'datatrove[processing]'") from None
    except TypeError as error:
        raise ConfigError(f"{name}: {error}", f"see the arguments of datatrove's {name}") from None
