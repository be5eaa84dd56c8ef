"""Checks of arguments at the public entries, so that the formulas below them can stay formulas.

Every message names the argument, what came and what is accepted; every check happens before any work.
"""

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Array",
    "check_array",
    "check_choice",
    "check_integer",
    "check_number",
    "check_rng",
    "check_sample_weight",
    "check_samples",
]

#: An array of doubles.
Array = npt.NDArray[np.float64]


def check_array(
    name: str,
    value: npt.ArrayLike,
    *,
    ndim: int | Sequence[int] | None = None,
    shape: Sequence[int | None] | None = None,
) -> Array:
    """Return `value` as a finite float64 array with the wanted dimensions.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : array_like
        What the caller passed.
    ndim : int or sequence of int, optional
        Accepted numbers of axes.
    shape : sequence of (int or None), optional
        Wanted extent of each axis; None accepts any extent above zero.

    Raises
    ------
    ValueError
        If the value is not numeric, has another shape, is empty, or holds NaN or infinity.

    Examples
    --------
    >>> check_array("X", [[1, 2], [3, 4]], shape=(None, 2)).shape
    (2, 2)
    """
    if np.ma.isMaskedArray(value):
        raise ValueError(f"{name} must not be a masked array: fill or drop its masked entries first")
    try:
        raw = np.asarray(value)
        if raw.dtype.kind not in "biufO":  # strings and complex numbers would be converted silently
            raise TypeError(f"got dtype {raw.dtype}")
        array = raw.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of real numbers: {error}") from error
    if ndim is None and shape is not None:
        ndim = len(shape)
    accepted = (ndim,) if isinstance(ndim, int) else ndim
    if accepted is not None and array.ndim not in accepted:
        wanted = " or ".join(str(a) for a in accepted)
        raise ValueError(f"{name} must have {wanted} axes, got shape {array.shape}")
    if shape is not None and any(
        want is not None and have != want for have, want in zip(array.shape, shape, strict=True)
    ):
        wanted = "(" + ", ".join("any" if want is None else str(want) for want in shape) + ")"
        raise ValueError(f"{name} must have shape {wanted}, got {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} is empty: shape {array.shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.sum(array)
    if not np.isfinite(total) and not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity; only finite numbers are accepted")
    return array


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return `value` as an int in [low, high].

    Examples
    --------
    >>> check_integer("order", 7, 1, 6)
    Traceback (most recent call last):
        ...
    ValueError: order must be an integer from 1 to 6, got 7
    """
    top = "up" if high is None else f"to {high}"
    if (
        not isinstance(value, numbers.Integral)
        or isinstance(value, bool)
        or int(value) < low
        or (high is not None and int(value) > high)
    ):
        raise ValueError(f"{name} must be an integer from {low} {top}, got {value!r}")
    return int(value)


def check_number(name: str, value: Any, *, above: float | None = None, below: float | None = None) -> float:
    """Return `value` as a finite float strictly between the bounds.

    Examples
    --------
    >>> check_number("scale", -1.0, above=0.0)
    Traceback (most recent call last):
        ...
    ValueError: scale must be a number above 0.0, got -1.0
    """
    bounds = [f"{word} {b}" for word, b in (("above", above), ("below", below)) if b is not None]
    wanted = "a " + " ".join(["number", " and ".join(bounds)]).strip()
    if (
        not isinstance(value, numbers.Real)
        or not np.isfinite(float(value))
        or (above is not None and not float(value) > above)
        or (below is not None and not float(value) < below)
    ):
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return float(value)


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return `value` if it is one of `choices`.

    Examples
    --------
    >>> check_choice("link", "probit", ["softmax", "sigmoid"])
    Traceback (most recent call last):
        ...
    ValueError: link must be one of 'softmax', 'sigmoid', got 'probit'
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_samples(X: npt.ArrayLike, y: npt.ArrayLike, d: int | None = None) -> tuple[Array, Array]:
    """Return inputs (n, d) and labels (n,) or (n, n_y) that belong together.

    Raises
    ------
    ValueError
        If a shape is wrong, the row counts differ, or a value is not finite.

    Examples
    --------
    >>> check_samples([[0.0], [1.0]], [1.0])
    Traceback (most recent call last):
        ...
    ValueError: y must have as many rows as X: 2, got 1
    """
    X = check_array("X", X, shape=(None, d))
    y = check_array("y", y, ndim=(1, 2))
    if len(y) != len(X):
        raise ValueError(f"y must have as many rows as X: {len(X)}, got {len(y)}")
    return X, y


def check_sample_weight(sample_weight: npt.ArrayLike | None, n: int) -> Array | None:
    """Return weights (n,) that are not negative and not all zero, or None where none are given.

    Examples
    --------
    >>> check_sample_weight([1.0, -1.0], 2)
    Traceback (most recent call last):
        ...
    ValueError: sample_weight must not be negative, got -1.0
    """
    if sample_weight is None:
        return None
    weights = check_array("sample_weight", sample_weight, shape=(n,))
    if weights.min() < 0.0:
        raise ValueError(f"sample_weight must not be negative, got {weights.min()}")
    if not weights.any():
        raise ValueError("sample_weight must not be zero everywhere")
    return weights


def check_rng(name: str, value: Any) -> np.random.Generator:
    """Return a generator for a seed, for scikit-learn's random states, or for a generator itself.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : None, int, sequence of int, SeedSequence, BitGenerator, Generator or RandomState
        A generator or a random state is used, and moved on, as it is.

    Raises
    ------
    ValueError
        If the value is none of these.

    Examples
    --------
    >>> check_rng("rng", "today")
    Traceback (most recent call last):
        ...
    ValueError: rng must be None, a seed, a Generator or a RandomState, got 'today'
    """
    if isinstance(value, np.random.RandomState):
        return np.random.default_rng(value._bit_generator)
    try:
        return np.random.default_rng(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be None, a seed, a Generator or a RandomState, got {value!r}"
        ) from error
