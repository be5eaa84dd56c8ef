"""Sparse recovery: certificates on hard inputs, solvers against each other, SA Algorithm 1."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from nnmoments.linalg import match_rows
from nnmoments.sparse import (
    certified_gap,
    expansion_margin,
    interior_point,
    l1_programmes,
    recover_rows,
    refine_rows,
    row_basis,
)
from nnmoments.sparse.interior_points import _Square
from nnmoments.sparse.reference import solve_exactly
from nnmoments.sparse.screening import screen
from nnmoments.sparse.selection import select_rows, sparsity, support
from nnmoments.sparse.swapping import improve_rows
from nnmoments.sparse.vertex import round_to_vertex


def planted(k, n, theta, seed, condition=None):
    """A Bernoulli(theta)-Gaussian (SA A.5) with unit rows, and M = B A."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((k, n)) * (rng.random((k, n)) < theta)
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    B = rng.standard_normal((k, k))
    if condition is not None:
        left, _, right = np.linalg.svd(B)
        B = (left * np.geomspace(1, condition, k)) @ right
    return A, B @ A


def worst(rows, A):
    return match_rows(rows, A / np.linalg.norm(A, axis=1, keepdims=True)).worst


def inputs():
    rng = np.random.default_rng(5)
    _, M = planted(8, 90, 0.2, 0)
    yield "random", M
    yield "dense", rng.standard_normal((6, 70))
    yield "repeated columns", np.hstack([M, M[:, :30], -2 * M[:, 10:20]])
    yield "zero columns", np.hstack([np.zeros((8, 4)), M, np.zeros((8, 3))])
    yield "ties", np.sign(rng.integers(-1, 2, (6, 60)).astype(float))
    yield "identity", np.eye(5)
    yield "equal entries", np.kron(np.eye(4), np.ones((1, 9)))
    yield "rank deficient", np.vstack([M, M[:3] + M[1:4], 2 * M[:1]])
    yield "one row", rng.standard_normal((1, 20))
    yield "ill-conditioned B", planted(8, 90, 0.2, 1, condition=1e8)[1]
    yield "rows of all scales", np.geomspace(1e-6, 1e6, 8)[:, None] * M
    yield "columns of many scales", M * 10.0 ** rng.uniform(-4, 4, 90)
    yield "tiny", 1e-200 * M
    yield "huge", 1e200 * M


CASES = dict(inputs())


def extended_basis(M):
    """Orthonormal rows of M's row space in extended precision: pivoted Gram-Schmidt, nothing of ours."""
    rest = M.astype(np.longdouble)
    rest = rest / np.abs(rest).max(axis=1, keepdims=True).clip(min=np.finfo(float).tiny)
    basis = np.empty((0, M.shape[1]), dtype=np.longdouble)
    while len(rest) and (lengths := np.sqrt((rest**2).sum(axis=1))).max() > 1e-12:
        q = rest[lengths.argmax()] / lengths.max()
        for _ in range(2):
            q = q - (basis @ q) @ basis
            q = q / np.sqrt(q @ q)
        basis = np.vstack([basis, q])
        rest = np.delete(rest - np.outer(rest @ q, q), lengths.argmax(), axis=0)
    return basis


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 2e-19, reason="needs extended precision")
@pytest.mark.parametrize("name", CASES)
def test_every_certificate_holds_by_itself(name):
    """r.w = 1, |z| <= 1, M z = t r and t = ||w^T M||_1, from M, w and z alone.

    Rounding may enter by the condition number of M, since M itself is only given to rounding.
    """
    M = CASES[name]
    solution = l1_programmes(M, keep_dual=True)
    assert solution.certified.all(), solution.status
    scale = np.longdouble(np.abs(M).max())
    exact = M.astype(np.longdouble) / scale
    S = (solution.coefficients.astype(np.longdouble) * scale) @ exact
    values = np.linalg.svd(exact.astype(float), compute_uv=False)
    slack = 1e-14 * values[0] / values[solution.basis.k - 1]
    # r.w = 1: the entry of the row at the column itself.
    heights = S[np.arange(len(S)), solution.columns]
    assert np.abs(heights - 1.0).max() <= 1e-13 + slack
    assert np.abs(solution.dual).max() <= 1.0 + 1e-15
    # Every row s = w^T M that meets r.w = 1 has ||s||_1 >= t - ||e||_2 ||s||_2, so the optimum is at
    # least t / (1 + ||e||), e the part of M z - t r in an orthonormal basis of the rows.
    Q = extended_basis(M)
    assert len(Q) == solution.basis.k
    R = Q.T[solution.columns]
    image = solution.dual.astype(np.longdouble) @ Q.T
    t = (image * R).sum(axis=1) / (R * R).sum(axis=1)
    e = np.sqrt(((image - t[:, None] * R) ** 2).sum(axis=1))
    objective = np.abs(S).sum(axis=1) / np.abs(heights)
    assert (1.0 - t / (1.0 + e) / objective).max() <= 1e-9 + slack
    assert_allclose(objective.astype(float), solution.objective, rtol=1e-13 + float(slack))
    # A zero column has no feasible point and is named.
    assert_allclose(M[:, solution.skipped], 0.0)
    assert len(solution.columns) + len(solution.skipped) == M.shape[1]


@pytest.mark.parametrize("name", ["random", "dense", "ties", "repeated columns", "rank deficient"])
@pytest.mark.parametrize("method", ["highs", "cvxpy"])
def test_batched_agrees_with_general_solvers(name, method):
    """SA R4: the fast solver reaches the linear programme's value."""
    M = CASES[name]
    ours, theirs = l1_programmes(M), l1_programmes(M, method=method, tol=1e-5)
    assert theirs.certified.all()
    assert_allclose(ours.objective, theirs.objective, rtol=1e-8 if method == "highs" else 1e-6)
    assert np.all(ours.objective <= theirs.objective * (1 + 2e-9))


def test_fewer_inequalities_are_another_programme():
    """SA Remark 4 counts 2 (k - 1) inequalities; with k - 1 columns the optimum is zero."""
    M = CASES["random"]
    k = len(M)
    few = np.flatnonzero(M.any(axis=0))[: k - 1]
    others = np.setdiff1d(np.flatnonzero(M.any(axis=0)), few)
    r = M[:, others[0]]
    w = np.linalg.svd(M[:, few].T)[2][-1]
    w = w / (r @ w)
    assert np.abs(w @ M[:, few]).sum() < 1e-10
    assert l1_programmes(M, r[None]).objective[0] > 1.0 - 1e-9


def test_brute_force_over_vertices():
    """A vertex of the programme has k - 1 zeros; trying all sets of k - 1 columns finds the optimum."""
    Q = row_basis(np.random.default_rng(2).standard_normal((3, 9))).Q
    r = Q[:, 0]
    best = np.inf
    for zero in itertools.combinations(range(9), 2):
        w = np.linalg.svd(Q[:, zero].T)[2][-1]
        if abs(r @ w) > 1e-12:
            best = min(best, np.abs(w @ Q).sum() / abs(r @ w))
    assert_allclose(interior_point(Q, r[None]).objective, best, rtol=1e-8)


def test_bound_holds_for_arbitrary_dual_points():
    """The certified bound is below every feasible value, for points that are no solutions at all."""
    rng = np.random.default_rng(3)
    Q = row_basis(rng.standard_normal((4, 30))).Q
    R = rng.standard_normal((50, 4))
    optimum = solve_exactly(Q, R).objective
    W = rng.standard_normal((50, 4))
    W /= np.einsum("ck,ck->c", W, R)[:, None]
    Z = rng.standard_normal((50, 30)) * rng.uniform(0.1, 10, (50, 1)) + 3 * (R @ Q)
    objective, bound = certified_gap(Q, R, W, Z)
    assert np.all(bound <= optimum * (1 + 1e-12))
    # The signs of w = r lie in the box and reach its objective, but do not meet Q z = t r.
    assert np.all(certified_gap(Q, R, W, np.sign(R @ Q))[1] <= optimum * (1 + 1e-12))
    assert np.all(objective >= optimum * (1 - 1e-12))


def test_screening_never_certifies_a_wrong_row():
    A, M = planted(8, 120, 0.25, 4)
    basis = row_basis(M)
    Q, R = basis.Q, basis.Q.T[np.linalg.norm(basis.Q, axis=0) > 1e-12]
    rows = A @ Q.T
    certified, W, bound, Z = screen(Q, R, rows, tol=1e-9, keep_dual=True)
    optimum = solve_exactly(Q, R).objective
    objective = np.abs(W @ Q).sum(axis=1)
    assert 0.3 < certified.mean() < 1.0
    assert_allclose(objective[certified], optimum[certified], rtol=1e-9)
    assert np.all(bound <= optimum * (1 + 1e-12))
    again = certified_gap(Q, R, W, Z)[1]
    assert_allclose(again, bound)
    # Hardly an optimal row goes unnoticed.
    optimal = objective <= optimum * (1 + 1e-9)
    assert certified.sum() >= 0.9 * optimal.sum()


@pytest.mark.parametrize("single", [True, False])
def test_normal_matrices(single, monkeypatch):
    rng = np.random.default_rng(0)
    Q = row_basis(rng.standard_normal((5, 40))).Q
    D = rng.random((3, 40))
    expected = np.einsum("an,cn,bn->cab", Q, D, Q)
    for limit in (1 << 26, 150):  # kept whole, and rebuilt in blocks of ten columns
        monkeypatch.setattr("nnmoments.sparse.interior_points._SQUARE_DOUBLES", limit)
        for scale in (1.0, 1e60):  # beyond the range of single precision
            got = _Square(Q).normal(scale * D, single=single)
            assert_allclose(got / scale, expected, atol=1e-6 if single else 1e-14)


def test_memory_is_bounded_in_chunks(monkeypatch):
    """Cutting the directions and the square into small pieces changes nothing but the memory."""
    Q = row_basis(CASES["random"]).Q
    R = Q.T[np.linalg.norm(Q, axis=0) > 0]
    whole = interior_point(Q, R)
    monkeypatch.setattr("nnmoments.sparse.interior_points._CHUNK_DOUBLES", 1)
    monkeypatch.setattr("nnmoments.sparse.interior_points._SQUARE_DOUBLES", 300)
    parts = interior_point(Q, R)
    assert_allclose(parts.objective, whole.objective, rtol=3e-9)


def test_what_is_not_certified_is_solved_exactly(monkeypatch):
    monkeypatch.setattr("nnmoments.sparse.programme.interior_point", _lazy)
    M = CASES["dense"]
    solution = l1_programmes(M)
    assert solution.n_exact == M.shape[1]
    assert solution.certified.all()


def _lazy(Q, R, **options):
    return interior_point(Q, R, **{**options, "max_iter": 1})


def test_an_uncertified_gap_is_said(monkeypatch):
    monkeypatch.setattr("nnmoments.sparse.programme.interior_point", _lazy)
    monkeypatch.setattr("nnmoments.sparse.programme.solve_exactly", _lazy)
    solution = l1_programmes(CASES["dense"])
    assert not solution.certified.any()
    assert "stay above the gap 1e-09" in solution.status


def test_scaling_of_direction_and_matrix():
    """Objective: homogeneous of degree 1 in M and -1 in r."""
    M = CASES["random"]
    r = M[:, :5].T
    base = l1_programmes(M, r).objective
    assert_allclose(l1_programmes(M, 4.0 * r).objective, base / 4.0, rtol=1e-8)
    assert_allclose(l1_programmes(2.0 * M, r).objective, base * 2.0, rtol=1e-8)


# --- row basis -----------------------------------------------------------------------------------


def test_rank_by_gap():
    _, M = planted(6, 200, 0.3, 0, condition=3)
    rng = np.random.default_rng(1)
    tall = rng.standard_normal((12, 6)) @ M
    assert row_basis(tall).k == 6
    noise = 1e-2 * np.abs(tall).std()
    error = np.full(tall.shape, noise)
    found = row_basis(tall + noise * rng.standard_normal(tall.shape), standard_error=error)
    assert found.k == 6
    assert found.gap > 3
    assert "above the noise" in found.how
    low = row_basis(tall, k=3)
    assert "no clear gap" in low.how
    assert_allclose(row_basis(tall).coefficients(np.eye(6)) @ tall, row_basis(tall).Q, atol=1e-10)


def test_basis_refuses():
    with pytest.raises(ValueError, match="M is zero"):
        row_basis(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="k must be at most the rank of M, 1, got 2"):
        row_basis(np.ones((3, 4)), k=2)
    with pytest.raises(ValueError, match="does not stand out of its noise"):
        row_basis(np.eye(3), standard_error=np.ones((3, 3)))
    with pytest.raises(ValueError, match="M holds NaN"):
        l1_programmes([[1.0, np.nan]])
    with pytest.raises(ValueError, match="directions: all of them vanish"):
        l1_programmes(np.array([[1.0, 2.0], [0.0, 0.0]]), [[0.0, 1.0]])
    with pytest.raises(ValueError, match="method must be one of"):
        l1_programmes(np.eye(2), method="simplex")


# --- selection, vertices, expansion ----------------------------------------------------------------


def test_rounding_to_a_vertex():
    A, M = planted(8, 200, 0.2, 3)
    Q = row_basis(M).Q
    rng = np.random.default_rng(0)
    for a in A:
        w = Q @ a
        near = w + 1e-6 * np.linalg.norm(w) * rng.standard_normal(8) / 8
        rounded = round_to_vertex(Q, near)
        assert_allclose(rounded @ Q / np.linalg.norm(rounded), a, atol=1e-12)
    far = rng.standard_normal(8)
    assert round_to_vertex(Q, far) is far


def test_select_keeps_independent_sparse_rows():
    W = np.array([[1.0, 1.0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert list(select_rows(W, np.array([5.0, 1, 0.5, 2, 9]), 3, noisy=False)) == [2, 3, 4]
    assert list(select_rows(W[:3], np.zeros(3), 3, noisy=False)) == [0, 1]
    # A noisy copy of a row is no new row.
    copies = np.array([[1.0, 0.0], [0.98, 0.2], [0.1, 1.0]])
    assert list(select_rows(copies, np.arange(3.0), 2, noisy=True)) == [0, 2]
    assert list(select_rows(copies, np.arange(3.0), 2, noisy=False)) == [0, 1]


def test_support_threshold_has_its_false_alarm_rate():
    """P(any of p noise entries passes) <= 0.01; over 500 draws of p = 400 expect at most 5."""
    rng = np.random.default_rng(0)
    alarms = sum(support(rng.standard_normal((4, 100)), np.ones((4, 100))).any() for _ in range(500))
    assert alarms <= 5 + 5 * 5**0.5
    assert_allclose(sparsity(np.array([[3.0, 0, 4.0]]), "l0"), 2)


def test_expansion_condition():
    """SA Remark 6 on A_1; the pair bound never exceeds the exact minimum."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        S = rng.random((6, 30)) < 0.3
        exact = (
            min(
                S[list(rows)].any(axis=0).sum() - size
                for size in range(2, 7)
                for rows in itertools.combinations(range(6), size)
            )
            - S.sum(axis=1).max()
        )
        assert expansion_margin(S) == exact
        padded = np.zeros((13, 30 + 7 * 40), dtype=bool)  # k > 12: the bound
        padded[:6, :30] = S
        for i in range(7):
            padded[6 + i, 30 + 40 * i : 70 + 40 * i] = True
        assert expansion_margin(padded) <= exact + S.sum(axis=1).max() - 40
    assert expansion_margin(np.ones((1, 4))) == 0
    # Above k = 12 it is a lower bound also where supports overlap much.
    S = np.array([np.roll(np.arange(13) < 6, i) for i in range(13)])  # large sets decide
    exact = min(
        S[list(rows)].any(axis=0).sum() - size
        for size in range(2, 14)
        for rows in itertools.combinations(range(13), size)
    )
    assert expansion_margin(S) <= exact - S.sum(axis=1).max()


def test_expansion_as_printed_fails_for_every_dense_B():
    """SA states it for B: then |N(S)| = n_y < 2 + d_max = 2 + n_y always, though recovery works."""
    A, M = planted(6, 150, 0.2, 0)
    B = M @ np.linalg.pinv(A)
    assert expansion_margin(B.T) < 0  # sets of columns of B
    assert expansion_margin(A) >= 0
    assert worst(recover_rows(M).rows, A) < 1e-8


def test_expansion_implies_sparsest():
    """No combination of two rows has as few nonzeros, found by brute force over cancelled columns."""
    A, _ = planted(4, 40, 0.25, 8)
    assert expansion_margin(A) >= 0
    limit = (A != 0).sum(axis=1).max()
    for i, j in itertools.combinations(range(4), 2):
        both = (A[i] != 0) & (A[j] != 0)
        for c in np.flatnonzero(both):
            combination = A[i] - A[i, c] / A[j, c] * A[j]
            assert np.sum(np.abs(combination) > 1e-12) > limit


# --- Algorithm 1 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["all", "pairs", "fast"])
def test_exact_recovery(columns):
    """SA Theorem 2: support exact, rows to 1e-8; SA's own ordering; k from the rank."""
    A, M = planted(10, 300, 0.2, 0)
    M = np.random.default_rng(9).standard_normal((14, 10)) @ M  # n_y > k
    recovery = recover_rows(M, columns=columns)
    match = match_rows(recovery.rows, A)
    assert match.worst < 1e-8
    assert np.array_equal(recovery.support[match.permutation], A != 0)
    assert recovery.ordering == "l0"
    assert len(recovery.rows) == recovery.basis.k == 10
    assert np.all(recovery.gap <= 1e-9)
    rows = recovery.coefficients @ M
    assert worst(rows / np.linalg.norm(rows, axis=1, keepdims=True), A) < 1e-8


def test_recovery_twenty_trials_in_the_regime():
    """SA T2 at k = 20, theta = 0.15: at least 19 of 20 (the bar); the fast path loses none."""
    exact = 0
    for seed in range(20):
        A, M = planted(20, 500, 0.15, seed)
        recovery = recover_rows(M, columns="fast")
        exact += worst(recovery.rows, A) < 1e-8 and recovery.check.how == "expansion"
    assert exact >= 19


def test_sources_name_the_programmes():
    _, M = planted(5, 100, 0.2, 2)
    single, pair = recover_rows(M), recover_rows(M, columns="pairs")
    for row, column in zip(single.coefficients, single.sources, strict=True):
        again = l1_programmes(M, M[:, [column]].T)
        assert_allclose(
            np.abs(again.coefficients @ M), np.abs(row @ M)[None] / abs(row @ M[:, column]), atol=1e-7
        )
    for row, (i, j) in zip(pair.coefficients, pair.sources, strict=True):
        r = M[:, i] + M[:, j]
        again = l1_programmes(M, r[None])
        assert_allclose(np.abs(row @ M).sum() / abs(row @ r), again.objective[0], rtol=1e-8)


def test_methods_agree():
    A, M = planted(6, 120, 0.2, 3)
    for method in ("highs", "cvxpy"):
        assert worst(recover_rows(M, method=method, tol=1e-5).rows, A) < 1e-8


def test_random_columns_check_bounds_its_failure():
    """k (1 - q)^m <= 1e-3, q = 1 / (2k), when the supports prove nothing."""
    _, M = planted(4, 200, 0.85, 0)
    recovery = recover_rows(M, columns="fast")
    check = recovery.check
    assert check.how == "random columns"
    assert check.failure_probability == pytest.approx(4 * (1 - 1 / 8) ** check.n_columns)
    assert check.failure_probability <= 1e-3
    assert "missed row" in recovery.status


def test_fast_path_survives_bad_candidates(monkeypatch):
    """Candidates that all lead to one row: random columns fill up the rest."""
    A, M = planted(6, 200, 0.2, 1)

    def same(Q, *, rng):
        return np.tile((Q @ A[0]) / np.linalg.norm(Q @ A[0]), (len(Q), 1))

    monkeypatch.setattr("nnmoments.sparse.programme.candidate_directions", same)
    recovery = recover_rows(M, columns="fast")
    assert worst(recovery.rows, A) < 1e-8
    assert recovery.n_programmes > 6


def noisy(seed, k=20, n=500, theta=0.15):
    A, M = planted(k, n, theta, seed)
    rng = np.random.default_rng(100 + seed)
    left, _, right = np.linalg.svd(rng.standard_normal((k, k)))
    A *= np.sqrt(n)
    M = (left * np.linspace(1, 3, k)) @ right @ A
    E = rng.standard_normal(M.shape)
    E *= 0.02 * np.linalg.norm(M) / np.linalg.norm(E)
    return A, M + E, np.full(M.shape, E.std())


@pytest.mark.parametrize("seed", range(6))
def test_two_percent_noise(seed):
    """The bar: worst row at most .03 (peers .034); the paper's l0 order collapses (SA FIN)."""
    A, M, error = noisy(seed)
    recovery = recover_rows(M, columns="fast", standard_error=error)
    assert recovery.basis.k == 20
    assert recovery.refined
    assert worst(recovery.rows, A) <= 0.03
    assert worst(recover_rows(M, k=20, ordering="l0").rows, A) > 0.5
    plain = recover_rows(M, columns="fast", standard_error=error, refine=False)
    assert worst(plain.rows, A) <= 0.06


@pytest.mark.parametrize("wrong", ["one row", "a whole set"])
def test_a_wrong_row_is_exchanged(wrong):
    """A combination of two rows fits M as well as either; only the number of weights gives it away.

    The difference is some forty weights: below the spread of chi-square over all of M.
    """
    A, M, error = noisy(3, theta=0.08)
    truth = A / np.linalg.norm(A, axis=1, keepdims=True)
    mixed = truth.copy()
    mixed[4] += 0.7 * truth[9]
    mixed[4] /= np.linalg.norm(mixed[4])
    starts, pool = ([mixed], truth) if wrong == "one row" else ([mixed, truth], truth[:0])
    improved = improve_rows(M, error, starts, pool)
    assert worst(improved, truth) < 1e-12
    # With nothing better at hand, or where no set fits, the start is kept.
    assert improve_rows(M, error, [truth], mixed) is truth
    assert improve_rows(M, 0.01 * error, [mixed], truth) is mixed


def test_refinement_is_unbiased_by_its_start():
    """From l1 rows it ends where it ends from the truth."""
    A, M, error = noisy(7)
    start = A / np.linalg.norm(A, axis=1, keepdims=True)
    from_truth, mask = refine_rows(M, error, start)
    ours = recover_rows(M, columns="fast", standard_error=error).rows
    assert worst(ours, from_truth) < 5e-3
    assert not from_truth[~mask].any()


def test_dense_rows_are_reported():
    """Negative control: nothing is sparse, so l1 finds no basis of sparse rows; it must not pretend."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((5, 100))
    recovery = recover_rows(rng.standard_normal((5, 5)) @ A)
    assert worst(recovery.rows, A) > 0.3 if len(recovery.rows) == 5 else "only" in recovery.status


def test_recover_refuses():
    with pytest.raises(ValueError, match="columns must be one of 'all', 'pairs', 'fast', got 'some'"):
        recover_rows(np.eye(3), columns="some")
    with pytest.raises(ValueError, match="standard_error must have shape"):
        recover_rows(np.eye(3), standard_error=np.ones((2, 3)))
    with pytest.raises(ValueError, match="tol must be a number above"):
        recover_rows(np.eye(3), tol=0)
