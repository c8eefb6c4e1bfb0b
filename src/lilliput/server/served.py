"""Served: a model under the name that requests use, with the parts of it that the routes need."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lilliput.lens.ablation import Reference

if TYPE_CHECKING:
    from lilliput.data.chat_template import ChatTemplate
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.generation.text_generator import TextGenerator
    from lilliput.model.transformer import Model
    from lilliput.objectives.objective import ObjectiveConfig
    from lilliput.server.schemas import World


REFERENCE_ROWS, REFERENCE_TOKENS = 8, 64
"""The texts of the model's own over which means of its activations are taken."""


@dataclass(frozen=True)
class Served:
    """`folder` is the model's folder where it has one of its own, `world` what its run was trained for (see
    worlds.world_in), `created` is in seconds since 1970."""

    name: str
    generator: TextGenerator
    folder: Path | None = None
    world: World | None = None
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def model(self) -> Model:
        """Return the model that computes the answers: the faster stand-in where there is a stand-in."""
        return self.generator.decoder

    @property
    def tokenizer(self) -> Tokenizer:
        return self.generator.tokenizer

    @property
    def objective(self) -> ObjectiveConfig:
        return self.generator.objective

    @property
    def chat(self) -> ChatTemplate | None:
        """None where the tokenizer's folder holds no chat template."""
        return self.generator.chat_template

    @property
    def context_length(self) -> int:
        return self.model.config.context_length

    @cached_property
    def _sizes(self) -> list[int]:
        return self.tokenizer.token_bytes().tolist()

    @cached_property
    def reference(self) -> Reference:
        """The activations of the model on texts that it generates itself, from which means are taken. They are computed
        at the first use, which has to be in the thread that runs the model."""
        ids = self.generator.sample_ids(REFERENCE_ROWS, REFERENCE_TOKENS)
        model = self.generator.model
        return Reference(model, torch.tensor(ids, device=next(model.parameters()).device))

    @property
    def stop_ids(self) -> frozenset[int]:
        """Return the ids that end an answer: the end of a text, and the end of a turn where the tokenizer has a token
        for it."""
        return self.generator.turn_ends

    def data(self, number: int) -> bytes:
        """Return the bytes of text that an id stands for. They are b"" for a special token and for an id that only the
        model has."""
        known = number < len(self._sizes) and self._sizes[number]
        return self.tokenizer.decode_bytes([number], continuing=True) if known else b""

    def spell(self, number: int) -> str:
        """Return a token as text for reports: a special token by its name, bytes that are no whole character as
        `bytes:\\xe2`."""
        data = self.data(number)
        if not data:
            return self.tokenizer.token(number)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)
