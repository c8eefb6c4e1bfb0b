"""A PEFT adapter's folder, merged with its model into a stock Hugging Face folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from lilliput.base.errors import ExportError
from lilliput.base.files import read_json
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.adapter import merge
from lilliput.model.huggingface import OWN, from_huggingface, read_back, to_huggingface

TOKENIZER = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja"),
)
"""The files of a tokenizer and of a chat template. A trainer that changed them writes them beside the adapter."""


def merge_adapter(
    adapter: Path, folder: Path, base: Path, tokenizer: str | Path | None, notify: Callable[[str], None]
) -> None:
    """Make `folder` and write the model in `base` into it, with the adapter merged. The folder gets the base's end
    tokens and direction. Its tokenizer is the given one, else the adapter's own, else the base's. Raises ModelError, or
    ExportError for a tokenizer that the model has no room for."""
    model = from_huggingface(base, notify)
    merge(adapter, model)
    raw = read_json(base / "config.json")
    marks = {role: raw.get(role) for role in ("bos_token_id", "eos_token_id", "pad_token_id")}
    to_huggingface(model, folder, **marks, extra={k: v for k, v in (raw.get(OWN) or {}).items() if k != "config"})
    read_back(model, folder)
    source = adapter if (adapter / "tokenizer.json").is_file() else base
    chosen = Tokenizer.load(Path(tokenizer) if tokenizer else source)
    if chosen.vocab_size > model.config.vocab_size:
        raise ExportError(
            f"the tokenizer has {chosen.vocab_size:,} ids, and the model {model.config.vocab_size:,}",
            "name the tokenizer of its training: --tokenizer FILE",
        )
    if tokenizer:
        chosen.save(folder, model.config.context_length)
    for place, names in ((base, ("generation_config.json",)), (source, () if tokenizer else TOKENIZER)):
        for name in names:
            if (place / name).is_file():
                shutil.copyfile(place / name, folder / name)
