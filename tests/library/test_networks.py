"""Teacher networks: derivatives by finite differences, moments by Monte Carlo and quadrature."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest

from nnmoments.activations import (
    SLIDES,
    cosine,
    exponential,
    quadratic,
    relu,
    relu_threshold,
    sigmoid,
    sign_threshold,
    softplus,
    squared_relu,
    tanh,
)
from nnmoments.densities import Gaussian, StandardNormal
from nnmoments.hermite import homogeneous_hermite
from nnmoments.linalg import outer_power
from nnmoments.moments import cross_moment
from nnmoments.networks import (
    CutNetwork,
    FeedForward,
    HiddenPolynomial,
    OneHiddenLayer,
    UnionOfHalfspaces,
    conditioned_weights,
    sparse_weights,
)

RNG = np.random.default_rng(12)
POINTS = RNG.standard_normal((5, 3))


def one_hidden_layer(phi=softplus):
    return OneHiddenLayer(np.array([[1.0, 0.2, 0.0], [-0.4, 0.8, 0.3]]), phi, [1.0, -2.0], [0.1, -0.5])


def feed_forward(link, depth=3):
    sizes = [3, 4, 4, 5][: depth + 1]
    rng = np.random.default_rng(depth)
    weights = [rng.standard_normal((b, a)) for a, b in itertools.pairwise(sizes)]
    return FeedForward(weights, tanh, link=link, biases=[rng.standard_normal(b) for b in sizes[1:]])


def oblique(k, d=3):
    """Unit rows with inner products well away from 0 and 1."""
    rows = np.random.default_rng(31).standard_normal((k, d)) + 0.6
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def difference(function, X, step=1e-5):
    """Central differences along each coordinate, as the last axis."""
    shifts = step * np.eye(X.shape[1])
    return np.stack([(function(X + e) - function(X - e)) / (2 * step) for e in shifts], axis=-1)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_derivative_is_that_of_the_one_before(order):
    net = one_hidden_layer()
    numeric = difference(lambda X: net.derivative(X, order), POINTS)
    np.testing.assert_allclose(net.derivative(POINTS, order + 1), numeric, rtol=1e-6, atol=1e-8)


def test_value_is_the_formula():
    net = one_hidden_layer(relu)
    expected = [
        sum(v * max(w @ x + b, 0.0) for w, v, b in zip(net.weights, net.output, net.biases, strict=True))
        for x in POINTS
    ]
    np.testing.assert_allclose(net(POINTS), expected)


@pytest.mark.parametrize("phi", SLIDES, ids=lambda a: a.name)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_zs_claim_5_2(phi, order):
    """M_j = sum_i v_i m_{j,i} wbar_i^(x)j with m in terms of gamma. ZS Claim 5.2."""
    weights = np.array([[1.0, 2.0], [0.5, -0.3]])
    net = OneHiddenLayer(weights, phi, [1.0, -1.0])
    expected = np.zeros((2,) * order)
    for w, v in zip(weights, [1.0, -1.0], strict=True):
        norm = np.linalg.norm(w)
        g = [phi.gamma(j, scale=norm) for j in range(5)]
        m = [g[0], g[1], g[2] - g[0], g[3] - 3 * g[1], g[4] + 3 * g[0] - 6 * g[2]][order]
        expected += v * m * outer_power((w / norm)[None], order)[0]
    np.testing.assert_allclose(net.moment(order), expected, atol=1e-10)


def test_fourth_moment_as_printed_is_not_the_hermite_tensor():
    """ZS Definition 5.1 prints I (x~) I with the six-term product; only half of it is right."""
    density = StandardNormal(2)
    X, eye = np.array([[0.7, -1.1]]), np.eye(2)
    x = X[0]
    placements = list(itertools.combinations(range(4), 2))

    def product(first, second):
        total = np.zeros((2,) * 4)
        for pair in placements:
            rest = [i for i in range(4) if i not in pair]
            total += np.einsum(first, list(pair), second, rest, [0, 1, 2, 3])
        return total

    base = outer_power(X, 4)[0] - product(np.outer(x, x), eye)
    np.testing.assert_allclose(density.score(X, 4)[0], base + 0.5 * product(eye, eye))
    assert np.abs(density.score(X, 4)[0] - base - product(eye, eye)).max() == pytest.approx(3.0)


@pytest.mark.parametrize("order", [1, 2])
def test_moment_under_a_general_gaussian(order):
    """E[grad^m f] by Monte Carlo over N(mu, Sigma); worst |z| over at most 9 entries, P < 1e-5."""
    net = one_hidden_layer()
    mean, spread = np.array([0.3, -0.2, 0.5]), np.array([[1.0, 0.3, 0.0], [0.3, 2.0, -0.4], [0.0, -0.4, 0.7]])
    values = net.derivative(Gaussian(mean, spread).sample(100_000, rng=5), order)
    error = values.std(axis=0) / np.sqrt(len(values))
    z = (values.mean(axis=0) - net.moment(order, mean=mean, covariance=spread)) / error
    assert np.abs(z).max() < 5


@pytest.mark.parametrize("phi", [relu, squared_relu, tanh], ids=lambda a: a.name)
def test_moment_is_what_stein_estimates(phi):
    """T_2 of a sample against the exact moment, kinks included; |z| < 6 for 64 blocks, P < 1e-5."""
    net = one_hidden_layer(phi)
    X = StandardNormal(3).sample(100_000, rng=8)
    estimate = cross_moment(X, net(X), StandardNormal(3), 2)
    assert (np.abs(estimate.value - net.moment(2)) / estimate.standard_error).max() < 6


@pytest.mark.parametrize("link", ["softmax", "sigmoid", "identity"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_jacobian(link, depth):
    """SA Theorem 1 and Section 3.2: grad E[y|x] = B(x) A_1, at any depth."""
    net = feed_forward(link, depth)
    jacobian = net.jacobian(POINTS)
    np.testing.assert_allclose(jacobian, difference(net, POINTS), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(net.mean_factor(POINTS) @ net.weights[0], jacobian.mean(axis=0), atol=1e-13)


@pytest.mark.parametrize("link", ["softmax", "sigmoid", "identity"])
def test_labels_have_the_right_mean(link):
    """|z| < 5 over 5 label columns at 3 links: P < 1e-5."""
    net = feed_forward(link)
    labels = net.sample_labels(
        np.repeat(POINTS[:1], 40_000, axis=0), noise=0.5 if link == "identity" else 0.0, rng=1
    )
    if link == "softmax":
        np.testing.assert_array_equal(labels.sum(axis=1), 1.0)
    error = labels.std(axis=0) / np.sqrt(len(labels)) + 1e-12
    assert (np.abs(labels.mean(axis=0) - net(POINTS[:1])[0]) / error).max() < 5


@pytest.mark.parametrize("order", range(5))
def test_polynomial_directional_derivatives(order):
    """Against the Taylor polynomial fitted along the direction."""
    net = HiddenPolynomial(
        [[1.0, 0.2, 0.0], [-0.4, 0.8, 0.3]],
        cosine,
        {(): 1.0, (0,): 2.0, (1,): -1.0, (0, 1): 1.5, (1, 1): 0.5},
    )
    z = np.array([0.3, -0.5, 0.8])
    nodes = 0.4 * np.cos(np.pi * (np.arange(13) + 0.5) / 13)
    values = np.stack([net(POINTS + s * z) for s in nodes])
    fitted = np.polynomial.chebyshev.Chebyshev.fit
    numeric = [
        float(fitted(nodes, values[:, i], 12).deriv(order)(0.0)) if order else net(POINTS)[i]
        for i in range(5)
    ]
    np.testing.assert_allclose(net.directional_derivative(POINTS, z, order), numeric, rtol=1e-6, atol=1e-6)


def test_polynomial_of_thresholds():
    net = HiddenPolynomial(np.eye(3), relu_threshold(0.5), {(0, 2): 3.0, (): -1.0})
    X = np.array([[1.5, 9.0, 2.5], [0.2, 0.0, 9.0]])
    np.testing.assert_allclose(net(X), [3.0 * 1.0 * 2.0 - 1.0, -1.0])


def test_weights_of_the_experiments():
    weights = conditioned_weights(4, 7, condition=3.0, rng=2)
    np.testing.assert_allclose(np.linalg.svd(weights)[1], np.linspace(3.0, 1.0, 4))
    sparse = sparse_weights(50, 400, density=0.1, rng=3)
    np.testing.assert_allclose(np.linalg.norm(sparse, axis=1), 1.0)
    assert abs((sparse != 0).mean() - 0.1) < 5 * np.sqrt(0.1 * 0.9 / sparse.size)
    assert (sparse_weights(200, 5, density=0.05, rng=4) != 0).any(axis=1).all()
    np.testing.assert_array_equal(conditioned_weights(2, 3, rng=9), conditioned_weights(2, 3, rng=9))


@pytest.mark.parametrize("order", range(5))
def test_mean_derivative_is_the_mean_of_derivatives(order):
    net = one_hidden_layer()
    expected = net.derivative(POINTS, order).mean(axis=0)
    np.testing.assert_allclose(net.mean_derivative(POINTS, order), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("order", range(5))
def test_moment_neuron_by_neuron(order):
    """T_m under N(mu, Sigma) as its printed sum, one scalar coefficient a neuron."""
    net = one_hidden_layer(relu)
    mean, spread = np.array([0.3, -0.2, 0.5]), np.diag([1.0, 2.0, 0.7])
    expected = sum(
        v
        * relu.stein_coefficient(order, scale=np.sqrt(w @ spread @ w), shift=w @ mean + b)
        * (outer_power(w[None], order)[0] if order else 1.0)
        for w, v, b in zip(net.weights, net.output, net.biases, strict=True)
    )
    np.testing.assert_allclose(net.moment(order, mean=mean, covariance=spread), expected, atol=1e-12)


def test_layers_with_their_own_activations():
    rng = np.random.default_rng(4)
    first, second, third = (
        rng.standard_normal((4, 3)),
        rng.standard_normal((5, 4)),
        rng.standard_normal((2, 5)),
    )
    net = FeedForward([first, second, third], [tanh, softplus], link="sigmoid")
    expected = sigmoid(softplus(tanh(POINTS @ first.T) @ second.T) @ third.T)
    np.testing.assert_allclose(net(POINTS), expected)
    np.testing.assert_allclose(net.jacobian(POINTS), difference(net, POINTS), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(net.mean_jacobian(POINTS), net.jacobian(POINTS).mean(axis=0), atol=1e-13)


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("phi", [relu_threshold(1.5), sign_threshold(0.7), tanh], ids=lambda a: a.name)
def test_gp_lemma_9(phi, order):
    """E[f_lin H_m(z.x)] = u_m sum c_i (z.w_i)^m for unit, not orthogonal rows; the text drops c_i."""
    weights, c = oblique(3), [1.0, -0.5, 2.0]
    net = HiddenPolynomial(weights, phi, {(): 0.7, **{(i,): ci for i, ci in enumerate(c)}})
    Z = np.random.default_rng(2).standard_normal((4, 3))
    expected = phi.hermite_coefficient(order) * ((Z @ weights.T) ** order @ c) + (0.7 if order == 0 else 0.0)
    np.testing.assert_allclose(net.hermite_moment(order, Z), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("rows", [oblique(3), 1.7 * np.eye(3)], ids=["oblique", "orthogonal"])
def test_moments_of_exponential_products(rows, order):
    """f = sum c_S exp(s_S.x + const), s_S the sum of the rows in S: T_m in closed form, squares included."""
    rate, shift = 0.4, 0.3
    terms = {(): -1.0, (0,): 2.0, (0, 1): 1.5, (1, 1): 0.5, (0, 0, 2): -0.7}
    net = HiddenPolynomial(rows, exponential(rate, shift), terms)
    expected = np.zeros((3,) * order)
    for term, c in terms.items():
        total = rate * rows[list(term)].sum(axis=0)
        size = c * np.exp(total @ total / 2 - rate * shift * len(term))
        expected = expected + size * (outer_power(total[None], order)[0] if order else 1.0)
    np.testing.assert_allclose(net.moment(order), expected, rtol=1e-10, atol=1e-11)
    z = np.array([0.3, -1.1, 0.6])
    contracted = expected
    for _ in range(order):
        contracted = contracted @ z
    normalised = contracted / math.sqrt(math.factorial(order))
    np.testing.assert_allclose(net.hermite_moment(order, z), [normalised], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("order", [2, 4])
def test_moments_of_threshold_products(order, assert_within_errors):
    """E[f H_m(z.x)] of sampled products with kinks, oblique rows; |z| <= 5 over 3 directions, P < 2e-6."""
    net = HiddenPolynomial(
        oblique(3), relu_threshold(0.5), {(0,): 1.0, (0, 1): 2.0, (1, 2): -1.0, (2, 2): 0.5}
    )
    X = StandardNormal(3).sample(200_000, rng=6)
    Z = np.random.default_rng(9).standard_normal((3, 3))
    products = net(X)[:, None] * np.stack([homogeneous_hermite(order, z, X) for z in Z], axis=1)
    error = products.std(axis=0) / np.sqrt(len(X))
    assert_within_errors(products.mean(axis=0), net.hermite_moment(order, Z), error)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_stein_holds_for_smooth_products(order):
    """E[f H_m(z.x)] sqrt(m!) = E[grad^m f (z, ..., z)], by Gauss-Hermite quadrature in the plane."""
    net = HiddenPolynomial(oblique(2, 2), cosine, {(0,): 1.0, (0, 1): 2.0, (1, 1): -0.5})
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    X = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    weight = np.outer(weights, weights).reshape(-1) / (2 * np.pi)
    z = np.array([0.8, -0.5])
    expected = weight @ net.directional_derivative(X, z, order) / np.sqrt(math.factorial(order))
    np.testing.assert_allclose(net.hermite_moment(order, z), [expected], rtol=1e-10, atol=1e-11)


def test_theorem_9_coefficient_is_the_root_of_six():
    """GP Theorem 9 prints E[u'(x_i) u'(x_j) h_4(z.x)] = 6 u_2^2 z_i^2 z_j^2; it is sqrt 6 u_2^2."""
    net = HiddenPolynomial(np.eye(2), quadratic, {(0, 1): 1.0})
    z = np.array([0.6, 0.8])
    alone = HiddenPolynomial(np.eye(2), quadratic, {(0,): 1.0, (1,): 1.0}).hermite_moment(4, z)
    u_2 = quadratic.hermite_coefficient(2)
    coupled = net.hermite_moment(4, z) - quadratic.hermite_coefficient(0) * alone
    np.testing.assert_allclose(coupled, [np.sqrt(6.0) * u_2**2 * 0.36 * 0.64], rtol=1e-11)


def test_linear_part():
    net = HiddenPolynomial(np.eye(2), relu, {(): 1.0, (1,): 2.0, (0, 1): 3.0})
    assert net.linear_part.terms == {(): 1.0, (1,): 2.0}
    assert HiddenPolynomial(np.eye(2), relu, {(0, 1): 3.0}).linear_part(np.ones((1, 2))) == 0.0
    np.testing.assert_array_equal(net.sample_labels(np.ones((2, 2))), [6.0, 6.0])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: OneHiddenLayer([[0.0, 0.0]], relu), "weights must not have a zero row"),
        (lambda: OneHiddenLayer([[1.0, 0.0]], relu, [1.0, 2.0]), r"output must have shape \(1\)"),
        (lambda: OneHiddenLayer([[1.0, 0.0]], relu)(np.ones((3, 5))), r"X must have shape \(any, 2\)"),
        (lambda: FeedForward([], relu), "weights must hold at least one matrix"),
        (lambda: FeedForward([np.ones((2, 3)), np.ones((2, 3))], relu), r"weights\[1\] must have shape"),
        (lambda: FeedForward([np.ones((2, 3))], relu, link="probit"), "link must be one of"),
        (lambda: FeedForward([np.ones((2, 3))], relu, biases=[]), "biases must be one per layer"),
        (
            lambda: feed_forward("softmax").sample_labels(POINTS, noise=1.0),
            "noise is for identity links only",
        ),
        (lambda: HiddenPolynomial(np.eye(2), relu, {(2,): 1.0}), "terms must name units 0 to 1"),
        (lambda: HiddenPolynomial(np.eye(2), relu, {}), "terms must hold at least one coefficient"),
        (lambda: HiddenPolynomial(np.eye(2), relu, {(0,): np.nan}), r"terms\[\(0,\)\] must be a number"),
        (
            lambda: HiddenPolynomial(np.eye(2), relu, {(0,): 1.0}).directional_derivative(
                np.ones((1, 2)), np.ones(2), 1
            ),
            "activation must be smooth",
        ),
        (
            lambda: HiddenPolynomial(oblique(3), tanh, {(0, 1, 2): 1.0}).moment(2),
            r"terms must couple at most two units .* got \[0, 1, 2\]",
        ),
        (
            lambda: HiddenPolynomial([[1.0, 0.0], [2.0, 0.0]], tanh, {(0, 1): 1.0}).moment(2),
            "weights must not have parallel rows",
        ),
        (
            lambda: HiddenPolynomial(np.eye(2), tanh, {(0,): 1.0}).hermite_moment(2, np.ones(3)),
            r"Z must have shape \(any, 2\)",
        ),
        (lambda: one_hidden_layer().sample_labels(POINTS, noise=-1.0), "noise is a standard deviation"),
        (
            lambda: one_hidden_layer().moment(1, covariance=-np.eye(3)),
            "covariance must be symmetric and positive semidefinite",
        ),
        (
            lambda: OneHiddenLayer(np.eye(2), tanh).moment(1, covariance=np.diag([1.0, 0.0])),
            "covariance must give every row of weights a positive variance",
        ),
        (
            lambda: FeedForward([np.eye(2), np.eye(2)], [relu, tanh]),
            "activation must be one Activation or one",
        ),
        (lambda: sparse_weights(2, 3, density=1e-9, rng=0), "density must be at least"),
        (lambda: conditioned_weights(4, 3, rng=0), "k must be an integer from 1 to 3"),
        (lambda: conditioned_weights(2, 3, condition=0.5, rng=0), "condition must be at least 1"),
        (lambda: sparse_weights(2, 3, density=1.5, rng=0), r"density must be in \(0, 1\]"),
        (lambda: OneHiddenLayer([[1.0]], sigmoid).moment(-1), "order must be an integer from 0 up"),
    ],
)
def test_bad_input_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


NETWORKS = {
    "one hidden layer": (one_hidden_layer(), 3),
    "feed forward": (feed_forward("softmax"), 3),
    "polynomial": (HiddenPolynomial(np.eye(2), "relu at 0.5", {(0,): 1.0, (0, 1): 2.0}), 2),
    "union": (UnionOfHalfspaces(np.eye(2), 1.0), 2),
    "cut": (CutNetwork([np.eye(2)], [1.0], {(0,): 1.0}), 2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_pickle_equality_and_repr(name):
    """Networks pickle plainly and equal their copies, whether they have been used or not."""
    net, d = NETWORKS[name]
    X = RNG.standard_normal((4, d))
    if isinstance(net, HiddenPolynomial):
        net.moment(2)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert other == net
        np.testing.assert_array_equal(other(X), net(X))
        assert "_forms" not in vars(other)
    assert all(net != other for key, (other, _) in NETWORKS.items() if key != name)
    assert repr(net).startswith(f"{type(net).__name__}(")


def test_activations_by_name():
    """A name and the activation of that name make equal networks."""
    assert OneHiddenLayer(np.eye(2), "squared_relu") == OneHiddenLayer(np.eye(2), squared_relu)
    assert HiddenPolynomial(np.eye(2), "sign at 1", {(0,): 1.0}).activation == sign_threshold(1.0)
    assert FeedForward([np.eye(2)] * 3, ["tanh", relu]).activations == (tanh, relu)
    with pytest.raises(ValueError, match="activation must be an Activation or one of"):
        OneHiddenLayer(np.eye(2), "ReLU")


def test_weights_out_of_range():
    for size in (1e-150, 1e150):
        with pytest.raises(ValueError, match="weights must have rows of a size between"):
            OneHiddenLayer([[size, 0.0]], relu)


def test_biases_are_added_layer_by_layer():
    """Written out for two hidden layers: W_3 softplus(W_2 tanh(W_1 x + b_1) + b_2) + b_3."""
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape) for shape in ((4, 3), (2, 4), (2, 2))]
    biases = [rng.standard_normal(size) for size in (4, 2, 2)]
    X = rng.standard_normal((5, 3))
    found = FeedForward(weights, [tanh, softplus], biases=biases)(X)
    hidden = np.tanh(np.einsum("ij,nj->ni", weights[0], X) + biases[0])
    hidden = np.log1p(np.exp(np.einsum("ij,nj->ni", weights[1], hidden) + biases[1]))
    np.testing.assert_allclose(found, np.einsum("ij,nj->ni", weights[2], hidden) + biases[2], rtol=1e-12)
