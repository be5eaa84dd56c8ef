"""From a moment to its row space: how many rows it holds, and an orthonormal basis of their span."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nnmoments.validation import Array, check_array, check_integer

__all__ = ["RowBasis", "feasible", "row_basis"]

# A direction shorter than this share of the longest is zero up to rounding.
_ZERO_DIRECTION = 1e-12
# A gap between consecutive singular values below this is no gap; the rank is then not asserted.
_CLEAR_GAP = 3.0


@dataclass(frozen=True)
class RowBasis:
    r"""A k-dimensional part of the row space of M, with orthonormal rows: :math:`Q = F M`.

    Attributes
    ----------
    Q : (k, n) array
        Orthonormal rows.
    map : (k, n_y) array
        :math:`F`. Since Q is F M and not a factor of the SVD, its short columns are as accurate,
        relative to their lengths, as its long ones. The error is that of F: rounding times the
        condition number of M on this space.
    singular_values : (min(n_y, n),) array
        All of them, so that a reader can judge the choice of k.
    k : int
    how : str
        What fixed k.
    gap : float
        Ratio of the k-th singular value to the next; infinite if there is none or it vanishes.
    """

    Q: Array = field(repr=False)
    map: Array = field(repr=False)
    singular_values: Array = field(repr=False)
    k: int
    how: str
    gap: float

    def directions(self, R: Array) -> Array:
        """Map directions r (C, n_y) to the coordinates of Q: F r."""
        return np.asarray(R @ self.map.T)

    def coefficients(self, W: Array) -> Array:
        """Map w in the coordinates of Q to the least w with w^T M = w_Q^T Q: (C, n_y)."""
        return np.asarray(W @ self.map)


def row_basis(
    M: npt.ArrayLike, *, k: int | None = None, standard_error: npt.ArrayLike | None = None
) -> RowBasis:
    r"""Return an orthonormal basis of the rows of M, of dimension k.

    Without k: an exact M has its numerical rank. An estimated one has the number of singular values
    above the noise, bounded by :math:`\|E\| \le \max_a (\sum_j s_{aj}^2)^{1/2} + \max_j (\sum_a
    s_{aj}^2)^{1/2}` up to lower order terms [1]_, for independent errors of standard error s.

    Parameters
    ----------
    M : (n_y, n) array_like
    k : int, optional
        Number of rows, at most the numerical rank.
    standard_error : (n_y, n) array_like, optional
        Of an estimated M.

    Raises
    ------
    ValueError
        If M vanishes, or k is above its rank.

    References
    ----------
    .. [1] A. Bandeira, R. van Handel, "Sharp nonasymptotic bounds on the norm of random matrices
       with independent entries", Annals of Probability 44, 2016, arXiv:1408.6185.

    Examples
    --------
    >>> row_basis([[1.0, 0.0, 2.0], [2.0, 0.0, 4.0], [0.0, 1.0, 0.0]]).k
    2
    """
    M = check_array("M", M, ndim=2)
    scale = float(np.abs(M).max())
    if scale == 0.0:
        raise ValueError("M is zero: the labels do not depend on x to first order (an even activation?)")
    left, values, _ = np.linalg.svd(M / scale, full_matrices=False)
    rank = int(np.sum(values > max(M.shape) * np.finfo(np.float64).eps * values[0]))
    values = values * scale
    if k is not None:
        k = check_integer("k", k, 1)
        if k > rank:
            raise ValueError(
                f"k must be at most the rank of M, {rank}, got {k}; singular values {values[:8]}"
            )
        how = "given"
    elif standard_error is not None:
        error = check_array("standard_error", standard_error, shape=M.shape)
        noise = np.sqrt((error**2).sum(axis=1).max()) + np.sqrt((error**2).sum(axis=0).max())
        k = int(np.sum(values[:rank] > noise))
        if k == 0:
            raise ValueError(
                f"M does not stand out of its noise: its largest singular value is {values[0]:.3g}, that of "
                f"the noise is up to {noise:.3g}; pass more samples or a control variate"
            )
        how = f"singular values above the noise, {noise:.3g}"
    else:
        k, how = rank, "numerical rank"
    following = values[k] if k < len(values) else 0.0
    gap = float(values[k - 1] / following) if following > 0.0 else np.inf
    if gap < _CLEAR_GAP:
        how += f"; no clear gap ({values[k - 1]:.3g}, then {following:.3g})"
    F = left[:, :k].T / (values[:k, None] / scale)
    Q = F @ (M / scale)
    # Orthonormal up to rounding times the condition number; the second factor makes up for it.
    lower = np.linalg.cholesky(Q @ Q.T)
    return RowBasis(np.linalg.solve(lower, Q), np.linalg.solve(lower, F) / scale, values, k, how, gap)


def feasible(R: Array) -> npt.NDArray[np.bool_]:
    """Say for which directions r (C, k) some w has r.w = 1: those that do not vanish.

    Examples
    --------
    >>> feasible(np.array([[1.0, 2.0], [0.0, 0.0]]))
    array([ True, False])
    """
    lengths = np.linalg.norm(R, axis=1)
    return np.asarray(lengths > _ZERO_DIRECTION * lengths.max())
