"""What results, densities and networks have in common: equality by content, and a repr that shows it."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["Comparable", "Result", "same"]


def same(first: Any, second: Any) -> bool:
    """Say whether two values are of one type and hold the same content; NaN equals NaN.

    Parameters
    ----------
    first, second : object
        Arrays, numbers, strings, containers of these, or objects with attributes.

    Returns
    -------
    bool

    Examples
    --------
    >>> same({"a": np.array([1.0, np.nan])}, {"a": np.array([1.0, np.nan])})
    True
    >>> same([1.0, 2.0], [1.0, 3.0])
    False
    """
    if first is second:
        return True
    if type(first) is not type(second):
        return False
    if isinstance(first, np.ndarray):
        numeric = first.dtype.kind in "fc"
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=numeric)
    if isinstance(first, float | np.floating):
        return bool(first == second or (np.isnan(first) and np.isnan(second)))
    if isinstance(first, Mapping):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, Sequence) and not isinstance(first, str | bytes):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, np.random.Generator):
        return same(first.bit_generator.state, second.bit_generator.state)
    if getattr(type(first), "__eq__", None) is getattr(object, "__eq__", None):  # compares by identity
        state = first.__getstate__()  # None for functions, which are the same or not
        return state is not None and same(state, second.__getstate__())
    return bool(first == second)


class Comparable:
    """Equality by content: two objects are equal if they are of one class and all attributes are.

    Values of cached properties only save work: they count for no equality and are in no pickle.

    Examples
    --------
    >>> import copy
    >>> from nnmoments.densities import StandardNormal
    >>> copy.deepcopy(StandardNormal(2)) == StandardNormal(2) != StandardNormal(3)
    True
    """

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return same(_content(self, vars(self)), _content(other, vars(other)))

    def __hash__(self) -> int:
        return hash(type(self))

    def __getstate__(self) -> Any:
        return _content(self, super().__getstate__())  # type: ignore[arg-type]


def _content(owner: object, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of an object that are no values of cached properties."""
    cached = functools.cached_property
    return {
        name: value
        for name, value in state.items()
        if not isinstance(getattr(type(owner), name, None), cached)
    }


class Result(Comparable):
    """Base of the frozen dataclasses that functions return: what was found, and what to trust it by.

    Derive with ``@dataclass(frozen=True, eq=False, repr=False)``. The repr shows each field that is not
    declared with ``repr=False``, arrays in full up to 40 numbers and by their shape above.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True, eq=False, repr=False)
    ... class Found(Result):
    ...     value: np.ndarray
    ...     status: str
    >>> Found(np.array([1.0, 0.25]), "converged")
    Found
       value: [1.   0.25]
      status: converged
    """

    def __repr__(self) -> str:
        shown = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.repr}  # type: ignore[arg-type]
        width = max(map(len, shown), default=0)
        lines = [f"  {name:>{width}}: {_shown(value, width + 4)}" for name, value in shown.items()]
        return "\n".join([type(self).__name__, *lines])


def _shown(value: Any, indent: int) -> str:
    if isinstance(value, np.ndarray):
        if value.size > 40:
            return f"array of shape {value.shape}"
        text = np.array2string(value, precision=4, suppress_small=True)
    elif isinstance(value, float):
        text = f"{value:.4g}"
    elif isinstance(value, Result):
        text = f"{type(value).__name__}({getattr(value, 'status', '...')})"
    else:
        text = str(value)
    return text.replace("\n", "\n" + " " * indent)
