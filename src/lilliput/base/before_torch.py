"""What has to be there before PyTorch is imported: how threads wait, where compiled code is kept, MKL's kernels."""

from __future__ import annotations

import os
from pathlib import Path

from lilliput.base import mkl
from lilliput.base.files import cache_folder, can_hold, named_cache, temporary_cache
from lilliput.base.threads import waiting_environment


def at_import() -> None:
    """What `import lilliput` sets. Nothing is written, and for a user without a home nothing is looked for."""
    os.environ.update(waiting_environment(os.environ))
    if (cache := named_cache()) is not None:
        if can_hold(cache):
            _keep_compiled(cache)
        mkl.answer()


def before_use() -> None:
    """What a command that computes, and the Python API, set besides: here the cache may be written."""
    cache = cache_folder()
    _keep_compiled(cache if can_hold(cache) else temporary_cache())
    mkl.prepare()


def _keep_compiled(cache: Path) -> None:
    # PyTorch would keep it where a restart deletes it, and it makes the folder that is named as soon as it is imported.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "inductor"))
