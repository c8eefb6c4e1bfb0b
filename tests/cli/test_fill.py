"""`lilliput generate --prefix --suffix`: prints the prefix, the generated middle and the suffix, or what to type."""

import json
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command
from tests.fillings import TEXT, WORDS

MIDDLE = WORDS[7]
SIDES = ("--prefix", MIDDLE.prefix, "--suffix", MIDDLE.suffix)
GREEDY = ("--temperature", "0", "--max-tokens", "20")


def test_the_whole_text_is_printed(command: Command, filler_folder: Path) -> None:
    result = command("generate", str(filler_folder), *SIDES, *GREEDY)
    assert (result.code, result.out) == (0, TEXT + "\n"), result.err
    assert "did not end" not in result.err


def test_json_holds_the_middles(command: Command, filler_folder: Path) -> None:
    result = command("generate", str(filler_folder), *SIDES, *GREEDY, "-n", "2", "--json")
    report = json.loads(result.out)
    assert report["texts"] == [TEXT, TEXT]
    assert report["middles"] == [MIDDLE.middle, MIDDLE.middle]
    assert report["finishes"] == ["stop", "stop"]
    assert (report["prefix"], report["suffix"]) == (MIDDLE.prefix, MIDDLE.suffix)
    assert not {"opening", "ending"} & report.keys()
    plain = json.loads(command("generate", str(filler_folder), "Once", *GREEDY, "--json").out)
    assert plain["opening"] == "Once"
    assert "middles" not in plain


def test_a_middle_without_an_end_is_reported(command: Command, filler_folder: Path) -> None:
    result = command("generate", str(filler_folder), *SIDES, "--temperature", "0", "--max-tokens", "1")
    assert result.code == 0
    assert result.out.startswith(MIDDLE.prefix)
    assert result.out.rstrip("\n").endswith(MIDDLE.suffix)
    assert "a middle did not end by itself within 1 tokens" in result.err


@pytest.mark.parametrize(
    "options",
    [
        ("--explain",),
        ("--logprobs",),
        ("--beams", "2"),
        ("--choice", " blue", "--compare"),
        ("--top-k", "1"),
        ("--stop", "never"),
        ("--no-compile",),
        ("--int8",),
    ],
    ids=" ".join,
)
def test_other_options_act_beside_it(command: Command, filler_folder: Path, options: tuple[str, ...]) -> None:
    if "--choice" in options:
        pytest.importorskip("llguidance")
    result = command("generate", str(filler_folder), *SIDES, *GREEDY, *options)
    assert result.code == 0, result.err
    wanted = MIDDLE.prefix + " blue" + MIDDLE.suffix if "--choice" in options else TEXT
    assert wanted in result.out
    assert ("candidates" in result.out) == ("--explain" in options)


def test_a_draft_drafts_the_middle(command: Command, filler_folder: Path) -> None:
    result = command("generate", str(filler_folder), *SIDES, *GREEDY, "--draft", str(filler_folder), "--json")
    report = json.loads(result.out)
    assert (report["texts"], report["middles"]) == ([TEXT], [MIDDLE.middle])
    assert report["speculation"]["acceptance"] == 1


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("Once", *SIDES), "cannot be used together with a prompt or an ending", "--prefix"),
        (("--ending", "home.", *SIDES), "cannot be used together with a prompt or an ending", "--prefix"),
        (("--prefix", "Once"), "a prefix needs a suffix", "--suffix"),
        ((*SIDES, "--window"), "a window would drop the prefix", "leave --window out"),
    ],
)
def test_what_does_not_fit_is_refused(
    command: Command, filler_folder: Path, words: tuple[str, ...], message: str, hint: str
) -> None:
    result = command("generate", str(filler_folder), *words)
    assert result.code != 0
    assert result.out == ""
    printed = " ".join(result.err.split())
    assert message in printed
    assert hint in printed


def test_a_model_of_another_objective_names_what_to_train(command: Command, trained: Path) -> None:
    result = command("generate", str(trained), *SIDES)
    assert result.code != 0
    printed = " ".join(result.err.split())
    assert "trained by the objective 'causal', which fills in no middle" in printed
    assert "lilliput train story objective.kind=fim" in printed


def test_a_run_is_trained_asked_and_asked_again_as_it_prints(command: Command, tales: Path) -> None:
    options = ("objective.kind=fim", "model.context_length=64")
    result = command("train", "story", *TINY, *options, "--data", str(tales), "--name", "own")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    printed = [line.strip() for line in lines[lines.index("next:") + 1 :] if line.strip()]
    assert len(printed) == 5
    assert "--prefix" in printed[0]
    for line in printed:
        again = command(*shlex.split(line)[1:])
        assert again.code == 0, f"{line}\n{again.err}"
    assert any(line.startswith("middle      ") for line in lines)
    text = command("generate", "own", "--prefix", "One day Tom", "--suffix", " was happy.", "--max-tokens", "4").out
    assert text.startswith("One day Tom")
    assert text.endswith(" was happy.\n")
