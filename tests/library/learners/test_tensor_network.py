"""ZS Algorithm 2, end to end."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from nnmoments.activations import relu, squared_relu
from nnmoments.learners.tensor_network import TensorNetwork
from nnmoments.linalg import match_rows
from nnmoments.networks import OneHiddenLayer, conditioned_weights


@parametrize_with_checks([TensorNetwork(iterations=50, attempts=1, random_state=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def _sample(n, d=8, k=3, seed=0, activation=squared_relu):
    rng = np.random.default_rng(seed)
    weights = conditioned_weights(k, d, condition=2.0, rng=rng)
    network = OneHiddenLayer(weights, activation, np.resize([1.0, -1.0], k))
    X = rng.standard_normal((n, d))
    return network, X, network(X)


@pytest.mark.parametrize("finisher", ["levenberg-marquardt", "gradient"])
def test_network_is_recovered(finisher):
    """ZS Theorem 6.1; signs exact, weights to the one percent of Section 7."""
    network, X, y = _sample(2000)
    model = TensorNetwork(3, finisher=finisher, random_state=0).fit(X, y)
    match = match_rows(model.W_, network.weights, signed=True)
    assert match.worst < 0.01
    np.testing.assert_array_equal(model.v_[match.permutation], network.output)
    assert model.converged_
    assert model.score(X, y) > 0.999
    assert model.history_[-1] < 1e-3 * model.history_[0]


def test_resampled_descent_as_printed():
    network, X, y = _sample(20_000)
    model = TensorNetwork(3, finisher="gradient", batches=10, random_state=0).fit(X, y)
    assert match_rows(model.W_, network.weights, signed=True).worst < 0.01


def test_relu_network_from_fourth_moments():
    network, X, y = _sample(20_000, d=5, k=2, activation=relu)
    model = TensorNetwork(2, relu, random_state=0).fit(X, y)
    assert match_rows(model.W_, network.weights, signed=True).worst < 0.01


def test_failure_is_said():
    _, X, y = _sample(300)
    noise = np.random.default_rng(1).standard_normal(len(y)) * y.std()
    model = TensorNetwork(3, attempts=2, iterations=20, random_state=0).fit(X, noise)
    assert not model.converged_
    assert model.attempts_ == 2
    assert "unexplained after 2 initialisations" in model.status_


def test_estimator_conventions():
    model = TensorNetwork(4, step=0.01)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(ValueError, match="finisher must be one of"):
        TensorNetwork(2, finisher="adam").fit(np.eye(4), [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="activation must be one of"):
        TensorNetwork(2, "relu6").fit(np.eye(4), [1.0, 2.0, 3.0, 4.0])
