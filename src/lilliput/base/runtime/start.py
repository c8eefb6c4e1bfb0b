"""Start: the one place where the runtime is chosen and applied to this process, by the command and by `train`.

A bare `import lilliput` changes nothing. With LILLIPUT_PLAIN=1 the command and `train` change nothing either
(switch.py).
"""

from __future__ import annotations

import os
import sys

from lilliput.base.cache import can_hold, make_private, private_folder, report, temporary_cache, tree_refusal
from lilliput.base.cache_use import Held, hold
from lilliput.base.runtime import allocator, products, spin, switch

COMPILED = "TORCHINDUCTOR_CACHE_DIR"

_held: list[Held | None] = []


def restart() -> None:
    """Start this command again with a better memory allocator, where one is installed. No other work may have begun."""
    environment = allocator.better_environment(os.environ)
    if environment is not None:
        os.execve(sys.executable, sys.orig_argv, environment)


def begin(trains: bool = False) -> list[str]:
    """Choose and apply the settings that can still take effect in this process. Before PyTorch is loaded, these are the
    waiting of threads and MKL's kernels. At any time they are the folder of compiled code and, where the process
    `trains`, or runs the model over and over as training does, glibc's setting to keep freed memory.
    `begin` may be called again.

    Returns the choices that would have an effect but cannot be applied any more, because PyTorch is already loaded.
    Raises ConfigError where a variable has an unknown value."""
    if switch.plain():
        return []
    late = "torch" in sys.modules
    missing: list[str] = []
    waiting = spin.waiting_environment(os.environ)
    if late:
        missing += ["how threads wait (GOMP_SPINCOUNT)"] if waiting else []
    else:
        os.environ.update(waiting)
    _keep_compiled()
    if products.prepare() and not products.loaded():
        missing.append("MKL's faster kernels")
    if trains:
        allocator.keep()
    return missing


def too_late(missing: list[str]) -> str:
    """Return the line that reports the choices that `begin` could not apply."""
    what = " and ".join(missing)
    return f"PyTorch was imported before training began: {what} cannot be set any more (docs/environment.md)"


def _keep_compiled() -> None:
    """Keep compiled code in the cache, because a restart of the machine deletes PyTorch's own folder. PyTorch loads
    code from the folder, so the folder is used only where every file in it belongs to this user."""
    if COMPILED in os.environ:
        return
    folder = private_folder("inductor")
    if not can_hold(folder):
        folder = temporary_cache() / "inductor"
    if folder.is_dir():
        if why := tree_refusal(folder, folder):
            report(f"{why}: compiled code is kept in {temporary_cache()} for now")
            folder = temporary_cache() / "inductor"
            make_private(folder)
        else:
            folder.chmod(0o700)
    _held.append(hold(folder))
    os.environ[COMPILED] = str(folder)
