"""A cut of subspace units inside a deeper network: the teacher of GP's modular learning."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from nnmoments.networks.terms import checked_terms, polynomial
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, finite_result

__all__ = ["CutNetwork"]


class CutNetwork(Comparable):
    r"""The network :math:`f = P(X_1, \dots, X_k)` above units :math:`X_i = 1\{\|V_i x\|^2 > \tau_i\}`.

    Parameters
    ----------
    frames : (k, r, d) array_like
        :math:`V_i`, with orthonormal rows.
    thresholds : (k,) array_like
    terms : mapping from tuples of unit numbers to coefficients
        P, as `HiddenPolynomial`.

    Raises
    ------
    ValueError
        If shapes do not fit, or a term names a unit that does not exist.

    References
    ----------
    GP Appendix E, Remark 1.

    Examples
    --------
    >>> net = CutNetwork([[[1.0, 0.0]], [[0.0, 1.0]]], [1.0, 1.0], {(0,): 1.0, (0, 1): 2.0})
    >>> net([[2.0, 0.0], [2.0, 2.0]])
    array([1., 3.])
    """

    def __init__(
        self,
        frames: npt.ArrayLike,
        thresholds: npt.ArrayLike,
        terms: Mapping[tuple[int, ...], float],
    ) -> None:
        self.frames = check_array("frames", frames, ndim=3)
        self.thresholds = check_array("thresholds", thresholds, shape=(len(self.frames),))
        self.k, _, self.d = self.frames.shape
        self.terms = checked_terms(terms, self.k)

    def __repr__(self) -> str:
        return f"CutNetwork(k={self.k}, rank={self.frames.shape[1]}, d={self.d}, terms={len(self.terms)})"

    @finite_result("X")
    def energies(self, X: npt.ArrayLike) -> Array:
        r"""Return :math:`\|V_i x\|^2`, (n, k).

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n, k) array

        Raises
        ------
        ValueError
            If the shape does not fit, or a number is not finite or too large.

        Examples
        --------
        >>> CutNetwork([[[1.0, 0.0]]], [1.0], {(0,): 1.0}).energies([[3.0, 4.0]])
        array([[9.]])
        """
        X = check_array("X", X, shape=(None, self.d))
        return np.stack([np.sum((X @ frame.T) ** 2, axis=1) for frame in self.frames], axis=1)

    def units(self, X: npt.ArrayLike) -> Array:
        """Return the outputs of the cut, 0 and 1.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n, k) array

        Examples
        --------
        >>> CutNetwork([[[1.0, 0.0]]], [1.0], {(0,): 1.0}).units([[3.0, 4.0]])
        array([[1.]])
        """
        return (self.energies(X) > self.thresholds).astype(np.float64)

    @finite_result("X")
    def __call__(self, X: npt.ArrayLike) -> Array:
        """Return f at the rows of X, (n,)."""
        return polynomial(self.units(X), self.terms)
