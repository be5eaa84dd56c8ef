"""Explorable of chapter 8."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from companion.explorables.figure import Explorable, rounded
from nnmoments.densities import StandardNormal
from nnmoments.learners import SufficientReduction
from nnmoments.moments import Polynomials
from nnmoments.validation import Array

__all__ = [
    "ANGLES",
    "LINKS",
    "ORDERS",
    "TRUE",
    "found_direction",
    "projected",
    "turned_direction",
    "turned_sample",
]

#: Angles of the reader's direction, in degrees, and that of the true one.
ANGLES = np.arange(0, 180, 3)
TRUE = 51
LINKS = ("a slope", "a bend", "a sign that flips twice more")
ORDERS: dict[str, int | str] = {"T₁, the mean slope": 1, "T₂, the mean bend": 2, "both": "both"}

_DEGREE = 6
_POINTS = 31


def _unit(angle: float) -> Array:
    return np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])


def turned_sample(link: int) -> tuple[Array, Array]:
    """Return inputs (400, 2) and labels that depend on one direction by a link."""
    X = StandardNormal(2).sample(400, rng=0)
    noise = np.random.default_rng(1).normal(scale=0.2, size=len(X))
    u = X @ _unit(TRUE)
    flips = np.sign(u) * np.where(np.abs(u) < np.sqrt(2.0 * np.log(2.0)), 1.0, -1.0)
    return X, (np.tanh(1.5 * u) + noise, u**2 + noise, flips)[link]


def projected(X: Array, y: Array, angle: float) -> tuple[Array, float]:
    """Return a polynomial of the projection as a curve (points, 2), and the share of variance it explains."""
    b = _unit(angle)
    fitted = Polynomials(_DEGREE, b[:, None]).fit(X, y[:, None])
    share = 1.0 - float(np.mean((y - fitted.predict(X).reshape(len(y))) ** 2) / np.var(y))
    low, high = np.quantile(X @ b, [0.01, 0.99])
    at = np.linspace(low, high, _POINTS)
    return np.stack([at, fitted.predict(at[:, None] * b).reshape(len(at))], axis=1), share


def found_direction(X: Array, y: Array, order: int | str) -> tuple[float, bool]:
    """Return the angle of the library's direction by moments of y alone, and whether the test sees it."""
    model = SufficientReduction(1, order=order, labels=lambda y: y[:, None], random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what it says is shown
        model.fit(X, y)
    first, second = model.components_[0]
    return float(np.degrees(np.arctan2(second, first)) % 180.0), model.converged_


def turned_direction() -> Explorable:
    """Return labels against a projection that the reader turns, with the library's direction."""
    cases = []
    for link in range(len(LINKS)):
        X, y = turned_sample(link)
        curves, shares = zip(*(projected(X, y, float(angle)) for angle in ANGLES), strict=True)
        found = [found_direction(X, y, order) for order in ORDERS.values()]
        cases.append(
            {
                "x": rounded(X, 3),
                "y": rounded(y, 3),
                "curves": rounded(curves, 3),
                "shares": rounded(shares),
                "found": [{"angle": rounded(angle), "seen": seen} for angle, seen in found],
            }
        )
    return Explorable(
        "turned_direction",
        {"angles": ANGLES.tolist(), "true": TRUE, "links": LINKS, "orders": list(ORDERS), "cases": cases},
        title="Turn the data until the label is a curve",
        caption=r"""Four hundred inputs in the plane, whose labels depend on one direction. Left: labels
            against the projection on your direction, with a polynomial of it. Turn until the cloud
            is thinnest: the share of variance that is explained (right) is largest near the true
            direction (ring). In green the direction of the library, by moments of $y$ alone, if its
            test sees one: a slope shows in $T_1$, a bend in $T_2$, and the last label in neither,
            though its cloud, seen from the right angle, shows it at once.""",
        alt="A cloud of labels against a projection, and the share explained, a peak over the angle.",
    )
