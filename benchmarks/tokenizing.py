"""MB/s of training a tokenizer, of encoding, and of the whole path from file to shards, beside tiktoken and rustbpe.

    python benchmarks/tokenizing.py                       # 100 MB of generated stories, 2 threads
    python benchmarks/tokenizing.py --megabytes 5 --rounds 1 --json

(Not named tokenize.py: that would hide a module of Python's own.)
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.table import Table

from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.errors import LilliputError, MissingExtra
from lilliput.cli.main import one_line_errors
from prepare_memory import write_documents

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

SEPARATOR = "<|endoftext|>"
CHUNK_BYTES = 2**21
GOAL = 0.9
"""Ours is to be at least this many times as fast as the fastest."""

Encode = Callable[[Sequence[str]], Sequence[Sequence[int] | np.ndarray]]


@dataclass(frozen=True)
class Contestant:
    """One arm: how it encodes a batch of texts, and its ids in Lilliput's numbering where they can be compared."""

    name: str
    encode: Encode
    shift: int | None = None


def read(path: Path) -> Iterator[list[str]]:
    """The documents of a file in batches of about CHUNK_BYTES, as a script would read them."""
    rest = ""
    with open(path, encoding="utf-8") as file:
        while block := file.read(CHUNK_BYTES):
            *texts, rest = (rest + block).split(SEPARATOR)
            yield [text.strip() for text in texts]
    if rest.strip():
        yield [rest.strip()]


def tiktoken_of(tokenizer: Tokenizer, threads: int) -> Contestant:
    """tiktoken with our vocabulary: the ids are ours without the special tokens, which come first."""
    try:
        import tiktoken
    except ModuleNotFoundError:
        raise MissingExtra("tiktoken", "bench", "measuring beside tiktoken") from None
    from lilliput.data.patterns import PATTERNS

    ids = {tokenizer.decode_bytes([number]): number for number in range(tokenizer.vocab_size)}
    ids.pop(b"")
    shift = min(ids.values())
    encoding = tiktoken.Encoding(
        "lilliput",
        pat_str=PATTERNS["qwen2"] or "",
        mergeable_ranks={piece: number - shift for piece, number in ids.items()},
        special_tokens={},
    )
    return Contestant("tiktoken", lambda texts: encoding.encode_ordinary_batch(list(texts), num_threads=threads), shift)


def rustbpe_trained(texts: Sequence[str], merges: int) -> Any:
    """A rustbpe tokenizer of 256 bytes and `merges` merges over the same pattern."""
    try:
        import rustbpe
    except ModuleNotFoundError:
        raise MissingExtra("rustbpe", "bench", "measuring beside rustbpe") from None
    from lilliput.data.patterns import PATTERNS

    tokenizer = rustbpe.Tokenizer()  # pyright: ignore[reportAttributeAccessIssue] - its types are not declared
    tokenizer.train_from_iterator(iter(texts), 256 + merges, pattern=PATTERNS["qwen2"])
    return tokenizer


def check_ids(contestants: Sequence[Contestant], texts: Sequence[str]) -> None:
    """Raises LilliputError unless all arms of the same vocabulary give the same ids."""
    ours = contestants[0].encode(texts)
    for arm in contestants[1:]:
        if arm.shift is not None:
            theirs = [[number + arm.shift for number in ids] for ids in arm.encode(texts)]
            if theirs != [list(ids) for ids in ours]:
                raise LilliputError(f"{arm.name} gives other ids with the same vocabulary: the work is not the same")


def ours_path(source: Path, folder: Path, tokenizer_folder: Path) -> float:
    """Seconds of Lilliput's whole path: read, curate, split, encode, write shards with their hashes."""
    from lilliput.data.config import DataConfig, TokenizerConfig
    from lilliput.data.dataset import prepare
    from lilliput.data.text import Text
    from lilliput.objectives.causal import Causal

    os.environ["LILLIPUT_CACHE"] = str(folder)
    config = DataConfig(sources=(Text(paths=(str(source),)),))
    options, objective = TokenizerConfig(path=str(tokenizer_folder)), Causal()
    began = perf_counter()
    prepare(config, options, objective.encode, objective.view, "benchmark", seed=0, progress=lambda *_: None)
    return perf_counter() - began


def plain_path(arm: Contestant, source: Path, target: Path) -> float:
    """Seconds of the plainest script around an encoder: read, split at the marks, encode, append uint16 to one file."""
    began = perf_counter()
    with open(target, "wb") as file:
        for path in sorted(source.iterdir()):
            for texts in read(path):
                for ids in arm.encode(texts):
                    file.write(np.asarray(ids, dtype=np.uint16).tobytes())
    return perf_counter() - began


def encode_seconds(arm: Contestant, source: Path) -> float:
    """Seconds of encoding alone; what comes out is dropped."""
    seconds = 0.0
    for path in sorted(source.iterdir()):
        for texts in read(path):
            began = perf_counter()
            arm.encode(texts)
            seconds += perf_counter() - began
    return seconds


def timed(make: Callable[[], Any]) -> tuple[Any, float]:
    """(what it made, seconds)."""
    began = perf_counter()
    made = make()
    return made, perf_counter() - began


def measure(place: Path, megabytes: float, vocab_size: int, threads: int, rounds: int, distinct: int) -> dict[str, Any]:
    """All figures: seconds by arm and part, in rounds that take turns."""
    from lilliput.data.config import TokenizerConfig
    from lilliput.data.tokenizer import Tokenizer

    source = place / "documents"
    source.mkdir()
    write_documents(source, megabytes, distinct)
    texts = [text for path in sorted(source.iterdir()) for batch in read(path) for text in batch]
    size = sum(len(text.encode()) for text in texts) / 1e6
    print_line(f"{size:.1f} MB of stories in {len(texts):,} documents; training two tokenizers ...")
    tokenizer, ours_training = timed(lambda: Tokenizer.train(texts, TokenizerConfig(vocab_size=vocab_size)))
    theirs = tiktoken_of(tokenizer, threads)
    merges = vocab_size - 256 - (theirs.shift or 0)
    rust, rust_training = timed(lambda: rustbpe_trained(texts, merges))
    contestants = [Contestant("ours", tokenizer.encode_arrays), theirs, Contestant("rustbpe", rust.batch_encode)]
    check_ids(contestants, texts[:2000])
    tokenizer.save(place / "tokenizer")
    seconds: dict[str, dict[str, list[float]]] = {"encode": {}, "path": {}}
    for number in range(rounds):
        first = number % len(contestants)
        for arm in (*contestants[first:], *contestants[:first]):
            if arm.name == "ours":  # afresh, since it remembers the words that it has met
                arm = Contestant("ours", Tokenizer.load(place / "tokenizer").encode_arrays)
            path = (
                ours_path(source, place / f"cache-{number}", place / "tokenizer")
                if arm.name == "ours"
                else plain_path(arm, source, place / "plain.bin")
            )
            seconds["encode"].setdefault(arm.name, []).append(encode_seconds(arm, source))
            seconds["path"].setdefault(arm.name, []).append(path)
            print_line(f"  round {number + 1}/{rounds} {arm.name}")
    training = {"ours": [ours_training], "rustbpe": [rust_training]}
    return {"megabytes": size, "vocab_size": vocab_size, **rates({"train": training, **seconds}, size)}


def rates(seconds: dict[str, dict[str, list[float]]], megabytes: float) -> dict[str, Any]:
    """Median MB/s by part and arm; for each part the ratio of ours to the fastest other arm, a median over rounds, and
    whether the goal is met."""
    rate = {
        part: {arm: median(megabytes / value for value in values) for arm, values in arms.items()}
        for part, arms in seconds.items()
    }
    ratios = {
        part: median(
            min(arms[name][number] for name in arms if name != "ours") / value
            for number, value in enumerate(arms["ours"])
        )
        for part, arms in seconds.items()
    }
    return {
        "megabytes_per_second": rate,
        "ours_to_fastest": ratios,
        "goal": GOAL,
        "met": {part: ratio >= GOAL for part, ratio in ratios.items()},
        "seconds": seconds,
    }


def table(figures: dict[str, Any]) -> Table:
    """MB/s for people."""
    made = Table(title="MB/s", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("", "ours", "tiktoken", "rustbpe", "ours / fastest", "goal"):
        made.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for part, arms in figures["megabytes_per_second"].items():
        cells = ["" if name not in arms else f"{arms[name]:.1f}" for name in ("ours", "tiktoken", "rustbpe")]
        verdict = "met" if figures["met"][part] else "missed"
        made.add_row(part, *cells, f"{figures['ours_to_fastest'][part]:.2f}", f"{GOAL}: {verdict}")
    return made


def main(arguments: list[str] | None = None) -> None:
    """Measure the requested arms, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--vocab-size", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2, help="of every library that has threads")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--distinct", type=int, default=5000, help="stories of the world that are repeated, numbered")
    parser.add_argument("--json", action="store_true", help="print one JSON object; all other words on standard error")
    asked = parser.parse_args(arguments)
    if min(asked.megabytes, asked.vocab_size, asked.threads, asked.rounds, asked.distinct) <= 0:
        parser.error("all numbers have to be above 0")
    use_json(asked.json)
    # `tokenizers` and rustbpe read it when they first use threads.
    os.environ["RAYON_NUM_THREADS"] = str(asked.threads)
    with tempfile.TemporaryDirectory() as place:
        figures = measure(
            Path(place), asked.megabytes, asked.vocab_size, asked.threads, asked.rounds, asked.distinct
        ) | {"threads": asked.threads, "load_average": os.getloadavg()[0]}
    if asked.json:
        emit(figures)
        return
    console.print(table(figures))
    print_line(
        "path: ours reads, curates, encodes, writes shards and hashes; the others read, encode, append to one file"
    )


if __name__ == "__main__":
    with one_line_errors():
        main()
