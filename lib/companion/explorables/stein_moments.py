"""Explorables of chapter 1."""

from typing import Any

import numpy as np

from companion.explorables.figure import Explorable, rounded
from nnmoments.activations import cosine, relu, sigmoid, softplus
from nnmoments.densities import (
    Density,
    GaussianMixture,
    Logistic,
    Normal,
    SmoothedUniform,
    StandardNormal,
    StudentT,
    iid,
)
from nnmoments.moments import ControlVariate, RandomFeatures, cross_moment
from nnmoments.networks import OneHiddenLayer
from nnmoments.validation import Array

__all__ = [
    "LABELS",
    "LAWS",
    "ORDERS",
    "SHIFTS",
    "SIZES",
    "WAYS",
    "labelled_sample",
    "second_moment",
    "sides",
    "stein_identity",
]

ORDERS = (1, 2, 3, 4)

#: Laws of one variable with mean 0 and variance 1.
LAWS: dict[str, Density] = {
    "Gaussian": iid(Normal(), 1),
    "logistic": iid(Logistic(scale=np.sqrt(3.0) / np.pi), 1),
    "Student t, 7 degrees": iid(StudentT(dof=7.0, scale=np.sqrt(5.0 / 7.0)), 1),
    "two bumps": GaussianMixture([0.5, 0.5], [[-0.8], [0.8]], [[[0.36]], [[0.36]]]),
    "smoothed uniform": iid(SmoothedUniform(scale=1.0 / np.sqrt(1.0 / 3.0 + 0.25)), 1),
}

#: Labels y = phi(s (x - b)): an activation and its slope s.
LABELS = {"soft corner": (softplus, 3.0), "soft step": (sigmoid, 3.0), "wave": (cosine, 1.5)}

_STEP = 0.1
_SHOWN = np.arange(-60, 61) * _STEP
_WIDE = np.arange(-140, 141) * _STEP
SHIFTS = np.arange(-15, 16) * 2 * _STEP


def sides(law: Density, label: str, order: int) -> Array:
    r"""Return :math:`E[y S_m]`, :math:`E[y^{(m)}]` and :math:`E[y\,He_m(x)]` at each shift, (shifts, 3)."""
    x = _WIDE[:, None]
    f = np.exp(law.log_density(x)) * _STEP
    activation, slope = LABELS[label]
    z = slope * (_WIDE - SHIFTS[:, None])
    y, derivative = activation(z), slope**order * activation.derivative(order, z)
    own, gaussian = (score.score(x, order).ravel() for score in (law, StandardNormal(1)))
    return np.stack([y @ (f * own), derivative @ f, y @ (f * gaussian)], axis=1)


def stein_identity() -> Explorable:
    """Return both sides of Stein's identity in one variable, for a law, a label, its place and an order."""
    x = _SHOWN[:, None]
    far = np.arange(-90, 91) * _STEP
    data = {
        "x": rounded(_SHOWN),
        "shifts": rounded(SHIFTS),
        "laws": [
            {
                "name": name,
                "f": rounded(np.exp(law.log_density(x))),
                "S": rounded([law.score(x, m).ravel() for m in ORDERS]),
            }
            for name, law in LAWS.items()
        ],
        "gaussian": rounded([StandardNormal(1).score(x, m).ravel() for m in ORDERS]),
        "labels": [
            {
                "name": name,
                "y": rounded(
                    [phi(slope * far), *(slope**m * phi.derivative(m, slope * far) for m in ORDERS)]
                ),
            }
            for name, (phi, slope) in LABELS.items()
        ],
        # Of each law, label, order and shift: E[y S_m], E[y^(m)] and E[y He_m].
        "sides": rounded(
            [[[sides(law, label, m) for m in ORDERS] for label in LABELS] for law in LAWS.values()]
        ),
    }
    return Explorable(
        "stein_identity",
        data,
        title="Both sides of the identity",
        caption=r"""Choose a density $f$, a label $y = h(x - b)$ and an order $m$, and move $b$. Right: the
            integrals of $y\,S_m f$ (blue) and of $h^{(m)} f$ (orange) from the left edge up to $x$.
            They take different ways and end at the same height: that is Stein's identity. With the
            score of a Gaussian of the same mean and variance (dashed) the integral ends elsewhere,
            unless $f$ is Gaussian.""",
        alt=(
            "Three panels over x: the density with the label, the score of the chosen order, and two running "
            "integrals that meet at the right edge."
        ),
    )


#: Sizes of the sample, and what is taken out of the labels before the moment is formed.
SIZES = tuple(2**power for power in range(7, 16))
WAYS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a line, fitted to the other half": {"control": ControlVariate()},
    "random features, fitted to the other half": {"surrogate": RandomFeatures(60, width=2.0)},
}


def labelled_sample(n: int) -> tuple[Density, Array, Array, Array]:
    """Return a law, inputs (n, 6), labels (n,) of two ReLU units, and the true T_2 (6, 6)."""
    law = iid(Logistic(), 6)
    network = OneHiddenLayer(np.eye(2, 6), relu, [1.0, -1.0], biases=[0.5, 0.5])
    X = law.sample(SIZES[-1], rng=1)[:n]
    y = network.sample_labels(X, noise=0.1, rng=2)
    truth = np.zeros((6, 6))
    # E[relu''(x + 1/2)] is the density at the kink.
    truth[[0, 1], [0, 1]] = np.array([1.0, -1.0]) * np.exp(Logistic().log_density(-0.5))
    return law, X, y, truth


def second_moment() -> Explorable:
    """Return T_2 as a matrix against the number of samples, plain and with something taken out of y."""
    law, X, y, truth = labelled_sample(SIZES[-1])
    moments = [[cross_moment(X[:n], y[:n], law, 2, **way).value for n in SIZES] for way in WAYS.values()]
    errors = np.linalg.norm(np.array(moments) - truth, axis=(2, 3)) / np.linalg.norm(truth)
    data = {
        "sizes": list(SIZES),
        "ways": list(WAYS),
        "truth": rounded(truth),
        "moments": rounded(moments, 3),
        "errors": rounded(errors, 3),
    }
    return Explorable(
        "second_moment",
        data,
        title="A moment comes out of the noise",
        caption=r"""Two ReLU units, weights $e_1$ and $e_2$ with outputs $1$ and $-1$, on six logistic
            inputs. Raise $n$: two squares of the estimated $T_2 = \mathrm E[y\,S_2(x)]$ stay, the
            rest fades like $n^{-1/2}$. Then take something out of the labels that was fitted to
            other samples: the matrix settles earlier, since only the variance of what is left
            counts.""",
        alt="The estimated and the true second moment as coloured squares, and the relative error against n.",
    )
