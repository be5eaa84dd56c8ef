r"""A network with a sparse first layer, from samples: moment, l1 recovery, regression, training. SA."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logsumexp, softmax
from scipy.stats import f as f_distribution
from scipy.stats import norm
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.covariance import ledoit_wolf
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d

from nnmoments.activations import Activation, get_activation
from nnmoments.densities import Gaussian, ScoreModel
from nnmoments.learners.base import MomentLearner, free_columns
from nnmoments.moments import MomentEstimate, first_moment
from nnmoments.results import Result
from nnmoments.sparse import SparseRecovery, recover_rows, row_basis
from nnmoments.validation import (
    Array,
    check_array,
    check_choice,
    check_instance,
    check_integer,
    check_number,
    check_sample_weight,
    finite_result,
)

__all__ = ["SparseNetworkClassifier", "TrainedNetwork", "train_network"]

_CONTROLS = ("none", "mean", "linear")
_LINKS = ("softmax", "sigmoid")
# The linear control is fitted on the other fold: below this many samples an input it only adds noise.
_SAMPLES_AN_INPUT = 10
_LEAST_SAMPLES = 4
_CHANCE = 1e-3  # of labels that do not depend on x
_TRUSTED = 0.2  # errors of rows of length one, as in SparseRecovery
_LARGEST = 1e100  # of moments and of the weight decay, so that squares are numbers


@dataclass(frozen=True, eq=False, repr=False)
class TrainedNetwork(Result):
    """Weights after gradient descent, with the loss reached.

    Attributes
    ----------
    weights, biases : tuples of arrays
        Layer by layer, (k_l, k_{l-1}) and (k_l,).
    activation : str or Activation
        Of all hidden layers.
    link : {"softmax", "sigmoid"}
    loss : float
    n_iter : int
    converged : bool
        Whether the descent ended by its tolerance, not by `max_iter`.
    status : str
    """

    weights: tuple[Array, ...] = field(repr=False)
    biases: tuple[Array, ...] = field(repr=False)
    activation: str | Activation
    link: str
    loss: float
    n_iter: int
    converged: bool
    status: str

    def logits(self, X: npt.ArrayLike) -> Array:
        """Return the values before the link, (n, n_y), at inputs (n, d)."""
        X = check_array("X", X, shape=(None, self.weights[0].shape[1]))
        return _forward(X, self.weights, self.biases, get_activation(self.activation))[0][-1]


def train_network(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    weights: Sequence[npt.ArrayLike],
    biases: Sequence[npt.ArrayLike],
    *,
    activation: str | Activation = "relu",
    link: str = "softmax",
    mask: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
    alpha: float = 1e-4,
    max_iter: int = 200,
    tol: float = 1e-5,
) -> TrainedNetwork:
    r"""Minimise the cross-entropy of a network by L-BFGS from given weights.

    .. math:: -\frac1n \sum_i \log p(y_i | x_i) + \frac\alpha2 \sum_l \|A_l\|_F^2

    with one class of several ("softmax"), or any set of labels, each on its own ("sigmoid").

    Parameters
    ----------
    X : (n, d) array_like
    Y : (n, n_y) array_like
        One-hot labels, or indicators from 0 to 1.
    weights, biases : sequences of array_like
        Start, layer by layer; one layer is (multinomial) logistic regression.
    activation : str or Activation
        Of all hidden layers.
    link : {"softmax", "sigmoid"}
    mask : (k, d) array_like of bool, optional
        Entries of the first layer that may move; the others stay zero.
    sample_weight : (n,) array_like, optional
    alpha : float
        Weight decay, above 0.
    max_iter : int
    tol : float
        Largest entry of the gradient at which the descent ends; it also ends where the loss no longer
        falls, by a share of 2e-9 at least.

    Returns
    -------
    TrainedNetwork

    Raises
    ------
    ValueError
        If layers do not fit one another or the sample, or another argument is not what it may be.

    Examples
    --------
    >>> X = np.array([[1.0], [-1.0]])
    >>> weights, biases = [[[1.0]], [[0.1], [0.0]]], [[0.0], [0.0, 0.0]]
    >>> net = train_network(X, np.eye(2), weights, biases, activation="tanh")
    >>> net.logits(X).argmax(axis=1)
    array([0, 1])
    """
    X = check_array("X", X, ndim=2)
    Y = check_array("Y", Y, shape=(len(X), None))
    phi = get_activation(activation)
    check_choice("link", link, _LINKS)
    alpha, tol = check_number("alpha", alpha, above=0.0, below=_LARGEST), check_number("tol", tol, above=0.0)
    if Y.min() < 0.0 or Y.max() > 1.0 or (link == "softmax" and np.abs(Y.sum(axis=1) - 1.0).max() > 1e-9):
        raise ValueError("Y must hold shares from 0 to 1, with rows that sum to 1 for link='softmax'")
    start, shifts = _checked_layers(weights, biases, X.shape[1], Y.shape[1])
    free = np.ones(start[0].shape, dtype=bool)
    if mask is not None:
        free = check_array("mask", mask, shape=start[0].shape) != 0.0
    start[0] = np.where(free, start[0], 0.0)
    weight = check_sample_weight(sample_weight, len(X))
    share = np.full(len(X), 1.0 / len(X)) if weight is None else weight / weight.sum()
    parts = [*start, *shifts]
    edges = np.cumsum([0, *(p.size for p in parts)])
    layers = len(start)

    def unpack(theta: Array) -> list[Array]:
        return [theta[a:b].reshape(p.shape) for p, a, b in zip(parts, edges[:-1], edges[1:], strict=True)]

    def loss(theta: Array) -> tuple[float, Array]:
        values = unpack(theta)
        W, b = values[:layers], values[layers:]
        before, after = _forward(X, W, b, phi)
        logits = before[-1]
        normaliser = logsumexp(logits, axis=1) if link == "softmax" else np.logaddexp(0, logits).sum(axis=1)
        value = float(share @ (normaliser - np.einsum("ij,ij->i", Y, logits)))
        value += alpha / 2.0 * sum(float(np.sum(w**2)) for w in W)
        delta = share[:, None] * (_probabilities(logits, link) - Y)
        gradients: list[Array] = [np.empty(0)] * (2 * layers)
        for layer in reversed(range(layers)):
            gradients[layer] = delta.T @ after[layer] + alpha * W[layer]
            gradients[layers + layer] = delta.sum(axis=0)
            if layer:
                delta = (delta @ W[layer]) * phi.derivative(1, before[layer - 1])
        gradients[0] = np.where(free, gradients[0], 0.0)
        return value, np.concatenate([g.ravel() for g in gradients])

    max_iter = check_integer("max_iter", max_iter, 1)
    result = minimize(
        loss,
        np.concatenate([p.ravel() for p in parts]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": max_iter, "gtol": tol},
    )
    final = unpack(np.asarray(result.x))
    # Status 2: no step lowers the loss any more, which is its precision, not a failure.
    converged = result.status != 1
    status = f"cross-entropy {result.fun:.4g} after {result.nit} iterations"
    if not converged:
        status += f", still falling: raise max_iter above {max_iter}"
    return TrainedNetwork(
        tuple(final[:layers]),
        tuple(final[layers:]),
        activation,
        link,
        float(result.fun),
        max(1, int(result.nit)),
        converged,
        status,
    )


def _checked_layers(
    weights: Sequence[npt.ArrayLike], biases: Sequence[npt.ArrayLike], d: int, n_y: int
) -> tuple[list[Array], list[Array]]:
    if not isinstance(weights, Sequence | np.ndarray) or not isinstance(biases, Sequence | np.ndarray):
        raise ValueError("weights and biases must be sequences of arrays, one a layer")
    if len(weights) != len(biases) or not len(weights):
        raise ValueError(
            f"biases must have one entry a layer, as weights has: {len(weights)}, got {len(biases)}"
        )
    layers: list[Array] = []
    for i, w in enumerate(weights):
        layers.append(check_array(f"weights[{i}]", w, shape=(None, len(layers[-1]) if layers else d)))
    if len(layers[-1]) != n_y:
        raise ValueError(f"weights[-1] must have a row for each column of Y: {n_y}, got {len(layers[-1])}")
    return layers, [check_array(f"biases[{i}]", b, shape=(len(layers[i]),)) for i, b in enumerate(biases)]


def _probabilities(logits: Array, link: str) -> Array:
    return np.asarray(softmax(logits, axis=1) if link == "softmax" else expit(logits))


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


class SparseNetworkClassifier(  # type: ignore[misc]
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    ClassifierMixin,  # type: ignore[misc]
    MomentLearner,
):
    r"""Classifier with a sparse first layer, learnt by the moment of labels and scores. SA.

    1. :math:`T_1 = E[y \otimes S_1(x)] = B A_1` with its standard errors (`first_moment`);
    2. the rows of A_1 up to sign and scale by l1 programmes (`recover_rows`);
    3. logistic regression of y on the hidden units of both signs, which settles the signs
       (SA Remark 5);
    4. optionally gradient descent (L-BFGS) on all weights, the first layer on its support.

    One class of several has a softmax; several labels at once, as an indicator matrix, have a sigmoid
    each. Inputs are standardised inside, so their units do not matter; weights are in the user's.
    `transform` projects x on the row span of A_1, which is sufficient for y when x is Gaussian
    (SA Remark 3).

    Parameters
    ----------
    n_hidden : int, optional
        k; by default the number of singular values of T_1 above its noise. At most one less than
        the number of classes, because the columns of centred labels sum to zero.
    activation : str or Activation
        Of all hidden layers; an even one has T_1 = 0.
    score_model : ScoreModel, optional
        Density of x, or an estimate of its score (`estimate_score`); by default a Gaussian with the
        sample's mean and shrunk covariance.
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
        Weight decay, above 0.
    max_iter : int
        Of L-BFGS, in step 3 and in step 4.
    tol : float
        Largest entry of the gradient at which step 4 ends.
    random_state : None, int, Generator or RandomState

    Attributes
    ----------
    classes_ : (n_y,) array
    weights_ : (k, d) array
        The first layer's rows, with their signs, after step 4.
    biases_ : (k,) array
    output_ : (n_y, k_L) array
        The top layer; with `upper_layers`, those between are in `network_`.
    intercept_ : (n_y,) array
    components_ : (k, d) array
        Orthonormal basis of the row span.
    network_ : TrainedNetwork
        All layers.
    n_iter_ : int
    converged_ : bool
        False, with a ConvergenceWarning, if rows are missing or known to less than 0.2, k was cut
        to what T_1 holds, programmes are not certified, step 4 stopped early, T_1 may be noise: its
        chance is above 0.001, or the score used is wrong by as much as makes rows wrong by 0.2.
    status_ : str
        What to do then.
    diagnostics_ : dict
        "moment" : MomentEstimate; "recovery" : SparseRecovery, of standardised inputs, with `row_error`
        and `unseen`; "training" : TrainedNetwork, the same; "chance": how probable a T_1 as large is where
        y does not depend on x; "score_defect" : (k,) array, how far a score that is not that of x moves
        rows of T_1, which step 4 may mend: :math:`B^+ (E[p(x) \otimes S_1(x)] - E[\nabla p(x)])` beside
        the rows, with p the probabilities found less their linear part; 0 if by chance.

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
    >>> rows = model.weights_ / np.linalg.norm(model.weights_, axis=1, keepdims=True)
    >>> bool(match_rows(rows, A).worst < 0.15), model.transform(X).shape
    (True, (20000, 3))
    """

    def __init__(
        self,
        n_hidden: int | None = None,
        *,
        activation: str | Activation = "relu",
        score_model: ScoreModel | None = None,
        upper_layers: Sequence[int] = (),
        control: str = "linear",
        columns: str = "fast",
        fine_tune: bool = True,
        alpha: float = 1e-4,
        max_iter: int = 500,
        tol: float = 1e-5,
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
        self.tol = tol
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Return the tags: several labels at once are accepted, and precision is kept."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> "SparseNetworkClassifier":
        """Learn from a sample.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) or (n, n_y) array_like
            Class labels, or indicators of several labels.
        sample_weight : (n,) array_like, optional

        Returns
        -------
        SparseNetworkClassifier
            Itself.

        Raises
        ------
        ValueError
            If the sample or a parameter does not fit.
        """
        X, labels = self._validated(X, y, min_samples=_LEAST_SAMPLES, multi_output=True)
        self._check_parameters()
        rng = self._rng()
        weight = self._weights_of(sample_weight, len(X))
        if weight is not None:  # samples without weight take no part: neither in folds nor as classes
            X, labels, weight = X[weight > 0], labels[weight > 0], weight[weight > 0]
            if len(X) < _LEAST_SAMPLES:
                raise ValueError(f"sample_weight must be above 0 for {_LEAST_SAMPLES} samples, got {len(X)}")
        Y, link = self._indicators(labels)
        centre, spread = _centre_and_spread(X, weight)
        Z = (X - centre) / spread
        moment = self._moment(X, Z, Y, spread, weight)
        recovery, notes = self._recover(moment, Y, link, rng)
        score = None if self.score_model is None else self.score_model.score(X, 1)
        chance = _chance(Z if score is None else score, Y, weight)
        if chance > _CHANCE:
            notes.append(
                f"labels that do not depend on x give as large a T_1 with probability {chance:.1g}: "
                "pass more samples, or another activation if theirs is even"
            )
        start = self._signed(Z, Y, recovery.rows, link, weight, rng)
        network = start
        if self.fine_tune:
            network = self._trained(Z, Y, start.weights, start.biases, link, weight, recovery.support)
            if not network.converged:
                notes.append(network.status)
        score = _fitted_gaussian(Z).score(Z, 1) if score is None else score * spread * Z.any(axis=0)
        defect = _score_defect(Z, score, network, moment.value, recovery.rows, weight)
        known = np.hypot(recovery.row_error, recovery.unseen)
        if (defect > 0.0).any() and not np.hypot(known, defect).max() <= _TRUSTED:
            notes.append(
                "inputs are not as the score used says: by Stein's identity of the network itself, rows of "
                f"T_1 are off by up to {defect.max():.2g} for it; pass another score_model"
            )
        self._store(**_in_units(network, centre, spread))
        self._store(components=np.linalg.qr((_unit_rows(recovery.rows / spread)).T)[0].T)
        self._n_features_out = len(self.components_)
        self.n_iter_ = network.n_iter
        self.diagnostics_: dict[str, Any] = {
            "moment": moment,
            "recovery": recovery,
            "training": network,
            "chance": chance,
            "score_defect": defect,
        }
        # Fewer rows than columns lie in a subspace whatever the columns are: tests of the moment judge that.
        tied = _tied(Z, weight) if len(Z) > Z.shape[1] else ""
        self._conclude(not notes and recovery.converged, "; ".join([*notes, recovery.status]), tied)
        return self

    def _check_parameters(self) -> None:
        self._activation()
        check_choice("control", self.control, _CONTROLS)
        check_choice("columns", self.columns, ("fast", "all", "pairs"))
        check_choice("fine_tune", self.fine_tune, (True, False))
        if self.score_model is not None:
            check_instance("score_model", self.score_model, ScoreModel)
        check_integer("max_iter", self.max_iter, 1)
        check_number("alpha", self.alpha, above=0.0, below=_LARGEST)
        check_number("tol", self.tol, above=0.0)
        if self.n_hidden is not None:
            check_integer("n_hidden", self.n_hidden, 1)
        if not isinstance(self.upper_layers, Sequence | np.ndarray) or isinstance(self.upper_layers, str):
            raise ValueError(f"upper_layers must be a sequence of integers, got {self.upper_layers!r}")
        for width in self.upper_layers:
            check_integer("upper_layers", width, 1)

    def _indicators(self, labels: npt.NDArray[Any]) -> tuple[Array, str]:
        """Return labels as a matrix (n, n_y), and the link: one class of several, or any set of labels."""
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = column_or_1d(labels, warn=True)
        if labels.ndim == 2:
            if type_of_target(labels) != "multilabel-indicator":
                raise ValueError("y must be class labels (n,), or a matrix of 0 and 1 for several labels")
            self.classes_ = np.arange(labels.shape[1])
            return labels.astype(np.float64), "sigmoid"
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold at least two classes, got one class: {self.classes_}")
        return np.eye(len(self.classes_))[index], "softmax"

    def _moment(self, X: Array, Z: Array, Y: Array, spread: Array, weight: Array | None) -> MomentEstimate:
        """Estimate T_1 of standardised inputs; a score of the user's is of x, and T_1 scales with x."""
        control = self.control
        if control == "linear" and len(X) < _SAMPLES_AN_INPUT * X.shape[1]:
            control = "mean"
        varies = Z.any(axis=0)
        if not varies.any():
            raise ValueError("X must vary in some input: all of them are constant")
        if self.score_model is None:
            moment = first_moment(Z, Y, _fitted_gaussian(Z), control=control, sample_weight=weight)
            unit = varies.astype(np.float64)
        else:
            moment = first_moment(X, Y, self.score_model, control=control, sample_weight=weight)
            unit = spread * varies
            if np.abs(moment.value * unit).max() > _LARGEST:
                raise ValueError(
                    "X is far from the density of score_model: T_1 is beyond the range of doubles"
                )
        return replace(moment, value=moment.value * unit, standard_error=moment.standard_error * unit)

    def _recover(
        self, moment: MomentEstimate, Y: Array, link: str, rng: np.random.Generator
    ) -> tuple[SparseRecovery, list[str]]:
        """Recover as many rows as asked for and as the moment holds; return what is wrong with it."""
        M, error, notes = moment.value, moment.standard_error, []
        k = self.n_hidden
        if k is None:
            try:
                k = row_basis(M, standard_error=error).k
            except ValueError:
                k = 1
                notes.append("T_1 does not stand out of its noise: one hidden unit kept; pass more samples")
        elif k > (rank := row_basis(M).k):
            holds = f"{Y.shape[1]} classes" if link == "softmax" else f"{Y.shape[1]} labels"
            notes.append(
                f"n_hidden = {k} exceeds what T_1 of {holds} and {M.shape[1]} inputs can hold, {rank}: "
                "more classes or inputs are needed"
            )
            k = rank
        return recover_rows(M, k=k, columns=self.columns, standard_error=error, rng=rng), notes

    def _signed(
        self, Z: Array, Y: Array, rows: Array, link: str, weight: Array | None, rng: np.random.Generator
    ) -> TrainedNetwork:
        """Settle signs and the top layer by logistic regression; upper layers are random."""
        phi, k = self._activation(), len(rows)
        z = Z @ rows.T
        both = self._regression(np.hstack([phi(z), phi(-z)]), Y, link, weight)
        strength = np.linalg.norm(both.weights[0], axis=0)
        layers = [np.where(strength[:k] >= strength[k:], 1.0, -1.0)[:, None] * rows]
        shifts = [np.zeros(k)]
        hidden = phi(Z @ layers[0].T)
        for width in self.upper_layers:
            fan = hidden.shape[1]
            layers.append(rng.standard_normal((width, fan)) * (2 / fan) ** 0.5)
            shifts.append(np.zeros(width))
            hidden = phi(hidden @ layers[-1].T)
        top = self._regression(hidden, Y, link, weight)
        return replace(top, weights=(*layers, *top.weights), biases=(*shifts, *top.biases))

    def _regression(self, H: Array, Y: Array, link: str, weight: Array | None) -> TrainedNetwork:
        n_y = Y.shape[1]
        return self._trained(H, Y, [np.zeros((n_y, H.shape[1]))], [np.zeros(n_y)], link, weight, None)

    def _trained(
        self,
        X: Array,
        Y: Array,
        weights: Sequence[Array],
        biases: Sequence[Array],
        link: str,
        weight: Array | None,
        mask: npt.NDArray[np.bool_] | None,
    ) -> TrainedNetwork:
        return train_network(
            X,
            Y,
            weights,
            biases,
            activation=self.activation,
            link=link,
            mask=mask,
            sample_weight=weight,
            alpha=self.alpha,
            max_iter=self.max_iter,
            tol=self.tol,
        )

    @finite_result("X")
    def _logits(self, X: npt.ArrayLike) -> Array:
        inputs, dtype = self._inputs(X)
        return self.network_.logits(inputs).astype(dtype)

    @finite_result("X")
    def transform(self, X: npt.ArrayLike) -> Array:
        """Project inputs on the row span of the first layer.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n, k) array
        """
        inputs, dtype = self._inputs(X)
        return np.asarray(inputs @ self.components_.T).astype(dtype)

    def decision_function(self, X: npt.ArrayLike) -> Array:
        """Return logits; with two classes their difference.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n, n_y) or (n,) array
        """
        logits = self._logits(X)
        two = self.network_.link == "softmax" and logits.shape[1] == 2
        return logits[:, 1] - logits[:, 0] if two else logits

    def predict_proba(self, X: npt.ArrayLike) -> Array:
        """Return probabilities of the classes, or of each of several labels.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n, n_y) array
        """
        return _probabilities(self._logits(X), self.network_.link)

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the most probable class, or which of several labels are probable.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n,) or (n, n_y) array
        """
        logits = self._logits(X)
        if self.network_.link == "sigmoid":
            return (logits > 0.0).astype(np.intp)
        return np.asarray(self.classes_[logits.argmax(axis=1)])


def _chance(S: Array, Y: Array, weight: Array | None) -> float:
    r"""Return the probability that labels which do not depend on x are explained as well by its scores.

    Pillai's trace :math:`V = \sum_i R_i^2` of the canonical correlations of S and Y, by its F test.
    """
    w = np.ones(len(S)) if weight is None else weight
    n = w.sum() ** 2 / np.sum(w**2)
    bases = []
    for columns in (S, Y):
        columns = columns / max(np.abs(columns).max(), np.finfo(np.float64).tiny)
        left = np.sqrt(w)[:, None] * (columns - np.average(columns, axis=0, weights=w))
        values, vectors = np.linalg.eigh(left.T @ left)
        kept = values > 1e-10 * values[-1]
        bases.append(left @ (vectors[:, kept] / np.sqrt(values[kept])))
    p, q = (basis.shape[1] for basis in bases)
    s = min(p, q)
    free = s * (n - 1 - p - q + s)
    if free <= 0 or s == 0:
        return 1.0
    V = float(np.sum((bases[0].T @ bases[1]) ** 2))
    return float(f_distribution.sf(V / max(s - V, 1e-300) * free / (p * q), p * q, free))


def _score_defect(
    Z: Array, score: Array, network: TrainedNetwork, M: Array, rows: Array, weight: Array | None
) -> Array:
    r"""Return how far rows of T_1 are off because the score is not that of x; 0 where that may be chance.

    .. math:: \Delta = E[p(x) \otimes S_1(x)] - E[\nabla p(x)]

    vanishes for every function p if S_1 is the score of x (Stein), so for the probabilities p of the
    network found, right or wrong, and for these less their linear part, which is known better. The moment of
    labels that follow p is off by Delta, and row i by row i of :math:`B^+ \Delta`, of which the part along
    itself is no error; that of noise is taken off the squared length.
    """
    inverse = np.linalg.pinv(M @ np.linalg.pinv(rows))
    share = np.full(len(Z), 1.0 / len(Z)) if weight is None else weight / weight.sum()
    phi, layers = get_activation(network.activation), network.weights
    before, _ = _forward(Z, layers, network.biases, phi)
    p = _probabilities(before[-1], network.link)
    root = np.sqrt(share)[:, None]
    line = np.hstack([np.ones((len(Z), 1)), Z])
    level = norm.isf(_CHANCE / (2.0 * rows.size))
    found = np.zeros(len(rows))
    for i, (row, w) in enumerate(zip(rows, inverse, strict=True)):
        value = p @ w
        linear = np.linalg.lstsq(root * line, root[:, 0] * value, rcond=None)[0]
        slope = p * (w - value[:, None]) if network.link == "softmax" else p * (1.0 - p) * w
        for layer in reversed(range(1, len(layers))):
            slope = (slope @ layers[layer]) * phi.derivative(1, before[layer - 1])
        terms = (value - line @ linear)[:, None] * score - (slope @ layers[0] - linear[1:])
        off = share @ terms
        error = np.sqrt(share**2 @ (terms - off) ** 2)
        off -= (off @ row) * row
        if np.any(np.abs(off) > level * error):
            found[i] = np.sqrt(max(float(np.sum(off**2 - error**2)), 0.0))
    return found


def _centre_and_spread(X: Array, weight: Array | None) -> tuple[Array, Array]:
    """Return means and standard deviations of the inputs; 1 for those that do not vary."""
    size = np.abs(X).max(axis=0)
    size[size == 0.0] = 1.0
    scaled = X / size
    mean = np.average(scaled, axis=0, weights=weight)
    spread = np.sqrt(np.average((scaled - mean) ** 2, axis=0, weights=weight))
    # What differs by rounding only does not vary.
    spread[spread <= 1e-12 * np.abs(mean)] = 0.0
    return np.where(spread > 0.0, mean * size, X[0]), np.where(spread > 0.0, spread * size, 1.0)


def _tied(Z: Array, weight: Array | None) -> str:
    covariance = np.atleast_2d(np.cov(Z, rowvar=False, aweights=weight, ddof=0))
    return free_columns(np.zeros(Z.shape[1]), covariance).tied


def _unit_rows(rows: Array) -> Array:
    rows = rows / np.abs(rows).max(axis=1, keepdims=True)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _in_units(network: TrainedNetwork, centre: Array, spread: Array) -> dict[str, Any]:
    """Return the fitted attributes of a network of (x - centre) / spread as one of x."""
    first = network.weights[0] / spread
    shift = network.biases[0] - first @ centre
    whole = replace(network, weights=(first, *network.weights[1:]), biases=(shift, *network.biases[1:]))
    return {
        "network": whole,
        "weights": first,
        "biases": shift,
        "output": whole.weights[-1],
        "intercept": whole.biases[-1],
    }


def _fitted_gaussian(X: Array) -> Gaussian:
    covariance, _ = ledoit_wolf(X)
    # An input that does not vary carries nothing; it must not make the covariance singular.
    floor = 1e-10 * max(float(np.trace(covariance)) / len(covariance), np.finfo(np.float64).tiny)
    return Gaussian(X.mean(axis=0), covariance + floor * np.eye(len(covariance)))
