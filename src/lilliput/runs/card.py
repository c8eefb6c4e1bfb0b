"""The model card (README.md) that lies in every checkpoint's model folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lilliput import __version__
from lilliput.model.huggingface import huggingface_class
from lilliput.objectives.objective import BITS, ObjectiveConfig
from lilliput.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig
    from lilliput.model.transformer import Model

LOAD = """from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "{folder}"
model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
"""
TELL = """given = tokenizer("Once upon a time", return_tensors="pt")
told = model.generate(**given, do_sample=False, max_new_tokens=100)
print(tokenizer.decode(told[0], skip_special_tokens=True))
"""
CARD = """---
library_name: transformers
{task}tags: [lilliput, tiny]
---

# {name}

A language model of {parameters:,} parameters, trained from scratch with Lilliput {version}.

- shape: {layers} layers, width {width}, {heads} heads, context {context}, vocabulary {vocabulary:,}
- trained on {tokens:,} tokens in {step:,} steps
- validation: {validation}

{use}`recipe.yaml` in the run folder repeats the training.
"""


def snippet(folder: str, forwards: bool) -> str:
    """How transformers loads the model, and goes on from a prompt where it reads `forwards`, as a block of code."""
    return "```python\n" + LOAD.format(folder=folder) + (TELL if forwards else "") + "```"


def model_card(name: str, model: Model, run: RunFolder, objective: ObjectiveConfig) -> str:
    """Markdown with Hugging Face's metadata block, from the model, its objective, and the run's last logged lines."""
    figure = objective.figure
    records = run.read_metrics()
    last = records[-1] if records else {"step": 0, "tokens": 0}
    scored = [record for record in records if record.get(figure.validation) is not None]
    validation = "not measured yet"
    if scored:
        unit = "bits per byte" if figure == BITS else figure.unit
        validation = f"{scored[-1][figure.validation]:.4f} {unit} at step {scored[-1]['step']:,}"
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
        tokens=last.get("tokens") or 0,
        validation=validation,
        task="pipeline_tag: text-generation\n" if objective.generates else "",
        use=_use(config, objective),
    )


def _use(config: ModelConfig, objective: ObjectiveConfig) -> str:
    """How transformers loads it; or that it generates no text, which its stock class would do all the same."""
    if not objective.generates:
        return (
            f"Trained by the objective `{objective.kind}`, it generates no text. A stock class for text computes "
            "other hidden states than the ones it was trained with.\n\n"
        )
    return snippet(".", objective.reads_forwards) + "\n\n" if huggingface_class(config)[0] else ""
