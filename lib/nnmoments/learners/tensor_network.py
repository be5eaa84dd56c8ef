r"""ZS Algorithm 2: tensor initialisation, then descent of the square loss."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nnmoments.activations import SLIDES, Activation
from nnmoments.landscapes.square_loss import SquareLoss, levenberg_marquardt
from nnmoments.networks import OneHiddenLayer
from nnmoments.optimize import Descent, gradient_descent
from nnmoments.tensors import TensorInitialization, tensor_initialize
from nnmoments.validation import Array, check_choice, check_integer

__all__ = ["TensorNetwork"]

_ACTIVATIONS: dict[str, Activation] = {a.name: a for a in SLIDES}
# Fewer samples cannot be cut in halves for the control variates, whatever the dimension.
_SAMPLES = 4


class TensorNetwork(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    r"""Learn :math:`E[y|x] = \sum_i v_i\phi(\langle w_i, x\rangle)` from Gaussian inputs.

    Parameters
    ----------
    k : int
        Number of neurons.
    activation : str or Activation
        One of the slides' activations by its name, or any other.
    method : {"controlled", "algorithm1"}
        How to initialise, see `tensor_initialize`.
    finisher : {"levenberg-marquardt", "gradient"}
        Damped Gauss-Newton, or the paper's gradient descent.
    step : float
        eta of the gradient descent; the paper's experiments use 0.02.
    iterations : int
        Most steps of the finisher.
    batches : int
        Parts of the sample. Above one, gradient descent takes a fresh part each step, in turn
        (Algorithm 2 as printed, which partitions the sample); the paper's experiments take one.
    attempts : int
        Further initialisations if the finisher ends with an unexplained share of the labels above
        `noise`: their random directions, and the half of the sample they see, differ.
    noise : float
        Share of the labels' variance that noise may explain.
    random_state : int, RandomState, Generator or None

    Attributes
    ----------
    W_ : (k, d) array
    v_ : (k,) array
    initialization_ : TensorInitialization
    history_ : (t,) array
        The risk along the descent.
    attempts_ : int
        Initialisations used.
    converged_ : bool
    status_ : str

    Examples
    --------
    >>> from nnmoments.activations import squared_relu
    >>> X = np.random.default_rng(0).standard_normal((2000, 6))
    >>> y = squared_relu(X[:, 0]) - squared_relu(X[:, 1] + X[:, 2])
    >>> model = TensorNetwork(2, random_state=0).fit(X, y)
    >>> np.sort(np.linalg.norm(model.W_, axis=1)).round(6)
    array([1.      , 1.414214])
    """

    def __init__(
        self,
        k: int = 1,
        activation: str | Activation = "squared ReLU",
        *,
        method: str = "controlled",
        finisher: str = "levenberg-marquardt",
        step: float = 0.02,
        iterations: int = 1000,
        batches: int = 1,
        attempts: int = 5,
        noise: float = 1e-3,
        random_state: Any = None,
    ) -> None:
        self.k = k
        self.activation = activation
        self.method = method
        self.finisher = finisher
        self.step = step
        self.iterations = iterations
        self.batches = batches
        self.attempts = attempts
        self.noise = noise
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Say that inputs which are not Gaussian, nor the labels of a network, need not be fitted well."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def _unit(self) -> Activation:
        if isinstance(self.activation, Activation):
            return self.activation
        return _ACTIVATIONS[check_choice("activation", self.activation, tuple(_ACTIVATIONS))]

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> "TensorNetwork":
        """Learn from X (n, d) and y (n,)."""
        checked, labels = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=_SAMPLES
        )
        X, y = np.asarray(checked, dtype=np.float64), np.asarray(labels, dtype=np.float64)
        check_choice("finisher", self.finisher, ("levenberg-marquardt", "gradient"))
        attempts = check_integer("attempts", self.attempts, 1)
        rng = _generator(self.random_state)
        best: tuple[float, TensorInitialization, Descent] | None = None
        variance = float(np.var(y))
        used = 0
        for used in range(1, attempts + 1):
            chosen = slice(None) if used == 1 else np.sort(rng.permutation(len(X))[: len(X) * 2 // 3])
            start = tensor_initialize(X[chosen], y[chosen], self.k, self._unit(), method=self.method, rng=rng)
            descent = self._descend(X, y, start)
            risk = SquareLoss(X, y, self._unit(), start.output).value(descent.weights)
            if best is None or risk < best[0]:
                best = (risk, start, descent)
            if 2.0 * best[0] <= self.noise * variance:
                break
        assert best is not None
        risk, self.initialization_, descent = best
        self.W_, self.v_ = descent.weights, self.initialization_.output
        self.history_, self.attempts_ = descent.history, used
        self.converged_ = bool(2.0 * risk <= self.noise * variance)
        self.status_ = descent.status
        if not self.converged_:
            self.status_ = (
                f"{2.0 * risk / variance:.1e} of the labels' variance unexplained after {used} "
                "initialisations; pass more samples, another k, or raise noise if the labels hold it"
            )
        return self

    def _descend(self, X: Array, y: Array, start: TensorInitialization) -> Descent:
        loss = SquareLoss(X, y, self._unit(), start.output)
        if self.finisher == "levenberg-marquardt":
            return levenberg_marquardt(loss, start.weights, max_iter=self.iterations)
        batches = check_integer("batches", self.batches, 1, len(X))
        if batches == 1:
            return gradient_descent(loss, start.weights, step=self.step, max_iter=self.iterations)
        parts = np.array_split(np.arange(len(X)), batches)
        turn = iter(range(self.iterations + 1))

        def fresh() -> SquareLoss:
            part = parts[next(turn) % batches]
            return SquareLoss(X[part], y[part], self._unit(), start.output)

        return gradient_descent(loss, start.weights, step=self.step, max_iter=self.iterations, fresh=fresh)

    def predict(self, X: npt.ArrayLike) -> Array:
        """Return the fitted network's values at the rows of X, (n,)."""
        check_is_fitted(self)
        points = np.asarray(validate_data(self, X, dtype=np.float64, reset=False), dtype=np.float64)
        return OneHiddenLayer(self.W_, self._unit(), self.v_)(points)


def _generator(state: Any) -> np.random.Generator:
    """Return a generator for what scikit-learn calls a random state, or for a generator itself."""
    if isinstance(state, np.random.Generator):
        return state
    return np.random.default_rng(check_random_state(state).randint(2**31))
