"""extract: texts and a template to filled JSON, each value with its place in the text and its log-probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import ConfigError
from lilliput.worlds.extraction.filling import Filled, leaves_of, nothing, read_filled, values_of
from lilliput.worlds.extraction.grammar import constraint_of
from lilliput.worlds.extraction.making import prompt_of
from lilliput.worlds.extraction.source_text import SourceText
from lilliput.worlds.extraction.template import Leaf, ListOf, Node, Object, compact, empty, read_template
from lilliput.worlds.extraction.windows import PIECE, cut_windows, merge

if TYPE_CHECKING:
    from lilliput.decoding.completion import Completion
    from lilliput.decoding.constrained import Constraint
    from lilliput.generation.text_generator import TextGenerator

VALUE_TOKENS, LIST_TOKENS = 10, 40
"""Tokens that are kept free for each value and for each list. Both leave the text at least half of the context."""
AT_ONCE = 64
"""Texts whose grammars are held at once."""
LEAST_TEXT = 32
"""Tokens of text that have to fit beside a template."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """A text's filled template.

    filled   Found at each leaf: value, span in the text, log-probability
    windows  parts in which the text was read
    cut      whether the model's answer to a part did not fit into the context, so that values may be missing
    """

    filled: Filled
    windows: int
    cut: bool

    @property
    def values(self) -> dict[str, Any]:
        """The filled template as JSON values."""
        return values_of(self.filled)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values: `values`, and `fields` with path, value, start and end in the text, log-probability."""
        fields = [
            {
                "path": path,
                "value": found.value,
                "start": found.span[0] if found.span else None,
                "end": found.span[1] if found.span else None,
                "log_probability": found.log_probability,
            }
            for path, found in leaves_of(self.filled)
        ]
        return {"values": self.values, "fields": fields, "windows": self.windows, "cut": self.cut}


def extract(
    run: str | Path | TextGenerator,
    texts: str | Sequence[str],
    template: str | Path | Mapping[str, Any] | Object,
    *,
    device: str = "auto",
) -> list[Extraction]:
    """Fill a template from each text, with a run of `lilliput extract train`.

    >>> lilliput.extract("extractor", "Ida Moss was born in Oslo.", {"name": "verbatim-string"})[0].values
    {'name': 'Ida Moss'}

    `template` is an object, JSON, or a JSON file. Verbatim values are parts of the text. A text that is longer than the
    context is read in overlapping windows. Raises LilliputError."""
    wanted = template if isinstance(template, Object) else read_template(template)
    generator = _loaded(run, device) if isinstance(run, str | Path) else run
    return extract_each(generator, [(text, wanted) for text in ([texts] if isinstance(texts, str) else texts)])


def extract_each(generator: TextGenerator, asked: Sequence[tuple[str, Object]]) -> list[Extraction]:
    """Fill a template of its own from each text, AT_ONCE of them side by side. Raises ConfigError as `extract` does."""
    groups = (asked[start : start + AT_ONCE] for start in range(0, len(asked), AT_ONCE))
    return [each for group in groups for each in _together(generator, group)]


def _together(generator: TextGenerator, asked: Sequence[tuple[str, Object]]) -> list[Extraction]:
    parts = [windows_of(generator, template, SourceText(text)) for text, template in asked]
    every = [(part, template) for each, (_, template) in zip(parts, asked, strict=True) for part in each]
    limits = [constraint_of(template, part, generator.tokenizer) for part, template in every]
    replies = iter(zip(every, answers_of(generator, every, limits), strict=True))
    found = []
    for each, (_, template) in zip(parts, asked, strict=True):
        filled: list[Filled] = []
        any_cut = False
        for (part, _), reply in islice(replies, len(each)):
            one, cut = read_filled(template, reply, generator.tokenizer, part)
            filled.append(one)
            any_cut |= cut
        found.append(Extraction(merge(template, filled) if filled else nothing(template), len(each), any_cut))
    return found


def answers_of(
    generator: TextGenerator, every: Sequence[tuple[SourceText, Object]], limits: Sequence[Constraint | None]
) -> list[Completion]:
    """Return the likeliest answer to each text and template, side by side, each under its constraint or None."""
    if not every:
        return []
    # The context ends an answer before this number of tokens does.
    most = generator.model.config.context_length
    asked = [messages_of(template, part) for part, template in every]
    return generator.reply_each(asked, limits, temperature=0, max_tokens=most)


def _loaded(run: str | Path, device: str) -> TextGenerator:
    from lilliput.generation.loading import load

    return load(run, device, notify=lambda text: None)


def messages_of(template: Object, source: SourceText) -> list[dict[str, str]]:
    """Return the conversation that asks a model to fill a template."""
    return [{"role": "user", "content": prompt_of(template, source)}]


def windows_of(generator: TextGenerator, template: Object, source: SourceText) -> list[SourceText]:
    """Return the parts of a text that fit into the context beside the template and its answer; none for a text without
    words. Raises ConfigError for a template that leaves no room."""
    if not source.words:
        return []
    context = generator.model.config.context_length
    frame = generator.prompt_length(messages_of(template, SourceText("")))
    tokenizer = generator.tokenizer
    answer = min(context // 3, len(tokenizer.encode(compact(empty(template)))) + _reserve(template))
    most = context - frame - answer
    if most < LEAST_TEXT:
        raise ConfigError(
            f"the template takes {frame} tokens, and its answer about {answer}: the context of {context} leaves {most} "
            "for the text",
            "ask for fewer fields at once, or train with a longer context: lilliput extract train "
            f"model.context_length={2 * context}",
        )
    places = [match.span() for match in PIECE.finditer(source.given)]
    sizes = [len(ids) for ids in tokenizer.encode_batch([f" {source.given[a:b]}" for a, b in places], continuing=True)]
    return [SourceText(source.given, start, stop) for start, stop in cut_windows(places, sizes, most)]


def _reserve(node: Node) -> int:
    if isinstance(node, Leaf):
        return VALUE_TOKENS
    if isinstance(node, ListOf):
        return LIST_TOKENS
    return sum(_reserve(inner) for _, inner in node.fields)
