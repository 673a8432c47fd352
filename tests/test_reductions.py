from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from dlbook.scratch import reductions
from dlbook.scratch.reductions import column_sum, row_max, row_sum


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (0, 4), (7, 64), (3, 65), (2, 200)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reductions_are_those_of_numpy(shape: tuple[int, int], dtype: type) -> None:
    Z: np.ndarray = np.random.default_rng(0).normal(size=shape).astype(dtype)
    tolerance = 1e-5 if dtype is np.float32 else 1e-13
    for matrix in (Z, Z.T.copy().T):
        assert_array_equal(row_max(matrix), Z.max(axis=1, keepdims=True))
        assert_allclose(row_sum(matrix), Z.sum(axis=1, keepdims=True), atol=tolerance)
        assert_allclose(column_sum(matrix), Z.sum(axis=0), atol=tolerance)
    assert {row_max(Z).dtype, row_sum(Z).dtype, column_sum(Z).dtype} == {np.dtype(dtype)}


class Watched(np.ndarray[Any, Any]):
    """A matrix that notes whether it was transposed."""

    transposed = False

    @property
    def T(self) -> Any:  # noqa: N802  # NumPy's own name for it
        self.transposed = True
        return self.transpose()


@pytest.mark.parametrize(("columns", "transposed"), [(64, True), (65, False)])
def test_a_matrix_is_transposed_for_its_maxima_if_it_has_few_columns(
    columns: int, transposed: bool
) -> None:
    Z = np.random.default_rng(0).normal(size=(columns // 9, columns)).view(Watched)
    assert_array_equal(row_max(Z), np.sort(Z, axis=1)[:, -1:])
    assert Z.transposed == transposed
    few_rows = np.random.default_rng(0).normal(size=(3, columns)).view(Watched)
    row_max(few_rows)
    assert few_rows.transposed == transposed


def test_the_ones_that_all_sums_share_cannot_be_overwritten() -> None:
    with pytest.raises(ValueError, match="read-only"):
        reductions._ones(3, np.dtype(np.float64))[0] = 2
