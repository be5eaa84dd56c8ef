r"""The loss L(A) of GM (19) on a fourth-order moment, and G(A) of Ge, Lee and Ma.

With :math:`T_4 = E[y\,S_4(x)] = \sum_i \kappa_i\, w_i^{\otimes 4}` and s the sign of kappa,

.. math:: L(A) = s \sum_{i \ne j} T_4(a_i, a_i, a_j, a_j) - s\mu \sum_i T_4(a_i, a_i, a_i, a_i)
                 + \lambda \sum_i (\|a_i\|^2 - 1)^2

is small at the rows of W, if these are orthonormal. G is the same function with the score tensor of
the standard Gaussian. GM (19) prints :math:`(\|a_i\| - 1)^2` and (21) the square used in the proofs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.moments.forms import FourthMoment
from nnmoments.optimize import SmoothLoss
from nnmoments.validation import Array, check_array, check_choice, check_integer, check_number

__all__ = [
    "FourthOrderLoss",
    "orthogonal_closed_form",
    "parameter_error",
    "random_rows",
]


@dataclass(frozen=True)
class FourthOrderLoss(SmoothLoss):
    r"""L(A) of GM (19), its gradient and its Hessian.

    Parameters
    ----------
    moment : FourthMoment
        T_4, or an estimate of it.
    mu, lam : float
        The two regularisation weights; Theorem 2 asks for mu at most 0.01 over the spread of kappa
        and lambda at least 100 times its largest value.
    sign : float
        The sign of kappa: -1 for ReLU under a Gaussian, where GM print the loss for +1.
    regularizer : {"squared", "plain"}
        :math:`(\|a\|^2 - 1)^2` of (21) and the proofs, or :math:`(\|a\| - 1)^2` as (19) prints.

    References
    ----------
    .. [1] W. Gao et al., AISTATS 2019, (19)-(21).
    .. [2] R. Ge, J. D. Lee, T. Ma, "Learning one-hidden-layer neural networks with landscape
       design", arXiv:1711.00501.

    Examples
    --------
    >>> from nnmoments.linalg import outer_power
    >>> from nnmoments.moments.forms import TensorMoment
    >>> T4 = outer_power(np.eye(2), 4).sum(axis=0)
    >>> loss = FourthOrderLoss(TensorMoment(T4), mu=0.01, lam=100.0)
    >>> round(loss.value(np.eye(2)), 4)
    -0.02
    """

    moment: FourthMoment = field(repr=False)
    mu: float
    lam: float
    sign: float = 1.0
    regularizer: str = "squared"

    def __post_init__(self) -> None:
        check_number("mu", self.mu)
        check_number("lam", self.lam, above=0.0)
        check_choice("sign", self.sign, (1.0, -1.0))
        check_choice("regularizer", self.regularizer, ("squared", "plain"))

    def value_and_gradient(self, A: Array) -> tuple[Any, Array]:
        """Return L(A) and its gradient from one pass; batch axes of A (..., k, d) are kept."""
        every, own = self.moment.cubic(A)
        data = every - (1.0 + self.mu) * own  # half the derivative's slots; GM (19)
        square = np.sum(A**2, axis=-1)
        if self.regularizer == "squared":
            penalty, slope = (square - 1.0) ** 2, 4.0 * (square - 1.0)
        else:
            norm = np.sqrt(square)
            penalty, slope = (norm - 1.0) ** 2, 2.0 * (1.0 - 1.0 / np.maximum(norm, 1e-300))
        value = self.sign * np.sum(data * A, axis=(-2, -1)) + self.lam * penalty.sum(axis=-1)
        gradient = 4.0 * self.sign * data + self.lam * slope[..., None] * A
        return (float(value) if value.ndim == 0 else value), gradient

    def hessian(self, A: Array) -> Array:
        """Return the Hessian of one A (k, d) as a (k d, k d) matrix."""
        k, d = A.shape
        held = self.moment.pairs(A)
        own = held[range(k), range(k)]
        blocks = 8.0 * self.sign * held
        blocks[range(k), range(k)] = self.sign * (4.0 * (own.sum(axis=0) - own) - 12.0 * self.mu * own)
        square, eye = np.sum(A**2, axis=1), np.eye(d)
        for i, a in enumerate(A):
            if self.regularizer == "squared":
                blocks[i, i] += self.lam * (4.0 * (square[i] - 1.0) * eye + 8.0 * np.outer(a, a))
            else:
                norm = math.sqrt(square[i])
                blocks[i, i] += 2.0 * self.lam * ((1.0 - 1.0 / norm) * eye + np.outer(a, a) / norm**3)
        return blocks.transpose(0, 2, 1, 3).reshape(k * d, k * d)


def orthogonal_closed_form(
    A: npt.ArrayLike, W: npt.ArrayLike, kappa: npt.ArrayLike, mu: float, lam: float
) -> float:
    r"""Return the right-hand side of GM (21), for orthonormal rows of W.

    .. math:: \sum_i \kappa_i \Big(\sum_{j \ne l} \langle w_i, a_j\rangle^2 \langle w_i, a_l\rangle^2
              - \mu \sum_j \langle w_i, a_j\rangle^4\Big) + \lambda \sum_j (\|a_j\|^2 - 1)^2

    Examples
    --------
    >>> orthogonal_closed_form(np.eye(2), np.eye(2), [1.0, 1.0], 0.01, 100.0)
    -0.02
    """
    A, W = check_array("A", A, ndim=2), check_array("W", W, ndim=2)
    squares = (W @ A.T) ** 2
    fourth = np.sum(squares**2, axis=1)
    crossed = squares.sum(axis=1) ** 2 - fourth
    penalty = np.sum((np.sum(A**2, axis=1) - 1.0) ** 2)
    return float(check_array("kappa", kappa, ndim=1) @ (crossed - mu * fourth) + lam * penalty)  # GM (21)


def parameter_error(A: npt.ArrayLike, W: npt.ArrayLike, *, printed: bool = False) -> float:
    r"""Return how far A is from W up to permutation, sign and scale of its rows.

    .. math:: e(A) = \max\Big\{1 - \min_i \max_j |P_{ij}|,\; 1 - \min_j \max_i |P_{ij}|\Big\}

    GM (22) with P the matrix of cosines, :math:`A W^+` after normalising the rows of both (for an
    orthogonal W exactly :math:`A W^\top`). As printed, a minimum stands for the outer maximum, which
    calls A perfect when two of its rows coincide (`printed`).

    Examples
    --------
    >>> A = [[1.0, 0.0], [1.0, 0.0]]
    >>> parameter_error(A, np.eye(2)), parameter_error(A, np.eye(2), printed=True)
    (1.0, 0.0)
    """
    W = check_array("W", W, ndim=2)
    A = check_array("A", A, shape=(None, W.shape[1]))
    rows = [M / np.maximum(np.linalg.norm(M, axis=1, keepdims=True), 1e-300) for M in (A, W)]
    P = np.abs(rows[0] @ np.linalg.pinv(rows[1]))
    both = (1.0 - P.max(axis=1).min(), 1.0 - P.max(axis=0).min())
    return float(min(both) if printed else max(both))


def random_rows(k: int, d: int, *, count: int | None = None, rng: Any) -> Array:
    """Return starts with independent rows, uniform on the unit sphere: (k, d) or (count, k, d).

    Examples
    --------
    >>> random_rows(2, 3, rng=0).shape
    (2, 3)
    """
    k, d = check_integer("k", k, 1), check_integer("d", d, 1)
    shape: Sequence[int] = (k, d) if count is None else (check_integer("count", count, 1), k, d)
    rows = np.random.default_rng(rng).standard_normal(shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
