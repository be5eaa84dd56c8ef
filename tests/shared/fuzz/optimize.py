"""Calls of `nnmoments.optimize`."""

import numpy as np

from fuzz.harness import Case, then
from nnmoments import optimize
from nnmoments.validation import Array


class Bowl(optimize.LeastSquares, optimize.SmoothLoss):
    """|w - 3|^2 / 2."""

    def value_and_gradient(self, weights: Array) -> tuple[float, Array]:
        return 0.5 * float(np.sum((weights - 3.0) ** 2)), weights - 3.0

    def hessian(self, weights: Array) -> Array:
        return np.eye(weights.size)

    def curvature(self, weights: Array) -> optimize.NormalMatrix:
        return optimize.NormalMatrix(np.eye(weights.size), np.ones_like(weights))


def stop(step: optimize.DampedStep) -> bool:
    return step.value < 1e-3


def same(weights: Array) -> Array:
    return weights


BOWL, START = Bowl(), [[1.0, 2.0], [4.0, 3.5]]
NORMAL = optimize.NormalMatrix(np.eye(2), np.ones(2))

CALLS = {
    "optimize": [
        Case(
            optimize.gradient_descent,
            {
                "loss": BOWL,
                "start": START,
                "step": 0.5,
                "max_iter": 50,
                "tol": 1e-5,
                "target": 1e-9,
                "fresh": Bowl,
                "watch": np.isnan,
                "every": 3,
            },
            trusted=("fresh", "watch"),
        ),
        Case(optimize.quasi_newton, {"loss": BOWL, "start": START, "max_iter": 50, "tol": 1e-8}),
        Case(
            optimize.damped_newton,
            {
                "loss": BOWL,
                "start": START,
                "max_iter": 50,
                "tol": 1e-9,
                "damping": optimize.Tenfold(),
                "max_damping": 1e9,
                "rounding": 0.0,
                "stop": stop,
                "retract": same,
            },
            trusted=("stop", "retract"),
        ),
        Case(
            optimize.classify,
            {"loss": BOWL, "weights": START, "gradient_tol": 1e-4, "curvature_tol": 1e-6},
        ),
        Case(then(optimize.GainRatio, lambda damping: damping.value), {"value": 1e-3}),
        Case(
            then(optimize.Tenfold, lambda damping: damping.value), {"value": 1.0, "least": 0.5, "retry": 2.0}
        ),
        Case(
            then(optimize.NormalMatrix, lambda normal: normal.solve(np.ones(2), 1.0)),
            {"matrix": np.eye(2), "scale": np.ones(2)},
            also={"scale": "matrix"},
        ),
        Case(NORMAL.solve, {"right": [1.0, 2.0], "damping": 1.0}),
    ]
}

ABSTRACT = {
    "optimize": {
        "Curvature",
        "DampedStep",
        "Damping",
        "Descent",
        "EndPoint",
        "LeastSquares",
        "Loss",
        "SmoothLoss",
    }
}
