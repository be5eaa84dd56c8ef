"""Chapter 2: a sparse first layer from its moment by l1 programmes (SA)."""

import itertools
import math
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from companion.ledger import LEVEL
from companion.sweep import Sweep, grid, log_slopes
from nnmoments.activations import Activation, quadratic, relu, tanh
from nnmoments.densities import Gaussian, GaussianMixture, StandardNormal, StudentT, iid
from nnmoments.learners import SparseNetworkClassifier
from nnmoments.learners.sparse_network import train_network
from nnmoments.linalg import match_rows, principal_angles
from nnmoments.moments import MomentEstimate, first_moment
from nnmoments.networks import FeedForward, OneHiddenLayer, sparse_weights
from nnmoments.scores import IndependentLocalLikelihood, NearestNeighbor
from nnmoments.sparse import SparseRecovery, expansion_margin, l1_programmes, recover_rows, row_basis
from nnmoments.validation import Array

__all__ = [
    "autoencoder",
    "autoencoder_score",
    "beyond",
    "classifier",
    "controls",
    "depth",
    "edge_interval",
    "edges",
    "exact_share",
    "expansion",
    "guarantee",
    "median_slope",
    "noise",
    "phase_size",
    "phase_theta",
    "product_scores",
    "samples",
    "samples_needed",
    "scales_and_biases",
    "scores",
    "second_layer",
    "slope",
    "solvers",
    "sparsest",
    "success_edge",
    "upper_layers",
]

# A row counts as recovered exactly at this relative error, and only with its support.
_EXACT = 1e-8


def _planted(k: int, d: int, theta: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Bernoulli(theta)-Gaussian A (SA A.5) with unit rows, and M = B A with a Gaussian B."""
    A = sparse_weights(k, d, density=theta, rng=rng)
    return A, rng.standard_normal((k, k)) @ A


def _row_errors(rows: Array, A: Array) -> Array:
    """Relative error of each row of A; rows that were not found count as 1."""
    missing = len(A) - len(rows)
    # A zero row is at relative distance 1 from every unit row.
    return match_rows(np.vstack([rows, np.zeros((missing, A.shape[1]))]), A).errors


def _exact(recovery: SparseRecovery, A: Array) -> bool:
    if len(recovery.rows) < len(A):
        return False
    match = match_rows(recovery.rows, A)
    return bool(match.worst < _EXACT and np.array_equal(recovery.support[match.permutation], A != 0))


# --- exact recovery -------------------------------------------------------------------------------


def _phase(*, k: int, d: int, theta: float, trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """In how many of the trials Algorithm 1 recovers all rows and supports exactly."""
    exact = 0
    for _ in range(trials):
        A, M = _planted(k, d, theta, rng)
        exact += _exact(recover_rows(M, rng=rng), A)
    return {"exact": exact}


def _phase_in_roots(*, k: int, d: int, trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """The same at theta = 1 / (2 sqrt(k)), so that only the number of inputs decides."""
    return _phase(k=k, d=d, theta=0.5 / math.sqrt(k), trials=trials, rng=rng)


phase_theta = Sweep(
    "02-phase-theta",
    _phase,
    quick=grid(k=[4, 8, 12, 16], d=[200], theta=[0.05, 0.15, 0.25, 0.35, 0.5], trials=[4]),
    paper=grid(k=range(3, 23), d=[200], theta=[round(0.03 + 0.03 * i, 2) for i in range(20)], trials=[20]),
)

phase_size = Sweep(
    "02-phase-size",
    _phase_in_roots,
    quick=grid(k=[4, 8, 12, 16], d=[20, 40, 80, 160], trials=[6]),
    paper=grid(k=range(3, 23), d=[round(10 * 40 ** (i / 19)) for i in range(20)], trials=[20]),
)


def _edges(*, k: int, scale: str, factor: float, trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """The same with d = 2 k^2 inputs, theta a multiple of 1/sqrt(k) or of 1/k."""
    theta = factor / (math.sqrt(k) if scale == "1/sqrt(k)" else k)
    return {"theta": theta, **_phase(k=k, d=2 * k * k, theta=theta, trials=trials, rng=rng)}


edges = Sweep(
    "02-edges",
    _edges,
    quick=[
        *grid(k=[6], scale=["1/sqrt(k)"], factor=[0.8, 2.0], trials=[4]),
        *grid(k=[6], scale=["1/k"], factor=[1.0], trials=[4]),
    ],
    paper=[
        *grid(k=[6, 9, 13], scale=["1/sqrt(k)"], factor=[1.2, 1.4, 1.6, 1.8, 2.0], trials=[10]),
        *grid(k=[6, 9, 13], scale=["1/k"], factor=[0.5, 1.0], trials=[10]),
    ],
)


def success_edge(frame: pd.DataFrame, size: str) -> tuple[float, float]:
    """Return (a, b) of the edge size = a k^b where half of the trials succeed, by logistic regression."""
    X = np.log(frame[[size, "k"]].to_numpy(dtype=float))
    wins, trials = frame["exact"].to_numpy(), frame["trials"].to_numpy()
    label = np.repeat([1, 0], len(X))
    weight = np.concatenate([wins, trials - wins])
    model = LogisticRegression(C=1e4, max_iter=1000).fit(np.vstack([X, X]), label, sample_weight=weight)
    by_size, by_k = model.coef_[0]
    return math.exp(-model.intercept_[0] / by_size), float(-by_k / by_size)


def edge_interval(frame: pd.DataFrame, size: str, *, draws: int = 150) -> tuple[float, float, float]:
    """Return the exponent b of `success_edge` with an interval from trials resampled in each cell."""
    rng, trials = np.random.default_rng(0), frame["trials"].to_numpy()
    shares = frame["exact"].to_numpy() / trials
    drawn = [success_edge(frame.assign(exact=rng.binomial(trials, shares)), size)[1] for _ in range(draws)]
    return _around(success_edge(frame, size)[1], np.array(drawn))


def _around(value: float, drawn: Array) -> tuple[float, float, float]:
    """Return the normal interval at the ledger's level, with the standard error of resampled values."""
    half = float(norm.isf((1.0 - LEVEL) / 2.0) * drawn.std(ddof=1))
    return value, value - half, value + half


def exact_share(live: pd.DataFrame, stored: pd.DataFrame, cells: str) -> float:
    """Return the share of exact recoveries in the cells that a query chooses, live and stored trials."""
    counts = pd.concat([live, stored]).query(cells)[["exact", "trials"]].sum()
    return float(counts["exact"] / counts["trials"])


def _guarantee(*, columns: str, trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """Exact recovery at k = 20, d = 500, theta = 0.15, and what stands behind it."""
    exact, programmes, gap, proofs, missed = 0, 0, 0.0, 0, 0.0
    for _ in range(trials):
        A, M = _planted(20, 500, 0.15, rng)
        recovery = recover_rows(M, columns=columns, rng=rng)
        exact += _exact(recovery, A)
        programmes += recovery.n_programmes
        gap = max(gap, float(recovery.gap.max()))
        proofs += recovery.check.how == "expansion"
        missed = max(missed, recovery.check.failure_probability)
    return {
        "exact": exact,
        "trials": trials,
        "programmes": programmes / trials,
        "gap": gap,
        "proofs": proofs,
        "missed": missed,
    }


guarantee = Sweep(
    "02-guarantee",
    _guarantee,
    quick=grid(columns=["all", "pairs", "fast"], trials=[20]),
    paper=grid(columns=["all", "pairs", "fast"], trials=[100]),
)


# --- past the guarantee ---------------------------------------------------------------------------


def _l4_directions(Q: Array, rng: np.random.Generator) -> Array:
    """Maximise the sum of fourth powers over rotations: matching, stretching, projection.

    Zhai, Yang, Liao, Wright, Ma (JMLR 2020).
    """
    U = np.linalg.qr(rng.standard_normal((len(Q), len(Q))))[0]
    for _ in range(100):
        left, _, right = np.linalg.svd((U @ Q) ** 3 @ Q.T)
        U = left @ right
    return np.asarray(U)


def _sphere_directions(Q: Array, rng: np.random.Generator) -> Array:
    """Alternate soft thresholding and normalising from random columns: Qu, Sun, Wright (2014)."""
    d = Q.shape[1]
    lengths = np.linalg.norm(Q, axis=0)
    starts = rng.choice(np.flatnonzero(lengths > 0), size=min(4 * len(Q), d))
    U = (Q[:, starts] / lengths[starts]).T
    threshold = 1.0 / math.sqrt(d)
    for _ in range(100):
        S = U @ Q
        U = np.sign(S) * np.maximum(np.abs(S) - threshold, 0.0) @ Q.T
        U /= np.maximum(np.linalg.norm(U, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return U[np.linalg.norm(U, axis=1) > 0.5]


def _beyond(*, method: str, theta: float, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Share of the rows of A found exactly by columns, pairs, or directions rounded by programmes."""
    k, d = 16, 300
    A, M = _planted(k, d, theta, rng)
    if method in ("all", "pairs", "fast"):
        rows = recover_rows(M, columns=method, rng=rng).rows
    else:
        Q = row_basis(M).Q
        U = _l4_directions(Q, rng) if method == "l4" else _sphere_directions(Q, rng)
        rows = l1_programmes(Q, U).coefficients @ Q
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    nearest = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * np.abs(A @ rows.T).max(axis=1)))
    # Rows of a programme stopped at a gap of 1e-9 are known to the root of that.
    return {"found": float(np.mean(nearest < 1e-4))}


beyond = Sweep(
    "02-beyond",
    _beyond,
    quick=grid(method=["all", "pairs", "fast", "l4", "sphere"], theta=[0.15, 0.3, 0.45], trial=range(2)),
    paper=grid(
        method=["all", "pairs", "fast", "l4", "sphere"],
        theta=[round(0.1 + 0.05 * i, 3) for i in range(10)],
        trial=range(10),
    ),
)


# --- the deterministic condition ------------------------------------------------------------------


def _expansion(*, d: int, theta: float, trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """Margins of SA's condition on A_1 and on B, and whether Algorithm 1 was exact."""
    k = 6
    margins, printed, exact = [], [], []
    for _ in range(trials):
        A = sparse_weights(k, d, density=theta, rng=rng)
        B = rng.standard_normal((k, k))
        margins.append(expansion_margin(A != 0))
        printed.append(expansion_margin((B != 0).T))
        exact.append(_exact(recover_rows(B @ A, rng=rng), A))
    return {"margin": margins, "printed": printed, "exact": exact}


expansion = Sweep(
    "02-expansion",
    _expansion,
    quick=grid(d=[15, 30, 60, 120], theta=[0.2, 0.35, 0.5], trials=[12]),
    paper=grid(d=[15, 20, 30, 45, 60, 90, 120], theta=[0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5], trials=[40]),
)


def _sparsest(*, values: str, trials: int, rng: np.random.Generator) -> dict[str, Any]:
    """Margins on A_1, and whether no other vertex of the span is as sparse as its rows: all are listed."""
    k, d = 3, 14
    margins: list[int] = []
    identified: list[bool] = []
    while len(margins) < trials:
        A = sparse_weights(k, d, density=float(rng.uniform(0.15, 0.5)), rng=rng)
        if values == "signs":
            A = np.sign(A)
        if np.linalg.matrix_rank(A) < k:
            continue
        Q = row_basis(A).Q
        dense = int((A != 0).sum(axis=1).max())
        vertices = []
        for columns in itertools.combinations(range(d), k - 1):
            _, lengths, right = np.linalg.svd(Q[:, columns].T)
            if lengths[-1] > 1e-9 and np.sum(np.abs(right[-1] @ Q) > 1e-9) <= dense:
                vertices.append(right[-1] @ Q)
        V = np.array(vertices)
        distinct = np.unique(np.argmax(np.abs(V @ V.T) > 1.0 - 1e-9, axis=1))
        margins.append(expansion_margin(A != 0))
        identified.append(len(distinct) == k)
    return {"margin": margins, "identified": identified}


sparsest = Sweep(
    "02-sparsest",
    _sparsest,
    quick=grid(values=["gaussian", "signs"], trials=[80]),
    paper=grid(values=["gaussian", "signs"], trials=[1000]),
)


# --- the solver against the linear programme ------------------------------------------------------


def _solvers(*, k: int, d: int, theta: float, columns: int, rng: np.random.Generator) -> dict[str, Any]:
    """Milliseconds a column, and the worst relative difference of the objectives from HiGHS's."""
    _, M = _planted(k, d, theta, rng)
    used = np.flatnonzero(M.any(axis=0))
    few = M[:, rng.choice(used, size=min(columns, len(used)), replace=False)].T
    result: dict[str, Any] = {}
    start = time.perf_counter()
    everything = l1_programmes(M)
    result["batched_ms"] = 1e3 * (time.perf_counter() - start) / len(everything.columns)
    start = time.perf_counter()
    recover_rows(M, columns="fast")
    result["fast_ms"] = 1e3 * (time.perf_counter() - start)
    values = {}
    for method in ("batched", "highs", "cvxpy"):
        start = time.perf_counter()
        values[method] = l1_programmes(M, few, method=method, tol=1e-9).objective
        if method != "batched":
            result[f"{method}_ms"] = 1e3 * (time.perf_counter() - start) / len(few)
    difference = values["batched"] / values["highs"] - 1.0
    result["error"] = float(np.abs(difference).max())
    result["cvxpy_error"] = float(np.abs(values["cvxpy"] / values["highs"] - 1.0).max())
    result["gap"] = float(everything.gap.max())
    result["screened"] = everything.n_screened / len(everything.columns)
    return result


solvers = Sweep(
    "02-solvers",
    _solvers,
    quick=[
        {"k": k, "d": d, "theta": theta, "columns": 20}
        for k, d, theta in [(10, 200, 0.2), (20, 500, 0.15), (30, 900, 0.12)]
    ],
    paper=[
        {"k": k, "d": d, "theta": theta, "columns": 20}
        for k, d, theta in [
            (10, 200, 0.2),
            (20, 500, 0.15),
            (30, 900, 0.12),
            (50, 2000, 0.1),
            (100, 4000, 0.06),
        ]
    ],
    volatile=("batched_ms", "fast_ms", "highs_ms", "cvxpy_ms", "error", "cvxpy_error", "gap", "screened"),
)


# --- noise ----------------------------------------------------------------------------------------


def _noise(*, factor: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Worst row error at 2 % noise, k = 20, d = 500, theta = 0.15, by how rows are chosen and fitted.

    B is "gaussian", or has singular values from 1 to the number in `factor`, equally spaced.
    """
    k, d = 20, 500
    A = sparse_weights(k, d, density=0.15, rng=rng)
    if factor == "gaussian":
        B = rng.standard_normal((k, k))
    else:
        left, right = (np.linalg.qr(rng.standard_normal((k, k)))[0] for _ in range(2))
        B = (left * np.linspace(1.0, float(factor), k)) @ right.T
    M = B @ A
    E = rng.standard_normal(M.shape)
    E *= 0.02 * np.linalg.norm(M) / np.linalg.norm(E)
    error = np.full(M.shape, E.std())
    options: dict[str, dict[str, Any]] = {
        "l0": {"ordering": "l0", "columns": "all"},
        "ratio": {"standard_error": error, "refine": False, "columns": "fast"},
        "refined": {"standard_error": error, "columns": "fast"},
    }
    result = {"condition": float(np.linalg.cond(B))}
    for name, option in options.items():
        errors = _row_errors(recover_rows(M + E, k=k, rng=rng, **option).rows, A)
        result[name], result[f"{name}_median"] = float(errors.max()), float(np.median(errors))
    return result


noise = Sweep(
    "02-noise",
    _noise,
    quick=grid(factor=["3"], trial=range(5)),
    paper=grid(factor=["1", "3", "10", "30", "gaussian"], trial=range(20)),
)


# --- from samples ---------------------------------------------------------------------------------


def _teacher(
    k: int,
    d: int,
    n_y: int,
    theta: float,
    rng: np.random.Generator,
    *,
    layers: int = 2,
    link: str = "softmax",
    activation: Activation = tanh,
) -> FeedForward:
    """A teacher whose factor B is far from singular: orthonormal directions of equal strength."""
    A = sparse_weights(k, d, density=theta, rng=rng)
    middle = [1.5 * np.linalg.qr(rng.standard_normal((k, k)))[0] for _ in range(layers - 2)]
    top = np.linalg.qr(rng.standard_normal((n_y, k)))[0]
    scale = 6.0 if link == "softmax" else 1.0
    return FeedForward([A, *middle, scale * top], activation, link=link)


#: What the moment and the rows are made with: the paper's way first.
_WAYS: dict[str, dict[str, Any]] = {
    "paper": {"control": "none", "ordering": "l0", "columns": "all"},
    "plain": {"control": "none", "ordering": "ratio", "refine": False},
    "control": {"control": "linear", "ordering": "ratio", "refine": False},
    "refined": {"control": "none", "ordering": "ratio"},
    "learner": {"control": "linear", "ordering": "ratio"},
}

_SIZES = {"quick": [4_000, 8_000, 16_000], "paper": [4_000, 8_000, 16_000, 32_000, 64_000]}


def _recover(moment: MomentEstimate, k: int, way: dict[str, Any], rng: np.random.Generator) -> Array:
    options = {name: value for name, value in way.items() if name != "control"}
    if options["ordering"] != "l0":
        options["standard_error"] = moment.standard_error
    return recover_rows(moment.value, k=k, rng=rng, **{"columns": "fast", **options}).rows


def _samples(*, link: str, sizes: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Root mean square row error against the sample size, for each way to make moment and rows."""
    k, d = 4, 80
    teacher = _teacher(k, d, 8, 0.12, rng, link=link)
    density = StandardNormal(d)
    X = density.sample(_SIZES[sizes][-1], rng=rng)
    y = teacher.sample_labels(X, rng=rng, **({"noise": 0.2} if link == "identity" else {}))
    errors: dict[str, list[float]] = {name: [] for name in _WAYS}
    for n in _SIZES[sizes]:
        moments = {c: first_moment(X[:n], y[:n], density, control=c) for c in ("none", "linear")}
        for name, way in _WAYS.items():
            rows = _recover(moments[way["control"]], k, way, rng)
            errors[name].append(float(np.sqrt(np.mean(_row_errors(rows, teacher.weights[0]) ** 2))))
    return {"n": _SIZES[sizes], **errors}


samples = Sweep(
    "02-samples",
    _samples,
    quick=grid(link=["softmax", "identity"], sizes=["quick"], trial=range(12)),
    paper=grid(link=["softmax", "identity"], sizes=["paper"], trial=range(20)),
)


def samples_needed(frame: pd.DataFrame, way: str) -> pd.Series:
    """Return the samples that a way needs for the plain moment's error, as a share, by trial (n^-1/2)."""
    logs = frame[[way, "plain"]].map(np.log).map(np.mean)
    return np.exp(2.0 * (logs[way] - logs["plain"]))


def slope(frame: pd.DataFrame, column: str) -> float:
    """Return the log-log slope of the median error over the sizes."""
    middle = np.median(frame[column].tolist(), axis=0)
    return float(np.polyfit(np.log(frame["n"].iloc[0]), np.log(middle), 1)[0])


def median_slope(frame: pd.DataFrame, column: str, *, draws: int = 1000) -> tuple[float, float, float]:
    """Return `slope` with an interval from resampled trials."""
    errors, rng = np.array(frame[column].tolist()), np.random.default_rng(0)
    middles = [np.median(rng.choice(errors, len(errors)), axis=0) for _ in range(draws)]
    return _around(slope(frame, column), log_slopes(frame["n"].iloc[0], middles))


def _scores(*, sizes: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Row error on correlated inputs: the true score, a fitted one, and x itself as if independent."""
    k, d = 3, 80
    teacher = _teacher(k, d, 6, 0.12, rng)
    covariance = 0.4 ** np.abs(np.subtract.outer(np.arange(d), np.arange(d)))
    density = Gaussian(np.zeros(d), covariance)
    X = density.sample(_SIZES[sizes][-1], rng=rng)
    y = teacher.sample_labels(X, rng=rng)
    errors: dict[str, list[float]] = {"true": [], "fitted": [], "wrong": []}
    for n in _SIZES[sizes]:
        fitted = Gaussian(X[:n].mean(axis=0), np.cov(X[:n], rowvar=False))
        for name, model in (("true", density), ("fitted", fitted), ("wrong", StandardNormal(d))):
            control = "mean" if name == "wrong" else "linear"  # the linear part would repair a wrong score
            rows = _recover(first_moment(X[:n], y[:n], model, control=control), k, _WAYS["learner"], rng)
            errors[name].append(float(np.sqrt(np.mean(_row_errors(rows, teacher.weights[0]) ** 2))))
    return {"n": _SIZES[sizes], **errors}


scores = Sweep(
    "02-scores",
    _scores,
    quick=grid(sizes=["quick"], trial=range(11)),
    paper=grid(sizes=["paper"], trial=range(20)),
)


def _product_scores(*, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Row error on Student inputs: the true score, one by local likelihood, one of a Gaussian."""
    k, d, n = 3, 30, 8_000
    teacher = _teacher(k, d, 6, 0.15, rng)
    density = iid(StudentT(dof=5.0), d)
    X = density.sample(n, rng=rng)
    y = teacher.sample_labels(X, rng=rng)
    models = {
        "true": density,
        "nonparametric": IndependentLocalLikelihood(X, degree=2, bandwidth=NearestNeighbor(0.3)),
        "gaussian": Gaussian(X.mean(axis=0), np.cov(X, rowvar=False)),
    }
    errors = {}
    for name, model in models.items():
        rows = _recover(first_moment(X, y, model), k, _WAYS["learner"], rng)
        errors[name] = float(np.median(_row_errors(rows, teacher.weights[0])))
    return errors


product_scores = Sweep(
    "02-product-scores",
    _product_scores,
    quick=grid(trial=range(2)),
    paper=grid(trial=range(20)),
)


def autoencoder_score(X: Array, *, units: int, noise: float, rng: np.random.Generator) -> Array:
    r"""Return the score at the inputs, :math:`(x - r(x))/\sigma^2`, by a denoising auto-encoder r.

    It learns to take off normal noise of standard deviation sigma, from four noisy copies of the inputs. Its
    hidden units are cosines in random directions beside the inputs themselves; its output weights are fitted.
    """
    d = X.shape[1]
    directions, phases = rng.standard_normal((d, units)) / 3.0, rng.uniform(0.0, 2.0 * np.pi, units)

    def hidden(Z: Array) -> Array:
        return np.column_stack([np.ones(len(Z)), Z, np.cos(Z @ directions + phases)])

    normal, right = np.zeros((1 + d + units, 1 + d + units)), np.zeros((1 + d + units, d))
    for _ in range(4):
        values = hidden(X + noise * rng.standard_normal(X.shape))
        normal += values.T @ values
        right += values.T @ X
    fitted = np.linalg.solve(normal + 4e-5 * len(X) * np.eye(len(normal)), right)
    return np.asarray((X - hidden(X) @ fitted) / noise**2)


def _autoencoder(*, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Sine of the largest angle between the spans of the rows and of the moment, by score; k = 2, d = 6."""
    k, d = 2, 6
    teacher = _teacher(k, d, 4, 0.5, rng)
    means = rng.standard_normal((3, d))
    means *= 3.0 / np.linalg.norm(means, axis=1, keepdims=True)
    density = GaussianMixture([0.5, 0.3, 0.2], means, 0.5 * np.eye(d))
    X = density.sample(n, rng=rng)
    y = teacher.sample_labels(X, rng=rng)
    scores = {
        "true": density.score(X, 1),
        "autoencoder": autoencoder_score(X, units=300, noise=0.5, rng=rng),
        "linear": autoencoder_score(X, units=0, noise=0.5, rng=rng),
        "gaussian": Gaussian(X.mean(axis=0), np.cov(X, rowvar=False)).score(X, 1),
    }
    sines = {}
    for name, score in scores.items():
        right = np.linalg.svd((y - y.mean(axis=0)).T @ score)[2][:k]
        sines[name] = float(np.sin(principal_angles(right, teacher.weights[0]).max()))
    return sines


autoencoder = Sweep(
    "02-autoencoder",
    _autoencoder,
    quick=grid(n=[4_000], trial=range(1)),
    paper=grid(n=[10_000], trial=range(60)),
)


# --- the whole network ----------------------------------------------------------------------------


def _classifier(*, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Test accuracy: teacher, SA's network, fine-tuned, and the same network from a random start."""
    k, d, n_y = 5, 60, 10
    teacher = _teacher(k, d, n_y, 0.12, rng, activation=relu)
    X, fresh = rng.standard_normal((n, d)), rng.standard_normal((5_000, d))
    Y, truth = teacher.sample_labels(X, rng=rng), teacher.sample_labels(fresh, rng=rng).argmax(axis=1)
    labels = Y.argmax(axis=1)
    seed = int(rng.integers(2**31))
    moment = SparseNetworkClassifier(k, score_model=StandardNormal(d), fine_tune=False, random_state=seed)
    with warnings.catch_warnings():  # few samples do not show all units, which is what the curve is about
        warnings.simplefilter("ignore", ConvergenceWarning)
        moment.fit(X, labels)
    learnt = moment.network_
    support = moment.diagnostics_["recovery"].support
    rows = moment.weights_ / np.linalg.norm(moment.weights_, axis=1, keepdims=True)
    tuned = train_network(X, Y, learnt.weights, learnt.biases, activation="relu", mask=support, max_iter=100)
    start = [rng.standard_normal((k, d)) / math.sqrt(d), rng.standard_normal((n_y, k)) / math.sqrt(k)]
    random = train_network(X, Y, start, [np.zeros(k), np.zeros(n_y)], activation="relu", max_iter=100)
    return {
        "teacher": float(np.mean(teacher(fresh).argmax(axis=1) == truth)),
        "moment": float(np.mean(moment.predict(fresh) == truth)),
        "tuned": float(np.mean(tuned.logits(fresh).argmax(axis=1) == truth)),
        "random": float(np.mean(random.logits(fresh).argmax(axis=1) == truth)),
        "error": float(_row_errors(rows, teacher.weights[0]).max()),
    }


classifier = Sweep(
    "02-classifier",
    _classifier,
    quick=grid(n=[1_000, 4_000], trial=range(3)),
    paper=grid(n=[1_000, 2_000, 4_000, 8_000, 16_000], trial=range(10)),
)


def _train_scales(directions: Array, X: Array, Y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return scales and biases of tanh units along given directions, by back propagation and L-BFGS.

    From scales one, biases zero, and a random second layer, which is learned too.
    """
    k, n_y = len(directions), Y.shape[1]
    images = X @ directions.T
    top = rng.standard_normal(n_y * k) / math.sqrt(k)

    def loss(parameters: Array) -> tuple[float, Array]:
        scales, biases, top, constant = np.split(parameters, [k, 2 * k, (2 + n_y) * k])
        units = np.tanh(images * scales + biases)
        left = units @ top.reshape(n_y, k).T + constant - Y
        back = (left @ top.reshape(n_y, k)) * (1.0 - units**2) / len(Y)
        parts = [np.sum(back * images, axis=0), back.sum(axis=0), (left.T @ units).ravel() / len(Y)]
        return 0.5 * float(np.sum(left**2)) / len(Y), np.concatenate([*parts, left.mean(axis=0)])

    start = np.concatenate([np.ones(k), np.zeros(k), top, np.zeros(n_y)])
    options = {"maxiter": 5000, "maxfun": 10_000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30}
    end = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return end[:k], end[k : 2 * k]


def scales_and_biases(*, seed: int, trials: int = 10) -> pd.DataFrame:
    """Return the worst error of scales (relative) and biases, k = 4, d = 80, 1000 samples without noise.

    Along the rows that Algorithm 1 finds in the moment, and along other directions of their span.
    """
    rng = np.random.default_rng([seed, 13])
    k, d, n_y, found = 4, 80, 6, []
    for _ in range(trials):
        unit = sparse_weights(k, d, density=0.15, rng=rng)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        scales, biases = rng.uniform(0.5, 2.0, k), rng.uniform(-1.0, 1.0, k)
        top = np.linalg.qr(rng.standard_normal((n_y, k)))[0]
        teacher = FeedForward(
            [scales[:, None] * unit, top], tanh, biases=[biases, rng.standard_normal(n_y)], link="identity"
        )
        X = rng.standard_normal((1000, d))
        rows = recover_rows(teacher.mean_jacobian(rng.standard_normal((2000, d))), rng=rng).rows
        order = match_rows(rows, unit).permutation
        mixed = np.linalg.qr(rng.standard_normal((k, k)))[0] @ rows
        errors = {}
        for name, directions in (("rows", rows), ("span", mixed)):
            directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
            lengths, offsets = (part[order] for part in _train_scales(directions, X, teacher(X), rng))
            signs = np.sign(np.sum(directions[order] * unit, axis=1) * lengths)
            worst = np.abs(np.abs(lengths) / scales - 1.0).max(), np.abs(signs * offsets - biases).max()
            errors[name] = float(max(worst))
        found.append(errors)
    return pd.DataFrame(found)


def _second_layer(*, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Test accuracy of softmax regression on x, on the units of the rows found, on a basis of their span."""
    k, d, n_y, n = 4, 60, 6, 6_000
    A = sparse_weights(k, d, density=0.2, rng=rng)
    top = rng.standard_normal((n_y, k))
    teacher = FeedForward([1.5 * A, 6.0 * (top - top.mean(axis=0))], relu, link="softmax")
    X, fresh = rng.standard_normal((n, d)), rng.standard_normal((5_000, d))
    Y, truth = teacher.sample_labels(X, rng=rng), teacher.sample_labels(fresh, rng=rng).argmax(axis=1)
    rows = recover_rows(teacher.mean_factor(X) @ A, rng=rng).rows
    rotated = np.linalg.qr(rng.standard_normal((len(rows), len(rows))))[0] @ row_basis(rows).Q

    def accuracy(hidden: Array, test: Array) -> float:
        start = [np.zeros((n_y, hidden.shape[1]))], [np.zeros(n_y)]
        logits = train_network(hidden, Y, *start, max_iter=150).logits(test)
        return float(np.mean(logits.argmax(axis=1) == truth))

    def encoded(directions: Array) -> float:
        hidden = [np.hstack([relu(Z @ directions.T), relu(-Z @ directions.T)]) for Z in (X, fresh)]
        return accuracy(*hidden)

    return {
        "teacher": float(np.mean(teacher(fresh).argmax(axis=1) == truth)),
        "inputs": accuracy(X, fresh),
        "rows": encoded(rows),
        "span": encoded(rotated),
    }


second_layer = Sweep(
    "02-second-layer",
    _second_layer,
    quick=grid(trial=range(2)),
    paper=grid(trial=range(12)),
)


#: Widths of the layers above k = 10 hidden units, the labels last, and the link.
_UPPER: dict[str, tuple[list[int], str]] = {
    "square, 3 layers": ([10, 20], "softmax"),
    "square, 4 layers": ([10, 10, 20], "softmax"),
    "tall, 4 layers": ([14, 18, 24], "softmax"),
    "bottleneck, 4 layers": ([8, 12, 20], "softmax"),
    "k classes": ([10], "softmax"),
    "k + 1 classes": ([11], "softmax"),
    "k labels": ([10], "sigmoid"),
    "k - 1 labels": ([9], "sigmoid"),
}


def _upper_layers(*, upper: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """What the exact moment of a network with Gaussian upper layers holds of its first layer."""
    k, d = 10, 300
    widths, link = _UPPER[upper]
    A = sparse_weights(k, d, density=0.2, rng=rng)
    shapes = itertools.pairwise([k, *widths])
    layers = [rng.standard_normal((above, below)) / math.sqrt(below) for below, above in shapes]
    teacher = FeedForward([A, *layers[:-1], 3.0 * layers[-1]], tanh, link=link)
    B = teacher.mean_factor(rng.standard_normal((1_000, d)))
    values = np.linalg.svd(B, compute_uv=False)
    recovery = recover_rows(B @ A, rng=rng)
    errors = _row_errors(recovery.rows, A)
    return {
        "ratio": float(values[k - 1] / values[0]) if len(values) >= k else 0.0,
        "exact": _exact(recovery, A),
        "found": float(np.mean(errors < 1e-6)),
    }


upper_layers = Sweep(
    "02-upper-layers",
    _upper_layers,
    quick=grid(upper=list(_UPPER), trial=range(2)),
    paper=grid(upper=list(_UPPER), trial=range(12)),
    volatile=("ratio",),
)


def _depth(*, layers: int, sizes: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Row error of the first layer under one, two and three further layers.

    And whether the exact moment of a network inside the guarantee gives its first layer exactly.
    """
    k, d = 3, 80
    teacher = _teacher(k, d, 6, 0.12, rng, layers=layers)
    density = StandardNormal(d)
    X = density.sample(_SIZES[sizes][-1], rng=rng)
    y = teacher.sample_labels(X, rng=rng)
    errors = []
    for n in _SIZES[sizes]:
        rows = _recover(first_moment(X[:n], y[:n], density), k, _WAYS["learner"], rng)
        errors.append(float(np.sqrt(np.mean(_row_errors(rows, teacher.weights[0]) ** 2))))
    wide = _teacher(10, 300, 20, 0.2, rng, layers=layers)
    # Any sample serves: the moment of its inputs is B A_1 with the mean factor over them.
    B = wide.mean_factor(rng.standard_normal((2_000, 300)))
    exact = _exact(recover_rows(B @ wide.weights[0], rng=rng), wide.weights[0])
    return {"n": _SIZES[sizes], "error": errors, "exact": exact}


depth = Sweep(
    "02-depth",
    _depth,
    quick=grid(layers=[2, 3, 4], sizes=["quick"], trial=range(8)),
    paper=grid(layers=[2, 3, 4], sizes=["paper"], trial=range(20)),
)


# --- what must fail -------------------------------------------------------------------------------


def _third_moment_rows(teacher: OneHiddenLayer) -> Array:
    """Decode k rows from one label's exact third moment: Jennrich's two contractions on its span."""
    T = teacher.moment(3)
    k = len(teacher.weights)
    span = np.linalg.eigh(np.einsum("abc,ebc->ae", T, T, optimize=True))[1][:, -k:]
    core = np.einsum("abc,ai,bj,ck->ijk", T, span, span, span, optimize=True)
    weights = np.random.default_rng(0).standard_normal((2, k))
    first, second = (core @ w for w in weights)
    vectors = np.linalg.eig(first @ np.linalg.inv(second))[1].real
    rows = (span @ vectors).T
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _controls(*, control: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Worst row error on exact moments when an assumption is broken on purpose."""
    k, d = 6, 120
    A = sparse_weights(k, d, density=1.0 if control == "dense" else 0.15, rng=rng)
    match control:
        case "dense" | "none":
            rows = recover_rows(rng.standard_normal((k, k)) @ A, rng=rng).rows
        case "few labels":
            rows = recover_rows(rng.standard_normal((k - 2, k)) @ A, rng=rng).rows
        case "few labels, third moment":
            rows = _third_moment_rows(OneHiddenLayer(A, tanh, rng.standard_normal(k)))
        case "even activation":
            net = FeedForward([A, rng.standard_normal((2 * k, k))], quadratic)
            X = rng.standard_normal((20_000, d))
            moment = first_moment(X, net(X), StandardNormal(d))
            rows = recover_rows(moment.value, k=k, standard_error=moment.standard_error, rng=rng).rows
        case _:
            raise ValueError(f"control must be a known control, got {control!r}")
    return {"error": float(_row_errors(rows, A).max()), "median": float(np.median(_row_errors(rows, A)))}


controls = Sweep(
    "02-controls",
    _controls,
    quick=grid(
        control=["none", "dense", "few labels", "few labels, third moment", "even activation"],
        trial=range(3),
    ),
    paper=grid(
        control=["none", "dense", "few labels", "few labels, third moment", "even activation"],
        trial=range(20),
    ),
    chaotic=0.1,  # which of many wrong rows comes first may hang on the last digit
)
