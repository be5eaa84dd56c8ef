"""GP's landscapes against their closed forms, finite differences and brute force."""

import itertools
import math

import numpy as np
import pytest

from companion.experiments import high_thresholds as experiment
from nnmoments.activations import relu_threshold, sigmoid_threshold, sign_threshold, threshold_coefficients
from nnmoments.densities import StandardNormal
from nnmoments.hermite import homogeneous_hermite
from nnmoments.landscapes import HermiteLoss, SimultaneousLoss, SphereLoss, find_minima, weights_from_minima
from nnmoments.linalg import match_rows, outer_power
from nnmoments.moments import TensorMoment, active_moments, controlled_moments, cross_moment
from nnmoments.networks import HiddenPolynomial
from nnmoments.optimize import classify, quasi_newton

U = relu_threshold(2.0)
U2, U4 = threshold_coefficients(2.0)


def rows(k, d, rng):
    W = np.eye(k, d) + 0.3 * rng.standard_normal((k, d)) / math.sqrt(d)
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def linear_moments(W, c):
    """GP Lemma 9."""
    T2 = math.sqrt(2.0) * U2 * np.einsum("k,ka,kb->ab", c, W, W)
    T4 = math.sqrt(24.0) * U4 * np.tensordot(c, outer_power(W, 4), axes=(0, 0))
    return T2, TensorMoment(T4)


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 4))
    W = rows(4, 4, rng)
    y = HiddenPolynomial(W, relu_threshold(1.2), {(0,): 1.0, (1,): 2.0, (2, 3): 1.0})(X)
    return X, y, W


def taylor(loss, z, rng, *, hessian=True):
    """Values along a line against the gradient, gradients against the Hessian: second-order errors."""
    v = rng.standard_normal(z.shape)
    h = 1e-5
    slope = (loss.value(z + h * v) - loss.value(z - h * v)) / (2 * h)
    assert slope == pytest.approx(np.sum(loss.gradient(z) * v), rel=1e-6, abs=1e-9)
    if hessian:
        bend = (loss.gradient(z + h * v) - loss.gradient(z - h * v)) / (2 * h)
        expected = (loss.hessian(z) @ v.reshape(-1)).reshape(z.shape)
        np.testing.assert_allclose(bend, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


# --- moments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["tensor", "sample"])
def test_contractions_are_hermite_means(sample, form):
    """E[f H_m(z.x)] = T_m(z, ..., z)/sqrt(m!), from active samples only, formed or not."""
    X, y, _ = sample
    moments = active_moments(X, y, form=form)
    assert moments.formed == (form == "tensor")
    assert moments.n_touched == np.sum(y != 0) < len(X)
    z = np.array([0.3, -1.0, 0.5, 2.0])
    second = np.mean(y * homogeneous_hermite(2, z, X)) * math.sqrt(2.0)
    fourth = np.mean(y * homogeneous_hermite(4, z, X)) * math.sqrt(24.0)
    assert z @ moments.second @ z == pytest.approx(second, rel=1e-10)
    assert moments.fourth.cubic(z[None])[1][0] @ z == pytest.approx(fourth, rel=1e-10)
    np.testing.assert_allclose(moments.first, X.T @ y / len(X), rtol=1e-10)


def test_form_is_chosen_by_cost():
    rng = np.random.default_rng(1)
    for d, formed in ((5, True), (60, False)):
        X = rng.standard_normal((50, d))
        assert active_moments(X, X[:, 0]).formed == formed


def test_formed_moment_agrees_with_cross_moment(sample):
    X, y, _ = sample
    expected = cross_moment(X, y, StandardNormal(4), 4).value
    np.testing.assert_allclose(active_moments(X, y).fourth.tensor, expected, atol=1e-12)


def test_controlled_moments_are_unbiased():
    """The mean over samples is the exact moment, in standard errors; the error of T_2 and T_4 is smaller."""
    rng = np.random.default_rng(2)
    f = HiddenPolynomial(np.eye(4), relu_threshold(2.0), {**{(i,): 1.0 for i in range(4)}, (0, 1): 1.0})
    T2, T4 = f.moment(2), f.moment(4)
    found = {controlled_moments: [], active_moments: []}
    for _ in range(30):
        X = rng.standard_normal((40_000, 4))
        for estimate, kept in found.items():
            m = estimate(X, f(X))
            kept.append(np.concatenate([(m.second - T2).ravel(), (m.fourth.tensor - T4).ravel()]))
    controlled, plain = (np.array(found[e]) for e in (controlled_moments, active_moments))
    error = controlled.std(axis=0, ddof=1) / math.sqrt(30)
    assert np.all(np.abs(controlled.mean(axis=0)) < 7.0 * error)  # t of 29 degrees
    for part in (slice(0, 16), slice(16, None)):
        assert np.linalg.norm(controlled[:, part]) < 0.7 * np.linalg.norm(plain[:, part])


def test_moments_name_bad_input():
    X = np.zeros((100, 3))
    with pytest.raises(ValueError, match="y must not be zero everywhere"):
        active_moments(X, np.zeros(100))
    with pytest.raises(ValueError, match="X has too few samples"):
        controlled_moments(X, np.ones(100))
    with pytest.raises(ValueError, match="one value a sample"):
        active_moments(X, np.ones((100, 2)))


# --- losses --------------------------------------------------------------------------------------------


def test_loss_is_its_definition(sample):
    """G(z) = -sgn(u_4) E[f H_4(z.x)] + lambda (E[f H_2(z.x)] - u_2)^2, GP Section 2."""
    X, y, _ = sample
    moments, z = active_moments(X, y), np.array([1.0, 0.2, -0.5, 0.3])
    second, fourth = (np.mean(y * homogeneous_hermite(m, z, X)) for m in (2, 4))
    for sign in (1.0, -1.0):
        loss = HermiteLoss(moments.second, moments.fourth, 0.3, sign, 2.0)
        assert loss.value(z) == pytest.approx(-sign * fourth + 2.0 * (second - 0.3) ** 2)


@pytest.mark.parametrize("form", ["tensor", "sample"])
def test_derivatives(sample, form):
    X, y, _ = sample
    rng = np.random.default_rng(3)
    moments = active_moments(X, y, form=form)
    taylor(HermiteLoss(moments.second, moments.fourth, 0.1, -1.0, 3.0), rng.standard_normal(4), rng)
    options = {"u2": 0.1, "u4": -1.0, "lam": 3.0, "mean": moments.mean}
    W = rng.standard_normal((3, 4))
    taylor(SimultaneousLoss(moments.second, moments.fourth, **options), W, rng)
    printed = SimultaneousLoss(moments.second, moments.fourth, **options, printed=True)
    taylor(printed, W, rng, hessian=False)


def score(v, w, X):
    """S_4(x)(v, v, w, w) written out: GM Example 1."""
    a, b, vv, ww, vw = X @ v, X @ w, v @ v, w @ w, v @ w
    return (a**2 - vv) * (b**2 - ww) - 4 * a * b * vw + 2 * vw**2


def test_psi_is_misprinted(sample):
    """App. B.4: psi must be S_4(v, v, w, w); with +4 it sees what is not there."""
    X, y, _ = sample
    rng = np.random.default_rng(4)
    v, w = rng.standard_normal((2, 4))
    np.testing.assert_allclose(score(v, w, X), StandardNormal(4).contract(X, v, v, w, w), atol=1e-9)
    # The loss uses S_4/sqrt(24); as printed psi = H_2 H_2 + 2 (v.w)^2 + 4 (v.x)(w.x) v.w.
    moments = active_moments(X, y)
    printed = (
        homogeneous_hermite(2, v, X) * homogeneous_hermite(2, w, X)
        + 2 * (v @ w) ** 2
        + 4 * (X @ v) * (X @ w) * (v @ w)
    )
    options = {"u2": 0.1, "u4": 1.0, "lam": 1e-9, "gamma": 1e-9, "mean": moments.mean}
    W = np.stack([v, w])
    for psi, flag in ((score(v, w, X), False), (2 * printed, True)):
        loss = SimultaneousLoss(moments.second, moments.fourth, **options, printed=flag)
        assert loss.value(W) == pytest.approx(2 * np.mean(y * psi) / math.sqrt(24.0), rel=1e-5)
    # For f = X_1 (a single unit) and v.w != 0 the mean of the true psi is u_4 (v.w_1)^2 (w.w_1)^2 only.
    frame = experiment.simultaneous.run("quick", seed=5, n_jobs=1)
    assert frame[frame["psi"] == "printed"]["angle"].min() > 1.0
    assert frame[frame["psi"] == "corrected"]["angle"].max() < 0.1


def test_minima_of_the_linear_landscape():
    """Claim 1: minima at y_i^2 = lambda u_2^2/(lambda u_2^2 - |u_4|/c_i), all found and no others."""
    rng = np.random.default_rng(6)
    W, c = rows(6, 6, rng), rng.uniform(0.5, 2.0, 6)
    T2, T4 = linear_moments(W, c)
    lam = 8.0 * U4 / U2**2
    found = find_minima(HermiteLoss(T2, T4, U2, U4, lam), T2, 6, radius=math.sqrt(math.sqrt(2) * U2), rng=rng)
    assert found.converged
    Y = np.abs(np.sqrt(c)[:, None] * (W @ found.points.T))  # (units, minima)
    order = Y.argmax(axis=0)
    assert sorted(order) == list(range(6))
    expected = np.sqrt(lam * U2**2 / (lam * U2**2 - U4 / c[order]))
    np.testing.assert_allclose(Y.max(axis=0), expected, rtol=1e-5)
    assert np.sort(Y, axis=0)[-2].max() < 1e-5
    assert min(end.curvature for end in found.end_points) > 0
    assert match_rows(weights_from_minima(found.points), W).worst < 1e-5


def test_mixtures_are_saddles_and_zero_is_a_maximum():
    """Section 2: between two axes the Hessian has a negative eigenvalue."""
    T2, T4 = linear_moments(np.eye(3), np.ones(3))
    loss = HermiteLoss(T2, T4, U2, U4, 8.0 * U4 / U2**2)
    r = math.sqrt(8.0 / (2 * 8.0 - 1.0))  # y_1 = y_2 = r on the diagonal of two axes
    assert classify(loss, np.array([r, r, 0.0])).kind == "saddle"
    assert classify(loss, np.zeros(3)).kind == "saddle"


def test_unbounded_below_if_lambda_is_small():
    """lambda u_2^2 > |u_4|/c_min is needed."""
    T2, T4 = linear_moments(np.eye(2), np.array([1.0, 0.1]))
    loss = HermiteLoss(T2, T4, U2, U4, 2.0 * U4 / U2**2)
    z = np.array([0.0, 1e3])
    assert loss.value(10 * z) < loss.value(z) < 0


def test_incomplete_search_says_so():
    T2, T4 = linear_moments(np.eye(3), np.ones(3))
    loss = HermiteLoss(T2, T4, U2, U4, 8.0 * U4 / U2**2)
    found = find_minima(loss, T2, 3, max_starts=2, rng=0)
    assert not found.converged
    assert "of 3 minima from 2 starts" in found.status
    with pytest.raises(ValueError, match="metric must be positive on 3 directions"):
        find_minima(loss, np.diag([1.0, 1.0, -1.0]), 3, rng=0)


def test_fewer_units_than_dimensions():
    """k = 3 in d = 5: rows come from the pseudo-inverse."""
    W = rows(3, 5, np.random.default_rng(7))
    T2, T4 = linear_moments(W, np.ones(3))
    found = find_minima(HermiteLoss(T2, T4, U2, U4, 8.0 * U4 / U2**2), T2, 3, radius=0.2, rng=1)
    assert match_rows(weights_from_minima(found.points), W).worst < 1e-4
    with pytest.raises(ValueError, match="linearly independent"):
        weights_from_minima([[1.0, 0.0], [2.0, 0.0]])


@pytest.mark.parametrize("l", [4, 6])
def test_sphere_loss(sample, l):
    """App. B.1: value, derivatives on the sphere, and the orthonormal weights as minima."""
    X, y, _ = sample
    rng = np.random.default_rng(l)
    loss, z = SphereLoss(X, y, l), rng.standard_normal(4)
    unit = z / np.linalg.norm(z)
    assert loss.value(z) == pytest.approx(-np.mean(y * homogeneous_hermite(l, unit, X)), rel=1e-9)
    taylor(loss, z, rng, hessian=False)
    end = quasi_newton(loss, unit).weights
    taylor(loss, end / np.linalg.norm(end), rng)
    with pytest.raises(ValueError, match="l must be even"):
        SphereLoss(X, y, 5)


def test_sphere_minima_are_the_weights():
    """App. B.1 from a sample: all of them, within its noise."""
    rng = np.random.default_rng(8)
    W = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    X = rng.standard_normal((300_000, 3))
    u = relu_threshold(2.5)
    y = sum(u(X @ w) for w in W)
    found = find_minima(SphereLoss(X, y, 4), np.eye(3), 3, rng=rng)
    points = found.points / np.linalg.norm(found.points, axis=1, keepdims=True)
    assert match_rows(points, W).worst < 0.2


# --- formulas of the thresholds ------------------------------------------------------------------------


def test_u4_vanishes():
    """ReLU at t = 1, sign at sqrt 3, sigmoid near 3.02: u_4 changes sign; beyond it is positive."""
    assert threshold_coefficients(1.0)[1] == 0.0
    assert sign_threshold(math.sqrt(3.0)).hermite_coefficient(4) == pytest.approx(0.0, abs=1e-12)
    for unit, zero in ((relu_threshold, 1.0), (sign_threshold, math.sqrt(3.0)), (sigmoid_threshold, 3.02)):
        assert unit(zero - 0.1).hermite_coefficient(4) < 0 < unit(zero + 0.1).hermite_coefficient(4)
    assert sigmoid_threshold(12.0).hermite_coefficient(4) == pytest.approx(
        math.exp(0.5 - 12.0) / math.sqrt(24.0), rel=0.02
    )


def test_lemma_10_exponent():
    """The proof of Lemma 10 prints u_4 >= Omega(t^3 exp(-t^2/2)); it is (t^2 - 1) phi(t)/sqrt 24."""
    u4 = [relu_threshold(t).hermite_coefficient(4) * math.exp(t * t / 2) for t in (4.0, 6.0, 8.0)]
    exponents = np.diff(np.log(u4)) / np.diff(np.log([4.0, 6.0, 8.0]))
    assert np.all((exponents > 1.9) & (exponents < 2.2))


def test_lemma_10_mean_needs_a_moderate_sigma():
    """E[u_t(sigma g)] <= exp(-t^2/2 sigma^2) drops a factor sigma: false at sigma = t = 10."""
    mean = relu_threshold(10.0).expectation(np.ones_like, scale=10.0)
    assert mean > math.exp(-0.5)


def test_lemma_1():
    """Products of two units stay below rho(t, 1) kappa rho(t, |W|), and fall at the exact exponents."""
    frame = experiment.remainder.run("quick", seed=0, n_jobs=1)
    assert np.all(frame["product"] <= frame["bound"])
    # Independent of the quadrature: orthant probabilities at t = 0.
    sign = frame[(frame["activation"] == "sign") & (frame["t"] == 0.0)]["product"].item()
    assert sign == pytest.approx(0.25 + math.asin(0.2) / (2 * math.pi), rel=1e-9)
    for ratio in experiment.slopes(frame).values():
        assert ratio == pytest.approx(1.0, abs=0.05)


def test_products_enter_the_fourth_moment():
    """E[X_i X_j H_4] is not zero: what biases the minima."""
    pairs = dict.fromkeys(itertools.combinations(range(3), 2), 1.0)
    f = HiddenPolynomial(np.eye(3), U, pairs)
    assert abs(f.hermite_moment(4, [1.0, 1.0, 0.0])[0]) > 1e-4
