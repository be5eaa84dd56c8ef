"""Chapter 4: the rounds of the random search in d, and Theorem 4 in several dimensions (GP Algorithm 1)."""

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd

from companion.sweep import Sweep, slope_interval
from nnmoments.activations import relu_threshold, sign_threshold
from nnmoments.borders import AngleEstimate, perturb_and_accept
from nnmoments.landscapes import HermiteLoss, find_minima, weights_from_minima
from nnmoments.moments import TensorMoment
from nnmoments.networks import HiddenPolynomial
from nnmoments.validation import Array

__all__ = ["products_moved", "products_unlike", "round_slopes", "rounds"]


def _rounds(*, d: int, share: bool, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Rounds from an angle of 0.06 to 0.001, angles known; `share` asks for a tenth less, not for 1/(2d)."""
    target = np.eye(d)[0]

    def exact(z: Array, near: AngleEstimate | None) -> AngleEstimate:
        return AngleEstimate(float(np.linalg.norm(z[1:])) / abs(float(z[0])), (1.0, 1.0), 0, "oracle")

    off = np.append(0.0, rng.standard_normal(d - 1))
    z = math.cos(0.06) * target + math.sin(0.06) * off / np.linalg.norm(off)
    c = 0.1 * d if share else 0.5
    directions, angles = perturb_and_accept(
        exact, z, exact(z, None), tol=1e-3, c=c, max_iter=1000 * d, rng=rng
    )
    return {"rounds": len(directions) - 1, "arrived": int(angles[-1].alpha <= 1e-3)}


rounds = Sweep(
    "04-rounds",
    _rounds,
    quick=[{"d": d, "share": False, "trial": 0} for d in (4, 8, 16)],
    paper=[
        *({"d": d, "share": False, "trial": trial} for d in (4, 8, 16, 32, 64) for trial in range(40)),
        *({"d": d, "share": True, "trial": trial} for d in (4, 8, 16) for trial in range(10)),
    ],
)


def _products_moved(*, d: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    r"""Worst angle on the exact landscape of d oblique ReLU units with all products, and of its minima.

    The threshold is 2 at d = 3 and grows like :math:`\sqrt{\log d}`, as GP let it.
    """
    while True:
        W = np.eye(d) + 0.5 * rng.standard_normal((d, d)) / math.sqrt(d)
        W /= np.linalg.norm(W, axis=1, keepdims=True)
        if np.linalg.cond(W) <= 3.0:
            break
    t = 2.0 * math.sqrt(math.log(d) / math.log(3.0))
    u = relu_threshold(t)
    terms: dict[tuple[int, ...], float] = {(i,): 1.0 for i in range(d)}
    f = HiddenPolynomial(W, u, terms | dict.fromkeys(itertools.combinations(range(d), 2), 1.0))
    u2, u4 = u.hermite_coefficient(2), u.hermite_coefficient(4)
    second = f.moment(2)
    loss = HermiteLoss(second, TensorMoment(f.moment(4)), u2, u4, 4.0 * abs(u4) / u2**2)
    minima = find_minima(loss, second, d, radius=math.sqrt(math.sqrt(2.0) * u2), rng=rng)
    unturned = minima.points / np.linalg.norm(minima.points, axis=1, keepdims=True)
    rows = weights_from_minima(minima.points) if len(unturned) == d else unturned
    worst = {name: _worst(found, W) for name, found in (("angle", rows), ("unturned", unturned))}
    return {**worst, "found": len(unturned), "threshold": t}


def _worst(rows: Array, W: Array) -> float:
    if not len(rows):
        return 90.0
    return math.degrees(math.acos(min(1.0, float(np.abs(W @ rows.T).max(axis=1).min()))))


products_moved = Sweep(
    "04-products-moved",
    _products_moved,
    quick=[{"d": 4, "trial": 0}],
    paper=[{"d": d, "trial": trial} for d in (3, 5, 7) for trial in range(5)],
    rtol=1e-3,
)


def _products_unlike(
    *, unit: str, proportion: float, d: int, trial: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Worst angle as there, for coefficients from 1/2 to 3/2 and products of a normal law.

    The threshold is `proportion` at d = 3; a minimum that is not there counts as the nearest other.
    """
    while True:
        W = np.eye(d) + 0.5 * rng.standard_normal((d, d)) / math.sqrt(d)
        W /= np.linalg.norm(W, axis=1, keepdims=True)
        if np.linalg.cond(W) <= 3.0:
            break
    t = proportion * math.sqrt(math.log(d) / math.log(3.0))
    u = relu_threshold(t) if unit == "ReLU" else sign_threshold(t)
    c = rng.uniform(0.5, 1.5, d)
    terms: dict[tuple[int, ...], float] = {(i,): float(c[i]) for i in range(d)}
    f = HiddenPolynomial(
        W, u, terms | {pair: rng.standard_normal() for pair in itertools.combinations(range(d), 2)}
    )
    u2, u4 = u.hermite_coefficient(2), u.hermite_coefficient(4)
    second = f.moment(2)
    loss = HermiteLoss(second, TensorMoment(f.moment(4)), u2, u4, 4.0 * abs(u4) / (u2**2 * c.min()))
    minima = find_minima(loss, second, d, radius=math.sqrt(math.sqrt(2.0) * u2), rng=rng)
    unturned = minima.points / np.linalg.norm(minima.points, axis=1, keepdims=True)
    rows = weights_from_minima(minima.points) if len(unturned) == d else unturned
    return {"angle": _worst(rows, W), "found": len(unturned)}


products_unlike = Sweep(
    "04-products-unlike",
    _products_unlike,
    quick=[{"unit": "ReLU", "proportion": 3.0, "d": 3, "trial": 0}],
    paper=[
        {"unit": unit, "proportion": proportion, "d": d, "trial": trial}
        for unit in ("ReLU", "sign")
        for proportion in (2.0, 3.0)
        for d in (3, 4)
        for trial in range(6)
    ],
    rtol=1e-3,
    chaotic=0.15,  # where a minimum is lost, rounding decides what is found
)


def round_slopes(frame: pd.DataFrame, *, share: bool = False, least: int = 0) -> tuple[float, float, float]:
    """Return the mean log-log slope of the rounds along d from the least on, and its interval over trials.

    Examples
    --------
    >>> rounds = {"d": [4, 4, 8, 8], "trial": [0, 1, 0, 1], "rounds": [9, 8, 18, 16]}
    >>> frame = pd.DataFrame({**rounds, "share": False, "seed": 0})
    >>> round(round_slopes(frame)[0], 6)
    1.0
    """
    chosen = frame[frame["share"].eq(share) & frame["d"].ge(least)]
    table = chosen.pivot_table(index="d", columns=["seed", "trial"], values="rounds")
    return slope_interval(table.index.to_numpy(dtype=float), table.to_numpy())
