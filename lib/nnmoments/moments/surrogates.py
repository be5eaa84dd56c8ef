r"""Surrogates: functions g of the input that stand for the labels' mean in a doubly robust moment.

.. math:: T_m = E[\nabla^m g(x)] + E[(y - g(x)) \otimes S_m(x)]

holds for every g with m derivatives. So g may be whatever was fitted to *other* samples: the better it
is, the less variance is left in the second term, and the less a wrong score can do there, for the bias is
:math:`-E[(g - E[y|x]) (\hat S_m - S_m)]`, a product of two errors.

A `SurrogateFamily` fits a `Surrogate` to a sample; `cross_moment` does so fold by fold.
"""

import abc
import functools
import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from nnmoments.activations import Activation, get_activation
from nnmoments.chunks import row_chunks
from nnmoments.densities import Density, ScoreModel
from nnmoments.densities.density import Slot
from nnmoments.hermite import hermite_polynomial, normal_density
from nnmoments.linalg import khatri_rao, monomials
from nnmoments.moments.expectations import mean_monomials, mean_slopes
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, check_callable, check_integer, check_number, check_rng

__all__ = [
    "FunctionSurrogate",
    "PolynomialSurrogate",
    "Polynomials",
    "RandomFeatures",
    "RidgeSurrogate",
    "Surrogate",
    "SurrogateFamily",
    "SurrogateSum",
    "fit_surrogate",
]

# Samples for each coefficient of a polynomial that is fitted to them.
_SAMPLES_A_COEFFICIENT = 2
# And so many that others would change the variance of a moment by a thousandth.
_SAMPLES_TO_SPARE = 1000
# Degrees beyond which a polynomial in several variables has never been chosen.
_HIGHEST_DEGREE = 7
# Coefficients beyond which fitting costs more than the moment, where nobody asked for the degree.
_MOST_COEFFICIENTS = 500
# Width of the Gaussian that smooths a kink whose mean is averaged, in lengths of the unit's row, which
# is the spread of its argument where inputs have unit variance:
# wide enough for the average of its derivatives, narrow enough for the residual it leaves.
_SMOOTHING = 0.3
# So that fourth powers are numbers.
_LARGEST = 1e50
# Monomials that a core keeps close.
_CACHE = 1 << 17
_RIDGES = 10.0 ** np.arange(-8, 1)
_WIDTHS = (1.0, 2.0, 4.0, 8.0)


class Surrogate(Comparable, abc.ABC):
    r"""A function g from R^d to the labels' space, whose derivatives are known.

    Attributes
    ----------
    d : int

    Examples
    --------
    >>> isinstance(Polynomials(1).fit(np.eye(2), np.ones((2, 1))), Surrogate)
    True
    """

    d: int

    @abc.abstractmethod
    def predict(self, X: Array) -> Array:
        """Return g at the rows of X.

        Parameters
        ----------
        X : (n, d) array

        Returns
        -------
        (n, n_y) array
        """

    @abc.abstractmethod
    def derivative_sums(
        self, X: Array, slots: Sequence[Slot], size: int, sample_weight: Array | None = None
    ) -> Array:
        r"""Sum :math:`\nabla^m g(A_1, \dots, A_m)` over blocks of rows.

        Parameters
        ----------
        X : (n, d) array
            n is a multiple of `size`.
        slots : sequence of m (d, k) arrays or None
            The :math:`A_i`; None for the identity.
        size : int
            Rows per block.
        sample_weight : (n,) array, optional

        Returns
        -------
        (n / size, n_y, k_1, ..., k_m) array
        """

    @abc.abstractmethod
    def mean_derivative(self, density: ScoreModel, slots: Sequence[Slot]) -> Array | None:
        r"""Return :math:`E[\nabla^m g(A_1, \dots, A_m)]` under a density.

        Parameters
        ----------
        density : ScoreModel
        slots : sequence of m (d, k) arrays or None

        Returns
        -------
        (n_y, k_1, ..., k_m) array, or None where it is not known
        """

    @abc.abstractmethod
    def smooth(self) -> "Surrogate":
        """Return g with its kinks smoothed, so that averages of its derivatives exist."""

    @abc.abstractmethod
    def describe(self) -> str:
        """Say what g is."""


class SurrogateFamily(Comparable, abc.ABC):
    """A way to fit a surrogate to a sample; ``a + b`` fits b to what a leaves.

    Examples
    --------
    >>> family = Polynomials(1) + RandomFeatures(10)
    >>> family.fit(np.eye(2), np.ones((2, 1))).predict(np.zeros((1, 2))).round(6)
    array([[1.]])
    """

    @abc.abstractmethod
    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Surrogate:
        """Fit to a sample.

        Parameters
        ----------
        X : (n, d) array
        y : (n, n_y) array
        sample_weight : (n,) array, optional

        Returns
        -------
        Surrogate
        """

    def enough(self, d: int) -> int | None:
        """Return how many samples a fit in d dimensions needs: more would change a moment by far less than
        its error. None for all.

        Parameters
        ----------
        d : int

        Returns
        -------
        int or None
        """
        return None

    def __add__(self, other: "SurrogateFamily") -> "_FamilySum":
        """Fit the second to what the first leaves."""
        return _FamilySum(self, other)


def fit_surrogate(family: Any, X: Array, y: Array, sample_weight: Array | None = None) -> Surrogate:
    """Fit a family, or a copy of a learner that can say its network as a surrogate.

    A network need not have converged to be a surrogate, so a learner's warning says nothing here; one that
    cannot be fitted at all leaves its place to a polynomial.

    Parameters
    ----------
    family : SurrogateFamily or learner
        A learner is cloned; it has `as_surrogate` once it is fitted.
    X, y : (n, d), (n,) or (n, n_y) arrays
    sample_weight : (n,) array, optional

    Returns
    -------
    Surrogate

    Raises
    ------
    ValueError
        If what was fitted is no surrogate.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [3.0]])
    >>> fit_surrogate(Polynomials(1), X, 2.0 * X[:, 0]).predict(np.array([[2.0]])).round(6)
    array([[4.]])
    """
    if isinstance(family, SurrogateFamily):
        return family.fit(X, y.reshape(len(y), -1), sample_weight)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = clone(family)
            fitted.fit(X, y) if sample_weight is None else fitted.fit(X, y, sample_weight)
    except ValueError:
        return Polynomials().fit(X, y.reshape(len(y), -1), sample_weight)
    if not callable(getattr(fitted, "as_surrogate", None)):
        raise ValueError(
            f"surrogate must be a surrogate or a learner of this library, got {type(family).__name__}"
        )
    return fitted.as_surrogate()


@dataclass(frozen=True, eq=False)
class _FamilySum(SurrogateFamily):
    first: SurrogateFamily
    second: SurrogateFamily

    def enough(self, d: int) -> int | None:
        both = self.first.enough(d), self.second.enough(d)
        return None if None in both else max(both)  # type: ignore[type-var]

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Surrogate:
        first = self.first.fit(X, y, sample_weight)
        return SurrogateSum((first, self.second.fit(X, y - first.predict(X), sample_weight)))


@dataclass(frozen=True, eq=False)
class SurrogateSum(Surrogate):
    """A sum of surrogates.

    Parameters
    ----------
    parts : sequence of Surrogate

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [3.0]])
    >>> line = Polynomials(1).fit(X, 2.0 * X + 1.0)
    >>> SurrogateSum((line, line)).predict(np.array([[2.0]])).round(6)
    array([[10.]])
    """

    parts: Sequence[Surrogate]

    @property
    def d(self) -> int:  # type: ignore[override]
        """Dimension of x."""
        return self.parts[0].d

    def predict(self, X: Array) -> Array:
        return functools.reduce(np.add, [g.predict(X) for g in self.parts])

    def derivative_sums(
        self, X: Array, slots: Sequence[Slot], size: int, sample_weight: Array | None = None
    ) -> Array:
        return functools.reduce(
            np.add, [g.derivative_sums(X, slots, size, sample_weight) for g in self.parts]
        )

    def mean_derivative(self, density: ScoreModel, slots: Sequence[Slot]) -> Array | None:
        found = [g.mean_derivative(density, slots) for g in self.parts]
        known = [mean for mean in found if mean is not None]
        return functools.reduce(np.add, known) if len(known) == len(found) else None

    def smooth(self) -> "SurrogateSum":
        return SurrogateSum([g.smooth() for g in self.parts])

    def describe(self) -> str:
        return " + ".join(g.describe() for g in self.parts)


# --- polynomials -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Polynomials(SurrogateFamily):
    r"""Polynomials of x, or of :math:`V^\top x`, by least squares.

    Degree m costs nothing beyond the fit, whatever the density: :math:`\nabla^m` of such a polynomial is
    constant. Degrees above take the average of lower monomials.

    Parameters
    ----------
    degree : int, optional
        Chosen on held-out quarters of the sample if it is not given.
    basis : (d, k) array, optional
        V, with orthonormal columns or not.

    Examples
    --------
    >>> from nnmoments.densities import Logistic, iid
    >>> from nnmoments.moments import cross_moment
    >>> density = iid(Logistic(), 2)
    >>> X = density.sample(10_000, rng=0)
    >>> y = X[:, 0] * X[:, 1]
    >>> cross_moment(X, y, density, 2, surrogate=Polynomials(2)).value.round(6) + 0.0
    array([[0., 1.],
           [1., 0.]])
    """

    degree: int | None = None
    basis: Array | None = None

    def _width(self, d: int) -> int:
        basis = self.basis
        return d if basis is None else check_array("basis", basis, shape=(d, None), most=_LARGEST).shape[1]

    def enough(self, d: int) -> int:
        width = self._width(d)
        if self.degree is None:
            return _SAMPLES_TO_SPARE * _MOST_COEFFICIENTS
        return _SAMPLES_TO_SPARE * math.comb(width + check_integer("degree", self.degree, 0), self.degree)

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> "PolynomialSurrogate":
        degree = self.degree
        if degree is None:
            degree = self._choose(X, y, sample_weight)
        degree = check_integer("degree", degree, 0)
        basis = (
            None
            if self.basis is None
            else check_array("basis", self.basis, shape=(X.shape[1], None), most=_LARGEST)
        )
        points = X if basis is None else X @ basis
        centre = np.average(points, axis=0, weights=sample_weight)
        spread = np.sqrt(np.average((points - centre) ** 2, axis=0, weights=sample_weight))
        spread[spread == 0.0] = 1.0
        exponents = monomials(points.shape[1], degree)
        gram = np.zeros((len(exponents), len(exponents) + y.shape[1]))
        for rows in row_chunks(len(X), len(exponents)):
            powers = _powers((points[rows] - centre) / spread, exponents)
            weighted = powers if sample_weight is None else powers * sample_weight[rows, None]
            gram += weighted.T @ np.hstack([powers, y[rows]])
        normal, right = np.split(gram, [len(exponents)], axis=1)
        # Unit diagonal, so that the cut-off for dependent polynomials does not depend on units.
        scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), np.finfo(np.float64).tiny))[:, None]
        coefficients = scale * np.linalg.lstsq(normal * scale * scale.T, scale * right, rcond=1e-12)[0]
        return PolynomialSurrogate(degree, coefficients, centre, spread, basis, X.shape[1])

    def _choose(self, X: Array, y: Array, sample_weight: Array | None) -> int:
        """Return the least degree whose held-out error is the best one's up to a standard error.

        Each quarter is held out in turn. A degree that is better by chance only is not worth its tails.
        """
        width = self._width(X.shape[1])
        w = np.ones(len(X)) if sample_weight is None else sample_weight
        quarters = np.arange(len(X)) % 4
        errors: list[Array] = []
        for degree in range(_HIGHEST_DEGREE + 1):
            count = math.comb(width + degree, degree)
            if (degree > 1 and count > _MOST_COEFFICIENTS) or _SAMPLES_A_COEFFICIENT * count > 3 * len(
                X
            ) // 4:
                break
            left = np.empty_like(y)
            for own in (quarters == i for i in range(4)):
                found = Polynomials(degree, self.basis).fit(X[~own], y[~own], w[~own])
                left[own] = y[own] - found.predict(X[own])
            errors.append(w * np.sum(left**2, axis=1))
        if not errors:
            return 0
        best = min(errors, key=np.sum)
        excess = [error - best for error in errors]
        return next(p for p, e in enumerate(excess) if e.sum() <= math.sqrt(len(e)) * e.std())


@dataclass(frozen=True, eq=False)
class PolynomialSurrogate(Surrogate):
    r"""A polynomial of :math:`u = (V^\top x - c)/s`.

    Parameters
    ----------
    degree : int
    coefficients : (M, n_y) array
        In the order of `nnmoments.linalg.monomials`.
    centre, spread : (k,) arrays
        c and s.
    basis : (d, k) array or None
        V; None for the identity.
    d : int

    Examples
    --------
    >>> coefficients = np.array([[1.0], [2.0]])  # 1 + 2 x
    >>> g = PolynomialSurrogate(1, coefficients, np.zeros(1), np.ones(1), None, 1)
    >>> g.predict(np.array([[3.0]])), g.describe()
    (array([[7.]]), 'a polynomial of degree 1')
    """

    degree: int
    coefficients: Array = field(repr=False)
    centre: Array = field(repr=False)
    spread: Array = field(repr=False)
    basis: Array | None = field(repr=False)
    d: int

    def _scaled(self, X: Array) -> Array:
        points = X if self.basis is None else X @ self.basis
        return (points - self.centre) / self.spread

    def predict(self, X: Array) -> Array:
        exponents = monomials(len(self.centre), self.degree)
        found = np.empty((len(X), self.coefficients.shape[1]))
        for rows in row_chunks(len(X), len(exponents), doubles=_CACHE):
            found[rows] = _powers(self._scaled(X[rows]), exponents) @ self.coefficients
        return found

    def derivative_sums(
        self, X: Array, slots: Sequence[Slot], size: int, sample_weight: Array | None = None
    ) -> Array:
        lower = monomials(len(self.centre), max(self.degree - len(slots), 0))
        powers = _powers(self._scaled(X), lower)
        if sample_weight is not None:
            powers = powers * sample_weight[:, None]
        return self._derivative(powers.reshape(len(X) // size, size, -1).sum(axis=1), slots)

    def _derivative(self, powers: Array, slots: Sequence[Slot]) -> Array:
        """Return the contracted derivative, (C, n_y, ...), from sums of lower monomials (C, M')."""
        m, k = len(slots), len(self.centre)
        total = np.zeros((len(powers), self.coefficients.shape[1]) + (k,) * m)
        if m <= self.degree:
            for axes, (parents, factors) in _derivative_tables(k, self.degree, m).items():
                values = (powers * factors) @ self.coefficients[parents]
                for entry in set(itertools.permutations(axes)):
                    where: Any = (slice(None), slice(None), *entry)
                    total[where] = values
        for axis, slot in enumerate(slots, start=2):
            matrix = self._frame.T if slot is None else self._frame.T @ slot
            total = np.moveaxis(np.tensordot(total, matrix, axes=(axis, 0)), -1, axis)
        return total

    @property
    def _frame(self) -> Array:
        return np.asarray((np.eye(self.d) if self.basis is None else self.basis) / self.spread)

    def mean_derivative(self, density: ScoreModel, slots: Sequence[Slot]) -> Array | None:
        lower = monomials(len(self.centre), max(self.degree - len(slots), 0))
        if len(lower) == 1:
            return self._derivative(np.ones((1, 1)), slots)[0]  # the same everywhere
        if not isinstance(density, Density):
            return None
        means = mean_monomials(density, self._frame, self.centre / self.spread, lower)
        return None if means is None else self._derivative(means[None], slots)[0]

    def smooth(self) -> "PolynomialSurrogate":
        return self

    def describe(self) -> str:
        where = "" if self.basis is None else f" in {len(self.centre)} projections of x"
        return f"a polynomial of degree {self.degree}{where}"


def _powers(points: Array, exponents: Sequence[tuple[int, ...]]) -> Array:
    """Return the monomials of points (n, k), (n, M): each is one of lower degree times a variable."""
    place = {axes: row for row, axes in enumerate(exponents)}
    variables = np.ascontiguousarray(points.T)
    found = np.empty((len(exponents), len(points)))
    for row, axes in enumerate(exponents):
        found[row] = found[place[axes[:-1]]] * variables[axes[-1]] if axes else 1.0
    return found.T


@functools.lru_cache(maxsize=16)
def _derivative_tables(
    k: int, degree: int, m: int
) -> dict[tuple[int, ...], tuple[npt.NDArray[np.intp], Array]]:
    """Map m variables to the monomials whose derivatives are the lower ones, in order, times factors."""
    place = {axes: row for row, axes in enumerate(monomials(k, degree))}
    tables = {}
    for taken in (axes for axes in monomials(k, m) if len(axes) == m):
        parents = [tuple(sorted(taken + rest)) for rest in monomials(k, degree - m)]
        factors = [
            math.prod(math.perm(axes.count(v), taken.count(v)) for v in set(taken)) for axes in parents
        ]
        tables[taken] = np.array([place[axes] for axes in parents]), np.array(factors, dtype=np.float64)
    return tables


# --- sums of ridge functions -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RidgeSurrogate(Surrogate):
    r"""A sum of ridge functions, :math:`g(x) = c + \sum_j a_j\,\phi(\langle w_j, x\rangle + b_j)`.

    A network with one hidden layer, or random features. Its derivatives are
    :math:`\sum_j a_j \phi^{(m)}(\cdot)\,w_j^{\otimes m}`; for Gaussians, their mixtures and independent
    coordinates their means are one-dimensional integrals, kinks included. Elsewhere kinks are smoothed by
    a Gaussian, which changes g a little and the moment not at all.

    Parameters
    ----------
    weights : (J, d) array
    biases : (J,) array
    output : (n_y, J) array
    activation : str or Activation
    intercept : (n_y,) array
    widths : (J,) array, optional
        Of the Gaussians that smooth kinks, in units of the argument of phi; by default 0.3 of a row's length.
    smoothed : bool
        Whether g is the smoothed function.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> g = RidgeSurrogate([[2.0, 0.0]], [0.0], [[3.0]], "relu", [1.0])
    >>> g.predict(np.array([[1.0, 5.0], [-1.0, 0.0]]))
    array([[7.],
           [1.]])
    """

    weights: Array = field(repr=False)
    biases: Array = field(repr=False)
    output: Array = field(repr=False)
    activation: Any
    intercept: Array = field(repr=False)
    widths: Array | None = field(default=None, repr=False)
    smoothed: bool = False

    def __post_init__(self) -> None:
        weights = check_array("weights", self.weights, ndim=2, most=_LARGEST)
        count = len(weights)
        output = check_array("output", self.output, shape=(None, count))
        widths = _SMOOTHING * np.linalg.norm(weights, axis=1) if self.widths is None else self.widths
        checked = {
            "weights": weights,
            "biases": check_array("biases", self.biases, shape=(count,)),
            "output": output,
            "activation": get_activation(self.activation),
            "intercept": check_array("intercept", self.intercept, shape=(len(output),)),
            "widths": check_array("widths", widths, shape=(count,)),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def d(self) -> int:  # type: ignore[override]
        """Dimension of x."""
        return self.weights.shape[1]

    def _units(self, order: int, arguments: Array) -> Array:
        """Return the derivative of phi, smoothed or not, at arguments (n, J)."""
        phi: Activation = self.activation
        found: Array = phi.derivative(order, arguments)
        if self.smoothed:
            # A jump c of the j-th derivative at b is c (z - b)_+^j/j!: smooth these terms only.
            for place, steps in phi.jumps.items():
                z = arguments - place
                for j, step in enumerate(steps):
                    if step:
                        found = found + step * _blur(j - order, z, np.asarray(self.widths))
        return found

    def predict(self, X: Array) -> Array:
        found = np.empty((len(X), len(self.output)))
        for rows in row_chunks(len(X), 4 * len(self.weights)):
            hidden = self._units(0, X[rows] @ self.weights.T + self.biases)
            found[rows] = hidden @ self.output.T + self.intercept
        return found

    def derivative_sums(
        self, X: Array, slots: Sequence[Slot], size: int, sample_weight: Array | None = None
    ) -> Array:
        slopes = self._units(len(slots), X @ self.weights.T + self.biases)
        if sample_weight is not None:
            slopes = slopes * sample_weight[:, None]
        return self._lift(slopes.reshape(len(X) // size, size, -1).sum(axis=1), slots)

    def _lift(self, slopes: Array, slots: Sequence[Slot]) -> Array:
        r"""Return :math:`\sum_j a_j s_j\,(A_1^\top w_j) \otimes \dots` of slopes (C, J), label by label."""
        images = [self.weights if slot is None else self.weights @ slot for slot in slots]
        products = (slopes[:, None, :] * self.output) @ khatri_rao(*images)
        return products.reshape(len(slopes), len(self.output), *(image.shape[1] for image in images))

    def mean_derivative(self, density: ScoreModel, slots: Sequence[Slot]) -> Array | None:
        if not isinstance(density, Density):
            return None
        # Smoothing is as if the arguments had that much noise.
        noise = np.asarray(self.widths) if self.smoothed else np.zeros(len(self.weights))
        slopes = mean_slopes(density, self.weights, self.biases, self.activation, len(slots), noise)
        if slopes is None:
            return None
        return self._lift(slopes[None], slots)[0]

    def smooth(self) -> "RidgeSurrogate":
        kinks = bool(self.activation.breakpoints)
        return RidgeSurrogate(
            self.weights, self.biases, self.output, self.activation, self.intercept, self.widths, kinks
        )

    def describe(self) -> str:
        return f"{len(self.weights)} units ({self.activation.name})"


def _blur(j: int, z: Array, width: Array) -> Array:
    """Return what z_+^j/j! gains by convolution with N(0, width^2); for j < 0 derivatives of that density."""
    u = z / width
    if j < 0:
        return (-1.0) ** (-j - 1) * hermite_polynomial(-j - 1, u) * normal_density(u) / width**-j
    below, value = normal_density(u) / width, ndtr(u)
    for i in range(1, j + 1):
        below, value = value, (z * value + width**2 * below) / i
    return np.asarray(value - np.where(z > 0.0, z**j / math.factorial(j), 0.0))


@dataclass(frozen=True, eq=False)
class RandomFeatures(SurrogateFamily):
    r"""Ridge regression on random cosines: a surrogate that knows nothing of the network.

    :math:`\cos(\langle\omega_j, x\rangle/\ell + b_j)` with normal :math:`\omega_j` in whitened coordinates
    approximate the Gaussian kernel of width :math:`\ell` [1]_. Width and ridge are chosen on held-out
    halves of the sample.

    Parameters
    ----------
    count : int
        Number of features.
    width : float, optional
        l, in standard deviations of x.
    ridge : float, optional
        Relative to the number of samples.
    basis : (d, k) array, optional
        Use functions of :math:`V^\top x` only.
    rng : optional
        Seed of the features.

    References
    ----------
    .. [1] A. Rahimi, B. Recht, "Random features for large-scale kernel machines", NIPS 2007.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((2000, 2))
    >>> g = RandomFeatures(100, rng=0).fit(X, np.sin(X[:, :1]))
    >>> bool(np.abs(g.predict(X) - np.sin(X[:, :1])).mean() < 0.05)
    True
    """

    count: int = 300
    width: float | None = None
    ridge: float | None = None
    basis: Array | None = None
    rng: Any = 0

    def enough(self, d: int) -> int:
        return _SAMPLES_TO_SPARE * check_integer("count", self.count, 1)

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> RidgeSurrogate:
        count, rng = check_integer("count", self.count, 1), check_rng("rng", self.rng)
        basis = np.eye(X.shape[1]) if self.basis is None else self.basis
        basis = check_array("basis", basis, shape=(X.shape[1], None), most=_LARGEST)
        widths = _WIDTHS if self.width is None else (check_number("width", self.width, above=1e-6),)
        ridges = _RIDGES if self.ridge is None else np.array([check_number("ridge", self.ridge, above=0.0)])
        w = np.ones(len(X)) if sample_weight is None else sample_weight
        points = X @ basis
        centre = np.average(points, axis=0, weights=w)
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(points, rowvar=False, aweights=w)))
        whiten = vectors * np.where(
            values > 1e-12 * values[-1], 1.0 / np.sqrt(np.maximum(values, 1e-300)), 0.0
        )
        frequencies = rng.standard_normal((count, points.shape[1])) @ whiten.T
        phases = rng.uniform(0.0, 2.0 * np.pi, count)

        def sums(half: slice, width: float) -> Array:
            """Return the weighted second moments of (1, features, y)."""
            own, labels, weights = points[half] - centre, y[half], w[half, None]
            total = np.zeros((1 + count + y.shape[1],) * 2)
            for rows in row_chunks(len(own), count):
                features = np.cos(own[rows] @ frequencies.T / width + phases)
                table = np.hstack([np.ones((len(features), 1)), features, labels[rows]])
                total += (table * weights[rows]).T @ table
            return total

        best, chosen = np.inf, None
        for width in widths:
            one, two = sums(slice(0, None, 2), width), sums(slice(1, None, 2), width)
            for ridge in ridges:
                error = _held_out(one, two, count, ridge) + _held_out(two, one, count, ridge)
                if chosen is None or error < best:
                    best, chosen = error, (width, _ridge_coefficients(one + two, count, ridge))
        assert chosen is not None
        width, coefficients = chosen
        biases = phases - frequencies @ centre / width
        return RidgeSurrogate(
            frequencies @ basis.T / width, biases, coefficients[1:].T, "cosine", coefficients[0]
        )


def _ridge_coefficients(moments: Array, count: int, ridge: float) -> Array:
    """Return intercept and coefficients, (1 + count, n_y), from second moments of (1, features, y)."""
    mass = moments[0, 0]
    means = moments[0, 1:] / mass
    centred = moments[1:, 1:] / mass - np.outer(means, means)
    inner = centred[:count, :count] + ridge * np.eye(count)
    slopes = np.linalg.solve(inner, centred[:count, count:])
    return np.vstack([means[count:] - means[:count] @ slopes, slopes])


def _held_out(fitted: Array, held: Array, count: int, ridge: float) -> float:
    """Return the squared error on one half of the fit to the other."""
    c = np.vstack([_ridge_coefficients(fitted, count, ridge), -np.eye(len(held) - count - 1)])
    return float(np.einsum("ij,ik,kj->", c, held, c, optimize=True))


# --- the user's own --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FunctionSurrogate(Surrogate):
    r"""A differentiable function of the user's own, not fitted here.

    Parameters
    ----------
    d : int
    function : callable
        Maps points (n, d) to values (n,) or (n, n_y).
    derivatives : sequence of callables
        The m-th maps points (n, d) to :math:`\nabla^m g`, (n, d, ..., d) or (n, n_y, d, ..., d).

    Examples
    --------
    >>> g = FunctionSurrogate(1, np.squeeze, [np.ones_like])
    >>> g.derivative_sums(np.array([[2.0], [3.0]]), [None], 2)
    array([[[2.]]])
    """

    d: int
    function: Callable[[Array], npt.ArrayLike] = field(repr=False)
    derivatives: Sequence[Callable[[Array], npt.ArrayLike]] = field(repr=False)

    def __post_init__(self) -> None:
        check_integer("d", self.d, 1)
        check_callable("function", self.function)
        if not isinstance(self.derivatives, Sequence) or not all(map(callable, self.derivatives)):
            raise ValueError(f"derivatives must be a sequence of callables, got {self.derivatives!r}")

    def predict(self, X: Array) -> Array:
        values = check_array("function", self.function(X), ndim=(1, 2))
        return values.reshape(len(X), -1)

    def derivative_sums(
        self, X: Array, slots: Sequence[Slot], size: int, sample_weight: Array | None = None
    ) -> Array:
        m = len(slots)
        if m > len(self.derivatives):
            raise ValueError(f"derivatives must hold order {m} of the surrogate, got {len(self.derivatives)}")
        tensors = check_array("derivatives", self.derivatives[m - 1](X), ndim=(m + 1, m + 2))
        tensors = tensors.reshape(len(X), -1, *(self.d,) * m)
        if sample_weight is not None:
            tensors = tensors * sample_weight.reshape(-1, *(1,) * (m + 1))
        total = tensors.reshape(len(X) // size, size, *tensors.shape[1:]).sum(axis=1)
        for axis, slot in enumerate(slots, start=2):
            if slot is not None:
                total = np.moveaxis(np.tensordot(total, slot, axes=(axis, 0)), -1, axis)
        return total

    def mean_derivative(self, density: ScoreModel, slots: Sequence[Slot]) -> Array | None:
        return None

    def smooth(self) -> "FunctionSurrogate":
        return self

    def describe(self) -> str:
        return "a function of the user's"
