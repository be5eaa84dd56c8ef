r"""Rows of an estimated moment, sharpened by what the l1 programmes found out: their zeros.

An l1 row is a combination w^T M of noisy rows, dense by the noise. Once the support is known the
model :math:`M = B A + E` has few parameters, and least squares over B and the nonzero entries of A
averages the noise over them.
"""

import numpy as np
import numpy.typing as npt

from nnmoments.sparse.selection import support
from nnmoments.validation import Array

__all__ = ["refine_rows"]

_ROUNDS = 30
# Change of a unit row below which another round is pointless next to the noise.
_STILL = 1e-6


def refine_rows(
    M: Array, standard_error: Array, rows: Array, *, rounds: int = _ROUNDS
) -> tuple[Array, npt.NDArray[np.bool_]]:
    r"""Alternate least squares for B and for A on its support, the support by its standard errors.

    .. math:: \min_{B,\, A:\ \operatorname{supp} A \subseteq \Omega} \|D (M - B A)\|_F^2

    with D the inverse noise levels of the labels. In each round the unrestricted
    :math:`(DB)^+ D M` and its standard errors give Omega, and A is solved for on it.

    Parameters
    ----------
    M, standard_error : (n_y, n) arrays
    rows : (k, n) array
        A start, for instance l1 rows.
    rounds : int
        At most; fewer if the rows stop moving.

    Returns
    -------
    rows : (k, n) array
        Of unit length; zero off the support.
    support : (k, n) bool array
    """
    level = np.sqrt((standard_error**2).mean(axis=1))
    level = np.maximum(level, 1e-3 * level.max())
    D = 1.0 / level
    target, error = D[:, None] * M, D[:, None] * standard_error
    A = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    mask = np.ones(A.shape, dtype=bool)
    for _ in range(rounds):
        B = np.linalg.lstsq(A.T, target.T, rcond=None)[0].T
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
    size = max(1, (1 << 22) // gram.size)
    off = ~mask.T
    for start in range(0, mask.shape[1], size):
        part = slice(start, start + size)
        # Off the mask: the unit matrix and a right-hand side of zero.
        matrix = np.where(off[part, :, None] | off[part, None, :], 0.0, gram)
        diagonal = np.einsum("nii->ni", matrix)
        diagonal[off[part]] = 1.0
        values = np.where(off[part], 0.0, right[:, part].T)
        solution[:, part] = np.linalg.solve(matrix, values[:, :, None])[:, :, 0].T
    return solution
