"""Outside check: TransformerLens 4 and nnsight read our folders and find our logits, activations and head scores."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from lilliput import lens
from lilliput.lens.head_targets import attention_to, duplicate_token, induction, previous_token
from lilliput.lens.heads import repeated_scores, text_scores
from lilliput.lens.names import bridge_names, ours
from lilliput.lens.probes import repeated
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model
from lilliput.storybook.world import story
from tests.lens.outside import BRIDGE, ROOT, needs_bridge, printed_by
from tests.lens.small import tokenizer
from tests.lens.test_heads import BY_TRANSFORMERLENS, TEXT, pattern
from tests.model.families import FAMILIES, stirred

pytestmark = [needs_bridge, pytest.mark.timeout(1800)]
families = pytest.mark.parametrize("family", [family for family, (stock, _) in FAMILIES.items() if stock])
Tensors = dict[str, torch.Tensor]

MADE = repeated(torch.arange(1, 61), 0, rows=3, length=12)
STORY = story(1, 0).text[:120]
TARGETS = {"previous_token": previous_token, "duplicate_token": duplicate_token, "induction": induction}


def model_of(family: str) -> Model:
    return stirred(family, vocab_size=tokenizer().vocab_size, context_length=64)


def both_forms(model: Model) -> list[str]:
    """Our names of layer 1 and outside the layers, and the names of the bridge for them."""
    own = [name for name in model.hooks if not name.startswith("blocks.0.")]
    table = bridge_names(model)
    whole = [name if name.startswith(("embed.", "pos_embed.")) else f"blocks.1.{name}" for name in table]
    return own + [name for name in whole if ours(name, table) in own]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensors]:
    """What the worker finds in a folder of each family (bridge_worker.py)."""
    root = tmp_path_factory.mktemp("folders")
    folders = {family: root / family for family, (stock, _) in FAMILIES.items() if stock}
    for family, folder in folders.items():
        to_huggingface(model_of(family), folder, **tokenizer().marks)
        tokenizer().save(folder, 64)
        save_file({"rows": MADE.tokens, "pattern": pattern()[0], "text": TEXT}, folder / "ours.safetensors")
        asked = {"story": STORY, "names": both_forms(model_of(family))}
        (folder / "ours.json").write_text(json.dumps(asked))
    printed_by(BRIDGE, str(ROOT / "tests" / "lens" / "bridge_worker.py"), *map(str, folders.values()))
    return {family: load_file(folder / "theirs.safetensors") for family, folder in folders.items()}


def equal(own: torch.Tensor, other: torch.Tensor, name: str) -> None:
    torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-4, msg=lambda text: f"{name}: {text}")


@families
def test_logits_and_tokens_are_equal(theirs: dict[str, Tensors], family: str) -> None:
    model = model_of(family)
    with torch.no_grad():
        equal(model.logits(model(MADE.tokens)), theirs[family]["logits"], "logits")
    # Whether its `to_tokens` begins with the beginning mark depends on the class.
    ids = theirs[family]["tokens"][0].tolist()
    assert [number for number in ids if number != tokenizer().bos_id] == tokenizer().encode(STORY)


@families
def test_every_activation_is_equal_under_both_names(theirs: dict[str, Tensors], family: str) -> None:
    model = model_of(family)
    table = bridge_names(model)
    cache = {name.removeprefix("cache."): each for name, each in theirs[family].items() if name.startswith("cache.")}
    shared = [name for name in cache if ours(name, table) in model.hooks]
    with torch.no_grad(), lens.capture(model, shared) as seen, lens.capture(model) as whole:
        model(MADE.tokens)
    for name in shared:
        value = in_our_form(name, cache[name])
        if name.endswith("hook_expert_weights"):  # theirs are the weights of all experts, 0 where not chosen
            value = value.gather(-1, seen[name.replace("weights", "indices")])
        equal(seen[name], value, name)

    of_blocks = {name for name in table if not name.startswith(("embed.", "pos_embed."))}
    if model.config.mlp not in ("swiglu", "experts"):
        of_blocks.remove("mlp.gate.hook_out")
    assert {f"blocks.{layer}.{name}" for layer in range(2) for name in of_blocks} <= set(shared)
    assert {name for name in whole if not lacks(family, name)} <= set(shared)


def lacks(family: str, name: str) -> bool:
    """Whether the bridge has no working point of this name: behind the rotary embedding of two classes, and the logits
    of a router."""
    if "hook_router_logits" in name:
        return True
    return "hook_rot_" in name and FAMILIES[family][0] in ("GPT2LMHeadModel", "GPTNeoXForCausalLM")


def in_our_form(name: str, value: torch.Tensor) -> torch.Tensor:
    """Three differences of form: TransformerLens masks scores with the smallest number instead of minus infinity, its
    norms of queries and keys are (rows, heads, positions, d_head), and its router has one row for all positions."""
    if "hook_expert_" in name or "hook_router_" in name:
        return value.unflatten(0, MADE.tokens.shape)
    if name.endswith("hook_attn_scores"):
        return value.masked_fill(value < -1e30, float("-inf"))
    return value.transpose(1, 2) if "_norm.hook_" in name else value


@families
def test_a_halved_activation_changes_the_logits_equally(theirs: dict[str, Tensors], family: str) -> None:
    model = model_of(family)
    names = [name.removeprefix("halved.") for name in theirs[family] if name.startswith("halved.")]
    names = [name for name in names if not lacks(family, name) and "hook_expert_" not in name]  # no half of an index
    differ = set()
    for name in names:
        with torch.no_grad(), lens.intervene(model, {name: lambda value, hook: value * 0.5}):
            logits = model.logits(model(MADE.tokens))[:, -1]
        if not torch.allclose(logits, theirs[family][f"halved.{name}"], atol=1e-4):
            differ.add(name)
    assert len(names) > 25
    # There it changes the input of the norm alone, and ours changes the residual stream.
    before_norms = ("blocks.1.hook_resid_mid", "blocks.1.ln1.hook_in", "blocks.1.ln2.hook_in")
    assert differ == set(names) & set(before_norms)


@families
def test_scores_of_heads_are_those_of_its_detector(theirs: dict[str, Tensors], family: str) -> None:
    model = model_of(family)
    found = {name: theirs[family][f"detected.{name}_head"] for name in TARGETS}
    with torch.no_grad(), lens.capture(model, "blocks.*.attn.hook_pattern") as seen:
        model(MADE.tokens)
    for name, target in TARGETS.items():
        scores = torch.stack([attention_to(each, target(MADE.tokens)) for each in seen.values()], 1)
        equal(scores, found[name], name)
        if model.config.window is None:  # a window hides the earlier copies
            assert scores.std() > 1e-3, "equal scores of all heads would show nothing"

    # The instrument leaves queries out that cannot have a target, and the detector counts them: a factor.
    length = MADE.tokens.shape[1]
    text, twice = text_scores(model, MADE.tokens, pad=-1), repeated_scores(model, MADE)
    equal(text["previous"], found["previous_token"] * length / (length - 1), "previous")
    equal(twice["duplicate"], found["duplicate_token"] * length / MADE.length, "duplicate")
    equal(twice["induction"], found["induction"] * length / MADE.length, "induction")


def test_the_figures_that_the_suite_keeps_are_still_its_figures(theirs: dict[str, Tensors]) -> None:
    for target, expected in BY_TRANSFORMERLENS.items():
        scored = theirs["llama"][f"scored.{target.__name__}_head"]
        assert scored.tolist() == pytest.approx(expected, abs=1e-6)


@families
def test_nnsight_reads_equal_activations(theirs: dict[str, Tensors], family: str) -> None:
    model = model_of(family)
    with torch.no_grad(), lens.capture(model) as seen:
        model(MADE.tokens)
    for layer in range(2):
        for place, name in (("resid", "hook_resid_post"), ("attn", "hook_attn_out"), ("mlp", "hook_mlp_out")):
            point = f"blocks.{layer}.{name}"
            equal(seen[point], theirs[family][f"nnsight.{place}.{layer}"], f"{point} by nnsight")
