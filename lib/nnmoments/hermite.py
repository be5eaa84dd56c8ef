r"""Hermite polynomials and Gaussian expectations.

Three normalisations meet in the papers: the probabilists' :math:`He_n`, the orthonormal
:math:`h_n = He_n/\sqrt{n!}`, and GP's homogeneous :math:`H_n(z \cdot x)`.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from nnmoments.validation import Array, check_array, check_integer, check_number

__all__ = [
    "gaussian_expectation",
    "hermite",
    "hermite_coefficient",
    "hermite_moments",
    "hermite_scaling",
    "homogeneous_hermite",
    "homogeneous_powers",
    "normal_density",
    "normalized_hermite",
    "paired_hermite_moments",
]

# The quadrature tries these half-lengths, in standard deviations, until the integrand has died out
# (at 14 the weight alone is exp(-98)), and these panel widths until two successive ones agree.
_REACHES = (14.0, 20.0, 26.0, 30.0, 34.0)
_WIDTHS = tuple(2.0 ** (1 - level) for level in range(11))
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_AGREEMENT = 1e-13  # of two widths, relative to E|f|, at which the finer one is returned
_ACCEPTED = 1e-11  # the same where halving no longer helps, because the integrand itself is rounded
_FLOOR = 1e-36  # what is smaller is rounding of the weight beyond all breakpoints
_LARGEST = 2**23  # points of one quadrature, which bounds its memory at some 100 MB a component


def normal_density(x: npt.ArrayLike) -> Array:
    r"""Return :math:`\varphi(x) = e^{-x^2/2}/\sqrt{2\pi}`.

    Examples
    --------
    >>> round(float(normal_density(0.0)), 6)
    0.398942
    """
    x = np.asarray(x, dtype=np.float64)
    return np.asarray(np.exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi))


def hermite(n: int, x: npt.ArrayLike) -> Array:
    r"""Return the probabilists' Hermite polynomial :math:`He_n(x) = (-1)^n e^{x^2/2} (e^{-x^2/2})^{(n)}`.

    By the recurrence :math:`He_{n+1} = x He_n - n He_{n-1}`.

    Examples
    --------
    >>> float(hermite(3, 2.0))
    2.0
    """
    n = check_integer("n", n, 0)
    x = np.asarray(x, dtype=np.float64)
    previous, current = np.zeros_like(x), np.ones_like(x)
    for m in range(n):
        previous, current = current, x * current - m * previous
    return current


def normalized_hermite(n: int, x: npt.ArrayLike) -> Array:
    r"""Return :math:`h_n = He_n/\sqrt{n!}`, orthonormal under N(0, 1). GP Definition 3.

    Examples
    --------
    >>> round(float(normalized_hermite(2, 2.0)), 6)
    2.12132
    """
    return hermite(n, x) / math.sqrt(math.factorial(n))


def homogeneous_hermite(n: int, z: npt.ArrayLike, X: npt.ArrayLike) -> Array:
    r"""Return GP's :math:`H_n(z\cdot x) = \|z\|^n h_n(z \cdot x/\|z\|)` at the rows of X.

    A polynomial in z, from :math:`\|z\|^{n+1} He_{n+1} = (z\cdot x)\|z\|^n He_n - n\|z\|^2
    \|z\|^{n-1} He_{n-1}`, so that z = 0 needs no care. Contracted with z, the score tensor of
    N(0, I) is :math:`S_n(x)(z, \dots, z) = \sqrt{n!}\,H_n(z \cdot x)`.

    Parameters
    ----------
    n : int
    z : (d,) array_like
    X : (m, d) array_like

    Returns
    -------
    (m,) array

    Examples
    --------
    >>> homogeneous_hermite(2, [0.0, 2.0], [[5.0, 1.0]])
    array([0.])
    """
    n = check_integer("n", n, 0)
    z = check_array("z", z, ndim=1)
    projection = check_array("X", X, shape=(None, len(z))) @ z
    return homogeneous_powers(n, projection, z @ z)[n] / math.sqrt(math.factorial(n))


def homogeneous_powers(n: int, projection: Array, square: Array | float) -> list[Array]:
    r"""Return :math:`P_m = \|z\|^m He_m(z \cdot x/\|z\|)` for m from 0 to n, polynomials in z.

    :math:`P_m = S_m(x)(z, \dots, z)`, the score tensor of N(0, I) with z in every slot.

    Parameters
    ----------
    n : int
    projection : array
        :math:`z \cdot x`, of any shape.
    square : float or array
        :math:`\|z\|^2`, of a shape that fits.

    Returns
    -------
    list of n + 1 arrays

    Examples
    --------
    >>> homogeneous_powers(3, np.array([2.0]), 1.0)
    [array([1.]), array([2.]), array([3.]), array([2.])]
    """
    powers = [np.ones_like(projection), projection]
    for m in range(1, n):
        powers.append(projection * powers[m] - m * square * powers[m - 1])
    return powers[: n + 1]


def hermite_scaling(n: int, m: int, gamma: float) -> float:
    r"""Return :math:`\alpha(n, m, \gamma) = E[h_m(g)\,h_n(\gamma g)]`. GP Fact 5.

    .. math:: \alpha = \sqrt{\frac{m!}{n!}}\,\gamma^m (\gamma^2 - 1)^k \binom{n}{2k}
              \frac{(2k)!}{k!}\,2^{-k}, \qquad n - m = 2k

    and 0 if n - m is odd or negative. GP prints Facts 3 to 5 without the root: they hold as printed
    for :math:`He_n` in place of :math:`h_n` (Fact 5 then divided by m!).

    Examples
    --------
    >>> hermite_scaling(2, 2, 3.0), hermite_scaling(3, 2, 3.0)
    (9.0, 0.0)
    """
    n, m = check_integer("n", n, 0), check_integer("m", m, 0)
    gamma = check_number("gamma", gamma)
    if n < m or (n - m) % 2:
        return 0.0
    k = (n - m) // 2
    pairings = math.comb(n, 2 * k) * math.factorial(2 * k) / math.factorial(k) / 2.0**k
    return math.sqrt(math.factorial(m) / math.factorial(n)) * gamma**m * (gamma**2 - 1.0) ** k * pairings


def gaussian_expectation(
    function: Callable[[Array], Array],
    *,
    mean: float = 0.0,
    scale: float = 1.0,
    breakpoints: Sequence[float] = (),
) -> Array:
    r"""Return :math:`E[f(\mu + s g)]`, g ~ N(0, 1), by composite Gauss-Legendre quadrature.

    Panels end at the breakpoints, so that kinks and jumps cost no accuracy. They are halved until
    two widths agree to 1e-13 of :math:`E|f|`, and reach as many standard deviations, 14 to 34, as
    the integrand needs: growth like :math:`e^{20|g|}` is covered.

    Parameters
    ----------
    function : callable
        Maps points (q,) to values (q,) or (q, ...).
    mean, scale : float
        Of the argument; the scale may be zero.
    breakpoints : sequence of float
        Arguments of f at which it is not smooth.

    Returns
    -------
    array
        Of the shape of one value.

    Raises
    ------
    ValueError
        If the function overflows, grows too fast, or is not smooth between the breakpoints.

    Examples
    --------
    >>> round(float(gaussian_expectation(np.abs, breakpoints=[0.0]) ** 2 * np.pi), 12)
    2.0
    """
    mean = check_number("mean", mean)
    scale = check_number("scale", scale)
    if scale < 0.0:
        raise ValueError(f"scale must not be negative, got {scale}")
    inside = () if scale == 0.0 else tuple((b - mean) / scale for b in breakpoints)

    def values(nodes: Array) -> Array:
        found = np.asarray(function(mean + scale * nodes[0]), dtype=np.float64)
        if found.shape[:1] != nodes.shape[1:]:
            raise ValueError(
                f"function must map {nodes.shape[1:]} points to one value each, got shape {found.shape}"
            )
        return found[None]

    return _integrate(values, np.array([inside], dtype=np.float64))[0]


def _integrate(function: Callable[[Array], Array], breakpoints: Array, *, together: bool = False) -> Array:
    """Return the means (k, ...) of k functions of one standard normal each.

    The function maps points (k, q) to values (k, q, ...); row i of the breakpoints, (k, b), belongs
    to function i. Accuracy is relative to each mean, or to the largest if they belong together.
    """
    for reach in _REACHES:
        finest = len(breakpoints) * 2.0 * reach * len(_POINTS) / _LARGEST
        previous, before = np.zeros(0), np.array(np.inf)
        for width in (w for w in _WIDTHS if w >= finest):
            nodes, weights = _panels(breakpoints, width, reach)
            with np.errstate(over="ignore", invalid="ignore"):
                values = np.asarray(function(nodes))
            if not np.isfinite(values).all():
                raise ValueError(f"function must be finite within {reach:g} standard deviations of its mean")
            flat = values.reshape(*nodes.shape, -1)
            value = (weights[:, None, :] @ flat)[:, 0]
            size = (weights[:, None, :] @ np.abs(flat))[:, 0]
            if together:
                size = np.full_like(size, size.max())
            tail = ((weights * (np.abs(nodes) > reach - 2.0))[:, None, :] @ np.abs(flat))[:, 0]
            if np.any(tail > 1e-16 * size + _FLOOR):
                break
            if len(previous):
                change = np.abs(value - previous)
                stalled = (change > 0.1 * before) & (change <= _ACCEPTED * size)
                if np.all(stalled | (change <= _AGREEMENT * size + _FLOOR)):
                    return np.asarray(value.reshape(values.shape[:1] + values.shape[2:]))
                before = change
            previous = value
        else:
            raise ValueError("function is not smooth between its breakpoints: name every kink and jump")
    raise ValueError(f"function grows too fast: its mean is not reached within {_REACHES[-1]:g} deviations")


def _panels(breakpoints: Array, width: float, reach: float) -> tuple[Array, Array]:
    """Return nodes and weights (k, q) for N(0, 1), with panels that end at each row's breakpoints."""
    grid = np.arange(-reach, reach + width / 2.0, width)
    ends = (np.broadcast_to(grid, (len(breakpoints), len(grid))), np.clip(breakpoints, -reach, reach))
    edges = np.sort(np.concatenate(ends, axis=1), axis=1)
    centre, half = (edges[:, 1:] + edges[:, :-1]) / 2.0, np.diff(edges) / 2.0
    nodes = (centre[..., None] + half[..., None] * _POINTS).reshape(len(edges), -1)
    return nodes, (half[..., None] * _WEIGHTS).reshape(len(edges), -1) * normal_density(nodes)


def hermite_moments(
    function: Callable[[Array], Array],
    n: int,
    *,
    mean: npt.ArrayLike,
    scale: npt.ArrayLike,
    breakpoints: Sequence[float] = (),
) -> Array:
    r"""Return :math:`E[f(\mu_i + s_i g)\,He_n(g)]` for every i at once, (k,).

    By Stein's lemma this is :math:`s_i^n E[f^{(n)}(\mu_i + s_i g)]`, whatever kinks and jumps f has.

    Parameters
    ----------
    function : callable
        Elementwise.
    n : int
    mean, scale : (k,) array_like
        The scales must not be negative.
    breakpoints : sequence of float
        Arguments of f at which it is not smooth.

    Raises
    ------
    ValueError
        As `gaussian_expectation`.

    Examples
    --------
    >>> hermite_moments(np.square, 2, mean=[0.0, 5.0], scale=[1.0, 3.0]).round(6)
    array([ 2., 18.])
    """
    n = check_integer("n", n, 0)
    mean = check_array("mean", mean, ndim=1)
    scale = check_array("scale", scale, shape=mean.shape)
    if np.any(scale < 0.0):
        raise ValueError(f"scale must not be negative, got {scale.min()}")
    gaps = np.asarray(breakpoints, dtype=np.float64) - mean[:, None]
    # Under a scale of zero f is constant and its breakpoints do not matter.
    inside = np.divide(gaps, scale[:, None], out=np.zeros_like(gaps), where=scale[:, None] > 0.0)
    return _integrate(lambda g: function(mean[:, None] + scale[:, None] * g) * hermite(n, g), inside)


def paired_hermite_moments(
    first: Callable[[Array], Array],
    second: Callable[[Array], Array],
    order: int,
    *,
    correlation: float,
    breakpoints: tuple[Sequence[float], Sequence[float]] = ((), ()),
) -> Array:
    r"""Return :math:`M_{pr} = E[f(g)\,h(\rho g + \sqrt{1-\rho^2}\,e)\,He_p(g)\,He_r(e)]`, g, e independent.

    The Stein moments, in the plane of (g, e), of a product of two units whose arguments are jointly
    normal with the given correlation. A quadrature inside a quadrature, each with its own panels.

    Parameters
    ----------
    first, second : callable
        f and h, elementwise.
    order : int
        Largest p and r.
    correlation : float
        rho, strictly between -1 and 1.
    breakpoints : pair of sequences of float
        Arguments at which f and h are not smooth.

    Returns
    -------
    (order + 1, order + 1) array

    Raises
    ------
    ValueError
        As `gaussian_expectation`.

    Examples
    --------
    >>> M = paired_hermite_moments(np.copy, np.copy, 1, correlation=0.6)
    >>> bool(np.allclose(M, [[0.6, 0.0], [0.0, 0.8]]))
    True
    """
    order = check_integer("order", order, 0)
    rho = check_number("correlation", correlation, above=-1.0, below=1.0)
    root = math.sqrt((1.0 - rho) * (1.0 + rho))
    kinks = np.asarray(breakpoints[1], dtype=np.float64)

    def inner(g: Array) -> Array:
        g = g[0][:, None]
        return _integrate(
            lambda e: (
                np.stack([hermite(r, e) for r in range(order + 1)], axis=-1)
                * second(rho * g + root * e)[..., None]
            ),
            (kinks - rho * g) / root,
            together=True,
        )

    def outer(g: Array) -> Array:
        left = np.stack([hermite(p, g) for p in range(order + 1)], axis=-1) * first(g)[..., None]
        return left[..., :, None] * inner(g)[None, :, None, :]

    # Seen from g, a kink of h is a transition of width root/rho at kink/rho: grade the panels to it.
    steps = np.array([-8, -4, -2, -1, 0, 1, 2, 4, 8] if root < 0.5 else [])
    graded = (kinks[:, None] + root * steps) / rho if len(steps) else np.zeros(0)
    ends = np.concatenate([breakpoints[0], graded.reshape(-1)])
    return _integrate(outer, ends[None], together=True)[0]


def hermite_coefficient(
    function: Callable[[Array], Array], n: int, *, breakpoints: Sequence[float] = ()
) -> float:
    r"""Return the Hermite coefficient :math:`u_n = E[u(g) h_n(g)]`. GP Section 2.

    Examples
    --------
    >>> round(hermite_coefficient(lambda g: np.maximum(g, 0.0), 2, breakpoints=[0.0]), 6)
    0.282095
    """
    return float(
        gaussian_expectation(lambda g: function(g) * normalized_hermite(n, g), breakpoints=breakpoints)
    )
