"""Chapter 3: tensor initialisation and local convexity - the experiments of ZS, and their repair."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq, isotonic_regression
from scipy.special import expit, logit
from sklearn.exceptions import ConvergenceWarning

from companion.experiments.labels import LABELED
from companion.ledger import LEVEL
from companion.sweep import Sweep, grid, mean_interval, proportion_interval
from nnmoments.activations import Activation, squared_relu
from nnmoments.densities import StandardNormal
from nnmoments.landscapes import (
    SquareLoss,
    SquareLossOfBoth,
    convexity_constants,
    levenberg_marquardt,
    population_hessian,
)
from nnmoments.learners import TensorNetwork
from nnmoments.linalg import match_rows, principal_angles
from nnmoments.moments import cross_moment
from nnmoments.networks import OneHiddenLayer, conditioned_weights
from nnmoments.optimize import gradient_descent, quasi_newton
from nnmoments.tensors import kcl, leading_subspace, tensor_initialize, tensor_method
from nnmoments.validation import Array

__all__ = [
    "RecoveryCurve",
    "activations",
    "batches",
    "continued",
    "contractions",
    "convex_radius",
    "convexity",
    "descent",
    "dimension",
    "dimension_slopes",
    "error_exponent",
    "frontier",
    "full_moment_slope",
    "full_tensor",
    "hessian_around",
    "hessian_table",
    "initialization",
    "inputs",
    "learned",
    "linear_fit",
    "longer",
    "modern",
    "pass_ratios",
    "passes",
    "printed_steps",
    "radius",
    "radius_exponent",
    "rate",
    "rate_slopes",
    "recovery",
    "recovery_curve",
    "refusals",
    "saved",
    "shuffled",
    "signs_control",
    "small_samples",
    "smooth_rate",
    "starved",
    "timing",
    "uncapped",
    "unsaturated",
    "wrong_signs",
]

_INITIALISE: dict[str, Any] = {"algorithm1": tensor_method, "controlled": tensor_initialize}
_SUCCESS = 0.01  # worst relative error of a weight, ZS Section 7


def _teacher(
    d: int, rng: np.random.Generator, *, k: int = 5, condition: float = 2.0, phi: Activation = squared_relu
) -> OneHiddenLayer:
    """Return the network of ZS Section 7: W = U S V^T, random signs."""
    weights = conditioned_weights(k, d, condition=condition, rng=rng)
    return OneHiddenLayer(weights, phi, rng.choice([-1.0, 1.0], size=k))


def _error(teacher: OneHiddenLayer, weights: Array, output: Array) -> tuple[float, bool]:
    """Return max_j |w_j - w_pi(j)| / |w_j|, and whether the matched signs are right."""
    match = match_rows(weights, teacher.weights, signed=True)
    return match.worst, bool(np.all(np.sign(output[match.permutation]) == teacher.output))


# --- Figures 1(a) and 1(b): recovery and initialisation error over (d, n) -------------------------------


def _recovery(*, method: str, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """One trial of Figure 1: initialise, then 1000 steps of gradient descent, eta = 0.02.

    The descent ends early once all weights are within one percent: labels have no noise, so from
    there it goes on to the truth.
    """
    teacher = _teacher(d, rng)
    X = rng.standard_normal((n, d))
    y = teacher(X)
    start = _INITIALISE[method](X, y, 5, squared_relu, rng=rng)
    error, _ = _error(teacher, start.weights, start.output)
    signs = bool(start.output.sum() == teacher.output.sum())
    final, matched = error, False
    if signs:  # gradient descent keeps v, so wrong signs cannot be mended
        end = gradient_descent(
            SquareLoss(X, y, squared_relu, start.output),
            start.weights,
            step=0.02,
            max_iter=1000,
            watch=lambda weights: _error(teacher, weights, start.output)[0] <= _SUCCESS,
            every=10,
        )
        if np.isfinite(end.weights).all():
            final, matched = _error(teacher, end.weights, start.output)
    return {"error": error, "signs": int(signs), "recovered": int(matched and final <= _SUCCESS)}


recovery = Sweep(
    "03-recovery",
    _recovery,
    quick=[
        *grid(method=["algorithm1"], d=[10, 20, 40], n=[1000, 3000, 9000], trial=range(4)),
        *grid(method=["controlled"], d=[10, 20, 40], n=[500, 1500, 4500], trial=range(4)),
    ],
    paper=[
        *grid(method=["algorithm1"], d=range(10, 101, 10), n=range(1000, 10001, 1000), trial=range(10)),
        *grid(method=["controlled"], d=range(10, 101, 10), n=range(500, 5001, 500), trial=range(10)),
    ],
    chaotic=0.15,  # a descent that fails ends where rounding leads it
)


# --- Figure 1(a) without the cap of a thousand steps -----------------------------------------------------


def _continued(*, method: str, part: int, draw: int, most: int, rng: np.random.Generator) -> dict[str, Any]:
    """Go on with the trials stored at a seed whose signs are right and whose descent had not arrived.

    The same draws, the same start; Levenberg-Marquardt in place of more steps of the gradient.
    """
    frame = recovery.stored(draw)
    chosen = frame["method"].eq(method) & frame["trial"].eq(part) & frame["signs"].eq(1)
    open_cells = frame[chosen & frame["recovered"].eq(0)].head(most)
    arrived = []
    for d, n in zip(open_cells["d"], open_cells["n"], strict=True):
        d, n = int(d), int(n)
        stream = recovery.rng({"method": method, "d": d, "n": n, "trial": part}, seed=draw)
        teacher = _teacher(d, stream)
        X = stream.standard_normal((n, d))
        y = teacher(X)
        start = _INITIALISE[method](X, y, 5, squared_relu, rng=stream)
        end = levenberg_marquardt(SquareLoss(X, y, squared_relu, start.output), start.weights, max_iter=200)
        error, matched = _error(teacher, end.weights, start.output)
        arrived.append(int(matched and error <= _SUCCESS))
    return {"d": open_cells["d"].tolist(), "n": open_cells["n"].tolist(), "arrived": arrived}


continued = Sweep(
    "03-continued",
    _continued,
    quick=grid(method=["algorithm1"], part=[1], draw=[0], most=[2]),
    paper=grid(method=["algorithm1", "controlled"], part=range(10), draw=range(3), most=[1000]),
)


def uncapped(frame: pd.DataFrame, longer: pd.DataFrame) -> pd.DataFrame:
    """Return the trials of Figure 1(a), of all seeds, with what became of those that the cap had cut off."""
    keys = ["method", "seed", "trial", "d", "n"]
    rows = [
        {**dict(zip(keys, (*row[["method", "draw", "part"]], d, n), strict=True)), "arrived": arrived}
        for _, row in longer.iterrows()
        for d, n, arrived in zip(row["d"], row["n"], row["arrived"], strict=True)
    ]
    joined = frame.merge(pd.DataFrame(rows), on=keys, how="left")
    return joined.assign(recovered=joined["recovered"].where(joined["arrived"].isna(), joined["arrived"]))


def _learned(*, method: str, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """One trial of Figure 1(a) by the learner: outputs are free, and it sees that a descent failed."""
    teacher = _teacher(d, rng)
    X = rng.standard_normal((n, d))
    model = TensorNetwork(5, squared_relu, method=method, fit_intercept=False, random_state=rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, teacher(X))
    error, matched = _error(teacher, model.weights_, model.output_)
    return {
        "recovered": int(matched and error <= _SUCCESS),
        "trusted": int(model.converged_),
        "attempts": model.diagnostics_["n_attempts"],
    }


_LEARNED = {d: [ratio * d for ratio in (6, 8, 11, 15, 22)] for d in (10, 20, 40, 100)}

learned = Sweep(
    "03-learned",
    _learned,
    quick=grid(method=["algorithm1", "controlled"], d=[10], n=[80, 220], trial=range(2)),
    paper=[
        cell
        for d, sizes in _LEARNED.items()
        for cell in grid(
            method=["algorithm1", "controlled"], d=[d], n=sizes, trial=range(2 if d == 100 else 6)
        )
    ],
    chaotic=0.15,  # near the frontier rounding decides which attempt arrives
)


def wrong_signs(frame: pd.DataFrame, method: str) -> tuple[float, float, float]:
    """Return the share of a method's failures that have wrong signs, with its interval."""
    failed = frame[frame["method"].eq(method) & frame["recovered"].eq(0)]
    return proportion_interval(int(failed["signs"].eq(0).sum()), len(failed))


def frontier(frame: pd.DataFrame, method: str, *, share: float = 0.9) -> pd.DataFrame:
    """Return, for each d, the n at which the recovery rate reaches a share: columns d and n.

    The rate is first made monotone in n (isotonic regression), since ten trials a cell leave the
    printed criterion, the least n with no failure, to chance; then it is interpolated.
    """
    rows = []
    for d, group in frame[frame["method"] == method].groupby("d"):
        rates = group.groupby("n")["recovered"].mean()
        sizes, smooth = rates.index.to_numpy(dtype=float), isotonic_regression(rates.to_numpy()).x
        reached = np.flatnonzero(smooth >= share)
        if len(reached):
            i = int(reached[0])
            low, n = (sizes[0], smooth[0]) if i == 0 else (sizes[i - 1], smooth[i - 1])
            part = 0.0 if i == 0 else (share - n) / (smooth[i] - n)
            rows.append({"d": d, "n": low + part * (sizes[i] - low)})
    return pd.DataFrame(rows, columns=["d", "n"])


@dataclass(frozen=True)
class RecoveryCurve:
    r"""Logistic model of recovery, :math:`\mathrm{logit}\,p = a + b\log(n/3000) + c\log(d/50)`.

    All trials of a method share it, so that it knows the frontier far better than one cell's ten
    trials do.

    Attributes
    ----------
    coefficients : (3,) array
        a, b, c.
    covariance : (3, 3) array
        Inverse of the information matrix.
    """

    coefficients: Array
    covariance: Array

    def interval(self, function: Callable[[Array], float]) -> tuple[float, float, float]:
        """Return a function of (a, b, c) with its interval, by the delta method."""
        steps = 1e-4 * np.eye(3)
        slope = np.array([function(self.coefficients + h) - function(self.coefficients - h) for h in steps])
        error = float(np.sqrt(slope @ self.covariance @ slope)) / 2e-4
        value, half = float(function(self.coefficients)), float(stats.norm.isf((1.0 - LEVEL) / 2.0)) * error
        return value, value - half, value + half

    def exponent(self) -> tuple[float, float, float]:
        """Return the exponent of d in the n of a given rate, with its interval."""
        return self.interval(lambda c: -c[2] / c[1])

    def slope(self) -> tuple[float, float, float]:
        """Return the samples a dimension that nine in ten recoveries take from d = 10 to 100."""
        return self.interval(lambda c: (_samples(c, 100.0) - _samples(c, 10.0)) / 90.0)

    def samples(self, d: Any) -> Array:
        """Return the n at which nine in ten recover."""
        return np.asarray(_samples(self.coefficients, np.asarray(d, dtype=float)))


def _samples(coefficients: Array, d: Any, *, share: float = 0.9) -> Any:
    a, b, c = coefficients
    return 3000.0 * np.exp((logit(share) - a - c * np.log(d / 50.0)) / b)


def recovery_curve(frame: pd.DataFrame, method: str) -> RecoveryCurve:
    """Fit the logistic model to all trials of a method by maximum likelihood.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> d, n = rng.choice([10, 50, 100], 20_000), rng.choice([1000, 3000, 9000], 20_000)
    >>> recovered = rng.random(20_000) < expit(2.0 * np.log(n / (40.0 * d)))
    >>> frame = pd.DataFrame({"method": "a", "d": d, "n": n, "recovered": recovered})
    >>> value, low, high = recovery_curve(frame, "a").exponent()
    >>> bool(low < 1.0 < high < 1.2)
    True
    """
    chosen = frame[frame["method"] == method]
    n, d = (chosen[name].to_numpy(dtype=float) for name in ("n", "d"))
    design = np.column_stack([np.ones(len(n)), np.log(n / 3000.0), np.log(d / 50.0)])
    y = chosen["recovered"].to_numpy(dtype=float)
    coefficients = np.zeros(3)
    for _ in range(50):  # Newton's method; the likelihood is concave
        rates = expit(design @ coefficients)
        information = (design * (rates * (1.0 - rates))[:, None]).T @ design
        move = np.linalg.solve(information, design.T @ (y - rates))
        coefficients = coefficients + move / max(1.0, float(np.abs(move).max()))
    return RecoveryCurve(coefficients, np.linalg.inv(information))


def saved(curve: RecoveryCurve, other: RecoveryCurve) -> tuple[float, float, float]:
    """Return the ratio of the samples that two methods need, with its interval.

    Geometric mean over d = 10, 20, ..., 100.
    """
    dims = np.arange(10.0, 101.0, 10.0)
    logs = [c.interval(lambda b: float(np.mean(np.log(_samples(b, dims))))) for c in (curve, other)]
    value = logs[0][0] - logs[1][0]
    half = float(np.linalg.norm([high - middle for middle, _, high in logs]))
    return float(np.exp(value)), float(np.exp(value - half)), float(np.exp(value + half))


def error_exponent(frame: pd.DataFrame, method: str) -> tuple[float, float, float]:
    r"""Return the exponent of d in the n of a given initialisation error, with its interval.

    From :math:`\log\mathrm{error} = p\log d - q\log n` fitted to each trial of the grid, of all seeds: p / q.
    """
    exponents = []
    for _, group in frame[frame["method"] == method].groupby(["seed", "trial"]):
        logs = [np.log(group[name].to_numpy(dtype=float)) for name in ("d", "n")]
        design = np.column_stack([*logs, np.ones(len(group))])
        p, q, _ = np.linalg.lstsq(design, np.log(group["error"].to_numpy()), rcond=None)[0]
        exponents.append(-p / q)
    return mean_interval(exponents)


def linear_fit(x: Any, y: Any, *, level: float = LEVEL) -> tuple[float, float, float, float]:
    """Return slope, its Student-t interval, and the intercept of the least-squares line."""
    fit = stats.linregress(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    half = float(stats.t.isf((1.0 - level) / 2.0, len(x) - 2)) * float(fit.stderr)
    return float(fit.slope), float(fit.slope) - half, float(fit.slope) + half, float(fit.intercept)


def rate_slopes(frame: pd.DataFrame, method: str, axis: str) -> Array:
    """Return log-log slopes of the initialisation error along n or d, one a trial."""
    chosen = frame[frame["method"] == method]
    fixed, value = ("d", 10) if axis == "n" else ("n", 20_000)
    return _log_slopes(chosen[chosen[fixed] == value], axis, "error")


def _log_slopes(frame: pd.DataFrame, axis: str, column: str) -> Array:
    """Return log-log slopes of a column along an axis, one a trial."""
    table = frame.pivot_table(index=axis, columns="trial", values=column)
    x = np.log(table.index.to_numpy(dtype=float))
    x = x - x.mean()
    return np.asarray(x @ np.log(table.to_numpy()) / (x @ x))


# --- the small-sample end: the learner ------------------------------------------------------------------


def _small_samples(*, finisher: str, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """End to end at d = 10, k = 5: the learner with either finisher, and six random restarts."""
    teacher = _teacher(10, rng)
    X = rng.standard_normal((n, 10))
    y = teacher(X)
    start = time.process_time()
    if finisher == "restarts":
        weights, output = _restarts(X, y, rng)
    else:
        model = TensorNetwork(
            5, score_model=StandardNormal(10), finisher=finisher, fit_intercept=False, random_state=rng
        ).fit(X, y)
        weights, output = model.weights_, model.output_
    seconds = time.process_time() - start
    error, matched = _error(teacher, weights, output)
    return {"recovered": int(matched and error <= _SUCCESS), "seconds": seconds}


def _restarts(X: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Six random starts, one for each number of positive units, Levenberg-Marquardt, best risk."""
    best: tuple[float, Array, Array] | None = None
    for positive in range(6):
        output = np.where(np.arange(5) < positive, 1.0, -1.0)
        loss = SquareLoss(X, y, squared_relu, output)
        end = levenberg_marquardt(loss, rng.standard_normal((5, X.shape[1])) / 2.0, max_iter=300)
        if best is None or end.history[-1] < best[0]:
            best = (float(end.history[-1]), end.weights, output)
    assert best is not None
    return best[1], best[2]


small_samples = Sweep(
    "03-small-samples",
    _small_samples,
    quick=grid(finisher=["gradient", "levenberg-marquardt", "restarts"], n=[500, 1000], trial=range(5)),
    paper=grid(
        finisher=["gradient", "levenberg-marquardt", "restarts"], n=[250, 500, 1000, 2000], trial=range(20)
    ),
    volatile=("seconds",),
)


# --- the modern baseline: twice the width, one random start -----------------------------------------------


def _modern(*, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Test error of L-BFGS on (W, v) at width 2k from one random start, and of the learner; k = 5."""
    teacher = _teacher(d, rng)
    X, fresh = rng.standard_normal((n, d)), rng.standard_normal((4000, d))
    y, truth = teacher(X), teacher(fresh)
    loss = SquareLossOfBoth(X, y, squared_relu)
    first = np.column_stack([rng.standard_normal((10, d)) / math.sqrt(d), rng.standard_normal(10) / 10.0])
    begin = time.process_time()
    end = quasi_newton(loss, first, max_iter=2000).weights
    middle = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = TensorNetwork(5, score_model=StandardNormal(d), fit_intercept=False, random_state=rng).fit(
            X, y
        )
    last = time.process_time()

    def left(prediction: Array) -> float:
        return float(np.mean((prediction - truth) ** 2) / np.var(truth))

    error, matched = _error(teacher, model.weights_, model.output_)
    return {
        "wide": left(squared_relu(fresh @ end[:, :-1].T) @ end[:, -1]),
        "learner": left(model.predict(fresh)),
        "recovered": int(matched and error <= _SUCCESS),
        "wide_seconds": middle - begin,
        "learner_seconds": last - middle,
    }


modern = Sweep(
    "03-modern",
    _modern,
    quick=[*grid(d=[20], n=[400, 1000], trial=range(3))],
    paper=[*grid(d=[20, 50], n=[500, 1000, 2000], trial=range(4))],
    volatile=("wide_seconds", "learner_seconds"),
    rtol=1.0,  # errors of 1e-10 are rounding's; what matters is their size
)


# --- Figure 1(c): three initialisations -----------------------------------------------------------------


def _descent(*, approach: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Log objective along 1000 steps at d = 10, k = 5, n = 10000, eta = 0.02."""
    d, n, k = 10, 10_000, 5
    teacher = _teacher(d, rng)
    X = rng.standard_normal((n, d))
    y = teacher(X)
    if approach in ("I", "I controlled"):
        method = "algorithm1" if approach == "I" else "controlled"
        found = _INITIALISE[method](X, y, k, squared_relu, rng=rng)
        weights, output = found.weights, found.output
    else:
        size = 0.3 if approach == "II small" else 1.0
        weights = size * rng.standard_normal((k, d))
        output = teacher.output if approach == "III" else size * rng.standard_normal(k)
    if approach in ("II", "II small"):
        both = SquareLossOfBoth(X, y, squared_relu)
        end = gradient_descent(both, np.column_stack([weights, output]), step=0.02, max_iter=1000)
    else:
        end = gradient_descent(SquareLoss(X, y, squared_relu, output), weights, step=0.02, max_iter=1000)
    history = np.log(np.maximum(end.history, 1e-300))
    diverged = len(history) <= 1000
    if diverged:
        history = np.append(history, np.full(1001 - len(history), np.nan))
    kept = history[::20]
    return {
        "log": [math.nan if not math.isfinite(v) else round(float(v), 4) for v in kept],
        "final": 1e3 if diverged else float(history[-1]),
        "diverged": int(diverged),
        "m0": convexity_constants(teacher.weights, squared_relu, teacher.output).m0,
    }


def _longer(*, size: float, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Approach II with entries of one standard deviation, for 8000 steps: "even if more iterations"."""
    teacher = _teacher(10, rng)
    X = rng.standard_normal((4000, 10))
    both = SquareLossOfBoth(X, teacher(X), squared_relu)
    end = gradient_descent(both, size * rng.standard_normal((5, 11)), step=0.02, max_iter=8000)
    history = np.log(np.maximum(end.history, 1e-300))
    early, late = (float(history[min(i, len(history) - 1)]) for i in (1000, 8000))
    diverged = len(history) <= 8000 and not end.converged
    return {"early": 1e3 if diverged else early, "late": 1e3 if diverged else late}


longer = Sweep(
    "03-longer",
    _longer,
    quick=grid(size=[0.3], trial=range(1)),
    paper=grid(size=[0.3], trial=range(10)),
    rtol=1e-2,  # eight thousand steps from a random start amplify rounding
)

_APPROACHES = ["I", "I controlled", "II", "II small", "III"]

descent = Sweep(
    "03-descent",
    _descent,
    quick=grid(approach=_APPROACHES, trial=range(5)),
    paper=grid(approach=_APPROACHES, trial=range(10)),
    rtol=1e-3,  # a thousand steps from a random start amplify rounding
)


# --- Theorem 5.6: the error of the initialisation ---------------------------------------------------------


def _initialization(*, method: str, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Relative Frobenius error of one pass, its worst row, and whether v is exact."""
    teacher = _teacher(d, rng, k=3)
    X = rng.standard_normal((n, d))
    single = {"max_iter": 1} if method == "controlled" else {}
    start = _INITIALISE[method](X, teacher(X), 3, squared_relu, rng=rng, **single)
    match = match_rows(start.weights, teacher.weights, signed=True)
    total = np.linalg.norm(match.aligned - teacher.weights) / np.linalg.norm(teacher.weights)
    exact = bool(np.all(start.output[match.permutation] == teacher.output))
    return {"error": total, "worst": match.worst, "signs": int(exact)}


_METHODS = ["algorithm1", "controlled"]

initialization = Sweep(
    "03-initialization",
    _initialization,
    quick=[
        *grid(method=_METHODS, d=[10], n=[20_000, 40_000, 80_000, 160_000], trial=range(8)),
        *grid(method=_METHODS, d=[20, 40, 80], n=[20_000], trial=range(8)),
    ],
    paper=[
        *grid(method=_METHODS, d=[10], n=[20_000, 80_000, 320_000, 1_280_000], trial=range(20)),
        *grid(method=_METHODS, d=[20, 40, 80], n=[20_000], trial=range(20)),
    ],
)


# --- passes: the network found as a control variate ---------------------------------------------------------

_MOST = 6


def _passes(*, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Worst error of a weight after each of six passes, d = 20, k = 5; nan where signs are wrong."""
    teacher = _teacher(20, rng)
    X = rng.standard_normal((n, 20))
    y = teacher(X)
    seed = int(rng.integers(2**32))
    errors, unexplained = [], []
    for most in range(1, _MOST + 1):
        found = tensor_initialize(X, y, 5, squared_relu, max_iter=most, rng=seed)
        error, matched = _error(teacher, found.weights, found.output)
        errors.append(error if matched else math.nan)
        unexplained.append(found.unexplained)
    return {"error": errors, "unexplained": unexplained}


passes = Sweep(
    "03-passes",
    _passes,
    quick=grid(n=[1000, 4000], trial=range(4)),
    paper=grid(n=[1000, 2000, 4000, 8000, 16_000], trial=range(20)),
    rtol=1e-3,  # each pass multiplies what rounding does to the last
)


def pass_ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Return, for each n, the median error of one pass and the median ratio of an error to the last."""
    rows = []
    for n, group in frame.groupby("n"):
        errors = np.array(group["error"].tolist(), dtype=float)
        ratios = errors[:, 1:3] / errors[:, :2]
        rows.append({"n": n, "error": np.nanmedian(errors[:, 0]), "ratio": np.nanmedian(ratios)})
    return pd.DataFrame(rows)


# --- other activations ------------------------------------------------------------------------------------


def _activations(*, activation: str, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Error of one pass at d = 6, k = 2 for the activations that Assumption 5.3 admits."""
    phi = LABELED[activation]
    odd = phi.homogeneity is None
    teacher = _teacher(6, rng, k=2, phi=phi)
    weights = 1.5 * teacher.weights
    output = np.ones(2) if phi.parity == -1 else teacher.output  # v > 0 without loss for odd ones
    teacher = OneHiddenLayer(weights, phi, output)
    X = rng.standard_normal((n, 6))
    y = teacher(X)
    start = tensor_initialize(X, y, 2, phi, max_iter=1, rng=rng)
    # Sigmoid units are determined up to (v, w) -> (-v, -w) and a constant: compare up to sign.
    match = match_rows(start.weights, weights, signed=not odd)
    output_error = np.abs(np.abs(start.output[match.permutation]) - 1.0).max()
    angle = principal_angles(start.subspace.basis.T, weights)[0]
    return {"error": match.worst, "output_error": output_error, "angle": angle}


_ADMITTED = [name for name in LABELED if name not in ("linear", "quadratic")]

activations = Sweep(
    "03-activations",
    _activations,
    quick=grid(activation=_ADMITTED, n=[100_000], trial=range(4)),
    paper=grid(activation=_ADMITTED, n=[10_000, 100_000, 1_000_000], trial=range(10)),
)


def _contractions(*, activation: str, method: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Worst error of a weight at d = 10, k = 5, n = 100,000: the paper's Algorithm 1 and one pass of ours."""
    phi = LABELED[activation]
    teacher = _teacher(10, rng, phi=phi)
    weights = 1.5 * teacher.weights
    teacher = OneHiddenLayer(weights, phi, np.ones(5) if phi.parity == -1 else teacher.output)
    X = rng.standard_normal((100_000, 10))
    single = {"max_iter": 1} if method == "controlled" else {}
    start = _INITIALISE[method](X, teacher(X), 5, phi, rng=rng, **single)
    return {"error": match_rows(start.weights, weights, signed=phi.homogeneity is not None).worst}


contractions = Sweep(
    "03-contractions",
    _contractions,
    quick=grid(activation=["squared ReLU", "ReLU", "tanh"], method=_METHODS, trial=range(1)),
    paper=grid(activation=_ADMITTED, method=_METHODS, trial=range(3)),
    chaotic=0.15,  # a contraction that fails ends where rounding leads it
)


# --- local convexity: Theorem 4.2 --------------------------------------------------------------------------


def hessian_table() -> pd.DataFrame:
    """Return the smallest eigenvalue of the population Hessian at the truth, for the slides' activations."""
    weights = conditioned_weights(3, 6, condition=2.0, rng=np.random.default_rng(0))
    rows = []
    for name, phi in LABELED.items():
        general = np.linalg.eigvalsh(population_hessian(weights, phi))[0]
        identity = np.linalg.eigvalsh(population_hessian(np.eye(4), phi))[0]
        rows.append([name, phi.rho(1.0), identity, general])
    return pd.DataFrame(rows, columns=["activation", "rho(1)", "lambda_min, W = I", "lambda_min, kappa = 2"])


_SAMPLE_RATIOS = {"quick": [2, 8, 32, 128], "paper": [2, 8, 32, 128, 512]}
_DISTANCES = [0.0, 0.05, 0.1, 0.2, 0.4, 0.8]


def _convexity(*, kappa: float, sizes: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """lambda_min of the empirical Hessian over n and over the distance to the truth, d = 10, k = 3."""
    d, k = 10, 3
    teacher = _teacher(d, rng, k=k, condition=kappa)
    constants = convexity_constants(teacher.weights, squared_relu, teacher.output)
    ratios = _SAMPLE_RATIOS[sizes]
    X = rng.standard_normal((ratios[-1] * d * k, d))
    y = teacher(X)
    by_n = []
    for ratio in ratios:
        part = slice(0, ratio * d * k)
        loss = SquareLoss(X[part], y[part], squared_relu, teacher.output)
        by_n.append(float(np.linalg.eigvalsh(loss.hessian(teacher.weights))[0]))
    direction = rng.standard_normal((k, d))
    direction *= np.linalg.norm(teacher.weights, 2) / np.linalg.norm(direction, 2)
    loss = SquareLoss(X, y, squared_relu, teacher.output)
    by_distance = [
        float(np.linalg.eigvalsh(loss.hessian(teacher.weights + t * direction))[0]) for t in _DISTANCES
    ]
    return {
        "ratios": ratios,
        "by_n": by_n,
        "distances": _DISTANCES,
        "by_distance": by_distance,
        "m0": constants.m0,
        "M0": constants.M0,
        "lower": constants.lower,
        "upper": constants.upper,
        "lam": constants.lam,
    }


convexity = Sweep(
    "03-convexity",
    _convexity,
    quick=grid(kappa=[1.0, 2.0, 4.0, 8.0], sizes=["quick"], trial=range(10)),
    paper=grid(kappa=[1.0, 2.0, 4.0, 8.0], sizes=["paper"], trial=range(40)),
)


def _dimension(*, d: int, ratio: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """lambda_min over m_0 at n = ratio d k, k = 3, and the relative distance at which it vanishes."""
    teacher = _teacher(d, rng, k=3)
    X = rng.standard_normal((ratio * d * 3, d))
    loss = SquareLoss(X, teacher(X), squared_relu, teacher.output)
    m0 = convexity_constants(teacher.weights, squared_relu, teacher.output).m0
    direction = rng.standard_normal((3, d))
    direction *= np.linalg.norm(teacher.weights) / np.linalg.norm(direction)
    radius = math.inf
    for t in np.geomspace(0.05, 3.2, 13):
        if np.linalg.eigvalsh(loss.hessian(teacher.weights + t * direction))[0] < 0.0:
            radius = float(t)
            break
    at_truth = np.linalg.eigvalsh(loss.hessian(teacher.weights))[0] / m0
    return {"ratio_to_m0": float(at_truth), "radius": min(radius, 3.2)}


dimension = Sweep(
    "03-dimension",
    _dimension,
    quick=grid(d=[10, 20, 40], ratio=[8], trial=range(4)),
    paper=grid(d=[10, 20, 40, 80], ratio=[8], trial=range(8)),
)


# --- how far the convexity of Theorem 4.2 reaches, in the worst direction -----------------------------------

_ANGLES, _MASS = np.polynomial.legendre.leggauss(16)


def _both_active(first: Array, second: Array, p: int) -> Array:
    r"""Return :math:`E[(w^\top x)_+^p (u^\top x)_+^{2-p}\,xx^\top]` for all rows w, u, x standard normal.

    In the plane of w and u the integrand is a polynomial of sines and cosines times a power of the
    radius on the wedge where both are active, so that Gauss-Legendre is exact to rounding.
    """
    lengths, others = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    one, other = first / lengths[:, None], second / others[:, None]
    cosine = np.clip(one @ other.T, -1.0, 1.0)
    rest = other - cosine[:, :, None] * one[:, None]
    sine = np.linalg.norm(rest, axis=2)
    across = np.where(sine[:, :, None] > 1e-12, rest / np.maximum(sine, 1e-300)[:, :, None], 0.0)
    angle = np.arctan2(sine, cosine)[:, :, None]
    half = (np.pi - angle) / 2.0
    at = angle / 2.0 + half * _ANGLES
    mass = half * _MASS / (2.0 * np.pi) * np.cos(at) ** p * np.cos(at - angle) ** (2 - p)
    plane = np.stack([np.cos(at), np.sin(at)])
    inside = 8.0 * np.einsum("ijm,aijm,bijm->ijab", mass, plane, plane)
    outside = 2.0 * mass.sum(axis=2)[:, :, None, None]
    frame = np.stack([np.broadcast_to(one[:, None], across.shape), across], axis=2)
    inside = inside - outside * np.eye(2)
    blocks = outside * np.eye(first.shape[1]) + np.swapaxes(frame, 2, 3) @ inside @ frame
    return np.asarray(np.outer(lengths**p, others ** (2 - p))[:, :, None, None] * blocks)


def hessian_around(weights: Array, teacher: OneHiddenLayer) -> Array:
    r"""Return the population Hessian of squared ReLU at any weights, labels of the teacher, without noise.

    .. math:: H_{jl} = v_jv_l E[\phi'(w_j^\top x)\phi'(w_l^\top x)xx^\top]
              + \delta_{jl} v_j E[(f_W(x) - y)\,\phi''(w_j^\top x)xx^\top]
    """
    k, d = weights.shape
    v = teacher.output
    full = 4.0 * np.outer(v, v)[:, :, None, None] * _both_active(weights, weights, 1)
    left = _both_active(weights, weights, 2) - _both_active(teacher.weights, weights, 2)
    full[np.arange(k), np.arange(k)] += 2.0 * v[:, None, None] * np.einsum("i,ijab->jab", v, left)
    return np.asarray(np.swapaxes(full, 1, 2).reshape(k * d, k * d))


def convex_radius(
    teacher: OneHiddenLayer, rng: np.random.Generator, *, starts: int = 3
) -> tuple[float, float]:
    """Return the least relative distance (spectral norm) found at which the Hessian is singular.

    From the least eigenvector where a direction leaves the convex neighbourhood, the next direction is
    the one of unit spectral norm along which that eigenvector's curvature falls fastest; the first is
    random, or falls fastest from the truth. Also returns the median over the random ones.
    """
    truth, v = teacher.weights, teacher.output
    size = float(np.linalg.norm(truth, 2))
    X = rng.standard_normal((20_000, truth.shape[1]))

    def leaves(direction: Array, upto: float) -> float:
        def least(t: float) -> float:
            return float(np.linalg.eigvalsh(hessian_around(truth + t * direction, teacher))[0])

        before = 0.0
        for t in upto * np.linspace(0.125, 1.0, 8):
            if least(t) < 0.0:
                return float(brentq(least, before, t, xtol=1e-4 * t))
            before = t
        return math.inf

    def steepest(weights: Array) -> Array:
        change = np.linalg.eigh(hessian_around(weights, teacher))[1][:, 0].reshape(truth.shape)
        along, moved = X @ weights.T, X @ change.T
        slopes, bends = 2.0 * v * np.maximum(along, 0.0), 2.0 * v * (along > 0.0)
        first = np.sum(slopes * moved, axis=1, keepdims=True) * (bends * moved)
        second = np.sum(bends * moved**2, axis=1, keepdims=True) * slopes
        left, _, right = np.linalg.svd((2.0 * first + second).T @ X, full_matrices=False)
        return np.asarray(-size * left @ right)

    best, outer = math.inf, []
    for _ in range(starts):
        direction = rng.standard_normal(truth.shape)
        direction *= size / np.linalg.norm(direction, 2)
        distance = leaves(direction, 4.0)
        outer.append(distance)
        weights = truth + (distance if math.isfinite(distance) else 0.0) * direction
        for _ in range(6):
            direction = steepest(weights)
            distance = leaves(direction, 1.05 * min(best, 2.0))
            if distance >= 0.999 * best:
                break
            best, weights = distance, truth + distance * direction
    return best, float(np.median(outer))


def _radius(*, factor: str, size: float, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    r"""Radius of the convex neighbourhood along k, lambda at kappa = 4, nu, or :math:`\sigma_1/\sigma_k`.

    The others stand still, but for lambda, which is kappa where the first singular value alone grows.
    """
    k = int(size) if factor == "k" else 8 if factor == "lambda" else 3
    sigma = np.ones(k)
    if factor == "lambda":
        sigma[:-1] = [4.0, *[(size / 4.0) ** (1.0 / 6.0)] * 6]
    sigma[0] *= size if factor == "kappa" else 1.0
    left, right = (np.linalg.qr(rng.standard_normal((m, k)))[0] for m in (k, k + 2))
    output = rng.choice([-1.0, 1.0], size=k)
    output[0] *= size if factor == "nu" else 1.0
    teacher = OneHiddenLayer((left * sigma) @ right.T, squared_relu, output)
    worst, typical = convex_radius(teacher, rng)
    return {"worst": worst, "random": min(typical, 4.0)}


radius = Sweep(
    "03-radius",
    _radius,
    quick=[
        *grid(factor=["k"], size=[2, 4, 8], trial=range(1)),
        *grid(factor=["lambda"], size=[4, 256], trial=range(1)),
        *grid(factor=["nu"], size=[1, 4, 16], trial=range(1)),
        *grid(factor=["kappa"], size=[1, 4], trial=range(1)),
    ],
    paper=[
        *grid(factor=["k"], size=[2, 4, 8, 16], trial=range(10)),
        *grid(factor=["lambda"], size=[4, 32, 256, 2048, 16_384], trial=range(10)),
        *grid(factor=["nu"], size=[1, 4, 16, 64], trial=range(10)),
        *grid(factor=["kappa"], size=[1, 2, 4, 8], trial=range(10)),
    ],
    chaotic=0.15,  # a search among directions ends where rounding leads it
)


def radius_exponent(frame: pd.DataFrame, factor: str) -> float:
    """Return the log-log slope along one factor of the least radius over all trials.

    Examples
    --------
    >>> frame = pd.DataFrame({"size": [2, 2, 4, 4], "worst": [0.2, 0.3, 0.1, 0.5]})
    >>> frame["factor"] = "k"
    >>> round(radius_exponent(frame, "k"), 6)
    -1.0
    """
    least = frame[frame["factor"] == factor].groupby("size")["worst"].min()
    return float(np.polyfit(np.log(least.index.to_numpy(dtype=float)), np.log(least.to_numpy()), 1)[0])


# --- linear convergence: Theorem 4.4 -----------------------------------------------------------------------


def _smooth_rate(*, activation: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Worst contraction over the bound for other smooth activations, one sample of 5000, 30 steps."""
    phi = LABELED[activation]
    teacher = _teacher(10, rng, k=3, phi=phi)
    constants = convexity_constants(teacher.weights, phi, teacher.output)
    X = rng.standard_normal((5000, 10))
    loss = SquareLoss(X, teacher(X), phi, teacher.output)
    start = rng.standard_normal((3, 10))
    weights = teacher.weights + 0.01 * start / np.linalg.norm(start) * np.linalg.norm(teacher.weights)
    squares = [float(np.sum((weights - teacher.weights) ** 2))]
    for _ in range(30):
        weights = gradient_descent(loss, weights, step=1.0 / constants.M0, max_iter=1).weights
        squares.append(float(np.sum((weights - teacher.weights) ** 2)))
    contraction = np.array(squares[1:]) / np.array(squares[:-1])
    return {"worst": contraction.max(), "bound": 1.0 - constants.m0 / constants.M0}


smooth_rate = Sweep(
    "03-smooth-rate",
    _smooth_rate,
    quick=grid(activation=["sigmoid", "tanh", "erf"], trial=range(3)),
    paper=grid(activation=["sigmoid", "tanh", "erf"], trial=range(12)),
)


def _rate(*, resampled: bool, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Contraction of |W - W*|_F^2 a step, at step size 1/M_0, against 1 - m_0/M_0."""
    d, k = 10, 3
    teacher = _teacher(d, rng, k=k)
    constants = convexity_constants(teacher.weights, squared_relu, teacher.output)

    def fresh() -> SquareLoss:
        X = rng.standard_normal((n, d))
        return SquareLoss(X, teacher(X), squared_relu, teacher.output)

    start = rng.standard_normal((k, d))
    start = teacher.weights + 0.01 * start / np.linalg.norm(start) * np.linalg.norm(teacher.weights)
    loss = fresh()
    weights, squares = start, [float(np.sum((start - teacher.weights) ** 2))]
    for _ in range(60):
        end = gradient_descent(
            loss, weights, step=1.0 / constants.M0, max_iter=1, fresh=fresh if resampled else None
        )
        weights = end.weights
        squares.append(float(np.sum((weights - teacher.weights) ** 2)))
    ratios = np.array(squares[1:]) / np.array(squares[:-1])
    bound = 1.0 - constants.m0 / constants.M0
    return {
        "bound": bound,
        "worst": ratios.max(),
        "last": ratios[-10:].mean(),
        "log": np.log10(squares).round(6).tolist(),
    }


rate = Sweep(
    "03-rate",
    _rate,
    quick=grid(resampled=[False, True], n=[5_000], trial=range(6)),
    paper=grid(resampled=[False, True], n=[20_000], trial=range(20)),
)


# --- samples in proportion to log(1/eps), fresh ones for each step: Theorem 6.1 ---------------------------


def _batches(*, d: int, noise: float, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    r"""Algorithm 2, a fresh batch of 32 d k for each step of :math:`1/(L_1^2 k v_{\max}^2\sigma_1^2)`, k = 3.

    Squared ReLU has :math:`L_1 = 2`; without this factor steps diverge (`printed_steps`).
    `samples` were used when the error first was at most 1e-1, 1e-2, ..., 1e-12, from the descent's
    first batch on, and `halves` are the decades that the second half of all samples gained over those
    of the first half. A descent that never arrives ends after 8000 steps.
    """
    k, size = 3, 32 * 3 * d
    teacher = _teacher(d, rng, k=k)

    def fresh(n: int) -> tuple[Array, Array]:
        X = rng.standard_normal((n, d))
        return X, teacher(X) + noise * rng.standard_normal(n)

    X, y = fresh(4000 * d)
    start = tensor_method(X, y, k, squared_relu, rng=rng)
    weights, errors = start.weights, [_error(teacher, start.weights, start.output)[0]]
    step = 1.0 / (4.0 * k * float(np.linalg.norm(teacher.weights, 2)) ** 2)
    while errors[-1] > 1e-12 and len(errors) <= 8000:
        loss = SquareLoss(*fresh(size), squared_relu, start.output)
        weights = weights - step * loss.gradient(weights)
        errors.append(_error(teacher, weights, start.output)[0])
    decades = -np.log10(np.minimum.accumulate(errors))
    first, middle, last = decades[0], decades[len(errors) // 2], decades[-1]
    used = [size * int(np.argmax(decades >= e)) if last >= e else math.nan for e in range(1, 13)]
    halves = (last - middle) / (middle - first)
    return {"start": errors[0], "end": errors[-1], "samples": used, "halves": halves}


batches = Sweep(
    "03-batches",
    _batches,
    quick=grid(d=[10], noise=[0.0], trial=range(1)),
    paper=[*grid(d=[10, 20, 40], noise=[0.0], trial=range(4)), *grid(d=[10], noise=[0.1], trial=range(4))],
    sensitivity=1e-3,  # many batches multiply a start's last digits
)


def printed_steps(*, divisor: float, seed: int) -> Array:
    r"""Return by how much 100 steps of :math:`1/(k v_{\max}^2\sigma_1^2)`, over a divisor, move towards W*.

    From a relative distance of 1e-6, for squared ReLU with k = 1 and 2 orthonormal rows, d = 5; each step
    takes a fresh sample of 4000. The values are the last distance over the first.
    """
    rng = np.random.default_rng([seed, 11])
    ratios = []
    for k in (1, 2):
        teacher = _teacher(5, rng, k=k, condition=1.0)
        start = teacher.weights + 1e-6 * rng.standard_normal((k, 5))
        weights = start
        for _ in range(100):
            X = rng.standard_normal((4000, 5))
            loss = SquareLoss(X, teacher(X), squared_relu, teacher.output)
            weights = weights - loss.gradient(weights) / (k * divisor)
            if np.linalg.norm(weights - teacher.weights) > 1e3 * np.linalg.norm(start - teacher.weights):
                break
        moved, first = (np.linalg.norm(w - teacher.weights) for w in (weights, start))
        ratios.append(moved / first)
    return np.array(ratios)


# --- inputs of another covariance, estimated first: Section 3 ---------------------------------------------


def _covariance(name: str, d: int, rng: np.random.Generator) -> Array:
    """Return the identity, that of an autoregression with 0.5, or one of condition number 100."""
    if name == "identity":
        return np.eye(d)
    if name == "AR(.5)":
        return np.asarray(0.5 ** np.abs(np.subtract.outer(np.arange(d), np.arange(d))))
    axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return np.asarray((axes * np.geomspace(0.1, 10.0, d)) @ axes.T)


def _inputs(*, covariance: str, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Worst error of Algorithm 1, d = 10, k = 3, inputs made white by the true or the sample's covariance.

    `raw` takes the inputs as they come. The errors are relative and in the inputs' own coordinates.
    """
    teacher = _teacher(10, rng, k=3)
    truth = _covariance(covariance, 10, rng)
    X = rng.standard_normal((n, 10)) @ np.linalg.cholesky(truth).T
    y = teacher(X)
    result = {}
    for name, used in (("known", truth), ("estimated", X.T @ X / n), ("raw", np.eye(10))):
        whiten = np.linalg.inv(np.linalg.cholesky(used))
        found = tensor_method(X @ whiten.T, y, 3, squared_relu, rng=rng)
        result[name] = match_rows(found.weights @ whiten, teacher.weights, signed=True).worst
    return result


inputs = Sweep(
    "03-inputs",
    _inputs,
    quick=grid(covariance=["AR(.5)", "condition 100"], n=[10_000, 40_000], trial=range(1)),
    paper=grid(
        covariance=["identity", "AR(.5)", "condition 100"], n=[10_000, 40_000, 160_000], trial=range(10)
    ),
    chaotic=0.15,  # what the raw inputs lead to
)


# --- time: Theorem 6.1 --------------------------------------------------------------------------------------


def _timing(*, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Processor seconds of Algorithm 1 and of 20 steps of gradient descent; the least of three."""
    teacher = _teacher(d, rng, k=3)
    X = rng.standard_normal((n, d))
    y = teacher(X)
    first, second = [], []
    for _ in range(3):
        begin = time.process_time()
        start = tensor_method(X, y, 3, squared_relu, rng=0)
        middle = time.process_time()
        loss = SquareLoss(X, y, squared_relu, start.output)
        gradient_descent(loss, start.weights, step=1e-6, max_iter=20)
        first.append(middle - begin)
        second.append(time.process_time() - middle)
    return {"initialization": min(first), "descent": min(second)}


timing = Sweep(
    "03-timing",
    _timing,
    quick=grid(d=[50, 100], n=[10_000, 20_000], trial=range(1)),
    paper=grid(d=[50, 100, 200, 400], n=[20_000, 40_000, 80_000], trial=range(3)),
    volatile=("initialization", "descent"),
)


# --- projected against full tensors: Section 5.2 ------------------------------------------------------


def _full_tensor(*, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Directions from R_3 in the span of P_2, and from the full d^3 tensor compressed by itself."""
    teacher = _teacher(d, rng, k=3)
    X = rng.standard_normal((n, d))
    y = teacher(X)
    unit = teacher.weights / np.linalg.norm(teacher.weights, axis=1, keepdims=True)

    begin = time.process_time()
    start = tensor_method(X, y, 3, squared_relu, rng=rng)
    projected_seconds = time.process_time() - begin
    found = start.weights / np.linalg.norm(start.weights, axis=1, keepdims=True)

    begin = time.process_time()
    tensor = np.asarray(cross_moment(X, y, StandardNormal(d), 3).value)
    left = np.linalg.svd(tensor.reshape(d, -1) @ tensor.reshape(d, -1).T, hermitian=True)[0][:, :3]
    core = np.einsum("abc,ai,bj,ck->ijk", tensor, left, left, left, optimize=True)
    whole = kcl(core, rng=rng).factors @ left.T
    full_seconds = time.process_time() - begin
    return {
        "projected": match_rows(found, unit).worst,
        "full": match_rows(whole, unit).worst,
        "projected_seconds": projected_seconds,
        "full_seconds": full_seconds,
    }


full_tensor = Sweep(
    "03-full-tensor",
    _full_tensor,
    quick=grid(d=[10, 20, 40], n=[5_000], trial=range(6)),
    paper=grid(d=[10, 20, 40, 80], n=[10_000], trial=range(20)),
    volatile=("projected_seconds", "full_seconds"),
)


# Where the full tensor's error is well below one, so that it can still grow: in every trial.
unsaturated = Sweep(
    "03-unsaturated",
    _full_tensor,
    quick=grid(d=[10, 20], n=[8_000], trial=range(3)),
    paper=grid(d=[10, 20, 40], n=[128_000], trial=range(48)),
    volatile=("projected_seconds", "full_seconds"),
)


def dimension_slopes(frame: pd.DataFrame, column: str) -> Array:
    """Return the log-log slope of a column along d, one a trial."""
    return _log_slopes(frame, "d", column)


# --- foils and negative controls ----------------------------------------------------------------------


def shuffled(frame: pd.DataFrame, column: str, *, seed: int) -> pd.DataFrame:
    """Return the frame with one column permuted: whatever depended on it no longer does."""
    order = np.random.default_rng([seed, 7]).permutation(len(frame))
    return frame.assign(**{column: frame[column].to_numpy()[order]})


def starved(*, seed: int) -> float:
    """Return lambda_min / m_0 at d = 40 over that at d = 10, both from 240 samples."""
    rng = np.random.default_rng([seed, 8])
    few, enough = (_dimension(d=d, ratio=ratio, trial=0, rng=rng) for d, ratio in ((40, 2), (10, 8)))
    return float(few["ratio_to_m0"] / enough["ratio_to_m0"])


def full_moment_slope(*, seed: int) -> float:
    """Return the log-log slope along d of the Frobenius norm of a whole third moment that is noise alone."""
    rng = np.random.default_rng([seed, 9])
    dims, norms = np.array([8, 16, 32]), []
    for d in dims.tolist():
        X, y = rng.standard_normal((2000, d)), rng.standard_normal(2000)
        norms.append(float(np.linalg.norm(cross_moment(X, y, StandardNormal(d), 3).value)))
    return float(np.polyfit(np.log(dims), np.log(norms), 1)[0])


def signs_control(*, seed: int = 0, trials: int = 20) -> pd.DataFrame:
    """Return the angle to the span from an exact P_2 with mixed signs: by |eigenvalue|, and naively.

    The naive way is a power iteration that assumes a positive semidefinite matrix: it returns the
    largest eigenvalues, so directions of negative weights are replaced by noise.
    """
    rng = np.random.default_rng([seed, 3])
    rows = []
    for _ in range(trials):
        weights = conditioned_weights(5, 20, condition=2.0, rng=rng)
        matrix = OneHiddenLayer(weights, squared_relu, [1.0, -1.0, 1.0, -1.0, 1.0]).moment(2)
        found = leading_subspace(lambda block, m=matrix: (m @ block)[None], 20, 5, rng=rng)  # type: ignore[misc]
        shifted = matrix + 2.0 * np.linalg.norm(matrix, 2) * np.eye(20)
        block = np.linalg.qr(rng.standard_normal((20, 5)))[0]
        for _ in range(500):
            block = np.linalg.qr(shifted @ block)[0]
        rows.append(
            {
                "by absolute value": principal_angles(found.basis.T, weights)[0],
                "naive": principal_angles(block.T, weights)[0],
            }
        )
    return pd.DataFrame(rows)


def refusals(*, admitted: bool = False) -> pd.DataFrame:
    """Return what the initialisation says where it cannot work; or, for comparison, where it can."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4))
    rows = []
    cases: list[tuple[str, str, int]] = [("linear", "linear", 2), ("quadratic", "quadratic", 2)]
    cases.append(("k > d", "squared ReLU", 5))
    if admitted:
        cases = [("ReLU", "ReLU", 2), ("squared ReLU", "squared ReLU", 2)]
    for case, name, k in cases:
        phi = LABELED[name]
        try:
            tensor_initialize(X, phi(X[:, 0]), k, phi)
            message = "accepted"
        except ValueError as error:
            message = str(error)
        rows.append({"case": case, "message": message})
    return pd.DataFrame(rows)
