"""Repair: text that was decoded by the wrong encoding, HTML entities, and characters that no text needs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from pydantic import Field

from lilliput.base.errors import MissingExtra
from lilliput.data.document import Document
from lilliput.data.steps.step import STEPS, Dropped, Step

DAMAGED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ufb00-\ufb06\uff01-\uff5e]"  # control characters, ligatures, wide
    "|[\u00c2-\u00f4\u0102-\u0111\u0152-\u0178][^\x00-\x7f]"  # UTF-8 that was read as another encoding: Ã©, â€™
    "|&(?:#\\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,31});"
)
"""What a line that needs repair has. Lines without it are not read further, since the repair is slow."""


@STEPS.add("repair")
class Repair(Step):
    """Repairs mojibake ("schÃ¶n" becomes "schön"), HTML entities, ligatures and control characters by ftfy, in the
    lines that have them. Needs the extra `curation`."""

    kind: Literal["repair"] = "repair"
    entities: bool = Field(default=True, description="turn HTML entities such as &eacute; into their characters")
    straight_quotes: bool = Field(default=False, description="turn curly quotation marks into straight ones")

    def apply(self, document: Document) -> Document | Dropped:
        if DAMAGED.search(document.text) is None and not self.straight_quotes:
            return document
        try:
            import ftfy
        except ImportError:
            raise MissingExtra("ftfy", "curation", "the step repair") from None
        settings = ftfy.TextFixerConfig(unescape_html=self.entities, uncurl_quotes=self.straight_quotes, explain=False)
        lines = document.text.split("\n")
        fixed = [
            ftfy.fix_text(line, settings) if self.straight_quotes or DAMAGED.search(line) else line for line in lines
        ]
        return document if fixed == lines else replace(document, text="\n".join(fixed))
