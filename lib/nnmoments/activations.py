r"""Activations and the moment coefficients that the four papers build on them.

Every coefficient is an expectation of the activation itself against a polynomial, never of a
derivative, so kinks and jumps are treated exactly:
:math:`E[\phi^{(m)}(s g + b)] = s^{-m} E[\phi(s g + b)\,He_m(g)]`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Polynomial
from numpy.polynomial.polynomial import polyval
from scipy import special

from nnmoments.hermite import (
    gaussian_expectation,
    hermite_coefficient,
    hermite_polynomial,
    hermite_projections,
    normal_density,
)
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_integer,
    check_number,
    finite_result,
)

__all__ = [
    "SLIDES",
    "Activation",
    "Properties",
    "absolute",
    "cosine",
    "erf",
    "exponential",
    "get_activation",
    "leaky_relu",
    "linear",
    "quadratic",
    "relu",
    "relu_threshold",
    "sigmoid",
    "sigmoid_threshold",
    "sign_threshold",
    "softplus",
    "squared_relu",
    "tanh",
    "threshold_coefficients",
]

Function = Callable[[Array], Array]


@dataclass(frozen=True, eq=False, repr=False)
class Properties(Result):
    """The properties of ZS Section 3 as computed: P1, P2, and the two alternatives of P3.

    Attributes
    ----------
    nonnegative_derivative : bool
        P1.
    nonlinear : bool
        P2.
    smooth, piecewise_linear : bool
        P3a and P3b.

    Examples
    --------
    >>> relu.properties
    Properties
      nonnegative_derivative: True
                   nonlinear: True
                      smooth: False
            piecewise_linear: True
    """

    nonnegative_derivative: bool
    nonlinear: bool
    smooth: bool
    piecewise_linear: bool

    @property
    def admitted(self) -> bool:
        """Whether ZS's theorems apply: P1, P2 and (P3a or P3b)."""
        return self.nonnegative_derivative and self.nonlinear and (self.smooth or self.piecewise_linear)


@dataclass(frozen=True)
class Activation:
    r"""A scalar activation :math:`\phi` with its classical derivatives.

    Activations pickle, and equal their copies, if their functions are of a module (no lambdas).

    Parameters
    ----------
    name : str
    function : callable
        :math:`\phi`, elementwise.
    derivatives : sequence of four callables
        Classical derivatives of orders 1 to 4, defined away from the breakpoints; what happens at
        a breakpoint (a jump of :math:`\phi'`, a Dirac in :math:`\phi''`) is left out of them, but
        not out of any coefficient below.
    breakpoints : sequence of float
        Where :math:`\phi` or one of its derivatives jumps.
    kind : str, optional
        What it is before the threshold is put in, as "relu" of "relu at 2"; the name by default.
    threshold : float
        t of a unit :math:`u(z - t)` of that kind.

    Raises
    ------
    ValueError
        If there are not four derivatives, a function is not callable, or a number is not finite.

    Examples
    --------
    >>> relu([-1.0, 2.0])
    array([0., 2.])
    >>> relu_threshold(2.0)
    Activation(name='relu at 2', breakpoints=(2.0,), kind='relu', threshold=2.0)
    """

    name: str
    function: Function = field(repr=False)
    derivatives: Sequence[Function] = field(repr=False)
    breakpoints: Sequence[float] = ()
    kind: str = ""
    threshold: float = 0.0

    def __post_init__(self) -> None:
        for field_name in ("name", "kind"):
            if not isinstance(getattr(self, field_name), str):
                raise ValueError(f"{field_name} must be a string, got {getattr(self, field_name)!r}")
        check_callable("function", self.function)
        if not isinstance(self.derivatives, Sequence) or len(self.derivatives) != 4:
            raise ValueError(f"derivatives must be four callables, got {self.derivatives!r}")
        for derivative in self.derivatives:
            check_callable("derivatives", derivative)
        places = check_array("breakpoints", self.breakpoints, ndim=1, empty=True)
        # Tuples and floats, whatever came, so that equal activations are equal.
        object.__setattr__(self, "derivatives", tuple(self.derivatives))
        object.__setattr__(self, "breakpoints", tuple(places.tolist()))
        object.__setattr__(self, "kind", self.kind or self.name)
        object.__setattr__(self, "threshold", check_number("threshold", self.threshold))

    def __reduce__(self) -> Any:
        if _NAMED.get(self.name) is self:  # the same object in every process
            return get_activation, (self.name,)
        return super().__reduce__()

    def __call__(self, z: npt.ArrayLike) -> Array:
        return self.derivative(0, z)

    def derivative(self, order: int, z: npt.ArrayLike) -> Array:
        r"""Return the classical derivative :math:`\phi^{(m)}(z)`, elementwise.

        As numpy's functions it passes NaN on, and is infinite beyond the range of doubles.

        Parameters
        ----------
        order : int
            m, from 0 to 4.
        z : array_like
            Any shape.

        Returns
        -------
        array
            Of the shape of z.

        Raises
        ------
        ValueError
            If z does not hold real numbers.

        Examples
        --------
        >>> relu.derivative(1, [-1.0, 2.0])
        array([0., 1.])
        """
        order = check_integer("order", order, 0, 4)
        function = self.function if order == 0 else self.derivatives[order - 1]
        if not (type(z) is np.ndarray and z.dtype == np.float64):
            z = check_array("z", z, empty=True)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.asarray(function(z), dtype=np.float64)

    @property
    def jumps(self) -> dict[float, tuple[float, ...]]:
        r"""At each breakpoint the jumps of :math:`\phi, \phi', \dots, \phi^{(4)}`, right minus left.

        They are the singular part: a jump c of :math:`\phi^{(j)}` at b puts
        :math:`c\,\delta_b^{(m-1-j)}` into :math:`\phi^{(m)}`, m > j.

        Examples
        --------
        >>> squared_relu.jumps
        {0.0: (0.0, 0.0, 2.0, 0.0, 0.0)}
        """
        found = {}
        for b in self.breakpoints:
            sides = np.nextafter(b, [-np.inf, np.inf])
            steps = [np.diff(self.derivative(order, sides))[0] for order in range(5)]
            found[b] = tuple(float(step) if abs(step) > 1e-12 else 0.0 for step in steps)
        return found

    def expectation(
        self, weight: Function, *, scale: float = 1.0, shift: float = 0.0, order: int = 0
    ) -> float:
        r"""Return :math:`E[\phi^{(order)}(s g + b)\,p(g)]` for a smooth weight p, g ~ N(0, 1).

        For order 0 this is exact whatever the kinks; for orders above it takes the classical part.

        Parameters
        ----------
        weight : callable
            p, elementwise.
        scale, shift : float
            s and b.
        order : int
            From 0 to 4.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            As `nnmoments.hermite.gaussian_expectation`.

        Examples
        --------
        >>> round(relu.expectation(np.ones_like, order=1), 12)
        0.5
        """
        check_callable("weight", weight)
        scale, shift = check_number("scale", scale), check_number("shift", shift)
        inside = [(b - shift) / scale for b in self.breakpoints] if scale else []
        return float(
            gaussian_expectation(
                lambda g: self.derivative(order, scale * g + shift) * weight(g), breakpoints=inside
            )
        )

    # --- coefficients of the papers ----------------------------------------------------------------

    def gamma(self, j: int, *, scale: float = 1.0, shift: float = 0.0) -> float:
        r"""Return :math:`\gamma_j(s) = E[\phi(s g + b)\,g^j]`. ZS Definition 5.1 (b = 0).

        Parameters
        ----------
        j : int
        scale, shift : float
            s and b.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a parameter is out of range.


        Examples
        --------
        >>> round(relu.gamma(1), 12)
        0.5
        """
        j = check_integer("j", j, 0)
        return self.expectation(lambda g: g**j, scale=scale, shift=shift)

    def moment_coefficient(self, m: int, *, scale: float = 1.0, shift: float = 0.0) -> float:
        r"""Return :math:`m_m(s) = E[\phi(s g + b)\,He_m(g)] = s^m E[\phi^{(m)}(s g + b)]`.

        In terms of gamma: :math:`m_1 = \gamma_1`, :math:`m_2 = \gamma_2 - \gamma_0`,
        :math:`m_3 = \gamma_3 - 3\gamma_1`, :math:`m_4 = \gamma_4 + 3\gamma_0 - 6\gamma_2`.
        ZS Definition 5.1.

        Parameters
        ----------
        m : int
        scale, shift : float
            s and b.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a parameter is out of range.


        Examples
        --------
        >>> round(squared_relu.moment_coefficient(2), 12)
        1.0
        """
        scale, shift = check_number("scale", scale), check_number("shift", shift)
        return float(self.moment_coefficients(m, [scale], [shift])[0])

    def moment_coefficients(self, m: int, scale: npt.ArrayLike, shift: npt.ArrayLike) -> Array:
        r"""Return :math:`m_m` of many neurons at once: scales and shifts (k,), coefficients (k,).

        Parameters
        ----------
        m : int
        scale, shift : (k,) array_like
            s, not negative, and b.

        Returns
        -------
        (k,) array

        Raises
        ------
        ValueError
            If a parameter is out of range.


        Examples
        --------
        >>> squared_relu.moment_coefficients(2, [1.0, 3.0], [0.0, 0.0]).round(12)
        array([1., 9.])
        """
        m = check_integer("m", m, 0)
        shift = check_array("shift", shift, ndim=1)
        scale = check_array("scale", scale, shape=shift.shape)
        return hermite_projections(self.function, m, mean=shift, scale=scale, breakpoints=self.breakpoints)

    def stein_coefficient(self, m: int, *, scale: float = 1.0, shift: float = 0.0) -> float:
        r"""Return :math:`E[\phi^{(m)}(s g + b)]` in the sense of distributions.

        Parameters
        ----------
        m : int
        scale, shift : float
            s, positive, and b.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a parameter is out of range.


        Examples
        --------
        >>> round(relu.stein_coefficient(2) * math.sqrt(2 * math.pi), 12)
        1.0
        """
        scale = check_number("scale", scale, above=0.0)
        coefficient = self.moment_coefficient(m, scale=scale, shift=shift)
        return float(_divided(coefficient, scale, m))

    def singular_coefficient(self, m: int, *, scale: float = 1.0, shift: float = 0.0) -> float:
        r"""Return the part of :math:`E[\phi^{(m)}(s g + b)]` that lies at the breakpoints, m <= 4.

        It is what an average of classical derivatives misses. Per breakpoint a with jumps
        :math:`c_j`, and :math:`u = (a - b)/s`: :math:`\sum_{j<m} c_j\,s^{j-m} He_{m-1-j}(u)\,\varphi(u)`.

        Parameters
        ----------
        m : int
            From 0 to 4.
        scale, shift : float
            s, positive, and b.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a parameter is out of range.


        Examples
        --------
        >>> share = relu.singular_coefficient(2) / relu.stein_coefficient(2)
        >>> relu.singular_coefficient(1), round(share, 12)
        (0.0, 1.0)
        """
        m = check_integer("m", m, 0, 4)
        scale, shift = check_number("scale", scale, above=0.0), check_number("shift", shift)
        total = 0.0
        for a, steps in self.jumps.items():
            u = (a - shift) / scale
            for j in range(m):
                total += float(
                    _divided(steps[j] * hermite_polynomial(m - 1 - j, u) * normal_density(u), scale, m - j)
                )
        return total

    def kappa(self, *, scale: float = 1.0, shift: float = 0.0) -> float:
        r"""Return :math:`\kappa = E[\phi''''(s g + b)]`, which GM's Assumption 2 wants positive.

        Parameters
        ----------
        scale, shift : float
            s, positive, and b.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a parameter is out of range.


        Examples
        --------
        >>> round(relu.kappa(), 6)
        -0.398942
        """
        return self.stein_coefficient(4, scale=scale, shift=shift)

    def hermite_coefficient(self, k: int) -> float:
        r"""Return :math:`u_k = E[\phi(g)\,h_k(g)]`. GP Section 2.

        Parameters
        ----------
        k : int

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a parameter is out of range.


        Examples
        --------
        >>> round(abs(relu_threshold(1.0).hermite_coefficient(4)), 12)
        0.0
        """
        k = check_integer("k", k, 0)
        return hermite_coefficient(self.function, k, breakpoints=self.breakpoints)

    def alpha(self, q: int, sigma: float) -> float:
        r"""Return :math:`\alpha_q(\sigma) = E[\phi'(\sigma g)\,g^q]`. ZS Property 3.2.

        Parameters
        ----------
        q : int
        sigma : float
            Positive.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a parameter is out of range.


        Examples
        --------
        >>> round(relu.alpha(2, 1.0), 12)
        0.5
        """
        return self._slope_mean(1, q, sigma)

    def beta(self, q: int, sigma: float) -> float:
        r"""Return :math:`\beta_q(\sigma) = E[\phi'(\sigma g)^2 g^q]`. ZS Property 3.2.

        Parameters
        ----------
        q : int
        sigma : float
            Positive.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a parameter is out of range.


        Examples
        --------
        >>> round(squared_relu.beta(0, 1.0), 12)
        2.0
        """
        return self._slope_mean(2, q, sigma)

    def _slope_mean(self, power: int, q: int, sigma: float) -> float:
        q = check_integer("q", q, 0)
        sigma = check_number("sigma", sigma, above=0.0)
        return float(
            gaussian_expectation(
                lambda g: self.derivative(1, sigma * g) ** power * g**q,
                breakpoints=[b / sigma for b in self.breakpoints],
            )
        )

    def rho(self, sigma: float) -> float:
        r"""Return the non-linearity :math:`\rho(\sigma)` of ZS Property 3.2.

        .. math:: \rho = \min\{\beta_0 - \alpha_0^2 - \alpha_1^2,\;
                  \beta_2 - \alpha_1^2 - \alpha_2^2,\; \alpha_0\alpha_2 - \alpha_1^2\}

        Parameters
        ----------
        sigma : float
            Positive.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a parameter is out of range.


        Examples
        --------
        >>> round(relu.rho(1.0), 3)
        0.091
        """
        a0, a1, a2 = (self.alpha(q, sigma) for q in range(3))
        b0, b2 = self.beta(0, sigma), self.beta(2, sigma)
        return min(b0 - a0**2 - a1**2, b2 - a1**2 - a2**2, a0 * a2 - a1**2)

    # --- structure, computed from the function ------------------------------------------------------

    @property
    def homogeneity(self) -> int | None:
        r"""The q for which :math:`\phi(c z) = c^q \phi(z)`, c > 0; None if there is none.

        Examples
        --------
        >>> squared_relu.homogeneity, tanh.homogeneity is None
        (2, True)
        """
        z = np.array([-1.7, -0.6, 0.3, 1.1])
        for degree in range(5):
            if np.allclose(self(2.5 * z), 2.5**degree * self(z), rtol=1e-12, atol=0.0):
                return degree
        return None

    @property
    def parity(self) -> int:
        """+1 for an even activation, -1 for an odd one, 0 for neither.

        Examples
        --------
        >>> quadratic.parity, tanh.parity, sigmoid.parity
        (1, -1, 0)
        """
        z = np.linspace(0.05, 6.0, 60)
        for sign in (1, -1):
            if np.allclose(self(-z), sign * self(z), rtol=1e-12, atol=1e-14):
                return sign
        return 0

    @property
    def properties(self) -> Properties:
        r"""P1 to P3 of ZS Section 3, computed.

        P1: :math:`0 \le \phi' \le L_1|z|^p`, read as in the paper's own table: a nonnegative
        derivative of at most polynomial growth. P2: :math:`\rho(\sigma) > 0`, looked at for
        :math:`\sigma` from 0.1 to 10. P3a: :math:`\phi''` bounded, so :math:`\phi'` must not jump.
        P3b: :math:`\phi'' = 0` but for the breakpoints.

        Examples
        --------
        >>> relu.properties.admitted, quadratic.properties.nonnegative_derivative
        (True, False)
        """
        z = np.linspace(-30.0, 30.0, 6001)
        z = z[np.min(np.abs(z[:, None] - np.array([*self.breakpoints, np.inf])), axis=1) > 1e-9]
        far = np.outer(10.0 ** np.arange(2, 7), [-1.0, 1.0])
        with np.errstate(over="ignore", invalid="ignore"):
            far_slope, far_bend = self.derivative(1, far), self.derivative(2, far)
        slope, bend = self.derivative(1, z), np.abs(self.derivative(2, z))
        # Polynomial growth multiplies the slope by at most 10^p from one decade to the next.
        polynomial = np.isfinite(far_slope).all() and np.all(far_slope[1:] <= 1e10 * far_slope[:-1] + 1e-300)
        bounded = np.isfinite(far_bend).all() and np.abs(far_bend).max() <= 1.01 * bend.max()
        return Properties(
            nonnegative_derivative=bool(np.all(slope >= 0.0) and np.all(far_slope >= 0.0) and polynomial),
            nonlinear=all(self._is_nonlinear(sigma) for sigma in (0.1, 0.3, 1.0, 3.0, 10.0)),
            smooth=bool(bounded and not any(steps[0] or steps[1] for steps in self.jumps.values())),
            piecewise_linear=bool(bend.max() < 1e-12),
        )

    def _is_nonlinear(self, sigma: float) -> bool:
        try:
            return self.rho(sigma) > 1e-9
        except ValueError:  # the second moment of phi' overflows, as no linear function's does
            return True


# --- the named activations: functions of the module, so that they pickle --------------------------------


def _zero(z: Array) -> Array:
    return np.zeros_like(z)


def _one(z: Array) -> Array:
    return np.ones_like(z)


@finite_result("scale")
def _divided(value: npt.ArrayLike, scale: float, power: int) -> Array:
    return np.asarray(np.asarray(value, dtype=np.float64) / np.float64(scale) ** power)


def _step(z: Array) -> Array:
    return np.asarray(z > 0.0, dtype=np.float64)


def _double_step(z: Array) -> Array:
    return 2.0 * _step(z)


def _positive_part(z: Array) -> Array:
    return np.maximum(z, 0.0)


def _leaky(z: Array) -> Array:
    return np.maximum(z, 0.01 * z)


def _leaky_step(z: Array) -> Array:
    return np.where(z > 0.0, 1.0, 0.01)


def _identity(z: Array) -> Array:
    return z.copy()


def _absolute(z: Array) -> Array:
    return np.abs(z)


def _sign(z: Array) -> Array:
    return np.sign(z)


def _softplus(z: Array) -> Array:
    return np.logaddexp(0.0, z)


def _erf_integral(z: Array) -> Array:
    return 0.5 * math.sqrt(math.pi) * special.erf(z)


def _logistic_polynomials() -> tuple[Array, ...]:
    """Return derivatives 0..4 of the sigmoid as polynomials in v = sigmoid(z), from v' = v - v^2."""
    slope = Polynomial([0.0, 1.0, -1.0])
    chain = [Polynomial([0.0, 1.0]), slope]
    for _ in range(3):
        chain.append(chain[-1].deriv() * slope)
    return tuple(np.asarray(polynomial.coef, dtype=np.float64) for polynomial in chain)


_LOGISTIC = _logistic_polynomials()


@dataclass(frozen=True)
class _Logistic:
    """The m-th derivative of the sigmoid, to relative accuracy in both tails.

    Of parity (-1)^(m+1) in z for m > 0; taken at -|z|, where v is small, it loses no digits.
    """

    order: int

    def __call__(self, z: Array) -> Array:
        if self.order == 0:
            return special.expit(z)
        sign = float((-1) ** (self.order + 1))
        return np.where(z > 0.0, sign, 1.0) * polyval(special.expit(-np.abs(z)), _LOGISTIC[self.order])


@dataclass(frozen=True)
class _Tanh:
    """The m-th derivative of tanh(z) = 2 sigmoid(2 z) - 1."""

    order: int

    def __call__(self, z: Array) -> Array:
        return np.tanh(z) if self.order == 0 else 2.0 ** (self.order + 1) * _Logistic(self.order)(2.0 * z)


@dataclass(frozen=True)
class _Gauss:
    """The m-th derivative of exp(-z^2), which is (-sqrt 2)^m He_m(sqrt 2 z) exp(-z^2)."""

    order: int

    def __call__(self, z: Array) -> Array:
        root, m = math.sqrt(2.0), self.order
        z = np.clip(z, -40.0, 40.0)  # beyond, exp(-z^2) is zero and the polynomial may overflow
        return np.asarray((-root) ** m * hermite_polynomial(m, np.nan_to_num(root * z)) * np.exp(-(z**2)))


@dataclass(frozen=True)
class _Power:
    """The function factor * max(z, 0)^exponent, or factor * z^exponent."""

    factor: float
    exponent: int
    positive: bool = False

    def __call__(self, z: Array) -> Array:
        return self.factor * (np.maximum(z, 0.0) if self.positive else z) ** self.exponent


@dataclass(frozen=True)
class _Cosine:
    """The m-th derivative of the cosine."""

    order: int

    def __call__(self, z: Array) -> Array:
        value = np.sin(z) if self.order % 2 else np.cos(z)
        return -value if self.order % 4 in (1, 2) else value


@dataclass(frozen=True)
class _Exponential:
    """The m-th derivative of exp(rate (z - shift))."""

    rate: float
    shift: float
    order: int

    def __call__(self, z: Array) -> Array:
        return self.rate**self.order * np.exp(self.rate * (z - self.shift))


@dataclass(frozen=True)
class _Shifted:
    """The function z -> function(z - t)."""

    function: Function
    threshold: float

    def __call__(self, z: Array) -> Array:
        return self.function(z - self.threshold)


#: :math:`\phi(z) = \max(z, 0)`.
relu = Activation("relu", _positive_part, (_step, _zero, _zero, _zero), (0.0,))

#: :math:`\phi(z) = \max(z, z/100)`.
leaky_relu = Activation("leaky_relu", _leaky, (_leaky_step, _zero, _zero, _zero), (0.0,))

#: :math:`\phi(z) = \max(z, 0)^2`.
squared_relu = Activation(
    "squared_relu",
    _Power(1.0, 2, positive=True),
    (_Power(2.0, 1, positive=True), _double_step, _zero, _zero),
    (0.0,),
)

#: :math:`\phi(z) = 1/(1 + e^{-z})`.
sigmoid = Activation("sigmoid", _Logistic(0), [_Logistic(m) for m in range(1, 5)])

#: :math:`\phi(z) = \tanh z`.
tanh = Activation("tanh", _Tanh(0), [_Tanh(m) for m in range(1, 5)])

#: :math:`\phi(z) = \int_0^z e^{-t^2} dt`, as in ZS, without the usual :math:`2/\sqrt\pi`.
erf = Activation("erf", _erf_integral, [_Gauss(m) for m in range(4)])

#: :math:`\phi(z) = z`.
linear = Activation("linear", _identity, (_one, _zero, _zero, _zero))

#: :math:`\phi(z) = z^2`.
quadratic = Activation("quadratic", _Power(1.0, 2), (_Power(2.0, 1), _Power(2.0, 0), _zero, _zero))

#: :math:`\phi(z) = |z|`.
absolute = Activation("absolute", _absolute, (_sign, _zero, _zero, _zero), (0.0,))

#: :math:`\phi(z) = \cos z`.
cosine = Activation("cosine", _Cosine(0), [_Cosine(m) for m in range(1, 5)])

#: :math:`\phi(z) = \log(1 + e^z)`.
softplus = Activation("softplus", _softplus, [_Logistic(m) for m in range(4)])

#: The eight activations of the ZS slides, in their order.
SLIDES = (relu, leaky_relu, squared_relu, sigmoid, tanh, erf, linear, quadratic)

_step_activation = Activation("sign", _step, (_zero, _zero, _zero, _zero), (0.0,))

_NAMED = {phi.name: phi for phi in (*SLIDES, absolute, cosine, softplus)}
_THRESHOLDED = {phi.name: phi for phi in (relu, _step_activation, sigmoid)}


def get_activation(activation: str | Activation) -> Activation:
    """Return the activation of a name, or the activation itself.

    Parameters
    ----------
    activation : str or Activation
        One of the names in this module, such as "squared_relu", or a thresholded one: "relu at 2",
        "sign at 2", "sigmoid at 2".

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If there is no activation of that name.

    Examples
    --------
    >>> get_activation("relu") is relu is get_activation(relu)
    True
    >>> get_activation("relu at 2") == relu_threshold(2.0)
    True
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        if activation in _NAMED:
            return _NAMED[activation]
        kind, _, threshold = activation.partition(" at ")
        if kind in _THRESHOLDED:
            try:
                return _thresholded(kind, float(threshold))
            except ValueError:
                pass  # no number: no name
    raise ValueError(
        f"activation must be an Activation or one of {', '.join(map(repr, _NAMED))}, "
        f"or 'relu at 2' and the like, got {activation!r}"
    )


def _thresholded(kind: str, t: float) -> Activation:
    t = check_number("t", t)
    base = _THRESHOLDED[kind]
    return Activation(
        f"{kind} at {t:g}",
        _Shifted(base.function, t),
        [_Shifted(derivative, t) for derivative in base.derivatives],
        [b + t for b in base.breakpoints],
        kind,
        t,
    )


def relu_threshold(t: float) -> Activation:
    r"""Return :math:`u_t(z) = \max(z - t, 0)`.

    Parameters
    ----------
    t : float

    Returns
    -------
    Activation
        With kind "relu" and threshold t.

    Raises
    ------
    ValueError
        If t is not finite.

    References
    ----------
    GP Section 2.

    Examples
    --------
    >>> float(relu_threshold(2.0)(3.0))
    1.0
    """
    return _thresholded("relu", t)


def sign_threshold(t: float) -> Activation:
    r"""Return the 0/1 step :math:`u_t(z) = 1\{z > t\}`.

    Parameters
    ----------
    t : float

    Returns
    -------
    Activation
        With kind "sign" and threshold t.

    Raises
    ------
    ValueError
        If t is not finite.

    References
    ----------
    GP Section 2.

    Examples
    --------
    >>> sign_threshold(1.0)([0.0, 2.0])
    array([0., 1.])
    """
    return _thresholded("sign", t)


def sigmoid_threshold(t: float) -> Activation:
    r"""Return :math:`u_t(z) = 1/(1 + e^{t - z})`.

    Parameters
    ----------
    t : float

    Returns
    -------
    Activation
        With kind "sigmoid" and threshold t.

    Raises
    ------
    ValueError
        If t is not finite.

    References
    ----------
    GP Section 2.

    Examples
    --------
    >>> float(sigmoid_threshold(1.0)(1.0))
    0.5
    """
    return _thresholded("sigmoid", t)


def exponential(rate: float = 1.0, shift: float = 0.0) -> Activation:
    r"""Return :math:`e^{\rho(z - t)}` with rate rho and shift t.

    Parameters
    ----------
    rate : float
        Positive.
    shift : float

    Returns
    -------
    Activation
        With kind "exponential" and threshold t.

    Raises
    ------
    ValueError
        If the rate is not positive.

    References
    ----------
    GP Theorems 7 and 8.

    Examples
    --------
    >>> float(exponential(2.0, 1.0)(1.0))
    1.0
    """
    rate = check_number("rate", rate, above=0.0)
    shift = check_number("shift", shift)
    powers = [_Exponential(rate, shift, m) for m in range(5)]
    return Activation(f"exp({rate:g}(z - {shift:g}))", powers[0], powers[1:], (), "exponential", shift)


def threshold_coefficients(t: float) -> tuple[float, float]:
    r"""Return GP's closed forms of :math:`u_2, u_4` for ReLU at t.

    .. math:: u_2 = \varphi(t)/\sqrt2, \qquad u_4 = (t^2 - 1)\varphi(t)/\sqrt{24}

    :math:`u_4` vanishes at t = 1, where fourth-order moments see nothing of the network.

    Parameters
    ----------
    t : float

    Returns
    -------
    (float, float)
        :math:`u_2, u_4`.

    Raises
    ------
    ValueError
        If t is not finite.

    References
    ----------
    GP Lemma 10.

    Examples
    --------
    >>> threshold_coefficients(1.0)[1]
    0.0
    """
    t = check_number("t", t)
    phi = float(normal_density(t))
    return phi / math.sqrt(2.0), (t - 1.0) * (phi * (t + 1.0)) / math.sqrt(24.0)
