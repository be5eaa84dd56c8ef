"""Chapter 5: units that are not alike, at planes, in the graph, in shifts, and under the oracle."""

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd

from companion.sweep import Sweep, grid, slope_interval
from nnmoments.activations import exponential, sigmoid_threshold, sign_threshold
from nnmoments.borders import delta_correlation
from nnmoments.hermite import normal_density
from nnmoments.landscapes import ellipsoid_rows
from nnmoments.moments import active_moments
from nnmoments.networks import HiddenPolynomial, conditioned_weights, shifted_coefficient, tilted_sample
from nnmoments.structured import ExactShiftedMean, correlation_graph, disjoint_supports, support_cliques
from nnmoments.validation import Array

__all__ = [
    "biased_unlike",
    "disjoint_unlike",
    "far_from_weights",
    "graph_unlike",
    "oblique_height",
    "oblique_network",
    "power_along",
    "shared_terms",
]

_Terms = dict[tuple[int, ...], float]
_Interval = tuple[float, float, float]
_LOW = 0.5


# --- planes (Theorem 6) ---------------------------------------------------------------------------------


def oblique_network(rng: np.random.Generator) -> HiddenPolynomial:
    """Return products of four sign units at acute angles, with coefficients from 1/2 to 3/2."""
    W = np.array([[1.0, 0, 0, 0], [0.5, 0.8, 0.2, 0], [0.4, -0.3, 0.7, 0.3], [0.3, 0.2, -0.2, 0.9]])
    W = W @ conditioned_weights(4, 4, rng=rng)  # turned at random
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    terms: _Terms = {pair: float(rng.uniform(0.5, 1.5)) for pair in itertools.combinations(range(4), 2)}
    return HiddenPolynomial(W, sign_threshold(_LOW), {**terms, (0, 1, 2): 1.0})


def oblique_height(*, seed: int, points: int = 600_000) -> tuple[_Interval, float]:
    r"""Return C_2 at a weight over :math:`\varphi(t)\,E[Q_i \mid w_i \cdot x = t]`, with its interval.

    The last number is the height that holds for orthonormal weights over the same.
    """
    rng = np.random.default_rng(seed)
    f = oblique_network(rng)
    w = f.weights[0]
    c = delta_correlation(f, w, _LOW, order=1, epsilon=1e-4, n_samples=points, rng=rng)
    inside = rng.standard_normal((points, f.d))
    on = (inside - np.outer(inside @ w, w) + _LOW * w) @ f.weights.T > _LOW
    Q = np.zeros(points)
    for term, coefficient in f.terms.items():
        if 0 in term:
            Q += coefficient * np.all(on[:, [j for j in term if j != 0]], axis=1)
    phi = float(normal_density(_LOW))
    height = phi * float(Q.mean())
    half = 4.9 * math.hypot(c.standard_error, phi * float(Q.std()) / math.sqrt(points))
    value = c.value / height
    mu = f.activation.hermite_coefficient(0)
    independent = phi * shifted_coefficient(f.terms, [0], mu, reduced=True)
    return (value, value - half / height, value + half / height), independent / height


def far_from_weights(*, seed: int, directions: int = 40, points: int = 10_000) -> tuple[float, float]:
    """Return the largest correlation at directions 20 degrees or more from all weights, and that at a weight.

    Both over the least at a weight.
    """
    rng = np.random.default_rng(seed)
    f = oblique_network(rng)

    def correlation(z: Array) -> float:
        return delta_correlation(f, z, _LOW, order=1, epsilon=0.005, n_samples=points, rng=rng).value

    at = [correlation(w) for w in f.weights]
    far: list[float] = []
    while len(far) < directions:
        z = np.asarray(rng.standard_normal(f.d))
        z = np.asarray(z / np.linalg.norm(z))
        if np.abs(f.weights @ z).max() < math.cos(math.radians(20.0)):
            far.append(abs(correlation(z)))
    return max(far) / min(at), max(at) / min(at)


# --- supports (Theorems 7 and 8) ------------------------------------------------------------------------


def _supports(sizes: list[int], rng: np.random.Generator) -> list[list[int]]:
    """Return disjoint supports of these sizes among all inputs."""
    order = rng.permutation(sum(sizes))
    return [sorted(part.tolist()) for part in np.split(order, np.cumsum(sizes)[:-1])]


def _graph_unlike(*, gap: float, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    r"""Whether a threshold leaves the supports as cliques, and whether the cut at the widest gap finds it.

    For :math:`c_i` from 1/2 to 2 and products of either sign, scaled so that the least
    :math:`C(\{i\}, \mu)` is `gap` times the largest :math:`C(\{i, j\}, \mu)`. GP Theorem 7
    """
    k, size, rate, shift = 5, 4, 0.5, 2.0
    supports = _supports([size] * k, rng)
    W = np.zeros((k, k * size))
    for row, support in zip(W, supports, strict=True):
        row[support] = 1.0
    mu = math.exp(-rate * (shift - rate * size / 2.0))
    c = np.exp(rng.uniform(-math.log(2.0), math.log(2.0), k))
    pairs = list(itertools.combinations(range(k), 2))
    scales: list[float] = []
    while not scales:
        drawn: _Terms = dict(zip(pairs, rng.standard_normal(len(pairs)).tolist(), strict=True))
        most = gap * max(shifted_coefficient(drawn, pair, mu) for pair in pairs)
        # Both sides are lines in the scale of the products.
        own = [shifted_coefficient(drawn, [i], mu) for i in range(k)]
        scales = [float(c[i]) * mu / (most - own[i]) for i in range(k) if most > max(own[i], 0.0)]
    s = min(scales)
    P: _Terms = {(i,): float(c[i]) for i in range(k)} | {pair: s * v for pair, v in drawn.items()}
    X = rng.standard_normal((n, k * size))
    weights = correlation_graph(X, HiddenPolynomial(W, exponential(rate, shift), P)(X))
    found = support_cliques(weights, size)
    unit = W.argmax(axis=0)
    rows, columns = np.triu_indices(k * size, 1)
    same, value = unit[rows] == unit[columns], weights.value[rows, columns]
    return {
        "apart": bool(value[same].min() > value[~same].max()),
        "found": [list(s) for s in found.supports] == sorted(supports),
        "cliques": len(found.supports),
    }


graph_unlike = Sweep(
    "05-graph-unlike",
    _graph_unlike,
    quick=grid(gap=[3.0], n=[20_000], trial=range(2)),
    paper=[
        *grid(gap=[3.0], n=[10_000, 300_000], trial=range(20)),
        *grid(gap=[0.5], n=[300_000], trial=range(20)),
    ],
)


def shared_terms(terms: str, rng: np.random.Generator) -> tuple[_Terms, list[list[int]]]:
    """Return the terms of six units and their supports of two to four of 18 inputs.

    Coefficients are from 1/5 to 3, those of all pairs and one triple 1/2; "together" leaves out all terms
    that hold one of the first two units and not the other.
    """
    supports = _supports([2, 3, 4, 2, 3, 4], rng)
    c = np.exp(rng.uniform(math.log(0.2), math.log(3.0), 6))
    P: _Terms = {(i,): float(v) for i, v in enumerate(c)}
    P |= dict.fromkeys(itertools.combinations(range(6), 2), 0.5) | {(0, 1, 2): 0.5}
    if terms == "together":
        P = {term: v for term, v in P.items() if (0 in term) == (1 in term)}
    return P, supports


def _disjoint_unlike(*, terms: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Whether the maxima of the exact g, with its mass fixed, are the supports.  GP Theorem 8"""
    P, supports = shared_terms(terms, rng)
    found = disjoint_supports(ExactShiftedMean(P, supports, 18), 18, 6, radius=2.5, gamma=0.1, rng=rng)
    return {"found": [list(s) for s in found.supports] == sorted(supports), "contrast": found.contrast}


disjoint_unlike = Sweep(
    "05-disjoint-unlike",
    _disjoint_unlike,
    quick=grid(terms=["separated"], trial=range(2)),
    paper=[*grid(terms=["separated"], trial=range(30)), *grid(terms=["together"], trial=range(10))],
    rtol=1e-3,
)


# --- the biased oracle (Theorem 13) ---------------------------------------------------------------------


def _biased_unlike(*, labels: str, t: float, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Worst angle, in degrees, of sigmoid weights with coefficients from 1/10 to 3/10 and condition 3."""
    W = conditioned_weights(4, 4, condition=3.0, rng=rng)
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    terms: _Terms = {(i,): float(v) for i, v in enumerate(rng.uniform(0.1, 0.3, 4))}
    terms |= {pair: float(rng.uniform(0.0, 0.04)) for pair in itertools.combinations(range(4), 2)}
    f = HiddenPolynomial(W, sigmoid_threshold(t), terms)
    if labels == "kept":
        X = tilted_sample(f, n, rng=rng).X
        y = np.ones(n)
    else:
        X = rng.standard_normal((n, 4))
        y = (rng.random(n) < f(X)).astype(np.float64)
    if y.sum() < 30:
        return {"angle": 90.0}
    moments = active_moments(X, y / y.mean(), form="tensor")
    rows = ellipsoid_rows(moments.second, moments.fourth.tensor, 4, rng=rng)  # type: ignore[attr-defined]
    cosines = np.abs(W @ rows.T).max(axis=1) if len(rows) else np.zeros(4)
    return {"angle": math.degrees(math.acos(min(1.0, float(cosines.min()))))}


biased_unlike = Sweep(
    "05-biased-unlike",
    _biased_unlike,
    quick=grid(labels=["kept"], t=[8.0], n=[100_000], trial=[0]),
    paper=[
        *grid(labels=["kept"], t=[8.0], n=[300_000, 1_000_000, 3_000_000], trial=range(8)),
        *grid(labels=["bits"], t=[8.0], n=[3_000_000], trial=range(8)),
    ],
    rtol=1e-3,
)


def power_along(frame: pd.DataFrame, axis: str, **at: Any) -> tuple[float, float, float]:
    """Return the mean power of an axis in the worst angle, and its interval over the trials of all seeds.

    Examples
    --------
    >>> frame = pd.DataFrame({"n": [1, 4, 1, 4], "seed": [0, 0, 1, 1], "trial": 0, "labels": "kept"})
    >>> round(power_along(frame.assign(angle=[8.0, 4.0, 6.0, 3.0]), "n", labels="kept")[0], 6)
    -0.5
    """
    chosen = frame[np.all([frame[name].eq(value) for name, value in at.items()], axis=0)]
    table = chosen.pivot_table(index=axis, columns=["seed", "trial"], values="angle")
    return slope_interval(table.index.to_numpy(dtype=float), table.to_numpy())
