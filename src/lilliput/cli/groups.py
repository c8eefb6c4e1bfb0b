"""Groups of commands with a default command: its name may be left out."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


def by_default(name: str) -> type[TyperGroup]:
    """Return a group that reads a first word that is no command as the first word of the command `name`: `plan story`
    is `plan recipe story`."""

    class ByDefault(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if args and not args[0].startswith("-") and args[0] not in self.commands:
                args = [name, *args]
            return super().parse_args(ctx, args)

    return ByDefault
