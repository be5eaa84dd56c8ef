"""Unions of halfspaces as polynomials of 0/1 units."""

import itertools

import numpy as np
import numpy.typing as npt

from nnmoments.networks.weights import checked_weights
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, check_integer, check_number, check_result

__all__ = ["UnionOfHalfspaces", "union_terms"]


class UnionOfHalfspaces(Comparable):
    r"""The indicator of a union of halfspaces, :math:`f = 1 - \prod_i (1 - 1\{w_i \cdot x > t\})`.

    It is 1 where any unit is active, so it serves as a label oracle for
    `nnmoments.borders.fit_crossings`.

    Parameters
    ----------
    weights : (k, d) array_like
        Rows :math:`w_i`.
    threshold : float
        t, the halfspaces' distance from the origin for rows of length 1.

    Raises
    ------
    ValueError
        If a row of the weights is zero, or the threshold is not finite.

    References
    ----------
    GP Theorem 12.

    Examples
    --------
    >>> union = UnionOfHalfspaces([[1.0, 0.0], [0.0, 1.0]], 1.0)
    >>> union([[2.0, 2.0], [0.0, 2.0], [0.0, 0.0]])
    array([1., 1., 0.])
    """

    def __init__(self, weights: npt.ArrayLike, threshold: float) -> None:
        self.weights = checked_weights(weights)
        self.threshold = check_number("threshold", threshold)
        self.k, self.d = self.weights.shape

    def __repr__(self) -> str:
        return f"UnionOfHalfspaces(k={self.k}, d={self.d}, threshold={self.threshold:g})"

    def __call__(self, X: npt.ArrayLike) -> Array:
        """Return the labels 0 and 1 of the rows of X, (n,)."""
        X = check_array("X", X, shape=(None, self.d))
        with np.errstate(over="ignore"):
            heights = check_result("X", X @ self.weights.T)
        return np.asarray((heights > self.threshold).any(axis=1), dtype=np.float64)


def union_terms(k: int) -> dict[tuple[int, ...], float]:
    r"""Return the polynomial of the union, :math:`\sum_{S \ne \emptyset} (-1)^{|S|+1} \prod_{i \in S} X_i`.

    All :math:`2^k - 1` terms, so it is for small k; the linear terms have coefficient 1.

    Parameters
    ----------
    k : int
        From 1 to 16.

    Returns
    -------
    dict
        Terms as of `HiddenPolynomial`.

    Raises
    ------
    ValueError
        If k is out of range.

    References
    ----------
    GP Theorem 12, by inclusion and exclusion.

    Examples
    --------
    >>> union_terms(2)
    {(0,): 1.0, (1,): 1.0, (0, 1): -1.0}
    """
    k = check_integer("k", k, 1, 16)
    return {
        subset: (-1.0) ** (size + 1)
        for size in range(1, k + 1)
        for subset in itertools.combinations(range(k), size)
    }
