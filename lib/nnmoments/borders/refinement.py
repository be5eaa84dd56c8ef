r"""From a direction near a weight to the weight: angles from activity in bands, and refinement.

A unit that is active beyond a threshold, :math:`w \cdot x > t`, has a border that is a hyperplane. Where
:math:`z \cdot x = s`, at the angle :math:`\alpha` between z and w,

.. math:: \Pr[\text{active} \mid z \cdot x = s] = \Phi\big((s - t/\cos\alpha)/\tan\alpha\big).

Two sources of labels serve: a fixed sample (names that begin with ``sampled``), whose size sets the
angle that can be reached, and a label oracle f, which is asked where the border is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, ndtr, ndtri

from nnmoments.hermite import normal_density
from nnmoments.validation import Array, check_array, check_choice, check_integer, check_number

__all__ = [
    "AngleEstimate",
    "Refinement",
    "refine_estimate",
    "sampled_refine_estimate",
    "sampled_tan_alpha",
    "tan_alpha",
]

Labels = Callable[[Array], npt.ArrayLike]
Predicate = Callable[[Array], npt.ArrayLike]

_LOW, _HIGH = 0.4, 0.6  # GP Algorithm 2
_SPAN = float(ndtri(_HIGH) - ndtri(_LOW))
# A band is this much narrower than tan(alpha): smoothing by it widens the transition by 1/(24 * 16).
_NARROWER = 4.0
_FEWEST = 50  # labels in a band, so that its share is known to 7 %


@dataclass(frozen=True)
class AngleEstimate:
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
    """

    tan_alpha: float
    places: tuple[float, float]
    n_labels: int
    source: str

    @property
    def middle(self) -> float:
        r"""The place halfway between, an estimate of :math:`t/\cos\alpha`."""
        return 0.5 * (self.places[0] + self.places[1])


@dataclass(frozen=True)
class Refinement:
    r"""A refined direction and how it came about.

    Attributes
    ----------
    direction : (d,) array
        Of length 1.
    angle : float
        The last estimate of its angle to the weight, in radians. For "border" the half-width of
        the last band: the sample does not show anything smaller.
    angles : (rounds + 1,) array
        Such estimates before and after each round.
    directions : (rounds + 1, d) array
        The directions at the same times.
    method : str
        "perturbation" (the paper's), "border" or "crossings".
    source : str
        "sample" or "oracle".
    rounds, n_labels : int
    converged : bool
    status : str
    """

    direction: Array
    angle: float
    angles: Array = field(repr=False)
    directions: Array = field(repr=False)
    method: str
    source: str
    rounds: int
    n_labels: int
    converged: bool
    status: str


def _unit(z: npt.ArrayLike, d: int | None = None) -> Array:
    z = check_array("z", z, shape=(d,))
    norm = float(np.linalg.norm(z))
    if norm == 0.0:
        raise ValueError("z must not be zero")
    return z / norm


def _normalized(z: Array) -> Array:
    return np.asarray(z / np.linalg.norm(z))


def _nonzero(y: Array) -> npt.ArrayLike:
    return np.asarray(y) != 0.0


def _from_places(low: float, high: float) -> float:
    return (high - low) / _SPAN  # GP Algorithm 2, line 2


# --- EstimateTanAlpha -----------------------------------------------------------------------------------


def _cross(
    f: Labels, active: Predicate, z: Array, inside: Array, low: float, high: float, stop: Callable[..., bool]
) -> tuple[Array, Array, int]:
    """Bisect for the s at which s z + g turns active, for every row g of `inside`.

    Returns the ends (m,) of the last intervals, which are -inf or inf where the point is active at
    `low` already or not at `high`, and the number of labels.
    """

    def ask(s: Array) -> npt.NDArray[np.bool_]:
        return np.asarray(active(np.asarray(f(inside + s[:, None] * z)))).astype(bool)

    below, above = np.full(len(inside), low), np.full(len(inside), high)
    early, late = ask(below), ~ask(above)
    labels = 2 * len(inside)
    while not stop(above - below, np.where(early, -np.inf, np.where(late, np.inf, 0.5 * (below + above)))):
        middle = 0.5 * (below + above)
        on = ask(middle)
        labels += len(inside)
        below, above = np.where(on, below, middle), np.where(on, middle, above)
    return (
        np.where(early, -np.inf, np.where(late, np.inf, below)),
        np.where(early, -np.inf, np.where(late, np.inf, above)),
        labels,
    )


def _reach(f: Labels, active: Predicate, z: Array, inside: Array) -> tuple[float, int]:
    """Return an s at which 60 % of the plane is active, by doubling, and the labels it took."""
    s, labels = 1.0, 0
    while s <= 64.0:
        share = float(np.mean(np.asarray(active(np.asarray(f(inside + s * z))))))
        labels += len(inside)
        if share >= 0.5 * (1.0 + _HIGH):
            return s, labels
        s *= 2.0
    raise ValueError("z is not near a weight: no plane z.x = s up to s = 64 is mostly active")


def _in_plane(z: Array, points: int, rng: np.random.Generator) -> Array:
    inside = rng.standard_normal((points, len(z)))
    return inside - np.outer(inside @ z, z)


def _tan_alpha(
    f: Labels, active: Predicate, z: Array, inside: Array, near: AngleEstimate | None = None
) -> AngleEstimate:
    labels = 0
    if near is None:
        low = 0.0
        high, labels = _reach(f, active, z, inside)
    else:
        margin = 10.0 * near.tan_alpha
        low, high = near.middle - margin, near.middle + margin

    def stop(width: Array, place: Array) -> bool:
        first, last = np.quantile(place, [_LOW, _HIGH], method="inverted_cdf")
        if not (np.isfinite(first) and np.isfinite(last)):
            return True  # looked at by the caller
        # The shares are those of a few thousand labels: finer places would be a false precision.
        return bool(width[0] <= max(3e-3 * (last - first), 4e-16 * high))

    below, above, more = _cross(f, active, z, inside, low, high, stop)
    places = 0.5 * (below + above)
    first, last = np.quantile(places, [_LOW, _HIGH], method="inverted_cdf")
    if not (np.isfinite(first) and np.isfinite(last)):
        if near is not None:  # the border left the bracket
            return _tan_alpha(f, active, z, inside)
        raise ValueError(
            "z is not near a single weight: 40 % or more of the plane z.x = 0 are active; "
            "raise the threshold or start closer"
        )
    return AngleEstimate(
        _from_places(float(first), float(last)), (float(first), float(last)), labels + more, "oracle"
    )


def tan_alpha(
    f: Labels, z: npt.ArrayLike, *, active: Predicate = _nonzero, points: int = 4000, rng: Any = None
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
    active : callable
        Which labels (n,) are active; by default those that are not zero.
    points : int
        Points g. The relative standard error is about :math:`2/\sqrt{points}`.
    rng : optional
        Seed or generator.

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
    z = _unit(z)
    points = check_integer("points", points, 100)
    return _tan_alpha(f, active, z, _in_plane(z, points, np.random.default_rng(rng)))


def _crossing(s: Array, share: Array, level: float) -> float:
    """Return where a noisy increasing curve crosses a level: between first above and last below."""
    above, below = np.flatnonzero(share >= level), np.flatnonzero(share < level)
    if not len(above) or not len(below):
        return math.nan
    return float(0.5 * (s[above[0]] + s[below[-1]]))


def _band_places(heights: Array, active: npt.NDArray[np.bool_], epsilon: float, span: Any) -> Array:
    """Return where the shares in the bands [s - epsilon, s] cross 0.4 and 0.6."""
    order = np.argsort(heights)
    heights = heights[order]
    count = np.concatenate([[0.0], np.cumsum(active[order])])
    s = np.arange(span[0], span[1], epsilon / 8.0)
    top, bottom = np.searchsorted(heights, s), np.searchsorted(heights, s - epsilon)
    enough = top - bottom >= _FEWEST
    share = (count[top] - count[bottom])[enough] / (top - bottom)[enough]
    return np.array([_crossing(s[enough], share, level) for level in (_LOW, _HIGH)])


def _sampled_tan_alpha(
    heights: Array, active: npt.NDArray[np.bool_], epsilon: float | None, near: AngleEstimate | None = None
) -> AngleEstimate | None:
    """Return the estimate, or None if the bands hold too few labels."""
    if near is None:
        top = float(np.partition(heights, -_FEWEST)[-_FEWEST])
        guess, span = 0.25, (0.0, top)
    else:
        guess = near.tan_alpha / _NARROWER
        span = (near.middle - 12.0 * near.tan_alpha, near.middle + 12.0 * near.tan_alpha)
    found: AngleEstimate | None = None
    for _ in range(30):
        width = epsilon or guess
        first, last = _band_places(heights, active, width, span)
        if not last > first:
            if epsilon or found is not None or near is not None or guess > 0.5:
                return found  # the last width that still showed the angle bounds it
            guess *= 2.0
            continue
        found = AngleEstimate(
            _from_places(first, last),
            (first, last),
            int(np.sum((heights > span[0] - width) & (heights < span[1]))),
            "sample",
        )
        wanted = found.tan_alpha / _NARROWER
        if epsilon or 0.7 <= wanted / guess <= 1.3:
            return found
        guess = max(wanted, 0.5 * guess)
        near_width = 12.0 * max(found.tan_alpha, guess * _NARROWER)
        span = (max(0.0, found.middle - near_width), found.middle + near_width)
    return found


def sampled_tan_alpha(
    X: npt.ArrayLike, active: npt.ArrayLike, z: npt.ArrayLike, *, epsilon: float | None = None
) -> AngleEstimate:
    r"""Estimate the tangent of the angle from z to the nearest weight from a sample.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs.
    active : (n,) array_like
        Whether the label of each is active, as :math:`f(x) \ne 0`.
    z : (d,) array_like
        Of any length.
    epsilon : float, optional
        Width of the bands :math:`z \cdot x \in [s - \epsilon, s]`; by default a quarter of the
        tangent that comes out.

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
    X, mask, z = _checked_sample(X, active, z)
    if epsilon is not None:
        epsilon = check_number("epsilon", epsilon, above=0.0)
    found = _sampled_tan_alpha(X @ z, mask, epsilon)
    if found is None:
        raise ValueError(
            "X has too few samples for the angle of z to a weight, or z is not near one: no share of "
            "40 and 60 % active in the bands; pass more samples, a wider epsilon, or refine with an oracle"
        )
    return found


def _checked_sample(
    X: npt.ArrayLike, active: npt.ArrayLike, z: npt.ArrayLike
) -> tuple[Array, npt.NDArray[np.bool_], Array]:
    X = check_array("X", X, ndim=2)
    mask = check_array("active", np.asarray(active, dtype=np.float64), shape=(len(X),)) != 0.0
    if len(X) < 20 * _FEWEST:
        raise ValueError(f"X must have at least {20 * _FEWEST} samples, got {len(X)}")
    return X, mask, _unit(z, X.shape[1])


# --- RefineEstimate -------------------------------------------------------------------------------------


def _search(
    z: Array,
    estimate: Callable[[Array, AngleEstimate], AngleEstimate | None],
    start: AngleEstimate,
    *,
    tolerance: float,
    c: float,
    max_rounds: int,
    patience: int,
    rng: np.random.Generator,
) -> tuple[list[float], list[Array], int, str]:
    """Perturb and accept: GP Algorithm 1 with the accept rule of Lemma 7."""
    d, current = len(z), start
    angles, directions, labels, refused = [math.atan(start.tan_alpha)], [z], start.n_labels, 0
    for _ in range(max_rounds):
        if angles[-1] <= tolerance:
            return angles, directions, labels, "converged"
        alpha = angles[-1]
        step = rng.normal(scale=alpha / d, size=d)  # N(0, Theta(alpha/d)) in the normal plane
        trial = _normalized(z + step - (step @ z) * z)
        found = estimate(trial, current)
        if found is not None:
            labels += found.n_labels
        # GP prints a' <= O(a/d), which is hardly ever true; Lemma 7 gives a decrease by Omega(a/d).
        if found is not None and math.atan(found.tan_alpha) <= (1.0 - c / d) * alpha:
            z, current, refused = trial, found, 0
        else:
            refused += 1
        angles.append(math.atan(current.tan_alpha))
        directions.append(z)
        if refused >= patience:
            return angles, directions, labels, "stalled"
    return angles, directions, labels, "out of rounds"


def refine_estimate(
    f: Labels,
    z: npt.ArrayLike,
    *,
    tolerance: float = 1e-6,
    method: str = "crossings",
    active: Predicate = _nonzero,
    points: int | None = None,
    c: float = 0.5,
    max_rounds: int | None = None,
    rng: Any = None,
) -> Refinement:
    r"""Refine a direction near a weight to a given angle with a label oracle.

    ``method="perturbation"`` is the paper's random search: perturb z in its normal plane by
    :math:`N(0, (\alpha/d)^2)` a coordinate, accept if the new angle, by `tan_alpha`, is at most
    :math:`(1 - c/d)\alpha`. It takes :math:`O(d \log 1/\epsilon)` rounds of thousands of labels.

    ``method="crossings"`` uses more of the same answers: a point :math:`s z + g`, g in the normal
    plane, turns active at

    .. math:: s = t/\cos\alpha - \tan\alpha\;u \cdot g, \qquad w = \cos\alpha\,z + \sin\alpha\,u,

    which is linear in g. So a regression of the places on the g, without those where another unit is
    active, gives :math:`\tan\alpha\;u` itself, to the precision of the bisection: one or two rounds, and
    :math:`O(d \log 1/\epsilon)` *labels*.

    Parameters
    ----------
    f : callable
        Labels (n,) of points (n, d), without noise.
    z : (d,) array_like
        Of any length; nearer to one weight than to all others.
    tolerance : float
        Angle in radians.
    method : {"crossings", "perturbation"}
    active : callable
        Which labels are active; by default those that are not zero.
    points : int, optional
        Points g a round: by default 20 d (at least 100) for "crossings", 40 d^2 (at least 4000) for
        "perturbation", whose angles must be known to better than c/d.
    c : float
        Of the accept rule.
    max_rounds : int, optional
        By default 20 for "crossings", and 200 d for "perturbation".
    rng : optional
        Seed or generator.

    Raises
    ------
    ValueError
        If z is not near a weight.

    References
    ----------
    GP Algorithm 1, Theorem 5 and Lemma 7. The listing's accept rule is misprinted.

    Examples
    --------
    >>> found = refine_estimate(lambda X: X[:, 0] > 2.0, [1.0, 0.2, 0.1], rng=0)
    >>> found.converged, bool(abs(found.direction[1:]).max() < 1e-6)
    (True, True)
    """
    z = _unit(z)
    tolerance = check_number("tolerance", tolerance, above=0.0)
    check_choice("method", method, ("crossings", "perturbation"))
    c = check_number("c", c, above=0.0)
    rng = np.random.default_rng(rng)
    d = len(z)
    if method == "crossings":
        points = max(100, 20 * d) if points is None else check_integer("points", points, 4 * d)
        limit = 20 if max_rounds is None else check_integer("max_rounds", max_rounds, 1)
        angles, directions, labels, end = _by_crossings(
            f, active, z, tolerance=tolerance, points=points, max_rounds=limit, rng=rng
        )
    else:
        points = max(4000, 40 * d * d) if points is None else check_integer("points", points, 100)
        limit = 200 * d if max_rounds is None else check_integer("max_rounds", max_rounds, 1)
        start = _tan_alpha(f, active, z, _in_plane(z, points, rng))
        angles, directions, labels, end = _search(
            z,
            lambda trial, near: _tan_alpha(f, active, trial, _in_plane(trial, points, rng), near),
            start,
            tolerance=tolerance,
            c=c,
            max_rounds=limit,
            patience=limit,
            rng=rng,
        )
    rounds = len(angles) - 1
    status = f"angle {angles[-1]:.1e} after {rounds} rounds and {labels} labels of the oracle"
    if end != "converged":
        status += f" > {tolerance:.1e}: raise max_rounds or points, or start closer to the weight"
    return Refinement(
        directions[-1], angles[-1], np.array(angles), np.array(directions), method, "oracle", rounds,
        labels, end == "converged", status,
    )  # fmt: skip


def _by_crossings(
    f: Labels,
    active: Predicate,
    z: Array,
    *,
    tolerance: float,
    points: int,
    max_rounds: int,
    rng: np.random.Generator,
) -> tuple[list[float], list[Array], int, str]:
    start = _tan_alpha(f, active, z, _in_plane(z, points, rng))
    angles, directions, labels = [math.atan(start.tan_alpha)], [z], start.n_labels
    middle, spread = start.middle, start.tan_alpha
    for _ in range(max_rounds):
        inside = _in_plane(z, points, rng)
        margin = 12.0 * spread
        finest = max(1e-3 * tolerance, 4e-16 * (abs(middle) + margin))  # what floats can tell apart
        below, above, more = _cross(
            f,
            active,
            z,
            inside,
            middle - margin,
            middle + margin,
            lambda width, _, finest=finest: bool(width[0] <= finest),  # type: ignore[misc]
        )
        labels += more
        used = np.isfinite(below) & np.isfinite(above)
        if used.sum() < max(2 * len(z), len(used) // 4):  # the border left the bracket
            spread *= 100.0
            angles.append(angles[-1])
            directions.append(z)
            continue
        middle, slope = _robust_plane(inside[used], 0.5 * (below + above)[used], z)
        size = float(np.linalg.norm(slope))
        z = _normalized(z - slope)  # the slope is -tan(alpha) u
        angles.append(math.atan(size))
        directions.append(z)
        # What a round finds is the angle it started from; the next one begins where this one ended.
        if size <= tolerance:
            return angles, directions, labels, "converged"
        middle /= math.sqrt(1.0 + size * size)  # t, where the border stands once z = w
        spread = max(1e-4 * size, 10.0 * finest)
    return angles, directions, labels, "out of rounds"


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


def sampled_refine_estimate(
    X: npt.ArrayLike,
    active: npt.ArrayLike,
    z: npt.ArrayLike,
    *,
    method: str = "border",
    c: float = 0.5,
    max_rounds: int | None = None,
    rng: Any = None,
) -> Refinement:
    r"""Refine a direction near a weight as far as a fixed sample allows.

    ``method="perturbation"`` is the paper's random search, with `sampled_tan_alpha`; it ends when no
    perturbation has passed for 50 rounds (one in six does while the angle is seen). Bands must be
    narrower than :math:`\tan\alpha` and still hold labels, which sets a floor.

    ``method="border"`` fits the border itself in the band around it,

    .. math:: \Pr[\text{active} \mid x] = \eta + (1 - \eta)\,\Phi\big((x \cdot w - \tau)/\sigma\big),

    by maximum likelihood in w, tau and the share eta that other units activate, and halves sigma and
    the band (four sigma) as long as it holds 40 d labels. The labels are a noise-free function of the
    side of the border, so the angle falls like d/n, not like :math:`\sqrt{d/n}`.

    Parameters
    ----------
    X : (n, d) array_like
        Standard normal inputs.
    active : (n,) array_like
        Whether the label of each is active, as :math:`f(x) \ne 0`.
    z : (d,) array_like
        Of any length; nearer to one weight than to all others.
    method : {"border", "perturbation"}
    c : float
        Of the accept rule of "perturbation".
    max_rounds : int, optional
        By default 40 for "border", and 200 d for "perturbation".
    rng : optional
        Seed or generator, for "perturbation".

    Returns
    -------
    Refinement
        Which names the method; `converged` if the sample's limit was reached.

    Raises
    ------
    ValueError
        If the sample is too small to see the angle at all, or z is not near a weight.

    References
    ----------
    GP Algorithm 1, Theorem 5. The paper has no method but the perturbations, and does not say what a
    fixed sample can reach.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((200_000, 3))
    >>> found = sampled_refine_estimate(X, X[:, 0] > 1.5, [1.0, 0.1, -0.1])
    >>> found.converged, bool(np.arccos(found.direction[0]) < 0.003)
    (True, True)
    """
    start = sampled_tan_alpha(X, active, z)
    X, mask, z = _checked_sample(X, active, z)
    check_choice("method", method, ("border", "perturbation"))
    c = check_number("c", c, above=0.0)
    d = len(z)
    if method == "border":
        limit = 40 if max_rounds is None else check_integer("max_rounds", max_rounds, 1)
        angles, directions, labels, end = _by_border(X, mask, z, start, limit)
    else:
        limit = 200 * d if max_rounds is None else check_integer("max_rounds", max_rounds, 1)
        # No direction that can come out makes use of points that far from the border.
        heights = X @ z
        kept = np.abs(heights - start.middle) <= 12.0 * start.tan_alpha
        X, mask = X[kept], mask[kept]
        angles, directions, labels, end = _search(
            z,
            lambda trial, near: _sampled_tan_alpha(X @ trial, mask, None, near),
            start,
            tolerance=0.0,
            c=c,
            max_rounds=limit,
            patience=50,
            rng=np.random.default_rng(rng),
        )
        end = "converged" if end == "stalled" else end
        labels = len(X)
    rounds = len(angles) - 1
    status = f"angle {angles[-1]:.1e} after {rounds} rounds of {method!r} on {labels} labels of the sample"
    status += (
        "; more samples or an oracle go further"
        if end == "converged"
        else ": raise max_rounds, or start closer to the weight"
    )
    return Refinement(
        directions[-1], angles[-1], np.array(angles), np.array(directions), method, "sample", rounds,
        labels, end == "converged", status,
    )  # fmt: skip


# Labels a weight that the last band must hold, at four sigma to either side.
_HELD = 40
# Share of labels beyond the border that may be inactive without the fit going after them.
_LAPSE = 1e-3


def _by_border(
    X: Array, active: npt.NDArray[np.bool_], z: Array, start: AngleEstimate, max_rounds: int
) -> tuple[list[float], list[Array], int, str]:
    d = len(z)
    basis = np.linalg.svd(z[None])[2][1:]  # of the normal plane
    w, tau, sigma = z.copy(), start.middle, start.tan_alpha
    angles, directions, labels = [math.atan(sigma)], [z], 0
    for _ in range(max_rounds):
        band = np.abs(X @ w - tau) <= 4.0 * sigma * np.linalg.norm(w)
        if band.sum() < _HELD * d and len(angles) > 1:
            return angles, directions, labels, "converged"
        labels = max(labels, int(band.sum()))
        w, tau = _fit_border(X[band], active[band], z, basis, w, tau, sigma)
        angles.append(math.atan(sigma))
        directions.append(_normalized(w))
        sigma *= 0.5
    return angles, directions, labels, "out of rounds"


def _fit_border(
    X: Array,
    active: npt.NDArray[np.bool_],
    z: Array,
    basis: Array,
    w: Array,
    tau: float,
    sigma: float,
) -> tuple[Array, float]:
    """Maximise the likelihood over w = z + v, v in the normal plane, tau and eta at a fixed sigma."""
    along, across = X @ z, X @ basis.T
    sign = np.where(active, 1.0, -1.0)

    def loss(parameters: Any) -> Any:
        v, offset, logit = parameters[:-2], parameters[-2], parameters[-1]
        m = (along - tau) / sigma - offset + across @ v
        eta = expit(logit)
        p = eta + (1.0 - eta - _LAPSE) * ndtr(m)
        likelihood = np.where(active, p, 1.0 - p)
        slope = -sign / likelihood / len(m)
        by_m = slope * (1.0 - eta - _LAPSE) * normal_density(m)
        by_eta = np.sum(slope * ndtr(-m)) * eta * (1.0 - eta)
        gradient = np.concatenate([by_m @ across, [-by_m.sum(), by_eta]])
        return float(-np.mean(np.log(likelihood))), gradient

    first = np.concatenate([basis @ w / sigma, [0.0, -3.0]])
    bounds = [(None, None)] * (len(first) - 1) + [(-8.0, 3.0)]
    options: Any = {"maxiter": 200, "ftol": 1e-10, "gtol": 1e-7}
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return z + sigma * basis.T @ found[:-2], float(tau + sigma * found[-2])
