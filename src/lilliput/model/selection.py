"""Selection: parts of a model by the names that a person types, such as `embed`, `blocks.0-3` or `blocks.2.attn`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn

from lilliput.base.errors import ConfigError, nearest

RANGE = re.compile(r"\.(\d+)-(\d+)(?=\.|$)")


def spread(name: str) -> list[str]:
    """Return the names that a name with a range stands for: `blocks.0-2.attn` gives three. Raises ConfigError for a
    range that ends before it begins."""
    found = RANGE.search(name)
    if found is None:
        return [name]
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise ConfigError(f"'{name}' is a range that ends before it begins")
    return [f"{name[: found.start()]}.{number}{name[found.end() :]}" for number in range(first, last + 1)]


def parts_of(model: nn.Module) -> dict[str, nn.Module]:
    """Return every module of the model that holds parameters, by name."""
    found = model.named_modules()
    return {name: module for name, module in found if name and any(True for _ in module.parameters())}


def select(model: nn.Module, names: Sequence[str], key: str) -> dict[str, nn.Module]:
    """Return the parts with these names, or in these ranges of names. Raises ConfigError, which names the recipe's
    `key`, for a name that no part has."""
    known, chosen = parts_of(model), {}
    for name in names:
        for each in spread(name):
            if each not in known:
                raise ConfigError(
                    f"{key} has '{name}', and the model has no part '{each}'{nearest(each, known)}",
                    f"parts: {', '.join(outline(known))}",
                )
            chosen[each] = known[each]
    return chosen


def outline(known: Sequence[str] | dict[str, nn.Module]) -> list[str]:
    """Return the names for a person: those outside the blocks, all blocks as one range, and the parts of a block."""
    blocks = sorted({int(name.split(".")[1]) for name in known if re.match(r"blocks\.\d+$", name)})
    outside = [name for name in known if not name.startswith("blocks")]
    if not blocks:
        return outside
    inside = [name.removeprefix("blocks.0.") for name in known if name.startswith("blocks.0.")]
    shown = f"blocks.0-{blocks[-1]}" if len(blocks) > 1 else "blocks.0"
    return [*outside, shown, *(f"{shown}.{name}" for name in inside)]


def freeze(model: nn.Module, names: Sequence[str], key: str = "train.freeze") -> int:
    """Take the named parts out of training, and return the number of their parameters. Their weights get no gradient
    and no optimiser state. Raises ConfigError for an unknown name, and where no parameter is left to train."""
    frozen = {id(one): one for part in select(model, names, key).values() for one in part.parameters()}
    if len(frozen) == len({id(one) for one in model.parameters()}):
        raise ConfigError(f"{key} freezes the whole model, so that nothing is left to train", "leave a part out of it")
    for parameter in frozen.values():
        parameter.requires_grad_(False)
    return sum(parameter.numel() for parameter in frozen.values())
