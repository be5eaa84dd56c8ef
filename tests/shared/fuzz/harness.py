"""Cases, the nasty values to put in place of their arguments, and what the outcome may be."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Case:
    """A callable and a valid call.

    Attributes
    ----------
    call : callable
        Takes keywords.
    arguments : mapping
        A valid call.
    keep : sequence of str
        Arguments that anything may be (a name for a message, a file).
    trusted : sequence of str
        Callables, whose own errors are the caller's.
    overflows : bool
        Says of numbers beyond the doubles what numpy says: infinity, with a warning. A descent must see it.
    elementwise : bool
        Passes on NaN and infinity as numpy's functions do.
    minus_infinity : bool
        May return minus infinity, as the logarithm of zero.
    also : mapping
        Other words by which a message may name an argument.
    """

    call: Callable[..., Any]
    arguments: Mapping[str, Any]
    keep: Sequence[str] = ()
    trusted: Sequence[str] = ()
    overflows: bool = False
    elementwise: bool = False
    minus_infinity: bool = False
    also: Mapping[str, str] = dataclasses.field(default_factory=dict)


def wrong(*arguments: Any) -> int:
    """Take anything, return nothing that is of use."""
    return 5


def nasty(valid: Any) -> dict[str, Any]:
    """Return what to put in an argument's place, by name."""
    values: dict[str, Any] = {
        "None": None,
        "word": "2",
        "NaN": float("nan"),
        "infinity": float("inf"),
        "huge": 1e300,
        "tiny": 1e-150,
        "negative": -1,
        "fraction": 0.5,
        "zero": 0,
        "true": True,
        "numpy bool": np.bool_(True),
        "complex": 1j,
        "huge integer": 10**400,
        "list of words": ["a", "b"],
        "dict": {},
        "object": object(),
        "empty": np.zeros(0),
        "function": wrong,
    }
    try:
        array = np.asarray(valid, dtype=np.float64)
    except (TypeError, ValueError):
        return values
    if not array.ndim:
        return values
    with_nan, with_none = array.copy(), array.astype(object)
    with_nan.flat[0], with_none.flat[0] = np.nan, None
    infinite = np.where(np.arange(array.size).reshape(array.shape) == 0, np.inf, array)
    frozen = array.copy()
    frozen.flags.writeable = False
    return values | {
        "array with NaN": with_nan,
        "array with infinity": infinite,
        "objects with None": with_none,
        "objects with words": array.astype(str).astype(object),
        "words": array.astype(str),
        "complex array": array * 1j,
        "huge array": np.full_like(array, 1e300),
        "tiny array": np.full_like(array, 1e-150),
        "mixed sizes": array * np.where(np.arange(array.shape[-1]) % 2, 1e150, 1e-150),
        "masked array": np.ma.masked_array(array, mask=array == array),
        "read-only array": frozen,
        "single precision": array.astype(np.float32),
        "one axis more": array[None],
        "one row": array[:1],
        "no rows": array[:0],
        "constant": np.ones_like(array),
        "zeros": np.zeros_like(array),
        "ragged": [[1.0], [1.0, 2.0]],
    }


# Errors that are documented as infinite or not a number where nothing is known of them.
UNKNOWN = ("row_error", "unseen")


def numbers(value: Any) -> list[float]:
    """Return all numbers in a result."""
    if isinstance(value, np.ndarray | np.generic | float | int) and np.asarray(value).dtype.kind in "fiub":
        return list(np.ravel(np.asarray(value, dtype=np.float64)))
    if isinstance(value, Mapping):
        return [x for entry in value.values() for x in numbers(entry)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [x for entry in value for x in numbers(entry)]
    if dataclasses.is_dataclass(value):
        known = [f.name for f in dataclasses.fields(value) if f.name not in UNKNOWN]
        return [x for name in known for x in numbers(getattr(value, name))]
    return []


def check(case: Case, name: str, value: Any) -> None:
    try:
        result = case.call(**{**case.arguments, name: value})
    except ValueError as error:
        words = [name, *case.also.get(name, "").split()]
        if not any(re.search(rf"\b{re.escape(word)}\b", str(error)) for word in words):
            raise RuntimeError(f"names no argument: {error}") from error
        return
    except RuntimeWarning as warning:
        if case.overflows and "overflow" in str(warning):
            return
        raise
    if str(getattr(result, "status", "")).startswith("diverged"):
        return  # and says so
    found = np.array(numbers(result))
    if case.minus_infinity:
        found = found[found != -np.inf]
    assert case.elementwise or np.isfinite(found).all(), "a result that is not finite"


def methods(owner: Any, **calls: Mapping[str, Any]) -> list[Case]:
    """Return a case for each method of an object."""
    return [Case(getattr(owner, name), arguments) for name, arguments in calls.items()]


def positional(call: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """Return a callable by keyword for one that takes its arguments by place."""
    return functools.wraps(call, updated=())(lambda **arguments: call(*[arguments[name] for name in names]))


def then(construct: Callable[..., Any], use: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a callable that constructs an object and uses it, so that what it holds is looked at."""
    return functools.wraps(construct, updated=())(lambda **arguments: use(construct(**arguments)))


def label(case: Case) -> str:
    call = case.call
    owner = getattr(call, "__self__", None)
    return f"{type(owner).__name__ + '.' if owner is not None else ''}{getattr(call, '__name__', call)}"
