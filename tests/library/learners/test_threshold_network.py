"""The learner below high thresholds, end to end (GP Theorems 1 and 2)."""

import itertools

import numpy as np
import pytest

from companion.experiments import high_thresholds as experiment
from nnmoments.activations import relu_threshold, sigmoid_threshold, sign_threshold
from nnmoments.learners.high_threshold import decode_moments, fit_high_threshold
from nnmoments.moments.gaussian import controlled_moments
from nnmoments.networks import HiddenPolynomial


def network(d, u, k=None):
    k = k or d
    W = np.eye(k, d) + 0.2 * np.sin(np.arange(k * d)).reshape(k, d)
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    terms = {(i,): 1.0 for i in range(k)}
    terms.update(dict.fromkeys(itertools.combinations(range(k), 2), 0.5))
    return HiddenPolynomial(W, u, terms)


def worst(rows, W):
    """With signs: the weights of thresholded units have them."""
    cosine = np.clip(rows @ W.T, -1.0, 1.0)
    assert sorted(cosine.argmax(axis=1)) == list(range(len(W)))
    return float(np.rad2deg(np.arccos(cosine.max(axis=1))).max())


@pytest.fixture(scope="module")
def sample():
    f = network(4, relu_threshold(2.0))
    X = np.random.default_rng(0).standard_normal((300_000, 4))
    return f, X, f(X)


def test_learner_from_a_sample(sample):
    f, X, y = sample
    fit = fit_high_threshold(X, y, activation=f.activation, rng=0)
    assert fit.minima.converged
    assert worst(fit.coarse, f.weights) < 4.0
    assert worst(fit.weights, f.weights) < 0.5
    assert all(r.source == "sample" for r in fit.refinements)
    assert "refined with the sample" in fit.status
    np.testing.assert_allclose(fit.coefficients, 1.0, atol=0.25)  # products raise them


def test_controls_in_order(sample):
    """Each control variate lowers the error of T_2 and T_4, so of the weights, on this sample."""
    f, X, y = sample
    angles = [
        worst(
            fit_high_threshold(X, y, activation=f.activation, control=c, refine=False, rng=0).coarse,
            f.weights,
        )
        for c in ("none", "polynomial", "network")
    ]
    assert angles[2] < angles[1] < angles[0]


def test_learner_with_an_oracle(sample):
    f, X, _ = sample
    fit = fit_high_threshold(X, activation=f.activation, f=f, control="polynomial", rng=0)
    assert np.abs(np.sort((fit.weights @ f.weights.T).max(axis=1)) - 1.0).max() < 1e-12
    assert fit.angles.max() < 1e-6


def test_fewer_units_than_inputs():
    f = network(5, relu_threshold(2.0), k=2)
    X = np.random.default_rng(1).standard_normal((200_000, 5))
    fit = fit_high_threshold(X, f(X), activation=f.activation, k=2, rng=0)
    assert fit.weights.shape == (2, 5)
    assert worst(fit.weights, f.weights) < 1.0


def test_other_units():
    """Sign units refine; sigmoid labels are nowhere zero, so their rows stay those of the landscape."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((300_000, 3))
    f = network(3, sign_threshold(2.2))
    assert worst(fit_high_threshold(X, f(X), activation=f.activation, rng=0).weights, f.weights) < 1.0
    g = network(3, sigmoid_threshold(5.0))
    fit = fit_high_threshold(X, g(X), activation=g.activation, refine=False, rng=0)
    assert worst(fit.weights, g.weights) < 4.0
    assert np.isnan(fit.angles).all()


def test_vanishing_u4_is_refused(sample):
    """t = 1: u_4 = 0, and the landscape has no wells at the weights."""
    _, X, y = sample
    with pytest.raises(ValueError, match="activation must have u_2 and u_4 away from zero"):
        decode_moments(controlled_moments(X[:20_000], y[:20_000]), 4, relu_threshold(1.0))


def test_products_bias_less_at_higher_thresholds():
    """Claim 2: on exact moments the error of the landscape falls with t."""
    u = [relu_threshold(t) for t in (1.5, 2.0, 3.0)]
    angles = [
        worst(decode_moments(experiment._exact_moments(network(3, a)), 3, a, rng=0)[0], network(3, a).weights)
        for a in u
    ]
    assert angles[0] > angles[1] > angles[2]


def test_bad_input_is_named(sample):
    f, X, y = sample
    with pytest.raises(ValueError, match="y must be given where f is not"):
        fit_high_threshold(X, activation=f.activation)
    with pytest.raises(ValueError, match="active must be given"):
        fit_high_threshold(X, y + 1.0, activation=f.activation)
    with pytest.raises(ValueError, match="control must be one of"):
        fit_high_threshold(X, y, activation=f.activation, control="some")
    with pytest.raises(ValueError, match="k must be an integer from 1 to 4"):
        fit_high_threshold(X, y, activation=f.activation, k=5)
