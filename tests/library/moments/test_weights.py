"""Sample weights: rows left out, rows repeated, and standard errors that hold."""

import numpy as np
import pytest
from scipy import stats

from nnmoments.densities import GaussianMixture, Logistic, StandardNormal, iid
from nnmoments.linalg import outer_power
from nnmoments.moments import (
    ControlVariate,
    CrossMoment,
    active_moments,
    control_residuals,
    controlled_moments,
    cross_moment,
    first_moment,
    fold_rows,
)

N2 = StandardNormal(2)
_rng = np.random.default_rng(3)
X = _rng.standard_normal((900, 2))
Y = X[:, 0] + X[:, 0] * X[:, 1] + _rng.standard_normal(900)
COUNTS = np.random.default_rng(4).integers(0, 4, 900)
ON = COUNTS > 0


def _moments(X, y, w):
    """Every estimate that takes weights and is a plain average: value by name."""
    found = {m: cross_moment(X, y, N2, m, sample_weight=w).value for m in (1, 2, 3, 4)}
    found["labels"] = cross_moment(
        X, np.stack([y, y**2], axis=1), iid(Logistic(), 2), 2, sample_weight=w
    ).value
    found["none"] = first_moment(X, y, N2, control="none", sample_weight=w).value
    for form in ("tensor", "sample"):
        active = active_moments(X, y, form=form, sample_weight=w)
        found |= {(form, 0): active.mean, (form, 1): active.first, (form, 2): active.second}
        found[form, 4] = active.fourth.contract()
    return found


def test_a_weight_is_a_number_of_repetitions():
    # Integer weights give the value of the repeated rows, for every moment.
    weighted = _moments(X, Y, COUNTS)
    repeated = _moments(np.repeat(X, COUNTS, axis=0), np.repeat(Y, COUNTS), None)
    for name, value in weighted.items():
        np.testing.assert_allclose(value, repeated[name], atol=1e-10, err_msg=str(name))


def test_no_weight_is_no_row():
    # Also where folds are cut: rows of weight 0, which may hold anything, are dropped before.
    spoilt = np.where(ON[:, None], X, np.nan), np.where(ON, Y, np.inf)
    for name, value in _moments(*(np.where(np.isfinite(a), a, 0.0) for a in spoilt), COUNTS).items():
        np.testing.assert_array_equal(value, _moments(X[ON], Y[ON], COUNTS[ON])[name])
    for control in (None, ControlVariate(), ControlVariate(folds=3)):
        whole = cross_moment(*spoilt, N2, 2, control=control, sample_weight=COUNTS)
        kept = cross_moment(X[ON], Y[ON], N2, 2, control=control, sample_weight=COUNTS[ON])
        assert whole == kept
        assert whole.n_samples == ON.sum()
    rows = np.where(ON[:, None], X, 0.0), np.where(ON, Y, 0.0)
    for control in ("mean", "linear"):
        whole = first_moment(*rows, N2, control=control, sample_weight=COUNTS)
        assert whole == first_moment(X[ON], Y[ON], N2, control=control, sample_weight=COUNTS[ON])
    assert controlled_moments(*rows, sample_weight=COUNTS) == controlled_moments(
        X[ON], Y[ON], sample_weight=COUNTS[ON]
    )


def test_the_scale_of_weights_does_not_matter():
    for scale in (1e-100, 0.3, 1e100):
        for estimate in (
            lambda w: cross_moment(X, Y, N2, 2, sample_weight=w),
            lambda w: cross_moment(X, Y, N2, 2, sample_weight=w, control=ControlVariate()),
            lambda w: first_moment(X, Y, N2, sample_weight=w),
        ):
            one, other = estimate(COUNTS), estimate(scale * COUNTS)
            np.testing.assert_allclose(one.value, other.value, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(one.standard_error, other.standard_error, rtol=1e-9)
        one, other = (controlled_moments(X, Y, sample_weight=s * COUNTS) for s in (1.0, scale))
        np.testing.assert_allclose(one.fourth.contract(), other.fourth.contract(), atol=1e-10)


def test_controls_are_fitted_with_the_weights():
    # Fold by fold: numpy's weighted least squares on explicit monomials of the other rows.
    w = _rng.uniform(0.1, 5.0, 900)
    features = np.column_stack([np.ones(900), X])
    expected = Y.copy()
    first, second = fold_rows(900, 2)
    for own, other in ((first, second), (second, first)):
        root = np.sqrt(w[other])
        beta = np.linalg.lstsq(root[:, None] * features[other], root * Y[other], rcond=None)[0]
        expected[own] -= features[own] @ beta
    found = control_residuals(X, Y, ControlVariate(), 2, sample_weight=w)
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_first_moment_adds_slopes_by_the_weight_of_their_half():
    # Slopes of the halves differ (y is not linear); T_1 = sum_h share_h C_other + E[residual S_1].
    first, second = fold_rows(900, 2)
    w = np.ones(900)
    w[first] = 5.0
    total = np.zeros(2)
    for own, other in ((first, second), (second, first)):
        centre, mean = X[other].mean(axis=0), Y[other].mean()
        C = np.linalg.lstsq(X[other] - centre, Y[other] - mean, rcond=None)[0]
        left = Y[own] - mean - (X[own] - centre) @ C
        total += w[own][0] * (450 * C + left @ X[own])
    np.testing.assert_allclose(first_moment(X, Y, N2, sample_weight=w).value, total / w.sum(), atol=1e-11)


@pytest.mark.parametrize("block_size", [1, 7, None])
def test_weighted_standard_errors_match_the_spread_over_repetitions(block_size):
    # Weights that go with the variance of the terms, for every length of block: 800 repetitions.
    values, variances = np.empty((2, 800, 2))
    for seed in range(800):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((640, 2))
        w = rng.exponential(size=640) * (1.0 + 3.0 * (np.abs(x[:, 0]) > 1.0))
        y = x[:, 0] + (1.0 + w) * rng.standard_normal(640)
        estimate = cross_moment(x, y, N2, 1, sample_weight=w, block_size=block_size)
        values[seed], variances[seed] = estimate.value, estimate.standard_error**2
    ratio = values.var(axis=0, ddof=1) / variances.mean(axis=0)
    low, high = stats.chi2.ppf([5e-7, 1 - 5e-7], 799) / 799
    # A ratio of sums: its own bias of order 1/n is below 3 % here.
    assert np.all((ratio > 0.97 * low) & (ratio < 1.05 * high))


def test_the_formula_of_the_weighted_standard_error():
    # se^2 = sum W_c^2 (t_c - t)^2/(W^2 - sum W_c^2), three unequal blocks; equal weights: as without.
    w = _rng.uniform(0.5, 2.0, 11)
    x, y = X[:11], Y[:11]
    estimate = cross_moment(x, y, N2, 1, block_size=4, sample_weight=w)
    blocks = [slice(0, 4), slice(4, 8), slice(8, 11)]
    W = np.array([w[b].sum() for b in blocks])
    t = np.array([(w[b] * y[b]) @ x[b] / w[b].sum() for b in blocks])
    mean = W @ t / W.sum()
    variance = W**2 @ (t - mean) ** 2 / (W.sum() ** 2 - W @ W)
    np.testing.assert_allclose(estimate.value, mean, rtol=1e-12)
    np.testing.assert_allclose(estimate.standard_error, np.sqrt(variance), rtol=1e-11)
    plain = cross_moment(X[:896], Y[:896], N2, 1)
    even = cross_moment(X[:896], Y[:896], N2, 1, sample_weight=np.full(896, 2.0))
    np.testing.assert_allclose(even.standard_error, plain.standard_error, rtol=1e-11)


def test_weighted_chunks_and_merges_agree():
    w = _rng.uniform(0.5, 2.0, 900)
    mixture = GaussianMixture([0.5, 0.5], [[1.0, 0.0], [0.0, 1.0]])
    whole = cross_moment(X, Y, mixture, 2, block_size=10, sample_weight=w)
    cuts = [slice(0, 200), slice(200, 500), slice(500, 900)]
    parts = [CrossMoment(mixture, 2, block_size=10).partial_fit(X[c], Y[c], w[c]) for c in cuts]
    stream = CrossMoment.from_chunks(((X[c], Y[c], w[c]) for c in cuts), mixture, 2, block_size=10)
    for merged in (sum(parts), parts[2] + (parts[0] + parts[1]), stream):
        np.testing.assert_allclose(merged.estimate().value, whole.value, rtol=1e-11)
        np.testing.assert_allclose(merged.estimate().standard_error, whole.standard_error, rtol=1e-9)


def test_weighted_controlled_moments_are_those_of_the_weighted_law():
    # Weights independent of x leave the law, and E[y S_4] of y = <u, x>^4 is 24 u^(x)4.
    x = np.random.default_rng(0).standard_normal((40_000, 2))
    w = np.random.default_rng(1).exponential(size=40_000)
    u = np.array([0.6, 0.8])
    found = controlled_moments(x, (x @ u) ** 4 + 3.0, sample_weight=w)
    np.testing.assert_allclose(found.fourth.contract(), 24.0 * outer_power([u], 4)[0], atol=1.5)
    assert found.mean == pytest.approx(6.0, abs=0.1)
    # A fold counts by its weight: labels 1 in the first of five, which weighs 5/9.
    first = (np.arange(40_000) < 8000).astype(float)
    assert controlled_moments(x, first, sample_weight=1.0 + 4.0 * first).mean == pytest.approx(
        5 / 9, abs=0.02
    )


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (np.ones(3), r"sample_weight must have shape \(900\)"),
        (-np.ones(900), "sample_weight must not be negative"),
        (np.zeros(900), "sample_weight must not be zero everywhere"),
        (np.full(900, np.nan), "sample_weight holds NaN"),
        (np.full(900, 1e200), "sample_weight must be neither so large nor so small"),
        (np.full(900, 1e-200), "sample_weight must be neither so large nor so small"),
        ("heavy", "sample_weight must be an array of real numbers"),
    ],
)
def test_bad_weights_are_refused(w, message):
    for call in (
        lambda: cross_moment(X, Y, N2, 1, sample_weight=w),
        lambda: cross_moment(X, Y, N2, 1, sample_weight=w, control=ControlVariate()),
        lambda: control_residuals(X, Y, ControlVariate(), 1, sample_weight=w),
        lambda: first_moment(X, Y, N2, sample_weight=w),
        lambda: active_moments(X, Y, sample_weight=w),
        lambda: controlled_moments(X, Y, sample_weight=w),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_weights_come_with_every_chunk_or_with_none():
    moment = CrossMoment(N2, 1).partial_fit(X, Y)
    with pytest.raises(ValueError, match="sample_weight must be given with every chunk or with none"):
        moment.partial_fit(X, Y, np.ones(900))
    with pytest.raises(ValueError, match="both have sample_weight, or neither"):
        moment + CrossMoment(N2, 1).partial_fit(X, Y, np.ones(900))


def test_ten_samples_a_polynomial_are_the_least():
    """One input has five polynomials of degree four at most."""
    X = np.random.default_rng(0).standard_normal((50, 1))
    assert np.isfinite(controlled_moments(X, X[:, 0]).second).all()
    with pytest.raises(ValueError, match="too few samples, 49, for 5 polynomials"):
        controlled_moments(X[:49], X[:49, 0])
