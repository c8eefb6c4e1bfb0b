"""The model card (README.md) that lies in every checkpoint's model folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lilliput import __version__
from lilliput.train.run_folder import RunFolder

if TYPE_CHECKING:
    from lilliput.model.transformer import Model

CARD = """---
library_name: transformers
pipeline_tag: text-generation
tags: [lilliput, tiny]
---

# {name}

A language model of {parameters:,} parameters, trained from scratch with Lilliput {version}.

- shape: {layers} layers, width {width}, {heads} heads, context {context}, vocabulary {vocabulary:,}
- trained on {tokens:,} tokens in {step:,} steps
- validation: {validation}

`recipe.yaml` in the run folder repeats the training.
"""


def model_card(name: str, model: Model, run: RunFolder) -> str:
    """Markdown with Hugging Face's metadata block, from the model and the run's last logged lines."""
    records = run.read_metrics()
    last = records[-1] if records else {"step": 0, "tokens": 0}
    scored = [record for record in records if "val_bits_per_byte" in record]
    validation = "not measured yet"
    if scored:
        validation = f"{scored[-1]['val_bits_per_byte']:.4f} bits per byte at step {scored[-1]['step']:,}"
    config = model.config
    return CARD.format(
        name=name,
        version=__version__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        layers=config.n_layers,
        width=config.d_model,
        heads=config.n_heads,
        context=config.context_length,
        vocabulary=config.vocab_size,
        step=last["step"],
        tokens=last["tokens"],
        validation=validation,
    )
