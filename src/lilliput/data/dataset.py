"""Dataset: sources made into tokens once, in a cache whose key is a hash of all inputs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from lilliput.base import console
from lilliput.base.cache import cache_folder, private_folder, tree_refusal
from lilliput.base.cache_use import Held, hold
from lilliput.base.damage import read_sealed, write_sealed
from lilliput.base.errors import DataError
from lilliput.data.cache import Notes, locked, publish
from lilliput.data.chat_template import TEMPLATE_FILE
from lilliput.data.config import DataConfig, TokenizerConfig
from lilliput.data.curation import SPLITS, Curation, Item, inputs_key, source_report
from lilliput.data.document import Document
from lilliput.data.encoders import encoder_count, shared
from lilliput.data.example_rows import PLURAL
from lilliput.data.fitting import Reserved
from lilliput.data.loader import Loader
from lilliput.data.poisson import PoissonLoader
from lilliput.data.rows import Encoded, text_bytes
from lilliput.data.shards import ShardWriter, dtype_for, facts, listed, problem
from lilliput.data.source import hash_of
from lilliput.data.split import Split
from lilliput.data.tokenizer import Tokenizer

# Raise this number whenever the code makes other tokens or files of the same text, so that old caches are not found.
FORMAT = 3
BATCH_BYTES = 2**21
BATCH_DOCUMENTS = 2048
MANY_IN_A_ROW = 4
ENCODERS_FROM = 2**24
"""After this many bytes of text, encoding moves to processes of its own. They take half a second to start."""

Rows = Sequence[Encoded | Sequence[Encoded]]
Encode = Callable[[Sequence[Document], Tokenizer], Rows]
EncodeItems = Callable[[Sequence[Item], Tokenizer], Rows]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Dataset:
    """Tokenised data: both splits, their tokenizer and their manifest.

    folder     the folder of the shards (see shards.py), the tokenizer and manifest.json
    manifest   counts and hashes by split and shard, counts by source, drops by reason, dtype, tokenizer
    too_long   what becomes of examples that are longer than a row (data.too_long)
    notes      what a person should know: the cache that was used, or damage that was repaired
    held       marks the folder as in use, so that `lilliput cache prune` leaves it, for as long as the dataset lives
    """

    folder: Path
    tokenizer: Tokenizer
    manifest: dict[str, Any]
    packing: str
    seed: int
    notes: tuple[str, ...] = ()
    too_long: str = "truncate"
    held: Held | None = field(default=None, repr=False, compare=False)

    def split(self, name: str) -> Split:
        """Return the 'train' or the 'validation' split."""
        return Split(self.folder, name, self.manifest["splits"][name], self.manifest["dtype"])

    def loader(
        self,
        name: str,
        context_length: int,
        rows: str = "packed",
        seed: int | None = None,
        reserved: Reserved | None = None,
    ) -> Loader:
        """Return the rows of a split in the order of `seed` (None: the run's seed): packed as configured, or, where
        `rows` is "documents", a document a row, with `reserved` tokens of the context left free. For "poisson" each
        document takes part in a batch by a draw of its own."""
        split, tokenizer = self.split(name), self.tokenizer
        packing = rows if rows == "documents" else fitting(split, context_length, self.packing)
        order = self.seed if seed is None else seed
        marks = tokenizer.bos_id, tokenizer.pad_id
        if rows == "poisson":
            given = {"bos_id": marks[0], "pad_id": marks[1], "too_long": self.too_long}
            return PoissonLoader(split, context_length, order, **given)
        return Loader(split, context_length, order, packing, *marks, self.too_long, reserved)

    def check_learned(self, check: Callable[[Mapping[str, int]], None]) -> None:
        """Raise DataError where no token of the training split is learned, unless its examples need no learned token of
        their own: prompts are completed during training, and labels are learned beside the tokens. `check` is the
        objective's own check of the split's documents, counted by kind."""
        split = self.manifest["splits"]["train"]
        check(split["kinds"])
        if split["learned"] or not split["kinds"].keys() - {"prompt", "labelled"}:
            return
        described = ", ".join(f"{count:,} {PLURAL[kind]}" for kind, count in split["kinds"].items())
        raise DataError(
            f"this run would learn nothing: no token of the training split is learned ({described})",
            "see which tokens are: lilliput data show RECIPE; a reply that is learned has the role assistant, and the "
            "tokenizer's chat template marks it",
        )


def fitting(split: Split, context_length: int, asked: str) -> str:
    """Return the packing for documents of this length.

    This is `asked`, except that whole documents (best_fit) are packed in two cases: where `auto` or `aligned` would put
    four documents into a row, and where the whole split does not fill a row. In rows across many documents a model
    learns to depend on text that is missing when a document is generated or scored from its own beginning. Tiny
    Shakespeare by speeches reached 1.90 bits per byte with windows and 1.87 with whole documents."""
    if asked not in ("auto", "aligned"):
        return asked
    if split.has_examples:
        return "best_fit"  # an example is learned from its own beginning
    if split.tokens <= context_length:
        return "best_fit"  # the only packing with padding, which a row larger than the split needs
    average = split.tokens / max(1, split.documents)
    return "best_fit" if average < context_length / MANY_IN_A_ROW else asked.replace("auto", "contiguous")


def prepare(
    config: DataConfig,
    tokenizer_config: TokenizerConfig,
    encode: Encode,
    view: Callable[[str], str],
    view_key: str,
    seed: int,
    progress: Progress | None = None,
    notify: Callable[[str], None] | None = None,
    specials: Sequence[str] = (),
    check: Callable[[Document], None] | None = None,
    equip: Callable[[Tokenizer], Tokenizer] = lambda tokenizer: tokenizer,
    encode_held_out: Encode | None = None,
) -> Dataset:
    """Train or load the tokenizer and tokenise every document, or find both in the cache.

    `encode` makes token ids of documents, and `view` is the text on which the tokenizer is trained; an objective gives
    both, and `view_key` names them for the cache. `encode_held_out` does the same for documents of the validation split
    (None: `encode`). `specials` are roles of further special tokens of a tokenizer that is
    trained here. `check` raises DataError for a document that the objective cannot learn from; it sees each document
    before any work is done with it. `equip` gives a tokenizer, trained or given, what an objective needs beside, such
    as a chat template. `seed` decides the order of rows later, and does not change the prepared data.
    `progress(documents, bytes)` is called with the totals so far; without it, progress is shown on the console.
    `notify` gets a line on each source, on the counts of the result, and on a damaged cache. Sources are read once: the
    tokenizer's sample (`tokenizer.sample_bytes`) is kept and encoded first. Memory is bounded by that sample and a few
    batches.

    Two processes that prepare the same data wait for each other (a lock), and a folder appears whole or not at all.
    Raises DataError for sources, tokenizers and texts that cannot be used, and when the cache cannot be written.
    """
    root = cache_folder()
    given = Tokenizer.load(tokenizer_config.path) if tokenizer_config.path else None
    wanted = given.sha256 if given else tokenizer_config.model_dump(mode="json")
    key = hash_of(FORMAT, inputs_key(config), config.shard_tokens, wanted, view_key)
    notes = Notes(notify)
    with locked(root, key[:32], notes):
        kept = private_folder("tokenizers") / key[:32]
        tokenizer = given or _kept_tokenizer(kept, notes)
        if tokenizer is not None:
            tokenizer = equip(tokenizer)
            folder = _folder(key, tokenizer)
            held = hold(folder)
            manifest = _kept_tokens(folder, notes)
            if manifest is not None:
                return Dataset(folder, tokenizer, manifest, config.packing, seed, tuple(notes), config.too_long, held)
        for source in config.sources:
            notes.add(f"reading {source.describe()}")
        curation = Curation(config)
        items: Iterator[Item] = _checked(iter(curation), check)
        if tokenizer is None:
            limit = console.size(tokenizer_config.sample_bytes)
            notes.add(f"training a tokenizer of {tokenizer_config.vocab_size:,} tokens on at most {limit} of text")
            sample, items = _sample(items, tokenizer_config.sample_bytes, curation)
            texts = (view(item.document.text) for item in sample if item.split == "train")
            tokenizer = Tokenizer.train(texts, tokenizer_config, specials)
            trained = tokenizer
            publish(kept, lambda place: _keep_tokenizer(place, trained))
            if tokenizer.vocab_size < tokenizer_config.vocab_size:
                notes.add(f"the text allows a vocabulary of {tokenizer.vocab_size:,} only: it is taken")
            tokenizer = equip(tokenizer)
        folder = _folder(key, tokenizer)
        with _shown(progress) as shown:
            made = config, tokenizer, curation, items, _by_split(encode, encode_held_out), view_key, shown
            held = publish(folder, lambda place: _build(place, *made))
        manifest = read_sealed(folder / "manifest.json")
        if curation.kept_back:
            notes.add(curation.kept_back)
        notes.add(summary(manifest))
    return Dataset(folder, tokenizer, manifest, config.packing, seed, tuple(notes), config.too_long, held)


def _checked(items: Iterator[Item], check: Callable[[Document], None] | None) -> Iterator[Item]:
    for item in items:
        if check is not None:
            check(item.document)
        yield item


def summary(manifest: dict[str, Any]) -> str:
    """Return one line: documents, tokens and bytes of each split, and the dropped documents by reason."""
    sides = (
        f"{name}: {facts['documents']:,} documents, {facts['tokens']:,} tokens of {facts['text_bytes']:,} bytes"
        for name, facts in manifest["splits"].items()
    )
    drops = ", ".join(f"{count:,} {reason}" for reason, count in manifest["drops"].items())
    return "; ".join([*sides, *([f"dropped: {drops}"] if drops else [])])


@contextmanager
def _shown(progress: Progress | None) -> Iterator[Progress]:
    if progress:
        yield progress
    else:
        with console.progress("tokenising", unit="documents") as bar:
            yield lambda documents, size: bar.update(documents)


def _folder(key: str, tokenizer: Tokenizer) -> Path:
    ids = (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id)
    template = [] if tokenizer.chat_template is None else [tokenizer.chat_template]
    return private_folder("tokens") / hash_of(key, tokenizer.sha256, ids, *template)[:32]


def _keep_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(folder)
    write_sealed(folder / "manifest.json", {"files": _tokenizer_files(folder)})


def _tokenizer_files(folder: Path) -> dict[str, Any]:
    names = ("tokenizer.json", "tokenizer_config.json", TEMPLATE_FILE)
    return {name: facts(folder / name) for name in names if (folder / name).exists()}


def _kept_tokenizer(folder: Path, notes: Notes) -> Tokenizer | None:
    """Return the tokenizer in the cache where it is whole and this user's alone."""
    if not folder.is_dir() or _refused(folder, notes):
        return None
    try:
        wrong = problem(folder, read_sealed(folder / "manifest.json")["files"], hashes=True)
    except (OSError, ValueError) as error:
        wrong = f"manifest.json cannot be used ({type(error).__name__})"
    if wrong is None:
        return Tokenizer.load(folder / "tokenizer.json")
    notes.add(f"the tokenizer in the cache was damaged and is trained again: {wrong} ({folder})")
    return None


def _refused(folder: Path, notes: Notes) -> bool:
    """Whether others could have written any file of the folder. Such a folder is reported and not used."""
    why = tree_refusal(folder, cache_folder(), folder.parent.parent)
    if why:
        notes.add(f"{why}: it is not used, and made again")
    return bool(why)


def _kept_tokens(folder: Path, notes: Notes) -> dict[str, Any] | None:
    """Return the manifest of a folder of tokens where all its files exist and are this user's alone."""
    if not folder.is_dir() or _refused(folder, notes):
        return None
    try:
        manifest = read_sealed(folder / "manifest.json")
        shards = listed([manifest["splits"][name] for name in SPLITS])
        wrong = problem(folder, shards) or problem(folder, manifest["files"], hashes=True)
        if wrong is None:
            notes.add(f"tokens were found in the cache ({folder})")
            return manifest
    except (OSError, ValueError) as error:
        wrong = f"manifest.json cannot be used ({type(error).__name__})"
    notes.add(f"the tokens in the cache were damaged and are made again: {wrong} ({folder})")
    return None


# ---------------------------------------------------------------------- making it


def train_tokenizer(config: DataConfig, tokenizer_config: TokenizerConfig) -> tuple[Tokenizer, int]:
    """Train a tokenizer on the training side of the data, and return it with the number of bytes it was trained on.
    Nothing is cached."""
    curation = Curation(config)
    sample, _ = _sample(iter(curation), tokenizer_config.sample_bytes, curation)
    chosen = [item for item in sample if item.split == "train"]
    tokenizer = Tokenizer.train((item.document.text for item in chosen), tokenizer_config)
    return tokenizer, sum(item.size for item in chosen)


def _sample(items: Iterator[Item], size: int, curation: Curation) -> tuple[list[Item], Iterator[Item]]:
    """Return the first items, with `size` bytes of training text among them, and an iterator of all items from the
    start."""
    sample, read = [], 0
    for item in items:
        sample.append(item)
        read += item.size if item.split == "train" else 0
        if read >= size:
            return sample, chain(sample, items)
    curation.check()  # every document has been read, so missing text is reported before a tokenizer is trained
    return sample, iter(sample)


def _build(
    folder: Path,
    config: DataConfig,
    tokenizer: Tokenizer,
    curation: Curation,
    items: Iterator[Item],
    encode: EncodeItems,
    view_key: str,
    progress: Progress,
) -> None:
    """Write shards, manifest and tokenizer into an empty folder."""
    dtype, sizes = dtype_for(tokenizer.vocab_size), tokenizer.token_bytes()
    documents = size = 0
    kinds: dict[str, Counter[str]] = {name: Counter() for name in SPLITS}
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(ShardWriter(folder, name, dtype, config.shard_tokens, tokenizer.bos_id))
            for name in SPLITS
        }
        for batch, encoded in _encoded(items, encode, tokenizer):
            for item, row in zip(batch, encoded, strict=True):
                sequences = [row] if isinstance(row, Encoded) else list(row)
                if sequences and all(len(each.ids) for each in sequences):
                    # Of a structured row the sequences hold the text that counts, with what a template puts around it.
                    spelled = item.size if item.document.example is None else text_bytes(sequences, sizes)
                    writers[item.split].add_document(sequences, item.document.id, spelled)
                    kinds[item.split][item.document.kind] += 1
                else:
                    curation.drops["no tokens"] += 1
            documents += len(batch)
            size += sum(item.size for item in batch)
            progress(documents, size)
        splits = {name: {**writer.close(), "kinds": dict(kinds[name])} for name, writer in writers.items()}
    curation.check()
    tokenizer.save(folder)
    reports = zip(config.sources, curation.by_source, strict=True)
    write_sealed(
        folder / "manifest.json",
        {
            "format": FORMAT,
            "dtype": dtype,
            "vocab_size": tokenizer.vocab_size,
            "tokenizer": {"sha256": tokenizer.sha256, "kind": tokenizer.kind, **tokenizer.specials},
            "files": _tokenizer_files(folder),
            "view": view_key,
            "validation_fraction": config.validation_fraction,
            "splits": splits,
            "sources": [source_report(source, counts) for source, counts in reports],
            "drops": dict(curation.drops),
        },
    )


def _by_split(encode: Encode, encode_held_out: Encode | None) -> EncodeItems:
    """Return a function that encodes each item as its split needs, in the order of the items."""

    def encode_items(items: Sequence[Item], tokenizer: Tokenizer) -> Rows:
        found: dict[int, Any] = {}
        for name, encoder in zip(SPLITS, (encode, encode_held_out or encode), strict=True):
            if chosen := [place for place, item in enumerate(items) if item.split == name]:
                made = encoder([items[place].document for place in chosen], tokenizer)
                found.update(zip(chosen, made, strict=True))
        return [found[place] for place in range(len(items))]

    return encode_items


def _encoded(items: Iterable[Item], encode: EncodeItems, tokenizer: Tokenizer) -> Iterator[tuple[list[Item], Rows]]:
    """Yield batches with their tokens, in order. The next batches are read while earlier ones are encoded: by
    `tokenizers` without Python's lock, and for larger text in processes of their own."""
    count, size = encoder_count(), 0
    most = 1
    with ThreadPoolExecutor(max_workers=count) as pool, ExitStack() as stack:
        pending: deque[tuple[list[Item], Future[Rows]]] = deque()
        for batch in _batches(items):
            size += sum(item.size for item in batch)
            if size > ENCODERS_FROM and count > 1 and most == 1:
                tokenizer, most = stack.enter_context(shared(tokenizer, count)), count
            pending.append((batch, pool.submit(encode, batch, tokenizer)))
            if len(pending) > most:
                ready, future = pending.popleft()
                yield ready, future.result()
        for ready, future in pending:
            yield ready, future.result()


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    batch, size = [], 0
    for item in items:
        batch.append(item)
        size += item.size
        if size >= BATCH_BYTES or len(batch) >= BATCH_DOCUMENTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
