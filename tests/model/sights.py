"""Every kind of Sight, and the mask that its definition gives, pair by pair."""

import torch

from lilliput.model.sight import Sight


def pairs(sight: Sight, rows: int, length: int) -> torch.Tensor:
    """(rows, length, length) bool: whether the query, second last, sees the key, last."""
    query, key = torch.arange(length)[:, None], torch.arange(length)[None, :]
    seen = (key <= query if sight.causal else key >= 0).expand(rows, length, length)
    if sight.window is not None:
        seen = seen & ((query - key).abs() < sight.window)
    if sight.segments is not None:
        breaks = (sight.segments[:, 1:] != sight.segments[:, :-1]).cumsum(1)
        runs = torch.cat([torch.zeros(len(breaks), 1, dtype=breaks.dtype), breaks], 1)
        seen = seen & (runs[:, :, None] == runs[:, None, :])
    if sight.lengths is not None and not sight.causal:
        real = sight.lengths[:, None, None]
        seen = (seen & (query < real) & (key < real)) | (query == key)
    return seen


def documents(length: int, cuts: list[int]) -> torch.Tensor:
    """(length,) int64: the number of the document of each position. Documents begin at `cuts`."""
    return torch.tensor([sum(cut <= at for cut in cuts) for at in range(length)])


def sights(length: int) -> dict[str, Sight]:
    """Every kind of sight, by name, of two rows."""
    packed = torch.stack([documents(length, [length // 3, length // 2]), documents(length, [3, 4, 5, length - 1])])
    padded = torch.tensor([(length + 1) // 2, length])
    return {
        "causal": Sight(),
        "causal window": Sight(window=6),
        "causal documents": Sight(segments=packed),
        "causal window in documents": Sight(window=6, segments=packed),
        "causal padding": Sight(lengths=padded),
        "whole": Sight(causal=False),
        "window": Sight(causal=False, window=6),
        "window of itself": Sight(causal=False, window=1),
        "documents": Sight(causal=False, segments=packed),
        "window in documents": Sight(causal=False, window=6, segments=packed),
        "padding": Sight(causal=False, lengths=padded),
        "rows of padding alone": Sight(causal=False, lengths=torch.tensor([0, length])),
        "window, documents and padding": Sight(causal=False, window=6, segments=packed, lengths=padded),
    }


KINDS = list(sights(9))
