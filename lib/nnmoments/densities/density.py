"""What a score model is: log-density derivatives in, score tensors and their contractions out."""

import abc
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.linalg import khatri_rao, set_partitions
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, check_integer, finite_result

__all__ = [
    "MAX_ORDER",
    "Constant",
    "Dense",
    "Derivative",
    "Diagonal",
    "ScoreModel",
    "Slot",
    "check_slots",
    "scores_to_log_derivatives",
    "squeeze_slots",
]

#: Highest order of a score tensor; the four papers need 4, the tests of the formula go to 6.
MAX_ORDER = 6

#: What one slot of a tensor is contracted with: a (d, k) matrix, or None for the identity.
Slot = Array | None


class Derivative(Comparable, abc.ABC):
    r"""A batch of tensors :math:`G(x) = \sum_q c_q(x)\, C_q`: point-wise coefficients times fixed tensors.

    Derivatives of a log-density nearly always have this form with few coefficients: one vector for
    a product density, a constant for a Gaussian. Moments then sum the coefficients, not the tensors.

    Attributes
    ----------
    coefficients : (n, q) array, or (1, q) where the tensor does not depend on x.

    Examples
    --------
    >>> G = Diagonal(np.array([[1.0, 2.0], [3.0, 6.0]]))
    >>> mean = G.coefficients.mean(axis=0)  # d numbers, for the mean of the tensors
    >>> G.lift(mean, [None, None])
    array([[2., 0.],
           [0., 4.]])
    """

    coefficients: Array

    @abc.abstractmethod
    def lift(self, coefficients: Array, slots: Sequence[Slot]) -> Array:
        """Map coefficients (..., q) to contracted tensors (..., k_1, ..., k_j).

        Parameters
        ----------
        coefficients : (..., q) array
        slots : sequence of (d, k_i) array or None
            What each axis is contracted with; None is the identity.

        Returns
        -------
        (..., k_1, ..., k_j) array

        Examples
        --------
        >>> Diagonal(np.ones((1, 2))).lift(np.array([1.0, 2.0]), [None, None])
        array([[1., 0.],
               [0., 2.]])
        """

    def project(self, slots: Sequence[Slot]) -> Array:
        """Return the contracted tensors at every point.

        Parameters
        ----------
        slots : sequence of (d, k_i) array or None
            What each axis is contracted with; None is the identity.

        Returns
        -------
        (n or 1, k_1, ..., k_j) array

        Examples
        --------
        >>> Diagonal(np.array([[1.0, 2.0]])).project([np.ones((2, 1))])
        array([[3.]])
        """
        return self.lift(self.coefficients, slots)


@dataclass(frozen=True, eq=False)
class Diagonal(Derivative):
    r""":math:`G(x) = \sum_a c_a(x)\, e_a^{\otimes j}`: the j-th derivative of a sum of 1-D functions.

    Parameters
    ----------
    coefficients : (n, d) array

    Examples
    --------
    >>> Diagonal(np.array([[1.0, 2.0]])).project([None, None])
    array([[[1., 0.],
            [0., 2.]]])
    """

    coefficients: Array

    def lift(self, coefficients: Array, slots: Sequence[Slot]) -> Array:
        free = [i for i, slot in enumerate(slots) if slot is None]
        fixed = [slot for slot in slots if slot is not None]
        lead, d = coefficients.shape[:-1], coefficients.shape[-1]
        widths = [slot.shape[1] for slot in fixed]
        if not free:
            return (coefficients @ khatri_rao(*fixed)).reshape(*lead, *widths)
        tensor = coefficients
        if fixed:
            tensor = coefficients[..., None] * khatri_rao(*fixed)
        diagonal = np.zeros((*lead, *(d,) * len(free), *tensor.shape[len(lead) + 1 :]))
        steps = np.arange(d)
        index: tuple[Any, ...] = (..., *(steps,) * len(free), *(slice(None),) * bool(fixed))
        diagonal[index] = tensor
        # The free axes come first; put each axis where its slot is.
        diagonal = diagonal.reshape(*lead, *(d,) * len(free), *widths)
        order = free + [i for i, slot in enumerate(slots) if slot is not None]
        position = [order.index(i) + len(lead) for i in range(len(slots))]
        return diagonal.transpose(*range(len(lead)), *position)


@dataclass(frozen=True, eq=False)
class Constant(Derivative):
    """The same tensor at every point.

    Parameters
    ----------
    tensor : (d, ..., d) array

    Examples
    --------
    >>> Constant(np.eye(2)).project([np.ones((2, 1)), None])
    array([[[1., 1.]]])
    """

    tensor: Array

    @property
    def coefficients(self) -> Array:  # type: ignore[override]
        """One number, (1, 1): the tensor is its own basis."""
        return np.ones((1, 1))

    def lift(self, coefficients: Array, slots: Sequence[Slot]) -> Array:
        contracted = _contract(self.tensor[None], slots)
        return coefficients.reshape(coefficients.shape[:-1] + (1,) * len(slots)) * contracted[0]


@dataclass(frozen=True, eq=False)
class Dense(Derivative):
    """A tensor stored entry by entry.

    Parameters
    ----------
    values : (n, d, ..., d) array
    matrix : (d, d) array or float, optional
        Multiplies the only slot; a number stands for that multiple of the identity.

    Examples
    --------
    >>> Dense(np.array([[1.0, 2.0]]), matrix=2.0 * np.eye(2)).project([None])
    array([[2., 4.]])
    """

    values: Array
    matrix: Array | float | None = None

    @property
    def coefficients(self) -> Array:  # type: ignore[override]
        """The entries, one row per point."""
        return self.values.reshape(len(self.values), -1)

    def lift(self, coefficients: Array, slots: Sequence[Slot]) -> Array:
        if self.matrix is not None:
            (slot,) = slots
            if isinstance(self.matrix, float):
                return self.matrix * (coefficients if slot is None else coefficients @ slot)
            return coefficients @ (self.matrix if slot is None else self.matrix @ slot)
        lead = coefficients.shape[:-1]
        tensors = coefficients.reshape(-1, *self.values.shape[1:])
        contracted = _contract(tensors, slots)
        return contracted.reshape(*lead, *contracted.shape[1:])


def _contract(tensors: Array, slots: Sequence[Slot]) -> Array:
    """Contract axis i + 1 of a batch of tensors with slot i."""
    for axis, slot in enumerate(slots, start=1):
        if slot is not None:
            tensors = np.moveaxis(np.tensordot(tensors, slot, axes=(axis, 0)), -1, axis)
    return tensors


def check_slots(bases: object, order: int, d: int) -> tuple[tuple[Slot, ...], tuple[int, ...]]:
    """Return one (d, k) matrix or None a slot, and which slots were vectors (to be squeezed).

    `bases` is None (identity everywhere), one (d, k) array for every slot, or a sequence with one
    entry a slot: None, a (d,) vector, or a (d, k) array.
    """
    if bases is None:
        return (None,) * order, ()
    if isinstance(bases, np.ndarray):
        shared = check_array("bases", bases, shape=(d, None))
        return (shared,) * order, ()
    if not isinstance(bases, Sequence) or len(bases) != order:
        raise ValueError(
            f"bases must be None, one (d, k) array, or a sequence of {order} entries, got {bases!r}"
        )
    # One array per distinct entry, so that equal slots are recognised by identity.
    matrices: dict[int, Array] = {}
    for i, entry in enumerate(bases):
        if entry is not None and id(entry) not in matrices:
            array = check_array(f"bases[{i}]", entry, ndim=(1, 2))
            if len(array) != d:
                raise ValueError(f"bases[{i}] must have d = {d} rows, got shape {array.shape}")
            matrices[id(entry)] = array.reshape(d, -1)
    slots = tuple(None if entry is None else matrices[id(entry)] for entry in bases)
    return slots, tuple(i for i, entry in enumerate(bases) if np.ndim(entry) == 1)


def squeeze_slots(tensor: Array, vectors: Sequence[int], order: int) -> Array:
    """Drop the axes of slots that were contracted with a vector."""
    first = tensor.ndim - order
    return np.squeeze(tensor, axis=tuple(first + i for i in vectors))


class ScoreModel(Comparable, abc.ABC):
    r"""A distribution on R^d known through the derivatives of its log-density.

    A subclass offers `log_derivatives`; everything else follows from

    .. math:: S_m = (-1)^m \sum_{\pi \in \mathcal P(m)} \prod_{B \in \pi} G_{|B|}, \qquad
              G_j = \nabla^j \log f,

    the sum over set partitions of the m slots (complete Bell polynomial). GM (8); the sign is
    that of [1]_, so that Stein's identity reads E[y S_m] = E[grad^m E[y|x]] for every m.

    Attributes
    ----------
    d : int
        Dimension of x.

    References
    ----------
    .. [1] M. Janzamin, H. Sedghi, A. Anandkumar, "Score function features for discriminative
       learning: matrix and tensor framework", arXiv:1412.2863, 2014.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> StandardNormal(1).score([[3.0]], 2)  # x^2 - 1
    array([[[8.]]])
    """

    d: int

    @abc.abstractmethod
    def log_derivatives(self, X: Array, order: int) -> Sequence[Derivative | Array | None]:
        """Return G_1, ..., G_order at the rows of X.

        Parameters
        ----------
        X : (n, d) array
        order : int

        Returns
        -------
        sequence
            Each entry is an (n, d, ..., d) array, a structured `Derivative`, or None where it vanishes.

        Examples
        --------
        >>> from nnmoments.densities import StandardNormal
        >>> StandardNormal(1).log_derivatives(np.array([[2.0]]), 1)[0].project([None])
        array([[-2.]])
        """

    def components(self, X: Array) -> "Iterable[tuple[Array | None, ScoreModel]]":
        """Yield pairs of weight and model: S_m is the weighted sum of the models' S_m.

        Parameters
        ----------
        X : (n, d) array

        Returns
        -------
        iterable of ((n,) array or None, ScoreModel)
            The posterior weight at each point, None for one.

        Examples
        --------
        >>> from nnmoments.densities import GaussianMixture
        >>> mixture = GaussianMixture([0.5, 0.5], [[1.0], [-1.0]])
        >>> [weight for weight, part in mixture.components(np.zeros((1, 1)))]
        [array([0.5]), array([0.5])]
        """
        return [(None, self)]

    def derivatives(self, X: Array, order: int) -> tuple[Derivative | None, ...]:
        """Return `log_derivatives` with plain arrays wrapped and their shapes checked.

        Parameters
        ----------
        X : (n, d) array
        order : int

        Returns
        -------
        tuple of Derivative or None

        Raises
        ------
        ValueError
            If there are too few derivatives, or one has a wrong shape or holds NaN.

        Examples
        --------
        >>> from nnmoments.densities import StandardNormal
        >>> StandardNormal(2).derivatives(np.zeros((1, 2)), 3)[2] is None
        True
        """
        wrapped: list[Derivative | None] = []
        for j, entry in enumerate(self.log_derivatives(X, order), start=1):
            if entry is None or isinstance(entry, Derivative):
                wrapped.append(entry)
                continue
            wrapped.append(
                Dense(check_array(f"log-density derivative {j} at X", entry, shape=(len(X),) + (self.d,) * j))
            )
        if len(wrapped) < order:
            raise ValueError(
                f"order {order} needs as many log-density derivatives; the score model has {len(wrapped)}"
            )
        return tuple(wrapped)

    def score(self, X: npt.ArrayLike, order: int) -> Array:
        """Return the score tensors S_m(x); for tests and small d.

        Parameters
        ----------
        X : (n, d) array_like
        order : int
            m, from 1 to 6.

        Returns
        -------
        (n, d, ..., d) array

        Raises
        ------
        ValueError
            If the order is out of range, X does not fit, or the score overflows.

        Examples
        --------
        >>> from nnmoments.densities import StandardNormal
        >>> StandardNormal(1).score([[2.0]], 2)
        array([[[3.]]])
        """
        order = check_integer("order", order, 1, MAX_ORDER)
        return self._score(X, order, (None,) * order)

    def contract(self, X: npt.ArrayLike, *vectors: npt.ArrayLike) -> Array:
        """Return S_m(x) contracted with m vectors, without forming the tensor.

        Parameters
        ----------
        X : (n, d) array_like
        *vectors : (d,) array_like
            From one to six.

        Returns
        -------
        (n,) array

        Raises
        ------
        ValueError
            If there are no vectors or more than six, or a vector does not have d entries.

        Examples
        --------
        >>> from nnmoments.densities import StandardNormal
        >>> StandardNormal(2).contract([[2.0, 1.0]], [1.0, 0.0], [1.0, 0.0])
        array([3.])
        """
        order = check_integer("the number of vectors", len(vectors), 1, MAX_ORDER)
        slots = [check_array("vectors", u, shape=(self.d,))[:, None] for u in vectors]
        return self._score(X, order, slots).reshape(-1)

    def project(self, X: npt.ArrayLike, basis: npt.ArrayLike, order: int) -> Array:
        """Return S_m(x)(V, ..., V).

        Parameters
        ----------
        X : (n, d) array_like
        basis : (d, k) array_like
            V.
        order : int
            m, from 1 to 6.

        Returns
        -------
        (n, k, ..., k) array

        Raises
        ------
        ValueError
            If the order is out of range, or X or the basis does not fit.

        Examples
        --------
        >>> from nnmoments.densities import StandardNormal
        >>> StandardNormal(2).project([[2.0, 1.0]], [[1.0], [0.0]], 2)
        array([[[3.]]])
        """
        order = check_integer("order", order, 1, MAX_ORDER)
        basis = check_array("basis", basis, shape=(self.d, None))
        return self._score(X, order, (basis,) * order)

    @finite_result("X, basis or vectors")
    def _score(self, X: npt.ArrayLike, order: int, slots: Sequence[Slot]) -> Array:
        X = check_array("X", X, shape=(None, self.d))
        total = np.zeros(())
        for weight, model in self.components(X):
            score = _bell_sum(model.derivatives(X, order), slots)
            if weight is not None:
                score = weight.reshape((-1,) + (1,) * order) * score
            total = total + score
        return np.broadcast_to(total, (len(X), *total.shape[1:])).copy()


def _bell_sum(derivatives: Sequence[Derivative | None], slots: Sequence[Slot]) -> Array:
    """Return (-1)^m times the sum over set partitions of the products of G_|B|.  GM (8)"""
    m = len(slots)
    widths = [derivatives[0].project([slot]).shape[1] for slot in slots]  # type: ignore[union-attr]
    total = np.zeros((1, *widths))
    for partition in set_partitions(m):
        factors = [derivatives[len(block) - 1] for block in partition]
        if any(factor is None for factor in factors):
            continue
        product = np.ones((1,) * (m + 1))
        for block, factor in zip(partition, factors, strict=True):
            assert factor is not None
            tensor = factor.project([slots[i] for i in block])
            shape = [widths[i] if i in block else 1 for i in range(m)]
            product = product * tensor.reshape(len(tensor), *shape)
        total = total + product
    return float((-1) ** m) * total


def scores_to_log_derivatives(scores: Sequence[Array]) -> list[Array]:
    r"""Return G_1..G_m from S_1..S_m: the inverse of the Bell sum (moments to cumulants).

    .. math:: G_m = \sum_\pi (-1)^{|\pi|-1} (|\pi|-1)! \prod_{B \in \pi} (-1)^{|B|} S_{|B|}
    """
    derivatives = []
    for m in range(1, len(scores) + 1):
        n, d = scores[0].shape
        total = np.zeros((n,) + (d,) * m)
        for partition in set_partitions(m):
            product = np.full((1,) * (m + 1), float((-1) ** (len(partition) - 1)))
            product = product * math.factorial(len(partition) - 1)
            for block in partition:
                shape = [d if i in block else 1 for i in range(m)]
                product = product * (-1.0) ** len(block) * scores[len(block) - 1].reshape(n, *shape)
            total += product
        derivatives.append(total)
    return derivatives
