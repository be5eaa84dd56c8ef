"""Checks of samples, and limits, that moments and control variates share."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.validation import Array, check_array

__all__ = [
    "CONSTANT",
    "MAX_MOMENT_ORDER",
    "MAX_TENSOR_DOUBLES",
    "TOO_LARGE",
    "as_samples",
    "check_fits",
    "check_varying",
    "check_weight_range",
]

#: Highest order of a moment offered to decoders.
MAX_MOMENT_ORDER = 4

#: Numbers that a formed moment may have, 1 GiB; its estimate takes a few times as much.
MAX_TENSOR_DOUBLES = 1 << 27

CONSTANT = "y is constant; a cross-moment needs labels that vary"
TOO_LARGE = "X, y, sample_weight or bases are so large, or small, that their products overflow: rescale them"


def check_varying(y: npt.ArrayLike) -> None:
    """Refuse labels that are all the same.

    Raises
    ------
    ValueError
        If they are.

    Examples
    --------
    >>> check_varying([0.0, 1.0])
    """
    if not np.any(np.asarray(y) != np.asarray(y)[0]):
        raise ValueError(CONSTANT)


def check_fits(shape: Sequence[int]) -> None:
    """Refuse a tensor that is too large to be formed.

    Parameters
    ----------
    shape : sequence of int

    Raises
    ------
    ValueError
        If it has more than `MAX_TENSOR_DOUBLES` numbers.

    Examples
    --------
    >>> check_fits((900,) * 3)
    Traceback (most recent call last):
        ...
    ValueError: a moment of shape (900, 900, 900) has 5.4 GiB, more than 1 GiB: pass bases
    """
    if math.prod(shape) > MAX_TENSOR_DOUBLES:
        size, most = math.prod(shape) / 2**27, MAX_TENSOR_DOUBLES / 2**27
        raise ValueError(
            f"a moment of shape {tuple(shape)} has {size:.1f} GiB, more than {most:g} GiB: pass bases"
        )


def check_weight_range(sample_weight: Array) -> None:
    """Refuse weights whose squares cannot be summed.

    Raises
    ------
    ValueError
        If these overflow or vanish.

    Examples
    --------
    >>> check_weight_range(np.ones(3))
    """
    with np.errstate(over="ignore", under="ignore"):
        squares = float(sample_weight @ sample_weight)
    if not (np.finfo(float).tiny < squares < np.inf):
        raise ValueError("sample_weight must be neither so large nor so small: its squares are 0 or infinite")


def as_samples(X: npt.ArrayLike, y: npt.ArrayLike, d: int | None) -> tuple[Array, Array]:
    """Check shapes only: a pass over the data for NaN would cost as much as the moment itself.

    NaN and infinity show in the sums, where they are looked for.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) or (n, n_y) array_like
    d : int or None
        Wanted dimension.

    Raises
    ------
    ValueError
        Naming the argument that is no array of real numbers, or has another shape.

    Examples
    --------
    >>> as_samples([[1], [2]], [0, 1], 1)[0].shape
    (2, 1)
    """
    X, y = _numbers("X", X), _numbers("y", y)
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


def _numbers(name: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return an array of real numbers of any type; objects that hold such numbers are converted."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:  # ragged
        raise ValueError(f"{name} must be an array of real numbers: {error}") from error
    if np.ma.isMaskedArray(value) or array.dtype.kind == "O":
        return check_array(name, value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    return array
