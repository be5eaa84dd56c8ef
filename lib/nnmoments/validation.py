"""Checks of arguments at the public entries, so that the formulas below them can stay formulas.

Every message names the argument, what came and what is accepted; every check happens before any work.
"""

import functools
import math
import numbers
import reprlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = [
    "Array",
    "check_array",
    "check_callable",
    "check_choice",
    "check_instance",
    "check_integer",
    "check_number",
    "check_readable",
    "check_result",
    "check_rng",
    "check_sample_weight",
    "check_samples",
    "finite_result",
]

#: An array of doubles.
Array = npt.NDArray[np.float64]
P = ParamSpec("P")
R = TypeVar("R")


def check_array(
    name: str,
    value: npt.ArrayLike,
    *,
    ndim: int | Sequence[int] | None = None,
    shape: Sequence[int | None] | None = None,
    empty: bool = False,
    most: float | None = None,
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
    empty : bool
        Whether an array without entries is accepted, as by elementwise functions.
    most : float, optional
        Largest accepted size of an entry, where squares or products must be numbers.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If the value is not numeric, has another shape, is empty, or holds NaN, infinity or what is too large.

    Examples
    --------
    >>> check_array("X", [[1, 2], [3, 4]], shape=(None, 2)).shape
    (2, 2)
    """
    raw = check_readable(name, value)
    try:
        with np.errstate(over="ignore"):  # a number above the doubles becomes infinite, and is refused
            array = raw.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
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
    if array.size == 0 and not empty:
        raise ValueError(f"{name} is empty: shape {array.shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        total = float(np.add.reduce(array, axis=None))
    if not math.isfinite(total) and not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity; only finite numbers are accepted")
    if most is not None and np.abs(array).max(initial=0.0) > most:
        raise ValueError(f"{name} must be at most {most:g} in size, got {np.abs(array).max():.1e}")
    return array


def check_readable(name: str, value: npt.ArrayLike, *, text: bool = False) -> npt.NDArray[Any]:
    """Return `value` as an array, of whatever type, unless it is nothing that numbers can be made of.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : array_like
        What the caller passed.
    text : bool
        Whether text is accepted, as of class labels.

    Returns
    -------
    array
        Of numbers or objects, or of text.

    Raises
    ------
    ValueError
        If the value is masked or ragged, or holds text, complex numbers or times, which would be converted
        silently.

    Examples
    --------
    >>> check_readable("X", ["1", "2"])
    Traceback (most recent call last):
        ...
    ValueError: X must be an array of real numbers: got text
    """
    if np.ma.isMaskedArray(value):
        raise ValueError(f"{name} must not be a masked array: fill or drop its masked entries first")
    try:
        raw = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of real numbers: {error}") from error
    worded = raw.dtype.kind in "SUT" or (raw.dtype == object and _holds_text(raw))
    if worded and not text:
        raise ValueError(f"{name} must be an array of real numbers: got text")
    if raw.dtype.kind not in "biufO" and not worded:
        reason = "Complex data not supported" if raw.dtype.kind == "c" else f"got dtype {raw.dtype}"
        raise ValueError(f"{name} must be an array of real numbers: {reason}")
    return raw


def _holds_text(array: npt.NDArray[Any]) -> bool:
    return any(isinstance(entry, str | bytes) for entry in array.flat)


def _shown(value: Any) -> str:
    """Return a short repr for a message, of anything."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"one of type {type(value).__name__}"


def check_result(name: str, result: R) -> R:
    """Return a result if it is finite, and else say which argument made it overflow.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    result : array or float
        What came of it.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If the result holds NaN or infinity.

    Examples
    --------
    >>> check_result("x", np.array([np.inf]))
    Traceback (most recent call last):
        ...
    ValueError: x is too large: the result is beyond the range of doubles
    """
    if not np.isfinite(np.asarray(result)).all():
        raise ValueError(f"{name} is too large: the result is beyond the range of doubles")
    return result


def finite_result(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator: overflow inside the function is silent, and in its result a ValueError.

    Parameters
    ----------
    name : str
        The argument to blame, for the message.

    Returns
    -------
    callable
        The decorator.

    Raises
    ------
    ValueError
        When the decorated function returns NaN or infinity.

    Examples
    --------
    >>> @finite_result("x")
    ... def square(x):
    ...     return x**2
    >>> square(np.array([1e200]))
    Traceback (most recent call last):
        ...
    ValueError: x is too large: the result is beyond the range of doubles
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
                return check_result(name, function(*args, **kwargs))

        return checked

    return decorate


# Sizes, counts and orders above this are slips, and could not be served.
_MOST = 2**62


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return `value` as an int in [low, high].

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : int
        Python's or numpy's, but no bool and no float.
    low : int
    high : int, optional

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the value is no integer, or out of range.

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
        or int(value) > (_MOST if high is None else high)
    ):
        raise ValueError(f"{name} must be an integer from {low} {top}, got {_shown(value)}")
    return int(value)


def check_number(name: str, value: Any, *, above: float | None = None, below: float | None = None) -> float:
    """Return `value` as a finite float strictly between the bounds.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : float
        Python's or numpy's real numbers, but no bool and no array.
    above, below : float, optional
        Bounds, themselves excluded.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the value is no number, not finite, or out of range.

    Examples
    --------
    >>> check_number("scale", -1.0, above=0.0)
    Traceback (most recent call last):
        ...
    ValueError: scale must be a number above 0.0, got -1.0
    """
    bounds = [f"{word} {b}" for word, b in (("above", above), ("below", below)) if b is not None]
    wanted = "a " + " ".join(["number", " and ".join(bounds)]).strip()
    try:
        number = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    inside = (above is None or number > above) and (below is None or number < below)
    if not (math.isfinite(number) and inside):
        raise ValueError(f"{name} must be {wanted}, got {_shown(value)}")
    return number


def check_callable(name: str, value: Any) -> Any:
    """Return `value` if it can be called.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : callable

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If it can't.

    Examples
    --------
    >>> check_callable("function", 2.0)
    Traceback (most recent call last):
        ...
    ValueError: function must be callable, got 2.0
    """
    if not callable(value):
        raise ValueError(f"{name} must be callable, got {_shown(value)}")
    return value


def check_instance(name: str, value: Any, *kinds: type[Any]) -> Any:
    """Return `value` if it is an object of one of the kinds.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
        What the caller passed.
    *kinds : type
        Classes, or protocols that can be checked.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If it is no such object.

    Examples
    --------
    >>> from nnmoments.densities import ScoreModel
    >>> check_instance("score", 3, ScoreModel)
    Traceback (most recent call last):
        ...
    ValueError: score must be a ScoreModel, got 3
    """
    if not isinstance(value, kinds):
        wanted = " or a ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"{name} must be a {wanted}, got {_shown(value)}")
    return value


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return `value` if it is one of `choices`.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
        What the caller passed.
    choices : sequence
        What is accepted.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If it is none of them.

    Examples
    --------
    >>> check_choice("link", "probit", ["softmax", "sigmoid"])
    Traceback (most recent call last):
        ...
    ValueError: link must be one of 'softmax', 'sigmoid', got 'probit'
    """
    if not isinstance(value, Hashable) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {_shown(value)}")
    return value


def check_samples(X: npt.ArrayLike, y: npt.ArrayLike, d: int | None = None) -> tuple[Array, Array]:
    """Return inputs (n, d) and labels (n,) or (n, n_y) that belong together.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) or (n, n_y) array_like
    d : int, optional
        Columns that X must have.

    Returns
    -------
    X : (n, d) array
    y : (n,) or (n, n_y) array

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

    Parameters
    ----------
    sample_weight : (n,) array_like, optional
    n : int
        Number of samples.

    Returns
    -------
    (n,) array or None

    Raises
    ------
    ValueError
        If there are not n weights, or they are negative or all zero.

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

    Returns
    -------
    Generator

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
        if isinstance(value, bool | np.bool_) or np.ma.isMaskedArray(value):
            raise TypeError("no seed")
        return np.random.default_rng(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be None, a seed, a Generator or a RandomState, got {_shown(value)}"
        ) from error
