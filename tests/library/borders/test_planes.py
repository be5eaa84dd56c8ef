"""Correlations with planes: GP Section 3, Theorem 6 and Appendix C."""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from companion.experiments import structure as experiment
from nnmoments.borders import delta_correlation, sampled_delta_correlation
from nnmoments.hermite import normal_density


@pytest.mark.parametrize("order", [0, 1, 2])
def test_delta_correlation_of_one_unit_is_known(order):
    """C_1(s) = phi(s) Phi((s cos a - t)/sin a); C_2 and C_3 are its differences. GP Claim 3."""
    a, t, s, e = 0.7, 0.6, 0.5, 0.1
    z = np.array([math.cos(a), math.sin(a), 0.0])

    def C1(s):
        return float(normal_density(s) * ndtr((s * math.cos(a) - t) / math.sin(a)))

    exact = [C1(s), C1(s + e) - C1(s - e), (C1(s + 2 * e) - 2 * C1(s) + C1(s - 2 * e)) / (2 * e)][order]
    found = delta_correlation(lambda X: X[:, 0] > t, z, s, order=order, epsilon=e, n_samples=200_000, rng=0)
    assert abs(found.value - exact) < 5 * found.standard_error
    assert found.n_labels == 200_000 * (order + 1)


def test_sampled_correlation_agrees_with_the_oracle():
    X = np.random.default_rng(0).standard_normal((400_000, 3))
    y = (X[:, 0] > 0.5).astype(float)
    z = [1.0, 0.0, 0.0]
    sample = sampled_delta_correlation(X, y, z, 0.5, order=1, epsilon=0.05, width=0.1)
    oracle = delta_correlation(lambda X: X[:, 0] > 0.5, z, 0.5, order=1, epsilon=0.05, rng=1)
    assert abs(sample.value - oracle.value) < 5 * sample.standard_error


def test_slabs_are_open():
    """1{|v| < h/2}/h: a sample on the border of a slab is outside, so that neighbours share none."""
    X = np.array([[0.0], [0.25], [-0.25], [0.125]])
    found = sampled_delta_correlation(X, np.ones(4), [1.0], 0.0, order=0, epsilon=0.0, width=0.5)
    assert found.value == 2 / 4 / 0.5


def test_correlations_refuse_bad_arguments():
    X, y = np.zeros((10, 2)), np.zeros(10)
    with pytest.raises(ValueError, match="z must have length 1"):
        delta_correlation(lambda X: X[:, 0], [1.0, 1.0], 0.0, order=0)
    with pytest.raises(ValueError, match="epsilon must be a number above"):
        delta_correlation(lambda X: X[:, 0], [1.0, 0.0], 0.0, order=1)
    with pytest.raises(ValueError, match="width must be at most"):
        sampled_delta_correlation(X, y, [1.0, 0.0], 0.0, order=1, epsilon=0.1, width=0.5)
    with pytest.raises(ValueError, match="no sample near the plane"):
        sampled_delta_correlation(X, y, [1.0, 0.0], 3.0, order=0, epsilon=0.0, width=0.5)


@pytest.mark.parametrize(("unit", "height"), [("sign", 1.0), ("relu", 1.0), ("sigmoid", 0.0)])
def test_peak_height(unit, height):
    """GP Lemmas 8 and 19 with Corollary 1: the jump is phi(t) C({i}, mu)/mu; smooth units have none."""
    value, low, high = experiment.heights(unit, seed=3, points=50_000)
    assert low - 0.001 <= height <= high + 0.001
    assert high - value < 0.05


def test_claim_4_as_printed_is_wrong():
    for angle in (0.5, 1.2, 2.0, 2.8):
        known, printed, corrected = experiment.edge_derivative(angle, t=0.7, s=0.4)
        assert corrected == pytest.approx(known, rel=1e-6)
        assert abs(printed / known - 1.0) > 0.05
