"""Densities against references written separately: mpmath derivatives of the density, quadrature."""

import copy
import itertools
import math
import pickle

import mpmath
import numpy as np
import pytest
from scipy import integrate, stats

from nnmoments import densities
from nnmoments.densities import (
    Constant,
    Dense,
    Diagonal,
    Gaussian,
    GaussianMixture,
    Laplace,
    Logistic,
    Normal,
    Product,
    ScoreModel,
    SmoothedUniform,
    StandardNormal,
    StudentT,
    SymmetricBeta,
    UserDensity,
    iid,
)
from nnmoments.densities.base import check_slots, scores_to_log_derivatives

# --- densities in mpmath: unnormalised where the constant does not matter for scores ---------------

COVARIANCES = np.array([[[1.0, 0.4], [0.4, 0.7]], [[0.5, -0.3], [-0.3, 2.0]]])
MEANS = np.array([[0.5, -1.0], [-0.8, 0.3]])
WEIGHTS = np.array([0.35, 0.65])


def normal_reference(mean, covariance):
    a, b, c = covariance[0][0], covariance[0][1], covariance[1][1]
    det = mpmath.mpf(a) * c - mpmath.mpf(b) ** 2

    def density(x, y):
        u, v = x - mean[0], y - mean[1]
        quadratic = (c * u * u - 2 * b * u * v + a * v * v) / det
        return mpmath.exp(-quadratic / 2) / (2 * mpmath.pi * mpmath.sqrt(det))

    return density


def mixture_reference(x, y):
    return sum(
        w * normal_reference(m, c)(x, y)
        for w, m, c in zip(WEIGHTS.tolist(), MEANS.tolist(), COVARIANCES.tolist(), strict=True)
    )


def logistic_reference(u):
    return mpmath.exp(-u) / (1 + mpmath.exp(-u)) ** 2


def student_reference(u, nu=4):
    norm = mpmath.gamma((nu + 1) / 2) / mpmath.gamma(nu / 2) / mpmath.sqrt(nu * mpmath.pi)
    return norm * (1 + u**2 / nu) ** (-(nu + 1) / 2)


def smoothed_reference(u, b=1, s=0.5):
    root = s * mpmath.sqrt(2)
    return (mpmath.erfc((u - b) / root) - mpmath.erfc((u + b) / root)) / (4 * b)


def beta_reference(u, a=12):
    return (1 - u**2) ** a / (mpmath.mpf(2) ** (2 * a + 1) * mpmath.beta(a + 1, a + 1))


def laplace_reference(u):
    return mpmath.exp(-abs(u)) / 2


def scaled(density, loc, scale):
    return lambda x: density((x - loc) / mpmath.mpf(scale)) / scale


def normal_1d(u):
    return mpmath.exp(-(u**2) / 2) / mpmath.sqrt(2 * mpmath.pi)


class Factors:
    """A product of two one-dimensional densities, whose partial derivatives factor too."""

    def __init__(self, *factors):
        self.factors = factors

    def __call__(self, *x):
        return mpmath.fprod(f(a) for f, a in zip(self.factors, x, strict=True))


def ratio(reference, at, counts):
    """Return the mixed partial derivative of the density over the density, in mpmath."""
    if isinstance(reference, Factors):
        return mpmath.fprod(
            mpmath.diff(f, x, n) / f(x) for f, x, n in zip(reference.factors, at, counts, strict=True)
        )
    return mpmath.diff(reference, at, counts) / reference(*at)


# log f = -x^4/4 - x^2 y^2/2 - y^2 + x y/2 + y: neither a product nor Gaussian.
POLYNOMIAL = {(4, 0): -0.25, (2, 2): -0.5, (0, 2): -1.0, (1, 1): 0.5, (0, 1): 1.0}


def polynomial_reference(x, y):
    return mpmath.exp(sum(c * x**i * y**j for (i, j), c in POLYNOMIAL.items()))


def polynomial_derivative(order):
    def partial(X, i, j):
        return sum(
            c * math.perm(a, i) * math.perm(b, j) * X[:, 0] ** (a - i) * X[:, 1] ** (b - j)
            for (a, b), c in POLYNOMIAL.items()
            if a >= i and b >= j
        ) + np.zeros(len(X))

    def derivative(X):
        tensor = np.empty((len(X),) + (2,) * order)
        for index in itertools.product(range(2), repeat=order):
            tensor[(slice(None), *index)] = partial(X, order - sum(index), sum(index))
        return tensor

    return derivative


POINTS = np.array([[0.3, -0.2], [-1.4, 0.9], [2.5, -2.2], [6.0, 5.0]])  # the last is in the tails
INSIDE = np.array([[0.3, -0.2], [-0.7, 0.55], [0.93, -0.97]])  # of the support of the beta density

CASES = {
    "gaussian": (
        Gaussian(MEANS[0], COVARIANCES[0]),
        normal_reference(MEANS[0].tolist(), COVARIANCES[0].tolist()),
        POINTS,
    ),
    "standard": (StandardNormal(2), Factors(normal_1d, normal_1d), POINTS),
    "mixture": (GaussianMixture(WEIGHTS, MEANS, COVARIANCES), mixture_reference, POINTS),
    "logistic": (iid(Logistic(), 2), Factors(logistic_reference, logistic_reference), POINTS),
    "student": (
        Product([StudentT(dof=4.0), StudentT(dof=4.0, loc=1.0, scale=2.0)]),
        Factors(student_reference, scaled(student_reference, 1, 2)),
        POINTS * [1.0, 5.0],
    ),
    "smoothed": (
        Product([SmoothedUniform(), SmoothedUniform(half_width=2.0, noise=0.75, loc=-0.5, scale=1.5)]),
        Factors(
            smoothed_reference,
            scaled(lambda u: smoothed_reference(u, 2, 0.75), mpmath.mpf("-0.5"), 1.5),
        ),
        POINTS,
    ),
    "beta": (
        Product([SymmetricBeta(), SymmetricBeta(exponent=15.0)]),
        Factors(beta_reference, lambda u: beta_reference(u, 15)),
        INSIDE,
    ),
    "mixed": (
        Product([Logistic(loc=0.2, scale=0.5), Normal(loc=-1.0, scale=3.0)]),
        Factors(scaled(logistic_reference, mpmath.mpf("0.2"), 0.5), scaled(normal_1d, -1, 3)),
        POINTS,
    ),
    "user": (
        UserDensity(2, [polynomial_derivative(m) for m in range(1, 7)]),
        polynomial_reference,
        POINTS[:3] * 0.8,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_scores_to_order_six_against_mpmath(name):
    # S_m = (-1)^m grad^m f / f, differentiated numerically at 40 digits. Bar: 1e-6 relative.
    density, reference, points = CASES[name]
    scores = [density.score(points, m) for m in range(1, 7)]
    with mpmath.workdps(40):
        for i, point in enumerate(points):
            at = tuple(mpmath.mpf(float(x)) for x in point)
            for m in range(1, 7):
                by_count = [  # m - j derivatives along x, j along y
                    float((-1) ** m * ratio(reference, at, (m - j, j))) for j in range(m + 1)
                ]
                expected = np.empty((2,) * m)
                for index in itertools.product(range(2), repeat=m):
                    expected[index] = by_count[sum(index)]
                np.testing.assert_allclose(
                    scores[m - 1][i], expected, rtol=1e-6, atol=1e-10 * np.abs(expected).max()
                )


def test_scores_in_three_dimensions_against_mpmath():
    covariance = np.array([[1.0, 0.3, -0.2], [0.3, 2.0, 0.5], [-0.2, 0.5, 0.7]])
    means = np.array([[0.0, 1.0, 0.5], [1.0, -1.0, 0.0]])
    density = GaussianMixture([0.5, 0.5], means, np.stack([covariance, np.eye(3)]))
    precision = mpmath.matrix(covariance.tolist()) ** -1
    root = mpmath.sqrt(mpmath.det(mpmath.matrix(covariance.tolist())))

    def reference(*x):
        first = mpmath.matrix([a - float(b) for a, b in zip(x, means[0], strict=True)])
        second = mpmath.matrix([a - float(b) for a, b in zip(x, means[1], strict=True)])
        return mpmath.exp(-(first.T * precision * first)[0] / 2) / root + mpmath.exp(
            -(second.T * second)[0] / 2
        )

    at = (0.4, -0.7, 1.1)
    for index in [(0,), (2, 1), (0, 1, 2), (1, 1, 0, 2), (2, 0, 0, 1, 2), (0, 1, 2, 2, 1, 0)]:
        m = len(index)
        counts = tuple(index.count(axis) for axis in range(3))
        with mpmath.workdps(40):
            expected = float((-1) ** m * ratio(reference, at, counts))
        assert density.score([at], m)[(0, *index)] == pytest.approx(expected, rel=1e-6)


def test_laplace_score_of_order_one_away_from_its_kink():
    density = Product([Laplace(), Laplace(loc=1.0, scale=2.0)])
    laws = [laplace_reference, scaled(laplace_reference, 1, 2)]
    expected = [[float(-mpmath.diff(f, x) / f(x)) for f, x in zip(laws, row, strict=True)] for row in POINTS]
    np.testing.assert_allclose(density.score(POINTS, 1), expected, rtol=1e-10)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_laplace_refuses_to_drop_its_singular_part_silently(order):
    with pytest.raises(ValueError, match=r"singular score of order 2 .* set drop_singular=True"):
        iid(Laplace(), 2).score([[0.5, 1.0]], order)
    classical = iid(Laplace(drop_singular=True), 2).score([[0.5, -1.0]], order)[0]
    sign = np.array([1.0, -1.0])
    expected = sign
    for _ in range(order - 1):
        expected = np.multiply.outer(expected, sign)
    np.testing.assert_array_equal(classical, expected)  # S_m = sgn^m, GM Figure 3
    # What is left is not a score: E[S_2] = 1, not 0, in its diagonal.
    X = np.linspace(-30.0, 30.0, 60_000)[:, None]
    weights = np.exp(-np.abs(X[:, 0])) / 2.0
    mean = integrate.trapezoid(iid(Laplace(drop_singular=True), 1).score(X, 2)[:, 0, 0] * weights, X[:, 0])
    assert mean == pytest.approx(1.0, abs=1e-3)


# --- normalisation, sampling ----------------------------------------------------------------------

MARGINALS = [
    Normal(loc=0.3, scale=2.0),
    Logistic(loc=-1.0, scale=0.5),
    StudentT(dof=3.0, scale=1.5),
    Laplace(loc=0.5, scale=2.0),
    SmoothedUniform(half_width=1.5, noise=0.3, loc=0.2),
    SymmetricBeta(exponent=4.5, loc=1.0, scale=3.0),
]
LIMITS = {SymmetricBeta: (-2.0, 4.0)}


def _integral(function, marginal):
    low, high = LIMITS.get(type(marginal), (-np.inf, np.inf))
    middle = marginal.loc
    return sum(
        integrate.quad(lambda x: float(function(np.array([x]))[0]), a, b, epsabs=1e-11, limit=200)[0]
        for a, b in ((low, middle), (middle, high))
    )


@pytest.mark.parametrize("marginal", MARGINALS, ids=lambda m: type(m).__name__)
def test_marginal_is_normalised(marginal):
    assert _integral(lambda x: np.exp(marginal.log_density(x)), marginal) == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("marginal", MARGINALS, ids=lambda m: type(m).__name__)
def test_samples_follow_the_density(marginal):
    # Kolmogorov-Smirnov against the quadrature of exp(log_density); false alarm 1e-6.
    sample = np.sort(marginal.sample(20_000, rng=3))
    low, high = LIMITS.get(type(marginal), (-np.inf, np.inf))
    ends = max(sample[0] - 1.0, low), min(sample[-1] + 1.0, high)
    grid = np.union1d(np.linspace(*ends, 4001), np.quantile(sample, np.linspace(0.0, 1.0, 4001)))
    with np.errstate(divide="ignore"):
        values = np.exp(marginal.log_density(grid))
    mass = integrate.cumulative_simpson(values, x=grid, initial=0.0)
    left = integrate.quad(lambda x: math.exp(marginal.log_density(np.array([x]))[0]), low, ends[0])[0]
    result = stats.kstest(sample, lambda x: np.interp(x, grid, mass + left))
    assert result.pvalue > 1e-6


def test_logarithms_of_densities_against_scipy_and_mpmath():
    x = np.array([-3.0, 0.1, 0.9])
    np.testing.assert_allclose(Normal(loc=1.0, scale=2.0).log_density(x), stats.norm(1, 2).logpdf(x))
    np.testing.assert_allclose(Logistic(loc=1.0, scale=2.0).log_density(x), stats.logistic(1, 2).logpdf(x))
    np.testing.assert_allclose(Laplace(scale=2.0).log_density(x), stats.laplace(0, 2).logpdf(x))
    far = SmoothedUniform().log_density(np.array([0.0, 1.2, -9.0]))
    expected = [float(mpmath.log(smoothed_reference(mpmath.mpf(u)))) for u in (0.0, 1.2, 9.0)]
    np.testing.assert_allclose(far, expected, rtol=1e-12)
    beta = SymmetricBeta(exponent=2.0, scale=2.0).log_density(np.array([-2.5, 0.0, 1.0, 2.0]))
    np.testing.assert_allclose(beta[1:3], np.log(15 / 16 / 2 * np.array([1.0, 0.75**2])))
    assert np.all(np.isneginf(beta[[0, 3]]))


PLANE = np.stack(np.meshgrid(*2 * [np.linspace(-12.0, 12.0, 241)], indexing="ij"), axis=-1).reshape(-1, 2)
CELL = 0.1**2


@pytest.mark.parametrize("name", ["gaussian", "standard", "mixture", "smoothed"])
def test_density_on_the_plane_is_normalised(name):
    # The trapezoidal rule converges faster than any power for these analytic, decaying densities.
    assert np.exp(CASES[name][0].log_density(PLANE)).sum() * CELL == pytest.approx(1.0, abs=1e-6)


def test_log_densities_on_the_plane_against_mpmath():
    for name in ("gaussian", "mixture", "mixed", "student"):
        density, reference, points = CASES[name]
        expected = [float(mpmath.log(reference(*map(mpmath.mpf, point.tolist())))) for point in points]
        np.testing.assert_allclose(density.log_density(points), expected, rtol=1e-12)


@pytest.mark.parametrize("direction", [[1.0, 0.0], [0.6, 0.8], [0.6, -0.8]])
@pytest.mark.parametrize("name", ["gaussian", "mixture"])
def test_projected_samples_follow_the_projected_normals(name, direction):
    density = CASES[name][0]
    u = np.array(direction)
    weights = [1.0] if name == "gaussian" else WEIGHTS
    normals = [stats.norm(m @ u, math.sqrt(u @ c @ u)) for m, c in zip(MEANS, COVARIANCES, strict=True)]
    X = density.sample(20_000, rng=11) @ u
    result = stats.kstest(X, lambda x: sum(w * f.cdf(x) for w, f in zip(weights, normals, strict=False)))
    assert result.pvalue > 1e-6


def test_product_samples_each_coordinate_from_its_marginal():
    density = Product([Logistic(), Normal(loc=5.0), Logistic(), SymmetricBeta()])
    X = density.sample(20_000, rng=5)
    laws = [stats.logistic, stats.norm(5.0), stats.logistic, stats.beta(13, 13, -1, 2)]
    assert all(stats.kstest(X[:, i], law.cdf).pvalue > 1e-6 for i, law in enumerate(laws))
    assert np.abs(np.corrcoef(X.T) - np.eye(4)).max() < 5.0 / math.sqrt(len(X))


def test_samples_are_reproducible_and_streams_differ():
    for density, _, _ in CASES.values():
        if isinstance(density, UserDensity):
            continue
        np.testing.assert_array_equal(density.sample(5, rng=1), density.sample(5, rng=1))
        assert not np.array_equal(density.sample(5, rng=1), density.sample(5, rng=2))
        generator = np.random.default_rng(1)
        np.testing.assert_array_equal(density.sample(5, rng=generator), density.sample(5, rng=1))
        assert not np.array_equal(density.sample(5, rng=generator), density.sample(5, rng=1))


# --- contractions ----------------------------------------------------------------------------------


def contracted(tensor, *vectors):
    for vector in vectors:
        tensor = np.tensordot(tensor, vector, axes=(1, 0))
    return tensor


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("order", range(1, 7))
def test_contractions_equal_the_dense_tensor(name, order, rng):
    density, _, points = CASES[name]
    dense = density.score(points, order)
    vectors = rng.standard_normal((order, 2))
    scale = np.abs(dense).reshape(len(points), -1).max(axis=1)
    value = density.contract(points, *vectors)
    assert np.all(np.abs(value - contracted(dense, *vectors)) <= 1e-11 * scale * 8**order)
    basis = rng.standard_normal((2, 3))
    projected = density.project(points, basis, order)
    assert projected.shape == (len(points),) + (3,) * order
    expected = dense
    for _ in range(order):  # contracts the first free axis and appends the new one at the end
        expected = np.tensordot(expected, basis, axes=(1, 0))
    worst = np.abs(projected - expected).reshape(len(points), -1).max(axis=1)
    assert np.all(worst <= 1e-11 * scale * 8**order)


def test_scores_are_symmetric_tensors():
    for density, _, points in CASES.values():
        for permutation in itertools.permutations(range(1, 4)):
            score = density.score(points, 3)
            np.testing.assert_allclose(
                score.transpose(0, *permutation), score, atol=1e-11 * np.abs(score).max()
            )


def test_gaussian_scores_are_hermite_tensors():
    # MATH.md section 1: S_2 = xx - I, S_3 = xxx - x (~x) I, for N(0, I).
    x, eye = np.array([0.5, -1.2, 2.0]), np.eye(3)
    density = StandardNormal(3)
    np.testing.assert_allclose(density.score([x], 1)[0], x)
    np.testing.assert_allclose(density.score([x], 2)[0], np.outer(x, x) - eye)
    cross = sum(np.einsum(f"a,bc->{s}", x, eye) for s in ("abc", "bac", "bca"))
    np.testing.assert_allclose(density.score([x], 3)[0], np.einsum("a,b,c->abc", x, x, x) - cross)


def test_scores_to_log_derivatives_inverts_the_bell_sum():
    for name in ("gaussian", "logistic", "smoothed", "user"):
        density, _, points = CASES[name]
        points = points[:3]
        recovered = scores_to_log_derivatives([density.score(points, m) for m in range(1, 5)])
        for j, (derivative, tensor) in enumerate(
            zip(density.derivatives(points, 4), recovered, strict=True), 1
        ):
            expected = np.zeros_like(tensor) if derivative is None else derivative.project([None] * j)
            np.testing.assert_allclose(tensor, np.broadcast_to(expected, tensor.shape), atol=1e-8)


def test_mixture_log_derivatives_reproduce_its_scores():
    density, _, points = CASES["mixture"]
    plain = UserDensity(2, [lambda X, j=j: density.log_derivatives(X, j)[-1] for j in range(1, 5)])
    for m in range(1, 5):
        np.testing.assert_allclose(plain.score(points, m), density.score(points, m), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_structured_derivatives_lift_like_their_dense_tensor(lead, rng):
    d = 3
    c = rng.standard_normal((*lead, d))
    A, B = rng.standard_normal((d, 2)), rng.standard_normal((d, 4))
    diagonal = np.zeros((*lead, d, d, d))
    diagonal[..., np.arange(d), np.arange(d), np.arange(d)] = c
    constant = rng.standard_normal((d, d, d))
    for slots, formula in [
        ([None, None, None], "...abc->...abc"),
        ([A, None, B], "...abc,ai,ck->...ibk"),
        ([None, A, None], "...abc,bi->...aic"),
        ([A, B, None], "...abc,ai,bk->...ikc"),
        ([A, A, B], "...abc,ai,bj,ck->...ijk"),
    ]:
        used = [slot for slot in slots if slot is not None]
        np.testing.assert_allclose(
            Diagonal(c).lift(c, slots), np.einsum(formula, diagonal, *used), atol=1e-13
        )
        weights = rng.standard_normal((*lead, 1))
        np.testing.assert_allclose(
            Constant(constant).lift(weights, slots),
            np.einsum(formula, weights[..., None, None] * constant, *used),
            atol=1e-13,
        )
        full = rng.standard_normal((*lead, d, d, d))
        dense = Dense(np.zeros((1, d, d, d)))
        np.testing.assert_allclose(
            dense.lift(full.reshape(*lead, -1), slots), np.einsum(formula, full, *used), atol=1e-13
        )


# --- Stein's identity ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "marginal", MARGINALS[:3] + MARGINALS[4:5] + [SymmetricBeta()], ids=lambda m: type(m).__name__
)
@pytest.mark.parametrize("order", range(1, 5))
def test_scores_do_not_see_polynomials_of_lower_degree(marginal, order):
    # NEW CV: E[p S_m] = 0 for deg p < m; and E[x^m S_m] = E[(x^m)^(m)] = m!, sign and all.
    # Student's t with 3 degrees has E|x^j S_m| finite for j < m + 3.
    density = iid(marginal, 1)

    if isinstance(marginal, SymmetricBeta):
        x, weights = np.polynomial.legendre.leggauss(120)
    else:  # the trapezoidal rule in t, x = sinh(t)
        t = np.linspace(-20.0, 20.0, 8001)
        x, weights = marginal.loc + np.sinh(t), np.cosh(t) * 0.005
    with np.errstate(under="ignore"):
        weights = weights * np.exp(marginal.log_density(x))
    kept = weights > 1e-300
    x, weights = x[kept], weights[kept]
    score = density.score(x[:, None], order).reshape(-1)
    for degree in range(order + 1):
        expected = math.factorial(order) if degree == order else 0.0
        assert weights @ (x**degree * score) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", ["gaussian", "mixture"])
def test_mixed_monomials_on_the_plane(name):
    # E[x^a y^b S_m] is the symmetric tensor of mixed derivatives: a! b! where m = a + b.
    density = CASES[name][0]
    weights = np.exp(density.log_density(PLANE)) * CELL
    for m in (1, 2, 3):
        score = density.score(PLANE, m).reshape(len(PLANE), -1)
        for a, b in itertools.product(range(m + 1), repeat=2):
            if a + b > m:
                continue
            value = (weights * PLANE[:, 0] ** a * PLANE[:, 1] ** b) @ score
            expected = [
                math.factorial(a) * math.factorial(b) * (a + b == m and sum(index) == b)
                for index in itertools.product(range(2), repeat=m)
            ]
            np.testing.assert_allclose(value, expected, atol=1e-6)


def test_symmetric_beta_asks_for_enough_smoothness():
    density = iid(SymmetricBeta(exponent=5.0), 2)
    density.score([[0.1, 0.2]], 2)
    with pytest.raises(ValueError, match="exponent must be above 5 for a score of order 3"):
        density.score([[0.1, 0.2]], 3)
    with pytest.raises(ValueError, match="X has points outside the support"):
        density.score([[0.1, 1.5]], 1)


# --- bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 7, 1.5, "2"])
def test_orders_outside_one_to_six_are_refused(order):
    for density, _, points in CASES.values():
        with pytest.raises(ValueError, match="order must be an integer from 1 to 6"):
            density.score(points, order)
        with pytest.raises(ValueError, match="order must be an integer from 1 to 6"):
            density.project(points, np.eye(2), order)
    for marginal in MARGINALS:
        with pytest.raises(ValueError, match="order must be an integer from 1 to 6"):
            marginal.log_derivative(np.zeros(1), order)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 4)), r"X must have shape \(any, 2\)"),
        (np.zeros(2), "X must have 2 axes"),
        (np.zeros((0, 2)), "X is empty"),
        ([[np.nan, 0.0]], "X holds NaN"),
        ([[np.inf, 0.0]], "X holds NaN or infinity"),
        ("points", "X must be an array of real numbers"),
    ],
)
def test_bad_points_are_refused_by_every_density(X, message):
    for density, _, _ in CASES.values():
        with pytest.raises(ValueError, match=message):
            density.score(X, 2)
        with pytest.raises(ValueError, match=message):
            density.contract(X, [1.0, 0.0])
        with pytest.raises(ValueError, match=message):
            density.log_density(X)


def test_bad_vectors_and_bases_are_refused():
    density, points = StandardNormal(2), POINTS
    with pytest.raises(ValueError, match="the number of vectors must be an integer from 1 to 6, got 0"):
        density.contract(points)
    with pytest.raises(ValueError, match="the number of vectors"):
        density.contract(points, *[[1.0, 0.0]] * 7)
    with pytest.raises(ValueError, match=r"vectors must have shape \(2\)"):
        density.contract(points, [1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match=r"basis must have shape \(2, any\)"):
        density.project(points, np.eye(3), 2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Gaussian([0.0, 0.0], np.eye(3)), r"covariance must have shape \(2, 2\)"),
        (lambda: Gaussian([0.0, 0.0], [[1.0, 0.5], [0.4, 1.0]]), "covariance must be symmetric"),
        (lambda: Gaussian([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]), "covariance must be positive definite"),
        (lambda: Gaussian([[0.0]], [[1.0]]), "mean must have 1 axes"),
        (lambda: StandardNormal(0), "d must be an integer from 1 up, got 0"),
        (lambda: GaussianMixture([0.5, 0.6], np.zeros((2, 1))), "weights must be positive and sum to one"),
        (lambda: GaussianMixture([1.5, -0.5], np.zeros((2, 1))), "weights must be positive"),
        (lambda: GaussianMixture([0.5, 0.5], np.zeros((3, 1))), r"means must have shape \(2, any\)"),
        (lambda: GaussianMixture([1.0], [[0.0]], np.eye(2)), r"covariances must have shape \(1, 1\)"),
        (lambda: Product([]), "marginals must be a nonempty sequence"),
        (lambda: Product(["normal"]), "marginals must be a nonempty sequence of one-dimensional densities"),
        (lambda: iid(Logistic(), 0), "d must be an integer"),
        (lambda: Logistic(scale=0.0), "scale must be a number above 0"),
        (lambda: Normal(loc=np.nan), "loc must be a number"),
        (lambda: StudentT(dof=-1.0), "dof must be a number above 0"),
        (lambda: SmoothedUniform(noise=0.0), "noise must be a number above 0"),
        (lambda: SmoothedUniform(half_width=-1.0), "half_width must be a number above 0"),
        (lambda: SymmetricBeta(exponent=0.0), "exponent must be a number above 0"),
        (lambda: UserDensity(2, []), "the number of log_derivatives must be an integer from 1 to 6"),
        (lambda: StandardNormal(2).sample(0, rng=0), "n must be an integer from 1 up, got 0"),
    ],
)
def test_constructors_refuse(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_covariance_with_rounding_in_its_zeros_is_symmetric():
    # Of 2 I = 2 Q Q^T only the diagonal is exact.
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    covariance = Q @ np.diag(np.full(6, 2.0)) @ Q.T
    assert Gaussian(np.zeros(6), covariance).d == 6


def test_user_density_is_checked_when_used():
    density = UserDensity(2, [lambda X: -X, lambda X: np.zeros((len(X), 2))])
    with pytest.raises(
        ValueError, match=r"log-density derivative 2 at X must have 3 axes, got shape \(1, 2\)"
    ):
        density.score([[0.0, 1.0]], 2)
    with pytest.raises(
        ValueError, match="order 3 needs as many log-density derivatives; the score model has 2"
    ):
        UserDensity(2, CASES["user"][0].functions[:2]).score([[0.0, 1.0]], 3)
    with pytest.raises(ValueError, match="log-density derivative 1 at X holds NaN"):
        UserDensity(1, [lambda X: X * np.nan]).score([[1.0]], 1)
    with pytest.raises(ValueError, match="sample was not given"):
        density.sample(3, rng=0)
    with pytest.raises(ValueError, match="log_density was not given"):
        density.log_density([[0.0, 0.0]])
    given = UserDensity(
        1,
        [lambda X: -X],
        sample=lambda n, rng: rng.standard_normal((n, 2)),
        log_density=lambda X: -X[:, 0],
    )
    with pytest.raises(ValueError, match=r"sample must have shape \(3, 1\)"):
        given.sample(3, rng=0)
    np.testing.assert_array_equal(given.log_density([[2.0]]), [-2.0])


def test_check_slots_recognises_equal_slots_and_vectors():
    V, u = np.eye(3)[:, :2], np.ones(3)
    slots, vectors = check_slots([V, u, None, V], 4, 3)
    assert slots[0] is slots[3]
    assert slots[1].shape == (3, 1)
    assert slots[2] is None
    assert vectors == (1,)


@pytest.mark.parametrize(("half_width", "noise"), [(1.0, 0.5), (0.01, 1.0), (3.0, 0.1)])
@pytest.mark.parametrize("beyond", [-3.1, 6.0, 30.0])
def test_smoothed_uniform_far_in_its_tails(half_width, noise, beyond):
    """Relative accuracy of all six derivatives where ratios f^(m)/f grow like the m-th power."""
    u = math.copysign(half_width + abs(beyond) * noise, beyond)
    density = SmoothedUniform(half_width=half_width, noise=noise)
    with mpmath.workdps(100):
        b, s = mpmath.mpf(half_width), mpmath.mpf(noise) * mpmath.sqrt(2)

        def log_f(t):
            return mpmath.log(mpmath.erfc((abs(t) - b) / s) - mpmath.erfc((abs(t) + b) / s))

        for order in range(1, 7):
            exact = float(mpmath.diff(log_f, mpmath.mpf(u), order, h=mpmath.mpf(10) ** -10))
            assert density.log_derivative([u], order)[0] == pytest.approx(exact, rel=1e-12)


def test_smoothed_uniform_at_infinity():
    """(log f)'' tends to -1/s^2, the edge's, and (log f)' to the slope of a Gaussian around the edge."""
    far = SmoothedUniform().log_derivative([1e5, -1e8, 1e200], 2)
    np.testing.assert_allclose(far, -4.0, rtol=1e-9)
    assert SmoothedUniform().log_derivative([1e5], 1)[0] == pytest.approx(-4.0 * (1e5 - 1.0), rel=1e-9)


def _slope(X):
    return -X


def _bend(X):
    return -np.ones((len(X), 1, 1))


@pytest.mark.parametrize("name", [name for name in CASES if name != "user"])
def test_pickle_and_equality(name):
    """Densities pickle plainly and equal their copies, whether they have been used or not."""
    density, _, points = CASES[name]
    density.score(points, 1)
    for other in (pickle.loads(pickle.dumps(density)), copy.deepcopy(density)):
        assert other == density
        np.testing.assert_array_equal(other.score(points, 2), density.score(points, 2))
    assert density != StandardNormal(7)


def test_user_density_pickles():
    density = UserDensity(1, [_slope, _bend])
    assert pickle.loads(pickle.dumps(density)) == density != UserDensity(1, [_slope])
    assert repr(density) == "UserDensity(d=1, log_derivatives=2)"


def test_random_states_and_refusals():
    """All that scikit-learn and numpy take for a seed; sampling and evaluating are abstract."""
    first = StandardNormal(2).sample(3, rng=np.random.RandomState(0))
    np.testing.assert_array_equal(first, StandardNormal(2).sample(3, rng=np.random.RandomState(0)))
    with pytest.raises(ValueError, match="rng must be None, a seed"):
        Normal().sample(3, rng="0")
    with pytest.raises(TypeError, match="abstract"):
        type("Half", (densities.Density,), {"log_derivatives": lambda self, X, order: []})()


def test_representations_say_what_they_are():
    assert repr(StandardNormal(3)) == "StandardNormal(d=3)"
    assert repr(Gaussian([1.0], [[1.0]])) == "Gaussian(d=1)"
    assert repr(GaussianMixture([1.0], [[0.0]])) == "GaussianMixture(components=1, d=1)"
    assert repr(iid(Normal(), 3)) == "Product(Normal(loc=0.0, scale=1.0) x 3)"


def test_all_is_what_there_is():
    assert all(hasattr(densities, name) for name in densities.__all__)
    assert issubclass(densities.Density, ScoreModel)
