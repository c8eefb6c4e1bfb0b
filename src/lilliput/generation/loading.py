"""Loading: a text generator from a run, a checkpoint or a Hugging Face folder, and the short forms over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lilliput.base.errors import ConfigError, ModelError
from lilliput.base.machine import can_compile, choose_device
from lilliput.base.reading import inner, read_object
from lilliput.base.registered import OneOf
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.compiled import compiled
from lilliput.decoding.ends import ends_of, not_taken
from lilliput.decoding.int8 import quantised
from lilliput.decoding.merged_steps import MergedSteps
from lilliput.decoding.native import Weights, bf16_by, native, unnamed, why_not
from lilliput.generation.text_generator import Faster, TextGenerator
from lilliput.model.huggingface import OWN, from_huggingface, read_config
from lilliput.model.lora import adapted
from lilliput.model.stock_heads import has_head, read_head
from lilliput.objectives.objective import OBJECTIVES, ObjectiveConfig
from lilliput.runs.finding import model_folder

if TYPE_CHECKING:
    from lilliput.model.transformer import Model


def load(
    path: str | Path,
    device: str = "auto",
    notify: Callable[[str], None] = print,
    int8: bool = False,
    compile: bool | None = None,
) -> TextGenerator:
    """Load a TextGenerator from a run's name or folder, a checkpoint, or a Hugging Face folder of a supported class.

    `int8` converts the matrices to int8 (CPU only; a text may differ). `compile` selects the code of the generation
    steps. True compiles the steps, in C++ on a CPU and by torch.compile elsewhere; with torch.compile the first text
    takes a minute. False uses PyTorch. None uses C++ where this is possible. A damaged checkpoint is reported through
    `notify`, and the checkpoint before it is used. Raises CheckpointError, ModelError, or ConfigError where the steps
    cannot be compiled."""
    folder = model_folder(path, notify)
    generator = load_folder(folder, device, notify, int8, compile)
    if asked := not_taken(folder):
        notify(f"generation_config.json asks for {', '.join(asked)}; to use these settings, give them as options")
    return generator


def load_folder(
    folder: Path,
    device: str = "auto",
    notify: Callable[[str], None] = lambda text: None,
    int8: bool = False,
    compile: bool | None = None,
) -> TextGenerator:
    """Load a model folder that was found already, as `load` does. Nothing is printed unless `notify` is given."""
    model = from_huggingface(folder, notify).to(choose_device(device)).eval()
    objective = objective_of(folder)
    model = quantised(model) if int8 else model
    tokenizer = Tokenizer.load(folder)
    return TextGenerator(model, tokenizer, objective, faster(model, notify, compile), ends_of(folder, tokenizer))


def objective_of(folder: Path) -> ObjectiveConfig:
    """The objective that trained the model in a folder. Where config.json names none it is "causal", or the objective
    of the folder's head. Raises ModelError."""
    raw = read_object(folder / "config.json")
    try:
        if values := inner(raw, OWN).get("objective"):
            return cast(ObjectiveConfig, OneOf(OBJECTIVES).build(values))
        found = cast(ObjectiveConfig, OneOf(OBJECTIVES).build(_objective_of_head(folder, raw)))
        return found.fitted(read_config(folder)[0])
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'}: its objective cannot be used: {error}") from None


def _objective_of_head(folder: Path, raw: Mapping[str, Any]) -> Any:
    """The objective of a folder that names none."""
    config, _ = read_config(folder)
    head = read_head(folder, config) if has_head(raw) else None
    if head is None:
        return {"decoder": "causal", "encoder": "masked", "encoder-decoder": "text_to_text"}[config.family]
    if head.each:
        return {"kind": "tag", "labels": head.labels}
    if head.outputs == 1 and config.causal:
        return "reward"
    return {"kind": "classify", "labels": () if head.outputs == 1 else head.labels}


def faster(
    model: Model, notify: Callable[[str], None], compile: bool | None = None, weights: Weights = "own"
) -> Faster | None:
    """How `compile` is done for this model on its device. A model with an adapter in training is merged for it. With
    weights="bf16", native steps compute with bf16 weights where there are instructions for them. Raises ConfigError
    where it cannot be."""
    if adapted(model):
        return partial(MergedSteps, faster=lambda plain: (faster(plain, notify, compile, weights) or _as_it_is)(plain))
    reason = why_not(model)
    if compile and reason and not can_compile(next(model.parameters()).device):
        raise ConfigError(f"this machine cannot compile: {reason}", "install g++, or leave --compile out")
    if compile is False or (reason and not compile):
        if compile is None and model.config.family == "encoder-decoder":
            notify("native steps are not used for a decoder with an encoder, and PyTorch's operators compute")
        elif compile is None and model.config.causal and (why := unnamed(model)):  # an encoder generates nothing
            notify(f"native steps are not used, and PyTorch's operators compute: {'; '.join(why)}")
        return None
    if reason:
        return compiled
    weights = "own" if weights == "bf16" and bf16_by() is None else weights
    return partial(native, weights=weights) if compile else partial(_native_or_not, notify, weights)


def _as_it_is(model: Model) -> Model:
    return model


def _native_or_not(notify: Callable[[str], None], weights: Weights, model: Model) -> Model:
    try:
        return native(model, weights)
    except ConfigError as error:
        notify(f"{error.message}; PyTorch's steps are used")
        return model


def chat(
    path: str | Path,
    messages: Sequence[Mapping[str, str]],
    *,
    device: str = "auto",
    notify: Callable[[str], None] = print,
    **options: Any,
) -> str:
    """The reply of the model at `path` to a conversation; a short form of `load(path).chat(...)`.

    >>> lilliput.chat("my-chat-model", [{"role": "user", "content": "Who are you?"}], temperature=0)

    Raises ConfigError for a model without a chat template, and for messages that the template does not take."""
    return load(path, device, notify).chat(messages, **options)
