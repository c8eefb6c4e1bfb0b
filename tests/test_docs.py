"""The pages for readers: every link leads somewhere, and every file of the repository that they name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "lilliput"
PAGES = sorted(
    path
    for path in (ROOT / "Makefile", *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"))
    if path.name != "CHANGELOG.md"  # which names files as they were
)
FOLDERS = {"src", "tests", "docs", "configs", "benchmarks"}
ROOMS = {path.name for path in SOURCE.iterdir() if path.is_dir()}
ELSEWHERE = re.compile(
    r"docs/time_to_loss\.svg|configs/sentences\.jsonl|configs/studies/(wikinews|held-out)\.jsonl(\.gz)?"
)
"""Files that a command of a page writes, or that the reader puts there."""


def links(text: str) -> list[str]:
    """Targets of Markdown links and pictures that are neither addresses nor parts of the same page."""
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target.split("#")[0] for target in found if not re.match(r"[a-z]+:|#", target)]


def paths(text: str) -> list[str]:
    """Words that look like paths of this repository: `docs/data.md`, `tests/base`, `runs/picture.py`."""
    words = re.findall(r"(?<![\w./$<-])(?:[\w-]+/)+[\w.{},*-]*[\w}*]", text)
    return [word for word in words if of_repository(word)]


def of_repository(word: str) -> bool:
    first, last = word.split("/")[0], word.rsplit("/", 1)[-1]
    return first in FOLDERS or (first in ROOMS and last.endswith((".py", ".cpp", ".h", ".js", ".css")))


def exists(word: str) -> bool:
    """In the repository, or with a room's name in front in `src/lilliput`; `{a,b}` and `*` as a shell reads them."""
    return all(any(any(base.glob(spelt)) for base in (ROOT, SOURCE)) for spelt in braced(word))


def braced(word: str) -> list[str]:
    inside = re.search(r"\{([^}]*)\}", word)
    if inside is None:
        return [word]
    return [each for part in inside[1].split(",") for each in braced(word.replace(inside[0], part, 1))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [target for target in links(text) if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_that_pages_name_exist(page: Path) -> None:
    named = {word for word in paths(page.read_text(encoding="utf-8")) if not ELSEWHERE.fullmatch(word)}
    assert [word for word in sorted(named) if not exists(word)] == []


def test_the_readme_lists_every_room() -> None:
    listed = re.findall(r"^\| `(\w+)/` \|", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    rooms = {path.name for path in SOURCE.iterdir() if any(path.glob("*.py"))} - {"cli"}
    assert set(listed) == rooms


def test_a_missing_file_is_seen() -> None:
    text = (
        "See [a page](docs/none.md#part), `tests/none.py`, runs/none.py, runs/story/none.html and https://x.org/docs/y."
    )
    assert links(text) == ["docs/none.md"]
    assert paths(text) == ["docs/none.md", "tests/none.py", "runs/none.py"]
    assert not any(map(exists, paths(text)))
    assert exists("configs/tiny_stories/{gpt,llama}")
    assert not exists("configs/tiny_stories/{gpt,none}")
    assert exists("decoding/native.cpp")
