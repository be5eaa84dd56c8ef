"""What the learners of thresholds are given: Gaussian inputs, and labels or an oracle for them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from nnmoments.densities import Gaussian
from nnmoments.learners.base import free_columns
from nnmoments.validation import Array, check_array, check_callable, check_instance

__all__ = ["Frame", "labels_for", "standardized"]

_FARTHEST = 1e30  # so that squares and their sums are numbers
_SIGMAS = 6.0  # by which a sample mean or covariance must be off before it is taken for another than N(0, I)
_KURTOSIS = 1.0  # by which the fourth moment of an input may differ from the normal 3


def labels_for(
    X: npt.ArrayLike, y: npt.ArrayLike | None, oracle: Callable[[Array], npt.ArrayLike] | None
) -> Any:
    """Return the labels y, or where there are none the oracle's at X; the oracle is tried in any case.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) array_like, optional
    oracle : callable, optional
        Labels (n,) of points (n, d).

    Raises
    ------
    ValueError
        If the oracle does not give one label for each point.

    Examples
    --------
    >>> labels_for([[1.0], [3.0]], None, lambda X: X[:, 0] > 2.0)
    array([False,  True])
    """
    if oracle is None:
        return y
    check_callable("oracle", oracle)
    inputs = check_array("X", X, ndim=2)
    points = inputs if y is None else inputs[:2]
    labels = np.asarray(oracle(points))
    if labels.shape != (len(points),):
        raise ValueError(f"oracle must give one label for each of {len(points)} points, got {labels.shape}")
    return labels if y is None else y


@dataclass(frozen=True)
class Frame:
    r"""Coordinates :math:`z = L^{-1}(x - \mu)`, standard normal for :math:`x \sim N(\mu, L L^\top)`.

    Parameters
    ----------
    mean : (d,) array
    root : (d, d) array
        L, lower triangular.
    doubtful : bool
        Whether the inputs are not Gaussian.

    Examples
    --------
    >>> frame = Frame(np.array([1.0]), np.array([[2.0]]))
    >>> frame.back(np.array([[3.0]])), frame.rows(np.array([[1.0]]), np.array([0.0]))
    (array([[7.]]), (array([[0.5]]), array([-0.5])))
    """

    mean: Array
    root: Array
    doubtful: bool = False

    def back(self, Z: Array) -> Array:
        """Return points of the user's coordinates.

        Parameters
        ----------
        Z : (n, d) array
        """
        return Z @ self.root.T + self.mean

    def rows(self, weights: Array, biases: Array) -> tuple[Array, Array]:
        """Return rows and biases for the user's coordinates: the same heights.

        Parameters
        ----------
        weights : (k, d) array
        biases : (k,) array
        """
        if np.array_equal(self.root, np.eye(len(self.root))) and not self.mean.any():
            return weights, biases
        rows = solve_triangular(self.root, weights.T, lower=True, trans="T").T
        return rows, biases - rows @ self.mean


def standardized(X: Array, weight: Array | None, law: Gaussian | None) -> tuple[Array, Frame, str]:
    """Return inputs in coordinates where they are standard normal, these, and what to say about them.

    Parameters
    ----------
    X : (n, d) array
    weight : (n,) array, optional
    law : Gaussian, optional
        By default N(0, I) if the sample agrees with it, else the normal law of its mean and covariance.

    Raises
    ------
    ValueError
        If an input is constant or a combination of others, huge, or the law has another dimension.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((1000, 2))
    >>> standardized(X, None, None)[0] is X
    True
    >>> Z, frame, said = standardized(3.0 * X + 1.0, None, None)
    >>> np.cov(Z.T, ddof=0).round(6) + 0.0, said
    (array([[1., 0.],
           [0., 1.]]), 'X is taken for normal with its own mean and covariance')
    """
    n, d = X.shape
    largest = max(float(X.max()), -float(X.min()))
    if largest > _FARTHEST:
        raise ValueError(f"X must be at most {_FARTHEST:.0e}, got a value of {largest:.1e}: rescale it")
    said = ""
    if law is not None:
        check_instance("inputs", law, Gaussian)
        if law.d != d:
            raise ValueError(f"inputs must have the dimension of X: {d}, got {law.d}")
        mean, covariance = law.mean, law.covariance
    else:
        mean = np.average(X, axis=0, weights=weight)
        covariance = np.atleast_2d(np.cov(X, rowvar=False, aweights=weight, ddof=0))
        # Entries of the covariance have variances 2/n on the diagonal, 1/n off it.
        off = max(float(np.abs(mean).max()), float(np.abs(covariance - np.eye(d)).max()) / np.sqrt(2.0))
        effective = n if weight is None else float(weight.sum() ** 2 / np.sum(weight**2))
        if off <= _SIGMAS / np.sqrt(effective):
            mean, covariance = np.zeros(d), np.eye(d)
        else:
            said = "X is taken for normal with its own mean and covariance"
    columns = free_columns(mean, covariance)
    if columns.constant or columns.tied:
        raise ValueError(
            "X must have no constant input, and none that is a combination of others: drop these "
            f"({'; '.join(filter(None, (columns.constant, columns.tied)))})"
        )
    scale = columns.scales
    root = scale[:, None] * np.linalg.cholesky(covariance / np.outer(scale, scale))
    standard = np.array_equal(covariance, np.eye(d)) and not np.any(mean)
    Z = X if standard else np.ascontiguousarray(solve_triangular(root, (X - mean).T, lower=True).T)
    kurtosis = np.average(Z**4, axis=0, weights=weight)
    worst = int(np.argmax(np.abs(kurtosis - 3.0)))
    doubtful = n > 1000 and abs(kurtosis[worst] - 3.0) > _KURTOSIS + _SIGMAS * np.sqrt(96.0 / n)
    if doubtful:
        said += (
            f"{'; ' if said else ''}X is not Gaussian: input {worst} has fourth moment {kurtosis[worst]:.1f}"
        )
        said += ", not 3: transform it"
    return Z, Frame(np.asarray(mean), root, bool(doubtful)), said
