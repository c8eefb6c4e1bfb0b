"""Assembly: one run's dataset, model, objective, callbacks and trainer, built from its recipe."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lilliput.assembly.beginning import Beginning, KeptOrigin, check_models
from lilliput.assembly.kept_recipe import KeptRecipe
from lilliput.assembly.prompts import knows_stories, prompts_for
from lilliput.assembly.recipe import Recipe, with_own_tokenizer
from lilliput.assembly.usual import bands_of
from lilliput.base.damage import set_aside
from lilliput.base.errors import ConfigError
from lilliput.base.files import write_json
from lilliput.base.machine import allow_tf32, choose_device
from lilliput.base.reading import read_object
from lilliput.base.runtime import allocator, products
from lilliput.base.runtime.threads import configure_threads
from lilliput.base.seeds import generator
from lilliput.data.dataset import Dataset, prepare
from lilliput.data.examples import Turns
from lilliput.data.loader import Loader
from lilliput.decoding.ends import write_ends
from lilliput.evaluation.bits_per_byte import FixedSet, Score, bits_per_byte, fixed_set
from lilliput.evaluation.callbacks import Benchmarks, Evaluation, HeroesKept, SamplesThroughTime
from lilliput.evaluation.reward_hacking import RewardHacking
from lilliput.generation.live_engines import LiveEngines
from lilliput.generation.loading import faster, load
from lilliput.generation.tagging import install
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.stream import without_patterns
from lilliput.lens.watching import Watch
from lilliput.model import kernels
from lilliput.model.bounds import check_memory
from lilliput.model.experts import Experts
from lilliput.model.huggingface import from_huggingface, read_back, to_huggingface
from lilliput.model.lora import merged
from lilliput.model.lora_files import read_adapter, write_adapter
from lilliput.model.stock_heads import read_head
from lilliput.objectives.accepted import check_accepted
from lilliput.objectives.objective import Objective
from lilliput.objectives.workshop import HeldOut, Reference, Workshop
from lilliput.runs import checkpoint
from lilliput.runs.bands import Bands
from lilliput.runs.card import Trained, model_card
from lilliput.runs.finding import model_folder
from lilliput.runs.names import ADAPTER
from lilliput.runs.report import write_report
from lilliput.runs.run_folder import RunFolder
from lilliput.runs.samples_file import Sample
from lilliput.storybook.hero import hero_prompts, keeps_hero
from lilliput.training import settings
from lilliput.training.callbacks import Callback, Metrics, Rollouts
from lilliput.training.energy import EnergyMeter
from lilliput.training.expert_load import ExpertLoad
from lilliput.training.progress import LiveRun
from lilliput.training.schedule import Budget, mean_rows, step_rows
from lilliput.training.settings import Settings
from lilliput.training.trackers import TRACKERS
from lilliput.training.trainer import Trainer
from lilliput.training.usual import AsUsual


def dataset(recipe: Recipe, notify: Callable[[str], None]) -> Dataset:
    """Return the recipe's documents as token shards, from the cache or made now."""
    objective = recipe.objective
    install()  # the step `names` may ask a tagger
    return prepare(
        recipe.data,
        recipe.tokenizer,
        encode=objective.encode,
        view=objective.view,
        view_key=objective.model_dump_json(),
        seed=recipe.seed,
        notify=notify,
        specials=objective.specials,
        check=partial(check_accepted, objective),
        equip=objective.equip,
        encode_held_out=objective.encode_held_out,
    )


class Assembly:
    """The parts of one run, which goes on from the checkpoint `resume_from` where one is given. With `live` the
    terminal shows the run's progress. With `verbose` the allocator and kernels are printed first. Raises LilliputError
    for a recipe whose parts do not fit together."""

    def __init__(
        self,
        recipe: Recipe,
        run: RunFolder,
        notify: Callable[[str], None],
        *,
        resume_from: Path | None = None,
        live: bool = True,
        verbose: bool = False,
    ):
        self.recipe, self.run, self.notify, self.shows, self.verbose = recipe, run, notify, live, verbose
        self.device = choose_device(recipe.device)
        configure_threads(recipe.train.threads)
        allow_tf32(self.device)
        check_memory(recipe.model, trained=self.device.type == "cpu")
        check_models(recipe)
        self.beginning = Beginning(recipe, self.device, notify, resume_from)
        self.dataset = dataset(with_own_tokenizer(recipe, resume_from), notify)
        self.dataset.check_learned(recipe.objective.check_kinds)
        self.train_split = self.dataset.split("train")
        self.validation_split = self.dataset.split("validation")
        self.tokenizer = self.dataset.tokenizer
        self.model = self.beginning.model(self.tokenizer)
        self.objective = recipe.objective
        self._fixed_sets: dict[int | None, FixedSet] = {}
        self.generator = TextGenerator(self.model, self.tokenizer, self.objective, faster(self.model, notify))

    @cached_property
    def loader(self) -> Loader:
        return self._loader("train")

    def _loader(self, name: str, seed: int | None = None) -> Loader:
        """Return the loader of a split, and print which of its examples are cut or left out."""
        length, objective = self.model.config.context_length, self.objective
        rows = "poisson" if name == "train" and self.recipe.train.privacy is not None else objective.rows
        loader = self.dataset.loader(name, length, rows, seed, objective.reserved)
        if loader.fit is not None and loader.fit.note:
            self.notify(loader.fit.note)
        return loader

    @cached_property
    def learner(self) -> Objective:
        """Return the objective at work on the model."""
        sizes = self.tokenizer.token_bytes()
        workshop = Workshop(
            tokenizer=self.tokenizer,
            model=self.model,
            device=self.device,
            seed=self.recipe.seed,
            bytes_per_target=self.train_split.learned_bytes(sizes) / max(1, self.train_split.learned),
            load=self.reference,
            initial=self.beginning.initial,
            engine=LiveEngines(self.generator),
            ends=self.generator.turn_ends,
            notify=self.live.note if self.shows else self.notify,
        )
        return self.objective.build(workshop)

    def reference(self, path: str | Path) -> Reference:
        """Return the model at `path`, for use beside the model in training (see Workshop.load)."""
        folder = model_folder(path, self.notify)
        loaded = load(folder, self.recipe.device, self.notify)
        modules = checkpoint.read_modules(folder.parent, str(self.device))
        head = read_head(folder, loaded.model.config)
        head = None if head is None else head.to(self.device).requires_grad_(False)
        return Reference(loaded.model.requires_grad_(False), loaded.tokenizer, loaded.objective, modules, head)

    @cached_property
    def prompts(self) -> list[str]:
        """Return the prompts that are continued at each evaluation."""
        return prompts_for(self.recipe, self.validation_split, self.tokenizer, self.model.config.context_length)

    @property
    def knows_stories(self) -> bool:
        """Whether heroes can be looked for in what the model generates."""
        return knows_stories(self.recipe)

    @cached_property
    def live(self) -> LiveRun:
        return LiveRun(self.recipe.name, self.objective.figure)

    @cached_property
    def evaluation(self) -> Evaluation:
        limit = self.recipe.evaluate.tokens
        return Evaluation(self.recipe.evaluate, lambda: self.evaluate(limit), self.objective.figure)

    @cached_property
    def energy(self) -> EnergyMeter:
        return EnergyMeter()

    @cached_property
    def bands(self) -> Bands | None:
        """Return the losses that the runs of this recipe had; None where its values are not those of a shipped
        recipe."""
        bands, why = bands_of(self.recipe)
        if bands is None and self.verbose:
            self.notify(f"no band of losses: {why}")
        return bands

    def fixed_set(self, max_tokens: int | None) -> FixedSet:
        """Return the same part of the validation split every time, all of it for None."""
        if max_tokens not in self._fixed_sets:
            sizes = self.tokenizer.token_bytes()
            self._fixed_sets[max_tokens] = fixed_set(self.validation_split, sizes, max_tokens)
        return self._fixed_sets[max_tokens]

    def evaluate(self, max_tokens: int | None) -> dict[str, float]:
        """Return the objective's own figures of the present weights, on the same part of the validation split every
        time."""
        return self.learner.evaluate(self._held_out(max_tokens))

    def baselines(self, max_tokens: int | None) -> dict[str, float]:
        """Return the objective's own baselines on the same part of the validation split (see Objective.baselines)."""
        return self.learner.baselines(self.loader, self._held_out(max_tokens))

    def _held_out(self, max_tokens: int | None) -> HeldOut:
        return HeldOut(lambda: self.held_out_loader, max_tokens, lambda: self.score(max_tokens))

    @cached_property
    def held_out_loader(self) -> Loader:
        return self._loader("validation", seed=0)

    def score(self, max_tokens: int | None) -> Score:
        """Return the bits per byte of the present weights on `fixed_set(max_tokens)`."""
        return bits_per_byte(self.model, self.fixed_set(max_tokens))

    def samples(self, prompts: Sequence[str]) -> list[Sample]:
        """Generate one text from each prompt with the present weights and the recipe's sampling."""
        return [Sample.of(prompt, text) for prompt, text in zip(prompts, self._texts(prompts), strict=True)]

    def heroes_kept(self, count: int) -> float:
        """Return the share of `count` stories about named children, generated with the present weights, that keep
        their hero."""
        forwards = self.objective.reads_forwards
        prompts, heroes = zip(*hero_prompts(count, forwards), strict=True)
        texts = self._texts(prompts)
        counted = zip(texts, heroes, prompts, strict=True)
        return sum(keeps_hero(text, hero, forwards, prompt) for text, hero, prompt in counted) / count

    def _texts(self, prompts: Sequence[str]) -> list[str]:
        return self.learner.samples(prompts, self._continued)

    def _continued(self, prompts: Sequence[Turns]) -> list[str]:
        config = self.recipe.evaluate
        sampling = {"temperature": config.sample_temperature, "max_tokens": config.sample_tokens}
        return self.generator.generate_batch(prompts, window=True, **sampling)

    def write_model(self, folder: Path) -> None:
        """Write the present weights as a stock Hugging Face folder, read it back and compare it with the model. An
        adapter is merged there, and is itself written beside the folder. Raises ModelError where the folder holds
        another model."""
        model, adapter = self.model, self.recipe.adapter
        if adapter is not None:
            write_adapter(model, adapter, folder.parent / ADAPTER, str(self.recipe.init.from_))
            self.tokenizer.save(folder.parent / ADAPTER, model.config.context_length)
            model = merged(model)
        kept = {"objective": self.objective.model_dump(mode="json"), "run": self.recipe.name}
        head = self.learner.stock_head()
        to_huggingface(model, folder, **self.tokenizer.marks, extra=kept, head=head)
        if self.tokenizer.chat_template is not None:
            write_ends(folder, self.generator.turn_ends)
        read_back(model, folder, head)
        self.tokenizer.save(folder, model.config.context_length)
        objective, trained = self.objective, Trained.now(self.run, self.objective.figure)
        forwards, text = objective.reads_forwards, objective.generates
        kind, begun = self.tokenizer.kind, self.recipe.init.from_
        card = model_card(
            *(self.recipe.name, model, kind, forwards, trained),
            generates=text,
            fills=objective.asked,
            source=objective.example,
            head=head,
            begun=begun,
        )
        (folder / "README.md").write_text(card, encoding="utf-8")

    def read_model(self, folder: Path) -> None:
        """Put the weights of such a folder into the model, or those of the adapter beside it into the adapter."""
        if self.recipe.adapter is not None:
            return read_adapter(self.model, folder.parent / ADAPTER)
        self.model.load_state_dict(from_huggingface(folder).state_dict())

    def trainer(self, resume_from: Path | None, callbacks: Sequence[Callback] = ()) -> Trainer:
        """Return the trainer, ready to resume from `resume_from` with the settings that its run began with.
        `callbacks` come after the built-in callbacks."""
        recipe = self.recipe
        if self.objective.rows == "documents":
            _ = self.held_out_loader  # documents that do not fit are reported before the first step
        return Trainer(
            self.learner,
            self.loader,
            recipe.train,
            self.run,
            self._settings(resume_from),
            seed=recipe.seed,
            write_model=self.write_model,
            read_model=self.read_model,
            resume_from=resume_from,
            callbacks=[*self._callbacks(), *callbacks],
            notify=self.live.note if self.shows else self.notify,
        )

    def _settings(self, resume_from: Path | None) -> Settings:
        if self.verbose:
            self._say_what_computes()
        if resume_from is not None:
            values = checkpoint.read_state(resume_from).values["settings"]
            kept = settings.kept(values)
            configure_threads(kept.threads)
            now = settings.recorded(kept, self.device)
            if line := settings.difference(kept, now):
                self.notify(line)
            self._write_settings(now, values)
            return now
        train = self.recipe.train
        rows = step_rows(train, self.loader.row_tokens)
        shape = self.loader.row_tokens, self.loader.rows_per_epoch
        budget = Budget.of(train, *shape)
        bound = budget.steps != Budget.of(train.model_copy(update={"epochs": None}), *shape).steps
        if train.epochs is not None and (bound or budget.steps == train.least_steps):
            self._say_how_often(budget)
        chosen = settings.choose(
            train,
            self.model,
            self.learner,
            lambda: self.learner.batch(self.loader.take(0, rows), generator(self.recipe.seed, "settings")),
            budget,
            self.notify,
        )
        chosen = settings.recorded(chosen, self.device)
        write_json(self.run.settings, asdict(chosen))
        return chosen

    def _write_settings(self, now: Settings, kept: Mapping[str, Any]) -> None:
        """Write settings.json of a resumed run. A file that holds neither these settings nor the checkpoint's (`kept`)
        is damaged: it is moved aside and reported."""
        path, wanted = self.run.settings, json.loads(json.dumps(asdict(now)))
        try:
            there = read_object(path) if path.exists() else None
        except ValueError as error:
            there, problem = {}, f"is damaged ({error})"
        else:
            problem = "holds other settings than the newest checkpoint"
        if there == wanted:
            return
        if there is not None and there != kept:
            self.notify(f"{path} {problem}; moved aside as {set_aside(path).name}")
        write_json(path, wanted)

    def _say_what_computes(self) -> None:
        """Print the lines that `lilliput doctor` prints about any run here."""
        self.notify(allocator.state())
        if self.device.type == "cpu":
            self.notify(kernels.state())
            if chosen := products.state():
                self.notify(f"products by {chosen}")

    def _say_how_often(self, budget: Budget) -> None:
        """Report that the amount of text bounds the run, and warn where there is too little text."""
        train, rows = self.recipe.train, self.loader.rows_per_epoch
        assert budget.steps is not None
        assert train.epochs is not None
        times = budget.steps * mean_rows(train, self.loader.row_tokens) / rows
        much = times > 2 * train.epochs
        shown = f"{times:.0f}" if much else f"{train.epochs:g}"
        self.notify(f"{budget.steps:,} steps at most, after which the text was read {shown} times (train.epochs)")
        if much:
            self.notify(
                f"TOO LITTLE TEXT: {self.train_split.tokens:,} tokens are read {times:.0f} times to make "
                f"{train.least_steps} steps (train.least_steps), so the model memorises it; give more text: --data MORE"
            )

    def _callbacks(self) -> list[Callback]:
        """Return the callbacks by phase, which is the order in which they see a step (see Callback):
        measure, record, show."""
        samples = []
        if self.objective.generates:
            samples = [SamplesThroughTime(self.recipe.evaluate, self.prompts, self.samples, self.live.sample)]
        trackers = [TRACKERS[name]() for name in self.recipe.train.trackers]
        benchmarks = Benchmarks(self.recipe.evaluate, self.generator)
        heroes = [HeroesKept(self.recipe.evaluate, self.heroes_kept)] if self.knows_stories else []
        shown = [self.live, *([AsUsual(self.bands, self.live.band)] if self.bands else [])] if self.shows else []
        parting = [RewardHacking(self.objective.watched)] if self.objective.watched else []
        kept = [KeptRecipe(self.recipe), KeptOrigin(self.beginning.origin)]
        watched = self._watched()
        experts = [module for module in self.model.modules() if isinstance(module, Experts)]
        load = [ExpertLoad(experts)] if experts else []
        measured = [self.energy, self.evaluation, benchmarks, *heroes, *load]
        return [*measured, Metrics(), Rollouts(), *watched, *shown, *samples, *parting, *trackers, *kept]

    def _watched(self) -> list[Callback]:
        """Return the callback that measures heads, where the run has one. Raises ConfigError where it is asked for and
        the attention has no patterns."""
        every = self.recipe.evaluate.watch
        if every == 0 or not self.objective.generates:
            return []
        if layers := without_patterns(self.model):
            raise ConfigError(
                f"evaluate.watch={'null' if every is None else every} measures attention patterns, and {layers} have "
                "none",
                "leave it out: evaluate.watch=0",
            )
        return [Watch(every, self.tokenizer, self.model.config.context_length)]

    def report(self) -> Path:
        """Write report.html from what stands in the run folder."""
        return write_report(self.run.path)
