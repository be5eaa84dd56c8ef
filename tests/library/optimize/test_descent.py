"""Gradient steps against their closed form, quasi-Newton against a least-squares solution."""

import pickle

import numpy as np
import pytest

from nnmoments.optimize import Loss, gradient_descent, quasi_newton


class Quadratic(Loss):
    """w H w / 2 - b w."""

    def __init__(self, H, b):
        self.H, self.b = np.asarray(H, dtype=float), np.asarray(b, dtype=float)

    def value_and_gradient(self, weights):
        flat = weights.ravel()
        slope = self.H @ flat - self.b
        return 0.5 * float(flat @ (slope - self.b)), slope.reshape(weights.shape)


H, B = np.diag([1.0, 4.0]), np.array([1.0, 2.0])


def test_steps_contract_by_the_curvature():
    """w_t - w* = (I - eta H)^t (w_0 - w*)."""
    start, best, t = np.array([3.0, -1.0]), np.linalg.solve(H, B), 7
    found = gradient_descent(Quadratic(H, B), start, step=0.1, max_iter=t)
    left = (1.0 - 0.1 * np.diag(H)) ** t * (start - best)
    np.testing.assert_allclose(found.weights - best, left, rtol=1e-12)
    assert (found.n_iter, len(found.history), found.converged) == (t, t + 1, False)
    assert found.history[0] == Quadratic(H, B).value(start)
    assert found.value == found.history[-1] == Quadratic(H, B).value(found.weights)
    assert found.gradient_norm == pytest.approx(np.linalg.norm(H @ left))
    assert "raise max_iter" in found.status


def test_tolerance_is_relative_to_the_loss():
    loss, near = Quadratic(np.eye(1), [1000.0]), [1000.0 - 4.0]  # gradient 4, loss about -5e5
    assert gradient_descent(loss, near, step=1.0, max_iter=0).converged
    assert not gradient_descent(loss, near, step=1.0, max_iter=0, tol=1e-6).converged


def test_target_and_watch_end_a_descent():
    loss, seen = Quadratic(H, [0.0, 0.0]), []
    found = gradient_descent(loss, [1.0, 1.0], step=0.1, target=0.1)
    assert found.converged
    assert found.history[-1] <= 0.1 < found.history[-2]
    watched = gradient_descent(loss, [1.0, 1.0], step=0.1, max_iter=10, watch=seen.append, every=4)
    assert [len(seen), watched.n_iter] == [3, 10]
    np.testing.assert_allclose(seen[1], (1.0 - 0.1 * np.diag(H)) ** 4)
    ended = gradient_descent(loss, [1.0, 1.0], step=0.1, watch=lambda w: np.bool_(w[0] < 0.95), every=2)
    assert (ended.n_iter, ended.converged, ended.status) == (2, True, "ended after 2 steps")
    # A watcher that returns a number watches only.
    assert gradient_descent(loss, [1.0, 1.0], step=0.1, max_iter=3, watch=loss.value).n_iter == 3


def test_fresh_losses_are_drawn_once_a_step():
    drawn = []

    def fresh():
        drawn.append(len(drawn))
        return Quadratic(np.eye(1), [float(len(drawn))])

    found = gradient_descent(Quadratic(np.eye(1), [0.0]), [0.0], step=1.0, max_iter=3, fresh=fresh)
    assert drawn == [0, 1, 2, 3]
    np.testing.assert_allclose(found.weights, [3.0])


@pytest.mark.parametrize("step", [3.0, 1e120])
def test_divergence_is_said(step):
    found = gradient_descent(Quadratic(H, B), [1.0, 1.0], step=step)
    assert (found.value, found.converged) == (np.inf, False)
    assert found.n_iter < 40
    assert "lower the step" in found.status


def test_quasi_newton_solves_a_quadratic_in_any_shape():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((6, 6))
    loss = Quadratic(root @ root.T + np.eye(6), rng.standard_normal(6))
    found = quasi_newton(loss, np.zeros((2, 3)), tol=1e-10)
    np.testing.assert_allclose(found.weights.ravel(), np.linalg.solve(loss.H, loss.b), atol=1e-8)
    assert found.converged
    assert found.history[0] == 0.0
    assert found.history.min() == pytest.approx(found.value)
    assert pickle.loads(pickle.dumps(found)) == found
    short = quasi_newton(loss, np.zeros((2, 3)), max_iter=1)
    assert not short.converged
    assert "raise max_iter" in short.status


def test_quasi_newton_returns_the_start_where_there_is_no_bottom():
    found = quasi_newton(Quadratic(-np.eye(2), B), [1.0, 2.0])
    assert found.value == np.inf
    assert not found.converged
    np.testing.assert_array_equal(found.weights, [1.0, 2.0])


def test_a_loss_far_below_zero_counts_as_bottomless():
    class Abyss(Loss):
        def value_and_gradient(self, w):
            return -1e31 * float(np.tanh(w).sum()), -1e31 / np.cosh(w) ** 2

    assert "raise lam" in quasi_newton(Abyss(), [0.5]).status


def test_a_loss_says_what_it_lacks():
    with pytest.raises(TypeError, match="abstract"):
        Loss()


@pytest.mark.parametrize(
    ("name", "value"),
    [("step", 0.0), ("max_iter", -1), ("tol", 0.0), ("target", np.nan), ("every", 0), ("start", [np.nan])],
)
def test_arguments_are_checked(name, value):
    options = {"start": [1.0, 1.0], "step": 0.1, name: value}
    with pytest.raises(ValueError, match=name):
        gradient_descent(Quadratic(H, B), options.pop("start"), **options)
    if name in ("max_iter", "tol", "start"):
        options = {"start": [1.0, 1.0], name: value}
        with pytest.raises(ValueError, match=name):
            quasi_newton(Quadratic(H, B), options.pop("start"), **options)
