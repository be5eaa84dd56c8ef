"""L(A) and G(A): brute force, Taylor checks, GM Examples, (21), (22), Theorem 2."""

import itertools

import numpy as np
import pytest

from nnmoments.activations import relu
from nnmoments.densities import GaussianMixture, StandardNormal
from nnmoments.landscapes import (
    FourthOrderLoss,
    landscape_rows,
    orthogonal_closed_form,
    parameter_error,
    random_rows,
)
from nnmoments.linalg import match_rows, outer_power, symmetrize
from nnmoments.moments import ControlVariate, SampledMoment, TensorMoment, cross_moment
from nnmoments.optimize import classify, gradient_descent, quasi_newton


def apply(T, *vectors):
    for u in vectors:
        T = np.tensordot(T, u, axes=(0, 0))
    return float(T)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_loss_is_gm_19(rng, sign):
    T, A, mu, lam = symmetrize(rng.standard_normal((4,) * 4)), rng.standard_normal((3, 4)), 0.3, 2.0
    crossed = sum(apply(T, a, a, b, b) for a, b in itertools.permutations(A, 2))
    own = sum(apply(T, a, a, a, a) for a in A)
    norms = np.linalg.norm(A, axis=1)
    for name, penalty in (("squared", (norms**2 - 1) ** 2), ("plain", (norms - 1) ** 2)):
        loss = FourthOrderLoss(TensorMoment(T), mu, lam, sign, name)
        assert loss.value(A) == pytest.approx(sign * (crossed - mu * own) + lam * penalty.sum())


def losses(rng):
    T, X, y = rng.standard_normal((4,) * 4), rng.standard_normal((60, 4)), rng.standard_normal(60)
    return [
        FourthOrderLoss(TensorMoment(T), 0.3, 2.0),
        FourthOrderLoss(TensorMoment(T), 0.3, 2.0, -1.0, "plain"),
        FourthOrderLoss(SampledMoment(X, y, hermite=True), 0.3, 2.0),
        FourthOrderLoss(SampledMoment(np.sign(X), y, hermite=False), 30.0, 2.0),
    ]


@pytest.mark.parametrize("which", range(4))
def test_gradient_and_hessian_by_taylor_slopes(rng, which):
    """Remainders fall like e^2 and e^3."""
    loss = losses(rng)[which]
    A, D = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    first = np.sum(loss.gradient(A) * D)
    second = 0.5 * D.ravel() @ loss.hessian(A) @ D.ravel()
    steps = np.array([1e-2, 5e-3, 2.5e-3, 1.25e-3])
    change = np.array([loss.value(A + e * D) - loss.value(A) for e in steps])
    slopes = [
        np.polyfit(np.log(steps), np.log(np.abs(rest)), 1)[0]
        for rest in (change - steps * first, change - steps * first - steps**2 * second)
    ]
    assert slopes[0] == pytest.approx(2.0, abs=0.1)
    assert slopes[1] == pytest.approx(3.0, abs=0.2)


def test_batch_axes(rng):
    loss = FourthOrderLoss(TensorMoment(rng.standard_normal((4,) * 4)), 0.3, 2.0)
    A = rng.standard_normal((5, 3, 4))
    np.testing.assert_allclose(loss.value(A), [loss.value(a) for a in A])
    np.testing.assert_allclose(loss.gradient(A), [loss.gradient(a) for a in A])


def test_sampled_hermite_moment_is_that_of_the_gaussian_score(rng):
    """G of Ge, Lee and Ma is L with the score of N(0, I)."""
    X, y = rng.standard_normal((80, 4)), rng.standard_normal(80)
    exact = TensorMoment(cross_moment(X, y, StandardNormal(4), 4).value)
    sampled, A = SampledMoment(X, y, hermite=True), rng.standard_normal((3, 4))
    for ours, theirs in zip(sampled.cubic(A), exact.cubic(A), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)
    np.testing.assert_allclose(sampled.pairs(A), exact.pairs(A), atol=1e-11)


def gaussian_t1(x, u, v):
    """GM Example 1."""
    a, b = x @ u, x @ v
    uu, vv, uv = u @ u, v @ v, u @ v
    return a**2 * b**2 - uu * b**2 - 4 * a * b * uv - vv * a**2 + uu * vv + 2 * uv**2


def test_example_1(rng):
    x, u, v = rng.standard_normal((20, 3)), *rng.standard_normal((2, 3))
    np.testing.assert_allclose(StandardNormal(3).contract(x, u, u, v, v), gaussian_t1(x, u, v))
    t2 = (x @ u) ** 4 - 6 * (u @ u) * (x @ u) ** 2 + 3 * (u @ u) ** 2
    np.testing.assert_allclose(StandardNormal(3).contract(x, u, u, u, u), t2)


def test_example_2(rng):
    means = np.array([[1.0, 0.5, 0.0], [-1.0, 0.0, 0.3]])
    f = GaussianMixture([0.3, 0.7], means)
    x, u, v = rng.standard_normal((20, 3)), *rng.standard_normal((2, 3))
    joint = np.array([0.3, 0.7]) * np.exp(-0.5 * np.sum((x[:, None] - means) ** 2, axis=2))
    posterior = joint / joint.sum(axis=1, keepdims=True)
    expected = sum(posterior[:, c] * gaussian_t1(x - means[c], u, v) for c in range(2))
    np.testing.assert_allclose(f.contract(x, u, u, v, v), expected)


def test_equation_7_needs_a_symmetrisation():
    """GM (7) prints 3 (G_2 (x) G_2) without sym: at x = 0 with u orthogonal to v it gives 3, S_4 gives 1."""
    u, v = np.eye(2)
    assert StandardNormal(2).contract(np.zeros((1, 2)), u, u, v, v).item() == pytest.approx(1.0)
    printed = 3 * np.einsum("ab,cd->abcd", -np.eye(2), -np.eye(2))
    assert apply(printed, u, u, v, v) == pytest.approx(3.0)


def test_equation_21(rng):
    W = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    kappa = rng.uniform(0.5, 2.0, 4)
    T = np.tensordot(kappa, outer_power(W, 4), axes=(0, 0))
    loss = FourthOrderLoss(TensorMoment(T), 0.2, 3.0)
    for _ in range(5):
        A = rng.standard_normal((4, 4))
        assert loss.value(A) == pytest.approx(orthogonal_closed_form(A, W, kappa, 0.2, 3.0))


def test_error_of_equation_22():
    """The printed outer min calls two equal rows perfect; (A*)^-1 A permutes columns, not rows."""
    W = np.array([[1.0, 0.2, 0.0], [0.0, 1.0, 0.0], [0.3, 0.0, 1.0]])
    shuffled = -2.0 * W[[2, 0, 1]]
    assert parameter_error(shuffled, W) == pytest.approx(0.0, abs=1e-12)
    assert parameter_error(np.eye(2)[[0, 0]], np.eye(2)) == 1.0
    assert parameter_error(np.eye(2)[[0, 0]], np.eye(2), printed=True) == 0.0
    printed_product = np.linalg.inv(W) @ shuffled / np.linalg.norm(shuffled, axis=1, keepdims=True)
    assert abs(np.abs(printed_product).max(axis=1).min() - 1.0) > 0.01
    assert parameter_error(W[:2], W[:2]) == pytest.approx(0.0, abs=1e-12)  # k < d


def test_error_of_oblique_rows_is_a_cosine(rng):
    """A W^-1, the foil, calls wrong rows right where W is oblique, and goes below zero."""
    W, A = np.array([[1.0, 0.0], [0.8, 0.6]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    foil = np.abs(A @ np.linalg.inv(W))
    assert max(1.0 - foil.max(axis=1).min(), 1.0 - foil.max(axis=0).min()) < 1e-12
    assert parameter_error(A, W) == pytest.approx(0.4)  # (0, 1) has the cosine .6 with (.8, .6)
    assert parameter_error(A, W, printed=True) == pytest.approx(0.2)
    for k, d in ((2, 2), (3, 5), (6, 4)):  # no more than d rows, or more
        W, A = rng.standard_normal((k, d)), rng.standard_normal((3, d))
        cosines = np.array([[abs(a @ w) / np.linalg.norm(a) / np.linalg.norm(w) for w in W] for a in A])
        missed = max(1.0 - cosines.max(axis=1).min(), 1.0 - cosines.max(axis=0).min())
        assert parameter_error(A, W) == pytest.approx(missed)
    Q = np.linalg.qr(W[:4])[0]  # an orthogonal W: the paper's product
    product = np.abs(A @ np.linalg.inv(Q)) / np.linalg.norm(A, axis=1, keepdims=True)
    assert parameter_error(A, Q, printed=True) == pytest.approx(
        min(1.0 - product.max(axis=1).min(), 1.0 - product.max(axis=0).min())
    )


def test_theorem_2_end_points(rng):
    W = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    loss = FourthOrderLoss(TensorMoment(outer_power(W, 4).sum(axis=0)), 0.01, 100.0)
    for start in random_rows(5, 5, count=10, rng=rng):
        end = quasi_newton(loss, start)
        assert classify(loss, end.weights).kind == "minimum"
        assert parameter_error(end.weights, W) < 1e-3
    # A row repeated is a saddle direction away: symmetric points descend.
    assert classify(loss, np.zeros((5, 5))).kind == "saddle"


def test_two_rows_on_one_neuron_are_a_strict_saddle():
    """Towards the neuron they miss only the penalty bends, by 4 lam (b^2 - 1), close to -4 kappa."""
    mu, lam = 0.009, 100.0
    loss = FourthOrderLoss(TensorMoment(outer_power(np.eye(3), 4).sum(axis=0)), mu, lam)
    twice, once = np.sqrt(lam / (lam + 1.0 - mu)), np.sqrt(lam / (lam - mu))
    A = np.array([[twice, 0.0, 0.0], [twice, 0.0, 0.0], [0.0, once, 0.0]])
    assert np.linalg.norm(loss.gradient(A)) < 1e-10
    assert np.linalg.eigvalsh(loss.hessian(A))[0] == pytest.approx(4.0 * lam * (twice**2 - 1.0))
    assert 4.0 * lam * (twice**2 - 1.0) < -3.9


def test_theorem_3(rng):
    """The empirical loss for Gaussian input has one minimum up to order and signs, near the weights."""
    f, W = StandardNormal(3), np.linalg.qr(rng.standard_normal((3, 3)))[0]
    X = f.sample(40_000, rng=rng)
    moment = TensorMoment(cross_moment(X, relu(X @ W.T).sum(axis=1), f, 4, control=ControlVariate()).value)
    loss = FourthOrderLoss(moment, 0.01, 100.0, sign=-1.0)
    ends = [quasi_newton(loss, A).weights for A in random_rows(3, 3, count=6, rng=rng)]
    assert max(match_rows(A, ends[0]).worst for A in ends) < 1e-3
    assert match_rows(ends[0], W).worst < 0.15


def test_gradient_descent_reports(rng):
    loss = FourthOrderLoss(TensorMoment(outer_power(np.eye(2), 4).sum(axis=0)), 0.01, 100.0)
    start = random_rows(2, 2, rng=rng)
    seen = []
    good = gradient_descent(loss, start, step=1e-3, max_iter=8000, watch=seen.append, every=1000)
    assert good.converged
    np.testing.assert_array_equal(good.history[::1000], [loss.value(A) for A in seen])
    assert np.all(np.diff(good.history) <= 1e-9)
    assert "diverged" in gradient_descent(loss, start, step=1.0, max_iter=200).status
    assert "raise max_iter" in gradient_descent(loss, start, step=1e-6, max_iter=3).status


def test_quasi_newton_reports_a_loss_without_bound():
    loss = FourthOrderLoss(TensorMoment(outer_power(np.eye(2), 4).sum(axis=0)), 30.0, 1.0)
    end = quasi_newton(loss, np.eye(2))
    assert not end.converged
    assert "raise lam" in end.status


def test_a_row_outside_the_span_is_stuck(rng):
    """k < d: conditions of Theorem 2 hold at a point that misses a neuron (against GM Remark 3)."""
    basis = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    mu, lam, k = 0.009, 100.0, 2
    W = basis[:k]
    loss = FourthOrderLoss(TensorMoment(outer_power(W, 4).sum(axis=0)), mu, lam)
    A = np.stack([basis[0] * np.sqrt(lam / (lam - mu)), basis[3]])
    tau = 0.01 * mu / k
    assert np.linalg.norm(loss.gradient(A)) < 1e-10
    assert np.linalg.eigvalsh(loss.hessian(A))[0] > -tau
    assert parameter_error(A, W) == pytest.approx(1.0)
    # It is no minimum: along the missing neuron L falls, but only with the fourth power.
    fall = [loss.value(A + e * np.outer([0, 1], basis[1])) - loss.value(A) for e in (0.1, 0.2)]
    norm = [lam * ((1 + e**2 - 1) ** 2) for e in (0.1, 0.2)]
    np.testing.assert_allclose(np.array(fall) - norm, [-mu * e**4 for e in (0.1, 0.2)], rtol=1e-6)


def test_moment_of_signs():
    """E s^4 = 3 sym(I (x) I) - 2 sum e_i^4 over all sign vectors; L does not see which axes rows take."""
    d = 4
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=d)))
    tensor = np.einsum("na,nb,nc,nd->abcd", signs, signs, signs, signs) / len(signs)
    printed = 3.0 * symmetrize(np.einsum("ab,cd->abcd", np.eye(d), np.eye(d)))
    np.testing.assert_allclose(tensor, printed - 2.0 * outer_power(np.eye(d), 4).sum(axis=0), atol=1e-12)
    loss = FourthOrderLoss(TensorMoment(tensor), 30.0, 1.0)
    values = [loss.value(np.eye(d)[list(rows)]) for rows in itertools.product(range(d), repeat=d)]
    np.testing.assert_allclose(values, values[0], rtol=1e-12)


def test_signs_hold_no_network(rng):
    """E[y sgn(x)^4] = E[y] E[sgn(x)^4] for y = sum relu(x_i): in each sample where squares meet."""
    X = rng.laplace(size=(50, 3))
    y = relu(X).sum(axis=1)
    moment = SampledMoment(np.sign(X), y, hermite=False)
    for a, b in itertools.product(np.eye(3), repeat=2):
        held = moment.pairs(np.stack([a, b]))[0, 0]
        assert b @ held @ b == pytest.approx(y.mean())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TensorMoment(np.zeros((2, 2, 2, 3))), "4 equal axes"),
        (lambda: FourthOrderLoss(TensorMoment(np.zeros((2,) * 4)), 0.1, -1.0), "lam must be"),
        (lambda: FourthOrderLoss(TensorMoment(np.zeros((2,) * 4)), 0.1, 1.0, 0.0), "sign must be one of"),
        (lambda: SampledMoment(np.zeros((3, 2)), np.zeros(2), hermite=True), "as many rows"),
        (lambda: random_rows(0, 2, rng=0), "k must be"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rows_of_a_moment_of_any_size(rng, sign):
    """Scaled to the largest kappa, so that Theorem 2's weights fit; GM's steps reach the same rows."""
    W = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    moment = TensorMoment(sign * 1e-3 * np.tensordot([1.0, 0.8, 1.2], outer_power(W, 4), axes=(0, 0)))
    found = landscape_rows(moment, 3, n_starts=6, rng=0)
    assert found.converged
    assert (found.sign, found.agreement) == (sign, 1.0)
    assert match_rows(found.rows, W).worst < 1e-3
    np.testing.assert_allclose(np.linalg.norm(found.rows, axis=1), 1.0)
    steps = landscape_rows(moment, 3, n_starts=2, solver="gradient", step=2e-3, max_iter=5000, rng=0)
    assert match_rows(steps.rows, found.rows).worst < 1e-2
    # L at the weights of length one, of the scaled moment: -mu sum kappa / max kappa, and slightly lower.
    assert found.value == pytest.approx(-0.01 * 3.0 / 1.2, rel=1e-3)


def test_starts_that_disagree_are_reported(rng):
    """A tensor of noise has many minima."""
    noise = TensorMoment(rng.standard_normal((6,) * 4))
    found = landscape_rows(noise, 6, n_starts=8, rng=0)
    assert found.agreement <= 0.5
    assert not found.converged
    assert "pass more samples" in found.status
    ends = landscape_rows(noise, 6, n_starts=1, rng=0)
    assert ends.value >= found.value


def test_landscape_rows_refuse():
    moment = TensorMoment(np.zeros((2,) * 4))
    with pytest.raises(ValueError, match="moment must be of order 4, got 2"):
        landscape_rows(TensorMoment(np.eye(2)), 1)
    for name, value in [("k", 3), ("n_starts", 0), ("solver", "newton"), ("lam", 0.0), ("tol", -1.0)]:
        with pytest.raises(ValueError, match=name):
            landscape_rows(moment, **({"k": 1} | {name: value}))
