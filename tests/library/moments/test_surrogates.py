"""The doubly robust moment, T_m = E[grad^m g] + E[(y - g) S_m], against exact moments and repetition."""

import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import zeta

from nnmoments import (
    Activation,
    Gaussian,
    GaussianMixture,
    Logistic,
    OneHiddenLayer,
    StandardNormal,
    TensorNetwork,
    cross_moment,
    iid,
    relu,
    softplus,
    squared_relu,
    tanh,
)
from nnmoments.activations import exponential
from nnmoments.densities import Laplace, Marginal, Normal, Product, SmoothedUniform, StudentT
from nnmoments.moments import (
    ControlVariate,
    CrossMoment,
    FunctionSurrogate,
    Polynomials,
    RandomFeatures,
    RidgeSurrogate,
    SurrogateSum,
    TensorMoment,
)

W = np.array([[1.0, 0.5, 0.0], [0.0, -0.7, 1.2]])
MIXTURE = GaussianMixture([0.5, 0.5], [[0.8] * 3, [-0.8] * 3])


def ridge(activation, **options):
    return RidgeSurrogate(W, [0.3, -0.2], [[1.0, -2.0], [0.5, 0.0]], activation, [0.1, 0.0], **options)


def surrogates():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 3))
    y = np.column_stack([np.tanh(X @ W[0]), X[:, 0] * X[:, 1] ** 2])
    return {
        "polynomial": Polynomials(3).fit(X, y),
        "polynomial in a basis": Polynomials(4, basis=W.T).fit(X, y),
        "network": ridge(tanh),
        "smoothed kinks": ridge(relu).smooth(),
        "smoothed jumps": ridge(squared_relu, widths=[0.4, 0.6]).smooth(),
        "features": RandomFeatures(40, width=2.0, ridge=1e-3).fit(X, y),
        "sum": (Polynomials(1) + RandomFeatures(20, width=2.0, ridge=1e-3)).fit(X, y),
    }


SURROGATES = surrogates()


@pytest.mark.parametrize("g", SURROGATES.values(), ids=SURROGATES)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_are_those_of_predictions(g, order):
    """Central differences of order m along a direction, second order in the step."""
    rng = np.random.default_rng(order)
    X, u = rng.standard_normal((6, 3)), np.array([0.6, -0.3, 0.5])
    steps = np.arange(order + 1) - order / 2.0
    signs = [(-1.0) ** (order - i) * math.comb(order, i) for i in range(order + 1)]
    errors = []
    for h in (0.08, 0.04):
        values = sum(s * g.predict(X + h * t * u) for s, t in zip(signs, steps, strict=True)) / h**order
        found = g.derivative_sums(X, [u[:, None]] * order, 1).reshape(6, 2)
        errors.append(np.abs(values - found).max() / (1.0 + np.abs(found).max()))
    assert errors[1] < 0.02
    assert errors[1] < 0.35 * errors[0] + 1e-6


@pytest.mark.parametrize("g", SURROGATES.values(), ids=SURROGATES)
def test_blocks_weights_and_slots(g):
    rng = np.random.default_rng(1)
    X, w, V = rng.standard_normal((12, 3)), rng.random(12), rng.standard_normal((3, 2))
    whole = g.derivative_sums(X, [None, None], 4, w)
    assert whole.shape == (3, 2, 3, 3)
    rows = g.derivative_sums(X, [None, None], 1) * w[:, None, None, None]
    np.testing.assert_allclose(whole, rows.reshape(3, 4, 2, 3, 3).sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(whole, whole.swapaxes(2, 3), atol=1e-12)
    np.testing.assert_allclose(
        g.derivative_sums(X, [V, None], 4, w), np.einsum("cyab,ak->cykb", whole, V), atol=1e-12
    )


@pytest.mark.parametrize("activation", [relu, squared_relu, tanh], ids=lambda a: a.name)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_mean_derivatives_under_gaussians_are_the_network_s_moments(activation, order):
    """Kinks included; those of the smoothed network are averages over the sample."""
    density = Gaussian([0.2, -0.1, 0.4], [[1.0, 0.3, 0.0], [0.3, 2.0, 0.1], [0.0, 0.1, 0.5]])
    teacher = OneHiddenLayer(W, activation, [1.0, -2.0], [0.3, -0.2])
    exact = teacher.moment(order, mean=density.mean, covariance=density.covariance)
    g = ridge(activation)
    np.testing.assert_allclose(g.mean_derivative(density, [None] * order)[0], exact, rtol=1e-9, atol=1e-11)
    half = GaussianMixture([0.5, 0.5], [density.mean] * 2, density.covariance)
    np.testing.assert_allclose(g.mean_derivative(half, [None] * order)[0], exact, rtol=1e-9, atol=1e-11)
    smooth = ridge(activation, widths=[0.8, 0.8]).smooth()
    X = density.sample(200_000, rng=0)
    blocks = smooth.derivative_sums(X, [None] * order, 2000)[:, 0] / 2000
    error = blocks.std(axis=0) / 10.0
    found = smooth.mean_derivative(density, [None] * order)[0]
    assert np.abs(blocks.mean(axis=0) - found).max() < 6.0 * error.max()


INDEPENDENT = Product([Normal(loc=0.2, scale=0.7), Normal(), Normal(loc=-1.0, scale=1.5)])
NORMALS = Gaussian([0.2, 0.0, -1.0], np.diag([0.49, 1.0, 2.25]))


@pytest.mark.parametrize("activation", ["relu", "squared_relu", "tanh", "cosine", "softplus", "relu at 2"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_fourier_sums_are_the_gaussian_integrals(activation, order):
    """Independent normals know nothing of their being Gaussian: two ways to one number."""
    for g in (ridge(activation), ridge(activation).smooth()):
        exact = g.mean_derivative(NORMALS, [None] * order)
        np.testing.assert_allclose(g.mean_derivative(INDEPENDENT, [None] * order), exact, atol=1e-8)
    one = RidgeSurrogate([[1.0]], [0.5], [[1.0]], "relu", [0.0])
    p = 1.0 / (1.0 + np.exp(-0.5))  # of the logistic law: its mass, density and slope of that at -b
    for m, value in ((1, p), (2, p * (1.0 - p)), (3, -p * (1.0 - p) * (2.0 * p - 1.0))):
        found = one.mean_derivative(iid(Logistic(), 1), [None] * m)
        assert found.flat[0] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("size", [0.02, 30.0])
@pytest.mark.parametrize("bias", [-3.0, 0.5, 3.0])
def test_fourier_sums_hold_in_every_unit_of_the_inputs(size, bias):
    """E relu(s(z + b)) = s E relu(z + b) for a normal z; its derivatives in b are Phi(b) and so on."""
    one = RidgeSurrogate([[size]], [size * bias], [[1.0]], "relu", [0.0])
    density = math.exp(-0.5 * bias**2) / math.sqrt(2.0 * math.pi)
    share = 0.5 * (1.0 + math.erf(bias / math.sqrt(2.0)))
    for m, value in ((1, share), (2, density), (3, -bias * density)):
        found = one.mean_derivative(Product([Normal()]), [None] * m).item()
        assert found == pytest.approx(size * value, rel=1e-7)


@dataclass(frozen=True, kw_only=True)
class Gumbel(Marginal):
    """A skewed law of one's own, with the distribution function exp(-exp(-u))."""

    def _sample(self, size, rng):
        return rng.gumbel(size=size)

    def _log_density(self, u):
        return -u - np.exp(-u)

    def _log_derivative(self, u, order):
        return (-1.0) ** order * (-np.exp(-u) + (order == 1))


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_skewed_laws_are_seen_from_either_side(side):
    """E[1{side (x + b) > 0}] is a tail of the law, and its derivatives in b are density and slope."""
    g = RidgeSurrogate([[side]], [side * 0.5], [[1.0]], "relu", [0.0])
    e = math.exp(0.5)
    mass, density = math.exp(-e), math.exp(0.5 - e)  # at -b
    slope = density * (e - 1.0)
    beyond = 1.0 - mass if side > 0.0 else -mass  # -x - b grows where x < -b
    for m, value in ((1, beyond), (2, density), (3, -side * side * slope)):
        found = g.mean_derivative(iid(Gumbel(), 1), [None] * m)
        assert found.flat[0] == pytest.approx(value, abs=1e-9)


def test_third_cumulants_of_skewed_laws():
    """E[d/dx x^4] = 4 E[x^3] = 4 (k_3 + 3 k_2 k_1 + k_1^3), k_1 = Euler's constant, k_3 = 2 zeta(3)."""
    X = np.linspace(-2.0, 3.0, 40)[:, None]
    first, second, third = np.euler_gamma, math.pi**2 / 6.0, 2.0 * zeta(3.0)
    found = Polynomials(4).fit(X, X**4).mean_derivative(iid(Gumbel(), 1), [None])
    assert found.flat[0] == pytest.approx(4.0 * (third + 3.0 * second * first + first**3), rel=1e-9)
    turned = Polynomials(4).fit(X, X**4).mean_derivative(iid(Gumbel(loc=0.5, scale=2.0), 1), [None])
    first, second, third = 0.5 + 2.0 * first, 4.0 * second, 8.0 * third
    assert turned.flat[0] == pytest.approx(4.0 * (third + 3.0 * second * first + first**3), rel=1e-9)


SKEWED = Product([Logistic(loc=0.4), SmoothedUniform(half_width=1.6, noise=0.4), StudentT(dof=12.0)])


@pytest.mark.parametrize("density", [SKEWED, NORMALS, MIXTURE], ids=["product", "gaussian", "mixture"])
@pytest.mark.parametrize("basis", [None, W.T])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_means_of_polynomials_and_features_are_integrals(density, basis, order):
    """Against averages over 400,000 draws, within 5.5 standard errors of their 100 block means."""
    X = density.sample(400_000, rng=1)
    y = np.tanh(X[:5000, :1]) + X[:5000, 1:2] * X[:5000, 2:]
    families = [Polynomials(4, basis=basis), RandomFeatures(30, width=2.0, ridge=1e-2, basis=basis)]
    for family in families:
        g = family.fit(X[:5000], y)
        blocks = g.derivative_sums(X, [None] * order, 4000) / 4000
        error = blocks.std(axis=0, ddof=1) / 10.0
        gap = np.abs(g.mean_derivative(density, [None] * order) - blocks.mean(axis=0))
        assert np.all(gap < 5.5 * error + 1e-10)


def test_what_is_not_known_is_averaged():
    """A density with a kink, tails without moments, an activation that outgrows any tail."""
    assert ridge(relu).mean_derivative(iid(Laplace(), 3), [None] * 2) is None
    cubic = Polynomials(7).fit(MIXTURE.sample(2000, rng=0), np.ones((2000, 1)))
    assert cubic.mean_derivative(iid(StudentT(dof=3.0), 3), [None]) is None
    fast = Activation("exp", np.exp, (np.exp,) * 4)
    assert ridge(fast).mean_derivative(iid(Logistic(), 3), [None]) is None


@pytest.mark.parametrize("rate", [0.3, 0.5, 0.6, 0.7, 0.75, 0.9])
def test_a_mean_under_fast_growth_is_right_or_not_known(rate):
    """E[d^m e^(rate z)] = rate^m e^(rate^2 / 2) of a normal z; rounding grows with e^(40 rate)."""
    one = RidgeSurrogate([[1.0]], [0.0], [[1.0]], exponential(rate), [0.0])
    for m in (1, 2):
        found = one.mean_derivative(Product([Normal()]), [None] * m)
        assert (found is None) if rate > 0.6 else (found is not None or rate == 0.6)
        if found is not None:
            assert found.item() == pytest.approx(rate**m * math.exp(0.5 * rate**2), rel=1e-4)


DENSITIES = {"normal": StandardNormal(3), "logistic": iid(Logistic(), 3), "mixture": MIXTURE}


@pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("known", [False, True])
def test_the_moment_is_the_same_for_every_g(density, order, known, assert_within_errors):
    """Also for a g that has nothing to do with y: then only the variance suffers."""
    X = density.sample(40_000, rng=order)
    y = X[:, 0] * X[:, 1] * X[:, 2] + X[:, 0]
    a, b, c = X.T
    truth = {1: np.array([1.0 + np.mean(b * c), np.mean(a * c), np.mean(a * b)])}
    truth[2] = np.zeros((3, 3))
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        truth[2][i, j] = truth[2][j, i] = X[:, k].mean()
    truth[3] = np.zeros((3, 3, 3))
    for axes in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        truth[3][axes] = 1.0
    spread = {1: 0.02, 2: 0.02, 3: 0.0}[order]  # the truth is an average over the same sample
    wrong = RidgeSurrogate(W, [0.3, -0.2], [[1.0, -2.0]], tanh, [5.0])
    for g in (wrong, Polynomials(order), Polynomials(3), RandomFeatures(50, width=2.0, ridge=1e-2)):
        found = cross_moment(X, y, density, order, surrogate=g, known_density=known)
        assert_within_errors(found.value, truth[order], np.hypot(found.standard_error, spread))
    exact = cross_moment(X, y, density, order, surrogate=Polynomials(3))
    assert exact.left < 1e-20
    assert exact.removed == "a polynomial of degree 3 (2-fold)"


def test_an_exact_g_makes_up_for_any_score():
    """The bias is -E[(g - E[y|x]) (S' - S)], a product of two errors: here it is linear in that of g."""
    X = MIXTURE.sample(100_000, rng=0)
    along = np.array([[1.0, 1.0, 1.0], [0.0, -0.7, 1.2]])  # the first along the line of the means
    y = OneHiddenLayer(along, softplus, [1.0, -2.0])(X)
    wrong = Gaussian(X.mean(axis=0), np.cov(X, rowvar=False))

    def network(error):
        return RidgeSurrogate(along, [0.0, 0.0], [[1.0 - error, -2.0]], softplus, [0.0])

    truth = cross_moment(X, y, MIXTURE, 2, surrogate=network(0.0)).value
    biases = [
        np.linalg.norm(cross_moment(X, y, wrong, 2, surrogate=network(error)).value - truth)
        for error in (1.0, 0.3, 0.1, 0.0)
    ]
    plain = np.linalg.norm(cross_moment(X, y, wrong, 2).value - truth)
    assert plain > 0.05
    assert biases[3] < 1e-12
    np.testing.assert_allclose(np.array(biases[:3]) / biases[0], [1.0, 0.3, 0.1], rtol=1e-6)


@pytest.mark.parametrize("activation", [squared_relu, relu], ids=lambda a: a.name)
def test_the_network_reaches_the_efficiency_bound(activation):
    """MSE of T_2 and of projected T_3 over E[Var(y|x) |S_m|^2]/n, the network found from the other half."""
    d, n, noise = 6, 3000, 0.1
    ratios: dict[int, list[float]] = {2: [], 3: []}
    plain: dict[int, list[float]] = {2: [], 3: []}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        V = np.linalg.qr(rng.standard_normal((d, 2)))[0].T * [[1.0], [1.5]]
        teacher = OneHiddenLayer(V, activation, [1.0, -1.0])
        X = rng.standard_normal((n, d))
        sigma = noise * teacher(rng.standard_normal((20_000, d))).std()
        y = teacher.sample_labels(X, noise=sigma, rng=rng)
        net = TensorNetwork(2, activation, noise=0.05, random_state=0)
        for order, width, basis in ((2, d, None), (3, 2, np.linalg.qr(V.T)[0])):
            # |S_m|^2 has the mean r (r + 1) ... (r + m - 1) in r dimensions.
            bound = sigma**2 * math.prod(range(width, width + order)) / n
            found = cross_moment(
                X, y, StandardNormal(d), order, bases=basis, surrogate=net, known_density=True
            )
            exact = TensorMoment(teacher.moment(order)).contract(basis)
            ratios[order].append(np.sum((found.value - exact) ** 2) / bound)
            rough = cross_moment(
                X, y, StandardNormal(d), order, bases=basis, control=ControlVariate(degree=0)
            )
            plain[order].append(np.sum((rough.value - exact) ** 2) / bound)
            assert found.left == pytest.approx(noise**2 / (1.0 + noise**2), rel=0.3)
    # Sums of 21 chi-squares each, and of 4: about five standard errors above 1.
    assert np.mean(ratios[2]) < 1.5
    assert np.mean(ratios[3]) < 3.0
    assert np.mean(plain[2]) > 30.0
    assert np.mean(plain[3]) > 30.0


def test_enough_random_features_come_near_the_limit():
    """A function of ten inputs takes hundreds of cosines; with ridge and width chosen, more do no harm."""
    n, over = 2000, {40: [], 600: []}
    for seed in range(2):
        rng = np.random.default_rng(seed)
        V = np.linalg.qr(rng.standard_normal((10, 3)))[0].T
        teacher = OneHiddenLayer(V, squared_relu, [1.0, -1.0, 1.0])
        X = rng.standard_normal((n, 10))
        sigma = 0.1 * teacher(rng.standard_normal((20_000, 10))).std()
        y = teacher.sample_labels(X, noise=sigma, rng=rng)
        for count, found in over.items():
            moment = cross_moment(
                X, y, StandardNormal(10), 2, surrogate=RandomFeatures(count), known_density=True
            )
            found.append(np.sum((moment.value - teacher.moment(2)) ** 2) / (110.0 * sigma**2 / n))
    assert np.mean(over[600]) < 12.0 < 30.0 < np.mean(over[40])


FEATURES = RandomFeatures(30, width=2.0, ridge=1e-2)


@pytest.mark.parametrize("family", [Polynomials(2), Polynomials(3), FEATURES], ids=["2", "3", "features"])
def test_standard_errors_cover(family):
    """95 % intervals over 200 repetitions: within 4.5 standard errors of 95 %."""
    density, inside = StandardNormal(2), []
    teacher = OneHiddenLayer([[1.0, 0.5]], tanh, [1.0])
    truth = teacher.moment(1)
    for seed in range(200):
        rng = np.random.default_rng([7, seed])
        X = rng.standard_normal((1000, 2))
        y = teacher.sample_labels(X, noise=0.3, rng=rng)
        found = cross_moment(X, y, density, 1, surrogate=family)
        inside.append(np.abs(found.value - truth) < 2.0 * found.standard_error)  # t with about 60 degrees
    assert abs(np.mean(inside) - 0.95) < 4.5 * math.sqrt(0.95 * 0.05 / 300)


def test_the_second_of_a_sum_is_fitted_to_what_the_first_leaves(rng):
    X = rng.standard_normal((500, 2))
    y = 1.0 + X @ np.array([[2.0], [-1.0]])
    both = (Polynomials(1) + Polynomials(2)).fit(X, y)
    np.testing.assert_allclose(both.predict(X), y, atol=1e-9)
    assert both.describe() == "a polynomial of degree 1 + a polynomial of degree 2"


def test_degree_is_chosen_on_held_out_samples(rng):
    X = rng.standard_normal((3000, 2))
    cubic = (X[:, :1] ** 3 - X[:, 1:]) + 0.1 * rng.standard_normal((3000, 1))
    assert Polynomials().fit(X, cubic).degree == 3
    assert Polynomials().fit(X[:20], rng.standard_normal((20, 1))).degree == 0


def test_chunks_merge_and_copies_are_equal(rng):
    X = rng.standard_normal((6000, 3))
    y = np.tanh(X @ W[0])
    g = Polynomials(2).fit(X, y[:, None])
    parts = [CrossMoment(StandardNormal(3), 2, surrogate=g).partial_fit(X[i::3], y[i::3]) for i in range(3)]
    whole = CrossMoment(StandardNormal(3), 2, surrogate=g).partial_fit(X, y).estimate()
    merged = sum(parts).estimate()
    np.testing.assert_allclose(merged.value, whole.value, atol=1e-12)
    assert merged.left == pytest.approx(whole.left)
    assert pickle.loads(pickle.dumps(parts[0])) == parts[0] != parts[1]
    assert SurrogateSum((g, g)).mean_derivative(StandardNormal(3), [None] * 2) is not None


def test_sample_weights(rng):
    """Weight 0 is a dropped row, in the fit and in the average."""
    X = rng.standard_normal((2000, 3))
    y = np.tanh(X @ W[0])
    w = np.repeat([1.0, 2.0], 1000)
    padded, labels = np.vstack([X, np.full((4, 3), 50.0)]), np.append(y, [1e3] * 4)
    for family in (Polynomials(2), RandomFeatures(20, width=2.0, ridge=1e-2)):
        found = cross_moment(X, y, StandardNormal(3), 2, surrogate=family, sample_weight=w)
        same = cross_moment(
            padded, labels, StandardNormal(3), 2, surrogate=family, sample_weight=np.append(w, np.zeros(4))
        )
        np.testing.assert_allclose(same.value, found.value, atol=1e-12)


def test_a_function_of_the_user_s(rng):
    X = rng.standard_normal((4000, 2))
    y = np.exp(X[:, 0])
    g = FunctionSurrogate(2, lambda Z: np.exp(Z[:, 0]), [lambda Z: np.exp(Z[:, :1]) * [1.0, 0.0]])
    found = cross_moment(X, y, StandardNormal(2), 1, surrogate=g)
    assert found.left == 0.0
    np.testing.assert_allclose(found.value, [y.mean(), 0.0], atol=1e-12)
    with pytest.raises(ValueError, match="derivatives must hold order 2"):
        cross_moment(X, y, StandardNormal(2), 2, surrogate=g)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"surrogate": 3}, "surrogate must be a Surrogate or have a fit method, got int"),
        ({"surrogate": ridge(tanh)}, "surrogate must have as many outputs as y, 1, got 2"),
        (
            {"surrogate": RidgeSurrogate([[1]], [0], [[1]], "tanh", [0])},
            "surrogate must be a function on R",
        ),
        ({"surrogate": Polynomials(2), "control": ControlVariate()}, "control must be None"),
        ({"surrogate": Polynomials(-1)}, "degree must be"),
        ({"surrogate": Polynomials(2), "folds": 1}, "folds must be"),
    ],
)
def test_bad_surrogates_are_named(options, match, rng):
    X = rng.standard_normal((100, 3))
    with pytest.raises(ValueError, match=match):
        cross_moment(X, X[:, 0], StandardNormal(3), 1, **options)


def test_automatic_is_a_polynomial_of_chosen_degree_in_the_basis(rng):
    X = rng.standard_normal((3000, 4))
    y = np.tanh(X[:, 0] + 0.3) + 0.1 * rng.standard_normal(3000)
    V = np.eye(4)[:, :1]
    for bases, same in ((None, Polynomials()), (V, Polynomials(basis=V))):
        found = cross_moment(X, y, StandardNormal(4), 2, bases=bases, surrogate="auto")
        other = cross_moment(X, y, StandardNormal(4), 2, bases=bases, surrogate=same)
        np.testing.assert_array_equal(found.value, other.value)
        assert found.removed == other.removed
    with pytest.raises(ValueError, match="surrogate must be"):
        cross_moment(X, y, StandardNormal(4), 2, surrogate="network")


def test_more_samples_than_enough_are_left_to_the_moment(rng, monkeypatch):
    seen = []
    fit = Polynomials.fit
    monkeypatch.setattr(Polynomials, "fit", lambda self, X, *rest: seen.append(len(X)) or fit(self, X, *rest))
    X = rng.standard_normal((9000, 1))
    cross_moment(X, X[:, 0], StandardNormal(1), 1, surrogate=Polynomials(1))
    assert seen == [2000, 2000]  # a thousand for each of two coefficients
    assert (Polynomials(1) + RandomFeatures(7)).enough(1) == 7000
    assert Polynomials(2, basis=np.ones((5, 1))).enough(5) == 3000
