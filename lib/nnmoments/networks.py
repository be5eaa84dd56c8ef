r"""Teacher networks: sample labels, and know their own moments and derivatives exactly.

Rows are neurons throughout: weights are (k, d), inputs are (n, d).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from nnmoments._validation import Array, check_array, check_choice, check_integer, check_number
from nnmoments.activations import Activation
from nnmoments.linalg import outer_power

__all__ = [
    "FeedForward",
    "HiddenPolynomial",
    "OneHiddenLayer",
    "conditioned_weights",
    "sparse_weights",
]

# Rows evaluated at a time where a result is larger than its input.
_CHUNK = 8192


class OneHiddenLayer:
    r"""The network :math:`E[y|x] = \sum_i v_i\,\phi(\langle w_i, x\rangle + b_i)`.

    Parameters
    ----------
    weights : (k, d) array_like
        Rows :math:`w_i`, none of them zero.
    activation : Activation
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
        activation: Activation,
        output: npt.ArrayLike | None = None,
        biases: npt.ArrayLike | None = None,
    ) -> None:
        self.weights = _check_weights(weights)
        self.activation = activation
        self.k, self.d = self.weights.shape
        self.output = check_array("output", np.ones(self.k) if output is None else output, shape=(self.k,))
        self.biases = check_array("biases", np.zeros(self.k) if biases is None else biases, shape=(self.k,))

    def __repr__(self) -> str:
        return f"OneHiddenLayer(k={self.k}, d={self.d}, activation={self.activation.name})"

    def _hidden(self, X: npt.ArrayLike) -> Array:
        return check_array("X", X, shape=(None, self.d)) @ self.weights.T + self.biases

    def __call__(self, X: npt.ArrayLike) -> Array:
        """Return E[y|x] at the rows of X, (n,)."""
        return np.asarray(self.activation(self._hidden(X)) @ self.output)

    def sample_labels(self, X: npt.ArrayLike, *, noise: float = 0.0, rng: Any = None) -> Array:
        """Return E[y|x] plus Gaussian noise of the given standard deviation."""
        labels = self(X)
        if noise:
            labels = labels + noise * np.random.default_rng(rng).standard_normal(len(labels))
        return labels

    def derivative(self, X: npt.ArrayLike, order: int) -> Array:
        r"""Return the classical :math:`\nabla^m E[y|x]` at the rows of X, (n, d, ..., d), m <= 4.

        At kinks of the activation the singular part is missing; `moment` has it.
        """
        order = check_integer("order", order, 0, 4)
        slopes = self.activation.derivative(order, self._hidden(X)) * self.output
        return np.tensordot(slopes, outer_power(self.weights, order), axes=(1, 0))

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
        scales = np.sqrt(np.einsum("id,de,ie->i", self.weights, spread, self.weights))
        shifts = self.weights @ centre + self.biases
        coefficients = [
            self.activation.stein_coefficient(order, scale=float(s), shift=float(b))
            for s, b in zip(scales, shifts, strict=True)
        ]
        return np.tensordot(self.output * coefficients, outer_power(self.weights, order), axes=(0, 0))


class FeedForward:
    r"""A network of any depth, :math:`E[y|x] = \sigma_L(A_L \sigma_{L-1}(\cdots A_2\sigma_1(A_1 x)))`.

    SA (1) and (3).

    Parameters
    ----------
    weights : sequence of (out, in) array_like
        :math:`A_1, \dots, A_L`, at least one.
    activation : Activation
        :math:`\sigma_1, \dots, \sigma_{L-1}`, the same in all hidden layers.
    link : {"softmax", "sigmoid", "identity"}
        :math:`\sigma_L`: multiclass, multilabel, or real labels.
    biases : sequence of (out,) array_like, optional

    Raises
    ------
    ValueError
        If shapes do not chain.

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
        activation: Activation,
        *,
        link: str = "identity",
        biases: Sequence[npt.ArrayLike] | None = None,
    ) -> None:
        if not len(weights):
            raise ValueError("weights must hold at least one matrix")
        matrices = [check_array("weights[0]", weights[0], ndim=2)]
        for i, matrix in enumerate(weights[1:], start=1):
            matrices.append(check_array(f"weights[{i}]", matrix, shape=(None, len(matrices[-1]))))
        self.weights = tuple(matrices)
        self.activation = activation
        self.link = check_choice("link", link, ("softmax", "sigmoid", "identity"))
        if biases is None:
            biases = [np.zeros(len(matrix)) for matrix in matrices]
        if len(biases) != len(matrices):
            raise ValueError(f"biases must be one a layer: {len(matrices)}, got {len(biases)}")
        self.biases = tuple(
            check_array(f"biases[{i}]", bias, shape=(len(matrix),))
            for i, (bias, matrix) in enumerate(zip(biases, matrices, strict=True))
        )
        self.d, self.n_y = self.weights[0].shape[1], len(self.weights[-1])

    def __repr__(self) -> str:
        widths = " -> ".join(str(w) for w in [self.d, *(len(matrix) for matrix in self.weights)])
        return f"FeedForward({widths}, activation={self.activation.name}, link={self.link})"

    def _layers(self, X: Array) -> list[Array]:
        """Return the pre-activations of every layer."""
        values, found = X, []
        for matrix, bias in zip(self.weights, self.biases, strict=True):
            found.append(values @ matrix.T + bias)
            values = self.activation(found[-1])
        return found

    def _output(self, last: Array) -> Array:
        if self.link == "softmax":
            return np.asarray(softmax(last, axis=1))
        return np.asarray(expit(last)) if self.link == "sigmoid" else last

    def __call__(self, X: npt.ArrayLike) -> Array:
        """Return E[y|x] at the rows of X, (n, n_y)."""
        X = check_array("X", X, shape=(None, self.d))
        return self._output(self._layers(X)[-1])

    def sample_labels(self, X: npt.ArrayLike, *, noise: float = 0.0, rng: Any = None) -> Array:
        """Draw labels (n, n_y): one-hot classes, independent bits, or E[y|x] plus Gaussian noise."""
        rng = np.random.default_rng(rng)
        means = self(X)
        if self.link == "identity":
            return means + noise * rng.standard_normal(means.shape) if noise else means
        if noise:
            raise ValueError("noise is for identity links only; softmax and sigmoid labels are drawn")
        if self.link == "sigmoid":
            return np.asarray(rng.random(means.shape) < means, dtype=np.float64)
        chosen = np.argmax(np.cumsum(means, axis=1) > rng.random((len(means), 1)), axis=1)
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
            for matrix, layer in zip(self.weights[:0:-1], layers[-2::-1], strict=True):
                top = (top @ matrix) * self.activation.derivative(1, layer)[:, None, :]
            yield top

    def jacobian(self, X: npt.ArrayLike) -> Array:
        """Return the gradient of E[y|x] at every row of X, (n, n_y, d)."""
        return np.concatenate(list(self._factors(X))) @ self.weights[0]

    def mean_factor(self, X: npt.ArrayLike) -> Array:
        r"""Return :math:`B = E[\sigma_2' A_2 \operatorname{Diag}\sigma_1']` over the sample, (n_y, k).

        :math:`E[\nabla E[y|x]] = B A_1`. SA Theorem 1 (there with the opposite sign); for deep
        networks SA Section 3.2.
        """
        return np.asarray(sum(part.sum(axis=0) for part in self._factors(X)) / len(np.asarray(X)))


class HiddenPolynomial:
    r"""GP's network: :math:`f = \sum_S c_S \prod_{i \in S} u(\langle w_i, x\rangle)`.

    A polynomial of hidden units, of which the linear part is what the landscape decodes.

    Parameters
    ----------
    weights : (k, d) array_like
        Rows :math:`w_i`.
    activation : Activation
        u, usually thresholded.
    terms : mapping from tuples of unit numbers to coefficients
        :math:`c_S`; () is the constant, (i,) the linear terms, (i, i) a square.

    Raises
    ------
    ValueError
        If a term names a unit that does not exist.

    Examples
    --------
    >>> from nnmoments.activations import linear
    >>> f = HiddenPolynomial([[1.0, 0.0], [0.0, 1.0]], linear, {(): 1.0, (0, 1): 2.0})
    >>> f([[3.0, 4.0]])
    array([25.])
    """

    def __init__(
        self,
        weights: npt.ArrayLike,
        activation: Activation,
        terms: Mapping[tuple[int, ...], float],
    ) -> None:
        self.weights = _check_weights(weights)
        self.activation = activation
        self.k, self.d = self.weights.shape
        if not terms:
            raise ValueError("terms must hold at least one coefficient")
        for term in terms:
            if not all(isinstance(i, int) and 0 <= i < self.k for i in term):
                raise ValueError(f"terms must name units 0 to {self.k - 1}, got {term}")
        self.terms = {tuple(term): float(c) for term, c in terms.items()}

    def __repr__(self) -> str:
        return (
            f"HiddenPolynomial(k={self.k}, d={self.d}, activation={self.activation.name}, "
            f"terms={len(self.terms)})"
        )

    def _units(self, X: npt.ArrayLike) -> Array:
        return check_array("X", X, shape=(None, self.d)) @ self.weights.T

    def __call__(self, X: npt.ArrayLike) -> Array:
        """Return f at the rows of X, (n,)."""
        units = self.activation(self._units(X))
        total = np.zeros(len(units))
        for term, coefficient in self.terms.items():
            total += coefficient * np.prod(units[:, term], axis=1)
        return total

    def directional_derivative(self, X: npt.ArrayLike, z: npt.ArrayLike, order: int) -> Array:
        r"""Return :math:`\nabla^m f(x)(z, \dots, z)`, (n,), by truncated Taylor series along z.

        Needs an activation without breakpoints; its Stein counterpart is :math:`T_m(z, \dots, z)`.
        """
        order = check_integer("order", order, 0, 4)
        slopes = self.weights @ check_array("z", z, shape=(self.d,))
        units = self._units(X)
        series = np.stack(
            [self.activation.derivative(j, units) * slopes**j / math.factorial(j) for j in range(order + 1)]
        )
        total = np.zeros(len(units))
        for term, coefficient in self.terms.items():
            product = np.zeros((order + 1, len(units)))
            product[0] = coefficient
            for i in term:
                product = _truncated_product(product, series[:, :, i])
            total += product[order]
        return total * math.factorial(order)


def _truncated_product(first: Array, second: Array) -> Array:
    """Multiply two power series (order + 1, n), dropping higher orders."""
    product = np.zeros_like(first)
    for i in range(len(first)):
        product[i:] += first[i] * second[: len(first) - i]
    return product


def _check_weights(weights: npt.ArrayLike) -> Array:
    weights = check_array("weights", weights, ndim=2)
    if not np.linalg.norm(weights, axis=1).all():
        raise ValueError("weights must not have a zero row")
    return weights


def conditioned_weights(k: int, d: int, *, condition: float = 1.0, rng: Any) -> Array:
    r"""Return random (k, d) weights with singular values equally spaced from 1 to `condition`.

    :math:`W = U \operatorname{Diag}(s) V^\top` with U, V uniformly distributed frames. ZS Section 6.

    Raises
    ------
    ValueError
        If k > d, or the condition number is below 1.

    Examples
    --------
    >>> np.linalg.svd(conditioned_weights(3, 5, condition=2.0, rng=0))[1].round(6)
    array([2. , 1.5, 1. ])
    """
    d = check_integer("d", d, 1)
    k = check_integer("k", k, 1, d)
    if check_number("condition", condition) < 1.0:
        raise ValueError(f"condition must be at least 1, got {condition}")
    rng = np.random.default_rng(rng)
    left, right = (_frame(rng.standard_normal((size, k))) for size in (k, d))
    return left @ (np.linspace(1.0, condition, k)[:, None] * right.T)


def _frame(matrix: Array) -> Array:
    """Return the orthonormal factor of a matrix, uniformly distributed if its entries are Gaussian."""
    q, r = np.linalg.qr(matrix)
    return np.asarray(q * np.sign(np.diag(r)))


def sparse_weights(k: int, d: int, *, density: float, rng: Any, normalize: bool = True) -> Array:
    r"""Return Bernoulli(theta)-Gaussian weights (k, d), rows of unit norm. SA Assumption A.5.

    A row without any entry is drawn again.

    Parameters
    ----------
    density : float
        theta, in (0, 1].

    Examples
    --------
    >>> A = sparse_weights(4, 50, density=0.2, rng=0)
    >>> A.shape, bool(np.allclose(np.linalg.norm(A, axis=1), 1.0))
    ((4, 50), True)
    """
    k, d = check_integer("k", k, 1), check_integer("d", d, 1)
    if not 0.0 < check_number("density", density) <= 1.0:
        raise ValueError(f"density must be in (0, 1], got {density}")
    rng = np.random.default_rng(rng)
    support = rng.random((k, d)) < density
    while len(empty := np.flatnonzero(~support.any(axis=1))):
        support[empty] = rng.random((len(empty), d)) < density
    weights = support * rng.standard_normal((k, d))
    return weights / np.linalg.norm(weights, axis=1, keepdims=True) if normalize else weights
