"""The Hugging Face hub: a checkpoint pushed with its card, a model folder pulled; never a pickle, never a path."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lilliput.base.console import progress
from lilliput.base.errors import ExportError
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats.source import Source
from lilliput.model.huggingface import from_huggingface
from lilliput.runs.card import Trained

# Only these names of a model folder are downloaded. All other files of a repository are left out.
KNOWN = re.compile(
    r"config\.json|generation_config\.json|model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json"
    r"|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|chat_template\.jinja|tokenizer\.model"
    r"|vocab\.json|merges\.txt|README\.md"
)
# The HTTP packages of the hub's client, which differ by its version. The client does not catch their exceptions.
TRANSPORTS = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")


@dataclass(frozen=True, slots=True)
class Parcel:
    """Files to upload, by their names in the repository, as paths on disk or as bytes."""

    repo: str
    files: dict[str, Path | bytes]

    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {n: len(f) if isinstance(f, bytes) else f.stat().st_size for n, f in sorted(self.files.items())}

    def card(self) -> str:
        """The model card."""
        card = self.files["README.md"]
        return card.decode() if isinstance(card, bytes) else card.read_text(encoding="utf-8")


def pack(folder: Path, repo: str, licence: str | None = None) -> Parcel:
    """Return the files of a model folder with a card made from its run, and with the run's recipe and summary. A folder
    that belongs to no run keeps its own card. Raises ExportError for a name that the hub does not allow, and for a
    `licence` where the folder has its own card."""
    _check_name(repo)
    trained = Trained.of(folder.resolve())
    source = Source.load(folder, trained.run.path.name if trained else folder.resolve().name)
    files: dict[str, Path | bytes] = {p.name: p for p in sorted(folder.iterdir()) if KNOWN.fullmatch(p.name)}
    own = trained is None and "README.md" in files
    if own and licence:
        raise ExportError(
            f"{folder} has its own card (README.md), which is uploaded unchanged",
            f"write 'license: {licence}' into its README.md",
        )
    if not own:
        files["README.md"] = source.card(trained, repo, licence).encode()
    if trained:
        files |= {file.name: file for file in (trained.run.recipe, trained.run.summary) if file.is_file()}
    return Parcel(repo, files)


def push(parcel: Parcel, private: bool = False) -> str:
    """Make the repository where it does not exist, and upload all files in one commit. Returns the commit's address.
    Raises ExportError when the hub cannot be reached or refuses."""
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()
    added = [CommitOperationAdd(name, file) for name, file in sorted(parcel.files.items())]
    with _asking(parcel.repo):
        api.create_repo(parcel.repo, private=private, exist_ok=True)
        commit = api.create_commit(parcel.repo, added, commit_message="Model of Lilliput, with its card")
    return str(commit.commit_url)


def pull(repo: str, folder: Path, revision: str | None = None) -> str:
    """Download a model folder as the new folder `folder`, and return its commit. The folder appears only after its
    model and tokenizer were loaded. Raises ExportError, or ModelError for a class that is not supported."""
    _check_name(repo)
    if folder.exists():
        raise ExportError(f"{folder} exists already", f"pull under another name: lilliput pull {repo} NAME")
    partial = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        commit = _download(repo, partial, revision)
        from_huggingface(partial)
        Tokenizer.load(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return commit


def _download(repo: str, folder: Path, revision: str | None) -> str:
    from huggingface_hub import HfApi, hf_hub_download

    with _asking(repo):
        info = HfApi().model_info(repo, revision=revision)
    commit, listed = str(info.sha), [sibling.rfilename for sibling in info.siblings or []]
    names = sorted(name for name in listed if KNOWN.fullmatch(name))
    if "adapter_config.json" in listed:
        raise ExportError(
            f"{repo} holds an adapter (adapter_config.json), which belongs to another model",
            "download its files into a folder and merge them: lilliput import FOLDER NAME --base RUN",
        )
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        shown = ", ".join(sorted(listed)[:8]) or "nothing"
        raise ExportError(
            f"{repo} holds no config.json with .safetensors weights (it holds {shown})",
            "pickled weights (.bin, .pt) are never loaded: a pickle can run code",
        )
    with progress(f"pulling {repo}", len(names), "files") as bar, _asking(repo):
        for name in names:
            hf_hub_download(repo, name, revision=commit, local_dir=folder)
            bar.advance()
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own notes
    return commit


def _check_name(repo: str) -> None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo, re.ASCII):
        raise ExportError(f"'{repo}' is not a name on the Hugging Face hub", "names look like user/story-1m")


@contextmanager
def _asking(repo: str) -> Iterator[None]:
    """Turn the hub's failures into errors of one line."""
    from huggingface_hub import errors

    try:
        yield
    except errors.RevisionNotFoundError:
        raise ExportError(
            f"{repo} has no such revision", f"branches and tags: https://hf.co/{repo}/tree/main"
        ) from None
    except errors.RepositoryNotFoundError:
        raise ExportError(
            f"the Hugging Face hub has no model '{repo}', or it is private",
            "check it at https://hf.co/models; for a private one log in first: hf auth login",
        ) from None
    except errors.HFValidationError as error:
        raise ExportError(f"'{repo}' is not a name on the Hugging Face hub: {error}") from None
    except errors.EntryNotFoundError:
        raise ExportError(f"a file of {repo} could not be downloaded", "try again") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        hint = "log in with a token that may write: hf auth login" if status in (401, 403) else "try again later"
        raise ExportError(
            f"the Hugging Face hub answered {status} for '{repo}': {error.server_message}", hint
        ) from None
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if package not in TRANSPORTS and not isinstance(error, ConnectionError | TimeoutError):
            raise
        raise ExportError(
            f"the Hugging Face hub cannot be reached for '{repo}' (offline? {type(error).__name__})",
            "check the network; HF_ENDPOINT names another hub",
        ) from None
