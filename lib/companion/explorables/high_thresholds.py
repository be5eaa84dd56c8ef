"""Explorables of chapter 4."""

import itertools

import numpy as np

from companion.explorables.figure import Explorable, rounded
from nnmoments.activations import relu_threshold, sign_threshold
from nnmoments.borders import Refinement, fit_crossings, refine_estimate
from nnmoments.landscapes import HermiteLoss, find_minima
from nnmoments.moments import TensorMoment
from nnmoments.networks import HiddenPolynomial
from nnmoments.validation import Array

__all__ = ["THRESHOLDS", "WEIGHTS", "landscape", "refinement", "refinements", "threshold_sphere"]

THRESHOLDS = np.arange(1, 31) / 10.0

#: Orthonormal rows: the columns of a rotation.
WEIGHTS = np.array([[2.0, -2.0, 1.0], [1.0, 2.0, 2.0], [2.0, 1.0, -2.0]]) / 3.0


def landscape(t: float) -> tuple[HermiteLoss, HiddenPolynomial]:
    """Return G with exact moments, and its network: three ReLU units and the products of two."""
    unit = relu_threshold(t)
    terms: dict[tuple[int, ...], float] = {(i,): 1.0 for i in range(3)}
    terms |= dict.fromkeys(itertools.combinations(range(3), 2), 1.0)
    f = HiddenPolynomial(WEIGHTS, unit, terms)
    u2, u4 = unit.hermite_coefficient(2), unit.hermite_coefficient(4)
    loss = HermiteLoss(
        f.moment(2), TensorMoment(f.moment(4)), u2=u2, u4=u4 or 1e-12, lam=(2 * abs(u4) + u2) / u2**2
    )
    return loss, f


def _minima(loss: HermiteLoss) -> Array:
    """Return the directions of the minima, one of each pair."""
    found = find_minima(loss, loss.second, 3, radius=float(np.sqrt(np.sqrt(2.0) * loss.u2)), rng=0)
    return found.points / np.linalg.norm(found.points, axis=1, keepdims=True)


def threshold_sphere() -> Explorable:
    """Return G on the sphere, from exact moments, as the threshold passes where u_4 vanishes."""
    cases = []
    for t in THRESHOLDS:
        loss, f = landscape(float(t))
        minima = _minima(loss)
        cosines = np.abs(minima @ WEIGHTS.T).max(axis=1)
        T4 = f.moment(4)
        cases.append(
            {
                "u2": rounded(loss.u2, 6),
                "u4": rounded(loss.u4, 6),
                "lam": rounded(loss.lam, 6),
                "second": rounded(loss.second, 6),
                "fourth": rounded(T4.ravel(), 6),
                "minima": rounded(minima),
                "angle": rounded(np.degrees(np.arccos(np.clip(cosines, 0.0, 1.0))).max(initial=0.0)),
            }
        )
    return Explorable(
        "threshold_sphere",
        {"t": rounded(THRESHOLDS), "weights": rounded(WEIGHTS), "cases": cases},
        title="Where the landscape goes flat",
        caption=r"""Left: $G(z)$ on the unit sphere for three ReLU units with orthonormal weights (rings)
            and all products of two, from exact moments; dark is low, dots are minima. Lower $t$
            from 3: the dots sit in the rings until $u_4$ (middle) has fallen so far that the
            products rule; then all three merge into one, far from every weight. Below $t = 1$ the
            sign of $u_4$ is the other one, and three are back, pulled aside by the products
            (right).""",
        alt="A sphere shaded by G with its minima, u_4 against the threshold, and the worst angle.",
    )


def refinements() -> tuple[Array, Refinement, Refinement]:
    """Return a weight in three dimensions, the paper's random search for it and a fit of crossings."""
    w, start = WEIGHTS[0], WEIGHTS[0] + 0.3 * WEIGHTS[1] - 0.2 * WEIGHTS[2]
    f = HiddenPolynomial(WEIGHTS[:1], sign_threshold(2.0), {(0,): 1.0})
    walk = refine_estimate(f, start, tol=1e-4, rng=0)
    return w, walk, fit_crossings(f, start, tol=1e-9, rng=0)


def refinement() -> Explorable:
    """Return the refinement of one weight, round by round, with both oracles' labels counted."""
    w, walk, fit = refinements()
    paths = []
    for found in (walk, fit):
        offsets = found.directions @ WEIGHTS[1:].T
        angles = np.arctan2(np.linalg.norm(offsets, axis=1), found.directions @ w)
        paths.append(
            {
                "angle": rounded(np.maximum(angles, 1e-10)),
                "turn": rounded(np.arctan2(offsets[:, 1], offsets[:, 0])),
                "labels": found.n_labels,
                "rounds": found.n_iter,
            }
        )
    return Explorable(
        "refinement",
        {"paths": paths},
        title="A weight, refined",
        caption=r"""A direction $z$ seen from its weight $w$ (centre), in three dimensions, on a logarithmic
            scale of the angle: each ring is ten times nearer. Run the paper's random search (blue):
            it accepts a step only if the angle falls by $\alpha/2d$. The fit of crossings (orange)
            asks the same oracle where the border is and solves for $w$.""",
        alt="A spiral of accepted directions towards a weight, and the angle against the round.",
    )
