"""Text files as a source: documents between separators."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from lilliput.base.errors import DataError
from lilliput.data.document import Document
from lilliput.data.files import FileSource, text_blocks
from lilliput.data.source import MAX_DOCUMENT_CHARACTERS, SOURCES, Errors

END_OF_TEXT = "<|endoftext|>"
BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
NAMES = {"blank_lines": "blank lines", "whole_file": "nothing (each file is one document)", "\n": "line ends"}


@SOURCES.add("text")
class Text(FileSource):
    r"""Text files, each split into documents by `separator`:

    auto         `<|endoftext|>` where the file has one, else blank_lines, else whole_file; file by file
    blank_lines  each group of lines between blank lines is a document (blank: nothing but white space): a speech of
                 a play, a paragraph of prose. For longer documents from prose use a rarer mark, such as "\n\n\n"
    whole_file   each file is one document
    other text   that text, literally: "\n" for a document a line, "***", "\n\n\n"

    White space beside a separator, and at the ends of a file, belongs to no document. A document's id is
    `FILE#number`, counted from 0.
    """

    kind: Literal["text"] = "text"
    separator: str = Field(
        default="auto",
        min_length=1,
        description="the separator of a file's documents: auto, blank_lines, whole_file, or a literal text",
    )

    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".text", ".md")

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        for path in self.files():
            for number, text in enumerate(_split(text_blocks(path, errors), self.separator_of(path), path)):
                yield Document(text, f"{path}#{number}")

    def details(self, files: Sequence[Path]) -> str:
        used = Counter(self.separator_of(path) for path in files)
        names = {separator: NAMES.get(separator, repr(separator)) for separator in used}
        if len(used) == 1:
            return f", split on {names.popitem()[1]}"
        return ", split on " + ", ".join(f"{names[mark]} ({count:,} files)" for mark, count in used.items())

    def separator_of(self, path: Path) -> str:
        """Return the separator of this file: the option's, or for `auto` the separator found in the file."""
        if self.separator != "auto":
            return self.separator
        head, size = [], 0
        for block in text_blocks(path, "replace"):
            head.append(block)
            size += len(block)
            # A file that uses the mark has its first mark within the length of the largest document.
            if END_OF_TEXT in block or size > MAX_DOCUMENT_CHARACTERS:
                break
        text = "".join(head).strip()
        if END_OF_TEXT in text:
            return END_OF_TEXT
        return "blank_lines" if BLANK_LINES.search(text) else "whole_file"


def _split(blocks: Iterable[str], separator: str, path: Path) -> Iterator[str]:
    """Yield the stripped, non-empty texts between separators. Raises DataError for a text longer than the largest
    document."""
    pattern = BLANK_LINES if separator == "blank_lines" else re.compile(re.escape(separator))
    rest = ""
    for block in blocks:
        rest += block
        start = 0
        for match in pattern.finditer(rest) if separator != "whole_file" else ():
            if match.end() == len(rest):  # more of the separator may follow in the next block
                break
            if text := rest[start : match.start()].strip():
                yield text
            start = match.end()
        rest = rest[start:]
        if len(rest) > MAX_DOCUMENT_CHARACTERS:
            raise DataError(
                f"{path}: a document is longer than {MAX_DOCUMENT_CHARACTERS:,} characters, the most that is held in "
                f"memory (split on {NAMES.get(separator, repr(separator))})",
                r"""split it into smaller documents, for example by line: 'data.sources.0.separator="\n"'""",
            )
    for part in pattern.split(rest) if separator != "whole_file" else (rest,):
        if text := part.strip():
            yield text
