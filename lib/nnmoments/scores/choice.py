"""The choice among score models by held-out score matching."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.densities import ScoreModel
from nnmoments.results import Result
from nnmoments.validation import Array, check_array, check_integer, check_rng

__all__ = ["ScoreChoice", "choose_score", "score_matching_loss"]


def score_matching_loss(
    model: ScoreModel, points: npt.ArrayLike, order: int, *, step: float, rng: Any
) -> Array:
    r"""Return :math:`\tfrac12 s_m^2 - \partial_u^m s_m` at each point, for random directions u.

    Here :math:`s_m(x) = \hat S_m(x)(u, \dots, u)`. By Stein's identity the mean is, up to a constant
    that does not depend on the model, :math:`\tfrac12 E\,(\hat S_m - S_m)(u, \dots, u)^2`: for m = 1
    Hyvarinen's score matching, sliced; for m > 1 the same for the score tensor of order m. The
    points must be independent of the model. Derivatives are central differences.

    Parameters
    ----------
    model : ScoreModel
    points : (q, d) array_like
        Held-out points.
    order : int
        m, 1 to 4.
    step : float
        Of the differences, a length.
    rng : None, int, Generator or RandomState
        Of the directions.

    Returns
    -------
    (q,) array

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    .. [1] A. Hyvarinen, "Estimation of non-normalized statistical models by score matching", JMLR 6, 2005.
    .. [2] Y. Song et al., "Sliced score matching", UAI 2019.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> f = StandardNormal(1)
    >>> losses = score_matching_loss(f, f.sample(4000, rng=0), 1, step=0.1, rng=0)
    >>> float(losses.mean().round(1))   # -E S_1^2 / 2 at the truth
    -0.5
    """
    points = check_array("points", points, shape=(None, model.d))
    order = check_integer("order", order, 1, 4)
    directions = check_rng("rng", rng).standard_normal(points.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    offsets = np.arange(-(order // 2) - order % 2, order // 2 + order % 2 + 1)
    weights = _difference_weights(offsets.astype(float), order) / step**order
    values = np.empty((len(offsets), len(points)))
    grid = points[None] + step * offsets[:, None, None] * directions[None]
    scores = model.score(grid.reshape(-1, model.d), order).reshape(len(offsets), len(points), -1)
    powers = directions
    for _ in range(order - 1):
        powers = (powers[:, :, None] * directions[:, None, :]).reshape(len(points), -1)
    values = np.einsum("oqt,qt->oq", scores, powers)
    middle = values[len(offsets) // 2]
    return np.asarray(0.5 * middle**2 - weights @ values, dtype=np.float64)


def _difference_weights(offsets: Array, order: int) -> Array:
    """Return the finite-difference weights of a derivative at 0 on the given offsets."""
    powers = offsets[None, :] ** np.arange(len(offsets))[:, None]
    right = np.zeros(len(offsets))
    right[order] = math.factorial(order)
    return np.asarray(np.linalg.solve(powers, right), dtype=np.float64)


@dataclass(frozen=True, eq=False, repr=False)
class ScoreChoice(Result):
    """The candidate with the least cross-validated loss.

    Attributes
    ----------
    chosen : int
        Its place among the candidates.
    losses : (c,) array
        Mean held-out losses, up to a constant common to all candidates.
    standard_errors : (c,) array
        Of the difference of each to the chosen one.

    Examples
    --------
    >>> from nnmoments.densities import Logistic, StandardNormal, iid
    >>> X = StandardNormal(1).sample(2000, rng=0)
    >>> found = choose_score(X, [lambda Z: iid(Logistic(), 1), lambda Z: StandardNormal(1)], rng=0)
    >>> found.chosen, bool(found.losses[0] - found.losses[1] > 3.0 * found.standard_errors[0])
    (1, True)
    """

    chosen: int
    losses: Array
    standard_errors: Array


def choose_score(
    X: npt.ArrayLike,
    candidates: Sequence[Callable[[Array], ScoreModel]],
    *,
    order: int = 1,
    folds: int = 2,
    points: int = 1000,
    rng: Any,
) -> ScoreChoice:
    """Choose among ways of fitting a score model by cross-validated score matching.

    Parameters
    ----------
    X : (n, d) array_like
    candidates : sequence of callables
        Each maps a sample to a fitted score model.
    order : int
        Order m of the score tensor whose error is to be small.
    folds : int
        At least 2; each is held out in turn.
    points : int
        Held-out points used in each fold, at most.
    rng : None, int, Generator or RandomState
        Of the folds and the directions.

    Returns
    -------
    ScoreChoice

    Raises
    ------
    ValueError
        If there are no candidates, or an argument is outside its range.

    Examples
    --------
    >>> from nnmoments.densities import StandardNormal
    >>> from nnmoments.scores import LocalLikelihood
    >>> X = StandardNormal(1).sample(2000, rng=0)
    >>> ways = [lambda Z, h=h: LocalLikelihood(Z, bandwidth=h) for h in (0.05, 1.0)]
    >>> choose_score(X, ways, rng=0).chosen
    1
    """
    X = check_array("X", X, ndim=2)
    if not candidates:
        raise ValueError("candidates is empty; give at least one way of fitting a score model")
    folds = check_integer("folds", folds, 2, len(X))
    points = check_integer("points", points, 2)
    generator = check_rng("rng", rng)
    parts = np.array_split(generator.permutation(len(X)), folds)
    spread = math.sqrt(np.var(X, axis=0).mean())
    # Differences over a tenth of the data's scale; wider for orders whose rounding grows as step^-m.
    step = 0.1 * spread * (1.0 + 0.5 * (order - 1))
    losses = []
    for part in parts:
        rest = X[np.setdiff1d(np.arange(len(X)), part)]
        held_out, seed = X[part[:points]], int(generator.integers(2**32))
        losses.append(
            [score_matching_loss(fit(rest), held_out, order, step=step, rng=seed) for fit in candidates]
        )
    table = np.concatenate([np.array(fold) for fold in losses], axis=1)
    chosen = int(table.mean(axis=1).argmin())
    difference = table - table[chosen]
    return ScoreChoice(chosen, table.mean(axis=1), difference.std(axis=1) / math.sqrt(table.shape[1]))
