"""CoNLL files: a word and its tag a line, and a blank line behind each sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from lilliput.base.errors import DataError
from lilliput.data.document import Document
from lilliput.data.example_rows import tagged
from lilliput.data.examples import Example
from lilliput.data.files import FileSource, lines
from lilliput.data.source import SOURCES, Errors

BETWEEN_FILES = "-DOCSTART-"
"""The word of CoNLL-2003 that begins a new article, and that belongs to no sentence."""


@SOURCES.add("conll")
class Conll(FileSource):
    """Files of tagged words, as CoNLL's and WNUT's: the first column is the word, and the last column is its tag.
    Columns stand between tabs, or else between spaces. A sentence is a document, with the id `FILE#number`."""

    kind: Literal["conll"] = "conll"

    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".bio", ".iob2")

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        for path in self.files():
            for number, (words, tags) in enumerate(_sentences(path, errors)):
                example = Example("tagged", tagged(words, tags))
                yield Document(example.text, f"{path}#{number}", example=example)


def _sentences(path: Path, errors: Errors) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the words and the tags of each sentence. Raises DataError for a line without a tag."""
    words, tags = list[str](), list[str]()
    for number, line in lines(path, errors):
        if not line.strip():
            if words:
                yield words, tags
            words, tags = [], []
            continue
        columns = [part.strip() for part in line.strip("\n").split("\t")] if "\t" in line else line.split()
        if columns[0] == BETWEEN_FILES:
            continue
        if len(columns) < 2 or not columns[0] or not columns[-1]:
            raise DataError(
                f"{path}:{number} is {line.strip()[:80]!r}, and a line holds a word and its tag",
                "put a tab between the word and its tag, and a blank line between two sentences",
            )
        words.append(columns[0])
        tags.append(columns[-1])
    if words:
        yield words, tags
