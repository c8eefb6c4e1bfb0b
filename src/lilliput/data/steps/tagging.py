"""Taggers: models that find the entities of texts. Rooms above load them, and install how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from lilliput.base.errors import ConfigError

Span = tuple[int, int, str]
"""The first character of an entity, the character behind it, and its type."""
Tagger = Callable[[Sequence[str]], list[list[Span]]]

_load: Callable[[str], Tagger] | None = None


def use_taggers(load: Callable[[str], Tagger]) -> None:
    """Install how a tagger is loaded by the name or folder of its run."""
    global _load
    _load = load


@lru_cache(maxsize=2)
def tagger(run: str) -> Tagger:
    """Return the tagger of a run. Raises ConfigError where none can be loaded."""
    if _load is None:
        raise ConfigError("no model can be loaded here", "prepare by lilliput.prepare, or by lilliput data prepare")
    return _load(run)
