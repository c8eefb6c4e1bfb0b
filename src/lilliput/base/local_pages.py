"""Pages served on this machine: the address to listen at, and the files and headers of a page."""

from __future__ import annotations

import ipaddress
import socket
from importlib.resources import files

from lilliput.base.errors import ConfigError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names of this machine that only this machine can reach, as a Host header spells them."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Headers of a page's files: the page runs no code and loads no file but its own, and no other page may frame it."""
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any free port. Raises ConfigError when the address is taken or is not
    this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error}", "choose another: --port 8001") from None
    listener.listen(2048)
    return listener


def page_files(package: str) -> dict[str, tuple[bytes, str]]:
    """Return {name: (content, media type)} of the files in the folder `page` of a package. They are read once, so that
    no request names a path."""
    found = {}
    for file in (files(package) / "page").iterdir():
        if kind := KINDS.get(file.name.rpartition(".")[2]):
            found[file.name] = (file.read_bytes(), kind)
    return found
