"""Chapter 6: score functions estimated by local likelihood (GM Section 2)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.polynomial.hermite_e import hermegauss

from companion.sweep import Sweep, grid, mean_interval, slope_interval
from nnmoments.densities import (
    Density,
    GaussianMixture,
    Logistic,
    ScoreModel,
    StandardNormal,
    UserDensity,
    iid,
)
from nnmoments.linalg import outer_power
from nnmoments.scores import (
    KernelDensity,
    LocalLikelihood,
    NearestNeighbor,
    ScoreMatching,
    SpectralStein,
    choose_score,
    degree_two,
    fit_gaussian_mixture,
    rate_bandwidth,
)
from nnmoments.scores.kernel_moments import central_moments, kernel_moments
from nnmoments.validation import Array

__all__ = [
    "CENTRAL",
    "METHODS",
    "PERCENTILES",
    "PRINTED",
    "RULES",
    "WIDTHS",
    "average_slopes",
    "bandwidth_rules",
    "conditions",
    "degree_two_limit",
    "degrees",
    "error_percentiles",
    "estimators",
    "figure_bandwidth",
    "kernel_density_errors",
    "partitions",
    "printed_fourth_score",
    "rate_exponents",
    "rates",
    "rule_slopes",
    "size_exponent",
    "slopes",
]

#: Percentiles of Figures 1 and 2.
PERCENTILES = (95, 75, 50, 25, 5)

#: Slopes printed with Figures 1 and 2: (S_2, S_4).
PRINTED = {"gaussian": (-0.5143, -0.4984), "mixture": (-0.2587, -0.1343)}

_MIXTURE = GaussianMixture([0.5, 0.5], [[1.0, 1.0], [-1.0, -1.0]])


def _input(name: str) -> Density:
    return StandardNormal(2) if name == "gaussian" else _MIXTURE


def _score_from(derivatives: Sequence[Array], order: int) -> Array:
    """Plug estimates of G_1, ..., G_p into the partitions formula, zero above p.  GM (9)"""
    q, d = derivatives[0].shape
    higher = [np.zeros((q,) + (d,) * j) for j in range(len(derivatives) + 1, order + 1)]
    given = UserDensity(d, [lambda _, G=G: G for G in (*derivatives, *higher)])  # type: ignore[misc]
    return given.score(np.zeros((q, d)), order)


# --- conditions (5) and formula (8) ------------------------------------------------------------------


def conditions(*, seed: int, beyond: int = 0) -> pd.DataFrame:
    """Return the worst violation of GM (5) at the solution, by the trapezoidal rule on a fine lattice.

    The integrals are over six bandwidths: over the whole space they diverge for p = 3, and for p = 4
    wherever the quartic opens upwards. `beyond` asks for the conditions of so many orders above the degree,
    which do not hold.
    """
    h, line = 0.8, np.linspace(-6.0, 6.0, 241)
    rows = []
    for d in (1, 2):
        X = GaussianMixture([0.5, 0.5], [[1.0] * d, [-1.0] * d]).sample(20_000, rng=seed)
        point = np.full((1, d), 0.1)
        lattice = np.stack(np.meshgrid(*[line] * d, indexing="ij"), axis=-1).reshape(-1, d)
        data = (X - point) / h
        for p in range(1, 5):
            fit = LocalLikelihood(X, degree=p, bandwidth=h, shrinkage=0.0).fit_at(point)
            log_f = np.full(len(lattice), fit.log_density[0])
            for j, G in enumerate(fit.derivatives, start=1):
                log_f += (
                    outer_power(h * lattice, j).reshape(len(lattice), -1) @ G.reshape(-1) / math.factorial(j)
                )
            tilted = np.exp(log_f - 0.5 * np.sum(lattice**2, axis=1)) * (h * (line[1] - line[0])) ** d
            kernel = np.exp(-0.5 * np.sum(data**2, axis=1)) / len(X)
            gaps = [
                tilted @ outer_power(lattice, j).reshape(len(lattice), -1)
                - kernel @ outer_power(data, j).reshape(len(data), -1)
                for j in range(p + 1 + beyond)
            ]
            rows.append((d, p, max(np.abs(gap).max() for gap in gaps)))
    return pd.DataFrame(rows, columns=["d", "p", "worst violation"])


def partitions(*, seed: int) -> pd.DataFrame:
    r"""Return the worst relative error of GM (8), by order, against Cauchy's integral formula.

    Along a line, :math:`S_m(x)(u, \dots, u) = (-1)^m \frac{d^m}{dt^m} f(x + tu)|_0 / f(x)`; the left
    side for all u determines a symmetric tensor.
    """
    rng = np.random.default_rng(seed)
    f = iid(Logistic(), 2)
    circle = np.exp(2j * np.pi * np.arange(96) / 96)
    worst = np.zeros(6)
    for _ in range(5):
        x, u = rng.standard_normal(2), rng.standard_normal(2)
        u /= np.linalg.norm(u)
        z = x + circle[:, None] * u
        around = np.prod(np.exp(-z) / (1.0 + np.exp(-z)) ** 2, axis=1)  # no pole within pi of the real axis
        centre = np.exp(f.log_density(x[None]))[0]
        for m in range(1, 7):
            expected = (-1) ** m * math.factorial(m) * np.mean(around * circle**-m).real / centre
            found = f.contract(x[None], *[u] * m)[0]
            worst[m - 1] = max(worst[m - 1], abs(found - expected) / max(1.0, abs(expected)))
    return pd.DataFrame({"m": range(1, 7), "worst error": worst})


def printed_fourth_score(*, symmetrized: bool = False) -> float:
    """Return S_4(0)(u, u, v, v) of N(0, I) for orthogonal u, v by GM (7) as printed, over its value."""
    G2, (u, v) = -np.eye(2), np.eye(2)
    printed = 3.0 * (u @ G2 @ u) * (v @ G2 @ v)  # g_1, G_3 and G_4 vanish; (7) has no sym around G_2 (x) G_2
    if symmetrized:
        printed = (u @ G2 @ u) * (v @ G2 @ v) + 2.0 * (u @ G2 @ v) ** 2
    return float(printed / StandardNormal(2).contract(np.zeros((1, 2)), u, u, v, v)[0])


# --- Theorem 1 ----------------------------------------------------------------------------------------

_LINE = GaussianMixture([0.5, 0.5], [[1.2], [-1.2]])

#: Bandwidths of the fits whose bias and spread are measured.
WIDTHS = (0.06, 0.09, 0.135, 0.2)


def _quantiles(count: int) -> Array:
    """Quantiles of the mixture on the line: a sample with next to no sampling error."""
    edges = np.linspace(-7.0, 7.0, 20_001)
    density = np.exp(_LINE.log_density(edges[:, None]))
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.interp((np.arange(count) + 0.5) / count, mass / mass[-1], edges)[:, None]


def _rates(*, degree: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Bias and spread of the derivatives 1..p in one dimension, root mean squares over 16 points.

    The bias is that of 200,000 quantiles, the spread that of 16 samples of size n.
    """
    points = rng.uniform(-2.0, 2.0, (16, 1))
    truth = _LINE.log_derivatives(points, degree)
    even, samples = _quantiles(200_000), [_LINE.sample(n, rng=rng) for _ in range(16)]
    out: dict[str, Any] = {"bias": [], "spread": []}
    for name, sets in (("bias", [even]), ("spread", samples)):
        for h in WIDTHS:
            models = [LocalLikelihood(X, degree=degree, bandwidth=h, shrinkage=0.0) for X in sets]
            fits = [model.fit_at(points).derivatives for model in models]
            errors = [
                np.array([fit[j].reshape(-1) - truth[j].reshape(-1) for fit in fits]) for j in range(degree)
            ]
            found = [e[0] if name == "bias" else np.std(e, axis=0, ddof=1) for e in errors]
            out[name].append([math.sqrt(np.mean(e**2)) for e in found])
    return out


rates = Sweep(
    "06-rates",
    _rates,
    quick=grid(degree=[1, 2, 3, 4], n=[8000], trial=range(4)),
    paper=grid(degree=[1, 2, 3, 4], n=[8000, 32_000], trial=range(30)),
    sensitivity=1e-3,
)


def rate_exponents(frame: pd.DataFrame) -> pd.DataFrame:
    """Return fitted exponents of bias and spread in h with intervals over trials, one row a (p, m).

    Beside them stand those of Theorem 1, and those of a symmetric kernel, for which an even p - m gains
    one order of bias.
    """
    largest = frame[frame["n"] == frame["n"].max()]
    rows = []
    for p, part in largest.groupby("degree"):
        bias, spread = np.array(part["bias"].tolist()), np.array(part["spread"].tolist())
        for m in range(1, int(p) + 1):
            b = slope_interval(WIDTHS, bias[:, :, m - 1].T)
            s = slope_interval(WIDTHS, spread[:, :, m - 1].T)
            bound = p + 1 - m
            rows.append((p, m, bound, bound + (p - m + 1) % 2, *b, -(1 + 2 * m) / 2, *s))
    names = ["p", "m", "bias: bound", "bias: symmetric", "bias", "bias low", "bias high"]
    return pd.DataFrame(rows, columns=[*names, "spread: theory", "spread", "spread low", "spread high"])


def size_exponent(frame: pd.DataFrame, what: str = "spread") -> tuple[float, float, float]:
    """Return the exponent of the spread (or bias) in n with its interval, over all orders and bandwidths."""
    small, large = frame["n"].min(), frame["n"].max()
    ratios = []
    for _, part in frame.groupby(["degree", "trial"]):
        first, last = (np.array(part.loc[part["n"] == n, what].item()) for n in (small, large))
        ratios.append(np.mean(np.log(last / first)) / math.log(large / small))
    return mean_interval(ratios)


# --- Figures 1 and 2 --------------------------------------------------------------------------------


def figure_bandwidth(name: str, n: int) -> float:
    """Return the bandwidth used for Figures 1 and 2; the paper states none.

    Gaussian input: h = 1 for every n. Mixture: Remark 1's exponent with a constant, 1.75 n^(-1/8).
    """
    return 1.0 if name == "gaussian" else rate_bandwidth(n, 2, 2, scale=1.75)


# Samples handled at a time: their six monomials take 2 MB.
_ROWS = 40_000


def centred_monomials(f: Density, n: int, trials: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw a point and a sample each trial; return points and 1, u, v, u^2, uv, v^2 of X - x, (t, 6, n)."""
    x = f.sample(trials, rng=rng)
    U = f.sample(trials * n, rng=rng).reshape(trials, n, 2) - x[:, None]
    u, v = U[:, :, 0], U[:, :, 1]
    return x, np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)


def window_moments(monomials: Array, h: Array) -> tuple[Array, Array]:
    """Kernel-weighted mean and covariance of each trial's sample around its point."""
    square = monomials[:, 3] + monomials[:, 5]
    K = np.exp(square * (-0.5 / h[:, None] ** 2))
    sums = np.matmul(monomials, K[:, :, None])[:, :, 0]
    raw = sums / sums[:, :1]
    mean = raw[:, 1:3]
    return mean, raw[:, [3, 4, 4, 5]].reshape(-1, 2, 2) - mean[:, :, None] * mean[:, None]


def _errors(f: Density, x: Array, derivatives: Sequence[Array]) -> tuple[Array, Array]:
    """Spectral errors of S_2 and Frobenius errors of S_4."""
    second = _score_from(derivatives, 2) - f.score(x, 2)
    fourth = _score_from(derivatives, 4) - f.score(x, 4)
    return np.linalg.norm(second, 2, axis=(1, 2)), np.linalg.norm(fourth.reshape(len(x), -1), axis=1)


def _error_percentiles(
    *, density: str, n: int, trials: int, rng: np.random.Generator, scale: float | None = None
) -> dict[str, Any]:
    """Percentiles over trials, each a fresh sample and a fresh point.

    The paper uses a fifth of the trials for S_2: 10,000 of 50,000.
    """
    f, h = _input(density), figure_bandwidth(density, n)
    if scale is not None:
        h = rate_bandwidth(n, 2, 2, scale=scale)
    errors = []
    rows = max(1, _ROWS // n)
    for start in range(0, trials, rows):
        x, monomials = centred_monomials(f, n, min(rows, trials - start), rng)
        h_all = np.full(len(x), h)
        errors.append(_errors(f, x, degree_two(*window_moments(monomials, h_all), h_all)))
    second, fourth = (np.concatenate(parts) for parts in zip(*errors, strict=True))
    return {
        "h": h,
        "S2": np.percentile(second[: max(trials // 5, min(trials, 1500))], PERCENTILES),
        "S4": np.percentile(fourth, PERCENTILES),
    }


_N = [200, 500, 1000, 2000, 5000, 10_000]
error_percentiles = Sweep(
    "06-error-percentiles",
    _error_percentiles,
    quick=grid(density=["gaussian", "mixture"], n=_N[:5], trials=[1500]),
    paper=grid(density=["gaussian", "mixture"], n=_N, trials=[50_000]),
)


# The paper prints averages over the percentiles; for Figure 2 these are steeper than the medians' slopes.
average_slopes = Sweep(
    "06-average-slopes",
    _error_percentiles,
    quick=grid(density=["mixture"], n=_N[:4], trials=[500], scale=[2.0]),
    paper=grid(density=["mixture"], n=_N, trials=[3000], scale=[2.0]),
)


def slopes(frame: pd.DataFrame, density: str) -> pd.DataFrame:
    """Return log-log slopes of the percentiles, one row a percentile and their mean."""
    part = frame[frame["density"] == density].sort_values("n")
    table = {name: _log_slopes(part["n"], part[name]) for name in ("S2", "S4")}
    out = pd.DataFrame(table, index=[f"{p} %" for p in PERCENTILES])
    out.loc["mean"] = out.mean()
    return out


def _log_slopes(sizes: pd.Series, values: pd.Series) -> Array:
    """Least-squares slopes of the entries of values in log-log scale."""
    table = np.log(values.tolist())
    flat = np.polyfit(np.log(sizes), table.reshape(len(table), -1), 1)[0]
    return np.asarray(flat).reshape(table.shape[1:])


# --- which bandwidth did the paper use? ---------------------------------------------------------------

#: Bandwidth rules tried: constant and exponent of h = c n^(-g), or of k = c n^g for nearest neighbours.
RULES: dict[str, tuple[str, float, float]] = {
    **{f"h = {c:g}": ("power", c, 0.0) for c in (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 1.0, 1.5)},
    **{f"h = {c:g} n^(-1/10)": ("power", c, 1 / 10) for c in (1.0, 1.25, 1.5, 2.0, 3.0)},
    **{f"h = {c:g} n^(-1/8)": ("power", c, 1 / 8) for c in (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)},
    **{f"h = {c:g} n^(-1/6)": ("power", c, 1 / 6) for c in (1.0, 2.0, 2.5, 3.0, 4.0)},
    **{f"neighbour {c:g} n^({g})": ("neighbour", c, e) for c, g, e in ((0.25, "1", 1.0), (1.0, "3/4", 0.75))},
}


def _bandwidth_rules(*, density: str, n: int, trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """Percentiles of the errors of S_2 and S_4 under every rule, all on the same samples."""
    f = _input(density)
    errors: dict[str, list[tuple[Array, Array]]] = {name: [] for name in RULES}
    rows = max(1, _ROWS // n)
    for start in range(0, trials, rows):
        x, monomials = centred_monomials(f, n, min(rows, trials - start), rng)
        square = monomials[:, 3] + monomials[:, 5]
        for name, (kind, c, g) in RULES.items():
            if kind == "power":
                h = np.full(len(x), c * n**-g)
            else:  # the distance to the k-th neighbour of the point
                k = math.ceil(c * n**g) - 1
                h = np.sqrt(np.partition(square, k, axis=1)[:, k])
            errors[name].append(_errors(f, x, degree_two(*window_moments(monomials, h), h)))
    both = [[np.concatenate(part) for part in zip(*errors[name], strict=True)] for name in RULES]
    shown = np.percentile(both, PERCENTILES, axis=-1)  # percentile, rule, order of the score
    return {name: shown[:, :, i].T.tolist() for i, name in enumerate(("S2", "S4"))}


bandwidth_rules = Sweep(
    "06-bandwidth-rules",
    _bandwidth_rules,
    quick=grid(density=["gaussian", "mixture"], n=[200, 500], trials=[100]),
    paper=grid(density=["gaussian", "mixture"], n=_N, trials=[6000]),
)


def rule_slopes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the average slopes over percentiles under every rule, and how far they are from the printed."""
    table = pd.DataFrame(index=list(RULES))
    for density, printed in PRINTED.items():
        part = frame[frame["density"] == density].sort_values("n")
        found = np.array([_log_slopes(part["n"], part[name]).mean(axis=-1) for name in ("S2", "S4")])
        table[f"{density} S2"], table[f"{density} S4"] = found
        table[f"{density} off"] = np.abs(found - np.array(printed)[:, None]).max(axis=0)
    return table


# --- degree 4 against degree 2 ------------------------------------------------------------------------


#: Degrees are compared where this share of the density lies. Beyond it, three and more standard deviations
#: of a window from its mean, degree 4 extrapolates, and a few points of a thousand decide a mean square.
CENTRAL = 0.95


def _central(x: Array, mass: Array) -> Array:
    """Return which of the weighted points are the densest ones that hold the central mass of the mixture."""
    order = np.argsort(-_MIXTURE.log_density(x))
    return order[np.cumsum(mass[order]) <= CENTRAL * mass.sum()]


def degree_two_limit() -> pd.DataFrame:
    """Return the relative errors of S_2 and S_4 on the mixture that degree 2 keeps as n grows, by h.

    Under the kernel's weights a normal component stays normal, so the limit of the window is known in
    closed form; expectations are by Gauss-Hermite quadrature, over all points and over the central ones.
    """
    nodes, weights = hermegauss(40)
    pairs = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    x = np.concatenate([pairs + mean for mean in _MIXTURE.means])
    mass = np.tile(np.outer(weights, weights).reshape(-1), 2)
    inside = _central(x, mass)
    rows = []
    for h in (0.05, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0):
        wide = GaussianMixture(_MIXTURE.weights, _MIXTURE.means, (1.0 + h * h) * np.eye(2))
        share = np.stack([weight for weight, _ in wide.components(x) if weight is not None], axis=1)
        shift = (_MIXTURE.means - x[:, None]) * (h * h / (1.0 + h * h))  # mean of u - x in each component
        mean = np.einsum("qc,qca->qa", share, shift)
        second = np.einsum("qc,qca,qcb->qab", share, shift, shift)
        covariance = second - mean[:, :, None] * mean[:, None] + np.eye(2) * (h * h / (1.0 + h * h))
        estimate = degree_two(mean, covariance, np.full(len(x), h))
        errors = []
        for m in (2, 4):
            truth = _MIXTURE.score(x, m).reshape(len(x), -1)
            square = np.sum((_score_from(estimate, m).reshape(len(x), -1) - truth) ** 2, axis=1)
            size = np.sum(truth**2, axis=1)
            errors += [
                math.sqrt(mass[part] @ square[part] / (mass[part] @ size[part]))
                for part in (slice(None), inside)
            ]
        rows.append((h, *errors))
    return pd.DataFrame(rows, columns=["h", "S2", "S2 central", "S4", "S4 central"])


def _relative_error(estimate: Array, truth: Array) -> float:
    return float(np.linalg.norm(estimate - truth) / np.linalg.norm(truth))


# Share of the sample in a window is this times n^(-d/(2p+2+d)); the constants have about the least error
# of S_4 at n = 10,000 for either degree.
_SHARE = {2: 1.7, 4: 1.4}


def _degrees(*, degree: int, n: int, points: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Relative errors of S_2 and S_4 on the mixture, at fresh points, all of them and the central ones.

    Windows hold a share of the sample that falls as Remark 1 has it: h^d ~ n^(-d/(2p+2+d)).
    """
    X, Q = _MIXTURE.sample(n, rng=rng), _MIXTURE.sample(points, rng=rng)
    share = _SHARE[degree] * rate_bandwidth(n, 2, degree) ** 2
    fit = LocalLikelihood(X, degree=degree, bandwidth=NearestNeighbor(share)).fit_at(Q)
    inside = _central(Q, np.ones(points))
    out: dict[str, Any] = {"h": np.median(fit.bandwidth), "solved": np.mean(fit.status == 0)}
    for m in (2, 4):
        estimate, truth = _score_from(fit.derivatives, m), _MIXTURE.score(Q, m)
        out[f"S{m}"] = _relative_error(estimate, truth)
        out[f"S{m} central"] = _relative_error(estimate[inside], truth[inside])
    return out


degrees = Sweep(
    "06-degrees",
    _degrees,
    quick=grid(degree=[2, 4], n=[1000, 8000, 64_000], points=[100], trial=range(8)),
    paper=grid(degree=[2, 4], n=[1000, 10_000, 100_000, 1_000_000], points=[200], trial=range(20)),
)


def kernel_density_errors(powers: Mapping[str, float], *, seed: int) -> pd.DataFrame:
    """Return relative errors of S_4 by kernel density with h = n^(-power), at central points of the mixture.

    Each of 24 trials has its own hundred points and samples of three sizes, the same for all powers.
    """
    rows = []
    for trial, child in enumerate(np.random.SeedSequence([seed, 14]).spawn(24)):
        rng = np.random.default_rng(child)
        Q = _MIXTURE.sample(100, rng=rng)
        Q = Q[_central(Q, np.ones(len(Q)))]
        truth = _MIXTURE.score(Q, 4)
        for n in (1000, 10_000, 100_000):
            X = _MIXTURE.sample(n, rng=rng)
            for name, power in powers.items():
                found = KernelDensity(X, bandwidth=n**-power).score(Q, 4)
                rows.append((name, n, trial, _relative_error(found, truth)))
    return pd.DataFrame(rows, columns=["bandwidth", "n", "trial", "error"])


# --- estimators side by side ---------------------------------------------------------------------------


def _choose(X: Array, rng: np.random.Generator) -> tuple[ScoreModel, str]:
    """Degree and nearest-neighbour share by cross-validated score matching."""
    settings = [(p, share) for p in (2, 3) for share in (0.1, 0.2, 0.4)]
    ways = [
        lambda Z, p=p, s=s: LocalLikelihood(Z, degree=p, bandwidth=NearestNeighbor(s))  # type: ignore[misc]
        for p, s in settings
    ]
    chosen = choose_score(X, ways, points=2000, rng=rng).chosen
    return ways[chosen](X), "p={}, {}".format(*settings[chosen])


def _printed(X: Array, h: float) -> Sequence[Array]:
    """GM (14), (15) at the sample as they stand, nothing blended or clamped."""
    window = kernel_moments(X, X, np.full(len(X), h), 2)
    mean, covariance = central_moments(window.raw)
    # A window that holds one sample only has covariance zero; this keeps its inverse finite, and out of the
    # reach of rounding, so that the explosion is the same on every machine.
    covariance = covariance + 1e-6 * np.eye(X.shape[1])
    return degree_two(mean + window.centre - X, covariance, np.full(len(X), h))


def _estimate(method: str, X: Array, rng: np.random.Generator) -> tuple[Sequence[Array] | ScoreModel, str]:
    n = len(X)
    match method:
        case "GM (14), (15), h = n^(-1/8)":
            return _printed(X, rate_bandwidth(n, 2, 2)), ""
        case "LLSFE, h = 2 n^(-1/8)":
            return LocalLikelihood(X, bandwidth=rate_bandwidth(n, 2, 2, scale=2.0)), ""
        case "LLSFE, cross-validated":
            return _choose(X, rng)
        case "kernel density":
            return KernelDensity(X, bandwidth=1.2 * n ** (-1.0 / 8.0)), ""
        case "score matching":
            return ScoreMatching(X, width=1.5, ridge=1e-3, rng=rng), ""
        case "spectral Stein":
            return SpectralStein(X[:1000], energy=0.98), ""
        case _:
            return fit_gaussian_mixture(X, 2, rng=rng), ""


def _estimators(*, method: str, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Relative errors at the sample itself, and the largest errors of S_1 and S_4 at any point."""
    X = _MIXTURE.sample(n, rng=rng)
    found, chosen = _estimate(method, X, rng)
    out: dict[str, Any] = {"S2": math.nan, "S4": math.nan, "worst S4": math.nan, "chosen": chosen}
    for m in (1,) if method == "spectral Stein" else (1, 2, 4):
        estimate = found.score(X, m) if isinstance(found, ScoreModel) else _score_from(found, m)
        truth = _MIXTURE.score(X, m)
        out[f"S{m}"] = _relative_error(estimate, truth)
        if m != 2:
            out[f"worst S{m}"] = np.linalg.norm((estimate - truth).reshape(n, -1), axis=1).max()
    return out


METHODS = (
    "GM (14), (15), h = n^(-1/8)",
    "kernel density",
    "LLSFE, h = 2 n^(-1/8)",
    "LLSFE, cross-validated",
    "score matching",
    "spectral Stein",
    "two-component mixture",
)
estimators = Sweep(
    "06-estimators",
    _estimators,
    quick=grid(method=METHODS, n=[1000], trial=range(6)),
    paper=grid(method=METHODS, n=[1000, 3000, 10_000], trial=range(6)),
)
