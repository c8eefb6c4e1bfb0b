"""StopText: stop strings over text that arrives in pieces."""

from __future__ import annotations

from collections.abc import Sequence

from lilliput.base.errors import ConfigError


class StopText:
    """Passes text on until a stop string of `stops` is complete in it. The stop string that ends first counts. Where
    several end at the same place, the longest counts. So the result does not depend on the division of the text into
    pieces.

    Raises ConfigError for an empty stop string, which would stop every text at once.
    """

    def __init__(self, stops: Sequence[str]):
        if not all(stops):
            raise ConfigError("a stop string is empty", "leave it out, or give the text to stop at")
        self.stops = tuple(stops)
        self._longest = max(map(len, stops), default=0)
        self._held = ""
        self._found = False

    def push(self, text: str) -> tuple[str, bool]:
        """Return the text that is safe to show now, and whether a stop string was found. An end of the text that may
        begin a stop string is held back. The stop string itself and the text after it are never shown."""
        if self._found:
            return "", True
        text = self._held + text
        found = [(place + len(stop), place) for stop in self.stops if (place := text.find(stop)) >= 0]
        if found:
            self._found, self._held = True, ""
            return text[: min(found)[1]], True
        safe = self._safe(text)
        self._held = text[safe:]
        return text[:safe], False

    def flush(self) -> str:
        """Return the text that was held back, when no more text comes."""
        held, self._held = self._held, ""
        return held

    def _safe(self, text: str) -> int:
        """Return the first place from which the rest of `text` may still grow into a stop string."""
        for place in range(max(0, len(text) - self._longest + 1), len(text)):
            if any(stop.startswith(text[place:]) for stop in self.stops):
                return place
        return len(text)
