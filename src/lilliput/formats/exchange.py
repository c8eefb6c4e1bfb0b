"""Export to a file, import from a file, push to and pull from the Hugging Face hub."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from lilliput.base.console import print_line
from lilliput.base.errors import CheckpointError, ConfigError, ExportError
from lilliput.formats import hub, transfer
from lilliput.formats.adapter import merge_adapter
from lilliput.formats.source import Source
from lilliput.formats.transfer import Exported
from lilliput.model.adapter import base_name, is_adapter
from lilliput.runs.finding import RUNS, find, model_folder


def export(
    path: str | Path,
    format: str,
    out: str | Path | None = None,
    *,
    type: str | None = None,
    notify: Callable[[str], None] = print_line,
) -> Exported:
    """Write the model at `path` (a run, a checkpoint, a Hugging Face folder) as a file of a format: `gguf`,
    `llama2c`, `onnx`.

    `type` is the type of the stored numbers (by default the format's usual type). `out` is the file, by default the
    run's name in the current folder. The file is read back and compared with the model. Raises ExportError for a model
    that the format cannot store.
    """
    source = Source.load(model_folder(path, notify), find(path).resolve().name)
    return transfer.write(source, format, Path(out) if out else None, type)


def import_file(
    file: str | Path,
    name: str,
    *,
    tokenizer: str | Path | None = None,
    base: str | Path | None = None,
    runs: str | Path = RUNS,
    notify: Callable[[str], None] = print_line,
) -> Path:
    """Write the model in a file of another program as the stock Hugging Face folder runs/<name>. Every command takes
    this folder. `tokenizer` is a tokenizer's file, for a model that comes without a tokenizer. A PEFT adapter in a
    folder is merged into `base`, else into the model that the adapter names. Raises ExportError, or ModelError for an
    adapter."""
    folder = _new(name, runs)
    partial = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        if is_adapter(Path(file)):
            merge_adapter(Path(file), partial, _base(Path(file), base, notify), tokenizer, notify)
        else:
            if base is not None:
                raise ConfigError(f"{file} is no adapter, so it has no base model", "leave out --base")
            transfer.keep(transfer.read(Path(file), Path(tokenizer) if tokenizer else None), partial)
        (partial / "README.md").write_text(Source.load(partial, name).card(None), encoding="utf-8")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _base(adapter: Path, given: str | Path | None, notify: Callable[[str], None]) -> Path:
    """Return the folder of the adapter's model. Raises ExportError where no model is named, or the named model is not
    found."""
    named = str(given or base_name(adapter) or "")
    if not named:
        raise ExportError(f"{adapter} does not name the model that it belongs to", "name it: --base RUN")
    try:
        return model_folder(named, notify)
    except CheckpointError as error:
        if given is not None:
            raise
        hint = f"name it: --base RUN; or get it first: lilliput pull {named}" if named.count("/") == 1 else "--base RUN"
        raise ExportError(f"{adapter} belongs to '{named}', which was not found ({error.message})", hint) from None


def push(
    path: str | Path,
    repo: str,
    *,
    private: bool = False,
    licence: str | None = None,
    dry_run: bool = False,
    notify: Callable[[str], None] = print_line,
) -> tuple[hub.Parcel, str | None]:
    """Upload the checkpoint at `path` to a repository of the Hugging Face hub, with a card made from its run. Returns
    the uploaded files and the commit's address. The address is None for a dry run, which needs no network. Raises
    ExportError."""
    parcel = hub.pack(model_folder(path, notify), repo, licence)
    return parcel, None if dry_run else hub.push(parcel, private)


def pull(
    repo: str, name: str | None = None, *, revision: str | None = None, runs: str | Path = RUNS
) -> tuple[Path, str]:
    """Download a model of the Hugging Face hub as runs/<name> (the repository's own name by default). Returns the
    folder and the commit. Raises ExportError, or ModelError for a class that is not supported."""
    folder = _new(name or repo.rpartition("/")[2], runs)
    return folder, hub.pull(repo, folder, revision)


def _new(name: str, runs: str | Path) -> Path:
    """Return the folder runs/<name>, which must not exist. Raises ConfigError for a name that would lie elsewhere."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ConfigError(f"'{name}' cannot name a folder in {runs}", "letters, digits, '.', '-' and '_' can")
    folder = Path(runs) / name
    if folder.exists():
        raise ExportError(f"{folder} exists already", "choose another name")
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder
