"""The named models as a table. It is computed once and kept in listing.json, so that the command prints the table
without PyTorch.

python -m lilliput.model.listing     # writes the file again, after a row of styles.py or a part has changed
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lilliput.base.files import read_json, write_json
from lilliput.model.styles import STYLES

FILE = Path(__file__).with_name("listing.json")
SIZES = ("d_model", "n_layers", "n_heads", "vocab_size", "context_length")


def listing() -> dict[str, dict[str, Any]]:
    """Return parameters, sizes and Hugging Face class of every named model, from the file where it was made from these
    rows, else computed."""
    kept = read_json(FILE)
    return kept["models"] if kept["rows"] == rows() else compute()


def rows() -> str:
    """SHA-256 of the rows of styles.py, as hexadecimal digits."""
    return hashlib.sha256(json.dumps(STYLES, sort_keys=True).encode()).hexdigest()


def compute() -> dict[str, dict[str, Any]]:
    """Compute the table from the parts."""
    from lilliput.model.config import resolve
    from lilliput.model.counts import parameters
    from lilliput.model.huggingface import huggingface_class

    configs = {name: resolve(name) for name in STYLES}
    return {
        name: {
            "parameters": parameters(config).total,
            "non_embedding": parameters(config).non_embedding,
            **{size: getattr(config, size) for size in SIZES},
            "huggingface_class": huggingface_class(config)[0],
        }
        for name, config in configs.items()
    }


if __name__ == "__main__":
    write_json(FILE, {"rows": rows(), "models": compute()})
