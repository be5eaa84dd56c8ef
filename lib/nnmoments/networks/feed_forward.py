"""Networks of any depth with softmax, sigmoid or real outputs: the teacher of SA."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from nnmoments.activations import Activation, get_activation
from nnmoments.networks.weights import with_noise
from nnmoments.results import Comparable
from nnmoments.validation import (
    Array,
    check_array,
    check_choice,
    check_number,
    check_rng,
    finite_result,
)

__all__ = ["FeedForward"]

# Rows evaluated at a time where a result is larger than its input.
_CHUNK = 8192


class FeedForward(Comparable):
    r"""A network of any depth, :math:`E[y|x] = \sigma_L(A_L \sigma_{L-1}(\cdots A_2\sigma_1(A_1 x)))`.

    Parameters
    ----------
    weights : sequence of (out, in) array_like
        :math:`A_1, \dots, A_L`, at least one.
    activation : str, Activation, or sequence of these
        :math:`\sigma_1, \dots, \sigma_{L-1}`; a single one serves all hidden layers.
    link : {"softmax", "sigmoid", "identity"}
        :math:`\sigma_L`: multiclass, multilabel, or real labels.
    biases : sequence of (out,) array_like, optional

    Raises
    ------
    ValueError
        If shapes do not chain, or there is not one activation for each hidden layer.

    References
    ----------
    SA (1) and (3).

    Examples
    --------
    >>> from nnmoments.activations import sigmoid
    >>> net = FeedForward([[[1.0, 0.0]], [[2.0], [-2.0]]], sigmoid, link="softmax")
    >>> net([[0.0, 5.0]]).round(3)
    array([[0.881, 0.119]])
    """

    def __init__(
        self,
        weights: Sequence[npt.ArrayLike],
        activation: str | Activation | Sequence[str | Activation],
        *,
        link: str = "identity",
        biases: Sequence[npt.ArrayLike] | None = None,
    ) -> None:
        if not isinstance(weights, Sequence | np.ndarray) or isinstance(weights, str) or not len(weights):
            raise ValueError("weights must hold at least one matrix")
        matrices = [check_array("weights[0]", weights[0], ndim=2)]
        for i, matrix in enumerate(weights[1:], start=1):
            matrices.append(check_array(f"weights[{i}]", matrix, shape=(None, len(matrices[-1]))))
        self.weights = tuple(matrices)
        hidden = len(matrices) - 1
        if isinstance(activation, str | Activation):
            activation = [activation] * hidden
        if not isinstance(activation, Sequence) or len(activation) != hidden:
            raise ValueError(
                f"activation must be one Activation or one for each of the {hidden} hidden layers, "
                f"got {activation!r}"
            )
        self.activations = tuple(get_activation(phi) for phi in activation)
        self.link = check_choice("link", link, ("softmax", "sigmoid", "identity"))
        if biases is None:
            biases = [np.zeros(len(matrix)) for matrix in matrices]
        if not isinstance(biases, Sequence | np.ndarray) or len(biases) != len(matrices):
            raise ValueError(f"biases must be one per layer: {len(matrices)}, got {biases!r}")
        self.biases = tuple(
            check_array(f"biases[{i}]", bias, shape=(len(matrix),))
            for i, (bias, matrix) in enumerate(zip(biases, matrices, strict=True))
        )
        self.d, self.n_y = self.weights[0].shape[1], len(self.weights[-1])

    def __repr__(self) -> str:
        widths = " -> ".join(str(w) for w in [self.d, *(len(matrix) for matrix in self.weights)])
        names = ", ".join(dict.fromkeys(phi.name for phi in self.activations)) or "none"
        return f"FeedForward({widths}, activation={names}, link={self.link})"

    def _layers(self, X: Array) -> list[Array]:
        """Return the pre-activations of every layer."""
        values: Array = X
        found: list[Array] = []
        for i, (matrix, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if i:
                values = self.activations[i - 1](found[-1])
            found.append(values @ matrix.T + bias)
        return found

    def _output(self, last: Array) -> Array:
        if self.link == "softmax":
            return np.asarray(softmax(last, axis=1))
        return np.asarray(expit(last)) if self.link == "sigmoid" else last

    @finite_result("X")
    def __call__(self, X: npt.ArrayLike) -> Array:
        """Return E[y|x] at the rows of X, (n, n_y)."""
        X = check_array("X", X, shape=(None, self.d))
        return self._output(self._layers(X)[-1])

    def sample_labels(self, X: npt.ArrayLike, *, noise: float = 0.0, rng: Any = None) -> Array:
        """Draw labels (n, n_y): one-hot classes, independent bits, or E[y|x] plus Gaussian noise.

        Parameters
        ----------
        X : (n, d) array_like
        noise : float
            For an identity link only.
        rng : None, int, Generator or RandomState

        Returns
        -------
        (n, n_y) array

        Raises
        ------
        ValueError
            If the noise is negative, or given for another link.

        Examples
        --------
        >>> network = FeedForward([[[1.0]], [[40.0], [-40.0]]], "relu", link="softmax")
        >>> network.sample_labels([[1.0]], rng=0)
        array([[1., 0.]])
        """
        rng, noise = check_rng("rng", rng), check_number("noise", noise)
        means = self(X)
        if self.link == "identity":
            return with_noise(means, noise, rng)
        if noise:
            raise ValueError("noise is for identity links only; softmax and sigmoid labels are drawn")
        if self.link == "sigmoid":
            return np.asarray(rng.random(means.shape) < means, dtype=np.float64)
        steps = np.cumsum(means, axis=1)
        # The last step is 1 up to rounding; scaling the draw by it keeps every draw below it.
        chosen = np.argmax(steps > rng.random((len(means), 1)) * steps[:, -1:], axis=1)
        return np.eye(self.n_y)[chosen]

    def _factors(self, X: npt.ArrayLike) -> Iterator[Array]:
        """Yield, chunk by chunk, each point's factor B of its Jacobian B(x) A_1: (n, n_y, k)."""
        X = check_array("X", X, shape=(None, self.d))
        for start in range(0, len(X), _CHUNK):
            layers = self._layers(X[start : start + _CHUNK])
            mean = self._output(layers[-1])
            # sigma_L' A_L, with sigma_L' = Diag(p) - p p^T, Diag(p(1-p)) or I.
            if self.link == "softmax":
                top = np.eye(self.n_y) * mean[:, None, :] - mean[:, :, None] * mean[:, None, :]
            elif self.link == "sigmoid":
                top = np.eye(self.n_y) * (mean * (1.0 - mean))[:, None, :]
            else:
                top = np.broadcast_to(np.eye(self.n_y), (len(mean), self.n_y, self.n_y))
            downwards = zip(self.weights[:0:-1], self.activations[::-1], layers[-2::-1], strict=True)
            for matrix, phi, layer in downwards:
                top = (top @ matrix) * phi.derivative(1, layer)[:, None, :]
            yield top

    @finite_result("X")
    def jacobian(self, X: npt.ArrayLike) -> Array:
        """Return the gradient of E[y|x] at every row of X, (n, n_y, d).

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n, n_y, d) array

        Examples
        --------
        >>> from nnmoments.activations import quadratic
        >>> FeedForward([[[1.0, 2.0]], [[3.0]]], quadratic).jacobian([[1.0, 1.0]])
        array([[[18., 36.]]])
        """
        return np.concatenate(list(self._factors(X))) @ self.weights[0]

    @finite_result("X")
    def mean_factor(self, X: npt.ArrayLike) -> Array:
        r"""Return :math:`B = E[\sigma_2' A_2 \operatorname{Diag}\sigma_1']` over the sample, (n_y, k).

        :math:`E[\nabla E[y|x]] = B A_1`.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n_y, k) array

        References
        ----------
        SA Theorem 1 (there with the opposite sign); for deep networks SA Section 3.2.

        Examples
        --------
        >>> from nnmoments.activations import quadratic
        >>> network = FeedForward([[[1.0, 2.0]], [[3.0]]], quadratic)
        >>> network.mean_factor([[1.0, 1.0], [0.0, 0.0]])
        array([[9.]])
        """
        return np.asarray(sum(part.sum(axis=0) for part in self._factors(X)) / len(np.asarray(X)))

    def mean_jacobian(self, X: npt.ArrayLike) -> Array:
        r"""Return :math:`E[\nabla E[y|x]] = B A_1` over the sample, (n_y, d), in bounded memory.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n_y, d) array

        Examples
        --------
        >>> from nnmoments.activations import quadratic
        >>> network = FeedForward([[[1.0, 2.0]], [[3.0]]], quadratic)
        >>> network.mean_jacobian([[1.0, 1.0], [0.0, 0.0]])
        array([[ 9., 18.]])
        """
        return self.mean_factor(X) @ self.weights[0]
