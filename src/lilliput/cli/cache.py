"""`lilliput cache`: list the entries of the cache, and remove entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lilliput.cli.options import Json

if TYPE_CHECKING:
    from lilliput.base.cache_contents import Entry

app = typer.Typer(help="List the entries of the cache, and remove entries.", no_args_is_help=True)

Kind = Annotated[
    list[str] | None,
    typer.Option("--kind", help="tokens, tokenizers, native, inductor, machine or judge; may be given again."),
]


@app.command("list")
def list_(kind: Kind = None, json: Json = False) -> None:
    """List the entries of the cache: kind, size, age since the last use, and purpose."""
    from lilliput.base import console
    from lilliput.base.cache import cache_folder
    from lilliput.base.cache_contents import KINDS, entries

    console.use_json(json)
    found = entries(kind or ())
    if json:
        console.emit({"cache": cache_folder(), "bytes": _bytes(found), "entries": [one.as_dict() for one in found]})
        return
    for entry in found:
        console.print_line(_line(entry))
    kinds = dict.fromkeys(entry.kind for entry in found)
    for name in kinds:
        same = [entry for entry in found if entry.kind == name]
        console.print_line(f"{name}: {len(same)} of {console.size(_bytes(same))}: {KINDS[name]}")
    console.print_line(f"{cache_folder()}: {console.size(_bytes(found))}; remove with: {console.command()} cache prune")


@app.command("prune")
def prune(
    kind: Kind = None,
    older: Annotated[
        str | None, typer.Option(help="Remove entries that were not used for this time: 30d, 12h. Default: any age.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the entries that would be removed, and remove nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove entries that no running process uses. All of them can be made again; a judge's answers, which may have
    cost money, are removed only with --kind judge."""
    from lilliput.base import console, units
    from lilliput.base.cache_contents import prune as prune_entries

    console.use_json(json)
    removed, stayed = prune_entries(kind or (), units.seconds(older) if older else 0.0, dry_run)
    if json:
        lists = {"removed": removed, "kept": stayed}
        named = {name: [entry.as_dict() for entry in found] for name, found in lists.items()}
        console.emit({"dry_run": dry_run, "bytes": _bytes(removed), **named})
        return
    for entry in removed:
        console.print_line(_line(entry))
    for entry in stayed:
        console.print_line(f"{_line(entry)}: kept, because a process uses it or it cannot be removed")
    verb = "would be removed" if dry_run else "removed"
    console.print_line(f"{len(removed)} entries of {console.size(_bytes(removed))} {verb}")


def _bytes(found: list[Entry]) -> int:
    return sum(entry.size for entry in found)


def _line(entry: Entry) -> str:
    from lilliput.base import console

    used = "  in use" if entry.used else ""
    age = f"{console.duration(entry.age)} old"
    return f"{entry.kind:<10} {console.size(entry.size):>10}  {age:>14}  {entry.path}{used}"
