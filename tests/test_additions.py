"""What an addition costs (the table in CONTRIBUTING.md): each file of tests/additions is put into its room, where the
room's registry finds it, and used by the command or the Python API. Nothing else is written, so that an addition for
which another file had to be touched fails here."""

import ast
import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import lilliput
from lilliput.base.registry import Registry
from lilliput.data.config import DataConfig
from lilliput.data.curation import Curation
from lilliput.data.source import SOURCES
from lilliput.data.steps import STEPS
from lilliput.evaluation.benchmarks.task import TASKS
from lilliput.formats.format import FORMATS
from lilliput.generation.run import Run
from lilliput.lens.instrument import INSTRUMENTS
from lilliput.model.counts import parameters
from lilliput.model.parts import ATTENTIONS, MLPS, NORMS, POSITIONS
from lilliput.model.styles import STYLES
from lilliput.model.transformer import Model
from lilliput.objectives.objective import OBJECTIVES
from lilliput.training.trackers import TRACKERS
from tests.additions.callback import LargestGradient
from tests.cli.conftest import TINY, Command, command, write_tales
from tests.model import families, test_contract

__all__ = ["command"]

ROOT = Path(__file__).resolve().parents[1]
ADDITIONS = Path(__file__).with_name("additions")
PLACES: dict[str, tuple[str, Registry[Any]]] = {
    "source": ("data", SOURCES),
    "step": ("data.steps", STEPS),
    "objective": ("objectives", OBJECTIVES),
    "norm": ("model", NORMS),
    "mlp": ("model", MLPS),
    "position": ("model", POSITIONS),
    "attention": ("model", ATTENTIONS),
    "tracker": ("training", TRACKERS),
    "benchmark": ("evaluation.benchmarks", TASKS),
    "file_format": ("formats", FORMATS),
    "instrument": ("lens", INSTRUMENTS),
}
"""The room that each file goes into, and the registry that is to find it there."""
ROWS = {
    "source": "a data source",
    "step": "a curation step",
    "objective": "an objective",
    "norm": "a part of a model (norm, MLP, position, attention)",
    "mlp": "a part of a model (norm, MLP, position, attention)",
    "position": "a part of a model (norm, MLP, position, attention)",
    "attention": "a part of a model (norm, MLP, position, attention)",
    "tracker": "a tracker",
    "callback": "a callback",
    "benchmark": "a benchmark",
    "file_format": "a file format",
    "instrument": "an instrument",
}
"""The row of the table that bounds each."""
STYLE = {"d_model": 48, "n_layers": 2, "n_heads": 4, "mlp": "relu2", "residual": "parallel", "context_length": 32}
PARTS = {"norm": "mean_absolute", "mlp": "silu", "position": "sinusoidal", "attention": "gated"}
CONTRACT = (
    test_contract.test_shapes,
    test_contract.test_no_look_into_the_future,
    test_contract.test_overfits_one_batch,
    test_contract.test_cached_equals_uncached,
)


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts an addition into its room for one test: a folder that holds the file alone joins the room's package, and the
    room's registry has yet to look."""
    added: list[tuple[ModuleType, str]] = []

    def put(name: str) -> None:
        room, registry = PLACES[name]
        package = importlib.import_module(f"lilliput.{room}")
        list(registry)  # what is there already is found before
        folder = tmp_path / "added" / name
        folder.mkdir(parents=True)
        shutil.copy(ADDITIONS / f"{name}.py", folder / f"added_{name}.py")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_searched", False)
        importlib.invalidate_caches()
        added.append((package, f"added_{name}"))

    yield put
    for package, module in added:
        sys.modules.pop(f"{package.__name__}.{module}", None)
        if hasattr(package, module):
            delattr(package, module)


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Run]:
    """A run of twelve steps on a few tales."""
    tales = write_tales(tmp_path / "tales.txt")

    def run(
        *overrides: str, words: Sequence[str] = TINY, data: str | Sequence[str] = str(tales), **options: Any
    ) -> Run:
        quiet: dict[str, Any] = {"runs": tmp_path / "runs", "live": False, "notify": lambda text: None}
        return lilliput.train("story", [*words, *overrides], data=data, **quiet, **options)

    return run


def lines(file: Path) -> int:
    """Lines of a module beside its imports and its first line; without blank ones."""
    text = file.read_text()
    kept = [node for node in ast.parse(text).body[1:] if not isinstance(node, ast.Import | ast.ImportFrom | ast.If)]
    counted = 0
    for node in kept:
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        counted += sum(bool(line.strip()) for line in text.splitlines()[first - 1 : node.end_lineno])
    return counted


def bounds() -> dict[str, int]:
    """The table's number of lines for each kind of addition."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| (\d+) \|", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE)
    return {name: int(number) for name, number in rows}


@pytest.mark.parametrize("name", ROWS)
def test_it_has_no_more_lines_than_the_table_says(name: str) -> None:
    assert 3 < lines(ADDITIONS / f"{name}.py") <= bounds()[ROWS[name]]


def test_every_file_is_one_of_the_tables_kinds() -> None:
    files = {file.stem for file in ADDITIONS.glob("*.py")} - {"__init__"}
    assert files == ROWS.keys()
    assert files - PLACES.keys() == {"callback"}, "a callback is given to train, and no registry has to find it"
    assert len(STYLE) < bounds()["a model style"]


@pytest.mark.parametrize("name", PLACES)
def test_its_registry_finds_it_there_and_nowhere_else(name: str, add: Callable[[str], None]) -> None:
    registry = PLACES[name][1]
    before = set(registry)
    add(name)
    (new,) = set(registry) - before
    assert registry[new].__module__ == f"lilliput.{PLACES[name][0]}.added_{name}"


def test_a_source_and_a_step(add: Callable[[str], None], train: Callable[..., Run], tmp_path: Path) -> None:
    add("source")
    add("step")
    tales = (tmp_path / "tales.txt").read_text().split("\n<|endoftext|>\n")
    book = tmp_path / "book.md"
    book.write_text("\n".join(f"# Tale {number}\n{tale}\n" for number, tale in enumerate(tales)) + "# L\nhttp://a.b\n")
    data = {"sources": [{"kind": "sections", "path": str(book)}], "steps": ["normalise", "no_links"]}
    curation = Curation(DataConfig.model_validate(data))
    assert sorted(item.document.text for item in curation) == sorted(tales)
    assert curation.drops == {"links": 1}
    run = train(*(f"data.{key}={json.dumps(value)}" for key, value in data.items()), data=(), name="book")
    assert run.metrics[-1]["step"] == 12
    assert "kind: sections" in (run.path / "recipe.yaml").read_text()


def test_an_objective(add: Callable[[str], None], train: Callable[..., Run], command: Command) -> None:
    add("objective")
    run = train("objective={kind: tail, learned: 0.25}", name="tail")
    everything = train(name="whole")
    assert run.metrics[-1]["step"] == everything.metrics[-1]["step"] == 12
    assert run.metrics[-1]["loss"] != everything.metrics[-1]["loss"]
    texts = command("generate", str(run.path), "One day", "--max-tokens", "8")
    assert texts.code == 0, texts.err
    wrong = command("train", "story", *TINY, "objective.kind=tial")
    assert "unknown objective 'tial' (did you mean 'tail'?)" in wrong.err


def test_a_model_style_is_one_row(
    train: Callable[..., Run], command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(STYLES, "little", STYLE)
    monkeypatch.setitem(families.FAMILIES, "little", (None, {"mlp": "relu2", "residual": "parallel"}))
    assert json.loads(command("model", "list", "--json").out)["models"]["little"]["d_model"] == 48
    keeps_the_contract("little", tmp_path)
    without = [word for word in TINY if not word.startswith("model.")]
    run = train("model={style: little, d_mlp: 64}", words=without, name="little")
    assert run.text_generator.model.config.mlp == "relu2"
    assert run.generate("One day", max_tokens=8).startswith("One day")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_keeps_the_contract(
    part: str, add: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add(part)
    monkeypatch.setitem(families.FAMILIES, "added", (None, {part: PARTS[part]}))
    for config in (families.config("added"), families.config("added", bias=True)):
        assert parameters(config).total == sum(tensor.numel() for tensor in Model(config).parameters())
    keeps_the_contract("added", tmp_path)


def test_new_parts_are_trained_kept_and_generate(add: Callable[[str], None], train: Callable[..., Run]) -> None:
    for part in PARTS:
        add(part)
    run = train(*(f"model.{part}={name}" for part, name in PARTS.items()), name="parts")
    config = run.text_generator.model.config
    assert {part: getattr(config, part) for part in PARTS} == PARTS
    assert run.generate("One day", max_tokens=8).startswith("One day")


def keeps_the_contract(family: str, folder: Path) -> None:
    """The tests that every family passes, on one more row."""
    for test in CONTRACT:
        test(family)
    for tied in (False, True):
        test_contract.test_saved_and_loaded_is_the_same(family, tied, folder / f"tied-{tied}")


def test_a_tracker_a_callback_and_a_benchmark(
    add: Callable[[str], None], train: Callable[..., Run], command: Command, tmp_path: Path
) -> None:
    add("tracker")
    add("benchmark")
    items = [{"beginning": "One day Tom saw a", "ends": ["ball near the old tree", "xq zv"], "answer": 0}] * 6
    file = tmp_path / "tales.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in items))
    options = ("train.trackers=[tsv]", "evaluate.tasks=[tales]", f"evaluate.task_data={file}")
    run = train(*options, name="watched", callbacks=[LargestGradient()])
    rows = [line.split("\t") for line in (run.path / "numbers.tsv").read_text().splitlines()]
    last = run.metrics[-1]
    assert {name: float(value) for step, name, value in rows if step == "12"}["loss"] == last["loss"]
    assert last["tales_acc"] in (0.0, 1.0)
    largest = json.loads((run.path / "largest_gradient.json").read_text())
    assert largest["norm"] == pytest.approx(max(line.get("grad_norm", 0) for line in run.metrics), rel=1)
    scored = command("evaluate", str(run.path), "--tasks", "tales", "--task-data", str(file), "--no-controls", "--json")
    assert scored.code == 0, scored.err
    assert {row["task"] for row in json.loads(scored.out)["benchmarks"]} == {"tales"}


def test_a_file_format(add: Callable[[str], None], train: Callable[..., Run], command: Command, tmp_path: Path) -> None:
    add("file_format")
    run = train(name="small")
    exported = command("export", str(run.path), "npz", "--out", "small.npz")
    assert exported.code == 0, exported.err
    imported = command("import", "small.npz", "again", "--tokenizer", str(run.path))
    assert imported.code == 0, imported.err
    words = ("One day", "--max-tokens", "8", "--temperature", "0")
    assert command("generate", str(run.path), *words).out == command("generate", "again", *words).out


def test_an_instrument(add: Callable[[str], None], train: Callable[..., Run], command: Command) -> None:
    add("instrument")
    run = train(name="seen")
    looked = command("lens", str(run.path), "--only", "distance", "--json")
    assert looked.code == 0, looked.err
    figures = json.loads(looked.out)["found"]["distance"]
    assert figures["model"]["low"] < figures["model"]["tokens"] < figures["model"]["high"]
    assert "How far back the heads look" in (run.path / "lens.html").read_text()
    listed = command("lens", "list").out
    assert re.search(r"^distance +How far back the heads look$", listed, flags=re.MULTILINE)
