"""Chapter 6: estimates of the score on several densities, and the choice among them (GM Section 2)."""

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning

from companion.sweep import Sweep, grid
from nnmoments.densities import Density, GaussianMixture, Logistic, ScoreModel, StudentT, UserDensity, iid
from nnmoments.scores import (
    AffineScore,
    IndependentLocalLikelihood,
    KernelDensity,
    LocalLikelihood,
    NearestNeighbor,
    ScoreMatching,
    choose_score,
    fit_gaussian_mixture,
    standardization,
)
from nnmoments.validation import Array

__all__ = ["FAMILIES", "LAWS", "law", "laws", "least_ratio", "near_best"]

#: The densities by name.
LAWS = ("mixture", "logistic", "t5", "Gumbel", "banana")

#: Ways of estimating a score; each has a few settings, among which the held-out loss chooses.
FAMILIES = (
    "local likelihood",
    "Gaussian mixture",
    "independent components",
    "score matching",
    "kernel density",
)


def _bent(X: Array) -> Array:
    """First log-derivatives of the banana: x_2 is normal around (x_1^2 - 1) / 2, all else standard normal."""
    rest = X[:, 1] - 0.5 * (X[:, 0] ** 2 - 1.0)
    out = -X
    out[:, 0] += rest * X[:, 0]
    out[:, 1] = -rest
    return out


def _banana(n: int, rng: np.random.Generator, *, d: int) -> Array:
    X = rng.standard_normal((n, d))
    X[:, 1] += 0.5 * (X[:, 0] ** 2 - 1.0)
    return X


def law(name: str, d: int) -> Density:
    """Return one of the densities, with a score of order one.

    Parameters
    ----------
    name : str
        One of `LAWS`.
    d : int
        At least 2.

    Examples
    --------
    >>> law("Gumbel", 2).score([[0.0, 0.0]], 1)
    array([[0., 0.]])
    """
    if name == "mixture":  # at the distance of GM's, in every dimension
        mean = np.full(d, math.sqrt(2.0 / d))
        return GaussianMixture([0.5, 0.5], [mean, -mean])
    if name == "Gumbel":
        return UserDensity(d, [lambda X: np.exp(-X) - 1.0], sample=lambda n, rng: rng.gumbel(size=(n, d)))
    if name == "banana":
        return UserDensity(d, [_bent], sample=partial(_banana, d=d))
    return iid(Logistic() if name == "logistic" else StudentT(dof=5.0), d)


def _components(Z: Array, *, degree: int, share: float) -> ScoreModel:
    centre, root = standardization(Z)
    matrix = np.linalg.inv(root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # Its own whitening may lose a direction of rows that are white already.
        ica = FastICA(whiten=False, random_state=0, max_iter=100).fit((Z - centre) @ matrix.T)
    turn = ica.components_ @ matrix
    try:
        inner = IndependentLocalLikelihood(
            (Z - centre) @ turn.T, degree=degree, bandwidth=NearestNeighbor(share)
        )
    except ValueError:  # a window without a maximum
        return _mixture(Z, count=1)
    return AffineScore(inner, turn, centre)


def _mixture(Z: Array, *, count: int) -> ScoreModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit_gaussian_mixture(Z, count, rng=0)


def _ways(d: int) -> list[tuple[str, Callable[[Array], ScoreModel]]]:
    root = math.sqrt(d)
    return [
        *[(FAMILIES[0], lambda Z, s=s: LocalLikelihood(Z, bandwidth=NearestNeighbor(s))) for s in (0.2, 0.4)],
        *[(FAMILIES[1], partial(_mixture, count=count)) for count in (1, 2, 4, 8)],
        *[(FAMILIES[2], partial(_components, degree=p, share=s)) for p, s in ((2, 0.2), (4, 0.5))],
        *[(FAMILIES[3], lambda Z, w=w: ScoreMatching(Z, width=w * root, rng=0)) for w in (0.7, 1.4)],
        *[
            (FAMILIES[4], lambda Z, c=c: KernelDensity(Z, bandwidth=c * len(Z) ** (-1.0 / (d + 6))))
            for c in (1.0, 1.6)
        ],
    ]


def _laws(*, density: str, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Relative errors of S_1 at 1000 fresh points: each family's choice, and which one is chosen of all.

    The density is rotated, so that no coordinate is independent of the others by construction.
    """
    f, turn = law(density, d), np.linalg.qr(rng.standard_normal((d, d)))[0]
    X, points = f.sample(n, rng=rng) @ turn, f.sample(1000, rng=rng)
    truth, points = f.score(points, 1) @ turn, points @ turn
    centre, root = standardization(X)
    matrix = np.linalg.inv(root)
    Z, ways = (X - centre) @ matrix.T, _ways(d)
    found = choose_score(Z, [fit for _, fit in ways], points=1000, directions=2, rng=rng)

    def error(model: ScoreModel) -> float:
        return float(np.linalg.norm(model.score(points, 1) - truth) / np.linalg.norm(truth))

    out: dict[str, Any] = {}
    for family in FAMILIES:
        places = [i for i, (name, _) in enumerate(ways) if name == family]
        best = min(places, key=lambda i: found.losses[i])
        out[family] = error(AffineScore(ways[best][1](Z), matrix, centre))
    out["chosen"] = ways[found.chosen][0]
    return out


laws = Sweep(
    "06-laws",
    _laws,
    quick=grid(density=["mixture"], d=[2], n=[1000], trial=[0]),
    paper=grid(density=LAWS, d=[2, 5, 10], n=[2500], trial=[0]),
    rtol=1e-3,
    sensitivity=0.05,
    chaotic=0.2,  # two candidates of the same loss may change places
)


def near_best(frame: pd.DataFrame, chosen: str | None = None) -> float:
    """Return the share of cells whose chosen family, or the one named, is within 10 % of the best one."""
    table = frame[list(FAMILIES)]
    names = frame["chosen"] if chosen is None else [chosen] * len(frame)
    taken = np.array([table[name].iloc[i] for i, name in enumerate(names)])
    return float(np.mean(taken <= 1.1 * table.min(axis=1).to_numpy()))


def least_ratio(frame: pd.DataFrame, rival: str) -> float:
    """Return the least ratio of a rival's error to that of local likelihood over all cells."""
    return float((frame[rival] / frame["local likelihood"]).min())
