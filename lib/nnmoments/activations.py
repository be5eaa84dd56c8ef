r"""Activations and the moment coefficients that the four papers build on them.

Every coefficient is an expectation of the activation itself against a polynomial, never of a
derivative, so kinks and jumps are treated exactly:
:math:`E[\phi^{(m)}(s g + b)] = s^{-m} E[\phi(s g + b)\,He_m(g)]`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Polynomial
from scipy.special import erf as _erf
from scipy.special import expit

from nnmoments._validation import Array, check_integer, check_number
from nnmoments.hermite import (
    gaussian_expectation,
    hermite,
    hermite_coefficient,
    normal_density,
)

__all__ = [
    "SLIDES",
    "Activation",
    "Properties",
    "absolute",
    "cosine",
    "erf",
    "exponential",
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
        """Return the classical derivative of the given order, 0 to 4, at z."""
        order = check_integer("order", order, 0, 4)
        function = self.function if order == 0 else self.derivatives[order - 1]
        return np.asarray(function(np.asarray(z, dtype=np.float64)), dtype=np.float64)

    def expectation(
        self, weight: Function, *, scale: float = 1.0, shift: float = 0.0, order: int = 0
    ) -> float:
        r"""Return :math:`E[\phi^{(order)}(s g + b)\,p(g)]` for a smooth weight p, g ~ N(0, 1).

        For order 0 this is exact whatever the kinks; for orders above it takes the classical part.
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
        m = check_integer("m", m, 0)
        return self.expectation(lambda g: hermite(m, g), scale=scale, shift=shift)

    def stein_coefficient(self, m: int, *, scale: float = 1.0, shift: float = 0.0) -> float:
        r"""Return :math:`E[\phi^{(m)}(s g + b)]` in the sense of distributions.

        Examples
        --------
        >>> round(relu.stein_coefficient(2) * math.sqrt(2 * math.pi), 12)
        1.0
        """
        scale = check_number("scale", scale, above=0.0)
        return self.moment_coefficient(m, scale=scale, shift=shift) / scale**m

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
        r"""Return :math:`\alpha_q(\sigma) = E[\phi'(\sigma g)\,g^q]`. ZS Property 3.2."""
        return self.expectation(lambda g: g**q, scale=sigma, order=1)

    def beta(self, q: int, sigma: float) -> float:
        r"""Return :math:`\beta_q(\sigma) = E[\phi'(\sigma g)^2 g^q]`. ZS Property 3.2."""
        return float(
            gaussian_expectation(
                lambda g: self.derivative(1, sigma * g) ** 2 * g**q,
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
        sigma = check_number("sigma", sigma, above=0.0)
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
        """
        z = np.linspace(-30.0, 30.0, 6001)
        z = z[np.min(np.abs(z[:, None] - np.array([*self.breakpoints, np.inf])), axis=1) > 1e-9]
        slope, bend = self.derivative(1, z), self.derivative(2, z)
        growth = np.abs(self.derivative(1, np.array([-300.0, 300.0]))).max()
        edges = np.array(self.breakpoints)
        step = 1e-9
        jump = np.abs(self.derivative(1, edges + step) - self.derivative(1, edges - step))
        leap = np.abs(self(edges + step) - self(edges - step))
        continuous = not len(edges) or bool(max(jump.max(), leap.max()) < 1e-6)
        return Properties(
            nonnegative_derivative=bool(np.all(slope >= 0.0) and growth < 1e6),
            nonlinear=all(self.rho(sigma) > 1e-9 for sigma in (0.1, 0.3, 1.0, 3.0, 10.0)),
            smooth=continuous and bool(np.abs(bend).max() < 1e6),
            piecewise_linear=bool(np.abs(bend).max() < 1e-12),
        )


def _step(z: Array) -> Array:
    return np.asarray(z > 0.0, dtype=np.float64)


def _zero(z: Array) -> Array:
    return np.zeros_like(z)


def _polynomials_of(value: Function, first: Sequence[float]) -> tuple[Function, ...]:
    """Return derivatives 1..4 as polynomials in the value v, given v' as a polynomial in v."""
    slope = Polynomial(first)
    chain = [slope]
    for _ in range(3):
        chain.append(chain[-1].deriv() * slope)
    return tuple(lambda z, p=p: np.asarray(p(value(z))) for p in chain)  # type: ignore[misc]


relu = Activation("ReLU", lambda z: np.maximum(z, 0.0), (_step, _zero, _zero, _zero), (0.0,))

leaky_relu = Activation(
    "leaky ReLU",
    lambda z: np.maximum(z, 0.01 * z),
    (lambda z: np.where(z > 0.0, 1.0, 0.01), _zero, _zero, _zero),
    (0.0,),
)

squared_relu = Activation(
    "squared ReLU",
    lambda z: np.maximum(z, 0.0) ** 2,
    (lambda z: 2.0 * np.maximum(z, 0.0), lambda z: 2.0 * _step(z), _zero, _zero),
    (0.0,),
)

sigmoid = Activation("sigmoid", expit, _polynomials_of(expit, [0.0, 1.0, -1.0]))  # type: ignore[arg-type]

tanh = Activation("tanh", np.tanh, _polynomials_of(np.tanh, [1.0, 0.0, -1.0]))  # type: ignore[arg-type]


def _gauss_derivative(m: int) -> Function:
    # phi' = exp(-z^2) and (exp(-z^2))^(m) = (-sqrt 2)^m He_m(sqrt 2 z) exp(-z^2).
    root = math.sqrt(2.0)
    return lambda z: np.asarray((-root) ** m * hermite(m, root * z) * np.exp(-(z**2)))


#: As in ZS: the integral of exp(-t^2) from 0 to z, without the usual 2/sqrt(pi).
erf = Activation(
    "erf",
    lambda z: 0.5 * math.sqrt(math.pi) * _erf(z),
    (_gauss_derivative(0), _gauss_derivative(1), _gauss_derivative(2), _gauss_derivative(3)),
)

linear = Activation("linear", lambda z: z.copy(), (np.ones_like, _zero, _zero, _zero))

quadratic = Activation(
    "quadratic",
    lambda z: z**2,
    (lambda z: 2.0 * z, lambda z: np.full_like(z, 2.0), _zero, _zero),
)

absolute = Activation("absolute value", np.abs, (np.sign, _zero, _zero, _zero), (0.0,))

cosine = Activation("cosine", np.cos, (lambda z: -np.sin(z), lambda z: -np.cos(z), np.sin, np.cos))

softplus = Activation(
    "softplus",
    lambda z: np.logaddexp(0.0, z),
    (expit, *_polynomials_of(expit, [0.0, 1.0, -1.0])[:3]),  # type: ignore[arg-type]
)

#: The eight activations of the ZS slides, in their order.
SLIDES = (relu, leaky_relu, squared_relu, sigmoid, tanh, erf, linear, quadratic)


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
