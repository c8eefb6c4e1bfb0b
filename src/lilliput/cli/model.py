"""`lilliput model`: list the named models, and show the parts and costs of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.options import Json, whole

if TYPE_CHECKING:
    from rich.tree import Tree
    from torch.nn import Module

    from lilliput.model.config import ModelConfig

app = typer.Typer(help="Print named models: their parts and their costs.", no_args_is_help=True)


@app.command("list")
def list_models(json: Json = False) -> None:
    """List every named model. With its shape, its size and the Hugging Face class of its saved folder."""
    from lilliput.base import console
    from lilliput.model.listing import listing

    console.use_json(json)
    rows = listing()
    if json:
        console.emit({"models": rows})
        return
    wide = max(map(len, rows))
    console.print_line(
        f"{'model':{wide}} {'parameters':>15} {'width':>6} {'layers':>6} {'heads':>5} {'vocab':>7}  saved as"
    )
    for name, row in rows.items():
        console.print_line(
            f"{name:{wide}} {row['parameters']:>15,} {row['d_model']:>6} {row['n_layers']:>6} {row['n_heads']:>5} "
            f"{row['vocab_size']:>7}  {row['huggingface_class']}"
        )


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A name from `lilliput model list`.")],
    changes: Annotated[list[str] | None, typer.Argument(help="Changes, such as d_model=512 qk_norm=false.")] = None,
    rows: Annotated[int, whole(help="Rows of a batch, for the memory.")] = 32,
    context: Annotated[int | None, whole(help="Tokens of a row; the context length if left out.")] = None,
    optimizer: Annotated[str, typer.Option(help="adamw or muon, for the memory.")] = "adamw",
    json: Json = False,
) -> None:
    """Show a model's parts, shapes and costs. Parameters, FLOPs a token, memory."""
    from lilliput.base import console
    from lilliput.base.config import override
    from lilliput.base.errors import ConfigError
    from lilliput.model.config import resolve

    console.use_json(json)
    given = override({}, [change.removeprefix("model.") for change in changes or []])
    if "style" in given:
        raise ConfigError("style is the NAME, not a change", f"lilliput model show {given['style']}")
    if optimizer not in ("adamw", "muon"):
        raise ConfigError(f"--optimizer is adamw or muon, not '{optimizer}'")
    config = resolve(name, **given)
    result = _describe(config, rows, context or config.context_length, optimizer)
    if json:
        console.emit({"name": name, **result})
        return
    console.console.print(_tree(name, config))
    for line in _lines(result):
        console.print_line(line)


def _describe(config: ModelConfig, rows: int, context: int, optimizer: Any) -> dict[str, Any]:
    """Return everything that `show` prints, as one JSON object."""
    from dataclasses import asdict

    from lilliput.model.counts import flops_per_token, memory, parameters
    from lilliput.model.huggingface import huggingface_class

    counts, flops = parameters(config), flops_per_token(config, context)
    needs = memory(config, rows, context, optimizer)
    saved_as, reasons = huggingface_class(config)
    return {
        "config": config.model_dump(mode="json"),
        "parameters": {
            "total": counts.total,
            "active": counts.active,
            "non_embedding": counts.non_embedding,
            **asdict(counts),
        },
        "flops_per_token": {"training": flops.training, "forward": flops.forward, **asdict(flops), "rule": flops.rule},
        "memory_bytes": {
            "rows": rows,
            "context": context,
            "optimizer": optimizer,
            "training": {**needs.training, "total": sum(needs.training.values())},
            "inference": {**needs.inference, "total": sum(needs.inference.values())},
        },
        "huggingface_class": saved_as,
        "no_stock_class": reasons,
    }


def _tree(name: str, config: ModelConfig) -> Tree:
    """Draw the parts in the order that a token passes them, each matrix as inputs → outputs."""
    import torch
    from rich.tree import Tree

    from lilliput.model.transformer import Model

    # All blocks with one kind of attention are alike, so one of each kind is enough. The meta device allocates nothing,
    # however large the model.
    one = {"n_layers": 1, "attention_layers": None, "window_layers": None}
    one |= {"encoder_layers": 1} if config.encoder_layers else {}
    with torch.device("meta"):
        models = {
            kind: Model(config.model_copy(update={**one, "attention": kind}))
            for kind in dict.fromkeys(config.attentions)
        }
    tree = Tree(f"[bold]{name}[/]  {config.norm} norm, {config.position} positions, {config.mlp}, {config.residual}")
    first = next(iter(models.values()))
    for name, part in first.named_children():
        if part is first.encoder:
            _encoder(tree.add(f"encoder  [bold]x {config.encoder_layers}[/]"), part)
            continue
        if part is not first.blocks:
            for line in _tensors(part, name):
                tree.add(line)
            continue
        for kind, model in models.items():
            branch = tree.add(f"blocks  [bold]x {config.attentions.count(kind)}[/]  {_block(config, kind)}")
            for line in _tensors(model.blocks[0], ""):
                branch.add(line)
    if config.tied_embeddings:
        tree.add("unembed  [cyan]the embeddings again (tied)[/]")
    return tree


def _encoder(branch: Tree, encoder: Module) -> None:
    """Add the parts of an encoder of one block."""
    for line in _tensors(encoder, ""):
        branch.add(line.replace("blocks.0.", "blocks.#."))


def _tensors(part: Module, name: str) -> Iterator[str]:
    """A line for each tensor of a part that is called `name`. Matrices are stored as (outputs, inputs), and rows by
    token or position as (rows, width)."""
    from torch.nn import Linear

    from lilliput.model.parts import roles

    for place, module in part.named_modules(prefix=name):
        for own, tensor in module.named_parameters(recurse=False):
            turned = isinstance(module, Linear) or roles(module)[own].kind == "matrix"
            sizes = [*reversed(tensor.shape[-2:])] if turned else tensor.shape
            times = f"{len(tensor)} x " if turned and tensor.dim() == 3 else ""
            yield f"{place if own == 'weight' else f'{place}.{own}'}  [cyan]{times}{' → '.join(map(str, sizes))}[/]"


def _block(config: ModelConfig, kind: str) -> str:
    from lilliput.model.parts import ATTENTIONS

    parts, unread = [f"{config.n_heads} heads of {config.d_head}"], ATTENTIONS[kind].unread
    if kind != "full":
        parts.append(f"attention {kind}{_layers(config.attention_layers)}")
    if config.n_kv_heads != config.n_heads and "n_kv_heads" not in unread:
        parts.append(f"{config.n_kv_heads} key heads")
    if config.qk_norm and "qk_norm" not in unread:
        parts.append("QK-norm")
    if config.n_experts:
        parts.append(f"{config.experts_per_token} of {config.n_experts} experts")
    if config.window is not None and "window" not in unread:
        parts.append(f"window {config.window}{_layers(config.window_layers)}")
    return ", ".join(parts)


def _layers(named: tuple[int, ...] | None) -> str:
    return "" if named is None else f" in layers {', '.join(map(str, named))}"


def _lines(result: dict[str, Any]) -> list[str]:
    """Format the numbers of `_describe` as lines for a person."""
    from lilliput.base.console import flops, size

    counts, work, needs = result["parameters"], result["flops_per_token"], result["memory_bytes"]
    lines = [f"{'parameters':16}{counts['total']:>16,}   {counts['non_embedding']:,} of them not embedding or head"]
    lines += [
        f"  {part:14}{counts[part]:>16,}" for part in ("embedding", "positions", "attention", "mlp", "norms", "head")
    ]
    if counts["active"] != counts["total"]:
        lines.append(f"{'active':16}{counts['active']:>16,}   of them act on a token: the router chooses few experts")
    lines.append(f"{'FLOPs a token':16}{flops(work['training']):>16}   training; {flops(work['forward'])} forward")
    lines += [f"  {part:14}{flops(work[part]):>16}" for part in ("blocks", "attention", "head")]
    lines.append(f"  ({work['rule']})")
    for kind in ("training", "inference"):
        rows = f"{needs['rows']} rows of {needs['context']} tokens"
        with_what = f", {needs['optimizer']}" if kind == "training" else ""
        lines.append(f"{kind + ' memory':16}{size(needs[kind]['total']):>16}   {rows}, fp32{with_what}")
        lines += [f"  {part:14}{size(count):>16}" for part, count in needs[kind].items() if part != "total"]
    lines.append(f"{'saved as':16}{result['huggingface_class'] or 'no stock class: only Lilliput loads it':>16}")
    return lines + [f"  {reason}" for reason in result["no_stock_class"]]
