"""Room for a chart's text: its greatest width, lines that fit, and boxes that must not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NARROW, WIDE = frozenset(" .,;:!'|ijlftr()[]/"), frozenset("mwMWQOGD@%+=<>")
ASCENT, DESCENT = 0.93, 0.24
"""Height of a line's box above and below its base line, in ems."""


def text_width(text: str, size: float = 12, bold: bool = False) -> float:
    """Return the pixels of sans serif text, rather too many than too few. Fonts differ between readers, and DejaVu
    Sans, which is common on Linux, is among the widest."""
    wide = sum(letter in WIDE or ord(letter) > 0x2E80 for letter in text)
    narrow = sum(letter in NARROW for letter in text)
    ems = 0.4 * narrow + 1.0 * wide + 0.64 * (len(text) - narrow - wide)
    return size * ems * (1.1 if bold else 1.0)


def fit(text: str, width: float, size: float = 12) -> str:
    """Return the text, cut with '…' where it is wider than `width` pixels."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrap(text: str, width: float, size: float = 12, bold: bool = False) -> list[str]:
    """Return lines that fit `width` pixels. A word that is too long for a line is cut. An empty text has no line."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(joined, size, bold) <= width:
            lines[-1] = joined
        else:
            lines.append(fit(word, width / (1.1 if bold else 1.0), size))
    return lines


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    @staticmethod
    def of(text: str, x: float, y: float, anchor: str = "start", size: float = 12) -> Box:
        """Return the box of a line of text whose base line is at `y`. `anchor` is SVG's text-anchor."""
        width = text_width(text, size)
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        return Box(left, y - ASCENT * size, left + width, y + DESCENT * size)

    def crossed(self, start: tuple[float, float], stop: tuple[float, float]) -> bool:
        """Return whether the straight line between two points runs through the box."""
        (x, y), (end_x, end_y) = sorted((start, stop))
        if end_x < self.left or x > self.right:
            return False
        slope = (end_y - y) / (end_x - x) if end_x > x else 0.0
        inside = [y + slope * (min(max(at, x), end_x) - x) for at in (self.left, self.right)]
        heights = inside if end_x > x else [y, end_y]
        return min(heights) < self.bottom and max(heights) > self.top

    def meets(self, others: Sequence[Box]) -> bool:
        """Return whether the box overlaps any of the others."""
        return any(
            self.left < one.right and one.left < self.right and self.top < one.bottom and one.top < self.bottom
            for one in others
        )
