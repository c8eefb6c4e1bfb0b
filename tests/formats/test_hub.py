"""The hub, on a loopback stand-in: what goes there, what comes back, and what is left where it is."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lilliput.base.errors import ExportError, LilliputError
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats import hub
from lilliput.formats.format import Content
from lilliput.formats.source import Source
from lilliput.formats.transfer import keep
from lilliput.model.huggingface import from_huggingface
from tests.formats.conftest import same_weights
from tests.formats.hub_stand_in import COMMIT, StandIn, stand_in
from tests.runs.made_run import make_run

Grown = Callable[[str], Source]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    """The stand-in, where the client expects the hub; nobody's token or cache takes part."""
    from huggingface_hub import constants

    with stand_in() as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", found.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
        yield found


@pytest.fixture
def checkpoint(grown: Grown, tmp_path: Path) -> Path:
    """The model folder of the last checkpoint of a run."""
    run = make_run(tmp_path / "runs" / "story")
    folder = run / "checkpoints" / "step-0000600" / "model"
    source = grown("qwen3")
    keep(Content(source.model, source.tokenizer), folder)
    return folder


def test_there_and_back(there: StandIn, checkpoint: Path, tmp_path: Path):
    address = hub.push(hub.pack(checkpoint, "ada/story", "apache-2.0"))
    assert address == f"{there.address}/ada/story/commit/{COMMIT}"
    sent = there.repos["ada/story"]
    assert sent.keys() == {
        *("README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"),
        *("tokenizer_config.json", "recipe.yaml", "summary.json"),
    }
    assert sent["model.safetensors"] == (checkpoint / "model.safetensors").read_bytes()
    assert not there.private["ada/story"]
    assert hub.pull("ada/story", tmp_path / "pulled") == COMMIT
    same_weights(from_huggingface(tmp_path / "pulled"), from_huggingface(checkpoint))
    assert Tokenizer.load(tmp_path / "pulled").sha256 == Tokenizer.load(checkpoint).sha256
    assert sorted(path.name for path in (tmp_path / "pulled").iterdir()) == sorted(
        sent.keys() - {"recipe.yaml", "summary.json"}
    )


def test_private_is_asked_for(there: StandIn, checkpoint: Path):
    hub.push(hub.pack(checkpoint, "ada/secret"), private=True)
    assert there.private["ada/secret"]


def test_packing_sends_nothing(there: StandIn, checkpoint: Path):
    parcel = hub.pack(checkpoint, "ada/story")
    assert parcel.sizes()["model.safetensors"] == (checkpoint / "model.safetensors").stat().st_size
    assert there.asked == []


def test_only_known_names_are_brought_here(there: StandIn, checkpoint: Path, tmp_path: Path):
    hub.push(hub.pack(checkpoint, "ada/story"))
    there.repos["ada/story"] |= {"../escaped.json": b"{}", "pytorch_model.bin": b"\x80", "x/config.json": b"{}"}
    hub.pull("ada/story", tmp_path / "pulled")
    assert not {"escaped.json", "pytorch_model.bin", "x"} & {path.name for path in tmp_path.rglob("*")}
    assert not any("pytorch_model.bin" in path for _, path in there.asked)


def test_adapters_are_named(there: StandIn, tmp_path: Path):
    there.repos["ada/lora"] = {"adapter_config.json": b"{}", "adapter_model.safetensors": b""}
    with pytest.raises(ExportError, match=r"ada/lora holds an adapter .*\n.*lilliput import FOLDER NAME --base RUN"):
        hub.pull("ada/lora", tmp_path / "pulled")
    assert not list(tmp_path.iterdir())


def test_pickles_only(there: StandIn, tmp_path: Path):
    there.repos["ada/old"] = {"config.json": b"{}", "pytorch_model.bin": b"\x80"}
    with pytest.raises(ExportError, match=r"holds no config.json with .safetensors weights .it holds config.json, pyt"):
        hub.pull("ada/old", tmp_path / "pulled")
    assert not list(tmp_path.iterdir())


def test_a_class_that_is_not_supported_leaves_nothing(there: StandIn, checkpoint: Path, tmp_path: Path):
    hub.push(hub.pack(checkpoint, "ada/story"))
    config = {"model_type": "bloom", "architectures": ["BloomForCausalLM"]}
    there.repos["ada/story"]["config.json"] = json.dumps(config).encode()
    with pytest.raises(LilliputError, match="BloomForCausalLM"):
        hub.pull("ada/story", tmp_path / "pulled")
    assert not list(tmp_path.glob("pulled*"))


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "answered 401|no model 'ada/story', or it is private"), (403, "answered 403"), (400, "answered 400")],
)
def test_what_the_hub_refuses_is_one_line(status, message, there: StandIn, checkpoint: Path):
    there.refuse = status
    with pytest.raises(ExportError, match=message) as caught:
        hub.push(hub.pack(checkpoint, "ada/story"))
    assert "\n" not in caught.value.message


def test_names_that_are_not_there_and_cannot_be(there: StandIn, tmp_path: Path):
    with pytest.raises(ExportError, match="has no model 'ada/none'"):
        hub.pull("ada/none", tmp_path / "pulled")
    for name in ("../../etc/passwd", "ada", "ada/a b", "https://hf.co/ada/story"):
        with pytest.raises(ExportError, match="is not a name on the Hugging Face hub"):
            hub.pull(name, tmp_path / "pulled")


def test_offline_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ExportError, match="cannot be reached for 'ada/story'"):
        hub.pull("ada/story", tmp_path / "pulled")


def test_the_card_is_made_from_the_run(checkpoint: Path):
    card = hub.pack(checkpoint, "ada/story", "apache-2.0").card()
    for words in (
        "license: apache-2.0",
        'folder = "ada/story"',
        "print(tokenizer.decode(ids[0], skip_special_tokens=True))",
        "story world: 20,000 stories",
        "- train: 19,004 documents, 3,210,441 tokens, 12.5 MB of text",
        "| this one, step 600 | 0.8174 |",
        "| trigram | 1.3180 |",
        "    Once upon a time, there was a little girl named Lily.",
        "0.96 Wh, 0.46 g CO2",
        "`lilliput train recipe.yaml`",
        "Qwen3ForCausalLM",
    ):
        assert words in card, words


def test_the_card_of_an_earlier_step_describes_that_step(grown: Grown, checkpoint: Path):
    early = checkpoint.parents[1] / "step-0000100" / "model"
    source = grown("qwen3")
    keep(Content(source.model, source.tokenizer), early)
    card = hub.pack(early, "ada/story").card()
    assert "| this one, step 100 | " in card
    assert "| this one, step 100 | 0.8174 |" not in card
    assert "At step 100, not selected" in card
    assert "license:" not in card
    assert "licence: not stated by its maker" in card


def test_a_folder_of_no_run_keeps_its_card(grown: Grown, tmp_path: Path):
    source = grown("llama")
    keep(Content(source.model, source.tokenizer), tmp_path / "model")
    assert "brought into this layout by Lilliput" in hub.pack(tmp_path / "model", "ada/llama").card()
    (tmp_path / "model" / "README.md").write_text("my own words")
    parcel = hub.pack(tmp_path / "model", "ada/llama")
    assert parcel.card() == "my own words"
    assert "recipe.yaml" not in parcel.files
    with pytest.raises(ExportError, match="has its own card"):
        hub.pack(tmp_path / "model", "ada/llama", "mit")
