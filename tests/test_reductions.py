from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

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
