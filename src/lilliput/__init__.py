"""Lilliput grows tiny language models from raw text to a told story.

>>> import lilliput
>>> run = lilliput.train("story", steps=500, name="short")
>>> print(run.tell("Once upon a time"))
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lilliput.api import Run, Storyteller, evaluate, generate, load, train

# Read once, when PyTorch is first imported. OpenMP's threads else spin while they wait for each other: beside any other
# busy process, a step of a small model took thirty times as long (docs/studies/speed.md).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
__all__ = ["Run", "Storyteller", "evaluate", "generate", "load", "train"]


def __getattr__(name: str) -> Any:
    # PyTorch takes a second to import: only what needs it pays for it.
    if name in __all__:
        from lilliput import api

        return getattr(api, name)
    raise AttributeError(f"module 'lilliput' has no attribute '{name}'")


class _Room(ModuleType):
    """A room whose name is also a verb of the API: `lilliput.train` is a package, and calling it trains."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from lilliput import api

        return getattr(api, self.__name__.rpartition(".")[2])(*arguments, **options)


class _Package(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        # Importing the room `lilliput.train` binds it here, in the place of the function.
        if name in __all__ and isinstance(value, ModuleType):
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
