"""Explorables of chapter 3."""

from typing import Any

import numpy as np

from companion.explorables.figure import Explorable, packed, rounded
from nnmoments.activations import relu
from nnmoments.densities import StandardNormal
from nnmoments.landscapes import SquareLoss
from nnmoments.networks import OneHiddenLayer
from nnmoments.optimize import gradient_descent
from nnmoments.tensors import joint_diagonalize, tensor_initialize
from nnmoments.validation import Array

__all__ = ["STARTS", "TRUTH", "descend", "loss_plane", "mixed_slices", "slices", "square_loss"]

#: Angles of the first and the second row at the start, in degrees.
STARTS = np.arange(-180, 180, 36)

_TRUE = np.radians([70.0, -20.0])
TRUTH = np.stack([np.cos(_TRUE), np.sin(_TRUE)], axis=1)
_KEPT = (0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 27, 36, 48, 64, 85, 114, 150, 200)


def square_loss() -> SquareLoss:
    """Return the square loss of two ReLU units with outputs 1 and -1, on 600 labels with noise."""
    network = OneHiddenLayer(TRUTH, relu, [1.0, -1.0])
    X = StandardNormal(2).sample(600, rng=0)
    return SquareLoss(X, network.sample_labels(X, noise=0.05, rng=1), relu, network.output)


def _rows(first: Any, second: Any) -> Array:
    angles = np.radians([first, second])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def descend(loss: SquareLoss, start: Array) -> tuple[Array, Array]:
    """Return rows (kept, 2, 2) and losses (kept,) along two hundred steps of gradient descent."""
    path: list[Array] = []
    end = gradient_descent(loss, start, step=0.5, max_iter=_KEPT[-1], watch=lambda W: path.append(W.copy()))
    path.append(end.weights)
    kept = np.array(path)[list(_KEPT)]
    return kept, np.array(end.history)[list(_KEPT)]


def loss_plane() -> Explorable:
    """Return the square loss over two angles, and the descents from a grid of starts."""
    loss = square_loss()
    angles = np.arange(-180, 181, 9)
    surface = [[loss.value(_rows(a, b)) for a in angles] for b in angles]
    starts = [_rows(a, b) for b in STARTS for a in STARTS]
    tensor = tensor_initialize(loss.X, loss.y, 2, relu, rng=0)
    paths = [descend(loss, start) for start in [*starts, tensor.weights]]
    return Explorable(
        "loss_plane",
        {
            "starts": STARTS.tolist(),
            "truth": rounded(TRUTH),
            "angles": rounded(np.degrees(_TRUE)),
            "surface": packed(np.sqrt(surface)),
            "steps": list(_KEPT),
            "paths": [{"rows": rounded(rows, 3), "loss": rounded(losses)} for rows, losses in paths],
            "floor": rounded(loss.value(TRUTH)),
        },
        title="Where you start decides where you end",
        caption=r"""A network of two ReLU units in the plane, outputs $1$ and $-1$, learned by descending on
            the square loss. Left: the loss over the angles of both rows (dark is low) with the path
            of a descent; right: the rows themselves on their way to the true ones (rings). Choose a
            start with the sliders or by a click. From the dark dots a descent is still in the wrong
            place after 200 steps. The tensor method's start (ZS) is already next to the answer.""",
        alt="A map of the loss with a path on it, and two arrows moving to the true rows.",
    )


def mixed_slices(noise: float) -> Array:
    r"""Return three slices :math:`\sum_i \lambda_{li} u_i u_i^\top` (3, 2, 2) of oblique units with noise."""
    units = np.array([[0.96, 0.28], [0.352, 0.936]])
    coefficients = np.array([[1.0, 0.25], [0.5, -0.8], [0.35, 1.1]])
    error = np.random.default_rng(3).normal(size=(3, 2, 2))
    return np.einsum("li,ia,ib->lab", coefficients, units, units) + noise * (error + error.transpose(0, 2, 1))


def slices() -> Explorable:
    """Return slices of a third moment as ellipses, before and after joint diagonalisation."""
    noises = (0.0, 0.03, 0.1)
    cases = []
    for noise in noises:
        matrices = mixed_slices(noise)
        found = joint_diagonalize(matrices, rng=0)
        order = np.argsort(-(found.factors[:, 0] ** 2))
        factors = found.factors[order] * np.sign(found.factors[order].sum(axis=1, keepdims=True))
        cases.append(
            {
                "matrices": rounded(matrices),
                "factors": rounded(factors),
                "demixing": rounded(np.linalg.inv(factors).T),
                "residual": rounded(found.residual),
            }
        )
    return Explorable(
        "slices",
        {"noises": list(noises), "cases": cases},
        title="One basis for all slices",
        caption=r"""Three slices $T_3(\cdot,\cdot,e_l)$ of a third moment on the span of two units, each
            drawn as the image of the circle. Move from the given basis to the one that joint
            diagonalisation finds: all three ellipses turn upright together, as no basis could make
            three unrelated matrices do. The columns of the basis are the units. With noise a little
            tilt is left.""",
        alt="Three tilted ellipses that turn upright together, and the two units as arrows.",
    )
