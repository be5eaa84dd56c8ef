import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnmoments.borders import delta_correlation, fit_crossings, tan_alpha
from nnmoments.densities import Logistic, StandardNormal
from nnmoments.landscapes import SphereLoss
from nnmoments.linalg import outer_power
from nnmoments.moments import cross_moment, fold_rows
from nnmoments.networks import union_terms
from nnmoments.scores import IndependentLocalLikelihood, NearestNeighbor, rate_bandwidth
from nnmoments.structured import CorrelationGraph, support_cliques
from nnmoments.tensors import kcl
from nnmoments.validation import (
    check_array,
    check_choice,
    check_integer,
    check_number,
    check_rng,
    check_samples,
)


@pytest.mark.parametrize(
    ("value", "kwargs", "message"),
    [
        ([[1.0]], {"ndim": 1}, r"X must have 1 axes, got shape \(1, 1\)"),
        ([1.0], {"ndim": (2, 3)}, "X must have 2 or 3 axes"),
        ([[1.0, 2.0]], {"shape": (None, 3)}, r"X must have shape \(any, 3\), got \(1, 2\)"),
        ([1.0, 2.0], {"shape": (None, 3)}, "X must have 2 axes"),
        (np.zeros((0, 3)), {"shape": (None, 3)}, "X is empty"),
        ([1.0, np.nan], {}, "X holds NaN or infinity"),
        ([1.0, np.inf], {}, "X holds NaN or infinity"),
        ([-np.inf, np.inf], {}, "X holds NaN or infinity"),
        ("abc", {}, "X must be an array of real numbers"),
        (["1", "2"], {}, "X must be an array of real numbers"),
        ([1.0, 2.0j], {}, "X must be an array of real numbers"),
        ([[1.0], [1.0, 2.0]], {}, "X must be an array of real numbers"),
        ([{}], {}, "X must be an array of real numbers"),
        (None, {}, "X holds NaN"),
    ],
)
def test_array_errors_name_argument_and_accepted_form(value, kwargs, message):
    with pytest.raises(ValueError, match=message):
        check_array("X", value, **kwargs)


def test_array_of_finite_numbers_is_not_copied_and_may_be_large():
    array = np.full(4, 1e308)  # its sum overflows, its entries do not
    assert check_array("X", array) is array
    assert check_array("X", [True, 2]).dtype == np.float64


def test_array_without_wanted_shape_takes_any():
    assert check_array("X", 3.0).shape == ()


@pytest.mark.parametrize("value", [0, 7, -1, 2.0, "2", None, True, np.float64(3.0), np.nan])
def test_integer_refuses(value):
    with pytest.raises(ValueError, match="order must be an integer from 1 to 6, got"):
        check_integer("order", value, 1, 6)


@given(st.integers(-50, 50), st.integers(-50, 50))
def test_integer_accepts_exactly_the_interval(value, low):
    if value >= low:
        assert check_integer("n", np.int64(value), low) == value
    else:
        with pytest.raises(ValueError, match=f"n must be an integer from {low} up"):
            check_integer("n", value, low)


@pytest.mark.parametrize("value", [0.0, 1.0, -1, np.nan, np.inf, "0.5", None, 0.5j])
def test_number_refuses(value):
    with pytest.raises(ValueError, match="share must be a number above 0 and below 1, got"):
        check_number("share", value, above=0, below=1)


def test_number_accepts_numpy_and_int():
    assert check_number("share", np.float32(0.5), above=0, below=1) == 0.5
    assert type(check_number("share", 3)) is float


def test_choice():
    assert check_choice("link", "softmax", ("softmax", "sigmoid")) == "softmax"
    with pytest.raises(ValueError, match="link must be one of 'softmax', 'sigmoid', got 'logit'"):
        check_choice("link", "logit", ("softmax", "sigmoid"))


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((3, 2)), np.zeros(4), "y must have as many rows as X: 3, got 4"),
        (np.zeros((3, 2)), np.zeros((2, 1)), "y must have as many rows as X: 3, got 2"),
        (np.zeros((3, 2)), np.zeros((3, 1, 1)), "y must have 1 or 2 axes"),
        (np.zeros(3), np.zeros(3), "X must have 2 axes"),
        (np.zeros((0, 2)), np.zeros(0), "X is empty"),
        (np.zeros((3, 4)), np.zeros(3), r"X must have shape \(any, 2\)"),
        (np.zeros((3, 2)), [0.0, np.nan, 1.0], "y holds NaN"),
    ],
)
def test_samples(X, y, message):
    with pytest.raises(ValueError, match=message):
        check_samples(X, y, 2)


def beyond(X):
    return X[:, 0] > 1.0


X = np.random.default_rng(0).standard_normal((400, 2))
T = outer_power([[1.0, 0.0], [0.6, 0.8]], 3).sum(axis=0)
LEAST = {
    "tan_alpha": (100, "points", lambda m: tan_alpha(beyond, [1.0, 0.3], points=m, rng=0)),
    "fit_crossings": (8, "points", lambda m: fit_crossings(beyond, [1.0, 0.1], points=m, rng=0)),
    "delta_correlation": (
        2,
        "n_samples",
        lambda m: delta_correlation(beyond, [1.0, 0.0], 0.0, order=0, n_samples=m, rng=0),
    ),
    "kcl": (2, "projections", lambda m: kcl(T, projections=m, rng=0)),
    "fold_rows": (2, "folds", lambda m: fold_rows(9, m)),
    "grid": (8, "grid", lambda m: IndependentLocalLikelihood(X, bandwidth=NearestNeighbor(0.5), grid=m)),
    "SphereLoss": (4, "l", lambda m: SphereLoss(X, beyond(X), m)),
    "sample": (1, "n", lambda n: StandardNormal(2).sample(n, rng=0)),
    "rate_bandwidth": (1, "degree", lambda p: rate_bandwidth(100, 2, p)),
    "support_cliques": (
        2,
        "size",
        lambda m: support_cliques(CorrelationGraph(np.eye(4), np.full((4, 4), 0.01)), m),
    ),
}


@pytest.mark.parametrize(("least", "name", "call"), LEAST.values(), ids=LEAST)
def test_least_integers_are_taken_and_smaller_ones_refused(least, name, call):
    call(least)
    with pytest.raises(ValueError, match=f"{name} must be an integer from {least} up, got {least - 1}"):
        call(least - 1)


@pytest.mark.parametrize(
    ("most", "name", "call"),
    [
        (16, "k", lambda k: union_terms(k)),
        (6, "order", lambda m: Logistic().log_derivative([0.5], m)),
        (4, "order", lambda m: cross_moment(X, X[:, 0], StandardNormal(2), m)),
    ],
    ids=["union_terms", "log_derivative", "cross_moment"],
)
def test_greatest_integers_are_taken_and_larger_ones_refused(most, name, call):
    call(most)
    with pytest.raises(ValueError, match=f"{name} must be an integer from 1 to {most}, got {most + 1}"):
        call(most + 1)


@pytest.mark.parametrize("value", [True, np.True_, 0.5, "today", -1, np.ma.masked_array([1, 2], mask=[0, 1])])
def test_what_is_no_seed_is_refused(value):
    with pytest.raises(ValueError, match="rng must be None, a seed, a Generator or a RandomState"):
        check_rng("rng", value)


def test_a_seed_is_that_of_numpy():
    for seed in (0, np.int64(0), np.random.default_rng(0)):
        assert check_rng("rng", seed).random() == np.random.default_rng(0).random()
    state = np.random.RandomState(0)
    assert 0.0 <= check_rng("rng", state).random() < 1.0  # and it moves on
    assert state.random_sample() != np.random.RandomState(0).random_sample()
