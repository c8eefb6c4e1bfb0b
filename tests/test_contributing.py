"""CONTRIBUTING.md says what is so: the order of rooms, the files, the targets, the version of a release."""

import re
import tomllib
from pathlib import Path

import lilliput
from tests.test_layers import ORDER

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_table_of_layers_is_the_order_that_is_tested() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", TEXT, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(ORDER) + 1))
    assert tuple(tuple(re.findall(r"`(\w+)`", rooms)) for _, rooms in rows) == ORDER


def test_what_it_names_is_there() -> None:
    paths = set(re.findall(r"`((?:tests|docs|benchmarks|src|\.ci|\.github)/[\w./-]+)`", TEXT))
    paths |= set(re.findall(r"^ {4}\S*python .*?((?:tests|benchmarks)/\S+\.py)", TEXT, flags=re.MULTILINE))
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
    rooms = set(re.findall(r"`((?:" + "|".join(room for layer in ORDER for room in layer) + r")/[\w./]*)`", TEXT))
    assert len(rooms) > 8
    assert [path for path in rooms if not (ROOT / "src" / "lilliput" / path).exists()] == []


def test_its_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", TEXT, flags=re.MULTILINE))
    assert len(named) > 5
    assert named <= targets


def test_a_release_has_one_version() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == lilliput.__version__


def test_every_decision_is_dated_and_names_what_would_change_it() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    pages = sorted(folder.glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {page.name[:4]}: ")
        assert re.search(r"^Decided on \d{4}-\d{2}-\d{2}", text, flags=re.MULTILINE), page.name
        assert all(f"**{part}" in text for part in ("Why", "Cost.", "What would change this decision.")), page.name
        assert f"]({page.name})" in index
