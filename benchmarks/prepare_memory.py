"""Memory and time of preparing data: documents of the story world in files, tokenised into shards.

    python benchmarks/prepare_memory.py --megabytes 500 --json

Writes the documents to a temporary folder first, in a process of its own, so that only preparing them is measured.
Peak memory is the process's maximum resident set (on Linux in KiB, on macOS in bytes).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter


def write_documents(folder: Path, megabytes: float, distinct: int) -> None:
    """Writes `megabytes` MB of documents: stories, every one made its own by a number, so that no cache of equal
    words or texts can help more than it does on real text."""
    from lilliput.storybook import story

    stories = [story(0, number).text for number in range(distinct)]
    written = number = 0
    while written < megabytes * 1e6:
        with open(folder / f"part-{written // 50_000_000:03d}.txt", "a", encoding="utf-8") as file:
            for text in stories:
                document = f"{text}\nThis was story {number}.\n<|endoftext|>\n"
                written += file.write(document)
                number += 1


def measure(folder: Path, vocab_size: int) -> dict[str, float | int]:
    """Prepares the folder's files and returns sizes, seconds and the peak memory before and after."""
    from lilliput.data.config import DataConfig, TokenizerConfig
    from lilliput.data.dataset import prepare
    from lilliput.data.document import Document
    from lilliput.data.rows import Encoded
    from lilliput.data.text import Text
    from lilliput.data.tokenizer import Tokenizer

    def encode(documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
        texts = tokenizer.encode_batch([document.text for document in documents])
        return [Encoded([tokenizer.bos_id, *ids, tokenizer.eos_id]) for ids in texts]

    before = peak_megabytes()
    started = perf_counter()
    config = DataConfig(sources=(Text(paths=(str(folder),)),))
    options = TokenizerConfig(vocab_size=vocab_size)
    dataset = prepare(config, options, encode, lambda text: text, "benchmark", seed=0, progress=lambda *_: None)
    seconds = perf_counter() - started
    splits = dataset.manifest["splits"].values()
    size = sum(split["text_bytes"] for split in splits)
    return {
        "megabytes": round(size / 1e6, 1),
        "documents": sum(split["documents"] for split in splits),
        "tokens": sum(split["tokens"] for split in splits),
        "seconds": round(seconds, 1),
        "megabytes_per_second": round(size / 1e6 / seconds, 2),
        "peak_megabytes_before": round(before),
        "peak_megabytes": round(peak_megabytes()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    }


def peak_megabytes() -> float:
    """The largest resident set of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def main() -> None:
    """Parse the command line, make the documents, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("--vocab-size", type=int, default=2048)
    parser.add_argument("--distinct", type=int, default=5000, help="stories of the world that are repeated")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "documents"
        folder.mkdir()
        os.environ["LILLIPUT_CACHE"] = str(Path(place) / "cache")
        context = multiprocessing.get_context("spawn")
        writer = context.Process(target=write_documents, args=(folder, options.megabytes, options.distinct))
        writer.start()
        writer.join()
        if writer.exitcode:
            sys.exit(writer.exitcode)
        result = measure(folder, options.vocab_size)
    if options.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:24} {value:>14,}" for name, value in result.items()))


if __name__ == "__main__":
    main()
