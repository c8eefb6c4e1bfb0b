from typing import Any, cast

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.decoding.cache import KVCache


class Shape:
    n_layers, n_kv_heads, d_head, attentions, encoder_layers = 2, 3, 4, ("full", "full"), 0


SHAPE = cast(Any, Shape)


def block(batch, positions, seed):
    return torch.randn(batch, 3, positions, 4, generator=torch.Generator().manual_seed(seed))


def store(cache, keys):
    """One forward pass over new keys, whose values are their negatives; what each layer then sees."""
    places = cache.places(keys.shape[2])
    return places, [cache.update(layer, keys + layer, -keys - layer) for layer in (0, 1)]


def test_every_layer_gets_back_all_that_it_stored():
    cache = KVCache(SHAPE, 2, 10)
    first, second = block(2, 5, 0), block(2, 2, 1)
    (where, end), seen = store(cache, first)
    assert (where, end) == (slice(0, 5), 5)
    cache.advance(5)
    (where, end), seen = store(cache, second)
    assert (where, end) == (slice(5, 7), 7)
    for layer, (k, v) in enumerate(seen):
        assert torch.equal(k, torch.cat([first, second], 2) + layer)
        assert torch.equal(v, -k)
    assert cache.lengths == [5, 5]


def test_a_full_cache_reports_how_full_and_keeps_its_content():
    cache = KVCache(SHAPE, 1, 6)
    held = block(1, 4, 0)
    store(cache, held)
    cache.advance(4)
    with pytest.raises(ModelError, match=r"4 of 6 positions and was given 3"):
        cache.places(3)
    _, ((k, _), _) = store(cache, block(1, 2, 1))
    assert torch.equal(k[:, :, :4], held)


def test_rows_of_different_lengths_go_on_each_from_its_own_end():
    cache = KVCache(SHAPE, 2, 8)
    held, more = block(2, 5, 0), block(2, 2, 1)
    store(cache, held)
    cache.advance([2, 5])
    (where, end), seen = store(cache, more)
    assert end == 7
    assert isinstance(where, torch.Tensor)
    assert where.tolist() == [[2, 3], [5, 6]]
    for layer, (k, v) in enumerate(seen):
        assert torch.equal(k[0, :, :4], torch.cat([held[0, :, :2], more[0]], 1) + layer)
        assert torch.equal(k[1], torch.cat([held[1], more[1]], 1) + layer)
        assert torch.equal(v[0, :, :4], -k[0, :, :4])


def test_rows_join_and_leave_and_keep_their_contents():
    source = KVCache(SHAPE, 3, 5)
    held = block(3, 5, 0)
    store(source, held)
    source.advance([5, 2, 4])
    cache = KVCache(SHAPE, 0, 6, room=4)
    for row in (2, 0, 1, 2):
        cache.put(cache.batch, source, row)
    assert cache.lengths == [4, 5, 2, 4]
    cache.drop(1)
    cache.drop(1 + 1)
    assert cache.lengths == [4, 4]
    assert cache.batch == 2
    _, seen = store(cache, block(2, 1, 1))
    for layer, (k, v) in enumerate(seen):
        assert torch.equal(k[:, :, :4], held[[2, 2], :, :4] + layer)
        assert torch.equal(v[:, :, :4], -k[:, :, :4])
