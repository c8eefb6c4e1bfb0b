"""`lilliput data show`."""

# pyright: reportOptionalMemberAccess=false, reportOperatorIssue=false, reportAttributeAccessIssue=false

import json

import pytest
import typer
from typer.testing import CliRunner

from lilliput.base import console
from lilliput.base.errors import DataError
from lilliput.cli.data import app


@pytest.fixture(autouse=True)
def plain_console():
    yield
    console.use_json(False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.txt").write_text("\n\n".join(f"Story number {number}." for number in range(60)))
    (tmp_path / "b.jsonl").write_text('{"text": "row"}\n{"text": null}')
    return tmp_path


def run(*arguments):
    command = typer.Typer()
    command.add_typer(app, name="data")
    return CliRunner().invoke(command, ["data", "show", "--data", *arguments])


def test_sources_print_themselves(folder):
    output = run(str(folder)).output
    size = sum(len(f"Story number {number}.") for number in range(60))
    assert f"text: {folder}/a.txt, {size + 2 * 59:,} bytes, split on blank lines · " in output
    assert f"60 documents, {size} bytes, 0 dropped" in output
    assert "dropped: 1 empty" in output
    assert "a.txt#0:\nStory number 0." in output


def test_json_is_one_object(folder):
    report = json.loads(run(str(folder), "--json").stdout)
    assert [source["documents"] for source in report["sources"]] == [60, 1]
    assert sum(report["splits"].values()) == 61
    assert report["drops"] == {"empty": 1}
    assert report["sample"] == {"id": f"{folder}/a.txt#0", "text": "Story number 0."}


def test_options(folder):
    report = json.loads(run(str(folder / "a.txt"), "--max-documents", "30", "--json").stdout)
    assert report["sources"][0]["documents"] == 30
    (folder / "a.txt").write_bytes(b"caf\xe9\n\n" + b"\n\n".join(b"%d" % number for number in range(60)))
    assert isinstance(run(str(folder / "a.txt")).exception, DataError)
    assert run(str(folder / "a.txt"), "--errors", "replace").exit_code == 0


def test_data_that_cannot_be_split_is_shown_with_what_to_do(tmp_path):
    (tmp_path / "names.txt").write_text("emma\nolivia\n")  # too short for a part of it to be kept back
    report = json.loads(run(str(tmp_path / "names.txt"), "--json").stdout)
    assert report["sources"][0]["documents"] == 1
    assert "data.sources.0.separator" in report["problem"]
    assert "cannot be trained on yet: the only document is too short" in run(str(tmp_path / "names.txt")).output


def test_nothing_to_show_is_an_error(tmp_path):
    (tmp_path / "blank.txt").write_text(" \n\n ")
    assert isinstance(run(str(tmp_path / "blank.txt")).exception, DataError)


def test_several_files_and_overrides_work_as_in_train(tmp_path):
    """A glob that the shell spells out, and the override that an error suggests."""
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(f"id;body\n1;Once {name} dog ran home.\n2;Then {name} cat sat down.\n")
    paths = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    fits = ["data.sources.0.delimiter=;", "data.sources.0.column=body"]
    report = json.loads(run(*paths, *fits, "--json").stdout)
    assert report["sources"][0]["documents"] == 4
    assert "not in the data section" in str(run(*paths, *fits, "train.steps=5").exception)


@pytest.fixture
def replies(tmp_path, monkeypatch):
    """A file of completions, and the options that learn them."""
    from lilliput.objectives.objective import OBJECTIVES

    from ..objectives.test_accepted import Replies

    assert "toy" not in OBJECTIVES  # the registry searches its package first
    monkeypatch.setitem(OBJECTIVES._entries, "toy_replies", Replies)
    rows = [{"prompt": f"Question {n}?", "completion": f" Answer {n}."} for n in range(60)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(tmp_path / "a.jsonl")


def test_examples_are_counted_and_named(replies):
    output = run(replies).output
    assert "rows are prompts with completions: prompt, completion" in output
    assert "prompt: Question 0?\ncompletion:  Answer 0.\n" in output
    report = json.loads(run(replies, "--json").stdout)
    assert report["kinds"] == {"completion": 60}
    assert report["sample"]["row"] == {"prompt": "Question 0?", "completion": " Answer 0."}


def tokens(*arguments):
    command = typer.Typer()
    command.add_typer(app, name="data")
    return CliRunner().invoke(command, ["data", "show", *arguments])


SMALL = ["tokenizer.vocab_size=300", "objective.kind=toy_replies"]


def test_a_recipe_shows_learned_tokens(replies, tmp_path):
    (tmp_path / "own.yaml").write_text(f"data: {{sources: [{{kind: jsonl, paths: [{replies}]}}]}}\n")
    output = tokens(str(tmp_path / "own.yaml"), *SMALL, "--count", "1").output
    assert "tokens are learned (" in output
    assert "⟦ Answer 0.<|end_of_text|>⟧" in output or "⟦ Answer 1.<|end_of_text|>⟧" in output
    assert "Question 0?⟦" in output or "Question 1?⟦" in output
    beside = tokens(str(tmp_path / "own.yaml"), "--data", replies, *SMALL, "--json")
    report = json.loads(beside.stdout)
    assert report["objective"] == "toy_replies"
    assert len(report["examples"]) == 2
    pieces = report["examples"][0]["sequences"][0]["pieces"]
    assert [piece["learned"] for piece in pieces] == [False, True]


def test_nothing_named_is_an_error():
    assert "name a recipe, a run, or files" in str(tokens().exception)
    assert "there is no recipe 'nonesuch'" in str(tokens("nonesuch").exception)


def test_a_recipe_is_shown_in_the_tokens_of_the_model_that_it_begins_with(tmp_path):
    """`--from` is that of `lilliput train`."""
    from lilliput.data.chat_template import chatml
    from lilliput.data.config import TokenizerConfig
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.config import ModelConfig
    from lilliput.model.huggingface import to_huggingface
    from lilliput.model.transformer import Model

    tokenizer = Tokenizer.train(["a cat sat on a mat"] * 9, TokenizerConfig(vocab_size=280))
    tokenizer = tokenizer.with_specials(["im_start", "im_end"]).with_template(chatml(tokenizer.begins))
    shape = {"d_model": 16, "n_layers": 1, "n_heads": 2, "context_length": 64, "vocab_size": tokenizer.vocab_size}
    to_huggingface(Model(ModelConfig.model_validate(shape)), tmp_path / "chat", **tokenizer.marks)
    tokenizer.save(tmp_path / "chat", 64)
    talk = [{"role": "user", "content": "a cat?"}]
    chosen, rejected = ([{"role": "assistant", "content": text}] for text in ("sat", "mat"))
    rows = [{"prompt": talk, "chosen": chosen, "rejected": rejected, "n": number} for number in range(40)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = ["--data", str(tmp_path / "pairs.jsonl")]
    assert "--from CHAT" in str(tokens("dpo", *data, "tokenizer.vocab_size=280").exception)
    report = json.loads(tokens("dpo", *data, "--from", str(tmp_path / "chat"), "--json").stdout)
    pieces = report["examples"][0]["sequences"][0]["pieces"]
    assert "<|im_start|>user\na cat?" in pieces[0]["text"]
    assert [piece["text"].strip() for piece in pieces if piece["learned"]] == ["sat<|im_end|>"]
    assert "no recipe is named" in str(tokens(*data, "--from", "chat").exception)


def test_a_shipped_recipe_beside_data_is_the_recipe(replies):
    report = json.loads(tokens("story", "--data", replies, *SMALL, "--json").stdout)
    assert report["recipe"] == "story-a"
    assert report["splits"]["train"]["kinds"].keys() == {"completion"}
    assert "lilliput data show --data" in str(tokens(replies).exception)
