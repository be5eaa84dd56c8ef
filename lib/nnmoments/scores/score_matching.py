"""Score matching in closed form, with a basis of Gaussian bumps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from nnmoments.chunks import row_chunks
from nnmoments.densities.base import ScoreModel
from nnmoments.hermite import hermite_polynomial
from nnmoments.scores.bandwidth import check_width
from nnmoments.validation import Array, check_array, check_integer, check_number, check_result, check_rng

__all__ = ["ScoreMatching"]


class ScoreMatching(ScoreModel):
    r"""Score matching in closed form: :math:`\log f = \theta \cdot \phi(x) + const` with Gaussian bumps.

    Hyvarinen's objective :math:`E[\tfrac12 |\nabla\log f|^2 + \Delta\log f]` is quadratic in theta:

    .. math:: \theta = -\big(\hat E[\nabla\phi\,\nabla\phi^\top] + \lambda I\big)^{-1} \hat E[\Delta \phi]

    Bumps sit at rows of X; the quadratic monomials are added unpenalised, so that a Gaussian is in the model.

    Parameters
    ----------
    X : (n, d) array_like
    width : float
        Standard deviation of the bumps.
    ridge : float
        lambda.
    centres : int
        Number of bumps, at most n.
    rng : seed or Generator
        Chooses the rows.

    References
    ----------
    .. [1] A. Hyvarinen, "Estimation of non-normalized statistical models by score matching", JMLR 6, 2005.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(1).sample(4000, rng=0)
    >>> ScoreMatching(X, width=1.0, ridge=1e-3, rng=0).score([[1.0]], 1).round(1)
    array([[1.]])
    """

    def __init__(
        self, X: npt.ArrayLike, *, width: float, ridge: float = 1e-3, centres: int = 200, rng: Any
    ) -> None:
        X = check_array("X", X, ndim=2)
        n, self.d = X.shape
        self.width = check_width("width", width)
        ridge = check_number("ridge", ridge, above=0.0)
        count = min(check_integer("centres", centres, 1), n)
        self.centres = X[check_rng("rng", rng).choice(n, count, replace=False)]
        self._mean = X.mean(axis=0)
        size = count + self.d + self.d * self.d
        gram, right = np.zeros((size, size)), np.zeros(size)
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in row_chunks(n, size * self.d):
                flat = self._features(X[rows], 1).transpose(0, 2, 1).reshape(-1, size)
                gram += flat.T @ flat
                right += self._laplacians(X[rows])
        check_result("X or 1/width", gram)
        check_result("X or 1/width", right)
        penalty = ridge * np.concatenate([np.ones(count), np.full(size - count, 1e-6)])
        try:
            self.theta = -cho_solve(cho_factor(gram / n + np.diag(penalty)), right / n)
        except np.linalg.LinAlgError as error:
            raise ValueError("ridge is too small for these X and width: raise it") from error

    def __repr__(self) -> str:
        return f"ScoreMatching(d={self.d}, centres={len(self.centres)}, width={self.width:.3g})"

    def _laplacians(self, X: Array) -> Array:
        """Return the sum over the rows of the Laplacians of all features."""
        u = (X[:, None, :] - self.centres[None]) / self.width
        squares = np.sum(u**2, axis=2)
        bumps = np.sum(np.exp(-0.5 * squares) * (squares - self.d), axis=0) / self.width**2
        return np.concatenate([bumps, np.zeros(self.d), len(X) * np.eye(self.d).reshape(-1)])

    def _features(self, X: Array, order: int) -> Array:
        """Return the order-th derivatives of all features, (n, features, d, ..., d)."""
        u = (X[:, None, :] - self.centres[None]) / self.width
        bump = np.exp(-0.5 * np.sum(u**2, axis=2))
        table = [hermite_polynomial(k, u) for k in range(order + 1)]
        shape = (len(X), len(self.centres)) + (self.d,) * order
        bumps = np.empty(shape)
        for entry in np.ndindex(*(self.d,) * order):
            value = bump * (-1.0 / self.width) ** order
            for axis in sorted(set(entry)):
                value = value * table[entry.count(axis)][:, :, axis]
            bumps[:, :, *entry] = value
        eye = np.eye(self.d)
        x = X - self._mean
        if order == 1:
            linear = np.broadcast_to(eye, (len(X), self.d, self.d))
            quadratic = np.einsum("ac,nb->nabc", eye, x) + np.einsum("bc,na->nabc", eye, x)
            quadratic = 0.5 * quadratic.reshape(len(X), -1, self.d)
        else:
            linear = np.zeros((len(X), self.d) + (self.d,) * order)
            quadratic = np.zeros((len(X), self.d**2) + (self.d,) * order)
            if order == 2:
                both = np.einsum("ac,bd->abcd", eye, eye) + np.einsum("ad,bc->abcd", eye, eye)
                quadratic = quadratic + 0.5 * both.reshape(1, -1, self.d, self.d)
        return np.concatenate([bumps, linear, quadratic], axis=1)

    def log_derivatives(self, X: Array, order: int) -> Sequence[Array]:
        order = check_integer("order", order, 1, 4)
        points = check_array("X", X, shape=(None, self.d))
        found = []
        for j in range(1, order + 1):
            parts = [
                np.tensordot(self._features(points[rows], j), self.theta, axes=(1, 0))
                for rows in row_chunks(len(points), len(self.theta) * self.d**j)
            ]
            found.append(np.concatenate(parts))
        return found
