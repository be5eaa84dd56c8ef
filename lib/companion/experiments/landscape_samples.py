"""Chapter 7: the samples that the landscape of L takes, in d and epsilon (GM Theorem 3)."""

import math
from typing import Any

import numpy as np
import pandas as pd

from companion.sweep import Sweep, grid
from nnmoments.activations import relu
from nnmoments.densities import StandardNormal
from nnmoments.landscapes import FourthOrderLoss, random_rows
from nnmoments.linalg import outer_power
from nnmoments.moments import ControlVariate, TensorMoment, cross_moment
from nnmoments.networks import OneHiddenLayer
from nnmoments.optimize import quasi_newton
from nnmoments.validation import Array

__all__ = ["exponents", "samples"]

_MU, _LAMBDA = 0.003, 100.0  # Theorem 2's weights for |kappa| = 0.4
_KAPPA = 1.0 / math.sqrt(2.0 * math.pi)  # minus that of ReLU


def _samples(*, cosine: float, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    r"""Largest entry of E at any minimum of the empirical L that is found, and the noise of all of T_4.

    From two random starts and from the truth; ReLU units, all true rows at one cosine. E is that of
    Theorem 2, :math:`A = (PD + E) A^*`, and one where the minimum is near no signed permutation.
    """
    gram = np.full((d, d), cosine) + (1.0 - cosine) * np.eye(d)
    W = np.linalg.cholesky(gram) @ np.linalg.qr(rng.standard_normal((d, d)))[0]
    f = StandardNormal(d)
    X = f.sample(n, rng=rng)
    found = cross_moment(X, OneHiddenLayer(W, relu)(X), f, 4, control=ControlVariate()).value
    noise = found + _KAPPA * outer_power(W, 4).sum(axis=0)
    loss = FourthOrderLoss(TensorMoment(found), _MU, _LAMBDA, sign=-1.0)
    worst = []
    for start in (W, *random_rows(d, d, count=2, rng=rng)):
        B = np.abs(quasi_newton(loss, start, max_iter=20_000).weights @ np.linalg.inv(W))
        nearest = B.argmax(axis=1)
        B[range(d), nearest] -= math.sqrt(_LAMBDA / (_LAMBDA - _MU * _KAPPA))
        worst.append(float(np.abs(B).max()) if len(set(nearest)) == d else 1.0)
    return {"near": worst[0], "worst": max(worst), "whole": float(np.linalg.norm(noise))}


_SIZES = [8_000, 32_000, 128_000]

samples = Sweep(
    "07-samples",
    _samples,
    quick=grid(cosine=[0.0], d=[3, 4], n=_SIZES[:1], trial=[0]),
    paper=[
        *grid(cosine=[0.0], d=[3, 4, 6, 9], n=_SIZES, trial=range(20)),
        *grid(cosine=[0.3], d=[6], n=_SIZES, trial=range(20)),
    ],
    rtol=1e-3,
)


def exponents(frame: pd.DataFrame, column: str = "worst") -> tuple[Array, Array]:
    r"""Return the exponents of d and of 1/epsilon in the n at which a column falls to epsilon, per trial.

    From :math:`\log\mathrm{error} = p\log d - q\log n + \mathrm{const}`: p/q and 1/q; p/q is none (NaN)
    where there is one d.

    Examples
    --------
    >>> frame = pd.DataFrame({"d": [2, 4, 2, 4], "n": [100, 100, 400, 400], "trial": 0})
    >>> frame["worst"] = frame["d"] / frame["n"] ** 0.5
    >>> [float(e[0].round(6)) for e in exponents(frame)]
    [2.0, 2.0]
    """
    powers, inverses = [], []
    for _, group in frame.groupby("trial"):
        logs = [np.log(group[name].to_numpy(dtype=float)) for name in ("d", "n", column)]
        design = np.column_stack([logs[1], np.ones(len(group)), logs[0]])
        several = group["d"].nunique() > 1
        fit = np.linalg.lstsq(design[:, : 2 + several], logs[2], rcond=None)[0]
        powers.append(-fit[2] / fit[0] if several else math.nan)
        inverses.append(-1.0 / fit[0])
    return np.array(powers), np.array(inverses)
