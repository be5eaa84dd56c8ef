"""Calls of `nnmoments.landscapes`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import default_rng

from fuzz.harness import Case, methods, then
from nnmoments import landscapes
from nnmoments.linalg import outer_power
from nnmoments.moments import TensorMoment

W = np.array([[1.0, 0.5], [0.0, 2.0]])
T2 = np.sqrt(2.0) * np.eye(2)
T4 = np.sqrt(24.0) * outer_power(np.eye(2), 4).sum(axis=0)
FOURTH = TensorMoment(T4)
X = default_rng(0).standard_normal((20, 2)).round(2)
y = np.maximum(X[:, 0], 0.0)
weight = np.arange(20.0)

START = [[0.8, 0.3]]
Z = np.array([0.5, 1.0])

FOURTH_ORDER = landscapes.FourthOrderLoss(FOURTH, 0.01, 100.0)
PLAIN = landscapes.FourthOrderLoss(FOURTH, 0.01, 100.0, regularizer="plain")
HERMITE = landscapes.HermiteLoss(T2, FOURTH, 1.0, 1.0, 2.0)
SIMULTANEOUS = landscapes.SimultaneousLoss(T2, FOURTH, 1.0, 1.0, 2.0)
SPHERE = landscapes.SphereLoss(X, y, 4)
SQUARE = landscapes.SquareLoss(X, y, "tanh", [1.0], sample_weight=weight, fit_intercept=True)
BOTH = landscapes.SquareLossOfBoth(X, y, "tanh")


def overflowing(loss: Any, **calls: Mapping[str, Any]) -> list[Case]:
    return [dataclasses.replace(case, overflows=True) for case in methods(loss, **calls)]


CALLS = {
    "landscapes": [
        Case(
            then(landscapes.FourthOrderLoss, lambda loss: loss.value_and_gradient(W)),
            {"moment": FOURTH, "mu": 0.01, "lam": 100.0, "sign": 1.0, "regularizer": "plain"},
            overflows=True,
        ),
        Case(
            then(landscapes.HermiteLoss, lambda loss: loss.value_and_gradient(Z)),
            {"second": T2, "fourth": FOURTH, "u2": 1.0, "u4": 1.0, "lam": 2.0},
            overflows=True,
        ),
        Case(
            then(landscapes.SimultaneousLoss, lambda loss: loss.value_and_gradient(W)),
            {
                "second": T2,
                "fourth": FOURTH,
                "u2": 1.0,
                "u4": 1.0,
                "lam": 2.0,
                "gamma": 0.01,
                "printed": True,
                "mean": 0.5,
            },
            keep=("printed",),
            overflows=True,
        ),
        Case(
            then(landscapes.SphereLoss, lambda loss: loss.value_and_gradient(Z)),
            {"X": X, "y": y, "l": 4, "sign": 1.0},
            overflows=True,
        ),
        Case(
            then(landscapes.SquareLoss, lambda loss: loss.value_and_gradient(START)),
            {
                "X": X,
                "y": y,
                "activation": "relu",
                "output": [1.0],
                "sample_weight": weight,
                "fit_intercept": True,
            },
            keep=("fit_intercept",),
            overflows=True,
        ),
        Case(
            then(landscapes.SquareLossOfBoth, lambda loss: loss.value_and_gradient(W)),
            {"X": X[:, :1], "y": y, "activation": "relu", "sample_weight": weight, "fit_intercept": True},
            keep=("fit_intercept",),
            overflows=True,
        ),
        *(
            case
            for loss, name, at in (
                (FOURTH_ORDER, "A", W),
                (PLAIN, "A", W),
                (HERMITE, "z", Z),
                (SIMULTANEOUS, "W", W),
                (SPHERE, "z", Z),
                (SQUARE, "weights", START),
            )
            for case in overflowing(loss, value_and_gradient={name: at}, hessian={name: at})
        ),
        *overflowing(
            SQUARE,
            intercept={"weights": START},
            residual={"weights": START},
            curvature={"weights": START},
            hessian_product={"weights": START, "direction": START},
        ),
        *overflowing(
            BOTH,
            value_and_gradient={"weights": [[0.8, 0.3, 1.0]]},
            curvature={"weights": [[0.8, 0.3, 1.0]]},
            intercept={"weights": [[0.8, 0.3, 1.0]]},
        ),
        Case(
            landscapes.landscape_rows,
            {
                "moment": FOURTH,
                "k": 2,
                "mu": 0.01,
                "lam": 100.0,
                "n_starts": 2,
                "solver": "gradient",
                "step": 1e-3,
                "max_iter": 20,
                "tol": 1e-8,
                "rng": 0,
            },
        ),
        Case(landscapes.landscape_rows, {"moment": FOURTH, "k": 2, "n_starts": 2, "max_iter": 50, "rng": 0}),
        Case(
            landscapes.orthogonal_closed_form,
            {"A": W, "W": np.eye(2), "kappa": [1.0, 2.0], "mu": 0.01, "lam": 100.0},
            also={"W": "kappa"},
        ),
        Case(
            landscapes.parameter_error,
            {"A": W, "W": np.eye(2), "printed": False},
            keep=("printed",),
        ),
        Case(landscapes.random_rows, {"k": 2, "d": 3, "count": 2, "rng": 0}),
        Case(
            landscapes.find_minima,
            {"loss": HERMITE, "metric": np.eye(2), "count": 2, "radius": 1.0, "max_starts": 3, "rng": 0},
        ),
        Case(landscapes.weights_from_minima, {"points": W}),
        Case(landscapes.sphere_maxima, {"fourth": T4, "count": 2, "sign": 1.0, "rng": 0}),
        Case(landscapes.ellipsoid_rows, {"second": T2, "fourth": T4, "k": 2, "sign": 1.0, "rng": 0}),
        Case(
            landscapes.levenberg_marquardt,
            {"loss": SQUARE, "start": START, "max_iter": 5, "tol": 1e-24},
        ),
        Case(
            landscapes.levenberg_marquardt,
            {"loss": BOTH, "start": [[0.8, 0.3, 1.0]], "max_iter": 5},
        ),
        Case(
            landscapes.population_hessian,
            {"weights": W, "activation": "tanh", "output": [1.0, 2.0]},
            also={"weights": "output"},
        ),
        Case(
            landscapes.convexity_constants,
            {"weights": W, "activation": "relu", "output": [1.0, 2.0]},
            also={"weights": "output"},
        ),
    ]
}

ABSTRACT = {"landscapes": {"ConvexityConstants", "LandscapeRows", "Minima"}}
