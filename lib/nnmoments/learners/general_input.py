"""The learner of GM: samples of a network's input and label in, its weights out, no density given."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments._validation import Array, check_integer, check_number, check_samples
from nnmoments.activations import Activation
from nnmoments.densities.base import ScoreModel
from nnmoments.landscape.fourth_order import FourthOrderLoss, TensorMoment, random_rows
from nnmoments.landscape.full_batch import quasi_newton
from nnmoments.moments import ControlVariate, cross_moment
from nnmoments.score_estimation import LocalLikelihood, NearestNeighbor

__all__ = ["FittedDirections", "fit_general_input"]


@dataclass(frozen=True)
class FittedDirections:
    """A network learned by the landscape of L.

    Attributes
    ----------
    weights : (k, d) array
        Unit rows; signs are those that fit the labels best.
    output : (k,) array
        Least squares on the hidden units.
    moment : (d, d, d, d) array
        The estimate of T_4.
    residual : float
        Root mean square of the labels' residual, relative to their standard deviation.
    value : float
        The least L found.
    agreement : float
        Share of the starts that ended at it.
    message : str
    """

    weights: Array
    output: Array
    moment: Array = field(repr=False)
    residual: float
    value: float
    agreement: float
    message: str


def fit_general_input(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    k: int,
    *,
    activation: Activation,
    score: ScoreModel | None = None,
    mu: float = 0.01,
    lam: float = 100.0,
    starts: int = 10,
    rng: Any,
) -> FittedDirections:
    r"""Learn :math:`y = \sum_i v_i\,\phi(\langle w_i, x\rangle)` with orthonormal rows from samples alone.

    The score of x is estimated by local likelihood, T_4 with a control variate, and L is minimised
    from random starts; v follows by least squares (GM Section 3).

    Parameters
    ----------
    X : (n, d) array_like
    y : (n,) array_like
    k : int
        Number of units, at most d.
    activation : Activation
    score : ScoreModel, optional
        A fitted score of x, if a better one than the default is known:
        ``LocalLikelihood(X, degree=2, bandwidth=NearestNeighbor(0.3))``, of degree 4 in d <= 3.
    mu, lam : float
        Weights of L in units of the estimated kappa; the defaults are Theorem 2's.
    starts : int
    rng : seed or Generator

    Raises
    ------
    ValueError
        If k exceeds d or the samples do not fit.

    References
    ----------
    .. [1] W. Gao et al., AISTATS 2019, Sections 3 and 4.2.

    Examples
    --------
    >>> from nnmoments.activations import relu
    >>> from nnmoments.densities import StandardNormal
    >>> X = StandardNormal(2).sample(20_000, rng=0)
    >>> fitted = fit_general_input(
    ...     X, np.abs(X).sum(axis=1) / 2, 2, activation=relu, score=StandardNormal(2), rng=0
    ... )
    >>> bool(np.abs(fitted.weights).max(axis=1).min() > 0.99)
    True
    """
    X, y = check_samples(X, y)
    d = X.shape[1]
    k = check_integer("k", k, 1, d)
    starts = check_integer("starts", starts, 1)
    mu, lam = check_number("mu", mu, above=0.0), check_number("lam", lam, above=0.0)
    if score is None:
        degree = 4 if d <= 3 else 2
        score = LocalLikelihood(X, degree=degree, bandwidth=NearestNeighbor(0.3))
    # An estimated score is orthogonal to constants only nearly, so centring removes a bias as well.
    T4 = cross_moment(X, y, score, 4, control=ControlVariate()).value
    total = float(np.einsum("aabb->", T4))  # the sum of the kappas of unit rows
    scale = max(abs(total) / k, 1e-300)
    loss = FourthOrderLoss(TensorMoment(T4 / scale), mu, lam, 1.0 if total >= 0 else -1.0)
    ends = [quasi_newton(loss, A) for A in random_rows(k, d, count=starts, rng=rng)]
    best = min(ends, key=lambda end: end.value)
    agree = np.mean([end.value <= best.value + 1e-4 * abs(best.value) for end in ends])
    weights = best.weights / np.linalg.norm(best.weights, axis=1, keepdims=True)
    weights, output, rest = _output_weights(X, y, weights, activation)
    note = "" if agree > 0.5 else "; fewer than half agree: T_4 is noisy, use more samples"
    message = f"{best.message}; {agree:.0%} of {starts} starts end at the least value{note}"
    return FittedDirections(weights, output, T4, rest, best.value, float(agree), message)


def _output_weights(X: Array, y: Array, weights: Array, activation: Activation) -> tuple[Array, Array, float]:
    """Fit v by least squares on both signs of every unit, keep the stronger, and refit."""
    both = np.hstack([activation(X @ weights.T), activation(-X @ weights.T)])
    centred = both - both.mean(axis=0)
    # Ridge: relu(z) - relu(-z) = z makes the doubled design dependent across units.
    gram = centred.T @ centred / len(y)
    gram += 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
    first = np.linalg.solve(gram, centred.T @ (y - y.mean()) / len(y))
    k = len(weights)
    signs = np.where(np.abs(first[:k]) >= np.abs(first[k:]), 1.0, -1.0)
    weights = signs[:, None] * weights
    hidden = activation(X @ weights.T)
    output = np.asarray(np.linalg.lstsq(hidden, y, rcond=None)[0], dtype=np.float64)
    residual = y - hidden @ output
    return weights, output, float(np.sqrt(np.mean(residual**2)) / y.std())
