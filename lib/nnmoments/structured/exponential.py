r"""Disjoint 0/1 weights under :math:`u(a) = e^a`: maximisation of a shifted mean, no threshold.

.. math:: g(z) = e^{-\|z\|^2/2}\,E[f(x)\,e^{z \cdot x}] = E[f(x + z)]
          = \sum_S c_S \prod_{p \in \bigcup_{i \in S} T_i} e^{1/2 + z_p}
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.results import Comparable, Result
from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_integer,
    check_number,
    check_result,
    check_rng,
)

__all__ = [
    "DisjointSupports",
    "ExactShiftedMean",
    "OracleShiftedMean",
    "ascend_on_simplex",
    "disjoint_supports",
]

MeanAndGradient = Callable[[Array], tuple[float, Array]]

_LARGEST = 1e100  # of labels and inputs, so that squares are numbers


class ExactShiftedMean(Comparable):
    r"""The function g from the terms of the polynomial.

    Parameters
    ----------
    terms : mapping
        As `nnmoments.networks.HiddenPolynomial`, each unit at most once a term.
    supports : sequence of sequences of int
        The :math:`T_i`.
    d : int
        Inputs.

    Raises
    ------
    ValueError
        If a term names a unit without a support, or a support an input beyond d.

    References
    ----------
    GP Appendix D.2.

    Examples
    --------
    >>> g = ExactShiftedMean({(0,): 2.0}, [[0]], 2)
    >>> value, slope = g(np.array([0.5, 0.0]))
    >>> round(value / np.e, 12), slope.round(3)
    (2.0, array([5.437, 0.   ]))
    """

    def __init__(
        self, terms: Mapping[tuple[int, ...], float], supports: Sequence[Sequence[int]], d: int
    ) -> None:
        d = check_integer("d", d, 1)
        held = [_indices("supports", support, d) for support in supports] if np.iterable(supports) else []
        if not isinstance(terms, Mapping) or not terms or not held:
            raise ValueError(f"terms must map tuples of units with supports to numbers, got {terms!r}")
        self._masks = np.zeros((len(terms), d))
        for row, term in zip(self._masks, terms, strict=True):
            for i in _indices("terms", term, len(held)):
                row[held[i]] = 1.0
        self._c = check_array("terms", list(terms.values()), ndim=1)

    def __call__(self, z: npt.ArrayLike) -> tuple[float, Array]:
        """Return g(z) and its gradient."""
        z = check_array("z", z, shape=self._masks.shape[1:])
        with np.errstate(over="ignore", invalid="ignore"):
            values = check_result("z", self._c * np.exp(self._masks @ (0.5 + z)))  # GP Appendix D.2
        return float(values.sum()), values @ self._masks


class OracleShiftedMean(Comparable):
    r"""The function g from a label oracle: :math:`E[f(x + z)]`, with :math:`\nabla g = E[f(x + z)\,x]`.

    All z share the same x. From plain samples g needs the importance weights
    :math:`e^{z \cdot x - \|z\|^2/2}`, whose variance adds to that of f.

    Parameters
    ----------
    f : callable
        Labels (n,) of points (n, d).
    X : (n, d) array_like
        Standard normal points.

    Raises
    ------
    ValueError
        If f is not callable, or on a call if it does not give one finite label for each point.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((100_000, 2))
    >>> value, slope = OracleShiftedMean(lambda X: np.exp(X[:, 0]), X)(np.array([0.5, 0.0]))
    >>> bool(abs(value / np.e - 1) < 0.05)
    True
    """

    def __init__(self, f: Callable[[Array], npt.ArrayLike], X: npt.ArrayLike) -> None:
        self._f, self._X = check_callable("f", f), check_array("X", X, ndim=2, most=_LARGEST)

    def __call__(self, z: npt.ArrayLike) -> tuple[float, Array]:
        """Return g(z) and its gradient."""
        z = check_array("z", z, shape=self._X.shape[1:])
        labels = check_array("f", self._f(self._X + z), shape=(len(self._X),), most=_LARGEST)
        value = float(labels.mean())
        return value, (labels - value) @ self._X / len(labels)


@dataclass(frozen=True, eq=False, repr=False)
class DisjointSupports(Result):
    """What `disjoint_supports` found.

    Attributes
    ----------
    supports : list of tuples of int
        In order of their first input.
    points : (m, d) array
        The maxima that they were read off.
    contrast : float
        The least ratio, over the maxima, of the smallest entry on the support to the largest off it.
    converged : bool
        Whether there are as many as were asked for.
    status : str

    Examples
    --------
    >>> mean = ExactShiftedMean({(0,): 1.0, (1,): 2.0}, [[0, 2], [1, 3]], 4)
    >>> disjoint_supports(mean, 4, 2, rng=0).converged
    True
    """

    supports: list[tuple[int, ...]]
    points: Array = field(repr=False)
    contrast: float
    converged: bool
    status: str


def _indices(name: str, values: Sequence[int], size: int) -> list[int]:
    """Check integers from 0 to size - 1."""
    try:
        indices = [operator.index(i) for i in values]
    except TypeError:
        indices = [-1]
    if not all(0 <= i < size for i in indices):
        raise ValueError(f"{name} must hold tuples of integers from 0 to {size - 1}, got {values!r}")
    return indices


def _checked(mean: MeanAndGradient, radius: float, gamma: float) -> tuple[float, float]:
    check_callable("mean", mean)
    # g grows exponentially: beyond, it is no number.
    radius = check_number("radius", radius, above=1e-6, below=500.0)
    return radius, check_number("gamma", gamma, above=0.0, below=1e6)


def _asked(mean: MeanAndGradient, z: Array) -> tuple[float, Array]:
    """Return g(z) and its gradient."""
    found = mean(z)
    if not isinstance(found, tuple) or len(found) != 2:
        raise ValueError(f"mean must return g(z) and its gradient, got {found!r}")
    return check_number("mean", found[0]), check_array("mean", found[1], shape=z.shape)


def _on_simplex(z: Array, radius: float) -> Array:
    """Project on z >= 0, sum z = radius."""
    ordered = np.sort(z)[::-1]
    excess = (np.cumsum(ordered) - radius) / np.arange(1, len(z) + 1)
    return np.maximum(z - excess[np.flatnonzero(ordered > excess)[-1]], 0.0)


def ascend_on_simplex(
    mean: MeanAndGradient, start: npt.ArrayLike, *, radius: float, gamma: float, max_iter: int = 200
) -> Array:
    r"""Maximise :math:`g(z)/g(z_0) - \gamma \|z\|_2^2` over :math:`z \ge 0,\ \|z\|_1 = r` by projected steps.

    GP subtract :math:`\lambda \|z\|_1` instead. But g grows exponentially, so :math:`g - \lambda\|z\|_1 -
    \gamma\|z\|_2^2` has no maximum; and with the :math:`\gamma` of Lemma 21 it has no local one with a
    large entry either. On the simplex it does what the proof wants of it.

    Parameters
    ----------
    mean : callable
        g and its gradient at z (d,): `ExactShiftedMean` or `OracleShiftedMean`.
    start : (d,) array_like
        :math:`z_0`, projected on the simplex.
    radius : float
        r.
    gamma : float
    max_iter : int
        Steps.

    Returns
    -------
    (d,) array

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    GP Theorem 8 and Appendix D.2.

    Examples
    --------
    >>> mean = ExactShiftedMean({(0,): 1.0}, [[0, 1]], 3)
    >>> ascend_on_simplex(mean, np.array([0.5, 0.2, 0.3]), radius=1.0, gamma=0.01).round(3)
    array([0.5, 0.5, 0. ])
    """
    max_iter = check_integer("max_iter", max_iter, 1)
    radius, gamma = _checked(mean, radius, gamma)
    z = _on_simplex(check_array("start", start, ndim=1, most=1e6), radius)
    scale = _asked(mean, z)[0]
    if not scale > 0.0:
        raise ValueError(f"mean must be positive at the start, got {scale:g}: all coefficients are to be")
    value, step = 1.0 - gamma * float(z @ z), 0.1
    for _ in range(max_iter):
        slope = _asked(mean, z)[1] / scale - 2.0 * gamma * z
        trial = _on_simplex(z + step * slope, radius)
        new = _asked(mean, trial)[0] / scale - gamma * float(trial @ trial)
        if new < value:
            step *= 0.5
            if step < 1e-7:
                break
            continue
        moved = float(np.abs(trial - z).max())
        z, value, step = trial, new, 2.0 * step
        if moved < 1e-7:
            break
    return z


def disjoint_supports(
    mean: MeanAndGradient,
    d: int,
    count: int,
    *,
    radius: float = 2.0,
    gamma: float = 0.05,
    rng: Any = None,
) -> DisjointSupports:
    r"""Find the supports of `count` disjoint 0/1 weights, one maximum each, with deflation.

    Each ascent starts near the middle of the simplex over the inputs that are left; the support is
    where the entries exceed half of the largest.

    Parameters
    ----------
    mean : callable
        g and its gradient: `ExactShiftedMean` or `OracleShiftedMean`.
    d, count : int
        Inputs, and weights to find.
    radius : float
        r; the larger, the farther g tells a single support from a union of two, and the noisier.
    gamma : float
        Spreads the mass equally over a support (Lemma 22).
    rng : optional
        Seed or generator.

    Returns
    -------
    DisjointSupports

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    GP Theorem 8, Appendix D.2, with a constraint for the penalty.

    Examples
    --------
    >>> mean = ExactShiftedMean({(0,): 1.0, (1,): 2.0, (0, 1): 0.5}, [[0, 2], [1, 3]], 4)
    >>> disjoint_supports(mean, 4, 2, rng=0).supports
    [(0, 2), (1, 3)]
    """
    d = check_integer("d", d, 1)
    count = check_integer("count", count, 1, d)
    radius, gamma = _checked(mean, radius, gamma)
    rng = check_rng("rng", rng)
    left = np.arange(d)
    supports: list[tuple[int, ...]] = []
    points, contrast = [], np.inf
    while len(supports) < count and len(left):
        inputs = left

        def within(z: Array, inputs: npt.NDArray[np.intp] = inputs) -> tuple[float, Array]:
            whole = np.zeros(d)
            whole[inputs] = z
            value, slope = _asked(mean, whole)
            return value, slope[inputs]

        start = rng.uniform(0.9, 1.1, size=len(inputs)) * radius / len(inputs)
        z = ascend_on_simplex(within, start, radius=radius, gamma=gamma)
        held = z > 0.5 * z.max()
        contrast = min(contrast, float(z[held].min() / max(z[~held].max(initial=0.0), 1e-12)))
        supports.append(tuple(inputs[held].tolist()))
        point = np.zeros(d)
        point[inputs] = z
        points.append(point)
        left = inputs[~held]
    status = f"{len(supports)} supports of {sorted(map(len, supports))} inputs"
    if len(supports) < count:
        status += f", {count} were asked for: no inputs are left, so some units always occur together"
    return DisjointSupports(sorted(supports), np.array(points), contrast, len(supports) == count, status)
