"""Prompts: the beginnings or conversations that people label, from a file or from the story world."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lilliput.base.errors import DataError, FileError
from lilliput.base.reading import from_json, from_yaml, read_text
from lilliput.data.examples import Turns
from lilliput.lab.labelling.record import Prompt
from lilliput.storybook import OPENINGS, story

STORY = "story"
STORIES = 40
"""Openings of the story world, where no number is asked for."""
SEED = 20_000_003
"""Of the stories whose first sentences are prompts: no recipe trains on stories of this seed."""
MOST_STORIES = 20_000
"""Stories that are looked at for different first sentences."""
ROLES = ("system", "user", "assistant")


def read_prompts(source: str | Path, chat: bool, limit: int | None = None) -> list[Prompt]:
    """The prompts of `source`, each once, `limit` at most: a JSONL file with a column `prompt` (text or messages), a
    YAML list of texts, any other file with a prompt a line, or 'story' for the built-in openings (`STORIES` of them
    without a limit). With `chat`, a text becomes the message of a user. Raises DataError for a file that cannot be read
    and for a row without a usable prompt."""
    found = openings(limit or STORIES) if str(source) == STORY else _read(Path(source))
    prompts = [_prompt(turns, chat) for turns in found]
    unique = {repr(prompt): prompt for prompt in prompts}
    if not unique:
        raise DataError(f"{source} holds no prompt", "write a prompt a line")
    return list(unique.values())[:limit]


def openings(count: int) -> list[str]:
    """`count` different beginnings of stories: the fixed ones, then first sentences of stories of the story world."""
    found: dict[str, None] = dict.fromkeys(OPENINGS)
    for index in range(MOST_STORIES):
        if len(found) >= count:
            break
        found[re.split(r"(?<=[.!?])\s", story(SEED, index).text, maxsplit=1)[0]] = None
    return list(found)[:count]


def _prompt(turns: Turns, chat: bool) -> Prompt:
    if not isinstance(turns, str):
        if not chat:
            raise DataError(
                "the prompts are conversations, and this model was not trained to chat",
                "give prompts that are texts, or a model with a chat template",
            )
        return tuple(dict(message) for message in turns)
    return ({"role": "user", "content": turns},) if chat else turns


def _read(path: Path) -> Sequence[Turns]:
    try:
        text = read_text(path)
        if path.suffix == ".jsonl":
            lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
            return [_row(f"{path}, line {number}", from_json(line)) for number, line in lines]
        found = from_yaml(text) if path.suffix in (".yaml", ".yml") else text.splitlines()
    except OSError as error:
        hint = f"the built-in openings are: --prompts {STORY}"
        raise DataError(f"cannot read prompts from {path}: {error.strerror}", hint) from None
    except FileError as error:
        raise DataError(f"cannot read prompts from {path}: {error.message}") from None
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise DataError(f"{path} is no list of texts", "write a YAML list of texts, or a prompt a line")
    return [entry for entry in found if entry.strip()]


def _row(where: str, value: Any) -> Turns:
    prompt = value.get("prompt") if isinstance(value, dict) else None
    if isinstance(prompt, str) and prompt.strip():
        return prompt
    if isinstance(prompt, list) and prompt and all(map(_is_message, prompt)) and prompt[-1]["role"] == "user":
        return [{"role": message["role"], "content": message["content"]} for message in prompt]
    raise DataError(
        f"{where}: there is no column 'prompt' with a text or with messages that end with the user's",
        '{"prompt": "Once upon a time"} or {"prompt": [{"role": "user", "content": "Hello"}]}',
    )


def _is_message(message: Any) -> bool:
    if not isinstance(message, dict) or message.keys() != {"role", "content"}:
        return False
    return message["role"] in ROLES and isinstance(message["content"], str)


def prompt_text(prompt: Prompt) -> str:
    """A prompt as a person reads it: a text as it is, messages with their roles."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) == 1:
        return str(prompt[0]["content"])
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt)
