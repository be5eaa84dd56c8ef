"""What the learners of thresholds are given: standard normal inputs, and labels or an oracle for them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.validation import Array, check_array, check_callable

__all__ = ["labels_for", "refuse_far"]

_FARTHEST = 1e6  # far beyond what a standard normal input can be; its fourth power is still a number


def labels_for(
    X: npt.ArrayLike, y: npt.ArrayLike | None, oracle: Callable[[Array], npt.ArrayLike] | None
) -> Any:
    """Return the labels y, or where there are none the oracle's at X; the oracle is tried in any case.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) array_like, optional
    oracle : callable, optional
        Labels (n,) of points (n, d).

    Raises
    ------
    ValueError
        If the oracle does not give one label for each point.

    Examples
    --------
    >>> labels_for([[1.0], [3.0]], None, lambda X: X[:, 0] > 2.0)
    array([False,  True])
    """
    if oracle is None:
        return y
    check_callable("oracle", oracle)
    inputs = check_array("X", X, ndim=2)
    points = inputs if y is None else inputs[:2]
    labels = np.asarray(oracle(points))
    if labels.shape != (len(points),):
        raise ValueError(f"oracle must give one label for each of {len(points)} points, got {labels.shape}")
    return labels if y is None else y


def refuse_far(X: Array) -> None:
    """Refuse inputs whose fourth powers are no numbers.

    Parameters
    ----------
    X : (n, d) array

    Raises
    ------
    ValueError
        If an entry is beyond a million.

    Examples
    --------
    >>> refuse_far(np.array([[1e200]]))
    Traceback (most recent call last):
        ...
    ValueError: X must hold standard normal inputs, got a value of 1.0e+200: whiten them
    """
    largest = max(float(X.max()), -float(X.min()))
    if largest > _FARTHEST:
        raise ValueError(f"X must hold standard normal inputs, got a value of {largest:.1e}: whiten them")
