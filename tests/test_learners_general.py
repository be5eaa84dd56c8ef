"""From (X, y) alone to the network: GM Sections 3 and 4.2."""

import numpy as np
import pytest

from nnmoments.activations import relu
from nnmoments.densities import Logistic, iid
from nnmoments.learners.general_input import fit_general_input
from nnmoments.linalg import match_rows
from nnmoments.networks import OneHiddenLayer
from nnmoments.score_estimation import IndependentLocalLikelihood, NearestNeighbor


def test_rotated_network_under_logistic_input():
    rng = np.random.default_rng(3)
    f, W = iid(Logistic(), 4), np.linalg.qr(rng.standard_normal((4, 4)))[0]
    X = f.sample(60_000, rng=rng)
    y = OneHiddenLayer(W, relu, [1.0, 0.8, 1.2, 1.0]).sample_labels(X, noise=0.1, rng=rng)
    score = IndependentLocalLikelihood(X, bandwidth=NearestNeighbor(0.5))
    fitted = fit_general_input(X, y, 4, activation=relu, score=score, rng=0)
    match = match_rows(fitted.weights, W, signed=True)
    assert match.worst < 0.1
    np.testing.assert_allclose(fitted.output[match.permutation], [1.0, 0.8, 1.2, 1.0], atol=0.15)
    assert fitted.residual < 0.15
    assert "starts end at the least value" in fitted.message


def test_default_score():
    rng = np.random.default_rng(5)
    W = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    X = rng.standard_normal((4000, 2))
    fitted = fit_general_input(X, relu(X @ W.T).sum(axis=1), 2, activation=relu, rng=0)
    assert match_rows(fitted.weights, W).worst < 0.5


def test_more_units_than_dimensions_are_refused():
    with pytest.raises(ValueError, match="k must be an integer from 1 to 2, got 3"):
        fit_general_input(np.ones((9, 2)), np.ones(9), 3, activation=relu, rng=0)
