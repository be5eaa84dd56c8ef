"""SA Algorithm 1 as printed, line by line, on exact moments."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from nnmoments.linalg import match_rows
from nnmoments.sparse import l1_method, l1_programmes, recover_rows


def by_linprog(M, r):
    """min sum(p + q), w^T M = p - q, r.w = 1."""
    k, n = M.shape
    result = linprog(
        np.concatenate([np.zeros(k), np.ones(2 * n)]),
        A_eq=np.vstack([np.hstack([M.T, -np.eye(n), np.eye(n)]), [*r, *np.zeros(2 * n)]]),
        b_eq=[*np.zeros(n), 1.0],
        bounds=[(None, None)] * k + [(0, None)] * 2 * n,
        method="highs-ds",
    )
    return result.x[:k]


def test_line_by_line(planted):
    """The paper's listing in its own words, with a linear programme for each column."""
    A, M = planted(5, 80, 0.25, 1)
    used = np.flatnonzero(M.any(axis=0))
    S = [by_linprog(M, M[:, j]) @ M for j in used]
    S.sort(key=lambda s: np.sum(np.abs(s) > 1e-7 * np.abs(s).max()))
    V = []
    while len(V) < 5:
        v = S.pop(0)
        if np.linalg.matrix_rank([*V, v], tol=1e-6) == len(V) + 1:
            V.append(v)
    expected = np.array([v / np.linalg.norm(v) for v in V])
    recovery = l1_method(M)
    assert match_rows(recovery.rows, expected).worst < 1e-8
    assert match_rows(recovery.rows, A).worst < 1e-8
    assert recovery.n_programmes == len(used)
    assert recovery.check.how == "all columns"
    assert recovery.check.failure_probability == 0.0
    # The default of recover_rows is this algorithm.
    assert_allclose(np.abs(recover_rows(M).rows), np.abs(recovery.rows), atol=1e-12)


def test_rows_come_sparsest_first_and_of_unit_length(planted):
    A, M = planted(8, 200, 0.2, 0)
    recovery = l1_method(np.vstack([M, M[:2] - M[2:4]]))
    counts = recovery.support.sum(axis=1)
    assert np.all(np.diff(counts) >= 0)
    assert sorted(counts) == sorted((A != 0).sum(axis=1))
    assert_allclose(np.linalg.norm(recovery.rows, axis=1), 1.0)
    assert np.array_equal(recovery.rows != 0, recovery.support)
    assert recovery.converged
    assert recovery.status == f"8 rows from {recovery.n_programmes} programmes"
    assert "status: 8 rows from" in repr(recovery)


def test_sources_name_the_programmes(planted):
    _, M = planted(5, 100, 0.2, 2)
    recovery = l1_method(M)
    for row, column in zip(recovery.coefficients, recovery.sources, strict=True):
        again = l1_programmes(M, M[:, [column]].T)
        assert_allclose(
            np.abs(again.coefficients @ M), np.abs(row @ M)[None] / abs(row @ M[:, column]), atol=1e-7
        )


def test_fewer_rows_than_asked_are_said():
    """k rows that repeat one another up to rounding do not raise the rank."""
    rng = np.random.default_rng(0)
    A = np.vstack([np.eye(2, 6), np.eye(2, 6) + 1e-9 * rng.standard_normal((2, 6))])
    recovery = l1_method(A, k=3)
    assert len(recovery.rows) == len(recovery.gap) == len(recovery.sources) <= 3
    # The third row is a combination: nothing of it vanishes beyond what must in three dimensions.
    assert not recovery.converged
    if len(recovery.rows) == 3:
        assert recovery.evidence.min() <= 0
        assert "no evidence" in recovery.status


@pytest.mark.parametrize("method", ["highs", "cvxpy"])
def test_methods_agree(method, planted, worst):
    pytest.importorskip({"highs": "highspy", "cvxpy": "cvxpy"}[method])
    A, M = planted(6, 120, 0.2, 3)
    assert worst(l1_method(M, method=method, tol=1e-5).rows, A) < 1e-8


def test_refuses():
    with pytest.raises(ValueError, match="k must be at most the rank of M, 2, got 3"):
        l1_method(np.eye(2), k=3)
    with pytest.raises(ValueError, match="M must have 2 axes"):
        l1_method(np.ones(3))
    with pytest.raises(ValueError, match="method must be one of 'batched', 'highs', 'cvxpy', got None"):
        l1_method(np.eye(2), method=None)
