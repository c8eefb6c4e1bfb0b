"""report.html: one offline page about one run, made from its folder alone, for small and large screens, light and
dark."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.base.chart import STYLE, Chart, Level, Series, figure
from lilliput.base.console import duration, flops, number
from lilliput.base.files import write_text
from lilliput.base.html import as_html, document, escape, fact_list, table
from lilliput.objectives.figure import BITS
from lilliput.runs.evaluation_section import evaluation
from lilliput.runs.expert_section import experts
from lilliput.runs.gradient_section import gradients
from lilliput.runs.learning_section import learning
from lilliput.runs.names import (
    BAND,
    OLD_DOMAIN,
    PEAK_MEMORY_BYTES,
    TOKENS_PER_SECOND,
    VAL_HERO_KEPT,
    VAL_HEROES,
    VAL_PERPLEXITY,
    VAL_TOKENS,
    VALIDATION,
)
from lilliput.runs.picture import kept_chart
from lilliput.runs.record import RunRecord, as_number, spread
from lilliput.runs.run_folder import RunFolder
from lilliput.runs.samples_file import Sample

SHOWN_MOMENTS = 6
SHAPE = (
    "d_model",
    "n_layers",
    "n_heads",
    "n_kv_heads",
    "d_mlp",
    "vocab_size",
    "context_length",
    "norm",
    "position",
    "mlp",
)
"""The facts of the model's shape that the page shows; the recipe has all others."""
SHOWN_ELSEWHERE = {VAL_HERO_KEPT, VAL_HEROES, VAL_PERPLEXITY, VAL_TOKENS}
"""Validation figures of every model of text, which have places of their own on the page."""


def write_report(run: Path) -> Path:
    """Write `run`/report.html whole and return its path. A run that has not ended, or was cut off, gets a report of the
    files that it has. Raises CheckpointError where there is no run."""
    record = RunRecord.read(run)
    target = RunFolder(run).report
    write_text(target, page(record))
    return target


def page(record: RunRecord) -> str:
    """The whole page as HTML."""
    sections = (_head, _tiles, _story, _evaluation, _curves, learning, gradients, experts, evaluation, _samples)
    facts = (_data, _model, _machine, _cost, _repeat, _recipe)
    body = "\n".join(filter(None, (section(record) for section in (*sections, *facts))))
    made_from = "recipe.yaml, metrics.jsonl, summary.json and samples.md"
    unit = "Bits per byte: lower is better; it counts the text's bytes, so models with different tokenizers compare."
    footer = f"<footer>Made by Lilliput from <code>{escape(record.path)}</code>: {made_from}. {unit}</footer>"
    return document(record.name, f"{body}\n{footer}", STYLE)


# ---------------------------------------------------------------------------- the top of the page


def _head(record: RunRecord) -> str:
    model = record.summary.get("model") or _section(record, "model").get("style")
    parameters = record.number("parameters")
    steps = record.number("steps") or record.number("step")
    facts = (
        model,
        parameters and f"{number(parameters)} parameters",
        steps and f"{steps:,.0f} steps",
        record.summary.get("device"),
        record.summary.get("precision"),
        record.summary.get("stopped"),
    )
    parts = [
        '<header><div class="eyebrow">Lilliput run</div>',
        f"<h1>{escape(record.name)}</h1>",
        f'<p class="facts">{" · ".join(escape(fact) for fact in facts if fact)}</p>',
    ]
    if record.summary.get("verdict"):
        parts.append(f'<p class="verdict">{escape(record.summary["verdict"])}</p>')
    if record.problems:
        parts.append(f'<div class="problems">{"<br>".join(map(escape, record.problems))}</div>')
    return "\n".join([*parts, "</header>"])


def _tiles(record: RunRecord) -> str:
    figure = record.figure
    validation, trigram = record.number(figure.validation), dict(record.baselines()).get("trigram")
    gain = 1 - validation / trigram if validation is not None and trigram else None
    seconds, tokens, speed = (record.number(key) for key in ("seconds", "tokens", TOKENS_PER_SECOND))
    utilisation, kept = record.number("utilisation"), record.number(VAL_HERO_KEPT)
    tiles = [
        (f"validation {figure.label}", validation and f"{validation:.3f}"),
        ("below a trigram" if (gain or 0) >= 0 else "above a trigram", gain is not None and f"{abs(gain):.0%}"),
        ("tokens learnt from", tokens and number(tokens)),
        ("stories keep their hero", kept is not None and f"{kept:.0%}"),
        ("wall time", seconds and duration(seconds)),
        ("tokens a second", speed and number(speed)),
        ("of the matmul peak", utilisation and f"{utilisation:.0%}"),
    ]
    shown = [(label, value) for label, value in tiles if value]
    cells = (
        f'<div class="tile{" first" if i == 0 else ""}"><b>{escape(value)}</b><span>{label}</span></div>'
        for i, (label, value) in enumerate(shown)
    )
    return f'<div class="tiles">{"".join(cells)}</div>' if shown else ""


def _story(record: RunRecord) -> str:
    story = record.summary.get("story")
    if not isinstance(story, Mapping) or not story.get("text"):
        return ""
    sample = Sample.of(str(story.get("prompt") or ""), str(story["text"]))
    return f'<blockquote class="story">{sample_html(sample)}</blockquote>'


def sample_html(sample: Sample) -> str:
    """A sample as HTML, its prompt set off."""
    return f'{escape(sample.before)}<span class="prompt">{escape(sample.prompt)}</span>{escape(sample.text)}'


def _evaluation(record: RunRecord) -> str:
    figure = record.figure
    curve, unit = record.points("step", figure.validation), figure.label
    best = min(curve, key=lambda point: point[1]) if curve else None
    ours, trained = (record.number(key) for key in (figure.validation, figure.training))
    tokens, perplexity = (as_number(record.summary.get(key)) for key in (VAL_TOKENS, VAL_PERPLEXITY))
    facts = {
        "validation": None if ours is None else f"{ours:.3f} {unit}" + (f", {tokens:,.0f} tokens" if tokens else ""),
        "best on the way": best and f"{best[1]:.3f} at step {best[0]:,.0f}",
        "training, at the end": None if trained is None else f"{trained:.3f} {unit}",
        **_old_domain(record),
        "beside the recipe's own runs": _band(record),
        **_own(record),
        "perplexity a token": None if perplexity is None else f"{perplexity:.3f}",
    }
    known = {key: value for key, value in facts.items() if value is not None}
    return f"<h2>Evaluation</h2>{_baselines(record)}{as_html(known)}" if known else ""


def _old_domain(record: RunRecord) -> dict[str, str]:
    """Bits per byte on the text of the run whose weights this run began with, or why they are not known."""
    old = record.summary.get(OLD_DOMAIN)
    if not isinstance(old, Mapping):
        return {}
    before, after = (as_number(old.get(key)) for key in ("before", "after"))
    if before is None or after is None:
        return {"old domain": f"not measured: {old.get('why_not')}"}
    change = f"{before:.3f} before, {after:.3f} after, {after - before:+.3f} bits per byte"
    return {f"old domain ({old.get('name')})": change}


def _band(record: RunRecord) -> str | None:
    """The sentence on the last evaluation beside the runs of the shipped recipe."""
    band = record.summary.get(BAND)
    text = band.get("text") if isinstance(band, Mapping) else None
    return text if isinstance(text, str) else None


def _own(record: RunRecord) -> dict[str, str]:
    """Further figures of the run's objective. A count is a whole number."""
    shown = {record.figure.validation, *(SHOWN_ELSEWHERE if record.figure == BITS else ())}
    own = {key: value for key, value in record.summary.items() if key.startswith(VALIDATION) and key not in shown}
    return {
        key.removeprefix(VALIDATION).replace("_", " "): f"{value:,}" if isinstance(value, int) else f"{number:.3f}"
        for key, value in own.items()
        if (number := as_number(value)) is not None
    }


def _baselines(record: RunRecord) -> str:
    """Bars of the n-gram models and of this run's model."""
    baselines, ours = record.baselines(), record.number(record.figure.validation)
    if not baselines:
        return ""
    rows = [(name, value, "") for name, value in baselines]
    if ours is not None:
        rows.append(("this model", ours, ' class="ours"'))
    longest = max(value for _, value, _ in rows) or 1.0
    lines = (
        f'<tr{kind}><th scope="row">{escape(name)}</th>'
        f'<td><span class="bar" style="width:{100 * max(value, 0) / longest:.1f}%"></span></td>'
        f'<td class="value">{value:.3f}</td></tr>'
        for name, value, kind in sorted(rows, key=lambda row: -row[1])
    )
    return (
        '<p class="quiet">Bits per byte on the same validation text: n-gram models, counted on the training text, '
        "beside this one. Shorter is better.</p>"
        f'<table class="bars">{"".join(lines)}</table>'
    )


# ---------------------------------------------------------------------------- curves


def _curves(record: RunRecord) -> str:
    main = _loss_chart(record)
    small = [
        _small(record, "Learning rate", "learning_rate", 2),
        _small(record, "Gradient norm", "grad_norm", 3),
        _small(record, "Tokens a second", TOKENS_PER_SECOND, 1),
    ]
    if not main and not any(small):
        return ""
    return f'<h2>How it learnt</h2>{main}<div class="trio">{"".join(small)}</div>'


def _loss_chart(record: RunRecord) -> str:
    series = (
        Series("training", record.points("tokens", record.figure.training), colour=1, thin=True),
        Series("validation", record.points("tokens", record.figure.validation), colour=0, dots=True),
    )
    shown = [one for one in series if one.points]
    levels = [Level(name, value) for name, value in record.baselines()]
    if not shown:
        return ""
    kept = kept_chart(record, "tokens", 920, 170)
    inset, ends = (kept.inset, kept.reach) if kept else (False, ())  # one axis for both
    loss = figure(
        Chart(record.figure.label.capitalize(), shown, "tokens", levels, width=920, height=380, reach=ends, inset=inset)
    )
    return loss + (figure(kept, narrow_height=170) if kept else "")


def _small(record: RunRecord, title: str, key: str, colour: int) -> str:
    points = record.points("tokens", key)
    if len(points) < 2:
        return ""
    values = [value for _, value in points]
    positive = [value for value in values if value > 0]
    # One spike must not flatten the rest of the curve.
    spiky = key == "grad_norm" and len(positive) == len(values) and max(values) > 20 * sorted(values)[len(values) // 2]
    chart = Chart(title, [Series(title, points, colour, thin=True)], "tokens", log_y=spiky, width=290, height=190)
    return f"<figure>{chart.svg()}</figure>"


# ---------------------------------------------------------------------------- samples


def _samples(record: RunRecord) -> str:
    prompts = list(dict.fromkeys(sample.prompt for section in record.samples for sample in section.samples))
    if not prompts:
        return ""
    moments = spread(record.samples, SHOWN_MOMENTS)
    parts = ["<h2>Samples through time</h2>"]
    if len(moments) < len(record.samples):
        parts.append(f'<p class="quiet">{len(moments)} of {len(record.samples)} moments; samples.md has them all.</p>')
    for index, prompt in enumerate(prompts):
        items = []
        for section in moments:
            found = next((sample for sample in section.samples if sample.prompt == prompt), None)
            if found is not None:
                when = f'<div class="when">{_when(record, section)}</div>'
                items.append(f'<li class="sample">{when}<p>{sample_html(found)}</p></li>')
        timeline = f'<ol class="timeline">{"".join(items)}</ol>'
        folded = f"<details><summary>{escape(prompt) or 'no prompt'}</summary>{timeline}</details>"
        parts.append(folded if index else timeline)
    return "\n".join(parts)


def _when(record: RunRecord, section: Any) -> str:
    score = record.validation_at(section.step)
    parts = [f"step {section.step:,}", f"{number(section.tokens)} tokens", duration(section.seconds)]
    return " · ".join(parts + ([f"{score:.3f} {record.figure.label}"] if score is not None else []))


# ---------------------------------------------------------------------------- facts


def _data(record: RunRecord) -> str:
    data = record.summary.get("data") or _section(record, "data")
    if not data:
        return ""
    if not isinstance(data, Mapping):
        return f"<h2>Data</h2>{as_html(data)}"
    splits = {key: value for key, value in data.items() if isinstance(value, Mapping)}
    rest = {key: value for key, value in data.items() if key not in splits and key != "sources"}
    sources = data.get("sources")
    parts = map(as_html, sources if isinstance(sources, list) else [])
    return f"<h2>Data</h2>{''.join(f'<div>{part}</div>' for part in parts)}{table(splits)}{as_html(rest)}"


def _model(record: RunRecord) -> str:
    summary = record.summary
    objective, shape = summary.get("objective"), _section(record, "model")
    facts = {
        "style": summary.get("model"),
        "parameters": summary.get("parameters"),
        "of these embeddings": summary.get("parameters_embedding"),
        **{
            key: summary.get(key, shape.get(key)) for key in SHAPE
        },  # a vocabulary may be smaller than the requested size
        "objective": objective.get("kind") if isinstance(objective, Mapping) else objective,
        "SHA-256 of the weights": summary.get("sha256"),
    }
    return fact_list("Model", facts)


def _machine(record: RunRecord) -> str:
    summary = record.summary
    total, peak = as_number(summary.get("flops")), as_number(summary.get("matmul_peak_flops"))
    used, memory = as_number(summary.get("utilisation")), record.number(PEAK_MEMORY_BYTES)
    facts = {
        "device": summary.get("device"),
        "threads": summary.get("threads"),
        "precision": summary.get("precision"),
        "compiled": summary.get("compiled"),
        "peak memory": None if memory is None else f"{memory / 1e9:.2f} GB",
        "work": None if total is None else flops(total),
        "matmul peak, measured": None if peak is None else f"{flops(peak)}/s",
        "utilisation of it": None if used is None else f"{used:.1%}",
    }
    return fact_list("Machine", facts)


def _cost(record: RunRecord) -> str:
    cost = record.summary.get("cost")
    if not isinstance(cost, Mapping):
        return ""
    kwh, grams, dollars = (as_number(cost.get(key)) for key in ("kwh", "co2_grams", "dollars"))
    facts = {
        "energy": None if kwh is None else f"{kwh:.3g} kWh" if kwh >= 0.1 else f"{1000 * kwh:.3g} Wh",
        "CO2": None if grams is None else f"{grams:.3g} g" if grams < 1000 else f"{grams / 1000:.3g} kg",
        "money": None if dollars is None else f"${dollars:,.2f}" if dollars >= 1 else f"${dollars:.3g}",
        "based on": cost.get("basis"),
    }
    return fact_list("Cost and energy", facts)


def _repeat(record: RunRecord) -> str:
    if not record.recipe_text:
        return ""
    again = shlex.quote(f"{record.name}-again")
    command = f"lilliput train {shlex.quote(str(RunFolder(record.path).recipe))} --name {again}"
    generate = [f'lilliput generate {shlex.quote(str(record.path))} "Once upon a time"'] if record.generates else []
    version = record.summary.get("lilliput")
    lines = [f"# made by Lilliput {version}"] if version else []
    code = escape("\n".join([*lines, command, *generate]))
    return f"<h2>How to repeat it</h2><pre><code>{code}</code></pre>"


def _recipe(record: RunRecord) -> str:
    if not record.recipe_text:
        return ""
    return f"<details><summary>The whole recipe</summary><pre><code>{escape(record.recipe_text)}</code></pre></details>"


def _section(record: RunRecord, key: str) -> dict[str, Any]:
    value = record.recipe.get(key)
    return value if isinstance(value, dict) else {}
