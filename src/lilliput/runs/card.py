"""The model card (README.md) of a model folder: the model's parts, data, loss, samples and cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput import __version__
from lilliput.base.console import duration, size
from lilliput.model.counts import parameters
from lilliput.model.huggingface import stock_of
from lilliput.objectives.figure import BITS, Figure
from lilliput.objectives.known import figure_of
from lilliput.runs.names import CHECKPOINTS, TOKENS_PER_SECOND
from lilliput.runs.record import read_recipe
from lilliput.runs.run_folder import STEP, RunFolder
from lilliput.runs.samples_file import Section

if TYPE_CHECKING:
    from lilliput.model.heads import Head
    from lilliput.model.transformer import Model

LOAD = """from transformers import {auto}, AutoTokenizer

folder = "{folder}"
model, tokenizer = {auto}.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
"""
CONTINUE = """given = tokenizer("Once upon a time", return_tensors="pt")
ids = model.generate(**given, do_sample=False, max_new_tokens=100)
print(tokenizer.decode(ids[0], skip_special_tokens=True))
"""
ANSWER = """ids = tokenizer("{prompt}", return_tensors="pt").input_ids
ids = torch.nn.functional.pad(ids, (0, 1), value=tokenizer.eos_token_id)
made = model.generate(ids, do_sample=False, max_new_tokens=100)
print(tokenizer.decode(made[0], skip_special_tokens={plain}))
"""
PULL = """{snippet}

or `lilliput pull {repo}`, then `lilliput generate {name} "{prompt}"`."""
OWN_CLASS = """No class of transformers computes these parts, so only Lilliput loads it: `lilliput pull {repo}`, then
`lilliput generate {name} "{prompt}"`."""
BACKWARDS = """It generates backwards, from a story's end to its beginning:
`lilliput generate {name} --ending "They were happy."`."""
FILLS = """It fills in the middle between two texts:
`lilliput generate {name} --prefix "Once upon a time" --suffix "They were happy."`. For other tools the prompt is
`{form}` behind the beginning mark, each of the three marks one token."""
FORMS = {
    "psm": "<|fim_prefix|>Once upon a time<|fim_suffix|>They were happy.<|fim_middle|>",
    "spm": "<|fim_prefix|><|fim_suffix|>They were happy.<|fim_middle|>Once upon a time",
}
NO_TEXT = "It generates no text."


@dataclass(frozen=True, slots=True)
class Trained:
    """The facts of a run folder about one of its checkpoints: the last line of metrics up to its step, the last
    evaluation, and, where they exist, summary and samples."""

    run: RunFolder
    step: int
    record: dict[str, Any]
    scored: dict[str, Any]
    figure: Figure
    summary: dict[str, Any] = field(default_factory=dict)
    samples: Section | None = None

    @classmethod
    def now(cls, run: RunFolder, figure: Figure = BITS) -> Trained:
        """The facts for the checkpoint that a run under way, judged by `figure`, is about to write: its metrics
        alone."""
        return cls._of(run, None, figure)

    @classmethod
    def of(cls, folder: Path) -> Trained | None:
        """The facts of the checkpoint with this model folder; None for a folder outside any run. The figure of a run
        that has not ended is its recipe's."""
        checkpoints, step_of = folder.parent.parent, STEP.match(folder.parent.name)
        if checkpoints.name != CHECKPOINTS or step_of is None:
            return None
        run, step = RunFolder(checkpoints.parent), int(step_of[1])
        sections = [section for section in run.read_samples() if section.step <= step]
        summary = run.read_summary()
        figure = figure_of({**read_recipe(run), **summary})
        return cls._of(run, step, figure, summary, sections[-1] if sections else None)

    @classmethod
    def _of(
        cls,
        run: RunFolder,
        step: int | None,
        figure: Figure,
        summary: dict[str, Any] | None = None,
        samples: Section | None = None,
    ) -> Trained:
        records = [record for record in run.read_metrics() if step is None or record["step"] <= step]
        scored = [record for record in records if record.get(figure.validation) is not None]
        last = records[-1] if records else {}
        at = last.get("step", 0) if step is None else step
        return cls(run, at, last, scored[-1] if scored else {}, figure, summary or {}, samples)


def snippet(folder: str, forwards: bool, auto: str = "AutoModelForCausalLM", source: str | None = None) -> str:
    """A block of code in which transformers' class `auto` loads the model, and continues a prompt where it reads
    `forwards`, or answers the `source` of an encoder-decoder."""
    load = LOAD.format(folder=folder, auto=auto)
    if source is None:
        return "```python\n" + load + (CONTINUE if forwards else "") + "```"
    answer = ANSWER.format(prompt=source, plain="<extra_id_" not in source)
    return "```python\nimport torch\n" + load + answer + "```"


def _classes(model: Model, head: Head | None) -> tuple[str | None, str]:
    """The class of transformers that computes a model with this head, None without one, and the class that loads it."""
    stock = stock_of(model.config)
    if head is not None:
        kind = "TokenClassification" if head.each else "SequenceClassification"
        named = None if stock is None else stock.tagger if head.each else stock.classifier
    else:
        kind = {"decoder": "CausalLM", "encoder": "MaskedLM", "encoder-decoder": "Seq2SeqLM"}[model.config.family]
        named = None if stock is None else stock.architecture
    return named, f"AutoModelFor{kind}"


def model_card(
    name: str,
    model: Model,
    tokenizer: str,
    forwards: bool,
    trained: Trained | None = None,
    *,
    generates: bool = True,
    fills: str | None = None,
    head: Head | None = None,
    source: str | None = None,
    begun: str | None = None,
    repo: str | None = None,
    licence: str | None = None,
) -> str:
    """Markdown with Hugging Face's metadata block for a model called `name`, whose tokenizer is of the kind `tokenizer`
    and which reads `forwards` or not. `trained` has its run's facts; None for an imported model. Where `generates` is
    false, the card has no code that would generate text. `head` is the head in the folder. Where `fills` is an order of
    FORMS, the card shows how the model fills in the middle of a text. `source` is an example of what the encoder of an
    encoder-decoder reads. `begun` is the folder whose weights the run began with; without it, that of the run's
    summary. `repo` is the repository on the hub that the card is for, `licence` an identifier of the hub's, such as
    apache-2.0."""
    config, counts = model.config, parameters(model.config)
    stock, auto = _classes(model, head)
    loads = stock is not None and (head is not None or not config.causal)
    lines = ["---", "library_name: transformers"]
    task = "text-generation" if source is None else "text2text-generation"
    lines += [f"pipeline_tag: {task}"] if generates else []
    lines += ["tags: [lilliput, tiny]"]
    lines += [f"license: {licence}"] if licence else []
    lines += ["---", "", f"# {name}", ""]
    begun = begun or (trained.summary.get("init", {}).get("from") if trained else None)
    origin = "trained from scratch with" if trained else "brought into this layout by"
    origin = f"trained from the weights of {_source_name(begun)} with" if begun else origin
    lines += [f"A language model of {counts.total:,} parameters, {origin} Lilliput {__version__}.", ""]
    own = repo.rpartition("/")[2] if repo else name
    prompt = (source or "Once upon a time").replace("<extra_id_0>", "___")
    if not generates:
        lines += [NO_TEXT, "", *([snippet(repo or ".", False, auto), ""] if loads else [])]
    elif repo is not None:
        code = snippet(repo, forwards, auto, source)
        lines += [(PULL if stock else OWN_CLASS).format(snippet=code, repo=repo, name=own, prompt=prompt), ""]
    elif stock:
        lines += [snippet(".", forwards, auto, source), ""]
    if generates and not forwards:
        lines += [BACKWARDS.format(name=own), ""]
    if fills:
        lines += [FILLS.format(name=own, form=FORMS[fills]), ""]
    lines += [
        f"- class: {stock or 'none of transformers'}; {config.n_layers} layers of width {config.d_model}, "
        f"{config.n_heads} heads, context {config.context_length}",
        f"- parameters: {counts.non_embedding:,} of {counts.total:,} are neither embedding nor head",
        f"- vocabulary: {config.vocab_size:,} tokens ({tokenizer})",
        f"- licence: {licence or 'not stated by its maker'}",
        "",
    ]
    if trained is not None:
        for part in (_data, _training, _losses, _samples, _cost, _repeat):
            lines += [*part(trained), ""]
    return "\n".join(lines).rstrip() + "\n"


def _source_name(folder: str) -> str:
    """`story` for a model folder in runs/story, else the folder's own name."""
    parts = Path(folder).parts
    return parts[-4] if len(parts) > 3 and parts[-3] == CHECKPOINTS else Path(folder).name


def _data(trained: Trained) -> Iterator[str]:
    data = trained.summary.get("data")
    if not data:
        return
    yield "## Data\n"
    for source in data["sources"]:
        yield f"- {source['describe'] if isinstance(source, dict) else source}"
    for split in ("train", "validation"):
        part = data[split]
        yield f"- {split}: {part['documents']:,} documents, {part['tokens']:,} tokens, {size(part['bytes'])} of text"


def _training(trained: Trained) -> Iterator[str]:
    yield "## Training\n"
    record, summary = trained.record, trained.summary
    tokens, seconds = record.get("tokens") or 0, record.get("seconds") or 0
    yield f"- {trained.step:,} steps, {tokens:,} tokens, {duration(seconds)}"
    if summary:
        yield f"- on {summary['device']}, {summary['precision']}, {summary[TOKENS_PER_SECOND]:,.0f} tokens a second"
        yield f"- {summary['verdict']}"


def _losses(trained: Trained) -> Iterator[str]:
    if not trained.scored:
        return
    summary = trained.summary
    beside = ", beside n-gram models counted on the same training tokens" if summary.get("baselines") else ""
    label, validation = trained.figure.label, trained.figure.validation
    yield f"## Loss\n\n{label[0].upper()}{label[1:]} on held-out text{beside}.\n"
    yield f"| model | {label} |\n|---|---|"
    final = summary.get(validation) if summary.get("steps") == trained.step else None
    at = trained.step if final else trained.scored["step"]
    yield f"| this one, step {at:,} | {final or trained.scored[validation]:.4f} |"
    yield from (f"| {name} | {bits:.4f} |" for name, bits in summary.get("baselines", {}).items())


def _samples(trained: Trained) -> Iterator[str]:
    if trained.samples is None:
        return
    yield f"## Samples\n\nAt step {trained.samples.step:,}, not selected, each with its prompt:\n"
    for sample in trained.samples.samples:
        # As a block of code: nothing in a sample is markup there.
        text = (sample.before + sample.prompt + sample.text).strip()
        yield "\n".join(f"    {line}" for line in text.splitlines()) + "\n\n---\n"


def _cost(trained: Trained) -> Iterator[str]:
    cost = trained.summary.get("cost")
    if cost:
        yield "## Energy\n"
        yield f"{cost['kwh'] * 1000:.3g} Wh, {cost['co2_grams']:.2g} g CO2 ({cost['basis']})"


def _repeat(trained: Trained) -> Iterator[str]:
    if trained.run.recipe.is_file():
        yield "## Repeat\n"
        yield f"`lilliput train {trained.run.recipe.name}`, with the run's recipe and the same data, repeats the run."
