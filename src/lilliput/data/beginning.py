"""The rule of a tokenizer.json that puts the beginning mark before a text: write it, and read it in others' files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.base.reading import read_text


def marked(content: str, mark: tuple[str, int] | None) -> str:
    """Return the text of a tokenizer.json with a rule that puts `mark` (a token and its id) before every text.

    With this rule the default call of other libraries gives the ids that the model was trained on. A tokenizer.json
    with rules of its own keeps its rules."""
    from tokenizers import Tokenizer as Backend
    from tokenizers.processors import TemplateProcessing

    if mark is None or json.loads(content).get("post_processor"):
        return content
    token, number = mark
    backend = Backend.from_str(content)
    backend.post_processor = TemplateProcessing(
        single=[token, "$A"], pair=[token, "$A", "$B:1"], special_tokens=[(token, number)]
    )
    return backend.to_str(pretty=True)


def unmarked(content: str) -> str:
    """Return the content without such a rule: the inverse of `marked`."""
    from tokenizers import Tokenizer as Backend

    rule = json.loads(content).get("post_processor") or {}
    if rule.get("type") != "TemplateProcessing" or len(rule.get("special_tokens", {})) != 1:
        return content
    ((token, found),) = rule["special_tokens"].items()
    backend = Backend.from_str(content)
    backend.post_processor = None  # pyright: ignore[reportAttributeAccessIssue]
    plain = backend.to_str(pretty=True)
    return plain if json.loads(marked(plain, (token, found["ids"][0]))) == json.loads(content) else content


def begins(content: str, settings: Mapping[str, Any], file: Path) -> bool:
    """Return whether a text begins with the beginning mark.

    In a model's folder of another program it does where transformers' default call puts a token before the text.
    Elsewhere it always does, because a model that is trained with this tokenizer sees the mark."""
    from tokenizers import Tokenizer as Backend

    if isinstance(settings.get("add_bos_token"), bool) and not settings["add_bos_token"]:
        return False
    config = file.with_name("config.json")
    if not config.is_file() or '"lilliput"' in read_text(config, errors="replace"):
        return True
    backend = Backend.from_str(content)
    plain, full = (backend.encode("a", add_special_tokens=adds).ids for adds in (False, True))
    return len(full) > len(plain) and full[0] != plain[0]
