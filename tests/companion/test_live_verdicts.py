"""Independent references for claims that the chapters judge in their own cells."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import norm

from companion.experiments import high_thresholds, l1_recovery, tensor_initialisation, threshold_powers
from companion.ledger import LEVEL
from nnmoments.activations import relu_threshold, sigmoid_threshold, sign_threshold
from nnmoments.landscapes import (
    HermiteLoss,
    find_minima,
    orthogonal_closed_form,
    parameter_error,
    population_hessian,
)
from nnmoments.networks import HiddenPolynomial


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


def test_approximate_minima_of_g_by_a_grid():
    """GP Claim 1 on a grid of the plane where its stationary points are, with u_2 = u_4 = 1."""
    c, lam = np.array([0.6, 1.4]), 10.0 / 0.6
    r, angle = np.meshgrid(np.linspace(0.9, 1.2, 2001), np.linspace(0.0, np.pi / 2, 1001), indexing="ij")
    y1, y2 = r * np.cos(angle), r * np.sin(angle)
    excess = y1**2 + y2**2 - 1.0
    g1, g2 = (-4.0 * y**3 / a + 4.0 * lam * excess * y for y, a in ((y1, c[0]), (y2, c[1])))
    h11, h22 = (-12 * y**2 / a + 4 * lam * excess + 8 * lam * y**2 for y, a in ((y1, c[0]), (y2, c[1])))
    least = 0.5 * (h11 + h22) - np.hypot(0.5 * (h11 - h22), 8.0 * lam * y1 * y2)
    across = np.minimum(np.abs(y1), np.abs(y2))
    for tau in (0.3, 0.1):
        kept = (np.hypot(g1, g2) <= tau**1.5) & (least >= -tau)
        assert kept.sum() > 20
        assert across[kept].max() <= tau**1.5  # linear in the gradient, so below the claim's root
        # Without the bound on the curvature the saddles are among them.
        assert across[np.hypot(g1, g2) <= tau**1.5].max() > 0.5
    tau, found, saddles = threshold_powers.approximate_minima(seed=3, d=3, starts=6)
    assert np.all(found <= tau**1.5)
    assert np.all(saddles > 0.5)


@pytest.mark.parametrize(("name", "make"), [("sign", sign_threshold), ("ReLU", relu_threshold)])
@pytest.mark.parametrize("cosine", [-0.3, 0.6])
def test_pair_moments_by_quadrature(name, make, cosine):
    """The tensors of a product of two units, from closed forms and by the library's nested quadrature."""
    t, W = 2.5, np.array([[1.0, 0.0], [cosine, np.sqrt(1.0 - cosine**2)]])
    m20, m11, m40, m31, m22 = threshold_powers.pair_moments(name, t, cosine)
    f = HiddenPolynomial(W, make(t), {(0, 1): 1.0})
    z = np.array([0.7, -1.1])
    a, b = W @ z
    assert z @ f.moment(2) @ z == pytest.approx(m20 * (a * a + b * b) + 2 * m11 * a * b, rel=1e-8)
    fourth = m40 * (a**4 + b**4) + 4 * m31 * (a**3 * b + a * b**3) + 6 * m22 * a**2 * b**2
    assert np.einsum("ijkl,i,j,k,l", f.moment(4), z, z, z, z) == pytest.approx(fourth, rel=1e-7)


@pytest.mark.parametrize(("name", "make"), [("sign", sign_threshold), ("ReLU", relu_threshold)])
def test_minima_with_products_by_quadrature(name, make):
    """Descents on G from quadrature moments, oblique and unequal units, end where Newton's method does."""
    c, gram, t = np.array([0.6, 1.5]), threshold_powers.equal(2, 0.4), 3.0
    W, u = np.linalg.cholesky(gram), make(t)
    terms = {(i,): value for i, value in enumerate(c)} | {(0, 1): 1.0}
    exact = high_thresholds.exact_moments(HiddenPolynomial(W, u, terms))
    u2, u4 = u.hermite_coefficient(2), u.hermite_coefficient(4)
    loss = HermiteLoss(exact.second, exact.fourth, u2, u4, 10.0 * u4 / (u2**2 * c.min()))
    minima = find_minima(loss, exact.second, 2, radius=np.sqrt(np.sqrt(2.0) * u2), rng=0)
    y = np.sort(np.abs(minima.points @ W.T * np.sqrt(c)), axis=1)
    across, length, moved = threshold_powers.off_axis(gram, c, name, t)
    assert (y[:, 0] / y[:, 1]).max() == pytest.approx(across, rel=1e-4)
    assert np.abs(y[:, 1] - 1.0).max() == pytest.approx(length, rel=1e-4)
    alone = threshold_powers.off_axis(gram, c, name, t, products=0.0)
    assert alone[0] < 1e-15 < 0.01 < alone[1]
    assert alone[2] < 1e-12 < moved
    # A step of one in t lowers the error by the power of the corrected claim, and the printed one is another.
    steps = [threshold_powers.off_axis(gram, c, name, s)[0] for s in (9.0, 10.0)]
    power = np.log(steps[0] / steps[1]) / 9.5
    assert power == pytest.approx(0.6 / 1.4, abs=0.03)
    assert threshold_powers.growth(name, 0) < 0.1 < 1.5 < threshold_powers.growth(name, 2)


@pytest.mark.parametrize(("r", "s"), [(1, 2), (3, 3)])
def test_products_of_powers_by_nested_quadrature(r, s):
    """GP Lemma 17: two units by adaptive quadrature of the definition, three by a sample."""
    t, c = 2.0, 0.5

    def inner(a):
        mean, scale = c * a, np.sqrt(1.0 - c * c)
        density = lambda b: (b - t) ** s * norm.pdf(b, mean, scale)  # noqa: E731
        return quad(density, t, t + 12, epsabs=0, points=[min(max(mean, t), t + 11)])[0]

    value = quad(lambda a: (a - t) ** r * norm.pdf(a) * inner(a), t, t + 12, epsabs=0)[0]
    assert threshold_powers.product_of_powers(t, (r, s), c) == pytest.approx(value, rel=1e-6)
    rng = np.random.default_rng(5)
    units = rng.multivariate_normal(np.zeros(3), threshold_powers.equal(3, c), 400_000) - 0.5
    product = np.maximum(units[:, 0], 0) * np.maximum(units[:, 1], 0) ** 2 * np.maximum(units[:, 2], 0) ** 2
    found = threshold_powers.product_of_powers(0.5, (1, 2, 2), c)
    assert abs(product.mean() - found) < 6.0 * product.std() / np.sqrt(len(product))
    # The printed bound is passed at cosine 1/2 and not at 0; the rate counts units, not powers.
    assert (
        threshold_powers.powers_above_bound((r, s), 0.0)
        < 1.0
        < threshold_powers.powers_above_bound((r, s), c)
    )
    assert threshold_powers.products_exponent((r, s), c) == pytest.approx(2.0 / 1.5, rel=0.01)


def test_share_of_failures_with_wrong_signs():
    """Of one method's failures alone; what recovers, and the other method, do not count."""
    rows = [("a", 0, 0)] * 3 + [("a", 1, 0)] + [("a", 1, 1)] * 9 + [("b", 1, 0)] * 5
    frame = pd.DataFrame(rows, columns=["method", "signs", "recovered"])
    value, low, high = tensor_initialisation.wrong_signs(frame, "a")
    assert low < value == 0.75 < high
    assert tensor_initialisation.wrong_signs(frame, "b")[0] == 0.0


def test_intervals_from_resampled_trials_are_as_wide_as_fresh_trials_vary():
    """Edges of a known exponent, and slopes of medians of a known rate, drawn again and again."""
    rng, z = np.random.default_rng(3), norm.isf((1.0 - LEVEL) / 2.0)
    cells = pd.DataFrame([(k, d) for k in (6, 10, 16) for d in range(10, 100, 6)], columns=["k", "d"])
    share = 1.0 / (1.0 + (2.0 * cells["k"] ** 0.9 / cells["d"]) ** 6)
    frames = [cells.assign(trials=20, exact=rng.binomial(20, share)) for _ in range(40)]
    found = [l1_recovery.success_edge(frame, "d")[1] for frame in frames]
    value, low, high = l1_recovery.edge_interval(frames[0], "d")
    assert value == found[0]
    assert low < 0.9 < high
    assert 0.6 < (high - low) / (2.0 * z * np.std(found)) < 1.6

    sizes = [1000.0, 4000.0, 16_000.0]

    def trials():
        errors = np.exp(-0.5 * np.log(sizes) + 0.2 * rng.standard_normal((20, 3)))
        return pd.DataFrame({"n": [sizes] * 20, "error": errors.tolist()})

    found = [l1_recovery.slope(trials(), "error") for _ in range(200)]
    value, low, high = l1_recovery.median_slope(trials(), "error")
    assert low < -0.5 < high
    assert 0.5 < (high - low) / (2.0 * z * np.std(found)) < 2.0
