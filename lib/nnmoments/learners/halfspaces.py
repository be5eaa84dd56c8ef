"""A union of halfspaces from samples and a label oracle, one landscape after another."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.borders.refinement import refine_estimate
from nnmoments.landscapes.sphere import ellipsoid_rows
from nnmoments.moments.gaussian import active_moments
from nnmoments.validation import Array, check_array, check_integer, check_number

__all__ = ["UnionFit", "fit_union"]

# Refined to much less than this; two halfspaces at a smaller angle are one.
_SAME = 1e-2


@dataclass(frozen=True)
class UnionFit:
    """Learned halfspaces.

    Attributes
    ----------
    weights : (m, d) array
        Unit rows, refined.
    coarse : (m, d) array
        What the landscape gave for them.
    rounds : int
        Landscapes that it took.
    n_labels : int
        Labels asked of the oracle.
    status : str
    """

    weights: Array
    coarse: Array = field(repr=False)
    rounds: int
    n_labels: int
    status: str


def fit_union(
    X: npt.ArrayLike,
    f: Callable[[Array], npt.ArrayLike],
    k: int,
    *,
    threshold: float,
    tolerance: float = 1e-6,
    max_rounds: int = 5,
    rng: Any = None,
) -> UnionFit:
    r"""Learn :math:`f = 1\{\exists i: w_i \cdot x > t\}` with unit :math:`w_i` under N(0, I).

    Each round decodes the landscape of the samples that are active and lie in none of the halfspaces
    found so far, and refines what it gives with the oracle. A halfspace that noise hides in the
    landscape of all of them stands out in that of the few which are left.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs.
    f : callable
        Label oracle, 0 or 1.
    k : int
        Halfspaces, at most d.
    threshold : float
        t.
    tolerance : float
        Angle in radians.
    max_rounds : int
    rng : optional
        Seed or generator.

    References
    ----------
    GP Theorem 12.

    Examples
    --------
    >>> from nnmoments.networks.halfspaces import UnionOfHalfspaces
    >>> f = UnionOfHalfspaces([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]], 2.0)
    >>> fit = fit_union(np.random.default_rng(0).standard_normal((50_000, 3)), f, 2, threshold=2.0, rng=0)
    >>> fit.weights[np.argsort(fit.weights[:, 0])].round(5) + 0.0
    array([[0. , 0.6, 0.8],
           [1. , 0. , 0. ]])
    """
    points = check_array("X", X, ndim=2)
    d = points.shape[1]
    k = check_integer("k", k, 1, d)
    threshold = check_number("threshold", threshold, above=0.0)
    rng = np.random.default_rng(rng)
    left: Array = points[np.asarray(f(points)) > 0.0]
    weights: Array = np.zeros((0, d))
    coarse: Array = np.zeros((0, d))
    labels = rounds = 0
    while len(weights) < k and rounds < max_rounds and len(left):
        rounds, before = rounds + 1, len(weights)
        rows = _landscape(left, len(points), k - len(weights), rng)
        for row in rows:
            try:
                # Two rounds do; a row that needs more is near no halfspace.
                found = refine_estimate(
                    f, row, tolerance=tolerance, active=lambda y: y > 0.0, max_rounds=3, rng=rng
                )
            except ValueError:  # not near a halfspace
                continue
            labels += found.n_labels
            near = np.abs(weights @ found.direction) > np.cos(_SAME)
            if found.converged and not near.any() and len(weights) < k:
                weights, coarse = np.vstack([weights, found.direction]), np.vstack([coarse, row])
        if len(weights) == before:
            break
        left = left[np.max(left @ weights.T, axis=1, initial=-np.inf) <= threshold]
    status = f"{len(weights)} of {k} halfspaces after {rounds} landscapes and {labels} labels"
    if len(weights) < k:
        status += ": pass more samples or raise the threshold"
    return UnionFit(weights, coarse, rounds, labels, status)


def _landscape(X: Array, n: int, k: int, rng: np.random.Generator) -> Array:
    """Decode k rows from the active ones among n samples, on the k leading eigenvectors of T_2."""
    second = X.T @ X / n - len(X) / n * np.eye(X.shape[1])
    basis = np.linalg.eigh(second)[1][:, -k:]
    moments = active_moments(X @ basis, np.ones(len(X)), form="tensor")
    fourth = moments.fourth.tensor  # type: ignore[attr-defined]
    rows = ellipsoid_rows(moments.second, fourth, k, rng=rng)
    if not len(rows):
        return np.zeros((0, X.shape[1]))
    # T_1 is a sum of the weights with positive factors.
    signs = np.sign(np.linalg.lstsq(rows.T, moments.first, rcond=None)[0])
    return np.asarray((signs[:, None] * rows) @ basis.T)
