"""What one would use instead of local likelihood, behind the same interface."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, eigh
from sklearn.mixture import GaussianMixture as MixtureFit

from nnmoments.densities import GaussianMixture
from nnmoments.densities.base import ScoreModel
from nnmoments.hermite import hermite_polynomial
from nnmoments.linalg import symmetrize
from nnmoments.scores.kernel_moments import central_moments, kernel_moments
from nnmoments.validation import Array, check_array, check_integer, check_number

__all__ = ["KernelDensity", "ScoreMatching", "SpectralStein", "fit_gaussian_mixture"]


class KernelDensity(ScoreModel):
    r"""Scores of the Gaussian kernel density estimate, orders 1 to 4.

    Its log-derivatives are cumulants :math:`\kappa_j` of :math:`X_i - x` under the kernel's weights:

    .. math:: G_j = h^{-2j} \kappa_j - h^{-2} I\,[j = 2]

    Parameters
    ----------
    X : (n, d) array_like
    bandwidth : float

    Examples
    --------
    >>> KernelDensity([[0.0], [2.0]], bandwidth=1.0).score([[0.0]], 1).round(4) + 0.0
    array([[-0.2384]])
    """

    def __init__(self, X: npt.ArrayLike, *, bandwidth: float) -> None:
        self.X = check_array("X", X, ndim=2)
        self.d = self.X.shape[1]
        self.bandwidth = check_number("bandwidth", bandwidth, above=0.0)

    def __repr__(self) -> str:
        return f"KernelDensity(d={self.d}, bandwidth={self.bandwidth:.3g})"

    def log_derivatives(self, X: Array, order: int) -> Sequence[Array]:
        order = check_integer("order", order, 1, 4)
        points = check_array("X", X, shape=(None, self.d))
        h2 = self.bandwidth**2
        window = kernel_moments(points, self.X, np.full(len(points), self.bandwidth), order)
        mean, *rest = central_moments(window.raw)
        found = [(mean + window.centre - points) / h2]
        if order > 1:
            found.append(rest[0] / h2**2 - np.eye(self.d) / h2)
        if order > 2:
            found.append(rest[1] / h2**3)
        if order > 3:
            pairs = symmetrize(np.einsum("qab,qcd->qabcd", rest[0], rest[0]), 4)
            found.append((rest[2] - 3.0 * pairs) / h2**4)
        return found


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
        self.width = check_number("width", width, above=0.0)
        ridge = check_number("ridge", ridge, above=0.0)
        count = min(check_integer("centres", centres, 1), n)
        self.centres = X[np.random.default_rng(rng).choice(n, count, replace=False)]
        self._mean = X.mean(axis=0)
        size = count + self.d + self.d * self.d
        gram, right = np.zeros((size, size)), np.zeros(size)
        for start in range(0, n, 2048):
            part = X[start : start + 2048]
            first, second = self._features(part, 1), self._features(part, 2)
            flat = first.transpose(0, 2, 1).reshape(-1, size)
            gram += flat.T @ flat
            right += np.einsum("nfaa->f", second)
        penalty = ridge * np.concatenate([np.ones(count), np.full(size - count, 1e-6)])
        self.theta = -cho_solve(cho_factor(gram / n + np.diag(penalty)), right / n)

    def __repr__(self) -> str:
        return f"ScoreMatching(d={self.d}, centres={len(self.centres)}, width={self.width:.3g})"

    def _features(self, X: Array, order: int) -> Array:
        """Return the order-th derivatives of all features, (n, features, d, ..., d)."""
        u = (X[:, None, :] - self.centres[None]) / self.width
        bump = np.exp(-0.5 * np.sum(u**2, axis=2))
        table = [hermite_polynomial(k, u) for k in range(order + 1)]
        shape = (len(X), len(self.centres)) + (self.d,) * order
        bumps = np.empty(shape)
        for entry in np.ndindex(*(self.d,) * order):
            value = bump * (-1.0 / self.width) ** order
            for axis in range(self.d):
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
                np.tensordot(self._features(points[i : i + 1024], j), self.theta, axes=(1, 0))
                for i in range(0, len(points), 1024)
            ]
            found.append(np.concatenate(parts))
        return found


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
            width = math.sqrt(float(np.median(np.sum((marks[:, None] - marks[None]) ** 2, axis=2))))
        self.width = check_number("width", width, above=0.0)
        kernel = self._kernel(self.X)
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


def fit_gaussian_mixture(X: npt.ArrayLike, components: int, *, rng: Any) -> GaussianMixture:
    """Fit a Gaussian mixture by expectation maximisation (scikit-learn) and return its density.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((500, 2))
    >>> fit_gaussian_mixture(X, 1, rng=0).d
    2
    """
    X = check_array("X", X, ndim=2)
    seed = int(np.random.default_rng(rng).integers(2**31))
    fitted = MixtureFit(check_integer("components", components, 1), random_state=seed).fit(X)
    return GaussianMixture(fitted.weights_ / fitted.weights_.sum(), fitted.means_, fitted.covariances_)
