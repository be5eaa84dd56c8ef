r"""The forms in which decoders take a moment: formed as a tensor, or kept as its sample.

A decoder asks a form for contractions and does not know how the moment was estimated.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from nnmoments.linalg import symmetrize
from nnmoments.validation import Array, check_array, check_samples

__all__ = ["FourthMoment", "SampledMoment", "TensorMoment"]


class FourthMoment(Protocol):
    """What a loss of fourth order needs of its moment."""

    d: int

    def cubic(self, A: Array) -> tuple[Array, Array]:
        """Return sum_j T(., a_i, a_j, a_j) and T(., a_i, a_i, a_i) for each i, (..., k, d)."""

    def pairs(self, A: Array) -> Array:
        """Return T(., ., a_i, a_j), (k, k, d, d), for one A (k, d)."""


class TensorMoment:
    """A symmetric tensor of order 4 held as a (d^2, d^2) matrix; A may carry batch axes.

    Parameters
    ----------
    tensor : (d, d, d, d) array_like
        Symmetrised on entry.
    """

    def __init__(self, tensor: npt.ArrayLike) -> None:
        tensor = check_array("tensor", tensor, ndim=4)
        self.d = tensor.shape[0]
        if tensor.shape != (self.d,) * 4:
            raise ValueError(f"tensor must have four equal axes, got shape {tensor.shape}")
        self.tensor = symmetrize(tensor)
        self._matrix = self.tensor.reshape(self.d**2, self.d**2)

    def cubic(self, A: Array) -> tuple[Array, Array]:
        squares = (A[..., :, None] * A[..., None, :]).reshape(*A.shape[:-1], self.d**2)
        held = (squares @ self._matrix).reshape(*A.shape, self.d)  # T(., ., a_j, a_j)
        own = np.einsum("...jab,...jb->...ja", held, A)
        return A @ held.sum(axis=-3), own

    def pairs(self, A: Array) -> Array:
        return np.einsum("abcd,ic,jd->ijab", self.tensor, A, A, optimize=True)


class SampledMoment:
    r"""The moment :math:`\hat E[y\, s^{\otimes 4}]` kept as its sample, O(n d k) a gradient.

    With `hermite`, :math:`s^{\otimes 4}` is replaced by the score tensor of N(0, I) at s, as Ge, Lee
    and Ma do: :math:`s^{\otimes 4} - 6\,\mathrm{sym}(ss^\top \otimes I) + 3\,\mathrm{sym}(I \otimes I)`.

    Parameters
    ----------
    S : (n, d) array_like
        Vectors whose fourth powers are averaged: x, or sgn(x) for GM's Laplace experiment.
    y : (n,) array_like
    hermite : bool
    """

    def __init__(self, S: npt.ArrayLike, y: npt.ArrayLike, *, hermite: bool) -> None:
        self._S, self._y = check_samples(S, y)
        self._y = check_array("y", self._y, ndim=1) / len(self._y)
        self.d = self._S.shape[1]
        self._second = (self._S.T * self._y) @ self._S if hermite else np.zeros((self.d, self.d))
        self._mean = float(self._y.sum()) if hermite else 0.0

    def cubic(self, A: Array) -> tuple[Array, Array]:
        projected = self._S @ A.T  # (n, k)
        squares = projected**2
        weighted = self._y[:, None] * projected
        both = np.hstack([weighted * squares.sum(axis=1, keepdims=True), weighted * squares])
        total, own = np.split(both.T @ self._S, 2)
        norms, moved = np.sum(A**2, axis=1), A @ self._second
        energy = np.sum(A * moved, axis=1)
        gram, cross = A @ A.T, A @ moved.T
        # 6 sym(Y (x) I)(., a_i, a_j, a_j) and 3 sym(I (x) I)(., a_i, a_j, a_j), summed over j
        total -= moved * norms.sum() + A * energy.sum() + 2.0 * (cross @ A + gram @ moved)
        total += self._mean * (norms.sum() * A + 2.0 * gram @ A)
        own -= 3.0 * (moved * norms[:, None] + A * energy[:, None])
        own += 3.0 * self._mean * norms[:, None] * A
        return total, own

    def pairs(self, A: Array) -> Array:
        projected = self._S @ A.T
        k, eye = len(A), np.eye(self.d)
        found = np.empty((k, k, self.d, self.d))
        for i in range(k):
            for j in range(k):
                weight = self._y * projected[:, i] * projected[:, j]
                mi, mj = self._second @ A[i], self._second @ A[j]
                crossed = np.outer(A[i], mj) + np.outer(A[j], mi)
                dot = A[i] @ A[j]
                found[i, j] = (
                    (self._S.T * weight) @ self._S
                    - (self._second * dot + eye * (A[i] @ mj) + crossed + crossed.T)
                    + self._mean * (eye * dot + np.outer(A[i], A[j]) + np.outer(A[j], A[i]))
                )
        return found
