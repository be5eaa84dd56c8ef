"""Chapter 5: even units with unlike coefficients and signed products (GP Theorem 9, corrected)."""

import itertools
import math
from typing import Any

import numpy as np
from scipy.optimize import minimize

from companion.sweep import Sweep, grid
from nnmoments.activations import Activation, absolute, cosine
from nnmoments.landscapes import sphere_maxima
from nnmoments.moments import controlled_moments
from nnmoments.networks import HiddenPolynomial, conditioned_weights, shifted_coefficient
from nnmoments.structured import even_form
from nnmoments.validation import Array

__all__ = ["UNITS", "critical_scale", "instance", "maxima_are_weights", "unlike", "unlike_samples"]

#: Even activations, by name.
UNITS: dict[str, Activation] = {"cosine": cosine, "absolute": absolute}
_Terms = dict[tuple[int, ...], float]


def critical_scale(c: Array, products: _Terms, u: Activation, d: int, *, total: bool = False) -> float:
    r"""Return the least s > 0 at which :math:`\sum_i c_i X_i + s \sum_S c_S X_S` leaves the condition.

    The condition is :math:`2\min\{C(\{i\}), C(\{j\})\} > \sqrt6\,(u_2^2/u_4)\,C(\{i, j\})` for all pairs,
    and, with fewer units than the d dimensions, :math:`C(\{i\}) > 0`. GP's, with `total`, has the sum of
    the two in place of twice the smaller. All sides are lines in s.
    """
    u0, u2, u4 = (u.hermite_coefficient(m) for m in (0, 2, 4))

    def slope(*subset: int) -> float:
        return shifted_coefficient(products, subset, u0, reduced=True)

    lines = [(c[i], slope(i)) for i in range(len(c))] if d > len(c) else []
    for i, j in itertools.combinations(range(len(c)), 2):
        right = math.sqrt(6.0) * u2**2 / u4 * slope(i, j)
        if total:
            lines.append((c[i] + c[j], slope(i) + slope(j) - right))
        else:
            lines += [(2.0 * c[i], 2.0 * slope(i) - right), (2.0 * c[j], 2.0 * slope(j) - right)]
    return min((at / -falls for at, falls in lines if falls < 0.0), default=math.inf)


def maxima_are_weights(f: HiddenPolynomial, sign: float, *, starts: int, rng: np.random.Generator) -> bool:
    r"""Say whether the maxima of :math:`\pm E[f\,h_4(z \cdot x)]` on the sphere are the weights.

    From the exact :math:`T_4` alone. At a weight the gradient must vanish and the Hessian on the sphere,
    :math:`12\,T_4(w, w, \cdot, \cdot) - 4\,T_4(w, w, w, w)\,I` on the tangents, be negative; and no ascent
    from random points may end ten degrees or more from all weights.
    """
    T = sign * f.moment(4)
    T = T / float(np.abs(T).max())
    for w in f.weights:
        tangents = np.linalg.svd(w[None])[2][1:]
        slope = T @ w @ w @ w
        hessian = 12.0 * tangents @ (T @ w @ w) @ tangents.T - 4.0 * float(slope @ w) * np.eye(f.d - 1)
        if np.abs(tangents @ slope).max() > 1e-9 or np.linalg.eigvalsh(hessian)[-1] >= 0.0:
            return False

    def descent(z: Array) -> tuple[float, Array]:
        r2 = float(z @ z)
        cubic = T @ z @ z @ z
        value = float(cubic @ z) / r2**2
        return -value, -4.0 * (cubic / r2**2 - value * z / r2)

    for _ in range(starts):
        z = np.asarray(rng.standard_normal(f.d))
        for _ in range(20):  # lengths drift, as the value does not depend on them
            z = np.asarray(z / np.linalg.norm(z))
            if np.abs(descent(z)[1]).max() < 1e-7:
                break
            z = minimize(descent, z, jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 50}).x
        if np.abs(f.weights @ z).max() < math.cos(math.radians(10.0)) * np.linalg.norm(z):
            return False
    return True


def instance(
    u: Activation, k: int, d: int, spread: float, condition: str, at: float, rng: np.random.Generator
) -> HiddenPolynomial:
    """Return a network with coefficients from 1/spread to spread, its products at a share of their limit."""
    W = conditioned_weights(k, d, rng=rng)
    while True:
        c = np.exp(rng.uniform(-math.log(spread), math.log(spread), size=k))
        subsets = [s for r in (2, 3) for s in itertools.combinations(range(k), r)]
        products = {s: float(v) for s, v in zip(subsets, rng.standard_normal(len(subsets)), strict=True)}
        scale = critical_scale(c, products, u, d, total=condition == "sum")
        if math.isfinite(scale):
            break
    terms: _Terms = {(i,): float(c[i]) for i in range(k)}
    return HiddenPolynomial(W, u, terms | {s: at * scale * v for s, v in products.items()})


def _unlike(
    *, activation: str, condition: str, at: float, k: int, d: int, trial: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Whether the maxima of the exact correlation are the weights, and the margin that the library names."""
    u = UNITS[activation]
    f = instance(u, k, d, 3.0, condition, at, rng)
    sign = math.copysign(1.0, u.hermite_coefficient(4))
    return {
        "exact": int(maxima_are_weights(f, sign, starts=5 * k, rng=rng)),
        "margin": even_form(f).margin,
    }


_SIDES = [("smaller", 0.95), ("smaller", 1.05), ("sum", 0.95)]
_SIZES = [(2, 2), (2, 4), (3, 3), (4, 4), (4, 6), (6, 6)]

unlike = Sweep(
    "05-even-unlike",
    _unlike,
    quick=[
        {"activation": "cosine", "condition": condition, "at": at, "k": 3, "d": 3, "trial": trial}
        for condition, at in _SIDES
        for trial in range(3)
    ],
    paper=[
        {"activation": activation, "condition": condition, "at": at, "k": k, "d": d, "trial": trial}
        for activation in UNITS
        for condition, at in _SIDES
        for k, d in _SIZES
        for trial in range(20)
    ],
)


def _unlike_samples(
    *, condition: str, at: float, n: int, trial: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Worst angle, in degrees, from a maximum that samples give to the weights of four cosine units."""
    f = instance(cosine, 4, 4, 2.0, condition, at, rng)
    X = rng.standard_normal((n, 4))
    fourth = controlled_moments(X, f(X)).fourth.tensor  # type: ignore[attr-defined]
    found = sphere_maxima(fourth, 4, rng=rng)
    worst = np.clip(np.abs(f.weights @ found.T).max(axis=1), 0.0, 1.0).min()
    return {"angle": math.degrees(math.acos(worst)), "margin": even_form(f).margin}


unlike_samples = Sweep(
    "05-even-samples",
    _unlike_samples,
    quick=[
        {"condition": condition, "at": at, "n": 50_000, "trial": 0}
        for condition, at in (("smaller", 0.5), ("sum", 0.95), ("sum", 2.0))
    ],
    paper=[
        *grid(condition=["smaller"], at=[0.5], n=[100_000, 1_000_000], trial=range(10)),
        *grid(condition=["sum"], at=[0.95, 2.0], n=[1_000_000], trial=range(10)),
    ],
    rtol=1e-3,
)
