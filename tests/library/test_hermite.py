"""Hermite polynomials and Gaussian quadrature against numpy's series, closed forms and mpmath."""

import math

import mpmath
import numpy as np
import pytest
from numpy.polynomial import hermite_e
from scipy.special import expit

from nnmoments.densities import StandardNormal
from nnmoments.hermite import (
    gaussian_expectation,
    hermite_coefficient,
    hermite_polynomial,
    hermite_projections,
    hermite_scaling,
    homogeneous_hermite,
    normal_density,
    normalized_hermite,
    paired_hermite_projections,
)

X = np.linspace(-4.0, 4.0, 33)


@pytest.mark.parametrize("n", range(9))
def test_hermite_against_numpy(n):
    np.testing.assert_allclose(
        hermite_polynomial(n, X), hermite_e.hermeval(X, [0.0] * n + [1.0]), rtol=1e-12, atol=1e-12
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


@pytest.mark.parametrize("rate", [-12.0, -5.0, -1.0, 0.5, 5.0, 20.0])
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


@pytest.mark.parametrize("n", range(7))
def test_hermite_of_a_sum(n):
    """GP Fact 3, He_n(x + y) = 2^(-n/2) sum of C(n, k) He_(n-k)(sqrt 2 x) He_k(sqrt 2 y).

    Erratum: it is printed for the normalised h_n, for which it fails from n = 2.
    """
    x, y, root = X, 0.3 - X[::-1] / 2, math.sqrt(2.0)

    def right(family):
        terms = (math.comb(n, k) * family(n - k, root * x) * family(k, root * y) for k in range(n + 1))
        return 2.0 ** (-n / 2) * sum(terms)

    np.testing.assert_allclose(right(hermite_polynomial), hermite_polynomial(n, x + y), rtol=1e-11, atol=1e-9)
    if n >= 2:
        assert np.abs(right(normalized_hermite) - normalized_hermite(n, x + y)).max() > 0.1


@pytest.mark.parametrize("n", range(7))
@pytest.mark.parametrize("gamma", [0.0, 0.6, 1.0, 1.7, -2.0])
def test_hermite_of_a_multiple(n, gamma):
    """GP Facts 4 and 5: h_n(gamma x) is the sum over m of alpha(n, m, gamma) h_m(x)."""
    alphas = [hermite_scaling(n, m, gamma) for m in range(n + 1)]
    expansion = sum(a * normalized_hermite(m, X) for m, a in enumerate(alphas))
    np.testing.assert_allclose(expansion, normalized_hermite(n, gamma * X), rtol=1e-10, atol=1e-10)
    for m, alpha in enumerate(alphas):
        value = gaussian_expectation(
            lambda g, m=m: normalized_hermite(m, g) * normalized_hermite(n, gamma * g)
        )
        assert value == pytest.approx(alpha, abs=1e-10)
    assert hermite_scaling(n, n + 2, gamma) == 0.0


def test_fact_5_as_printed_needs_the_other_normalisation():
    """GP Fact 5 prints alpha(2, 0, 2) = 3; E[h_0(g) h_2(2 g)] = 3/sqrt 2."""
    value = gaussian_expectation(lambda g: normalized_hermite(2, 2.0 * g))
    assert value == pytest.approx(3.0 / math.sqrt(2.0), rel=1e-13)


@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
def test_expectation_of_a_sharp_integrand(scale):
    """E[tanh(s g) g] = s E[sech^2(s g)]: a transition of width 1/s among panels of width 2."""
    with mpmath.workdps(20):
        cuts = [0.0, *(c / scale for c in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)), 16.0 / scale + 4.0, 16.0]
        exact = 2 * mpmath.quad(lambda g: mpmath.tanh(scale * g) * g * mpmath.npdf(g), cuts)
    value = gaussian_expectation(lambda g: np.tanh(scale * g) * g)
    assert value == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("n", range(5))
def test_many_moments_at_once(n):
    """Each row agrees with the scalar quadrature, at its own place of the kink; a scale of 0 too."""
    means, scales = np.array([-2.0, 0.4, 1.0, 3.0]), np.array([0.3, 2.0, 0.0, 5.0])
    values = hermite_projections(
        lambda z: np.maximum(z - 1.0, 0.0), n, mean=means, scale=scales, breakpoints=[1.0]
    )
    for mean, scale, value in zip(means, scales, values, strict=True):
        kink = [(1.0 - mean) / scale] if scale else []
        expected = gaussian_expectation(
            lambda g, m=mean, s=scale: np.maximum(m + s * g - 1.0, 0.0) * hermite_polynomial(n, g),
            breakpoints=kink,
        )
        assert value == pytest.approx(float(expected), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("rho", [0.0, 0.3, -0.8, 0.99, 0.99999])
def test_pair_of_thresholds(rho):
    """P(g > t, rho g + root e > s), by conditioning on g, at 20 digits."""
    t, s = 1.5, 0.7
    with mpmath.workdps(20):
        root = mpmath.sqrt(1 - mpmath.mpf(rho) ** 2)
        cuts = [t, *sorted({t + 0.1, t + 0.5, t + 2.0, t + 5.0, 14.0})]
        exact = mpmath.quad(lambda g: mpmath.npdf(g) * mpmath.ncdf((rho * g - s) / root), cuts)
    value = paired_hermite_projections(
        lambda g: (g > t) * 1.0, lambda h: (h > s) * 1.0, 0, correlation=rho, breakpoints=([t], [s])
    )
    assert value[0, 0] == pytest.approx(float(exact), rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("rho", [0.0, 0.45, -0.9])
def test_pair_of_exponentials(rho):
    """E[grad^m e^(a g + b h)] in closed form: the Stein moments of a smooth pair."""
    a, b, root = 0.5, -0.3, math.sqrt(1 - rho**2)
    value = paired_hermite_projections(lambda g: np.exp(a * g), lambda h: np.exp(b * h), 3, correlation=rho)
    along, across = a + b * rho, b * root
    mean = math.exp((along**2 + across**2) / 2)
    expected = [[mean * along**p * across**r for r in range(4)] for p in range(4)]
    np.testing.assert_allclose(value, expected, rtol=1e-11, atol=1e-12)


def test_a_peak_between_the_points_is_seen():
    """E of a bump of width 1e-3 is sqrt(2 pi) 1e-3 phi(c), to the order of its width squared."""
    for centre in (0.3, -2.7183):
        value = gaussian_expectation(lambda g, c=centre: np.exp(-(((g - c) / 1e-3) ** 2) / 2.0))
        spread = math.sqrt(1.0 + 1e-6)
        exact = 1e-3 / spread * math.exp(-((centre / spread) ** 2) / 2.0)
        assert value == pytest.approx(exact, rel=1e-11)
    value = hermite_projections(lambda z: np.exp(-((z / 1e-3) ** 2) / 2.0), 0, mean=[-0.3], scale=[1.0])
    assert value[0] == pytest.approx(
        1e-3 / math.sqrt(1.0 + 1e-6) * math.exp(-0.045 / (1.0 + 1e-6)), rel=1e-11
    )


@pytest.mark.parametrize("slope", [1e3, 1e5, 1e8])
def test_a_steep_sigmoid_is_smooth(slope):
    """E[sigma(s (g - 1))] is P(g > 1), up to a term of order 1/s^2 by symmetry."""
    value = float(gaussian_expectation(lambda g: expit(slope * (g - 1.0))))
    step = 0.15865525393145707
    # E[sigma(s(g - 1))] - P(g > 1) = phi'(1) (pi^2/6) / s^2 (-1), phi' the slope of the density
    correction = math.pi**2 / 6.0 / slope**2 * math.exp(-0.5) / math.sqrt(2.0 * math.pi)
    assert value == pytest.approx(step + correction, rel=1e-11)


def test_kinks_need_no_name_and_names_do_no_harm():
    """E|g - 0.3| = 2 phi(0.3) + 0.3 (2 Phi(0.3) - 1), the kink named, not named, or far from the origin."""
    exact = 2.0 * float(normal_density(0.3)) + 0.3 * math.erf(0.3 / math.sqrt(2.0))
    assert gaussian_expectation(lambda g: np.abs(g - 0.3)) == pytest.approx(exact, rel=1e-12)
    for mean in (0.0, 1e4, 1e8):
        for names in ([mean + 0.3], []):
            value = gaussian_expectation(
                lambda z, m=mean: np.abs(z - (m + 0.3)), mean=mean, breakpoints=names
            )
            assert value == pytest.approx(exact, rel=max(1e-12, 1e-15 * mean))


def test_high_orders():
    """h_n and alpha(n, m, gamma) where n! is beyond the doubles."""
    with mpmath.workdps(40):
        exact = mpmath.hermite(200, mpmath.mpf(3) / mpmath.sqrt(2)) / mpmath.sqrt(
            mpmath.mpf(2) ** 200 * mpmath.factorial(200)
        )
    assert normalized_hermite(200, 3.0) == pytest.approx(float(exact), rel=1e-10)
    assert homogeneous_hermite(200, [3.0], [[1.0]]) == pytest.approx(
        3.0**200 * float(normalized_hermite(200, 1.0)), rel=1e-10
    )
    assert hermite_scaling(200, 200, 0.5) == pytest.approx(0.5**200, rel=1e-10)
    with pytest.raises(ValueError, match="x is too large"):
        normalized_hermite(200, 1e10)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="n must be an integer from 0 up"):
        hermite_polynomial(-1, X)
    with pytest.raises(ValueError, match="scale must not be negative"):
        gaussian_expectation(np.cos, scale=-1.0)
    with pytest.raises(ValueError, match="function must be finite within 14"):
        gaussian_expectation(lambda g: np.exp(g**4))
    with pytest.raises(ValueError, match="function grows too fast"):
        gaussian_expectation(lambda g: np.exp(g**2 / 2.0))
    with pytest.raises(ValueError, match="name every kink and jump"):
        gaussian_expectation(lambda g: np.sin(1e9 * g**2))
    with pytest.raises(ValueError, match="function must map"):
        gaussian_expectation(lambda g: np.ones((2, len(g))))
    with pytest.raises(ValueError, match="scale must have shape"):
        hermite_projections(np.cos, 2, mean=[0.0, 1.0], scale=[1.0])
    with pytest.raises(ValueError, match="correlation must be a number above"):
        paired_hermite_projections(np.cos, np.cos, 2, correlation=1.0)
    with pytest.raises(ValueError, match="X must have shape"):
        homogeneous_hermite(2, np.ones(3), np.ones((5, 2)))
