"""Lilliput grows tiny language models from raw text to a told story.

>>> import lilliput
>>> run = lilliput.train("story", steps=200)
>>> print(run.tell("Once upon a time"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lilliput.api import Run, Storyteller, evaluate, generate, load, train

__version__ = "0.1.0"
__all__ = ["Run", "Storyteller", "evaluate", "generate", "load", "train"]


def __getattr__(name: str) -> Any:
    # PyTorch takes a second to import: only what needs it pays for it.
    if name in __all__:
        from lilliput import api

        return getattr(api, name)
    raise AttributeError(f"module 'lilliput' has no attribute '{name}'")
