"""Known sources: public corpora by name, with their licence, their size and how to get them."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Way = Literal["hub", "files", "folder"]


class Known(NamedTuple):
    """A public corpus.

    name      what a person types after --data, whatever its case and separators
    way       hub: streamed from the Hugging Face hub; files: downloaded as files; folder: files of one's own
    place     the hub's name, or the address of the files
    config    the hub's configuration; the number of tokens or the language of a part
    column    the column of the text
    licence   as the publisher states it
    size      of the text, about
    profile   the curation profile that fits it
    note      what else one has to know
    """

    name: str
    way: Way
    place: str
    licence: str
    size: str
    profile: str
    config: str | None = None
    column: str = "text"
    note: str = ""


CRAWL = "https://data.commoncrawl.org/"
DUMPS = "https://dumps.wikimedia.org/simplewiki/latest/simplewiki-latest-pages-articles.xml.bz2"
KNOWN = (
    Known("TinyStories", "hub", "roneneldan/TinyStories", "CDLA-Sharing-1.0", "2 GB", "stories"),
    Known("SimpleStories", "hub", "SimpleStories/SimpleStories", "MIT", "3 GB", "stories", column="story"),
    Known("FineWeb", "hub", "HuggingFaceFW/fineweb", "ODC-BY 1.0", "45 GB", "web", "sample-10BT",
          note="the sample of 10 billion tokens; config=default is all of it"),
    Known("FineWeb-Edu", "hub", "HuggingFaceFW/fineweb-edu", "ODC-BY 1.0", "45 GB", "web", "sample-10BT",
          note="the sample of 10 billion tokens; config=default is all of it"),
    Known("Wikipedia", "hub", "wikimedia/wikipedia", "CC BY-SA 4.0", "0.3 GB", "simple", "20231101.simple",
          note="Simple English Wikipedia"),
    Known("Wikipedia-dump", "files", DUMPS, "CC BY-SA 4.0", "0.3 GB packed", "simple",
          note="the newest dump of Simple English Wikipedia, read by the source wiki_dump"),
    Known("BookCorpus", "hub", "rojagtap/bookcorpus", "not stated; the books are their authors'", "5 GB", "books"),
    Known("C4", "hub", "allenai/c4", "ODC-BY 1.0", "800 GB", "web", "en"),
    Known("RefinedWeb", "hub", "tiiuae/falcon-refinedweb", "ODC-BY 1.0", "2,800 GB", "none", column="content"),
    Known("Pile", "hub", "monology/pile-uncopyrighted", "of each part; see the card", "800 GB", "none",
          note="The Pile without the parts that its publisher had to withdraw"),
    Known("CommonCrawl", "files", f"{CRAWL}crawl-data/", "Common Crawl's terms of use", "1 GB packed a file", "web",
          note="WARC files, read by the source warc; name a crawl: --crawl CC-MAIN-2024-10"),
    Known("StarCoder", "hub", "bigcode/starcoderdata", "of each file; permissive", "800 GB", "code", column="content",
          note="accept its terms on the hub first, and give a language: data.sources.0.data_dir=python"),
    Known("folder", "folder", "a folder of .txt, .md, .jsonl, .csv, .parquet, .warc.gz or .xml.bz2 files", "yours", "",
          "auto", note="--data FOLDER"),
)  # fmt: skip


def known(name: str) -> Known | None:
    """Return the known source of this name, whatever its case and separators; None for an unknown name."""
    wanted = plain(name)
    return next((each for each in KNOWN if plain(each.name) == wanted), None)


def plain(name: str) -> str:
    """Return a name in lower case without separators."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
