"""Reference tables with a calculator each: sizes and tokens of known models, tokens as words and novels, GPU hours as
energy and CO2.

GPT-3: Brown et al. 2020 (arXiv:2005.14165), table 2.1. Llama 2: Touvron et al. 2023 (arXiv:2307.09288), tables 1 and 2.
Falcon: Almazrouei et al. 2023 (arXiv:2311.16867). Llama 3: Meta's model card (GPU hours on H100-80GB at 700 W, and tons
of CO2 equivalent by the grid of where they ran).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lilliput.base.console import flops as flops_text
from lilliput.base.console import number
from lilliput.base.energy import GRAMS_CO2_PER_KWH
from lilliput.base.errors import ConfigError
from lilliput.base.html import document, escape
from lilliput.planning.chinchilla import CHINCHILLA, FLOPS_PER_PARAMETER, TOKENS_PER_PARAMETER
from lilliput.planning.isoflop import DIALS

MODELS: dict[str, tuple[float, float]] = {
    "GPT-3 Small": (125e6, 300e9),
    "GPT-3 Medium": (350e6, 300e9),
    "GPT-3 Large": (760e6, 300e9),
    "GPT-3 XL": (1.3e9, 300e9),
    "GPT-3 2.7B": (2.7e9, 300e9),
    "GPT-3 6.7B": (6.7e9, 300e9),
    "GPT-3 13B": (13e9, 300e9),
    "GPT-3": (175e9, 300e9),
    "Llama 2 7B": (7e9, 2e12),
    "Llama 2 13B": (13e9, 2e12),
    "Llama 2 34B": (34e9, 2e12),
    "Llama 2 70B": (70e9, 2e12),
    "Falcon 7B": (7e9, 1.5e12),
    "Falcon 40B": (40e9, 1e12),
    "Falcon 180B": (180e9, 3.5e12),
}
"""Parameters and training tokens."""

WORDS_PER_TOKEN = 0.75
"""Words a token of English prose, for a vocabulary near 50,000. Smaller vocabularies need more tokens a word."""
WORDS_PER_NOVEL = 90_000
"""Words of a usual novel. Novels have from 40,000 words to several hundred thousand."""
TEXTS = {"a bedtime story": 250.0, "a novel": WORDS_PER_NOVEL / WORDS_PER_TOKEN, "a shelf of 100 novels": 1.2e7,
         "GPT-3's training": 3e11, "Llama 2's training": 2e12}  # fmt: skip
"""Rough sizes in tokens."""

LLAMA_3 = {"Llama 3 8B": (1.3e6, 390.0), "Llama 3 70B": (6.4e6, 1900.0)}
"""GPU hours and tons of CO2 equivalent, as published."""
LLAMA_3_WATTS = 700.0


@dataclass(frozen=True, slots=True)
class Training:
    """The figures of training N parameters on D tokens. `law_loss` is the loss by Chinchilla's law, in nats a token."""

    parameters: float
    tokens: float
    tokens_per_parameter: float
    share_of_rule: float
    flops: float
    law_loss: float


def training(parameters: float, tokens: float) -> Training:
    """Return the figures of one row. `share_of_rule` is 1 at 20 tokens a parameter. Raises ConfigError unless both
    numbers are above 0."""
    loss = CHINCHILLA.loss(parameters, tokens)
    ratio = tokens / parameters
    return Training(
        parameters, tokens, ratio, ratio / TOKENS_PER_PARAMETER, FLOPS_PER_PARAMETER * parameters * tokens, loss
    )


@dataclass(frozen=True, slots=True)
class Text:
    """The same amount of text in three units."""

    tokens: float
    words: float
    novels: float


def text(
    *,
    tokens: float | None = None,
    words: float | None = None,
    novels: float | None = None,
    words_per_token: float = WORDS_PER_TOKEN,
) -> Text:
    """Convert the given amount into all units. Raises ConfigError unless exactly one amount is given, above 0."""
    given = {"tokens": tokens, "words": words, "novels": novels}
    known = {name: value for name, value in given.items() if value is not None}
    if len(known) != 1:
        raise ConfigError(f"give exactly one of tokens, words and novels; {len(known)} are given")
    for name, value in {**known, "words_per_token": words_per_token}.items():
        if not value > 0:
            raise ConfigError(f"{name} has to be above 0, and is {value:g}")
    in_words = words or (novels or 0) * WORDS_PER_NOVEL or (tokens or 0) * words_per_token
    return Text(in_words / words_per_token, in_words, in_words / WORDS_PER_NOVEL)


@dataclass(frozen=True, slots=True)
class Power:
    """Energy and CO2 of GPU hours."""

    gpu_hours: float
    watts: float
    kwh: float
    grams_co2_per_kwh: float
    tons_co2: float


def energy(gpu_hours: float, watts: float = LLAMA_3_WATTS, grams_co2_per_kwh: float = GRAMS_CO2_PER_KWH) -> Power:
    """Return GPU hours x watts as energy and CO2. Processors and cooling are not counted. Raises ConfigError for a
    negative number."""
    for name, value in {"gpu_hours": gpu_hours, "watts": watts, "grams_co2_per_kwh": grams_co2_per_kwh}.items():
        if not value >= 0:
            raise ConfigError(f"{name} cannot be negative, and is {value:g}")
    kwh = gpu_hours * watts / 1000
    return Power(gpu_hours, watts, kwh, grams_co2_per_kwh, kwh * grams_co2_per_kwh / 1e6)


def published_energy(name: str) -> Power:
    """Return a row of LLAMA_3, with the grams of CO2 a kWh that its published tons imply."""
    hours, tons = LLAMA_3[name]
    return energy(hours, LLAMA_3_WATTS, tons * 1e6 / (hours * LLAMA_3_WATTS / 1000))


def as_dict() -> dict[str, Any]:
    """Return all three tables as JSON values."""
    return {
        "models": {name: asdict(training(*row)) for name, row in MODELS.items()},
        "texts": {name: asdict(text(tokens=tokens)) for name, tokens in TEXTS.items()},
        "energy": {name: asdict(published_energy(name)) for name in LLAMA_3},
    }


def model_cells(row: Training) -> dict[str, str]:
    """Format one row for people."""
    return {
        "parameters": number(row.parameters),
        "tokens": number(row.tokens),
        "tokens a parameter": number(row.tokens_per_parameter),
        "of the rule of 20": f"{number(row.share_of_rule)}x",
        "training": flops_text(row.flops),
        "law's loss": f"{row.law_loss:.3f}",
    }


def text_cells(row: Text) -> dict[str, str]:
    """Format one row for people."""
    return {"tokens": number(row.tokens), "words": number(row.words), "novels": number(row.novels)}


def energy_cells(row: Power) -> dict[str, str]:
    """Format one row for people."""
    return {
        "GPU hours": number(row.gpu_hours),
        "watts": f"{row.watts:g}",
        "MWh": f"{row.kwh / 1000:,.4g}",
        "g CO2 a kWh": f"{row.grams_co2_per_kwh:.0f}",
        "tons of CO2": f"{row.tons_co2:,.4g}",
    }


def cells() -> dict[str, dict[str, dict[str, str]]]:
    """Format all three tables for people, as {title: {row: {column: cell}}}."""
    return {
        "models": {name: model_cells(training(*row)) for name, row in MODELS.items()},
        "text": {name: text_cells(text(tokens=tokens)) for name, tokens in TEXTS.items()},
        "energy": {name: energy_cells(published_energy(name)) for name in LLAMA_3},
    }


# ---------------------------------------------------------------------------- the page

_ABOUT = {
    "models": ("Sizes and tokens", "How far each model went beyond 20 tokens a parameter, the FLOPs of C = 6 N D, and "
               "the loss that Chinchilla's law gives it, in nats a token of Chinchilla's own data."),
    "text": ("Tokens, words, novels", f"At {WORDS_PER_TOKEN} words a token and {WORDS_PER_NOVEL:,} words a novel."),
    "energy": ("Energy of Llama 3", f"GPU hours at {LLAMA_3_WATTS:g} W and tons of CO2 as Meta published them; the "
               "grams a kWh follow from both."),
}  # fmt: skip
_INPUTS = {
    "models": {"parameters": 51e6, "tokens": 1e9},
    "text": {"tokens": 1e9, "words a token": WORDS_PER_TOKEN},
    "energy": {"GPU hours": 8.0, "watts": LLAMA_3_WATTS, "g CO2 a kWh": GRAMS_CO2_PER_KWH},
}


def page() -> str:
    """Return the three tables as an offline page. The reader can change the numbers of each first row."""
    sections = (_section(kind, rows) for kind, rows in cells().items())
    body = f"""<header><div class="eyebrow">Lilliput plan</div><h1>How large is large?</h1></header>
{"".join(sections)}
<footer>GPT-3: arXiv:2005.14165. Llama 2: arXiv:2307.09288. Falcon: arXiv:2311.16867. Llama 3: Meta's model card. Law:
Hoffmann et al. 2022, arXiv:2203.15556.</footer>"""
    script = Path(__file__).with_name("tables.js").read_text(encoding="utf-8")
    return document("Reference tables", body, DIALS, script)


def _section(kind: str, rows: dict[str, dict[str, str]]) -> str:
    title, about = _ABOUT[kind]
    inputs = "".join(
        f'<label>{escape(name)}<input type="number" min="0" step="any" value="{value:g}"></label>'
        for name, value in _INPUTS[kind].items()
    )
    columns = next(iter(rows.values()))
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    own = f'<tr class="own"><th scope="row">yours</th>{"<td></td>" * len(columns)}</tr>'
    lines = (
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row.values())}</tr>'
        for name, row in rows.items()
    )
    return f"""<section id="{kind}"><h2>{escape(title)}</h2><p class="quiet">{escape(about)}</p>
<div class="dials">{inputs}</div>
<div class="scroll"><table class="numbers"><tr><td></td>{head}</tr>{own}{"".join(lines)}</table></div></section>"""
