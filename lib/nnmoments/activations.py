r"""Activations and the moment coefficients that the four papers build on them.

Every coefficient is an expectation of the activation itself against a polynomial, never of a
derivative, so kinks and jumps are treated exactly:
:math:`E[\phi^{(m)}(s g + b)] = s^{-m} E[\phi(s g + b)\,He_m(g)]`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Polynomial
from numpy.polynomial.polynomial import polyval
from scipy.special import erf as _erf
from scipy.special import expit

from nnmoments.hermite import (
    gaussian_expectation,
    hermite,
    hermite_coefficient,
    hermite_moments,
    normal_density,
)
from nnmoments.validation import Array, check_integer, check_number

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


@dataclass(frozen=True)
class Properties:
    """The properties of ZS Section 3 as computed: P1, P2, and the two alternatives of P3."""

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

    Attributes
    ----------
    name : str
    function : callable
        :math:`\phi`, elementwise.
    derivatives : tuple of callables
        Classical derivatives of orders 1 to 4, defined away from the breakpoints; what happens at
        a breakpoint (a jump of :math:`\phi'`, a Dirac in :math:`\phi''`) is left out of them, but
        not out of any coefficient below.
    breakpoints : tuple of float
        Where :math:`\phi` or one of its derivatives jumps.

    Examples
    --------
    >>> relu([-1.0, 2.0])
    array([0., 2.])
    """

    name: str
    function: Function = field(repr=False)
    derivatives: tuple[Function, Function, Function, Function] = field(repr=False)
    breakpoints: tuple[float, ...] = ()

    def __call__(self, z: npt.ArrayLike) -> Array:
        return np.asarray(self.function(np.asarray(z, dtype=np.float64)), dtype=np.float64)

    def derivative(self, order: int, z: npt.ArrayLike) -> Array:
        """Return the classical derivative of the given order, 0 to 4, at z.

        Examples
        --------
        >>> relu.derivative(1, [-1.0, 2.0])
        array([0., 1.])
        """
        order = check_integer("order", order, 0, 4)
        function = self.function if order == 0 else self.derivatives[order - 1]
        return np.asarray(function(np.asarray(z, dtype=np.float64)), dtype=np.float64)

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

        Examples
        --------
        >>> round(relu.expectation(np.ones_like, order=1), 12)
        0.5
        """
        inside = [(b - shift) / scale for b in self.breakpoints] if scale else []
        return float(
            gaussian_expectation(
                lambda g: self.derivative(order, scale * g + shift) * weight(g), breakpoints=inside
            )
        )

    # --- coefficients of the papers ----------------------------------------------------------------

    def gamma(self, j: int, *, scale: float = 1.0, shift: float = 0.0) -> float:
        r"""Return :math:`\gamma_j(s) = E[\phi(s g + b)\,g^j]`. ZS Definition 5.1 (b = 0).

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

        Examples
        --------
        >>> round(squared_relu.moment_coefficient(2), 12)
        1.0
        """
        scale, shift = check_number("scale", scale), check_number("shift", shift)
        return float(self.moment_coefficients(m, [scale], [shift])[0])

    def moment_coefficients(self, m: int, scale: npt.ArrayLike, shift: npt.ArrayLike) -> Array:
        r"""Return :math:`m_m` of many neurons at once: scales and shifts (k,), coefficients (k,).

        Examples
        --------
        >>> squared_relu.moment_coefficients(2, [1.0, 3.0], [0.0, 0.0]).round(12)
        array([1., 9.])
        """
        return hermite_moments(self.function, m, mean=shift, scale=scale, breakpoints=self.breakpoints)

    def stein_coefficient(self, m: int, *, scale: float = 1.0, shift: float = 0.0) -> float:
        r"""Return :math:`E[\phi^{(m)}(s g + b)]` in the sense of distributions.

        Examples
        --------
        >>> round(relu.stein_coefficient(2) * math.sqrt(2 * math.pi), 12)
        1.0
        """
        scale = check_number("scale", scale, above=0.0)
        return self.moment_coefficient(m, scale=scale, shift=shift) / scale**m

    def singular_coefficient(self, m: int, *, scale: float = 1.0, shift: float = 0.0) -> float:
        r"""Return the part of :math:`E[\phi^{(m)}(s g + b)]` that lies at the breakpoints, m <= 4.

        It is what an average of classical derivatives misses. Per breakpoint a with jumps
        :math:`c_j`, and :math:`u = (a - b)/s`: :math:`\sum_{j<m} c_j\,s^{j-m} He_{m-1-j}(u)\,\varphi(u)`.

        Examples
        --------
        >>> relu.singular_coefficient(1), round(relu.singular_coefficient(2) / relu.stein_coefficient(2), 12)
        (0.0, 1.0)
        """
        m = check_integer("m", m, 0, 4)
        scale = check_number("scale", scale, above=0.0)
        total = 0.0
        for a, steps in self.jumps.items():
            u = (a - shift) / scale
            for j in range(m):
                total += steps[j] * scale ** (j - m) * float(hermite(m - 1 - j, u) * normal_density(u))
        return total

    def kappa(self, *, scale: float = 1.0, shift: float = 0.0) -> float:
        r"""Return :math:`\kappa = E[\phi''''(s g + b)]`, which GM's Assumption 2 wants positive.

        Examples
        --------
        >>> round(relu.kappa(), 6)
        -0.398942
        """
        return self.stein_coefficient(4, scale=scale, shift=shift)

    def hermite_coefficient(self, k: int) -> float:
        r"""Return :math:`u_k = E[\phi(g)\,h_k(g)]`. GP Section 2.

        Examples
        --------
        >>> round(abs(relu_threshold(1.0).hermite_coefficient(4)), 12)
        0.0
        """
        return hermite_coefficient(self.function, k, breakpoints=self.breakpoints)

    def alpha(self, q: int, sigma: float) -> float:
        r"""Return :math:`\alpha_q(\sigma) = E[\phi'(\sigma g)\,g^q]`. ZS Property 3.2.

        Examples
        --------
        >>> round(relu.alpha(2, 1.0), 12)
        0.5
        """
        return self._slope_mean(1, q, sigma)

    def beta(self, q: int, sigma: float) -> float:
        r"""Return :math:`\beta_q(\sigma) = E[\phi'(\sigma g)^2 g^q]`. ZS Property 3.2.

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


def _step(z: Array) -> Array:
    return np.asarray(z > 0.0, dtype=np.float64)


def _zero(z: Array) -> Array:
    return np.zeros_like(z)


def _logistic_derivatives() -> tuple[Function, Function, Function, Function]:
    """Return derivatives 1..4 of the sigmoid, to relative accuracy in both tails.

    They are polynomials in v = sigmoid(z), from v' = v - v^2, of parity (-1)^(m+1) in z; taken at
    -|z|, where v is small, they lose no digits.
    """
    slope = Polynomial([0.0, 1.0, -1.0])
    chain = [slope]
    for _ in range(3):
        chain.append(chain[-1].deriv() * slope)

    def derivative(m: int) -> Function:
        sign = float((-1) ** (m + 1))
        return lambda z: np.where(z > 0.0, sign, 1.0) * polyval(expit(-np.abs(z)), chain[m - 1].coef)

    return derivative(1), derivative(2), derivative(3), derivative(4)


_LOGISTIC = _logistic_derivatives()


def _tanh_derivative(m: int) -> Function:
    # tanh(z) = 2 sigmoid(2 z) - 1
    return lambda z: 2.0 ** (m + 1) * _LOGISTIC[m - 1](2.0 * z)


#: :math:`\phi(z) = \max(z, 0)`.
relu = Activation("ReLU", lambda z: np.maximum(z, 0.0), (_step, _zero, _zero, _zero), (0.0,))

#: :math:`\phi(z) = \max(z, z/100)`.
leaky_relu = Activation(
    "leaky ReLU",
    lambda z: np.maximum(z, 0.01 * z),
    (lambda z: np.where(z > 0.0, 1.0, 0.01), _zero, _zero, _zero),
    (0.0,),
)

#: :math:`\phi(z) = \max(z, 0)^2`.
squared_relu = Activation(
    "squared ReLU",
    lambda z: np.maximum(z, 0.0) ** 2,
    (lambda z: 2.0 * np.maximum(z, 0.0), lambda z: 2.0 * _step(z), _zero, _zero),
    (0.0,),
)

#: :math:`\phi(z) = 1/(1 + e^{-z})`.
sigmoid = Activation("sigmoid", expit, _LOGISTIC)

#: :math:`\phi(z) = \tanh z`.
tanh = Activation(
    "tanh",
    np.tanh,
    (_tanh_derivative(1), _tanh_derivative(2), _tanh_derivative(3), _tanh_derivative(4)),
)


def _gauss_derivative(m: int) -> Function:
    # phi' = exp(-z^2) and (exp(-z^2))^(m) = (-sqrt 2)^m He_m(sqrt 2 z) exp(-z^2).
    root = math.sqrt(2.0)
    return lambda z: np.asarray((-root) ** m * hermite(m, root * z) * np.exp(-(z**2)))


#: :math:`\phi(z) = \int_0^z e^{-t^2} dt`, as in ZS, without the usual :math:`2/\sqrt\pi`.
erf = Activation(
    "erf",
    lambda z: 0.5 * math.sqrt(math.pi) * _erf(z),
    (_gauss_derivative(0), _gauss_derivative(1), _gauss_derivative(2), _gauss_derivative(3)),
)

#: :math:`\phi(z) = z`.
linear = Activation("linear", lambda z: z.copy(), (np.ones_like, _zero, _zero, _zero))

#: :math:`\phi(z) = z^2`.
quadratic = Activation(
    "quadratic",
    lambda z: z**2,
    (lambda z: 2.0 * z, lambda z: np.full_like(z, 2.0), _zero, _zero),
)

#: :math:`\phi(z) = |z|`.
absolute = Activation("absolute value", np.abs, (np.sign, _zero, _zero, _zero), (0.0,))

#: :math:`\phi(z) = \cos z`.
cosine = Activation("cosine", np.cos, (lambda z: -np.sin(z), lambda z: -np.cos(z), np.sin, np.cos))

#: :math:`\phi(z) = \log(1 + e^z)`.
softplus = Activation(
    "softplus",
    lambda z: np.logaddexp(0.0, z),
    (expit, *_LOGISTIC[:3]),
)

#: The eight activations of the ZS slides, in their order.
SLIDES = (relu, leaky_relu, squared_relu, sigmoid, tanh, erf, linear, quadratic)


_NAMED = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "squared_relu": squared_relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "erf": erf,
    "linear": linear,
    "quadratic": quadratic,
    "absolute": absolute,
    "cosine": cosine,
    "softplus": softplus,
}


def get_activation(activation: str | Activation) -> Activation:
    """Return the activation of a name, or the activation itself.

    Parameters
    ----------
    activation : str or Activation
        One of the names in this module, such as "relu" or "squared_relu".

    Raises
    ------
    ValueError
        If there is no activation of that name.

    Examples
    --------
    >>> get_activation("relu") is relu is get_activation(relu)
    True
    """
    if isinstance(activation, Activation):
        return activation
    if not isinstance(activation, str) or activation not in _NAMED:
        raise ValueError(
            f"activation must be an Activation or one of {', '.join(map(repr, _NAMED))}, got {activation!r}"
        )
    return _NAMED[activation]


def relu_threshold(t: float) -> Activation:
    r"""Return :math:`u_t(z) = \max(z - t, 0)`. GP.

    Examples
    --------
    >>> float(relu_threshold(2.0)(3.0))
    1.0
    """
    t = check_number("t", t)
    return Activation(
        f"ReLU at {t:g}",
        lambda z: np.maximum(z - t, 0.0),
        (lambda z: _step(z - t), _zero, _zero, _zero),
        (t,),
    )


def sign_threshold(t: float) -> Activation:
    r"""Return the 0/1 step :math:`u_t(z) = 1\{z > t\}`. GP.

    Examples
    --------
    >>> sign_threshold(1.0)([0.0, 2.0])
    array([0., 1.])
    """
    t = check_number("t", t)
    return Activation(f"sign at {t:g}", lambda z: _step(z - t), (_zero, _zero, _zero, _zero), (t,))


def sigmoid_threshold(t: float) -> Activation:
    r"""Return :math:`u_t(z) = 1/(1 + e^{t - z})`. GP.

    Examples
    --------
    >>> float(sigmoid_threshold(1.0)(1.0))
    0.5
    """
    t = check_number("t", t)
    shifted = tuple(lambda z, f=f: f(z - t) for f in sigmoid.derivatives)
    return Activation(f"sigmoid at {t:g}", lambda z: np.asarray(expit(z - t)), shifted)  # type: ignore[arg-type]


def exponential(rate: float = 1.0, shift: float = 0.0) -> Activation:
    r"""Return :math:`e^{\rho(z - t)}` with rate rho and shift t. GP Theorems 7 and 8.

    Examples
    --------
    >>> float(exponential(2.0, 1.0)(1.0))
    1.0
    """
    rate = check_number("rate", rate, above=0.0)
    shift = check_number("shift", shift)
    powers = tuple(lambda z, m=m: rate**m * np.exp(rate * (z - shift)) for m in range(5))
    return Activation(f"exp({rate:g}(z - {shift:g}))", powers[0], powers[1:])  # type: ignore[arg-type]


def threshold_coefficients(t: float) -> tuple[float, float]:
    r"""Return GP's closed forms of :math:`u_2, u_4` for ReLU at t.

    .. math:: u_2 = \varphi(t)/\sqrt2, \qquad u_4 = (t^2 - 1)\varphi(t)/\sqrt{24}

    :math:`u_4` vanishes at t = 1, where fourth-order moments see nothing of the network.

    Examples
    --------
    >>> threshold_coefficients(1.0)[1]
    0.0
    """
    phi = float(normal_density(t))
    return phi / math.sqrt(2.0), (t**2 - 1.0) * phi / math.sqrt(24.0)
