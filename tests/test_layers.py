"""The rooms import one way: a file imports its own room and rooms to its left, lazy imports included."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "lilliput"
ORDER = (
    ("base",),
    ("storybook",),
    ("data", "model"),
    ("decoding",),
    ("objectives",),
    ("runs",),
    ("training",),
    ("generation",),
    ("evaluation",),
    ("lens",),
    ("assembly",),
    ("planning",),
    ("formats", "worlds", "server", "lab"),
    ("api",),
    ("cli",),
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
FILES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem in LEVEL)


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> set[str]:
    """Rooms named by any import in the file, at whatever depth."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("lilliput.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_left(path: Path) -> None:
    room = room_of(path)
    for other in rooms_imported(path) & LEVEL.keys():
        assert other == room or LEVEL[other] < LEVEL[room], f"{room} may not import {other}"


def test_every_room_has_its_place() -> None:
    rooms = {room_of(path) for path in SOURCE.rglob("*.py") if path.parent != SOURCE}
    assert rooms <= LEVEL.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_say_what_they_are_and_stay_short(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "the first line says what the module is"
    assert text.count("\n") <= 400
