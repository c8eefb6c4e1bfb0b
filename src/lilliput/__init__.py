"""Lilliput grows tiny language models from raw text to a told story.

>>> import lilliput
>>> run = lilliput.train("story", steps=500, name="short")
>>> print(run.tell("Once upon a time"))
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lilliput.base import before_torch

if TYPE_CHECKING:
    from lilliput.api import (
        Run,
        Storyteller,
        benchmark,
        complete,
        evaluate,
        export,
        generate,
        import_file,
        judge,
        load,
        overlaps,
        pull,
        push,
        score_text,
        train,
    )

before_torch.at_import()

__version__ = "0.1.0"
__all__ = [
    "Run",
    "Storyteller",
    "benchmark",
    "complete",
    "evaluate",
    "export",
    "generate",
    "import_file",
    "judge",
    "load",
    "overlaps",
    "pull",
    "push",
    "score_text",
    "train",
]


def __getattr__(name: str) -> Any:
    # PyTorch takes a second to import: only what needs it pays for it.
    if name in __all__:
        before_torch.before_use()
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
