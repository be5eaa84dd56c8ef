r"""Means over blocks of samples, and the spread of these means, from which standard errors come.

:math:`t_c` is the mean over block c, of weight :math:`W_c` (its length, if samples have no weights).
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nnmoments.chunks import row_chunks
from nnmoments.densities import Constant, Dense, Derivative, Diagonal, ScoreModel
from nnmoments.densities.density import Slot
from nnmoments.moments.sums import block_sums
from nnmoments.results import Result
from nnmoments.validation import Array, check_samples

__all__ = ["Blocks", "block_means"]

# Numbers in a tile of a large second moment: five tiles of this size stay in the cache.
_TILE = 1 << 15
# Second moments that are smaller are summed for all blocks at once.
_SMALL = 32
# Numbers of a chunk of inputs of a large second moment, whose blocks are not held.
_LONG = 1 << 23


@dataclass(frozen=True, eq=False, repr=False)
class Blocks(Result):
    r"""The mean of a group of blocks and the spread of theirs.

    .. math:: \bar t = \sum_c W_c t_c/W, \qquad s_p = \sum_c W_c^p (t_c - \bar t)^2, \qquad
              l = \sum_c W_c^2 (t_c - \bar t)

    with p = 2 for samples with weights, p = 1 without (then l plays no part).

    Attributes
    ----------
    weight : float
        W.
    squares : float
        The sum of :math:`W_c^2`.
    count : int
        Number of blocks.
    mean, spread : array
        :math:`\bar t` and :math:`s_p`.
    lean : array or None
        l, None without weights.

    Examples
    --------
    >>> one = Blocks(5.0, 25.0, 1, np.array(1.0), np.array(0.0))
    >>> two = Blocks(5.0, 25.0, 1, np.array(3.0), np.array(0.0))
    >>> both = one.merge(two)
    >>> float(both.mean), float(both.variance())
    (2.0, 1.0)
    """

    weight: float
    squares: float
    count: int
    mean: Array
    spread: Array
    lean: Array | None = None

    def merge(self, other: "Blocks") -> "Blocks":
        """Combine two groups (Chan, Golub, LeVeque 1979)."""
        weight = self.weight + other.weight
        with np.errstate(invalid="ignore", over="ignore"):
            shift = other.mean - self.mean
            mean = self.mean + shift * (other.weight / weight)
            spread, lean = self.spread + other.spread, None
            if self.lean is None or other.lean is None:
                spread += shift**2 * (self.weight * other.weight / weight)
            else:
                lean = self.lean + other.lean
                for group, moved in (
                    (self, shift * (other.weight / weight)),
                    (other, -shift * (self.weight / weight)),
                ):
                    assert group.lean is not None
                    spread += moved * (group.squares * moved - 2.0 * group.lean)
                    lean -= group.squares * moved
        return Blocks(weight, self.squares + other.squares, self.count + other.count, mean, spread, lean)

    def variance(self) -> Array:
        r"""Return the squared standard error of the mean.

        .. math:: \frac{s_1}{(C-1) W} \quad\text{or}\quad \frac{s_2}{W^2 - \sum_c W_c^2}
        """
        if self.lean is None:
            return self.spread / (self.count - 1) / self.weight
        return self.spread / (self.weight**2 - self.squares)


def block_means(
    X: Array,
    labels: Array,
    w: Array | None,
    score: ScoreModel,
    slots: Sequence[Slot],
    size: int,
    *,
    added: Callable[[Array, Array | None, int], Array] | None = None,
) -> Blocks:
    """Return the means of w y (x) S_m over blocks of `size` samples; the last takes what is left.

    Parameters
    ----------
    X : (n, d) array
    labels : (n, n_y) array
    w : (n,) array or None
        Positive weights.
    score : ScoreModel
    slots : sequence
        One (d, k) array or None a slot.
    size : int
    added : callable, optional
        Maps X (n, d), weights and size to sums over blocks of what is added to w y (x) S_m.

    Returns
    -------
    Blocks

    Raises
    ------
    ValueError
        If X or y are not finite, or the score is not.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = np.array([[1.0], [3.0]])
    >>> block_means(X, np.ones((2, 1)), None, StandardNormal(1), [None], 1).mean
    array([[2.]])
    """
    widths = [score.d if slot is None else slot.shape[1] for slot in slots]
    squares = w is None and added is None and _is_square(X[:1], score, slots, widths[0])
    if squares:
        cuts = row_chunks(len(X), score.d, doubles=_LONG, multiple=size)
    else:
        # The widest intermediate takes about half of the slots.
        widest = math.prod(sorted(widths, reverse=True)[: (len(widths) + 1) // 2])
        row = max(score.d, widest, labels.shape[1] * math.prod(widths) // size)
        cuts = row_chunks(len(X), row, multiple=size)
    found: Blocks | None = None
    for part in (part for rows in cuts for part in _whole(rows, size)):
        x, y = X[part], labels[part]
        length = min(size, len(x))
        with np.errstate(invalid="ignore", over="ignore"):  # looked for here
            if squares:
                blocks = _second_means(x, np.asarray(y, dtype=np.float64), score, slots, length)
            else:
                blocks = _collect(x, y, None if w is None else w[part], score, slots, length, added)
        if not np.isfinite(blocks.mean).all():
            check_samples(x, y)
            raise ValueError("score: its values are not finite on these X and bases")
        found = blocks if found is None else found.merge(blocks)
    assert found is not None
    return found


def _whole(rows: slice, size: int) -> Iterator[slice]:
    """Cut rows into whole blocks, and a shorter one for what is left."""
    middle = rows.start + (rows.stop - rows.start) // size * size
    for part in (slice(rows.start, middle), slice(middle, rows.stop)):
        if part.stop > part.start:
            yield part


def _collect(
    X: Array,
    labels: Array,
    w: Array | None,
    score: ScoreModel,
    slots: Sequence[Slot],
    size: int,
    added: Callable[[Array, Array | None, int], Array] | None,
) -> Blocks:
    """Return whole blocks, all of whose means are held at once."""
    sums = block_sums(X, labels if w is None else labels * w[:, None], score, slots, size)
    if added is not None:
        sums = sums + added(X, w, size)
    if w is None:
        means = sums / size
        count, mean = len(means), means.mean(axis=0)
        spread = size * np.sum((means - mean) ** 2, axis=0)
        return Blocks(float(count * size), float(count * size**2), count, mean, spread)
    weights = w.reshape(-1, size).sum(axis=1)
    shape = (-1, *[1] * (len(slots) + 1))
    means = sums / weights.reshape(shape)
    total, squares = float(weights.sum()), float(weights @ weights)
    mean = np.tensordot(weights, means, 1) / total
    shifts = means - mean
    leans = shifts * (weights**2).reshape(shape)
    return Blocks(total, squares, len(means), mean, np.sum(leans * shifts, axis=0), leans.sum(axis=0))


def _is_square(X: Array, score: ScoreModel, slots: Sequence[Slot], width: int) -> bool:
    """Say whether a moment is E[y (F F^T + G_2)] of one component, with a G_2 of few coefficients."""
    if len(slots) != 2 or slots[0] is not slots[1] or width < _SMALL:
        return False
    components = list(score.components(np.asarray(X, dtype=np.float64)))
    if len(components) != 1 or components[0][0] is not None:
        return False
    first, second = components[0][1].derivatives(np.asarray(X, dtype=np.float64), 2)
    return first is not None and not isinstance(second, Dense)


def _factor(first: Derivative, slot: Slot) -> tuple[Array, float]:
    """Return F and c with c F F^T the square of the projected first derivative."""
    if slot is None and isinstance(first, Dense) and isinstance(first.matrix, float):
        return first.values, first.matrix**2
    if slot is None and isinstance(first, Diagonal):
        return first.coefficients, 1.0
    return first.project([slot]), 1.0


def _fixed(
    second: Derivative | None, tensor: Array | None, y: Array, rows: slice, slots: Sequence[Slot]
) -> Array:
    """Return the sum of y G_2 over rows, (d, d), or (d,) if it is diagonal."""
    if second is None or tensor is not None:
        return np.asarray(y.sum() * np.asarray(tensor))
    mass = y @ second.coefficients[rows]
    return mass if isinstance(second, Diagonal) and slots[0] is None else second.lift(mass, slots)


def _second_means(X: Array, labels: Array, score: ScoreModel, slots: Sequence[Slot], size: int) -> Blocks:
    r"""Return the blocks of :math:`E[y (c F F^\top + G_2)]`, tile by tile of its upper triangle.

    A tile stays in the cache from its product to its last sum, and half of all products are enough.
    """
    ((_, model),) = score.components(X)
    first, second = model.derivatives(np.asarray(X, dtype=np.float64), 2)
    assert first is not None
    F, scale = _factor(first, slots[0])
    tensor = np.zeros(F.shape[1]) if second is None else None
    if isinstance(second, Constant):
        tensor = second.project(slots)[0]
        tensor = np.diag(tensor) if np.count_nonzero(tensor) == np.count_nonzero(np.diag(tensor)) else tensor
    blocks, d, n_y = len(F) // size, F.shape[1], labels.shape[1]
    start, total, spread = np.zeros((3, n_y, d, d))
    height = max(16, _TILE // d)
    for b, a in itertools.product(range(blocks), range(n_y)):
        rows = slice(b * size, (b + 1) * size)
        y = labels[rows, a] / size
        fixed = _fixed(second, tensor, y, rows, slots)
        weighted = F[rows] * (scale * y)[:, None]
        for top in range(0, d, height):
            tile = (a, slice(top, top + height), slice(top, None))
            mean = weighted[:, top : top + height].T @ F[rows, top:]
            if fixed.ndim == 1:  # of a diagonal G_2
                mean.reshape(-1)[:: d - top + 1][: len(mean)] += fixed[top : top + height]
            else:
                mean += fixed[tile[1:]]
            if b == 0:
                start[tile] = mean
                continue
            mean -= start[tile]
            total[tile] += mean
            mean *= mean
            spread[tile] += mean
    total /= blocks  # how far the mean is from the first block's, which keeps the squares small
    spread -= blocks * total**2
    spread *= size
    start += total
    for top in range(0, d, height):
        inside, after = slice(top, top + height), slice(top + height, None)
        for tensor in (start, spread):
            tensor[:, after, inside] = tensor[:, inside, after].swapaxes(1, 2)
    return Blocks(float(blocks * size), float(blocks * size**2), blocks, start, spread)
