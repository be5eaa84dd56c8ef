"""Chapter 6: local likelihood of degree two in several dimensions, and what it costs (GM Theorem 1, 2.4)."""

import math
from typing import Any

import numpy as np
import pandas as pd

from companion.sweep import Sweep, grid, slope_interval
from nnmoments.densities import GaussianMixture, StandardNormal
from nnmoments.scores import LLSFE, degree_two
from nnmoments.validation import Array

__all__ = [
    "WIDTHS",
    "bias_exponents",
    "cost_exponents",
    "counted_degree_two",
    "dimensions",
    "limit_window",
    "mixture",
    "noise_growth",
    "operations",
    "sample_window",
    "spread_exponents",
]

#: Bandwidths of the fits whose spread is measured.
WIDTHS = (0.1, 0.14, 0.2, 0.28)

_FAR = 4.5  # bandwidths beyond which a sample has no weight


def mixture(d: int) -> GaussianMixture:
    """Two normal densities, at the same distance from each other in every dimension."""
    mean = np.full(d, 1.2 / math.sqrt(d))
    return GaussianMixture([0.5, 0.5], [mean, -mean])


def _spectral(errors: Array) -> Array:
    """Spectral norms of vectors or matrices, one each row."""
    return np.linalg.norm(errors, axis=1) if errors.ndim == 2 else np.linalg.norm(errors, 2, axis=(1, 2))


# --- Theorem 1 ----------------------------------------------------------------------------------------


def sample_window(near: Array, point: Array, h: float) -> tuple[Array, Array]:
    """Kernel-weighted mean and covariance of the samples around a point."""
    U = near - point
    K = np.exp(np.sum(U**2, axis=1) * (-0.5 / h**2))
    mean = K @ U / K.sum()
    return mean, (U * K[:, None]).T @ U / K.sum() - np.outer(mean, mean)


def _second(a1: Array, A2: Array) -> Array:
    """S_2 from the derivatives of log f.  GM (6)"""
    return np.asarray(a1[..., None] * a1[..., None, :] + A2)


def _dimensions(*, d: int, n: int, samples: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Spread of the scores of order 1 and 2 in spectral norm, root mean squares over six points.

    One list a bandwidth, one entry an order.
    """
    f, places = mixture(d), rng.uniform(-1.0, 1.0, (6, d))
    means = np.empty((len(WIDTHS), len(places), samples, d))
    covariances = np.empty((*means.shape, d))
    for s in range(samples):
        X = f.sample(n, rng=rng)
        for i, place in enumerate(places):
            near = X
            for k in reversed(range(len(WIDTHS))):
                near = near[np.max(np.abs(near - place), axis=1) < _FAR * WIDTHS[k]]
                means[k, i, s], covariances[k, i, s] = sample_window(near, place, WIDTHS[k])
    spread = []
    for mean, covariance, h in zip(means, covariances, WIDTHS, strict=True):
        a1, A2 = degree_two(mean, covariance, np.full(mean.shape[:2], h))
        errors = [S - S.mean(axis=1, keepdims=True) for S in (a1, _second(a1, A2))]
        squares = [np.mean(_spectral(E.reshape(-1, *E.shape[2:])) ** 2) for E in errors]
        spread.append([math.sqrt(square * samples / (samples - 1)) for square in squares])
    return {"spread": spread}


dimensions = Sweep(
    "06-dimensions",
    _dimensions,
    quick=grid(d=[1, 2, 3], n=[20_000], samples=[4], trial=[0]),
    paper=[
        {"d": d, "n": n, "samples": 64, "trial": trial}
        for d, n, trials in ((1, 8000, 24), (2, 20_000, 24), (3, 50_000, 16))
        for trial in range(trials)
    ],
    sensitivity=1e-3,
)


def spread_exponents(frame: pd.DataFrame) -> pd.DataFrame:
    """Return fitted exponents of the spread in h with intervals over trials, one row a (d, m)."""
    rows = []
    for d in (1, 2, 3):
        spread = np.array(frame.loc[frame["d"] == d, "spread"].tolist())
        for m in (1, 2):
            rows.append((d, m, -(d + 2 * m) / 2, *slope_interval(WIDTHS, spread[:, :, m - 1].T)))
    return pd.DataFrame(rows, columns=["d", "m", "spread: theory", "spread", "spread low", "spread high"])


def bias_exponents(*, seed: int) -> pd.DataFrame:
    """Return the exponents in h of the bias that degree 2 keeps as n grows, one row a (d, m).

    Under the kernel's weights a normal component stays normal, so the limit of the window is known in
    closed form. Root mean squares of spectral norms over 16 points.
    """
    rng, widths, rows = np.random.default_rng(seed), np.array([0.025, 0.05, 0.1]), []
    for d in (1, 2, 3):
        f = mixture(d)
        x = rng.uniform(-1.0, 1.0, (16, d))
        bias = []
        for h in widths:
            mean, covariance = limit_window(f, x, h)
            a1, A2 = degree_two(mean, covariance, np.full(len(x), h))
            errors = (-a1 - f.score(x, 1), _second(a1, A2) - f.score(x, 2))
            bias.append([math.sqrt(np.mean(_spectral(e) ** 2)) for e in errors])
        slopes = np.polyfit(np.log(widths), np.log(bias), 1)[0]
        rows += [(d, m, 3 - m, slopes[m - 1]) for m in (1, 2)]
    return pd.DataFrame(rows, columns=["d", "m", "bias: bound", "bias"])


def limit_window(f: GaussianMixture, x: Array, h: float) -> tuple[Array, Array]:
    """Mean and covariance of u - x under f(u) K((u - x)/h), for unit covariances."""
    wide = GaussianMixture(f.weights, f.means, (1.0 + h * h) * np.eye(x.shape[1]))
    share = np.stack([weight for weight, _ in wide.components(x) if weight is not None], axis=1)
    shift = (f.means - x[:, None]) * (h * h / (1.0 + h * h))
    mean = np.einsum("qc,qca->qa", share, shift)
    second = np.einsum("qc,qca,qcb->qab", share, shift, shift)
    return mean, second - mean[:, :, None] * mean[:, None] + np.eye(x.shape[1]) * (h * h / (1.0 + h * h))


def noise_growth(*, seed: int, trials: int = 150, n: int = 1000) -> tuple[float, float]:
    """Return the slopes in d of the noise of S_2, in spectral and in Frobenius norm, in units of an entry's.

    Both logarithmic, d = 2 to 8, standard normal inputs and h = 1, at the origin.
    """
    rng, sizes, found = np.random.default_rng(seed), np.array([2, 4, 8]), []
    for d in sizes.tolist():
        f = StandardNormal(d)
        S = [LLSFE(f.sample(n, rng=rng), bandwidth=1.0).score(np.zeros((1, d)), 2)[0] for _ in range(trials)]
        E = np.array(S) - np.mean(S, axis=0)
        entry = math.sqrt(np.mean(E**2))
        frobenius = np.linalg.norm(E, axis=(1, 2))
        found.append([math.sqrt(np.mean(norms**2)) / entry for norms in (_spectral(E), frobenius)])
    spectral, whole = np.polyfit(np.log(sizes), np.log(found), 1)[0]
    return float(spectral), float(whole)


# --- Section 2.4: what degree two costs ---------------------------------------------------------------


class _Counted:
    """A number that counts the operations done on its kind."""

    __slots__ = ("value",)
    count = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def _of(self, value: float) -> "_Counted":
        _Counted.count += 1
        return _Counted(value)

    def __add__(self, other: "_Counted") -> "_Counted":
        return self._of(self.value + other.value)

    def __sub__(self, other: "_Counted") -> "_Counted":
        return self._of(self.value - other.value)

    def __mul__(self, other: "_Counted") -> "_Counted":
        return self._of(self.value * other.value)

    def __truediv__(self, other: "_Counted") -> "_Counted":
        return self._of(self.value / other.value)

    def exp(self) -> "_Counted":
        return self._of(math.exp(self.value))


_counted: Any = np.frompyfunc(_Counted, 1, 1)
_value: Any = np.frompyfunc(lambda number: number.value, 1, 1)


def _inverse(C: Any) -> Any:
    """Gauss and Jordan, without pivots: C is positive definite."""
    d = len(C)
    T = np.concatenate([C, _counted(np.eye(d))], axis=1)
    for i in range(d):
        T[i] = T[i] / T[i, i]
        for j in range(d):
            if j != i:
                T[j] = T[j] - T[i] * T[j, i]
    return T[:, d:]


def counted_degree_two(X: Array, x: Array, h: float, *, degree: int = 2) -> tuple[Array, Array, int]:
    """Return a_1 and A_2 by GM (14) and (15), step by step, and the number of operations that it took.

    One each addition, subtraction, product, quotient and exponential. `degree` sums the tensor powers of
    the window up to this order, which a fit of that degree needs.
    """
    d = X.shape[1]
    data, point, two_h2 = _counted(X), _counted(x), _Counted(2.0 * h * h)
    _Counted.count = 0
    U = data - point
    K = np.exp(_counted(np.zeros(len(X))) - np.sum(U * U, axis=1) / two_h2)
    moments, power = [np.sum(K)], K
    for _ in range(degree):
        power = power[..., None] * U.reshape(len(X), *[1] * (power.ndim - 1), d)
        moments.append(np.sum(power, axis=0))
    mean, raw = moments[1] / moments[0], moments[2] / moments[0]
    inverse = _inverse(raw - np.outer(mean, mean))
    a1 = inverse @ mean
    A2 = _counted(np.eye(d) / h**2) - inverse
    return _value(a1).astype(float), _value(A2).astype(float), _Counted.count


def operations(n: int, d: int, *, degree: int = 2) -> int:
    """Return the number of operations of one fit to n samples in d dimensions."""
    X = np.random.default_rng(0).standard_normal((n, d))
    return counted_degree_two(X, np.zeros(d), 2.0, degree=degree)[2]


def cost_exponents(*, degree: int = 2) -> dict[str, float]:
    """Return the slopes of the number of operations, all logarithmic: in n, in d, and in d where n = 2d."""
    sizes = np.array([4, 8, 16] if degree == 2 else [2, 4, 6])
    largest = 64 if degree == 2 else 16
    paths = {
        "n": [(n, 8 if degree == 2 else 4) for n in (16, 32, 64)],
        "d": [(largest, d) for d in sizes],
        "n = 2d": [(2 * d, d) for d in sizes],
    }
    axes = {"n": np.array([16, 32, 64]), "d": sizes, "n = 2d": sizes}
    return {
        name: float(
            np.polyfit(np.log(axes[name]), np.log([operations(n, d, degree=degree) for n, d in path]), 1)[0]
        )
        for name, path in paths.items()
    }
