"""Chapters 4 and 5: how fast errors fall with the threshold (GP Claims 1 and 2), and powers of units."""

import itertools
import math

import numpy as np
from scipy.stats import norm

from nnmoments.activations import threshold_coefficients
from nnmoments.hermite import normal_density, normalized_hermite
from nnmoments.landscapes import HermiteLoss
from nnmoments.linalg import outer_power
from nnmoments.moments import TensorMoment
from nnmoments.optimize import quasi_newton
from nnmoments.validation import Array

__all__ = [
    "approximate_minima",
    "equal",
    "growth",
    "off_axis",
    "pair_moments",
    "power_of_scale",
    "powers_above_bound",
    "product_of_powers",
    "products_exponent",
    "ring",
]

_HIGH = np.array([14.0, 16.0, 18.0, 20.0])
_NODES = np.polynomial.legendre.leggauss(200)
_WIDTH = 10.0  # lambda in units of |u_4|/(u_2^2 c_min)


def pair_moments(activation: str, t: float, cosine: float) -> Array:
    r"""Return :math:`E[u^{(p)}(a)\,u^{(r)}(b)]` for (p, r) = (2, 0), (1, 1), (4, 0), (3, 1), (2, 2).

    In closed form: each derivative of a mean with respect to a threshold is minus that of the unit, and
    those of :math:`A = \varphi(\alpha)\,\Phi^c((\beta - c\alpha)/s)` obey :math:`A' = -\alpha A + c\,D` with
    the joint density D.
    """
    s2, q = 1.0 - cosine**2, t / (1.0 + cosine)
    k = t * math.sqrt((1.0 - cosine) / (1.0 + cosine))
    D = math.exp(-t * q) / (2.0 * math.pi * math.sqrt(s2))
    A = float(normal_density(t)) * float(norm.sf(k))
    A1 = -t * A + cosine * D
    if activation == "sign":
        A2 = -A - t * A1 - cosine * q * D
        A3 = -2.0 * A1 - t * A2 + cosine * (q**2 - 1.0 / s2) * D
        return np.array([-A1, D, -A3, (q**2 - 1.0 / s2) * D, (q**2 + cosine / s2) * D])
    R = float(normal_density(t)) * math.sqrt(s2) * float(normal_density(k) - k * norm.sf(k))
    R1 = -t * R + cosine * A
    # P[a > t, b > t]: its derivative with respect to the cosine is the density.
    nodes, weights = _NODES
    r = 0.5 * cosine * (nodes + 1.0)
    density = np.exp(-t * t / (1.0 + r)) / (2.0 * math.pi * np.sqrt(1.0 - r**2))
    both = float(norm.sf(t)) ** 2 + 0.5 * cosine * float(weights @ density)
    return np.array([R, both, -R - t * R1 + cosine * A1, -A1, D])


def _coefficient(activation: str, m: int, t: float) -> float:
    """u_m in closed form, which does not vanish at thresholds that no quadrature reaches."""
    if activation == "ReLU":
        return threshold_coefficients(t)[(2, 4).index(m)]
    return float(normalized_hermite(m - 1, t) * normal_density(t)) / math.sqrt(m)


def _loss(gram: Array, c: Array, activation: str, t: float, products: float) -> HermiteLoss:
    """G of all linear terms and all products of two, in the coordinates y = diag(sqrt c) W z."""
    d = len(c)
    u2, u4 = (math.sqrt(math.factorial(m)) * _coefficient(activation, m, t) for m in (2, 4))
    rows = np.eye(d) / np.sqrt(c)[:, None]  # w_i . z = y_i/sqrt(c_i)
    second, vectors, weights = np.eye(d), [*rows], [*c]
    for i, j in itertools.combinations(range(d), 2):
        m20, m11, m40, m31, m22 = products * pair_moments(activation, t, float(gram[i, j]))
        a, b = rows[i], rows[j]
        second += (m20 * (np.outer(a, a) + np.outer(b, b)) + m11 * (np.outer(a, b) + np.outer(b, a))) / u2
        # (a + b)^4 + (a - b)^4 = 2 a^4 + 2 b^4 + 12 a^2 b^2, and their difference is 8 (a^3 b + a b^3).
        vectors += [a, b, a + b, a - b]
        weights += [(m40 - m22) / u4] * 2 + [0.5 * (m22 + m31) / u4, 0.5 * (m22 - m31) / u4]
    fourth = np.tensordot(weights, outer_power(np.array(vectors), 4), axes=1)
    moment = TensorMoment(math.sqrt(24.0) * fourth)
    return HermiteLoss(math.sqrt(2.0) * second, moment, 1.0, 1.0, _WIDTH / c.min())


def _axis_point(c: Array, i: int) -> Array:
    """The minimum of the linear part on axis i (`prop-minima`)."""
    lam = _WIDTH / c.min()
    return np.asarray(np.eye(len(c))[i] * math.sqrt(lam / (lam - 1.0 / c[i])))


def off_axis(
    gram: Array, c: Array, activation: str, t: float, *, products: float = 1.0
) -> tuple[float, float, float]:
    r"""Return the largest :math:`|y_j/y_i|` over the minima of G, and two largest gaps of :math:`|y_i|`.

    The gaps are to 1 and to the length of the linear part's minimum, at which the first number is zero.
    Newton's method from there, on exact moments of the network with all products of two units.
    """
    loss, across, length, exact = _loss(gram, c, activation, t, products), [], [], []
    for i in range(len(c)):
        start = y = _axis_point(c, i)
        for _ in range(30):
            step = np.linalg.solve(loss.hessian(y), loss.value_and_gradient(y)[1])
            y = y - step
            if np.abs(step).max() < 1e-15:
                break
        across.append(np.abs(np.delete(y, i)).max() / abs(y[i]))
        length.append(abs(abs(y[i]) - 1.0))
        exact.append(abs(y[i] - start[i]))
    return float(max(across)), float(max(length)), float(max(exact))


def power_of_scale(gram: Array, c: Array, activation: str) -> float:
    r"""Return the power of :math:`\rho(t, 1) = e^{-t^2/2}` at which the minima approach the axes.

    From t = 14 to 20, beyond the power of t: 1/t for sign units and 1/t^2 for ReLU.
    """
    errors = [off_axis(gram, c, activation, t)[0] for t in _HIGH]
    power = {"sign": 1.0, "ReLU": 2.0}[activation]
    return float(np.polyfit(-(_HIGH**2) / 2.0, np.log(errors) + power * np.log(_HIGH), 1)[0])


def equal(d: int, cosine: float) -> Array:
    """Return the Gram matrix of d units, all at one cosine."""
    return np.full((d, d), cosine) + (1.0 - cosine) * np.eye(d)


def ring(d: int, cosine: float) -> Array:
    """Return the Gram matrix of d units in a ring, neighbours at one cosine and all others orthogonal.

    Its condition number is bounded in d for a cosine below one half.
    """
    G = np.eye(d)
    for i in range(d):
        G[i, (i + 1) % d] = G[(i + 1) % d, i] = cosine
    return G


def growth(activation: str, power: float) -> float:
    """Return the slope of the largest error across against the number of units, both logarithmic.

    From 4 to 12 units in a ring at the cosine 0.4 and t = 6; the products have coefficients d^power.
    """
    sizes = np.array([4, 6, 8, 12])
    worst = [
        off_axis(ring(d, 0.4), np.ones(d), activation, 6.0, products=float(d**power))[0]
        for d in sizes.tolist()
    ]
    return float(np.polyfit(np.log(sizes), np.log(worst), 1)[0])


def approximate_minima(*, seed: int, d: int, starts: int = 20) -> tuple[Array, Array, Array]:
    r"""Return tolerances tau, the largest :math:`|y_j|` of (epsilon, tau)-minima, and of saddles.

    For :math:`\epsilon = \sqrt{\tau^3/|u_4|}`, oblique weights and coefficients from 1/2 to 3/2, in units
    of :math:`|u_4|`: points with the gradient epsilon g next to each minimum, g the flattest direction or
    random, and ends of descents from random starts that stop at epsilon. All have curvatures above -tau.
    The saddles have two coordinates, no gradient, and a curvature that is too negative.
    """
    rng = np.random.default_rng(seed)
    c = rng.uniform(0.5, 1.5, d)
    W = np.eye(d) + 0.5 * rng.standard_normal((d, d)) / math.sqrt(d)
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    B = np.sqrt(c)[:, None] * W
    inverse, lam = np.linalg.inv(B), _WIDTH / c.min()
    rows = math.sqrt(24.0) * np.tensordot(1.0 / c, outer_power(B, 4), axes=1)
    loss = HermiteLoss(math.sqrt(2.0) * B.T @ B, TensorMoment(rows), 1.0, 1.0, lam)
    taus, worst = np.array([1e-1, 1e-2, 1e-3, 1e-4]), []
    for tau in taus:
        epsilon, points = tau**1.5, []
        for i in range(d):
            z0 = inverse @ _axis_point(c, i)
            flat = np.linalg.eigh(loss.hessian(z0))[1][:, 0]
            for g in (flat, rng.standard_normal(d)):
                z, pull = z0, epsilon * g / np.linalg.norm(g)
                for _ in range(20):
                    z = z - np.linalg.solve(loss.hessian(z), loss.value_and_gradient(z)[1] - pull)
                points.append(z)
        tol = epsilon / math.sqrt(d)
        points += [quasi_newton(loss, rng.standard_normal(d), tol=tol).weights for _ in range(starts)]
        kept = [z for z in points if np.linalg.eigvalsh(loss.hessian(z))[0] >= -tau]
        worst.append(max(np.sort(np.abs(B @ z))[-2] for z in kept))
    # At the saddle between the first two minima y_i^2 = c_i lam (|y|^2 - 1).
    saddle = math.sqrt(c[:2].min() * lam / (c[:2].sum() * lam - 1.0))
    return taus, np.array(worst), np.full(len(taus), saddle)


# --- powers of units ----------------------------------------------------------------------------------


def product_of_powers(t: float, powers: tuple[int, ...], cosine: float) -> float:
    r"""Return :math:`E\prod_i (a_i - t)_+^{r_i}` of ReLU units, all at one cosine from 0 to below 1.

    Given the common part :math:`\sqrt c\,z` the units are independent, and their means are repeated
    integrals of the normal tail: :math:`I_r = -k I_{r-1} + (r - 1) I_{r-2}`.
    """
    n, sigma = len(powers), math.sqrt(1.0 - cosine)
    nodes, weights = _NODES
    centre = math.sqrt(cosine) * t * n / (1.0 + (n - 1) * cosine)  # of the nearest point of all active
    z = centre + 9.0 * nodes
    k = (t - math.sqrt(cosine) * z) / sigma
    means = [norm.sf(k), normal_density(k) - k * norm.sf(k)]
    for r in range(2, max(powers) + 1):
        means.append(-k * means[r - 1] + (r - 1) * means[r - 2])
    product = np.prod([sigma**r * means[r] for r in powers], axis=0)
    return float(9.0 * weights @ (normal_density(z) * product))


def products_exponent(powers: tuple[int, ...], cosine: float) -> float:
    """Return the rate at which log E of the product falls in t^2/2, beyond its power of t.

    The power is -sum(r_i + 1): each unit is a Laplace integral with a rate proportional to t.
    """
    t = np.array([8.0, 9.0, 10.0])
    logs = np.log([product_of_powers(s, powers, cosine) for s in t])
    return float(np.polyfit(-(t**2) / 2.0, logs + sum(r + 1 for r in powers) * np.log(t), 1)[0])


def powers_above_bound(powers: tuple[int, ...], cosine: float) -> float:
    """Return the product over Lemma 17's rho(t, 1) rho(t, |W|)^(n - 1) at t = 8, in units of t = 4."""
    n = len(powers)
    rate = 1.0 + (n - 1) / (1.0 + (n - 1) * cosine)
    high, low = (product_of_powers(t, powers, cosine) * math.exp(rate * t * t / 2.0) for t in (8.0, 4.0))
    return high / low
