"""Sums of y (x) S_m over blocks of samples, as few matrix products as the partitions allow."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnmoments.densities import Constant, Derivative, ScoreModel
from nnmoments.densities.density import Slot
from nnmoments.linalg import set_partitions
from nnmoments.validation import Array

__all__ = ["block_sums"]

# A factor is what one group of slots contributes at every point: q coefficients, stored (q, n) so
# that products of factors run along the samples, and `lift`, which turns sums of products with
# these coefficients into contracted tensors.


@dataclass(frozen=True)
class _Factor:
    values: Array  # (q, n)
    lift: Callable[[Array], Array]  # (..., q) -> (..., k_1, ..., k_j)
    arity: int


def block_sums(X: Array, labels: Array, score: ScoreModel, slots: Sequence[Slot], size: int) -> Array:
    """Sum y (x) S_m(A_1..A_m) over consecutive blocks of `size` rows: (C, n_y, k_1, ..., k_m)."""
    X, labels = np.asarray(X, dtype=np.float64), np.asarray(labels, dtype=np.float64)
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
