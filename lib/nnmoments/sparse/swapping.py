"""Sets of rows of an estimated moment, judged as a whole: does M = B A fit, with few weights?"""

from collections.abc import Sequence

import numpy as np

from nnmoments.sparse.refinement import refine_rows
from nnmoments.validation import Array

__all__ = ["fits", "improve_rows"]

# Rounds of refinement before two sets of rows are compared, and candidates tried at most.
_ROUNDS = 5
_MOST_CANDIDATES = 15
# Candidates more parallel than this are one row.
_SAME = 0.95


def _misfit(M: Array, error: Array, rows: Array) -> float:
    """Chi-square of the best B for these rows."""
    B = np.linalg.lstsq(rows.T, M.T, rcond=None)[0].T
    scale = np.maximum(error, 1e-3 * error.max())
    return float(np.sum(((M - B @ rows) / scale) ** 2))


def fits(M: Array, error: Array, rows: Array) -> bool:
    """Say whether the residual of M = B A is within four standard deviations of its expectation."""
    return _misfit(M, error, rows) <= M.size + 4.0 * np.sqrt(2.0 * M.size)


def improve_rows(M: Array, error: Array, starts: Sequence[Array], candidates: Array) -> Array:
    r"""Exchange rows for candidates while that lowers :math:`\chi^2 + \ln(n_y n) \|A\|_0` (BIC).

    Under noise a combination of two rows can look sparser than either, so that no order of single
    candidates is safe; a set with a wrong row fits M worse, or needs more weights.

    Parameters
    ----------
    M, error : (n_y, n) arrays
    starts : sequence of (k, n) arrays
        Sets of unit rows; the best of them is improved.
    candidates : (m, n) array
        Unit rows.

    Returns
    -------
    (k, n) array
        Unit rows; the first start unless another set is clearly better and fits.
    """

    def judged(set_of_rows: Array) -> float:
        fitted, mask = refine_rows(M, error, set_of_rows, rounds=_ROUNDS)
        return _misfit(M, error, fitted) + float(np.log(M.size) * mask.sum())

    # The sets differ in one row and its column of B: by four standard deviations of a chi-square with
    # so many degrees of freedom two good fits hardly differ.
    step = 4.0 * float(np.sqrt(2.0 * sum(M.shape)))
    rows, best = starts[0], judged(starts[0])
    for other in starts[1:]:
        if (value := judged(other)) < best - step:
            rows, best = other, value
    different: list[Array] = []
    for row in candidates:
        if all(abs(row @ other) < _SAME for other in [*rows, *different]):
            different.append(row)
    for row in different[:_MOST_CANDIDATES]:
        # It can only replace a row that it resembles: the others would leave a gap in the span.
        share = np.abs(np.linalg.lstsq(rows.T, row, rcond=None)[0])
        for place in np.argsort(-share)[:2]:
            changed = rows.copy()
            changed[place] = row
            if (value := judged(changed)) < best - step:
                rows, best = changed, value
                break
    # Where no set fits (weights below the noise), there is no ground to prefer another.
    return rows if fits(M, error, refine_rows(M, error, rows)[0]) else starts[0]
