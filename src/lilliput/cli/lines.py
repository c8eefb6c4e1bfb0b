"""Texts that a command takes: as words, as the lines of a file, or as the lines of the input."""

from __future__ import annotations

import sys
from pathlib import Path


def texts_of(texts: list[str] | None, file: Path | None, command: str) -> list[str]:
    """Return the given texts, or the lines of the file or of the input that are not blank. Raises ConfigError."""
    from lilliput.base.errors import ConfigError

    if texts and file is not None:
        raise ConfigError("texts are named, and a file of texts too", "give the texts or --file, not both")
    if texts:
        return texts
    if file is None and sys.stdin.isatty():
        raise ConfigError(
            "no text is named", f'give texts: lilliput {command} RUN "a text"; or a file of lines: --file FILE'
        )
    try:
        content = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{file or 'the input'} is not UTF-8", "convert it to UTF-8") from None
    if not (lines := [line for line in content.splitlines() if line.strip()]):
        raise ConfigError(f"{file or 'the input'} holds no text", "give a text in each line")
    return lines
