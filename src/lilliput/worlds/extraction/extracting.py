"""extract: texts and a template to filled JSON, each value with its place in the text and its log-probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    from lilliput.generation.text_generator import TextGenerator

VALUE_TOKENS, LIST_TOKENS = 10, 40
"""Tokens that are kept free for each value and for each list. Both leave the text at least half of the context."""
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

    >>> lilliput.extract("extract", "Ida Moss was born in Oslo.", {"name": "verbatim-string"})[0].values
    {'name': 'Ida Moss'}

    `template` is an object, JSON, or a JSON file. Verbatim values are parts of the text. A text that is longer than the
    context is read in overlapping windows. Raises LilliputError."""
    wanted = template if isinstance(template, Object) else read_template(template)
    generator = _loaded(run, device) if isinstance(run, str | Path) else run
    sources = [SourceText(text) for text in ([texts] if isinstance(texts, str) else texts)]
    parts = [windows_of(generator, wanted, source) for source in sources]
    answers = iter(_answers(generator, wanted, [part for each in parts for part in each]))
    found = []
    for each in parts:
        filled = [next(answers) for _ in each]
        merged = merge(wanted, [one for one, _ in filled]) if filled else nothing(wanted)
        found.append(Extraction(merged, len(each), any(cut for _, cut in filled)))
    return found


def _loaded(run: str | Path, device: str) -> TextGenerator:
    from lilliput.generation.loading import load

    return load(run, device, notify=lambda text: None)


def _answers(generator: TextGenerator, template: Object, parts: Sequence[SourceText]) -> list[tuple[Filled, bool]]:
    limits = [constraint_of(template, part, generator.tokenizer) for part in parts]
    asked = [messages_of(template, part) for part in parts]
    # The context ends an answer before this number of tokens does.
    most = generator.model.config.context_length
    replies = generator.reply_each(asked, limits, temperature=0, max_tokens=most) if parts else []
    return [
        (dict(filled), cut)
        for filled, cut in (
            read_filled(template, reply, generator.tokenizer, part) for reply, part in zip(replies, parts, strict=True)
        )
    ]


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
