"""Damped Newton: single steps by hand, fits by scipy's least_squares, ends at the rounding floor."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from nnmoments.optimize import GainRatio, LeastSquares, NormalMatrix, Tenfold, damped_newton


class Fit(LeastSquares):
    """|r(w)|^2 / 2 of residuals r and their Jacobian; N times `trust`."""

    def __init__(self, residual, jacobian, trust=1.0):
        self.residual, self.jacobian, self.trust = residual, jacobian, trust

    def value_and_gradient(self, w):
        r = self.residual(w)
        return 0.5 * float(r @ r), self.jacobian(w).T @ r

    def curvature(self, w):
        normal = self.jacobian(w).T @ self.jacobian(w) * self.trust
        return NormalMatrix(normal, np.diag(normal))


T = np.linspace(0.0, 2.0, 9)
NOISY = 2.0 * np.exp(-1.5 * T) + 0.05 * np.cos(9.0 * T)


def decay(labels, trust=1.0):
    return Fit(
        lambda w: w[0] * np.exp(-w[1] * T) - labels,
        lambda w: np.stack([np.exp(-w[1] * T), -w[0] * T * np.exp(-w[1] * T)], axis=1),
        trust,
    )


def test_the_first_step_is_damped():
    """-(N + mu D)^-1 g, with D the diagonal of N."""
    loss, start = decay(NOISY), np.array([1.0, 0.0])
    _, gradient = loss.value_and_gradient(start)
    J = loss.jacobian(start)
    N = J.T @ J
    step = -np.linalg.solve(N + 0.5 * np.diag(np.diag(N)), gradient)
    told = []
    found = damped_newton(
        loss, start, max_iter=1, damping=GainRatio(0.5), stop=lambda s: bool(told.append(s))
    )
    # Nielsen's ratio is of the gain to that of the model f + g h + h N h / 2, without the damping.
    ratio = (found.history[0] - found.history[1]) / -(gradient @ step + 0.5 * step @ N @ step)
    assert told[0].damping == pytest.approx(0.5 * max(1 / 3, 1 - (2 * ratio - 1) ** 3), rel=1e-9)
    assert 0.55 < ratio < 0.9  # neither bound of the rule
    np.testing.assert_allclose(found.weights, start + step, rtol=1e-12)
    assert (found.n_iter, found.converged) == (1, False)
    assert "raise max_iter" in found.status


@pytest.mark.parametrize("damping", [GainRatio, Tenfold])
def test_a_fit_with_residuals_ends_at_scipys_and_soon(damping):
    """At the floor no step descends; the promise of the model says so at once."""
    loss = decay(NOISY)
    found = damped_newton(loss, [1.0, 1.0], damping=damping())
    expected = least_squares(loss.residual, [1.0, 1.0], jac=loss.jacobian, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    np.testing.assert_allclose(found.weights, expected.x, rtol=1e-6)
    assert found.converged
    assert found.n_iter < 25
    assert np.all(np.diff(found.history) <= 1e-15)
    assert found.value == pytest.approx(loss.value(found.weights))


def test_a_fit_without_residuals_is_quadratic():
    found = damped_newton(decay(2.0 * np.exp(-1.5 * T)), [1.0, 1.0])
    np.testing.assert_allclose(found.weights, [2.0, 1.5], rtol=1e-12)
    assert found.converged
    assert found.n_iter < 20


def test_steps_too_long_are_rejected():
    """A model with a hundredth of the curvature overshoots until it is damped enough."""
    steps = []
    found = damped_newton(
        decay(NOISY, trust=0.01), [1.0, 1.0], stop=lambda step: bool(steps.append(step)), max_iter=300
    )
    assert found.converged
    np.testing.assert_allclose(found.weights, damped_newton(decay(NOISY), [1.0, 1.0]).weights, rtol=1e-5)
    first = steps[0]
    assert (first.accepted, first.gain, first.value) == (False, 0.0, found.history[0])
    np.testing.assert_array_equal(first.weights, [1.0, 1.0])
    np.testing.assert_array_equal(first.gradient, decay(NOISY).gradient(np.ones(2)))
    assert first.damping == 2e-3
    taken = next(step for step in steps if step.accepted)
    assert taken.gain == pytest.approx(found.history[0] - taken.value)
    np.testing.assert_allclose(taken.weights, 1.0 + taken.move)


def test_the_promise_is_what_the_next_step_gains():
    steps = []
    damped_newton(decay(NOISY), [1.9, 1.45], stop=lambda step: bool(steps.append(step)), max_iter=2)
    assert steps[0].promise == pytest.approx(steps[1].gain, rel=0.1)


def test_stop_and_rounding_end_a_descent():
    loss = decay(NOISY)
    assert damped_newton(loss, [1.0, 1.0], stop=lambda step: step.value < 0.2).n_iter < 4
    value, gradient = loss.value_and_gradient(np.ones(2))
    # A first step that promises less than rounding hides is not taken.
    at_once = damped_newton(loss, [1.0, 1.0], rounding=value)
    assert (at_once.n_iter, at_once.converged, at_once.value) == (0, True, value)
    assert at_once.gradient_norm == pytest.approx(np.linalg.norm(gradient))


def test_retraction():
    """The point of the unit circle nearest to a."""
    a = np.array([3.0, 4.0])
    loss = Fit(lambda w: w - a, lambda w: np.eye(2))
    found = damped_newton(loss, [1.0, 0.0], retract=lambda w: w / np.linalg.norm(w), max_iter=200)
    np.testing.assert_allclose(found.weights, a / 5.0, atol=1e-6)


def test_a_wrong_gradient_is_given_up():
    loss = Fit(lambda w: w - 1.0, lambda w: -np.eye(2))
    found = damped_newton(loss, [3.0, 3.0])
    assert not found.converged
    assert "no step descends" in found.status
    np.testing.assert_array_equal(found.weights, [3.0, 3.0])


def test_a_matrix_that_cannot_be_factored_is_damped_more():
    class Indefinite(Fit):
        def curvature(self, w):
            return NormalMatrix(np.diag([1.0, -1.0]), np.ones(2))

    found = damped_newton(Indefinite(lambda w: w - 1.0, lambda w: np.eye(2)), [3.0, 3.0])
    np.testing.assert_allclose(found.weights, 1.0, atol=1e-6)


def test_nielsens_rule():
    """mu max(1/3, 1 - (2 rho - 1)^3), and 2, 4, 8 after rejections in a row."""
    for ratio, factor in [(1.0, 1 / 3), (1e200, 1 / 3), (0.5, 1.0), (0.25, 1.125), (0.0, 2.0)]:
        damping = GainRatio(1.0)
        damping.accepted(ratio)
        assert damping.value == pytest.approx(factor)
    damping = GainRatio(1.0)
    for expected in (2.0, 8.0, 64.0):
        damping.rejected()
        assert damping.value == expected
    damping.accepted(0.5)
    damping.rejected()
    assert damping.value == 128.0


def test_tenfold_rule():
    damping = Tenfold(1.0, least=0.05, retry=20.0)
    for expected in (0.1, 0.05):
        damping.accepted(1.0)
        assert damping.value == pytest.approx(expected)
    for expected in (20.0, 200.0):
        damping.rejected()
        assert damping.value == pytest.approx(expected)


def test_a_normal_matrix_is_factored_for_each_damping():
    rng = np.random.default_rng(0)
    J, scale, right = rng.standard_normal((9, 4)), rng.uniform(1, 2, (2, 2)), rng.standard_normal((2, 2))
    normal = NormalMatrix(J.T @ J, scale)
    for damping in (0.1, 0.1, 2.0):
        expected = np.linalg.solve(J.T @ J + damping * np.diag(scale.ravel()), right.ravel())
        np.testing.assert_allclose(normal.solve(right, damping).ravel(), expected)


@pytest.mark.parametrize(("name", "value"), [("max_iter", 0), ("rounding", np.nan), ("tol", "small")])
def test_arguments_are_checked(name, value):
    with pytest.raises(ValueError, match=name):
        damped_newton(decay(NOISY), [1.0, 1.0], **{name: value})
    with pytest.raises(ValueError, match="value must be a number above"):
        GainRatio(0.0)
