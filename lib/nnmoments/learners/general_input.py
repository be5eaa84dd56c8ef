"""The learner of GM: samples of a network's input and label in, its weights out, no density given."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin

from nnmoments.activations import Activation
from nnmoments.densities import ScoreModel
from nnmoments.landscapes import landscape_rows
from nnmoments.learners.base import RidgeLearner
from nnmoments.linalg import weighted_least_squares
from nnmoments.moments import ControlVariate, TensorMoment, cross_moment
from nnmoments.networks import OneHiddenLayer, regress_both_signs
from nnmoments.scores import LocalLikelihood, NearestNeighbor
from nnmoments.validation import (
    Array,
    check_choice,
    check_instance,
    check_integer,
    check_number,
    finite_result,
)

__all__ = ["GeneralInputNetwork"]

# Bandwidth in standard deviations: for S_4 in several dimensions narrower windows hold too few samples
# (logistic input, d = 5, n = 10,000: error 0.2 where this width gives 0.006), wider ones see a Gaussian.
_WINDOW = 1.65
# Samples of a fold for each coefficient of the polynomial that is removed from its labels.
_SAMPLES_A_COEFFICIENT = 10


class GeneralInputNetwork(RegressorMixin, RidgeLearner):  # type: ignore[misc]
    r"""Learn :math:`E[y|x] = \sum_i v_i\,\phi(\langle w_i, x\rangle) + c` from x of any density.

    The rows :math:`w_i` are orthonormal, or nearly so.

    1. The score of x is estimated by local likelihood, unless it is given (GM Section 2).
    2. :math:`T_4 = E[y\,S_4(x)]`, with a control variate.
    3. L is minimised from random starts; its rows are the :math:`w_i` up to sign (GM Section 3).
    4. Labels are regressed on units of both signs, which settles the signs, then on the network's own.

    Parameters
    ----------
    n_hidden : int
        Number of units k, at most d.
    activation : str or Activation
    score_model : ScoreModel, optional
        A fitted score of x, if a better one than the default is known: `LocalLikelihood` of degree 2 in a
        wide window, of degree 4 in d <= 3. (A parameter `score` would hide scikit-learn's method.)
    mu, lam : float
        Weights of L in units of the largest kappa; the defaults are Theorem 2's.
    n_starts : int
        Random starts of the descents.
    solver : {"quasi-newton", "gradient"}
        L-BFGS, or the gradient steps of GM's experiments (`landscape_rows`).
    step : float
        Length of these steps.
    max_iter, tol : int, float
        Of each descent.
    fit_intercept : bool
        Whether the output has a constant c. Networks of GM have none; real labels have a mean.
    max_unexplained : float
        Share of the labels' variance, left over by the network, above which the fit has not converged.
        Of labels without noise enough samples leave a few percent; a fifth says that directions are wrong
        or units missing. Labels that hold a share r of noise need r + 0.2.
    random_state : None, int, RandomState or Generator
        Of the starts.

    Attributes
    ----------
    weights_ : (k, d) array
        Unit rows.
    biases_ : (k,) array
        Zeros: the fourth moment does not show biases.
    output_ : (k,) array
    intercept_ : float
    n_iter_ : int
        Steps of the best descent.
    converged_ : bool
        Whether more than half of the starts agree, and the network explains the labels.
    status_ : str
    diagnostics_ : dict
        "moment": the `MomentEstimate` of T_4. "landscape": the `LandscapeRows`, with the best descent and
        the agreement of the starts. "unexplained": the share of the labels' variance that is left.

    References
    ----------
    .. [1] W. Gao, A. V. Makkuva, S. Oh, P. Viswanath, "Learning one-hidden-layer neural networks
       under general input distributions", AISTATS 2019, Sections 3 and 4.2.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(20_000, rng=0)
    >>> y = 3.0 + np.maximum(X, 0.0).sum(axis=1)
    >>> model = GeneralInputNetwork(2, score_model=StandardNormal(2), random_state=0).fit(X, y)
    >>> bool(np.abs(model.weights_).max(axis=1).min() > 0.99), round(model.intercept_, 1)
    (True, 3.0)
    """

    def __init__(
        self,
        n_hidden: int = 1,
        activation: str | Activation = "relu",
        *,
        score_model: ScoreModel | None = None,
        mu: float = 0.01,
        lam: float = 100.0,
        n_starts: int = 10,
        solver: str = "quasi-newton",
        step: float = 1e-3,
        max_iter: int = 2000,
        tol: float = 1e-8,
        fit_intercept: bool = True,
        max_unexplained: float = 0.2,
        random_state: Any = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.activation = activation
        self.score_model = score_model
        self.mu = mu
        self.lam = lam
        self.n_starts = n_starts
        self.solver = solver
        self.step = step
        self.max_iter = max_iter
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.max_unexplained = max_unexplained
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Say that a network without biases on orthonormal directions need not fit any data well."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> "GeneralInputNetwork":
        """Learn from a sample.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) array_like
        sample_weight : (n,) array_like, optional
            Weights of the samples in all averages, the score's included.

        Returns
        -------
        GeneralInputNetwork

        Raises
        ------
        ValueError
            If the sample or a parameter does not fit.
        """
        X, y = self._validated(X, y, min_samples=4)
        weight = self._weights_of(sample_weight, len(X))
        if weight is not None:
            X, y, weight = X[weight > 0.0], y[weight > 0.0], weight[weight > 0.0]
        n, d = X.shape
        k = check_integer("n_hidden", self.n_hidden, 1, d)
        mu = check_number("mu", self.mu, above=0.0)
        check_number("step", self.step, above=0.0)
        limit = check_number("max_unexplained", self.max_unexplained, above=0.0)
        phi = self._activation()
        check_choice("fit_intercept", self.fit_intercept, (True, False))
        if self.score_model is None:
            score: ScoreModel = _default_score(X, weight)
        else:
            score = check_instance("score_model", self.score_model, ScoreModel)
        # An estimated score is orthogonal to constants only nearly: centring y removes a bias as well.
        moment = cross_moment(X, y, score, 4, control=_control(n, d), sample_weight=weight)
        landscape = landscape_rows(
            TensorMoment(moment.value),
            k,
            mu=mu,
            lam=self.lam,
            n_starts=self.n_starts,
            solver=self.solver,
            step=self.step,
            max_iter=self.max_iter,
            tol=self.tol,
            rng=self._rng(),
        )
        options: Any = {"fit_intercept": self.fit_intercept, "sample_weight": weight}
        signs = regress_both_signs(X, y, landscape.rows, phi, **options).signs
        weights = signs[:, None] * landscape.rows
        output, intercept = weighted_least_squares(phi(X @ weights.T), y, **options)
        left = y - phi(X @ weights.T) @ output - intercept
        spread = max(float(np.cov(y, aweights=weight, bias=True)), np.finfo(np.float64).tiny)
        unexplained = float(np.average(left**2, weights=weight)) / spread
        self._store(
            weights=weights,
            biases=np.zeros(k),
            output=output,
            intercept=intercept,
            n_iter=landscape.descent.n_iter,
            diagnostics={"moment": moment, "landscape": landscape, "unexplained": unexplained},
        )
        status = f"{landscape.status}; {unexplained:.1%} of the labels' variance is left"
        if unexplained > limit:
            status += ": pass more samples, another n_hidden or activation, or raise max_unexplained"
        self._conclude(landscape.converged and unexplained <= limit, status)
        return self

    @finite_result("X")
    def predict(self, X: npt.ArrayLike) -> Array:
        """Return the fitted network's values at the rows of X, (n,).

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n,) array
        """
        inputs, dtype = self._inputs(X)
        network = OneHiddenLayer(self.weights_, self._activation(), self.output_, self.biases_)
        return np.asarray(network(inputs) + self.intercept_, dtype=dtype)


def _default_score(X: Array, weight: Array | None) -> LocalLikelihood:
    if weight is not None:  # so many copies of each row as its weight says, rounded without drift
        ranks = np.cumsum(weight) * len(X) / weight.sum()
        X = np.repeat(X, np.diff(np.floor(ranks + 0.5), prepend=0.0).astype(int), axis=0)
    if X.shape[1] <= 3:
        return LocalLikelihood(X, degree=4, bandwidth=NearestNeighbor(0.3))
    return LocalLikelihood(X, degree=2, bandwidth=_WINDOW * float(np.sqrt(X.var(axis=0).mean())))


def _control(n: int, d: int) -> ControlVariate:
    """Return the control of the highest degree that half the sample can fit well."""
    fitting = [p for p in (1, 2, 3) if _SAMPLES_A_COEFFICIENT * math.comb(d + p, p) <= n // 2]
    return ControlVariate(degree=max(fitting, default=0))
