"""Linear and multilinear algebra that the moments and their decoders share."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.linalg import subspace_angles
from scipy.optimize import linear_sum_assignment

from nnmoments.results import Result
from nnmoments.validation import Array, check_array, check_integer, check_sample_weight, finite_result

__all__ = [
    "RowMatch",
    "khatri_rao",
    "match_rows",
    "monomials",
    "outer_power",
    "principal_angles",
    "set_partitions",
    "symmetrize",
    "weighted_least_squares",
]


# Rows are compared by the ratios of their squares.
_LARGEST = 1e70


def set_partitions(m: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Return all partitions of {0, ..., m-1} into nonempty blocks; there are Bell(m) of them.

    Parameters
    ----------
    m : int
        From 0 to 12.

    Returns
    -------
    tuple of tuples of tuples of int

    Raises
    ------
    ValueError
        If m is out of range.

    Examples
    --------
    >>> set_partitions(2)
    (((0,), (1,)), ((0, 1),))
    >>> [len(set_partitions(m)) for m in range(7)]
    [1, 1, 2, 5, 15, 52, 203]
    """
    return _partitions(check_integer("m", m, 0, 12))


@functools.cache
def _partitions(m: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    if m == 0:
        return ((),)
    last = m - 1
    grown: list[tuple[tuple[int, ...], ...]] = []
    for partition in _partitions(last):
        grown.append((*partition, (last,)))
        for i, block in enumerate(partition):
            grown.append((*partition[:i], (*block, last), *partition[i + 1 :]))
    return tuple(grown)


def monomials(d: int, degree: int) -> tuple[tuple[int, ...], ...]:
    r"""Return the monomials of d variables up to a degree, each as the sorted variables of its product.

    There are :math:`\binom{d + p}{p}`, by degree and then in lexicographic order: the order in which
    scikit-learn's `PolynomialFeatures` has its columns, and `numpy.triu_indices` its pairs.

    Parameters
    ----------
    d : int
        Number of variables.
    degree : int
        p, the largest degree.

    Returns
    -------
    tuple of tuples of int
        (0, 0, 2) stands for :math:`x_0^2 x_2`, and () for 1.

    Raises
    ------
    ValueError
        If d or the degree is out of range.

    Examples
    --------
    >>> monomials(2, 2)
    ((), (0,), (1,), (0, 0), (0, 1), (1, 1))
    >>> X = np.array([[2.0, 3.0]])
    >>> np.stack([np.prod(X[:, axes], axis=1) for axes in monomials(2, 2)], axis=1)
    array([[1., 2., 3., 4., 6., 9.]])
    """
    return _monomials(check_integer("d", d, 1), check_integer("degree", degree, 0))


@functools.cache
def _monomials(d: int, degree: int) -> tuple[tuple[int, ...], ...]:
    return tuple(
        axes
        for order in range(degree + 1)
        for axes in itertools.combinations_with_replacement(range(d), order)
    )


@finite_result("tensor")
def symmetrize(tensor: npt.ArrayLike, order: int | None = None) -> Array:
    r"""Average a tensor over all permutations of its last `order` axes (all axes by default).

    .. math:: \mathrm{sym}(T)_{i_1 \dots i_m} = \frac1{m!} \sum_\pi T_{i_{\pi(1)} \dots i_{\pi(m)}}

    Parameters
    ----------
    tensor : array_like
        The averaged axes have one length.
    order : int, optional
        Number of axes that are averaged over.

    Returns
    -------
    array
        Of the shape of the tensor.

    Raises
    ------
    ValueError
        If the axes differ in length, or the average overflows.

    Examples
    --------
    >>> symmetrize([[0.0, 2.0], [0.0, 0.0]])
    array([[0., 1.],
           [1., 0.]])
    """
    tensor = check_array("tensor", tensor)
    order = tensor.ndim if order is None else check_integer("order", order, 0, tensor.ndim)
    if len(set(tensor.shape[tensor.ndim - order :])) > 1:
        raise ValueError(f"tensor must have {order} last axes of one length, got shape {tensor.shape}")
    lead = tuple(range(tensor.ndim - order))
    total = np.zeros_like(tensor)
    for permutation in itertools.permutations(range(tensor.ndim - order, tensor.ndim)):
        total += tensor.transpose(lead + permutation)
    return total / math.factorial(order)


@finite_result("matrices")
def khatri_rao(*matrices: npt.ArrayLike) -> Array:
    r"""Multiply matrices row by row: (p, k_1), ..., (p, k_m) -> (p, k_1 k_2 ... k_m).

    .. math:: K_{a,(i_1 \dots i_m)} = \prod_j A^{(j)}_{a, i_j}

    Parameters
    ----------
    *matrices : (p, k_j) array_like
        At least one.

    Returns
    -------
    (p, k_1 k_2 ... k_m) array

    Raises
    ------
    ValueError
        If there is no matrix, or they differ in their rows.

    Examples
    --------
    >>> khatri_rao(np.array([[1.0, 2.0]]), np.array([[3.0, 5.0]]))
    array([[ 3.,  5.,  6., 10.]])
    """
    if not matrices:
        raise ValueError("matrices must hold at least one matrix")
    first = check_array("matrices", matrices[0], ndim=2)
    return _row_products(
        [first, *(check_array("matrices", m, shape=(len(first), None)) for m in matrices[1:])]
    )


def _row_products(matrices: Sequence[Array]) -> Array:
    product = matrices[0]
    for matrix in matrices[1:]:
        product = (product[:, :, None] * matrix[:, None, :]).reshape(len(product), -1)
    return product


@finite_result("vectors")
def outer_power(vectors: npt.ArrayLike, order: int) -> Array:
    r"""Raise each row to a tensor power: (k, d) -> (k, d, ..., d), :math:`w_i^{\otimes m}`.

    Parameters
    ----------
    vectors : (k, d) array_like
    order : int
        m, from 0.

    Returns
    -------
    (k, d, ..., d) array

    Raises
    ------
    ValueError
        If the order is negative, or a power overflows.

    Examples
    --------
    >>> outer_power([[1.0, 2.0]], 2)
    array([[[1., 2.],
            [2., 4.]]])
    """
    vectors = check_array("vectors", vectors, ndim=2)
    order = check_integer("order", order, 0)
    count, d = vectors.shape
    if order == 0:
        return np.ones(count)
    return _row_products([vectors] * order).reshape((count,) + (d,) * order)


def principal_angles(first: npt.ArrayLike, second: npt.ArrayLike) -> Array:
    """Return the principal angles between two row spans, in radians, largest first.

    Parameters
    ----------
    first, second : (k, d), (l, d) array_like

    Returns
    -------
    (min(k, l),) array

    Raises
    ------
    ValueError
        If the rows differ in length.

    Examples
    --------
    >>> principal_angles([[1.0, 0.0, 0.0]], [[1.0, 1.0, 0.0]]).round(4)
    array([0.7854])
    """
    first = check_array("first", first, ndim=2)
    second = check_array("second", second, shape=(None, first.shape[1]))
    # Spans do not depend on the size of the rows, which could overflow.
    left, right = (rows.T / max(np.abs(rows).max(), np.finfo(float).tiny) for rows in (first, second))
    return np.asarray(subspace_angles(left, right), dtype=np.float64)


@dataclass(frozen=True, eq=False, repr=False)
class RowMatch(Result):
    """How the rows of an estimate match those of the truth.

    Attributes
    ----------
    permutation : (k,) int array
        Row `permutation[i]` of the estimate is matched with row i of the truth.
    signs : (k,) array of +-1
        The sign by which that row is to be multiplied (all +1 for a signed comparison).
    errors : (k,) array
        Relative Euclidean error of each row of the truth after matching.
    aligned : (k, d) array
        The estimate's rows in the truth's order and signs.

    Examples
    --------
    >>> match_rows([[0.0, 2.5], [1.0, 0.0]], [[1.0, 0.0], [0.0, 2.0]])
    RowMatch
      permutation: [1 0]
            signs: [1. 1.]
           errors: [0.   0.25]
    """

    permutation: npt.NDArray[np.intp]
    signs: Array
    errors: Array
    aligned: Array = field(repr=False)

    @property
    def worst(self) -> float:
        """The largest relative error of a row.

        Examples
        --------
        >>> match_rows([[2.5]], [[2.0]]).worst
        0.25
        """
        return float(self.errors.max())


def match_rows(estimate: npt.ArrayLike, truth: npt.ArrayLike, *, signed: bool = False) -> RowMatch:
    r"""Match rows one to one so that the sum of squared relative errors is least.

    Decoders return neurons in any order and, unless `signed`, up to sign. The error of row i is
    :math:`\min_s \|s\hat w_{\pi(i)} - w_i\| / \|w_i\|`, s in {1, -1} (s = 1 if `signed`).

    Parameters
    ----------
    estimate, truth : (k, d) array_like
        Rows to match; the truth's rows must not vanish.
    signed : bool
        Whether a row and its negative count as different.

    Returns
    -------
    RowMatch

    Raises
    ------
    ValueError
        If shapes differ, or the truth has a zero row.

    Examples
    --------
    >>> match_rows([[0.0, -2.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 2.0]]).errors
    array([0., 0.])
    """
    truth = check_array("truth", truth, ndim=2)
    estimate = check_array("estimate", estimate, shape=truth.shape)
    sizes = np.abs(truth).max(axis=1)
    if not sizes.all():
        raise ValueError("truth has a zero row; relative errors need nonzero rows")
    for name, size in (
        ("truth", sizes.max()),
        ("truth", 1.0 / sizes.min()),
        ("estimate", np.abs(estimate).max()),
    ):
        if size > _LARGEST:
            raise ValueError(f"{name} has rows whose squares are beyond the range of doubles")
    norms = np.linalg.norm(truth, axis=1)
    products = truth @ estimate.T
    # |s e - w|^2 = |e|^2 + |w|^2 - 2 s e.w: the best sign is that of the inner product.
    gain = products if signed else np.abs(products)
    cost = np.sum(estimate**2, axis=1)[None, :] + norms[:, None] ** 2 - 2.0 * gain
    _, permutation = linear_sum_assignment(cost / norms[:, None] ** 2)
    chosen = products[np.arange(len(truth)), permutation]
    signs = np.ones(len(truth)) if signed else np.where(chosen < 0, -1.0, 1.0)
    aligned = signs[:, None] * estimate[permutation]
    errors = np.linalg.norm(aligned - truth, axis=1) / norms
    return RowMatch(permutation, signs, errors, aligned)


def weighted_least_squares(
    features: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    fit_intercept: bool = False,
    sample_weight: npt.ArrayLike | None = None,
    rcond: float | None = None,
) -> tuple[Array, float]:
    r"""Return coefficients c and an intercept b that minimise :math:`\sum_s \omega_s (f_s c + b - y_s)^2`.

    Of several solutions the one with the shortest c.

    Parameters
    ----------
    features : (n, p) array_like
        Rows :math:`f_s`.
    y : (n,) array_like
    fit_intercept : bool
        Whether b is free; zero otherwise.
    sample_weight : (n,) array_like, optional
        The :math:`\omega_s`; ones by default.
    rcond : float, optional
        Singular values below this share of the largest count as zero; by default rounding's share.

    Returns
    -------
    (p,) array, float

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, or a weight is negative.

    Examples
    --------
    >>> X, y = [[0.0], [1.0]], [3.0, 5.0]
    >>> coefficients, intercept = weighted_least_squares(X, y, fit_intercept=True)
    >>> coefficients.round(6), round(intercept, 6)
    (array([2.]), 3.0)
    """
    features = check_array("features", features, ndim=2)
    y = check_array("y", y, shape=(len(features),))
    weight = check_sample_weight(sample_weight, len(features))
    centre, mean = np.zeros(features.shape[1]), 0.0
    if fit_intercept:
        centre, mean = np.average(features, axis=0, weights=weight), np.average(y, weights=weight)
        features, y = features - centre, y - mean
    if weight is not None:
        features, y = features * np.sqrt(weight)[:, None], y * np.sqrt(weight)
    found = np.asarray(np.linalg.lstsq(features, y, rcond=rcond)[0], dtype=np.float64)
    return found, float(mean - centre @ found)
