"""A network of twice the width, trained by Adam, beside the learners of SA, GP and GM.

Labels are of each paper's kind. The wide network sees the same samples and asks for no units: one hidden
layer of 2k ReLU units with biases, one random start, and scikit-learn's own settings.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from companion.sweep import Sweep, grid
from nnmoments.activations import Activation, relu, relu_threshold
from nnmoments.learners import GeneralInputNetwork, SparseNetworkClassifier, ThresholdNetwork
from nnmoments.networks import FeedForward, OneHiddenLayer, sparse_weights
from nnmoments.validation import Array

__all__ = ["adam", "worst_angle"]

_FRESH = 20_000  # test inputs


@dataclass(frozen=True)
class _Case:
    """A sample with its teacher's rows, the labels of fresh inputs without noise, and who is to learn."""

    rows: Array
    X: Array
    y: Array
    fresh: Array
    truth: Array
    learner: Any
    wide: Any


def _regression(
    k: int,
    d: int,
    phi: Activation,
    output: Array,
    law: Callable[..., Array],
    n: int,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Return a sample of oblique rows, its labels standardised."""
    W = np.eye(k, d) + 0.4 * rng.standard_normal((k, d))
    W = W @ np.linalg.qr(rng.standard_normal((d, d)))[0] / np.linalg.norm(W, axis=1, keepdims=True)
    teacher = OneHiddenLayer(W, phi, output)
    X, fresh = law(size=(n, d)), law(size=(_FRESH, d))
    y, truth = teacher(X), teacher(fresh)
    y, truth = ((labels - y.mean()) / y.std() for labels in (y, truth))
    return {"rows": W, "X": X, "y": y, "fresh": fresh, "truth": truth}


def _general(n: int, rng: np.random.Generator) -> _Case:
    """GM: four units of mixed signs, logistic inputs whose law is not told."""
    output = rng.uniform(0.5, 1.5, 4) * rng.choice([-1.0, 1.0], 4)
    return _Case(
        **_regression(4, 6, relu, output, rng.logistic, n, rng),
        learner=GeneralInputNetwork(4, "relu", random_state=rng),
        wide=MLPRegressor(hidden_layer_sizes=(8,), random_state=_seed(rng)),
    )


def _threshold(n: int, rng: np.random.Generator) -> _Case:
    """GP: five units that are active beyond two standard deviations."""
    u = relu_threshold(2.0)
    return _Case(
        **_regression(5, 10, u, rng.uniform(0.5, 1.5, 5), rng.standard_normal, n, rng),
        learner=ThresholdNetwork(5, u, random_state=rng),
        wide=MLPRegressor(hidden_layer_sizes=(10,), random_state=_seed(rng)),
    )


def _sparse(n: int, rng: np.random.Generator) -> _Case:
    """SA: five units of sixty sparse weights, ten classes."""
    W = sparse_weights(5, 60, density=0.12, rng=rng)
    teacher = FeedForward([W, 6.0 * np.linalg.qr(rng.standard_normal((10, 5)))[0]], relu, link="softmax")
    X, fresh = rng.standard_normal((n, 60)), rng.standard_normal((_FRESH, 60))
    return _Case(
        rows=W,
        X=X,
        y=teacher.sample_labels(X, rng=rng).argmax(axis=1),
        fresh=fresh,
        truth=teacher(fresh).argmax(axis=1),
        learner=SparseNetworkClassifier(5, random_state=rng),
        wide=MLPClassifier(hidden_layer_sizes=(10,), random_state=_seed(rng)),
    )


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def worst_angle(weights: Array, truth: Array) -> float:
    """Return the largest angle, in degrees, between a true row and the unit that is matched to it.

    Examples
    --------
    >>> worst_angle(np.array([[0.0, -2.0], [1.0, 1.0], [3.0, 0.0]]), np.eye(2))
    0.0
    """
    units = weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), np.finfo(float).tiny)
    cosines = np.abs(truth @ units.T) / np.linalg.norm(truth, axis=1, keepdims=True)
    if len(units) < len(truth):
        return 90.0
    matched = cosines[linear_sum_assignment(-cosines)]
    return float(np.degrees(np.arccos(np.minimum(matched, 1.0))).max())


def _left(found: Array, truth: Array, *, classes: bool) -> float:
    """Return the share of wrong classes, or the share of the labels' variance that is missed."""
    return float(np.mean(found != truth) if classes else np.mean((found - truth) ** 2) / np.var(truth))


_CASES: dict[str, Callable[[int, np.random.Generator], _Case]] = {
    "SA": _sparse,
    "GP": _threshold,
    "GM": _general,
}


def _adam(*, paper: str, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Errors on fresh inputs, worst angles of rows, and processor seconds, of both."""
    case = _CASES[paper](n, rng)
    out: dict[str, Any] = {}
    for name, model in (("wide", case.wide), ("learner", case.learner)):
        begin = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(case.X, case.y)
        out[f"{name}_seconds"] = time.process_time() - begin
        weights = model.coefs_[0].T if name == "wide" else model.weights_
        out[f"{name}_angle"] = worst_angle(weights, case.rows)
        out[f"{name}_error"] = _left(model.predict(case.fresh), case.truth, classes=paper == "SA")
    return out | {"trusted": int(case.learner.converged_)}


adam = Sweep(
    "03-adam",
    _adam,
    quick=grid(paper=["SA", "GP", "GM"], n=[4_000], trial=range(1)),
    paper=[
        cell
        for name, n in (("SA", 16_000), ("GP", 100_000), ("GM", 40_000))
        for cell in grid(paper=[name], n=[n], trial=range(6))
    ],
    volatile=("wide_seconds", "learner_seconds"),
    rtol=1.0,  # errors of 1e-26 are rounding's; what matters is their size
    chaotic=0.1,  # Adam's descent of a batch at a time ends where rounding leads it
)
