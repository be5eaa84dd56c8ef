"""Chapter 7: L, then a descent on the square loss, against the square loss from random starts."""

import time
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from companion.ledger import LEVEL
from companion.sweep import Sweep
from nnmoments.activations import relu
from nnmoments.densities import StandardNormal
from nnmoments.landscapes import SquareLoss, landscape_rows, parameter_error, random_rows
from nnmoments.moments import ControlVariate, TensorMoment, cross_moment
from nnmoments.networks import OneHiddenLayer
from nnmoments.optimize import quasi_newton
from nnmoments.validation import Array

__all__ = ["FEW", "FOUND", "MANY", "MUS", "cost_ratio", "rivals", "seconds_to_success"]

#: A network counts as found if e(A) is below this.
FOUND = 1e-3

#: Samples that the square loss is descended on: its landscape is close to the limit, or it is cheap.
MANY, FEW = 20_000, 2000

#: Weights mu of L: that of Theorem 2, and a larger one, at which a row need not wait for the others.
MUS = (0.01, 0.3)


def _rivals(*, d: int, n: int, many: int, few: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Descend on the square loss from L's rows and from random ones; Gaussian input, k = d, known score.

    The square loss is told the output weights, all one; L takes the signs of its rows from E[y x].
    Outputs are errors, and processor seconds of everything that a way needs.
    """
    f, W = StandardNormal(d), np.linalg.qr(rng.standard_normal((d, d)))[0]
    X = f.sample(n, rng=rng)
    y = OneHiddenLayer(W, relu)(X)
    out: dict[str, Any] = {}
    begun = time.process_time()
    moment = TensorMoment(cross_moment(X, y, f, 4, control=ControlVariate()).value)
    moment_seconds = time.process_time() - begun
    for mu in MUS:
        begun = time.process_time()
        rows = landscape_rows(moment, d, mu=mu, n_starts=4, rng=rng).rows
        rows = np.sign(rows @ (X.T @ y))[:, None] * rows
        out[f"L, {mu}"] = parameter_error(rows, W)
        out[f"L, {mu}, then square"] = parameter_error(_descend(X, y, rows, FEW), W)
        out[f"L, {mu} seconds"] = moment_seconds + time.process_time() - begun
    for name, size, count in (("many", MANY, many), ("few", FEW, few)):
        begun = time.process_time()
        ends = [_descend(X, y, A, size) for A in random_rows(d, d, count=count, rng=rng)]
        out[f"{name}, then square"] = [parameter_error(A, W) for A in ends]
        out[f"{name} seconds"] = time.process_time() - begun
    return out


def _descend(X: Array, y: Array, start: Array, size: int) -> Array:
    loss = SquareLoss(X[:size], y[:size], relu, np.ones(len(start)))
    return quasi_newton(loss, start, max_iter=500).weights


rivals = Sweep(
    "07-rivals",
    _rivals,
    quick=[{"d": 5, "n": 10_000, "many": 2, "few": 4, "trial": trial} for trial in range(2)],
    paper=[
        {"d": d, "n": n, "many": 8, "few": 16, "trial": trial}
        for d, n, trials in ((5, 10_000, 4), (10, 30_000, 4), (15, 100_000, 3))
        for trial in range(trials)
    ],
    volatile=("L, 0.01 seconds", "L, 0.3 seconds", "many seconds", "few seconds"),
    rtol=1e-3,
    sensitivity=0.05,
    chaotic=0.5,  # which minimum a long descent ends in may hang on the last digit
)


def _tally(part: pd.DataFrame, way: str) -> tuple[Array, Array, int]:
    """Return successes and seconds by sample, and the number of starts on each."""
    errors = np.array(part[f"{way}, then square"].tolist()).reshape(len(part), -1)
    return (errors < FOUND).sum(axis=1), part[f"{way} seconds"].to_numpy(dtype=float), errors.shape[1]


def _cost(hits: Array, seconds: Array) -> Array:
    return np.asarray(seconds.sum(axis=-1) / np.maximum(hits.sum(axis=-1), 0.5))


def seconds_to_success(frame: pd.DataFrame) -> pd.DataFrame:
    """Return successes and the processor seconds that one takes, one row a dimension and a way.

    A way that never succeeds counts half a success.
    """
    rows = []
    for d, part in frame.groupby("d"):
        for way in (*(f"L, {mu}" for mu in MUS), "many", "few"):
            hits, seconds, starts = _tally(part, way)
            rows.append((d, way, starts * len(hits), int(hits.sum()), float(_cost(hits, seconds))))
    return pd.DataFrame(rows, columns=["d", "way", "starts", "found", "seconds"])


def cost_ratio(frame: pd.DataFrame, way: str, *, d: int, seed: int) -> tuple[float, float, float]:
    """Return how many times the seconds of L and its descent a way takes for one success, with an interval.

    L has the larger mu. The interval is normal in the logarithm, whose spread is that of samples resampled
    with all their starts.
    """
    part, rng = frame[frame["d"] == d], np.random.default_rng([seed, 7])
    drawn = np.concatenate([[range(len(part))], rng.integers(len(part), size=(4000, len(part)))])
    costs = []
    for name in (way, f"L, {MUS[-1]}"):
        hits, seconds, _ = _tally(part, name)
        costs.append(_cost(hits[drawn], seconds[drawn]))
    logs = np.log(costs[0] / costs[1])
    half = norm.isf((1.0 - LEVEL) / 2.0) * logs[1:].std()
    low, ratio, high = np.exp(logs[0] + half * np.array([-1.0, 0.0, 1.0]))
    return float(ratio), float(low), float(high)
