"""Independent references for claims that the chapters judge in their own cells."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm

from nnmoments.activations import relu_threshold, sigmoid_threshold, sign_threshold
from nnmoments.landscapes import orthogonal_closed_form, parameter_error, population_hessian


@pytest.mark.parametrize("norms", [(1.0, 1.0, 1.0), (1.0, 2.0, 0.5)])
@pytest.mark.parametrize("d", [3, 5])
def test_units_in_a_plane_keep_the_hessian_definite(d, norms):
    """Blocks of ReLU units by a sample, against the quadrature."""
    angles = np.radians([0.0, 60.0, 120.0])
    W = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ np.eye(2, d) * np.reshape(norms, (-1, 1))
    H = population_hessian(W, "relu")
    assert np.linalg.eigvalsh(H)[0] > 0.01
    X = np.random.default_rng(0).standard_normal((100_000, d))
    features = ((X @ W.T > 0)[:, :, None] * X[:, None, :]).reshape(len(X), -1)
    sampled = features.T @ features / len(X)
    assert np.abs(sampled - H).max() < 6 * np.sqrt(3.0 / len(X))
    assert np.linalg.eigvalsh(sampled)[0] == pytest.approx(np.linalg.eigvalsh(H)[0], abs=0.005)


def test_parallel_units_make_the_hessian_singular():
    H = population_hessian([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], "relu")
    assert abs(np.linalg.eigvalsh(H)[0]) < 1e-12


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("t", [3.0, 5.0])
def test_means_of_thresholded_units_are_below_their_bounds(t, sigma):
    """By adaptive quadrature of the definition, against the library's means and the printed bounds."""
    units = {
        relu_threshold: (lambda a: a - t, t, -(t**2) / (2 * sigma**2)),
        sign_threshold: (lambda a: 1.0, t, -(t**2) / (2 * sigma**2)),
        sigmoid_threshold: (lambda a: 1 / (1 + np.exp(t - a)), -12 * sigma, sigma**2 / 2 - t),
    }
    for make, (u, low, exponent) in units.items():
        high, scale = max(t, sigma**2) + 12 * sigma, sigma * np.sqrt(2 * np.pi)
        mean = quad(lambda g: u(g) * np.exp(-(g**2) / (2 * sigma**2)) / scale, low, high, epsabs=0)[0]  # noqa: B023
        assert make(t).gamma(0, scale=sigma) == pytest.approx(mean, rel=1e-6)
        assert mean <= np.exp(exponent)


@pytest.mark.parametrize("d", [3, 30])
def test_more_than_half_of_the_labels_are_those_of_rest(d):
    """The share at rest, against the union bound; coefficients of both signs; at t = 0 the median is off."""
    rng = np.random.default_rng(d)
    W = rng.standard_normal((d, d))
    Z = rng.standard_normal((50_001, d)) @ (W / np.linalg.norm(W, axis=1, keepdims=True)).T
    c = rng.uniform(0.3, 2.0, d) * rng.choice([-1.0, 1.0], d)
    t = np.sqrt(2.0 * np.log(d))
    units = relu_threshold(t)(Z)
    at_rest = np.mean(np.all(units == 0.0, axis=1))
    assert at_rest > 1.0 - d * norm.sf(t) - 0.01
    assert 1.0 - d * norm.sf(t) >= 0.5
    assert np.median(2.0 + units @ c) == 2.0
    assert abs(np.median(2.0 + relu_threshold(0.0)(Z) @ c) - 2.0) > 0.1


@pytest.mark.parametrize(("last", "least", "most"), [(1.0, 0.0, 1e-5), (-1.0, 0.9, 1.0)])
def test_the_first_term_has_no_minima_but_permutations(last, least, most):
    """GM (21) as printed, on the product of spheres itself, by a general minimiser."""
    rng = np.random.default_rng(1)
    for d in (2, 4, 4, 6):
        W = np.linalg.qr(rng.standard_normal((d, d)))[0]
        kappa = np.append(np.ones(d - 1), last)

        def rows(b, d=d):
            return b.reshape(d, d) / np.linalg.norm(b.reshape(d, d), axis=1, keepdims=True)

        def first(b, W=W, kappa=kappa, rows=rows):
            return orthogonal_closed_form(rows(b), W, kappa, 0.0, 0.0)

        end = minimize(first, rng.standard_normal(d * d), options={"gtol": 1e-6})
        assert least <= parameter_error(rows(end.x), W) <= most
