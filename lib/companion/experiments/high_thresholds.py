"""Chapter 4: high thresholds, the landscape they leave, and refinement (GP Sections 2 and 2.1)."""

import itertools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from companion.sweep import Sweep, grid
from nnmoments.activations import (
    Activation,
    relu_threshold,
    sigmoid_threshold,
    sign_threshold,
    threshold_coefficients,
)
from nnmoments.borders import (
    delta_correlation,
    fit_border,
    fit_crossings,
    refine_estimate,
    sampled_refine_estimate,
    tan_alpha,
)
from nnmoments.hermite import (
    gaussian_expectation,
    hermite_polynomial,
    hermite_scaling,
    normal_density,
    normalized_hermite,
    paired_hermite_projections,
)
from nnmoments.landscapes import HermiteLoss, SimultaneousLoss, SphereLoss, find_minima, weights_from_minima
from nnmoments.learners import ThresholdNetwork
from nnmoments.learners.beside import factor_rows
from nnmoments.learners.threshold_network import decode_moments
from nnmoments.linalg import outer_power
from nnmoments.moments import HermiteMoments, TensorMoment, active_moments, controlled_moments
from nnmoments.networks import HiddenPolynomial
from nnmoments.optimize import classify, quasi_newton
from nnmoments.validation import Array

__all__ = [
    "acceptance",
    "activations",
    "bias",
    "bound_growth",
    "closed_forms",
    "coefficients",
    "control",
    "cotangent",
    "dimension",
    "exact_moments",
    "fading",
    "gap_without_coefficients",
    "hermite_facts",
    "landscape",
    "linear_minima",
    "orthonormal",
    "other_units",
    "permuted",
    "recovery_samples",
    "recovery_thresholds",
    "refinement",
    "remainder",
    "simultaneous",
    "simultaneous_coefficients",
    "slopes",
    "tangent",
]

UNITS: dict[str, Callable[[float], Activation]] = {
    "ReLU": relu_threshold,
    "sign": sign_threshold,
    "sigmoid": sigmoid_threshold,
}
_COSINE, _SIZE = 0.2, 10  # of the network of Lemmas 1 and 2: ten weights, all at this cosine


# --- networks -----------------------------------------------------------------------------------------


def _weights(d: int, rng: np.random.Generator) -> Array:
    """Unit rows with a condition number of at most three (GP Assumption 1)."""
    while True:
        W = np.eye(d) + 0.5 * rng.standard_normal((d, d)) / math.sqrt(d)
        W /= np.linalg.norm(W, axis=1, keepdims=True)
        if np.linalg.cond(W) <= 3.0:
            return np.asarray(W)


def _orthonormal_polynomial(n: int) -> Callable[[Array], Array]:
    return lambda x: normalized_hermite(n, x)


def _network(W: Array, u: Activation, *, product: float = 1.0) -> HiddenPolynomial:
    """All linear terms and all products of two units, with coefficients one (GP Assumption 1)."""
    terms: dict[tuple[int, ...], float] = {(i,): 1.0 for i in range(len(W))}
    if product:
        terms.update(dict.fromkeys(itertools.combinations(range(len(W)), 2), product))
    return HiddenPolynomial(W, u, terms)


def _labels(f: HiddenPolynomial, X: Array) -> Array:
    """Labels, with f evaluated where some unit is active only."""
    if not f.activation.breakpoints:
        return f(X)
    on = np.max(X @ f.weights.T, axis=1) > f.activation.breakpoints[0]
    y = np.zeros(len(X))
    if on.any():
        y[on] = f(X[on])
    return y


def _angles(rows: Array, W: Array) -> Array:
    """Angle in radians from each true row to the nearest found one; without rows a right angle."""
    if not len(rows):
        return np.full(len(W), 0.5 * np.pi)
    # Through the sine: the cosine loses half of the digits.
    cosine = rows @ W.T
    nearest = np.argmax(np.abs(cosine), axis=0)
    chosen, along = rows[nearest], cosine[nearest, range(len(W))]
    sine = np.linalg.norm(chosen - along[:, None] * W, axis=1)
    return np.asarray(np.arctan2(sine, np.abs(along)))


def _worst(rows: Array, W: Array) -> float:
    """The worst angle in degrees."""
    return float(np.rad2deg(_angles(rows, W).max()))


def _linear_moments(W: Array, c: Array, u: Activation) -> HermiteMoments:
    r"""Exact moments of :math:`\sum c_i u(w_i \cdot x)`.  GP Lemma 9"""
    T = [
        math.sqrt(math.factorial(m))
        * u.hermite_coefficient(m)
        * np.tensordot(c, outer_power(W, m), axes=(0, 0))
        for m in (0, 1, 2, 4)
    ]
    return HermiteMoments(float(T[0]), T[1], T[2], TensorMoment(T[3]), 0, 0)


def exact_moments(f: HiddenPolynomial) -> HermiteMoments:
    """T_2 and T_4 by quadrature; T_0 and T_1, of which only signs are taken, of the linear part."""
    linear = f.linear_part
    return HermiteMoments(
        float(linear.moment(0)),
        linear.moment(1),
        f.moment(2),
        TensorMoment(f.moment(4)),
        0,
        0,
        "all noise",
    )


def _product(
    first: Callable[[Array], Array], second: Callable[[Array], Array], scale: float
) -> Callable[[Array], Array]:
    return lambda g: first(g) * second(scale * g)


# --- facts about Hermite polynomials and the coefficients of thresholds -------------------------------


def hermite_facts(*, printed: bool = False) -> float:
    """Return the largest deviation of GP Facts 1 to 5 and Lemma 9, for h_n or He_n as each needs.

    `printed` takes Facts 3 to 5 for the normalised polynomials, as they are printed.
    """
    worst = 0.0
    x, y, gamma = np.linspace(-2.0, 2.0, 9), np.linspace(-1.0, 1.5, 9), 0.7
    M = paired_hermite_projections(_orthonormal_polynomial(3), _orthonormal_polynomial(3), 0, correlation=0.6)
    worst = max(worst, abs(float(M[0, 0]) - 0.6**3))  # Fact 2
    u = relu_threshold(1.5)
    mean = paired_hermite_projections(
        u, _orthonormal_polynomial(4), 0, correlation=0.6, breakpoints=((1.5,), ())
    )
    worst = max(worst, abs(float(mean[0, 0]) - u.hermite_coefficient(4) * 0.6**4))  # Lemma 9
    poly = normalized_hermite if printed else hermite_polynomial
    for n in range(6):
        for m in range(6):
            left, right = _orthonormal_polynomial(m), _orthonormal_polynomial(n)
            inner = float(gaussian_expectation(_product(left, right, 1.0)))
            worst = max(worst, abs(inner - (n == m)))  # Fact 1
            scaled = float(gaussian_expectation(_product(left, right, gamma)))
            expected = hermite_scaling(n, m, gamma)
            if printed:
                expected *= math.sqrt(math.factorial(n) / math.factorial(m))
            worst = max(worst, abs(scaled - expected))  # Facts 4 and 5
        r = math.sqrt(2.0)
        split = sum(math.comb(n, k) * poly(n - k, r * x) * poly(k, r * y) for k in range(n + 1))
        worst = max(worst, float(np.abs(poly(n, x + y) - 2.0 ** (-n / 2) * split).max()))  # Fact 3
    return worst


def closed_forms() -> float:
    r"""Return the largest relative deviation of :math:`u_2, u_4` from their closed forms.

    ReLU: :math:`\varphi/\sqrt2` and :math:`(t^2-1)\varphi/\sqrt{24}`; sign:
    :math:`h_{k-1}(t)\varphi(t)/\sqrt k`.
    """
    worst = 0.0
    for t in (0.5, 1.5, 2.0, 3.0, 4.0):
        relu, sign = relu_threshold(t), sign_threshold(t)
        for k, value in zip((2, 4), threshold_coefficients(t), strict=True):
            worst = max(worst, abs(relu.hermite_coefficient(k) / value - 1.0))
            value = float(normalized_hermite(k - 1, t) * normal_density(t)) / math.sqrt(k)
            worst = max(worst, abs(sign.hermite_coefficient(k) / value - 1.0))
    return worst


def _coefficients(*, activation: str, t: float, rng: np.random.Generator) -> dict[str, Any]:
    u = UNITS[activation](t)
    return {f"u{k}": u.hermite_coefficient(k) for k in (1, 2, 4)}


coefficients = Sweep(
    "04-coefficients",
    _coefficients,
    quick=grid(activation=list(UNITS), t=[0.5 * i for i in range(13)]),
    paper=grid(activation=list(UNITS), t=[round(0.1 * i, 1) for i in range(81)]),
)


def _scale(activation: str, t: float, sigma: float) -> float:
    """GP's rho(t, sigma)  (Lemmas 10 to 12)."""
    if activation == "sigmoid":
        return math.exp(-t + sigma**2 / 2.0)
    return math.exp(-(t**2) / (2.0 * sigma**2))


def _remainder(*, activation: str, t: float, rng: np.random.Generator) -> dict[str, Any]:
    """E|Delta| for ten weights at one cosine and all products of two, against E f_lin and Lemma 1."""
    u = UNITS[activation](t)
    kinks = u.breakpoints
    mean = float(gaussian_expectation(u, breakpoints=kinks))
    product = float(
        paired_hermite_projections(u, u, 0, correlation=_COSINE, breakpoints=(kinks, kinks))[0, 0]
    )
    norm = math.sqrt(1.0 + (_SIZE - 1) * _COSINE)
    condition = norm / math.sqrt(1.0 - _COSINE)
    return {
        "linear": _SIZE * mean,
        "remainder": math.comb(_SIZE, 2) * product,
        # Lemma 1 for a product of two
        "bound": _scale(activation, t, 1.0) * condition * _scale(activation, t, norm),
        "product": product,
    }


remainder = Sweep(
    "04-remainder",
    _remainder,
    quick=grid(activation=list(UNITS), t=[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    paper=grid(activation=list(UNITS), t=[0.25 * i for i in range(33)]),
)


def bound_ratio(activation: str, t: float, cosine: float) -> float:
    """Return E[X_1 X_2] of two units over Lemma 1's bound, rho(t, 1) kappa rho(t, |W|)."""
    u = UNITS[activation](t)
    kinks = u.breakpoints
    product = float(paired_hermite_projections(u, u, 0, correlation=cosine, breakpoints=(kinks, kinks))[0, 0])
    norm, least = math.sqrt(1.0 + abs(cosine)), math.sqrt(1.0 - abs(cosine))
    return product / (_scale(activation, t, 1.0) * (norm / least) * _scale(activation, t, norm))


def product_exponent(cosine: float) -> float:
    """Return the rate at which log E[X_1 X_2] of two sign units falls, over 1'G^-1 1 = 2/(1 + cosine).

    log(t^2 E[X_1 X_2]) is a line in -t^2/2 up to terms that vanish.
    """
    t = np.array([8.0, 9.0, 10.0])
    u = [UNITS["sign"](float(s)) for s in t]
    products = [
        float(
            paired_hermite_projections(
                f, f, 0, correlation=cosine, breakpoints=(f.breakpoints, f.breakpoints)
            )[0, 0]
        )
        for f in u
    ]
    slope = np.polyfit(-(t**2) / 2.0, np.log(products) + 2.0 * np.log(t), 1)[0]
    return float(slope) * (1.0 + cosine) / 2.0


def _slope_at_high_thresholds(cosine: float, power: float) -> float:
    """Slope of log E[X_1 X_2]/E[X_1] of two sign units, times a power of t, against -t^2/2."""
    t = np.array([8.0, 9.0, 10.0])
    ratio = []
    for s in t:
        u = UNITS["sign"](float(s))
        kinks = u.breakpoints
        both = paired_hermite_projections(u, u, 0, correlation=cosine, breakpoints=(kinks, kinks))[0, 0]
        ratio.append(float(both) / float(gaussian_expectation(u, breakpoints=kinks)))
    return float(np.polyfit(-(t**2) / 2.0, np.log(ratio) + power * np.log(t), 1)[0])


def fading(cosine: float) -> float:
    r"""Return the rate at which E[X_1 X_2]/E[X_1] of two sign units falls: 2/(1 + cosine) - 1.

    Lemma 2's use: a product fades beside a linear term.
    """
    return _slope_at_high_thresholds(cosine, 1.0)


def bound_growth(cosine: float) -> float:
    """Return E|Delta| over Lemma 2's d^3 rho(t, 1) rho(t, |W|) at t = 8, in units of its value at t = 4."""
    condition = math.sqrt((1.0 + abs(cosine)) / (1.0 - abs(cosine)))
    high, low = (bound_ratio("sign", t, cosine) * condition for t in (8.0, 4.0))
    return high / low


def other_units(t: float) -> float:
    """Return the share of points of the border of one unit at which another of ten is active (Lemma 5)."""
    u = UNITS["sign"](t)
    return (
        9.0
        * float(
            paired_hermite_projections(
                u, u, 0, correlation=_COSINE, breakpoints=(u.breakpoints, u.breakpoints)
            )[0, 0]
        )
        / float(gaussian_expectation(u, breakpoints=u.breakpoints))
    )


def slopes(frame: Any) -> dict[str, float]:
    """Return the ratio of each fitted slope of log E|Delta|, beyond its power of t, to the theory's.

    ReLU, sign: t^(-4), t^(-2) times exp(-t^2/(1 + cosine)); sigmoid: exp(-2t).
    """
    found = {}
    for activation, power in (("ReLU", 4), ("sign", 2), ("sigmoid", 0)):
        part = frame[(frame["activation"] == activation) & (frame["t"] >= 4.0) & (frame["t"] <= 6.0)]
        t = part["t"].to_numpy(dtype=float)
        x = t if activation == "sigmoid" else t**2
        logs = np.log(part["remainder"].to_numpy(dtype=float)) + power * np.log(t)
        theory = -2.0 if activation == "sigmoid" else -1.0 / (1.0 + _COSINE)
        found[activation] = float(np.polyfit(x, logs, 1)[0]) / theory
    return found


# --- the landscape ------------------------------------------------------------------------------------


def _profile(moments: HermiteMoments, Z: Array, u2: float, lam: float) -> Array:
    """The least G on each ray r z: r^2 solves a quadratic.  (u_4 > 0)"""
    quartic = np.sum(moments.fourth.cubic(Z[:, None])[1][:, 0] * Z, axis=1) / math.sqrt(24.0)
    quadratic = np.sum(Z @ moments.second * Z, axis=1) / math.sqrt(2.0)
    square = lam * u2 * quadratic / (lam * quadratic**2 - quartic)
    return np.asarray(-quartic * square**2 + lam * (quadratic * square - u2) ** 2)


def _landscape(*, d: int, points: int, rng: np.random.Generator) -> dict[str, Any]:
    """The exact landscape for three ReLU units and their products: on the sphere, and its minima."""
    W = np.eye(d) + 0.35 * (np.ones((d, d)) - np.eye(d)) * np.array([1.0, -1.0, 1.0])[:, None]
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    u = relu_threshold(2.0)
    moments = exact_moments(_network(W, u))
    u2, u4 = u.hermite_coefficient(2), u.hermite_coefficient(4)
    lam = 4.0 * abs(u4) / u2**2
    longitude = np.linspace(-np.pi, np.pi, 2 * points + 1)
    latitude = np.linspace(-0.5 * np.pi, 0.5 * np.pi, points + 1)
    lon, lat = np.meshgrid(longitude, latitude)
    Z = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    loss = HermiteLoss(moments.second, moments.fourth, u2, u4, lam)
    minima = find_minima(loss, moments.second, d, radius=math.sqrt(math.sqrt(2.0) * u2), rng=rng)
    return {
        "longitude": longitude,
        "latitude": latitude,
        "G": _profile(moments, Z.reshape(-1, d), u2, lam).reshape(lon.shape),
        "unturned": _worst(minima.points / np.linalg.norm(minima.points, axis=1, keepdims=True), W),
        "minima": minima.points / np.linalg.norm(minima.points, axis=1, keepdims=True),
        "weights": W,
        "found": len(minima.points),
        "curvature": min(end.curvature for end in minima.end_points),
        "angle": _worst(weights_from_minima(minima.points), W),
    }


landscape = Sweep(
    "04-landscape",
    _landscape,
    quick=grid(d=[3], points=[45]),
    paper=grid(d=[3], points=[45]),
    rtol=1e-4,
)


def _linear_minima(*, d: int, starts: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    r"""Random descents on the exact :math:`G_{lin}`: where they end, against the closed form."""
    W, c, u = _weights(d, rng), rng.uniform(0.5, 1.5, d), relu_threshold(2.0)
    moments = _linear_moments(W, c, u)
    u2, u4 = u.hermite_coefficient(2), u.hermite_coefficient(4)
    lam = 10.0 * u4 / u2**2
    loss = HermiteLoss(moments.second, moments.fourth, u2, u4, lam)
    columns = np.linalg.inv(np.sqrt(c)[:, None] * W).T
    # On axis i the minimum is at y_i^2 = lam u_2^2/(lam u_2^2 - |u_4|/c_i).
    columns *= np.sqrt(lam * u2**2 / (lam * u2**2 - u4 / c))[:, None]
    worst, curvature, reached = 0.0, math.inf, set()
    scale = math.sqrt(math.sqrt(2.0) * u2)
    white = np.linalg.inv(np.linalg.cholesky(moments.second)).T
    for _ in range(starts):
        v = rng.standard_normal(d)
        end = quasi_newton(loss, scale * white @ (v / np.linalg.norm(v)))
        point = classify(loss, end.weights)
        gaps = np.minimum(
            np.linalg.norm(columns - end.weights, axis=1), np.linalg.norm(columns + end.weights, axis=1)
        ) / np.linalg.norm(columns, axis=1)
        worst = max(worst, float(gaps.min()) if point.kind == "minimum" else 1.0)
        curvature = min(curvature, point.curvature)
        reached.add(int(np.argmin(gaps)))
    found = find_minima(loss, moments.second, d, radius=scale, rng=rng)
    return {
        "gap": worst,
        "curvature": curvature,
        "reached": len(reached),
        "found": len(found.points),
        "descents": found.n_starts,
        "angle": _worst(weights_from_minima(found.points), W),
    }


def gap_without_coefficients(*, seed: int, d: int = 4) -> float:
    """Return the largest relative distance of a minimum from the columns of W^-1, without diag(sqrt c)."""
    rng = np.random.default_rng(seed)
    W, c, u = _weights(d, rng), rng.uniform(0.5, 1.5, d), relu_threshold(2.0)
    moments = _linear_moments(W, c, u)
    u2, u4 = u.hermite_coefficient(2), u.hermite_coefficient(4)
    lam = 10.0 * u4 / u2**2
    loss = HermiteLoss(moments.second, moments.fourth, u2, u4, lam)
    found = find_minima(loss, moments.second, d, radius=math.sqrt(math.sqrt(2.0) * u2), rng=rng).points
    columns = np.linalg.inv(W).T * math.sqrt(lam * u2**2 / (lam * u2**2 - u4))
    gaps = np.minimum(
        np.linalg.norm(found[:, None] - columns, axis=2), np.linalg.norm(found[:, None] + columns, axis=2)
    )
    return float((gaps.min(axis=1) / np.linalg.norm(columns, axis=1).mean()).max())


linear_minima = Sweep(
    "04-linear-minima",
    _linear_minima,
    quick=grid(d=[6], starts=[30], trial=range(3)),
    paper=grid(d=[10], starts=[100], trial=range(20)),
    rtol=1e-3,
    volatile=("gap", "angle"),
)


# --- recovery -----------------------------------------------------------------------------------------


def _recover(
    *, activation: str, t: float, d: int, n: int, trial: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Worst angles in degrees: descent on plain, controlled and doubly controlled moments; refined."""
    u = UNITS[activation](t)
    f = _network(_weights(d, rng), u)
    X = rng.standard_normal((n, d))
    y = _labels(f, X)
    W, found = f.weights, {}
    for name, estimate in (("plain", active_moments), ("polynomial", controlled_moments)):
        try:
            found[name] = _worst(decode_moments(estimate(X, y), d, u, rng=rng)[0], W)
        except ValueError:  # a second moment that is not positive
            found[name] = 90.0
    refine = activation != "sigmoid"  # its labels are nowhere zero
    # The paper's two steps alone: no search in what they leave.
    model = ThresholdNetwork(
        d, u, control="network", refine=refine, fit_intercept=False, max_iter=0, random_state=rng
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # at low thresholds some are missing
        model.fit(X, y)
    if not len(model.weights_) or model.diagnostics_["minima"] is None:
        return {**found, "network": 90.0, "refined": 90.0, "found": 0, "spurious": 0}
    # In the coordinates W z a true minimum is an axis.
    axes = np.abs(model.diagnostics_["minima"].points @ W.T)
    shares = axes.max(axis=1) / np.linalg.norm(axes, axis=1)
    nearest = {int(i) for i, share in zip(axes.argmax(axis=1), shares, strict=True) if share > 0.9}
    return {
        **found,
        "network": _worst(model.diagnostics_["coarse"], W),
        "refined": _worst(model.weights_, W),
        "found": len(nearest),
        "spurious": int(np.sum(shares <= 0.9)),
    }


recovery_thresholds = Sweep(
    "04-recovery-thresholds",
    _recover,
    quick=grid(activation=["ReLU"], t=[1.5, 2.0, 2.5, 3.0, 3.5], d=[4], n=[100_000], trial=range(2)),
    paper=grid(
        activation=["ReLU"],
        t=[1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5],
        d=[10],
        n=[1_000_000],
        trial=range(3),
    ),
    rtol=1e-2,
)

recovery_samples = Sweep(
    "04-recovery-samples",
    _recover,
    quick=grid(activation=["ReLU"], t=[2.0], d=[4], n=[25_000, 50_000, 100_000, 200_000], trial=range(2)),
    paper=[
        {"activation": "ReLU", "t": 2.0, "d": 10, "n": n, "trial": trial}
        for n, trials in ((100_000, 5), (300_000, 5), (1_000_000, 20), (3_000_000, 2))
        for trial in range(trials)
    ],
    rtol=1e-2,
)

activations = Sweep(
    "04-activations",
    _recover,
    quick=[
        {"activation": name, "t": t, "d": 4, "n": 200_000, "trial": trial}
        for name, t in (("sign", 2.5), ("sigmoid", 5.0))
        for trial in range(2)
    ],
    paper=[
        {"activation": name, "t": t, "d": 10, "n": 1_000_000, "trial": trial}
        for name, t in (("sign", 2.5), ("sigmoid", 5.0))
        for trial in range(3)
    ],
    rtol=1e-2,
)


def permuted(*, seed: int, l: int = 0) -> float:
    """Return the worst angle from permuted labels: the landscape (l = 0), or the sphere with h_l."""
    rng = np.random.default_rng(seed)
    d, n = 4, 50_000
    u = relu_threshold(2.0 if l == 0 else 3.0)
    W = np.linalg.qr(rng.standard_normal((d, d)))[0]
    f = _network(W, u)
    X = rng.standard_normal((n, d))
    y = rng.permutation(_labels(f, X))
    if l:
        found = find_minima(SphereLoss(X, y, l), np.eye(d), d, rng=rng).points
        return _worst(found / np.linalg.norm(found, axis=1, keepdims=True), W)
    try:
        return _worst(decode_moments(active_moments(X, y), d, u, rng=rng)[0], W)
    except ValueError:
        return 90.0


def _bias(*, t: float, d: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """The worst angle from exact moments: what the products of units do, without noise."""
    u = relu_threshold(t)
    f = _network(_weights(d, rng), u)
    try:
        return {"angle": _worst(decode_moments(exact_moments(f), d, u, rng=rng)[0], f.weights)}
    except ValueError:
        return {"angle": 90.0}


bias = Sweep(
    "04-bias",
    _bias,
    quick=grid(t=[1.5, 2.0, 2.5, 3.0], d=[4], trial=[0]),
    paper=grid(t=[1.5, 2.0, 2.5, 3.5], d=[10], trial=[0]),
    rtol=1e-3,
)


def _control(*, t: float, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """The better of both signs of u_4: at t = 1 neither finds the weights."""
    f = _network(_weights(d, rng), relu_threshold(t))
    X = rng.standard_normal((n, d))
    moments = controlled_moments(X, _labels(f, X))
    u2 = relu_threshold(t).hermite_coefficient(2)
    worst = []
    for u4 in (0.1 * u2, -0.1 * u2):
        loss = HermiteLoss(moments.second, moments.fourth, u2, u4, abs(u4) * 10.0 / u2**2)
        minima = find_minima(loss, moments.second, d, radius=math.sqrt(math.sqrt(2.0) * u2), rng=rng)
        rows = weights_from_minima(minima.points) if minima.converged else np.zeros((0, d))
        worst.append(_worst(rows, f.weights))
    return {"angle": min(worst)}


control = Sweep(
    "04-control",
    _control,
    quick=grid(t=[1.0, 2.0], d=[6], n=[100_000], trial=range(3)),
    paper=grid(t=[1.0, 2.0], d=[10], n=[300_000], trial=range(3)),
    rtol=1e-2,
)


# --- simultaneous recovery, and orthonormal weights ---------------------------------------------------


def _simultaneous(*, d: int, psi: str, starts: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Descents on G(W) from random starts, on exact moments of the linear part."""
    W, u = _weights(d, rng), relu_threshold(2.0)
    moments = _linear_moments(W, np.ones(d), u)
    u2, u4 = u.hermite_coefficient(2), u.hermite_coefficient(4)
    loss = SimultaneousLoss(
        moments.second,
        moments.fourth,
        u2,
        u4,
        10.0 * u4 / u2**2,
        printed=psi == "printed",
        mean=moments.mean,
    )
    white = np.linalg.inv(np.linalg.cholesky(moments.second)).T
    ends = []
    for _ in range(starts):
        V = rng.standard_normal((d, d))
        V /= np.linalg.norm(V, axis=1, keepdims=True)
        ends.append(quasi_newton(loss, math.sqrt(math.sqrt(2.0) * u2) * V @ white.T, max_iter=5000))
    best = min(ends, key=lambda end: end.value)
    angles = []
    for end in [best, *ends]:
        lengths = np.linalg.norm(end.weights, axis=1, keepdims=True)
        singular = np.linalg.svd(end.weights / lengths, compute_uv=False)
        angles.append(_worst(weights_from_minima(end.weights), W) if singular[-1] > 1e-6 else 90.0)
    return {"angle": angles[0], "share": float(np.mean(np.array(angles[1:]) < 1.0))}


simultaneous = Sweep(
    "04-simultaneous",
    _simultaneous,
    quick=grid(d=[4], psi=["printed", "corrected"], starts=[4], trial=range(3)),
    paper=grid(d=[10], psi=["printed", "corrected"], starts=[5], trial=range(4)),
    rtol=1e-2,
)


def _simultaneous_coefficients(
    *, d: int, starts: int, trial: int, rng: np.random.Generator
) -> dict[str, Any]:
    r"""The same with coefficients from 1/2 to 3: the share of starts, and the entries of D.  GP Theorem 11"""
    W, c, u = _weights(d, rng), np.linspace(0.5, 3.0, d), relu_threshold(2.0)
    moments = _linear_moments(W, c, u)
    u2, u4 = u.hermite_coefficient(2), u.hermite_coefficient(4)
    loss = SimultaneousLoss(moments.second, moments.fourth, u2, u4, 100.0 * u4 / u2**2)
    white = np.linalg.inv(np.linalg.cholesky(moments.second)).T
    good, unit, root = 0, [], []
    for _ in range(starts):
        V = rng.standard_normal((d, d))
        V /= np.linalg.norm(V, axis=1, keepdims=True)
        end = quasi_newton(loss, math.sqrt(math.sqrt(2.0) * u2) * V @ white.T, max_iter=5000).weights
        D = np.abs(np.linalg.inv(end).T @ np.linalg.inv(W))
        found = D.argmax(axis=0)
        if len(set(found)) == d and _worst(weights_from_minima(end), W) < 1.0:
            good += 1
            unit.append(np.abs(D.max(axis=0) - 1.0).max())
            root.append(np.abs(D.max(axis=0) / np.sqrt(c) - 1.0).max())
    return {"share": good / starts, "unit": max(unit, default=9.0), "root": max(root, default=9.0)}


simultaneous_coefficients = Sweep(
    "04-simultaneous-coefficients",
    _simultaneous_coefficients,
    quick=grid(d=[4], starts=[8], trial=range(2)),
    paper=grid(d=[4, 8], starts=[20], trial=range(3)),
    rtol=1e-2,
)


def _orthonormal(*, l: int, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """The constrained form for orthonormal weights, from the active samples."""
    W, u = np.linalg.qr(rng.standard_normal((d, d)))[0], relu_threshold(3.0)
    f = _network(W, u)
    X = rng.standard_normal((n, d))
    loss = SphereLoss(X, _labels(f, X), l, sign=math.copysign(1.0, u.hermite_coefficient(l)))
    found = find_minima(loss, np.eye(d), d, rng=rng)
    rows = found.points / np.linalg.norm(found.points, axis=1, keepdims=True)
    return {"angle": _worst(rows, W), "found": len(rows)}


orthonormal = Sweep(
    "04-orthonormal",
    _orthonormal,
    quick=grid(l=[4, 6], d=[4], n=[400_000], trial=range(2)),
    paper=grid(l=[4, 6], d=[10], n=[2_000_000], trial=range(4)),
    rtol=1e-2,
)


# --- refinement ---------------------------------------------------------------------------------------


def _near(w: Array, angle: float, rng: np.random.Generator) -> Array:
    """A unit vector at an angle to the unit vector w."""
    v = rng.standard_normal(len(w))
    v -= (v @ w) * w
    return np.asarray(math.cos(angle) * w + math.sin(angle) * v / np.linalg.norm(v))


def acceptance(*, seed: int, d: int = 10, trials: int = 4000, printed: bool = False) -> float:
    r"""Return the share of perturbations that pass: alpha' <= (1 - 1/(2d)) alpha, or as printed alpha/d.

    With the true angles.  GP Algorithm 1, Lemma 7
    """
    rng = np.random.default_rng(seed)
    w, alpha = np.eye(d)[0], 0.05
    z = _near(w, alpha, rng)
    steps = rng.normal(scale=alpha / d, size=(trials, d))
    moved = z + steps - np.outer(steps @ z, z)
    angles = np.arctan2(np.linalg.norm(moved[:, 1:], axis=1), moved[:, 0])
    return float(np.mean(angles <= (alpha / d if printed else (1.0 - 0.5 / d) * alpha)))


def _refinement(
    *, source: str, method: str, d: int, n: int, t: float, trial: int, rng: np.random.Generator
) -> dict[str, Any]:
    """True angles, in radians, after each round from a start at 0.06 (three and a half degrees)."""
    f = _network(_weights(d, rng), relu_threshold(t))
    w = f.weights[0]
    z = _near(w, 0.06, rng)
    if source == "oracle":
        refine = refine_estimate if method == "perturbation" else fit_crossings
        found = refine(lambda X: _labels(f, X), z, tol=1e-6, rng=rng)
    else:
        X = rng.standard_normal((n, d))
        active = _labels(f, X) != 0.0
        if method == "border":
            found = fit_border(X, active, z)
        else:
            found = sampled_refine_estimate(X, active, z, rng=rng)
    trace = np.array([_angles(z[None], w[None])[0] for z in found.directions])
    return {
        "trace": np.maximum(trace, 1e-12),
        "final": max(float(trace[-1]), 1e-12),
        "rounds": found.n_iter,
        "labels": found.n_labels,
        "per_nat": found.n_iter / (d * math.log(trace[0] / max(trace[-1], 1e-12))),
    }


_WAYS = (
    ("oracle", "perturbation"),
    ("oracle", "crossings"),
    ("sample", "perturbation"),
    ("sample", "border"),
)
refinement = Sweep(
    "04-refinement",
    _refinement,
    quick=[
        {"source": source, "method": method, "d": 4, "n": 200_000, "t": 2.5, "trial": 0}
        for source, method in _WAYS
    ],
    paper=[
        {"source": source, "method": method, "d": 10, "n": 1_000_000, "t": 2.0, "trial": trial}
        for source, method in _WAYS
        for trial in range(3)
    ],
    rtol=1e-2,
    volatile=("trace", "final", "rounds", "labels", "per_nat"),
)


def _tangent(*, t: float, angle: float, d: int, rng: np.random.Generator) -> dict[str, Any]:
    """The ratio of EstimateTanAlpha to the tangent, by the oracle."""
    f = _network(_weights(d, rng), sign_threshold(t))
    z = _near(f.weights[0], angle, rng)
    found = tan_alpha(lambda X: _labels(f, X), z, points=10_000, rng=rng)
    return {"ratio": found.tan_alpha / math.tan(angle)}


tangent = Sweep(
    "04-tangent",
    _tangent,
    quick=grid(t=[2.0, 3.0, 4.0], angle=[0.1, 1e-2, 1e-4, 1e-6], d=[4]),
    paper=grid(t=[2.0, 2.5, 3.0, 3.5, 4.0], angle=[0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6], d=[10]),
    rtol=1e-2,
)


def _cotangent(*, degrees: float, points: int, rng: np.random.Generator) -> dict[str, Any]:
    r"""E[u delta'(z x)] from two planes, in units of phi(0)^2; Lemma 16 says |cot|."""
    alpha = math.radians(degrees)
    w = np.array([math.cos(alpha), math.sin(alpha)])
    epsilon = 0.05 * abs(math.tan(alpha))
    found = delta_correlation(
        lambda X: X @ w > 0.0, [1.0, 0.0], 0.0, order=1, epsilon=epsilon, n_samples=points, rng=rng
    )
    unit = 2.0 * epsilon * float(normal_density(0.0)) ** 2  # C_2 = -2 epsilon E[f delta']
    return {
        "value": -found.value / unit,
        "standard_error": found.standard_error / unit,
        "cot": 1.0 / math.tan(alpha),
    }


cotangent = Sweep(
    "04-cotangent",
    _cotangent,
    quick=grid(degrees=[10.0, 20.0, 40.0, 60.0, 120.0, 140.0, 160.0], points=[200_000]),
    paper=grid(degrees=[5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 160.0], points=[2_000_000]),
)


def _dimension(*, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """One network of every size: bias of exact moments, angle from samples, and what refinement costs."""
    u = relu_threshold(2.5)
    f = _network(_weights(d, rng), u)
    X = rng.standard_normal((n, d))
    y = _labels(f, X)
    try:
        plain = _worst(decode_moments(active_moments(X, y, form="tensor"), d, u, rng=rng)[0], f.weights)
    except ValueError:
        plain = 90.0
    factors = _worst(factor_rows(X, y, d, rng=rng), f.weights)
    z = _near(f.weights[0], 0.06, rng)
    search = refine_estimate(lambda X: _labels(f, X), z, tol=0.01, rng=rng)
    lines = fit_crossings(lambda X: _labels(f, X), z, tol=1e-6, rng=rng)
    return {
        "bias": _worst(decode_moments(exact_moments(f), d, u, rng=rng)[0], f.weights),
        "plain": plain,
        "factors": factors,
        "rounds": search.n_iter,
        "search_labels": search.n_labels,
        "crossing_labels": lines.n_labels,
        "crossing": max(float(_angles(lines.direction[None], f.weights[:1])[0]), 1e-12),
    }


dimension = Sweep(
    "04-dimension",
    _dimension,
    quick=grid(d=[3, 4, 5], n=[40_000], trial=[0]),
    paper=[*grid(d=[4, 8], n=[100_000], trial=range(3)), *grid(d=[12], n=[100_000], trial=range(2))],
    rtol=0.05,
    volatile=("rounds", "search_labels", "crossing"),
)
