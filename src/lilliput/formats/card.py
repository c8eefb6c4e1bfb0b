"""The model card of a pushed checkpoint: what it is, what it read, how well it does, what it cost, how to repeat it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput import __version__
from lilliput.base.console import duration, size
from lilliput.formats.source import Source
from lilliput.model.counts import parameters
from lilliput.model.huggingface import huggingface_class
from lilliput.runs.card import snippet
from lilliput.runs.run_folder import STEP, RunFolder
from lilliput.runs.samples_file import Section

USE = """{snippet}

or `lilliput pull {repo}`, then `lilliput generate {name} "Once upon a time"`."""
OWN_CLASS = """No class of transformers computes these parts, so only Lilliput loads it: `lilliput pull {repo}`, then
`lilliput generate {name} "Once upon a time"`."""
BACKWARDS = """It tells backwards, from a story's end to its beginning:
`lilliput generate {name} --ending "They were happy."`."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a run folder says about one of its checkpoints."""

    run: RunFolder
    step: int
    record: dict[str, Any]
    scored: dict[str, Any]
    summary: dict[str, Any]
    samples: Section | None

    @classmethod
    def of(cls, folder: Path) -> Told | None:
        """Of the checkpoint whose model folder this is; None for a folder that lies in no run."""
        checkpoints, step_of = folder.parent.parent, STEP.match(folder.parent.name)
        if checkpoints.name != "checkpoints" or step_of is None:
            return None
        run, step = RunFolder(checkpoints.parent), int(step_of[1])
        records = [record for record in run.read_metrics() if record["step"] <= step]
        scored = [record for record in records if "val_bits_per_byte" in record]
        told = [section for section in run.read_samples() if section.step <= step]
        return cls(
            run=run,
            step=step,
            record=records[-1] if records else {},
            scored=scored[-1] if scored else {},
            summary=run.read_summary(),
            samples=told[-1] if told else None,
        )


def model_card(source: Source, told: Told | None, repo: str | None = None, licence: str | None = None) -> str:
    """Markdown with Hugging Face's metadata block, for a repository called `repo`, if there is one. `licence` is an
    identifier of the hub's, such as apache-2.0."""
    config = source.model.config
    counts = parameters(config)
    stock, _ = huggingface_class(config)
    lines = ["---", "library_name: transformers", "pipeline_tag: text-generation", "tags: [lilliput, tiny]"]
    lines += [f"license: {licence}"] if licence else []
    lines += ["---", "", f"# {source.name}", ""]
    origin = "trained from scratch with" if told else "brought into this layout by"
    lines += [f"A language model of {counts.total:,} parameters, {origin} Lilliput {__version__}.", ""]
    if repo is not None:
        code = snippet(repo, source.direction != "reversed")
        lines += [(USE if stock else OWN_CLASS).format(snippet=code, repo=repo, name=repo.rpartition("/")[2]), ""]
    if source.direction == "reversed":
        lines += [BACKWARDS.format(name=repo.rpartition("/")[2] if repo else source.name), ""]
    lines += [
        f"- class: {stock or 'none of transformers'}; {config.n_layers} layers of width {config.d_model}, "
        f"{config.n_heads} heads, context {config.context_length}",
        f"- parameters: {counts.non_embedding:,} of {counts.total:,} are neither embedding nor head",
        f"- vocabulary: {config.vocab_size:,} tokens ({source.tokenizer.kind})",
        f"- licence: {licence or 'not stated by its maker'}",
        "",
    ]
    if told is not None:
        for part in (_data, _training, _losses, _samples, _cost, _repeat):
            lines += [*part(told), ""]
    return "\n".join(lines).rstrip() + "\n"


def _data(told: Told) -> Iterator[str]:
    data = told.summary.get("data")
    if not data:
        return
    yield "## Data\n"
    yield from (f"- {source}" for source in data["sources"])
    for split in ("train", "validation"):
        part = data[split]
        yield f"- {split}: {part['documents']:,} documents, {part['tokens']:,} tokens, {size(part['bytes'])} of text"


def _training(told: Told) -> Iterator[str]:
    yield "## Training\n"
    record, summary = told.record, told.summary
    yield f"- {told.step:,} steps, {record.get('tokens', 0):,} tokens, {duration(record.get('seconds', 0))}"
    if summary:
        yield f"- on {summary['device']}, {summary['precision']}, {summary['tokens_per_second']:,.0f} tokens a second"
        yield f"- {summary['verdict']}"


def _losses(told: Told) -> Iterator[str]:
    if not told.scored:
        return
    yield "## Loss\n\nBits per byte on held-out text, beside n-gram models counted on the same training tokens.\n"
    yield "| model | bits per byte |\n|---|---|"
    final = told.summary.get("val_bits_per_byte") if told.summary.get("steps") == told.step else None
    yield f"| this one, step {told.step:,} | {final or told.scored['val_bits_per_byte']:.4f} |"
    yield from (f"| {name} | {bits:.4f} |" for name, bits in told.summary.get("baselines", {}).items())


def _samples(told: Told) -> Iterator[str]:
    if told.samples is None:
        return
    yield f"## Samples\n\nAt step {told.samples.step:,}, not selected, each with its prompt:\n"
    for sample in told.samples.samples:
        # As a block of code: nothing in a sample is markup there.
        text = (sample.before + sample.prompt + sample.text).strip()
        yield "\n".join(f"    {line}" for line in text.splitlines()) + "\n\n---\n"


def _cost(told: Told) -> Iterator[str]:
    cost = told.summary.get("cost")
    if cost:
        yield "## Energy\n"
        yield f"{cost['kwh'] * 1000:.3g} Wh, {cost['co2_grams']:.2g} g CO2 ({cost['basis']})"


def _repeat(told: Told) -> Iterator[str]:
    if told.run.recipe.is_file():
        yield "## Repeat\n"
        yield "`lilliput train recipe.yaml`, with the recipe beside this card and the same data, repeats the run."
