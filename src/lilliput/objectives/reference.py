"""ReferenceScores: the log-probabilities of replies under a frozen model, computed once for each document."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from lilliput.base.errors import ConfigError
from lilliput.data.rows import Rows
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.scoring import log_probabilities
from lilliput.objectives.workshop import Reference, Workshop


def reference_of(workshop: Workshop, path: str | None) -> Reference:
    """The model at `path`, or for None the weights that the run began with. Raises ConfigError for a model of another
    tokenizer, because its log-probabilities belong to other tokens."""
    found = workshop.initial() if path is None else workshop.load(path)
    if found.tokenizer is not None and found.tokenizer.sha256 != workshop.tokenizer.sha256:
        raise ConfigError(
            f"{path or 'the model that the run began with'} has another tokenizer than the run",
            "give both one tokenizer: begin the run from that model, or set tokenizer.path to its folder",
        )
    return found


def models_of(reference: str | None) -> dict[str, str]:
    """The model of an objective with the setting `reference` (see ObjectiveConfig.models)."""
    return {} if reference is None else {"objective.reference": reference}


def keys_of(rows: Rows) -> torch.Tensor:
    """(R,) int64, a hash of the content of each row: its ids, and which of them are learned. The same ids may be
    divided into prompt and reply in more than one way."""
    parts = [np.ascontiguousarray(part) for part in (rows.tokens, rows.learn)]
    hashed = (
        hashlib.blake2b(ids.tobytes() + learn.tobytes(), digest_size=8).digest()
        for ids, learn in zip(*parts, strict=True)
    )
    return torch.from_numpy(np.frombuffer(b"".join(hashed), dtype="<i8").copy())


class ReferenceScores:
    """Summed log-probabilities of the learned tokens of each row under `model`, kept in memory by the row's content.

    A row is computed by itself, at its own length. Its number is therefore the same in every batch, and the same again
    after a resume, where the memory is empty.
    """

    def __init__(self, model: Model):
        self.model = model
        self._known: dict[int, list[float]] = {}

    def __len__(self) -> int:
        """The number of rows that are known."""
        return len(self._known)

    def of(self, batch: Batch) -> torch.Tensor:
        """(R, S) for a batch of tokens, targets, weights (R, S, T), lengths (R, S) and keys (R,)."""
        keys = batch.keys.tolist()
        for row, key in enumerate(keys):
            if key not in self._known:
                self._known[key] = self._score(batch, row)
        return torch.tensor([self._known[key] for key in keys], device=batch.tokens.device)

    def _score(self, batch: Batch, row: int) -> list[float]:
        longest = int(batch.lengths[row].max())
        tokens, targets, weights = (part[row, :, :longest] for part in (batch.tokens, batch.targets, batch.weights))
        return log_probabilities(self.model, tokens, targets, weights > 0).sum(-1).tolist()
