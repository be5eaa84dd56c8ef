"""Chapter 4: products of units in the landscape of all rows at once, and on the sphere (GP Appendix B)."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from companion.sweep import Sweep
from nnmoments.activations import Activation, relu_threshold, sign_threshold
from nnmoments.landscapes import SimultaneousLoss, weights_from_minima
from nnmoments.moments import TensorMoment
from nnmoments.networks import HiddenPolynomial
from nnmoments.optimize import quasi_newton
from nnmoments.validation import Array

__all__ = ["simultaneous_products", "sphere_gaps", "sphere_loss"]


def _angle(rows: Array, others: Array) -> float:
    """Largest angle in degrees from one of the rows to the nearest of the others, up to sign."""
    nearest = np.abs(rows @ others.T).max(axis=1).min() if len(rows) and len(others) else 0.0
    return math.degrees(math.acos(min(1.0, float(nearest))))


def _simultaneous_products(
    *, unit: str, rows: str, proportion: float, d: int, starts: int, trial: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Worst angles at the ends of descents on G(W), for exact moments with products of two units.

    Coefficients are from 1/2 to 3/2, those of products normal, as for `search_rounds.products_unlike`;
    the threshold is `proportion` at d = 3 and grows like the root of log d. GP Theorem 11
    """
    while True:
        W = np.eye(d) + 0.5 * rng.standard_normal((d, d)) / math.sqrt(d)
        W = np.linalg.qr(W)[0] if rows == "orthonormal" else W / np.linalg.norm(W, axis=1, keepdims=True)
        if np.linalg.cond(W) <= 3.0:
            break
    t = proportion * math.sqrt(math.log(d) / math.log(3.0))
    u = relu_threshold(t) if unit == "ReLU" else sign_threshold(t)
    c = rng.uniform(0.5, 1.5, d)
    terms: dict[tuple[int, ...], float] = {(i,): float(c[i]) for i in range(d)}
    f = HiddenPolynomial(
        W, u, terms | {pair: rng.standard_normal() for pair in itertools.combinations(range(d), 2)}
    )
    # In units of u_4 and at the scale of the minima: the descent has an absolute tolerance.
    u2, u4 = u.hermite_coefficient(2), u.hermite_coefficient(4)
    second, fourth = f.moment(2) / u2, f.moment(4) / u4
    loss = SimultaneousLoss(second, TensorMoment(fourth), 1.0, 1.0, 20.0 / c.min())
    values, vectors = np.linalg.eigh(second)
    white = vectors / np.sqrt(np.abs(values))  # products may have turned an eigenvalue
    angles = []
    for _ in range(starts):
        V = rng.standard_normal((d, d))
        V *= 2.0**0.25 / np.linalg.norm(V, axis=1, keepdims=True)
        end = quasi_newton(loss, V @ white.T, max_iter=5000).weights
        lengths = np.linalg.norm(end, axis=1, keepdims=True)
        regular = lengths.min() > 0.0 and np.linalg.svd(end / lengths, compute_uv=False)[-1] > 1e-6
        angles.append(_angle(W, weights_from_minima(end)) if regular else 90.0)
    return {"angle": max(angles), "least": min(angles), "threshold": t}


simultaneous_products = Sweep(
    "04-simultaneous-products",
    _simultaneous_products,
    quick=[
        {"unit": "ReLU", "rows": "oblique", "proportion": 3.5, "d": 3, "starts": 5, "trial": 0},
    ],
    paper=[
        {"unit": unit, "rows": rows, "proportion": proportion, "d": d, "starts": 5, "trial": trial}
        for unit in ("ReLU", "sign")
        for rows in ("oblique", "orthonormal")
        for proportion in (2.0, 3.5)
        for d in (3, 5)
        for trial in range(4)
    ],
    rtol=1e-3,
    chaotic=0.15,  # where products move minima far, rounding decides in which a descent ends
)


# --- orthonormal weights ------------------------------------------------------------------------------


def sphere_loss(u: Activation, c: Array, products: Array, l: int) -> Callable[[Array], tuple[float, Array]]:
    r"""Return :math:`\mathrm{sgn}(u_l)\,E[f\,h_l(z \cdot x)]/|u_l|` and its gradient, weights e_i.

    A product of units i and j adds :math:`\sum_m \binom{l}{m}^{1/2} u_m u_{l-m}\,z_i^m z_j^{l-m}`, by the
    parts of :math:`h_l` in :math:`x_i` and :math:`x_j` alone. `products` has them above the diagonal.
    """
    um = np.array([u.hermite_coefficient(m) for m in range(l + 1)])
    factors = [math.sqrt(math.comb(l, m)) * um[m] * um[l - m] / um[l] for m in range(l + 1)]

    def value_and_gradient(z: Array) -> tuple[float, Array]:
        value, slope = float(np.sum(c * z**l)), l * c * z ** (l - 1)
        for m, factor in enumerate(factors):
            first, second = factor * products @ z ** (l - m), factor * products.T @ z**m
            value += float(z**m @ first)
            slope = slope + m * z ** max(m - 1, 0) * first + (l - m) * z ** max(l - m - 1, 0) * second
        return value, np.asarray(slope)

    return value_and_gradient


def sphere_gaps(*, unit: str, l: int, t: float, d: int, seed: int, starts: int = 3) -> float:
    r"""Return the largest angle in degrees between a weight and a maximum of that on the sphere.

    Coefficients are from 1/2 to 3, those of all products of two normal. Ascents start at each weight and
    at random points, `starts` for each weight: those from a weight must end there, others at some weight.
    """
    rng = np.random.default_rng([seed, l])
    u = relu_threshold(t) if unit == "ReLU" else sign_threshold(t)
    c, products = rng.uniform(0.5, 3.0, d), np.triu(rng.standard_normal((d, d)), 1)
    form = sphere_loss(u, c, products, l)

    def descent(z: Array) -> tuple[float, Array]:
        r = float(np.linalg.norm(z))
        value, slope = form(z / r)
        return -value, -(slope - (slope @ z) * z / r**2) / r

    worst = 0.0
    for i, z in enumerate([*np.eye(d), *rng.standard_normal((starts * d, d))]):
        for _ in range(20):  # lengths drift, as the value does not depend on them
            z = np.asarray(z / np.linalg.norm(z))
            if np.abs(descent(z)[1]).max() < 1e-7:
                break
            z = minimize(descent, z, jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 50}).x
        share = np.abs(z) / np.linalg.norm(z)
        worst = max(worst, math.degrees(math.acos(min(1.0, float(share[i] if i < d else share.max())))))
    return worst
