"""The peers of benchmarks/curation.py, in an environment of their own: datatrove's filters and hashes, and rensa.

python curation_peers.py FILE.jsonl JOB     # prints one JSON object: seconds of processor time, and verdicts
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any


def rules(texts: Sequence[str]) -> list[list[bool]]:
    """The four sets of rules, each on every text."""
    from datatrove.data import Document
    from datatrove.pipeline import filters

    steps = (
        filters.GopherQualityFilter(),
        filters.GopherRepetitionFilter(),
        filters.C4QualityFilter(),
        filters.FineWebQualityFilter(),
    )
    found = []
    for step in steps:
        found.append([step.filter(Document(text=text, id="a")) is True for text in texts])
    return found


def minhash(texts: Sequence[str]) -> int:
    """The signatures of datatrove's MinHash, with its defaults."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import MinhashConfig, MinhashDedupSignature

    step = MinhashDedupSignature(output_folder="/tmp", config=MinhashConfig())
    return sum(len(step.get_signature(step.get_shingles(Document(text=text, id="a").text))) for text in texts)


def rensa(texts: Sequence[str]) -> int:
    """Signatures of 128 minima by rensa, of sequences of five words."""
    from rensa import RMinHash

    count = 0
    for text in texts:
        words = text.split()
        one = RMinHash(num_perm=128, seed=1)
        one.update([" ".join(words[place : place + 5]) for place in range(max(1, len(words) - 4))])
        count += len(one.digest())
    return count


JOBS: dict[str, Callable[[Sequence[str]], Any]] = {"rules": rules, "minhash": minhash, "rensa": rensa}


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    job = JOBS[sys.argv[2]]
    job(texts[:20])  # loads what is loaded at the first call
    began = time.process_time()
    found = job(texts)
    seconds = time.process_time() - began
    package = "rensa" if sys.argv[2] == "rensa" else "datatrove"
    json.dump({"seconds": seconds, "found": found, "version": version(package)}, sys.stdout)


if __name__ == "__main__":
    main()
