"""Chapter 1: the doubly robust moment against its limit, its rate, its bias and its intervals."""

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from companion.sweep import Sweep, grid, slope_interval
from nnmoments.activations import get_activation
from nnmoments.densities import Density, Gaussian, GaussianMixture, Logistic, StandardNormal, iid
from nnmoments.learners import GeneralInputNetwork, RidgeLearner, TensorNetwork, ThresholdNetwork
from nnmoments.moments import (
    CrossMoment,
    MomentEstimate,
    Polynomials,
    RandomFeatures,
    RidgeSurrogate,
    Surrogate,
    SurrogateFamily,
    cross_moment,
)
from nnmoments.networks import OneHiddenLayer, conditioned_weights
from nnmoments.validation import Array

__all__ = [
    "bias",
    "bias_falls",
    "bias_slopes",
    "coverage",
    "coverages",
    "efficiency",
    "errors_of",
    "exact_error",
    "excess",
    "factors",
    "farthest",
    "feature_coverage",
    "network_limit",
    "noise_free",
    "over_limit",
    "ratios",
    "slopes",
]


def as_surrogate(teacher: OneHiddenLayer) -> RidgeSurrogate:
    """Return the network itself as g."""
    output = np.atleast_2d(teacher.output)
    return RidgeSurrogate(teacher.weights, teacher.biases, output, teacher.activation, np.zeros(1))


def truth(teacher: OneHiddenLayer, density: Density, order: int, basis: Array | None = None) -> Array:
    """Return T_m of a network exactly."""
    found = as_surrogate(teacher).mean_derivative(density, [basis] * order)
    assert found is not None
    return found[0]


def limit(density: Density, order: int, basis: Array | None, sigma: float, n: int) -> float:
    """Return E[Var(y|x) |S_m|^2]/n, which no regular estimator beats: exact but for 100,000 draws."""
    X = density.sample(100_000, rng=99)
    scores = density.project(X, np.eye(density.d) if basis is None else basis, order)
    return float(sigma**2 * np.mean(np.sum(scores.reshape(len(X), -1) ** 2, axis=1)) / n)


class Remembered(SurrogateFamily):
    """A learner, or a family, that is fitted once to a fold and used for moments of several orders."""

    def __init__(self, family: Any) -> None:
        self.family, self.found = family, dict[float, Surrogate]()

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Surrogate:
        key = float(X[0, 0])
        if key not in self.found:
            if isinstance(self.family, RidgeLearner):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    self.found[key] = clone(self.family).fit(X, y[:, 0]).as_surrogate()
            else:
                self.found[key] = self.family.fit(X, y, sample_weight)
        return self.found[key]


# --- the error over its limit ---------------------------------------------------------------------


def _setting(
    name: str, activation: str, rng: np.random.Generator
) -> tuple[OneHiddenLayer, Density, RidgeLearner, dict[int, Array | None]]:
    """Return teacher, density, learner, and the bases of the orders of a paper's setting."""
    if name == "ZS":
        weights = conditioned_weights(3, 10, condition=2.0, rng=rng)
        net: RidgeLearner = TensorNetwork(3, activation, noise=0.2, random_state=0)
        teacher = OneHiddenLayer(weights, get_activation(activation), [1.0, -1.0, 1.0])
        return teacher, StandardNormal(10), net, {2: None, 3: np.linalg.qr(weights.T)[0]}
    if name == "SA":
        weights = np.zeros((3, 20))
        for row in weights:
            row[rng.choice(20, 4, replace=False)] = rng.choice([-0.6, 0.6], 4)
        net = TensorNetwork(3, activation, noise=0.2, random_state=0)
        return (
            OneHiddenLayer(weights, get_activation(activation), np.ones(3)),
            StandardNormal(20),
            net,
            {1: None},
        )
    d = {"GM": 4, "GP": 5}[name]
    rows = np.linalg.qr(rng.standard_normal((d, d)))[0]
    teacher = OneHiddenLayer(rows, get_activation(activation), np.ones(d))
    if name == "GM":
        density: Density = iid(Logistic(), d)
        net = GeneralInputNetwork(d, activation, score_model=density, random_state=0)
    else:
        density, net = StandardNormal(d), ThresholdNetwork(d, activation, random_state=0)
    return teacher, density, net, {4: None}


def _families(net: RidgeLearner, teacher: OneHiddenLayer) -> dict[str, Callable[[int], Any]]:
    features, network, itself = Remembered(RandomFeatures(600)), Remembered(net), as_surrogate(teacher)
    return {
        "plain": lambda order: None,
        "degree < m": lambda order: Polynomials(order - 1),
        "degree m": Polynomials,
        "chosen degree": lambda order: "auto",
        "features": lambda order: features,
        "network": lambda order: network,
        "truth": lambda order: itself,
    }


def _efficiency(
    *,
    setting: str,
    activation: str,
    n: int,
    noise: float,
    trial: int,
    rng: np.random.Generator,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Squared errors of T_m, and the limit; noise is the ratio of the deviations of noise and mean."""
    teacher, density, net, bases = _setting(setting, activation, rng)
    sigma = noise * float(teacher(density.sample(50_000, rng=7)).std())
    X = density.sample(n, rng=rng)
    y = teacher(X) + sigma * rng.standard_normal(n)
    families = _families(net, teacher)
    found: dict[str, Any] = {"order": [], "surrogate": [], "error": [], "limit": [], "left": []}
    for order, basis in bases.items():
        exact, least = truth(teacher, density, order, basis), limit(density, order, basis, sigma, n)
        for name in only or families:
            g = families[name](order)
            moment = cross_moment(X, y, density, order, bases=basis, surrogate=g, known_density=True)
            row = (order, name, float(np.sum((moment.value - exact) ** 2)), least, moment.left)
            for key, value in zip(found, row, strict=True):
                found[key].append(value)
    return found


efficiency = Sweep(
    "01-efficiency",
    _efficiency,
    quick=grid(setting=["ZS"], activation=["squared_relu"], n=[2000], noise=[0.1], trial=range(10)),
    paper=[
        *grid(setting=["ZS"], activation=["relu", "squared_relu"], n=[2000], noise=[0.1], trial=range(6)),
        *grid(setting=["ZS"], activation=["relu"], n=[2000], noise=[0.0, 0.3], trial=range(3)),
        *grid(setting=["ZS"], activation=["relu", "squared_relu"], n=[10_000], noise=[0.1], trial=range(3)),
        *grid(setting=["ZS"], activation=["tanh"], n=[2000, 10_000], noise=[0.1], trial=range(3)),
        *grid(setting=["SA"], activation=["tanh"], n=[10_000], noise=[0.1], trial=range(3)),
        *grid(setting=["GM"], activation=["relu"], n=[20_000], noise=[0.1], trial=range(2)),
        *grid(setting=["GP"], activation=["relu at 2"], n=[100_000], noise=[0.1], trial=range(2)),
    ],
)

network_limit = Sweep(
    "01-network-limit",
    functools.partial(_efficiency, only=("network", "truth")),
    quick=grid(setting=["ZS"], activation=["relu"], n=[2000], noise=[0.1], trial=range(4)),
    paper=grid(
        setting=["ZS"],
        activation=["relu", "squared_relu", "tanh"],
        n=[2000, 10_000],
        noise=[0.1],
        trial=range(24),
    ),
)


def over_limit(frame: pd.DataFrame) -> pd.DataFrame:
    """Return mean squared errors over the limit, with their standard errors and trials, by setting."""
    columns = ["order", "surrogate", "error", "limit", "left"]
    rows = frame.explode(columns).astype({"order": int, "error": float, "limit": float, "left": float})
    rows["ratio"] = rows["error"] / rows["limit"].where(rows["limit"] > 0.0)
    keys = ["setting", "activation", "n", "noise", "order", "surrogate"]
    table = rows.groupby(keys)["ratio"].agg(["mean", "sem", "count"])
    return table.join(rows.groupby(keys)[["error", "left"]].mean())


def _errors(frame: pd.DataFrame) -> pd.DataFrame:
    """Return squared errors, a column for each surrogate, a row for each trial and order."""
    rows = frame.explode(["order", "surrogate", "error", "limit", "left"])
    keys = ["setting", "activation", "n", "noise", "order", "trial"]
    return rows.set_index([*keys, "surrogate"])["error"].astype(float).unstack()


def factors(frame: pd.DataFrame, first: str, second: str) -> Array:
    """Return the ratios of squared errors with label noise, trial by trial: factors of samples."""
    table = _errors(frame)
    table = table[table.index.get_level_values("noise") > 0.0]
    return (table[first] / table[second]).to_numpy()


def ratios(frame: pd.DataFrame, order: int, surrogate: str) -> Array:
    """Return squared errors over the limit, trial by trial."""
    rows = frame.explode(["order", "surrogate", "error", "limit", "left"])
    rows = rows[(rows["order"] == order) & (rows["surrogate"] == surrogate)]
    return (rows["error"] / rows["limit"]).to_numpy(dtype=float)


def excess(frame: pd.DataFrame, order: int, surrogate: str) -> Array:
    """Return 1 + what a surrogate's squared error over the limit exceeds that of the true g by, by trial.

    The true g's own is 1 in the mean, and shares its chance with that of a surrogate next to it.
    """
    return 1.0 + ratios(frame, order, surrogate) - ratios(frame, order, "truth")


# --- noise-free labels: the rate of the surrogate ---------------------------------------------------

_SIZES = {"quick": [500, 2000, 8000], "paper": [500, 2000, 8000, 32_000]}


def _noise_free(*, surrogate: str, sizes: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Relative error of T_2 with labels that have no noise."""
    density = StandardNormal(2)
    teacher = OneHiddenLayer(
        rng.standard_normal((2, 2)) / math.sqrt(2.0), get_activation("tanh"), [1.0, 1.0], [0.5, -0.5]
    )
    exact, errors = truth(teacher, density, 2), []
    for n in _SIZES[sizes]:
        X = density.sample(n, rng=rng)
        family = {
            "plain": None,
            "degree m": Polynomials(2),
            "chosen degree": "auto",
            "features": RandomFeatures(100),
        }
        moment = cross_moment(X, teacher(X), density, 2, surrogate=family[surrogate], known_density=True)
        errors.append(float(np.linalg.norm(moment.value - exact) / np.linalg.norm(exact)))
    return {"n": _SIZES[sizes], "error": errors}


noise_free = Sweep(
    "01-noise-free",
    _noise_free,
    quick=grid(surrogate=["plain", "chosen degree"], sizes=["quick"], trial=range(16)),
    paper=grid(surrogate=["plain", "degree m", "chosen degree", "features"], sizes=["paper"], trial=range(8)),
)


def errors_of(frame: pd.DataFrame, surrogate: str) -> tuple[Array, Array]:
    """Return sizes (s,) and errors (s, trials) of one surrogate."""
    rows = frame[frame["surrogate"] == surrogate]
    return np.array(rows["n"].iloc[0], dtype=float), np.array(rows["error"].tolist()).T


def exact_error(rng: np.random.Generator, surrogate: str) -> float:
    """Return the relative error of T_2 from 2000 labels without noise."""
    teacher, density, net, _ = _setting("ZS", "squared_relu", rng)
    X = density.sample(2000, rng=rng)
    family = _families(net, teacher)[surrogate](2)
    moment = cross_moment(X, teacher(X), density, 2, surrogate=family, known_density=True)
    exact = truth(teacher, density, 2)
    return float(np.linalg.norm(moment.value - exact) / np.linalg.norm(exact))


def slopes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the log-log slope of the errors of each surrogate, with its 95 % interval."""
    names = frame["surrogate"].unique()
    rows = [slope_interval(*errors_of(frame, name), level=0.95) for name in names]
    return pd.DataFrame(rows, index=names, columns=["slope", "low", "high"])


# --- the bias: a product of two errors ----------------------------------------------------------------


def bias_slopes(n: int, rng: np.random.Generator, *, plain: bool = False) -> tuple[float, float]:
    """Return the slopes of log bias of T_2 against the logarithms of score error and surrogate error.

    The model of N(0, I) is N(0, (1 + a) I), the surrogate is the network with one output (1 - b) times
    the right one. On one sample, so that the difference to the right score is bias alone. With `plain`
    nothing is taken out.
    """
    density, weights = StandardNormal(3), np.array([[1.0, 0.5, 0.0], [0.0, -0.7, 1.2]])
    X = density.sample(n, rng=rng)
    y = OneHiddenLayer(weights, get_activation("softplus"), [1.0, -2.0])(X)
    rows = []
    for b in (0.1, 0.3, 1.0):
        net = RidgeSurrogate(weights, np.zeros(2), np.array([[1.0 - b, -2.0]]), "softplus", np.zeros(1))
        g = None if plain else net
        right = cross_moment(X, y, density, 2, surrogate=g).value
        for a in (0.003, 0.01, 0.03):
            wrong = cross_moment(X, y, Gaussian(np.zeros(3), (1.0 + a) * np.eye(3)), 2, surrogate=g).value
            rows.append((math.log(a), math.log(b), 1.0, math.log(float(np.linalg.norm(wrong - right)))))
    table = np.array(rows)
    slopes = np.linalg.lstsq(table[:, :3], table[:, 3], rcond=None)[0]
    return float(slopes[0]), float(slopes[1])


def _skewed(d: int) -> GaussianMixture:
    """Return a mixture whose first coordinates are skewed: one narrow and one wide component."""
    return GaussianMixture([0.7, 0.3], [[-0.3] * d, [0.7] * d], [0.4 * np.eye(d), 1.2 * np.eye(d)])


def _bias_density(name: str, d: int) -> Density:
    if name == "mixture":
        return GaussianMixture([0.5, 0.5], [[0.8] * d, [-0.8] * d])
    return iid(Logistic(scale=math.sqrt(3.0) / math.pi), d) if name == "logistic" else _skewed(d)


def _bias(*, density: str, order: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Errors of T_m with the score of the Gaussian of the same mean and covariance."""
    d = 3
    f = _bias_density(density, d)
    rows = conditioned_weights(3, d, condition=1.5, rng=np.random.default_rng(5))
    teacher = OneHiddenLayer(rows, get_activation("relu"), np.ones(3))
    X = f.sample(n, rng=rng)
    y = teacher(X)
    wrong = Gaussian(X.mean(axis=0), np.cov(X, rowvar=False))
    exact = truth(teacher, f, order)
    families = {
        "plain": None,
        "degree m": Polynomials(order),
        "features": RandomFeatures(200),
        "network": TensorNetwork(3, "relu", noise=0.2, random_state=0),
    }
    found: dict[str, Any] = {}
    for name, family in families.items():
        found[name] = (cross_moment(X, y, wrong, order, surrogate=family).value - exact).ravel().tolist()
    return {**found, "size": float(np.linalg.norm(exact))}


bias = Sweep(
    "01-wrong-score",
    _bias,
    quick=grid(density=["mixture"], order=[2], n=[20_000], trial=range(3)),
    paper=grid(density=["mixture", "logistic", "skewed"], order=[2, 4], n=[40_000], trial=range(8)),
)


def bias_falls(frame: pd.DataFrame) -> pd.DataFrame:
    """Return by how much the norm of the mean error falls against the plain moment's."""
    rows = {}
    for key, group in frame.groupby(["density", "order"]):
        size = {
            name: np.linalg.norm(np.mean(group[name].tolist(), axis=0))
            for name in ("plain", "degree m", "features", "network")
        }
        rows[key] = {name: float(size["plain"] / value) for name, value in size.items() if name != "plain"}
    return pd.DataFrame(rows).T.rename_axis(["density", "order"])


# --- intervals ----------------------------------------------------------------------------------------


def _sample(n: int, rng: np.random.Generator) -> tuple[OneHiddenLayer, Density, Array, Array]:
    teacher, density = OneHiddenLayer([[1.0, 0.5]], get_activation("squared_relu"), [1.0]), StandardNormal(2)
    X = density.sample(n, rng=rng)
    return teacher, density, X, teacher(X) + 0.3 * rng.standard_normal(n)


def _inside(moment: MomentEstimate, exact: Array, blocks: int = 63) -> float:
    width = stats.t.ppf(0.975, blocks) * moment.standard_error
    return float(np.mean(np.abs(moment.value - exact) < width))


def feature_coverage(repetitions: int, rng: np.random.Generator, *, crossed: bool) -> Array:
    """Return the share of T_1's entries in their 95 % intervals, if many features are taken out.

    They are fitted to the other half, or, if not `crossed`, to the rows they are taken out of.
    """
    family, shares = RandomFeatures(200, width=0.2, ridge=1e-8), np.empty(repetitions)
    for i in range(repetitions):
        teacher, density, X, y = _sample(600, rng)
        if crossed:
            moment = cross_moment(X, y, density, 1, surrogate=family, known_density=True)
        else:
            g = family.fit(X, y[:, None])
            moment = CrossMoment(density, 1, surrogate=g, known_density=True).partial_fit(X, y).estimate()
        shares[i] = _inside(moment, teacher.moment(1))
    return shares


def _coverage(*, surrogate: str, repetitions: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Shares of the entries of T_1 to T_4 in their 95 % intervals, 2000 labels a repetition."""
    density = StandardNormal(2)
    teacher = OneHiddenLayer([[1.0, 0.5]], get_activation("relu"), [1.0], [0.5])
    exact = {order: truth(teacher, density, order) for order in range(1, 5)}
    inside: dict[str, list[float]] = {str(order): [] for order in exact}
    for _ in range(repetitions):
        X = density.sample(2000, rng=rng)
        y = teacher(X) + 0.3 * rng.standard_normal(len(X))
        kept = {
            "features": Remembered(RandomFeatures(50)),
            "network": Remembered(TensorNetwork(1, "relu", fit_biases=True, random_state=0)),
        }
        for order, truly in exact.items():
            family = {"plain": None, "degree m": Polynomials(order), "chosen degree": "auto", **kept}[
                surrogate
            ]
            moment = cross_moment(X, y, density, order, surrogate=family, known_density=True)
            inside[str(order)].append(_inside(moment, truly))
    return {order: float(np.mean(shares)) for order, shares in inside.items()}


_SURROGATES = ["plain", "degree m", "chosen degree", "features", "network"]

coverage = Sweep(
    "01-coverage",
    _coverage,
    quick=grid(surrogate=["degree m"], repetitions=[10], trial=range(2)),
    paper=grid(surrogate=_SURROGATES, repetitions=[25], trial=range(40)),
)


def coverages(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the share of entries inside, a row for each surrogate, a column for each order."""
    return frame.groupby("surrogate", sort=False)[["1", "2", "3", "4"]].mean()


def farthest(shares: pd.DataFrame) -> float:
    """Return the coverage that is farthest from 95 %."""
    values = shares.to_numpy().ravel()
    return float(values[np.argmax(np.abs(values - 0.95))])
