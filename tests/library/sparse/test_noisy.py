"""Estimated moments: order, support, refinement and exchange under noise."""

import numpy as np
import pytest

from nnmoments.sparse import recover_rows, refine_rows


@pytest.mark.parametrize("seed", range(6))
def test_two_percent_noise(seed, noisy, worst):
    """The bar: worst row at most .03 (peers .034); the paper's l0 order collapses (SA FIN)."""
    A, M, error = noisy(seed)
    recovery = recover_rows(M, columns="fast", standard_error=error)
    assert recovery.basis.k == 20
    assert recovery.refined
    assert recovery.ordering == "ratio"
    assert worst(recovery.rows, A) <= 0.03
    assert worst(recover_rows(M, k=20, ordering="l0").rows, A) > 0.5
    plain = recover_rows(M, columns="fast", standard_error=error, refine=False)
    assert not plain.refined
    assert worst(plain.rows, A) <= 0.06
    # Off the support nothing is kept after refinement, and all is kept before.
    assert np.array_equal(recovery.rows != 0, recovery.support)
    assert plain.rows.all()
    if recovery.check.how == "expansion":
        assert recovery.check.failure_probability == 0.01


@pytest.mark.parametrize("columns", ["all", "pairs"])
def test_all_columns_of_an_estimate(columns, noisy, worst):
    A, M, error = noisy(1, k=6, n=150)
    recovery = recover_rows(M, columns=columns, standard_error=error)
    assert worst(recovery.rows, A) <= 0.03
    assert recovery.ordering == "ratio"


def test_a_wrong_row_is_exchanged(noisy, worst):
    """Supports of few weights do not expand: sets of rows are compared by fit and number of weights.

    A combination of two rows fits M as well as either; only the number of weights gives it away.
    """
    for seed in (3, 5):
        A, M, error = noisy(seed, theta=0.08)
        recovery = recover_rows(M, columns="fast", standard_error=error)
        assert worst(recovery.rows, A) <= 0.03


def test_support_threshold_has_its_false_alarm_rate(noisy):
    """P(any of p noise entries passes) <= 0.01: over 40 recoveries expect 0.4 with a false entry.

    More than 5 have a probability below 1e-5 (Poisson).
    """
    alarms = 0
    for seed in range(40):
        A, M, error = noisy(seed, k=3, n=60, theta=0.2)
        recovery = recover_rows(M, k=3, columns="fast", standard_error=error)
        truth = A[np.abs(recovery.rows @ A.T).argmax(axis=1)] != 0
        alarms += bool(np.any(recovery.support & ~truth))
    assert alarms <= 5


def test_refinement_is_unbiased_by_its_start(noisy, worst):
    """From l1 rows it ends where it ends from the truth."""
    A, M, error = noisy(7)
    start = A / np.linalg.norm(A, axis=1, keepdims=True)
    from_truth, mask = refine_rows(M, error, start)
    ours = recover_rows(M, columns="fast", standard_error=error).rows
    assert worst(ours, from_truth) < 5e-3
    assert not from_truth[~mask].any()


def test_refinement_is_least_squares_on_the_support(noisy):
    """Stationarity: with B fixed, no weight on the support can lower the misfit."""
    A, M, error = noisy(2, k=4, n=80)
    rows, mask = refine_rows(M, error, A)
    B = np.linalg.lstsq(rows.T, M.T, rcond=None)[0].T
    gradient = B.T @ (M - B @ rows)
    assert np.abs(gradient[mask]).max() < 1e-3 * np.abs(B.T @ M).max()
    # Scale of the moment: none of its business.
    for factor in (1e-150, 1e150):
        again, same = refine_rows(factor * M, factor * error, A)
        assert np.array_equal(same, mask)
        np.testing.assert_allclose(again, rows, rtol=1e-9, atol=1e-12)


def test_refine_refuses():
    M, error = np.eye(3), np.full((3, 3), 0.1)
    for bad, message in (
        ((M, -error, M), "standard_error must not be negative"),
        ((M, 0 * error, M), "standard_error must not be zero everywhere"),
        ((M, error, np.ones((2, 3))), "rows must be independent"),
        ((M, error, np.ones((2, 2))), "rows must have shape"),
        ((M, error[:2], M), "standard_error must have shape"),
        ((M * np.nan, error, M), "M holds NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            refine_rows(*bad)
    with pytest.raises(ValueError, match="max_iter must be an integer from 1"):
        refine_rows(M, error, M, max_iter=0)


def test_one_row_needs_no_further_columns(planted):
    """There is no combination of two rows that could be sparser: one row is proved by itself."""
    _, M = planted(1, 60, 0.5, 0)
    check = recover_rows(M, columns="fast", standard_error=np.full(M.shape, 1e-3)).check
    assert check.how == "expansion"
