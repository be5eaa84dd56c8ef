"""Units with structure and low thresholds: GP Sections 3 and 4, Appendices B.6 to B.8, C, D and E."""

import itertools
import math

import numpy as np
import pytest

from companion.experiments import structure as experiment
from nnmoments.activations import (
    absolute,
    cosine,
    exponential,
    linear,
    relu,
    relu_threshold,
    sigmoid_threshold,
)
from nnmoments.hermite import gaussian_expectation, hermite_polynomial
from nnmoments.landscapes import sphere_maxima
from nnmoments.linalg import match_rows, principal_angles
from nnmoments.moments import controlled_moments
from nnmoments.networks import (
    CutNetwork,
    HiddenPolynomial,
    biased_sample,
    shifted_coefficient,
    tilted_sample,
    univariate_coefficients,
    univariate_part,
)
from nnmoments.structured import (
    CorrelationGraph,
    EvenForm,
    ExactShiftedMean,
    OracleShiftedMean,
    ascend_on_simplex,
    correlation_graph,
    disjoint_supports,
    even_form,
    learn_cut,
    subspaces_from_moment,
    support_cliques,
)


def orthonormal(k, d, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, k)))[0].T


def powerset(k):
    return [s for size in range(k + 1) for s in itertools.combinations(range(k), size)]


# --- coefficients ---------------------------------------------------------------------------------------


def test_shifted_coefficient_is_that_of_the_shifted_polynomial():
    """GP before Corollary 1: C(S, mu) is the coefficient of X_S in P(mu (X + 1)), by inclusion-exclusion."""
    rng = np.random.default_rng(0)
    terms = {s: rng.standard_normal() for s in powerset(4)}
    mu = 0.3

    def shifted(x):
        return sum(c * np.prod([mu * (x[i] + 1.0) for i in s]) for s, c in terms.items())

    for subset in powerset(4):
        coefficient = sum(
            (-1.0) ** (len(subset) - len(inner)) * shifted([float(i in inner) for i in range(4)])
            for size in range(len(subset) + 1)
            for inner in itertools.combinations(subset, size)
        )
        assert shifted_coefficient(terms, subset, mu) == pytest.approx(coefficient, abs=1e-12)
        reduced = shifted_coefficient(terms, subset, mu, reduced=True)
        assert reduced == pytest.approx(coefficient / mu ** len(subset))


def test_shifted_coefficient_refuses_powers():
    with pytest.raises(ValueError, match="terms must hold each unit at most once"):
        shifted_coefficient({(0, 0): 1.0}, [0], 0.5)


def test_univariate_moments():
    """GP B.8: E[f_uni H_m(z.x)] is the sum of each unit's own coefficient times (z.w)^m."""
    W = orthonormal(3, 4)
    terms = {(0,): 1.0, (0, 0): 0.5, (1,): 1.0, (1, 1, 1): 0.2, (2,): -1.0, (0, 0, 1): 3.0}
    f = HiddenPolynomial(W, relu_threshold(1.5), terms)
    Z = np.random.default_rng(1).standard_normal((5, 4))
    for m in (2, 4):
        expected = (Z @ W.T) ** m @ univariate_coefficients(f, m)
        np.testing.assert_allclose(univariate_part(f).hermite_moment(m, Z), expected, rtol=1e-9)


# --- the graph ------------------------------------------------------------------------------------------


def test_correlation_weights():
    """GP Theorem 7 with mu = exp(-rho (t - rho r/2)), not the printed ones: exact moments."""
    rate, shift, size = 0.5, 2.0, 3
    W = np.kron(np.eye(2), np.ones(size))
    terms = {(0,): 1.0, (1,): 2.0, (0, 1): 0.5}
    f = HiddenPolynomial(W, exponential(rate, shift), terms)
    exact = f.moment(2)
    mu = math.exp(-rate * (shift - rate * size / 2.0))
    assert exact[0, 1] == pytest.approx(rate**2 * shifted_coefficient(terms, [0], mu))
    assert exact[0, 4] == pytest.approx(rate**2 * shifted_coefficient(terms, [0, 1], mu))
    for printed in (math.exp(-rate * (shift - rate * size) / 2.0), math.exp(-rate * shift)):
        assert abs(rate**2 * shifted_coefficient(terms, [0], printed) / exact[0, 1] - 1.0) > 0.2
    X = np.random.default_rng(0).standard_normal((100_000, 6))
    weights = correlation_graph(X, f(X))
    off = ~np.eye(6, dtype=bool)
    assert np.abs((weights.value - exact)[off] / weights.standard_error[off]).max() < 5.0
    assert not weights.value.diagonal().any()


def test_cliques():
    W = np.kron(np.eye(3), np.ones(3))
    P = {(0,): 1.0, (1,): 1.0, (2,): 1.0, (0, 1): 0.1}
    X = np.random.default_rng(0).standard_normal((60_000, 9))
    found = support_cliques(correlation_graph(X, HiddenPolynomial(W, exponential(0.5, 1.0), P)(X)), 3)
    assert found.supports == [(0, 1, 2), (3, 4, 5), (6, 7, 8)]
    assert found.gap > 3.0
    # Control: two units that only occur together are one clique of six, which is not of the wanted size.
    together = HiddenPolynomial(W, exponential(0.5, 1.0), {(0, 1): 1.0})
    assert (0, 1, 2) not in support_cliques(correlation_graph(X, together(X)), 3).supports


def test_cliques_need_a_gap_and_three_inputs():
    noise = np.random.default_rng(0).standard_normal((6, 6))
    none = support_cliques(CorrelationGraph(noise + noise.T, np.ones((6, 6))), 2)
    assert none.supports == []
    assert "pass more samples" in none.status
    with pytest.raises(ValueError, match="at least 3 inputs"):
        support_cliques(CorrelationGraph(np.zeros((2, 2)), np.ones((2, 2))), 2)


def test_components_that_are_no_cliques_are_refused():
    """A path of three is connected, but no clique; and 0.5 between two of them is no gap by itself."""
    value = np.zeros((6, 6))
    for a, b in ((0, 1), (1, 2), (3, 4), (4, 5), (3, 5)):
        value[a, b] = value[b, a] = 1.0
    weak = value.copy()
    weak[0, 2] = weak[2, 0] = 0.5
    assert support_cliques(CorrelationGraph(value, np.full((6, 6), 0.01)), 3).supports == []
    found = support_cliques(CorrelationGraph(weak, np.full((6, 6), 0.01)), 3)
    assert found.supports == [(0, 1, 2), (3, 4, 5)]
    assert found.threshold == pytest.approx(0.25)
    assert found.gap == pytest.approx(0.5 / 0.02)
    np.testing.assert_array_equal(found.graph.toarray(), weak > 0.25)


def test_linear_part_is_removed():
    """Labels with a large linear part: the errors are those of the rest."""
    X = np.random.default_rng(3).standard_normal((20_000, 4))
    y = X[:, 0] * X[:, 1]
    with_linear = correlation_graph(X, 10.0 + y + 50.0 * X[:, 2])
    plain = correlation_graph(X, y)
    assert with_linear.standard_error.max() < 1.5 * plain.standard_error.max()


# --- no threshold ---------------------------------------------------------------------------------------

_SUPPORTS = [[0, 3], [1, 4], [2, 5]]


def _disjoint_network(terms):
    W = np.zeros((3, 6))
    for row, support in zip(W, _SUPPORTS, strict=True):
        row[support] = 1.0
    return HiddenPolynomial(W, exponential(), terms)


def test_shifted_mean():
    """GP Appendix D.2: the exact g is E f(x + z), and its gradient has Taylor slope 2."""
    terms = {(0,): 1.0, (1,): 0.5, (0, 2): 0.2}
    g = ExactShiftedMean(terms, _SUPPORTS, 6)
    z = np.random.default_rng(1).uniform(0, 0.5, 6)
    X = np.random.default_rng(0).standard_normal((400_000, 6))
    f = _disjoint_network(terms)
    labels = f(X + z)
    assert abs(labels.mean() - g(z)[0]) < 5 * labels.std() / math.sqrt(len(X))
    value, slope = OracleShiftedMean(f, X)(z)
    assert value == pytest.approx(labels.mean())
    np.testing.assert_allclose(slope, g(z)[1], atol=0.05 * np.abs(g(z)[1]).max())
    step = np.random.default_rng(2).standard_normal(6)
    rest = [abs(g(z + h * step)[0] - g(z)[0] - h * g(z)[1] @ step) for h in (1e-2, 1e-3)]
    assert 80 < rest[0] / rest[1] < 120


def test_disjoint_supports():
    terms = {(0,): 1.0, (1,): 0.6, (2,): 1.4, (0, 1): 0.1}
    exact = disjoint_supports(ExactShiftedMean(terms, _SUPPORTS, 6), 6, 3, radius=2.5, gamma=0.1, rng=0)
    assert exact.supports == [tuple(s) for s in _SUPPORTS]
    X = np.random.default_rng(0).standard_normal((20_000, 6))
    mean = OracleShiftedMean(_disjoint_network(terms), X)
    assert disjoint_supports(mean, 6, 3, radius=2.5, gamma=0.1, rng=0).supports == exact.supports
    # Control: with P = X_1 X_2 nothing can split the union.
    together = disjoint_supports(ExactShiftedMean({(0, 1): 1.0, (2,): 1.0}, _SUPPORTS, 6), 6, 3, rng=0)
    assert (0, 1, 3, 4) in together.supports
    assert "3 were asked for" in together.status


def test_ascent_on_the_simplex():
    """The constraint holds, the objective's maximum on one support is flat on it, and gamma spreads."""
    mean = ExactShiftedMean({(0,): 1.0, (1,): 0.5}, [[0, 1], [2]], 4)
    z = ascend_on_simplex(mean, [0.9, 0.2, 0.1, 0.1], radius=2.0, gamma=0.05)
    assert z.sum() == pytest.approx(2.0)
    np.testing.assert_allclose(z, [1.0, 1.0, 0.0, 0.0], atol=1e-4)
    uneven = ascend_on_simplex(mean, [0.9, 0.2, 0.1, 0.1], radius=2.0, gamma=0.05, max_iter=1)
    assert uneven[0] > uneven[1] + 0.1
    for arguments, message in (
        ({"radius": 1e3}, "radius must be a number"),
        ({"gamma": -1.0}, "gamma must be a number"),
        ({"max_iter": 0}, "max_iter must be an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            ascend_on_simplex(mean, np.ones(4), **{"radius": 1.0, "gamma": 0.1, **arguments})
    with pytest.raises(ValueError, match="mean must be callable"):
        disjoint_supports(3, 4, 2)
    with pytest.raises(ValueError, match="terms must"):
        ExactShiftedMean({(2,): 1.0}, [[0], [1]], 2)
    with pytest.raises(ValueError, match="supports must"):
        ExactShiftedMean({(0,): 1.0}, [[5]], 2)
    with pytest.raises(ValueError, match="f must"):
        OracleShiftedMean(lambda X: X, np.zeros((3, 2)))(np.zeros(2))


def test_printed_objective_has_no_large_maximum():
    """GP Lemmas 21 to 23 promise local maxima with an entry of beta; every ascent runs off."""
    ascents = experiment.printed_ascents(seed=1, starts=5)
    assert ascents["kept"] == 0
    assert np.all(np.diff(ascents["h"]) > 0.0)


# --- even units -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [cosine, absolute])
def test_even_form(activation):
    """GP Theorem 9 against exact moments: the root of 6, no quadratic part; the printed 6 is off."""
    W = orthonormal(3, 3)
    f = HiddenPolynomial(W, activation, {(0,): 1.0, (1,): 0.7, (2,): 1.2, (0, 1): 0.5, (0, 1, 2): 0.3})
    z = np.random.default_rng(0).standard_normal((20, 3))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    exact = f.hermite_moment(4, z)
    np.testing.assert_allclose(even_form(f)(z @ W.T), exact, rtol=1e-9)
    printed = even_form(f, printed=True)(z @ W.T)
    assert np.abs(printed - exact).max() > 0.1 * np.abs(exact).max()
    form = even_form(f)
    assert form.sign == math.copysign(1.0, activation.hermite_coefficient(4))
    if form.margin > 0.0:
        fourth = f.moment(4)
        found = match_rows(sphere_maxima(fourth, 3, sign=form.sign, rng=0), W)
        assert found.worst < 1e-6


def test_product_of_two_squares_has_the_root_of_six():
    """E[h_2(x_1) h_2(x_2) h_4(z.x)] = sqrt(6) z_1^2 z_2^2, by tensor quadrature; GP print 6."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()
    x, y = np.meshgrid(nodes, nodes, indexing="ij")
    z = np.array([0.6, 0.8])
    integrand = (
        hermite_polynomial(2, x)
        * hermite_polynomial(2, y)
        / 2.0
        * hermite_polynomial(4, z[0] * x + z[1] * y)
        / math.sqrt(24.0)
    )
    value = weights @ integrand @ weights
    assert value == pytest.approx(math.sqrt(6.0) * 0.36 * 0.64)
    # And Lemma 9 forbids the quadratic part.
    single = weights @ (hermite_polynomial(2, x) * hermite_polynomial(4, z[0] * x + z[1] * y)) @ weights
    assert abs(single) < 1e-12


def test_margin_is_where_a_third_maximum_appears():
    """g = 2 min(a_i, a_j): the lesser weight stops being a maximum; g = 2 max: one appears between them."""
    circle = np.linspace(0.0, np.pi / 2.0, 181)
    Z = np.column_stack([np.cos(circle), np.sin(circle)])
    for g, margin in ((1.0, 1.0), (2.0, 0.0), (3.0, -1.0), (5.0, -3.0)):
        form = EvenForm([1.0, 2.0], [[0.0, g], [g, 0.0]])
        assert form.margin == pytest.approx(margin)
        falls = form(Z)[1] < form(Z)[0]  # from the lesser weight
        assert falls == (g < 2.0) or g == 2.0
        inner = form(Z)[1:-1].max() > max(form(Z)[[0, -1]]) + 1e-9
        assert inner == (g > 4.0)  # g > 2 max(a_i, a_j): a maximum between them
    assert EvenForm([1.0], [[0.0]]).margin == math.inf


def test_margin_sees_what_lies_outside_the_weights():
    """C({2}) < 0: w_2 is a maximum on the circle of the two weights, and none where a third input is free."""
    terms = {(0,): 1.0, (1,): 0.2, (0, 1): -0.5}
    angle = np.radians(5.0)
    for d in (2, 3):
        f = HiddenPolynomial(np.eye(d)[:2], cosine, terms)
        steps = np.cos(angle) * np.eye(d)[1] + np.sin(angle) * np.delete(np.eye(d), 1, axis=0)
        maximum = f.hermite_moment(4, steps).max() < f.hermite_moment(4, np.eye(d)[1])[0]
        assert maximum == (even_form(f).margin > 0.0) == (d == 2)
    assert EvenForm([1.0], [[0.0]], outside=True).margin == 2.0


def test_sign_is_the_one_for_which_the_weights_are_maxima():
    """a_1 + a_2 < 0, and yet F falls from both weights: between them it is lower still."""
    form = EvenForm([0.5, -1.0], [[0.0, -4.0], [-4.0, 0.0]])
    circle = np.linspace(0.0, np.pi / 2.0, 181)
    values = form(np.column_stack([np.cos(circle), np.sin(circle)]))
    assert values[1] < values[0]
    assert values[-2] < values[-1]
    assert form.sign == 1.0
    assert form.margin == pytest.approx(2.0)
    assert EvenForm(-form.quartic, -form.mixed).sign == -1.0
    # With u_4 > 0 they are maxima even where all C({i}) are negative, if their products are more so.
    terms = {(0,): 0.5, (1,): 1.0, (0, 1): -4.0}
    negative = even_form(HiddenPolynomial(np.eye(2), cosine, terms))
    assert negative.quartic.max() < 0.0 < negative.margin
    assert negative.sign == 1.0


def test_even_form_refuses():
    with pytest.raises(ValueError, match="orthonormal weights"):
        even_form(HiddenPolynomial([[1.0, 0.0], [0.6, 0.8]], cosine, {(0,): 1.0}))
    with pytest.raises(ValueError, match="even activation"):
        even_form(HiddenPolynomial(np.eye(2), relu, {(0,): 1.0}))


# --- the biased oracle ----------------------------------------------------------------------------------


def test_kept_moments():
    """GP B.7: E_kept[h] = E[f h]/E[f], for both ways to simulate the oracle."""
    u = sigmoid_threshold(3.0)
    f = HiddenPolynomial(np.eye(2), u, {(0,): 1.0, (1,): 0.5, (0, 1): 2.0})
    tilted = tilted_sample(f, 40_000, rng=0)
    plain = biased_sample(f, 2, 40_000, bound=3.5, rng=1)
    assert plain.draws > 5 * tilted.draws

    def part(power):
        return float(gaussian_expectation(lambda g: u(g) * g**power))

    total = 1.5 * part(0) + 2.0 * part(0) ** 2
    mean = (part(1) + 2.0 * part(1) * part(0)) / total
    for kept in (tilted, plain):
        x = kept.X[:, 0]
        assert abs(x.mean() - mean) < 5 * x.std() / math.sqrt(len(x))


def test_oracles_refuse():
    with pytest.raises(ValueError, match="raise bound"):
        biased_sample(lambda X: np.full(len(X), 2.0), 1, 10, bound=1.0)
    with pytest.raises(ValueError, match="thresholded sigmoid units"):
        tilted_sample(HiddenPolynomial(np.eye(2), linear, {(0,): 1.0}), 10)
    with pytest.raises(ValueError, match="no negative coefficient"):
        tilted_sample(HiddenPolynomial(np.eye(2), sigmoid_threshold(1.0), {(0,): -1.0}), 10)


# --- a cut ----------------------------------------------------------------------------------------------


def test_cut():
    frames = orthonormal(4, 4).reshape(2, 2, 4)
    net = CutNetwork(frames, [5.0, 6.0], {(0,): 1.0, (1,): 1.5, (0, 1): 1.0})
    X = np.random.default_rng(0).standard_normal((200_000, 4))
    y = net(X)
    fourth = controlled_moments(X, y).fourth.tensor
    learned = learn_cut(X, y, fourth, 2, 2, rng=0)
    angles = [min(principal_angles(own, frame).max() for own in learned.network.frames) for frame in frames]
    assert max(angles) < 0.25
    fresh = np.random.default_rng(1).standard_normal((20_000, 4))
    errors = [np.mean((n(fresh) - net(fresh)) ** 2) for n in (learned.network, learned.additive)]
    assert errors[0] < errors[1] < 0.5 * net(fresh).var()


def test_fourth_moment_of_a_unit_of_the_cut_vanishes_at_four():
    """E[1{R^2 > tau} He_4] = 3 e^{-tau/2} (tau^2/8 - tau/2) on a plane: zero at tau = 4."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1_000_000, 2))
    energy = np.sum(x**2, axis=1)
    for tau in (2.0, 4.0, 7.0):
        values = (energy > tau) * hermite_polynomial(4, x[:, 0])
        exact = 3.0 * math.exp(-tau / 2.0) * (tau**2 / 8.0 - tau / 2.0)
        assert abs(values.mean() - exact) < 5 * values.std() / 1000.0


def test_subspaces_up_to_sign():
    P, Q = np.diag([1.0, 1.0, 0.0, 0.0]), np.diag([0.0, 0.0, 1.0, 1.0])
    T = sum(np.einsum(form, A, A) for A in (P, Q) for form in ("ab,cd->abcd", "ac,bd->abcd", "ad,bc->abcd"))
    for sign in (1.0, -1.0):
        frames = subspaces_from_moment(sign * T, 2, 2, sign=sign, rng=0)
        projectors = [frame.T @ frame for frame in frames]
        assert all(min(np.abs(p - A).max() for A in (P, Q)) < 1e-6 for p in projectors)
