"""The learner of GM: samples of a network's input and label in, its weights out, no density given."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nnmoments.activations import Activation, relu, sigmoid, softplus, squared_relu, tanh
from nnmoments.densities.base import ScoreModel
from nnmoments.landscapes.fourth_order import FourthOrderLoss, random_rows
from nnmoments.moments import ControlVariate, cross_moment
from nnmoments.moments.forms import TensorMoment
from nnmoments.networks import OneHiddenLayer
from nnmoments.optimize import quasi_newton
from nnmoments.scores import LocalLikelihood, NearestNeighbor
from nnmoments.validation import Array, check_choice, check_integer, check_number

__all__ = ["GeneralInputNetwork"]

# Named, because functions do not pickle.
_ACTIVATIONS: dict[str, Activation] = {
    "relu": relu,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "squared_relu": squared_relu,
    "tanh": tanh,
}
# Bandwidth in standard deviations: for S_4 in several dimensions narrower windows hold too few samples
# (logistic input, d = 5, n = 10,000: error 0.2 where this width gives 0.006), wider ones see a Gaussian.
_WINDOW = 1.65
# Samples of a fold for each coefficient of the polynomial that is removed from its labels.
_SAMPLES_A_COEFFICIENT = 10


class GeneralInputNetwork(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    r"""Learn :math:`E[y|x] = \sum_i v_i\,\phi(\langle w_i, x\rangle)` from x of any density.

    The rows :math:`w_i` are orthonormal, or nearly so.

    1. The score of x is estimated by local likelihood, unless it is given (GM Section 2).
    2. :math:`T_4 = E[y\,S_4(x)]`, with a control variate.
    3. L is minimised from random starts; its rows are the :math:`w_i` up to sign (GM Section 3).
    4. v by least squares, on units of both signs first, which settles the signs.

    Parameters
    ----------
    k : int
        Number of units, at most d.
    activation : {"relu", "sigmoid", "softplus", "squared_relu", "tanh"}
    score_model : ScoreModel, optional
        A fitted score of x, if a better one than the default is known:
        `LocalLikelihood` of degree 2 in a wide window, of degree 4 in d <= 3.
    mu, lam : float
        Weights of L in units of the largest kappa; the defaults are Theorem 2's.
    starts : int
    random_state : int, RandomState or None

    Attributes
    ----------
    W_ : (k, d) array
        Unit rows.
    v_ : (k,) array
    moment_ : (d, d, d, d) array
        The estimate of T_4.
    value_ : float
        The least L found.
    agreement_ : float
        Share of the starts that ended at it.
    residual_ : float
        Root mean square of the labels' residual, relative to their standard deviation.
    status_ : str

    References
    ----------
    .. [1] W. Gao, A. V. Makkuva, S. Oh, P. Viswanath, "Learning one-hidden-layer neural networks
       under general input distributions", AISTATS 2019, Sections 3 and 4.2.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(20_000, rng=0)
    >>> y = np.maximum(X, 0.0).sum(axis=1)
    >>> model = GeneralInputNetwork(2, score_model=StandardNormal(2), random_state=0).fit(X, y)
    >>> bool(np.abs(model.W_).max(axis=1).min() > 0.99), model.predict(X).shape
    (True, (20000,))
    """

    def __init__(
        self,
        k: int = 1,
        activation: str = "relu",
        *,
        score_model: ScoreModel | None = None,
        mu: float = 0.01,
        lam: float = 100.0,
        starts: int = 10,
        random_state: Any = None,
    ) -> None:
        self.k = k
        self.activation = activation
        self.score_model = score_model
        self.mu = mu
        self.lam = lam
        self.starts = starts
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Say that a network without biases on orthonormal directions need not fit any data well."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> "GeneralInputNetwork":
        """Learn from X (n, d) and y (n,)."""
        checked, labels = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=4)
        X, y = np.asarray(checked, dtype=np.float64), np.asarray(labels, dtype=np.float64)
        d = X.shape[1]
        k = check_integer("k", self.k, 1, d)
        starts = check_integer("starts", self.starts, 1)
        mu, lam = check_number("mu", self.mu, above=0.0), check_number("lam", self.lam, above=0.0)
        phi = _ACTIVATIONS[check_choice("activation", self.activation, tuple(_ACTIVATIONS))]
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        score = self.score_model
        if score is None:
            score = _default_score(X)
        # An estimated score is orthogonal to constants only nearly: centring y removes a bias as well.
        self.moment_ = cross_moment(X, y, score, 4, control=_control(*X.shape)).value
        total = float(np.einsum("aabb->", self.moment_))  # the sum of the kappas, if rows are unit
        # The spectral norm of the unfolded tensor: the largest |kappa|, which Theorem 2 sets against lambda.
        scale = max(float(np.linalg.norm(self.moment_.reshape(d * d, d * d), 2)), 1e-300)
        loss = FourthOrderLoss(TensorMoment(self.moment_ / scale), mu, lam, 1.0 if total >= 0 else -1.0)
        ends = [quasi_newton(loss, A) for A in random_rows(k, d, count=starts, rng=rng)]
        best = min(ends, key=lambda end: end.value)
        agree = np.mean([end.value <= best.value + 1e-4 * abs(best.value) for end in ends])
        rows = best.weights / np.linalg.norm(best.weights, axis=1, keepdims=True)
        self.W_ = _signed_rows(X, y, rows, phi)
        hidden = phi(X @ self.W_.T)
        self.v_ = np.asarray(np.linalg.lstsq(hidden, y, rcond=None)[0], dtype=np.float64)
        self.value_, self.agreement_ = best.value, float(agree)
        spread = max(float(y.std()), np.finfo(np.float64).tiny)
        self.residual_ = float(np.sqrt(np.mean((y - hidden @ self.v_) ** 2))) / spread
        note = "" if agree > 0.5 else "; fewer than half agree: T_4 is noisy, pass more samples"
        self.status_ = f"{best.status}; {agree:.0%} of {starts} starts end at the least value{note}"
        return self

    def predict(self, X: npt.ArrayLike) -> Array:
        """Return the fitted network's values at the rows of X, (n,)."""
        check_is_fitted(self)
        inputs = np.asarray(validate_data(self, X, dtype=np.float64, reset=False), dtype=np.float64)
        return OneHiddenLayer(self.W_, _ACTIVATIONS[self.activation], self.v_)(inputs)


def _default_score(X: Array) -> LocalLikelihood:
    if X.shape[1] <= 3:
        return LocalLikelihood(X, degree=4, bandwidth=NearestNeighbor(0.3))
    return LocalLikelihood(X, degree=2, bandwidth=_WINDOW * float(np.sqrt(X.var(axis=0).mean())))


def _control(n: int, d: int) -> ControlVariate:
    """Return the control of the highest degree that half the sample can fit well."""
    fitting = [p for p in (1, 2, 3) if _SAMPLES_A_COEFFICIENT * math.comb(d + p, p) <= n // 2]
    return ControlVariate(degree=max(fitting, default=0))


def _signed_rows(X: Array, y: Array, rows: Array, activation: Activation) -> Array:
    """Fit v by least squares on both signs of every unit, and keep the stronger."""
    both = np.hstack([activation(X @ rows.T), activation(-X @ rows.T)])
    centred = both - both.mean(axis=0)
    # Ridge: relu(z) - relu(-z) = z makes the doubled design dependent across units.
    gram = centred.T @ centred / len(y)
    gram += max(1e-6 * np.trace(gram) / len(gram), 1e-300) * np.eye(len(gram))
    first = np.linalg.solve(gram, centred.T @ (y - y.mean()) / len(y))
    k = len(rows)
    signs = np.where(np.abs(first[:k]) >= np.abs(first[k:]), 1.0, -1.0)
    return signs[:, None] * rows
