"""Reading: what one forward pass over prompts reads, and the sources that an encoder reads with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from lilliput.base.errors import ConfigError
from lilliput.model.source import Source

if TYPE_CHECKING:
    from lilliput.model.attention import Cache
    from lilliput.model.config import ModelConfig
    from lilliput.model.transformer import Model

PREFILL_TOKENS = 8192
"""The most positions, padding included, that one forward pass over prompts reads (a single prompt may be longer)."""


Text = tuple[tuple[int, ...], tuple[int, ...]]
"""The ids of a text so far, and its source."""


def passes(texts: list[Text]) -> Iterator[list[Text]]:
    """Yield the texts in groups. One forward pass reads a group, which has as many texts as fit into PREFILL_TOKENS,
    padding included."""
    group: list[Text] = []
    for text in texts:
        longest = sum(max(len(each[side]) for each in (*group, text)) for side in (0, 1))
        if group and longest * (len(group) + 1) > PREFILL_TOKENS:
            yield group
            group = []
        group.append(text)
    if group:
        yield group


def padded(rows: Sequence[Sequence[int]], device: torch.device) -> torch.Tensor:
    """Rows of ids -> (B, longest) int64, padded with zeros."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)


def check_source(source: Sequence[int], config: ModelConfig) -> None:
    """Raise ConfigError where a model with an encoder has no source, or one that does not fit, and for a source of
    another model."""
    context = config.context_length
    if not config.encoder_layers and source:
        raise ConfigError("a source is given to a model without an encoder", "give all of the text as the prompt")
    if config.encoder_layers and not 1 <= len(source) <= context:
        raise ConfigError(
            f"the source has {len(source)} tokens, and the encoder reads 1 to {context}",
            "shorten the source" if source else "give the text to read",
        )
    if source and not 0 <= min(source) <= max(source) < config.vocab_size:
        raise ConfigError(f"the source holds ids outside 0 to {config.vocab_size - 1}")


def source_of(sources: Sequence[Sequence[int]], device: torch.device) -> Source | None:
    """Return what the encoder reads for texts with these sources; None without any."""
    if not any(sources):
        return None
    return Source(padded(sources, device), torch.tensor([len(each) for each in sources], device=device))


def read(model: Model, tokens: torch.Tensor, cache: Cache, source: Source | None) -> torch.Tensor:
    """Read the first tokens (B, T) int64 of texts, and their sources; return hidden states (B, T, d_model)."""
    # A stand-in for a model without an encoder need not know sources.
    return model(tokens, cache=cache) if source is None else model(tokens, cache=cache, source=source)
