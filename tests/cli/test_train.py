"""`lilliput train`, `generate`, `evaluate`, `recipe` and `wtac` end to end on small texts."""

import io
import json
import sys
from pathlib import Path

import pytest
import yaml

from lilliput import api
from lilliput.runs import checkpoint
from tests.cli.conftest import TINY, Command


def test_a_run_ends_with_what_the_readme_promises(command: Command, tales: Path) -> None:
    result = command("train", "story", *TINY, "--data", str(tales))
    assert result.code == 0, result.err
    run = Path("runs/story-tales")
    for name in ("recipe.yaml", "metrics.jsonl", "summary.json", "samples.md", "report.html"):
        assert (run / name).stat().st_size > 0
    summary = json.loads((run / "summary.json").read_text())
    assert summary["steps"] == 12
    assert {"unigram", "bigram", "trigram"} == summary["baselines"].keys()
    for shown in (summary["story"]["prompt"], "bits per byte", "trigram", "tokens/s", "report.html", "next:"):
        assert shown in result.out
    assert f"{summary['val_bits_per_byte']:.3f} bits per byte" in result.out


def test_the_same_command_again_does_not_train_again(command: Command, trained: Path, tales: Path) -> None:
    before = (trained / "summary.json").stat().st_mtime_ns
    run = api.train("story", TINY, data=str(tales), name="tiny", runs=trained.parent, notify=lambda text: None)
    assert run.path == trained
    assert (trained / "summary.json").stat().st_mtime_ns == before


def test_json_is_one_object_and_nothing_else(command: Command, tales: Path) -> None:
    result = command("train", "story", *TINY, "--data", str(tales), "--json")
    assert result.code == 0, result.err
    summary = json.loads(result.out)
    assert summary["finished"] is True
    assert summary["stopped"] == "finished"


def test_a_recipe_repeats_its_run(command: Command, trained: Path, tmp_path: Path) -> None:
    result = command("train", str(trained / "recipe.yaml"), "--name", "again")
    assert result.code == 0, result.err
    summaries = [json.loads((path / "summary.json").read_text()) for path in (trained, tmp_path / "runs" / "again")]
    assert summaries[0]["sha256"] == summaries[1]["sha256"]


def test_what_failed_before_it_trained_is_begun_again_by_another_recipe(command: Command, tales: Path) -> None:
    words = ("train", "story", *TINY, "--data", str(tales), "--name", "again")
    failed = command(*words, "tokenizer.vocab_size=100")
    assert (failed.code, "is too small" in failed.err) == (2, True)
    assert Path("runs/again/recipe.yaml").exists()
    assert command(*words).code == 0
    other = command(*words, "seed=5")
    assert (other.code, "seed: 1 there, 5 now" in other.err) == (2, True)


def test_more_files_after_the_first_are_data_too(command: Command, tales: Path, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_bytes(tales.read_bytes().replace(b"old", name[:1].encode() * 3))
    result = command("train", "story", *TINY, "--data", "a.txt", "b.txt", "--name", "two")
    assert result.code == 0, result.err
    recipe = yaml.safe_load(Path("runs/two/recipe.yaml").read_text())
    assert recipe["data"]["sources"][0]["paths"] == ["a.txt", "b.txt"]


def test_a_checkpoint_is_a_stock_hugging_face_model(trained: Path) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    folder = api.Run(trained).checkpoints[-1] / "model"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    teller = api.load(trained)
    ids = teller.tokenizer.encode("One day Tom saw a kite.")
    assert tokenizer.encode("One day Tom saw a kite.", add_special_tokens=False) == ids
    with torch.inference_mode():
        tokens = torch.tensor([ids])
        ours = teller.model.logits(teller.model(tokens))
        assert torch.allclose(ours, theirs(tokens).logits, atol=1e-4)
    assert theirs.generation_config.eos_token_id == teller.tokenizer.eos_id


def test_generate_is_repeatable_and_greedy_at_zero(command: Command, trained: Path) -> None:
    words = ("generate", str(trained), "One day", "--max-tokens", "12")
    first, second = command(*words, "--seed", "3"), command(*words, "--seed", "3")
    assert first.code == 0, first.err
    assert first.out == second.out
    assert first.out.startswith("One day")
    greedy = [command(*words, "--temperature", "0", "--seed", seed).out for seed in "12"]
    assert greedy[0] == greedy[1]


def test_streaming_gives_the_text_that_telling_gives(command: Command, trained: Path) -> None:
    streamed = command("generate", str(trained), "One day", "--max-tokens", "15", "--seed", "5").out
    texts = json.loads(command("generate", str(trained), "One day", "--max-tokens", "15", "--seed", "5", "--json").out)
    assert streamed == texts["texts"][0] + "\n"


def test_n_texts_begin_with_the_one_alone(command: Command, trained: Path) -> None:
    three = json.loads(command("generate", str(trained), "One", "--max-tokens", "9", "-n", "3", "--json").out)["texts"]
    one = json.loads(command("generate", str(trained), "One", "--max-tokens", "9", "--json").out)["texts"]
    assert len(three) == 3
    assert three[0] == one[0]


def test_every_kind_of_folder_can_be_named(trained: Path) -> None:
    places = (trained, api.Run(trained).checkpoints[-1], api.Run(trained).checkpoints[-1] / "model")
    texts = {api.generate(place, "One", max_tokens=8, temperature=0.0)[0] for place in places}
    assert len(texts) == 1


def test_a_damaged_checkpoint_falls_back_and_reports_it(trained: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    run = api.Run(copy)
    weights = run.checkpoints[-1] / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    printed: list[str] = []
    api.load(copy, notify=printed.append)
    assert "model.safetensors" in printed[0]
    assert "falling back" in printed[0]
    assert len(run.checkpoints) == len(api.Run(trained).checkpoints)
    assert checkpoint.newest_good(run.folder, printed.append) == run.checkpoints[-2]


def test_evaluate_repeats_the_summary(command: Command, run: Path, tales: Path) -> None:
    result = command("evaluate", str(run), "--max-tokens", "2000", "--json")
    assert result.code == 0, result.err
    summary = json.loads((run / "summary.json").read_text())
    assert json.loads(result.out)["bits_per_byte"] == pytest.approx(summary["val_bits_per_byte"], rel=1e-4)
    other = command("evaluate", str(run), "--data", str(tales), "--json")
    assert json.loads(other.out)["documents"] == 300


def test_a_reversed_run_generates_to_an_ending(command: Command, tales: Path) -> None:
    for by in ("word", "token"):
        options = ("objective.kind=reversed", f"objective.by={by}", "--data", str(tales), "--name", by)
        assert command("train", "story", *TINY, *options).code == 0
        result = command("generate", by, "--ending", "butterfly in the sky.", "--max-tokens", "20")
        assert result.code == 0, result.err
        assert result.out.endswith("butterfly in the sky.\n")
        assert command("generate", by, "Once").code == 2


@pytest.mark.parametrize("recipe", ["story", "story-reversed"])
def test_shipped_recipes_resolve_and_are_listed(command: Command, recipe: str) -> None:
    assert recipe in command("recipe", "list").out
    shown = json.loads(command("recipe", "show", recipe, "seed=4", "--json").out)
    assert shown["seed"] == 4
    schema = json.loads(command("recipe", "schema").out)
    assert shown.keys() == schema["properties"].keys()


def test_wtac(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    def filtered(data: bytes) -> bytes:
        monkeypatch.setattr(sys, "argv", ["lilliput", "wtac"])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        from lilliput.cli.main import main

        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsysbinary.readouterr().out

    assert filtered(b"butterfly in the sky.\n") == b".sky the in butterfly\n"
    odd = b"caf\xe9 \xff one, two\n\nthree"
    assert filtered(filtered(odd)) == odd


def test_python_api(trained: Path) -> None:
    import lilliput

    run = lilliput.Run(trained)
    assert run.metrics[0]["step"] == 0
    assert run.metrics[-1]["step"] == 12
    assert run.generate("One day", max_tokens=5).startswith("One day")
    assert "val_bits_per_byte" in repr(run)
