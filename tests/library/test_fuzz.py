"""Every public function refuses what it cannot use: each argument in turn is replaced by something nasty.

The outcome must be a ValueError whose message names the argument, or a result without NaN and infinity.
Warnings are errors (pyproject.toml). A package joins by a table of `Case`s: a valid call each.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from nnmoments import activations, chunks, densities, hermite, linalg, networks, results, validation


@dataclasses.dataclass(frozen=True)
class Case:
    """A callable and a valid call.

    Attributes
    ----------
    call : callable
        Takes keywords.
    arguments : mapping
        A valid call.
    keep : sequence of str
        Arguments that anything may be (a name for a message, a file).
    elementwise : bool
        Passes on NaN and infinity as numpy's functions do.
    minus_infinity : bool
        May return minus infinity, as the logarithm of zero.
    also : mapping
        Other words by which a message may name an argument.
    """

    call: Callable[..., Any]
    arguments: Mapping[str, Any]
    keep: Sequence[str] = ()
    elementwise: bool = False
    minus_infinity: bool = False
    also: Mapping[str, str] = dataclasses.field(default_factory=dict)


def nasty(valid: Any) -> dict[str, Any]:
    """Return what to put in an argument's place, by name."""
    values: dict[str, Any] = {
        "None": None,
        "word": "2",
        "NaN": float("nan"),
        "infinity": float("inf"),
        "huge": 1e300,
        "tiny": 1e-150,
        "negative": -1,
        "fraction": 0.5,
        "zero": 0,
        "true": True,
        "numpy bool": np.bool_(True),
        "complex": 1j,
        "huge integer": 10**400,
        "list of words": ["a", "b"],
        "dict": {},
        "object": object(),
        "empty": np.zeros(0),
        "function": len,
    }
    try:
        array = np.asarray(valid, dtype=np.float64)
    except (TypeError, ValueError):
        return values
    if not array.ndim:
        return values
    with_nan, with_none = array.copy(), array.astype(object)
    with_nan.flat[0], with_none.flat[0] = np.nan, None
    infinite = np.where(np.arange(array.size).reshape(array.shape) == 0, np.inf, array)
    frozen = array.copy()
    frozen.flags.writeable = False
    return values | {
        "array with NaN": with_nan,
        "array with infinity": infinite,
        "objects with None": with_none,
        "objects with words": array.astype(str).astype(object),
        "words": array.astype(str),
        "complex array": array * 1j,
        "huge array": np.full_like(array, 1e300),
        "tiny array": np.full_like(array, 1e-150),
        "mixed sizes": array * np.where(np.arange(array.shape[-1]) % 2, 1e150, 1e-150),
        "masked array": np.ma.masked_array(array, mask=array == array),
        "read-only array": frozen,
        "single precision": array.astype(np.float32),
        "one axis more": array[None],
        "one row": array[:1],
        "no rows": array[:0],
        "constant": np.ones_like(array),
        "zeros": np.zeros_like(array),
        "ragged": [[1.0], [1.0, 2.0]],
    }


def numbers(value: Any) -> list[float]:
    """Return all numbers in a result."""
    if isinstance(value, np.ndarray | np.generic | float | int) and np.asarray(value).dtype.kind in "fiub":
        return list(np.ravel(np.asarray(value, dtype=np.float64)))
    if isinstance(value, Mapping):
        return [x for entry in value.values() for x in numbers(entry)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [x for entry in value for x in numbers(entry)]
    if dataclasses.is_dataclass(value):
        return [x for f in dataclasses.fields(value) for x in numbers(getattr(value, f.name))]
    return []


def check(case: Case, name: str, value: Any) -> None:
    try:
        result = case.call(**{**case.arguments, name: value})
    except ValueError as error:
        words = [name, *case.also.get(name, "").split()]
        if not any(re.search(rf"\b{re.escape(word)}\b", str(error)) for word in words):
            raise RuntimeError(f"names no argument: {error}") from error
        return
    found = np.array(numbers(result))
    if case.minus_infinity:
        found = found[found != -np.inf]
    assert case.elementwise or np.isfinite(found).all(), "a result that is not finite"


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


def methods(owner: Any, **calls: Mapping[str, Any]) -> list[Case]:
    """Return a case for each method of an object."""
    return [Case(getattr(owner, name), arguments) for name, arguments in calls.items()]


def positional(call: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """Return a callable by keyword for one that takes its arguments by place."""
    return lambda **arguments: call(*[arguments[name] for name in names])


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
        Case(validation.check_samples, {"X": X, "y": [1.0, 2.0, 3.0]}, also={"X": "y"}),
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


def label(case: Case) -> str:
    call = case.call
    owner = getattr(call, "__self__", None)
    return f"{type(owner).__name__ + '.' if owner is not None else ''}{getattr(call, '__name__', call)}"


EVERY = [
    pytest.param(case, argument, id=f"{package}-{i}-{label(case)}-{argument}")
    for package, cases in CALLS.items()
    for i, case in enumerate(cases)
    for argument in case.arguments
    if argument not in case.keep
]


@pytest.mark.parametrize(("case", "argument"), EVERY)
def test_nasty_values_are_refused_by_name(case, argument):
    faults = []
    for kind, value in nasty(case.arguments[argument]).items():
        try:
            check(case, argument, value)
        except Exception as error:
            faults.append(f"{kind}: {type(error).__name__}: {str(error)[:200]}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("package", CALLS)
def test_the_valid_calls_are_valid(package):
    for case in CALLS[package]:
        found = np.array(numbers(case.call(**case.arguments)))
        assert np.isfinite(found).all(), label(case)


@pytest.mark.parametrize(
    "module", [activations, chunks, densities, hermite, linalg, networks, results, validation]
)
def test_nothing_public_is_left_out(module):
    name = module.__name__.rpartition(".")[2]
    instances = {n for n in module.__all__ if isinstance(getattr(module, n), activations.Activation)}
    called = {getattr(case.call, "__name__", "") for case in CALLS[name]}
    nested = {"khatri_rao"} if name == "linalg" else set()
    assert set(module.__all__) - instances - ABSTRACT.get(name, set()) <= called | nested
