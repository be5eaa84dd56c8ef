r"""EstimateTanAlpha (GP Algorithm 2): the angle between a direction and a weight, from activity in bands.

A unit that is active beyond a threshold, :math:`w \cdot x > t`, has a border that is a hyperplane. Where
:math:`z \cdot x = s`, at the angle :math:`\alpha` between z and w,

.. math:: \Pr[\text{active} \mid z \cdot x = s] = \Phi\big((s - t/\cos\alpha)/\tan\alpha\big).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from nnmoments.borders.sources import (
    FEWEST,
    LabelOracle,
    Labels,
    Mask,
    Predicate,
    checked_direction,
    checked_sample,
    in_plane,
)
from nnmoments.results import Result
from nnmoments.validation import Array, check_integer, check_number, check_rng

__all__ = ["AngleEstimate", "sampled_tan_alpha", "tan_alpha"]

_LOW, _HIGH = 0.4, 0.6  # GP Algorithm 2, line 1
# A band is this much narrower than tan(alpha): smoothing by it widens the transition by 1/(24 * 16).
_NARROWER = 4.0


@dataclass(frozen=True, eq=False, repr=False)
class AngleEstimate(Result):
    r"""What EstimateTanAlpha found.

    Attributes
    ----------
    tan_alpha : float
    places : (float, float)
        Where 40 % and 60 % of the plane :math:`z \cdot x = s` are active.
    n_labels : int
        Labels that were used.
    source : str
        "sample" or "oracle".

    Examples
    --------
    >>> AngleEstimate(0.1, (1.49, 1.51), 1000, "sample").middle
    1.5
    """

    tan_alpha: float
    places: tuple[float, float]
    n_labels: int
    source: str

    @property
    def alpha(self) -> float:
        """The angle in radians."""
        return math.atan(self.tan_alpha)

    @property
    def middle(self) -> float:
        r"""The place halfway between, an estimate of :math:`t/\cos\alpha`."""
        return 0.5 * (self.places[0] + self.places[1])

    @property
    def threshold(self) -> float:
        """An estimate of t, the distance of the border from zero."""
        return self.middle * math.cos(self.alpha)


def _from_places(low: float, high: float, n_labels: int, source: str) -> AngleEstimate:
    tangent = (high - low) / float(ndtri(_HIGH) - ndtri(_LOW))  # GP Algorithm 2, line 2
    return AngleEstimate(tangent, (low, high), n_labels, source)


# --- from an oracle -------------------------------------------------------------------------------------


def bisect(
    oracle: LabelOracle, z: Array, inside: Array, low: float, high: float, finest: Any
) -> tuple[Array, Array]:
    """Bisect for the s at which s z + g turns active, for every row g of `inside`.

    Returns the ends (m,) of the last intervals, which are -inf or inf where the point is active at
    `low` already or not at `high`. It ends at intervals of length `finest(places)`, of their middles.
    """
    below, above = np.full(len(inside), low), np.full(len(inside), high)
    early, late = oracle(inside + low * z), ~oracle(inside + high * z)
    outside = np.where(early, -np.inf, np.where(late, np.inf, 0.0))
    middle = 0.5 * (below + above)
    while (above - below)[0] > finest(middle + outside):
        on = oracle(inside + middle[:, None] * z)
        below, above = np.where(on, below, middle), np.where(on, middle, above)
        middle = 0.5 * (below + above)
    return below + outside, above + outside


def _reach(oracle: LabelOracle, z: Array, inside: Array) -> float:
    """Return an s at which 80 % of the plane is active, by doubling."""
    s = 1.0
    while s <= 64.0:
        if float(np.mean(oracle(inside + s * z))) >= 0.5 * (1.0 + _HIGH):
            return s
        s *= 2.0
    raise ValueError("z is not near a weight: no plane z.x = s up to s = 64 is mostly active")


def _quantiles(places: Array) -> tuple[float, float]:
    first, last = np.quantile(places, [_LOW, _HIGH], method="inverted_cdf")
    return float(first), float(last)


def angle_from_oracle(
    oracle: LabelOracle, z: Array, inside: Array, near: AngleEstimate | None = None
) -> AngleEstimate:
    """EstimateTanAlpha with an oracle, at points `inside` the plane; `near` says where to look."""
    asked = oracle.n_labels
    if near is None:
        low, high = 0.0, _reach(oracle, z, inside)
    else:
        low, high = near.middle - 10.0 * near.tan_alpha, near.middle + 10.0 * near.tan_alpha

    def finest(places: Array) -> float:
        first, last = _quantiles(places)
        if not (math.isfinite(first) and math.isfinite(last)):
            return math.inf  # they will not come back
        # The shares are those of a few thousand labels: finer places would be a false precision.
        return max(3e-3 * (last - first), 4e-16 * high)

    below, above = bisect(oracle, z, inside, low, high, finest)
    first, last = _quantiles(0.5 * (below + above))  # GP Algorithm 2, line 1
    if math.isfinite(first) and math.isfinite(last):
        return _from_places(first, last, oracle.n_labels - asked, "oracle")
    if near is not None:  # the border left the bracket
        return angle_from_oracle(oracle, z, inside)
    raise ValueError(
        "z is not near a single weight: 40 % or more of the plane z.x = 0 are active; "
        "raise the threshold or start closer"
    )


def tan_alpha(
    f: Labels, z: npt.ArrayLike, *, active: Predicate | None = None, points: int = 4000, rng: Any = None
) -> AngleEstimate:
    r"""Estimate the tangent of the angle from z to the nearest weight with a label oracle.

    .. math:: \tan\alpha = \frac{s_2 - s_1}{\Phi^{-1}(0.6) - \Phi^{-1}(0.4)}

    where 40 and 60 % of the plane :math:`z \cdot x = s` are active at :math:`s_1` and :math:`s_2`. The
    points :math:`x = s z + g` have the conditional law of x in the plane; all s share their g, and
    each g is followed by bisection to where it turns active.

    Parameters
    ----------
    f : callable
        Labels (n,) of points (n, d).
    z : (d,) array_like
        Of any length.
    active : callable, optional
        Which labels (n,) are active; by default those that are not zero.
    points : int
        Points g. The relative standard error is about :math:`2/\sqrt{points}`.
    rng : optional
        Seed or generator.

    Returns
    -------
    AngleEstimate

    Raises
    ------
    ValueError
        If no plane is mostly active, or the plane through zero is.

    References
    ----------
    GP Algorithm 2 and Lemma 3.

    Examples
    --------
    >>> found = tan_alpha(lambda X: X[:, 0] > 2.0, [1.0, 0.01], rng=0)
    >>> abs(found.tan_alpha / 0.01 - 1) < 0.15
    True
    """
    z = checked_direction(z)
    points = check_integer("points", points, 100)
    return angle_from_oracle(LabelOracle(f, active), z, in_plane(z, points, check_rng("rng", rng)))


# --- from a sample --------------------------------------------------------------------------------------


def _crossing(s: Array, share: Array, level: float) -> float:
    """Return where a noisy increasing curve crosses a level: between first above and last below."""
    above, below = np.flatnonzero(share >= level), np.flatnonzero(share < level)
    if not len(above) or not len(below):
        return math.nan
    return float(0.5 * (s[above[0]] + s[below[-1]]))


def _band_places(heights: Array, active: Mask, weight: Array, epsilon: float, span: Any) -> Array:
    """Return where the shares in the bands [s - epsilon, s] cross 0.4 and 0.6."""
    order = np.argsort(heights)
    heights = heights[order]
    count = np.concatenate([[0.0], np.cumsum((active * weight)[order])])
    every = np.concatenate([[0.0], np.cumsum(weight[order])])
    s = np.arange(span[0], span[1], epsilon / 8.0)
    top, bottom = np.searchsorted(heights, s), np.searchsorted(heights, s - epsilon)
    enough = top - bottom >= FEWEST
    share = (count[top] - count[bottom])[enough] / (every[top] - every[bottom])[enough]
    return np.array([_crossing(s[enough], share, level) for level in (_LOW, _HIGH)])


def angle_from_heights(
    heights: Array,
    active: Mask,
    weight: Array,
    *,
    epsilon: float | None = None,
    near: AngleEstimate | None = None,
) -> AngleEstimate | None:
    """EstimateTanAlpha from heights z.x of a sample, or None if the bands hold too few labels."""
    if near is None:
        top = float(np.partition(heights, -FEWEST)[-FEWEST])
        guess, span = 0.25, (0.0, top)
    else:
        guess = near.tan_alpha / _NARROWER
        span = (near.middle - 12.0 * near.tan_alpha, near.middle + 12.0 * near.tan_alpha)
    found: AngleEstimate | None = None
    for _ in range(30):
        width = epsilon or guess
        first, last = _band_places(heights, active, weight, width, span).tolist()
        if not last > first:
            if epsilon or found is not None or near is not None or guess > 0.5:
                return found  # the last width that still showed the angle bounds it
            guess *= 2.0
            continue
        used = int(np.sum((heights > span[0] - width) & (heights < span[1])))
        found = _from_places(first, last, used, "sample")
        wanted = found.tan_alpha / _NARROWER
        if epsilon or 0.7 <= wanted / guess <= 1.3:
            return found
        guess = max(wanted, 0.5 * guess)
        reach = 12.0 * max(found.tan_alpha, guess * _NARROWER)
        span = (max(0.0, found.middle - reach), found.middle + reach)
    return found


def sampled_tan_alpha(
    X: npt.ArrayLike,
    active: npt.ArrayLike,
    z: npt.ArrayLike,
    *,
    epsilon: float | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> AngleEstimate:
    r"""Estimate the tangent of the angle from z to the nearest weight from a sample.

    As `tan_alpha`, with bands :math:`z \cdot x \in [s - \epsilon, s]` for the planes.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs, at least 1000.
    active : (n,) array_like
        Whether the label of each is active, as :math:`f(x) \ne 0`.
    z : (d,) array_like
        Of any length.
    epsilon : float, optional
        Width of the bands, above 1e-4; by default a quarter of the tangent that comes out.
    sample_weight : (n,) array_like, optional

    Returns
    -------
    AngleEstimate

    Raises
    ------
    ValueError
        If the sample is too small for the angle, or z is not near a weight.

    References
    ----------
    GP Algorithm 2.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((200_000, 2))
    >>> found = sampled_tan_alpha(X, X[:, 0] > 1.5, [1.0, 0.1])
    >>> bool(abs(found.tan_alpha / 0.1 - 1) < 0.2)
    True
    """
    X, mask, z, weight = checked_sample(X, active, z, sample_weight)
    if epsilon is not None:
        epsilon = check_number("epsilon", epsilon, above=1e-4)
    return seen_angle(X, mask, z, weight, epsilon)


def seen_angle(
    X: Array, active: Mask, z: Array, weight: Array, epsilon: float | None = None
) -> AngleEstimate:
    """EstimateTanAlpha from a checked sample, which must show the angle."""
    found = angle_from_heights(X @ z, active, weight, epsilon=epsilon)
    if found is None:
        raise ValueError(
            "X has too few samples for the angle of z to a weight, or z is not near one: no share of "
            "40 and 60 % active in the bands; pass more samples, a wider epsilon, or refine with an oracle"
        )
    return found
