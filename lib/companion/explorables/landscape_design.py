"""Explorable of chapter 7."""

from typing import Any

import numpy as np

from companion.explorables.figure import Explorable, rounded
from nnmoments.activations import relu
from nnmoments.densities import Density, GaussianMixture, Laplace, Logistic, StandardNormal, iid
from nnmoments.landscapes import FourthOrderLoss
from nnmoments.moments import TensorMoment
from nnmoments.networks import OneHiddenLayer
from nnmoments.optimize import quasi_newton
from nnmoments.validation import Array

__all__ = ["LAWS", "MUS", "TURNS", "fourth_moments", "two_rows"]

#: Laws of two coordinates, all of variance about one.
LAWS: dict[str, Density] = {
    "Gaussian": StandardNormal(2),
    "logistic": iid(Logistic(scale=np.sqrt(3.0) / np.pi), 2),
    "two bumps, means of length 0.7": GaussianMixture(
        [0.5, 0.5], [[0.5, 0.5], [-0.5, -0.5]], [0.8 * np.eye(2), 0.8 * np.eye(2)]
    ),
    "Laplace": iid(Laplace(scale=np.sqrt(0.5), drop_singular=True), 2),
}

#: The tie breaker: what the theory asks for, and what the paper's experiment uses.
MUS = (0.01, 30.0)

#: Turns of the network against the axes, in degrees.
TURNS = np.arange(0, 91, 10)

#: Where the descents start: two rows at no special angle to each other or to the axes.
_START = np.array([[0.9, 0.4], [-0.55, 0.8]])
_EDGE = np.linspace(-9.0, 9.0, 181)


def _truth(turn: float) -> Array:
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return np.array([[c, s], [-s, c]])


def fourth_moments(law: Density) -> Array:
    r"""Return :math:`E[y S_4(x)]` at each turn, with the law's own score and with the Gaussian's.

    By quadrature, (turns, 2, 2, 2, 2, 2). Of the Laplace law the score is its regular part, a multiple of
    :math:`\mathrm{sgn}(x)^{\otimes 4}`.
    """
    points = np.stack(np.meshgrid(_EDGE, _EDGE), axis=-1).reshape(-1, 2)
    mass = np.exp(law.log_density(points)) * (_EDGE[1] - _EDGE[0]) ** 2
    labels = [OneHiddenLayer(_truth(float(turn)), relu, [1.0, 1.0])(points) for turn in TURNS]
    scores = [score.score(points, 4) for score in (law, StandardNormal(2))]
    return np.stack([np.tensordot(mass * labels, score, 1) for score in scores], axis=1)


def _descended(T4: Array, mu: float) -> Array:
    """Return the unit rows at which a descent on L ends; kappa is negative, as for ReLU units."""
    scale = float(np.linalg.norm(T4.reshape(4, 4), 2))
    loss = FourthOrderLoss(TensorMoment(T4 / scale), mu, lam=1000.0, sign=-1.0)
    end = quasi_newton(loss, _START).weights
    return np.asarray(end / np.linalg.norm(end, axis=1, keepdims=True))


def _case(T4: Array) -> dict[str, Any]:
    """Return the five different entries of a moment, and the rows that the landscape gives."""
    entries = [T4[index] for index in ((0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 1), (0, 1, 1, 1), (1, 1, 1, 1))]
    return {"T": rounded(entries, 5), "rows": rounded([_descended(T4, mu) for mu in MUS], 3)}


def two_rows() -> Explorable:
    """Return L and G over the angles of two rows, for a law of the input and a turn of the network."""
    cases = [[[_case(T4) for T4 in scores] for scores in fourth_moments(law)] for law in LAWS.values()]
    return Explorable(
        "two_rows",
        {"laws": list(LAWS), "turns": TURNS.tolist(), "mus": list(MUS), "cases": cases},
        title="What the loss sees, and what it only seems to see",
        caption=r"""Left: the loss over the angles of two unit rows, dark is low; rings mark the network's
            own rows in either order, the dot where a descent ended, drawn right as arrows. Turn the
            network. With the true score of a smooth law and a small $\mu$ the rows turn with it.
            Under the Laplace law $\operatorname{sgn}(x)^{\otimes 4}$ is no score: with the paper's
            $\mu = 30$ the rows go to the axes, whatever the network. At a turn of zero, which is
            the paper's experiment, that looks like success. $G$ takes every law for a Gaussian.""",
        alt="A map of the loss over two angles with its minimum, and the rows found beside the true ones.",
    )
