"""State: the runtime of this process, as names for the record of a run and as sentences for people."""

from __future__ import annotations

import os
import platform

from lilliput import __version__
from lilliput.base.cache import cache_folder
from lilliput.base.runtime import allocator, products, spin, switch


def recorded() -> dict[str, str]:
    """Return the facts that a run records besides its settings: allocator, products, and the versions of libraries."""
    import torch

    return {
        "products": products.name(),
        "allocator": allocator.name(),
        "torch": torch.__version__,
        "lilliput": __version__,
        "python": platform.python_version(),
    }


def words() -> dict[str, str]:
    """Return the same facts as sentences, by subject, for `lilliput doctor`. 'products' is left out where MKL's own
    choice is fast. 'runtime' is present only where LILLIPUT_PLAIN turns the runtime off."""
    found = {"allocator": allocator.planned(), "waiting": spin.waiting(os.environ), "cache": str(cache_folder())}
    if chosen := products.state():
        found["products"] = chosen
    if switch.plain():
        found["runtime"] = f"off ({switch.PLAIN}=1)"
    return found
