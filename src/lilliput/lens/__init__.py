"""lens: instruments that look inside a model: what its heads read, what matters, how a token is decided.

from lilliput import lens
with lens.capture(model, "blocks.*.attn.hook_pattern") as seen:
    model(tokens)
seen["blocks.0.attn.hook_pattern"]  # (rows, heads, positions, positions)
"""

from lilliput.lens.capture import Captured, capture
from lilliput.lens.intervene import Hook, intervene
from lilliput.lens.names import hook_names

__all__ = ["Captured", "Hook", "capture", "hook_names", "intervene"]
