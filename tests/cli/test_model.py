"""`lilliput model list` and `lilliput model show`."""

import json

import pytest
import torch
from torch import nn

from lilliput.model.mlps import Gelu
from lilliput.model.parts import MLPS, Embedding, Role
from tests.cli.conftest import Command


def test_show_prints_tree_and_numbers(command: Command):
    result = command("model", "show", "story_7m")
    assert result.code == 0
    for words in (
        "blocks  x 6  4 heads of 64, QK-norm",
        "attn.qkv  256 → 768",
        "embed  4096 → 256",
        "6,918,144   4,820,992 of them not embedding or head",
        "32 rows of 256 tokens, fp32, adamw",
        "Qwen3ForCausalLM",
    ):
        assert words in result.out, words


def test_show_json_is_one_object(command: Command):
    result = command("model", "show", "gpt_51m", "--json")
    shown = json.loads(result.out)
    assert shown["parameters"]["total"] - shown["parameters"]["positions"] == 50_975_744
    assert shown["huggingface_class"] == "GPT2LMHeadModel"
    assert shown["flops_per_token"]["training"] == 3 * shown["flops_per_token"]["forward"]


def test_changes_and_options_act(command: Command):
    def shown(*words: str) -> dict:
        return json.loads(command("model", "show", "story_1m", *words, "--json").out)

    plain, changed = shown(), shown("model.d_model=256", "n_layers=2", "qk_norm=false")
    assert changed["config"]["d_model"] == 256
    assert changed["huggingface_class"] == "LlamaForCausalLM"
    more = shown("--rows", "64", "--context", "128", "--optimizer", "muon")["memory_bytes"]
    assert (more["rows"], more["context"], more["optimizer"]) == (64, 128, "muon")
    assert more["training"]["optimizer"] < plain["memory_bytes"]["training"]["optimizer"]
    assert more["inference"]["cache"] == plain["memory_bytes"]["inference"]["cache"]
    assert shown("--context", "128")["flops_per_token"]["attention"] * 2 == plain["flops_per_token"]["attention"]


def test_a_style_without_stock_class_gives_the_reason(command: Command):
    result = command("model", "show", "story_1m", "mlp=relu2", "window=8")
    assert "only Lilliput loads it" in result.out
    assert "Qwen3ForCausalLM: mlp=relu2 (needs swiglu)" in result.out
    assert "window 8" in result.out


def test_grouped_and_tied_are_drawn(command: Command):
    result = command("model", "show", "llama2c_260k")
    assert "8 heads of 8, 4 key heads" in result.out
    assert "(tied)" in result.out


class Remembering(Gelu):
    """An MLP with a table of rows, and two matrices that are stored as one tensor."""

    def __init__(self, config):
        super().__init__(config)
        self.rows = Embedding(7, config.d_model)
        self.pair = nn.Parameter(torch.empty(2, config.d_mlp, config.d_model))

    def roles(self):
        return {"pair": Role("matrix")}


def test_a_part_answers_which_tensors_are_matrices(command: Command, monkeypatch: pytest.MonkeyPatch):
    list(MLPS)
    monkeypatch.setitem(MLPS._entries, "remembering", Remembering)
    drawn = command("model", "show", "story_1m", "mlp=remembering", "d_model=64", "d_mlp=96", "position=learned").out
    for line in ("mlp.rows  7 → 64", "mlp.pair  2 x 64 → 96", "mlp.up  64 → 96", "position  256 → 64"):
        assert line in drawn, line


def test_unknown_names_and_values_are_one_line(command: Command):
    for words, printed in (
        (("story_7k",), "did you mean 'story_7m'"),
        (("story_7m", "depth=3"), "unknown key 'depth'"),
        (("story_7m", "wide"), "'wide' is not an override"),
        (("story_7m", "style=gpt_51m"), "style is the NAME"),
        (("story_7m", "--optimizer", "sgd"), "adamw or muon, not 'sgd'"),
    ):
        result = command("model", "show", *words)
        assert result.code == 2
        assert printed in result.err
        assert "Traceback" not in result.err


def test_list(command: Command):
    plain, listed = command("model", "list"), json.loads(command("model", "list", "--json").out)["models"]
    assert listed["llama3_70b"]["parameters"] == 70_553_706_496
    assert all(name in plain.out for name in listed)
    assert {row["huggingface_class"] for row in listed.values()} == {
        "LlamaForCausalLM",
        "Qwen3ForCausalLM",
        "GPTNeoXForCausalLM",
        "BertForMaskedLM",
        "ModernBertForMaskedLM",
        "GPT2LMHeadModel",
        "MixtralForCausalLM",
        "Qwen3MoeForCausalLM",
        "T5ForConditionalGeneration",
    }


def test_experts_are_drawn_and_the_active_parameters_counted(command: Command):
    shown = command("model", "show", "moe_3.5m_a1.9m").out
    assert "2 of 8 experts" in shown
    assert "mlp.gate_up  8 x 128 → 352" in shown
    assert "1,857,152   of them act on a token" in shown
    assert "of them act on a token" not in command("model", "show", "story_1.8m").out
    assert json.loads(command("model", "show", "moe_3.5m_a1.9m", "--json").out)["parameters"]["active"] == 1_857_152
