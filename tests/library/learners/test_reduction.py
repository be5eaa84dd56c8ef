"""Directions and average derivatives without a teacher, against what is known exactly."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from expected_failures import expected_failures
from nnmoments.densities import Logistic, StandardNormal, iid
from nnmoments.learners import SufficientReduction, average_derivatives
from nnmoments.linalg import principal_angles
from nnmoments.moments import Polynomials, RandomFeatures

# Folds and blocks are of rows in a drawn order.


@parametrize_with_checks(
    [SufficientReduction(random_state=0)],
    expected_failed_checks=expected_failures("folds are cut by position"),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def sample(n=1000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) @ (np.eye(d) + 0.5 * np.eye(d, k=1)).T + 3.0
    return X, rng


# --- directions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, "both"])
def test_each_order_sees_what_it_can(order):
    """T_1 of an even link vanishes for every function of the label; its T_2 does not."""
    X, rng = sample(2000)
    b = np.array([1.0, 0.0, -1.0, 0.5])
    u = (X - 3.0) @ b
    for even, label in ((True, u**2), (False, np.tanh(u))):
        y = label + 0.1 * rng.standard_normal(len(X))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = SufficientReduction(1, order=order, random_state=0).fit(X, y)
        angle = principal_angles(model.components_, b[None])[0]
        if even and order == 1:
            assert not model.converged_
        elif even or order != 2:
            assert angle < 0.1
            assert model.converged_


@pytest.mark.parametrize("labels", ["scores", "slices", lambda y: np.column_stack([y, y**2])])
def test_two_directions_by_any_functions_of_the_label(labels):
    X, rng = sample(2000)
    B = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, -1.0, 0.0]])
    u, v = ((X - 3.0) @ B.T).T
    y = u + 0.5 * v**2 + 0.1 * rng.standard_normal(len(X))
    model = SufficientReduction(labels=labels, random_state=0).fit(X, y)
    assert model.n_components_ == 2
    assert principal_angles(model.components_, B)[0] < 0.15


def test_projections_are_white_and_ordered_like_the_features():
    X, _ = sample()
    model = SufficientReduction(2, random_state=0).fit(X, X[:, 0] + (X[:, 1] - 3.0) ** 2)
    assert_allclose(np.cov(model.transform(X).T, bias=True), np.eye(2), atol=1e-8)
    assert_allclose(model.transform(X).mean(axis=0), 0.0, atol=1e-8)
    assert list(model.get_feature_names_out()) == ["sufficientreduction0", "sufficientreduction1"]
    one = clone(model).set_params(n_components=1).set_output(transform="pandas")
    frame = one.fit(X, X[:, 0]).transform(X)
    assert isinstance(frame, pd.DataFrame)


def test_variance_alone_shows_in_the_square_of_the_label():
    X, rng = sample(4000)
    y = np.exp(0.5 * (X[:, 0] - 3.0)) * rng.standard_normal(len(X))
    model = SufficientReduction(1, random_state=0).fit(X, y)
    assert principal_angles(model.components_, np.eye(4)[:1])[0] < 0.25
    assert model.converged_


def test_classes():
    """Equal covariances: the directions are those of linear discriminants."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 1500)
    means = np.array([[0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0]])
    X = means[y] + rng.standard_normal((1500, 4))
    model = SufficientReduction(2, random_state=0).fit(X, y)
    assert principal_angles(model.components_, np.eye(4)[:2])[0] < 0.2


def test_score_of_the_inputs_or_their_gaussian():
    """Logistic inputs: with the true score, and with surrogates, there is no bias to be seen."""
    density = iid(Logistic(), 3)
    X = density.sample(4000, rng=1)
    b = np.array([1.0, -1.0, 0.0])
    y = np.tanh(X @ b) + 0.1 * np.random.default_rng(2).standard_normal(len(X))
    model = SufficientReduction(score_model=density, random_state=0).fit(X, y)
    assert model.n_components_ == 1
    assert principal_angles(model.components_, b[None])[0] < 0.05


def test_units_and_constant_columns_do_not_matter():
    X, _ = sample()
    y = np.exp(X[:, 0] - X[:, 2])
    plain = SufficientReduction(1, random_state=0).fit(X, y)
    scale = np.array([1e-6, 1.0, 1e6, 10.0])
    other = SufficientReduction(1, random_state=0).fit(np.c_[X * scale, np.ones(len(X))], y)
    assert_allclose(other.components_[:, :4] * scale, plain.components_, atol=1e-6)
    assert_array_equal(other.components_[:, 4], 0.0)


def test_noise_is_not_believed():
    X, rng = sample(400)
    with pytest.warns(ConvergenceWarning, match="no direction is seen by a test of level 0.001"):
        model = SufficientReduction(level=0.001, random_state=0).fit(X, rng.standard_normal(len(X)))
    assert model.n_components_ == 1
    assert model.converged_ is False
    with pytest.warns(ConvergenceWarning, match="of 4 returned: pass more samples"):
        SufficientReduction(4, random_state=0).fit(X, X[:, 0])


def test_samples_without_weight_are_as_if_they_were_not():
    X, _ = sample()
    y = np.where(np.arange(len(X)) % 3 > 0, np.exp(X[:, 0]), 100.0)
    kept = np.arange(len(X)) % 3 > 0
    model = SufficientReduction(1, random_state=0).fit(X, y, sample_weight=kept)
    without = SufficientReduction(1, random_state=0).fit(X[kept], y[kept])
    assert principal_angles(model.components_, without.components_)[0] < 0.1
    assert principal_angles(model.components_, np.eye(4)[:1])[0] < 0.1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_order_that_shows_noise_alone_does_not_disturb_the_other():
    """T_1 = 0.3 e_1 alone is there; its angle is of (d - 1) entries of noise, E y^2 / n each."""
    n, d, angles = 500, 6, []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n, d))
        model = SufficientReduction(1, order="both", score_model=StandardNormal(d), random_state=0)
        model.fit(X, 0.3 * X[:, 0] + rng.standard_normal(n))
        angles.append(principal_angles(model.components_, np.eye(d)[:1])[0])
    assert np.mean(angles) < 1.2 * np.sqrt((d - 1) * 1.09 / n) / 0.3


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_unit_of_weights_does_not_matter(size):
    X, _ = sample(400)
    y = np.exp(X[:, 0])
    w = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    one, other = (SufficientReduction(1, random_state=0).fit(X, y, sample_weight=a * w) for a in (1.0, size))
    np.testing.assert_allclose(other.components_, one.components_, rtol=1e-9, atol=1e-12)


def test_eight_samples_are_the_least():
    """Four in each half; the message says the number that is meant."""
    X, _ = sample(8, d=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SufficientReduction(random_state=0).fit(X, X[:, 0])
    assert model.transform(X).shape == (8, 1)
    with pytest.raises(ValueError, match="7: at least 8 are needed"):
        SufficientReduction(random_state=0).fit(X[:7], X[:7, 0])


def test_copies_and_precision():
    X, _ = sample(300)
    model = SufficientReduction(1, random_state=0).fit(X.astype(np.float32), X[:, 0])
    assert model.components_.dtype == model.transform(X.astype(np.float32)).dtype == np.float32
    assert pickle.loads(pickle.dumps(model)) == model


# --- the test for the dimension ---------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [0, 1])
def test_size_of_the_dimension_test(dimension):
    """At most a tenth of true hypotheses are rejected at .05: P(Bin(100, .05) > 15) = 4e-5."""
    rejected = 0
    for trial in range(100):
        X, rng = sample(200, 3, seed=[dimension, trial])
        y = 0.5 * rng.standard_normal(len(X)) + dimension * X[:, 0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = SufficientReduction(dimension + 1, max_iter=0, random_state=trial).fit(X, y)
        p_values = model.diagnostics_["dimension"].p_values
        assert dimension == 0 or p_values[0] < 0.01
        rejected += p_values[dimension] < 0.05
    assert rejected <= 15


# --- average derivatives ----------------------------------------------------------------------------------


@pytest.mark.parametrize("surrogate", [None, RandomFeatures(60), Polynomials(1)])
def test_average_derivatives_of_a_known_function(surrogate):
    """E of the gradient and Hessian of x_0^2 x_1 + x_2 at N(0, I): (0, 1, 1), and zero but for x_0^2."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((8000, 3))
    y = X[:, 0] ** 2 * X[:, 1] + X[:, 2] + 0.3 * rng.standard_normal(len(X))
    for order, truth in ((1, np.array([0.0, 1.0, 1.0])), (2, np.zeros((3, 3)))):
        found = average_derivatives(X, y, order=order, surrogate=surrogate)
        assert np.all(np.abs(found.value - truth) < 5.0 * found.standard_error)
        assert_allclose(found.high - found.value, found.value - found.low)


def test_a_good_surrogate_makes_up_for_a_wrong_score():
    rng = np.random.default_rng(6)
    X = rng.exponential(size=(20_000, 2))
    y = X[:, 0] ** 2 + 0.1 * rng.standard_normal(len(X))
    found = average_derivatives(X, y, surrogate=Polynomials(2))
    assert_allclose(found.value, [2.0, 0.0], atol=0.1)
    plain = average_derivatives(X, y, surrogate=Polynomials(0))
    assert abs(plain.value[0] - 2.0) > 0.5


def test_wider_intervals_hold_more():
    X, _ = sample(300)
    wide, narrow = (average_derivatives(X, X[:, 0] ** 2, level=level) for level in (0.99, 0.5))
    assert np.all(wide.high > narrow.high)
    assert_array_equal(wide.value, narrow.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 5}, "n_components must be an integer from 1 to 4"),
        ({"n_components": "all"}, "n_components must be an integer"),
        ({"order": 3}, "order must be an integer from 1 to 2"),
        ({"labels": "ranks"}, "labels must be one of"),
        ({"surrogate": 3}, "surrogate must be a SurrogateFamily"),
        ({"score_model": 3}, "score_model must be a ScoreModel"),
        ({"level": 1.0}, "level must be a number above 0"),
    ],
)
def test_parameters_are_refused_by_name(parameters, message):
    X, _ = sample(50)
    with pytest.raises(ValueError, match=message):
        SufficientReduction(random_state=0, **parameters).fit(X, X[:, 0])


def test_dependent_inputs_need_a_score():
    X, _ = sample(50)
    for column in (X[:, :1], X @ np.ones((4, 1)), np.ones((50, 1))):
        with pytest.raises(ValueError, match="X must have a covariance of full rank"):
            average_derivatives(np.c_[X, column], X[:, 0])
