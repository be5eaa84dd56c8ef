"""Chapter 1: Stein's lemma in numbers - moments, spans, coefficients and control variates."""

import math
from typing import Any

import numpy as np
import pandas as pd

from companion.experiments.labels import LABELED
from companion.sweep import Sweep, grid
from nnmoments.activations import relu, sigmoid, squared_relu, tanh
from nnmoments.densities import (
    Density,
    Gaussian,
    GaussianMixture,
    Logistic,
    SmoothedUniform,
    StandardNormal,
    StudentT,
    iid,
)
from nnmoments.linalg import principal_angles
from nnmoments.moments import ControlVariate, CrossMoment, cross_moment
from nnmoments.networks import FeedForward, OneHiddenLayer, conditioned_weights
from nnmoments.validation import Array

__all__ = [
    "INPUTS",
    "SIGMAS",
    "coefficient_table",
    "coefficients",
    "control_variates",
    "convergence",
    "defect",
    "permuted_spans",
    "property_table",
    "rho_table",
    "row_spans",
]

#: The input distributions of the chapter.
INPUTS = ("gaussian", "mixture", "logistic", "student", "plateau")

#: Where the slides tabulate rho.
SIGMAS = (0.1, 1.0, 10.0)


def input_density(name: str, d: int) -> Density:
    """Return one of the chapter's input distributions; every coordinate has variance about one.

    The mixture has its two components at distance two, so it is neither Gaussian nor a product.
    """
    match name:
        case "gaussian":
            return StandardNormal(d)
        case "mixture":
            direction = np.ones(d) / math.sqrt(d)
            spread = np.eye(d) - 0.8 * np.outer(direction, direction)
            return GaussianMixture([0.5, 0.5], [direction, -direction], spread)
        case "logistic":
            return iid(Logistic(scale=math.sqrt(3.0) / math.pi), d)
        case "student":
            return iid(StudentT(dof=6.0, scale=math.sqrt(2.0 / 3.0)), d)
        case "plateau":
            return iid(SmoothedUniform(half_width=1.6, noise=0.4), d)
    raise ValueError(f"name must be one of {', '.join(INPUTS)}, got {name!r}")


def _matched_gaussian(density: Density, rng: np.random.Generator) -> Gaussian:
    """Return the Gaussian with the same mean and covariance: the score one would guess."""
    X = density.sample(200_000, rng=rng)
    return Gaussian(X.mean(axis=0), np.cov(X, rowvar=False))


# --- the moment converges ------------------------------------------------------------------------

_SIZES = {
    "quick": [1_000, 4_000, 16_000, 64_000],
    "paper": [1_000, 10_000, 100_000, 1_000_000],
    # Angles between spans are in their asymptotic range from here on.
    "quick spans": [8_000, 32_000, 128_000],
    "paper spans": [10_000, 100_000, 1_000_000],
}


def _biased_teacher(d: int, rng: np.random.Generator) -> OneHiddenLayer:
    """Return four ReLUs with biases, so that no moment up to order 4 vanishes."""
    weights = conditioned_weights(4, d, rng=rng)
    return OneHiddenLayer(weights, relu, [1.0, -1.0, 1.0, 1.0], [0.3, 0.3, -0.3, -0.6])


def _convergence(*, order: int, d: int, sizes: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Relative error of T_m along one growing sample, against the exact moment."""
    teacher, density = _biased_teacher(d, rng), StandardNormal(d)
    exact = teacher.moment(order)
    moment, errors, seen = CrossMoment(density, order, block_size=500), [], 0
    for n in _SIZES[sizes]:
        X = density.sample(n - seen, rng=rng)
        estimate = moment.partial_fit(X, teacher(X)).estimate()
        errors.append(np.linalg.norm(estimate.value - exact) / np.linalg.norm(exact))
        seen = n
    return {"n": _SIZES[sizes], "error": errors}


convergence = Sweep(
    "01-moment-convergence",
    _convergence,
    quick=grid(order=[1, 2, 3, 4], d=[6], sizes=["quick"], trial=range(40)),
    paper=grid(order=[1, 2, 3, 4], d=[6], sizes=["paper"], trial=range(100)),
)


# --- Stein's lemma, with the right score and with a guessed one ------------------------------------


def _defect(*, density: str, score: str, sizes: str, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Relative size of E[g S_1] - E[grad g] over one growing sample, for a vector g."""
    d = 5
    f = input_density(density, d)
    model = f if score == "true" else _matched_gaussian(f, rng)
    # Units that look along the diagonal, where the mixture has its two modes.
    units = 2.0 * (np.ones((4, d)) + 0.5 * rng.standard_normal((4, d))) / math.sqrt(d)
    g = FeedForward(
        [units, rng.standard_normal((3, 4))],
        tanh,
        biases=[rng.standard_normal(4), np.zeros(3)],
    )
    total, square, slope, errors, seen = np.zeros((3, d)), np.zeros((3, d)), np.zeros((3, d)), [], 0
    for n in _SIZES[sizes]:
        while seen < n:
            X = f.sample(min(n - seen, 50_000), rng=rng)
            gradient = g.jacobian(X)
            difference = g(X)[:, :, None] * model.score(X, 1)[:, None, :] - gradient
            total += difference.sum(axis=0)
            square += np.sum(difference**2, axis=0)
            slope += gradient.sum(axis=0)
            seen += len(X)
        errors.append(np.linalg.norm(total) / np.linalg.norm(slope))
    error = np.sqrt((square / seen - (total / seen) ** 2) / seen)
    return {"n": _SIZES[sizes], "defect": errors, "worst_z": np.abs(total / seen / error).max()}


defect = Sweep(
    "01-stein-defect",
    _defect,
    quick=grid(density=INPUTS, score=["true", "gaussian"], sizes=["quick"], trial=range(6)),
    paper=grid(density=INPUTS, score=["true", "gaussian"], sizes=["paper"], trial=range(40)),
)


# --- the label-input moment of a network with classes: SA Theorem 1 --------------------------------


def _row_spans(
    *, link: str, density: str, sizes: str, trial: int, rng: np.random.Generator, permuted: bool = False
) -> dict[str, Any]:
    """T_1 of drawn labels: its z-scores against B A_1, its row span against that of A_1."""
    d, k, n_y = 20, 3, 6
    f = input_density(density, d)
    teacher = FeedForward(
        [conditioned_weights(k, d, condition=2.0, rng=rng), 3.0 * rng.standard_normal((n_y, k))],
        sigmoid,
        link=link,
        biases=[np.zeros(k), np.zeros(n_y)],
    )
    first = teacher.weights[0]
    fresh = f.sample(2_000, rng=rng)
    mean = teacher(fresh)
    moment, angles, losses, seen = CrossMoment(f, 1), [], [], 0
    factor = np.zeros((n_y, k))
    for n in _SIZES[sizes]:
        while seen < n:
            X = f.sample(min(n - seen, 50_000), rng=rng)
            y = teacher.sample_labels(X, rng=rng)
            moment.partial_fit(X, rng.permutation(y) if permuted else y)
            factor += teacher.mean_factor(X) * len(X)
            seen += len(X)
        estimate = moment.estimate()
        span = np.linalg.svd(estimate.value)[2][:k]
        angles.append(principal_angles(span, first)[0])
        losses.append(np.abs(teacher(fresh @ span.T @ span) - mean).sum(axis=1).mean() / 2.0)
    z = (estimate.value - factor / seen @ first) / estimate.standard_error
    values = np.linalg.svd(factor / seen @ first, compute_uv=False)
    return {
        "n": _SIZES[sizes],
        "angle": angles,
        "loss": losses,
        "worst_z": np.abs(z).max(),
        "gap": values[k - 1] / values[0],
    }


row_spans = Sweep(
    "01-row-spans",
    _row_spans,
    quick=grid(
        link=["softmax", "sigmoid"],
        density=["gaussian", "mixture", "logistic", "student"],
        sizes=["quick spans"],
        trial=range(12),
    ),
    paper=grid(
        link=["softmax", "sigmoid"],
        density=["gaussian", "mixture", "logistic", "student"],
        sizes=["paper spans"],
        trial=range(20),
    ),
)


def permuted_spans(trials: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return what `row_spans` finds when the labels, of Gaussian inputs, belong to other inputs."""
    cell: dict[str, Any] = {"link": "softmax", "density": "gaussian", "sizes": "quick spans"}
    return pd.DataFrame([_row_spans(**cell, trial=i, rng=rng, permuted=True) for i in range(trials)])


# --- the moments of ZS Definition 5.1 --------------------------------------------------------------


def _coefficients(*, activation: str, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Worst z-score of M_1..M_4 of one activation, and of M_4 with its last term as printed."""
    d, k = 5, 3
    phi = LABELED[activation]
    teacher = OneHiddenLayer(conditioned_weights(k, d, condition=2.0, rng=rng), phi, [1.0, -1.0, 1.0])
    density = StandardNormal(d)
    # Two random directions: few entries, and so few comparisons, that see all of the tensor.
    basis = np.linalg.qr(rng.standard_normal((d, 2)))[0]
    X = density.sample(n, rng=rng)
    y = teacher(X)
    worst = []
    for order in range(1, 5):
        estimate = cross_moment(X, y, density, order, bases=basis)
        exact = teacher.moment(order)
        for _ in range(order):
            exact = np.tensordot(exact, basis, axes=(0, 0))
        z = (estimate.value - exact) / estimate.standard_error
        worst.append(np.abs(z).max())
    # The printed last term counts each pairing twice: 6 E[y] instead of 3 E[y] on the diagonal.
    printed = z[0, 0, 0, 0] + 3.0 * y.mean() / estimate.standard_error[0, 0, 0, 0]
    return {"worst_z": worst, "printed_z": abs(printed)}


coefficients = Sweep(
    "01-moment-coefficients",
    _coefficients,
    quick=grid(activation=list(LABELED), n=[100_000], trial=range(3)),
    paper=grid(activation=list(LABELED), n=[1_000_000], trial=range(20)),
)


# --- the tables of the ZS slides --------------------------------------------------------------------

# P1, P2, P3a, P3b, and whether all hold, as printed.
_PRINTED_PROPERTIES = {
    "ReLU": (True, True, False, True, True),
    "leaky ReLU": (True, True, False, True, True),
    "squared ReLU": (True, True, True, False, True),
    "sigmoid": (True, True, True, False, True),
    "tanh": (True, True, True, False, True),
    "erf": (True, True, True, False, True),
    "linear": (True, False, True, True, False),
    "quadratic": (False, False, True, False, False),
}

# rho at 0.1, 1 and 10, as printed; squared ReLU is printed as "0.27 sigma".
_PRINTED_RHO = {
    "ReLU": (0.091, 0.091, 0.091),
    "leaky ReLU": (0.089, 0.089, 0.089),
    "squared ReLU": (0.027, 0.27, 2.7),
    "erf": (1.9e-4, 5.2e-2, 2.5e-5),
    "tanh": (1.8e-4, 4.9e-2, 5.1e-5),
    "linear": (0.0, 0.0, 0.0),
    "quadratic": (0.0, 0.0, 0.0),
}


def coefficient_table() -> pd.DataFrame:
    """Return the coefficients m_1 to m_4 of the slides' activations at unit norm."""
    rows = [[phi.moment_coefficient(m) for m in range(1, 5)] for phi in LABELED.values()]
    return pd.DataFrame(rows, index=list(LABELED), columns=["m_1", "m_2", "m_3", "m_4"])


def property_table() -> pd.DataFrame:
    """Return P1 to P3 of the slides' eight activations, computed, and whether the slides agree."""
    rows = []
    for name, phi in LABELED.items():
        p = phi.properties
        found = (p.nonnegative_derivative, p.nonlinear, p.smooth, p.piecewise_linear, p.admitted)
        rows.append([name, *found, found == _PRINTED_PROPERTIES[name]])
    return pd.DataFrame(rows, columns=["activation", "P1", "P2", "P3a", "P3b", "all", "as printed"])


def rho_table() -> pd.DataFrame:
    """Return rho of the slides' activations beside the printed values, one row an entry."""
    rows = [
        (name, sigma, round(phi.rho(sigma), 14) + 0.0, printed)  # no rounding noise for zero
        for name, phi in LABELED.items()
        if name in _PRINTED_RHO
        for sigma, printed in zip(SIGMAS, _PRINTED_RHO[name], strict=True)
    ]
    return pd.DataFrame(rows, columns=["activation", "sigma", "computed", "printed"])


# --- control variates -------------------------------------------------------------------------------


def _control_variates(*, order: int, n: int, trial: int, rng: np.random.Generator) -> dict[str, Any]:
    """Relative error of T_m in the setting of ZS's experiments, plain and with control variates.

    The third moment is projected on the span of the weights, as ZS's Algorithm 1 does.
    """
    d, k = 10, 5
    weights = conditioned_weights(k, d, condition=2.0, rng=rng)
    teacher = OneHiddenLayer(weights, squared_relu, rng.choice([-1.0, 1.0], size=k))
    density = StandardNormal(d)
    basis = np.linalg.qr(weights.T)[0] if order == 3 else None
    exact = teacher.moment(order)
    if basis is not None:
        for _ in range(order):
            exact = np.tensordot(exact, basis, axes=(0, 0))
    X = density.sample(n, rng=rng)
    y = teacher(X)
    scale = float(np.linalg.norm(exact))

    def error(control: ControlVariate | None) -> tuple[float, float]:
        estimate = cross_moment(X, y, density, order, bases=basis, control=control)
        miss: Array = estimate.value - exact
        return float(np.linalg.norm(miss)) / scale, float((miss / estimate.standard_error).flat[0])

    plain, _ = error(None)
    controlled, z = error(ControlVariate(basis=basis))
    return {"plain": plain, "controlled": controlled, "z": z}


control_variates = Sweep(
    "01-control-variates",
    _control_variates,
    quick=[
        *grid(order=[1], n=[1_000, 4_000, 16_000], trial=range(200)),
        *grid(order=[2, 3], n=[1_000, 4_000, 16_000], trial=range(30)),
    ],
    paper=grid(order=[1, 2, 3], n=[1_000, 10_000, 100_000, 1_000_000], trial=range(100)),
)
