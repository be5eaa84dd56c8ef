"""The errata page: each statement that it calls wrong is shown wrong here or by the test that it names."""

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from companion import ledger
from companion.experiments import high_thresholds
from nnmoments.activations import cosine, relu_threshold
from nnmoments.borders import delta_correlation
from nnmoments.densities import GaussianMixture
from nnmoments.hermite import gaussian_expectation, hermite_polynomial, normal_density, normalized_hermite
from nnmoments.networks import HiddenPolynomial
from nnmoments.scores import KernelDensity
from nnmoments.structured import even_form

ROOT = Path(__file__).resolve().parents[2]
PAGE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "book" / "errata").glob("*.md")))
ID = re.compile(r"\b(?:SA|ZS|GP|GM|NEW)-[A-Z0-9]+(?:-[A-Z0-9]+)*\b")


def test_evidence_exists():
    """Every test and every claim that the page names is there."""
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", PAGE):
        assert re.search(rf"^def {name}\b", tests, re.MULTILINE), name
    claims = set(ledger.load(ROOT))
    named = set(ID.findall(PAGE))
    assert named - claims == set()
    assert len(named) > 40


def unlisted(claims, page):
    """Return the corrected and refuted rows that a page names neither themselves nor by a sister.

    A sister is another such row, to which a row's reason sends the reader.
    """
    wrong = {id: claim for id, claim in claims.items() if claim.verdict in ("corrected", "refuted")}
    named = set(ID.findall(page)) & set(wrong)
    return {id for id, claim in wrong.items() if not {id, *ID.findall(claim.reason)} & named}


def test_what_fails_as_printed_has_an_entry():
    """No row says that a paper is wrong where the errata do not."""
    assert unlisted(ledger.load(ROOT), PAGE) == set()


def test_a_row_without_an_entry_is_noticed():
    claims = ledger.load(ROOT)
    wrong = {claim.id for claim in claims.values() if claim.verdict in ("corrected", "refuted")}
    assert unlisted(claims, "") == wrong
    for id, sister in (("ZS-HESS-RANK", None), ("GP-T5", "GP-T5-PAPER")):
        rest = ID.sub(lambda name, gone=id: "" if name[0] == gone else name[0], PAGE)
        assert id in unlisted(claims, rest)
        assert sister is None or sister in unlisted(claims, rest)


# --- GP, appendix A ------------------------------------------------------------------------------------


def test_fact_5_is_neither_of_the_two():
    """Fact 5 gives E[He_m(x) He_n(gamma x)]/m!, not the mean of the normalised polynomials."""

    def printed(n: int, m: int, gamma: float) -> float:
        k = (n - m) // 2
        return (
            gamma ** (n - 2 * k)
            * (gamma**2 - 1) ** k
            * math.comb(n, 2 * k)
            * math.factorial(2 * k)
            / (math.factorial(k) * 2**k)
        )

    for n, m, gamma in ((4, 2, 0.7), (5, 1, 1.3), (6, 4, 0.5)):
        plain = gaussian_expectation(
            lambda g, n=n, m=m, s=gamma: hermite_polynomial(m, g) * hermite_polynomial(n, s * g)
        )
        normal = gaussian_expectation(
            lambda g, n=n, m=m, s=gamma: normalized_hermite(m, g) * normalized_hermite(n, s * g)
        )
        assert printed(n, m, gamma) == pytest.approx(float(plain) / math.factorial(m), rel=1e-10)
        assert abs(printed(n, m, gamma) / float(normal) - 1.0) > 0.5


def test_lemma_6_and_fact_7_are_wider_than_their_use():
    """The place of 60 % lies beyond t/cos(alpha); a submatrix of an orthogonal matrix has condition 5."""
    t, alpha = 2.0, 0.1
    share = optimize.brentq(lambda s: stats.norm.cdf((s - t / math.cos(alpha)) / math.tan(alpha)) - 0.6, 1, 4)
    assert share == pytest.approx(t / math.cos(alpha) + 0.2533 * math.tan(alpha), rel=1e-4)
    assert share > t / math.cos(alpha)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    blocks = [Q[np.ix_(rows, rows)] for rows in itertools.combinations(range(6), 3)]
    assert max(np.linalg.cond(block) for block in blocks) > 5.0 > np.linalg.cond(Q)
    U = np.triu(np.random.default_rng(1).standard_normal((6, 6))) + 2.0 * np.eye(6)
    assert all(np.linalg.cond(U[:m, :m]) <= np.linalg.cond(U) * (1 + 1e-12) for m in range(1, 7))


# --- GP, assumptions and lemmas --------------------------------------------------------------------------


def test_assumption_3_needs_p_of_at_least_one():
    """rho(t, 1) = d^(-p eta) and rho(t, |W|) = d^(-eta) give p = |W|^2, and unit rows |W| >= 1."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        W = rng.standard_normal((4, 6))
        norm = np.linalg.norm(W / np.linalg.norm(W, axis=1, keepdims=True), 2)
        log_rho = [-(3.0**2) / (2.0 * sigma**2) for sigma in (1.0, norm)]
        assert log_rho[0] / log_rho[1] == pytest.approx(norm**2)
        assert norm >= 1.0


def test_definition_1_admits_saddles():
    """The origin of x^2 - y^2 passes the printed test for a minimum, and fails the one that is meant."""
    smallest, tau = np.linalg.eigvalsh(np.diag([2.0, -2.0]))[0], 0.1
    assert smallest <= tau
    assert not smallest >= -tau


def test_saddles_of_theorem_10_lie_below_minus_tau():
    """G_lin of two orthonormal units: item 1's inequality as printed holds at the minimum, not at the saddle.

    The pairs' term is sum_i (w_j.w_i*)^2 (w_k.w_i*)^2 for each j != k, as that of S_4, with u_2 = u_4 = 1.
    """
    gamma, lam = 0.01, 1.0

    def loss(flat):
        squares = flat.reshape(2, 2) ** 2
        length = squares.sum(axis=1) - 1.0
        return 2.0 * squares[0] @ squares[1] - gamma * np.sum(squares**2) + lam * np.sum(length**2)

    def curvatures(W):
        h, directions = 1e-3, np.eye(4)
        start = W.ravel()
        gradient = [(loss(start + h * a) - loss(start - h * a)) / (2 * h) for a in directions]
        assert np.linalg.norm(gradient) < 1e-5
        hessian = [
            [
                sum(i * j * loss(start + h * (i * a + j * b)) for i in (1, -1) for j in (1, -1)) / (4 * h * h)
                for a in directions
            ]
            for b in directions
        ]
        return np.linalg.eigvalsh(hessian)

    tau = 0.1 * min(gamma / 2.0, lam)  # c min(gamma |u_4|/d, lambda u_2)
    minimum = math.sqrt(lam / (lam - gamma)) * np.eye(2)
    between = (
        math.sqrt(2.0 * lam / (2.0 * lam + 1.0 - gamma)) * np.array([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2)
    )
    assert curvatures(minimum)[0] >= -tau
    assert not curvatures(between)[0] >= -tau


def test_lemma_1_fails_for_positively_correlated_units():
    """Two sign units at cosine 1/2: the ratio to the bound grows without end; at cosine 0 it falls."""
    ratios = [high_thresholds.bound_ratio("sign", t, 0.5) for t in (4.0, 6.0, 8.0)]
    assert ratios[0] < 1.0 < ratios[1] < ratios[2]
    assert ratios == pytest.approx([0.1736, 2.4023, 150.09], rel=1e-3)
    assert high_thresholds.bound_ratio("sign", 8.0, 0.0) < high_thresholds.bound_ratio("sign", 4.0, 0.0) < 1.0
    # Independent of the library's quadrature: integrate one unit out by hand.
    t, c = 6.0, 0.5
    value, _ = integrate.quad(
        lambda g: stats.norm.pdf(g) * stats.norm.sf((t - c * g) / math.sqrt(1 - c * c)), t, t + 12, epsabs=0
    )
    kappa = math.sqrt((1 + c) / (1 - c))
    bound = math.exp(-(t**2) / 2) * kappa * math.exp(-(t**2) / (2 * (1 + c)))
    assert ratios[1] == pytest.approx(value / bound, rel=1e-6)


def linear_landscape(W, c, u2=1.0, u4=0.3, lam=20.0):
    """G_lin(z) = -|u_4| sum c_i (z.w_i)^4 + lambda u_2^2 (sum c_i (z.w_i)^2 - 1)^2 and its gradient."""

    def loss(z):
        y = W @ z
        excess = c @ y**2 - 1.0
        slope = -4.0 * u4 * c * y**3 + 4.0 * lam * u2**2 * excess * c * y
        return -u4 * (c @ y**4) + lam * u2**2 * excess**2, slope @ W

    return loss


def linear_minima(W, c):
    loss, rng, found = linear_landscape(W, c), np.random.default_rng(0), []
    while len(found) < len(c):
        z = optimize.minimize(loss, rng.standard_normal(W.shape[1]), jac=True, tol=1e-12).x
        inside = (np.sqrt(c) * (W @ z)) / np.linalg.norm(np.sqrt(c) * (W @ z))
        if np.abs(inside).max() > 0.999 and all(abs(z @ o) / (z @ z) < 0.9999 for o in found):
            found.append(z)
    return np.array(found)


def test_theorem_11_has_the_roots_of_the_coefficients():
    """The inverse of the minima is P D W with D_ii = +-sqrt(c_i), not +-1."""
    W = np.array([[1.0, 0.0, 0.0], [0.5, math.sqrt(0.75), 0.0], [0.3, 0.2, math.sqrt(1 - 0.13)]])
    c = np.array([0.5, 1.0, 3.0])
    Z = linear_minima(W, c)
    D = np.abs(np.linalg.inv(Z).T @ np.linalg.inv(W))
    roots = np.sort(D.max(axis=0))
    assert np.sort(D.ravel())[:6].max() < 0.02  # a permutation times a diagonal matrix
    np.testing.assert_allclose(roots, np.sqrt(c), rtol=0.03)
    assert np.abs(roots - 1.0).max() > 0.5


def test_lemma_14_takes_the_norm_for_one_dimensional():
    """e^(-C^2/2) bounds Pr[|x| >= C] in one dimension; in a hundred |x| exceeds a C of order log d."""
    d, eta = 100, 2.0
    C = math.sqrt(2.0 * eta * math.log(d))
    bound = math.exp(-(C**2) / 2.0)
    assert stats.chi2.sf(C**2, 1) < bound
    assert stats.chi2.sf(C**2, d) > 1.0 - 1e-6
    assert stats.chi2.sf((math.sqrt(d) + C) ** 2, d) < bound  # what serves is of order sqrt(d)


def test_lemma_15_forbids_the_minima():
    """Minima of G_lin have a norm above 1.5 and no gradient; z.grad has -lambda beta^2 where + is printed."""
    W, c = np.eye(2), np.array([0.4, 0.4])
    loss = linear_landscape(W, c)
    for z in linear_minima(W, c):
        assert np.linalg.norm(z) > 1.5
        assert np.linalg.norm(loss(z)[1]) < 1e-5
    alpha, lam, z = 0.3, 20.0, np.array([1.3, -0.4])
    radial = z @ linear_landscape(W, np.ones(2), u4=alpha, lam=lam)(z)[1]
    square, fourth = z @ z, np.sum(z**4)
    assert radial == pytest.approx(-4 * alpha * fourth + 4 * lam * square * (square - 1.0))
    assert radial != pytest.approx(-4 * alpha * fourth + 4 * lam * square * (square + 1.0))


def test_lemma_19_has_terms_that_cancel():
    """C_3 of oblique ReLU units at z = w_1 is the leading term; the printed total is far from it."""
    t, epsilon, n = 0.3, 1e-3, 400_000
    rows = np.array([[1.0, 0, 0, 0], [0.5, 0.8, 0.2, 0], [0.4, -0.3, 0.7, 0.3], [0.3, 0.2, -0.2, 0.9]])
    W = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    terms = {(0,): 1.0, (1,): 0.7, (2,): 1.2, (3,): 0.5, (0, 1): 0.6, (0, 2): 0.4, (2, 3): 0.3}
    f = HiddenPolynomial(W, relu_threshold(t), terms)
    found = delta_correlation(f, W[0], t, order=2, epsilon=epsilon, n_samples=n, rng=0)
    inside = np.random.default_rng(1).standard_normal((n, 4))
    X = inside - np.outer(inside @ W[0], W[0]) + t * W[0]
    units = np.maximum(X @ W.T - t, 0.0)
    slope = np.zeros_like(units)
    for term, coefficient in terms.items():
        for i in term:
            slope[:, i] += coefficient * np.prod(units[:, [j for j in term if j != i]], axis=1)
    phi = float(normal_density(t))
    leading = phi * slope[:, 0].mean()
    printed = leading + phi * np.mean((units[:, 1:] > 0) * slope[:, 1:] @ (W[1:] @ W[0]))
    printed += -t * phi * f(X).mean()
    assert found.value == pytest.approx(leading, abs=5 * found.standard_error + 2e-3)
    assert abs(printed - leading) > 0.02 > 5 * found.standard_error


def test_lemma_21_leaves_no_large_maximum():
    """Units c_i, c_j of r inputs each: stationary with a >= beta on T_i means no maximum along T_i or T_j.

    h = sum_i c_i e^(r/2 + r a_i) - lambda r sum_i a_i - gamma r sum_i a_i^2 where z is a_i on T_i.
    """
    rng, bent = np.random.default_rng(0), 0
    for _ in range(2000):
        r, beta, c_i = int(rng.integers(1, 5)), rng.uniform(0.05, 2.0), 1.0
        c_j = 10.0 ** rng.uniform(-1.0, 3.0)
        gamma = rng.uniform(0.3, 1.0) * (c_i + c_j) * math.exp(r / 2.0 + beta) / 4.0
        a = beta * rng.uniform(1.0, 1.5)
        lam = c_i * math.exp(r / 2.0 + r * a) - 2.0 * gamma * a
        if lam <= 0.0 or r * c_i * math.exp(r / 2.0 + r * a) > 2.0 * gamma:
            continue
        bent += 1
        b = np.linspace(0.0, 3.0, 301)
        assert np.all(c_j * np.exp(r / 2.0 + r * b) - lam - 2.0 * gamma * b > 0.0)
    assert bent > 20


# --- GP, Theorem 9 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("c", "printed_holds"), [((0.1, 4.0), False), ((0.1, 9.0), True)])
def test_the_sum_condition_of_theorem_9_is_not_enough(c, printed_holds):
    """Cosine units, c_12 = 1: C_i + C_j exceeds its bound, and one degree off w_1 the form is larger."""
    u0, u2, u4 = (cosine.hermite_coefficient(m) for m in (0, 2, 4))
    C = np.array([c[0] + u0, c[1] + u0])  # C({i}) = c_i + u_0 c_12
    assert C.sum() > math.sqrt(6) * u2**2 / u4
    # With GP's own C(S, mu), which has u_0^|S'|, the multiple is 6 u_2^2 / (u_0 u_4).
    assert (C.sum() > 6.0 * u2**2 / u4) == printed_holds
    network = HiddenPolynomial(np.eye(2), cosine, {(0,): c[0], (1,): c[1], (0, 1): 1.0})
    angle = np.radians(1.0)
    arc = np.array([[1.0, 0.0], [np.cos(angle), np.sin(angle)]])
    exact = network.hermite_moment(4, arc)
    assert exact[1] > exact[0]
    form = even_form(network)
    np.testing.assert_allclose(form(arc), exact, rtol=1e-9)
    assert form.margin < 0.0
    assert even_form(HiddenPolynomial(np.eye(2), cosine, {(0,): 4.0, (1,): 4.0, (0, 1): 1.0})).margin > 0.0


# --- GM ------------------------------------------------------------------------------------------------


def test_kernel_density_scores_are_consistent():
    """The mean of the estimate is the smoothed density, whose S_4 is off by O(h^2), and n h^(d + 8) grows.

    So fits with h = n^(-1/14) get better with n, and those with the bandwidth of the density worse.
    """
    points = np.random.default_rng(0).standard_normal((50, 2))
    means = [[1.0, 1.0], [-1.0, -1.0]]
    truth = GaussianMixture([0.5, 0.5], means).score(points, 4)
    widths = np.array([0.2, 0.1, 0.05, 0.025])
    smoothed = [
        GaussianMixture([0.5, 0.5], means, (1.0 + h * h) * np.eye(2)).score(points, 4) for h in widths
    ]
    errors = [np.linalg.norm(found - truth) for found in smoothed]
    slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert slope == pytest.approx(2.0, abs=0.1)
    n = 10.0 ** np.arange(3, 8)
    assert np.all(np.diff(n * (n ** (-1.0 / 14.0)) ** 10) > 0.0)

    mixture, rng = GaussianMixture([0.5, 0.5], means), np.random.default_rng(1)
    points = np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, -1.0], [0.5, -0.5], [1.5, 0.5], [-0.5, -1.5]])
    truth = mixture.score(points, 4)
    errors = {
        (power, size): np.mean(
            [
                np.linalg.norm(
                    KernelDensity(mixture.sample(size, rng=rng), bandwidth=size**-power).score(points, 4)
                    - truth
                )
                for _ in range(10)
            ]
        )
        for power in (1.0 / 14.0, 1.0 / 6.0)
        for size in (1000, 30_000)
    }
    assert errors[1.0 / 14.0, 30_000] < 0.8 * errors[1.0 / 14.0, 1000]
    assert errors[1.0 / 6.0, 30_000] > 1.5 * errors[1.0 / 6.0, 1000]
