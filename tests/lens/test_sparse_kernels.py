"""Sparse arithmetic equals the dense products that it replaces."""

import pytest
import torch

from lilliput.lens.sparse_kernels import ByFeature, largest, products_with_rows, sum_of_rows


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("width", "k"), [(512, 5), (512, 8), (512, 9), (100, 3), (16, 16)])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_largest_numbers_are_found_in_groups_and_without(width: int, k: int, kind: torch.dtype) -> None:
    rows = draw(40, width).to(kind)  # bfloat16 has many ties
    found = largest(rows, k)
    assert found.shape == (40, k)
    assert all(len(set(row)) == k for row in found.tolist())
    assert torch.equal(rows.gather(1, found).sort().values, rows.topk(k).values.sort().values)


def test_equal_numbers_are_each_found_once() -> None:
    assert all(len(set(row)) == 4 for row in largest(torch.zeros(3, 1024), 4).tolist())


@pytest.mark.parametrize("width", [50, 40_000])  # 40,000 features need more than 16 bits
def test_sparse_products_equal_dense_products(width: int) -> None:
    table, x, k = draw(width, 6), draw(9, 6, seed=1), 4
    places = torch.rand(9, width, generator=torch.Generator().manual_seed(2)).topk(k, dim=1).indices
    weights = draw(9, k, seed=3)
    full = torch.zeros(9, width).scatter_(1, places, weights)
    torch.testing.assert_close(sum_of_rows(table, places, weights), full @ table)
    torch.testing.assert_close(products_with_rows(table, places, x), (x @ table.T).gather(1, places))
    entries = ByFeature(places, width)
    torch.testing.assert_close(entries.sums(weights, x), full.T @ x)
    torch.testing.assert_close(entries.totals(weights), full.sum(0))
