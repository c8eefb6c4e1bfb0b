"""docs/environment.md names every environment variable that the source reads or sets."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "environment.md"
FILES = sorted((ROOT / "src" / "lilliput").rglob("*.py"))
PREFIXES = ("LILLIPUT", "OMP", "GOMP", "KMP", "MKL", "MALLOC", "TORCH", "TORCHINDUCTOR", "XDG", "RAYON", "HF", "PYTHON")
NAMED = re.compile(rf"(?:{'|'.join(PREFIXES)})_?[A-Z][A-Z0-9_]*|OPENAI_API_KEY|LD_PRELOAD")
READ_BY = {"environ", "environment", "getenv"}


def _constants(tree: ast.Module) -> dict[str, list[str]]:
    """Texts that a module's names stand for."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            texts = [part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
            found[node.targets[0].id] = [text for text in texts if isinstance(text, str)]
    return found


def _keys(tree: ast.Module) -> list[ast.expr]:
    """What is looked up in os.environ, or in a mapping called environment: by [], `in`, get and the like."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _is_environment(node.value):
            found.append(node.slice)
        elif isinstance(node, ast.Compare) and any(map(_is_environment, node.comparators)):
            found.append(node.left)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            method = node.func.attr in ("get", "setdefault", "pop") and _is_environment(node.func.value)
            if method or node.func.attr == "getenv":
                found.append(node.args[0])
    return found


def _is_environment(node: ast.expr) -> bool:
    return (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) in READ_BY


def variables(text: str, path: Path = PAGE) -> set[str]:
    """Names of variables in a file's source: texts that look like one, and keys of the environment."""
    tree = ast.parse(text)
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    found = {text for text in texts if NAMED.fullmatch(text)}
    constants = _constants(tree)
    for key in _keys(tree):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found.add(key.value)
        elif isinstance(key, ast.Name) and key.id.isupper():
            found |= set(constants.get(key.id, ()))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_page_names_every_variable(path: Path) -> None:
    page = PAGE.read_text()
    missing = {name for name in variables(path.read_text()) if f"`{name}`" not in page}
    assert not missing, f"docs/environment.md does not name {', '.join(sorted(missing))}"


def test_native_code_reads_no_variable() -> None:
    sources = [path for kind in ("*.cpp", "*.h") for path in (ROOT / "src").rglob(kind)]
    assert sources
    assert not [path for path in sources if "getenv" in path.read_text()]


def test_the_page_names_nothing_that_is_not_there() -> None:
    text = "\n".join(path.read_text() for path in FILES)
    named = set(re.findall(r"`(LILLIPUT_[A-Z_]+)", PAGE.read_text()))
    assert named
    assert {name for name in named if name not in text} == set()


@pytest.mark.parametrize(
    "line",
    [
        "os.environ['SOME_NAME']",
        "os.environ.get('SOME_NAME')",
        "'SOME_NAME' in os.environ",
        "os.environ.setdefault('SOME_NAME', '1')",
        "os.getenv('SOME_NAME')",
        "NAME = 'SOME_NAME'\nos.environ[NAME]",
    ],
)
def test_a_reading_is_seen_however_it_is_written(line: str) -> None:
    assert variables(line) == {"SOME_NAME"}
    assert variables("x = 'LILLIPUT_NEW'") == {"LILLIPUT_NEW"}
