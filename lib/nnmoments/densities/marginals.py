"""One-dimensional densities and the derivatives of their logarithms, building blocks of products."""

import abc
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Polynomial
from scipy import stats
from scipy.special import log_ndtr

from nnmoments.densities.density import MAX_ORDER
from nnmoments.hermite import hermite_polynomial
from nnmoments.validation import (
    Array,
    check_array,
    check_choice,
    check_integer,
    check_number,
    check_result,
    check_rng,
    finite_result,
)

__all__ = [
    "Laplace",
    "Logistic",
    "Marginal",
    "Normal",
    "SmoothedUniform",
    "StudentT",
    "SymmetricBeta",
]


# Beyond so many deviations of the noise a smoothed uniform is evaluated by the cumulants of its tail: an
# integral over an exponential density cut at 80, for which 80 points leave nothing to be seen.
_TAIL, _DECAY = 3.0, 80.0
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(80)


@dataclass(frozen=True, kw_only=True)
class Marginal(abc.ABC):
    """A density on the line, :math:`f(x) = f_0((x - loc)/scale)/scale`.

    Parameters
    ----------
    loc : float
        Centre of symmetry.
    scale : float
        Scale of the standard density :math:`f_0`; not always its standard deviation.

    Raises
    ------
    ValueError
        If the scale is not positive, or a parameter is not finite.

    Examples
    --------
    >>> Normal(loc=1.0, scale=2.0).log_derivative(np.array([3.0]), 1)  # -(x - loc)/scale^2
    array([-0.5])
    """

    loc: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_number("loc", self.loc)
        check_number("scale", self.scale, above=0.0)

    def sample(self, size: int | tuple[int, ...], *, rng: Any) -> Array:
        """Draw independent values.

        Parameters
        ----------
        size : int or tuple of int
        rng : None, int, Generator or RandomState

        Returns
        -------
        array
            Of that shape.

        Raises
        ------
        ValueError
            If the size is no shape.

        Examples
        --------
        >>> Normal().sample((2, 3), rng=0).shape
        (2, 3)
        """
        for length in size if isinstance(size, tuple) else (size,):
            check_integer("size", length, 0)
        return self.loc + self.scale * self._sample(size, check_rng("rng", rng))

    def log_density(self, x: npt.ArrayLike) -> Array:
        """Return log f, minus infinity where f is zero or the logarithm below all doubles.

        Parameters
        ----------
        x : array_like
            Any shape.

        Returns
        -------
        array
            Of the shape of x.

        Raises
        ------
        ValueError
            If x is not finite.

        Examples
        --------
        >>> Laplace().log_density([0.0, 2.0]).round(4)
        array([-0.6931, -2.6931])
        """
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return self._log_density(self._standard(x)) - math.log(self.scale)

    @finite_result("x")
    def log_derivative(self, x: npt.ArrayLike, order: int) -> Array:
        """Return the derivative of log f, pointwise.

        Parameters
        ----------
        x : array_like
            Any shape.
        order : int
            From 1 to 6.

        Returns
        -------
        array
            Of the shape of x.

        Raises
        ------
        ValueError
            If the order is out of range, x is not finite, or the derivative overflows.

        Examples
        --------
        >>> Normal(scale=2.0).log_derivative([3.0], 1)
        array([-0.75])
        """
        order = check_integer("order", order, 1, MAX_ORDER)
        return self._log_derivative(self._standard(x), order) / np.float64(self.scale) ** order

    def _standard(self, x: npt.ArrayLike) -> Array:
        return check_result("x", (check_array("x", x, empty=True) - self.loc) / self.scale)

    @abc.abstractmethod
    def _sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Array: ...

    @abc.abstractmethod
    def _log_density(self, u: Array) -> Array: ...

    @abc.abstractmethod
    def _log_derivative(self, u: Array, order: int) -> Array: ...


@dataclass(frozen=True, kw_only=True)
class Normal(Marginal):
    """The Gaussian density on the line.

    Parameters
    ----------
    loc : float
        The mean.
    scale : float
        The standard deviation.

    Examples
    --------
    >>> Normal().log_derivative(np.array([2.0]), 1)
    array([-2.])
    """

    def _sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.standard_normal(size)

    def _log_density(self, u: Array) -> Array:
        return -0.5 * u**2 - 0.5 * math.log(2.0 * math.pi)

    def _log_derivative(self, u: Array, order: int) -> Array:
        return -u if order == 1 else np.full_like(u, -1.0 if order == 2 else 0.0)


@dataclass(frozen=True, kw_only=True)
class Logistic(Marginal):
    r"""The logistic density, :math:`\frac14 \operatorname{sech}^2(u/2)`; variance :math:`\pi^2/3`.

    With :math:`\tau = \tanh(u/2)`, the first derivative of log f is :math:`-\tau`, and
    :math:`\tau' = (1 - \tau^2)/2` makes every further one a polynomial in :math:`\tau`.

    Parameters
    ----------
    loc, scale : float
        As in `Marginal`.

    Examples
    --------
    >>> Logistic().log_derivative(np.array([0.0]), 2)
    array([-0.5])
    """

    def _sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.logistic(size=size)

    def _log_density(self, u: Array) -> Array:
        return -np.abs(u) - 2.0 * np.log1p(np.exp(-np.abs(u)))

    def _log_derivative(self, u: Array, order: int) -> Array:
        tau = np.tanh(0.5 * u)
        if order == 1:
            return -tau
        polynomial = Polynomial([0.0, -1.0])
        for _ in range(order - 1):
            polynomial = polynomial.deriv() * Polynomial([0.5, 0.0, -0.5])
        return np.asarray(polynomial(tau), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class StudentT(Marginal):
    r"""Student's t density with `dof` degrees of freedom.

    :math:`\log f = -\frac{\nu+1}{2}\log(\nu + u^2) + c` and :math:`\log(\nu + u^2) =
    2\,\mathrm{Re}\log(u + i\sqrt\nu)`, whose m-th derivative is
    :math:`2\,\mathrm{Re}\,(-1)^{m-1}(m-1)!\,(u + i\sqrt\nu)^{-m}`.

    Parameters
    ----------
    loc, scale : float
        As in `Marginal`.
    dof : float
        Degrees of freedom; the label times the score has a variance only if moments of x exist
        that the label needs.

    Examples
    --------
    >>> StudentT(dof=3.0).log_derivative(np.array([1.0]), 1)
    array([-1.])
    """

    dof: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("dof", self.dof, above=0.0)

    def _sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.standard_t(self.dof, size)

    def _log_density(self, u: Array) -> Array:
        return np.asarray(stats.t.logpdf(u, self.dof), dtype=np.float64)

    def _log_derivative(self, u: Array, order: int) -> Array:
        if order == 1:
            return -(self.dof + 1.0) * u / (self.dof + u**2)
        root = u + 1j * math.sqrt(self.dof)
        factor = -(self.dof + 1.0) * (-1.0) ** (order - 1) * math.factorial(order - 1)
        return np.asarray(factor * (root**-order).real, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Laplace(Marginal):
    r"""The Laplace density :math:`\frac12 e^{-|u|}`: smooth but for a kink at its centre.

    :math:`S_1 = \operatorname{sgn}(u)` is right. But :math:`f'' = f - \delta`, so that S_2 = 1 - 2
    delta, and every higher score has a **singular part** that no function of x can represent:
    Stein's identity fails for what is left. Orders above 1 are therefore refused unless
    `drop_singular` is set, which keeps only the classical part, :math:`S_m = \operatorname{sgn}^m`
    (what GM's Figure 3 uses).

    Parameters
    ----------
    loc, scale : float
        As in `Marginal`.
    drop_singular : bool
        Return the classical part of higher derivatives although it is not the score.

    Examples
    --------
    >>> Laplace().log_derivative(np.array([3.0]), 2)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: the Laplace density has a singular score of order 2 (f'' = f - delta); ...
    """

    drop_singular: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("drop_singular", self.drop_singular, (False, True))

    def _sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.laplace(size=size)

    def _log_density(self, u: Array) -> Array:
        return -np.abs(u) - math.log(2.0)

    def _log_derivative(self, u: Array, order: int) -> Array:
        if order == 1:
            return -np.sign(u)
        if not self.drop_singular:
            raise ValueError(
                f"the Laplace density has a singular score of order {order} (f'' = f - delta); set "
                "drop_singular=True to use its classical part, for which Stein's identity does not hold"
            )
        return np.zeros_like(u)


@dataclass(frozen=True, kw_only=True)
class SmoothedUniform(Marginal):
    r"""A uniform variable on [-b, b] plus Gaussian noise of standard deviation s.

    :math:`f(u) = [\Phi(u_+) - \Phi(u_-)]/(2b)`, :math:`u_\pm = (u \pm b)/s`. The ratios
    :math:`f^{(m)}/f` come from Hermite functions; the derivatives of log f are their cumulants. In the
    tails, where those cancel, they come from the cumulants of the uniform variable t given u:

    .. math:: (\log f)' = (E[t|u] - u)/s^2, \qquad (\log f)'' = \operatorname{var}(t|u)/s^4 - 1/s^2, \qquad
              (\log f)^{(m)} = \kappa_m(t|u)/s^{2m}

    Parameters
    ----------
    loc, scale : float
        As in `Marginal`.
    half_width : float
        b, half the width of the plateau.
    noise : float
        s, the width of its edges.

    Examples
    --------
    >>> bool(abs(SmoothedUniform().log_derivative(np.array([0.0]), 1)[0]) < 1e-15)
    True
    """

    half_width: float = 1.0
    noise: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("half_width", self.half_width, above=0.0)
        check_number("noise", self.noise, above=0.0)

    def _sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        flat = rng.uniform(-self.half_width, self.half_width, size)
        return flat + self.noise * rng.standard_normal(size)

    def _edges(self, u: Array) -> tuple[Array, Array]:
        # By symmetry evaluate at -|u|, where the two normal tails do not cancel.
        return (-np.abs(u) + self.half_width) / self.noise, (-np.abs(u) - self.half_width) / self.noise

    def _log_mass(self, u: Array) -> Array:
        upper, lower = self._edges(u)
        low, high = log_ndtr(lower), log_ndtr(upper)
        # Far away both are minus infinity.
        gap = np.where(np.isneginf(high), -np.inf, low - high)
        return np.asarray(high + np.log1p(-np.exp(gap)), dtype=np.float64)

    def _log_density(self, u: Array) -> Array:
        return self._log_mass(u) - math.log(2.0 * self.half_width)

    def _log_derivative(self, u: Array, order: int) -> Array:
        far = self._edges(u)[0] < -_TAIL
        values = np.empty_like(u)
        values[~far], values[far] = self._near(u[~far], order), self._far(u[far], order)
        return values

    def _near(self, u: Array, order: int) -> Array:
        upper, lower = self._edges(u)
        log_mass = self._log_mass(u)
        bells = [np.exp(-0.5 * edge**2 - 0.5 * math.log(2.0 * math.pi) - log_mass) for edge in (upper, lower)]
        ratios = [np.ones_like(u)]
        for m in range(1, order + 1):
            # d^m/du^m of Phi(u_+) is (-1)^(m-1) He_(m-1)(u_+) phi(u_+) / s^m.
            difference = (
                hermite_polynomial(m - 1, upper) * bells[0] - hermite_polynomial(m - 1, lower) * bells[1]
            )
            ratios.append((-1.0) ** (m - 1) * difference / self.noise**m)
        # (log f)^(m) from r_j = f^(j)/f:  r_m = sum_j C(m-1, j-1) g_j r_(m-j).
        logs: list[Array] = []
        for m in range(1, order + 1):
            tail = sum(
                (math.comb(m - 1, j - 1) * logs[j - 1] * ratios[m - j] for j in range(1, m)),
                np.zeros_like(u),
            )
            logs.append(ratios[m] - tail)
        # The evaluation point was -|u|: odd derivatives of the even function log f change sign.
        return logs[-1] * (np.where(u > 0, -1.0, 1.0) if order % 2 else 1.0)

    def _far(self, u: Array, order: int) -> Array:
        # Given u = a beyond the edge, b - t has the density exp(-x - x^2 / 2 u_+^2) in units of s^2/(a - b).
        beyond, square = np.abs(u) - self.half_width, self.noise**2
        end = np.minimum(2.0 * self.half_width * beyond / square, _DECAY)[..., None]
        x = end * (1.0 + _NODES) / 2.0
        p = _NODE_WEIGHTS * np.exp(-x - 0.5 * (x * (self.noise / beyond[..., None])) ** 2)
        p /= p.sum(axis=-1, keepdims=True)
        mean = np.sum(p * x, axis=-1)
        centred = x - mean[..., None]
        m = [np.sum(p * centred**j, axis=-1) for j in range(7)]
        # Cumulants from central moments; those of t = b - x have the sign (-1)^m.
        cumulant = {
            1: mean,
            2: m[2],
            3: m[3],
            4: m[4] - 3.0 * m[2] ** 2,
            5: m[5] - 10.0 * m[3] * m[2],
            6: m[6] - 15.0 * m[4] * m[2] - 10.0 * m[3] ** 2 + 30.0 * m[2] ** 3,
        }[order]
        value = (-1.0) ** order * cumulant / beyond**order
        if order == 1:
            value = value - beyond / square
        elif order == 2:
            value = value - 1.0 / square
        return value * (np.sign(u) if order % 2 else 1.0)


@dataclass(frozen=True, kw_only=True)
class SymmetricBeta(Marginal):
    r"""The bounded density :math:`f(u) \propto (1 - u^2)^a` on [-1, 1].

    Its derivatives vanish at the ends up to order a - 1, so that Stein's identity has no boundary
    terms for m <= a; :math:`S_m` has a finite variance for :math:`a > 2m - 1`, which is required.

    Parameters
    ----------
    loc, scale : float
        As in `Marginal`.
    exponent : float
        a; the default serves all six orders.

    Examples
    --------
    >>> SymmetricBeta(exponent=2.0).log_derivative(np.array([0.5]), 1).round(4)
    array([-2.6667])
    """

    exponent: float = 12.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("exponent", self.exponent, above=0.0)

    def _sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Array:
        return 2.0 * rng.beta(self.exponent + 1.0, self.exponent + 1.0, size) - 1.0

    def _log_density(self, u: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            shape = self.exponent * (np.log1p(-u) + np.log1p(u))
        norm = 2.0 * math.lgamma(self.exponent + 1.0) - math.lgamma(2.0 * self.exponent + 2.0)
        shifted = shape - norm - (2.0 * self.exponent + 1.0) * math.log(2.0)
        return np.where(np.abs(u) < 1.0, shifted, -np.inf)

    def _log_derivative(self, u: Array, order: int) -> Array:
        if self.exponent <= 2 * order - 1:
            raise ValueError(
                f"exponent must be above {2 * order - 1} for a score of order {order} with finite "
                f"variance, got {self.exponent}"
            )
        if np.any(np.abs(u) >= 1.0):
            raise ValueError("X has points outside the support of the symmetric beta density")
        sign = -self.exponent * math.factorial(order - 1)
        return sign * ((1.0 - u) ** -order + (-1.0) ** order * (1.0 + u) ** -order)
