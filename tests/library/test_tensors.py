"""Decoding by tensors: ZS Section 5, and the diagonaliser it rests on."""

import pickle

import numpy as np
import pytest

from nnmoments.activations import (
    Activation,
    absolute,
    erf,
    leaky_relu,
    linear,
    quadratic,
    relu,
    relu_threshold,
    sigmoid,
    softplus,
    squared_relu,
    tanh,
)
from nnmoments.densities import StandardNormal
from nnmoments.landscapes import SquareLoss
from nnmoments.linalg import match_rows, outer_power, principal_angles, symmetrize
from nnmoments.moments import StreamedMoment, cross_moment
from nnmoments.networks import OneHiddenLayer, conditioned_weights
from nnmoments.tensors import (
    choose_moments,
    decompose_symmetric,
    descend_in_batches,
    fit_magnitudes,
    joint_diagonalize,
    kcl,
    leading_subspace,
    recover_magnitudes,
    tensor_descent,
    tensor_initialize,
    tensor_method,
)


def _problem(k, noise, rng, *, count=100, condition=5.0):
    """Return unit factors of the given conditioning and noisy matrices that they diagonalise."""
    factors = conditioned_weights(k, k, condition=condition, rng=rng)
    factors = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    weights = rng.standard_normal((count, k))
    matrices = np.einsum("li,ia,ib->lab", weights, factors, factors)
    error = rng.standard_normal(matrices.shape)
    return factors, matrices + noise * (error + error.transpose(0, 2, 1)) / 2.0


# --- joint diagonalisation ------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 5, 10, 20])
@pytest.mark.parametrize("count", [3, 100])
def test_exact_matrices_are_diagonalised_to_rounding(k, count):
    factors, matrices = _problem(k, 0.0, np.random.default_rng(k), count=count)
    found = joint_diagonalize(matrices, rng=0)
    assert found.converged
    assert found.residual < 1e-9
    assert match_rows(found.factors, factors).worst < 1e-8


def test_refinement_lowers_the_error_of_the_sweeps():
    rng = np.random.default_rng(0)
    gains = []
    for _ in range(20):
        factors, matrices = _problem(8, 0.02, rng)
        plain = match_rows(joint_diagonalize(matrices, criterion="sweeps", rng=0).factors, factors)
        fine = match_rows(joint_diagonalize(matrices, rng=0).factors, factors)
        gains.append(np.log(fine.errors.mean() / plain.errors.mean()))
    assert np.mean(gains) + 5 * np.std(gains) / np.sqrt(20) < 0.0


def test_refined_factors_are_stationary():
    """Perturbing the factors in any direction does not lower the least-squares objective."""
    _, matrices = _problem(4, 0.05, np.random.default_rng(1))
    found = joint_diagonalize(matrices, rng=0)

    def objective(factors):
        powers = outer_power(factors, 2).reshape(4, -1)
        flat = matrices.reshape(100, -1)
        return np.sum((flat - np.linalg.lstsq(powers.T, flat.T, rcond=None)[0].T @ powers) ** 2)

    best = objective(found.factors)
    slopes = []
    for direction in np.eye(16).reshape(16, 4, 4):
        up, down = (objective(found.factors + s * 1e-5 * direction) for s in (1, -1))
        slopes.append((up - down) / 2e-5)
    # The truncation to k directions moves the optimum at second order in the noise only.
    _, far = _problem(4, 0.05, np.random.default_rng(2))
    assert np.abs(slopes).max() < 0.02 * np.linalg.norm(matrices) * 0.05 * np.sqrt(len(far))
    assert best <= objective(joint_diagonalize(matrices, criterion="sweeps", rng=0).factors)


def test_residual_and_noise_floor_tell_signal_from_noise():
    _, matrices = _problem(5, 0.01, np.random.default_rng(3))
    found = joint_diagonalize(matrices, rng=0)
    assert found.noise_floor <= found.residual < 1.2 * found.noise_floor
    noise = np.random.default_rng(4).standard_normal((100, 5, 5))
    lost = joint_diagonalize(noise + noise.transpose(0, 2, 1), n_starts=2, rng=0)
    assert lost.residual > 0.5


def test_factors_that_are_not_unique_are_said_to_be_so():
    """Weights that are proportional over all matrices leave their factors free to mix."""
    factors, matrices = _problem(3, 0.0, np.random.default_rng(5), count=20)
    weights = np.random.default_rng(6).standard_normal((20, 3))
    weights[:, 2] = -2.0 * weights[:, 1]
    mixed = np.einsum("li,ia,ib->lab", weights, factors, factors)
    found = joint_diagonalize(mixed, rng=0)
    assert not found.converged
    assert "not unique" in found.status
    assert "not unique" not in joint_diagonalize(matrices, rng=0).status


def test_convergence_is_quadratic_near_the_optimum():
    """Gauss-Newton with the exact normal matrix: two to four steps after the sweeps, at any size."""
    for k in (5, 20):
        _, matrices = _problem(k, 0.01, np.random.default_rng(k))
        swept = joint_diagonalize(matrices, criterion="sweeps", rng=0)
        found = joint_diagonalize(matrices, rng=0)
        assert found.converged
        assert found.n_iter - swept.n_iter <= 4


def _covariances(k, rng, *, samples=1000, count=100):
    """Covariances of mixed independent sources: the tutorial of qndiag."""
    mixing, powers = rng.standard_normal((k, k)), rng.uniform(size=(count, k))
    signals = (rng.standard_normal((count, samples, k)) * np.sqrt(powers)[:, None, :]) @ mixing
    matrices = signals.transpose(0, 2, 1) @ signals / samples
    return mixing / np.linalg.norm(mixing, axis=1, keepdims=True), matrices


def _pham(factors, matrices, weight):
    W = np.linalg.inv(factors).T
    mixed = W @ matrices @ W.T
    logs = np.log(np.diagonal(mixed, axis1=1, axis2=2)).sum(axis=1) - np.linalg.slogdet(mixed)[1]
    return weight @ logs


def test_covariances_are_diagonalised_by_their_likelihood():
    """Noise in proportion to the matrices: least squares harms there, and auto must see it."""
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(8):
        factors, matrices = _covariances(6, rng)
        found = joint_diagonalize(matrices, rng=0)
        assert (found.criterion, found.converged) == ("likelihood", True)
        swept = joint_diagonalize(matrices, criterion="sweeps", rng=0)
        least = joint_diagonalize(matrices, criterion="least_squares", rng=0)
        errors = [match_rows(f.factors, factors).worst for f in (found, swept, least)]
        ratios.append(np.log(errors[0]) - np.log(errors[1:]))
        # A stationary point of Pham's criterion, with weights too, from any start.
        weight = rng.uniform(0.5, 2.0, size=len(matrices))
        found = joint_diagonalize(
            matrices, criterion="likelihood", sample_weight=weight, start=factors + 0.1, rng=0
        )
        best = _pham(found.factors, matrices, weight)
        for _ in range(10):
            turned = found.factors + 1e-3 * rng.standard_normal((6, 6))
            assert _pham(turned, matrices, weight) > best
    assert np.all(np.mean(ratios, axis=0) < np.log(0.75))


def test_white_noise_on_positive_matrices_is_left_to_least_squares():
    rng = np.random.default_rng(1)
    mixing = conditioned_weights(6, 6, condition=3.0, rng=rng)
    error = rng.standard_normal((100, 6, 6))
    matrices = np.einsum("li,ia,ib->lab", rng.uniform(0.5, 1.5, (100, 6)), mixing, mixing)
    matrices = matrices + 0.005 * (error + error.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(matrices).min() > 0.0
    found = joint_diagonalize(matrices, rng=0)
    assert found.criterion == "least_squares"
    same = joint_diagonalize(matrices, criterion="least_squares", rng=0)
    np.testing.assert_array_equal(found.factors, same.factors)
    twice = joint_diagonalize(np.concatenate([matrices, matrices[:50]]), rng=0)
    weighed = joint_diagonalize(matrices, sample_weight=np.where(np.arange(100) < 50, 2.0, 1.0), rng=0)
    assert match_rows(weighed.factors, twice.factors).worst < 1e-6


@pytest.mark.parametrize("size", [-1.0, 1e-6, 1e6])
def test_the_unit_of_matrices_does_not_matter(size):
    """Neither for the factors nor for the sweeps and steps that they take."""
    rng = np.random.default_rng(0)
    factors = conditioned_weights(4, 4, condition=3.0, rng=rng)
    matrices = np.einsum("lk,ki,kj->lij", rng.standard_normal((6, 4)), factors, factors)
    noise = rng.standard_normal((6, 4, 4))
    matrices += 1e-3 * (noise + noise.swapaxes(1, 2))
    one, other = (joint_diagonalize(a * matrices, rng=0) for a in (1.0, size))
    assert match_rows(other.factors, one.factors).worst < 1e-6
    assert (other.n_iter, other.converged) == (one.n_iter, one.converged)


def test_diagonaliser_refuses_what_it_cannot_use():
    with pytest.raises(ValueError, match="positive definite"):
        joint_diagonalize(np.array([np.eye(2), -np.eye(2)]), criterion="likelihood")
    with pytest.raises(ValueError, match="start must have independent rows"):
        joint_diagonalize(np.array([np.eye(2), np.diag([1.0, 2.0])]), start=np.ones((2, 2)))
    with pytest.raises(ValueError, match="matrices must be symmetric"):
        joint_diagonalize(np.arange(18.0).reshape(2, 3, 3))
    with pytest.raises(ValueError, match="at least two"):
        joint_diagonalize(np.eye(3)[None])
    with pytest.raises(ValueError, match="square"):
        joint_diagonalize(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="NaN"):
        joint_diagonalize(np.full((2, 2, 2), np.nan))


# --- tensors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [3, 4])
def test_exact_tensors_are_decomposed_to_rounding(order):
    rng = np.random.default_rng(order)
    factors = conditioned_weights(5, 5, condition=3.0, rng=rng)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    weights = np.array([1.0, -2.0, 0.5, 3.0, -1.0])
    found = decompose_symmetric(np.tensordot(weights, outer_power(factors, order), 1), rng=0)
    assert match_rows(found.factors, factors).worst < 1e-8
    assert found.residual < 1e-8
    if order == 4:
        np.testing.assert_allclose(np.sort(found.coefficients), np.sort(weights), atol=1e-7)


def test_kcl_agrees_on_exact_tensors_and_least_squares_wins_on_noisy_ones():
    """On noise both find the factors; the refined fit has the smaller residual by construction."""
    rng = np.random.default_rng(5)
    factors = conditioned_weights(4, 4, condition=2.0, rng=rng)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    tensor = outer_power(factors, 3).sum(axis=0)
    assert match_rows(kcl(tensor, rng=0).factors, factors).worst < 1e-6
    noise = sum(rng.standard_normal((4, 4, 4)).transpose(p) for p in [(0, 1, 2)])
    noisy = tensor + 0.02 * np.mean(
        [noise.transpose(p) for p in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]],
        axis=0,
    )
    assert decompose_symmetric(noisy, rng=0).residual < kcl(noisy, rng=0).residual


def test_least_squares_fit_is_stationary():
    """The gradient of |T - sum omega_i u_i^(x)m|^2 in omega and u vanishes, by finite differences."""
    rng = np.random.default_rng(9)
    factors = conditioned_weights(3, 3, condition=2.0, rng=rng)
    for order in (3, 4):
        tensor = np.tensordot([1.0, -1.0, 2.0], outer_power(factors, order), 1)
        noise = outer_power(rng.standard_normal((20, 3)), order).mean(axis=0)
        tensor = tensor + 0.05 * noise * np.linalg.norm(tensor) / np.linalg.norm(noise)
        found = decompose_symmetric(tensor, rng=0)

        def loss(u, w, tensor=tensor, order=order):
            return np.sum((tensor - np.tensordot(w, outer_power(u, order), 1)) ** 2)

        slopes = [
            loss(found.factors + h, found.coefficients) - loss(found.factors - h, found.coefficients)
            for h in 1e-5 * np.eye(9).reshape(9, 3, 3)
        ]
        # Along u_i itself omega_i moves in place of the length; those slopes vanish as well.
        assert np.abs(slopes).max() / 2e-5 < 1e-5 * np.sum(tensor**2)
        assert found.converged


@pytest.mark.parametrize("order", [3, 4])
def test_least_squares_fit_converges_quadratically(order):
    """With the exact normal matrix six damped Gauss-Newton steps are enough, at the rounding floor too."""
    rng = np.random.default_rng(order)
    for _ in range(20):
        factors = conditioned_weights(5, 5, condition=2.0, rng=rng)
        factors /= np.linalg.norm(factors, axis=1, keepdims=True)
        tensor = np.tensordot([1.0, -1.0, 2.0, 1.0, -0.5], outer_power(factors, order), 1)
        noise = outer_power(rng.standard_normal((30, 5)), order).mean(axis=0)
        noise *= 0.01 * np.linalg.norm(tensor) / np.linalg.norm(noise)
        found = decompose_symmetric(tensor + noise, max_iter=6, rng=0)
        assert found.converged
        assert found.status.startswith("converged")


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("n_starts", [1, 3])
def test_a_decomposition_of_a_noisy_tensor_is_a_local_minimum(order, n_starts):
    """Along any line the objective has its least value there: slope by curvature, by central differences."""
    rng = np.random.default_rng(order)
    factors = conditioned_weights(4, 4, condition=2.0, rng=rng)
    tensor = np.tensordot([1.0, -1.0, 2.0, 1.0], outer_power(factors, order), 1)
    noise = outer_power(rng.standard_normal((30, 4)), order).mean(axis=0)
    tensor = tensor + 0.02 * np.linalg.norm(tensor) / np.linalg.norm(noise) * noise
    found = decompose_symmetric(tensor, n_starts=n_starts, rng=0)

    def left(step):
        terms = outer_power(found.factors + step[:, :4], order)
        return np.linalg.norm(tensor - np.tensordot(found.coefficients + step[:, 4], terms, 1))

    assert left(np.zeros((4, 5))) == pytest.approx(found.residual * np.linalg.norm(tensor), rel=1e-9)
    least = left(np.zeros((4, 5))) ** 2
    for _ in range(20):
        step = 1e-4 * rng.standard_normal((4, 5))
        one, other = left(step) ** 2, left(-step) ** 2
        assert abs(one - other) < 0.02 * (one + other - 2.0 * least)


@pytest.mark.parametrize("decompose", [kcl, decompose_symmetric])
def test_tensor_of_one_dimension_is_its_own_factor(decompose):
    found = decompose(np.full((1, 1, 1), -3.0))
    assert (found.factors.item(), found.coefficients.item(), found.converged) == (-1.0, 3.0, True)


@pytest.mark.parametrize("order", [3, 4])
def test_factors_that_a_tensor_does_not_determine_are_said_to_be_so(order):
    """A tensor of rank one in five dimensions leaves four factors free."""
    u = np.random.default_rng(order).standard_normal((1, 5))
    found = decompose_symmetric(outer_power(u, order)[0], rng=0)
    assert not found.converged
    assert "not unique" in found.status
    assert found.residual < 1e-8


def test_rank_one_comes_back_as_it_is():
    u = np.random.default_rng(0).standard_normal((1, 5))
    found = decompose_symmetric(outer_power(u, 3)[0], rng=0)
    np.testing.assert_allclose(found.coefficients, [np.linalg.norm(u) ** 3, 0, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(np.abs(found.factors[0]), np.abs(u[0]) / np.linalg.norm(u), atol=1e-12)
    assert "spans 1 of 5" in found.status


def test_border_rank_is_said():
    """x^2 y has rank three and border rank two: better and better fits by two terms, and no best one."""
    tensor = np.zeros((2, 2, 2))
    tensor[0, 0, 1] = tensor[0, 1, 0] = tensor[1, 0, 0] = 1.0
    found = decompose_symmetric(tensor, rng=0)
    assert not found.converged
    assert "border rank" in found.status


def test_ill_conditioned_factors_reach_the_least_residual():
    """Uniform entries, k = 8, noise of one per mille: never more than the descent from the truth leaves."""
    for seed in (1, 6, 8):  # where the diagonalisation of the slices alone ends elsewhere
        rng = np.random.default_rng(seed)
        factors = rng.uniform(size=(8, 8))
        tensor = outer_power(factors, 3).sum(axis=0)
        noise = symmetrize(rng.standard_normal((8, 8, 8)))
        noise *= 1e-3 * np.linalg.norm(tensor) / np.linalg.norm(noise)
        found = decompose_symmetric(tensor + noise, n_starts=3, rng=0)
        # k^2 of the entries' noise is fitted, the rest is left: an estimate no fit can much improve on.
        left = np.linalg.norm(noise) / np.linalg.norm(tensor + noise) * np.sqrt(1 - 64 / 120)
        assert found.residual < 1.15 * left


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150, 1e300])
def test_decompositions_know_no_units(scale):
    """The size of a tensor changes the coefficients only."""
    factors, matrices = _problem(3, 0.0, np.random.default_rng(0))
    tensor = np.tensordot([1.0, -2.0, 3.0], outer_power(factors, 4), 1)
    found = decompose_symmetric(scale * tensor, rng=0)
    np.testing.assert_allclose(np.sort(found.coefficients) / scale, [-2.0, 1.0, 3.0], rtol=1e-9)
    joint = joint_diagonalize(scale * matrices, rng=0)
    assert joint.converged
    assert match_rows(joint.factors, factors).worst < 1e-8


def test_tensors_in_single_precision_are_symmetric_to_that_precision():
    factors, matrices = _problem(3, 0.0, np.random.default_rng(0))
    rounded = outer_power(factors, 3).sum(axis=0).astype(np.float32)
    rounded[0, 1, 2] += 1e-6
    assert match_rows(decompose_symmetric(rounded, rng=0).factors, factors).worst < 1e-4
    held = rounded.astype(np.float64)  # products of single precision, held in doubles
    assert match_rows(decompose_symmetric(held, rng=0).factors, factors).worst < 1e-4
    held[0, 1, 2] += 1e-3
    with pytest.raises(ValueError, match="symmetric"):
        decompose_symmetric(held, rng=0)
    assert joint_diagonalize(matrices.astype(np.float32), rng=0).residual < 1e-5


def test_asymmetric_tensors_are_refused():
    with pytest.raises(ValueError, match="symmetric"):
        decompose_symmetric(np.arange(27.0).reshape(3, 3, 3))


# --- subspaces --------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [2, 3, 4])
def test_operator_agrees_with_the_contracted_moment(order):
    """ZS Definition 5.4: P_2 = M_j(I, I, alpha, ..., alpha), against the general accumulator."""
    rng = np.random.default_rng(order)
    X = rng.standard_normal((500, 4))
    y = rng.standard_normal(500)
    alpha = rng.standard_normal(4)
    alpha /= np.linalg.norm(alpha)
    bases = [None, None] + [alpha] * (order - 2)
    expected = cross_moment(X, y, StandardNormal(4), order, bases=bases).value
    parts = [(X[:200], y[:200]), (X[200:], y[200:])]
    found = StreamedMoment(parts, order).matmat(np.eye(4), alpha[None])
    np.testing.assert_allclose(found[0], expected, atol=1e-12)


def test_subspace_of_an_indefinite_matrix_is_that_of_the_largest_absolute_eigenvalues():
    rng = np.random.default_rng(0)
    frame = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    values = np.concatenate([[3.0, -3.0, 2.0, -2.0], rng.uniform(-0.5, 0.5, 36)])
    matrix = (frame * values) @ frame.T
    found = leading_subspace(lambda block: (matrix @ block)[None], 40, 4, tol=1e-10, rng=0)
    assert principal_angles(found.basis.T, frame[:, :4].T)[0] < 1e-8
    np.testing.assert_allclose(np.sort(found.eigenvalues), [-3.0, -2.0, 2.0, 3.0], atol=1e-8)
    assert found.next_eigenvalue < 0.6


def test_more_weights_than_dimensions_are_refused():
    with pytest.raises(ValueError, match="k must be at most d = 3"):
        leading_subspace(lambda block: block[None], 3, 4)
    X = np.random.default_rng(0).standard_normal((50, 3))
    with pytest.raises(ValueError, match="k must be at most d = 3"):
        tensor_initialize(X, X[:, 0], 4, squared_relu)


# --- which moments ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (relu, (2, 4, 1, 2)),
        (leaky_relu, (2, 4, 1, 2)),
        (squared_relu, (2, 3, 1, 2)),
        (sigmoid, (3, 3, 1, None)),
        (tanh, (3, 3, 1, None)),
        (erf, (3, 3, 1, None)),
        (absolute, (2, 4, None, 2)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_orders_follow_definition_5_4(activation, expected):
    choice = choose_moments(activation)
    assert (choice.subspace, choice.tensor, choice.odd, choice.even) == expected


@pytest.mark.parametrize(("activation", "named"), [(linear, "m_2, m_3, m_4"), (quadratic, "m_1, m_3, m_4")])
def test_activations_without_third_and_fourth_moment_are_refused_by_name(activation, named):
    """ZS Assumption 5.3.2."""
    with pytest.raises(ValueError, match=named):
        choose_moments(activation)


# --- magnitudes and signs ---------------------------------------------------------------------------


def _coefficients(network, signs, order):
    lengths = np.linalg.norm(network.weights, axis=1)
    values = [network.activation.moment_coefficient(order, scale=s) for s in lengths]
    return network.output * values * signs**order


@pytest.mark.parametrize("activation", [relu, leaky_relu, squared_relu], ids=lambda a: a.name)
def test_magnitudes_and_signs_of_homogeneous_activations(activation):
    rng = np.random.default_rng(0)
    network = OneHiddenLayer(conditioned_weights(4, 6, condition=2.0, rng=rng), activation, [1, -1, -1, 1])
    signs = np.array([1.0, 1.0, -1.0, -1.0])
    unit = signs[:, None] * network.weights / np.linalg.norm(network.weights, axis=1, keepdims=True)
    odd, even = (_coefficients(network, signs, order) for order in (1, 2))
    found = recover_magnitudes(unit, odd, even, activation)
    np.testing.assert_allclose(found.weights, network.weights, atol=1e-10)
    np.testing.assert_array_equal(found.output, network.output)
    X = rng.standard_normal((200, 6))
    fitted = fit_magnitudes(unit, X, network(X), activation)
    np.testing.assert_allclose(fitted.weights, network.weights, atol=1e-8)
    np.testing.assert_array_equal(fitted.output, network.output)


@pytest.mark.parametrize("activation", [tanh, erf, sigmoid], ids=lambda a: a.name)
def test_magnitudes_of_non_homogeneous_activations_by_root_finding(activation):
    network = OneHiddenLayer([[0.7, 0.0, 0.0], [0.0, 1.6, 0.0]], activation, [2.0, 0.5])
    signs = np.array([-1.0, 1.0])
    unit = np.diag([-1.0, 1.0, 1.0])[:2]
    mean = float(activation(0.0)) * network.output.sum()
    odd, third = (_coefficients(network, signs, order) for order in (1, 3))
    found = recover_magnitudes(unit, odd, third, activation, mean=mean)
    np.testing.assert_allclose(found.weights, network.weights, atol=1e-8)
    np.testing.assert_allclose(found.output, network.output, atol=1e-8)


@pytest.mark.parametrize("pattern", [(1.0, 1.0, -1.0), (1.0, -1.0, 1.0), (-1.0, 1.0, -1.0)])
def test_signs_of_a_sigmoid_network_are_those_that_explain_its_mean(pattern):
    """sigmoid - 1/2 is odd, so T_1 and T_3 leave 2^3 networks; E[y] = sum_i v_i / 2 tells them apart."""
    output = np.array([2.0, 0.5, 1.2]) * pattern
    network = OneHiddenLayer(np.diag([0.7, 1.6, 1.1]), sigmoid, output)
    odd, third = (_coefficients(network, np.ones(3), order) for order in (1, 3))
    found = recover_magnitudes(np.eye(3), odd, third, sigmoid, mean=0.5 * output.sum())
    np.testing.assert_allclose(found.weights, network.weights, atol=1e-8)
    np.testing.assert_allclose(found.output, output, atol=1e-8)


def test_magnitudes_where_both_moments_give_the_length():
    """Softplus has m_1 and m_2, and is not homogeneous: their ratio determines the length."""
    network = OneHiddenLayer([[0.7, 0.0], [0.0, 1.6]], softplus, [1.5, -0.5])
    signs = np.array([-1.0, 1.0])
    odd, even = (_coefficients(network, signs, order) for order in (1, 2))
    found = recover_magnitudes(np.diag(signs), odd, even, softplus)
    np.testing.assert_allclose(found.weights, network.weights, atol=1e-8)
    np.testing.assert_allclose(found.output, network.output, atol=1e-8)


def test_magnitudes_of_an_odd_homogeneous_activation():
    """z|z| has odd moments only; (v, w) and (-v, -w) are the same unit, so v > 0 is chosen."""
    odd_square = Activation(
        "z|z|",
        lambda z: z * np.abs(z),
        (lambda z: 2.0 * np.abs(z), lambda z: 2.0 * np.sign(z), np.zeros_like, np.zeros_like),
        (0.0,),
    )
    network = OneHiddenLayer([[-2.0, 0.0], [0.0, 3.0]], odd_square, [1.0, 1.0])
    first = _coefficients(network, np.ones(2), 1)
    found = recover_magnitudes(np.eye(2), first * [-1.0, 1.0], None, odd_square)
    np.testing.assert_allclose(found.weights, network.weights, atol=1e-8)
    np.testing.assert_array_equal(found.output, [1.0, 1.0])


def test_missing_moments_are_named():
    with pytest.raises(ValueError, match="even, or odd for an odd activation, is needed"):
        recover_magnitudes(np.eye(2), np.ones(2), None, squared_relu)
    with pytest.raises(ValueError, match="odd and even moments are both needed"):
        recover_magnitudes(np.eye(2), np.ones(2), None, tanh)
    with pytest.raises(ValueError, match="not homogeneous"):
        fit_magnitudes(np.eye(2), np.eye(2), np.ones(2), tanh)


def test_the_constant_belongs_under_the_root():
    """Dividing by c_1 outside the square root makes squared-ReLU weights 12 % too long."""
    c1 = squared_relu.moment_coefficient(1)
    z = 4.0 * c1  # |w| = 2
    assert recover_magnitudes(np.eye(1), np.array([z]), np.array([4.0]), squared_relu).weights[0, 0] == (
        pytest.approx(2.0)
    )
    assert np.sqrt(z) / c1 == pytest.approx(2.0 * 1.1195, rel=1e-3)


# --- Algorithm 1 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("initialise", [tensor_method, tensor_initialize])
@pytest.mark.parametrize("partition", [False, True])
def test_initialisation_finds_weights_and_exact_signs(initialise, partition):
    """ZS Theorem 5.6 at n = 60000: far inside the range where 40 of 40 seeds succeed."""
    rng = np.random.default_rng(7)
    network = OneHiddenLayer(conditioned_weights(3, 8, condition=2.0, rng=rng), squared_relu, [1, -1, 1])
    X = rng.standard_normal((60_000, 8))
    found = initialise(X, network(X), 3, squared_relu, partition=partition, rng=1)
    match = match_rows(found.weights, network.weights, signed=True)
    assert match.worst < 0.4
    np.testing.assert_array_equal(found.output[match.permutation], network.output)


@pytest.mark.parametrize("activation", [relu, absolute, tanh], ids=lambda a: a.name)
def test_initialisation_for_other_moments(activation):
    rng = np.random.default_rng(8)
    output = [1.0, 1.0] if activation is tanh else [1.0, -1.0]
    network = OneHiddenLayer(2.0 * conditioned_weights(2, 5, rng=rng), activation, output)
    X = rng.standard_normal((150_000, 5))
    found = tensor_initialize(X, network(X), 2, activation, rng=1)
    assert match_rows(found.weights, network.weights, signed=activation is not absolute).worst < 0.25


@pytest.mark.parametrize("activation", [squared_relu, relu, tanh, sigmoid, softplus], ids=lambda a: a.name)
def test_passes_bring_the_network_to_explain_its_labels(activation):
    """The moments of the units found are exact, so that each pass averages a smaller residual.

    One pass alone has an error of n^(-1/2); several reach the truth, as labels without noise allow.
    """
    rng = np.random.default_rng(11)
    output = [1.0, -1.0] if activation in (squared_relu, relu, softplus) else [1.0, 1.0]
    network = OneHiddenLayer(1.5 * conditioned_weights(2, 5, rng=rng), activation, output)
    X = rng.standard_normal((40_000, 5))
    found = tensor_initialize(X, network(X), 2, activation, rng=1)
    assert found.n_iter > 2
    once = tensor_initialize(X, network(X), 2, activation, max_iter=1, rng=1)
    assert once.n_iter == 1
    assert found.unexplained < min(1e-6, 0.01 * once.unexplained)
    signed = activation is not sigmoid  # determined up to (v, w) -> (-v, -w) and a constant
    assert match_rows(found.weights, network.weights, signed=signed).worst < 0.02


def test_passes_do_no_harm_where_labels_are_noise():
    rng = np.random.default_rng(12)
    X = rng.standard_normal((500, 6))
    once = tensor_initialize(X, rng.standard_normal(500), 2, squared_relu, partition=True, rng=0)
    assert once.n_iter == 1
    found = tensor_initialize(X, rng.standard_normal(500), 2, squared_relu, rng=0)
    assert np.isfinite(found.weights).all()
    assert found.unexplained > 0.5


def test_few_samples_lower_the_degree_of_the_control():
    """Ten samples in three dimensions allow no linear control; the estimate is made without."""
    rng = np.random.default_rng(13)
    X = rng.standard_normal((10, 3))
    assert tensor_initialize(X, squared_relu(X[:, 0]), 1, squared_relu, rng=0).weights.shape == (1, 3)


def test_bad_samples_are_named():
    X = np.random.default_rng(0).standard_normal((100, 3))
    with pytest.raises(ValueError, match="y is constant"):
        tensor_initialize(X, np.ones(100), 2, squared_relu)
    with pytest.raises(ValueError, match="X is constant"):
        tensor_initialize(np.ones((100, 3)), X[:, 0], 2, squared_relu)
    with pytest.raises(ValueError, match="y must have 1 axes"):
        tensor_initialize(X, X, 2, squared_relu)
    with pytest.raises(ValueError, match="activation must be"):
        tensor_method(X, X[:, 0], 2, "relu6")


@pytest.mark.parametrize("initialise", [tensor_method, tensor_initialize])
@pytest.mark.parametrize("activation", [squared_relu, relu, tanh, sigmoid], ids=lambda a: a.name)
def test_one_neuron_in_one_dimension_and_in_more(initialise, activation):
    for d in (1, 4):
        weights = np.full((1, d), 1.5 / np.sqrt(d))
        X = np.random.default_rng(d).standard_normal((100_000, d))
        found = initialise(X, activation(X @ weights[0]), 1, activation, rng=0)
        assert match_rows(found.weights, weights, signed=activation is not sigmoid).worst < 0.2
        assert found.converged


@pytest.mark.parametrize("initialise", [tensor_method, tensor_initialize])
def test_weight_of_a_sample_counts_it_as_often(initialise):
    """A weight of zero drops a sample, and weights matter by their ratios only."""
    rng = np.random.default_rng(2)
    network = OneHiddenLayer(conditioned_weights(2, 4, rng=rng), squared_relu, [1, -1])
    X = rng.standard_normal((4000, 4))
    y = network(X)
    kept = rng.random(4000) < 0.5
    spoilt = np.where(kept, y, 100.0)
    part = initialise(X[kept], y[kept], 2, squared_relu, rng=0)
    weighted = initialise(X, spoilt, 2, squared_relu, sample_weight=3.0 * kept, rng=0)
    np.testing.assert_allclose(weighted.weights, part.weights, rtol=1e-8)


@pytest.mark.parametrize("initialise", [tensor_method, tensor_initialize])
def test_weights_of_samples_shift_a_sample_to_the_gaussian(initialise):
    """Inputs from N(mu, I) with likelihood ratios as weights are as good as inputs from N(0, I)."""
    rng = np.random.default_rng(3)
    network = OneHiddenLayer(conditioned_weights(2, 3, rng=rng), squared_relu, [1, -1])
    mean = np.array([0.3, 0.0, -0.2])
    X = mean + rng.standard_normal((100_000, 3))
    ratio = np.exp(-X @ mean + mean @ mean / 2.0)
    found = initialise(X, network(X), 2, squared_relu, sample_weight=ratio, rng=0)
    assert match_rows(found.weights, network.weights, signed=True).worst < 0.1
    without = tensor_method(X, network(X), 2, squared_relu, rng=0)
    assert match_rows(without.weights, network.weights, signed=True).worst > 0.1


def test_constant_in_the_labels_is_left_to_the_intercept():
    rng = np.random.default_rng(4)
    network = OneHiddenLayer(conditioned_weights(3, 6, rng=rng), relu, [1, -1, 1])
    X = rng.standard_normal((20_000, 6))
    found = tensor_initialize(X, network(X) + 5.0, 3, relu, fit_intercept=True, rng=0)
    assert match_rows(found.weights, network.weights, signed=True).worst < 0.01
    assert found.unexplained < 1e-6


# --- Algorithm 2 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_batches", [1, 10])
def test_descent_on_fresh_samples_reaches_the_truth(n_batches):
    """ZS Theorem 6.1, with and without the partition of the sample."""
    rng = np.random.default_rng(7)
    network = OneHiddenLayer(conditioned_weights(3, 6, rng=rng), squared_relu, [1, -1, 1])
    X = rng.standard_normal((20_000, 6))
    found = tensor_descent(X, network(X), 3, "squared_relu", n_batches=n_batches, rng=1)
    assert match_rows(found.weights, network.weights, signed=True).worst < 1e-3
    np.testing.assert_array_equal(found.output, found.initialization.output)


def test_descent_takes_its_batches_in_turn():
    """Each step has the gradient of the next loss, from the first."""
    losses = [SquareLoss([[x]], [0.0], "linear", [1.0]) for x in (1.0, 2.0, 3.0)]
    found = descend_in_batches(losses, [[1.0]], step=0.1, max_iter=4)
    assert found.weights.item() == pytest.approx(0.9 * 0.6 * 0.1 * 0.9)


def test_results_pickle_and_show_what_they_found():
    X = np.random.default_rng(0).standard_normal((500, 3))
    found = tensor_initialize(X, squared_relu(X[:, 0]), 1, "squared_relu", rng=0)
    for result in (found, found.subspace, found.decomposition, found.choice):
        assert pickle.loads(pickle.dumps(result)) == result
    assert "weights: [[" in repr(found)


def test_units_of_length_zero_are_no_part_of_a_moment():
    """Six labels of two units: the first pass finds a unit of length zero, the second once divided by it."""
    rng = np.random.default_rng(7)
    X, W = rng.standard_normal((6, 3)), rng.standard_normal((2, 3))
    y = np.maximum(X @ W.T, 0.0) @ [1.0, -1.0]
    found = tensor_initialize(X, y, 2, "relu", rng=7)
    assert np.isfinite(found.weights).all()


def test_a_row_that_stays_below_the_threshold_has_no_moments():
    """Of all norms the one whose moments underflow to zero seemed to fit moments of no unit."""
    found = recover_magnitudes([[1.0]], [1.0], [1e-3], relu_threshold(2.0))
    assert np.linalg.norm(found.weights) > 0.1
    assert np.isfinite(found.output).all()
