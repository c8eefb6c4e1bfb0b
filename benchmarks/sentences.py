r"""Books cut into sentences, one a JSON line, and the share of padding when each sentence is a row of its own.

A corpus of novels is often published one sentence a row, as BookCorpus is. A trainer that pads each row to the context
then spends most positions on padding. This counts them by the tokens of a tokenizer, here GPT-2's.

    python benchmarks/sentences.py BOOKS.jsonl.gz --vocab vocab.json --merges merges.txt \
        --write configs/sentences.jsonl
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.table import Table
from tokenizers import ByteLevelBPETokenizer

from lilliput.base.console import console, emit, use_json
from lilliput.cli.main import one_line_errors

CONTEXTS = (64, 128, 256, 512, 1024)
END = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bSt)(?<!\b[A-Z])[.!?]+[\"'”’)]*\s+(?=[\"'“‘(]?[A-Z])")
"""A sentence's end: its mark with the quotes that close after it, before a capital; a title such as Mr. or an initial
ends none."""


def sentences(paragraph: str) -> Iterator[str]:
    """The sentences of a paragraph, each with its end mark."""
    begin = 0
    for end in END.finditer(paragraph):
        yield paragraph[begin : end.end()].strip()
        begin = end.end()
    if paragraph[begin:].strip():
        yield paragraph[begin:].strip()


def cut(books: Path) -> Iterator[str]:
    """Every sentence of prose: lines of capitals (titles) and pieces under three words are left out."""
    with (gzip.open if books.suffix == ".gz" else open)(books, "rt", encoding="utf-8") as lines:
        for line in lines:
            for paragraph in re.split(r"\n\s*\n", json.loads(line)["text"]):
                for sentence in sentences(" ".join(paragraph.split())):
                    if not sentence.isupper() and len(sentence.split()) > 2:
                        yield sentence


def main(arguments: list[str] | None = None) -> None:
    """Cut, write, count, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("books", type=Path, help="JSON lines with a field `text`, gzipped or not")
    parser.add_argument("--write", type=Path, help="write the sentences to this JSON-lines file")
    parser.add_argument("--vocab", required=True, help="GPT-2's vocab.json")
    parser.add_argument("--merges", required=True, help="GPT-2's merges.txt")
    parser.add_argument("--sample", type=int, default=50_000, help="sentences that are counted, evenly spread")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args(arguments)
    use_json(asked.json)
    found = list(cut(asked.books))
    if asked.write:
        asked.write.write_text("".join(json.dumps({"text": each}) + "\n" for each in found), encoding="utf-8")
    tokenizer = ByteLevelBPETokenizer(asked.vocab, asked.merges)
    counted = found[:: max(1, len(found) // asked.sample)]
    tokens = np.array([len(each) + 1 for each in tokenizer.encode_batch(counted)])  # and the end mark
    padding = {context: float(1 - np.minimum(tokens, context).mean() / context) for context in CONTEXTS}
    result = {"sentences": len(found), "counted": len(counted), "mean_tokens": float(tokens.mean()),
          "longest": int(tokens.max()), "padding": padding}  # fmt: skip
    if asked.json:
        emit(result)
        return
    shown = Table(title=f"{len(found):,} sentences, {tokens.mean():.1f} tokens each")
    shown.add_column("context", justify="right")
    shown.add_column("padding", justify="right")
    for context, share in padding.items():
        shown.add_row(str(context), f"{share:.1%}")
    console.print(shown)


if __name__ == "__main__":
    with one_line_errors():
        main()
