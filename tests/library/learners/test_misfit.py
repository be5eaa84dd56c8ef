"""Whether residuals are noise: the U-statistics of their Hermite moments."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import beta, chi2

from nnmoments.activations import relu
from nnmoments.hermite import hermite_polynomial
from nnmoments.learners.misfit import determines, is_no_chance, predictable_share, residual_misfit


def test_misfit_is_the_variance_that_hermite_polynomials_explain():
    """Against the moments themselves: the U-statistic is unbiased, and noise is let pass."""
    rng = np.random.default_rng(0)
    shares, false = [], 0
    for _ in range(8):
        X = rng.standard_normal((1200, 2))
        wave = 0.5 * (X[:, 0] ** 2 - 1.0) + X[:, 0] * X[:, 1] + X[:, 1]  # variance 1/2 + 1 + 1
        found = residual_misfit(X, wave + 2.0 * rng.standard_normal(1200))
        shares.append(found.share)
        assert found.significant
        false += residual_misfit(X, rng.standard_normal(1200) * (1.0 + X[:, 0] ** 2)).significant
    assert abs(np.mean(shares) - 2.5 / 6.5) < 5 * np.std(shares) / np.sqrt(8) + 0.02
    assert false == 0


def test_kernels_are_those_of_hermite_polynomials():
    """In one dimension <S_m(x), S_m(y)> is He_m(x) He_m(y): the sum over pairs, written out."""
    rng = np.random.default_rng(1)
    x, r = rng.standard_normal((2, 300))
    r = (r - r.mean()) / r.std()
    total = 0.0
    for m in (1, 2, 3, 4):
        terms = r * hermite_polynomial(m, x) / np.sqrt(math.factorial(m))
        total += (terms.sum() ** 2 - terms @ terms) / (300 * 299)
    assert abs(residual_misfit(x[:, None], r).share - total) < 1e-12
    assert not residual_misfit(x[:, None], np.ones(300)).significant


def _explained(X, r, degree):
    """Return U_m times its pairs: polynomials by `hermite_polynomial`, a column each."""
    total = 0.0
    for axes in itertools.combinations_with_replacement(range(X.shape[1]), degree):
        term = r.copy()
        for axis in set(axes):
            m = axes.count(axis)
            term *= hermite_polynomial(m, X[:, axis]) / np.sqrt(math.factorial(m))
        total += term.sum() ** 2 - term @ term
    return total


@pytest.mark.parametrize(("n", "d"), [(4001, 3), (2001, 10)])
def test_all_pairs_are_seen_or_those_of_parts(n, d):
    """Ten inputs have 715 polynomials of degree four: their pairs are those in two parts of the sample."""
    rng = np.random.default_rng(4)
    X, r = rng.standard_normal((n, d)), rng.standard_normal(n)
    r = (r - r.mean()) / r.std()
    share = sum(_explained(X, r, m) for m in (1, 2, 3)) / (n * (n - 1.0))
    parts = [slice(None)] if d == 3 else [slice(0, None, 2), slice(1, None, 2)]
    sizes = [len(r[part]) for part in parts]
    share += sum(_explained(X[part], r[part], 4) for part in parts) / sum(m * (m - 1.0) for m in sizes)
    assert abs(residual_misfit(X, r).share - share) < 1e-12


def test_little_is_seen_by_many():
    """Three per cent of degree three, of eight inputs: five sigma of 5000 samples, which 1500 do not show."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((5000, 8))
        wave = hermite_polynomial(3, X[:, 0]) / np.sqrt(6.0)
        r = np.sqrt(0.03) * wave + np.sqrt(0.97) * rng.standard_normal(5000)
        assert residual_misfit(X, r).significant
        assert not residual_misfit(X[:1250], r[:1250]).significant


@pytest.mark.parametrize("d", [3, 10])
def test_a_sample_far_away_is_no_misfit(d):
    """The square of its length is taken from that of all pairs, and must leave no less than rounding."""
    rng = np.random.default_rng(5)
    X, r = rng.standard_normal((2000, d)), rng.standard_normal(2000)
    for far in (1e3, 1e8, 1e40):
        X[0] = far
        assert not residual_misfit(X, r).significant


def test_the_resolution_is_what_one_alarm_in_ten_thousand_leaves():
    """Of each order a fourth: a chi-squared of m + 1 polynomials of two variables, in its spread."""
    rng = np.random.default_rng(3)
    X, r = rng.standard_normal((400, 2)), rng.standard_normal(400)
    z, told, share = (r - r.mean()) / r.std(), [], 0.0
    for m in (1, 2, 3, 4):
        features = [
            hermite_polynomial(a, X[:, 0])
            * hermite_polynomial(m - a, X[:, 1])
            / np.sqrt(math.factorial(a) * math.factorial(m - a))
            for a in range(m + 1)
        ]
        pairs = np.outer(z, z) * np.einsum("as,at->st", features, features)
        np.fill_diagonal(pairs, 0.0)
        largest = (chi2.isf(0.25e-4, m + 1) - (m + 1)) / np.sqrt(2.0 * (m + 1))
        told.append(largest * np.sqrt(2.0 * np.sum(pairs**2)) / (400 * 399))
        share += pairs.sum() / (400 * 399) if told[-1] < 0.25 else 0.0  # of what is told to a quarter
    found = residual_misfit(X, r)
    assert abs(found.resolution - np.hypot(*told[:2])) < 1e-12
    assert abs(found.share - share) < 1e-12


@pytest.mark.parametrize(("m", "p", "units", "r"), [(40, 34, 1, 3), (30, 25, 2, 2), (500, 480, 3, 5)])
def test_no_chance_is_one_in_ten_thousand_for_all_cuts_together(m, p, units, r):
    """The share that a linear model of p parameters leaves of noise, at the probability a cut has."""
    cuts = (2.0 * (math.e * m / r) ** r) ** units
    least = float(beta.ppf(1e-4 / cuts, (m - p) / 2.0, p / 2.0))
    assert least < 1e-3
    for share, answer in ((0.98 * least, True), (1.02 * least, False)):
        assert is_no_chance(share, m, p, different=m, units=units, inputs=r) is answer
    for share, answer in ((0.58, True), (0.62, False)):  # where noise is left: four times p / n are explained
        assert is_no_chance(share, 10 * p, p, different=10 * p, units=units, inputs=r) is answer


def test_trees_predict_what_polynomials_do_not_and_no_noise():
    """A wave is seen; noise is not, whatever its tails and wherever it is large."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((2000, 3))
    wave = np.sin(8.0 * X[:, 0])
    assert not residual_misfit(X, wave).significant
    assert predictable_share(X, wave) > 0.5
    heavy = predictable_share(X, 100.0 + 0.1 * wave + 1e-3 * rng.standard_cauchy(2000), unexplained=1e-3)
    assert heavy > 0.1
    for draw in range(8):
        X, noise = rng.standard_normal((1000, 3)), rng.standard_normal(1000)
        kinds = (
            noise,
            noise * X[:, 0] ** 2,
            rng.standard_t(3, 1000),
            (rng.exponential(size=1000) - 1) * X[:, 1],
        )
        assert predictable_share(X, kinds[draw % 4], unexplained=1.0 if draw % 8 else 1e-3) == 0.0
    assert predictable_share(X[:30], X[:30, 0]) == 0.0
    assert predictable_share(X, np.ones(1000)) == 0.0


def test_inputs_that_do_not_vary_explain_nothing():
    """Odd moments of x = 0 vanish, and so does their spread: nothing is no more than nothing."""
    found = residual_misfit(np.zeros((50, 2)), np.random.default_rng(2).standard_normal(50))
    assert not found.significant


def test_a_sample_that_is_fitted_whatever_its_label_determines_nothing():
    """Two samples more than weights, of which one is repeated: its copies are one."""
    rng = np.random.default_rng(0)
    X, W, v = np.abs(rng.standard_normal((4, 3))), np.ones((1, 3)), np.ones(1)
    assert determines(X, W, v, relu, unexplained=0.0)
    assert not determines(X[:3], W, v, relu, unexplained=0.0)
    assert not determines(X[[0, 1, 2, 2]], W, v, relu, unexplained=0.0, sample_weight=np.ones(4))
    # The third input differs from 0 in one sample only.
    X[:3, 2] = 0.0
    assert not determines(X, W, v, relu, unexplained=0.0)
