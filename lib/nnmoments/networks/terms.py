"""Polynomials of units: terms, tuples of unit numbers, and their coefficients."""

import numbers
from collections.abc import Mapping

import numpy as np

from nnmoments.validation import Array, check_number

__all__ = ["checked_terms", "polynomial"]


def checked_terms(
    terms: Mapping[tuple[int, ...], float], k: int | None = None
) -> dict[tuple[int, ...], float]:
    """Return terms whose units exist, of k if given, with finite coefficients.

    Parameters
    ----------
    terms : mapping from tuples of unit numbers to coefficients
    k : int, optional
        Number of units.

    Raises
    ------
    ValueError
        If there is no term, or one names a unit that does not exist.

    Examples
    --------
    >>> checked_terms({(0, 1): 2}, 2)
    {(0, 1): 2.0}
    """
    if not isinstance(terms, Mapping) or not terms:
        raise ValueError(f"terms must hold at least one coefficient, as a mapping, got {terms!r}")
    for term in terms:
        units = isinstance(term, tuple) and all(isinstance(i, numbers.Integral) for i in term)
        if not units or not all(i >= 0 and (k is None or i < k) for i in term):
            last = "" if k is None else f" 0 to {k - 1}"
            raise ValueError(f"terms must name units{last}, got {term!r}")
    return {tuple(int(i) for i in term): check_number(f"terms[{term}]", c) for term, c in terms.items()}


def polynomial(units: Array, terms: Mapping[tuple[int, ...], float]) -> Array:
    r"""Return :math:`\sum_S c_S \prod_{i \in S} X_i` of unit values (n, k), (n,).

    Parameters
    ----------
    units : (n, k) array
    terms : mapping
        As `checked_terms` returns.

    Examples
    --------
    >>> polynomial(np.array([[2.0, 3.0]]), {(0, 1): 5.0, (): 1.0})
    array([31.])
    """
    total = np.zeros(len(units))
    for term, coefficient in terms.items():
        total += coefficient * np.prod(units[:, term], axis=1)
    return total
