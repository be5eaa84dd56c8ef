"""From a moment to its row space: how many rows it holds, and an orthonormal basis of their span."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nnmoments._validation import Array, check_array, check_integer

__all__ = ["RowBasis", "row_basis"]

# A gap between consecutive singular values below this is no gap; the rank is then not asserted.
_CLEAR_GAP = 3.0


@dataclass(frozen=True)
class RowBasis:
    r"""A k-dimensional row space of M: :math:`M \approx U \Sigma Q`.

    Attributes
    ----------
    Q : (k, n) array
        Orthonormal rows that span the row space.
    left : (n_y, k) array
        :math:`U`, orthonormal columns.
    singular_values : (min(n_y, n),) array
        All of them, so that a reader can judge the choice of k.
    k : int
    how : str
        What fixed k.
    gap : float
        Ratio of the k-th singular value to the next; infinite if there is none or it vanishes.
    """

    Q: Array = field(repr=False)
    left: Array = field(repr=False)
    singular_values: Array = field(repr=False)
    k: int
    how: str
    gap: float

    def directions(self, R: Array) -> Array:
        """Map directions r (C, n_y) to the coordinates of Q: Sigma^{-1} U^T r."""
        return np.asarray((R @ self.left) / self.singular_values[: self.k])

    def coefficients(self, W: Array) -> Array:
        """Map w in the coordinates of Q to the least w with w^T M = w_Q^T Q: (C, n_y)."""
        return np.asarray((W / self.singular_values[: self.k]) @ self.left.T)


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
    left, values, right = np.linalg.svd(M / scale, full_matrices=False)
    rank = int(np.sum(values > max(M.shape) * np.finfo(np.float64).eps * values[0]))
    values = values * scale
    right[:, ~M.any(axis=0)] = 0.0  # not rounding, which a small singular value would blow up
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
    return RowBasis(right[:k], left[:, :k], values, k, how, gap)
