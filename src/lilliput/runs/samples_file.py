"""samples.md: the model's texts for the same prompts through time, readable as Markdown and parsed back exactly.

    ## step 500 (tokens 1,048,576, 42 s)

    **Once upon a time** there was a little girl.

    ---

    **The dog** ran away.

Text keeps its own line breaks. Characters that Markdown or HTML would act on are escaped by a backslash. Control
characters, which untrained models generate, are written as \\x00, so that the file stays text for every tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

SEPARATOR = "\n\n---\n\n"
HEADING = re.compile(r"^## step (\d{1,18}) \(tokens (\d[\d,]{0,24}), (\d{1,18}(?:\.\d+)?) s\)\n\n", re.MULTILINE)
ACTIVE = re.compile(r"[\\`*_<>\[\]&$~|]|^[#\-+=]", re.MULTILINE)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f]")
# The end of a section, or the beginning of the next section in a file that was cut short. Text never holds these
# unescaped.
CUT_SHORT = re.compile(r"#[^\n]*\n?\Z")
END = re.compile(r"\n\n(?:#[^\n]*\n?|-{1,3}\n*)?\Z")
BLOCK = re.compile(r"((?:[^\\*]|\\.)*)\*\*((?:[^\\*]|\\.)*)\*\*(.*)", re.DOTALL)


class Sample(NamedTuple):
    """A prompt and the text generated after it, spaces included. `before` holds text that leads to a prompt at the end
    (a model trained in reverse)."""

    prompt: str
    text: str
    before: str = ""

    @classmethod
    def of(cls, prompt: str, whole: str) -> Sample:
        """Make a sample of a whole text that begins or ends with its prompt. Any other text counts as the text after
        the prompt."""
        if whole.startswith(prompt):
            return cls(prompt, whole.removeprefix(prompt))
        return cls(prompt, "", whole.removesuffix(prompt)) if whole.endswith(prompt) else cls(prompt, whole)


@dataclass(frozen=True, slots=True)
class Section:
    """Every prompt's sample at one moment of a run; `texts` may hold plain (prompt, text) pairs. `seconds` are kept
    to a tenth in the file."""

    step: int
    tokens: int
    seconds: float
    texts: Sequence[Sample | tuple[str, str]]

    @property
    def samples(self) -> tuple[Sample, ...]:
        return tuple(Sample(*sample) for sample in self.texts)


def format_samples(section: Section) -> str:
    """One section of samples.md, to append to the file (open it with newline="\\n")."""
    head = f"## step {section.step} (tokens {section.tokens:,}, {section.seconds:.1f} s)\n\n"
    blocks = (f"{_escape(s.before)}**{_escape(s.prompt)}**{_escape(s.text)}" for s in section.samples)
    return head + SEPARATOR.join(blocks) + "\n\n"


def parse_samples(markdown: str) -> list[Section]:
    """The sections of a samples.md in file order. A section that was cut short keeps its whole samples."""
    heads = list(HEADING.finditer(markdown))
    ends = [head.start() for head in heads[1:]] + [len(markdown)]
    return [
        Section(
            step=int(head[1]),
            tokens=int(head[2].replace(",", "")),
            seconds=float(head[3]),
            texts=tuple(_blocks(markdown[head.end() : end])),
        )
        for head, end in zip(heads, ends, strict=False)
    ]


def rewound(markdown: str, step: int) -> tuple[str, bool]:
    """Return the sections up to `step` as text, and whether the file is whole: it begins with this text, and only a
    later section follows."""
    kept = "".join(format_samples(section) for section in parse_samples(markdown) if section.step <= step)
    rest = markdown.removeprefix(kept)
    head = HEADING.match(rest)
    later = not rest or CUT_SHORT.match(rest) or (head is not None and int(head[1]) > step)
    return kept, markdown.startswith(kept) and bool(later)


def _blocks(body: str) -> Iterable[Sample]:
    for block in END.sub("", body).split(SEPARATOR):
        if parts := BLOCK.fullmatch(block):
            before, prompt, text = map(_unescape, parts.groups())
            yield Sample(prompt, text, before)


def _escape(text: str) -> str:
    # A carriage return would come back as a line feed from any text file.
    marked = ACTIVE.sub(lambda match: "\\" + match[0], text).replace("\r", "\\r")
    return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", marked)


def _unescape(text: str) -> str:
    return re.sub(r"\\(?:x([0-9a-f]{2})|(.))", _unescaped, text, flags=re.DOTALL)


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return "\r" if match[2] == "r" else match[2]
