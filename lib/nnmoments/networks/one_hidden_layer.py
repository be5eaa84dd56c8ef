"""One hidden layer: the teacher of ZS and GM."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.activations import Activation, get_activation
from nnmoments.linalg import outer_power
from nnmoments.networks.weights import checked_weights, with_noise
from nnmoments.results import Comparable
from nnmoments.validation import Array, check_array, check_integer, finite_result

__all__ = ["OneHiddenLayer"]


class OneHiddenLayer(Comparable):
    r"""The network :math:`E[y|x] = \sum_i v_i\,\phi(\langle w_i, x\rangle + b_i)`.

    Parameters
    ----------
    weights : (k, d) array_like
        Rows :math:`w_i`, none of them zero.
    activation : str or Activation
    output : (k,) array_like, optional
        :math:`v_i`, signed; ones by default.
    biases : (k,) array_like, optional
        :math:`b_i`; zeros by default.

    Raises
    ------
    ValueError
        If shapes do not fit or a row of the weights is zero.

    Examples
    --------
    >>> from nnmoments.activations import relu
    >>> OneHiddenLayer([[1.0, 0.0], [0.0, 1.0]], relu, [1.0, -1.0])([[2.0, 3.0]])
    array([-1.])
    """

    def __init__(
        self,
        weights: npt.ArrayLike,
        activation: str | Activation,
        output: npt.ArrayLike | None = None,
        biases: npt.ArrayLike | None = None,
    ) -> None:
        self.weights = checked_weights(weights)
        self.activation = get_activation(activation)
        self.k, self.d = self.weights.shape
        self.output = check_array("output", np.ones(self.k) if output is None else output, shape=(self.k,))
        self.biases = check_array("biases", np.zeros(self.k) if biases is None else biases, shape=(self.k,))

    def __repr__(self) -> str:
        return f"OneHiddenLayer(k={self.k}, d={self.d}, activation={self.activation.name})"

    def _hidden(self, X: npt.ArrayLike) -> Array:
        return check_array("X", X, shape=(None, self.d)) @ self.weights.T + self.biases

    @finite_result("X")
    def __call__(self, X: npt.ArrayLike) -> Array:
        """Return E[y|x] at the rows of X, (n,)."""
        return np.asarray(self.activation(self._hidden(X)) @ self.output)

    def sample_labels(self, X: npt.ArrayLike, *, noise: float = 0.0, rng: Any = None) -> Array:
        """Return E[y|x] plus Gaussian noise of the given standard deviation.

        Parameters
        ----------
        X : (n, d) array_like
        noise : float
        rng : None, int, Generator or RandomState

        Returns
        -------
        (n,) array

        Raises
        ------
        ValueError
            If the noise is negative.

        Examples
        --------
        >>> OneHiddenLayer([[1.0, 0.0]], "relu").sample_labels([[2.0, 3.0]])
        array([2.])
        """
        return with_noise(self(X), noise, rng)

    @finite_result("X")
    def derivative(self, X: npt.ArrayLike, order: int) -> Array:
        r"""Return the classical :math:`\nabla^m E[y|x]` at the rows of X, (n, d, ..., d), m <= 4.

        At kinks of the activation the singular part is missing; `moment` has it.

        Parameters
        ----------
        X : (n, d) array_like
        order : int
            m, from 0 to 4.

        Returns
        -------
        (n, d, ..., d) array

        Raises
        ------
        ValueError
            If the order is out of range.

        Examples
        --------
        >>> from nnmoments.activations import quadratic
        >>> OneHiddenLayer([[1.0, 2.0]], quadratic).derivative([[1.0, 0.0]], 1)
        array([[2., 4.]])
        """
        return np.tensordot(self._slopes(X, order), outer_power(self.weights, order), axes=(1, 0))

    @finite_result("X")
    def mean_derivative(self, X: npt.ArrayLike, order: int) -> Array:
        r"""Return the average of `derivative` over the rows of X, (d, ..., d), never forming it per row.

        Parameters
        ----------
        X : (n, d) array_like
        order : int
            From 0 to 4.

        Returns
        -------
        (d, ..., d) array

        Raises
        ------
        ValueError
            If the order is out of range.

        Examples
        --------
        >>> from nnmoments.activations import quadratic
        >>> OneHiddenLayer([[1.0, 2.0]], quadratic).mean_derivative([[1.0, 0.0], [2.0, 0.0]], 1)
        array([3., 6.])
        """
        slopes = self._slopes(X, order).mean(axis=0)
        return np.tensordot(slopes, outer_power(self.weights, order), axes=(0, 0))

    def _slopes(self, X: npt.ArrayLike, order: int) -> Array:
        """Return v_i phi^(m) at the rows of X, (n, k)."""
        order = check_integer("order", order, 0, 4)
        slopes = self.activation.derivative(order, self._hidden(X)) * self.output
        return slopes

    @finite_result("weights")
    def moment(
        self, order: int, *, mean: npt.ArrayLike | None = None, covariance: npt.ArrayLike | None = None
    ) -> Array:
        r"""Return the exact :math:`T_m = E[\nabla^m E[y|x]]` for Gaussian x, (d, ..., d).

        .. math:: T_m = \sum_i v_i\, E[\phi^{(m)}(s_i g + \langle w_i, \mu\rangle + b_i)]\,
                  w_i^{\otimes m}, \qquad s_i^2 = w_i^\top \Sigma w_i

        Parameters
        ----------
        order : int
            m, from 0.
        mean, covariance : array_like, optional
            Of x; zero and the identity by default.

        Returns
        -------
        (d, ..., d) array

        Raises
        ------
        ValueError
            If the covariance is not one, or some :math:`s_i = 0` at an order above 0.

        Examples
        --------
        >>> from nnmoments.activations import squared_relu
        >>> OneHiddenLayer([[3.0, 0.0]], squared_relu).moment(2).round(6)
        array([[9., 0.],
               [0., 0.]])
        """
        order = check_integer("order", order, 0)
        centre = np.zeros(self.d) if mean is None else check_array("mean", mean, shape=(self.d,))
        spread = np.eye(self.d) if covariance is None else covariance
        spread = check_array("covariance", spread, shape=(self.d, self.d))
        variances = np.einsum("id,de,ie->i", self.weights, spread, self.weights)
        if not np.allclose(spread, spread.T, rtol=1e-10, atol=0.0) or np.linalg.eigvalsh(spread)[0] < (
            -1e-10 * np.abs(spread).max()
        ):
            raise ValueError("covariance must be symmetric and positive semidefinite")
        if order and not np.all(variances > 0.0):
            raise ValueError("covariance must give every row of weights a positive variance w.Sigma w")
        scales = np.sqrt(np.maximum(variances, 0.0))
        shifts = self.weights @ centre + self.biases
        coefficients = self.activation.moment_coefficients(order, scales, shifts)
        if order:
            coefficients = coefficients / scales**order
        return np.tensordot(self.output * coefficients, outer_power(self.weights, order), axes=(0, 0))
