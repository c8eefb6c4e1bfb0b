"""`lilliput generate --steer`: the text moves to the token that a feature writes; each mistake names the form."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from lilliput import api
from lilliput.lens import steering
from lilliput.lens.sparse import SparseCoder
from lilliput.lens.sparse_files import save_features
from tests.cli.conftest import Command


@pytest.fixture(scope="module")
def features(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Two features of the trained run's last layer: the first writes the first token of ' ball', the second is random
    and at a right angle to it. The folder, and the token's text."""
    made = api.load(trained, notify=lambda text: None)
    token = made.tokenizer.encode(" ball", continuing=True)[0]
    d = made.model.config.d_model
    other = torch.randn(d, generator=torch.Generator().manual_seed(0))
    own = F.normalize(made.model.output_matrix[token].detach(), dim=0)
    rows = F.normalize(torch.stack([own, other - (other @ own) * own]))
    hook = f"blocks.{made.model.config.n_layers - 1}.hook_resid_post"
    folder = tmp_path_factory.mktemp("features")
    save_features(SparseCoder(hook, hook, rows, torch.zeros(2), rows, torch.zeros(d), 1), folder)
    return folder, made.tokenizer.decode([token], continuing=True)


def test_the_text_moves_in_the_promoted_direction(command: Command, trained: Path, features: tuple[Path, str]) -> None:
    folder, word = features
    words = ("generate", str(trained), "One day", "--max-tokens", "12", "--temperature", "0", "--json")

    def texts(*more: str) -> list[str]:
        result = command(*words, *more)
        assert result.code == 0, result.err
        report = json.loads(result.out)
        assert report.get("steer") == ([more[1]] if more else None)
        return report["texts"]

    plain, pushed, random = texts(), texts("--steer", f"{folder}:0=200"), texts("--steer", f"{folder}:1=200")
    assert pushed[0].count(word) > 6
    assert pushed[0].count(word) > max(plain[0].count(word), random[0].count(word))
    assert texts("--steer", f"{folder}:0=0") == plain
    streamed = command(*words[:-1], "--steer", f"{folder}:0=200").out
    assert streamed == pushed[0] + "\n"
    assert api.generate(trained, "One day", max_tokens=12, temperature=0, steer=[f"{folder}:0=200"]) == pushed
    assert api.generate(trained, "One day", max_tokens=12, temperature=0) == plain


def test_generate_stands_above_the_rooms_that_it_joins() -> None:
    assert api.generate.__module__ == "lilliput.assembly.generating"
    assert "lilliput.generation" not in Path(steering.__file__).read_text()


@pytest.mark.parametrize("option", [("--beams", "2"), ("--int8",), ("--explain",), ("--no-compile",)])
def test_steering_acts_on_every_way_to_generate(
    option: tuple[str, ...], command: Command, trained: Path, features: tuple[Path, str]
) -> None:
    folder, word = features
    words = ("generate", str(trained), "One day", "--max-tokens", "8", "--temperature", "0", "--json", *option)
    report = json.loads(command(*words, "--steer", f"{folder}:0=200").out)
    assert report["texts"][0].count(word) > 4


@pytest.mark.parametrize("option", [(), ("--int8",)])
def test_a_draft_changes_no_steered_text_and_is_not_steered_itself(
    option: tuple[str, ...], command: Command, trained: Path, features: tuple[Path, str]
) -> None:
    folder, word = features
    words = ("generate", str(trained), "One day", "--max-tokens", "8", "--temperature", "0", "--json", *option)
    steer, draft = ("--steer", f"{folder}:0=200"), ("--draft", str(trained))
    alone = json.loads(command(*words, *steer).out)
    drafted = json.loads(command(*words, *steer, *draft).out)
    assert drafted["texts"] == alone["texts"]
    assert drafted["texts"][0].count(word) > 4
    assert drafted["steer"] == [steer[1]]
    unsteered = json.loads(command(*words, *draft).out)
    assert unsteered["speculation"]["acceptance"] == 1
    assert drafted["speculation"]["acceptance"] < 0.5


def test_a_draft_keeps_the_steered_model_s_chances_where_text_is_drawn(
    command: Command, trained: Path, features: tuple[Path, str]
) -> None:
    """The push makes one token nearly certain to the steered model, and the draft, which is not steered, hardly ever
    proposes it."""
    folder, word = features
    words = ("generate", str(trained), "One day", "--max-tokens", "8", "--temperature", "0.1", "-n", "4", "--json")
    steer, draft = ("--steer", f"{folder}:0=200"), ("--draft", str(trained))
    drawn = json.loads(command(*words, *draft).out)["texts"]
    pushed = json.loads(command(*words, *steer, *draft).out)["texts"]
    assert len(pushed) == 4
    assert sum(text.count(word) for text in drawn) < 4
    assert min(text.count(word) for text in pushed) > 4


def test_mistakes_are_named(command: Command, trained: Path, features: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = features
    for wrong, match in (
        ("17=4", "FOLDER:FEATURE=STRENGTH"),
        (f"{folder}:2=4", "the features are 0 to 1"),
        (f"{tmp_path / 'none'}:0=4", "holds no features"),
    ):
        result = command("generate", str(trained), "One day", "--steer", wrong)
        assert result.code == 2
        assert match in result.err.replace("\n", "")
        assert "Traceback" not in result.err
    shutil.copytree(folder, tmp_path / "other")
    settings = json.loads((tmp_path / "other" / "cfg.json").read_text())
    settings["metadata"]["hook_name"] = "blocks.9.hook_resid_post"
    (tmp_path / "other" / "cfg.json").write_text(json.dumps(settings))
    result = command("generate", str(trained), "One day", "--steer", f"{tmp_path / 'other'}:0=4")
    assert result.code == 2
    assert "trained on this model" in result.err
