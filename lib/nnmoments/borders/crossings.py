r"""From a direction to the weight with a label oracle, by where lines meet the border.

A point :math:`s z + g`, g in the plane normal to z, turns active at

.. math:: s = t/\cos\alpha - \tan\alpha\;u \cdot g, \qquad w = \cos\alpha\,z + \sin\alpha\,u,

which is linear in g: a regression of the places on the g gives :math:`\tan\alpha\;u` itself.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.borders.angles import angle_from_oracle, bisect
from nnmoments.borders.refined import Refinement, refined
from nnmoments.borders.sources import (
    LabelOracle,
    Labels,
    Predicate,
    checked_direction,
    in_plane,
    normalized,
)
from nnmoments.validation import Array, check_integer, check_number, check_rng

__all__ = ["fit_crossings"]


def fit_crossings(
    f: Labels,
    z: npt.ArrayLike,
    *,
    tol: float = 1e-6,
    active: Predicate | None = None,
    points: int | None = None,
    max_iter: int = 20,
    rng: Any = None,
) -> Refinement:
    r"""Refine a direction near a weight to a given angle with a label oracle, by crossings of the border.

    .. math:: s(g) = t/\cos\alpha - \tan\alpha\;u \cdot g, \qquad w = \cos\alpha\,z + \sin\alpha\,u,

    is where :math:`s z + g` turns active. Least squares of s on g, without the g where another unit is
    active first, gives w to the precision of the bisection: one or two rounds, and
    :math:`O(d \log 1/\epsilon)` *labels*.

    Parameters
    ----------
    f : callable
        Labels (n,) of points (n, d), without noise.
    z : (d,) array_like
        Of any length; nearer to one weight than to all others.
    tol : float
        Angle in radians, below 1.
    active : callable, optional
        Which labels are active; by default those that are not zero.
    points : int, optional
        Points g a round, by default 20 d (at least 100).
    max_iter : int
        Rounds.
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
    What GP Algorithm 1 is for; the paper has no method but the perturbations.

    Examples
    --------
    >>> found = fit_crossings(lambda X: X[:, 0] > 2.0, [1.0, 0.2, 0.1], rng=0)
    >>> found.converged, bool(abs(found.direction[1:]).max() < 1e-6)
    (True, True)
    """
    z, oracle, rng = checked_direction(z), LabelOracle(f, active), check_rng("rng", rng)
    tol, limit = check_number("tol", tol, above=0.0, below=1.0), check_integer("max_iter", max_iter, 1)
    d = len(z)
    points = max(100, 20 * d) if points is None else check_integer("points", points, 4 * d)
    start = angle_from_oracle(oracle, z, in_plane(z, points, rng))
    history, directions = [start.alpha], [z]
    middle, spread = start.middle, start.tan_alpha
    converged = False
    while not converged and len(history) <= limit:
        inside = in_plane(z, points, rng)
        margin = 12.0 * spread
        finest = max(1e-3 * tol, 4e-16 * (abs(middle) + margin))  # what floats can tell apart
        below, above = bisect(
            oracle, z, inside, middle - margin, middle + margin, lambda _, finest=finest: finest
        )
        used = np.isfinite(below) & np.isfinite(above)
        if used.sum() < max(2 * d, points // 4):  # the border left the bracket
            spread *= 100.0
            history.append(history[-1])
        else:
            middle, slope = _robust_plane(inside[used], 0.5 * (below + above)[used], z)
            size = float(np.linalg.norm(slope))
            z = normalized(z - slope)  # the slope is -tan(alpha) u
            # What a round finds is the angle it started from; the next one begins where this one ended.
            history.append(math.atan(size))
            middle /= math.sqrt(1.0 + size * size)  # t, where the border stands once z = w
            spread = max(1e-4 * size, 10.0 * finest)
            converged = size <= tol and _tells(oracle, z, in_plane(z, points, rng), middle, 10.0 * tol)
        directions.append(z)
    return refined(
        directions,
        history,
        middle,
        method="crossings",
        source="oracle",
        n_labels=oracle.n_labels,
        converged=converged,
        advice="" if converged else f" > {tol:.1e}: raise max_iter or points, or start closer to the weight",
    )


def _tells(oracle: LabelOracle, z: Array, inside: Array, middle: float, off: float) -> bool:
    """Say whether labels differ across the border, `off` from it, as they do across no other plane.

    Where wrong labels have sent all bisections to one place, both sides have the same shares. A quarter
    of the lines must cross the border first (the others meet another unit), so .2 is asked of the shares.
    """
    shares = [oracle(inside + (middle + sign * off) * z).mean() for sign in (-1.0, 1.0)]
    return bool(shares[1] - shares[0] > 0.2)


def _robust_plane(inside: Array, places: Array, z: Array) -> tuple[float, Array]:
    """Fit places = middle + slope.g by least squares, dropping again and again what lies far off."""
    design = np.column_stack([np.ones(len(places)), inside])
    keep = np.ones(len(places), dtype=bool)
    for _ in range(20):
        # The g span the normal plane only: lstsq returns the slope within it.
        fit = np.linalg.lstsq(design[keep], places[keep], rcond=1e-10)[0]
        residual = np.abs(places - design @ fit)
        near = residual <= 6.0 * np.median(residual) + 1e-15
        if np.array_equal(near, keep) or near.sum() < 2 * len(z):
            break
        keep = near
    slope = fit[1:] - (fit[1:] @ z) * z
    return float(fit[0]), slope
