"""The folder of a sparse coder: cfg.json and sae_weights.safetensors, by the names of sae-lens.

sae-lens opens the folder of an autoencoder: `SAE.load_from_disk(folder)`. It has no transcoder with TopK, so it refuses
the folder of a transcoder by its architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lilliput.base.errors import CheckpointError, FileError
from lilliput.base.files import write_json
from lilliput.base.reading import check_regular, inner, read_object
from lilliput.lens.sparse import SparseCoder

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
ARCHITECTURES = {False: "topk", True: "topk_transcoder"}
PLAIN = {"normalize_activations": "none", "reshape_activations": "none", "rescale_acts_by_decoder_norm": False}
"""Settings of sae-lens, and the only value of each that is read here."""


def save_features(coder: SparseCoder, folder: str | Path, notes: Mapping[str, Any] | None = None) -> None:
    """Write the coder into `folder`, which is made if need be. `notes` are JSON values, such as the figures, that
    cfg.json keeps under metadata."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {  # the shapes of sae-lens: W_enc (d_in, width), W_dec (width, d_out)
        "W_enc": coder.encoder.T,
        "b_enc": coder.encoder_bias,
        "W_dec": coder.decoder,
        "b_dec": coder.decoder_bias,
    }
    save_file({name: tensor.float().cpu().contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS)
    outer = {"d_out": coder.decoder.shape[1], "hook_name_out": coder.writes} if coder.transcodes else {}
    write_json(
        folder / CONFIG,
        {
            "architecture": ARCHITECTURES[coder.transcodes],
            "d_in": coder.encoder.shape[1],
            "d_sae": coder.width,
            "k": coder.k,
            "dtype": "float32",
            "device": "cpu",
            "apply_b_dec_to_input": not coder.transcodes,
            "normalize_activations": "none",
            "reshape_activations": "none",
            "rescale_acts_by_decoder_norm": False,
            "metadata": {
                "hook_name": coder.reads,
                "trained_by": "lilliput",
                "sae_lens_version": "6.0.0",  # of the format; without it sae-lens takes the file for an older one
                **outer,
                **(notes or {}),
            },
        },
    )


def load_features(folder: str | Path) -> SparseCoder:
    """Read a coder that `save_features` wrote, or a TopK autoencoder of sae-lens with unit directions. Raises
    CheckpointError for a missing or damaged folder, and for one of another architecture."""
    folder = Path(folder)
    settings, tensors = _read(folder)
    kind, meta, k = settings.get("architecture"), inner(settings, "metadata"), settings.get("k")
    odd = [key for key in PLAIN if settings.get(key, PLAIN[key]) != PLAIN[key]]
    if kind not in ARCHITECTURES.values() or odd:
        raise CheckpointError(
            f"{folder} holds features of {odd[0]}={settings[odd[0]]}"
            if odd
            else f"{folder} holds features of '{kind}'",
            "only TopK features of plain activations are read; train them with lilliput.lens.train_autoencoder",
        )
    _check(folder, settings, tensors)
    reads = meta.get("hook_name")
    writes = meta.get("hook_name_out") if kind == ARCHITECTURES[True] else reads
    if not isinstance(reads, str) or not isinstance(writes, str) or not isinstance(k, int):
        raise CheckpointError(f"{folder / CONFIG} names no hook_name and no k", "train the features again")
    if not 0 < k <= len(tensors["W_dec"]):
        raise CheckpointError(f"{folder / CONFIG} has k={k}, and there are {len(tensors['W_dec'])} features")
    return SparseCoder(
        reads=reads,
        writes=writes,
        encoder=tensors["W_enc"].T.contiguous(),
        encoder_bias=tensors["b_enc"],
        decoder=tensors["W_dec"],
        decoder_bias=tensors["b_dec"],
        k=k,
    )


def _check(folder: Path, settings: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise CheckpointError where a tensor is missing, has another shape than cfg.json names, or holds no numbers."""
    width = settings.get("d_sae")
    shapes = {"W_enc": (settings.get("d_in"), width), "b_enc": (width,), "W_dec": (width, None), "b_dec": (None,)}
    bad = [name for name, shape in shapes.items() if not _fits(tensors.get(name), shape)]
    if bad or tensors["W_dec"].shape[1:] != tensors["b_dec"].shape:
        raise CheckpointError(f"{folder / WEIGHTS} has no '{(bad or ['b_dec'])[0]}' of the shape in {CONFIG}")
    if broken := [name for name in shapes if not tensors[name].isfinite().all()]:
        raise CheckpointError(f"{folder / WEIGHTS} holds numbers in '{broken[0]}' that are not finite")


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        settings = read_object(folder / CONFIG)
        check_regular(folder / WEIGHTS)
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError, FileError) as error:
        raise CheckpointError(
            f"{folder} holds no features that can be read: {error}",
            f"give the folder that has {CONFIG} and {WEIGHTS}",
        ) from None
    return settings, {name: tensor.float() for name, tensor in tensors.items()}


def _fits(tensor: torch.Tensor | None, shape: tuple[Any, ...]) -> bool:
    """Whether a tensor has this shape, where None is any size."""
    if tensor is None or tensor.dim() != len(shape):
        return False
    return all(wanted in (None, size) for wanted, size in zip(shape, tensor.shape, strict=True))
