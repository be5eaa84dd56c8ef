"""The choice among score models by held-out score matching."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.densities import ScoreModel
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_instance,
    check_integer,
    check_number,
    check_result,
    check_rng,
)

__all__ = ["ScoreChoice", "choose_score", "score_matching_loss", "spread_ties"]


def score_matching_loss(
    model: ScoreModel, points: npt.ArrayLike, order: int, *, step: float, rng: Any
) -> Array:
    r"""Return :math:`\tfrac12 s_m^2 - \partial_u^m s_m` at each point, for random directions u.

    Here :math:`s_m(x) = \hat S_m(x)(u, \dots, u)`. By Stein's identity the mean is, up to a constant
    that does not depend on the model, :math:`\tfrac12 E\,(\hat S_m - S_m)(u, \dots, u)^2`: for m = 1
    Hyvarinen's score matching, sliced; for m > 1 the same for the score tensor of order m. The
    points must be independent of the model. Derivatives are central differences.

    Where values are tied there is no density: the loss is then the lower the narrower a model's peaks at
    them are, without bound. `choose_score` spreads ties.

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
    points = check_array("points", points, shape=(None, check_instance("model", model, ScoreModel).d))
    step = check_number("step", step, above=0.0)
    order = check_integer("order", order, 1, 4)
    directions = check_rng("rng", rng).standard_normal(points.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    offsets = np.arange(-(order // 2) - order % 2, order // 2 + order % 2 + 1)
    with np.errstate(over="ignore", divide="ignore"):
        weights = _difference_weights(offsets.astype(float), order) / np.float64(step) ** order
    check_result("1/step", weights)
    values = np.empty((len(offsets), len(points)))
    grid = points[None] + step * offsets[:, None, None] * directions[None]
    scores = model.score(grid.reshape(-1, model.d), order).reshape(len(offsets), len(points), -1)
    powers = directions
    for _ in range(order - 1):
        powers = (powers[:, :, None] * directions[:, None, :]).reshape(len(points), -1)
    values = np.einsum("oqt,qt->oq", scores, powers)
    middle = values[len(offsets) // 2]
    with np.errstate(over="ignore", invalid="ignore"):
        return check_result("points", 0.5 * middle**2 - weights @ values)


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
    status : str
        Which columns of X have ties.

    Examples
    --------
    >>> from nnmoments.densities import Logistic, StandardNormal, iid
    >>> X = StandardNormal(1).sample(2000, rng=0)
    >>> candidates = [lambda Z: iid(Logistic(), 1), lambda Z: StandardNormal(1)]
    >>> found = choose_score(X, candidates, rng=0)
    >>> excess = found.losses[0] - found.losses[1]
    >>> found.chosen, bool(excess > 3.0 * found.standard_errors[0])
    (1, True)
    """

    chosen: int
    losses: Array
    standard_errors: Array
    status: str


def choose_score(
    X: npt.ArrayLike,
    candidates: Sequence[Callable[[Array], ScoreModel]],
    *,
    order: int = 1,
    folds: int = 2,
    points: int = 1000,
    directions: int = 1,
    rng: Any,
) -> ScoreChoice:
    r"""Choose among ways of fitting a score model by cross-validated score matching.

    A column with tied values has no density, and the loss would praise the model with the narrowest
    peaks at them. So uniform noise of width :math:`\sqrt{12}\,\sigma p` is added to it, p the share of its
    most common value and :math:`\sigma` its standard deviation: about the step of a grid of values.

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
    directions : int
        Directions at each point; more of them tell closer candidates apart.
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
    if not isinstance(candidates, Sequence) or isinstance(candidates, str) or not candidates:
        raise ValueError("candidates must be a sequence of at least one way of fitting a score model")
    for fit in candidates:
        check_callable("candidates", fit)
    order = check_integer("order", order, 1, 4)
    folds = check_integer("folds", folds, 2, len(X))
    points, directions = check_integer("points", points, 2), check_integer("directions", directions, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = check_result("X", math.sqrt(np.var(X, axis=0).mean()))
    if spread == 0.0:
        raise ValueError("X is constant, or so small that its variance is 0")
    generator = check_rng("rng", rng)
    parts = np.array_split(generator.permutation(len(X)), folds)
    X, tied = spread_ties(X, generator)
    # Differences over a tenth of the data's scale; wider for orders whose rounding grows as step^-m.
    step = 0.1 * spread * (1.0 + 0.5 * (order - 1))
    losses = []
    for part in parts:
        rest = X[np.setdiff1d(np.arange(len(X)), part)]
        held_out, seed = np.repeat(X[part[:points]], directions, axis=0), int(generator.integers(2**32))
        each = [score_matching_loss(fit(rest), held_out, order, step=step, rng=seed) for fit in candidates]
        losses.append(np.array(each).reshape(len(candidates), -1, directions).mean(axis=2))
    table = np.concatenate(losses, axis=1)
    chosen = int(table.mean(axis=1).argmin())
    difference = table - table[chosen]
    errors = difference.std(axis=1) / math.sqrt(table.shape[1])
    status = f"columns {', '.join(map(str, tied))} have ties, which were spread" if tied else "no ties"
    return ScoreChoice(chosen, table.mean(axis=1), errors, status)


def spread_ties(X: Array, rng: np.random.Generator) -> tuple[Array, list[int]]:
    """Return X with noise where values are tied, and the columns where they are.

    Examples
    --------
    >>> X = np.array([[0.0, 1.0], [0.0, 2.0], [1.0, 3.0]])
    >>> spread, tied = spread_ties(X, np.random.default_rng(0))
    >>> tied, len(np.unique(spread[:, 0]))
    ([0], 3)
    """
    spread, tied = X.copy(), []
    for axis, column in enumerate(X.T):
        most = int(np.unique(column, return_counts=True)[1].max())
        if most > 1:
            tied.append(axis)
            width = math.sqrt(12.0) * float(column.std()) * most / len(X)
            spread[:, axis] += width * (rng.random(len(X)) - 0.5)
    return spread, tied
