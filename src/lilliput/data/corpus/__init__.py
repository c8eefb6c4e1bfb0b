"""Corpus: documents of sources taken through the curation steps once, into a folder that any tool reads."""

from lilliput.data.corpus.config import CorpusConfig
from lilliput.data.corpus.prepare import Prepared, prepare

__all__ = ["CorpusConfig", "Prepared", "prepare"]
