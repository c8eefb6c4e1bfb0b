"""Options of `lilliput generate` that choose how a text is told: each acts, alone and in its company."""

import json
import math
import re
from pathlib import Path

import pytest
import torch

from lilliput import api
from lilliput.base.errors import ConfigError
from lilliput.base.machine import can_compile
from lilliput.decoding.native import native
from lilliput.generation import loading
from tests.cli.conftest import Command


def texts(command: Command, trained: Path, *options: str) -> dict:
    result = command("generate", str(trained), "One day", "--max-tokens", "12", *options, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_stop_string_ends_the_text_and_is_left_out(command: Command, trained: Path) -> None:
    (whole,) = texts(command, trained)["texts"]
    stop = whole[len("One day") + 3 :][:4]
    cut = texts(command, trained, "--stop", "never", "--stop", stop)
    assert cut["texts"] == [whole[: whole.index(stop, len("One day"))]]
    assert cut["finishes"] == ["stop"]
    words = ("generate", str(trained), "One day", "--max-tokens", "12", "--stop", stop)
    assert command(*words).out == cut["texts"][0] + "\n"


def test_log_probabilities_and_explanations(command: Command, trained: Path) -> None:
    plain = texts(command, trained, "--logprobs", "-n", "2")
    assert len(plain["tokens"][0]) == 12
    for text, tokens in zip(plain["texts"], plain["tokens"], strict=True):
        assert all(token["log_probability"] <= 0 and "alternatives" not in token for token in tokens)
        if "\ufffd" not in text:
            assert text == "One day" + "".join(token["text"] for token in tokens)
    explained = texts(command, trained, "--explain", "--temperature", "0")["tokens"][0]
    for token in explained:
        scores = [entry["log_probability"] for entry in token["alternatives"]]
        assert len(scores) == 5
        assert scores == sorted(scores, reverse=True)
        assert token["alternatives"][0]["id"] == token["id"]
        assert sum(map(math.exp, scores)) <= 1.0001
    words = ("generate", str(trained), "One day", "--max-tokens", "3", "--temperature", "0")
    table, bare = command(*words, "--explain").out, command(*words, "--logprobs").out
    assert "candidates" in table
    assert "candidates" not in bare
    assert re.search(r"\n *3 ", bare)


def test_beams_are_found_best_first(command: Command, trained: Path) -> None:
    found = texts(command, trained, "--beams", "3")
    assert len(found["texts"]) == len(found["beams"]) == 3
    scores = [beam["score"] for beam in found["beams"]]
    assert scores == sorted(scores, reverse=True)
    greedy = texts(command, trained, "--beams", "1")
    assert greedy["texts"] == texts(command, trained, "--temperature", "0")["texts"]
    result = command("generate", str(trained), "One day", "--max-tokens", "4", "--beams", "2")
    assert result.out.count("nats a token") == 2


def test_constraints_hold_and_are_compared(command: Command, trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9, "minimum": 0}}}
    schema |= {"required": ["n"], "additionalProperties": False}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    for given in ("schema.json", json.dumps(schema)):
        report = texts(command, trained, "--json-schema", given, "-n", "3", "--compare", "--max-tokens", "24")
        assert all(0 <= json.loads(text.removeprefix("One day"))["n"] <= 9 for text in report["texts"])
        assert report["unconstrained"] == {"texts": 3, "valid": 0, "share": 0}
    assert texts(command, trained, "--regex", "(ab){2}")["texts"] == ["One dayabab"]
    words = ("generate", str(trained), "One day", "--choice", " yes", "--choice", " no")
    assert command(*words).out in ("One day yes\n", "One day no\n")
    assert "valid: 1 of 1 with the constraint, 0 of 1 without it" in command(*words, "--compare").out


def test_a_draft_changes_no_greedy_text_and_is_reported(command: Command, trained: Path) -> None:
    draft = str(api.Run(trained).checkpoints[0])
    few = ("--temperature", "0", "--max-tokens", "8")  # the model does not end its text before
    alone = texts(command, trained, *few)["texts"]
    report = texts(command, trained, *few, "--draft", draft, "--compare")
    assert report["texts"] == alone
    figures = report["speculation"]
    assert figures["tokens"] == 8
    assert 0 <= figures["accepted"] <= figures["drafted"]
    assert figures["passes"] == 8 - figures["accepted"]
    assert figures["speed_up"] == pytest.approx(figures["tokens_per_second"] / figures["tokens_per_second_alone"])
    itself = texts(command, trained, "--draft", str(trained), "-n", "2")
    assert itself["speculation"]["acceptance"] == 1
    assert "speed_up" not in itself["speculation"]
    shown = command("generate", str(trained), "One day", "--max-tokens", "9", "--draft", draft, "--compare").out
    assert re.search(r"% of \d+ drafted tokens accepted; 9 tokens in \d passes; [\d.]+ times as fast", shown)


def test_int8_is_nearly_the_same(command: Command, trained: Path) -> None:
    exact, rough = (texts(command, trained, "--temperature", "0", "--logprobs", *int8) for int8 in ([], ["--int8"]))
    first, other = exact["tokens"][0][0], rough["tokens"][0][0]
    assert 0 < abs(first["log_probability"] - other["log_probability"]) < 0.2


def test_compiled_steps_generate_the_same(command: Command, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_compile(torch.device("cpu")):
        pytest.skip("no compiler")
    compile_, used = torch.compile, []
    monkeypatch.setattr(
        torch, "compile", lambda f, **options: used.append("torch") or compile_(f, backend="eager", **options)
    )
    monkeypatch.setattr(loading, "native", lambda model, weights: used.append("native") or native(model, weights))
    plain = texts(command, trained, "--seed", "3", "--no-compile")["texts"]
    assert used == []
    assert texts(command, trained, "--seed", "3")["texts"] == plain
    assert texts(command, trained, "--seed", "3", "--compile")["texts"] == plain
    assert used == ["native", "native"]
    monkeypatch.setattr(loading, "why_not", lambda model: "of another part")
    assert texts(command, trained, "--seed", "3")["texts"] == plain
    assert used == ["native", "native"]
    assert texts(command, trained, "--seed", "3", "--compile")["texts"] == plain
    assert used == ["native", "native", "torch"]


def test_a_compiler_that_fails_leaves_the_steps_to_pytorch(
    command: Command, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = texts(command, trained, "--seed", "3")["texts"]

    def fails(model: object, weights: str) -> None:
        raise ConfigError("g++ failed")

    monkeypatch.setattr(loading, "native", fails)
    monkeypatch.setattr(loading, "why_not", lambda model: None)
    result = command("generate", str(trained), "One day", "--max-tokens", "12", "--seed", "3")
    assert (result.code, result.out) == (0, plain[0] + "\n")
    assert "g++ failed; PyTorch's steps are used" in result.err
    assert "g++ failed" in command("generate", str(trained), "One day", "--compile").err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--beams", "2", "-n", "3"], "--beams cannot be used with -n"),
        (["--beams", "2", "--draft", "x"], "--beams cannot be used with --draft"),
        (["--draft", "x", "--regex", "a"], "--draft cannot be used with --regex"),
        (["--compare"], "neither"),
        (["--regex", "a", "--choice", "b"], "regex and choice cannot be used together"),
        (["--regex", "(a"], "unclosed group"),
        (["--json-schema", '{"type": "integer", "multipleOf": 982451653}'], "multipleOf 982451653 cannot be followed"),
        (["--json-schema", '{"$ref": "#"}'], "no text satisfies"),
        (["--json-schema", "nowhere.json"], "nowhere.json"),
        (["--json-schema", "{]"], "is not valid JSON"),
        (["--stop", ""], "stop string is empty"),
        (["--beams", "-1"], "-1 beams"),
        (["--draft", "nowhere"], "nowhere"),
    ],
)
def test_what_does_not_go_together(given: list[str], expected: str, command: Command, trained: Path) -> None:
    pytest.importorskip("llguidance")
    result = command("generate", str(trained), "One", *given)
    assert result.code == 2
    assert expected in result.err
    assert "Traceback" not in result.err
