r"""Thresholded units one beside the other: coarse rows for any signs, and each border where no other is near.

Where only unit i is active the label is a function of the side of *its* border, whatever the polynomial
above: neither the sign nor the size of its coefficient matters there.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.borders import Refinement, fit_border
from nnmoments.chunks import row_chunks
from nnmoments.tensors import joint_diagonalize
from nnmoments.validation import (
    Array,
    check_array,
    check_integer,
    check_rng,
    check_samples,
    finite_result,
)

__all__ = ["borders_beside", "each_beside", "factor_rows", "is_spread_alike", "significant_rank"]

Mask = npt.NDArray[np.bool_]

# A symmetric matrix of noise has norm 2 sqrt(d) times the entries' deviation, which diagonals exceed.
_NOISE = 3.0
_SAME = 0.98  # cosine of two rows that are one unit's
# How far below their borders others count as active: rows of a landscape are off by some degrees.
_COARSE, _FINE = 0.3, 0.1
_STEP, _JUMP, _FEWEST = 0.05, 0.5, 20  # bins of heights; share of active that a border must add; samples


def significant_rank(second: Array, square: float, n: int) -> int:
    r"""Return how many eigenvalues of T_2 are more than noise, whose entries have variance :math:`E[y^2]/n`.

    Parameters
    ----------
    second : (d, d) array
    square : float
        Mean square of the labels.
    n : int
        Samples.

    Examples
    --------
    >>> significant_rank(np.diag([0.5, -0.4, 0.01]), 1.0, 10_000)
    2
    """
    return int(np.sum(np.abs(np.linalg.eigvalsh(second)) > _NOISE * np.sqrt(len(second) * square / n)))


def is_spread_alike(X: Array, some: Mask, weight: Array) -> bool:
    """Say whether some of the samples have the second moments of all, but for noise.

    Wrong labels have, beyond no border; those of a unit that is missing have not.

    Parameters
    ----------
    X : (n, d) array
    some : (n,) array of bool
    weight : (n,) array
        Of the samples, with mean one: their sum is taken for the number of samples.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((10_000, 2))
    >>> is_spread_alike(X, np.arange(10_000) % 20 == 0, np.ones(10_000)), is_spread_alike(
    ...     X, X[:, 0] > 2.0, np.ones(10_000)
    ... )
    (True, False)
    """
    share = float(weight[some].sum() / weight.sum())
    scaled, every = (rows * np.sqrt(w)[:, None] for rows, w in ((X[some], weight[some]), (X, weight)))
    excess = (scaled.T @ scaled - share * every.T @ every) / weight.sum()
    return significant_rank(excess, share, int(weight.sum())) == 0


@finite_result("X or y")
def factor_rows(X: npt.ArrayLike, y: npt.ArrayLike, k: int, *, rng: Any = None) -> Array:
    r"""Return unit rows (k, d) that make :math:`T_2` and all slices of :math:`T_3` diagonal together.

    .. math:: T_2 = \sum_i c_i a_i\,w_i w_i^\top, \qquad T_3(\cdot, \cdot, v) = \sum_i c_i b_i (w_i \cdot v)\,w_i w_i^\top

    Coefficients may have any sign and size, and thresholds may differ; where GP's landscape has minima, it
    asks for positive ones.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs.
    y : (n,) array_like
        Labels; samples where they are zero are not touched.
    k : int
        Rows, at most d.
    rng : optional
        Seed or generator.

    Returns
    -------
    (k, d) array
        Up to sign; (0, d) if there are not so many factors.

    Raises
    ------
    ValueError
        If an argument does not fit.

    References
    ----------
    ZS Algorithm 1 (their tensor), for the moments of GP Section 2.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((100_000, 2))
    >>> u = lambda a: np.maximum(a - 2.0, 0.0)
    >>> rows = factor_rows(X, u(X[:, 0]) - 0.5 * u(0.6 * X[:, 0] + 0.8 * X[:, 1]), 2, rng=0)
    >>> bool(np.abs(rows @ [[1.0, 0.6], [0.0, 0.8]]).max(axis=0).min() > 0.99)
    True
    """  # noqa: E501
    X, y = check_samples(X, y)
    y = check_array("y", y, ndim=1)
    n, d = X.shape
    k, rng = check_integer("k", k, 1, d), check_rng("rng", rng)
    on = np.flatnonzero(y)
    eye = np.eye(d)
    mean, first, second, third = 0.0, np.zeros(d), np.zeros((d, d)), np.zeros((d, d, d))
    for chunk in row_chunks(len(on), d * d):
        x, c = X[on[chunk]], y[on[chunk]] / n
        pairs = (x[:, :, None] * x[:, None, :]).reshape(len(x), d * d)
        mean, first = mean + c.sum(), first + c @ x
        second += (c @ pairs).reshape(d, d)
        third += ((x.T * c) @ pairs).reshape(d, d, d)
    outer = np.multiply.outer(first, eye)  # S_2 = xx^T - I, S_3 = xxx - 3 sym(x I)
    third -= outer + outer.transpose(1, 0, 2) + outer.transpose(1, 2, 0)
    slices = np.concatenate([third, (second - mean * eye)[None]])
    vectors = np.linalg.eigh(np.einsum("lab,lbc->ac", slices, slices))[1][:, -k:]
    inner = np.einsum("lab,ai,bj->lij", slices, vectors, vectors, optimize=True)
    if k == 1:
        return np.asarray(vectors.T)
    try:
        return np.asarray(joint_diagonalize(inner, rng=rng).factors @ vectors.T)
    except (ValueError, np.linalg.LinAlgError):
        return np.zeros((0, d))


def borders_beside(
    X: Array,
    active: Mask,
    weight: Array,
    rows: Array,
    known: Sequence[Refinement] = (),
) -> list[Refinement]:
    """Return the units whose borders are seen, of coarse rows up to sign and of those known already.

    Each is fitted on the samples where no other one is near its border or beyond. First the coarse rows,
    then all once more beside what was found.

    Parameters
    ----------
    X : (n, d) array
        Standard normal inputs.
    active : (n,) array of bool
    weight : (n,) array
        Of the samples.
    rows : (m, d) array
    known : sequence of Refinement

    Returns
    -------
    list of Refinement
        Of different units, the known ones first.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((100_000, 2))
    >>> active = (X > [1.5, 2.0]).any(axis=1)
    >>> rows = np.array([[1.0, 0.2], [0.2, -1.0]])
    >>> found = borders_beside(X, active, np.ones(len(X)), rows)
    >>> np.round([unit.threshold for unit in found], 2)
    array([1.5, 2. ])
    """
    units = list(known)
    signed, places = [], []
    directions = np.array([u.direction for u in units]).reshape(len(units), X.shape[1])
    outside = _outside(X, units, 0.0)
    for row in rows / np.linalg.norm(rows, axis=1, keepdims=True):
        if np.abs(directions @ row).max(initial=0.0) > _SAME:
            continue
        heights = X[outside] @ row
        seen = [_place(s * heights, active[outside], weight[outside]) for s in (1.0, -1.0)]
        if np.isfinite(seen).any():
            side = int(np.nanargmin(seen))
            signed.append((1.0, -1.0)[side] * row)
            places.append(seen[side])
    if not signed:
        return units
    heights = X @ np.array(signed).T
    near = heights > np.array(places) - _COARSE
    for i, row in enumerate(signed):
        alone = outside & (near.sum(axis=1) - near[:, i] == 0)
        unit = _border(X[alone], active[alone], weight[alone], row)
        if unit is not None and all(abs(unit.direction @ other.direction) < _SAME for other in units):
            units.append(unit)
    if len(units) > 1:
        alone = each_beside(X, active, weight, units)
        units = [fitted or unit for fitted, unit in zip(alone, units, strict=True)]
    return units


def each_beside(
    X: Array, active: Mask, weight: Array, units: Sequence[Refinement]
) -> list[Refinement | None]:
    """Fit each unit's border on the samples where no other is active, or nearly; None where few see it.

    Others that are active there, too, turn a border by degrees that its fit does not know. Alone it is
    hardly off by more than half of its last band, `Refinement.angle`.

    Parameters
    ----------
    X : (n, d) array
        Standard normal inputs.
    active : (n,) array of bool
    weight : (n,) array
        Of the samples.
    units : sequence of Refinement

    Returns
    -------
    list of Refinement or None
        In the same order.

    Examples
    --------
    >>> from nnmoments.borders import fit_border
    >>> X = np.random.default_rng(0).standard_normal((100_000, 2))
    >>> active = (X > [1.5, 2.0]).any(axis=1)
    >>> units = [fit_border(X, active, row) for row in ([1.0, 0.2], [0.2, 1.0])]
    >>> found = each_beside(X, active, np.ones(len(X)), units)
    >>> np.round([unit.direction for unit in found], 2) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    near = np.column_stack([X @ unit.direction > unit.threshold - _FINE for unit in units])
    alone = near.sum(axis=1)[:, None] - near == 0
    return [
        _border(X[rows], active[rows], weight[rows], unit.direction)
        for unit, rows in zip(units, alone.T, strict=True)
    ]


def _outside(X: Array, units: Sequence[Refinement], margin: float) -> Mask:
    """Which samples are beyond no border of these units."""
    outside = np.ones(len(X), dtype=bool)
    for unit in units:
        outside &= X @ unit.direction <= unit.threshold - margin
    return outside


def _place(heights: Array, active: Mask, weight: Array) -> float:
    """Return the height at which the share of active samples is halfway from that at zero to one, or nan."""
    bins = np.clip((heights / _STEP).astype(int), -1, 200) + 1
    every = np.bincount(bins, weights=weight, minlength=202)
    share = np.bincount(bins, weights=weight * active, minlength=202) / np.maximum(every, 1e-300)
    above = np.flatnonzero((share > 0.5 * (1.0 + share[0])) & (np.bincount(bins, minlength=202) >= _FEWEST))
    return float(above[0] * _STEP) if len(above) else np.nan


def _border(X: Array, active: Mask, weight: Array, row: Array) -> Refinement | None:
    """Fit the border, if there is one that the samples next to it show."""
    try:
        unit = fit_border(X, active, row, sample_weight=weight)
    except ValueError:  # no border is seen from this row
        return None
    beyond = X @ unit.direction - unit.threshold
    inside, outside = (beyond > 0.0) & (beyond < _COARSE), (beyond < 0.0) & (beyond > -_COARSE)
    if not unit.converged or min(inside.sum(), outside.sum()) < _FEWEST:
        return None
    shares = [np.average(active[side], weights=weight[side]) for side in (inside, outside)]
    return unit if shares[0] - shares[1] > _JUMP else None
