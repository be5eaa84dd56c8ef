"""Hermite polynomials and Gaussian quadrature against numpy's series, closed forms and mpmath."""

import math

import mpmath
import numpy as np
import pytest
from numpy.polynomial import hermite_e

from nnmoments.densities import StandardNormal
from nnmoments.hermite import (
    gaussian_expectation,
    hermite,
    hermite_coefficient,
    homogeneous_hermite,
    normalized_hermite,
)

X = np.linspace(-4.0, 4.0, 33)


@pytest.mark.parametrize("n", range(9))
def test_hermite_against_numpy(n):
    np.testing.assert_allclose(
        hermite(n, X), hermite_e.hermeval(X, [0.0] * n + [1.0]), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("n", range(5))
@pytest.mark.parametrize("m", range(5))
def test_normalized_hermite_is_orthonormal(n, m):
    """GP Hermite fact 1: E[h_n h_m] = 1{n = m}."""
    value = gaussian_expectation(lambda g: normalized_hermite(n, g) * normalized_hermite(m, g))
    assert value == pytest.approx(float(n == m), abs=1e-12)


@pytest.mark.parametrize("n", range(6))
def test_correlated_arguments(n):
    """GP Hermite fact 2: E[h_n(g) h_n(g')] = rho^n for jointly normal g, g' of correlation rho."""
    rho = 0.6

    def inner(g):
        return gaussian_expectation(
            lambda e: normalized_hermite(n, rho * g[:, None] + math.sqrt(1 - rho**2) * e[None, :]).T
        )

    value = gaussian_expectation(lambda g: normalized_hermite(n, g) * inner(g))
    assert value == pytest.approx(rho**n, abs=1e-10)


@pytest.mark.parametrize("n", range(1, 5))
def test_homogeneous_hermite(n):
    """H_n(z.x) = |z|^n h_n(z.x/|z|), and S_n(x)(z, ..., z) = sqrt(n!) H_n(z.x)."""
    rng = np.random.default_rng(3)
    z, points = rng.standard_normal(4), rng.standard_normal((6, 4))
    norm = np.linalg.norm(z)
    value = homogeneous_hermite(n, z, points)
    np.testing.assert_allclose(
        value, norm**n * normalized_hermite(n, points @ z / norm), rtol=1e-12, atol=1e-12
    )
    score = StandardNormal(4).contract(points, *[z] * n)
    np.testing.assert_allclose(score, math.sqrt(math.factorial(n)) * value, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(homogeneous_hermite(n, np.zeros(4), points), 0.0)


@pytest.mark.parametrize("power", range(0, 13, 2))
def test_expectation_of_powers(power):
    """E[g^(2p)] = (2p - 1)!!"""
    exact = math.prod(range(1, power, 2))
    assert gaussian_expectation(lambda g: g**power) == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("rate", [-5.0, -1.0, 0.5, 5.0])
def test_expectation_of_growing_integrands(rate):
    """E[exp(r g)] = exp(r^2 / 2), to the growth that the docstring states."""
    assert gaussian_expectation(lambda g: np.exp(rate * g)) == pytest.approx(math.exp(rate**2 / 2), rel=1e-12)


@pytest.mark.parametrize("t", [-2.3, 0.0, 0.7, 3.1])
def test_expectation_with_a_jump(t):
    value = gaussian_expectation(lambda g: g**3 * (g > t), breakpoints=[t])
    exact = mpmath.quad(lambda g: g**3 * mpmath.npdf(g), [t, t + 3, t + 8, 20])
    assert value == pytest.approx(float(exact), rel=1e-12)


def test_expectation_with_shift_and_scale():
    value = gaussian_expectation(lambda z: np.abs(z - 1.0), mean=2.0, scale=3.0, breakpoints=[1.0])
    exact = mpmath.quad(lambda g: abs(2 + 3 * g - 1) * mpmath.npdf(g), [-15, -1 / mpmath.mpf(3), 15])
    assert value == pytest.approx(float(exact), rel=1e-12)
    assert gaussian_expectation(np.cos, mean=0.3, scale=0.0) == pytest.approx(math.cos(0.3))
    np.testing.assert_allclose(gaussian_expectation(lambda g: np.stack([g**2, g**4], axis=1)), [1.0, 3.0])


@pytest.mark.parametrize("n", range(5))
def test_hermite_coefficients_reproduce_a_polynomial(n):
    coefficients = np.array([0.3, -1.0, 0.5, 2.0, 0.1])
    value = hermite_coefficient(
        lambda g: sum(c * normalized_hermite(m, g) for m, c in enumerate(coefficients)), n
    )
    assert value == pytest.approx(coefficients[n], abs=1e-12)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="n must be an integer from 0 up"):
        hermite(-1, X)
    with pytest.raises(ValueError, match="scale must not be negative"):
        gaussian_expectation(np.cos, scale=-1.0)
    with pytest.raises(ValueError, match="X must have shape"):
        homogeneous_hermite(2, np.ones(3), np.ones((5, 2)))
