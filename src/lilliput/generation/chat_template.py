"""ChatTemplate: turns messages into the ids of a chat prompt, by the template in the tokenizer's folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import ConfigError, DataError, MissingExtra
from lilliput.base.reading import read_object, read_text

if TYPE_CHECKING:
    from jinja2 import Template

    from lilliput.data.tokenizer import Tokenizer

LARGEST = 2**20
"""The most bytes of a template, and the largest number that a template may multiply."""
MOST_TURNS = 100_000
"""The most numbers that a template may count through."""
GUARD = "\ufdd0"
"""A code point that Unicode reserves for private use. It divides text in a message that is spelled like a special
token."""


class ChatTemplate:
    """Renders Hugging Face's Jinja templates in Jinja's sandbox, because a template comes with a model from any source.

    Text in a message that is spelled like a special token (`<|im_end|>`) stays plain text for the model. It does not
    end a turn.
    """

    def __init__(self, source: str):
        self.source = source

    @cached_property
    def _template(self) -> Template:
        """Raises MissingExtra without jinja2, and DataError for a template that is not Jinja."""
        try:
            from jinja2 import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError:
            raise MissingExtra("jinja2", "serve", "a chat template") from None

        class Bounded(ImmutableSandboxedEnvironment):
            """Refuse a product of text or a power that is too large. Such a result could take all memory, sometimes
            before the template is rendered."""

            intercepted_binops = frozenset(["*", "**"])

            def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
                sizes = [side if isinstance(side, int | float) else len(side) for side in (left, right)]
                if abs(sizes[0] * sizes[1]) > LARGEST or (operator == "**" and max(map(abs, sizes)) > 64):
                    raise ConfigError(f"the chat template computes too large a result with {operator!r}")
                return super().call_binop(context, operator, left, right)

        environment = Bounded(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        environment.globals["range"] = self._range
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
        try:
            return environment.from_string(self.source)
        except (TemplateError, RecursionError, ValueError, OverflowError) as error:
            raise DataError(f"the chat template is not valid Jinja: {str(error)[:200]}") from None

    def check(self) -> None:
        """Raise the errors of the first conversation now: MissingExtra without jinja2, and DataError for a template
        that is not Jinja."""
        _ = self._template

    @classmethod
    def find(cls, folder: Path) -> ChatTemplate | None:
        """Return the template of a model's folder, from chat_template.jinja, else from tokenizer_config.json; None
        without a template."""
        if (folder / "chat_template.jinja").is_file():
            return cls(read_text(folder / "chat_template.jinja", LARGEST))
        settings = folder / "tokenizer_config.json"
        if not settings.is_file():
            return None
        source = read_object(settings).get("chat_template")
        if isinstance(source, list):  # several templates by name
            named = (entry for entry in source if isinstance(entry, dict))
            source = next((entry.get("template") for entry in named if entry.get("name") == "default"), None)
        if source and not isinstance(source, str):
            raise DataError(f"{settings}: chat_template is no text")
        return cls(source) if source else None

    def ids(self, messages: Sequence[Mapping[str, str]], tokenizer: Tokenizer) -> list[int]:
        """Return the prompt after which the assistant's next message follows. Raises ConfigError where the template
        refuses the messages."""
        special = {
            token.content: number
            for number, token in tokenizer.backend.get_added_tokens_decoder().items()
            if token.special
        }
        known = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))) or r"\Z\A")
        guarded = [
            {key: known.sub(lambda match: match[0][0] + GUARD + match[0][1:], value) for key, value in message.items()}
            for message in messages
        ]
        ids: list[int] = []
        for part in re.split(f"({known.pattern})", self._render(guarded, tokenizer)):
            if part in special:
                ids.append(special[part])
            else:
                ids += tokenizer.encode(part.replace(GUARD, ""), continuing=bool(ids))
        return ids

    def _range(self, *bounds: int) -> range:
        """Jinja's range() with a limit on all numbers in one rendering, because loops inside loops may take for
        ever."""
        numbers = range(*bounds)
        self._left -= len(numbers)
        if self._left < 0:
            raise ConfigError(f"the chat template counts to more than {MOST_TURNS:,}")
        return numbers

    def _render(self, messages: Sequence[Mapping[str, str]], tokenizer: Tokenizer) -> str:
        names: dict[str, Any] = {
            f"{role}_token": tokenizer.token(number) for role, number in tokenizer.specials.items()
        }
        self._left, template = MOST_TURNS, self._template
        try:
            return template.render(messages=messages, add_generation_prompt=True, **names)
        except ConfigError:
            raise
        except Exception as error:  # a template is a program, so it may raise any exception
            raise ConfigError(f"the chat template does not take these messages: {error}") from None


def _refuse(message: str) -> None:
    raise ConfigError(f"the chat template refuses these messages: {message}")
