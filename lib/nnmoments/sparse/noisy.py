r"""Rows of an estimated moment: support by standard errors, least squares on it, exchange of rows.

An l1 row is a combination w^T M of noisy rows, dense by the noise. Once the support is known the
model :math:`M = B A + E` has few parameters, and least squares over B and the nonzero entries of A
averages the noise over them. Sets of rows are judged as a whole: does M = B A fit, with few weights?
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nnmoments.chunks import row_chunks
from nnmoments.sparse.programme import RowBasis, check_standard_error
from nnmoments.sparse.rows import support, unit
from nnmoments.validation import Array, check_array, check_integer

__all__ = [
    "check_comparable",
    "exchange_rows",
    "fits",
    "idle_rows",
    "noisy_rows",
    "refine_rows",
    "refined_rows",
]

_MAX_ITER = 30
# Change of a unit row below which another round is pointless next to the noise.
_STILL = 1e-6
# Rounds of refinement before two sets of rows are compared, and candidates tried at most.
_ROUNDS_TO_COMPARE = 5
_MOST_CANDIDATES = 15
# Candidates more parallel than this are one row.
_SAME = 0.95
_CHUNK_DOUBLES = 1 << 22
_UNEQUAL = 1e100


def check_comparable(M: Array, error: Array) -> None:
    """Refuse standard errors so far from M in size that squares of one are no numbers beside the other's."""
    with np.errstate(over="ignore"):
        ratio = float(error.max()) / max(float(np.abs(M).max()), np.finfo(np.float64).tiny)
    if not 1.0 / _UNEQUAL < ratio < _UNEQUAL:
        raise ValueError(f"standard_error must be comparable to M, got {ratio:.1e} times its entries")


def noisy_rows(
    M: Array, error: Array, basis: RowBasis, W: Array, *, refine: bool
) -> tuple[Array, npt.NDArray[np.bool_], bool]:
    """Return l1 rows of unit length, their support, and whether they were refined on it."""
    rows = unit(W @ basis.Q)
    if refine and len(rows) == basis.k:
        return (*refined_rows(M, error, rows), True)
    weights = basis.coefficients(unit(W))
    mask = support(rows, np.sqrt(weights**2 @ error**2))
    return unit(rows), mask, False


def refine_rows(
    M: npt.ArrayLike, standard_error: npt.ArrayLike, rows: npt.ArrayLike, *, max_iter: int = _MAX_ITER
) -> tuple[Array, npt.NDArray[np.bool_]]:
    r"""Alternate least squares for B and for A on its support, the support by its standard errors.

    .. math:: \min_{B,\, A:\ \operatorname{supp} A \subseteq \Omega} \|D (M - B A)\|_F^2

    with D the inverse noise levels of the labels. In each round the unrestricted
    :math:`(DB)^+ D M` and its standard errors give Omega, and A is solved for on it.

    Parameters
    ----------
    M, standard_error : (n_y, n) array_like
    rows : (k, n) array_like
        A start, for instance l1 rows.
    max_iter : int
        Rounds at most; fewer if the rows stop moving.

    Returns
    -------
    rows : (k, n) array
        Of unit length; zero off the support.
    support : (k, n) bool array

    Raises
    ------
    ValueError
        If shapes do not agree, a standard error is negative or all are zero, or the rows are dependent.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> A = np.array([[0.6, 0.0, 0.8, 0.0], [0.0, 1.0, 0.0, 0.0]])
    >>> M = np.array([[1.0, 2.0], [2.0, -1.0], [0.0, 1.0]]) @ A
    >>> noise = 1e-3 * rng.standard_normal(M.shape)
    >>> rows, mask = refine_rows(M + noise, np.full(M.shape, 1e-3), A + 1e-3)
    >>> mask.astype(int)
    array([[1, 0, 1, 0],
           [0, 1, 0, 0]])
    """
    M = check_array("M", M, ndim=2)
    error = check_standard_error(standard_error, M)
    if not error.any():
        raise ValueError("standard_error must not be zero everywhere: an exact M needs no refinement")
    check_comparable(M, error)
    rows = check_array("rows", rows, shape=(None, M.shape[1]))
    if len(rows) > len(M) or np.linalg.matrix_rank(rows) < len(rows):
        raise ValueError(f"rows must be independent, and at most as many as M has: {len(M)}, got {len(rows)}")
    if np.linalg.matrix_rank(M @ np.linalg.pinv(rows)) < len(rows):
        raise ValueError("rows must be in the row space of M, which has less dimensions of them")
    scale = np.abs(M).max()
    return refined_rows(M / scale, error / scale, rows, max_iter=check_integer("max_iter", max_iter, 1))


def refined_rows(
    M: Array, standard_error: Array, rows: Array, *, max_iter: int = _MAX_ITER
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return what `refine_rows` does, of arguments known to fit."""
    level = np.sqrt((standard_error**2).mean(axis=1))
    level = np.maximum(level, 1e-3 * level.max())
    D = 1.0 / level
    target, error = D[:, None] * M, D[:, None] * standard_error
    A = unit(rows)
    mask = np.ones(A.shape, dtype=bool)
    for _ in range(max_iter):
        B = np.linalg.lstsq(A.T, target.T, rcond=None)[0].T
        if np.linalg.matrix_rank(B.T @ B, hermitian=True) < len(A):  # rows that M does not hold
            break
        inverse = np.linalg.pinv(B)
        free = inverse @ target
        mask = support(free, np.sqrt(inverse**2 @ error**2))
        # A row is never given up: its largest entry stays.
        mask[np.arange(len(A)), np.abs(free).argmax(axis=1)] = True
        fitted = _masked_least_squares(B, target, mask)
        lengths = np.linalg.norm(fitted, axis=1, keepdims=True)
        if not (lengths > 0).all():
            break
        fitted /= lengths
        change = float(np.abs(np.abs(np.einsum("ij,ij->i", fitted, A)) - 1.0).max())
        A = fitted
        if change < _STILL**2 or np.linalg.matrix_rank(A) < len(A):
            break
    return A, mask


def _masked_least_squares(B: Array, target: Array, mask: npt.NDArray[np.bool_]) -> Array:
    """Solve min ||target_j - B a_j||, a_j zero off mask_j, for every column j at once."""
    gram, right = B.T @ B, B.T @ target
    solution = np.zeros(mask.shape)
    off = ~mask.T
    for part in row_chunks(mask.shape[1], gram.size, doubles=_CHUNK_DOUBLES):
        # Off the mask: the unit matrix and a right-hand side of zero.
        matrix = np.where(off[part, :, None] | off[part, None, :], 0.0, gram)
        diagonal = np.einsum("nii->ni", matrix)
        diagonal[off[part]] = 1.0
        values = np.where(off[part], 0.0, right[:, part].T)
        solution[:, part] = np.linalg.solve(matrix, values[:, :, None])[:, :, 0].T
    return solution


def _misfit(M: Array, error: Array, rows: Array) -> float:
    """Chi-square of the best B for these rows."""
    B = np.linalg.lstsq(rows.T, M.T, rcond=None)[0].T if len(rows) else np.zeros((len(M), 0))
    scale = np.maximum(error, 1e-3 * error.max())
    return float(np.sum(((M - B @ rows) / scale) ** 2))


def fits(M: Array, error: Array, rows: Array) -> bool:
    """Say whether the residual of M = B A is within four standard deviations of its expectation."""
    return _misfit(M, error, rows) <= M.size + 4.0 * np.sqrt(2.0 * M.size)


def idle_rows(M: Array, error: Array, rows: Array, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    r"""Return the rows without which M fits as well: by less than :math:`\ln(n_y n)` a parameter (BIC).

    A row with m weights and its column of B have :math:`m + n_y - 1` parameters.
    """
    whole = _misfit(M, error, rows)
    gains = np.array([_misfit(M, error, np.delete(rows, i, axis=0)) for i in range(len(rows))]) - whole
    return np.flatnonzero(gains < np.log(M.size) * (mask.sum(axis=1) + len(M) - 1))


def exchange_rows(M: Array, error: Array, starts: Sequence[Array], candidates: Array) -> Array:
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
        fitted, mask = refined_rows(M, error, set_of_rows, max_iter=_ROUNDS_TO_COMPARE)
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
    return rows if fits(M, error, refined_rows(M, error, rows)[0]) else starts[0]
