"""Calls of `nnmoments.moments`."""

import dataclasses
from typing import Any

import numpy as np
from numpy.random import default_rng

from fuzz.harness import Case, methods, then
from nnmoments import moments
from nnmoments.densities import StandardNormal

X = default_rng(0).standard_normal((24, 2)).round(2)
y = X[:, 0] * X[:, 1]
weight = np.arange(24.0)
SCORE = StandardNormal(2)
MANY = default_rng(1).standard_normal((200, 2)).round(2)
LABELS = np.abs(MANY[:, 0])
V = [[1.0, 0.5], [0.0, 2.0]]
ALONG = [[1.0, 0.5]]
CONTROL = moments.ControlVariate(degree=1)
TENSOR = moments.TensorMoment(np.ones((2, 2, 2, 2)))
SAMPLED = moments.SampledMoment(X, y)
STREAMED = moments.StreamedMoment([(X[:6], y[:6]), (X[6:], y[6:])], 4)
MATRIX = moments.TensorMoment(V)


def accumulate(X: Any, y: Any, sample_weight: Any) -> Any:
    return moments.CrossMoment(SCORE, 2).partial_fit(X, y, sample_weight).estimate()


accumulate.__name__ = "CrossMoment"


def from_pair(X: Any, y: Any) -> Any:
    return moments.CrossMoment.from_chunks([(X, y)], SCORE, 2).estimate()


def streamed_pair(X: Any, y: Any, order: Any) -> Any:
    return moments.StreamedMoment([(X, y)], order).contract()


def identity(part: Any) -> Any:
    return part


def robust(surrogate: Any) -> Any:
    """Use a surrogate, of a family or not, in a moment."""
    return moments.cross_moment(MANY, LABELS, SCORE, 2, surrogate=surrogate)


def linear(point: Any) -> Any:
    return point @ [1.0, 2.0]


def slopes(point: Any) -> Any:
    return np.ones_like(point) * [1.0, 2.0]


FORMS = (TENSOR, SAMPLED, STREAMED)

CALLS = {
    "moments": [
        Case(then(moments.Polynomials, robust), {"degree": 2, "basis": np.eye(2)}),
        Case(
            then(moments.RandomFeatures, robust),
            {"count": 5, "width": 2.0, "ridge": 0.01, "basis": np.eye(2), "rng": 0},
            overflows=True,
        ),
        Case(
            then(moments.RidgeSurrogate, robust),
            {
                "weights": V,
                "biases": [0.1, 0.2],
                "output": [[1.0, 2.0]],
                "activation": "tanh",
                "intercept": [0.5],
                "widths": [0.3, 0.3],
                "smoothed": False,
            },
            keep=["smoothed"],
            overflows=True,
            also={"output": "weights", "biases": "weights", "weights": "output"},
        ),
        Case(
            then(
                moments.FunctionSurrogate,
                lambda g: moments.cross_moment(MANY, LABELS, SCORE, 1, surrogate=g),
            ),
            {"d": 2, "function": linear, "derivatives": [slopes]},
            also={"d": "surrogate"},
        ),
        Case(
            then(moments.ControlVariate, lambda control: moments.control_residuals(X, y, control, 2)),
            {"degree": 1, "basis": np.eye(2), "folds": 2},
            also={"basis": "bases"},
        ),
        Case(
            moments.control_residuals,
            {"X": X, "y": y, "control": CONTROL, "order": 2, "sample_weight": weight},
            also={"sample_weight": "X"},
        ),
        Case(
            moments.CrossMoment,
            {"score": SCORE, "order": 2, "bases": np.eye(2), "block_size": 3},
        ),
        Case(accumulate, {"X": X, "y": y, "sample_weight": weight}, also={"sample_weight": "X"}),
        Case(from_pair, {"X": X, "y": y}),
        Case(moments.CrossMoment.from_chunks, {"chunks": [(X, y)], "score": SCORE, "order": 1}),
        Case(
            moments.cross_moment,
            {
                "X": X,
                "y": y,
                "score": SCORE,
                "order": 2,
                "bases": np.eye(2),
                "control": CONTROL,
                "block_size": 3,
                "sample_weight": weight,
            },
            also={"sample_weight": "X", "block_size": "X"},
        ),
        Case(moments.cross_moment, {"X": X, "y": y, "score": SCORE, "order": 3}),
        Case(
            moments.first_moment,
            {"X": X, "y": y, "score": SCORE, "control": "linear", "sample_weight": weight},
            also={"sample_weight": "X"},
        ),
        Case(
            moments.active_moments,
            {"X": X, "y": y, "form": "auto", "sample_weight": weight},
        ),
        Case(moments.active_moments, {"X": X, "y": y, "form": "sample"}),
        Case(
            moments.controlled_moments,
            {"X": MANY, "y": LABELS, "folds": 2, "sample_weight": np.ones(200)},
            also={"sample_weight": "X", "folds": "X"},
        ),
        Case(moments.fold_rows, {"n": 5, "folds": 2}, also={"n": "X", "folds": "X"}),
        Case(
            moments.cross_fit,
            {"parts": [1.0, 2.0, 3.0], "fit": np.mean, "apply": np.add},
            keep=("parts",),
            trusted=("fit", "apply"),
        ),
        Case(then(moments.TensorMoment, lambda form: form.contract()), {"tensor": V}),
        Case(
            then(moments.SampledMoment, lambda form: form.contract()),
            {"X": X, "y": y, "order": 2, "hermite": True},
            keep=("hermite",),
        ),
        Case(
            then(moments.SampledMoment, lambda form: form.cubic(np.eye(2))), {"X": X, "y": y}, overflows=True
        ),
        Case(
            moments.StreamedMoment,
            {"chunks": [(X, y)], "order": 2, "hermite": True},
            keep=("hermite",),
            also={"chunks": "X"},
        ),
        Case(streamed_pair, {"X": X, "y": y, "order": 2}),
        *(Case(form.contract, {"bases": np.eye(2)}, also={"bases": "X"}) for form in (*FORMS, MATRIX)),
        *(
            dataclasses.replace(case, overflows=True)
            for form in FORMS
            for case in methods(
                form, matmat={"block": V, "directions": ALONG}, cubic={"A": V}, pairs={"A": V}
            )
        ),
        Case(MATRIX.matmat, {"block": V}),
    ]
}

ABSTRACT = {
    "moments": {
        "FourthMoment",
        "HermiteMoments",
        "Moment",
        "MomentEstimate",
        "PolynomialSurrogate",
        "Surrogate",
        "SurrogateFamily",
        "SurrogateSum",
        "score_power",  # of numbers that were checked where they came in
    }
}
