"""From (X, y) alone to the network: GM Sections 3 and 4.2."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.utils.estimator_checks import parametrize_with_checks

from companion.experiments.landscape_design import marginal_kappa
from nnmoments.activations import relu
from nnmoments.densities import GaussianMixture, Logistic, iid
from nnmoments.learners.general_input import GeneralInputNetwork, _control
from nnmoments.linalg import match_rows
from nnmoments.moments import ControlVariate, cross_moment
from nnmoments.networks import OneHiddenLayer
from nnmoments.scores import IndependentLocalLikelihood, NearestNeighbor


@parametrize_with_checks([GeneralInputNetwork(starts=2, random_state=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_rotated_network_under_logistic_input():
    rng = np.random.default_rng(3)
    f, W = iid(Logistic(), 4), np.linalg.qr(rng.standard_normal((4, 4)))[0]
    X = f.sample(60_000, rng=rng)
    y = OneHiddenLayer(W, relu, [1.0, 0.8, 1.2, 1.0]).sample_labels(X, noise=0.1, rng=rng)
    score = IndependentLocalLikelihood(X, bandwidth=NearestNeighbor(0.5))
    fitted = GeneralInputNetwork(4, score_model=score, random_state=0).fit(X, y)
    match = match_rows(fitted.W_, W, signed=True)
    assert match.worst < 0.1
    np.testing.assert_allclose(fitted.v_[match.permutation], [1.0, 0.8, 1.2, 1.0], atol=0.15)
    assert fitted.residual_ < 0.15
    assert "starts end at the least value" in fitted.status_


def test_default_score():
    rng = np.random.default_rng(5)
    W = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    X = rng.standard_normal((4000, 2))
    y = relu(X @ W.T).sum(axis=1)
    fitted = GeneralInputNetwork(2, random_state=0).fit(X, y)
    assert match_rows(fitted.W_, W).worst < 0.5


def test_wide_windows_serve_in_several_dimensions():
    rng = np.random.default_rng(7)
    f, W = iid(Logistic(), 4), np.linalg.qr(rng.standard_normal((4, 4)))[0]
    X = f.sample(8000, rng=rng)
    model = GeneralInputNetwork(4, random_state=0).fit(X, relu(X @ W.T).sum(axis=1))
    assert match_rows(model.W_, W, signed=True).worst < 0.5
    assert model.score(X, relu(X @ W.T).sum(axis=1)) > 0.9


def test_control_fits_the_sample():
    assert _control(100_000, 5).degree == 3
    assert _control(2000, 10).degree == 2
    assert _control(300, 10).degree == 1
    assert _control(20, 10).degree == 0


@pytest.mark.parametrize("angle", np.linspace(0.0, np.pi, 13))
def test_the_moment_of_figure_4_vanishes(angle):
    """kappa_w = f_w''(0): zero on the axes, of opposite signs for every other orthonormal pair."""
    W = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    step = 1e-3
    kappa = []
    for w in W:
        m = w.sum()
        density = [np.mean(norm.pdf(u, [m, -m])) for u in (-step, 0.0, step)]
        kappa.append((density[0] - 2 * density[1] + density[2]) / step**2)
    np.testing.assert_allclose(kappa, [marginal_kappa(w) for w in W], atol=1e-6)
    assert marginal_kappa(W[0]) * marginal_kappa(W[1]) <= 1e-15
    assert abs(marginal_kappa([1.0, 0.0])) < 1e-15


def test_the_sampled_moment_of_figure_4_vanishes():
    """z-scores of the five entries of T_4 at n = 200,000 under the true score; P(|z| > 6) < 1e-7 each."""
    f = GaussianMixture([0.5, 0.5], [[1.0, 1.0], [-1.0, -1.0]])
    X = f.sample(200_000, rng=11)
    found = cross_moment(X, relu(X).sum(axis=1), f, 4, control=ControlVariate())
    assert np.abs(found.value / found.standard_error).max() < 6.0


def test_names_of_activations_are_checked():
    with pytest.raises(ValueError, match="activation must be one of"):
        GeneralInputNetwork(1, "step").fit(np.ones((9, 2)), np.ones(9))


def test_more_units_than_dimensions_are_refused():
    with pytest.raises(ValueError, match="k must be an integer from 1 to 2, got 3"):
        GeneralInputNetwork(3).fit(np.ones((9, 2)), np.ones(9))
