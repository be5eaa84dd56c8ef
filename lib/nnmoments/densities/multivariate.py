"""Densities on R^d: Gaussians, mixtures, products of one-dimensional densities, and the user's own."""

import abc
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.special import softmax

from nnmoments.densities.density import (
    MAX_ORDER,
    Constant,
    Dense,
    Derivative,
    Diagonal,
    ScoreModel,
    scores_to_log_derivatives,
)
from nnmoments.densities.marginals import Marginal
from nnmoments.validation import Array, check_array, check_callable, check_integer, check_rng

__all__ = ["Density", "Gaussian", "GaussianMixture", "Product", "StandardNormal", "UserDensity", "iid"]


class Density(ScoreModel):
    """A score model that can also be sampled and evaluated.

    A subclass offers `log_derivatives`, `_sample` and `_log_density`.

    Examples
    --------
    >>> f = StandardNormal(2)
    >>> X = f.sample(100, rng=0)
    >>> np.allclose(f.log_density(X), -0.5 * np.sum(X**2, axis=1) - np.log(2.0 * np.pi))
    True
    """

    def sample(self, n: int, *, rng: Any) -> Array:
        """Draw independent points.

        Parameters
        ----------
        n : int
        rng : None, int, Generator or RandomState

        Returns
        -------
        (n, d) array

        Raises
        ------
        ValueError
            If n is not positive.

        Examples
        --------
        >>> StandardNormal(2).sample(3, rng=0).shape
        (3, 2)
        """
        return self._sample(check_integer("n", n, 1), check_rng("rng", rng))

    def log_density(self, X: npt.ArrayLike) -> Array:
        """Return log f, minus infinity where f is zero or the logarithm below all doubles.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n,) array

        Raises
        ------
        ValueError
            If X does not fit.

        Examples
        --------
        >>> StandardNormal(2).log_density([[0.0, 0.0]]).round(4)
        array([-1.8379])
        """
        with np.errstate(over="ignore"):
            return self._log_density(check_array("X", X, shape=(None, self.d)))

    @abc.abstractmethod
    def _sample(self, n: int, rng: np.random.Generator) -> Array: ...

    @abc.abstractmethod
    def _log_density(self, X: Array) -> Array: ...


class Gaussian(Density):
    r"""The normal density N(mean, covariance).

    :math:`G_1 = -\Sigma^{-1}(x - \mu)`, :math:`G_2 = -\Sigma^{-1}`, higher ones vanish; so S_m is
    the Hermite tensor of order m in :math:`\Sigma^{-1}(x-\mu)` with :math:`\Sigma^{-1}` in place
    of the identity.

    Parameters
    ----------
    mean : (d,) array_like
    covariance : (d, d) array_like
        Symmetric and positive definite.

    Raises
    ------
    ValueError
        If the covariance is not a symmetric positive definite (d, d) matrix.

    Examples
    --------
    >>> Gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 4.0]]).score([[1.0, 2.0]], 1)
    array([[1. , 0.5]])
    """

    def __init__(self, mean: npt.ArrayLike, covariance: npt.ArrayLike) -> None:
        self.mean = check_array("mean", mean, ndim=1)
        self.d = len(self.mean)
        self.covariance = check_array("covariance", covariance, shape=(self.d, self.d))
        with np.errstate(over="ignore"):
            asymmetry = np.abs(self.covariance - self.covariance.T).max()
        if asymmetry > 1e-10 * np.abs(self.covariance).max():
            raise ValueError("covariance must be symmetric")
        try:
            self._factor = cholesky(self.covariance, lower=True)
        except np.linalg.LinAlgError as error:
            raise ValueError("covariance must be positive definite") from error
        self.precision = cho_solve((self._factor, True), np.eye(self.d))
        if not np.isfinite(self.precision).all():
            raise ValueError("covariance must be positive definite, and not near the end of the doubles")
        self._centred = not self.mean.any()
        self._white = np.array_equal(self.covariance, np.eye(self.d))

    def __repr__(self) -> str:
        name = "StandardNormal" if self._white and self._centred else "Gaussian"
        return f"{name}(d={self.d})"

    def _sample(self, n: int, rng: np.random.Generator) -> Array:
        Z = rng.standard_normal((n, self.d))
        if not self._white:
            Z = Z @ self._factor.T
        return Z if self._centred else Z + self.mean

    def _log_density(self, X: Array) -> Array:
        white = solve_triangular(self._factor, (X - self.mean).T, lower=True)
        log_norm = 0.5 * self.d * math.log(2.0 * math.pi) + np.log(np.diag(self._factor)).sum()
        return -0.5 * np.sum(white**2, axis=0) - log_norm

    def log_derivatives(self, X: Array, order: int) -> Sequence[Derivative | None]:
        first = Dense(X if self._centred else X - self.mean, matrix=-1.0 if self._white else -self.precision)
        return [first, Constant(-self.precision), *[None] * (order - 2)][:order]


def StandardNormal(d: int) -> Gaussian:
    """Return N(0, I) on R^d.

    Parameters
    ----------
    d : int

    Returns
    -------
    Gaussian

    Raises
    ------
    ValueError
        If d is not positive.

    Examples
    --------
    >>> StandardNormal(2).score([[1.0, 2.0]], 2)
    array([[[0., 2.],
            [2., 3.]]])
    """
    d = check_integer("d", d, 1)
    return Gaussian(np.zeros(d), np.eye(d))


class GaussianMixture(Density):
    r"""A mixture of normal densities.

    With posterior weights :math:`p_c(x)`, :math:`S_m(x) = \sum_c p_c(x) S_m^{(c)}(x)`.

    Parameters
    ----------
    weights : (c,) array_like
        Positive, summing to one.
    means : (c, d) array_like
    covariances : (c, d, d) or (d, d) array_like, optional
        One for all components, or one each; the identity by default.

    Raises
    ------
    ValueError
        If the weights are not positive with sum one, or a shape is wrong.

    Examples
    --------
    >>> GaussianMixture([0.5, 0.5], [[1.0], [-1.0]]).score([[0.0]], 1)
    array([[0.]])
    """

    def __init__(
        self,
        weights: npt.ArrayLike,
        means: npt.ArrayLike,
        covariances: npt.ArrayLike | None = None,
    ) -> None:
        self.weights = check_array("weights", weights, ndim=1)
        if np.any(self.weights <= 0.0) or not math.isclose(self.weights.sum(), 1.0, rel_tol=1e-9):
            raise ValueError(f"weights must be positive and sum to one, got {self.weights}")
        count = len(self.weights)
        self.means = check_array("means", means, shape=(count, None))
        self.d = self.means.shape[1]
        if covariances is None:
            covariances = np.eye(self.d)
        spread = check_array("covariances", covariances, ndim=(2, 3))
        if spread.shape[-2:] != (self.d, self.d) or (spread.ndim == 3 and len(spread) != count):
            raise ValueError(
                f"covariances must have shape ({self.d}, {self.d}) or ({count}, {self.d}, {self.d}), "
                f"got {spread.shape}"
            )
        spread = np.broadcast_to(spread, (count, self.d, self.d))
        self.parts = tuple(Gaussian(mean, cov) for mean, cov in zip(self.means, spread, strict=True))

    def __repr__(self) -> str:
        return f"GaussianMixture(components={len(self.parts)}, d={self.d})"

    def _sample(self, n: int, rng: np.random.Generator) -> Array:
        labels = rng.choice(len(self.parts), size=n, p=self.weights)
        X = np.empty((n, self.d))
        for c, part in enumerate(self.parts):
            chosen = labels == c
            if chosen.any():
                X[chosen] = part.sample(int(chosen.sum()), rng=rng)
        return X

    def _log_joint(self, X: Array) -> Array:
        return np.stack([part.log_density(X) for part in self.parts], axis=1) + np.log(self.weights)

    def _log_density(self, X: Array) -> Array:
        return np.asarray(np.logaddexp.reduce(self._log_joint(X), axis=1), dtype=np.float64)

    def components(self, X: Array) -> list[tuple[Array | None, ScoreModel]]:
        with np.errstate(over="ignore", invalid="ignore"):
            posterior = softmax(self._log_joint(X), axis=1)
        return [(posterior[:, c], part) for c, part in enumerate(self.parts)]

    def log_derivatives(self, X: Array, order: int) -> list[Array]:
        return scores_to_log_derivatives([self.score(X, m) for m in range(1, order + 1)])


class Product(Density):
    r"""Independent coordinates, each with its own one-dimensional density.

    Every :math:`G_j` is diagonal, :math:`\sum_a g_j(x_a) e_a^{\otimes j}`: contractions cost O(d).

    Parameters
    ----------
    marginals : sequence of Marginal
        One per coordinate.

    Raises
    ------
    ValueError
        If there is none, or one is no density on the line.

    Examples
    --------
    >>> from nnmoments.densities import Laplace, Logistic
    >>> Product([Logistic(), Laplace()]).score([[0.0, -3.0]], 1)
    array([[ 0., -1.]])
    """

    def __init__(self, marginals: Sequence[Marginal]) -> None:
        sequence = isinstance(marginals, Sequence) and len(marginals) > 0
        if not sequence or not all(isinstance(m, Marginal) for m in marginals):
            raise ValueError("marginals must be a nonempty sequence of one-dimensional densities")
        self.marginals = tuple(marginals)
        self.d = len(self.marginals)

    @functools.cached_property
    def _groups(self) -> dict[Marginal, npt.NDArray[np.intp]]:
        """Equal marginals, which are evaluated together, and their coordinates."""
        return {
            marginal: np.flatnonzero([other == marginal for other in self.marginals])
            for marginal in dict.fromkeys(self.marginals)
        }

    def __repr__(self) -> str:
        names = ", ".join(f"{marginal} x {len(columns)}" for marginal, columns in self._groups.items())
        return f"Product({names})"

    def _columns(self, X: Array, evaluate: Callable[[Marginal, Array], Array]) -> Array:
        if len(self._groups) == 1:
            return evaluate(self.marginals[0], X)
        values = np.empty_like(X)
        for marginal, columns in self._groups.items():
            values[:, columns] = evaluate(marginal, X[:, columns])
        return values

    def _sample(self, n: int, rng: np.random.Generator) -> Array:
        return self._columns(np.empty((n, self.d)), lambda f, X: f.sample(X.shape, rng=rng))

    def _log_density(self, X: Array) -> Array:
        return self._columns(X, lambda f, x: f.log_density(x)).sum(axis=1)

    def log_derivatives(self, X: Array, order: int) -> list[Derivative]:
        X = check_array("X", X, shape=(None, self.d))
        return [
            Diagonal(self._columns(X, lambda f, x, j=j: f.log_derivative(x, j)))  # type: ignore[misc]
            for j in range(1, order + 1)
        ]


def iid(marginal: Marginal, d: int) -> Product:
    """Return the density of d independent coordinates with the same marginal.

    Parameters
    ----------
    marginal : Marginal
    d : int

    Returns
    -------
    Product

    Raises
    ------
    ValueError
        If the marginal is no density on the line, or d is not positive.

    Examples
    --------
    >>> from nnmoments.densities import Logistic
    >>> iid(Logistic(), 3).d
    3
    """
    return Product([marginal] * check_integer("d", d, 1))


class UserDensity(Density):
    """A density given by its own functions; it pickles if they are of a module.

    Parameters
    ----------
    d : int
        Dimension.
    log_derivatives : sequence of callables
        The j-th maps points (n, d) to the j-th derivatives of log f, (n, d, ..., d) with j axes of
        length d; as many as the highest score order wanted, at most six.
    sample : callable (n, rng) -> (n, d), optional
    log_density : callable (n, d) -> (n,), optional

    Raises
    ------
    ValueError
        If no derivative is given, or one returns another shape or NaN.

    Examples
    --------
    >>> normal = UserDensity(1, [lambda X: -X, lambda X: -np.ones((len(X), 1, 1))])
    >>> normal.score([[2.0]], 2)
    array([[[3.]]])
    """

    def __init__(
        self,
        d: int,
        log_derivatives: Sequence[Callable[[Array], Array]],
        *,
        sample: Callable[[int, np.random.Generator], Array] | None = None,
        log_density: Callable[[Array], Array] | None = None,
    ) -> None:
        self.d = check_integer("d", d, 1)
        many = len(log_derivatives) if isinstance(log_derivatives, Sequence) else 0
        check_integer("the number of log_derivatives", many, 1, MAX_ORDER)
        self.functions = tuple(check_callable("log_derivatives", f) for f in log_derivatives)
        self.sampler = None if sample is None else check_callable("sample", sample)
        self.log_function = None if log_density is None else check_callable("log_density", log_density)

    def __repr__(self) -> str:
        return f"UserDensity(d={self.d}, log_derivatives={len(self.functions)})"

    def _sample(self, n: int, rng: np.random.Generator) -> Array:
        if self.sampler is None:
            raise ValueError("sample was not given to this UserDensity")
        return check_array("sample", self.sampler(n, rng), shape=(n, self.d))

    def _log_density(self, X: Array) -> Array:
        if self.log_function is None:
            raise ValueError("log_density was not given to this UserDensity")
        return check_array("log_density", self.log_function(X), shape=(len(X),))

    def log_derivatives(self, X: Array, order: int) -> list[Array]:
        return [derivative(X) for derivative in self.functions[:order]]
