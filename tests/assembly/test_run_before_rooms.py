"""A run that was begun before the rooms had their names: its files as they were recorded (commit 2897141) still open.

The folder beside this file holds what `lilliput train` wrote for twelve thousand bytes of text after two steps of four.
Of the tensors it holds the names and shapes; their numbers are drawn here. The precision, bf16 there, is
fp32 here.
"""

import json
import math
import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import lilliput
from lilliput.base.damage import write_sealed
from lilliput.base.files import sha256

RECORDED = Path(__file__).with_name("run_before_rooms")
STEP = Path("checkpoints") / "step-0000002"


def tales() -> str:
    """The text of the run."""
    rng = random.Random(0)
    names, things = ["Tom", "Lily", "Sam", "Anna"], ["ball", "kite", "cake", "boat", "drum"]
    return "\n<|endoftext|>\n".join(
        f"One day {rng.choice(names)} saw a {rng.choice(things)}. It was {rng.randrange(99)} steps away."
        for _ in range(200)
    )


def tensor(name: str, shape: list[int], generator: torch.Generator) -> torch.Tensor:
    """Small weights, norms of one, moments of zero; the optimizer had taken two steps."""
    if name.endswith(".step"):
        return torch.tensor(2.0)
    if name.endswith((".exp_avg", ".exp_avg_sq", ".momentum_buffer")):
        return torch.zeros(shape)
    return torch.ones(shape) if len(shape) == 1 else 0.02 * torch.randn(shape, generator=generator)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """runs/old in a folder of its own, where its text lies too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tales.txt").write_text(tales())
    folder, generator = Path("runs/old"), torch.Generator().manual_seed(0)
    (folder / STEP / "model").mkdir(parents=True)
    (folder / STEP / "trainer").mkdir()
    for name in ("recipe.yaml", "settings.json", "metrics.jsonl", "samples.md"):
        shutil.copy(RECORDED / name, folder)
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(RECORDED / name, folder / STEP / "model")
    (folder / STEP / "model" / "README.md").write_text("# old\n")
    shutil.copy(RECORDED / "state.json", folder / STEP / "trainer")
    for file, shapes in json.loads((RECORDED / "shapes.json").read_text()).items():
        tensors = {name: tensor(name, shape, generator) for name, shape in shapes.items()}
        save_file(tensors, folder / STEP / file, {"format": "pt"})
    files = sorted(path for path in (folder / STEP).rglob("*") if path.is_file())
    facts = {
        path.relative_to(folder / STEP).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in files
    }
    write_sealed(folder / STEP / "manifest.json", {"files": facts})
    return folder


def test_its_model_generates_and_is_evaluated(run: Path) -> None:
    generator = lilliput.load(run, "cpu", compile=False)
    assert generator.objective.kind == "causal"
    (text,) = generator.generate("One day", temperature=0, max_tokens=6)
    assert text.startswith("One day")
    # Weights near zero say nothing: every one of the 300 ids is about as likely.
    score = lilliput.evaluate(run, device="cpu", notify=lambda text: None)
    assert score.tokens > 200
    assert score.nats_per_token == pytest.approx(math.log(300), rel=0.02)
    assert lilliput.Run(run).metrics[-1]["val_bits_per_byte"] == pytest.approx(3.4464, abs=1e-4)


def test_it_goes_on_where_it_was(run: Path) -> None:
    before = (run / "metrics.jsonl").read_text(), (run / "samples.md").read_text()
    printed: list[str] = []
    done = lilliput.train(run / "recipe.yaml", notify=printed.append, live=False)
    assert not [line for line in printed if "moved aside" in line or "damaged" in line], printed
    assert done.summary["steps"] == 4
    assert done.summary["precision"] == "fp32"  # as the run began, whatever this machine would choose
    assert (run / "metrics.jsonl").read_text().startswith(before[0])
    assert (run / "samples.md").read_text().startswith(before[1])
    assert [line["step"] for line in done.metrics] == [0, 1, 2, 3, 4]
    assert [path.name for path in done.checkpoints] == ["step-0000002", "step-0000004"]
    # What its callbacks had seen is still known: the first evaluation stands in the newest state.
    assert "3.4832700967194046" in (done.checkpoints[-1] / "trainer" / "state.json").read_text()
    assert (run / "report.html").is_file()
