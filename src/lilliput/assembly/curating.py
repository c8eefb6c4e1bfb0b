"""Curating: preparing a corpus with the models that its steps need. Processes that share the work run this module."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lilliput.data.corpus import CorpusConfig, Prepared
from lilliput.data.corpus import prepare as prepare_corpus
from lilliput.data.corpus.jobs import main
from lilliput.generation.tagging import install

install()


def prepare(config: CorpusConfig, out: Path | str, notify: Callable[[str], None] | None = None) -> Prepared:
    """Prepare a corpus in the folder `out`: documents/, rejects/ and corpus.html. A call after an interruption goes on
    where the last one ended; after a change, what does not depend on it is found again. Raises DataError."""
    return prepare_corpus(config, Path(out), notify, worker="lilliput.assembly.curating")


if __name__ == "__main__":
    main()
