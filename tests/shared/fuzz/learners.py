"""Valid calls of the learners: their parameters, and what `fit` and the methods after it are given."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fuzz.harness import Case, positional
from nnmoments import learners
from nnmoments.activations import relu_threshold
from nnmoments.densities import StandardNormal
from nnmoments.learners.beside import factor_rows
from nnmoments.learners.sparse_network import train_network
from nnmoments.learners.threshold_network import decode_moments
from nnmoments.moments import Polynomials, controlled_moments
from nnmoments.networks import UnionOfHalfspaces

X = np.random.default_rng(0).standard_normal((1200, 2))
U = relu_threshold(1.5)
UNION = UnionOfHalfspaces(np.eye(2), 1.2)
CLASSES = (X[:, 0] > 0.3).astype(int) + (X[:, 1] > 0.0)


def is_active(labels: np.ndarray) -> np.ndarray:
    return labels != 0.0


def units(X: np.ndarray) -> np.ndarray:
    return U(X).sum(axis=1)


def cases(kind: type, parameters: Mapping[str, Any], n: int, *methods: str, **sample: Any) -> list[Case]:
    """Return cases of the parameters and the sample, and of the methods of the fitted learner."""
    sample = {name: value if callable(value) else value[:n] for name, value in sample.items()}
    sample = {"X": X[:n], "sample_weight": np.ones(n)} | sample

    def fit(**arguments: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = kind(**{name: arguments[name] for name in parameters})
            return model.fit(**{name: arguments[name] for name in sample})

    def call(**arguments: Any) -> dict[str, Any]:
        return vars(fit(**arguments)) | {"diagnostics_": None}

    fit.__name__ = call.__name__ = kind.__name__
    also = {"X": "y score", "y": "X", "sample_weight": "X y", "oracle": "y", "n_hidden": "k"}
    fitted = fit(**parameters, **sample)
    return [
        Case(call, {**parameters, **sample}, also=also),
        *(Case(positional(getattr(fitted, name), "X"), {"X": X[:20]}) for name in methods),
    ]


CALLS = {
    "learners": [
        *cases(
            learners.TensorNetwork,
            {
                "n_hidden": 2,
                "activation": "squared_relu",
                "score_model": StandardNormal(2),
                "method": "controlled",
                "finisher": "levenberg-marquardt",
                "step": 0.02,
                "max_iter": 5,
                "n_batches": 1,
                "n_attempts": 1,
                "noise": 0.5,
                "fit_intercept": True,
                "fit_biases": False,
                "random_state": 0,
            },
            60,
            "predict",
            y=X[:, 0] * np.abs(X[:, 0]),
        ),
        *cases(
            learners.GeneralInputNetwork,
            {
                "n_hidden": 2,
                "activation": "relu",
                "score_model": StandardNormal(2),
                "decoder": "tensor",
                "surrogate": "auto",
                "n_starts": 1,
                "max_iter": 20,
                "fit_intercept": True,
                "fit_biases": True,
                "random_state": 0,
            },
            100,
            "predict",
            y=np.abs(X[:, 0]),
        ),
        *cases(
            learners.ThresholdNetwork,
            {
                "n_hidden": 2,
                "activation": U,
                "inputs": StandardNormal(2),
                "control": "network",
                "refine": True,
                "degree": 2,
                "active": is_active,
                "fit_intercept": True,
                "max_iter": 1,
                "max_unexplained": 0.5,
                "tol": 1e-3,
                "random_state": 0,
            },
            1200,
            "predict",
            y=units(X),
            oracle=units,
        ),
        *cases(
            learners.HalfspaceUnionClassifier,
            {
                "n_hidden": 2,
                "threshold": 1.2,
                "inputs": StandardNormal(2),
                "max_iter": 2,
                "tol": 1e-3,
                "random_state": 0,
            },
            1200,
            "predict",
            "decision_function",
            y=UNION(X),
            oracle=UNION,
        ),
        *cases(
            learners.SparseNetworkClassifier,
            {
                "n_hidden": 1,
                "activation": "relu",
                "score_model": StandardNormal(2),
                "upper_layers": (2,),
                "control": "linear",
                "columns": "fast",
                "fine_tune": True,
                "alpha": 1e-4,
                "max_iter": 5,
                "tol": 1e-3,
                "random_state": 0,
            },
            200,
            "predict",
            "predict_proba",
            "decision_function",
            "transform",
            y=CLASSES,
        ),
        *cases(
            learners.SufficientReduction,
            {
                "n_components": 1,
                "order": "both",
                "labels": "slices",
                "n_slices": 3,
                "score_model": StandardNormal(2),
                "surrogate": Polynomials(1),
                "max_iter": 1,
                "level": 0.05,
                "random_state": 0,
            },
            60,
            "transform",
            y=X[:, 0] * np.abs(X[:, 0]),
        ),
        Case(
            learners.average_derivatives,
            {
                "X": X[:60],
                "y": X[:60, 0],
                "order": 1,
                "score": StandardNormal(2),
                "surrogate": Polynomials(1),
                "level": 0.9,
                "sample_weight": np.ones(60),
            },
            also={"X": "y score", "y": "X", "sample_weight": "X y", "score": "surrogate"},
        ),
        Case(
            train_network,
            {
                "X": X[:9],
                "Y": np.eye(3)[CLASSES[:9]],
                "weights": [np.eye(2), np.ones((3, 2))],
                "biases": [[0.1, 0.2], [0.0, 0.0, 0.0]],
                "activation": "tanh",
                "link": "softmax",
                "mask": np.eye(2),
                "sample_weight": np.ones(9),
                "alpha": 1e-4,
                "max_iter": 5,
                "tol": 1e-3,
            },
            also={"X": "Y weights", "Y": "weights", "weights": "biases"},
        ),
        Case(factor_rows, {"X": X, "y": units(X), "k": 2, "rng": 0}, also={"X": "y"}),
        Case(
            decode_moments,
            {"moments": controlled_moments(X, units(X)), "k": 2, "activation": U, "rng": 0},
        ),
    ]
}

ABSTRACT = {
    "learners": {"AverageDerivatives", "DimensionTest", "FourthOrderRows", "MomentLearner", "RidgeLearner"}
}
