"""lens: instruments that look inside a model: what its heads read, what matters, how a token is decided.

from lilliput import lens
with lens.capture(model, "blocks.*.attn.hook_pattern") as seen:
    model(tokens)
seen["blocks.0.attn.hook_pattern"]  # (rows, heads, positions, positions)
"""

from lilliput.lens.capture import Captured, capture
from lilliput.lens.intervene import Hook, intervene
from lilliput.lens.names import hook_names
from lilliput.lens.sparse import SparseCoder, SparseConfig, collect, collect_pair
from lilliput.lens.sparse_files import load_features, save_features
from lilliput.lens.sparse_training import train_autoencoder, train_transcoder
from lilliput.lens.steering import Push, steer

__all__ = [
    "Captured",
    "Hook",
    "Push",
    "SparseCoder",
    "SparseConfig",
    "capture",
    "collect",
    "collect_pair",
    "hook_names",
    "intervene",
    "load_features",
    "save_features",
    "steer",
    "train_autoencoder",
    "train_transcoder",
]
