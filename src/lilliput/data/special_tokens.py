"""Special tokens: the roles that a tokenizer may have a token for, found in others' tokenizers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

SPANS = {f"span_{number}": f"<extra_id_{number}>" for number in range(100)}
"""Marks of the missing spans of a text, as T5 names them."""
COMMON = {
    "bos": ("<|begin_of_text|>", "<s>", "<bos>", "<|startoftext|>", "[CLS]", "<|endoftext|>"),
    "eos": ("<|end_of_text|>", "</s>", "<eos>", "<|endoftext|>", "[SEP]"),
    "pad": ("<|pad|>", "<pad>", "<|finetune_right_pad_id|>", "[PAD]", "<|endoftext|>"),
    "unk": ("<unk>", "[UNK]"),
    "mask": ("<|mask|>", "<mask>", "[MASK]"),
    "im_start": ("<|im_start|>",),
    "im_end": ("<|im_end|>",),
    "fim_prefix": ("<|fim_prefix|>",),
    "fim_middle": ("<|fim_middle|>",),
    "fim_suffix": ("<|fim_suffix|>",),
    **{role: (token,) for role, token in SPANS.items()},
}
"""The special tokens that may have each role, the most specific name first."""


def roles(backend: Backend, spec: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, int]:
    """Return the ids by role; `names` are the tokens of some roles. A tokenizer with only a beginning or only an end
    mark uses that mark for both, as GPT-2 does. Padding is never learned, so any token may serve as padding. Raises
    DataError for a tokenizer with neither mark."""
    found = {}
    for role, common in COMMON.items():
        known = (backend.token_to_id(name) for name in (names.get(role), *common) if name)
        number = next((number for number in known if number is not None), None)
        if number is not None:
            found[role] = number
    if "bos" not in found and "eos" not in found:
        listed = ", ".join(token["content"] for token in spec["added_tokens"][:8]) or "none"
        raise DataError(
            f"the tokenizer has no special token for the beginning or end of a text (it has: {listed})",
            'name them beside it in tokenizer_config.json: {"bos_token": "...", "eos_token": "..."}',
        )
    found.setdefault("eos", found.get("bos", 0))
    found.setdefault("bos", found["eos"])
    found.setdefault("pad", found["eos"])
    return found
