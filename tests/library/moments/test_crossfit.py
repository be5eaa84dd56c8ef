"""The one rule of folds and the one function that cross-fits."""

import numpy as np
import pytest

from nnmoments.moments import cross_fit, fold_rows


@pytest.mark.parametrize(("n", "folds"), [(10, 2), (11, 2), (10, 3), (7, 7), (101, 5)])
def test_folds_are_even_and_hold_each_row_once(n, folds):
    parts = fold_rows(n, folds)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    sizes = [len(part) for part in parts]
    assert len(parts) == folds
    assert max(sizes) - min(sizes) <= 1
    assert all(np.array_equal(a, b) for a, b in zip(parts, fold_rows(n, folds), strict=True))


def test_folds_and_their_blocks_do_not_follow_the_order_of_rows():
    """Means of places over folds and over 20 blocks of each: within 5 standard errors of (n - 1)/2."""
    n = 10_000
    for part in fold_rows(n, 2):
        assert abs(part.mean() - (n - 1) / 2) < 5.0 * n / np.sqrt(12.0 * n / 2)
        blocks = part.reshape(20, -1).mean(axis=1)
        assert np.abs(blocks - (n - 1) / 2).max() < 5.0 * n / np.sqrt(12.0 * n / 40)
        assert abs((part % 2).mean() - 0.5) < 5.0 / np.sqrt(4.0 * n / 2)


def test_each_part_is_fitted_to_all_others():
    seen = cross_fit([1, 2, 4], fit=list, apply=lambda model, part: (model, part))
    assert seen == [([2, 4], 1), ([1, 4], 2), ([1, 2], 4)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((10, 1), "folds must be an integer from 2"), ((2, 3), "too few samples, 2, for 3 folds")],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        fold_rows(*arguments)
