"""How probable the model of a table finds rows: for membership inference, and for canaries."""

from __future__ import annotations

from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F

from lilliput.base.errors import ConfigError
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.table import Layout
from lilliput.decoding.inference import inference
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model
from lilliput.objectives.table import roles_of

BATCH = 512


def nats_of(model: Model, layout: Layout, columns: Columns) -> np.ndarray:
    """Return -log p of each row that stands alone, (n,) float64, in nats: the sum over the tokens of its values, the
    columns in the order of the table. Raises ConfigError for a table of entities."""
    if layout.sequences:
        raise ConfigError("rows of an entity have no probability by themselves", "evaluate without --canaries")
    count = len(next(iter(columns.values())))
    rows, found = layout.rows_of(layout.body, columns, count), np.zeros(count)
    marker, _, known = roles_of(layout.tokenizer)
    unlearned = torch.from_numpy(marker | known)
    begin, end = np.array([layout.tokenizer.bos_id]), np.array([layout.tokenizer.eos_id])
    device = next(model.parameters()).device
    with inference(model):
        for start in range(0, count, BATCH):
            batch = [np.concatenate((begin, ids, end)) for ids in islice(rows, BATCH)]
            lengths = torch.tensor([len(ids) for ids in batch])
            tokens = torch.full((len(batch), int(lengths.max())), layout.tokenizer.pad_id)
            for place, ids in enumerate(batch):
                tokens[place, : len(ids)] = torch.from_numpy(ids)
            logits = model.logits(model(tokens[:, :-1].to(device), Sight(lengths=(lengths - 1).to(device))))
            targets = tokens[:, 1:]
            nats = F.cross_entropy(logits.flatten(0, 1).cpu(), targets.flatten(), reduction="none").view(targets.shape)
            counts = (torch.arange(targets.shape[1]) < (lengths - 1)[:, None]) & ~unlearned[targets]
            found[start : start + len(batch)] = (nats * counts).sum(1).double().numpy()
    return found
