"""The one rule of folds and the one function that cross-fits."""

import numpy as np
import pytest

from nnmoments.moments import cross_fit, fold_slices
from nnmoments.moments.crossfit import rows_of


@pytest.mark.parametrize(("n", "folds"), [(10, 2), (11, 2), (10, 3), (7, 7), (101, 5)])
def test_folds_are_consecutive_and_even(n, folds):
    parts = fold_slices(n, folds)
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    sizes = [part.stop - part.start for part in parts]
    assert len(parts) == folds
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) == -(-n // folds)


def test_each_part_is_fitted_to_all_others():
    seen = cross_fit([1, 2, 4], fit=list, apply=lambda model, part: (model, part))
    assert seen == [([2, 4], 1), ([1, 4], 2), ([1, 2], 4)]


def test_rows_of_slices():
    rows = np.arange(10.0).reshape(5, 2)
    assert np.shares_memory(rows_of(rows, [slice(1, 3)]), rows)
    np.testing.assert_array_equal(rows_of(rows, [slice(0, 1), slice(3, 5)]), rows[[0, 3, 4]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((10, 1), "folds must be an integer from 2"), ((2, 3), "too few samples, 2, for 3 folds")],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        fold_slices(*arguments)
