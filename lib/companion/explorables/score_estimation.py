"""Explorables of chapter 6."""

import numpy as np

from companion.explorables.figure import Explorable, rounded
from nnmoments.densities import GaussianMixture
from nnmoments.scores import LocalLikelihood
from nnmoments.validation import Array

__all__ = [
    "BANDWIDTHS",
    "BUMPS",
    "DEGREES",
    "FIELD_WIDTHS",
    "MOONS",
    "POINTS",
    "field_grid",
    "local_fit",
    "local_window",
    "score_field",
]

#: Two bumps, between which a Gaussian is no picture of the density.
BUMPS = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.25]], [[0.25]]])
BANDWIDTHS = (0.15, 0.25, 0.4, 0.6, 0.9, 1.4)
DEGREES = (1, 2, 3, 4)
POINTS = np.arange(-40, 41) / 16.0
_ORDERS = (1, 2, 3, 4)


def local_fit(bandwidth: float, degree: int) -> LocalLikelihood:
    """Return the local likelihood of four thousand samples of the bumps."""
    sample = BUMPS.sample(4000, rng=0)
    return LocalLikelihood(sample, degree=degree, bandwidth=bandwidth, shrinkage=0.0)


def local_window() -> Explorable:
    """Return local fits of two bumps at every point, for a bandwidth and a degree."""
    x = POINTS[:, None]
    cases = []
    for h in BANDWIDTHS:
        by_degree = []
        for degree in DEGREES:
            model = local_fit(h, degree)
            derivatives = [
                np.zeros(len(x)) if part is None else np.asarray(part, dtype=float).ravel()
                for part in model.fit_at(x).derivatives
            ]
            by_degree.append(
                {
                    "log": rounded([model.log_density(x), *derivatives]),
                    "scores": rounded([model.score(x, m).ravel() for m in _ORDERS]),
                }
            )
        cases.append(by_degree)
    data = {
        "x": rounded(POINTS),
        "bandwidths": list(BANDWIDTHS),
        "degrees": list(DEGREES),
        "density": rounded(np.exp(BUMPS.log_density(x))),
        "truth": rounded([BUMPS.score(x, m).ravel() for m in _ORDERS]),
        "cases": cases,
    }
    return Explorable(
        "local_window",
        data,
        title="A window, and the polynomial that fits in it",
        caption=r"""Left: the density of two bumps (grey) and, at the point that you choose, the exponential
            of the polynomial that the local likelihood fits to four thousand samples under the
            window (orange). Right: the score $S_m$ read off such fits (blue) against the true one
            (dashed). Degree 2 with a wide window takes the two bumps for one Gaussian, and between
            them even the sign of $S_3$ and $S_4$ is not to be had from it at any width: a parabola
            has no third derivative. Narrow windows of high degree are noisy.""",
        alt="A density with a window and a local fit, and the estimated score against the true one.",
    )


#: A mixture of three bumps in the plane, and windows over it.
MOONS = GaussianMixture(
    [0.4, 0.35, 0.25],
    [[-1.2, -0.6], [1.2, -0.5], [0.1, 1.4]],
    [[[0.5, 0.2], [0.2, 0.3]], [[0.4, -0.15], [-0.15, 0.35]], [[0.3, 0.0], [0.0, 0.3]]],
)
FIELD_WIDTHS = (0.2, 0.35, 0.55, 0.8, 1.2, 2.0)


def field_grid() -> Array:
    """Return the points (225, 2) at which the field is drawn."""
    axis = np.linspace(-2.8, 2.8, 15)
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def score_field() -> Explorable:
    """Return the score field of three bumps, true and estimated from a sample, for each bandwidth."""
    points, sample = field_grid(), MOONS.sample(3000, rng=0)
    truth = MOONS.score(points, 1)
    fields = [LocalLikelihood(sample, degree=2, bandwidth=h).score(points, 1) for h in FIELD_WIDTHS]
    mass = np.exp(MOONS.log_density(points))
    errors = [np.sqrt(mass @ np.sum((field - truth) ** 2, axis=1) / mass.sum()) for field in fields]
    data = {
        "widths": list(FIELD_WIDTHS),
        "points": rounded(points),
        "truth": rounded(truth),
        "fields": rounded(fields),
        "mass": rounded(mass / mass.max(), 3),
        "errors": rounded(errors),
        "sample": rounded(sample[:500], 3),
        "scale": rounded(np.sqrt(mass @ np.sum(truth**2, axis=1) / mass.sum())),
    }
    return Explorable(
        "score_field",
        data,
        title="The score as a field",
        caption=r"""The field $-S_1(x) = \nabla \log f(x)$ of three bumps points uphill: grey is true, blue
            is the local likelihood of degree 2 from three thousand samples (five hundred are
            shown). Too narrow a window follows the sample's accidents; too wide a one sees a single
            Gaussian, and all arrows point to one centre. The error (right) is averaged over the
            density.""",
        alt="Arrows of the true and the estimated score over a sample, and the error against bandwidth.",
    )
