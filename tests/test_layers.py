"""The rooms import one way: a file imports its own room and rooms to its left, lazy imports included."""

import ast
from collections.abc import Iterator, Mapping
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
    ("formats", "worlds", "lab"),
    ("server",),
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


def imports_at_work(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports below `node` at any depth, those for types alone (`if TYPE_CHECKING:`) left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            children: list[ast.AST] = list(child.orelse)
        else:
            children = [child]
        for each in children:
            if isinstance(each, ast.Import | ast.ImportFrom):
                yield each
            yield from imports_at_work(each)


def module_graph(source: Path) -> dict[str, set[str]]:
    """The modules of the package at `source` that each of its modules imports."""
    package = source.name
    named = {".".join(path.relative_to(source.parent).with_suffix("").parts): path for path in source.rglob("*.py")}
    modules = {name.removesuffix(".__init__"): path for name, path in named.items()}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        names: set[str] = set()
        for node in imports_at_work(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            else:
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                names |= {name if name in modules else str(node.module) for name in whole}
        graph[module] = {name for name in names if name in modules and name.startswith(package)} - {module}
    return graph


def cycle(graph: Mapping[str, set[str]]) -> list[str] | None:
    """Modules that import each other in a circle, the first one again at the end; None without one."""
    done: set[str] = set()

    def follow(module: str, way: list[str]) -> list[str] | None:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return None
        for other in sorted(graph.get(module, ())):
            if found := follow(other, [*way, module]):
                return found
        done.add(module)
        return None

    return next((found for module in sorted(graph) if (found := follow(module, []))), None)


def test_no_two_files_import_each_other() -> None:
    # The package itself hands out the API lazily by name, and its version to whoever wants it.
    graph = {module: imported - {"lilliput"} for module, imported in module_graph(SOURCE).items()}
    assert len(graph) > 200
    assert "lilliput.decoding.engine" in graph["lilliput.generation.text_generator"]
    assert (found := cycle(graph)) is None, " -> ".join(found or [])


def test_circles_are_found(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    (package / "a.py").write_text("from house import b\n")
    (package / "b.py").write_text("def late():\n    from house.c import thing\n")
    (package / "c.py").write_text("if TYPE_CHECKING:\n    import house.a\n")
    assert cycle(module_graph(package)) is None
    (package / "c.py").write_text("import house.a\n")
    assert cycle(module_graph(package)) == ["house.a", "house.b", "house.c", "house.a"]
