r"""A network with a sparse first layer, from samples: moment, l1 recovery, softmax regression. SA."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.covariance import ledoit_wolf
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from nnmoments.activations import Activation, relu, sigmoid, softplus, tanh
from nnmoments.densities import Gaussian
from nnmoments.densities.base import ScoreModel
from nnmoments.moments import first_moment
from nnmoments.sparse import SparseRecovery, recover_rows, row_basis
from nnmoments.validation import Array, check_array, check_choice, check_integer

__all__ = ["SparseNetworkClassifier", "TrainedNetwork", "train_network"]

_ACTIVATIONS: dict[str, Activation] = {a.name.lower(): a for a in (relu, sigmoid, softplus, tanh)}
# The linear control is fitted on the other fold: below this many samples an input it only adds noise.
_SAMPLES_AN_INPUT = 10


@dataclass(frozen=True)
class TrainedNetwork:
    """Weights after gradient descent, with the loss reached."""

    weights: tuple[Array, ...] = field(repr=False)
    biases: tuple[Array, ...] = field(repr=False)
    activation: str
    loss: float
    iterations: int

    def logits(self, X: Array) -> Array:
        """Return the values before the softmax, (n, n_y)."""
        return _forward(X, self.weights, self.biases, _ACTIVATIONS[self.activation])[0][-1]


def train_network(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    weights: Sequence[npt.ArrayLike],
    biases: Sequence[npt.ArrayLike],
    *,
    activation: str,
    mask: npt.ArrayLike | None = None,
    alpha: float = 1e-4,
    max_iter: int = 200,
) -> TrainedNetwork:
    r"""Minimise the cross-entropy of a softmax network by L-BFGS from given weights.

    .. math:: -\frac1n \sum_i \log p_{y_i}(x_i) + \frac\alpha2 \sum_l \|A_l\|_F^2

    Parameters
    ----------
    X : (n, d) array_like
    Y : (n, n_y) array_like
        One-hot labels.
    weights, biases : sequences
        Start, layer by layer.
    activation : {"relu", "sigmoid", "softplus", "tanh"}
        Of all hidden layers.
    mask : (k, d) array_like of bool, optional
        Entries of the first layer that may move; the others stay zero.
    alpha : float
    max_iter : int

    Examples
    --------
    >>> X = np.array([[1.0], [-1.0]])
    >>> net = train_network(X, np.eye(2), [[[1.0]], [[0.1], [0.0]]], [[0.0], [0.0, 0.0]], activation="tanh")
    >>> net.logits(X).argmax(axis=1)
    array([0, 1])
    """
    X, Y = check_array("X", X, ndim=2), check_array("Y", Y, ndim=2)
    phi = _ACTIVATIONS[check_choice("activation", activation, tuple(_ACTIVATIONS))]
    start = [check_array(f"weights[{i}]", w, ndim=2) for i, w in enumerate(weights)]
    free = np.ones(start[0].shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    start[0] = np.where(free, start[0], 0.0)
    parts = [*start, *(check_array(f"biases[{i}]", b, ndim=1) for i, b in enumerate(biases))]
    edges = np.cumsum([0, *(p.size for p in parts)])
    layers = len(start)

    def unpack(theta: Array) -> list[Array]:
        return [theta[a:b].reshape(p.shape) for p, a, b in zip(parts, edges[:-1], edges[1:], strict=True)]

    def loss(theta: Array) -> tuple[float, Array]:
        values = unpack(theta)
        W, b = values[:layers], values[layers:]
        before, after = _forward(X, W, b, phi)
        logits = before[-1]
        value = float(np.mean(logsumexp(logits, axis=1) - np.einsum("ij,ij->i", Y, logits)))
        value += alpha / 2.0 * sum(float(np.sum(w**2)) for w in W)
        delta = (softmax(logits, axis=1) - Y) / len(X)
        gradients: list[Array] = [np.empty(0)] * (2 * layers)
        for layer in reversed(range(layers)):
            gradients[layer] = delta.T @ after[layer] + alpha * W[layer]
            gradients[layers + layer] = delta.sum(axis=0)
            if layer:
                delta = (delta @ W[layer]) * phi.derivative(1, before[layer - 1])
        gradients[0] = np.where(free, gradients[0], 0.0)
        return value, np.concatenate([g.ravel() for g in gradients])

    result = minimize(
        loss,
        np.concatenate([p.ravel() for p in parts]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": check_integer("max_iter", max_iter, 1)},
    )
    final = unpack(np.asarray(result.x))
    return TrainedNetwork(
        tuple(final[:layers]), tuple(final[layers:]), activation, float(result.fun), max(1, int(result.nit))
    )


def _forward(
    X: Array, weights: Sequence[Array], biases: Sequence[Array], phi: Activation
) -> tuple[list[Array], list[Array]]:
    """Return the values before each layer's activation, and the inputs of each layer."""
    before: list[Array] = []
    after = [X]
    for W, b in zip(weights, biases, strict=True):
        before.append(after[-1] @ W.T + b)
        after.append(phi(before[-1]))
    return before, after


class SparseNetworkClassifier(TransformerMixin, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    r"""Softmax network with a sparse first layer, learnt by the moment of labels and scores. SA.

    1. :math:`T_1 = E[y \otimes S_1(x)] = B A_1` with its standard errors (`first_moment`);
    2. the rows of A_1 up to sign and scale by l1 programmes (`recover_rows`);
    3. softmax regression of y on the hidden units of both signs, which settles the signs
       (SA Remark 5);
    4. optionally gradient descent (L-BFGS) on all weights, the first layer on its support.

    `transform` projects x on the row span of A_1, which is sufficient for y when x is Gaussian
    (SA Remark 3).

    Parameters
    ----------
    n_hidden : int, optional
        k; by default the number of singular values of T_1 above its noise. At most one less than
        the number of classes, because the columns of centred labels sum to zero.
    activation : {"relu", "sigmoid", "softplus", "tanh"}
    score_model : ScoreModel, optional
        Density of x; by default a Gaussian with the sample's mean and shrunk covariance.
    upper_layers : sequence of int
        Widths of hidden layers above the first. They start at random and are only trained in
        step 4; the moment sees through them (SA Theorem 3).
    control : {"none", "mean", "linear"}
        See `first_moment`; the linear one is used from ten samples an input.
    columns : {"fast", "all", "pairs"}
        See `recover_rows`.
    fine_tune : bool
        Whether to do step 4.
    alpha : float
        Weight decay.
    max_iter : int
        Of L-BFGS and of softmax regression.
    random_state : int, RandomState or None

    Attributes
    ----------
    classes_ : (n_y,) array
    moment_ : MomentEstimate
    recovery_ : SparseRecovery
    first_layer_ : (k, d) array
        Unit rows of A_1 as recovered, before step 4.
    network_ : TrainedNetwork
    components_ : (k, d) array
        Orthonormal basis of the row span.
    status_ : str
        What to do if the moment did not hold enough.

    References
    ----------
    .. [1] H. Sedghi, A. Anandkumar, "Provable methods for training neural networks with sparse
       connectivity", arXiv:1412.2693.

    Examples
    --------
    >>> from nnmoments.activations import relu
    >>> from nnmoments.networks import FeedForward, sparse_weights
    >>> rng = np.random.default_rng(0)
    >>> A = sparse_weights(3, 30, density=0.2, rng=rng)
    >>> teacher = FeedForward([A, 4.0 * rng.standard_normal((6, 3))], relu, link="softmax")
    >>> X = rng.standard_normal((20_000, 30))
    >>> y = teacher.sample_labels(X, rng=rng).argmax(axis=1)
    >>> model = SparseNetworkClassifier(n_hidden=3, random_state=0).fit(X, y)
    >>> from nnmoments.linalg import match_rows
    >>> bool(match_rows(model.first_layer_, A).worst < 0.15), model.transform(X).shape
    (True, (20000, 3))
    """

    def __init__(
        self,
        n_hidden: int | None = None,
        *,
        activation: str = "relu",
        score_model: ScoreModel | None = None,
        upper_layers: Sequence[int] = (),
        control: str = "linear",
        columns: str = "fast",
        fine_tune: bool = True,
        alpha: float = 1e-4,
        max_iter: int = 200,
        random_state: Any = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.activation = activation
        self.score_model = score_model
        self.upper_layers = upper_layers
        self.control = control
        self.columns = columns
        self.fine_tune = fine_tune
        self.alpha = alpha
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> "SparseNetworkClassifier":
        """Learn from X (n, d) and class labels y (n,)."""
        checked, labels = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=4)
        X = np.asarray(checked, dtype=np.float64)
        check_classification_targets(labels)
        check_choice("activation", self.activation, tuple(_ACTIVATIONS))
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold at least two classes, got one class: {self.classes_}")
        Y = np.eye(len(self.classes_))[index]
        model = _fitted_gaussian(X) if self.score_model is None else self.score_model
        self.moment_ = first_moment(X, Y, model, control=self._control(X))
        self.recovery_ = self._recover(rng)
        self.first_layer_ = self.recovery_.rows
        self.components_ = np.linalg.qr(self.first_layer_.T)[0].T
        self.network_ = self._stack(X, Y, index, rng)
        self.n_iter_ = self.network_.iterations
        return self

    def _control(self, X: Array) -> str:
        if self.control == "linear" and len(X) < _SAMPLES_AN_INPUT * X.shape[1]:
            return "mean"
        return self.control

    def _recover(self, rng: np.random.Generator) -> SparseRecovery:
        M, error = self.moment_.value, self.moment_.standard_error
        k, note = self.n_hidden, ""
        if k is None:
            try:
                k = row_basis(M, standard_error=error).k
            except ValueError:
                k, note = 1, "T_1 does not stand out of its noise: one hidden unit kept; pass more samples. "
        else:
            k = check_integer("n_hidden", k, 1)
            rank = row_basis(M).k
            if k > rank:
                note = (
                    f"n_hidden = {k} exceeds what T_1 can hold, {rank}: more classes or inputs are needed. "
                )
                k = rank
        recovery = recover_rows(M, k=k, columns=self.columns, standard_error=error, rng=rng)
        self.status_ = note + recovery.status
        return recovery

    def _stack(
        self, X: Array, Y: Array, index: npt.NDArray[np.intp], rng: np.random.Generator
    ) -> TrainedNetwork:
        """Settle signs and the top layer by softmax regression, then train what is to be trained."""
        phi = _ACTIVATIONS[self.activation]
        A, k = self.first_layer_, len(self.first_layer_)
        z = X @ A.T
        both = np.hstack([phi(z), phi(-z)])
        decay = 1.0 / (max(self.alpha, 1e-12) * len(X))
        regression = LogisticRegression(C=decay, max_iter=self.max_iter, tol=1e-3)
        top = _softmax_weights(_quietly(regression, both, index))[0]
        strength = np.linalg.norm(top, axis=0)
        signs = np.where(strength[:k] >= strength[k:], 1.0, -1.0)
        A = signs[:, None] * A
        hidden = phi(X @ A.T)
        layers, shifts = [A], [np.zeros(k)]
        for width in self.upper_layers:
            fan = hidden.shape[1]
            layers.append(
                rng.standard_normal((check_integer("upper_layers", width, 1), fan)) * (2 / fan) ** 0.5
            )
            shifts.append(np.zeros(width))
            hidden = phi(hidden @ layers[-1].T)
        last, shift = _softmax_weights(_quietly(regression, hidden, index))
        layers.append(last)
        shifts.append(shift)
        if self.fine_tune:
            return train_network(
                X,
                Y,
                layers,
                shifts,
                activation=self.activation,
                mask=self.recovery_.support,
                alpha=self.alpha,
                max_iter=self.max_iter,
            )
        return TrainedNetwork(tuple(layers), tuple(shifts), self.activation, np.nan, 1)

    def transform(self, X: npt.ArrayLike) -> Array:
        """Project X (n, d) on the row span of the first layer: (n, k)."""
        inputs = self._inputs(X)
        return np.asarray(inputs @ self.components_.T)

    def decision_function(self, X: npt.ArrayLike) -> Array:
        """Return logits (n, n_y); with two classes their difference (n,)."""
        inputs = self._inputs(X)
        logits = self.network_.logits(inputs)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: npt.ArrayLike) -> Array:
        """Return class probabilities (n, n_y)."""
        inputs = self._inputs(X)
        return np.asarray(softmax(self.network_.logits(inputs), axis=1))

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the most probable class of each row of X."""
        chosen = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    def _inputs(self, X: npt.ArrayLike) -> Array:
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=np.float64, reset=False), dtype=np.float64)


def _fitted_gaussian(X: Array) -> Gaussian:
    covariance, _ = ledoit_wolf(X)
    # An input that does not vary carries nothing; it must not make the covariance singular.
    floor = 1e-10 * max(float(np.trace(covariance)) / len(covariance), np.finfo(np.float64).tiny)
    return Gaussian(X.mean(axis=0), covariance + floor * np.eye(len(covariance)))


def _quietly(regression: LogisticRegression, H: Array, index: npt.NDArray[np.intp]) -> LogisticRegression:
    """Fit; an unfinished fit is no matter here, the signs and a start are all that is asked of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return regression.fit(H, index)


def _softmax_weights(regression: LogisticRegression) -> tuple[Array, Array]:
    """Return weights and intercepts of one row a class, also for two classes."""
    W, b = regression.coef_, regression.intercept_
    if len(W) == 1:
        return np.vstack([-W / 2, W / 2]), np.concatenate([-b / 2, b / 2])
    return W, b
