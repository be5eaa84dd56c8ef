"""The square loss: ZS Sections 2 and 4."""

import numpy as np
import pytest

from nnmoments.activations import (
    SLIDES,
    leaky_relu,
    linear,
    quadratic,
    relu,
    sign_threshold,
    squared_relu,
    tanh,
)
from nnmoments.landscapes import (
    SquareLoss,
    SquareLossOfBoth,
    convexity_constants,
    levenberg_marquardt,
    population_hessian,
)
from nnmoments.networks import OneHiddenLayer, conditioned_weights
from nnmoments.optimize import gradient_descent

SMOOTH = [a for a in SLIDES if not a.breakpoints]


def _problem(activation, *, n=400, d=4, k=3, seed=0):
    rng = np.random.default_rng(seed)
    network = OneHiddenLayer(
        conditioned_weights(k, d, condition=2.0, rng=rng), activation, np.resize([1.0, -1.0], k)
    )
    X = rng.standard_normal((n, d))
    return network, SquareLoss(X, network(X), activation, network.output), rng


@pytest.mark.parametrize("activation", SMOOTH, ids=lambda a: a.name)
def test_gradient_and_hessian_pass_the_taylor_slope_check(activation):
    """The remainders of first and second order fall like h^2 and h^3."""
    network, loss, rng = _problem(activation)
    weights = network.weights + 0.3 * rng.standard_normal(network.weights.shape)
    direction = rng.standard_normal(weights.shape)
    value, gradient = loss.value_and_gradient(weights)
    assert value == pytest.approx(loss.value(weights))
    slope = np.sum(gradient * direction)
    bend = np.sum(direction * loss.hessian_product(weights, direction))
    steps = np.geomspace(1e-3, 1e-1, 5)
    values = np.array([loss.value(weights + h * direction) for h in steps])
    first = np.abs(values - value - steps * slope)
    second = np.abs(values - value - steps * slope - steps**2 * bend / 2)
    if first.max() > 1e-12:
        assert np.polyfit(np.log(steps), np.log(first), 1)[0] == pytest.approx(2.0, abs=0.3)
    if second.max() > 1e-10:
        assert np.polyfit(np.log(steps), np.log(second), 1)[0] == pytest.approx(3.0, abs=0.4)


@pytest.mark.parametrize("activation", [squared_relu, tanh], ids=lambda a: a.name)
def test_dense_hessian_is_the_matrix_of_the_products(activation):
    network, loss, _ = _problem(activation)
    weights = network.weights + 0.1
    columns = [loss.hessian_product(weights, e.reshape(3, 4)).ravel() for e in np.eye(12)]
    np.testing.assert_allclose(loss.hessian(weights), np.array(columns).T, atol=1e-12)


@pytest.mark.parametrize("activation", SLIDES, ids=lambda a: a.name)
def test_population_hessian_is_the_limit_of_the_empirical_one(activation):
    """ZS Section 4 at W*, entry by entry in standard errors."""
    network, _, rng = _problem(activation, d=3, k=2)
    exact = population_hessian(network.weights, activation, network.output)
    blocks = []
    for _ in range(30):
        X = rng.standard_normal((3000, 3))
        loss = SquareLoss(X, network(X), activation, network.output)
        blocks.append(loss.hessian(network.weights))
    error = np.std(blocks, axis=0, ddof=1) / np.sqrt(30)
    # 36 entries and 8 activations; |t_29| > 7.5 has probability 3e-8.
    assert np.all(np.abs(np.mean(blocks, axis=0) - exact) < 7.5 * error + 1e-12)


def test_population_hessian_of_parallel_weights_and_one_dimension():
    np.testing.assert_allclose(population_hessian([[2.0]], relu), [[0.5]], atol=1e-12)
    twice = population_hessian([[1.0, 0.0], [2.0, 0.0]], relu)
    np.testing.assert_allclose(twice, 0.5 * np.kron(np.ones((2, 2)), np.eye(2)), atol=1e-12)
    with pytest.raises(ValueError, match="no breakpoints other than 0"):
        population_hessian(np.eye(2), sign_threshold(1.0))


def _both_active(angle):
    """E[1(x_1 > 0) 1(u.x > 0) x x^T] in three dimensions, u at the angle from e_1 in the first two."""
    share = (np.pi - angle) / (2.0 * np.pi)
    bend = np.array([[np.sin(2.0 * angle), 1.0 - np.cos(2.0 * angle)], [0.0, -np.sin(2.0 * angle)]])
    plane = share * np.eye(2) + (bend + np.triu(bend, 1).T) / (4.0 * np.pi)
    return np.block([[plane, np.zeros((2, 1))], [np.zeros((1, 2)), np.full((1, 1), share)]])


@pytest.mark.parametrize("angle", [0.3, 1.2, 2.0, 3.0])
@pytest.mark.parametrize("activation", [relu, leaky_relu], ids=lambda a: a.name)
def test_population_hessian_of_two_kinks_in_closed_form(activation, angle):
    """The integral of (cos, sin)(cos, sin)^T over the sector where both are active, by hand."""
    least = float(activation.derivative(1, -1.0))
    weights = np.array([[2.0, 0.0, 0.0], [3.0 * np.cos(angle), 3.0 * np.sin(angle), 0.0]])
    found = population_hessian(weights, activation)[:3, 3:]
    exact = least * np.eye(3) + (1.0 - least) ** 2 * _both_active(angle)  # least^2 + least (1 - least)
    np.testing.assert_allclose(found, exact, atol=1e-12)


@pytest.mark.parametrize("activation", SLIDES, ids=lambda a: a.name)
def test_local_convexity_of_the_slides_activations(activation):
    """Slides: lambda_min = 0 for linear and quadratic; Theorem 4.2: at least rho for W* = I."""
    smallest = np.linalg.eigvalsh(population_hessian(np.eye(4), activation))[0]
    if activation in (linear, quadratic):
        assert smallest == pytest.approx(0.0, abs=1e-12)
    else:
        assert smallest >= activation.rho(1.0) * (1 - 1e-9)


def test_constants_of_definition_4_1():
    weights = np.diag([4.0, 2.0, 1.0])
    found = convexity_constants(weights, squared_relu, [1.0, -2.0, 1.0])
    assert (found.kappa, found.lam) == (4.0, 8.0)
    assert found.upper == pytest.approx(3 * 4 * 16)
    assert found.lower == pytest.approx(squared_relu.rho(1.0) / (16 * 8))
    assert found.lower <= found.m0 < found.M0
    # Cauchy-Schwarz: M_0 <= k v_max^2 max_j E[phi'(w_j.x)^2 (a.x)^2] = 6 k v_max^2 sigma_1^2
    assert 6.0 * found.upper >= found.M0
    with pytest.raises(ValueError, match="full row rank"):
        convexity_constants([[1.0, 0.0], [2.0, 0.0]], relu)


def test_gradient_descent_contracts_as_theorem_4_4_says():
    network, loss, rng = _problem(squared_relu, n=5000)
    constants = convexity_constants(network.weights, squared_relu, network.output)
    weights = network.weights + 0.01 * rng.standard_normal(network.weights.shape)
    bound = 1.0 - constants.m0 / constants.M0
    for _ in range(20):
        before = np.sum((weights - network.weights) ** 2)
        weights = gradient_descent(loss, weights, step=1.0 / constants.M0, max_iter=1).weights
        assert np.sum((weights - network.weights) ** 2) <= bound * before


def test_gradient_descent_reports_what_happened():
    network, loss, _ = _problem(squared_relu)
    far = gradient_descent(loss, 30.0 * network.weights, step=1.0)
    assert not far.converged
    assert "diverged" in far.status
    near = gradient_descent(loss, network.weights + 0.01, step=0.02, max_iter=500, target=1e-8)
    assert near.converged
    assert near.history[-1] <= 1e-8
    assert len(near.history) == near.n_iter + 1
    stopped = gradient_descent(loss, network.weights + 0.01, step=0.02, watch=lambda weights: True)
    assert stopped.n_iter == 0


def test_gradient_descent_learns_output_weights_and_resamples():
    network, loss, rng = _problem(squared_relu, n=2000)
    start = np.column_stack([network.weights, 0.9 * network.output])
    learned = gradient_descent(SquareLossOfBoth(loss.X, loss.y, squared_relu), start, step=0.02, max_iter=300)
    assert learned.history[-1] < 1e-3 * learned.history[0]
    assert np.abs(learned.weights[:, -1] - start[:, -1]).min() > 0.01

    def fresh():
        X = rng.standard_normal((500, 4))
        return SquareLoss(X, network(X), squared_relu, network.output)

    found = gradient_descent(loss, network.weights + 0.05, step=0.02, max_iter=300, fresh=fresh)
    assert found.history[-1] < 1e-3 * found.history[0]


@pytest.mark.parametrize("d", [4, 80])
def test_levenberg_marquardt_reaches_the_truth_dense_and_matrix_free(d):
    network, loss, rng = _problem(squared_relu, n=12 * d * 3, d=d)
    start = network.weights + 0.1 * rng.standard_normal(network.weights.shape)
    found = levenberg_marquardt(loss, start)
    assert found.converged
    np.testing.assert_allclose(found.weights, network.weights, atol=1e-7)
    assert np.all(np.diff(found.history) <= 0)


def test_levenberg_marquardt_says_converged_at_the_floor_of_noise():
    _, loss, rng = _problem(squared_relu, n=300)
    noisy = SquareLoss(loss.X, loss.y + 0.3 * rng.standard_normal(300), squared_relu, loss.output)
    found = levenberg_marquardt(noisy, rng.standard_normal((3, 4)))
    assert found.converged
    assert found.gradient_norm < 1e-4
    again = levenberg_marquardt(noisy, found.weights)
    assert again.converged
    assert again.n_iter < 8
    assert levenberg_marquardt(loss, found.weights, tol=0.5).n_iter <= found.n_iter


@pytest.mark.parametrize("d", [5, 80])
def test_curvature_is_the_hessian_without_bends(d):
    """J^T J / n, formed or by conjugate gradients, with the damping of its diagonal."""
    _, loss, rng = _problem(tanh, n=600, d=d)
    weights, right = rng.standard_normal((3, d)), rng.standard_normal((3, d))
    slopes = tanh.derivative(1, loss.X @ weights.T) * loss.output
    J = (slopes[:, :, None] * loss.X[:, None, :]).reshape(600, -1)
    N = J.T @ J / 600
    curvature = loss.curvature(weights)
    np.testing.assert_allclose(curvature.scale.ravel(), np.diag(N))
    expected = np.linalg.solve(N + 0.7 * np.diag(np.diag(N)), right.ravel())
    found = curvature.solve(right, 0.7).ravel()
    assert np.linalg.norm(found - expected) <= 2e-3 * np.linalg.norm(expected)
    np.testing.assert_array_equal(curvature.solve(np.zeros((3, d)), 0.7), 0.0)


def test_ones_among_the_inputs_make_biases():
    rng = np.random.default_rng(0)
    X, W, b = rng.standard_normal((400, 3)), np.eye(2, 3), np.array([0.5, -0.3])
    y = OneHiddenLayer(W, tanh, [1.0, -2.0], b)(X)
    loss = SquareLoss(np.column_stack([X, np.ones(400)]), y, "tanh", [1.0, -2.0])
    found = levenberg_marquardt(loss, np.column_stack([W, b]) + 0.1)
    np.testing.assert_allclose(found.weights, np.column_stack([W, b]), atol=1e-8)


def test_both_layers_at_once_by_finite_differences():
    _, loss, rng = _problem(tanh)
    both = SquareLossOfBoth(loss.X, loss.y, "tanh")
    at, along = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    slope = (both.value(at + 1e-6 * along) - both.value(at - 1e-6 * along)) / 2e-6
    assert np.sum(both.gradient(at) * along) == pytest.approx(slope, rel=1e-6)
    assert both.value(at) == SquareLoss(loss.X, loss.y, tanh, at[:, -1]).value(at[:, :-1])


def test_constants_grow_as_the_square_of_the_output():
    """The Hessian holds v_i v_j: twice the output, four times m_0 and M_0, and their bounds."""
    W = np.array([[1.0, 0.2, 0.0], [0.0, 1.5, 0.3]])
    one, two = (convexity_constants(W, "relu", c * np.array([1.0, -1.5])) for c in (1.0, 2.0))
    for name in ("lower", "upper", "m0", "M0"):
        assert getattr(two, name) == pytest.approx(4.0 * getattr(one, name), rel=1e-9)
    assert one.upper == pytest.approx(2 * 1.5**2)  # k v_max^2: relu' does not grow
