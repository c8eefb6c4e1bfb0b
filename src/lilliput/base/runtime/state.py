"""State: what the runtime of this process is, by name for the record of a run and in words for a person."""

from __future__ import annotations

import os
import platform

from lilliput import __version__
from lilliput.base.cache import cache_folder
from lilliput.base.runtime import allocator, products, spin, switch


def recorded() -> dict[str, str]:
    """What decides the bits of a run besides its settings: allocator, products, and the versions of what computes."""
    import torch

    return {
        "products": products.name(),
        "allocator": allocator.name(),
        "torch": torch.__version__,
        "lilliput": __version__,
        "python": platform.python_version(),
    }


def words() -> dict[str, str]:
    """The same in words, by what it is about, for `lilliput doctor`; 'products' is left out where MKL chooses well by
    itself, and 'runtime' is there where LILLIPUT_PLAIN turns it off."""
    found = {"allocator": allocator.planned(), "waiting": spin.waiting(os.environ), "cache": str(cache_folder())}
    if chosen := products.state():
        found["products"] = chosen
    if switch.plain():
        found["runtime"] = f"off ({switch.PLAIN}=1)"
    return found
