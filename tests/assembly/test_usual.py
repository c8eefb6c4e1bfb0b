"""The packaged bands belong to the shipped recipes, and to no run with other values that decide its losses."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lilliput.api import train
from lilliput.assembly import usual
from lilliput.assembly.origin import CHANGEABLE
from lilliput.assembly.recipe import Recipe, load
from lilliput.assembly.usual import MODELS, bands_of, lineage, resolved, texts, values_of
from lilliput.base.config import flatten
from lilliput.base.shipped import bands_files, shipped
from lilliput.runs.bands import FREE, decisive, format_bands, hash_of, read_bands
from lilliput.runs.names import BAND
from lilliput.runs.run_folder import RunFolder
from tests.runs.test_bands import made

TINY = [
    "data.sources.0.stories=60",
    "tokenizer.vocab_size=300",
    "model.style=story_1m",
    "model.n_layers=1",
    "model.d_model=32",
    "train.steps=10",
    "train.threads=1",
    "train.compile=false",
    "evaluate.tokens=256",
    "evaluate.final_tokens=256",
    "evaluate.heroes=0",
    "evaluate.final_heroes=0",
    "evaluate.baselines=[]",
    "evaluate.samples=0",
    "device=cpu",
]


TOKENS = 10 * 2048


def again(name: str) -> str:
    """The commands to type after a recipe was changed."""
    runs = " ".join(f"{name}-{seed}" for seed in range(1, 4))
    each = f"for seed in 1 2 3; do lilliput train {name} seed=$seed --name {name}-$seed; done  # and --from RUN"
    return (
        f"the bands of {name} are those of another recipe; type:\n  {each}\n  python benchmarks/bands.py {name} {runs}"
    )


@pytest.mark.parametrize("name", bands_files())
def test_packaged_bands_are_of_the_shipped_recipe(name: str) -> None:
    bands, recipe = read_bands(bands_files()[name]), load(name)
    assert bands.name == name
    assert name in shipped(), f"remove {bands_files()[name].name}: there is no such recipe"
    there, here = resolved(bands), values_of(recipe)
    if begins := there["init"]["from"]:  # which model it is, is not known without its run
        here = {**here, "init": there["init"], "model": {key: here["model"][key] for key in CHANGEABLE}}
        del here["tokenizer"]
    known = {key: there["objective"][key] for key in {*MODELS} & there["objective"].keys()}
    named = [value for value in known.values() if value is not None]
    if not begins and there["tokenizer"]["path"] in named:  # the teacher's tokenizer
        here["tokenizer"] = {**here["tokenizer"], "path": there["tokenizer"]["path"]}
    there["objective"] |= {key: here["objective"][key] for key in known}
    assert there == here, again(name)
    assert bands.texts == texts(recipe), again(name)
    if not begins and not named:
        assert bands_of(recipe) == (bands, "")
    assert (bands.training, bands.validation) == (recipe.objective.figure.training, recipe.objective.figure.validation)
    assert format_bands(bands) == bands_files()[name].read_text(encoding="utf-8")


def test_the_story_recipe_has_bands() -> None:
    assert "story" in bands_files()


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "seed=7",
        "device=cpu",
        "train.threads=1",
        "train.seconds=165",
        "train.trackers=[tensorboard]",
        "evaluate.heroes=0",
    ],
)
def test_what_decides_no_loss_may_differ(override: str) -> None:
    assert bands_of(load("story", [override]))[0] is not None


@pytest.mark.parametrize(
    "override",
    [
        "data.sources.0.stories=100",
        "data.packing=auto",
        "tokenizer.vocab_size=2048",
        "model.n_layers=2",
        "train.optimizer.learning_rate=0.001",
        "train.batch_tokens=4096",
        "train.steps=500",
        "train.schedule.kind=cosine",
        "evaluate.tokens=100",
        "evaluate.steps=10",
    ],
)
def test_what_decides_a_loss_voids_the_band(override: str) -> None:
    bands, why = bands_of(load("story", [override]))
    assert bands is None
    assert override.partition("=")[0].replace(".0.", "[0].") in why
    assert "in the runs of story" in why


def test_another_objective_is_compared_with_the_recipe_of_its_own() -> None:
    bands, why = bands_of(load("story", ["objective.kind=reversed"]))
    assert bands is None
    assert "train.steps: 3000 in the runs of story-reversed, 2000 here" in why


def test_own_text_has_no_band(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("A dog ran home.\n\nA cat sat down.")
    bands, why = bands_of(load("story", data=[str(own)]))
    assert bands is None
    assert "data.sources[0].kind: 'story' in the runs of" in why


def test_another_version_of_the_story_world_has_no_band(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lilliput.storybook.VERSION", -1)
    bands, why = bands_of(load("story"))
    assert bands is None
    assert "made by another version" in why


def test_the_keys_that_a_run_may_change_are_keys() -> None:
    known = flatten(Recipe().model_dump(mode="json"))
    assert [key for section, keys in FREE.items() for key in keys if f"{section}.{key}".lstrip(".") not in known] == []


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bands whose one file belongs to a tiny recipe, with bands that every loss lies in."""
    recipe = load("story", TINY)
    values = decisive(recipe.model_dump(mode="json"))
    points = [{"progress": p, "tokens": int(TOKENS * p), "training": [0, 20], "validation": [0, 20]} for p in (0.1, 1)]
    bands = made(recipe=values, recipe_sha256=hash_of(values), texts=texts(recipe), points=points)
    file = tmp_path / "story.bands.json"
    file.write_text(format_bands(bands))
    monkeypatch.setattr(usual, "bands_files", lambda: {"story": file})
    return tmp_path


def test_a_run_prints_its_place_at_each_evaluation(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train("story", [*TINY, "seed=3"], name="same", runs=tiny)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("band ")]
    sentence = "train 0.000 to 20.000, validation 0.000 to 20.000 at this point in 5 runs: yours is as usual"
    assert lines == [f'band step={step} text="{sentence}"' for step in range(1, 11)]
    assert run.summary[BAND]["text"] == sentence
    assert sentence in run.folder.report.read_text()


@pytest.mark.parametrize("verbose", [False, True])
def test_a_run_with_overrides_is_silent_unless_verbose(
    tiny: Path, capsys: pytest.CaptureFixture[str], verbose: bool
) -> None:
    notes: list[str] = []
    run = train("story", [*TINY, "train.clip=0.5"], name="other", runs=tiny, notify=notes.append, verbose=verbose)
    assert "band step" not in capsys.readouterr().out
    assert BAND not in run.summary
    found = [note for note in notes if "band" in note]
    assert found == ["no band of losses: train.clip: 1.0 in the runs of story, 0.5 here"] * verbose


def test_a_damaged_file_is_named_and_ends_no_run(tiny: Path) -> None:
    file = tiny / "story.bands.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps(values | {"seeds": [1]}))
    bands, why = bands_of(load("story", TINY))
    assert bands is None
    assert "story.bands.json cannot be used" in why


def beginning_with(source: Path, *overrides: str) -> dict[str, Any]:
    return values_of(load("chat", [f"init.from={source}", *overrides]))


def test_a_run_that_begins_with_a_model_has_its_lineage(source: Path, tmp_path: Path) -> None:
    first = beginning_with(source)
    assert "tokenizer" not in first
    assert set(first["model"]) == set(CHANGEABLE)
    elsewhere = Path(shutil.copytree(source, tmp_path / "elsewhere"))
    file = RunFolder(elsewhere).recipe
    file.write_text(file.read_text().replace("seed: 0", "seed: 7"))
    assert beginning_with(elsewhere) == first, "another folder, and another seed, are the same lineage"
    assert beginning_with(source, "model.dropout=0.1") != first


@pytest.mark.parametrize("change", ["recipe", "step", "stopped", "bare"])
def test_another_lineage_is_another_run(source: Path, tmp_path: Path, change: str) -> None:
    first, run = beginning_with(source)["init"], RunFolder(source)
    wanted = source
    if change == "recipe":
        run.recipe.write_text(run.recipe.read_text().replace("clip: 1.0", "clip: 0.5"))
    elif change == "step":
        summary = run.read_summary()
        run.summary.write_text(json.dumps({**summary, "steps": summary["steps"] + 1}))
    elif change == "stopped":
        run.summary.write_text(json.dumps({**run.read_summary(), "stopped": "the clock"}))
    else:
        wanted = Path(shutil.copytree(run.checkpoint(run.steps()[-1]) / "model", tmp_path / "bare"))
    assert beginning_with(wanted)["init"] != first


def test_a_path_without_a_run_is_its_own_lineage(tmp_path: Path) -> None:
    assert lineage("nobody") == "nobody"
