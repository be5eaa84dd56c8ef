"""Chapter 3: Algorithm 1 with a part of the sample for each of its steps (ZS Theorem 5.6, line 2)."""

from typing import Any

import numpy as np
import pandas as pd

from companion.sweep import Sweep, grid, log_slopes
from nnmoments.activations import squared_relu
from nnmoments.linalg import match_rows
from nnmoments.networks import OneHiddenLayer, conditioned_weights
from nnmoments.tensors import tensor_method
from nnmoments.validation import Array

__all__ = ["partition", "partition_slopes"]

_LEAST, _AT = 60_000, 240_000


def _partition(*, parts: str, d: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Relative error of Algorithm 1 from three parts, from all in each step, and from too few samples.

    `root` splits only as many samples as grow with the root of n: its exponent is one quarter.
    """
    weights = conditioned_weights(3, d, condition=2.0, rng=rng)
    teacher = OneHiddenLayer(weights, squared_relu, rng.choice([-1.0, 1.0], size=3))
    if parts == "root":
        n = round((_LEAST * n) ** 0.5)
    X = rng.standard_normal((n, d))
    found = tensor_method(X, teacher(X), 3, squared_relu, partition=parts != "whole", rng=rng)
    match = match_rows(found.weights, teacher.weights, signed=True)
    error = np.linalg.norm(match.aligned - teacher.weights) / np.linalg.norm(teacher.weights)
    signs = bool(np.all(found.output[match.permutation] == teacher.output))
    return {"error": error, "signs": int(signs)}


partition = Sweep(
    "03-partition",
    _partition,
    quick=grid(parts=["three", "whole"], d=[10], n=[_LEAST], trial=range(1)),
    paper=[
        *grid(parts=["three", "whole", "root"], d=[10], n=[_LEAST, _AT, 4 * _AT], trial=range(16)),
        *grid(parts=["three"], d=[20, 40], n=[_AT], trial=range(16)),
    ],
)


def partition_slopes(frame: pd.DataFrame, parts: str, axis: str) -> Array:
    """Return log-log slopes of the error along n (d = 10) or d (at the middle n), one a trial.

    Examples
    --------
    >>> frame = pd.DataFrame({"n": [10, 40], "error": [0.2, 0.1]})
    >>> frame = frame.assign(parts="three", d=10, trial=0)
    >>> partition_slopes(frame, "three", "n").round(6)
    array([-0.5])
    """
    fixed, value = ("d", 10) if axis == "n" else ("n", _AT)
    chosen = frame[frame["parts"].eq(parts) & frame[fixed].eq(value)]
    table = chosen.pivot_table(index="trial", columns=axis, values="error")
    return log_slopes(table.columns.to_numpy(dtype=float), table.to_numpy())
