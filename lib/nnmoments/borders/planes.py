r"""Correlations with :math:`\delta`, :math:`\delta'` and :math:`\delta''` of :math:`z \cdot x - s`.

They look at the label on the hyperplane :math:`z \cdot x = s` and at how its mean changes as the
plane moves: it jumps where the plane meets the edge of a hidden unit, whatever the threshold.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.borders.sources import checked_unit
from nnmoments.hermite import normal_density
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_choice,
    check_integer,
    check_number,
    check_rng,
)

__all__ = ["DeltaCorrelation", "delta_correlation", "sampled_delta_correlation"]


# Farther out the normal density is zero in double precision.
_FARTHEST = 38.0
_LARGEST = 1e100  # of labels, so that squares are numbers


@dataclass(frozen=True, eq=False, repr=False)
class DeltaCorrelation(Result):
    """An estimated correlation.

    Attributes
    ----------
    value, standard_error : float
    n_labels : int
        Labels that were used.

    Examples
    --------
    >>> DeltaCorrelation(0.25, 0.001, 1000)
    DeltaCorrelation
               value: 0.25
      standard_error: 0.001
            n_labels: 1000
    """

    value: float
    standard_error: float
    n_labels: int


def _stencil(order: int, epsilon: float) -> tuple[Array, Array]:
    """Return the places and weights of C_1 that make up C_1, C_2 or C_3."""
    if order == 0:
        return np.zeros(1), np.ones(1)
    if order == 1:
        return np.array([epsilon, -epsilon]), np.array([1.0, -1.0])
    return np.array([2 * epsilon, 0.0, -2 * epsilon]), np.array([1.0, -2.0, 1.0]) / (2 * epsilon)


def _checked_stencil(order: int, epsilon: float) -> tuple[int, float]:
    order = check_choice("order", order, (0, 1, 2))
    return order, check_number("epsilon", epsilon, above=1e-12, below=_FARTHEST) if order else 0.0


def delta_correlation(
    f: Callable[[Array], npt.ArrayLike],
    z: npt.ArrayLike,
    s: float,
    *,
    order: int,
    epsilon: float = 0.0,
    n_samples: int = 10_000,
    rng: Any = None,
) -> DeltaCorrelation:
    r"""Estimate :math:`C_1`, :math:`C_2` or :math:`C_3` of f under N(0, I) with a label oracle.

    .. math:: C_1(s) &= E[f(x)\,\delta(z \cdot x - s)] = \varphi(s)\,E[f \mid z \cdot x = s] \\
              C_2(s) &= C_1(s + \epsilon) - C_1(s - \epsilon) \\
              C_3(s) &= C_1'(s + \epsilon) - C_1'(s - \epsilon)
              \approx \frac{C_1(s + 2\epsilon) - 2 C_1(s) + C_1(s - 2\epsilon)}{2\epsilon}

    :math:`C_2` keeps a jump of size :math:`\varphi(t) E[\partial P/\partial X_i | w_i \cdot x = t]`
    at :math:`z = w_i, s = t` for sign units, and is :math:`O(\epsilon)` away from all weights;
    :math:`C_3` does the same for ReLU units. All planes of a correlation share their points across
    them, so most of the label cancels.

    Parameters
    ----------
    f : callable
        Labels (n,) of points (n, d).
    z : (d,) array_like
        Of length 1.
    s : float
        Place of the plane.
    order : {0, 1, 2}
        For :math:`\delta`, :math:`\delta'`, :math:`\delta''`.
    epsilon : float
        Distance of the planes; needed at orders 1 and 2.
    n_samples : int
        Points per plane.
    rng : None, int, Generator or RandomState

    Returns
    -------
    DeltaCorrelation

    Raises
    ------
    ValueError
        If z is not of length 1, or epsilon is not positive where it is needed.

    Notes
    -----
    :math:`\int \delta' h = -h'`, so :math:`C_2 = -2\epsilon\,E[f\,\delta'(z \cdot x - s)]` to first
    order, and :math:`C_3` here is minus GP's.

    References
    ----------
    GP Section 3 and Appendix C.

    Examples
    --------
    >>> label = lambda X: X[:, 0] > 1.0
    >>> c = delta_correlation(label, [1.0, 0.0], 1.0, order=1, epsilon=1e-6)
    >>> round(c.value, 5), c.n_labels
    (0.24197, 20000)
    """
    z = checked_unit(z)
    check_callable("f", f)
    s = check_number("s", s, above=-_FARTHEST, below=_FARTHEST)
    order, epsilon = _checked_stencil(order, epsilon)
    n_samples = check_integer("n_samples", n_samples, 2)
    inside = check_rng("rng", rng).standard_normal((n_samples, len(z)))
    inside -= np.outer(inside @ z, z)
    places, weights = _stencil(order, epsilon)
    values = np.zeros(n_samples)
    for place, weight in zip(places, weights, strict=True):
        labels = check_array("f", f(inside + (s + place) * z), shape=(n_samples,), most=_LARGEST)
        values += weight * float(normal_density(s + place)) * labels
    return _summary(values, n_samples * len(places))


def _summary(values: Array, labels: int) -> DeltaCorrelation:
    return DeltaCorrelation(
        float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)), int(labels)
    )


def sampled_delta_correlation(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    z: npt.ArrayLike,
    s: float,
    *,
    order: int,
    epsilon: float,
    width: float,
) -> DeltaCorrelation:
    r"""Estimate the same correlations from a sample, with slabs of a given width for the planes.

    .. math:: \delta(v) \approx \frac{1}{h}\,1\{|v| < h/2\}

    Parameters
    ----------
    X, y : (n, d), (n,) array_like
    z : (d,) array_like
    s : float
    order : {0, 1, 2}
    epsilon : float
        As in `delta_correlation`.
    width : float
        h; slabs of neighbouring planes must not meet.

    Returns
    -------
    DeltaCorrelation

    Raises
    ------
    ValueError
        If slabs overlap, or no sample lies in any.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((100_000, 2))
    >>> slabs = {"epsilon": 0.05, "width": 0.1}
    >>> c = sampled_delta_correlation(X, X[:, 0] > 1, [1.0, 0.0], 1.0, order=1, **slabs)
    >>> abs(c.value - 0.24) < 5 * c.standard_error + 0.02
    True
    """
    z = checked_unit(z)
    X = check_array("X", X, shape=(None, len(z)))
    y = check_array("y", y, shape=(len(X),), most=_LARGEST)
    s = check_number("s", s, above=-_FARTHEST, below=_FARTHEST)
    order, epsilon = _checked_stencil(order, epsilon)
    width = check_number("width", width, above=0.0, below=_FARTHEST)
    if order and width > 2.0 * epsilon * (1.0 + 1e-9):
        raise ValueError(f"width must be at most 2 epsilon = {2 * epsilon:g}, got {width:g}")
    height = X @ z - s
    places, weights = _stencil(order, epsilon)
    values, used = np.zeros(len(y)), 0
    for place, weight in zip(places, weights, strict=True):
        slab = np.abs(height - place) < 0.5 * width
        values[slab] += weight * y[slab] / width
        used += int(slab.sum())
    if not used:
        raise ValueError("X has no sample near the plane; widen width or move s")
    return _summary(values, used)
