"""Registry: named classes, found by importing every module of a package, so that an addition touches one file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from lilliput.base.errors import ConfigError, nearest

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """Names to classes. Every module of `package` is imported on the first look-up, so a class that
    registers itself in a new file of that package is found with no other edit.

    >>> SOURCES = Registry[type]("data source", "lilliput.data")
    >>> @SOURCES.add("text")
    ... class Text: ...
    """

    def __init__(self, what: str, package: str):
        self.what = what
        self.package = package
        self._entries: dict[str, Any] = {}
        self._searched = False

    def add(self, name: str) -> Callable[[C], C]:
        """Return a class decorator that registers the class as `name`. The decorator raises ValueError when the name is
        taken."""

        def register(entry: C) -> C:
            if name in self._entries:
                raise ValueError(f"the {self.what} '{name}' is registered twice: {self._entries[name]} and {entry}")
            self._entries[name] = entry
            return entry

        return register

    def _search(self) -> None:
        if self._searched:
            return
        self._searched = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")

    def __getitem__(self, name: str) -> T:
        self._search()
        if name not in self._entries:
            raise ConfigError(
                f"unknown {self.what} '{name}'{nearest(name, self._entries)}",
                f"known: {', '.join(sorted(self._entries))}",
            )
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._search()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._search()
        return iter(sorted(self._entries))
