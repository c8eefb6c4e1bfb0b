"""Running the server: the address at which it may listen, and the lines that it prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lilliput.base.errors import ConfigError, MissingExtra
from lilliput.base.local_pages import LOOPBACK_NAMES, is_loopback, listen

if TYPE_CHECKING:
    from lilliput.server.served import Served


def serve(
    models: Sequence[Served],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    slots: int = 32,
    queue: int = 256,
    runs_folder: Path = Path("runs"),
    notify: Callable[[str], None] = print,
) -> None:
    """Serve `models` until interrupted; port 0 takes any free port. Raises ConfigError for a host beyond loopback
    without a key and for an address that cannot be used, and MissingExtra without the `serve` extra."""
    if not is_loopback(host) and not api_key:
        raise ConfigError(
            f"{host} can be reached from other machines, and there is no API key to keep others out",
            "put one into the variable LILLIPUT_API_KEY (other users can read a command line), or leave --host out",
        )
    try:
        from lilliput.server.app import create_app
        from lilliput.server.connections import raise_descriptors
        from lilliput.server.running import Server
    except ImportError as error:
        raise MissingExtra(error.name or "fastapi", "serve", "the server") from None
    raise_descriptors()
    hosts = LOOPBACK_NAMES | {host} if is_loopback(host) else None
    app = create_app(models, slots=slots, queue=queue, api_key=api_key, hosts=hosts, runs_folder=runs_folder)
    listener = listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    notify(f"serving {', '.join(served.name for served in models)} at http://{shown}:{listener.getsockname()[1]}")
    notify("API: /v1/completions, /v1/chat/completions; a page to read on at /; Ctrl-C ends it")
    with listener, suppress(KeyboardInterrupt):  # uvicorn raises it again once all has ended
        Server(app).run(sockets=[listener])
