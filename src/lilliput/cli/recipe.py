"""`lilliput recipe`: list the shipped recipes, show a recipe's resolved values, print the JSON schema for editors."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from lilliput.cli.options import Json

app = typer.Typer(help="List recipes, show a recipe's values, print the schema.", no_args_is_help=True)


@app.command("list")
def list_recipes(
    json: Json = False,
) -> None:
    """List the recipes that come with Lilliput."""
    from lilliput.base import console
    from lilliput.base.shipped import shipped

    console.use_json(json)
    first_lines = {name: path.read_text(encoding="utf-8").split("\n")[0] for name, path in shipped().items()}
    described = {name: line.removeprefix("#").strip() for name, line in first_lines.items()}
    if json:
        console.emit(described)
        return
    for name, line in described.items():
        console.print_line(f"{name:20} {line}")


@app.command()
def show(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name or a YAML file.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="section.key=value")] = None,
    json: Json = False,
) -> None:
    """Show every value of a recipe, defaults included."""
    import yaml

    from lilliput.base import console
    from lilliput.planning.dial import load_recipe

    console.use_json(json)
    values = load_recipe(recipe, overrides or []).model_dump(mode="json")
    if json:
        console.emit(values)
    else:
        console.print_line(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip())


@app.command()
def schema() -> None:
    """Print the JSON schema of a recipe. Point an editor's YAML plug-in at it to complete and check recipes."""
    from lilliput.assembly.recipe import Recipe

    print(jsonlib.dumps(Recipe.model_json_schema(), indent=2))
