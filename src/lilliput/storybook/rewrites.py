"""Rewrites of short stories: a text and what is made of it, a summary, an answer to a question, or its words in reverse
order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lilliput.storybook.questions import question
from lilliput.storybook.short import short_story
from lilliput.storybook.tasks import Task, columns, pick, random_of

REWRITES = ("summary", "answer", "reverse")
"""The sorts of rewrites. A source begins with the sort's word and a colon, as T5's sources do."""
SHARES: Mapping[str, float] = dict.fromkeys(REWRITES, 1.0)
_SENTENCE = re.compile(r'[^.!?]+[.!?]"?')
WORDS = {"summary": "summarize", "answer": "answer", "reverse": "reverse"}


def rewrite(seed: int, number: int, shares: Mapping[Any, float] = SHARES) -> Task:
    """Return rewrite number `number` of `seed`: a source and its target. Its column `task` is the sort, which is drawn
    by `shares`. The summary and the answer come from the story's plan."""
    random = random_of("rewrite", seed, number)
    sort = pick(random, shares)
    key = random.getrandbits(32)
    if sort == "answer":
        asked, reply = (turn["content"] for turn in question(key, 0).row["messages"])
        return _task(sort, asked, reply)
    tale = short_story(key, 0)
    if sort == "summary":
        return _task(sort, tale.text, tale.summary)
    sentence = random.choice(_SENTENCE.findall(tale.text)).strip()
    return _task(sort, sentence, " ".join(reversed(sentence.split())))


def _task(sort: str, text: str, target: str) -> Task:
    return Task("completion", {"prompt": f"{WORDS[sort]}: {text}", "completion": target}, columns(sort))
