"""The spectral Stein gradient estimator."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from nnmoments.densities.base import ScoreModel
from nnmoments.scores.bandwidth import check_width
from nnmoments.validation import Array, check_array, check_integer, check_number, check_result

__all__ = ["SpectralStein"]


class SpectralStein(ScoreModel):
    r"""Spectral Stein gradient estimator, order 1: :math:`\nabla\log f = -\sum_j E[\nabla\psi_j]\,\psi_j`.

    The :math:`\psi_j` are eigenfunctions of a Gaussian kernel under the sample (Nystrom).

    Parameters
    ----------
    X : (n, d) array_like
        At most a few thousand rows: the cost is cubic.
    width : float, optional
        Of the kernel; the median distance by default.
    energy : float
        Eigenfunctions are kept up to this share of the eigenvalues' sum.

    References
    ----------
    .. [1] J. Shi, S. Sun, J. Zhu, "A spectral approach to gradient estimation for implicit
       distributions", ICML 2018.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(1).sample(500, rng=0)
    >>> bool(abs(SpectralStein(X).score([[1.0]], 1).item() - 1.0) < 0.3)
    True
    """

    def __init__(self, X: npt.ArrayLike, *, width: float | None = None, energy: float = 0.95) -> None:
        self.X = check_array("X", X, ndim=2)
        n, self.d = self.X.shape
        energy = check_number("energy", energy, above=0.0, below=1.0)
        if width is None:
            marks = self.X[:: max(1, n // 500)]
            with np.errstate(over="ignore"):
                width = math.sqrt(float(np.median(np.sum((marks[:, None] - marks[None]) ** 2, axis=2))))
            if not 1e-35 < width < 1e35:
                raise ValueError(f"X has rows at a median distance of {width}: pass a width")
        self.width = check_width("width", width)
        with np.errstate(over="ignore", invalid="ignore"):
            kernel = check_result("X or 1/width", self._kernel(self.X))
        values, vectors = eigh(kernel)
        values, vectors = values[::-1], vectors[:, ::-1]
        kept = int(np.searchsorted(np.cumsum(values) / values.sum(), energy)) + 1
        self._basis = math.sqrt(n) * vectors[:, :kept] / values[:kept]  # psi(x) = k(x, X) @ basis
        # sum_i of d/dx k(x, X_j) at x = X_i
        slopes = (kernel @ self.X - kernel.sum(axis=1)[:, None] * self.X) / self.width**2
        # E grad psi = (1/n) sum_i sum_j grad k(X_i, X_j) basis_j; grad k sums to the negative by symmetry
        self._coefficients = self._basis.T @ slopes / n

    def __repr__(self) -> str:
        return f"SpectralStein(d={self.d}, width={self.width:.3g})"

    def _kernel(self, points: Array) -> Array:
        a, b = points - self.X.mean(axis=0), self.X - self.X.mean(axis=0)
        square = np.sum(a**2, 1)[:, None] + np.sum(b**2, 1) - 2.0 * a @ b.T
        return np.asarray(np.exp(-0.5 * np.maximum(square, 0.0) / self.width**2))

    def log_derivatives(self, X: Array, order: int) -> Sequence[Array]:
        check_integer("order", order, 1, 1)
        points = check_array("X", X, shape=(None, self.d))
        return [self._kernel(points) @ self._basis @ self._coefficients]
