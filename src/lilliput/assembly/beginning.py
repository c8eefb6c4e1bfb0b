"""Beginning: the model that a run begins with: new weights or a trained model's, what of it is trained, and its own
copy for reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from lilliput.assembly.recipe import Recipe
from lilliput.base.config import validate
from lilliput.base.errors import CheckpointError, ConfigError, LilliputError
from lilliput.base.files import read_json, sha256
from lilliput.data.source import hash_of
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.loading import load_folder
from lilliput.model.config import ModelConfig
from lilliput.model.huggingface import from_huggingface
from lilliput.model.lora import attach
from lilliput.model.resize import resized
from lilliput.model.selection import freeze
from lilliput.model.transformer import Model
from lilliput.objectives.workshop import Reference
from lilliput.runs import checkpoint
from lilliput.runs.finding import model_folder
from lilliput.runs.names import ORIGIN, STATE
from lilliput.training.callbacks import Callback


@dataclass(frozen=True, slots=True)
class Origin:
    """The weights that a run began with: their model folder, and the SHA-256 of model.safetensors there (of all files
    together where there are several)."""

    path: str
    sha256: str

    @classmethod
    def of(cls, folder: Path) -> Origin:
        """The origin that this folder is now."""
        files = sorted(folder.glob("*.safetensors"))
        hashes = [sha256(file) for file in files]
        return cls(str(folder), hashes[0] if len(hashes) == 1 else hash_of(*hashes))


def check_models(recipe: Recipe) -> None:
    """Raise CheckpointError for a model that the objective is to load and that does not exist."""
    for setting, path in recipe.objective.models.items():
        try:
            model_folder(path, lambda text: None)
        except CheckpointError as error:
            raise CheckpointError(f"{setting}: {error.message}", error.hint) from None


class KeptOrigin(Callback):
    """Keeps the origin in each checkpoint, under its hash."""

    key = ORIGIN

    def __init__(self, origin: Origin | None):
        self.origin = origin

    def state(self) -> dict[str, Any]:
        return asdict(self.origin) if self.origin else {}


class Beginning:
    """The beginning of one run. `resume_from` is the checkpoint that the run goes on from. Raises CheckpointError where
    the run begins and there is no model at `init.from`."""

    def __init__(
        self, recipe: Recipe, device: torch.device, notify: Callable[[str], None], resume_from: Path | None = None
    ):
        self.recipe, self.device, self.notify, self.resume_from = recipe, device, notify, resume_from
        self.source = recipe.init.from_
        self.origin = self._origin()
        self.tokenizer: Tokenizer | None = None

    def model(self, tokenizer: Tokenizer) -> Model:
        """Return the model in training on the run's device, with its frozen parts or its adapter, and a row for each of
        the run's tokens. Raises ModelError where the weights cannot be read, and CheckpointError for a resumed adapter
        whose base is another than before."""
        recipe, self.tokenizer = self.recipe, tokenizer
        model = self._first(tokenizer).to(self.device)
        model.recompute = recipe.train.activation_checkpointing
        total = sum(parameter.numel() for parameter in model.parameters())
        if recipe.train.freeze:
            frozen = freeze(model, recipe.train.freeze)
            self.notify(f"frozen: {frozen:,} of {total:,} parameters ({', '.join(recipe.train.freeze)})")
        if recipe.adapter is not None:
            trained = attach(model, recipe.adapter, recipe.seed)
            rank = recipe.adapter.rank
            self.notify(f"an adapter of rank {rank} is trained: {trained:,} parameters beside {total:,} that stay")
        return model

    def initial(self) -> Reference:
        """Return the model that the run began with, frozen and in evaluation mode, the same before and after a resume.
        Raises ConfigError where the run began from nothing, or where those weights are gone or have changed."""
        if self.source is None or self.tokenizer is None:
            raise ConfigError(
                "this run begins with new weights, so there is no earlier model to compare it with",
                "begin with a trained model: --from RUN",
            )
        if problem := self._changed():
            raise ConfigError(
                f"the model that this run began with is needed, and {problem}",
                "put it back; or train anew from a model that stays: --from RUN --name NEW",
            )
        folder = Path(self.source)
        loaded = load_folder(folder, str(self.device))
        model = (
            self._fitted(loaded.model, self.tokenizer, lambda text: None).to(self.device).eval().requires_grad_(False)
        )
        modules = checkpoint.read_modules(folder.parent, str(self.device))
        return Reference(model, self.tokenizer, loaded.objective, modules)

    def summary(self) -> dict[str, Any]:
        """Return the origin for summary.json; nothing for a run that began from nothing."""
        return {"init": {"from": self.origin.path, "sha256": self.origin.sha256}} if self.origin else {}

    # ------------------------------------------------------------------ what is read, and what it has to be

    def _origin(self) -> Origin | None:
        """Return the origin as the checkpoint keeps it, or as it is now in a run that begins."""
        if self.source is None:
            return None
        if self.resume_from is not None:
            kept = read_json(self.resume_from / "trainer" / STATE)["callbacks"].get(ORIGIN)
            if kept:
                return Origin(**kept)
        return Origin.of(model_folder(self.source, self.notify))

    def _changed(self) -> str | None:
        """Why the source is no longer the origin of this run; None where it is."""
        assert self.source is not None
        try:
            now = Origin.of(model_folder(self.source, lambda text: None))
        except LilliputError as error:
            return error.message
        assert self.origin is not None
        return None if now.sha256 == self.origin.sha256 else f"{self.source} holds other weights now"

    def _first(self, tokenizer: Tokenizer) -> Model:
        """Return a plain model: new, or the source's. A run that goes on and trains its own weights takes the shape of
        its checkpoint, so that the source may be gone."""
        recipe = self.recipe
        if self.source is None:
            config = recipe.model.model_copy(update={"vocab_size": tokenizer.vocab_size})
            return Model(config, seed=recipe.seed)
        if self.resume_from is not None and recipe.adapter is None:
            return self._fitted(from_huggingface(self.resume_from / "model"), tokenizer, self.notify)
        if self.resume_from is not None and (problem := self._changed()):
            raise CheckpointError(
                f"the adapter in {self.resume_from} stands on another model: {problem}",
                "put the model back that the adapter was trained on; the merged model is in the checkpoint's model/",
            )
        self.notify(f"weights from {self.source}")
        return self._fitted(from_huggingface(self.source, self.notify), tokenizer, self.notify)

    def _fitted(self, model: Model, tokenizer: Tokenizer, notify: Callable[[str], None]) -> Model:
        """Return the model with the recipe's context length and dropout, and a row for each token."""
        old, new = model.config.vocab_size, tokenizer.vocab_size
        if new > old:
            if self.recipe.adapter is not None:
                raise ConfigError(
                    f"the tokenizer has {new:,} tokens, and the model rows for {old:,}: an adapter trains no new rows",
                    "train in full first, which adds and learns them, and the adapter then from that run",
                )
            head = "embedding" if model.config.tied_embeddings else "embedding and the head"
            notify(
                f"the vocabulary grows from {old:,} to {new:,} tokens: the {head} get {new - old:,} rows near the mean "
                "of the old ones"
            )
        wanted = self.recipe.model
        changes = {"vocab_size": max(old, new), "context_length": wanted.context_length, "dropout": wanted.dropout}
        config = validate(ModelConfig, {**model.config.model_dump(), **changes}, "the section model")
        return model if config == model.config else resized(model, config, self.recipe.seed)
