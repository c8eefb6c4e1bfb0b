"""ChatTemplate: turns messages into the ids of a chat prompt, by the template in the tokenizer's folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import ConfigError, DataError, MissingExtra
from lilliput.base.reading import read_object, read_text

if TYPE_CHECKING:
    from jinja2 import Template

    from lilliput.data.tokenizer import Tokenizer

TEMPLATE_FILE = "chat_template.jinja"
"""The file of a tokenizer's folder that holds its chat template."""
LARGEST = 2**20
"""Bytes of a template, and the largest number that it may multiply."""
MOST_TURNS = 100_000
"""Numbers that a template may count through."""
MARK = re.compile(r"\{%[-+]?\s*generation\b")
GUARD, BEGIN, END = "\ufdd0", "\ufdd1", "\ufdd2"
"""Code points that Unicode keeps for a program's own use. GUARD splits the spelling of a special token in a message;
BEGIN and END stand around the text that the assistant generates."""


class ChatTemplate:
    """Renders Hugging Face's Jinja templates in Jinja's sandbox: a template comes with a model, from anywhere.

    A message that spells a special token (`<|im_end|>`) is plain text to the model, not the end of a turn.
    """

    def __init__(self, source: str):
        self.source = source
        self._counted = local()  # a template is used by several threads

    @staticmethod
    @lru_cache(maxsize=32)
    def of(source: str) -> ChatTemplate:
        """The template of this Jinja text, read once however often it is used."""
        return ChatTemplate(source)

    @property
    def marks_replies(self) -> bool:
        """Whether it marks the assistant's text with `{% generation %}`."""
        return MARK.search(self.source) is not None

    @property
    def takes_tools(self) -> bool:
        """Whether it reads a list of tools."""
        return re.search(r"\btools\b", self.source) is not None

    @cached_property
    def _template(self) -> Template:
        """Raises MissingExtra without jinja2, and DataError for a template that is not Jinja."""
        try:
            from jinja2 import TemplateError, nodes
            from jinja2.ext import Extension
            from jinja2.parser import Parser
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError:
            raise MissingExtra("jinja2", "serve", "a chat template") from None

        class Bounded(ImmutableSandboxedEnvironment):
            """A product of text or a power could take all memory, some before the template is even rendered."""

            intercepted_binops = frozenset(["*", "**"])

            def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
                sizes = [side if isinstance(side, int | float) else len(side) for side in (left, right)]
                if abs(sizes[0] * sizes[1]) > LARGEST or (operator == "**" and max(map(abs, sizes)) > 64):
                    raise ConfigError(f"the chat template makes too much of {operator!r}")
                return super().call_binop(context, operator, left, right)

        class Generation(Extension):
            """`{% generation %}` and `{% endgeneration %}` stand around the assistant's text, as in transformers."""

            tags = {"generation"}  # noqa: RUF012 (as the base class declares it)

            def parse(self, parser: Parser) -> list[nodes.Node]:
                line = next(parser.stream).lineno
                body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
                before, after = (nodes.Output([nodes.TemplateData(mark)], lineno=line) for mark in (BEGIN, END))
                return [before, *body, after]

        extensions = ["jinja2.ext.loopcontrols", Generation]
        environment = Bounded(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
        environment.globals["range"] = self._range
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
        try:
            return environment.from_string(self.source)
        except (TemplateError, RecursionError, ValueError, OverflowError) as error:
            raise DataError(f"the chat template is not valid Jinja: {str(error)[:200]}") from None

    def check(self) -> None:
        """Raises MissingExtra without jinja2, and DataError for a template that is not Jinja: what the first
        conversation would raise."""
        _ = self._template

    @classmethod
    def find(cls, folder: Path) -> ChatTemplate | None:
        """The template of a model's folder: chat_template.jinja, else in tokenizer_config.json; None without one."""
        if (folder / TEMPLATE_FILE).is_file():
            return cls(read_text(folder / TEMPLATE_FILE, LARGEST))
        settings = folder / "tokenizer_config.json"
        if not settings.is_file():
            return None
        source = read_object(settings).get("chat_template")
        if isinstance(source, list):  # several, by name
            named = (entry for entry in source if isinstance(entry, dict))
            source = next((entry.get("template") for entry in named if entry.get("name") == "default"), None)
        if source and not isinstance(source, str):
            raise DataError(f"{settings}: chat_template is no text")
        return cls(source) if source else None

    def ids(self, messages: Sequence[Mapping[str, Any]], tokenizer: Tokenizer, **options: Any) -> list[int]:
        """The prompt that asks for the assistant's next message; `options` are names for the template, such as `tools`.
        Raises ConfigError where the template refuses."""
        return self.encode(messages, tokenizer, add_generation_prompt=True, **options)[0]

    def encode(
        self,
        messages: Sequence[Mapping[str, Any]],
        tokenizer: Tokenizer,
        *,
        add_generation_prompt: bool = False,
        **options: Any,
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a conversation, and the spans [start, stop) of ids that the assistant generates, where the
        template marks them with `{% generation %}`. A text is cut into ids at both ends of a span, so that the ids of a
        prompt are the same with and without the reply behind it. Raises ConfigError where the template refuses."""
        special = {
            token.content: number
            for number, token in tokenizer.backend.get_added_tokens_decoder().items()
            if token.special
        }
        names = "|".join(map(re.escape, sorted(special, key=len, reverse=True))) or r"\Z\A"
        known = re.compile(names)
        guarded, further = _changed([list(messages), options], lambda text: _guarded(text, known))
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        begun, continuing = 0, False
        rendered = self._render(guarded, tokenizer, add_generation_prompt, further)
        for part in re.split(f"({names}|{BEGIN}|{END})", rendered):
            if part in special:
                ids.append(special[part])
                continuing = False  # `tokenizers` begins a text anew behind a special token
            elif part == BEGIN:
                begun = len(ids)
            elif part == END:
                spans.append((begun, len(ids)))
            elif part:
                ids += tokenizer.encode(part.replace(GUARD, ""), continuing=continuing)
                continuing = True
        return ids, spans

    def _range(self, *bounds: int) -> range:
        """Jinja's range(), of so many numbers in one rendering: loops in loops would never end."""
        numbers = range(*bounds)
        self._counted.left -= len(numbers)
        if self._counted.left < 0:
            raise ConfigError(f"the chat template counts to more than {MOST_TURNS:,}")
        return numbers

    def _render(
        self, messages: Sequence[Mapping[str, Any]], tokenizer: Tokenizer, asks: bool, options: Mapping[str, Any]
    ) -> str:
        names: dict[str, Any] = {
            f"{role}_token": tokenizer.token(number) for role, number in tokenizer.specials.items()
        }
        self._counted.left, template = MOST_TURNS, self._template
        try:
            return template.render(messages=messages, add_generation_prompt=asks, **{**names, **options})
        except ConfigError:
            raise
        except Exception as error:  # a template is a program, and may fail in any way
            raise ConfigError(f"the chat template does not take these messages: {error}") from None


def chatml(begins: bool) -> str:
    """Our template, as Jinja text. A conversation begins with the beginning mark where a text does (`begins`)."""
    return ("{{- bos_token }}\n" if begins else "") + read_text(Path(__file__).with_name("chatml.jinja"))


def _refuse(message: str) -> None:
    raise ConfigError(f"the chat template refuses these messages: {message}")


def _guarded(text: str, known: re.Pattern[str]) -> str:
    """Raises ConfigError for a text with one of the code points that mark the assistant's text."""
    if BEGIN in text or END in text:
        raise ConfigError("a message holds U+FDD1 or U+FDD2, which Unicode keeps for programs", "take it out")
    return known.sub(lambda match: match[0][0] + GUARD + match[0][1:], text)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """`value` with `change` applied to each text inside it, names included, however deep."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_changed(key, change): _changed(inner, change) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [_changed(inner, change) for inner in value]
    return value
