"""Hugging Face datasets as a source: by name, by preset or from a local dataset folder, streamed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from pydantic import Field

from lilliput.base.errors import DataError, MissingExtra
from lilliput.data.document import Document
from lilliput.data.example_rows import Format
from lilliput.data.files import digest
from lilliput.data.known import KNOWN, known
from lilliput.data.row_documents import FORMAT, RowReader, described
from lilliput.data.source import SOURCES, Errors, Source, hash_of

LOCAL = (
    "text files and folders, .jsonl, .csv and .parquet files, TinyStories_all_data JSON or the built-in 'story' world"
)


class Preset(NamedTuple):
    """The hub name of a well-known dataset, its config and the column of its text."""

    name: str
    config: str | None = None
    column: str = "text"


def preset(name: str) -> Preset | None:
    """Return the dataset of a known source of the hub, whatever the case and separators of its name; None for another
    name."""
    found = known(name)
    return Preset(found.place, found.config, found.column) if found is not None and found.way == "hub" else None


TEXTS = frozenset(each.place for each in KNOWN if each.way == "hub")
"""Datasets that hold texts, so that no row is read to find it out."""


@SOURCES.add("hub")
class Hub(Source):
    """A dataset of the Hugging Face hub, streamed through `datasets` and never downloaded whole.

    The fingerprint is the commit that `revision` stands for. Ids are `hf:NAME/SPLIT:row`, counted from 0. The text of a
    dataset is Unicode already, so `errors` changes nothing.
    """

    kind: Literal["hub"] = "hub"
    name: str = Field(
        description="a known name such as TinyStories (`lilliput data sources`), a dataset's name on the hub, "
        "or a local folder that `datasets` can load"
    )
    split: str = Field(default="train", description="the dataset's split that is read")
    revision: str | None = Field(default=None, description="a branch, tag or commit; null: main")
    config: str | None = Field(default=None, description="the dataset's configuration; null: the preset's, if any")
    data_dir: str | None = Field(default=None, description="the folder of the dataset that is read, such as python")
    column: str | None = Field(default=None, description="the column that holds the text; null: the preset's, or text")
    keep: tuple[str, ...] = Field(default=(), description="columns that are kept beside the text as its meta")
    max_documents: int | None = Field(default=None, gt=0, description="documents that are read at most; null: all")
    format: Format = Field(default="auto", description=FORMAT)

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        place = self._place()
        reader = RowReader(self.format, self.column or place.column, self.keep)
        for number, row in enumerate(self._stream(place)):
            if number == self.max_documents:
                return
            yield reader.document(row, f"hf:{place.name}/{self.split}:{number}")

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every row with all of its columns, for data sets that are not made of documents."""
        return self._stream(self._place())

    def fingerprint(self) -> str:
        place = self._place()
        options = (place.config, self.column or place.column, self.split, self.keep, self.max_documents, self.format)
        if self.data_dir is not None:
            options = (*options, self.data_dir)
        return hash_of("hub", self._content(place), options)

    def describe(self) -> str:
        place = self._place()
        name = place.name + (f" ({place.config})" if place.config else "")
        limit = f"at most {self.max_documents:,} documents" if self.max_documents else "all documents"
        fingerprint = self.fingerprint()
        kind = _kind(cast(Any, self)) if place.name not in TEXTS else ""
        return f"hub: {name}, split {self.split}, {limit}{kind} · {fingerprint[:12]}"

    def _place(self) -> Preset:
        known = None if Path(self.name).is_dir() else preset(self.name)
        name, config, column = known or Preset(self.name)
        return Preset(name, self.config or config, column)

    def _content(self, place: Preset) -> Any:
        """Return the identity of this version of the dataset: the hub's commit, or the hashes of local files."""
        folder = Path(place.name)
        if folder.is_dir():
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            return [(str(path.relative_to(folder)), digest(path)) for path in files]
        if self.revision and re.fullmatch(r"[0-9a-f]{40}", self.revision):
            return [place.name, self.revision]
        return [place.name, self._commit(place.name)]

    def _commit(self, name: str) -> str:
        """Ask the hub for the commit of `revision`. Raises DataError when the hub cannot be reached."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

        try:
            return str(HfApi().dataset_info(name, revision=self.revision, timeout=10).sha)
        except (RepositoryNotFoundError, RevisionNotFoundError):
            at = f" at revision '{self.revision}'" if self.revision else ""
            raise DataError(
                f"the Hugging Face hub has no public dataset '{name}'{at}", "check it at https://hf.co/datasets"
            ) from None
        except HFValidationError:
            raise DataError(
                f"'{name}' is neither a folder nor a name on the Hugging Face hub",
                "names look like roneneldan/TinyStories; local files are given without hf:",
            ) from None
        except Exception as error:
            # The hub's client passes on the exceptions of its transport, whose classes differ by version.
            raise offline(name, error) from None

    def _stream(self, place: Preset) -> Iterator[dict[str, Any]]:
        try:
            import datasets
            from datasets.exceptions import DatasetsError
        except ImportError:
            raise MissingExtra("datasets", "data", f"streaming the dataset '{place.name}'") from None
        # Without a network this request fails at once; `datasets` alone would retry for minutes.
        commit = None if Path(place.name).is_dir() else self._commit(place.name)
        try:
            stream = datasets.load_dataset(
                place.name,
                name=place.config,
                data_dir=self.data_dir,
                split=self.split,
                streaming=True,
                revision=commit,
            )
            yield from stream
        except (ValueError, RuntimeError, DatasetsError) as error:
            # `datasets` does not know the split, config or format. Its own message lists the known names.
            first = " ".join(str(error).split())[:300]
            raise DataError(
                f"the dataset '{place.name}' cannot be read: {first}",
                "choose with data.sources.0.split=NAME or data.sources.0.config=NAME",
            ) from None
        except OSError as error:
            raise offline(place.name, error) from None


@lru_cache(maxsize=64)
def _kind(source: Hub) -> str:
    """Return the words of `describe` on the examples of a dataset, by its first row; "" for texts."""
    place = source._place()
    with suppress(DataError):  # reported when the dataset is read
        first = next(source._stream(place), {})
        words = described(first, source.column or place.column, source.format)
        return f", {words}" if words else ""
    return ""


def offline(name: str, error: Exception) -> DataError:
    """Return the error for a hub that cannot be reached. It names the data that works without the hub."""
    return DataError(
        f"the Hugging Face hub cannot be reached for '{name}' (offline? {type(error).__name__}); "
        f"--data works without the hub for {LOCAL}"
    )
