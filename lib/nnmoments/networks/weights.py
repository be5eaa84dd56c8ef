"""Random first-layer weights of the papers' experiments, and checks that the teachers share."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.validation import Array, check_array, check_integer, check_number, check_rng

__all__ = ["conditioned_weights", "sparse_weights"]

# Rows beyond this and its inverse have moments of order 4 that are no doubles.
_SMALLEST = 1e-70


def conditioned_weights(k: int, d: int, *, condition: float = 1.0, rng: Any) -> Array:
    r"""Return random (k, d) weights with singular values equally spaced from 1 to `condition`.

    :math:`W = U \operatorname{Diag}(s) V^\top` with U, V uniformly distributed frames.

    Parameters
    ----------
    k, d : int
    condition : float
        At least 1.
    rng : None, int, Generator or RandomState

    Returns
    -------
    (k, d) array

    Raises
    ------
    ValueError
        If k > d, or the condition number is below 1.

    References
    ----------
    ZS Section 6.

    Examples
    --------
    >>> np.linalg.svd(conditioned_weights(3, 5, condition=2.0, rng=0))[1].round(6)
    array([2. , 1.5, 1. ])
    """
    d = check_integer("d", d, 1)
    k = check_integer("k", k, 1, d)
    if check_number("condition", condition) < 1.0:
        raise ValueError(f"condition must be at least 1, got {condition}")
    rng = check_rng("rng", rng)
    left, right = (_frame(rng.standard_normal((size, k))) for size in (k, d))
    return left @ (np.linspace(1.0, condition, k)[:, None] * right.T)


def _frame(matrix: Array) -> Array:
    """Return the orthonormal factor of a matrix, uniformly distributed if its entries are Gaussian."""
    q, r = np.linalg.qr(matrix)
    return np.asarray(q * np.sign(np.diag(r)))


def sparse_weights(k: int, d: int, *, density: float, rng: Any, normalize: bool = True) -> Array:
    r"""Return Bernoulli(theta)-Gaussian weights (k, d), rows of unit norm.

    A row without any entry is drawn again, so that the density must not be tiny beside 1/d.

    Parameters
    ----------
    k, d : int
    density : float
        theta, in (0, 1].
    rng : None, int, Generator or RandomState
    normalize : bool
        Whether rows get unit norm.

    Returns
    -------
    (k, d) array

    Raises
    ------
    ValueError
        If a size or the density is out of range.

    References
    ----------
    SA Assumption A.5.

    Examples
    --------
    >>> A = sparse_weights(4, 50, density=0.2, rng=0)
    >>> A.shape, bool(np.allclose(np.linalg.norm(A, axis=1), 1.0))
    ((4, 50), True)
    """
    k, d = check_integer("k", k, 1), check_integer("d", d, 1)
    if not 0.0 < check_number("density", density) <= 1.0:
        raise ValueError(f"density must be in (0, 1], got {density}")
    if density * d < 0.01:
        raise ValueError(
            f"density must be at least {0.01 / d:g} for rows of {d} not to be all empty, got {density}"
        )
    rng = check_rng("rng", rng)
    support = rng.random((k, d)) < density
    while len(empty := np.flatnonzero(~support.any(axis=1))):
        support[empty] = rng.random((len(empty), d)) < density
    weights = support * rng.standard_normal((k, d))
    return weights / np.linalg.norm(weights, axis=1, keepdims=True) if normalize else weights


def checked_weights(weights: npt.ArrayLike) -> Array:
    """Return weights (k, d) without a zero row, nor one whose fourth power is beyond the doubles."""
    weights = check_array("weights", weights, ndim=2)
    largest = np.abs(weights).max(axis=1)
    if not largest.all():
        raise ValueError("weights must not have a zero row")
    if largest.min() < _SMALLEST or largest.max() > 1.0 / _SMALLEST:
        raise ValueError(
            f"weights must have rows of a size between {_SMALLEST:g} and {1.0 / _SMALLEST:g}, got "
            f"{largest.min():g} to {largest.max():g}"
        )
    return weights


def with_noise(labels: Array, noise: float, rng: Any) -> Array:
    """Return labels plus Gaussian noise of the given standard deviation."""
    noise, rng = check_number("noise", noise), check_rng("rng", rng)
    if noise < 0.0:
        raise ValueError(f"noise is a standard deviation and must not be negative, got {noise}")
    return labels + noise * rng.standard_normal(labels.shape) if noise else labels
