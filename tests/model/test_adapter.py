"""LoRA adapters: peft's own merged model, or a refusal that names the setting."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lilliput.base.errors import ModelError
from lilliput.model.adapter import base_name, merge
from lilliput.model.huggingface import from_huggingface, to_huggingface
from tests.model.families import stir, stirred, tokens

peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")
pytestmark = [  # of peft and transformers themselves
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to:UserWarning"),
]

ATTENTION, ALL = ["q_proj", "v_proj"], ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PLAIN: dict[str, Any] = {"r": 4, "lora_alpha": 6, "task_type": "CAUSAL_LM"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3": ("story_grouped", {"target_modules": ATTENTION}),
    "llama": ("llama", {"target_modules": ALL, "use_rslora": True}),
    "mistral": ("mistral", {"target_modules": "all-linear", "init_lora_weights": "gaussian", "lora_dropout": 0.1}),
    "neox": ("pythia", {"target_modules": ["query_key_value", "dense_4h_to_h"]}),
    "gpt2": ("gpt2", {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}),
    "gpt2_flag": ("gpt2", {"target_modules": ["c_attn"], "fan_in_fan_out": False}),
    "flag": ("llama", {"target_modules": ATTENTION, "fan_in_fan_out": True}),
    "regex": ("llama", {"target_modules": r".*\.1\.self_attn\.[qk]_proj"}),
    "patterns": (
        "llama",
        {
            "target_modules": ALL,
            "rank_pattern": {"q_proj": 2, r"model\.layers\.1\.mlp\..*": 3},
            "alpha_pattern": {"layers.0.self_attn.k_proj": 20, "v_proj": 1},
        },
    ),
    "head": ("llama", {"target_modules": ["lm_head", "embed_tokens", "q_proj"]}),
    "positions": ("gpt2", {"target_modules": ["wpe", "c_fc"], "fan_in_fan_out": True}),
}


def adapter(family: str, settings: dict[str, Any], place: Path) -> Any:
    """A base and an adapter of it in `place`, with matrices that are not zero; peft's model of both."""
    to_huggingface(stirred(family), place / "base")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(place / "base", dtype=torch.float32)
    made = peft.get_peft_model(theirs, peft.LoraConfig(**{**PLAIN, **settings}))
    for name, parameter in made.named_parameters():
        if "lora_" in name:
            stir(torch.nn.ParameterList([parameter]), seed=len(name))
    made.eval().save_pretrained(place / "adapter", save_embedding_layers=False)
    return made


@pytest.mark.parametrize("case", CASES)
def test_merged_logits_are_those_of_peft(case, tmp_path):
    family, settings = CASES[case]
    made = adapter(family, settings, tmp_path)
    ids = tokens()
    with torch.no_grad():
        wanted = made.merge_and_unload()(ids).logits
    ours = from_huggingface(tmp_path / "base")
    plain = ours.logits(ours(ids))
    merge(tmp_path / "adapter", ours)
    assert (ours.logits(ours(ids)) - wanted).abs().max() < 2e-4
    assert (plain - wanted).abs().max() > 1e-2
    assert base_name(tmp_path / "adapter") == str(tmp_path / "base")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("adapter")
    adapter("llama", {"target_modules": ATTENTION}, place)
    return place


def changed(made: Path, place: Path, **changes: Any) -> Path:
    """The adapter with other settings."""
    settings = json.loads((made / "adapter" / "adapter_config.json").read_text())
    (place / "adapter_config.json").write_text(json.dumps({**settings, **changes}))
    (place / "adapter_model.safetensors").write_bytes((made / "adapter" / "adapter_model.safetensors").read_bytes())
    return place


def test_every_setting_that_is_not_plain_is_refused_by_its_name(made, tmp_path):
    """Each field of peft's own config, and one that nobody knows, at a value that is not its default."""
    inert = {"base_model_name_or_path", "revision", "inference_mode", "peft_version", "auto_mapping"}
    inert |= {"lora_dropout", "fan_in_fan_out", "use_rslora", "lora_alpha", "alpha_pattern"}
    for key in [*peft.LoraConfig().to_dict(), "next_year"]:
        if key in inert:
            continue
        value: Any = {"rank_pattern": {"q_proj": 3}, "target_modules": ["o_proj"], "r": 5}.get(key, "odd")
        with pytest.raises(ModelError) as caught:
            merge(changed(made, tmp_path, **{key: value}), from_huggingface(made / "base"))
        assert key in str(caught.value) or "rank" in str(caught.value), key
        assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"use_dora": True}, "use_dora=True, which is not merged here"),
        ({"modules_to_save": ["lm_head"]}, r"modules_to_save=\['lm_head'\]"),
        ({"bias": "all"}, "bias=all, .*; supported: none"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights=pissa"),
        ({"peft_type": "IA3"}, "peft_type=IA3, .*; supported: LORA"),
        ({"task_type": "SEQ_CLS"}, "task_type=SEQ_CLS"),
        ({"r": 5}, r"are \[4, 48\] and \[48, 4\], but adapter_config.json asks for rank 5"),
        ({"r": 0}, "r is missing or of the wrong kind"),
        ({"lora_alpha": None}, "lora_alpha is missing"),
        ({"target_modules": "(["}, "target_modules is missing or of the wrong kind"),
        ({"rank_pattern": {"([": 4}}, "rank_pattern is missing or of the wrong kind"),
        ({"target_modules": ["q_proj", "v_proj", "k_proj"]}, "names 6 modules .* has no matrices for .*k_proj .4 mod"),
        ({"target_modules": ["q_proj"]}, "names 2 modules .* has matrices for .*v_proj"),
    ],
)
def test_a_refusal_names_what_it_is(made, changes, words, tmp_path):
    with pytest.raises(ModelError, match=words):
        merge(changed(made, tmp_path, **changes), from_huggingface(made / "base"))


def test_damaged_and_foreign_files(made, tmp_path):
    base = from_huggingface(made / "base")
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    place = changed(made, tmp_path)
    file = place / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(iter(tensors))
    cases = [
        ({**tensors, "base_model.model.lm_head.weight": torch.zeros(3)}, "lm_head.weight, which is no LoRA matrix"),
        ({**tensors, name.replace("lora_A", "lora_magnitude_vector"): torch.zeros(3)}, "which is no LoRA matrix"),
        ({n: t for n, t in tensors.items() if n != name}, "has only matrix B"),
        ({**tensors, name: torch.zeros(4, 7)}, r"is for \[48, 7\], but the base has \[48, 48\]"),
    ]
    for changes, words in cases:
        save_file(changes, file)
        with pytest.raises(ModelError, match=words):
            merge(place, base)
    file.write_bytes(b"\0" * 9)
    with pytest.raises(ModelError, match="cannot be read"):
        merge(place, base)
    file.rename(place / "adapter_model.bin")
    with pytest.raises(ModelError, match="pickled adapter"):
        merge(place, base)
    for key, tensor in base.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    with pytest.raises(ModelError, match="its base has no stock class"):
        merge(made / "adapter", stirred("own"))


def test_an_adapter_of_tied_embeddings_is_refused(made, tmp_path):
    base = stirred("llama", tied_embeddings=True)
    file = changed(made, tmp_path, target_modules=["embed_tokens"]) / "adapter_model.safetensors"
    prefix = "base_model.model.model.embed_tokens.lora_embedding"
    save_file({f"{prefix}_A": torch.ones(4, 61), f"{prefix}_B": torch.ones(48, 4)}, file)
    with pytest.raises(ModelError, match="ties to its head"):
        merge(tmp_path, base)
    changed(made, tmp_path, target_modules=["lm_head"])
    prefix = "base_model.model.lm_head.lora"
    save_file({f"{prefix}_A.weight": torch.ones(4, 48), f"{prefix}_B.weight": torch.ones(61, 4)}, file)
    with pytest.raises(ModelError, match="the base ties its head to the embeddings"):
        merge(tmp_path, base)


def test_weights_beside_an_adapter_are_not_taken_for_the_model(made, tmp_path):
    to_huggingface(stirred("llama"), tmp_path)
    changed(made, tmp_path)
    with pytest.raises(ModelError, match=r"holds an adapter .*\n.*lilliput import"):
        from_huggingface(tmp_path)
