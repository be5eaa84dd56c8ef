r"""Cross-fitting: what is taken out of one part of a sample is fitted to the others.

With a function g fitted to other data, :math:`T_m = E[\nabla^m g] + E[(y - g) S_m]` holds given g, so its
estimate is unbiased exactly. A surrogate g is what `fit` returns; `apply` takes it to its part, and
says what it adds (its mean derivative) and what it leaves (the residual).
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from nnmoments.validation import Array, check_callable, check_integer

__all__ = ["cross_fit", "fold_slices", "rows_of"]

Part = TypeVar("Part")
Model = TypeVar("Model")
Found = TypeVar("Found")


def fold_slices(n: int, folds: int) -> list[slice]:
    """Cut n rows into consecutive folds: the one rule for all cross-fitting.

    Parameters
    ----------
    n : int
        Rows.
    folds : int
        At least 2, at most n.

    Raises
    ------
    ValueError
        If there are fewer rows than folds.

    Examples
    --------
    >>> fold_slices(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    n, folds = check_integer("n", n, 1), check_integer("folds", folds, 2)
    if n < folds:
        raise ValueError(f"X has too few samples, {n}, for {folds} folds")
    edges = np.linspace(0, n, folds + 1).astype(int).tolist()
    return [slice(*pair) for pair in itertools.pairwise(edges)]


def cross_fit(
    parts: Sequence[Part], fit: Callable[[list[Part]], Model], apply: Callable[[Model, Part], Found]
) -> list[Found]:
    """Return ``apply(fit(all other parts), part)`` for each part.

    Parameters
    ----------
    parts : sequence
        Slices of the sample (`fold_slices`), or what is known of each: its sums.
    fit : callable
        Maps the list of the other parts to a model.
    apply : callable
        Maps the model and the part that it has not seen to a result.

    Returns
    -------
    list

    Raises
    ------
    ValueError
        If `fit` or `apply` can't be called.

    Examples
    --------
    >>> y = np.array([1.0, 2.0, 6.0])
    >>> cross_fit(fold_slices(3, 3), lambda others: rows_of(y, others).mean(), lambda m, own: y[own] - m)
    [array([-3.]), array([-1.5]), array([4.5])]
    """
    check_callable("fit", fit)
    check_callable("apply", apply)
    return [apply(fit([*parts[:i], *parts[i + 1 :]]), part) for i, part in enumerate(parts)]


def rows_of(array: Array, parts: Sequence[slice]) -> Array:
    """Return the rows in the given slices; a view if there is one slice.

    Parameters
    ----------
    array : (n, ...) array
    parts : sequence of slice

    Examples
    --------
    >>> rows_of(np.arange(4.0), [slice(0, 1), slice(3, 4)])
    array([0., 3.])
    """
    return array[parts[0]] if len(parts) == 1 else np.concatenate([array[part] for part in parts])
