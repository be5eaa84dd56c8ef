"""What descends: a loss with its gradient, some with a Hessian, some with a normal matrix."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from nnmoments.validation import Array, check_array, check_number

__all__ = ["Curvature", "LeastSquares", "Loss", "NormalMatrix", "SmoothLoss"]


class Loss(ABC):
    """A differentiable function of an array of weights.

    Examples
    --------
    >>> class Square(Loss):
    ...     def value_and_gradient(self, weights):
    ...         return float(np.sum(weights**2)), 2.0 * weights
    >>> Square().value(np.array([3.0])), Square().gradient(np.array([3.0]))
    (9.0, array([6.]))
    """

    @abstractmethod
    def value_and_gradient(self, weights: Array) -> tuple[Any, Array]:
        """Return the value and the gradient, the latter in the shape of the weights, from one pass."""

    def value(self, weights: Array) -> Any:
        """Return the value."""
        return self.value_and_gradient(weights)[0]

    def gradient(self, weights: Array) -> Array:
        """Return the gradient, in the shape of the weights."""
        return self.value_and_gradient(weights)[1]


class SmoothLoss(Loss):
    """A loss with a Hessian, so that its stationary points can be told apart."""

    @abstractmethod
    def hessian(self, weights: Array) -> Array:
        """Return the Hessian as a matrix over the flattened weights."""


class Curvature(ABC):
    r"""A positive semidefinite model N of a Hessian, and a scale D to damp it with.

    Parameters
    ----------
    scale : array
        The diagonal of D, in the shape of the weights.
    """

    def __init__(self, scale: Array) -> None:
        self.scale = scale

    @abstractmethod
    def solve(self, right: Array, damping: float) -> Array:
        r"""Return :math:`(N + \mu D)^{-1} b`, in the shape of b."""


class NormalMatrix(Curvature):
    r"""A curvature held as its matrix, which is factored once for each damping.

    Parameters
    ----------
    matrix : (p, p) array
        N, symmetric, over the flattened weights.
    scale : array
        The diagonal of D, p numbers in any shape.

    Examples
    --------
    >>> NormalMatrix(np.diag([1.0, 2.0]), np.ones(2)).solve(np.array([2.0, 3.0]), 1.0)
    array([1., 1.])
    """

    def __init__(self, matrix: Array, scale: Array) -> None:
        super().__init__(check_array("scale", scale))
        self._matrix = check_array("matrix", matrix, shape=(self.scale.size, self.scale.size))
        self._factored: tuple[float, Any] | None = None

    def solve(self, right: Array, damping: float) -> Array:
        right = check_array("right", right)
        if right.size != self.scale.size:
            raise ValueError(f"right must have {self.scale.size} entries, got shape {right.shape}")
        damping = check_number("damping", damping, above=-1e-300)
        if self._factored is None or self._factored[0] != damping:
            damped = self._matrix.copy()
            damped[np.diag_indices_from(damped)] += damping * self.scale.ravel()
            # LAPACK takes the transpose, the same matrix, without a copy.
            self._factored = damping, cho_factor(damped.T, overwrite_a=True, check_finite=False)
        return np.asarray(cho_solve(self._factored[1], right.ravel(), check_finite=False)).reshape(
            right.shape
        )


class LeastSquares(Loss):
    """A loss that Gauss and Newton's normal matrix models: half a sum of squares, or a multiple of it."""

    @abstractmethod
    def curvature(self, weights: Array) -> Curvature:
        """Return the normal matrix at these weights, with the scale of its damping."""
