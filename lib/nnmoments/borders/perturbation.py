"""RefineEstimate (GP Algorithm 1): perturb the direction, keep what lowers the estimated angle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.borders.angles import AngleEstimate, angle_from_heights, angle_from_oracle, seen_angle
from nnmoments.borders.refined import Refinement, refined
from nnmoments.borders.sources import (
    LabelOracle,
    Labels,
    Predicate,
    checked_direction,
    checked_sample,
    checked_unit,
    in_plane,
    normalized,
)
from nnmoments.validation import (
    Array,
    check_callable,
    check_instance,
    check_integer,
    check_number,
    check_rng,
)

__all__ = ["perturb_and_accept", "refine_estimate", "sampled_refine_estimate"]

# Perturbations in a row that fail where a sample shows no more: one in six passes while the angle is seen.
_PATIENCE = 50


def perturb_and_accept(
    estimate_tan_alpha: Callable[[Array, AngleEstimate], AngleEstimate | None],
    z: npt.ArrayLike,
    start: AngleEstimate,
    *,
    tol: float,
    c: float = 0.5,
    max_iter: int,
    patience: int | None = None,
    rng: Any = None,
) -> tuple[list[Array], list[AngleEstimate]]:
    r"""Return the directions, and estimates of their angles, along GP's Algorithm 1, RefineEstimate.

    The listing accepts :math:`z'` at :math:`\alpha' \le O(\alpha/d)`, which is hardly ever true; Lemma 7
    gives a decrease *by* :math:`\Omega(\alpha/d)`.

    Parameters
    ----------
    estimate_tan_alpha : callable
        GP Algorithm 2: from a direction (d,), and the last estimate, its `AngleEstimate`, or None where
        nothing can be said.
    z : (d,) array
        Of length 1.
    start : AngleEstimate
        Of z: line 1.
    tol : float
        Angle in radians.
    c : float
        Accept a decrease by c/d of the angle.
    max_iter : int
    patience : int, optional
        Refusals in a row that end the search.
    rng : optional
        Seed or generator.

    Returns
    -------
    directions : list of (d,) arrays
        The start, and where the search is after each trial.
    estimates : list of AngleEstimate
        Theirs.

    Raises
    ------
    ValueError
        Naming the argument that does not fit.

    References
    ----------
    GP Algorithm 1, Theorem 5 and Lemma 7.

    Examples
    --------
    >>> def exact(z, near):
    ...     return AngleEstimate(np.hypot(*z[1:]) / z[0], (1.0, 1.0), 0, "oracle")
    >>> z, rng = np.array([0.8, 0.6, 0.0]), np.random.default_rng(0)
    >>> first = exact(z, None)
    >>> directions, _ = perturb_and_accept(exact, z, first, tol=1e-3, max_iter=500, rng=rng)
    >>> bool(directions[-1][0] > np.cos(1e-3))
    True
    """
    check_callable("estimate_tan_alpha", estimate_tan_alpha)
    z, near, refused = checked_unit(z), check_instance("start", start, AngleEstimate), 0
    d, rng, tol = len(z), check_rng("rng", rng), check_number("tol", tol)
    c, max_iter = check_number("c", c, above=0.0, below=len(z)), check_integer("max_iter", max_iter, 1)
    patience = None if patience is None else check_integer("patience", patience, 1)
    directions, estimates = [z], [start]
    while near.alpha > tol and len(directions) <= max_iter and refused != patience:  # line 6
        step = rng.normal(scale=near.alpha / d, size=d)  # line 2: N(0, Theta(alpha/d))^{d-1}
        trial = normalized(z + step - (step @ z) * z)
        new = estimate_tan_alpha(trial, near)  # line 3
        if new is not None:
            check_instance("estimate_tan_alpha must give an AngleEstimate or None: it", new, AngleEstimate)
        if new is not None and new.alpha <= (1.0 - c / d) * near.alpha:  # line 4, as Lemma 7 has it
            z, near, refused = trial, new, 0  # line 5
        else:
            refused += 1
        directions.append(z)
        estimates.append(near)
    return directions, estimates


def refine_estimate(
    f: Labels,
    z: npt.ArrayLike,
    *,
    tol: float = 1e-6,
    active: Predicate | None = None,
    points: int | None = None,
    c: float = 0.5,
    max_iter: int | None = None,
    rng: Any = None,
) -> Refinement:
    r"""Refine a direction near a weight to a given angle with a label oracle, by the paper's random search.

    Perturb z in its normal plane by :math:`N(0, (\alpha/d)^2)` a coordinate, accept if the new angle, by
    `tan_alpha`, is at most :math:`(1 - c/d)\alpha`. It takes :math:`O(d \log 1/\epsilon)` rounds of
    thousands of labels; `fit_crossings` needs fewer labels in all than this in one round.

    Parameters
    ----------
    f : callable
        Labels (n,) of points (n, d), without noise.
    z : (d,) array_like
        Of any length; nearer to one weight than to all others.
    tol : float
        Angle in radians.
    active : callable, optional
        Which labels are active; by default those that are not zero.
    points : int, optional
        Points a plane, by default 40 d^2 (at least 4000): angles must be known to better than c/d.
    c : float
        Of the accept rule.
    max_iter : int, optional
        By default 200 d.
    rng : optional
        Seed or generator.

    Returns
    -------
    Refinement

    Raises
    ------
    ValueError
        If z is not near a weight.

    References
    ----------
    GP Algorithm 1, Theorem 5 and Lemma 7. The listing's accept rule is misprinted.

    Examples
    --------
    >>> found = refine_estimate(lambda X: X[:, 0] > 2.0, [1.0, 0.2], tol=0.01, rng=0)
    >>> found.converged, bool(abs(found.direction[1]) < 0.015)
    (True, True)
    """
    z, oracle, rng = checked_direction(z), LabelOracle(f, active), check_rng("rng", rng)
    d, tol, c = len(z), check_number("tol", tol, above=0.0), check_number("c", c, above=0.0, below=len(z))
    points = max(4000, 40 * d * d) if points is None else check_integer("points", points, 100)
    limit = 200 * d if max_iter is None else check_integer("max_iter", max_iter, 1)

    def estimate(trial: Array, near: AngleEstimate | None) -> AngleEstimate:
        return angle_from_oracle(oracle, trial, in_plane(trial, points, rng), near)

    start = estimate(z, None)
    directions, angles = perturb_and_accept(estimate, z, start, tol=tol, c=c, max_iter=limit, rng=rng)
    converged = angles[-1].alpha <= tol
    return refined(
        directions,
        [a.alpha for a in angles],
        angles[-1].threshold,
        method="perturbation",
        source="oracle",
        n_labels=oracle.n_labels,
        converged=converged,
        advice="" if converged else f" > {tol:.1e}: raise max_iter or points, or start closer to the weight",
    )


def sampled_refine_estimate(
    X: npt.ArrayLike,
    active: npt.ArrayLike,
    z: npt.ArrayLike,
    *,
    c: float = 0.5,
    max_iter: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    rng: Any = None,
) -> Refinement:
    r"""Refine a direction as far as a fixed sample allows, by the paper's random search.

    With `sampled_tan_alpha` for the angles; it ends when no perturbation has passed for 50 rounds. Bands
    must be narrower than :math:`\tan\alpha` and still hold labels, which sets a floor; `fit_border` goes
    far below.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs, at least 1000.
    active : (n,) array_like
        Whether the label of each is active, as :math:`f(x) \ne 0`.
    z : (d,) array_like
        Of any length; nearer to one weight than to all others.
    c : float
        Of the accept rule.
    max_iter : int, optional
        By default 200 d.
    sample_weight : (n,) array_like, optional
    rng : optional
        Seed or generator.

    Returns
    -------
    Refinement
        `converged` if the sample's limit was reached.

    Raises
    ------
    ValueError
        If the sample is too small to see the angle at all, or z is not near a weight.

    References
    ----------
    GP Algorithm 1 and Theorem 5, which do not say what a fixed sample can reach.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((100_000, 2))
    >>> found = sampled_refine_estimate(X, X[:, 0] > 1.5, [1.0, 0.3], rng=0)
    >>> found.converged, bool(abs(found.direction[1]) < 0.1)
    (True, True)
    """
    X, mask, z, weight = checked_sample(X, active, z, sample_weight)
    c, rng = check_number("c", c, above=0.0, below=len(z)), check_rng("rng", rng)
    limit = 200 * len(z) if max_iter is None else check_integer("max_iter", max_iter, 1)
    start = seen_angle(X, mask, z, weight)
    # No direction that can come out makes use of points that far from the border.
    kept = np.abs(X @ z - start.middle) <= 12.0 * start.tan_alpha
    X, mask, weight = X[kept], mask[kept], weight[kept]
    directions, angles = perturb_and_accept(
        lambda trial, near: angle_from_heights(X @ trial, mask, weight, near=near),
        z,
        start,
        tol=0.0,
        c=c,
        max_iter=limit,
        patience=_PATIENCE,
        rng=rng,
    )
    converged = len(angles) <= limit
    return refined(
        directions,
        [a.alpha for a in angles],
        angles[-1].threshold,
        method="perturbation",
        source="sample",
        n_labels=len(X),
        converged=converged,
        advice="; more samples or an oracle go further" if converged else ": raise max_iter",
    )
