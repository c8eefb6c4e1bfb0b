"""Backends deny: whatever is changed of a model, each backend computes the same logits or refuses with a reason."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lilliput.assembly import assembly
from lilliput.base import machine
from lilliput.base.errors import LilliputError, ModelError
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding import compiled as compiled_steps
from lilliput.decoding import int8, native, speculative
from lilliput.decoding.cache import KVCache
from lilliput.decoding.decode import generate
from lilliput.decoding.sampling import SamplingConfig
from lilliput.formats.format import Format, logits_of
from lilliput.formats.gguf_format import Gguf
from lilliput.formats.llama2c import Llama2c
from lilliput.formats.source import Source
from lilliput.model import huggingface
from lilliput.model.attention import Attention
from lilliput.model.config import EXPERTS, ZOO, ModelConfig
from lilliput.model.huggingface import from_huggingface, read_back, to_huggingface
from lilliput.model.lora import AdapterConfig, LoraLinear, Piece
from lilliput.model.parts import ATTENTIONS, Linear
from lilliput.model.transformer import Model
from lilliput.training.compiled import Compiled
from tests.model.families import GPT, T5, read, source, stir

SIZE: dict[str, Any] = {"d_model": 48, "n_layers": 2, "n_heads": 4, "d_mlp": 80, "vocab_size": 330}
SIZE |= {"context_length": 16, "init": "normal"}
BASES: dict[str, dict[str, Any]] = {
    "story": {},
    "llama": {"qk_norm": False},
    "pythia": {**GPT, "residual": "parallel", "rotary_fraction": 0.5, "bias": True},
    "gpt2": {**GPT, "position": "learned", "mlp": "gelu_tanh", "bias": True},
    "t5": {**T5, "mlp": "geglu_tanh"},
}
OTHER: dict[str, tuple[Any, ...]] = {
    "style": ("story_1m", "gpt2_124m"),
    "d_model": (72, 96),
    "n_layers": (1, 3),
    "n_heads": (2, 6),
    "n_kv_heads": (1, 2),
    "d_head": (8, 20),
    "d_mlp": (36, 81),
    "vocab_size": (331, 400),
    "context_length": (12, 40),
    "causal": (False,),
    "encoder_layers": (1, 2),
    "norm": ("rms", "rms_plus_one", "layer", "layer_unbiased", "batch"),
    "norm_place": ("post", "output", "sandwich"),
    "embed_norm": (True,),
    "embed_scale": (True,),
    "token_types": (1, 2),
    "norm_eps": (1e-2, 0.3),
    "position": ("rotary", "learned", "alibi", "buckets", "none"),
    "position_buckets": (8,),
    "position_distance": (20,),
    "rope_theta": (100.0, 5e5),
    "rope_theta_window": (100.0,),
    "rope_scaling": (
        {"kind": "linear", "factor": 4.0},
        {"kind": "llama3", "factor": 8.0, "low": 1.0, "high": 4.0, "original": 8},
    ),
    "rotary_fraction": (1.0, 0.5),
    "mlp": ("swiglu", "geglu", "geglu_tanh", "gelu", "gelu_tanh", "relu2", "relu"),
    "n_experts": (4, 6),
    "experts_per_token": (1, 3),
    "d_shared": (24,),
    "normalize_routes": (False,),
    "balance": ("bias",),
    "balance_loss": (0.0, 0.3),
    "router_z_loss": (0.0, 0.5),
    "qk_norm": (True, False),
    "qk_norm_over": ("all",),
    "attention_scale": (0.5,),
    "attention": ("halved", "gated_delta"),
    "attention_layers": ((0,), (1,)),
    "window": (3, 100),
    "window_layers": ((0,), (1,), (0, 1)),
    "residual": ("sequential", "parallel", "parallel_shared", "none"),
    "bias": (True, False),
    "qkv_bias": (True,),
    "dropout": (0.5,),
    "tied_embeddings": (True,),
    "head": ("transform",),
    "unembed_bias": (True,),
    "unembed_scale": (True,),
    "init": ("normal", "scaled", "zero_out"),
}
"""Other legal values of every field."""
Logits = Callable[[], torch.Tensor]


class Refused(Exception):
    """A backend refused, with the reasons that it lists."""


class Halved(Attention):
    """Another kind of attention: half of what "full" adds."""

    def forward(self, x, position, tables, seen, cache, layer):
        return super().forward(x, position, tables, seen, cache, layer) / 2


@pytest.fixture(autouse=True)
def _another_kind_of_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ATTENTIONS, "_entries", {**ATTENTIONS._entries, "full": ATTENTIONS["full"], "halved": Halved})


def made(base: str, **changes: Any) -> Model:
    if changes.keys() & {"window_layers", "rope_theta_window"}:  # legal beside a window alone
        changes["window"] = 3
    if changes.keys() & {"position_buckets", "position_distance"}:  # legal with buckets alone
        changes["position"] = "buckets"
    if "attention_layers" in changes:  # legal beside another kind of attention alone
        changes["attention"] = "gated_delta"
    if changes.keys() & {*EXPERTS}:  # legal with experts alone, which have no biases
        changes = {"mlp": "experts", "n_experts": 4, "bias": False, **changes}
    return stir(Model(ModelConfig(**{**SIZE, **BASES[base], **changes})))


def ids_of(model: Model) -> torch.Tensor:
    return torch.randint(0, 330, (2, 12), generator=torch.Generator().manual_seed(1))


def steps(model: Model, ids: torch.Tensor) -> torch.Tensor:
    """Logits of every position: a prompt of four tokens, and then token by token."""
    cache, found, at = KVCache(model.config, len(ids), ids.shape[1]), [], 0
    with torch.inference_mode():
        for new in (4, *[1] * (ids.shape[1] - 4)):
            found.append(model.logits(read(model, ids[:, at : at + new], cache=cache)))
            cache.advance(new)
            at += new
    return torch.cat(found, 1)


def apart(rough: torch.Tensor, exact: torch.Tensor, config: ModelConfig) -> float:
    """The size of the difference of logits (B, T, V) over the size of the logits. With experts it is the median over
    positions, because where two experts are nearly as probable, rounded numbers choose the other one."""
    if not config.n_experts:
        return float((rough - exact).norm() / exact.norm())
    return float(((rough - exact).norm(dim=-1) / exact.norm(dim=-1)).median())


# ---------------------------------------------------------------------------- the backends


class Backends:
    """Each takes a model and gives a function that computes its logits, or raises Refused."""

    def __init__(self, place: Path, tokenizers: dict[str, Tokenizer]):
        self.place, self.tokenizers = place, tokenizers

    def folder(self, model: Model) -> Logits:
        """Our reader, of a stock folder or one of our own."""
        folder = self.place / "folder"
        try:
            to_huggingface(model, folder)
            read_back(model, folder)
        except LilliputError as error:
            assert huggingface.refuses(model)
            raise Refused(error.message) from None
        return lambda: plain(from_huggingface(folder))

    def transformers(self, model: Model) -> Logits:
        """The stock class itself."""
        if reasons := huggingface.refuses(model):
            raise Refused("; ".join(reasons))
        transformers = pytest.importorskip("transformers")
        to_huggingface(model, self.place / "stock")
        kinds = {"decoder": "CausalLM", "encoder": "MaskedLM", "encoder-decoder": "Seq2SeqLM"}
        auto = getattr(transformers, f"AutoModelFor{kinds[model.config.family]}")
        theirs = auto.from_pretrained(self.place / "stock", dtype=torch.float32).eval()
        if model.encoder is None:
            return lambda: theirs(ids_of(model)).logits
        given = {"input_ids": source().tokens, "attention_mask": torch.arange(9) < source().lengths[:, None]}  # pyright: ignore
        return lambda: theirs(**given, decoder_input_ids=ids_of(model)).logits

    def native(self, model: Model) -> Logits:
        if reason := native.why_not(model):
            raise Refused(reason)
        fast = native.native(model)
        return lambda: steps(fast, ids_of(model))

    def compiled(self, model: Model) -> Logits:
        fast = compiled_steps.compiled(model)
        return lambda: steps(fast, ids_of(model))

    def blocks(self, model: Model) -> Logits:
        """Blocks that are compiled for training."""
        view: Any = Compiled(model)
        return lambda: view.logits(read(view, ids_of(model)))

    def kernels(self, model: Model) -> Logits:
        def logits() -> torch.Tensor:
            with torch.enable_grad():
                return model.logits(read(model, ids_of(model))).detach()

        return logits

    def draft(self, model: Model) -> Logits:
        """Greedy ids in place of logits, which `expected` gives for it."""
        greedy = SamplingConfig(temperature=0, max_tokens=6)

        def ids() -> torch.Tensor:
            return torch.tensor(speculative.speculate(model, model, [1, 2, 3], greedy).ids)

        return ids

    def gguf(self, model: Model) -> Logits:
        pytest.importorskip("gguf")
        return self._file(Gguf(), model, self.tokenizers["qwen2"])

    def llama2c(self, model: Model) -> Logits:
        return self._file(Llama2c(), model, self.tokenizers["sentencepiece"])

    def _file(self, format_: Format, model: Model, tokenizer: Tokenizer) -> Logits:
        source = Source(model, tokenizer, "m")
        if reasons := format_.refuses(model):
            raise Refused("; ".join(reasons))
        file = format_.write(source, self.place / f"m{format_.suffix}", "f32")[0]
        logits, back = format_.reopened(file)[0], torch.argsort(format_.order(source))
        return lambda: logits(back[ids_of(model)])[..., back]


EXACT = ("folder", "transformers", "native", "compiled", "blocks", "kernels", "gguf", "llama2c")
LIVE = ("native", "compiled", "blocks", "kernels")
"""Backends that work beside the model, so that a change to it after they were built has to be seen."""


@pytest.fixture
def backends(tmp_path: Path, tokenizers: dict[str, Tokenizer], monkeypatch: pytest.MonkeyPatch) -> Backends:
    """torch.compile is left out: what it does to code is its own; what is tested is what is handed to it."""
    if machine.compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)
    return Backends(tmp_path, tokenizers)


def plain(model: Model) -> torch.Tensor:
    with torch.no_grad():
        return model.logits(read(model, ids_of(model)))


def computed(backends: Backends, name: str, model: Model) -> bool:
    """Whether the backend computes this model; the same logits, then."""
    try:
        logits = getattr(backends, name)(model)
    except Refused:
        return False
    # A GGUF file names no form of GELU: its readers take one form for each class, as Gguf.notes states.
    atol = 5e-3 if name == "gguf" and model.config.mlp.startswith("gelu") else 3e-4
    torch.testing.assert_close(logits(), plain(model), atol=atol, rtol=1e-3, msg=lambda text: f"{name}: {text}")
    return True


def nearly(model: Model) -> bool:
    """Whether int8 weights compute this model, as far as rounding allows: an error of a twentieth of the logits. Native
    steps with bf16 weights compute it as well then."""
    if reasons := int8.refuses(model):
        with pytest.raises(LilliputError) as caught:
            int8.quantised(model)
        assert reasons[0] in caught.value.message
        return False
    exact, small = plain(model), int8.quantised(model)
    swift = native.why_not(small) is None
    assert swift == (native.why_not(model) is None)
    for rough in (plain(small), *([steps(native.native(small), ids_of(model))] if swift else [])):
        assert apart(rough, exact, model.config) < 0.05
    if swift and native.bf16_by() is not None:
        half = steps(native.native(model, "bf16"), ids_of(model))
        assert 0 < apart(half, exact, model.config) < 0.02
    return True


# ---------------------------------------------------------------------------- every field


def test_every_field_has_other_values() -> None:
    assert OTHER.keys() == ModelConfig.model_fields.keys()


@pytest.mark.parametrize("base", BASES)
def test_each_backend_computes_some_model(base: str, backends: Backends) -> None:
    model = made(base)
    able = {name for name in EXACT if computed(backends, name, model)}
    missing = {"llama": set(), "t5": {"native", "gguf", "llama2c"}}.get(base, {"llama2c"})
    assert able == set(EXACT) - missing
    assert nearly(model) or base == "t5"


PAIRS = [(base, field) for base in BASES for field in OTHER if field not in ZOO or base in ("story", "gpt2", "t5")]
"""Every field on every base; those that no style of ours has on three bases, to save time."""
SIZES = {"d_model", "n_layers", "n_heads", "d_mlp", "vocab_size", "context_length", "norm_eps", "rope_theta"}
"""Fields of which another value is computed as the first one is: one on all bases but the first."""


@pytest.mark.parametrize(("base", "field"), PAIRS)
def test_each_field_is_computed_or_refused(base: str, field: str, backends: Backends) -> None:
    for value in OTHER[field][: 1 if field in SIZES and base != "story" else None]:
        try:
            model = made(base, **{field: value})
        except ValueError:
            continue  # not legal beside the others
        for name in EXACT if model.config.causal else set(EXACT) - {"compiled"}:  # an encoder has no steps
            computed(backends, name, model)
        nearly(model)
        if model.config.family != "decoder":
            continue  # it generates no text, or no continuation
        assert (
            backends.draft(model)().tolist()
            == generate(model, [[1, 2, 3]], SamplingConfig(temperature=0, max_tokens=6))[0]
        )


# ---------------------------------------------------------------------------- every Linear


class Wrapped(nn.Module):
    """LoRA as a module around a Linear."""

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base
        self.change = nn.Parameter(0.3 * torch.randn(base.weight.shape, generator=torch.Generator().manual_seed(3)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + nn.functional.linear(x, self.change)


class Subclass(Linear):
    """LoRA as a Linear of its own."""

    def __init__(self, base: nn.Linear):
        super().__init__(base.in_features, base.out_features, base.bias is not None)
        self.load_state_dict(base.state_dict())
        self.change = nn.Parameter(0.3 * torch.randn(base.weight.shape, generator=torch.Generator().manual_seed(3)))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input) + nn.functional.linear(input, self.change)


def parametrised(base: nn.Linear) -> nn.Linear:
    """A Linear whose weight is computed."""
    torch.nn.utils.parametrizations.weight_norm(base)
    with torch.no_grad():
        base.parametrizations.weight.original0.mul_(1.5)  # pyright: ignore
    return base


def adapted(base: nn.Linear) -> nn.Linear:
    """A Linear with an adapter, as `lilliput train` attaches it."""
    assert isinstance(base, Linear)
    made = LoraLinear(base, [Piece("there", 0, base.out_features)], AdapterConfig(rank=4), seed=1)
    with torch.no_grad():
        made.lora_b.normal_(0, 0.3, generator=torch.Generator().manual_seed(3))
    return made


LINEARS = [name for name, module in made("story").named_modules() if isinstance(module, nn.Linear)]


def wrap(model: Model, name: str, how: Callable[[nn.Linear], nn.Module]) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, how(getattr(model.get_submodule(parent), last)))


@pytest.mark.parametrize("how", [Wrapped, Subclass, parametrised, adapted])
@pytest.mark.parametrize("name", LINEARS)
def test_a_wrapped_linear_is_computed_or_refused(name: str, how: Any, backends: Backends) -> None:
    model, before = made("llama"), plain(made("llama"))
    wrap(model, name, how)
    assert (plain(model) - before).abs().max() > 0.02
    assert not any(
        computed(backends, backend, model) for backend in ("folder", "transformers", "gguf", "llama2c", "native")
    )
    for backend in ("compiled", "blocks", "kernels"):
        assert computed(backends, backend, model)
    assert not nearly(model)
    assert any(name in reason for reason in native.refuses(model))


@pytest.mark.parametrize("name", LINEARS)
@pytest.mark.parametrize("backend", LIVE)
def test_a_linear_that_is_wrapped_later_is_seen(backend: str, name: str, backends: Backends) -> None:
    model = made("story")
    logits = getattr(backends, backend)(model)
    logits()
    wrap(model, name, Wrapped)
    torch.testing.assert_close(logits(), plain(model), atol=3e-4, rtol=1e-3)


def test_the_loss_of_a_wrapped_or_hooked_head_is_that_of_its_logits() -> None:
    model, ids = made("story"), ids_of(made("story"))
    targets, weights = ids.roll(-1, 1), torch.rand(ids.shape, generator=torch.Generator().manual_seed(0))

    def same() -> None:
        each = nn.functional.cross_entropy(plain(model).transpose(1, 2), targets, reduction="none")
        torch.testing.assert_close(model.loss(model(ids), targets, weights), (each * weights).sum())

    same()
    handle = model.get_submodule("unembed").register_forward_hook(lambda *given: given[2] * 0.5)
    same()
    handle.remove()
    wrap(model, "unembed", Wrapped)
    same()


def test_weights_that_were_replaced_are_read_anew() -> None:
    if machine.compiler() is None:
        pytest.skip("no C++ compiler")
    model = made("story")
    fast = native.native(model)
    steps(fast, ids_of(model))
    model.blocks[0].mlp.down.weight = nn.Parameter(2 * model.blocks[0].mlp.down.weight.detach())  # pyright: ignore
    torch.testing.assert_close(steps(fast, ids_of(model)), plain(model), atol=3e-4, rtol=1e-3)


# ---------------------------------------------------------------------------- every hook


def halve(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output * 0.5


def halve_before(module: nn.Module, inputs: Any) -> Any:
    return (inputs[0] * 0.5, *inputs[1:]) if inputs[0].is_floating_point() else None


HOOKED = [name for name, _ in made("story").named_modules()]


@pytest.mark.parametrize("before", [False, True], ids=["forward", "pre"])
@pytest.mark.parametrize("backend", [*EXACT, "int8"])
def test_a_hook_is_computed_or_refused(backend: str, before: bool, backends: Backends) -> None:
    for base in ("story", "gpt2"):
        model = made(base)
        for name, module in model.named_modules():
            handle = module.register_forward_pre_hook(halve_before) if before else module.register_forward_hook(halve)
            assert any(name in reason for reason in native.refuses(model))
            if backend == "int8":
                assert not nearly(model)
            else:
                computed(backends, backend, model)
            handle.remove()


@pytest.mark.parametrize("before", [False, True], ids=["forward", "pre"])
@pytest.mark.parametrize("backend", LIVE)
def test_a_hook_that_is_set_later_is_seen_while_it_is_there(
    backend: str, before: bool, backends: Backends, capsys
) -> None:
    model = made("story")
    logits, clean = getattr(backends, backend)(model), plain(model)
    for _, module in model.named_modules():
        handle = module.register_forward_pre_hook(halve_before) if before else module.register_forward_hook(halve)
        torch.testing.assert_close(logits(), plain(model), atol=3e-4, rtol=1e-3)
        handle.remove()
    torch.testing.assert_close(logits(), clean, atol=3e-4, rtol=1e-3)
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == (0 if backend == "kernels" else 1)
    assert backend == "kernels" or ("step aside" in printed[0] and "a hook on" in printed[0])


def test_a_hook_that_zeroes_the_stream_is_seen_by_native_steps(capsys) -> None:
    if machine.compiler() is None:
        pytest.skip("no C++ compiler")
    model = made("story")
    fast = native.native(model)
    before = steps(fast, ids_of(model))
    handle = model.hooks["blocks.0.hook_resid_post"].register_forward_hook(lambda *given: torch.zeros_like(given[2]))
    after = steps(fast, ids_of(model))
    assert (after - before).abs().max() > 0.1
    torch.testing.assert_close(after, plain(model), atol=3e-4, rtol=1e-3)
    assert capsys.readouterr().err.count("a hook on blocks.0.hook_resid_post") == 1
    handle.remove()
    assert torch.equal(steps(fast, ids_of(model)), before)


def test_a_hook_that_only_looks_may_be_saved(tmp_path: Path) -> None:
    model, seen = made("story"), []
    model.hooks["blocks.0.hook_resid_post"].register_forward_hook(lambda *given: seen.append(given[2].shape))
    to_huggingface(model, tmp_path)
    assert seen
    assert torch.equal(logits_of(from_huggingface(tmp_path))(ids_of(model)), plain(model))


# ---------------------------------------------------------------------------- a field of tomorrow


class Tomorrow(ModelConfig):
    """ModelConfig with a field that no backend knows."""

    softcap: float | None = None


@pytest.fixture
def softcapped(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model whose attention computes the new field, as if Attention itself had been edited: scores are capped."""
    from lilliput.model import attention

    class Functional:
        dropout = staticmethod(nn.functional.dropout)

        @staticmethod
        def scaled_dot_product_attention(q, k, v, attn_mask=None, scale=1.0, **others):
            scores = scale * q @ k.transpose(-2, -1)
            scores = 0.05 * torch.tanh(scores / 0.05)
            past = k.shape[-2] - q.shape[-2]
            if attn_mask is None:
                attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(past)
            return scores.masked_fill(~attn_mask, -math.inf).softmax(-1) @ v

    monkeypatch.setattr(attention, "F", Functional)
    return stir(Model(Tomorrow(**SIZE, softcap=0.05)))


def test_a_field_that_is_added_later_is_refused_by_every_backend(softcapped: Model, backends: Backends, capsys) -> None:
    assert (plain(softcapped) - plain(stir(Model(Tomorrow(**SIZE))))).abs().max() == 0  # the edit caps either way
    assert not huggingface.stock_of(softcapped.config)
    reason = "softcap=0.05 (an unknown field)"
    for reasons in (
        huggingface.refuses(softcapped),
        native.refuses(softcapped),
        int8.refuses(softcapped),
        compiled_steps.refuses(softcapped),
        speculative.refuses(softcapped, softcapped),
        Gguf().refuses(softcapped),
        Llama2c().refuses(softcapped),
    ):
        assert any(reason in one for one in reasons)
    for name in ("compiled", "blocks", "kernels"):
        assert computed(backends, name, softcapped)
    assert "compiled steps step aside" in capsys.readouterr().err
    assert not nearly(softcapped)
    greedy = SamplingConfig(temperature=0, max_tokens=6)
    texts = speculative.speculate(softcapped, softcapped, [1, 2], greedy)
    assert (texts.ids, texts.drafted) == (generate(softcapped, [[1, 2]], greedy)[0], 0)


def test_a_field_that_is_added_later_is_saved_and_read(softcapped: Model, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(huggingface, "ModelConfig", Tomorrow)
    to_huggingface(softcapped, tmp_path)
    read_back(softcapped, tmp_path)
    assert from_huggingface(tmp_path).config == softcapped.config
    assert (
        "softcap=0.05 (an unknown field)"
        in huggingface.read_object(tmp_path / "config.json")["lilliput"]["no_stock_class"][0]
    )


def test_reading_a_stock_folder_keeps_the_fields_that_the_class_cannot_hold(tmp_path: Path, monkeypatch) -> None:
    """A folder that an earlier version wrote as Qwen3 although it has such a field."""
    model = made("story")
    to_huggingface(model, tmp_path)
    monkeypatch.setattr(huggingface, "ModelConfig", Tomorrow)
    file = tmp_path / "config.json"
    raw = json.loads(file.read_text())
    raw["lilliput"]["config"]["softcap"] = 0.05
    for edit in ({}, {"rms_norm_eps": 1e-3}):  # as it was written, and with a stock key edited by hand
        file.write_text(json.dumps(raw | edit))
        read: Any = from_huggingface(tmp_path).config
        assert read.softcap == 0.05
        assert read.norm_eps == edit.get("rms_norm_eps", 1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: setattr(model.blocks[1].attn, "eps", 0.5), "blocks.1.attn.eps=0.5"),
        (lambda model: setattr(model.blocks[0].ln1, "eps", 0.5), "blocks.0.ln1.eps=0.5"),
        (lambda model: setattr(model.blocks[0].attn, "q_norm", None), "blocks.0.attn.q_norm is missing"),
        (lambda model: model.blocks[0].register_parameter("scale", nn.Parameter(torch.ones(1))), "blocks.0.scale"),
        (lambda model: model.blocks[0].mlp.add_module("gate", nn.ReLU()), "blocks.0.mlp.gate (ReLU)"),
        (lambda model: setattr(model.blocks[0].attn, "forward", lambda x, *rest: x), "blocks.0.attn has a forward"),
        (lambda model: model.position.cos.mul_(0.5), "position.cos holds other numbers"),
        (lambda model: setattr(model, "unembed", None), "unembed is missing"),
        (lambda model: setattr(model.embed, "max_norm", 1.0), "embed.max_norm=1.0"),
    ],
)
def test_what_was_changed_by_hand_is_named(change: Any, reason: str, tmp_path: Path) -> None:
    model = made("story")
    change(model)
    for reasons in (huggingface.refuses(model), native.refuses(model), int8.refuses(model), Gguf().refuses(model)):
        assert any(one.startswith(reason) for one in reasons), reasons
    with pytest.raises(LilliputError, match="no folder can hold this model"):
        to_huggingface(model, tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


# ---------------------------------------------------------------------------- what was written is read back


def damage_a_weight(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.down_proj.weight"][3, 4] += 1e-6
    save_file(tensors, folder / "model.safetensors")


def damage_the_config(folder: Path) -> None:
    raw = json.loads((folder / "config.json").read_text())
    raw["rms_norm_eps"] = raw["lilliput"]["config"]["norm_eps"] = 0.1
    (folder / "config.json").write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_a_weight, "read back: 1 of 19 tensors differ, first blocks.1.mlp.down.weight"),
        (damage_the_config, "read back, is another model: logits differ by"),
    ],
)
def test_a_folder_that_holds_another_model_is_no_checkpoint(
    damage: Any, words: str, tmp_path: Path, monkeypatch
) -> None:
    model = made("story")
    to_huggingface(model, tmp_path / "good")
    read_back(model, tmp_path / "good")

    def damaged(model: Model, folder: Path, **given: Any) -> None:
        to_huggingface(model, folder)
        damage(folder)

    monkeypatch.setattr(assembly, "to_huggingface", damaged)
    run: Any = SimpleNamespace(
        model=model,
        objective=SimpleNamespace(model_dump=lambda mode: {"kind": "causal"}),
        recipe=SimpleNamespace(name="r", adapter=None),
        tokenizer=SimpleNamespace(marks={}, chat_template=None),
        learner=SimpleNamespace(stock_head=lambda: None),
    )
    with pytest.raises(ModelError, match=words):
        assembly.Assembly.write_model(run, tmp_path / "bad")


def test_a_diverged_model_is_still_saved(tmp_path: Path) -> None:
    model = made("story")
    with torch.no_grad():
        model.embed.weight[3] = torch.nan
    to_huggingface(model, tmp_path)
    read_back(model, tmp_path)
