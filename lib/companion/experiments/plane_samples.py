"""Chapter 5: the samples that tell a plane at the edge of a unit, in n and in d (GP Theorem 6)."""

import itertools
from typing import Any

import numpy as np
import pandas as pd

from companion.sweep import Sweep, grid, log_slopes
from nnmoments.activations import sign_threshold
from nnmoments.borders import sampled_delta_correlation
from nnmoments.networks import HiddenPolynomial, conditioned_weights
from nnmoments.validation import Array

__all__ = ["ratio_slopes", "samples"]

_LEAST = 62_500
_LOW = 0.5


def _samples(
    *, labels: str, slab: str, d: int, n: int, trial: int, rng: np.random.Generator
) -> dict[str, Any]:
    r"""Correlation of :math:`\delta'` at a weight in its standard errors, from n samples.

    d sign units at the threshold 1/2. `labels` are all products of two, or one product in every d; the
    slab has a fixed width, or one that falls like :math:`n^{-1/3}`.
    """
    pairs = itertools.combinations(range(d), 2) if labels == "all pairs" else [(0, 1)]
    W = conditioned_weights(d, d, rng=rng)
    f = HiddenPolynomial(W, sign_threshold(_LOW), dict.fromkeys(pairs, 1.0))
    X = rng.standard_normal((n, d))
    epsilon = 0.05 if slab == "fixed" else 0.05 * (n / _LEAST) ** (-1.0 / 3.0)
    c = sampled_delta_correlation(X, f(X), W[0], _LOW, order=1, epsilon=epsilon, width=2.0 * epsilon)
    return {"ratio": c.value / c.standard_error}


_SIZES = [_LEAST * 2**i for i in range(5)]

samples = Sweep(
    "05-samples",
    _samples,
    quick=grid(labels=["all pairs"], slab=["fixed"], d=[6], n=_SIZES[:2], trial=[0]),
    paper=[
        *grid(labels=["all pairs"], slab=["fixed", "narrower"], d=[6], n=_SIZES, trial=range(12)),
        *grid(labels=["all pairs"], slab=["fixed"], d=[12, 24], n=_SIZES[3:4], trial=range(12)),
        *grid(labels=["one pair"], slab=["fixed"], d=[6, 12, 24], n=_SIZES[3:4], trial=range(12)),
    ],
)


def ratio_slopes(frame: pd.DataFrame, axis: str, *, labels: str = "all pairs", slab: str = "fixed") -> Array:
    """Return the log-log slopes of the ratio along n, d = 6, or along d, n = 500 000, one per trial.

    Examples
    --------
    >>> frame = pd.DataFrame({"n": [100, 400, 100, 400], "ratio": [1.0, 2.0, 1.0, 4.0]})
    >>> frame = frame.assign(labels="all pairs", slab="fixed", d=6, trial=[0, 0, 1, 1])
    >>> ratio_slopes(frame, "n").round(6)
    array([0.5, 1. ])
    """
    chosen = frame[frame["labels"].eq(labels) & frame["slab"].eq(slab)]
    chosen = chosen[chosen["d"].eq(6) if axis == "n" else chosen["n"].eq(_SIZES[3])]
    table = chosen.pivot_table(index=axis, columns="trial", values="ratio")
    return log_slopes(table.index.to_numpy(dtype=float), table.to_numpy().T)
