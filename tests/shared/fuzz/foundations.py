"""Calls of the packages that all others rest on."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fuzz.harness import Case, methods, positional
from nnmoments import activations, chunks, densities, hermite, linalg, networks, results, validation


def function(X: np.ndarray) -> np.ndarray:
    return np.abs(X[:, 0])


def sampler(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((n, 1))


def first_derivative(X: np.ndarray) -> np.ndarray:
    return -X


V = [[1.0, 0.5], [0.0, 2.0]]
X = [[0.5, -1.0], [2.0, 0.3], [1.0, 1.0]]
FOUR = (np.cos, np.sin, np.cos, np.sin)
relu, tanh = activations.relu, activations.tanh
POLYNOMIAL = networks.HiddenPolynomial(V, "tanh", {(0,): 1.0, (0, 1): 2.0})
SIGMOIDS = networks.HiddenPolynomial(V, "sigmoid at 2", {(0,): 1.0, (0, 1): 2.0})
ONE = networks.OneHiddenLayer(V, "tanh", [1.0, -1.0], [0.1, 0.2])
DEEP = networks.FeedForward([V, V], "tanh", link="sigmoid")
CUT = networks.CutNetwork([np.eye(2)], [1.0], {(0,): 1.0})
COVARIANCE = [[2.0, 0.5], [0.5, 1.0]]
NORMAL = densities.Gaussian([0.0, 1.0], COVARIANCE)
MIXTURE = densities.GaussianMixture([0.4, 0.6], [[0.0, 1.0], [1.0, 0.0]])
PRODUCT = densities.iid(densities.Logistic(), 2)
USER = densities.UserDensity(2, [first_derivative])


def marginal_cases(density: Any, point: Sequence[float]) -> list[Case]:
    derivative = {"x": point, "order": 1}
    return [
        *(Case(type(density), {f.name: getattr(density, f.name)}) for f in dataclasses.fields(density)),
        Case(density.log_density, {"x": point}, minus_infinity=True, also={"x": "X"}),
        Case(density.log_derivative, derivative, also={"x": "X", "order": "exponent"}),
        Case(density.sample, {"size": 3, "rng": 0}),
    ]


CALLS = {
    "activations": [
        Case(
            activations.Activation,
            {
                "name": "x",
                "function": np.sin,
                "derivatives": FOUR,
                "breakpoints": [0.0],
                "kind": "x",
                "threshold": 0.0,
            },
        ),
        Case(activations.get_activation, {"activation": "relu"}),
        *(
            Case(getattr(activations, f"{kind}_threshold"), {"t": 1.0})
            for kind in ("relu", "sign", "sigmoid")
        ),
        Case(activations.exponential, {"rate": 1.0, "shift": 0.0}),
        Case(activations.threshold_coefficients, {"t": 1.0}),
        *(Case(positional(phi, "z"), {"z": [0.5, 2.0]}, elementwise=True) for phi in activations.SLIDES),
        *(
            Case(phi.derivative, {"order": order, "z": [0.5, 2.0]}, elementwise=True)
            for phi in (*activations.SLIDES, activations.cosine, activations.softplus)
            for order in (1, 4)
        ),
        Case(
            relu.expectation,
            {"weight": np.cos, "scale": 1.0, "shift": 0.0, "order": 0},
            also={"weight": "function"},
        ),
        Case(
            relu.moment_coefficients,
            {"m": 2, "scale": [1.0, 2.0], "shift": [0.0, 1.0]},
            also={"shift": "scale"},
        ),
        *methods(
            relu,
            gamma={"j": 2, "scale": 1.0, "shift": 0.0},
            moment_coefficient={"m": 2, "scale": 1.0, "shift": 0.0},
            stein_coefficient={"m": 2, "scale": 1.0, "shift": 0.0},
            singular_coefficient={"m": 2, "scale": 1.0, "shift": 0.0},
            kappa={"scale": 1.0, "shift": 0.0},
            hermite_coefficient={"k": 2},
            alpha={"q": 1, "sigma": 1.0},
            beta={"q": 1, "sigma": 1.0},
            rho={"sigma": 1.0},
        ),
        *methods(tanh, moment_coefficient={"m": 2, "scale": 1.0, "shift": 0.0}, rho={"sigma": 1.0}),
    ],
    "hermite": [
        Case(hermite.normal_density, {"x": [0.5, 2.0]}),
        Case(hermite.hermite_polynomial, {"n": 3, "x": [0.5, 2.0]}),
        Case(hermite.normalized_hermite, {"n": 3, "x": [0.5, 2.0]}),
        Case(hermite.homogeneous_hermite, {"n": 3, "z": [0.5, 2.0], "X": X}, also={"z": "X"}),
        Case(hermite.hermite_scaling, {"n": 3, "m": 1, "gamma": 0.5}),
        Case(
            hermite.gaussian_expectation,
            {
                "function": np.abs,
                "mean": 0.5,
                "scale": 2.0,
                "breakpoints": [0.0],
            },
        ),
        Case(
            hermite.hermite_projections,
            {
                "function": np.abs,
                "n": 2,
                "mean": [0.5, 1.0],
                "scale": [2.0, 1.0],
                "breakpoints": [0.0],
            },
            also={"mean": "scale"},
        ),
        Case(hermite.hermite_coefficient, {"function": np.abs, "n": 2, "breakpoints": [0.0]}),
        Case(
            hermite.paired_hermite_projections,
            {
                "first": np.cos,
                "second": np.sin,
                "order": 1,
                "correlation": 0.5,
                "breakpoints": ([0.0], []),
            },
        ),
    ],
    "linalg": [
        Case(linalg.weighted_least_squares, {"features": X, "y": [1.0, -0.5, 2.0]}, also={"features": "y"}),
        Case(linalg.set_partitions, {"m": 3}),
        Case(linalg.monomials, {"d": 2, "degree": 2}),
        Case(linalg.symmetrize, {"tensor": V, "order": 2}, also={"tensor": "order"}),
        Case(
            positional(linalg.khatri_rao, "matrices", "second"),
            {"matrices": V, "second": V},
            also={"second": "matrices"},
        ),
        Case(linalg.outer_power, {"vectors": V, "order": 3}),
        Case(linalg.principal_angles, {"first": V, "second": V}, also={"first": "second"}),
        Case(
            linalg.match_rows,
            {"estimate": V, "truth": X[:2], "signed": False},
            keep=("signed",),
            also={"truth": "estimate"},
        ),
    ],
    "validation": [
        Case(
            validation.check_array, {"name": "value", "value": X, "shape": (3, None)}, keep=("name", "shape")
        ),
        Case(validation.check_integer, {"name": "value", "value": 2, "low": 0}, keep=("name", "low")),
        Case(validation.check_number, {"name": "value", "value": 2.0, "above": 0.0}, keep=("name", "above")),
        Case(validation.check_callable, {"name": "value", "value": len}, keep=("name",)),
        Case(
            validation.check_choice,
            {"name": "value", "value": "a", "choices": ("a", 2)},
            keep=("name", "choices"),
        ),
        Case(
            positional(validation.check_instance, "name", "value", "kind"),
            {"name": "value", "value": 2, "kind": int},
            keep=("name", "kind"),
        ),
        Case(validation.check_samples, {"X": X, "y": [1.0, 2.0, 3.0]}, also={"X": "y"}),
        Case(
            validation.check_readable,
            {"name": "value", "value": X, "text": False},
            keep=("name", "text"),
            elementwise=True,
        ),
        Case(validation.check_sample_weight, {"sample_weight": [1.0, 2.0, 0.0], "n": 3}, keep=("n",)),
        Case(validation.check_rng, {"name": "value", "value": 0}, keep=("name",)),
    ],
    "results": [Case(results.same, {"first": X, "second": X}, elementwise=True)],
    "chunks": [Case(chunks.row_chunks, {"n": 5, "width": 2, "doubles": 4, "multiple": 1})],
    "densities": [
        Case(densities.StandardNormal, {"d": 2}),
        Case(densities.Gaussian, {"mean": [0.0, 1.0], "covariance": COVARIANCE}, also={"mean": "covariance"}),
        Case(
            densities.GaussianMixture,
            {
                "weights": [0.4, 0.6],
                "means": V,
                "covariances": COVARIANCE,
            },
            also={"weights": "means", "means": "covariances", "covariances": "covariance"},
        ),
        Case(densities.Product, {"marginals": [densities.Normal()] * 2}),
        Case(densities.iid, {"marginal": densities.Normal(), "d": 2}, also={"marginal": "marginals"}),
        Case(
            densities.UserDensity,
            {
                "d": 1,
                "log_derivatives": [first_derivative],
                "sample": sampler,
                "log_density": function,
            },
        ),
        *(
            case
            for density in (NORMAL, MIXTURE, PRODUCT)
            for case in (
                *methods(
                    density,
                    sample={"n": 3, "rng": 0},
                    score={"X": X, "order": 2},
                ),
                Case(density.project, {"X": X, "basis": V, "order": 2}, also={"basis": "matrices"}),
                Case(density.log_density, {"X": X}, minus_infinity=True),
                Case(
                    positional(density.contract, "X", "vectors"),
                    {"X": X, "vectors": [1.0, 0.5]},
                    also={"vectors": "X"},
                ),
            )
        ),
        *methods(USER, score={"X": X, "order": 1}),
        *marginal_cases(densities.Normal(), [0.5, 2.0]),
        *marginal_cases(densities.Logistic(), [0.5, 2.0]),
        *marginal_cases(densities.StudentT(), [0.5, 2.0]),
        *marginal_cases(densities.Laplace(), [0.5, 2.0]),
        *marginal_cases(densities.SmoothedUniform(), [0.5, 2.0]),
        *marginal_cases(densities.SymmetricBeta(), [0.5, -0.2]),
    ],
    "networks": [
        Case(networks.regress_both_signs, {"X": X, "y": [1.0, -0.5, 2.0], "units": V, "activation": "relu"}),
        Case(
            networks.OneHiddenLayer,
            {
                "weights": V,
                "activation": "relu",
                "output": [1.0, 2.0],
                "biases": [0.0, 1.0],
            },
            also={"weights": "output"},
        ),
        Case(
            networks.HiddenPolynomial,
            {"weights": V, "activation": "relu", "terms": {(0, 1): 1.0}},
            also={"weights": "terms"},
        ),
        Case(
            networks.FeedForward,
            {
                "weights": [V, V],
                "activation": "relu",
                "link": "softmax",
                "biases": [[0.0, 1.0], [0.0, 1.0]],
            },
            also={"weights": "activation biases"},
        ),
        Case(networks.UnionOfHalfspaces, {"weights": V, "threshold": 1.0}),
        Case(
            networks.CutNetwork,
            {"frames": [np.eye(2)], "thresholds": [1.0], "terms": {(0,): 1.0}},
            also={"frames": "thresholds"},
        ),
        Case(networks.conditioned_weights, {"k": 2, "d": 3, "condition": 2.0, "rng": 0}, also={"d": "k"}),
        Case(
            networks.sparse_weights,
            {"k": 2, "d": 3, "density": 0.5, "rng": 0, "normalize": True},
            keep=("normalize",),
        ),
        Case(networks.union_terms, {"k": 2}),
        Case(networks.shifted_coefficient, {"terms": {(0, 1): 1.0}, "subset": [0], "mu": 0.5}),
        Case(networks.univariate_part, {"network": POLYNOMIAL}),
        Case(networks.univariate_coefficients, {"network": POLYNOMIAL, "order": 2}),
        Case(networks.biased_sample, {"f": function, "d": 2, "n": 5, "bound": 9.0, "rng": 0}),
        Case(networks.tilted_sample, {"network": SIGMOIDS, "n": 5, "rng": 0}),
        *(
            Case(positional(net, "X"), {"X": X})
            for net in (ONE, POLYNOMIAL, DEEP, CUT, networks.UnionOfHalfspaces(V, 1.0))
        ),
        *(Case(positional(networks.OneHiddenLayer(V, phi), "X"), {"X": X}) for phi in activations.SLIDES),
        *methods(
            ONE,
            sample_labels={"X": X, "noise": 0.1, "rng": 0},
            derivative={"X": X, "order": 2},
            mean_derivative={"X": X, "order": 2},
        ),
        Case(
            ONE.moment,
            {"order": 2, "mean": [0.0, 1.0], "covariance": COVARIANCE},
            also={"mean": "function", "covariance": "function scale"},
        ),
        *methods(
            POLYNOMIAL,
            sample_labels={"X": X, "noise": 0.1, "rng": 0},
            directional_derivative={"X": X, "z": [1.0, 0.5], "order": 2},
            hermite_moment={"order": 2, "Z": [1.0, 0.5]},
            moment={"order": 2},
        ),
        *methods(
            DEEP,
            sample_labels={"X": X, "noise": 0.0, "rng": 0},
            jacobian={"X": X},
            mean_factor={"X": X},
            mean_jacobian={"X": X},
        ),
        *methods(CUT, energies={"X": X}, units={"X": X}),
    ],
}

# Public, but of no use without a subclass, or no function of values.
ABSTRACT = {
    "hermite": {"homogeneous_powers"},  # of numbers that were checked where they came in
    "activations": {"Properties", "SLIDES"},
    "validation": {"Array", "check_result", "finite_result"},
    "results": {"Comparable", "Result"},
    "chunks": {"CHUNK_DOUBLES"},
    "linalg": {"RowMatch"},
    "densities": {
        "MAX_ORDER",
        "Constant",
        "Dense",
        "Density",
        "Derivative",
        "Diagonal",
        "Marginal",
        "ScoreModel",
    },
    "networks": {"BothSigns", "KeptSample"},
}
