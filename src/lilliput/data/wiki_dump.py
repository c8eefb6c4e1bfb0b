"""Wiki dumps as a source: the articles in an XML file of MediaWiki, such as Simple English Wikipedia's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from pydantic import Field

from lilliput.base.errors import DataError, MissingExtra
from lilliput.data.document import Document
from lilliput.data.files import FileSource, byte_blocks, reading
from lilliput.data.source import SOURCES, Errors

TABLE = re.compile(r"\{\|(?:(?!\{\|).)*?\|\}", re.DOTALL)
LEFT_OUT = re.compile(
    r"<(ref|gallery|math|timeline|score|syntaxhighlight)\b[^>/]*>.*?</\1\s*>|<ref\b[^>]*/>", re.DOTALL | re.IGNORECASE
)
MEDIA = re.compile(r"^(?:file|image|category|thumb|media)\s*:", re.IGNORECASE)
LAST = re.compile(
    r"\n=+ *(?:references|notes|sources|other websites|external links|further reading|bibliography|related pages"
    r"|see also) *=+ *\n.*",
    re.DOTALL | re.IGNORECASE,
)
"""Sections at the end of an article that hold links and lists."""
BLANKS = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")


@SOURCES.add("wiki_dump")
class WikiDump(FileSource):
    """XML dumps of MediaWiki, packed by bzip2 or not: a document for each article, its title first. Redirects and pages
    about other things than articles are left out. Templates, tables, references and the links at an article's end are
    removed (by mwparserfromhell; extra `curation`). A document's id is `FILE#page`, by the page's own number."""

    kind: Literal["wiki_dump"] = "wiki_dump"
    titles: bool = Field(default=True, description="begin each document with the article's title")

    suffixes: ClassVar[tuple[str, ...]] = (".xml",)

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        for path in self.files():
            for page in _pages(path):
                document = self._document(page, path)
                if document is not None:
                    yield document

    def _document(self, page: Element, path: Path) -> Document | None:
        found = {_name(each): each for each in page.iter()}
        values = {name: (found[name].text or "") if name in found else "" for name in ("title", "ns", "text")}
        number = next((each.text for each in page if _name(each) == "id"), "")
        if values["ns"].strip() not in ("", "0") or "redirect" in found or not values["text"].strip():
            return None
        text = plain_text(values["text"])
        if not text:
            return None
        title = values["title"].strip()
        return Document(f"{title}\n\n{text}" if self.titles else text, f"{path}#{number}", {"title": title})


def _pages(path: Path) -> Iterator[Element]:
    """Yield every <page> of a dump, with memory bounded by a page. Raises DataError for a file that is no XML."""
    parser = XMLPullParser(("start", "end"))
    root: Element | None = None
    with reading(path):
        try:
            for block in byte_blocks(path):
                parser.feed(block)
                for event, element in _events(parser):
                    if root is None:
                        root = element
                    if event == "end" and _name(element) == "page":
                        yield element
                        root.clear()
            parser.close()
        except ParseError as error:
            raise DataError(
                f"{path} is not a dump of a wiki: {error}", "give the file pages-articles.xml.bz2"
            ) from None


def _events(parser: XMLPullParser) -> Iterator[tuple[str, Element]]:
    events: Any = parser.read_events()
    yield from events


def _name(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def plain_text(wikitext: str) -> str:
    """Return the prose of an article's wikitext."""
    try:
        import mwparserfromhell
    except ImportError:
        raise MissingExtra("mwparserfromhell", "curation", "reading a dump of a wiki") from None
    text = LEFT_OUT.sub("", LAST.sub("", f"\n{wikitext}\n"))
    before = None
    while before != text:  # tables within tables
        before, text = text, TABLE.sub("", text)
    code: Any = mwparserfromhell.parse(text, skip_style_tags=False)
    for link in code.filter_wikilinks():
        if MEDIA.match(str(link.title).strip()):
            code.remove(link, recursive=True)
    plain = str(code.strip_code(normalize=True, collapse=True))
    lines = (line.lstrip("*#:;").strip() for line in plain.split("\n"))
    return BLANKS.sub("\n\n", "\n".join(lines)).strip()
