import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.generate.cache import KVCache


class Shape:
    n_layers, n_kv_heads, d_head = 2, 3, 4


def block(batch, positions, seed):
    return torch.randn(batch, 3, positions, 4, generator=torch.Generator().manual_seed(seed))


def test_every_layer_gets_back_all_that_it_stored():
    cache = KVCache(Shape, 2, 10)  # pyright: ignore[reportArgumentType]
    keys = {0: block(2, 5, 0), 1: block(2, 5, 1)}
    for layer in (0, 1):
        k, v = cache.update(layer, keys[layer], -keys[layer])
        assert torch.equal(k, keys[layer])
        assert torch.equal(v, -keys[layer])
    assert cache.length == 0
    cache.advance(5)
    more = block(2, 2, 2)
    k, v = cache.update(1, more, -more)
    assert torch.equal(k, torch.cat([keys[1], more], 2))
    assert torch.equal(v, -k)
    assert cache.length == 5


def test_a_full_cache_says_how_full_and_keeps_what_it_holds():
    cache = KVCache(Shape, 1, 6)  # pyright: ignore[reportArgumentType]
    held = block(1, 4, 0)
    cache.update(0, held, held)
    cache.advance(4)
    with pytest.raises(ModelError, match=r"4 of 6 positions and was given 3"):
        cache.update(0, block(1, 3, 1), block(1, 3, 1))
    k, _ = cache.update(0, block(1, 2, 1), block(1, 2, 1))
    assert torch.equal(k[:, :, :4], held)


def test_rows_can_be_left_out_and_repeated():
    cache = KVCache(Shape, 3, 6, start=torch.tensor([0, 1, 2]))  # pyright: ignore[reportArgumentType]
    held = block(3, 4, 0)
    for layer in (0, 1):
        cache.update(layer, held, -held)
    cache.advance(4)
    cache.select([2, 0, 0, 2])
    assert cache.batch == 4
    assert cache.start is not None
    assert cache.start.tolist() == [2, 0, 0, 2]
    for layer in (0, 1):
        k, v = cache.update(layer, block(4, 1, 1), block(4, 1, 1))
        assert torch.equal(k[:, :, :4], held[[2, 0, 0, 2]])
        assert torch.equal(v[:, :, :4], -held[[2, 0, 0, 2]])


@pytest.mark.parametrize(("kept", "spare", "start"), [([1, 2], 1, [0, 1]), ([2], 2, None), ([1, 1], 1, None)])
def test_padding_that_no_row_needs_any_more_is_dropped(kept, spare, start):
    cache = KVCache(Shape, 3, 6, start=torch.tensor([0, 1, 2]))  # pyright: ignore[reportArgumentType]
    held = block(3, 4, 0)
    cache.update(0, held, held)
    cache.advance(4)
    cache.select(kept)
    assert cache.length == 4 - spare
    assert (None if cache.start is None else cache.start.tolist()) == start
    more = block(len(kept), 1, 1)
    k, _ = cache.update(0, more, more)
    assert torch.equal(k, torch.cat([held[kept, :, spare:], more], 2))
