"""The learner of SA: its moment, its gradients, scikit-learn's conventions, and what it learns."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.utils.estimator_checks import parametrize_with_checks

from nnmoments.activations import relu, tanh
from nnmoments.densities import Logistic, StandardNormal, iid
from nnmoments.learners import sparse_network
from nnmoments.learners.sparse_network import SparseNetworkClassifier, train_network
from nnmoments.linalg import match_rows
from nnmoments.moments import first_moment
from nnmoments.networks import FeedForward, sparse_weights
from nnmoments.sparse import recover_rows


@parametrize_with_checks([SparseNetworkClassifier(max_iter=50, random_state=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def teacher(k=4, d=60, n_y=8, seed=1, depth=2, activation=relu, scale=4.0):
    rng = np.random.default_rng(seed)
    A = sparse_weights(k, d, density=0.15, rng=rng)
    middle = [1.5 * np.linalg.qr(rng.standard_normal((k, k)))[0] for _ in range(depth - 2)]
    top = scale * rng.standard_normal((n_y, k))
    return FeedForward([A, *middle, top], activation, link="softmax"), rng


def labelled(net, n, rng):
    X = rng.standard_normal((n, net.d))
    return X, net.sample_labels(X, rng=rng).argmax(axis=1)


@pytest.mark.parametrize("control", ["none", "mean", "linear"])
@pytest.mark.parametrize("density", [StandardNormal(5), iid(Logistic(), 5)])
def test_first_moment_is_unbiased(control, density):
    """z-scores of T_1 - E[grad E[y|x]] (SA Theorem 1), 15 entries; P(|t_63| > 6) = 1e-7 each."""
    rng = np.random.default_rng(1)
    net = FeedForward([rng.standard_normal((4, 5)), rng.standard_normal((3, 4))], tanh)
    X = density.sample(40_000, rng=rng)
    truth = net.jacobian(density.sample(200_000, rng=rng)).mean(axis=0)
    estimate = first_moment(X, net(X) + 1.0, density, control=control)
    assert np.abs((estimate.value - truth) / estimate.standard_error).max() < 6


def test_linear_control_reduces_variance():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((20_000, 6))
    y = 3.0 + X @ rng.standard_normal((6, 3)) + 0.3 * np.tanh(X[:, :3])
    errors = {
        c: first_moment(X, y, StandardNormal(6), control=c).standard_error.mean()
        for c in ("none", "mean", "linear")
    }
    assert errors["linear"] < 0.2 * errors["mean"] < 0.2 * errors["none"]


def test_gradient_of_the_loss(monkeypatch):
    """Backpropagation against finite differences, with a mask and two hidden layers."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((20, 4)), np.eye(3)[rng.integers(0, 3, 20)]
    weights = [rng.standard_normal((3, 4)), rng.standard_normal((2, 3)), rng.standard_normal((3, 2))]
    mask = rng.random((3, 4)) < 0.6
    seen = {}

    def spy(function, start, **options):
        steps = 1e-6 * np.eye(len(start))
        numeric = [(function(start + e)[0] - function(start - e)[0]) / 2e-6 for e in steps]
        free = np.concatenate([mask.ravel(), np.ones(len(start) - mask.size, dtype=bool)])
        seen["error"] = np.abs(np.where(free, numeric, 0.0) - function(start)[1]).max()
        return original(function, start, **options)

    original = sparse_network.minimize
    monkeypatch.setattr(sparse_network, "minimize", spy)
    net = train_network(
        X, Y, weights, [np.zeros(3), np.zeros(2), np.zeros(3)], activation="tanh", mask=mask, max_iter=20
    )
    assert seen["error"] < 1e-7
    assert not net.weights[0][~mask].any()
    assert net.iterations > 0


def test_recovers_and_predicts():
    """SA R5: the learnt network agrees with its teacher where the teacher is sure."""
    net, rng = teacher()
    X, y = labelled(net, 20_000, rng)
    model = SparseNetworkClassifier(random_state=0, score_model=StandardNormal(60)).fit(X, y)
    assert len(model.first_layer_) == 4
    assert match_rows(model.first_layer_, net.weights[0]).worst < 0.2
    fresh, labels = labelled(net, 10_000, rng)
    best = np.mean(net(fresh).argmax(axis=1) == labels)
    assert np.mean(model.predict(fresh) == labels) > best - 0.02
    assert_allclose(model.predict_proba(fresh).sum(axis=1), 1.0)
    # Remark 3: projecting on the row span loses nothing.
    inside = model.transform(fresh) @ model.components_
    assert np.mean(net(inside).argmax(axis=1) == net(fresh).argmax(axis=1)) > 0.95


@pytest.mark.parametrize("depth", [3, 4])
def test_deep_networks(depth):
    """SA Theorem 3: the moment sees the first layer through the others."""
    net, rng = teacher(k=3, depth=depth, activation=tanh, seed=3)
    X, y = labelled(net, 30_000, rng)
    model = SparseNetworkClassifier(
        3, activation="tanh", upper_layers=(3,) * (depth - 2), random_state=0, max_iter=30
    ).fit(X, y)
    assert match_rows(model.first_layer_, net.weights[0]).worst < 0.15
    assert [w.shape for w in model.network_.weights] == [(3, 60), *[(3, 3)] * (depth - 2), (8, 3)]
    # The exact moment gives it exactly.
    B = net.mean_factor(X[:2_000])
    assert match_rows(recover_rows(B @ net.weights[0]).rows, net.weights[0]).worst < 1e-8
    fresh, labels = labelled(net, 5_000, rng)
    assert np.mean(model.predict(fresh) == labels) > np.mean(net(fresh).argmax(axis=1) == labels) - 0.03


def test_too_few_classes_is_said():
    """n_y = 3 classes hold two rows at most: SA's LIM, named in the status."""
    net, rng = teacher(k=5, n_y=3)
    X, y = labelled(net, 3_000, rng)
    model = SparseNetworkClassifier(5, fine_tune=False, random_state=0).fit(X, y)
    assert "exceeds what T_1 can hold, 2" in model.status_
    assert len(model.first_layer_) == 2


def test_refuses():
    X, y = np.random.default_rng(0).standard_normal((50, 3)), np.arange(50) % 2
    with pytest.raises(ValueError, match="activation must be one of 'relu'"):
        SparseNetworkClassifier(activation="step").fit(X, y)
    with pytest.raises(ValueError, match="control must be one of"):
        SparseNetworkClassifier(control="cubic").fit(X, y)
    with pytest.raises(ValueError, match="n_hidden must be an integer from 1"):
        SparseNetworkClassifier(n_hidden=0).fit(X, y)
