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
        """Return the value and the gradient from one pass.

        Parameters
        ----------
        weights : array

        Returns
        -------
        value : float or array
            An array if the loss takes batches.
        gradient : array
            In the shape of the weights.
        """

    def value(self, weights: Array) -> Any:
        """Return the value.

        Parameters
        ----------
        weights : array

        Returns
        -------
        float or array
        """
        return self.value_and_gradient(weights)[0]

    def gradient(self, weights: Array) -> Array:
        """Return the gradient.

        Parameters
        ----------
        weights : array

        Returns
        -------
        array
            In the shape of the weights.
        """
        return self.value_and_gradient(weights)[1]


class SmoothLoss(Loss):
    """A loss with a Hessian, so that its stationary points can be told apart.

    Examples
    --------
    >>> class Saddle(SmoothLoss):  # u^2 - v^2
    ...     def value_and_gradient(self, weights):
    ...         signed = np.array([1.0, -1.0]) * weights
    ...         return float(signed @ weights), 2.0 * signed
    ...     def hessian(self, weights):
    ...         return np.diag([2.0, -2.0])
    >>> from nnmoments.optimize import classify
    >>> classify(Saddle(), [0.0, 0.0]).kind
    'saddle'
    """

    @abstractmethod
    def hessian(self, weights: Array) -> Array:
        """Return the Hessian over the flattened weights.

        Parameters
        ----------
        weights : array
            p numbers.

        Returns
        -------
        (p, p) array
        """


class Curvature(ABC):
    """A positive semidefinite model N of a Hessian, and a scale D to damp it with.

    Parameters
    ----------
    scale : array
        The diagonal of D, in the shape of the weights.

    Examples
    --------
    >>> class Identity(Curvature):
    ...     def solve(self, right, damping):
    ...         return right / (1.0 + damping * self.scale)
    >>> Identity(np.array([1.0, 3.0])).solve(np.ones(2), 1.0)
    array([0.5 , 0.25])
    """

    def __init__(self, scale: Array) -> None:
        self.scale = scale

    @abstractmethod
    def solve(self, right: Array, damping: float) -> Array:
        r"""Return :math:`(N + \mu D)^{-1} b`.

        Parameters
        ----------
        right : array
            b.
        damping : float
            :math:`\mu`.

        Returns
        -------
        array
            In the shape of b.
        """


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
    """A loss that Gauss and Newton's normal matrix models: half a sum of squares, or a multiple of it.

    Examples
    --------
    >>> class Distance(LeastSquares):  # |w - 1|^2 / 2, which one step minimises
    ...     def value_and_gradient(self, weights):
    ...         return 0.5 * float(np.sum((weights - 1.0) ** 2)), weights - 1.0
    ...     def curvature(self, weights):
    ...         return NormalMatrix(np.eye(weights.size), np.ones(weights.size))
    >>> loss, start = Distance(), np.array([3.0, -5.0])
    >>> start - loss.curvature(start).solve(loss.gradient(start), 0.0)
    array([1., 1.])
    """

    @abstractmethod
    def curvature(self, weights: Array) -> Curvature:
        """Return the normal matrix at these weights, with the scale of its damping.

        Parameters
        ----------
        weights : array

        Returns
        -------
        Curvature
        """
