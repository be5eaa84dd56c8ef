"""Calls of `nnmoments.scores`."""

from typing import Any

import numpy as np
from numpy.random import default_rng

from fuzz.harness import Case, methods, positional, then
from nnmoments import scores

X = default_rng(0).standard_normal((30, 2)).round(2)
MANY = default_rng(1).standard_normal((200, 1)).round(3)
POINTS = np.array([[0.5, -1.0], [2.0, 0.3], [1.0, 1.0]])
V = [[1.0, 0.5], [0.0, 2.0]]


def score(model: Any) -> Any:
    return model.score(POINTS[:, : model.d], 1)


def both(model: Any) -> Any:
    return model.score(POINTS[:, : model.d], 2)


def fit(sample: Any) -> Any:
    return scores.KernelDensity(sample, bandwidth=1.0)


LOCAL = scores.LocalLikelihood(X, bandwidth=1.0)
NEAREST = scores.LocalLikelihood(X, bandwidth=scores.NearestNeighbor(0.5))
FOURTH = scores.LocalLikelihood(MANY, degree=4, bandwidth=1.0, leave_one_out=True)
KERNEL = scores.KernelDensity(X, bandwidth=1.0)
INDEPENDENT = scores.IndependentLocalLikelihood(X, degree=2, bandwidth=1.0)
MATCHED = scores.ScoreMatching(X, width=1.0, rng=0)
PRINTED = scores.LLSFE(X, 1.0)
SPECTRAL = scores.SpectralStein(X)

CALLS = {
    "scores": [
        Case(then(scores.LLSFE, both), {"X": X, "bandwidth": 1.0}, also={"bandwidth": "X"}),
        Case(
            then(scores.LocalLikelihood, both),
            {"X": X, "degree": 2, "bandwidth": 1.0, "shrinkage": 1000.0, "leave_one_out": False},
            keep=("leave_one_out",),
            also={"bandwidth": "X"},
        ),
        Case(
            then(scores.LocalLikelihood, both),
            {"X": MANY, "degree": 4, "bandwidth": scores.NearestNeighbor(0.5), "shrinkage": 10.0},
            also={"bandwidth": "X"},
        ),
        Case(
            then(scores.IndependentLocalLikelihood, both),
            {"X": X, "degree": 2, "bandwidth": 1.0, "shrinkage": 1000.0, "grid": 16},
            also={"X": "bandwidth", "degree": "bandwidth"},
        ),
        Case(then(scores.KernelDensity, both), {"X": X, "bandwidth": 1.0}, also={"bandwidth": "X"}),
        Case(
            then(scores.ScoreMatching, both),
            {"X": X, "width": 1.0, "ridge": 1e-3, "centres": 5, "rng": 0},
            also={"width": "X", "X": "ridge"},
        ),
        Case(then(scores.SpectralStein, score), {"X": X, "width": 1.0, "energy": 0.9}, also={"width": "X"}),
        Case(then(scores.SpectralStein, score), {"X": X}),
        Case(
            then(scores.fit_gaussian_mixture, both),
            {"X": X, "components": 2, "rng": 0},
            also={"X": "components"},
        ),
        Case(scores.rate_bandwidth, {"n": 10, "d": 2, "degree": 2, "scale": 1.0}),
        Case(then(scores.NearestNeighbor, lambda rule: rule.at(POINTS, X)), {"share": 0.5}),
        Case(NEAREST.bandwidth.at, {"points": POINTS, "X": X}),
        Case(
            scores.score_matching_loss,
            {"model": KERNEL, "points": POINTS, "order": 2, "step": 0.1, "rng": 0},
            also={"step": "points", "points": "X"},
        ),
        Case(
            scores.choose_score,
            {
                "X": X,
                "candidates": [fit, fit],
                "order": 1,
                "folds": 2,
                "points": 10,
                "directions": 2,
                "rng": 0,
            },
            also={"X": "folds"},
            trusted=("candidates",),
        ),
        Case(then(scores.estimate_score, both), {"X": X, "order": 1, "rng": 0}),
        Case(
            then(scores.AffineScore, both),
            {"model": KERNEL, "matrix": V, "centre": [1.0, 0.5]},
            also={"matrix": "X basis vectors", "centre": "X"},
        ),
        Case(
            scores.check_score,
            {"model": KERNEL, "X": X, "order": 1, "sample_weight": np.ones(30)},
            also={"X": "sample_weight"},
        ),
        Case(scores.standardization, {"X": X, "sample_weight": np.ones(30)}, also={"X": "sample_weight"}),
        Case(
            scores.degree_two,
            {
                "mean": np.array([0.5, 1.0]),
                "covariance": np.array([[2.0, 0.5], [0.5, 1.0]]),
                "bandwidth": 1.0,
            },
            also={"mean": "covariance"},
        ),
        *methods(LOCAL, fit_at={"points": POINTS}),
        *methods(NEAREST, fit_at={"points": POINTS}),
        *methods(FOURTH, fit_at={"points": POINTS[:, :1]}),
        *(
            Case(model.log_density, {"X": POINTS[:, : model.d]}, also={"X": "points"})
            for model in (LOCAL, NEAREST, FOURTH)
        ),
        *(
            case
            for model in (LOCAL, NEAREST, KERNEL, INDEPENDENT, MATCHED, PRINTED)
            for case in (
                Case(model.score, {"X": POINTS, "order": 2}, also={"X": "points x"}),
                Case(
                    model.project,
                    {"X": POINTS, "basis": V, "order": 2},
                    also={"X": "points x", "basis": "matrices"},
                ),
                Case(
                    positional(model.contract, "X", "vectors"),
                    {"X": POINTS, "vectors": [1.0, 0.5]},
                    also={"X": "points x"},
                ),
            )
        ),
        Case(SPECTRAL.score, {"X": POINTS, "order": 1}),
    ]
}

ABSTRACT = {"scores": {"STATUS", "LocalFit", "ScoreChoice", "ScoreEstimate", "SteinCheck"}}
