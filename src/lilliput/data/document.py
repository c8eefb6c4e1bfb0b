"""Document: what every source yields and every curation step maps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Document:
    """One text. `id` names it so that a person can find it again (file and place, row number, story number);
    `meta` is what the source knows of it beyond the text (a plan, a title, a licence)."""

    text: str
    id: str
    meta: dict[str, Any] = field(default_factory=dict)
