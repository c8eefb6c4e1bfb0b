"""Served: a model under the name that requests use, with its tokenizer, its direction and its chat template."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from lilliput.server.template import ChatTemplate

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model
    from lilliput.objectives.objective import ObjectiveConfig


@dataclass(frozen=True)
class Served:
    """`chat` is None where the tokenizer's folder holds no chat template; `created` is in seconds since 1970; `ends`
    are the ids that end a text (None: the tokenizer's end mark)."""

    name: str
    model: Model
    tokenizer: Tokenizer
    objective: ObjectiveConfig
    chat: ChatTemplate | None = None
    created: int = field(default_factory=lambda: int(time.time()))
    ends: frozenset[int] | None = None

    @property
    def context_length(self) -> int:
        return self.model.config.context_length

    @cached_property
    def _sizes(self) -> list[int]:
        return self.tokenizer.token_bytes().tolist()

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end an answer: the end of a text, and the end of a turn where the tokenizer knows one."""
        ends = self.tokenizer.ends if self.ends is None else self.ends
        return ends | ({self.tokenizer.specials["im_end"]} if "im_end" in self.tokenizer.specials else set())

    def data(self, number: int) -> bytes:
        """The bytes of text that an id stands for; b"" for a special token, and for an id that only the model knows."""
        known = number < len(self._sizes) and self._sizes[number]
        return self.tokenizer.decode_bytes([number], continuing=True) if known else b""

    def spell(self, number: int) -> str:
        """A token as text in reports: special tokens by name, bytes that are no whole character as `bytes:\\xe2`."""
        data = self.data(number)
        if not data:
            return self.tokenizer.token(number)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)
