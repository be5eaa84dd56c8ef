"""Checks of samples, and limits, that moments and control variates share."""

import numpy as np
import numpy.typing as npt

from nnmoments.validation import Array

__all__ = ["CHUNK_DOUBLES", "CONSTANT", "MAX_MOMENT_ORDER", "as_samples", "check_varying"]

#: Highest order of a moment offered to decoders.
MAX_MOMENT_ORDER = 4

# Doubles that one chunk's widest intermediate may hold: small against the last-level cache, large
# against the cost of a call.
CHUNK_DOUBLES = 1 << 20

CONSTANT = "y is constant; a cross-moment needs labels that vary"


def check_varying(y: npt.ArrayLike) -> None:
    """Refuse labels that are all the same."""
    if not np.any(np.asarray(y) != np.asarray(y)[0]):
        raise ValueError(CONSTANT)


def as_samples(X: npt.ArrayLike, y: npt.ArrayLike, d: int | None) -> tuple[Array, Array]:
    """Check shapes only: a pass over the data for NaN would cost as much as the moment itself.

    NaN and infinity show in the sums, where they are looked for.
    """
    X, y = np.asarray(X), np.asarray(y)
    for name, array in (("X", X), ("y", y)):
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    if X.ndim != 2 or X.shape[1] != (X.shape[1] if d is None else d):
        wanted = "(n, d)" if d is None else f"(n, {d}) to fit the score model"
        raise ValueError(f"X must have shape {wanted}, got {X.shape}")
    if y.ndim not in (1, 2) or y.shape[1:] == (0,):
        raise ValueError(f"y must have shape (n,) or (n, n_y), got {y.shape}")
    if len(X) == 0:
        raise ValueError("X is empty: n = 0")
    if len(y) != len(X):
        raise ValueError(f"y must have as many rows as X: {len(X)}, got {len(y)}")
    return X, y
