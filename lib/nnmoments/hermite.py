r"""Hermite polynomials and Gaussian expectations.

Three normalisations meet in the papers: the probabilists' :math:`He_n`, the orthonormal
:math:`h_n = He_n/\sqrt{n!}`, and GP's homogeneous :math:`H_n(z \cdot x)`.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_integer,
    check_number,
    check_result,
    finite_result,
)

__all__ = [
    "gaussian_expectation",
    "hermite_coefficient",
    "hermite_polynomial",
    "hermite_projections",
    "hermite_scaling",
    "homogeneous_hermite",
    "homogeneous_powers",
    "normal_density",
    "normalized_hermite",
    "paired_hermite_projections",
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
# Panels that look for what wider ones step over. Their points are 0.005 apart at most, and they do not
# end at round numbers, where transitions like to be and would pass for jumps.
_PROBE, _OFFSET = 0.0625, 0.0236
_DEPTH = 50  # halvings of one panel: a jump inside it then weighs less than 1e-15
_PANELS = 2**14  # panels that disagree at once; more of them are no isolated kinks, jumps or peaks


def normal_density(x: npt.ArrayLike) -> Array:
    r"""Return :math:`\varphi(x) = e^{-x^2/2}/\sqrt{2\pi}`.

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
    >>> round(float(normal_density(0.0)), 6)
    0.398942
    """
    x = check_array("x", x, empty=True)
    with np.errstate(over="ignore", under="ignore"):  # far away the density is zero
        return np.asarray(np.exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi))


@finite_result("x")
def hermite_polynomial(n: int, x: npt.ArrayLike) -> Array:
    r"""Return the probabilists' Hermite polynomial :math:`He_n(x) = (-1)^n e^{x^2/2} (e^{-x^2/2})^{(n)}`.

    By the recurrence :math:`He_{n+1} = x He_n - n He_{n-1}`.

    Parameters
    ----------
    n : int
    x : array_like
        Any shape.

    Returns
    -------
    array
        Of the shape of x.

    Raises
    ------
    ValueError
        If n is negative, or the value overflows.

    Examples
    --------
    >>> float(hermite_polynomial(3, 2.0))
    2.0
    """
    n, x = check_integer("n", n, 0), check_array("x", x, empty=True)
    previous, current = np.zeros_like(x), np.ones_like(x)
    for m in range(n):
        previous, current = current, x * current - m * previous
    return current


@finite_result("x")
def normalized_hermite(n: int, x: npt.ArrayLike) -> Array:
    r"""Return :math:`h_n = He_n/\sqrt{n!}`, orthonormal under N(0, 1).

    By the recurrence :math:`\sqrt{n+1}\,h_{n+1} = x h_n - \sqrt n\,h_{n-1}`, which overflows for no n.

    Parameters
    ----------
    n : int
    x : array_like
        Any shape.

    Returns
    -------
    array
        Of the shape of x.

    Raises
    ------
    ValueError
        If n is negative, or the value overflows.

    References
    ----------
    GP Definition 3.

    Examples
    --------
    >>> round(float(normalized_hermite(2, 2.0)), 6)
    2.12132
    """
    n, x = check_integer("n", n, 0), check_array("x", x, empty=True)
    return _normalized(n, x, 1.0)


@finite_result("z or X")
def homogeneous_hermite(n: int, z: npt.ArrayLike, X: npt.ArrayLike) -> Array:
    r"""Return GP's :math:`H_n(z\cdot x) = \|z\|^n h_n(z \cdot x/\|z\|)` at the rows of X.

    A polynomial in z, from :math:`\sqrt{n+1}\,H_{n+1} = (z\cdot x) H_n - \sqrt n\,\|z\|^2 H_{n-1}`, so that
    z = 0 needs no care. Contracted with z, the score tensor of N(0, I) is
    :math:`S_n(x)(z, \dots, z) = \sqrt{n!}\,H_n(z \cdot x)`.

    Parameters
    ----------
    n : int
    z : (d,) array_like
    X : (m, d) array_like

    Returns
    -------
    (m,) array

    Raises
    ------
    ValueError
        If n is negative, a shape is wrong, or the value overflows.

    References
    ----------
    GP Section 2.

    Examples
    --------
    >>> homogeneous_hermite(2, [0.0, 2.0], [[5.0, 1.0]])
    array([0.])
    """
    n, z = check_integer("n", n, 0), check_array("z", z, ndim=1)
    X = check_array("X", X, shape=(None, len(z)))
    return _normalized(n, X @ z, float(z @ z))


def _normalized(n: int, x: Array, square: float) -> Array:
    """Return |z|^n h_n(x / |z|) for |z|^2 = square."""
    previous, current = np.zeros_like(x), np.ones_like(x)
    for m in range(n):
        following = (x * current - math.sqrt(m) * square * previous) / math.sqrt(m + 1.0)
        previous, current = current, following
    return current


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
    r"""Return :math:`\alpha(n, m, \gamma) = E[h_m(g)\,h_n(\gamma g)]`.

    .. math:: \alpha = \sqrt{\frac{m!}{n!}}\,\gamma^m (\gamma^2 - 1)^k \binom{n}{2k}
              \frac{(2k)!}{k!}\,2^{-k}, \qquad n - m = 2k

    and 0 if n - m is odd or negative. GP prints Facts 3 to 5 without the root: they hold as printed
    for :math:`He_n` in place of :math:`h_n` (Fact 5 then divided by m!).

    Parameters
    ----------
    n, m : int
    gamma : float

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If n or m is negative, or the value overflows.

    References
    ----------
    GP Fact 5.

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
    # In logarithms, since the factorials overflow before the value does.
    logs = (math.lgamma(n + 1) - math.lgamma(m + 1)) / 2.0 - math.lgamma(k + 1) - k * math.log(2.0)
    with np.errstate(over="ignore", invalid="ignore"):
        powers = np.float64(gamma) ** m * np.float64((gamma - 1.0) * (gamma + 1.0)) ** k
        return float(check_result("gamma", powers * np.exp(np.float64(logs))))


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
    the integrand needs: growth like :math:`e^{20|g|}` is covered. Where they do not agree, or a fine
    probe sees a peak between their points, only the panels that need it are halved further: steep
    transitions, peaks down to a width of 1e-3, and kinks that were not named.

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
        If the function overflows, grows too fast, or is rough nearly everywhere.

    Examples
    --------
    >>> round(float(gaussian_expectation(np.abs, breakpoints=[0.0]) ** 2 * np.pi), 12)
    2.0
    """
    check_callable("function", function)
    mean = check_number("mean", mean)
    scale = check_number("scale", scale)
    if scale < 0.0:
        raise ValueError(f"scale must not be negative, got {scale}")
    inside = _places("breakpoints", breakpoints, np.array([mean]), np.array([scale]))

    def values(nodes: Array) -> Array:
        found = _evaluated("function", function, mean + scale * nodes[0])
        if found.shape[:1] != nodes.shape[1:]:
            raise ValueError(
                f"function must map {nodes.shape[1:]} points to one value each, got shape {found.shape}"
            )
        return found[None]

    return _integrate(values, inside, rounding=_rounding(mean, scale))[0]


def _evaluated(name: str, function: Callable[[Array], Array], points: Array) -> Array:
    try:
        return np.asarray(function(points), dtype=np.float64)
    except TypeError as error:
        raise ValueError(f"{name} must return real numbers: {error}") from error


def _elementwise(name: str, function: Callable[[Array], Array], points: Array) -> Array:
    found = _evaluated(name, function, points)
    if found.shape != points.shape:
        raise ValueError(f"{name} must be elementwise, but maps shape {points.shape} to {found.shape}")
    return found


def _places(name: str, breakpoints: Sequence[float], mean: Array, scale: Array) -> Array:
    """Return (b - mu_i)/s_i, (k, b): the breakpoints as the standard normal of each row sees them."""
    at = check_array(name, breakpoints, ndim=1, empty=True)
    gaps = at - mean[:, None]
    # Under a scale of zero f is constant and its breakpoints do not matter.
    with np.errstate(over="ignore"):
        return np.divide(gaps, scale[:, None], out=np.zeros_like(gaps), where=scale[:, None] > 0.0)


def _rounding(mean: npt.ArrayLike, scale: npt.ArrayLike) -> float:
    """Return how far the sum mu + s g rounds its argument g: what no quadrature can do better than."""
    mean, scale = np.abs(mean), np.asarray(scale, dtype=np.float64)
    with np.errstate(over="ignore"):
        ratio = np.divide(mean, scale, out=np.zeros_like(scale), where=scale > 0.0)
    return float(min(1e-3, 4.0 * np.finfo(float).eps * ratio.max()))


def _integrate(
    function: Callable[[Array], Array],
    breakpoints: Array,
    *,
    together: bool = False,
    probe: bool = True,
    rounding: float = 0.0,
) -> Array:
    """Return the means (k, ...) of k functions of one standard normal each.

    The function maps points (k, q) to values (k, q, ...); row i of the breakpoints, (k, b), belongs
    to function i. Accuracy is relative to each mean, or to the largest if they belong together.
    """
    agreement, accepted = max(_AGREEMENT, rounding), max(_ACCEPTED, rounding)
    for reach in _REACHES:
        finest = len(breakpoints) * 2.0 * reach * len(_POINTS) / _LARGEST
        previous, before = np.zeros(0), np.array(np.inf)
        for width in (w for w in _WIDTHS if w >= finest):
            value, size, tail, shape = _sums(function, *_panels(breakpoints, width, reach), reach)
            if together:
                size = np.full_like(size, size.max())
            if np.any(tail > 1e-16 * size + _FLOOR):
                break
            if len(previous):
                change = np.abs(value - previous)
                stalled = (change > 0.1 * before) & (change <= accepted * size)
                if np.all(stalled | (change <= agreement * size + _FLOOR)):
                    if probe and width > max(_PROBE, finest):
                        fine, large, *_ = _sums(
                            function, *_panels(breakpoints, _PROBE, reach, _OFFSET), reach
                        )
                        if np.any(np.abs(fine - value) > 10.0 * accepted * np.maximum(size, large) + _FLOOR):
                            return _refined(function, breakpoints, reach, rounding).reshape(shape)
                    return np.asarray(value.reshape(shape))
                before = change
            previous = value
        else:
            return _refined(function, breakpoints, reach, rounding, together).reshape(shape)
    raise ValueError(f"function grows too fast: its mean is not reached within {_REACHES[-1]:g} deviations")


def _finite_values(function: Callable[[Array], Array], nodes: Array, reach: float) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.asarray(function(nodes))
    if not np.isfinite(values).all():
        raise ValueError(f"function must be finite within {reach:g} standard deviations of its mean")
    return values


def _sums(
    function: Callable[[Array], Array], nodes: Array, weights: Array, reach: float
) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Return the means of f, of |f|, of |f| near the ends, each (k, v), and the shape of the means."""
    values = _finite_values(function, nodes, reach)
    flat = values.reshape(*nodes.shape, -1)
    value = (weights[:, None, :] @ flat)[:, 0]
    size = (weights[:, None, :] @ np.abs(flat))[:, 0]
    tail = ((weights * (np.abs(nodes) > reach - 2.0))[:, None, :] @ np.abs(flat))[:, 0]
    return value, size, tail, values.shape[:1] + values.shape[2:]


def _refined(
    function: Callable[[Array], Array],
    breakpoints: Array,
    reach: float,
    rounding: float,
    together: bool = False,
) -> Array:
    """Return the means (k, v), halving only those panels, common to all rows, whose halves disagree."""
    inside = np.clip(breakpoints.reshape(-1), -reach, reach)
    edges = np.unique(np.concatenate([_grid(_PROBE, reach, _OFFSET), inside]))
    left, right = edges[:-1], edges[1:]

    def on_panels(left: Array, right: Array) -> tuple[Array, Array]:
        half = (right - left) / 2.0
        nodes = ((left + right) / 2.0)[:, None] + half[:, None] * _POINTS
        weights = half[:, None] * _WEIGHTS * normal_density(nodes)
        rows = np.broadcast_to(nodes.reshape(1, -1), (len(breakpoints), nodes.size))
        values = _finite_values(function, rows, reach).reshape(len(breakpoints), *nodes.shape, -1)
        return (
            np.einsum("pq,kpqv->kpv", weights, values),
            np.einsum("pq,kpqv->kpv", weights, np.abs(values)),
        )

    whole, size = on_panels(left, right)
    total, scale = np.zeros_like(whole[:, 0]), size.sum(axis=1)
    for _ in range(_DEPTH):
        middle = (left + right) / 2.0
        ends = np.stack([left, middle, right])
        halves, sizes = on_panels(ends[:2].T.reshape(-1), ends[1:].T.reshape(-1))
        both = halves[:, 0::2] + halves[:, 1::2]
        scale = np.maximum(scale, np.abs(total) + sizes.sum(axis=1))
        reference = scale.max() if together else scale[:, None]
        change = np.abs(both - whole)
        limit = np.maximum(1e-15 * reference, max(1e-14, rounding) * (sizes[:, 0::2] + sizes[:, 1::2]))
        rough = np.any(change > limit + _FLOOR, axis=(0, 2))
        total += both[:, ~rough].sum(axis=1)
        if not rough.any():
            return total
        if rough.sum() > _PANELS // len(breakpoints):
            break
        again = np.repeat(rough, 2)
        whole = halves[:, again]
        left, right = ends[:2].T.reshape(-1)[again], ends[1:].T.reshape(-1)[again]
    raise ValueError("function is not smooth between its breakpoints: name every kink and jump")


def _grid(width: float, reach: float, offset: float) -> Array:
    """Return the ends of equal panels on [-reach, reach], the outermost cut if there is an offset."""
    return np.clip(
        np.arange(-reach, reach + width / 2.0 + (width if offset else 0.0), width) - offset, -reach, reach
    )


def _panels(breakpoints: Array, width: float, reach: float, offset: float = 0.0) -> tuple[Array, Array]:
    """Return nodes and weights (k, q) for N(0, 1), with panels that end at each row's breakpoints."""
    grid = _grid(width, reach, offset)
    ends = (np.broadcast_to(grid, (len(breakpoints), len(grid))), np.clip(breakpoints, -reach, reach))
    edges = np.sort(np.concatenate(ends, axis=1), axis=1)
    centre, half = (edges[:, 1:] + edges[:, :-1]) / 2.0, np.diff(edges) / 2.0
    nodes = (centre[..., None] + half[..., None] * _POINTS).reshape(len(edges), -1)
    return nodes, (half[..., None] * _WEIGHTS).reshape(len(edges), -1) * normal_density(nodes)


def hermite_projections(
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

    Returns
    -------
    (k,) array

    Raises
    ------
    ValueError
        As `gaussian_expectation`.

    Examples
    --------
    >>> hermite_projections(np.square, 2, mean=[0.0, 5.0], scale=[1.0, 3.0]).round(6)
    array([ 2., 18.])
    """
    check_callable("function", function)
    n = check_integer("n", n, 0)
    mean = check_array("mean", mean, ndim=1)
    scale = check_array("scale", scale, shape=mean.shape)
    if np.any(scale < 0.0):
        raise ValueError(f"scale must not be negative, got {scale.min()}")

    def values(g: Array) -> Array:
        arguments = mean[:, None] + scale[:, None] * g
        return _elementwise("function", function, arguments) * hermite_polynomial(n, g)

    inside = _places("breakpoints", breakpoints, mean, scale)
    return _integrate(values, inside, rounding=_rounding(mean, scale))


def paired_hermite_projections(
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
    >>> M = paired_hermite_projections(np.copy, np.copy, 1, correlation=0.6)
    >>> bool(np.allclose(M, [[0.6, 0.0], [0.0, 0.8]]))
    True
    """
    order = check_integer("order", order, 0)
    rho = check_number("correlation", correlation, above=-1.0, below=1.0)
    root = math.sqrt((1.0 - rho) * (1.0 + rho))
    check_callable("first", first)
    check_callable("second", second)
    if not isinstance(breakpoints, Sequence) or isinstance(breakpoints, str) or len(breakpoints) != 2:
        raise ValueError(f"breakpoints must be a pair of sequences, got {breakpoints!r}")
    place, unit = np.zeros(1), np.ones(1)
    own, kinks = (_places("breakpoints", b, place, unit)[0] for b in breakpoints)

    def inner(g: Array) -> Array:
        g = g[0][:, None]
        return _integrate(
            lambda e: (
                np.stack([hermite_polynomial(r, e) for r in range(order + 1)], axis=-1)
                * _elementwise("second", second, rho * g + root * e)[..., None]
            ),
            (kinks - rho * g) / root,
            together=True,
            probe=False,
        )

    def outer(g: Array) -> Array:
        left = np.stack([hermite_polynomial(p, g) for p in range(order + 1)], axis=-1)
        left = left * _elementwise("first", first, g)[..., None]
        return left[..., :, None] * inner(g)[None, :, None, :]

    # Seen from g, a kink of h is a transition of width root/rho at kink/rho: grade the panels to it.
    steps = np.array([-8, -4, -2, -1, 0, 1, 2, 4, 8] if root < 0.5 else [])
    graded = (kinks[:, None] + root * steps) / rho if len(steps) else np.zeros(0)
    ends = np.concatenate([own, graded.reshape(-1)])
    return _integrate(outer, ends[None], together=True, probe=False)[0]


def hermite_coefficient(
    function: Callable[[Array], Array], n: int, *, breakpoints: Sequence[float] = ()
) -> float:
    r"""Return the Hermite coefficient :math:`u_n = E[u(g) h_n(g)]`.

    Parameters
    ----------
    function : callable
        u, elementwise.
    n : int
    breakpoints : sequence of float
        Arguments at which u is not smooth.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        As `gaussian_expectation`.

    References
    ----------
    GP Section 2.

    Examples
    --------
    >>> round(hermite_coefficient(lambda g: np.maximum(g, 0.0), 2, breakpoints=[0.0]), 6)
    0.282095
    """
    check_callable("function", function)
    n = check_integer("n", n, 0)
    return float(
        gaussian_expectation(lambda g: function(g) * normalized_hermite(n, g), breakpoints=breakpoints)
    )
