"""A few programmes instead of one a column: the condition that proves them enough, and the check."""

import itertools

import numpy as np
import pytest

from nnmoments.sparse import expansion_margin, recover_rows


def by_subsets(S):
    """SA Remark 6 over all sets of two rows or more."""
    k = len(S)
    return (
        min(
            S[list(rows)].any(axis=0).sum() - size
            for size in range(2, k + 1)
            for rows in itertools.combinations(range(k), size)
        )
        - S.sum(axis=1).max()
    )


def test_expansion_condition():
    """SA Remark 6 on A_1; the pair bound never exceeds the exact minimum."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        S = rng.random((6, 30)) < 0.3
        exact = by_subsets(S)
        assert expansion_margin(S) == exact
        padded = np.zeros((13, 30 + 7 * 40), dtype=bool)  # k > 12: the bound
        padded[:6, :30] = S
        for i in range(7):
            padded[6 + i, 30 + 40 * i : 70 + 40 * i] = True
        assert expansion_margin(padded) <= exact + S.sum(axis=1).max() - 40
    assert expansion_margin(np.ones((1, 4))) == 0
    # Above k = 12 it is a lower bound also where supports overlap much.
    S = np.array([np.roll(np.arange(13) < 6, i) for i in range(13)])  # large sets decide
    assert expansion_margin(S) <= by_subsets(S)
    # Disjoint supports: nothing is lost by pairs.
    assert expansion_margin(np.kron(np.eye(13), np.ones((1, 5)))) == 10 - 2 - 5
    with pytest.raises(ValueError, match="support must have 2 axes"):
        expansion_margin([1, 0])


def test_expansion_as_printed_fails_for_every_dense_B(planted, worst):
    """SA states it for B: then |N(S)| = n_y < 2 + d_max = 2 + n_y always, though recovery works."""
    A, M = planted(6, 150, 0.2, 0)
    B = M @ np.linalg.pinv(A)
    assert expansion_margin(B.T) < 0  # sets of columns of B
    assert expansion_margin(A) >= 0
    assert worst(recover_rows(M).rows, A) < 1e-8


def test_expansion_implies_sparsest(planted):
    """No combination of two rows has as few nonzeros, found by brute force over cancelled columns."""
    A, _ = planted(4, 40, 0.25, 8)
    assert expansion_margin(A) >= 0
    limit = (A != 0).sum(axis=1).max()
    for i, j in itertools.combinations(range(4), 2):
        both = (A[i] != 0) & (A[j] != 0)
        for c in np.flatnonzero(both):
            combination = A[i] - A[i, c] / A[j, c] * A[j]
            assert np.sum(np.abs(combination) > 1e-12) > limit


def test_recovery_twenty_trials_in_the_regime(planted, worst):
    """SA T2 at k = 20, theta = 0.15: at least 19 of 20 (the bar); the fast path loses none."""
    exact = 0
    for seed in range(20):
        A, M = planted(20, 500, 0.15, seed)
        recovery = recover_rows(M, columns="fast")
        exact += worst(recovery.rows, A) < 1e-8 and recovery.check.how == "expansion"
    assert exact >= 19


def test_random_columns_check_bounds_its_failure(planted):
    """k (1 - q)^m <= 1e-3, q = 1 / (2k), when the supports prove nothing."""
    _, M = planted(4, 200, 0.85, 0)
    recovery = recover_rows(M, columns="fast")
    check = recovery.check
    assert check.how == "random columns"
    assert check.failure_probability == pytest.approx(4 * (1 - 1 / 8) ** check.n_columns)
    assert check.failure_probability <= 1e-3 < 4 * (1 - 1 / 8) ** (check.n_columns - 1)
    assert "missed row" in recovery.status
    # With no more columns than that, all are looked at, and nothing is left to chance.
    few = recover_rows(M[:, :30], columns="fast").check
    assert (few.how, few.n_columns, few.failure_probability) == ("all columns", 30, 0.0)


def test_fast_path_survives_bad_candidates(planted, worst):
    """Where two candidates lead to one row, random columns fill up the rest."""
    filled = 0
    for seed in range(12):
        A, M = planted(6, 150, 0.3, seed)
        recovery = recover_rows(M, columns="fast")
        assert worst(recovery.rows, A) < 1e-8
        if any(source != "candidate" for source in recovery.sources):
            filled += 1
            assert recovery.n_programmes > 6
    assert filled > 0
