"""Local likelihood (GM Section 2) against its own conditions, quadrature and known densities."""

import pickle
import tracemalloc

import numpy as np
import pytest
from scipy.integrate import quad
from sklearn.datasets import load_diabetes, load_iris
from sklearn.preprocessing import StandardScaler

from companion.experiments import score_estimation as experiment
from nnmoments.densities import (
    Gaussian,
    GaussianMixture,
    Laplace,
    Logistic,
    StandardNormal,
    StudentT,
    UserDensity,
    iid,
)
from nnmoments.moments import cross_moment
from nnmoments.scores import (
    LLSFE,
    AffineScore,
    IndependentLocalLikelihood,
    KernelDensity,
    LocalLikelihood,
    NearestNeighbor,
    ScoreMatching,
    SpectralStein,
    check_score,
    choose_score,
    estimate_score,
    fit_gaussian_mixture,
    rate_bandwidth,
    score_matching_loss,
)
from nnmoments.scores.higher_degree import correct_window
from nnmoments.scores.kernel_moments import central_moments, kernel_moments

MIXTURE = GaussianMixture([0.5, 0.5], [[1.0, 1.0], [-1.0, -1.0]])


def conditions_in_1d(
    model: LocalLikelihood, x: float, h: float, degree: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of GM (5) at x, orders 0..p: adaptive quadrature and the sample."""
    fit = model.fit_at([[x]])
    a = [fit.log_density.item(), *(G.item() for G in fit.derivatives)]
    factorials = np.cumprod([1.0, *range(1, degree + 1)])

    def kernel(u):
        return np.exp(-(u**2) / (2 * h * h))

    def left(j):
        def f(u):
            power = sum(c * u**i / f for i, (c, f) in enumerate(zip(a, factorials, strict=True)))
            return np.exp(power) * (u / h) ** j * kernel(u)

        return quad(f, -8 * h, 8 * h, limit=200)[0]

    u = model.X[:, 0] - x
    right = [np.mean((u / h) ** j * kernel(u)) for j in range(degree + 1)]
    return np.array([left(j) for j in range(degree + 1)]), np.array(right)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_local_likelihood_conditions(degree):
    """GM (5) holds at the solution for every degree; independent adaptive quadrature."""
    X = GaussianMixture([0.5, 0.5], [[1.2], [-1.2]]).sample(2000, rng=5)
    h = 0.8
    model = LocalLikelihood(X, degree=degree, bandwidth=h, shrinkage=0.0)
    left, right = conditions_in_1d(model, 0.4, h, degree)
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_ridge_leaves_orders_up_to_two_exact():
    X = GaussianMixture([0.5, 0.5], [[1.2], [-1.2]]).sample(500, rng=5)
    left, right = conditions_in_1d(LocalLikelihood(X, degree=4, bandwidth=0.8), 0.4, 0.8, 4)
    np.testing.assert_allclose(left[:3], right[:3], rtol=1e-5, atol=1e-6)
    assert abs(left[4] - right[4]) > 1e-3


def test_degree_two_in_two_dimensions_by_newton_on_the_likelihood():
    """GM (14), (15): the closed form is the maximiser of GM (3); gradient by finite differences."""
    X, h = MIXTURE.sample(300, rng=1), 0.7
    x = np.array([0.3, -0.5])
    fit = LocalLikelihood(X, bandwidth=h).fit_at(x[None])
    U = X - x
    K = np.exp(-np.sum(U**2, 1) / (2 * h * h))

    def likelihood(theta):
        a0, a1 = theta[0], theta[1:3]
        A2 = np.array([[theta[3], theta[4]], [theta[4], theta[5]]])
        data = K @ (a0 + U @ a1 + 0.5 * np.einsum("ni,ij,nj->n", U, A2, U)) / len(X)
        P = np.eye(2) / h**2 - A2
        integral = 2 * np.pi / np.sqrt(np.linalg.det(P)) * np.exp(a0 + 0.5 * a1 @ np.linalg.solve(P, a1))
        return data - integral

    a1, A2 = (G[0] for G in fit.derivatives)
    theta = np.array([fit.log_density[0], *a1, A2[0, 0], A2[0, 1], A2[1, 1]])
    step = 1e-5 * np.eye(6)
    gradient = [(likelihood(theta + e) - likelihood(theta - e)) / 2e-5 for e in step]
    np.testing.assert_allclose(gradient, 0.0, atol=1e-8)


def test_conditions_have_no_solution_on_the_line_for_degree_three():
    """GM (5) with a Gaussian kernel: exp(cubic) is not integrable against it, only over a window."""
    X, h = GaussianMixture([0.5, 0.5], [[1.2], [-1.2]]).sample(2000, rng=5), 0.8
    G = LocalLikelihood(X, degree=3, bandwidth=h, shrinkage=0.0).fit_at([[0.4]]).derivatives

    def exponent(u):
        return sum(g.item() * u**j / np.prod(range(1, j + 1)) for j, g in enumerate(G, 1)) - u**2 / (
            2 * h * h
        )

    assert max(exponent(-6 * h), exponent(6 * h)) < -10.0
    assert max(exponent(-60 * h), exponent(60 * h)) > 1000.0


def test_equation_7_needs_a_symmetrised_square():
    """GM (7) prints 3 (G_2 (x) G_2); Example 1 and the derivatives of the density say 3 sym(G_2 (x) G_2)."""
    u, v = np.eye(2)
    e = 0.05
    weights = np.outer([1, -2, 1], [1, -2, 1]) / e**4  # d^2/du^2 d^2/dv^2 of exp(-|x|^2 / 2) at 0

    def density(i, j):
        return np.exp(-0.5 * np.sum((i * e * u + j * e * v) ** 2))

    truth = sum(weights[i + 1, j + 1] * density(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1))
    assert truth == pytest.approx(1.0, abs=0.01)
    assert StandardNormal(2).contract([[0.0, 0.0]], u, u, v, v).item() == pytest.approx(1.0)
    assert experiment.printed_fourth_score() == pytest.approx(3.0)


def test_remark_1_breaks_assumption_1_for_the_fourth_order():
    """With p = 2, m = 4, d = 2 and h of Remark 1, n h^(d + 2m) falls: the variance is not controlled."""
    values = [n * rate_bandwidth(n, 2, 2) ** (2 + 2 * 4) for n in (10**2, 10**4, 10**6)]
    assert values[0] > values[1] > values[2]
    allowed = [n * rate_bandwidth(n, 2, 4) ** (2 + 2 * 4) for n in (10**2, 10**4, 10**6)]
    assert allowed[0] < allowed[1] < allowed[2]


def test_limit_of_degree_two():
    """The closed form of the window's limit against one large sample, and h -> 0 against GM (7)'s terms."""
    limit = experiment.degree_two_limit().set_index("h")
    X, points = MIXTURE.sample(300_000, rng=0), MIXTURE.sample(300, rng=1)
    truth = MIXTURE.score(points, 2)
    error = LocalLikelihood(X, bandwidth=1.0).score(points, 2) - truth
    assert np.linalg.norm(error) / np.linalg.norm(truth) == pytest.approx(limit["S2"][1.0], rel=0.2)
    many = MIXTURE.sample(200_000, rng=2)
    first, second = MIXTURE.log_derivatives(many, 2)
    zero = [np.zeros((len(many),) + (2,) * j) for j in (3, 4)]
    truncated = UserDensity(2, [lambda _, G=G: G for G in (first, second, *zero)]).score(many, 4)
    truth = MIXTURE.score(many, 4)
    assert np.linalg.norm(truncated - truth) / np.linalg.norm(truth) == pytest.approx(
        limit["S4"][0.05], rel=0.05
    )


def test_experiment_windows_are_those_of_the_library():
    """The vectorised trials of Figures 1 and 2 compute what `kernel_moments` does, one window a trial."""
    x, monomials = experiment.centred_monomials(MIXTURE, 50, 3, np.random.default_rng(0))
    mean, covariance = experiment.window_moments(monomials, np.full(3, 0.9))
    for t in range(3):
        X = monomials[t, 1:3].T + x[t]
        window = kernel_moments(x[t : t + 1], X, np.array([0.9]), 2)
        m, C = central_moments(window.raw)
        np.testing.assert_allclose(mean[t], m[0] + window.centre[0] - x[t], atol=1e-12)
        np.testing.assert_allclose(covariance[t], C[0], atol=1e-12)


def test_memory_is_bounded_by_the_chunk():
    """The kernel matrix of 5000 points and 5000 samples would take 200 MB."""
    X = MIXTURE.sample(5000, rng=0)
    model = LocalLikelihood(X, bandwidth=1.0)
    tracemalloc.start()
    model.score(X, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_moments_against_direct_sums():
    X, points = MIXTURE.sample(50, rng=0), MIXTURE.sample(7, rng=1)
    h = np.linspace(0.5, 2.0, 7)
    window = kernel_moments(points, X, h, 4)
    mean, C2, C3, C4 = central_moments(window.raw)
    for q in range(7):
        K = np.exp(-np.sum((X - points[q]) ** 2, 1) / (2 * h[q] ** 2))
        m = K @ X / K.sum()
        U = X - m
        np.testing.assert_allclose(mean[q] + window.centre[q], m, atol=1e-12)
        np.testing.assert_allclose(C2[q], np.einsum("n,na,nb->ab", K, U, U) / K.sum(), atol=1e-12)
        np.testing.assert_allclose(C3[q], np.einsum("n,na,nb,nc->abc", K, U, U, U) / K.sum(), atol=1e-11)
        np.testing.assert_allclose(C4[q], np.einsum("n,na,nb,nc,nd->abcd", K, *[U] * 4) / K.sum(), atol=1e-11)
        np.testing.assert_allclose(window.effective[q], K.sum() ** 2 / (K**2).sum())


def test_empty_windows_do_not_underflow():
    X = MIXTURE.sample(50, rng=0)
    window = kernel_moments(np.array([[100.0, 100.0]]), X, np.array([0.5]), 2)
    assert np.isfinite(window.log_total).all()
    nearest = X[np.sum((X - 100.0) ** 2, 1).argmin()]
    np.testing.assert_allclose(window.raw[0][0] + window.centre[0], nearest, atol=1e-6)


def test_newton_solves_the_whitened_conditions():
    """At the solution the tilted Gaussian has the window's skewness and kurtosis."""
    rng = np.random.default_rng(0)
    third = 0.1 * rng.standard_normal((5, 1, 1, 1))
    fourth = 3.0 - 0.3 * rng.random((5, 1, 1, 1, 1))
    solved = correct_window(third, fourth, np.zeros(5))
    assert solved.converged.all()
    z = np.linspace(-9, 9, 20_001)
    basis = np.stack([np.ones_like(z), z, (z**2 - 1) / 2**0.5, (z**3 - 3 * z) / 6**0.5])
    basis = np.vstack([basis, (z**4 - 6 * z**2 + 3) / 24**0.5])
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * np.exp(solved.eta @ basis)
    weight = z[1] - z[0]
    expected = [np.ones(5), np.zeros(5), np.ones(5), third.ravel(), fourth.ravel()]
    for power, target in enumerate(expected):
        np.testing.assert_allclose(density @ z**power * weight, target, atol=1e-6)


def test_gaussian_is_exact_for_any_bandwidth():
    """For Gaussian f the quadratic is right: errors fall like n^(-1/2) even at large h."""
    X = StandardNormal(2).sample(40_000, rng=3)
    points = StandardNormal(2).sample(200, rng=4)
    for degree, bound in ((2, 0.05), (3, 0.06), (4, 0.15)):
        model = LocalLikelihood(X, degree=degree, bandwidth=2.0)
        error = model.score(points, 2) - StandardNormal(2).score(points, 2)
        assert np.sqrt(np.mean(error**2)) < bound


def test_higher_degrees_lower_the_bias():
    """Theorem 1: bias h^(p + 1 - m); at n large and one h, degree 4 beats 2 on the mixture."""
    X, points = MIXTURE.sample(60_000, rng=1), MIXTURE.sample(150, rng=2)
    truth = MIXTURE.score(points, 2)
    errors = [
        np.linalg.norm(LocalLikelihood(X, degree=p, bandwidth=1.0).score(points, 2) - truth)
        for p in (1, 2, 4)
    ]
    assert errors[2] < 0.7 * errors[1] < 0.7 * errors[0]


def test_three_dimensions():
    f = StandardNormal(3)
    X = f.sample(4000, rng=0)
    fit = LocalLikelihood(X, degree=4, bandwidth=2.0).fit_at(f.sample(20, rng=1))
    assert fit.derivatives[3].shape == (20, 3, 3, 3, 3)
    assert (fit.status == 0).all()


def test_leave_one_out_is_a_fit_without_the_point():
    X = MIXTURE.sample(400, rng=2)
    model = LocalLikelihood(X, bandwidth=1.5, leave_one_out=True)
    for i in (0, 17):
        without = LocalLikelihood(np.delete(X, i, axis=0), bandwidth=1.5)
        ours, theirs = model.fit_at(X[i : i + 1]), without.fit_at(X[i : i + 1])
        np.testing.assert_allclose(ours.log_density, theirs.log_density, atol=1e-12)
        if ours.status[0] == 0:
            np.testing.assert_allclose(ours.derivatives[1], theirs.derivatives[1], atol=1e-10)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_nothing_explodes(degree):
    """Far points, tied rows, tiny bandwidths: finite, bounded by the window and reported."""
    X = np.vstack([MIXTURE.sample(100, rng=0), np.zeros((30, 2))])
    model = LocalLikelihood(X, degree=degree, bandwidth=0.05)
    points = np.array([[0.0, 0.0], [50.0, -50.0], [1.0, 1.0]])
    fit = model.fit_at(points)
    assert all(np.isfinite(G).all() for G in fit.derivatives)
    assert (fit.status[1:] > 0).all()
    assert degree == 1 or fit.status[0] > 0  # tied rows; degree 1 has no covariance to clamp
    assert "blended" in fit.message
    if degree > 1:
        assert np.abs(fit.derivatives[1]).max() < 101 / 0.05**2


def test_message_counts_points():
    X = StandardNormal(2).sample(500, rng=0)
    assert LocalLikelihood(X, bandwidth=4.0).fit_at(X).message == "500 points solved"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.zeros((3, 2)), "bandwidth": 1.0}, "X needs at least 2"),
        ({"X": np.ones((50, 2)), "bandwidth": 1.0}, "X lies in a subspace"),
        ({"X": np.eye(10)[:, :4], "bandwidth": 1.0, "degree": 3}, "degree 3 needs quadrature in d <= 3"),
        ({"X": np.random.default_rng(0).standard_normal((9, 1)), "bandwidth": 0.0}, "bandwidth must be"),
        (
            {"X": np.random.default_rng(0).standard_normal((9, 1)), "bandwidth": 1.0, "degree": 5},
            "degree must",
        ),
    ],
)
def test_refusals(arguments, message):
    X = arguments.pop("X")
    with pytest.raises(ValueError, match=message):
        LocalLikelihood(X, **arguments)


def test_nearest_neighbor_bandwidth_counts_samples():
    X = StandardNormal(2).sample(1000, rng=0)
    h = NearestNeighbor(0.3).at(np.zeros((1, 2)), X)
    assert np.mean(np.linalg.norm(X, axis=1) <= 2 * h[0]) == pytest.approx(0.3, abs=0.002)
    assert NearestNeighbor(4.0).at(np.zeros((1, 2)), X) == pytest.approx(
        2 * NearestNeighbor(1.0).at(np.zeros((1, 2)), X)
    )


def test_rate_bandwidth_is_remark_1():
    assert rate_bandwidth(256, 2, 2) == pytest.approx(256 ** (-1 / 8))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_score_matching_loss_is_minimal_at_the_truth(order, assert_within_errors):
    """Its mean is -E s_m^2 / 2 at the true score (Stein), for every order."""
    f = iid(Logistic(), 2)
    X = f.sample(30_000, rng=order)
    losses = score_matching_loss(f, X, order, step=0.05, rng=1)
    directions = np.random.default_rng(1).standard_normal(X.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    scores = f.score(X, order)
    for _ in range(order):
        scores = np.einsum("n...a,na->n...", scores, directions)
    difference = losses + 0.5 * scores**2
    assert_within_errors(difference.mean(), 0.0, difference.std() / len(X) ** 0.5 + 1e-3)


def test_select_rejects_bad_bandwidths():
    X = MIXTURE.sample(1500, rng=0)
    ways = [lambda Z, h=h: LocalLikelihood(Z, bandwidth=h) for h in (0.2, 0.8, 20.0)]
    chosen = choose_score(X, ways, rng=0)
    assert chosen.chosen == 1
    assert chosen.standard_errors[1] == 0.0
    with pytest.raises(ValueError, match="candidates must be a sequence of at least one"):
        choose_score(X, [], rng=0)


def test_kernel_density_scores_are_derivatives_of_the_estimate():
    X = MIXTURE.sample(40, rng=0)
    model = KernelDensity(X, bandwidth=0.7)
    x = np.array([[0.2, 0.4]])

    def density(u):
        return np.exp(-np.sum((X - u) ** 2, 1) / (2 * 0.49)).sum()

    e = 1e-2
    u = np.array([0.6, 0.8])
    line = [density(x[0] + j * e * u) for j in range(-3, 4)]
    for order, weights in {
        1: [0, 0, -0.5, 0, 0.5, 0, 0],
        4: [-1 / 6, 2, -6.5, 28 / 3, -6.5, 2, -1 / 6],
    }.items():
        expected = (-1) ** order * np.dot(weights, line) / e**order / line[3]
        assert model.contract(x, *[u] * order).item() == pytest.approx(expected, rel=2e-3)


def test_competitors_estimate_the_score():
    X = MIXTURE.sample(1500, rng=0)
    truth = MIXTURE.score(X, 1)
    for model, bound in (
        (ScoreMatching(X, width=1.5, ridge=1e-3, rng=0), 0.25),
        (SpectralStein(X, energy=0.98), 0.35),
        (fit_gaussian_mixture(X, 2, rng=0), 0.2),
        (LocalLikelihood(X, bandwidth=NearestNeighbor(0.25)), 0.25),
    ):
        assert np.linalg.norm(model.score(X, 1) - truth) < bound * np.linalg.norm(truth)


def test_score_matching_derivatives():
    X = MIXTURE.sample(200, rng=0)
    model = ScoreMatching(X, width=1.0, centres=20, rng=0)
    G = model.log_derivatives(X[:3], 4)
    e = 1e-4
    for j in range(1, 4):
        shifted = [model.log_derivatives(X[:3] + s * e * np.eye(2)[0], j)[-1] for s in (1, -1)]
        np.testing.assert_allclose((shifted[0] - shifted[1]) / (2 * e), G[j][:, 0], atol=1e-5)


def test_independent_coordinates_recover_logistic_scores():
    f = iid(Logistic(), 3)
    X = f.sample(50_000, rng=0)
    model = IndependentLocalLikelihood(X, bandwidth=NearestNeighbor(0.5))
    points = f.sample(500, rng=1)
    error = model.score(points, 2) - f.score(points, 2)
    assert np.sqrt(np.mean(error**2)) < 0.05
    assert model.log_derivatives(points, 4)[3] is not None


@pytest.mark.parametrize(
    "fit",
    [
        lambda X: LocalLikelihood(X, bandwidth=1.0, leave_one_out=True),
        lambda X: LocalLikelihood(X, degree=4, bandwidth=NearestNeighbor(0.5)),
        lambda X: IndependentLocalLikelihood(X, bandwidth=NearestNeighbor(0.5)),
        lambda X: KernelDensity(X, bandwidth=0.5),
        lambda X: ScoreMatching(X, width=1.0, centres=20, rng=0),
        lambda X: SpectralStein(X),
        lambda X: fit_gaussian_mixture(X, 2, rng=0),
    ],
    ids=["leave one out", "degree 4", "independent", "density", "matching", "stein", "mixture"],
)
def test_score_models_pickle_and_equal_their_copies(fit, rng):
    X = rng.standard_normal((300, 2))
    model = fit(X)
    before = model.score(X[:5], 1)
    copy = pickle.loads(pickle.dumps(model))
    assert copy == model
    np.testing.assert_array_equal(copy.score(X[:5], 1), before)
    assert fit(X + 1.0) != model


def test_llsfe_of_the_paper_is_local_likelihood_in_full_windows():
    """GM (14)-(15); the better one differs only where windows need a guard."""
    X, points = MIXTURE.sample(4000, rng=1), MIXTURE.sample(50, rng=2)
    for order in (1, 2, 4):
        ours = LocalLikelihood(X, bandwidth=1.2).score(points, order)
        np.testing.assert_allclose(LLSFE(X, 1.2).score(points, order), ours, rtol=1e-7, atol=1e-9)
    with pytest.raises(ValueError, match="widen the bandwidth"):
        LLSFE(X, 1e-6).score(points, 1)
    with pytest.raises(ValueError, match="bandwidth must be"):
        LLSFE(X, 0.0)


@pytest.mark.parametrize("distance", [10.0, 27.5, 29.0, 30.2, 45.0, 1e4])
def test_far_points_see_the_nearest_samples(distance):
    """No window is empty, however few doubles its kernel is: the score leads to the nearest samples."""
    X = np.random.default_rng(0).standard_normal((2000, 1))
    point = X.max(axis=0, keepdims=True) + 0.1 * distance
    score = KernelDensity(X, bandwidth=0.1).score(point, 1)
    K = np.exp(-0.5 * (((X - point) / 0.1) ** 2 - distance**2))
    np.testing.assert_allclose(score, (point - K.T @ X / K.sum()) / 0.01, rtol=1e-9)
    fitted = LocalLikelihood(X, bandwidth=0.1).fit_at(point)
    assert all(np.isfinite(part).all() for part in (fitted.log_density, *fitted.derivatives))
    assert (fitted.status > 0).all()


@pytest.mark.parametrize(
    "fit",
    [
        lambda X: LocalLikelihood(X, bandwidth=0.5),
        lambda X: LocalLikelihood(X, degree=4, bandwidth=0.7),
        lambda X: LocalLikelihood(X, bandwidth=NearestNeighbor(0.3)),
        lambda X: KernelDensity(X, bandwidth=0.3),
        lambda X: LLSFE(X, 0.5),
    ],
)
@pytest.mark.parametrize("far", [1e7, -1e12, 1e20])
def test_a_sample_of_weight_zero_changes_nothing(fit, far):
    X = np.random.default_rng(0).standard_normal((2001, 1))
    X[7] = 50.0  # no weight either
    Y = X.copy()
    Y[7] = far
    points = np.array([[-0.5], [0.0], [0.5]])
    for order in (1, 2):
        np.testing.assert_allclose(fit(Y).score(points, order), fit(X).score(points, order), rtol=1e-7)


@pytest.mark.parametrize("data", ["diabetes", "rounded", "half zeros"])
def test_choice_is_not_fooled_by_ties(data):
    """The narrowest window has the least loss at tied values, without bound, and is no better for it."""
    rng = np.random.default_rng(0)
    if data == "diabetes":
        X = StandardScaler().fit_transform(load_diabetes().data)
    else:
        X = rng.standard_normal((1000, 1))
        X = X.round(1) if data == "rounded" else np.maximum(X, 0.0)
    ways = [lambda Z, h=h: KernelDensity(Z, bandwidth=h) for h in (1e-3, 1e-2, 0.4)]
    found = choose_score(X, ways, points=200, rng=0)
    assert found.chosen == 2
    assert "have ties" in found.status
    assert choose_score(rng.standard_normal((50, 1)), ways[2:], rng=0).status == "no ties"


def test_too_few_samples_for_a_degree_are_refused():
    with pytest.raises(ValueError, match="bandwidth leaves too few samples of X's column 0"):
        IndependentLocalLikelihood(load_iris().data, bandwidth=0.1)


def test_score_matching_in_twenty_dimensions_is_chunked():
    X = np.random.default_rng(0).standard_normal((2500, 20))
    tracemalloc.start()
    model = ScoreMatching(X, width=4.0, centres=50, rng=0)
    model.score(X, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_affine_scores_are_those_of_the_image():
    """S_m^x(u, ...) = S_m^z(Au, ...) for z = A(x - c), a component at a time."""
    rng = np.random.default_rng(0)
    A, c, X = rng.standard_normal((2, 2)), rng.standard_normal(2), rng.standard_normal((5, 2))
    inverse = np.linalg.inv(A)
    means = np.array([[1.0, 0.0], [-1.0, 0.5]])
    z = GaussianMixture([0.3, 0.7], means)
    x = GaussianMixture([0.3, 0.7], means @ inverse.T + c, inverse @ inverse.T)
    for m in range(1, 5):
        np.testing.assert_allclose(AffineScore(z, A, c).score(X, m), x.score(X, m), rtol=1e-8, atol=1e-8)
    for model in (z, StandardNormal(2)):
        image = model.sample(200, rng=1) @ inverse.T + c
        found = cross_moment(image, image[:, 0] ** 4, AffineScore(model, A, c), 4).value
        by_hand = np.tensordot(image[:, 0] ** 4, AffineScore(model, A, c).score(image, 4), 1) / 200
        np.testing.assert_allclose(found, by_hand, rtol=1e-8)


def test_a_score_of_another_law_fails_the_check():
    X = StandardNormal(3).sample(4000, rng=0)
    assert check_score(StandardNormal(3), X, order=4).passed
    for wrong in (Gaussian(np.full(3, 0.5), np.eye(3)), Gaussian(np.zeros(3), 2.0 * np.eye(3))):
        found = check_score(wrong, X)
        assert not found.passed
        assert "the score is not that of X" in found.status
    # sgn(x)^4 for Laplace inputs (GM Figure 3) passes at order 1, and fails at order 4: E S_4 = 1, not 0.
    f = UserDensity(1, [lambda Z: -np.sign(Z), lambda Z: 0.0 * Z[:, :, None]])
    signs = iid(Laplace(), 1).sample(4000, rng=0)
    assert check_score(f, signs, order=1).passed
    assert not check_score(f, signs, order=2).passed


@pytest.mark.parametrize("scale", [1e-6])
def test_estimated_scores_follow_units_and_laws(scale):
    f = GaussianMixture([0.5, 0.5], [[1.5, 0.0], [-1.5, 0.0]])
    X = f.sample(2000, rng=0)
    found = estimate_score(scale * X)
    error = np.linalg.norm(scale * found.score(scale * X, 1) - f.score(X, 1)) / np.linalg.norm(f.score(X, 1))
    gaussian = Gaussian(X.mean(axis=0), np.cov(X.T)).score(X, 1)
    assert error < 0.5 * np.linalg.norm(gaussian - f.score(X, 1)) / np.linalg.norm(f.score(X, 1))
    assert found.check.passed
    assert found.gain > 0.0
    assert pickle.loads(pickle.dumps(found)) == found


def test_no_component_is_lost_in_rows_that_are_white_already():
    """The whitening of scikit-learn's FastICA may return one direction twice, and another not at all."""
    f, rng = iid(StudentT(dof=5.0), 6), np.random.default_rng(1)
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    X, points = f.sample(1500, rng=rng) @ turn, f.sample(1000, rng=rng)
    found, truth = estimate_score(X), f.score(points, 1) @ turn
    assert found.chosen.startswith("independent components")
    assert np.linalg.norm(found.score(points @ turn, 1) - truth) < 0.25 * np.linalg.norm(truth)


def test_estimated_scores_of_tied_columns_stay_finite():
    X = np.random.default_rng(0).standard_normal((1000, 2))
    X[:, 1] = X[:, 1] > 0.3
    found = estimate_score(X)
    assert np.isfinite(found.score(X, 4)).all()
    assert "ties of columns 1 were spread" in found.status


def test_a_far_sample_of_weight_zero_changes_nothing():
    """A value of 1e7 among 2000 has a kernel weight of 0 at the points of the others."""
    X = np.random.default_rng(0).standard_normal((2000, 1))
    far, points = np.vstack([X, [[1e7]]]), np.array([[0.3], [1.2]])
    for degree in (2, 4):
        one, two = (LocalLikelihood(S, degree=degree, bandwidth=0.8).fit_at(points) for S in (X, far))
        for a, b in zip(one.derivatives, two.derivatives, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
        share = np.log(2000 / 2001)  # of the mass, that is left to the others
        np.testing.assert_allclose(two.log_density, one.log_density + share, rtol=1e-6)
        np.testing.assert_allclose(two.effective, one.effective, rtol=1e-6)
    for S in (X, far):
        assert np.isfinite(LLSFE(S, 0.8).score(np.array([[30.0]]), 1)).all()


def test_candidates_are_compared_from_twenty_rows_a_parameter_on():
    """Twenty rows for each of d means and a constant; below, one Gaussian it is, and that is said."""
    X = np.random.default_rng(0).standard_normal((60, 2))
    compared, few = estimate_score(X, rng=0), estimate_score(X[:59], rng=0)
    assert len(compared.losses) > 1
    assert "too few rows" not in compared.status
    assert few.losses == {}
    assert "too few rows for more than one Gaussian" in few.status


@pytest.mark.parametrize("d", [1, 2, 3])
def test_windows_of_degree_above_two_are_compared_where_there_is_quadrature(d):
    losses = estimate_score(np.random.default_rng(0).standard_normal((20 * (d + 1), d)), rng=0).losses
    degrees = {int(name[len("local likelihood, p = ")]) for name in losses if name.startswith("local")}
    assert degrees == ({2, 3, 4} if d <= 2 else {2})


def test_score_matching_without_bumps_is_a_gaussian():
    """Bumps are shrunk, lines and squares hardly: what is left is the sample's own normal law."""
    X = np.random.default_rng(0).standard_normal((3000, 2)) @ [[1.5, 0.4], [0.0, 0.7]] + [1.0, -2.0]
    model = ScoreMatching(X, width=1.0, ridge=1e3, centres=20, rng=0)
    normal = Gaussian(X.mean(axis=0), np.cov(X, rowvar=False, ddof=0))
    np.testing.assert_allclose(model.score(X[:50], 1), normal.score(X[:50], 1), atol=0.02)


@pytest.mark.parametrize(
    "fit",
    [
        lambda X: SpectralStein(X, width=1.5),
        lambda X: ScoreMatching(X, width=1.5, centres=30, rng=0),
        lambda X: KernelDensity(X, bandwidth=0.5),
        lambda X: LocalLikelihood(X, bandwidth=0.3),
        lambda X: LocalLikelihood(X, degree=1, bandwidth=0.3),
        lambda X: IndependentLocalLikelihood(X, bandwidth=0.3),
        lambda X: LLSFE(X, 0.5),
    ],
    ids=["stein", "matching", "kernels", "windows", "lines", "independent", "llsfe"],
)
def test_scores_move_with_the_sample(fit):
    X = np.random.default_rng(0).standard_normal((200, 2))
    move = np.array([5.0, -3.0])
    np.testing.assert_allclose(fit(X + move).score(X + move, 1), fit(X).score(X, 1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("d", [1, 3])
def test_windows_need_two_rows_a_coefficient(d):
    X = np.random.default_rng(0).standard_normal((2 * (d + 1), d))
    LocalLikelihood(X, bandwidth=1.0)
    with pytest.raises(ValueError, match=rf"at least 2 \(d \+ 1\) = {len(X)} rows, got {len(X) - 1}"):
        LocalLikelihood(X[1:], bandwidth=1.0)


@pytest.mark.parametrize(("count", "said"), [(3, "1, 2"), (10, "8, 9"), (11, "8, 9 and 1 more")])
def test_ten_constant_columns_are_named(count, said):
    X = np.column_stack([np.ones((50, count)), np.random.default_rng(0).standard_normal((50, 2))])
    with pytest.raises(ValueError, match=f"constant columns: 0, .*{said}$"):
        check_score(StandardNormal(count + 2), X)


def test_the_width_of_stein_s_kernel_is_the_median_distance():
    X = np.random.default_rng(0).standard_normal((301, 3))
    expected = np.median(np.linalg.norm(X[:, None] - X[None], axis=2))
    assert SpectralStein(X).width == pytest.approx(expected, rel=1e-6)


def test_checks_allow_five_standard_errors():
    """Of E S_1 under N(m, 1): the sample's mean less m, with standard error one over root n."""
    x = np.random.default_rng(0).standard_normal((20, 1))
    x = (x - x.mean()) / x.std()
    for errors, passed in ((5.0, True), (7.0, False)):
        assert check_score(Gaussian([-errors / np.sqrt(20)], np.eye(1)), x).passed is passed
