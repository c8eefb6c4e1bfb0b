"""Markup and boilerplate: tags, wiki and Markdown signs, menus, and the notices around the text of a page."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Literal

from pydantic import Field

from lilliput.base.errors import MissingExtra
from lilliput.data.document import Document
from lilliput.data.steps.step import STEPS, Dropped, Step

HIDDEN = re.compile(
    r"<!--.*?-->|<(script|style|noscript|template|svg|head)\b[^>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE
)
BREAK = re.compile(
    r"<(?:br|hr)\b[^<>]*>|</?(?:p|div|li|ul|ol|tr|table|h[1-6]|blockquote|section)\b[^<>]*>", re.IGNORECASE
)
TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9-]*(?:\s[^<>]*)?/?>")
BLANKS = re.compile(r"\n(?:[ \t]*\n){2,}")
MARKDOWN = (
    (re.compile(r"^#{1,6} +", re.MULTILINE), ""),
    (re.compile(r"!\[([^\]\n]*)\]\([^)\n]*\)"), r"\1"),
    (re.compile(r"\[([^\]\n]+)\]\([^)\s]+(?: \"[^\"\n]*\")?\)"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"^ *(?:```|~~~).*$\n?", re.MULTILINE), ""),
)
WIKI = (
    (re.compile(r"\{\{[^{}]*\}\}"), ""),
    (re.compile(r"\[\[(?:File|Image|Category):[^\[\]]*\]\]", re.IGNORECASE), ""),
    (re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]"), r"\1"),
    (re.compile(r"\[https?://\S+ ([^\]\n]*)\]"), r"\1"),
    (re.compile(r"'{2,5}"), ""),
    (re.compile(r"^={1,6} *([^=\n][^\n]{0,200}?) *={1,6} *$", re.MULTILINE), r"\1"),
)


@STEPS.add("markup")
class Markup(Step):
    """Removes HTML tags, comments, scripts and styles, Markdown signs and wiki signs, and keeps the text between them.
    `pages: main_text` keeps only the main text of documents that are whole HTML pages, by trafilatura (extra
    `curation`)."""

    kind: Literal["markup"] = "markup"
    html: bool = Field(default=True, description="remove HTML")
    markdown: bool = Field(default=False, description="remove Markdown signs")
    wiki: bool = Field(default=False, description="remove the signs of wiki pages")
    pages: Literal["main_text", "all_text"] = Field(
        default="all_text", description="what is kept of a document that is a whole HTML page"
    )

    def apply(self, document: Document) -> Document | Dropped:
        text = document.text
        if self.html and "<" in text:
            if self.pages == "main_text" and re.match(r"\s*(?:<!doctype html|<html)", text, re.IGNORECASE):
                main = main_text(text)
                return Dropped("markup: no main text") if main is None else replace(document, text=main)
            text = _without_html(text)
        if self.wiki and any(sign in text for sign in ("{{", "[[", "''", "==", "[http")):
            before = None
            while before != text:  # templates within templates
                before, text = text, _changed(text, WIKI)
        if self.markdown:
            text = _changed(text, MARKDOWN)
        return document if text == document.text else replace(document, text=text.strip())


def _without_html(text: str) -> str:
    plain = HIDDEN.sub("", text)
    broken = BREAK.sub("\n", plain)
    bare = TAG.sub("", broken)
    if bare == text:
        return text  # "<" stands for itself
    return BLANKS.sub("\n\n", html.unescape(bare))


def _changed(text: str, patterns: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, new in patterns:
        text = pattern.sub(new, text)
    return text


def main_text(page: str) -> str | None:
    try:
        import trafilatura
    except ImportError:
        raise MissingExtra("trafilatura", "curation", "the main text of a page") from None
    return trafilatura.extract(page, favor_precision=True, include_comments=False, deduplicate=False)


NOTICES = re.compile(
    r"\b(?:all rights reserved|click (?:here|to|on the)|read (?:more|the full)|sign (?:up|in) (?:for|to|with|now)"
    r"|log ?in|subscribe (?:to|now)|our newsletter|privacy policy|terms (?:of|and) (?:use|service|conditions)"
    r"|cookies?\b.{0,40}\b(?:site|website|experience)|skip to (?:content|main)|share (?:this|on)|follow us"
    r"|leave a (?:comment|reply)|posted (?:by|on|in)|add to cart|back to top|advertisement"
    r"|powered by \w+|\d+ comments?)\b|©|^\s*(?:https?://|www\.)\S+\s*$",
    re.IGNORECASE,
)
CUES = ("rights reserved", "click", "read more", "read the full", "sign up", "sign in", "log in", "login", "subscribe")
CUES += ("newsletter", "privacy policy", "terms ", "cookie", "skip to", "share ", "follow us", "leave a ", "posted ")
CUES += ("add to cart", "back to top", "advertisement", "powered by", "comment", "©", "http", "www.")
"""One of them stands in every notice, and each is found fast."""
SEPARATED = re.compile(r"^[^|»·•]{1,30}(?:[|»·•][^|»·•]{1,30}){2,}$")
"""A line of a menu: Home | About | Contact."""


@STEPS.add("boilerplate")
class Boilerplate(Step):
    """Removes the lines around the text of a page: notices, menus, addresses of pages. A document of nothing else is
    dropped."""

    kind: Literal["boilerplate"] = "boilerplate"
    notice_words: int = Field(default=20, gt=0, description="a line with a notice is removed up to this many words")
    menu_lines: int = Field(
        default=4, ge=2, description="so many lines in a row of at most 4 words without an end are a menu"
    )

    def apply(self, document: Document) -> Document | Dropped:
        lower = document.text.lower()
        cues = [cue for cue in CUES if cue in lower]
        lines = document.text.split("\n")
        short = [self._is_short(line) for line in lines]
        kept: list[str] = []
        place = 0
        while place < len(lines):
            end = place
            while end < len(lines) and (short[end] or not lines[end].strip()):
                end += 1
            if sum(short[place:end]) >= self.menu_lines:
                place = end
                continue
            end = max(end, place + 1)
            kept += [line for line in lines[place:end] if not (SEPARATED.match(line) or self._is_notice(line, cues))]
            place = end
        if len(kept) == len(lines):
            return document
        text = "\n".join(kept).strip()
        return replace(document, text=text) if text else Dropped("boilerplate alone")

    def _is_notice(self, line: str, cues: list[str]) -> bool:
        lower = line.lower()
        found = any(cue in lower for cue in cues) and NOTICES.search(line) is not None
        return found and len(line.split()) <= self.notice_words

    def _is_short(self, line: str) -> bool:
        """Whether a line is as short as an entry of a menu, and has no end of a sentence."""
        if len(line) > 80:
            return False
        line = line.strip()
        return bool(line) and len(line) < 40 and len(line.split()) <= 4 and line[-1] not in ".?!:;,\"'”’)"
