"""Writing a model in a format, with a parity check, and reading one from a file of any format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lilliput.base.errors import ConfigError, ExportError
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats.format import FORMATS, Content, Format
from lilliput.formats.parity import Parity, compare
from lilliput.formats.source import Source
from lilliput.model.huggingface import read_back, to_huggingface


@dataclass(frozen=True, slots=True)
class Exported:
    """The written files, the model first, with the type of numbers, the distance from the source, the differences in
    the other program, and the command that runs the files."""

    files: list[Path]
    kind: str
    parity: Parity
    notes: list[str]
    use: str


def write(source: Source, format_name: str, file: Path | None = None, kind: str | None = None) -> Exported:
    """Write `source` as a file of a format and compare the file with the source. Without `file` the file is
    `NAME.suffix` in the current folder.

    The file gets its name only after the comparison has passed. Raises ExportError, with the reason and a model to
    train instead, for a model that the format cannot store.
    """
    format_ = FORMATS[format_name]()
    kind = _kind(format_, format_name, kind)
    misfits = format_.misfits(source, kind)
    if misfits:
        raise ExportError(
            f"{format_name} cannot store this model: {'; '.join(misfits)}",
            f"train a model that it can store: {format_.train}" + _others(source, format_name),
        )
    file = file or Path(source.name + format_.suffix)
    file.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as place:
        written = format_.write(source, Path(place) / file.name, kind)
        parity = compare(source, *format_.reopened(written[0]), format_.order(source), kind)
        files = [path.replace(file.parent / path.name) for path in written]
    return Exported(files, kind, parity, [*format_.notes(source), *_backwards(source)], format_.use(files, kind))


def _kind(format_: Format, name: str, kind: str | None) -> str:
    if not format_.types:
        writable = ", ".join(known for known in FORMATS if FORMATS[known].types)
        raise ConfigError(f"{name} is a format that is only read", f"formats to write: {writable}")
    if kind is not None and kind not in format_.types:
        raise ConfigError(
            f"{name} stores numbers as {' or '.join(format_.types)}, not '{kind}'", f"--type {format_.types[0]}"
        )
    return kind or format_.types[0]


def _others(source: Source, refused: str) -> str:
    """Return the formats that can store the model as it is."""
    able = [
        name
        for name in FORMATS
        if name != refused and (types := FORMATS[name].types) and not FORMATS[name]().misfits(source, types[0])
    ]
    return f"; this one goes into: {', '.join(able)}" if able else ""


def _backwards(source: Source) -> list[str]:
    if source.direction != "reversed":
        return []
    return [
        "the model generates backwards: other programs print its words in reverse order; lilliput wtac turns them round"
    ]


def read(file: Path, tokenizer: Path | None = None) -> Content:
    """Return the model in a file of any format, with the tokenizer that comes with it, or the tokenizer at `tokenizer`.
    Raises ExportError for a file of no known format, and where no tokenizer is found."""
    if not file.is_file():
        raise ExportError(f"there is no file {file}", "folders need no import: every command takes them as they are")
    format_ = _format_of(file)()
    content = format_.read(file)
    chosen = format_.adopted(Tokenizer.load(tokenizer)) if tokenizer else content.tokenizer
    if chosen is None:
        raise ExportError(
            f"{file} has no tokenizer",
            "name it: --tokenizer FILE (tokenizer.bin, tokenizer.json, vocab.json, meta.pkl)",
        )
    if chosen.vocab_size > content.model.config.vocab_size:
        raise ExportError(
            f"the tokenizer has {chosen.vocab_size:,} ids, and the model in {file} {content.model.config.vocab_size:,}",
            "name the tokenizer of its training: --tokenizer FILE",
        )
    return Content(content.model, chosen)


def _format_of(file: Path) -> type[Format]:
    for name in FORMATS:
        if FORMATS[name]().recognises(file):
            return FORMATS[name]
    known = "; ".join(FORMATS[name].what for name in FORMATS)
    raise ExportError(f"{file} has no format that Lilliput reads, or it is cut short", f"known: {known}")


def keep(content: Content, folder: Path) -> None:
    """Write the result of `read` into a new stock Hugging Face folder."""
    tokenizer = content.tokenizer
    assert tokenizer is not None, "read() sees to it"
    to_huggingface(content.model, folder, **tokenizer.marks, extra=None)
    read_back(content.model, folder)
    tokenizer.save(folder, content.model.config.context_length)
