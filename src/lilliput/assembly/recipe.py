"""Recipe: the one YAML file that defines a whole run, as typed config."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, model_validator

from lilliput.assembly.origin import InitConfig, begins_from, with_origin
from lilliput.base.config import Config, flatten, merge, override, read_yaml, validate
from lilliput.base.damage import set_aside
from lilliput.base.differences import differing
from lilliput.base.errors import CheckpointError, ConfigError, DataError, nearest
from lilliput.base.files import write_text
from lilliput.base.registered import OneOf
from lilliput.base.shipped import shipped
from lilliput.data.config import DataConfig, TokenizerConfig
from lilliput.data.infer import infer_sources
from lilliput.data.token_files import with_tokenizer
from lilliput.data.tokenizer_files import find as find_tokenizer
from lilliput.evaluation.config import EvaluateConfig
from lilliput.model.config import ModelConfig
from lilliput.model.lora import AdapterConfig
from lilliput.objectives.causal import Causal
from lilliput.objectives.known import objective_of
from lilliput.objectives.objective import OBJECTIVES, ObjectiveConfig
from lilliput.runs.finding import find, model_folder
from lilliput.runs.run_folder import RunFolder
from lilliput.training.config import TrainConfig

OTHER_TEXT: dict[str, Any] = {"data": {"packing": "auto"}, "tokenizer": {"vocab_size": 2048}}
"""Values of a shipped recipe for text of the user's own, in place of the values for the story world. On 1 MB of text a
smaller vocabulary, whose tokens are seen more often, learns more (docs/studies/heroes.md)."""


class Recipe(Config):
    """A whole run. A recipe file holds only what differs from these defaults."""

    name: str = Field(
        default="run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="the run's name and its folder below runs/"
    )
    seed: int = Field(default=1, ge=0, description="the same seed gives the same first weights, order and samples")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:N or mps; auto: the best one there is")
    init: InitConfig = Field(default=InitConfig(), description="the weights that the run begins with")
    data: DataConfig = Field(default=DataConfig(), description="the documents and how they are packed into rows")
    tokenizer: TokenizerConfig = Field(default=TokenizerConfig(), description="how text becomes tokens")
    model: ModelConfig = Field(default=ModelConfig(), description="the parts and sizes of the model")
    adapter: AdapterConfig | None = Field(
        default=None, description="train low-rank updates (LoRA) of the model's matrices alone; null: train the model"
    )
    objective: Annotated[ObjectiveConfig, OneOf(OBJECTIVES)] = Field(
        default=Causal(), description="the form of an example and its loss"
    )
    train: TrainConfig = Field(
        default=TrainConfig(steps=1000), description="the budget, the batch, the optimiser and the saved files"
    )
    evaluate: EvaluateConfig = Field(
        default=EvaluateConfig(), description="the measurements and the generated samples during the run"
    )

    @model_validator(mode="before")
    @classmethod
    def _token_files(cls, values: Any) -> Any:
        """Token files have the run's tokenizer, unless another tokenizer is given."""
        return _with_tokenizer(values) if isinstance(values, Mapping) else values

    @model_validator(mode="before")
    @classmethod
    def _one_vocabulary(cls, values: Any) -> Any:
        """Fill in the model's vocabulary size from the tokenizer, and refuse another number."""
        if not isinstance(values, Mapping):
            return values
        tokenizer, model = values.get("tokenizer") or {}, values.get("model") or {}
        if not isinstance(tokenizer, Mapping) or not isinstance(model, Mapping) or tokenizer.get("path"):
            return values
        size = tokenizer.get("vocab_size", TokenizerConfig().vocab_size)
        given = model.get("vocab_size", size)
        if given != size:
            raise ValueError(
                f"model.vocab_size is {given} and tokenizer.vocab_size is {size}; give tokenizer.vocab_size alone"
            )
        return {**values, "model": {**model, "vocab_size": size}}

    @model_validator(mode="after")
    def _something_is_held_out(self) -> Recipe:
        if not self.data.validation_fraction:
            raise ValueError(
                "data.validation_fraction is 0, and a run is judged on held-out documents; give a share above 0: "
                "data.validation_fraction=0.01"
            )
        return self

    @model_validator(mode="after")
    def _family_fits(self) -> Recipe:
        kind, family, trains = self.objective.kind, self.model.family, self.objective.trains
        if family not in trains:
            styles = {"decoder": "story_1m", "encoder": "modernbert_1.3m", "encoder-decoder": "t5_2.5m"}
            article = {name: f"{'an' if name.startswith('e') else 'a'} {name}" for name in styles}
            raise ValueError(
                f"the objective '{kind}' trains {' or '.join(article[name] for name in trains)}, and the model is "
                f"{article[family]} (model.causal={str(self.model.causal).lower()}, "
                f"model.encoder_layers={self.model.encoder_layers}); give model.style={styles[trains[0]]}, or another "
                f"{trains[0]} of lilliput model list"
            )
        return self

    @model_validator(mode="after")
    def _objective_knows_the_model(self) -> Recipe:
        object.__setattr__(self, "objective", self.objective.fitted(self.model))
        return self

    @model_validator(mode="after")
    def _dropout_fits(self) -> Recipe:
        given = {"model.dropout": self.model.dropout, "adapter.dropout": self.adapter.dropout if self.adapter else 0}
        if found := [name for name, share in given.items() if share and not self.objective.dropout]:
            raise ValueError(
                f"the objective '{self.objective.kind}' compares the probabilities of a completion in training with "
                f"those it was drawn with, and dropout changes them: {found[0]} is {given[found[0]]:g}; give "
                f"{' '.join(f'{name}=0' for name in found)}"
            )
        return self

    @model_validator(mode="after")
    def _adapter_stands_on_weights(self) -> Recipe:
        if self.adapter is not None and self.init.from_ is None:
            raise ValueError("an adapter is trained on a trained model; name it: init.from=RUN, or --from RUN")
        if self.adapter is not None and self.train.freeze:
            raise ValueError("an adapter trains its own matrices alone: give train.freeze or adapter, not both")
        return self


def _with_tokenizer(values: Mapping[str, Any]) -> Mapping[str, Any]:
    data, tokenizer = values.get("data"), values.get("tokenizer")
    if not isinstance(data, Mapping) or not isinstance(tokenizer, Mapping):
        return values
    return {**values, "data": with_tokenizer(data, tokenizer.get("path"))}


def load(
    source: str | Path | Recipe,
    overrides: Iterable[str] = (),
    changes: Mapping[str, Any] | None = None,
    data: Sequence[str] = (),
    name: str | None = None,
    derive: Callable[[str, DataConfig], Mapping[str, Any]] | None = None,
) -> Recipe:
    """Load the recipe of a shipped name, a YAML path or a Recipe, with `changes` (nested values), then `--data` paths,
    then the values that `derive` makes of its name and its data, then `section.key=value` overrides laid over it.
    Without `name`, a run on the user's own data is named 'recipe-file'. Where `init.from` is given, model and tokenizer
    are its own (see `with_origin`). Raises ConfigError, and CheckpointError for an `init.from` that leads nowhere."""
    assignments = list(overrides)
    values, where = _values(source)
    begun = begins_from(override(merge(values, changes or {}), assignments))
    if begun and _proposes_a_model(source):
        values.pop("model", None)
    values = merge(values, changes or {})
    if data:
        sources = [source.model_dump(mode="json") for source in infer_sources(data)]
        values = merge(values, {"data": {"sources": sources}, "name": f"{values['name']}-{_stem(data[0])}"})
        values = merge(values, OTHER_TEXT if str(source) in shipped() else {})
    if derive is not None:
        if begun:
            raise ConfigError(
                f"size= and budget= choose a model, and init.from={begun} brings one",
                "give the length of the run instead: train.steps=500 or train.seconds=600",
            )
        data_section = _with_tokenizer(override(values, assignments)).get("data", {})
        values = merge(values, derive(values["name"], validate(DataConfig, data_section, where)))
    values = override(values, assignments)
    if _names_epochs(changes or {}, assignments) and "train.least_steps" not in _keys(assignments):
        values = merge(values, {"train": {"least_steps": None}})  # a person who gives the number of epochs means it
    if name:
        values["name"] = name
    return validate(Recipe, with_origin(_with_tokenizer_of_objective(values), where), where)


def _with_tokenizer_of_objective(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fill in the tokenizer of the model that the objective learns from, where the values name no tokenizer and that
    model exists. (Where it does not, the objective's own error names it.) A run that begins with a model keeps that
    model's tokenizer, unless the other one has the same tokens and a chat template beside."""
    tokenizer, objective = values.get("tokenizer") or {}, objective_of(values.get("objective"))
    if objective is None or objective.tokenizer_from is None or not isinstance(tokenizer, Mapping):
        return values
    if tokenizer.get("path"):
        return values
    from lilliput.data.tokenizer import Tokenizer  # its library takes long to import, and few recipes come here

    try:
        folder = model_folder(objective.tokenizer_from, lambda text: None)
        if begun := begins_from(values):
            theirs, own = (Tokenizer.load(each) for each in (folder, model_folder(begun, lambda text: None)))
            if own.chat_template or not theirs.chat_template or not theirs.extends(own):
                return values
    except CheckpointError:
        return values
    return {**values, "tokenizer": {**tokenizer, "path": str(folder)}}


def _values(source: str | Path | Recipe) -> tuple[dict[str, Any], str]:
    """Return the values of a recipe, and its place for errors."""
    if isinstance(source, Recipe):
        return source.model_dump(mode="json"), "the recipe"
    path = _find(str(source))
    return {"name": path.stem, **read_yaml(path)}, str(source)


def _proposes_a_model(source: str | Path | Recipe) -> bool:
    """Whether the section `model` is a proposal for new weights, which a person did not write: a shipped recipe's, or
    the defaults of a Recipe."""
    if isinstance(source, Recipe):
        return source.model == ModelConfig(vocab_size=source.model.vocab_size)
    return str(source) in shipped() and not Path(source).is_file()


def _keys(assignments: Iterable[str]) -> set[str]:
    return {assignment.partition("=")[0] for assignment in assignments}


def _names_epochs(changes: Mapping[str, Any], assignments: Iterable[str]) -> bool:
    """Whether the person gave `train.epochs`, rather than the recipe alone."""
    given = changes.get("train") or {}
    return "train.epochs" in _keys(assignments) or ("least_steps" not in given and given.get("epochs") is not None)


def _find(source: str) -> Path:
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    known = shipped()
    if source not in known:
        if source in OBJECTIVES:
            raise ConfigError(
                f"there is no recipe '{source}': it is an objective, which a recipe takes",
                f"lilliput train {_taking(source)}",
            )
        raise ConfigError(
            f"there is no recipe '{source}'{nearest(source, known)}",
            f"shipped recipes: {', '.join(known)}; or give the path of a YAML file",
        )
    return known[source]


def _taking(kind: str) -> str:
    """Return the words behind `lilliput train` for an objective: a shipped recipe that has it, else a recipe whose
    objective learns from the same kinds of documents, with the objective to put in its place."""
    kinds = {name: read_yaml(path).get("objective") or {} for name, path in shipped().items()}
    kinds = {name: str(values.get("kind", Causal().kind)) for name, values in kinds.items()}
    if own := [name for name, its in kinds.items() if its == kind]:
        return min(own, key=len)  # story rather than people
    examples = OBJECTIVES[kind].examples
    names = [name for name, its in kinds.items() if OBJECTIVES[its].examples == examples]
    return f"{min(names or ['story'], key=len)} objective={kind}"  # dpo rather than reward, story than story-reversed


def _stem(path: str) -> str:
    stem = Path(path.removeprefix("hf:")).name.split(".")[0]
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in stem).strip("-") or "data"


def run_of(path: str | Path) -> RunFolder | None:
    """Return the run that `path` is or lies in; None for a model that belongs to no run."""
    folder = find(path).resolve()
    runs = (RunFolder(place) for place in (folder, *folder.parents[:3]))
    return next((run for run in runs if run.recipe.is_file()), None)


def recipe_of(path: str | Path) -> Recipe:
    """Return the recipe of the run that `path` is or lies in. Raises ConfigError where there is no run."""
    run = run_of(path)
    if run is None:
        raise ConfigError(
            f"{path} belongs to no run, so it has no validation split", "name the text to score: --data FILES"
        )
    steps = run.steps()
    return with_own_tokenizer(load(run.recipe), run.checkpoint(steps[-1]) if steps else None)


def with_own_tokenizer(recipe: Recipe, checkpoint: Path | None) -> Recipe:
    """Return the recipe with the tokenizer in a checkpoint of its run where the tokenizer that it names is gone, as it
    is when the folder was deleted that the run began with. The checkpoint holds the same tokenizer."""
    path = recipe.tokenizer.path
    if path is None or checkpoint is None or recipe.init.from_ is None:
        return recipe
    try:
        find_tokenizer(Path(path))
    except DataError:
        tokenizer = recipe.tokenizer.model_copy(update={"path": str(checkpoint / "model")})
        return recipe.model_copy(update={"tokenizer": tokenizer})
    return recipe


def recipe_or_none(path: str | Path) -> Recipe | None:
    """Return the recipe of the run that `path` is or lies in; None for a model that belongs to no run."""
    try:
        return recipe_of(path)
    except ConfigError:
        return None


def write(recipe: Recipe, run: RunFolder) -> None:
    """Write the resolved recipe into the run folder. It holds every value, so that a later version's defaults cannot
    change a repetition of the run."""
    _write(recipe.model_dump(mode="json"), run)


def _write(values: Mapping[str, Any], run: RunFolder) -> None:
    header = f"# lilliput train {run.recipe} --name NEW repeats this run\n"
    write_text(run.recipe, header + yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))


def check_same(recipe: Recipe, run: RunFolder, kept: Mapping[str, Any] | None = None) -> None:
    """Raise CheckpointError with the keys in which an existing run's recipe differs from `recipe`. A run that failed
    before it trained may be begun again by a corrected recipe. `kept` are the values that the run's newest checkpoint
    holds under its hash. They count where they are known, and the file counts otherwise."""
    if not run.recipe.exists() or not (run.metrics.exists() or run.steps()):
        return
    old = flatten(_resolved(kept or read_yaml(run.recipe), run))
    new = flatten(recipe.model_dump(mode="json"))
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if keys:
        listed = "; ".join(
            differing(_or_not_set(old.get(key)), _or_not_set(new.get(key)), key, "{} there, {} now") for key in keys
        )
        raise CheckpointError(
            f"{run.path} holds a run of another recipe ({listed})",
            f"add --name NEW to the line, or continue the old recipe: lilliput train {shlex.quote(str(run.recipe))}",
        )


def mend(run: RunFolder, kept: Mapping[str, Any] | None, notify: Callable[[str], None]) -> None:
    """Move the run's recipe.yaml aside, and report it, where the file differs from the recipe in the newest checkpoint
    (`kept`), or cannot be read in a run without checkpoints. The checkpoint's recipe is written in its place."""
    if not run.recipe.exists():
        return
    wanted = None if kept is None else _resolved(kept, run)
    try:
        there = _resolved(read_yaml(run.recipe), run)
    except ConfigError as error:
        if kept is None and run.steps():
            raise  # no other file holds the recipe of this run, so only a person can repair it
        problem = error.message
    else:
        if there == wanted or (kept is None and there):
            return
        problem = f"{run.recipe} is {'not the recipe of its newest checkpoint' if there else 'empty'}"
    notify(f"{problem}; moved aside as {set_aside(run.recipe).name}")
    if kept is not None:
        _write(kept, run)


def _resolved(values: Mapping[str, Any], run: RunFolder) -> dict[str, Any]:
    """Return every value of a recipe, nothing for an empty file. Raises ConfigError."""
    return validate(Recipe, values, str(run.recipe)).model_dump(mode="json") if values else {}


class _NotSet:
    """Stands for None in errors."""

    def __repr__(self) -> str:
        return "not set"


def _or_not_set(value: Any) -> Any:
    return _NotSet() if value is None else value
