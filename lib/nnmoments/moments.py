r"""Cross-moments of labels with score tensors: :math:`T_m = E[y \otimes S_m(x)]`.

Stein's identity says what such a moment contains, :math:`T_m = E[\nabla^m E[y|x]]`, and every
decoder of this library starts from one. Moments are sums over samples: accumulators take data in
chunks, merge with ``+``, and never form a d^m tensor where only a contraction is asked for.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.preprocessing import PolynomialFeatures

from nnmoments._validation import Array, check_array, check_integer, check_samples
from nnmoments.densities.base import (
    Constant,
    Derivative,
    ScoreModel,
    Slot,
    check_slots,
    squeeze_slots,
)
from nnmoments.linalg import set_partitions

__all__ = ["ControlVariate", "CrossMoment", "MomentEstimate", "control_residuals", "cross_moment"]

#: Highest order of a moment offered to decoders.
MAX_MOMENT_ORDER = 4

# Blocks of samples whose means give the standard error: enough for it to be accurate to 9 %,
# long enough (when the sample allows) to keep the products inside each block at BLAS speed.
_BLOCKS = 64
_LONGEST_BLOCK = 2048

# Doubles that one chunk's widest intermediate may hold: small against the last-level cache, large
# against the cost of a call.
_CHUNK_DOUBLES = 1 << 20


@dataclass(frozen=True)
class MomentEstimate:
    """An estimated cross-moment with its uncertainty.

    Attributes
    ----------
    value : array
        The estimate of T_m, contracted as asked; the label axis, if any, comes first.
    standard_error : array
        Its standard error, entry by entry, from the spread of block means.
    n_samples : int
    order : int
    removed : str
        What was removed from the labels before averaging.
    """

    value: Array = field(repr=False)
    standard_error: Array = field(repr=False)
    n_samples: int
    order: int
    removed: str = "nothing"


class CrossMoment:
    r"""Accumulate :math:`T_m = E[y \otimes S_m(x)]` over chunks of data.

    .. math:: T_m(A_1, \dots, A_m) = (-1)^m \sum_{\pi} E\Big[y \otimes
              \bigotimes_{B \in \pi} G_{|B|}(x)(A_b : b \in B)\Big]

    Each expectation on the right is one matrix product over the samples of a block; the fixed
    tensors that the G share across points are applied once, after summing. Memory is bounded by
    the chunk, whatever the number of samples.

    Parameters
    ----------
    score : ScoreModel
        The density of x, or an estimate of its score.
    order : int
        m, from 1 to 4.
    bases : optional
        None for the full tensor; a (d, k) array V for :math:`T_m(V, \dots, V)`; or a sequence with
        one entry a slot: None (free), a (d,) vector (contracted away) or a (d, k) array.
    block_size : int, optional
        Samples a block; standard errors come from block means. By default a 64th of the first
        chunk, at most 2048.
    removed : str
        Carried into the estimate: what the caller removed from the labels.

    Raises
    ------
    ValueError
        If the order is not 1..4, a basis does not fit the score model, or (from `partial_fit`) the
        samples do not.

    Notes
    -----
    The value does not depend (beyond rounding) on how data are cut into chunks. The standard error
    is that of the mean of unequal blocks, :math:`s^2 = \frac1{C-1}\sum_c n_c(\bar t_c - \bar t)^2`,
    unbiased for every cut, and known to :math:`1/\sqrt{2(C-1)}` for C blocks.

    References
    ----------
    .. [1] C. Stein, "A bound for the error in the normal approximation ...", 1972.
    .. [2] M. Janzamin, H. Sedghi, A. Anandkumar, arXiv:1412.2863.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(3).sample(20_000, rng=0)
    >>> first = CrossMoment(StandardNormal(3), 1).partial_fit(X[:9000], X[:9000, 0])
    >>> second = CrossMoment(StandardNormal(3), 1).partial_fit(X[9000:], X[9000:, 0])
    >>> (first + second).estimate().value.round(1) + 0.0
    array([1., 0., 0.])
    """

    def __init__(
        self,
        score: ScoreModel,
        order: int,
        *,
        bases: Any = None,
        block_size: int | None = None,
        removed: str = "nothing",
    ) -> None:
        if not isinstance(score, ScoreModel):
            raise ValueError(f"score must be a ScoreModel, got {type(score).__name__}")
        self.score = score
        self.order = check_integer("order", order, 1, MAX_MOMENT_ORDER)
        self.bases = bases
        self._slots, self._vectors = check_slots(bases, self.order, score.d)
        self.block_size = None if block_size is None else check_integer("block_size", block_size, 1)
        self.removed = removed
        self.n_samples = 0
        self._blocks = 0
        self._mean: Array | None = None
        self._spread: Array | None = None  # sum over blocks of n_c (mean_c - mean)^2
        self._first: Array | None = None  # the first label, to see whether they vary
        self._varies = False

    def __repr__(self) -> str:
        return f"CrossMoment({self.score!r}, order={self.order}, n_samples={self.n_samples})"

    def partial_fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> "CrossMoment":
        """Add samples X (n, d) with labels y (n,) or (n, n_y); return self."""
        X, y = _as_samples(X, y, self.score.d)
        labels = y.reshape(len(y), -1)
        size = self.block_size or min(max(len(X) // _BLOCKS, 1), _LONGEST_BLOCK)
        self.block_size = size
        if self._first is None:
            self._first = np.asarray(y[0])
        elif np.shape(y[0]) != self._first.shape:
            raise ValueError(
                f"y must have columns {self._first.shape} in every chunk, got {np.shape(y[0])}"
            )
        # Looks at little data: labels differ soon, if they do.
        self._varies = self._varies or any(
            bool(np.any(y[i : i + size] != self._first)) for i in range(0, len(y), size)
        )
        widths = [self.score.d if slot is None else slot.shape[1] for slot in self._slots]
        block = max(size * _widest(widths, self.score.d), labels.shape[1] * math.prod(widths))
        rows = size * max(1, _CHUNK_DOUBLES // block)
        for start in range(0, len(X), rows):
            chunk, part = X[start : start + rows], labels[start : start + rows]
            whole = len(chunk) // size * size
            if whole:
                self._add(chunk[:whole], part[:whole], size)
            if whole < len(chunk):
                self._add(chunk[whole:], part[whole:], len(chunk) - whole)
        return self

    def _add(self, X: Array, labels: Array, size: int) -> None:
        sums = _block_sums(X, labels, self.score, self._slots, size)
        if not np.isfinite(sums).all():
            check_samples(X, labels)
            raise ValueError("score: its values are not finite on the given samples")
        self._merge(len(X), len(sums), *_spread_of_means(sums / size, size))

    def _merge(self, n: int, blocks: int, mean: Array, spread: Array) -> None:
        """Combine two groups' means and spreads (Chan, Golub, LeVeque 1979)."""
        if self._mean is None or self._spread is None:
            self._mean, self._spread = mean, spread
        else:
            shift = mean - self._mean
            total = self.n_samples + n
            self._mean = self._mean + shift * (n / total)
            self._spread = self._spread + spread + shift**2 * (self.n_samples * n / total)
        self.n_samples += n
        self._blocks += blocks

    def __add__(self, other: "CrossMoment") -> "CrossMoment":
        """Merge two accumulators of the same moment; both stay as they are."""
        if not isinstance(other, CrossMoment):
            return NotImplemented
        if (
            self.order != other.order
            or self.score.d != other.score.d
            or not _same_slots(self._slots, other._slots)
        ):
            raise ValueError("only accumulators of the same moment (order, d, bases) can be merged")
        merged = CrossMoment(
            self.score, self.order, bases=self.bases, block_size=self.block_size, removed=self.removed
        )
        for part in (self, other):
            if part._mean is None or part._spread is None or part._first is None:
                continue
            if merged._first is None:
                merged._first = part._first
            elif merged._first.shape != part._first.shape:
                raise ValueError("only accumulators with the same label columns can be merged")
            merged._varies |= part._varies or bool(np.any(part._first != merged._first))
            merged._merge(part.n_samples, part._blocks, part._mean, part._spread)
        return merged

    def estimate(self) -> MomentEstimate:
        """Return the moment and its standard error.

        Raises
        ------
        ValueError
            If there are fewer than two blocks of samples, or y is constant.
        """
        if self._mean is None or self._spread is None or self._blocks < 2:
            raise ValueError(
                f"X has too few samples for a standard error: {self.n_samples} in {self._blocks} "
                "block(s), at least two blocks are needed"
            )
        assert self._first is not None
        if not self._varies:
            raise ValueError("y is constant; a cross-moment needs labels that vary")
        error = np.sqrt(self._spread / (self._blocks - 1) / self.n_samples)
        value, error = (
            squeeze_slots(a[0] if self._first.ndim == 0 else a, self._vectors, self.order)
            for a in (self._mean, error)
        )
        return MomentEstimate(value, error, self.n_samples, self.order, self.removed)


def cross_moment(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    score: ScoreModel,
    order: int,
    *,
    bases: Any = None,
    control: "ControlVariate | None" = None,
    block_size: int | None = None,
) -> MomentEstimate:
    r"""Estimate :math:`T_m = E[y \otimes S_m(x)] = E[\nabla^m E[y|x]]` from a sample.

    Parameters
    ----------
    X : (n, d) array_like
        Inputs; may be memory-mapped.
    y : (n,) or (n, n_y) array_like
        Labels.
    score : ScoreModel
        The density of x, or an estimate of its score.
    order : int
        m, from 1 to 4.
    bases : optional
        See `CrossMoment`: None, one (d, k) array, or one entry a slot.
    control : ControlVariate, optional
        Replace y by its cross-fitted residual on polynomials of degree < m first.
    block_size : int, optional
        See `CrossMoment`.

    Returns
    -------
    MomentEstimate
        The value has shape (n_y,) + the free slots' shape, without the first axis for y (n,).

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    .. [1] H. Sedghi, A. Anandkumar, "Provable methods for training neural networks with sparse
       connectivity", Theorem 1, arXiv:1412.2693.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(50_000, rng=1)
    >>> estimate = cross_moment(X, X[:, 0] * X[:, 1], StandardNormal(2), 2)
    >>> bool(np.all(np.abs(estimate.value - [[0, 1], [1, 0]]) < 5 * estimate.standard_error))
    True
    """
    accumulator = CrossMoment(score, order, bases=bases, block_size=block_size)
    if control is not None:
        y = control_residuals(X, y, control, order)
        accumulator.removed = control.describe(accumulator.order)
    return accumulator.partial_fit(X, y).estimate()


def _as_samples(X: npt.ArrayLike, y: npt.ArrayLike, d: int) -> tuple[Array, Array]:
    """Check shapes only: a pass over the data for NaN would cost as much as the moment itself.

    NaN and infinity show in the sums, where they are looked for.
    """
    X, y = np.asarray(X), np.asarray(y)
    for name, array in (("X", X), ("y", y)):
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
    if X.ndim != 2 or X.shape[1] != d:
        raise ValueError(f"X must have shape (n, {d}) to fit the score model, got {X.shape}")
    if y.ndim not in (1, 2) or y.shape[1:] == (0,):
        raise ValueError(f"y must have shape (n,) or (n, n_y), got {y.shape}")
    if len(X) == 0:
        raise ValueError("X is empty: n = 0")
    if len(y) != len(X):
        raise ValueError(f"y must have as many rows as X: {len(X)}, got {len(y)}")
    return X, np.asarray(y, dtype=np.float64)


def _same_slots(first: Sequence[Slot], second: Sequence[Slot]) -> bool:
    return all(
        (a is None) == (b is None) and (a is None or b is None or np.array_equal(a, b))
        for a, b in zip(first, second, strict=True)
    )


def _widest(widths: Sequence[int], d: int) -> int:
    """Doubles a sample that the widest intermediate of a moment takes: about half of its slots."""
    return max(d, math.prod(sorted(widths, reverse=True)[: (len(widths) + 1) // 2]))


def _spread_of_means(means: Array, size: int) -> tuple[Array, Array]:
    mean = means.mean(axis=0)
    return mean, size * np.sum((means - mean) ** 2, axis=0)


# --- sums over blocks -------------------------------------------------------------------------
# A factor is what one group of slots contributes at every point: q coefficients, stored (q, n) so
# that products of factors run along the samples, and `lift`, which turns sums of products with
# these coefficients into contracted tensors.


@dataclass(frozen=True)
class _Factor:
    values: Array  # (q, n)
    lift: Callable[[Array], Array]  # (..., q) -> (..., k_1, ..., k_j)
    arity: int


def _block_sums(
    X: Array, labels: Array, score: ScoreModel, slots: Sequence[Slot], size: int
) -> Array:
    """Sum y (x) S_m(A_1..A_m) over consecutive blocks of `size` rows: (C, n_y, k_1, ..., k_m)."""
    X = np.asarray(X, dtype=np.float64)
    parts = []
    for weight, model in score.components(X):
        weighted = labels if weight is None else labels * weight[:, None]
        parts.append(_component_sums(weighted, model.derivatives(X, len(slots)), slots, size))
    return functools.reduce(np.add, parts)


def _component_sums(
    labels: Array, derivatives: Sequence[Derivative | None], slots: Sequence[Slot], size: int
) -> Array:
    """Add up the partitions; those that differ only in equal slots share one sum over samples."""
    names = [id(slot) for slot in slots]
    factors: dict[tuple[int, ...], _Factor] = {}
    sums: dict[tuple[tuple[int, ...], ...], Array] = {}
    total: Array | float = 0.0
    for partition in set_partitions(len(slots)):
        if any(derivatives[len(block) - 1] is None for block in partition):
            continue
        blocks = sorted(partition, key=lambda block: (len(block), [names[i] for i in block]))
        key = tuple(tuple(names[i] for i in block) for block in blocks)
        if key not in sums:
            sums[key] = _partition_sum(labels, derivatives, blocks, slots, size, factors)
        order = [i for block in blocks for i in block]
        total = total + sums[key].transpose(0, 1, *(2 + order.index(i) for i in range(len(slots))))
    return np.asarray(total if len(slots) % 2 == 0 else np.negative(total))


def _partition_sum(
    labels: Array,
    derivatives: Sequence[Derivative | None],
    blocks: Sequence[tuple[int, ...]],
    slots: Sequence[Slot],
    size: int,
    factors: dict[tuple[int, ...], _Factor],
) -> Array:
    """Return the block sums of y times one product of derivatives, axes in the blocks' order."""
    varying: list[_Factor] = []
    fixed: list[tuple[int, Array]] = []
    for position, block in enumerate(blocks):
        derivative = derivatives[len(block) - 1]
        assert derivative is not None
        chosen = [slots[i] for i in block]
        if isinstance(derivative, Constant):
            fixed.append((position, derivative.project(chosen)[0]))
            continue
        names = tuple(id(slot) for slot in chosen)
        if names not in factors:
            others = labels.shape[1] * math.prod(f.values.shape[0] for f in varying)
            factors[names] = _factor(derivative, chosen, others)
        varying.append(factors[names])
    total = _product_sums(labels, [f.values for f in varying], size)
    # Lift the last axis of coefficients first, so that those in front keep their places.
    for position in reversed(range(len(varying))):
        arity = varying[position].arity
        lifted = varying[position].lift(np.moveaxis(total, 2 + position, -1))
        total = np.moveaxis(lifted, range(-arity, 0), range(2 + position, 2 + position + arity))
    for position, tensor in fixed:
        before = 2 + sum(len(block) for block in blocks[:position])
        outer = np.multiply.outer(total, tensor)
        total = np.moveaxis(outer, range(-tensor.ndim, 0), range(before, before + tensor.ndim))
    return total


def _factor(derivative: Derivative, slots: Sequence[Slot], others: int) -> _Factor:
    """Project the derivative on its slots now, or sum its coefficients and lift later.

    Of the two the cheaper a sample, `others` being the width of what it will be multiplied with.
    A first derivative enters many products, so its projection counts as free.
    """
    coefficients = derivative.coefficients
    q, arity = coefficients.shape[1], len(slots)
    free = any(slot is None for slot in slots)
    width = math.inf if free else math.prod(slot.shape[1] for slot in slots if slot is not None)
    effort = others * width + (q * width if arity > 1 else 0.0)
    if effort < others * q:
        tensor = derivative.project(slots)
        shape = tensor.shape[1:]
        values = np.ascontiguousarray(tensor.reshape(len(tensor), -1).T)
        return _Factor(values, lambda sums: sums.reshape(*sums.shape[:-1], *shape), arity)
    return _Factor(coefficients.T, lambda sums: derivative.lift(sums, slots), arity)


def _product_sums(labels: Array, factors: Sequence[Array], size: int) -> Array:
    """Sum y_a f1_i f2_j ... over blocks of samples: (C, n_y, q_1, ..., q_r), as one product."""
    blocks = len(labels) // size
    if not factors:
        return labels.reshape(blocks, size, -1).sum(axis=1)
    everything = [labels.T, *factors]
    widths = [len(f) for f in everything]
    split = min(
        range(1, len(everything)),
        key=lambda i: math.prod(widths[:i]) + math.prod(widths[i:]),
    )
    left, left_rows = _row_products(everything[:split])
    right, right_rows = _row_products(everything[split:])
    product = np.matmul(
        left.reshape(-1, blocks, size).transpose(1, 0, 2),
        right.reshape(-1, blocks, size).transpose(1, 2, 0),
    )
    if left_rows is not None:
        product = product[:, left_rows]
    if right_rows is not None:
        product = product[:, :, right_rows]
    return product.reshape(blocks, *widths)


def _row_products(factors: Sequence[Array]) -> tuple[Array, npt.NDArray[np.intp] | None]:
    """Multiply rows of all factors, (prod q, n); a square of one factor keeps i <= j only.

    The second result says which row holds each product, None if they are in order.
    """
    if len(factors) == 2 and factors[0] is factors[1]:
        (values, _), q = factors, len(factors[0])
        products = np.empty((q * (q + 1) // 2, values.shape[1]))
        rows = np.empty((q, q), dtype=np.intp)
        start = 0
        for i in range(q):
            np.multiply(values[i], values[i:], out=products[start : start + q - i])
            rows[i, i:] = rows[i:, i] = np.arange(start, start + q - i)
            start += q - i
        return products, rows.reshape(-1)
    product = factors[0]
    for factor in factors[1:]:
        product = (product[:, None, :] * factor[None, :, :]).reshape(-1, product.shape[1])
    return product, None


# --- control variates ---------------------------------------------------------------------------


@dataclass(frozen=True)
class ControlVariate:
    r"""Which part of the labels to remove before a moment of order m is averaged.

    :math:`E[p(x) S_m(x)] = 0` for every polynomial p of degree below m. So y may be replaced by
    :math:`y - \hat p(x)`, its residual after least squares on such polynomials: the mean stays,
    the variance falls. The sample is cut into folds, and each is corrected by the polynomial
    fitted to the others: given that polynomial its correction has mean zero, so the estimate is
    unbiased exactly.

    Attributes
    ----------
    degree : int, optional
        Degree of the polynomials, at most m - 1 (the default).
    basis : (d, k) array, optional
        Use polynomials of V^T x only; for a moment projected on V no others matter when x is
        Gaussian with covariance I and V orthonormal.
    folds : int
        At least 2.

    Notes
    -----
    There are :math:`inom{d + p}{p}` polynomials of degree up to p; the fit costs their square a
    sample.
    """

    degree: int | None = None
    basis: Array | None = None
    folds: int = 2

    def resolve(self, order: int) -> int:
        """Return the degree used for a moment of the given order."""
        return order - 1 if self.degree is None else check_integer("degree", self.degree, 0, order - 1)

    def describe(self, order: int) -> str:
        """Say what is removed."""
        where = "x" if self.basis is None else f"{np.shape(self.basis)[1]} projections of x"
        return f"polynomials of degree <= {self.resolve(order)} in {where} ({self.folds}-fold)"


def control_residuals(
    X: npt.ArrayLike, y: npt.ArrayLike, control: ControlVariate, order: int
) -> Array:
    """Return the labels less their cross-fitted polynomial of degree < order.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) or (n, n_y) array_like
    control : ControlVariate
    order : int
        Order of the moment that the residuals are meant for.

    Returns
    -------
    (n,) or (n, n_y) array

    Raises
    ------
    ValueError
        If a fold is too small for the number of polynomials, or an argument does not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((1000, 2))
    >>> bool(np.abs(control_residuals(X, 3 + X[:, 0], ControlVariate(), 2)).max() < 1e-12)
    True
    """
    X, y = _as_samples(X, y, np.shape(X)[1] if np.ndim(X) == 2 else 0)
    degree = control.resolve(order)
    folds = check_integer("folds", control.folds, 2)
    basis = control.basis
    if basis is not None:
        basis = check_array("basis", basis, shape=(X.shape[1], None))
    width = X.shape[1] if basis is None else basis.shape[1]
    features = PolynomialFeatures(degree).fit(np.zeros((1, width)))
    count = features.n_output_features_
    edges = np.linspace(0, len(X), folds + 1).astype(int)
    if len(X) - np.diff(edges).max() < 2 * count:
        raise ValueError(
            f"X has too few samples, {len(X)}, to fit {count} polynomials of degree <= {degree} on "
            f"{folds} folds; lower the degree or give a basis"
        )
    labels = y.reshape(len(y), -1)
    rows = max(1, _CHUNK_DOUBLES // count)

    def chunks(start: int, stop: int) -> Iterator[tuple[slice, Array]]:
        for first in range(start, stop, rows):
            part = slice(first, min(first + rows, stop))
            points = np.asarray(X[part], dtype=np.float64)
            yield part, features.transform(points if basis is None else points @ basis)

    # Normal equations of each fold, so that "all other folds" is a difference.
    gram = np.zeros((folds, count, count))
    right = np.zeros((folds, count, labels.shape[1]))
    for fold in range(folds):
        for part, polynomials in chunks(edges[fold], edges[fold + 1]):
            gram[fold] += polynomials.T @ polynomials
            right[fold] += polynomials.T @ labels[part]
    if not (np.isfinite(gram).all() and np.isfinite(right).all()):
        check_samples(X, y)
    residuals = np.array(labels, dtype=np.float64)
    for fold in range(folds):
        normal, target = gram.sum(axis=0) - gram[fold], right.sum(axis=0) - right[fold]
        # Unit diagonal, so that the cut-off for dependent polynomials does not depend on units.
        scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), np.finfo(float).tiny))
        scaled = normal * scale[:, None] * scale
        coefficients = np.linalg.lstsq(scaled, scale[:, None] * target, rcond=1e-12)[0]
        for part, polynomials in chunks(edges[fold], edges[fold + 1]):
            residuals[part] -= polynomials @ (scale[:, None] * coefficients)
    return residuals.reshape(y.shape)
