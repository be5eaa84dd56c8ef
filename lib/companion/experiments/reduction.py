"""Chapter 8: what moments say about data - directions, their number, and average derivatives."""

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cross_decomposition import PLSRegression
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from statsmodels.regression.dimred import PHD, SAVE, SIR

from companion.sweep import Sweep, grid
from nnmoments import Gaussian, SufficientReduction, average_derivatives, cross_moment
from nnmoments.linalg import principal_angles
from nnmoments.validation import Array

__all__ = [
    "DATA",
    "INPUTS",
    "LINKS",
    "METHODS",
    "angles",
    "coverage",
    "first_or_near",
    "limits",
    "real_data",
    "test_size",
]

#: The input distributions: Gaussian, elliptical with heavy tails, skewed, and of two modes.
INPUTS = ("gaussian", "student", "skewed", "mixture")

#: The mean of the label as a function of one or two directions, and how many there are.
LINKS = {"monotone": 1, "symmetric": 1, "slope and bend": 2, "two slopes": 2}

#: The methods that are compared: ours, and the peers.
METHODS = ("moments", "ols", "sir", "save", "phd", "pls")

#: The data sets that scikit-learn ships, and whether their labels are classes.
DATA = {"diabetes": False, "wine": True, "breast cancer": True}

_LOADERS = {"diabetes": load_diabetes, "wine": load_wine, "breast cancer": load_breast_cancer}


def draw_inputs(density: str, n: int, d: int, rng: np.random.Generator) -> Array:
    """Return correlated inputs (n, d) of one of the four kinds."""
    match density:
        case "gaussian":
            X = rng.standard_normal((n, d))
        case "student":  # five degrees of freedom, elliptical
            X = rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(5.0, (n, 1)) / 3.0)
        case "skewed":
            X = (rng.gamma(3.0, 1.0, (n, d)) - 3.0) / math.sqrt(3.0)
        case "mixture":
            sides = rng.choice([-1.0, 1.0], n)
            X = 0.6 * rng.standard_normal((n, d)) + 1.6 * sides[:, None] / math.sqrt(d)
        case _:
            raise ValueError(f"density must be one of {', '.join(INPUTS)}, got {density!r}")
    return np.asarray(X @ (np.eye(d) + 0.5 * np.eye(d, k=1)).T)


def draw_labels(link: str, u: Array, v: Array, rng: np.random.Generator) -> Array:
    """Return labels of two projections of unit variance."""
    noise = 0.3 * rng.standard_normal(len(u))
    means = {
        "monotone": np.tanh(1.5 * u) + 0.3 * u,
        "symmetric": 0.7 * u**2,
        "slope and bend": u + 0.7 * v**2,
        "two slopes": np.tanh(2.0 * u) + np.maximum(v, 0.0),
    }
    return np.asarray(means[link] + noise)


# --- directions -------------------------------------------------------------------------------------


def ours(X: Array, y: Array, q: int, **options: Any) -> SufficientReduction:
    """Return the fitted reduction; that a direction is not seen is part of what is measured."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SufficientReduction(q, random_state=0, **options).fit(X, y)


def peer_directions(method: str, X: Array, y: Array, q: int, slices: int | None = None) -> Array:
    """Return what a peer finds, (at most q, d). Slices: ten for SIR, five for SAVE, or one a class."""
    match method:
        case "ols":
            return np.linalg.lstsq(X - X.mean(axis=0), y - y.mean(), rcond=None)[0][None]
        case "pls":
            labels = y if slices is None else (y[:, None] == np.unique(y)).astype(float)
            return np.asarray(PLSRegression(q).fit(X, labels).x_rotations_.T[:q])
    model, count = {"sir": (SIR, 10), "save": (SAVE, 5), "phd": (PHD, None)}[method]
    options = {} if count is None else {"slice_n": len(y) // (slices or count)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # slices that are left over
        # Eigenvectors of PHD, of C^-1 M with C positive, are real; since numpy 2.5 their type is complex.
        return np.asarray(model(y, X).fit(**options).params.T[:q]).real


def _angles(*, density: str, link: str, n: int, trial: int, rng: np.random.Generator) -> dict[str, float]:
    """Largest principal angle between found and true directions; a right angle where one is missing."""
    d, q = 6, LINKS[link]
    X = draw_inputs(density, n, d, rng)
    truth = np.zeros((2, d))
    truth[0, :3], truth[1, 3:5] = 1.0, [1.0, -1.0]
    truth /= (X @ truth.T).std(axis=0)[:, None]
    y = draw_labels(link, X @ truth[0], X @ truth[1], rng)
    return _compare(X, y, truth[:q])


def _compare(X: Array, y: Array, truth: Array) -> dict[str, float]:
    q = len(truth)
    found = {"moments": ours(X, y, q).components_}
    found |= {method: peer_directions(method, X, y, q) for method in METHODS[1:]}
    return {
        method: float(principal_angles(rows, truth)[0]) if len(rows) == q else math.pi / 2.0
        for method, rows in found.items()
    }


angles = Sweep(
    "08-angles",
    _angles,
    quick=grid(density=INPUTS, link=list(LINKS), n=[500], trial=range(3)),
    paper=grid(density=INPUTS, link=list(LINKS), n=[500, 2000], trial=range(10)),
)


def _limits(*, case: str, n: int, trial: int, rng: np.random.Generator) -> dict[str, float]:
    """Angles as above, on Gaussian inputs, where there is little for a mean or for two orders to see."""
    d = 20 if case == "twenty inputs" else 6
    X, truth = rng.standard_normal((n, d)), np.eye(d)[:2]
    u, v, noise = X[:, 0], X[:, 1], rng.standard_normal(n)
    match case:
        case "variance only":
            return _compare(X, np.exp(0.6 * u) * noise, truth[:1])
        case "much noise":
            return _compare(X, u + 3.0 * noise, truth[:1])
        case "third order":
            return _compare(X, np.tanh(u**3 - 3.0 * u) + 0.3 * noise, truth[:1])
    return _compare(X, np.tanh(2.0 * u) + np.maximum(v, 0.0) + 0.3 * noise, truth)


_CASES = ["variance only", "much noise", "third order", "twenty inputs"]

limits = Sweep(
    "08-limits",
    _limits,
    quick=grid(case=_CASES, n=[500], trial=range(1)),
    paper=grid(case=_CASES, n=[500], trial=range(20)),
)


def first_or_near(frame: pd.DataFrame, contender: str, rivals: Sequence[str], by: list[str]) -> pd.Series:
    """Say for each setting whether the contender's mean is within a standard error of the best rival's."""

    def near(group: pd.DataFrame) -> bool:
        difference = group[contender] - group[group[list(rivals)].mean().idxmin()]
        return bool(difference.mean() <= difference.std(ddof=1) / math.sqrt(len(group)))

    return pd.Series({setting: near(group) for setting, group in frame.groupby(by)})


# --- the number of directions -------------------------------------------------------------------------


def _test_size(
    *, density: str, directions: int, tested: int, n: int, trial: int, rng: np.random.Generator
) -> dict[str, float]:
    """P-value of the hypothesis that there are `tested` directions, where there are 0, 1 or 2."""
    X = draw_inputs(density, n, 4, rng)
    first, second = (X @ row / (X @ row).std() for row in (np.ones(4), np.array([1.0, -1.0, 0.0, 0.0])))
    y = 0.5 * rng.standard_normal(n)
    if directions > 0:
        y = y + np.exp(0.4 * first)
    if directions > 1:
        y = y + 0.5 * second**2
    test = ours(X, y, tested + 1, max_iter=0).diagnostics_["dimension"]
    return {"p_value": float(test.p_values[tested])}


def _hypotheses(trials: int, *pairs: tuple[int, int]) -> list[dict[str, Any]]:
    return [
        cell
        for directions, tested in pairs
        for cell in grid(
            density=["gaussian", "student"],
            directions=[directions],
            tested=[tested],
            n=[400],
            trial=range(trials),
        )
    ]


test_size = Sweep(
    "08-test-size",
    _test_size,
    quick=_hypotheses(10, (0, 0), (1, 1), (2, 1)),
    paper=_hypotheses(200, (0, 0), (1, 1)),
)


# --- average derivatives --------------------------------------------------------------------------------

_SLOPE, _BEND = np.array([0.6, -0.4, 0.0, 0.2]), np.array([0.0, 0.5, 0.5, 0.0])


def _mean(X: Array) -> Array:
    return np.asarray(np.tanh(X @ _SLOPE) + 0.5 * (X @ _BEND) ** 2)


@functools.cache
def _truth(density: str, order: int) -> Array:
    """Average derivatives over so large a sample that its error does not count."""
    X = draw_inputs(density, 400_000, 4, np.random.default_rng(8))
    t = np.tanh(X @ _SLOPE)
    if order == 1:
        return np.asarray((1.0 - t**2).mean() * _SLOPE + (X @ _BEND).mean() * _BEND)
    return np.asarray(-2.0 * (t * (1.0 - t**2)).mean() * np.outer(_SLOPE, _SLOPE) + np.outer(_BEND, _BEND))


def _plain(X: Array, y: Array, order: int) -> tuple[Array, Array]:
    """Return the moment with the score of the sample's Gaussian, and its error."""
    moment = cross_moment(X, y, Gaussian(X.mean(axis=0), np.cov(X.T)), order)
    return moment.value, moment.standard_error


def _robust(X: Array, y: Array, order: int) -> tuple[Array, Array]:
    found = average_derivatives(X, y, order=order)
    return found.value, (found.high - found.low) / (2.0 * 1.96)


_ESTIMATORS: dict[str, Callable[[Array, Array, int], tuple[Array, Array]]] = {
    "doubly robust": _robust,
    "plain": _plain,
}


def _coverage(*, density: str, method: str, n: int, trial: int, rng: np.random.Generator) -> dict[str, float]:
    """Share of average derivatives that 95 % intervals hold, and their root mean square error."""
    X = draw_inputs(density, n, 4, rng)
    y = _mean(X) + 0.3 * rng.standard_normal(n)
    found: dict[str, float] = {}
    for order in (1, 2):
        value, error = _ESTIMATORS[method](X, y, order)
        entries = np.triu_indices(4) if order == 2 else slice(None)
        miss, spread = (value - _truth(density, order))[entries], error[entries]
        found[f"covered_{order}"] = float(np.mean(np.abs(miss) <= 1.96 * spread))
        found[f"error_{order}"] = float(np.sqrt(np.mean(miss**2)))
    return found


coverage = Sweep(
    "08-coverage",
    _coverage,
    quick=grid(density=INPUTS, method=list(_ESTIMATORS), n=[2000], trial=range(5)),
    paper=[  # more where the score is right, which a claim is about
        *grid(density=["gaussian"], method=["doubly robust"], n=[2000], trial=range(300)),
        *grid(density=INPUTS[1:], method=["doubly robust"], n=[2000], trial=range(60)),
        *grid(density=INPUTS, method=["plain"], n=[2000], trial=range(60)),
    ],
)


# --- data ---------------------------------------------------------------------------------------------------


def _real_data(*, data: str, components: int, trial: int, rng: np.random.Generator) -> dict[str, float]:
    """Error of ten nearest neighbours on held-out data after reduction, as a share of the null error."""
    X, y = _LOADERS[data](return_X_y=True)
    classes = DATA[data]
    options = {"stratify": y if classes else None, "random_state": int(rng.integers(2**31))}
    X, held, y, held_y = train_test_split(X, y, test_size=0.3, **options)
    scaler = StandardScaler().fit(X)
    X, held, y = scaler.transform(X), scaler.transform(held), np.asarray(y, dtype=float)
    slices = len(np.unique(y)) if classes else None
    found = {"all inputs": np.eye(X.shape[1]), "moments": ours(X, y, components).components_}
    found |= {method: peer_directions(method, X, y, components, slices) for method in METHODS[1:]}
    return {method: _error(X @ B.T, y, held @ B.T, held_y, classes) for method, B in found.items()}


def _error(X: Array, y: Array, held: Array, truth: Array, classes: bool) -> float:
    scaler = StandardScaler().fit(X)
    model = KNeighborsClassifier(10) if classes else KNeighborsRegressor(10)
    guess = model.fit(scaler.transform(X), y).predict(scaler.transform(held))
    if classes:
        values, counts = np.unique(y, return_counts=True)
        return float(np.mean(guess != truth) / np.mean(truth != values[counts.argmax()]))
    return float(np.mean((guess - truth) ** 2) / np.mean((truth - y.mean()) ** 2))


real_data = Sweep(
    "08-real-data",
    _real_data,
    quick=grid(data=list(DATA), components=[1, 2], trial=range(2)),
    paper=grid(data=list(DATA), components=[1, 2], trial=range(20)),
)
