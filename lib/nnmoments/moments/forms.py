r"""The forms in which decoders take a moment :math:`T_m`: formed, sampled, or streamed.

A decoder asks a form for contractions and does not know how the moment was estimated. A formed moment
is a tensor in memory, a sampled one keeps its sample, a streamed one reads its sample again, chunk by
chunk, for each contraction and holds nothing.
"""

import abc
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nnmoments.chunks import row_chunks
from nnmoments.densities import Constant, Dense, ScoreModel, StandardNormal
from nnmoments.densities.density import check_slots, squeeze_slots
from nnmoments.linalg import symmetrize
from nnmoments.moments.gaussian_scores import lower_cubic, lower_pairs, score_products
from nnmoments.moments.samples import MAX_MOMENT_ORDER, TOO_LARGE, as_samples, check_fits
from nnmoments.moments.sums import block_sums
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, check_integer, check_samples, finite_result

__all__ = ["FourthMoment", "Moment", "SampledMoment", "StreamedMoment", "TensorMoment"]

_CHUNK_DOUBLES = 1 << 22  # long chunks: their products are with few columns


@runtime_checkable
class Moment(Protocol):
    r"""A symmetric tensor of order m on R^d, known by its contractions.

    Attributes
    ----------
    d, order : int

    Examples
    --------
    >>> moment: Moment = TensorMoment(np.eye(2))
    >>> moment.contract([[1.0, 0.0], None])
    array([1., 0.])
    """

    d: int
    order: int

    def contract(self, bases: Any = None) -> Array:
        r"""Return :math:`T(A_1, \dots, A_m)`.

        Parameters
        ----------
        bases : optional
            As in `cross_moment`; None for the whole tensor.

        Returns
        -------
        array
        """

    def matmat(self, block: Array, directions: Array | None = None) -> Array:
        r"""Return :math:`T(I, B, \alpha_r, \dots, \alpha_r)`, m from 2 up.

        Parameters
        ----------
        block : (d, q) array
            B.
        directions : (r, d) array, optional
            Rows :math:`\alpha_r`; none for order 2, where r = 1.

        Returns
        -------
        (r, d, q) array
        """


@runtime_checkable
class FourthMoment(Moment, Protocol):
    """A moment of order 4, with what losses of fourth order need of it.

    Examples
    --------
    >>> moment: FourthMoment = TensorMoment(np.ones((1, 1, 1, 1)))
    >>> moment.cubic(np.array([[2.0]]))
    (array([[8.]]), array([[8.]]))
    """

    def cubic(self, A: Array) -> tuple[Array, Array]:
        r"""Return :math:`\sum_j T(\cdot, a_i, a_j, a_j)` and :math:`T(\cdot, a_i, a_i, a_i)` for each row.

        Parameters
        ----------
        A : (k, d) array
            Rows :math:`a_i`.

        Returns
        -------
        every, own : (k, d) array
        """

    def pairs(self, A: Array) -> Array:
        r"""Return :math:`T(\cdot, \cdot, a_i, a_j)`.

        Parameters
        ----------
        A : (k, d) array
            Rows :math:`a_i`.

        Returns
        -------
        (k, k, d, d) array
        """


class TensorMoment(Comparable, FourthMoment):
    """A moment formed as a tensor; in `cubic` A may carry batch axes, (..., k, d).

    Parameters
    ----------
    tensor : (d, ..., d) array_like
        Of order 1 to 4; symmetrised on entry.

    Attributes
    ----------
    tensor : (d, ..., d) array
    d, order : int

    Raises
    ------
    ValueError
        If the axes are not equal, or are more than four.

    Examples
    --------
    >>> moment = TensorMoment([[1.0, 0.0], [0.0, 2.0]])
    >>> moment.contract([[0.0, 1.0], [0.0, 1.0]]), moment.matmat(np.eye(2)).shape
    (array(2.), (1, 2, 2))
    """

    def __init__(self, tensor: npt.ArrayLike) -> None:
        tensor = check_array("tensor", tensor, ndim=range(1, MAX_MOMENT_ORDER + 1))
        self.d, self.order = tensor.shape[0], tensor.ndim
        if tensor.shape != (self.d,) * self.order:
            raise ValueError(f"tensor must have {self.order} equal axes, got shape {tensor.shape}")
        self.tensor = symmetrize(tensor)

    def __repr__(self) -> str:
        return f"TensorMoment(d={self.d}, order={self.order})"

    @finite_result("bases")
    def contract(self, bases: Any = None) -> Array:
        slots, vectors = check_slots(bases, self.order, self.d)
        return squeeze_slots(Constant(self.tensor).project(slots)[0], vectors, self.order)

    @finite_result("block or directions")
    def matmat(self, block: Array, directions: Array | None = None) -> Array:
        block, directions = _check_product(self, block, directions)
        if directions is None:
            return (self.tensor @ block)[None]
        held = np.tensordot(directions, self.tensor, 1)  # T(alpha_r, ., ., .)
        if self.order == 4:
            held = np.einsum("rc,rcab->rab", directions, held)
        return held @ block

    def cubic(self, A: Array) -> tuple[Array, Array]:
        A = check_array("A", A, ndim=range(2, 5))
        if A.shape[-1] != self.d:
            raise ValueError(f"A must have rows of length {self.d}, got shape {A.shape}")
        squares = (A[..., :, None] * A[..., None, :]).reshape(*A.shape[:-1], self.d**2)
        held = (squares @ self.tensor.reshape(self.d**2, self.d**2)).reshape(
            *A.shape, self.d
        )  # T(., ., a_j, a_j)
        own = np.einsum("...jab,...jb->...ja", held, A)
        return A @ held.sum(axis=-3), own

    @finite_result("A (or W)")
    def pairs(self, A: Array) -> Array:
        A = check_array("A", A, shape=(None, self.d))
        return np.einsum("abcd,ic,jd->ijab", self.tensor, A, A, optimize=True)


class _Sample(Comparable, abc.ABC):
    """What a sampled and a streamed moment share: contractions as sums over the parts of a sample."""

    d: int
    order: int
    hermite: bool

    @abc.abstractmethod
    def _chunks(self) -> Iterable[tuple[Array, Array]]:
        """Return the sample's chunks (X, y), from the start."""

    @abc.abstractmethod
    def _lower(self, A: Array) -> tuple[float, Array]:
        """Return E[y] and E[y x x^T] A^T, transposed."""

    def __repr__(self) -> str:
        kind = "" if self.hermite else ", hermite=False"
        return f"{type(self).__name__}(d={self.d}, order={self.order}{kind})"

    def _mean(self, term: Callable[[Array, Array], Array]) -> Array:
        """Sum a term over chunks that the cache likes, and divide by their samples."""
        total: Array | float = 0.0
        n = 0
        for X, y in self._chunks():
            for rows in row_chunks(len(X), self.d, doubles=_CHUNK_DOUBLES):
                part = as_samples(X[rows], y[rows], self.d)
                total = total + term(*part)
                n += len(part[0])
        return np.asarray(total / n)

    def _finite_mean(self, term: Callable[[Array, Array], Array]) -> Array:
        with np.errstate(invalid="ignore", over="ignore"):
            found = self._mean(term)
        if not np.isfinite(found).all():
            raise ValueError(
                "X and y must be finite, and not so large that their products, with "
                "bases, block or directions, overflow"
            )
        return found

    def contract(self, bases: Any = None) -> Array:
        slots, vectors = check_slots(bases, self.order, self.d)
        check_fits([self.d if slot is None else slot.shape[1] for slot in slots])
        score = StandardNormal(self.d) if self.hermite else _Powers(self.d)
        found = self._finite_mean(lambda X, y: block_sums(X, y[:, None], score, slots, len(X))[0, 0])
        return squeeze_slots(found, vectors, self.order)

    def matmat(self, block: Array, directions: Array | None = None) -> Array:
        block, directions = _check_product(self, block, directions)
        if self.hermite:
            return self._finite_mean(lambda X, y: score_products(X, y, block, directions, self.order))

        def products(X: Array, y: Array) -> Array:
            along = np.ones((len(X), 1)) if directions is None else (X @ directions.T) ** (self.order - 2)
            return np.stack([X.T @ ((y * w)[:, None] * (X @ block)) for w in along.T])

        return self._finite_mean(products)

    def cubic(self, A: Array) -> tuple[Array, Array]:
        A = check_array("A", A, shape=(None, self.d))

        def powers(X: Array, y: Array) -> Array:
            projected = X @ A.T  # (n, k)
            squares = projected**2
            weighted = y[:, None] * projected
            both = np.hstack([weighted * squares.sum(axis=1, keepdims=True), weighted * squares])
            return both.T @ X

        every, own = np.split(self._mean(powers), 2)
        if self.hermite:
            lower = lower_cubic(A, *self._lower(A))
            every, own = every + lower[0], own + lower[1]
        return every, own

    def pairs(self, A: Array) -> Array:
        A = check_array("A", A, shape=(None, self.d))

        def powers(X: Array, y: Array) -> Array:
            projected = X @ A.T
            return np.stack([[(X.T * (y * p * q)) @ X for q in projected.T] for p in projected.T])

        found = self._mean(powers)
        return found + lower_pairs(A, *self._lower(np.eye(self.d))) if self.hermite else found


class SampledMoment(_Sample):
    r"""A moment under N(0, I) kept as its sample: O(n d k) a contraction with k vectors.

    .. math:: \hat T_m = \frac1n \sum_i y_i\, S_m(x_i)

    with the score tensors of N(0, I). Without `hermite` the bare power :math:`x^{\otimes m}` stands for
    :math:`S_m`; this, with x = sgn of GM's Laplace inputs, is the moment of their Figure 3. With it the
    fourth-order loss is G(A) of Ge, Lee and Ma.

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) array_like
    hermite : bool
    order : int
        m, from 1 to 4.

    Attributes
    ----------
    d, order : int
    hermite : bool

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    Examples
    --------
    >>> X = np.array([[2.0, 0.0], [0.0, 0.0]])
    >>> SampledMoment(X, [1.0, 1.0], hermite=True, order=2).contract()
    array([[ 1.,  0.],
           [ 0., -1.]])
    """

    def __init__(self, X: npt.ArrayLike, y: npt.ArrayLike, *, hermite: bool = True, order: int = 4) -> None:
        self._X, self._y = check_samples(X, y)
        self._y = check_array("y", self._y, ndim=1)
        self.d, self.order = self._X.shape[1], check_integer("order", order, 1, MAX_MOMENT_ORDER)
        self.hermite = bool(hermite)
        needed = self.hermite and self.order == 4
        with np.errstate(over="ignore", invalid="ignore"):
            self._second = (self._X.T * (self._y / len(self._y))) @ self._X if needed else None
        if self._second is not None and not np.isfinite(self._second).all():
            raise ValueError(TOO_LARGE)

    def _chunks(self) -> Iterable[tuple[Array, Array]]:
        return [(self._X, self._y)]

    def _lower(self, A: Array) -> tuple[float, Array]:
        assert self._second is not None
        return float(self._y.mean()), A @ self._second


class StreamedMoment(_Sample):
    r"""A moment under N(0, I) whose sample is read again for each contraction and never held.

    Parameters
    ----------
    chunks : iterable of (X, y)
        Parts (n_i, d), (n_i,) of the sample; iterated once or twice a contraction, so a list or an
        object whose `__iter__` starts again, not a generator. May read memory-mapped files.
    order : int
        m, from 1 to 4.
    hermite : bool
        As in `SampledMoment`.

    Attributes
    ----------
    d, order : int
    hermite : bool

    Raises
    ------
    ValueError
        If the chunks hold no samples, or can be read only once.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((50_000, 3))
    >>> parts = [(X[:20_000], X[:20_000, 0] ** 2), (X[20_000:], X[20_000:, 0] ** 2)]
    >>> StreamedMoment(parts, 2).matmat(np.eye(3))[0].round(1) + 0.0
    array([[2., 0., 0.],
           [0., 0., 0.],
           [0., 0., 0.]])
    """

    def __init__(self, chunks: Iterable[tuple[Array, Array]], order: int, *, hermite: bool = True) -> None:
        self.order = check_integer("order", order, 1, MAX_MOMENT_ORDER)
        self.hermite, self.chunks = bool(hermite), chunks
        if not isinstance(chunks, Iterable) or isinstance(chunks, Iterator):
            raise ValueError(
                "chunks must be a list of (X, y), or an object that can be iterated again and again, got "
                f"{type(chunks).__name__}"
            )
        self.d = 0
        first = next(iter(chunks), None)
        if first is None:
            raise ValueError("chunks hold no samples")
        if not isinstance(first, Sequence) or len(first) != 2:
            raise ValueError("chunks must hold pairs (X, y)")
        self.d = as_samples(*first, None)[0].shape[1]

    def _chunks(self) -> Iterable[tuple[Array, Array]]:
        return self.chunks

    def _lower(self, A: Array) -> tuple[float, Array]:
        found = self._mean(lambda X, y: np.vstack([(y[:, None] * (X @ A.T)).T @ X, np.full(self.d, y.sum())]))
        return float(found[-1, 0]), found[:-1]


class _Powers(ScoreModel):
    """Has the bare power of x for its score tensor: G_1 = -x, and no other derivative."""

    def __init__(self, d: int) -> None:
        self.d = d

    def log_derivatives(self, X: Array, order: int) -> list[Dense | None]:
        return [Dense(-X), *[None] * (order - 1)]


def _check_product(moment: Moment, block: Any, directions: Any) -> tuple[Array, Array | None]:
    """Return the arguments of `matmat`, which fit."""
    if moment.order < 2:
        raise ValueError("a moment of order 1 is a vector: contract it instead")
    block = check_array("block", block, shape=(moment.d, None))
    if moment.order == 2:
        return block, None
    if directions is None:
        raise ValueError(f"directions are needed to contract a moment of order {moment.order} to a matrix")
    return block, check_array("directions", directions, shape=(None, moment.d))
