"""Sparse recovery against the loop that a user would write: `pytest benchmarks/bench_sparse.py -s`."""

import time

import numpy as np
import pytest

from nnmoments.linalg import match_rows
from nnmoments.sparse import l1_programmes, recover_rows

SIZES = [(10, 200, 0.2), (20, 500, 0.15), (50, 2000, 0.1)]


def planted(k, d, theta, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((k, d)) * (rng.random((k, d)) < theta)
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    return A, rng.standard_normal((k, k)) @ A


def naive_loop(M, columns):
    """What a user writes first: one new cvxpy problem a column; returns objectives and seconds a column."""
    import cvxpy as cp

    values = []
    start = time.perf_counter()
    for j in columns:
        w = cp.Variable(len(M))
        problem = cp.Problem(cp.Minimize(cp.norm1(M.T @ w)), [M[:, j] @ w == 1])
        values.append(problem.solve())
    return np.array(values), (time.perf_counter() - start) / len(columns)


@pytest.mark.parametrize(("k", "d", "theta"), SIZES)
def test_all_columns(benchmark, k, d, theta):
    _, M = planted(k, d, theta)
    l1_programmes(M[:, : 4 * k])
    few = np.flatnonzero(M.any(axis=0))[:5]
    loop_values, loop = naive_loop(M, few)
    solution = benchmark.pedantic(l1_programmes, args=(M,), rounds=3, iterations=1)
    ours = benchmark.stats.stats.median / len(solution.columns)
    start = time.perf_counter()
    highs = l1_programmes(M, M[:, few].T, method="highs")
    warm = (time.perf_counter() - start) / len(few)
    place = np.searchsorted(solution.columns, few)
    error = np.abs(solution.objective[place] / highs.objective - 1.0).max()
    loop_error = np.abs(loop_values / highs.objective - 1.0).max()
    print(
        f"\nk={k} d={d}: batched {1e3 * ours:.2f} ms a column (all {len(solution.columns)}, "
        f"{solution.n_screened} without a solve, gap <= {solution.gap.max():.1e}); "
        f"cvxpy loop {1e3 * loop:.0f} ms: {loop / ours:.0f} x; HiGHS, one model {1e3 * warm:.1f} ms: "
        f"{warm / ours:.0f} x; error {error:.1e}, of the loop {loop_error:.1e}"
    )
    assert solution.certified.all()
    assert error <= 1e-8


@pytest.mark.parametrize(("k", "d", "theta"), SIZES)
def test_fast_path(benchmark, k, d, theta):
    A, M = planted(k, d, theta)
    few = np.flatnonzero(M.any(axis=0))[:5]
    _, loop = naive_loop(M, few)
    recovery = benchmark.pedantic(recover_rows, args=(M,), kwargs={"columns": "fast"}, rounds=3, iterations=1)
    seconds = benchmark.stats.stats.median
    print(
        f"\nk={k} d={d}: recovery {seconds:.3f} s, check by {recovery.check.how}; the loop over all columns "
        f"{loop * d:.0f} s (extrapolated): {loop * d / seconds:.0f} x"
    )
    assert match_rows(recovery.rows, A).worst < 1e-8


@pytest.mark.parametrize(("k", "d"), [(10, 1_000), (30, 10_000), (100, 10_000), (10, 100_000), (50, 100_000)])
def test_scaling(benchmark, k, d):
    """The fast path whole, and milliseconds a column of the batched solver on 64 columns."""
    A, M = planted(k, d, min(0.2, 0.7 / k**0.5))
    columns = M[:, np.flatnonzero(M.any(axis=0))[:64]].T
    solution = l1_programmes(M, columns)
    start = time.perf_counter()
    l1_programmes(M, columns)
    each = 1e3 * (time.perf_counter() - start) / 64
    recovery = benchmark.pedantic(recover_rows, args=(M,), kwargs={"columns": "fast"}, rounds=1, iterations=1)
    print(
        f"\nk={k} d={d}: fast path {benchmark.stats.stats.median:.2f} s; {each:.2f} ms a column; "
        f"worst gap {solution.gap.max():.1e}; worst row {match_rows(recovery.rows, A).worst:.1e}"
    )
    assert solution.certified.all()
