"""Features: the instrument that trains a small autoencoder on the middle of the model, and shows its features."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from lilliput.base.seeds import derive
from lilliput.lens.feature_matching import match_activations, match_directions
from lilliput.lens.feature_pages import feature_pages, mean_effect
from lilliput.lens.features_section import section
from lilliput.lens.figures import figure_text
from lilliput.lens.findings import beats
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.neurons import TOKENS, as_json, labels_of, neuron_values, some_rows
from lilliput.lens.selectivity import Selective, best_units
from lilliput.lens.sparse import SparseCoder, SparseConfig, collect, dense, middle
from lilliput.lens.sparse_figures import controls, figures
from lilliput.lens.sparse_files import save_features
from lilliput.lens.sparse_training import train_autoencoder
from lilliput.lens.stream import has_neurons

FEWEST_ROWS = 8
TRAINED = 0.75
"""The share of the rows that train the autoencoder; the others are held out."""
SAMPLED = {False: 16, True: 60}
"""Features drawn for a page of their own, by default and when thorough, beside the best of each concept."""
LIVING = 5
"""A feature is drawn for a page only where it fires at so many tokens of the held-out rows."""


def config_for(d: int, tokens: int, thorough: bool, seed: int) -> SparseConfig:
    """The config of a first autoencoder on activations of width d: 8 features a number, 1,024 at most, or 4,096 when
    thorough. A step reads at most as many activations as there are."""
    width = min(8 * d, 4096 if thorough else 1024)
    k = min(16, width // 4)
    return SparseConfig(width=width, k=k, steps=2000 if thorough else 150, batch=min(1024, tokens), seed=seed)


def folder_of(run: Path) -> Path:
    """The folder of a run's features, which `lilliput generate --steer` reads."""
    return run / "lens" / "features"


@INSTRUMENTS.add("features")
class SparseFeatures(Instrument):
    title = "Features: directions that fire for few tokens"
    part = "features"
    order = 1
    script = "features.js"

    def refuses(self, subject: Subject) -> str:
        few = len(subject.rows) < FEWEST_ROWS or subject.rows.shape[1] < 3
        return super().refuses(subject) or (
            f"features need {FEWEST_ROWS} rows of text, and there are {len(subject.rows)}" if few else ""
        )

    def measure(self, subject: Subject) -> dict[str, Any]:
        model, cut = subject.generator.model, int(TRAINED * len(subject.rows))
        rows, held_out = subject.rows[:cut], subject.rows[cut:]
        hook = middle(model)
        activations = collect(model, rows, hook)
        config = config_for(activations.shape[1], len(activations), subject.thorough, subject.seed)
        coder = train_autoencoder(activations, hook, config)
        found = {"hook": hook, "config": config.model_dump(), **figures(coder, model, held_out, subject.seed)}
        found["controls"] = controls(model, subject.untrained.model, rows, held_out, coder, config)
        found["folder"] = _saved(coder, found, subject)
        values = _values(coder, model, held_out)
        selective = best_features(subject, coder, held_out, hook)
        chosen = _chosen(values, selective["features"], subject)
        ablated = 10 if subject.thorough else 3
        pages = feature_pages(subject.generator, coder, values, held_out, chosen, ablated, subject.seed)
        return {
            **found,
            "selectivity": {name: [as_json(one) for one in units] for name, units in selective.items()},
            "ablation": mean_effect(pages, subject.seed),
            "pages": pages,
            "matching": _matching(coder, activations, config, subject, held_out),
        }

    def section(self, found: Mapping[str, Any]) -> str:
        return section(found)

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        effect = found["ablation"]
        if effect is None or not beats(effect["kl"], effect["random"]):
            return []
        return [
            "Features matter where they fire: without a feature the next token's distribution changes by "
            f"{figure_text(effect['kl'], 3)} nats, and without a random direction by "
            f"{figure_text(effect['random'], 3)}."
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        controls = {one["concept"]: one["auc"] for one in found["selectivity"]["random directions"]}
        return {
            f"best feature for {one['concept']} (AUC)": Compared(
                one["auc"], controls.get(one["concept"]), one["low"], one["high"]
            )
            for one in found["selectivity"]["features"]
        }


def best_features(subject: Subject, coder: SparseCoder, rows: torch.Tensor, hook: str) -> dict[str, list[Selective]]:
    """Return the best unit for each concept among the features, as many random directions, and the neurons."""
    some = rows if subject.thorough else some_rows(rows, TOKENS)
    labels, groups = labels_of(subject.generator, some)
    inputs = collect(subject.generator.model, some, hook)
    draw = torch.Generator().manual_seed(derive(subject.seed, "random directions") % 2**63)
    directions = F.normalize(torch.randn(coder.width, inputs.shape[1], generator=draw)).to(inputs.device)
    units = {
        "features": {hook: dense(coder.encode(inputs), coder.width)},
        "random directions": {hook: (inputs - inputs.mean(0)) @ directions.T},
    }
    if has_neurons(subject.generator.model):
        units["neurons"] = neuron_values(subject.generator.model, some)
    return {name: best_units(values, labels, groups, subject.seed) for name, values in units.items()}


def _values(coder: SparseCoder, model: Any, rows: torch.Tensor) -> torch.Tensor:
    """The activations of all features, (N, T, width); 0 at the first position, which has none."""
    found = dense(coder.encode(collect(model, rows, coder.reads)), coder.width)
    return F.pad(found.view(len(rows), -1, coder.width), (0, 0, 1, 0))


def _chosen(values: torch.Tensor, best: list[Selective], subject: Subject) -> list[int]:
    """The features that get a page: the best of each concept, and a random sample of those that fire, so that the page
    does not show only the prettiest."""
    living = ((values > 0).sum((0, 1)) >= LIVING).nonzero().flatten()
    draw = torch.Generator().manual_seed(derive(subject.seed, "pages of features") % 2**63)
    sample = living[torch.randperm(len(living), generator=draw)[: SAMPLED[subject.thorough]]].tolist()
    return list(dict.fromkeys([one.unit for one in best] + sorted(sample)))


def _saved(coder: SparseCoder, found: Mapping[str, Any], subject: Subject) -> str | None:
    """Write the coder into the run's folder. Return the folder; None without a run, or where it cannot be written,
    which is reported."""
    if subject.run is None:
        return None
    folder = folder_of(subject.run)
    try:
        save_features(coder, folder, {"figures": dict(found)})
    except OSError as error:
        subject.notify(f"the features are not kept: {folder} cannot be written ({error.strerror})")
        return None
    return str(folder)


def _matching(
    coder: SparseCoder, activations: torch.Tensor, config: SparseConfig, subject: Subject, rows: torch.Tensor
) -> dict[str, Any]:
    """How many features are found again by an autoencoder of another seed (when thorough), and in another run."""
    found = {}
    if subject.thorough:
        other = train_autoencoder(activations, coder.reads, config.model_copy(update={"seed": config.seed + 1}))
        found["the same model, another seed of the autoencoder"] = match_directions(coder, other).figures(subject.seed)
    if subject.sibling is not None:
        model = subject.sibling.model
        hook = middle(model)
        other = train_autoencoder(collect(model, subject.rows[: int(TRAINED * len(subject.rows))], hook), hook, config)
        matched = match_activations(coder, subject.generator.model, other, model, rows, subject.seed)
        found["another run with another seed"] = matched.figures(subject.seed)
    return found
