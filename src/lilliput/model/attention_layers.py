"""Kinds of attention by layer: which combinations of fields a config may have, so that every given field acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lilliput.model.parts import ATTENTIONS

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig

UNREAD_POSITION = "rotary"
"""The position of a model without a layer that reads positions. Rotary is the default, and acts in attention alone."""


def check_layers(config: ModelConfig, defaults: dict[str, Any]) -> None:
    """Raise ValueError where the kinds of attention do not fit the layers, or leave a given field without effect.
    `defaults` are the values of the fields that are not given."""
    named = config.attention_layers
    if named is not None and config.attention == "full":
        raise ValueError("attention_layers is given without a kind of attention: give attention=gated_delta as well")
    if named is not None and (not named or list(named) != sorted({*named} & {*range(config.n_layers)})):
        raise ValueError(
            f"attention_layers {list(named)} has to name layers from 0 to {config.n_layers - 1}, in order, each once"
        )
    kinds = [ATTENTIONS[kind] for kind in config.attentions]
    odd = [layer for layer, kind in enumerate(kinds) if config.windows[layer] is not None and "window" in kind.unread]
    if odd:
        raise ValueError(
            f"layers {odd} have attention={config.attention}, which has no window: name the layers that have the "
            "window in window_layers, or leave window out"
        )
    if not config.causal and not all(kind.sees_later for kind in kinds):
        raise ValueError(f"attention={config.attention} sees earlier positions alone: leave out causal=false")
    unread = set.intersection(*(set(kind.unread) for kind in kinds))
    idle = {name: getattr(config, name) for name in sorted(unread) if getattr(config, name) != defaults[name]}
    if "rope_theta" in unread and config.position not in (UNREAD_POSITION, "learned", "none"):
        idle["position"] = config.position
    if idle:
        raise ValueError(
            f"{', '.join(f'{name}={value}' for name, value in idle.items())} would do nothing: no layer reads it, "
            f"because all have attention={config.attention}; leave it out, or name fewer layers in attention_layers"
        )
