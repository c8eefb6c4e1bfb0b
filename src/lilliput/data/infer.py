"""Sources from the words that a person types after --data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from lilliput.base.config import override, validate
from lilliput.base.console import size
from lilliput.base.errors import ConfigError, DataError
from lilliput.data.config import DataConfig
from lilliput.data.document import Document
from lilliput.data.files import GLOB, FileSource, expand, kind_suffix, text_blocks
from lilliput.data.hub import Hub, preset
from lilliput.data.source import SOURCES, Errors, Source, documents_of
from lilliput.data.story import Stories
from lilliput.data.token_files import with_tokenizer

READ_BYTES = 1_000_000_000
"""Text is counted up to this many bytes. A larger source counts as this many."""


def infer_sources(paths: Sequence[str]) -> list[Source]:
    """Return the sources for files, folders and globs, for `hf:NAME` or a preset's name (the Hugging Face hub), and for
    `story` (the built-in world).

    The suffix of a file, without .gz and .zst, decides its kind. Neighbouring paths of one kind become one source. A
    folder may hold several kinds; its token files (.bin) count where the folder holds no other kind. A file with an
    unknown suffix is read as text. Raises DataError."""
    sources: list[Source] = []
    for text in paths:
        for source in _infer(text):
            last = sources[-1] if sources else None
            if isinstance(source, FileSource) and isinstance(last, FileSource) and last.kind == source.kind:
                sources[-1] = last.model_copy(update={"paths": (*last.paths, *source.paths)})
            else:
                sources.append(source)
    if not sources:
        raise DataError("no data is named", "give files, folders or globs: 'texts/*.txt'")
    return sources


def data_config(
    paths: Sequence[str], assignments: Sequence[str] = (), tokenizer: str | None = None, **options: Any
) -> DataConfig:
    """Return the `data` section for the words after --data, changed by overrides such as `data.sources.0.column=body`.

    Token files get the tokenizer of the override `tokenizer.path`, else `tokenizer`. Raises DataError, and ConfigError
    for an override of another section."""
    values = {"data": {"sources": [source.model_dump(mode="json") for source in infer_sources(paths)], **options}}
    changed = override(values, assignments)
    if any(source["kind"] == "bin" for source in values["data"]["sources"]):
        tokenizer = changed.pop("tokenizer", {}).get("path", tokenizer)
    if other := [key for key in changed if key != "data"]:
        raise ConfigError(
            f"'{other[0]}' is not in the data section", "here only data.* can be set: data.sources.0.column=body"
        )
    return validate(DataConfig, with_tokenizer(changed["data"], tokenizer), "the command line")


def named_texts(
    paths: Sequence[str], assignments: Sequence[str] = (), tokenizer: str | None = None
) -> dict[str, Iterator[Document]]:
    """Return the documents of each path after --data, by the path's name, without documents that have no text.

    Overrides number the sources as in a run of all paths. `tokenizer` is the tokenizer of token files. Raises
    DataError."""
    names = list(dict.fromkeys(paths))
    config, texts, number, last = data_config(names, assignments, tokenizer), {}, -1, None
    for name in names:
        parts = []
        for source in _infer(name):
            joins = isinstance(source, FileSource) and last == source.kind
            number, last = number if joins else number + 1, source.kind
            fitted = config.sources[number]
            if isinstance(source, FileSource):
                fitted = fitted.model_copy(update={"paths": source.paths})
            parts.append(documents_of(fitted, number, config.errors))
        texts[name] = (document for document in chain.from_iterable(parts) if document.text)
    return texts


def text_bytes(
    sources: Sequence[Source], notify: Callable[[str], None] | None = None, errors: Errors = "strict"
) -> int:
    """Return the UTF-8 bytes of the sources' text, read to its end or to READ_BYTES. Raises DataError where there is no
    text."""
    total = 0
    for number, source in enumerate(sources):
        if notify:
            notify(f"reading {source.describe()}")
        for document in documents_of(source, number, errors):
            total += len(document.text.encode())
            if total >= READ_BYTES:
                if notify:
                    notify(f"there is at least {size(READ_BYTES)} of text; the rest is not counted")
                return total
    if not total:
        raise DataError("there is no text in the data", "name files that hold text")
    return total


def _infer(text: str) -> list[Source]:
    path = Path(text).expanduser()
    if text.startswith("hf:"):
        return [Hub(name=text.removeprefix("hf:"))]
    if not path.exists() and not GLOB & set(text):
        if text == "story":
            return [Stories()]
        if preset(text):
            return [Hub(name=text)]
    kinds = {suffix: kind for kind in SOURCES for suffix in getattr(SOURCES[kind], "suffixes", ())}
    groups: dict[str, list[Path]] = {}
    for file in expand([text], tuple(kinds)):
        groups.setdefault(_kind(file, kinds), []).append(file)
    if path.is_dir() and len(groups) > 1:
        groups.pop("bin", None)  # a .bin beside other files may be a copy of the text (nanoGPT) or a model's weights
    return [_build(kind, text, files) for kind, files in groups.items()]


def _kind(file: Path, kinds: dict[str, str]) -> str:
    suffix = kind_suffix(file)
    if suffix == ".json":
        # A list of stories and a file of one object a line may both be called .json; the first character decides.
        first = next((block.lstrip() for block in text_blocks(file, "replace")), "")
        return "tinystories_json" if first.startswith("[") else "jsonl"
    return kinds.get(suffix, "text")


def _build(kind: str, text: str, files: list[Path]) -> Source:
    """Return a source of `files`. Its paths are the words that the person typed, where these words name the same files
    for this kind."""
    source: Any = SOURCES[kind]
    try:
        same = expand([text], source.suffixes) == files
    except DataError:
        same = False
    return source(paths=(text,) if same else tuple(map(str, files)))
