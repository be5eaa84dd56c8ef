r"""ZS Algorithm 2, better: tensor initialisation with control variates, then damped Gauss-Newton."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin

from nnmoments.activations import Activation
from nnmoments.densities import Gaussian
from nnmoments.landscapes import SquareLoss, SquareLossOfBoth, levenberg_marquardt
from nnmoments.learners.base import RidgeLearner, free_columns
from nnmoments.learners.misfit import (
    NOISE_FREE,
    Misfit,
    determines,
    different_rows,
    is_no_chance,
    predictable_share,
    residual_misfit,
)
from nnmoments.optimize import Descent
from nnmoments.tensors import TensorInitialization, descend_in_batches, tensor_initialize, tensor_method
from nnmoments.tensors.initialization import Problem, check_problem
from nnmoments.validation import (
    Array,
    check_choice,
    check_instance,
    check_integer,
    check_number,
    finite_result,
)

__all__ = ["TensorNetwork"]

# Fewer samples cannot be cut in halves for the control variates, whatever the dimension.
_SAMPLES = 4

# Unexplained shares below are alike: of labels without noise, descents leave rounding.
_FLOOR = 1e-8
# Residuals are seen to be noise if a misfit of this share of them would have been noticed.
_RESOLVED = 0.25


@dataclass(frozen=True)
class _Whitening:
    mean: Array
    matrix: Array  # (r, d)
    found: str  # what is wrong with columns
    tied: str  # which of it leaves weights undetermined


@dataclass(frozen=True)
class _Sample:
    X: Array
    y: Array
    weight: Array | None
    Z: Array
    whitening: _Whitening
    different: int  # samples: copies of one tell no more


@dataclass(frozen=True)
class _Attempt:
    """A network in whitened coordinates."""

    start: TensorInitialization
    descent: Descent
    weights: Array
    biases: Array
    output: Array
    intercept: float
    unexplained: float
    sample: _Sample
    residual: Array
    n_parameters: int  # of weights, biases, the constant, and outputs for which no lengths stand
    biased: bool
    determined: Callable[[], bool]

    @functools.cached_property
    def misfit(self) -> Misfit:
        """Judge the residuals; none are left to judge where the descent diverged."""
        if not np.isfinite(self.unexplained):
            return Misfit(0.0, 1.0, True)
        return residual_misfit(self.sample.Z, self.residual)

    @functools.cached_property
    def predictable(self) -> float:
        """Return the share of the residuals that trees predict: polynomials do not see all there is."""
        features = np.hstack([self.sample.Z, self.sample.Z @ self.weights.T])
        return predictable_share(features, self.residual, unexplained=self.unexplained)

    def is_noise_to_polynomials(self) -> bool:
        """Say whether they explain nothing, and would if there were much, had the fit not taken its part."""
        kept = max(0.0, 1.0 - self.n_parameters / self.sample.different)  # of a residual, so kept^2 of a pair
        noticed = max(self.misfit.share, self.misfit.resolution)
        return not self.misfit.significant and noticed < _RESOLVED * kept**2

    def is_shown(self) -> bool:
        """Say whether labels that do not depend on the inputs could hardly be explained as well."""
        k, r = self.weights.shape
        return is_no_chance(
            self.unexplained,
            len(self.residual),
            self.n_parameters,
            different=self.sample.different,
            units=k,
            inputs=r + self.biased,
        )

    @functools.cached_property
    def is_determined(self) -> bool:
        """Say whether labels determine all parameters."""
        return self.n_parameters < self.sample.different and self.determined()


def _varies(values: Array) -> bool:
    return bool(np.any(values != values[:1]))


def _not_normal(Z: Array) -> str:
    """Say whether whitened inputs have another third or fourth moment than normal ones."""
    n = len(Z)
    for m, name, spread in ((3, "skewness", 6.0), (4, "excess kurtosis", 24.0)):
        moments = np.mean(Z**m, axis=0) - (3.0 if m == 4 else 0.0)
        worst = float(moments[np.argmax(np.abs(moments))])
        if abs(worst) > 6.0 * np.sqrt(spread / n) + 0.1:
            return f"inputs are not normal ({name} {worst:.2g}), as the moments take them to be"
    return ""


class TensorNetwork(RegressorMixin, RidgeLearner):  # type: ignore[misc]
    r"""Learn :math:`E[y|x] = \sum_i v_i\phi(\langle w_i, x\rangle + b_i) + c` from inputs x ~ N(mu, Sigma).

    Inputs are whitened; weights and outputs are initialised by tensors; then a descent of the square loss
    moves the weights, the outputs, the biases and the constant. A network is trusted if what it leaves of
    the labels is noise: no polynomial of degree one to four explains any of it (`residual_misfit`), nor do
    trees predict any (`predictable_share`). Where nothing is left, that must be no chance: p parameters fit
    any labels of p different samples. And the labels must determine all parameters, to first order.
    A failed descent is followed by another start: first from the unit that moments of the residual tell,
    beside those found, one of which is taken out; then from moments of another part of the sample; in turn.

    Parameters
    ----------
    n_hidden : int or None
        k, at most d. With None it is the least number of units whose residuals are noise.
    activation : str or Activation
    score_model : Gaussian, optional
        The law of the inputs; by default their mean and covariance are estimated.
    method : {"controlled", "algorithm1"}
        How to initialise: `tensor_initialize`, or ZS's Algorithm 1 as printed (`tensor_method`).
    finisher : {"levenberg-marquardt", "gradient"}
        Damped Gauss-Newton, or the paper's gradient descent.
    step : float
        eta of the gradient descent; the paper's experiments use 0.02.
    max_iter : int
        Most steps of the finisher.
    n_batches : int
        Parts of the sample. Above one, gradient descent takes the next part in each step
        (Algorithm 2 as printed, which partitions the sample); the paper's experiments take one.
    n_attempts : int
        Most starts. There are further ones as long as the network is not to be trusted: in turn from
        moments of the residual (only with damped Gauss-Newton), and from those of two thirds of the labels,
        with other random directions.
    noise : float, optional
        Share of the labels' variance that noise may explain. By default it is estimated: what neither
        polynomials nor trees explain is noise.
    fit_intercept : bool
        Whether there is a constant c. It is eliminated, so that it costs no step.
    fit_biases : bool
        Whether the finisher moves biases, which start from zero: moments choose the start as if there
        were none.
    random_state : int, RandomState, Generator or None

    Attributes
    ----------
    weights_ : (k, d) array
    biases_ : (k,) array
        Zeros unless fitted.
    output_ : (k,) array
        +-1 for homogeneous activations, whose weights' lengths stand for it.
    intercept_ : float
        Zero unless fitted.
    n_iter_ : int
        Steps of the finisher.
    converged_ : bool
        Whether the network explains its labels except for noise.
    status_ : str
    diagnostics_ : dict
        "initialization" (TensorInitialization, of whitened inputs), "descent" (Descent), "unexplained"
        (share of the labels' variance), "misfit" (Misfit) and "n_attempts" (initialisations used).

    Notes
    -----
    With biases from N(0, 0.3^2) or N(0, 1) beside weights of norms 1 to 2 all of 10 trials ended at the
    truth, for each of relu, sigmoid and tanh at d = 10, k = 3, n = 10,000 (median error below 1e-11).

    References
    ----------
    .. [1] K. Zhong, Z. Song, P. Jain, P. L. Bartlett, I. S. Dhillon, arXiv:1706.03175, Algorithm 2.

    Examples
    --------
    >>> from nnmoments.activations import squared_relu
    >>> X = np.random.default_rng(0).standard_normal((2000, 6))
    >>> y = squared_relu(X[:, 0]) - squared_relu(X[:, 1] + X[:, 2]) + 3.0
    >>> model = TensorNetwork(None, random_state=0).fit(X, y)
    >>> np.sort(np.linalg.norm(model.weights_, axis=1)).round(6), round(model.intercept_, 6)
    (array([1.      , 1.414214]), 3.0)
    """

    def __init__(
        self,
        n_hidden: int | None = 1,
        activation: str | Activation = "squared_relu",
        *,
        score_model: Gaussian | None = None,
        method: str = "controlled",
        finisher: str = "levenberg-marquardt",
        step: float = 0.02,
        max_iter: int = 1000,
        n_batches: int = 1,
        n_attempts: int = 5,
        noise: float | None = None,
        fit_intercept: bool = True,
        fit_biases: bool = False,
        random_state: Any = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.activation = activation
        self.score_model = score_model
        self.method = method
        self.finisher = finisher
        self.step = step
        self.max_iter = max_iter
        self.n_batches = n_batches
        self.n_attempts = n_attempts
        self.noise = noise
        self.fit_intercept = fit_intercept
        self.fit_biases = fit_biases
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Say that inputs which are not Gaussian, nor the labels of a network, need not be fitted well."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> "TensorNetwork":
        """Learn from a sample.

        Parameters
        ----------
        X : (n, d) array_like
        y : (n,) array_like
        sample_weight : (n,) array_like, optional

        Returns
        -------
        TensorNetwork
            Itself.

        Raises
        ------
        ValueError
            If the sample or a parameter does not fit.
        """
        X, y = self._validated(X, y, min_samples=_SAMPLES)
        weight = self._weights_of(sample_weight, len(y))
        if weight is not None:
            X, y, weight = X[weight > 0.0], y[weight > 0.0], weight[weight > 0.0]
            if len(X) < _SAMPLES:
                raise ValueError(f"sample_weight must be above 0 for {_SAMPLES} samples, got {len(X)}")
        check_choice("method", self.method, ("controlled", "algorithm1"))
        check_choice("finisher", self.finisher, ("levenberg-marquardt", "gradient"))
        for name in ("fit_intercept", "fit_biases"):
            check_choice(name, getattr(self, name), (True, False))
        if self.n_hidden is not None:
            check_integer("n_hidden", self.n_hidden, 1, X.shape[1])
        check_integer("n_attempts", self.n_attempts, 1)
        check_integer("max_iter", self.max_iter, 1)
        check_integer("n_batches", self.n_batches, 1, len(X))
        check_number("step", self.step, above=0.0)
        if self.noise is not None:
            check_number("noise", self.noise, above=0.0)
        rng = self._rng()
        checked = check_problem(
            X, y, 1 if self.n_hidden is None else self.n_hidden, self._activation(), weight
        )
        whitening = self._whitening(checked)
        Z = (X - whitening.mean) @ whitening.matrix.T
        sample = _Sample(X, y, weight, Z, whitening, different_rows(X))
        if self.n_hidden is None:
            best, used = self._chosen(sample, rng)
        else:
            best, used = self._fitted(sample, self.n_hidden, self.n_attempts, rng)
        weights = best.weights @ whitening.matrix
        self._store(
            weights=weights,
            biases=best.biases - weights @ whitening.mean if self.fit_biases else np.zeros(len(weights)),
            output=best.output,
            intercept=best.intercept,
            n_iter=best.descent.n_iter,
            diagnostics={
                "initialization": best.start,
                "descent": best.descent,
                "unexplained": best.unexplained,
                "misfit": best.misfit,
                "n_attempts": used,
            },
        )
        self._conclude(self._trusted(best), self._verdict(best, used), whitening.tied)
        return self

    def _whitening(self, sample: Problem) -> _Whitening:
        """Return the map from inputs to uncorrelated ones, in the span of the inputs."""
        X, d = sample.X, sample.d
        if self.score_model is None:
            mean = np.average(X, axis=0, weights=sample.sample_weight)
            covariance = np.atleast_2d(np.cov(X, rowvar=False, aweights=sample.sample_weight, ddof=0))
        else:
            known = check_instance("score_model", self.score_model, Gaussian)
            mean, covariance = known.mean, known.covariance
            if known.d != d:
                raise ValueError(f"score_model must be of dimension {d}, got {known.d}")
        columns = free_columns(mean, covariance)
        varying, vectors, kept = columns.varying, columns.vectors, columns.kept
        found = "; ".join(filter(None, (columns.constant, columns.tied)))
        if kept.all() and len(varying) == d and np.array_equal(covariance, np.eye(d)):
            return _Whitening(mean, np.eye(d), "", "")
        matrix = np.zeros((int(kept.sum()), d))
        # Symmetric where nothing is tied, so that white inputs stay what they are.
        root = (vectors[:, kept] / np.sqrt(columns.values[kept])).T
        matrix[:, varying] = (vectors @ root if kept.all() else root) / columns.scales[varying]
        return _Whitening(mean, matrix, found, columns.tied)

    def _fitted(
        self, sample: _Sample, k: int, attempts: int, rng: np.random.Generator
    ) -> tuple[_Attempt, int]:
        """Initialise and descend until the network is trusted; return the best and the attempts used."""
        n = len(sample.X)
        if k > sample.Z.shape[1]:
            raise ValueError(
                f"n_hidden must be at most {sample.Z.shape[1]}, the dimension of the inputs' span, got {k}"
                + (f": {sample.whitening.found}" if sample.whitening.found else "")
            )
        best = found = self._anew(sample, slice(None), k, rng)
        used = 1
        while used < attempts and not self._trusted(best):
            used += 1
            missed = np.isfinite(found.unexplained) and not self._settled(found)
            if used % 2 == 0 and self._is_newton() and missed:
                found = self._without_one(sample, self._with_one(sample, found, rng))
            else:
                found = self._anew(sample, np.sort(rng.permutation(n)[: n * 2 // 3]), k, rng)
            if found.unexplained < best.unexplained:
                best = found
        return best, used

    def _anew(self, sample: _Sample, seen: Any, k: int, rng: np.random.Generator) -> _Attempt:
        """Initialise with a part of the sample, and descend with all of it."""
        weight = sample.weight
        if not (_varies(sample.Z[seen]) and _varies(sample.y[seen])):
            seen = slice(None)
        start = self._start(sample.Z[seen], sample.y[seen], None if weight is None else weight[seen], k, rng)
        found = self._finish(sample, start.weights, start.output, start)
        if not self._settled(found) and self._activation().homogeneity and self._is_newton():
            # Free outputs can change their signs.
            freed = self._finish(sample, found.weights, found.output, start, free=True)
            found = freed if freed.unexplained < 0.99 * found.unexplained else found
        return found

    def _with_one(self, sample: _Sample, found: _Attempt, rng: np.random.Generator) -> _Attempt:
        """Add the unit that moments of the residual tell, and descend: what it tells is what is missed."""
        missed = self._start(sample.Z, found.residual, None, 1, rng)
        first, output = np.vstack([found.weights, missed.weights]), np.append(found.output, missed.output)
        return self._finish(sample, first, output, found.start, free=True)

    def _without_one(self, sample: _Sample, found: _Attempt) -> _Attempt:
        """Take out the unit that is missed least once the others have moved."""
        fewer = [
            self._finish(
                sample, np.delete(found.weights, i, 0), np.delete(found.output, i), found.start, free=True
            )
            for i in range(len(found.weights))
        ]
        return min(fewer, key=lambda attempt: attempt.unexplained)

    def _chosen(self, sample: _Sample, rng: np.random.Generator) -> tuple[_Attempt, int]:
        """Add units until their residuals are noise, then take out those that are not missed."""
        d, n = sample.Z.shape[1], len(sample.X)
        price = np.log(n) * (d + 1 + int(self.fit_biases)) / n  # of a unit, by the Bayesian criterion
        best: _Attempt | None = None
        score, used, worse = np.inf, 0, 0
        for k in range(1, d + 1):
            found, attempts = self._fitted(sample, k, min(2, self.n_attempts), rng)
            used += attempts
            cost = float(np.log(max(found.unexplained, _FLOOR))) + price * k
            worse = 0 if cost < score else worse + 1
            if cost < score:
                best, score = found, cost
            if self._settled(found) or worse == 2:
                break
        assert best is not None
        while self._is_newton() and len(best.weights) > 1:
            least = self._without_one(sample, best)
            cost = float(np.log(max(least.unexplained, _FLOOR))) + price * len(least.weights)
            if cost >= score:
                break
            best, score = least, cost
        return best, used

    def _is_newton(self) -> bool:
        return bool(self.finisher == "levenberg-marquardt")

    def _settled(self, found: _Attempt) -> bool:
        """Say whether another attempt is idle: nothing is left, or noise that is seen to be noise."""
        if self.noise is not None or found.unexplained <= NOISE_FREE:
            return found.unexplained <= (self.noise or NOISE_FREE)
        return found.is_noise_to_polynomials() and not found.predictable

    def _trusted(self, found: _Attempt) -> bool:
        return self._settled(found) and found.is_shown() and found.is_determined

    def _verdict(self, found: _Attempt, used: int) -> str:
        """Say what was found, and what to do where it is not good enough."""
        left, misfit = found.unexplained, found.misfit
        if self._trusted(found):
            told = f"{left:.1e} of the labels' variance left to noise" if left > NOISE_FREE else "exact"
            k = len(found.weights)
            return f"{found.descent.status}; {k} unit{'s' * (k > 1)}, {told}"
        said = f"{left:.1e} of the labels' variance unexplained after {used} initialisation{'s' * (used > 1)}"
        biases = "" if self.fit_biases else "fit_biases=True, "
        other = f"pass another n_hidden or activation, {biases}or more samples"
        exact, few = left <= NOISE_FREE, f"{found.sample.different} different samples"
        if exact and not found.is_shown():
            said += f", but {found.n_parameters} parameters fit any labels of {few}: pass more"
        elif self._settled(found) and found.is_shown():
            said += (
                f", but {few} leave some of {found.n_parameters} parameters undetermined: "
                "pass more, or a smaller n_hidden"
            )
        elif self.noise is not None:
            said += "; pass more samples, another n_hidden, or leave noise to be estimated"
        elif not found.is_shown():
            said += ", as much as noise alone leaves: pass more samples, or other inputs"
        elif misfit.significant:
            said += (
                f", and polynomials of the inputs explain {max(misfit.share, 0.0):.2g} of the rest: {other}"
            )
        elif found.is_noise_to_polynomials():
            said += f", and trees predict {found.predictable:.0%} of the rest from the inputs: {other}"
        else:
            said += "; too few samples to tell it from noise: pass more, or say how large the noise is"
        if not found.start.converged:
            said += f" ({found.start.status})"
        odd = _not_normal(found.sample.Z)
        return said + "".join(f"; {reason}" for reason in (found.sample.whitening.found, odd) if reason)

    def _start(
        self, Z: Array, y: Array, weight: Array | None, k: int, rng: np.random.Generator
    ) -> TensorInitialization:
        phi = self._activation()
        if self.method == "controlled":
            constant = self.fit_intercept or self.fit_biases
            return tensor_initialize(Z, y, k, phi, fit_intercept=constant, sample_weight=weight, rng=rng)
        mean = np.average(y, weights=weight) if self.fit_intercept else 0.0
        return tensor_method(Z, y - mean, k, phi, sample_weight=weight, rng=rng)

    def _finish(
        self,
        sample: _Sample,
        first: Array,
        output: Array,
        start: TensorInitialization,
        *,
        free: bool | None = None,
    ) -> _Attempt:
        """Descend in W and b, and in v, too, unless lengths of the weights stand for it."""
        phi, y, weight = self._activation(), sample.y, sample.weight
        k, r = first.shape
        free = phi.homogeneity is None if free is None else free
        if self.fit_biases:
            Z = np.column_stack([sample.Z, np.ones(len(y))])
            first = np.column_stack([first, np.zeros(k)])
        else:
            Z = (
                sample.Z + sample.whitening.matrix @ sample.whitening.mean
            )  # no bias in the user's coordinates
        if free:
            first = np.column_stack([first, output])

        def loss(part: Any = slice(None)) -> SquareLoss | SquareLossOfBoth:
            options: dict[str, Any] = {
                "sample_weight": None if weight is None else weight[part],
                "fit_intercept": self.fit_intercept,
            }
            if free:
                return SquareLossOfBoth(Z[part], y[part], phi, **options)
            return SquareLoss(Z[part], y[part], phi, output, **options)

        whole = loss()
        if self._is_newton():
            found = levenberg_marquardt(whole, first, max_iter=self.max_iter)
        else:
            parts = np.array_split(np.arange(len(y)), self.n_batches)
            losses = [loss(part) for part in parts] if self.n_batches > 1 else [whole]
            found = descend_in_batches(losses, first, step=self.step, max_iter=self.max_iter)
        inner, output = found.weights[:, : Z.shape[1]], found.weights[:, -1] if free else output
        variance = float(np.average((y - np.average(y, weights=weight)) ** 2, weights=weight))
        with np.errstate(over="ignore", invalid="ignore"):
            if free and phi.homogeneity is not None:  # lengths stand for outputs
                inner = inner * np.abs(output[:, None]) ** (1.0 / phi.homogeneity)
                output = np.where(output < 0.0, -1.0, 1.0)
            weights = inner[:, :r]
            biases = inner[:, r] if self.fit_biases else np.zeros(k)
            unexplained = 2.0 * whole.value(found.weights) / variance
            hidden = phi(Z[:, :r] @ weights.T + biases)
            residual = y - hidden @ output
        intercept = whole.intercept(found.weights)
        unexplained = unexplained if np.isfinite(unexplained) else np.inf
        residual = residual if weight is None else residual * weight / weight.mean()
        p = inner.size + k * (phi.homogeneity is None) + self.fit_intercept
        determined = functools.partial(
            determines,
            Z,
            inner,
            output,
            phi,
            unexplained=unexplained * variance,
            sample_weight=weight,
            fit_intercept=self.fit_intercept,
        )
        return _Attempt(
            start,
            found,
            weights,
            biases,
            output,
            intercept,
            unexplained,
            sample,
            residual,
            p,
            bool(self.fit_biases),
            determined,
        )

    @finite_result("X")
    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the fitted network's values.

        Parameters
        ----------
        X : (n, d) array_like

        Returns
        -------
        (n,) array
        """
        points, kind = self._inputs(X)
        hidden = self._activation()(points @ self.weights_.T + self.biases_)
        return np.asarray(hidden @ self.output_ + self.intercept_).astype(kind, copy=False)
