"""`lilliput lens` as a person runs it, on one small run."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from lilliput.base.runtime import allocator
from lilliput.lens.instrument import INSTRUMENTS
from lilliput.lens.look import Look
from lilliput.lens.page import LIMIT
from tests.additions.instrument import Distance
from tests.cli.conftest import TINY, Command

del INSTRUMENTS._entries["distance"]  # the import registered it; here, as in tests/test_additions.py, it is a guest
REAL = {name: INSTRUMENTS[name] for name in INSTRUMENTS}
"""The package's own instruments."""


class Backwards(Distance):
    """An instrument that never fits."""

    title = "Nothing"

    def refuses(self, subject: object) -> str:
        return "the model reads forwards"


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two quick instruments and no others."""
    monkeypatch.setattr(INSTRUMENTS, "_entries", {"distance": Distance, "nothing": Backwards})
    monkeypatch.setattr(INSTRUMENTS, "_searched", True)


def test_a_page_and_its_figures(command: Command, run: Path) -> None:
    shown = command("lens", str(run))
    assert shown.code == 0, shown.err
    assert "left out: nothing: the model reads forwards" in shown.out
    assert shown.out.splitlines()[-1] == str(run / "lens.html")
    look = Look.read(run / "lens.json")
    assert set(look.found) == {"distance"}
    assert set(look.refused) == {"nothing"}
    html = (run / "lens.html").read_text()
    assert "How far back the heads look" in html
    assert "Not measured here" in html


def test_the_same_command_gives_the_same_files(command: Command, run: Path) -> None:
    before = []
    for _ in range(2):
        assert command("lens", str(run), "--only", "distance").code == 0
        before.append(((run / "lens.json").read_bytes(), (run / "lens.html").read_bytes()))
    assert before[0] == before[1]


@pytest.mark.parametrize("plain", ["0", "1"])
def test_freed_memory_is_kept_as_in_training(command: Command, monkeypatch: pytest.MonkeyPatch, plain: str) -> None:
    kept: list[bool] = []
    monkeypatch.setattr(allocator, "keep", lambda: kept.append(True))
    monkeypatch.setenv("LILLIPUT_PLAIN", plain)
    assert command("lens", "list").code == 0
    assert kept == [True] * (plain == "0")


def test_the_runtime_is_recorded(command: Command, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_kept", True)
    assert command("lens", str(run), "--only", "distance").code == 0
    assert Look.read(run / "lens.json").runtime["allocator"] == (allocator.loaded() or "glibc")
    assert command("lens", "compare", str(run), str(run), "--only", "distance").code == 0
    assert json.loads(Path("lens-compare.json").read_text())["runtime"] == Look.read(run / "lens.json").runtime


def test_json_holds_the_figures(command: Command, run: Path) -> None:
    found = json.loads(command("lens", str(run), "--json").out)
    assert found["page"] == str(run / "lens.html")
    assert found["found"]["distance"]["model"]["tokens"] > 0


def test_a_checkpoint_has_a_page_of_its_own_and_stays_whole(command: Command, run: Path) -> None:
    checkpoint = sorted((run / "checkpoints").iterdir())[-1]
    held = sorted(file.relative_to(checkpoint) for file in checkpoint.rglob("*"))
    shown = command("lens", str(checkpoint))
    assert shown.code == 0, shown.err
    assert (run / f"lens-{checkpoint.name}.html").is_file()
    assert sorted(file.relative_to(checkpoint) for file in checkpoint.rglob("*")) == held


def test_text_of_ones_own_and_a_page_elsewhere(command: Command, run: Path, tales: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sorted((run / "checkpoints").iterdir())[-1] / "model", tmp_path / "alone" / "model"))
    shown = command("lens", str(folder), "--output", "mine.html", "--data", str(tales), str(tales))
    assert shown.code == 0, shown.err
    assert Path("mine.html").is_file()
    assert str(tales) in Look.read(Path("mine.json")).facts["text"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--only", "distence"), "unknown instrument 'distence' (did you mean 'distance'?)"),
        (("--output", "page.pdf"), "is not the name of a page"),
        (("--output", "none/page.html"), "there is no folder none"),
        (("another",), "lens takes one model"),
        (("--beside", "nobody"), "there is no run or model folder 'nobody'"),
        (("--data", "no-such-file.txt"), "no-such-file.txt"),
    ],
)
def test_bad_words_end_with_one_line(command: Command, run: Path, words: tuple[str, ...], wanted: str) -> None:
    shown = command("lens", str(run), *words)
    assert shown.code == 2
    assert wanted in shown.err
    assert "Traceback" not in shown.err
    assert not (run / "lens.html").exists()


def test_a_run_with_another_seed_is_a_control(
    command: Command, run: Path, tales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lilliput import api

    quiet = {"live": False, "notify": lambda text: None}
    other = api.train("story", TINY, data=str(tales), name="other", runs=run.parent, seed=2, **quiet)
    shown = command("lens", str(run), "--beside", str(other.path))
    assert shown.code == 0, shown.err
    assert "another seed" in Look.read(run / "lens.json").facts["controls"]
    wide = api.train("story", [*TINY, "model.d_model=64"], data=str(tales), name="wide", runs=run.parent, **quiet)
    refused = command("lens", str(run), "--beside", str(wide.path))
    assert refused.code == 2
    assert "has another shape, tokenizer or objective" in refused.err


def test_compare_and_evolve_take_the_same_options_and_different_pages(command: Command) -> None:
    told = {name: command("lens", name, "--help").out for name in ("compare", "evolve")}
    options = {name: re.findall(r"^ +(--\w+)", text, re.M) for name, text in told.items()}
    assert options["compare"] == options["evolve"]
    assert {"--only", "--data", "--thorough", "--output", "--device", "--json"} <= set(options["evolve"])
    assert "by default lens-compare.html" in told["compare"]
    assert "by default RUN/lens-evolve.html" in told["evolve"]


def test_the_list_has_a_line_each(command: Command) -> None:
    lines = command("lens", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["distance", "nothing"]
    rows = json.loads(command("lens", "list", "--json").out)["instruments"]
    assert rows[0]["part"] == "Which earlier word each head looks at"


GUIDE = Path(__file__).resolve().parents[2] / "docs" / "lens.md"


def test_the_guide_names_every_instrument() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named >= REAL.keys()


def commands() -> list[str]:
    """The indented commands of the guide, without their comments."""
    lines = re.findall(r"^    (lilliput .+)$", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [re.split(r"\s{2,}#", line)[0].strip() for line in lines]


def test_the_commands_of_the_guide(
    command: Command, tales: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every instrument of the package, on very small runs."""
    monkeypatch.setattr(INSTRUMENTS, "_entries", REAL)
    small = (
        *TINY,
        "model.n_layers=2",
        "model.context_length=96",
        "evaluate.baselines=[]",
        "train.checkpoint_steps=4",
        "train.keep_checkpoints=3",
    )
    for name, objective in (("story", "causal"), ("story-reversed", "reversed")):
        words = ("--data", str(tales), "--name", name, f"objective.kind={objective}")
        assert command("train", "story", *words, *small).code == 0
    lines = commands()
    assert len(lines) > 6
    for line in lines:
        given = shlex.split(line)[1:]
        if given[0] == "serve":  # does not end (tests/server)
            continue
        if given[0] == "train":
            if "--name" not in given:
                continue  # the run is there already
            given += ["--data", str(tales), *small]
        shown = command(*given)
        assert shown.code == 0, f"{line}\n{shown.err}"
    for file in ("runs/story/lens.html", "runs/through/lens-evolve.html", "lens-compare.html", "neurons.html"):
        assert 1000 < (tmp_path / file).stat().st_size < LIMIT
