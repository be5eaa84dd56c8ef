"""The l1 programmes: certificates on hard inputs, solvers against each other, what has no solution."""

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from nnmoments.sparse import certified_gap, l1_programmes, recover_rows, row_basis


def inputs():
    rng = np.random.default_rng(5)
    A = rng.standard_normal((8, 90)) * (rng.random((8, 90)) < 0.2)
    B = rng.standard_normal((8, 8))
    M = B @ A
    left, _, right = np.linalg.svd(B)
    yield "random", M
    yield "dense", rng.standard_normal((6, 70))
    yield "repeated columns", np.hstack([M, M[:, :30], -2 * M[:, 10:20]])
    yield "zero columns", np.hstack([np.zeros((8, 4)), M, np.zeros((8, 3))])
    yield "ties", np.sign(rng.integers(-1, 2, (6, 60)).astype(float))
    yield "identity", np.eye(5)
    yield "equal entries", np.kron(np.eye(4), np.ones((1, 9)))
    yield "rank deficient", np.vstack([M, M[:3] + M[1:4], 2 * M[:1]])
    yield "one row", rng.standard_normal((1, 20))
    yield "one column", rng.standard_normal((4, 1))
    yield "ill-conditioned B", (left * np.geomspace(1, 1e8, 8)) @ right @ A
    yield "rows of all scales", np.geomspace(1e-6, 1e6, 8)[:, None] * M
    yield "columns of many scales", M * 10.0 ** rng.uniform(-4, 4, 90)
    yield "tiny", 1e-200 * M
    yield "huge", 1e200 * M
    for seed in range(3):
        yield f"ties {seed}", np.sign(np.random.default_rng(seed).integers(-1, 2, (7, 80)).astype(float))


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
@pytest.mark.parametrize("tol", [1e-9, 1e-5])
def test_every_certificate_holds_by_itself(name, tol):
    """r.w = 1, |z| <= 1, M z = t r and t = ||w^T M||_1, from M, w and z alone.

    The bound claimed is the bound that the dual point proves. Rounding may enter by the condition
    number of M, since M itself is only given to rounding.
    """
    M = CASES[name]
    solution = l1_programmes(M, keep_dual=True, tol=tol)
    assert solution.certified.all(), solution.status
    assert solution.converged
    scale = np.longdouble(np.abs(M).max())
    exact = M.astype(np.longdouble) / scale
    S = (solution.coefficients.astype(np.longdouble) * scale) @ exact
    values = np.linalg.svd(exact.astype(float), compute_uv=False)
    slack = 1e-14 * values[0] / values[solution.basis.k - 1]
    # r.w = 1: the entry of the row at the column itself.
    heights = S[np.arange(len(S)), solution.columns]
    assert np.abs(heights - 1.0).max() <= 1e-13 + slack
    assert np.abs(solution.dual).max() <= 1.0
    # Every row s = w^T M that meets r.w = 1 has ||s||_1 >= t - ||e||_2 ||s||_2, so the optimum is at
    # least t / (1 + ||e||), e the part of M z - t r in an orthonormal basis of the rows.
    Q = extended_basis(M)
    assert len(Q) == solution.basis.k
    R = Q.T[solution.columns]
    image = solution.dual.astype(np.longdouble) @ Q.T
    t = (image * R).sum(axis=1) / (R * R).sum(axis=1)
    e = np.sqrt(((image - t[:, None] * R) ** 2).sum(axis=1))
    proven = t / (1.0 + e)
    objective = np.abs(S).sum(axis=1) / np.abs(heights)
    assert (solution.bound / proven - 1.0).max() <= 1e-13 + slack
    assert (1.0 - proven / objective).max() <= tol + slack
    assert_allclose(objective.astype(float), solution.objective, rtol=1e-13 + float(slack))
    # A zero column has no feasible point and is named.
    assert_allclose(M[:, solution.skipped], 0.0)
    assert len(solution.columns) + len(solution.skipped) == M.shape[1]


@pytest.mark.parametrize("name", ["random", "dense", "ties", "repeated columns", "rank deficient"])
@pytest.mark.parametrize(("method", "package"), [("highs", "highspy"), ("cvxpy", "cvxpy")])
def test_batched_agrees_with_general_solvers(name, method, package):
    """SA R4: the fast solver reaches the linear programme's value."""
    pytest.importorskip(package)
    M = CASES[name]
    ours, theirs = l1_programmes(M), l1_programmes(M, method=method, tol=1e-5, keep_dual=True)
    assert theirs.certified.all()
    assert np.abs(theirs.dual).max() <= 1.0
    assert_allclose(ours.objective, theirs.objective, rtol=1e-8 if method == "highs" else 1e-6)
    assert np.all(ours.objective <= theirs.objective * (1 + 2e-9))


@pytest.mark.parametrize(("method", "package"), [("highs", "highspy"), ("cvxpy", "cvxpy")])
def test_a_missing_solver_is_named(method, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # what an uninstalled package does to an import
    for function in (l1_programmes, recover_rows):
        with pytest.raises(ValueError, match=rf"needs {package}: pip install nnmoments\[solvers\]"):
            function(CASES["random"], method=method)
    assert l1_programmes(CASES["random"]).converged


def test_fewer_inequalities_are_another_programme():
    """SA Remark 4 counts 2 (k - 1) inequalities; with k - 1 columns the optimum is zero."""
    M = CASES["dense"]
    k = len(M)
    few = np.flatnonzero(M.any(axis=0))[: k - 1]
    others = np.setdiff1d(np.flatnonzero(M.any(axis=0)), few)
    r = M[:, others[0]]
    w = np.linalg.svd(M[:, few].T)[2][-1]
    w = w / (r @ w)
    assert np.abs(w @ M[:, few]).sum() < 1e-10
    assert l1_programmes(M, r[None]).objective[0] > 1.0 - 1e-9


def by_vertices(Q, r):
    """A vertex of the programme has k - 1 zeros; trying all sets of k - 1 columns finds the optimum."""
    best = np.inf
    for zero in itertools.combinations(range(Q.shape[1]), len(Q) - 1):
        w = np.linalg.svd(Q[:, zero].T)[2][-1]
        if abs(r @ w) > 1e-12:
            best = min(best, np.abs(w @ Q).sum() / abs(r @ w))
    return best


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(5, 9))
def test_brute_force_over_vertices(seed, k, n):
    """Objective and bound enclose the optimum, for directions of any kind."""
    rng = np.random.default_rng(seed)
    M = rng.standard_normal((k, n)) * (rng.random((k, n)) < 0.7) + np.eye(k, n)
    directions = rng.standard_normal((3, k)) * 10.0 ** rng.integers(-6, 6, (3, 1))
    solution = l1_programmes(M, directions)
    expected = [by_vertices(M, r) for r in directions]
    assert_allclose(solution.objective, expected, rtol=1e-8)
    assert np.all(solution.bound <= np.multiply(expected, 1 + 1e-9))


def test_bound_holds_for_arbitrary_dual_points():
    """The certified bound is below every feasible value, for points that are no solutions at all."""
    rng = np.random.default_rng(3)
    Q = row_basis(rng.standard_normal((4, 30))).Q
    R = rng.standard_normal((50, 4))
    optimum = l1_programmes(Q, R, tol=1e-12).bound
    W = rng.standard_normal((50, 4))
    W /= np.einsum("ck,ck->c", W, R)[:, None]
    Z = rng.standard_normal((50, 30)) * rng.uniform(0.1, 10, (50, 1)) + 3 * (R @ Q)
    objective, bound = certified_gap(Q, R, W, Z)
    assert np.all(bound <= optimum * (1 + 1e-12))
    # The signs of w = r lie in the box and reach its objective, but do not meet Q z = t r.
    assert np.all(certified_gap(Q, R, W, np.sign(R @ Q))[1] <= optimum * (1 + 1e-12))
    assert np.all(objective >= optimum * (1 - 1e-12))


def test_certified_gap_refuses():
    Q = np.eye(2, 3)
    one = [[1.0, 0.0]]
    with pytest.raises(ValueError, match="Q must have orthonormal rows"):
        certified_gap(2.0 * Q, one, one, one @ Q)
    with pytest.raises(ValueError, match=r"W must meet r\.w = 1 in every row, got 2"):
        certified_gap(Q, one, [[2.0, 0.0]], one @ Q)
    with pytest.raises(ValueError, match="W must have shape"):
        certified_gap(Q, one, [[2.0, 0.0]] * 2, one @ Q)
    for name, R, Z in (
        ("R", [[0.0, 0.0]], one @ Q),
        ("Z", one, np.zeros((1, 3))),
        ("Z", one, [[1e200, 0, 0]]),
    ):
        with pytest.raises(ValueError, match=f"{name} must have rows with entries up to a size"):
            certified_gap(Q, R, one, Z)


def test_screened_columns_have_the_optimum_of_their_own_programme():
    """What is certified without a solve is what a solve of that column alone gives (too few to screen)."""
    M = CASES["random"]
    together = l1_programmes(M)
    assert 0.3 * len(together.columns) < together.n_screened < len(together.columns)
    alone = [l1_programmes(M, M[:, [j]].T) for j in together.columns]
    assert all(solution.n_screened == 0 for solution in alone)
    assert_allclose(together.objective, [solution.objective[0] for solution in alone], rtol=2e-9)
    # Hardly an optimal row goes unnoticed: most columns return one of eight rows.
    copies = len(together.columns) - len(together.vertices().columns)
    assert together.n_screened >= 0.8 * copies


@pytest.mark.parametrize("limit", ["_CHUNK_DOUBLES", "_SQUARE_DOUBLES"])
def test_memory_is_bounded_in_chunks(limit, monkeypatch):
    """Cutting the directions, and the products of rows, into small pieces changes nothing but memory."""
    M = np.random.default_rng(0).standard_normal((5, 300))
    whole = l1_programmes(M).objective
    monkeypatch.setattr(f"nnmoments.sparse.solvers.{limit}", 150)
    assert_allclose(l1_programmes(M).objective, whole, rtol=3e-9)


def test_vertices():
    """Each row once, its k - 1 zeros to rounding; where the optimum is no vertex it stays as it is."""
    for name in ("random", "dense", "ties"):
        M = CASES[name]
        solution = l1_programmes(M)
        vertices = solution.vertices()
        S = vertices.coefficients @ M
        assert_allclose(S[np.arange(len(S)), vertices.columns], 1.0, rtol=1e-9)
        assert_allclose(np.abs(S).sum(axis=1), vertices.objective, rtol=1e-9)
        place = np.searchsorted(solution.columns, vertices.columns)
        assert np.all(vertices.objective <= solution.objective[place] * (1 + 1e-11))
        zero = np.abs(S) <= 1e-12 * np.abs(S).max(axis=1, keepdims=True)
        if name == "random":
            assert all(np.linalg.matrix_rank(M[:, z]) == len(M) - 1 for z in zero)
        units = S / np.linalg.norm(S, axis=1, keepdims=True)
        assert np.abs(np.triu(units @ units.T, 1)).max() < 1.0 - 1e-13
    # min |w_1 - 1/2| + |w_1 + 1/2|, w_2 = 1: a whole segment is optimal, and its middle has no zeros.
    flat = l1_programmes([[1.0, 1.0], [-0.5, 0.5]], [[0.0, 1.0]]).vertices()
    assert_allclose(flat.objective, 1.0, rtol=1e-9)
    assert_allclose(flat.coefficients[0, 1], 1.0)


def test_what_the_interior_points_leave_open_is_solved_exactly():
    """At tol = 1e-13 interior points stall by rounding; the simplex method ends in a vertex."""
    solutions = [l1_programmes(CASES[f"ties {seed}"], tol=1e-13, keep_dual=True) for seed in range(3)]
    assert sum(solution.n_exact for solution in solutions) > 0
    assert max(solution.gap.max() for solution in solutions) <= 1e-12
    assert l1_programmes(CASES["dense"]).n_exact == 0


def test_an_uncertified_gap_is_said():
    solution = l1_programmes(CASES["dense"], tol=1e-18)
    assert not solution.converged
    assert "stay above the gap 1e-18" in solution.status
    recovery = recover_rows(CASES["random"], tol=1e-18)
    assert not recovery.converged
    assert "not certified to 1e-18: raise tol" in recovery.status


def test_scaling_of_direction_and_matrix():
    """Objective: homogeneous of degree 1 in M and -1 in r, over the whole range of numbers."""
    M = CASES["random"]
    r = M[:, :5].T
    base = l1_programmes(M, r)
    for factor in (4.0, 1e-150, 1e150, 1e300):
        solution = l1_programmes(M, factor * r)
        assert_allclose(solution.objective * factor, base.objective, rtol=1e-8)
        assert_allclose(np.einsum("cy,cy->c", factor * r, solution.coefficients), 1.0)
        assert_allclose(l1_programmes(factor * M, r).objective / factor, base.objective, rtol=1e-8)
    # Each direction for itself: a short one beside a long one is no zero.
    mixed = l1_programmes(M, r * np.array([1.0, 1e-20, 1.0, 1e20, 1.0])[:, None])
    assert_allclose(mixed.objective * [1.0, 1e-20, 1.0, 1e20, 1.0], base.objective, rtol=1e-8)
    assert len(mixed.skipped) == 0
    with pytest.raises(ValueError, match="directions: the optimum is beyond the largest number"):
        l1_programmes(1e200 * M, 1e-200 * r)


def test_directions_outside_the_column_space_have_optimum_zero():
    """M of rank 2 in 3 labels: w = (1, -1/2, 0) meets r.w = 1 for r = e_1 and costs nothing."""
    M = np.array([[1.0, 0, 2, 0], [2, 0, 4, 0], [0, 1, 0, 1]])
    solution = l1_programmes(M, [[1.0, 0, 0], [1.0, 2, 0], [0, 0, 0], [0, 0, 1.0]], keep_dual=True)
    assert list(solution.columns) == [0, 1, 3]
    assert list(solution.skipped) == [2]
    assert_allclose(solution.objective, [0.0, 3.0, 2.0], rtol=1e-9)
    assert_allclose(solution.bound, [0.0, 3.0, 2.0], rtol=1e-9)
    assert_allclose(solution.coefficients[0] @ [1.0, 0, 0], 1.0)
    assert_allclose(np.abs(solution.coefficients @ M).sum(axis=1), solution.objective, atol=1e-15)
    assert_allclose(solution.dual[0], 0.0)
    assert solution.converged
    assert solution.certified.all()
    assert "1 directions leave the column space of M: optimum 0" in solution.status
    # Only such directions.
    alone = l1_programmes(M, [[1.0, 0, 0]])
    assert alone.converged
    assert alone.objective[0] == 0.0
    assert len(alone.vertices().columns) == 0


def test_rows_lost_in_the_rounding_of_others_are_found():
    """A median of numbers near 1e7, min sum |y_i + w|: 1 and y are one row to working precision.

    And a regression to the median, with a line beside it: the rank is cut there too.
    """
    rng = np.random.default_rng(0)
    for offset in (1e7, 1e8, 1e9):
        y = offset + rng.standard_normal(101)
        solution = l1_programmes(np.vstack([y, np.ones(101)]), [[1.0, 0.0]])
        best = np.abs(y - np.median(y)).sum()
        assert solution.objective[0] <= best * (1 + 1e-7)
        assert_allclose(np.abs(solution.coefficients @ np.vstack([y, np.ones(101)])).sum(), best, rtol=1e-7)
    y = 1e7 + rng.standard_normal(50)
    M = np.vstack([y, np.ones(50), rng.standard_normal(50)])
    solution = l1_programmes(M, [[1.0, 0, 0], [2.0, 0, 0]])
    shifted = np.vstack([y - 1e7, M[1:]])
    reference = l1_programmes(shifted, [[1.0, 0, 0]], method="batched")
    assert reference.certified.all()
    assert_allclose(solution.objective, reference.objective * [1.0, 0.5], rtol=1e-6)
    assert_allclose(np.abs(solution.coefficients @ M).sum(axis=1), solution.objective, rtol=1e-6)
    # What is certified is certified of M itself, not of a row space that rounding has moved.
    assert np.all(solution.certified <= (solution.objective <= reference.objective * [1.0, 0.5] * (1 + 2e-9)))


def test_a_rank_cut_by_k_claims_no_bound():
    cut = l1_programmes(CASES["random"], np.eye(8), k=3)
    assert not cut.certified.any()
    assert not cut.converged
    assert np.all(cut.bound == 0.0)
    assert "scale the rows of M alike, or raise k" in cut.status


def test_the_answer_for_a_direction_is_a_vertex():
    """Median regression: k - 1 residuals vanish, and the coefficients are those of the lines through them."""
    rng = np.random.default_rng(0)
    for k, n in ((2, 30), (5, 100), (21, 300)):
        X = np.column_stack([np.ones(n), rng.standard_normal((n, k - 2))]) if k > 2 else np.ones((n, 1))
        y = X @ rng.standard_normal(k - 1) + rng.standard_t(3, n)
        M = np.vstack([y, X.T])
        for tol in (1e-9, 1e-6):
            solution = l1_programmes(M, [np.eye(k)[0]], tol=tol)
            assert solution.certified.all()
            residual = np.abs(solution.coefficients[0] @ M)
            zero = residual < 1e-12 * residual.max()
            assert zero.sum() == k - 1
            exact = np.linalg.solve(X[zero], y[zero])
            assert_allclose(-solution.coefficients[0, 1:], exact, rtol=1e-9, atol=1e-9)


def test_the_noise_bound_holds_for_two_classes():
    """Labels y and 1 - y have errors of opposite signs: their norm is the root of two times one's."""
    refused = beaten = 0
    for seed in range(50):
        e = np.random.default_rng(seed).standard_normal(400)
        norm = float(np.sqrt(2.0) * np.linalg.norm(e))
        beaten += norm > np.sqrt(400) + np.sqrt(2.0)
        try:
            row_basis(np.vstack([e, -e]), standard_error=np.ones((2, 400)))
        except ValueError as error:
            refused += "does not stand out of its noise" in str(error)
    assert beaten == 50  # the bound for independent labels
    assert refused >= 40  # 93 in 100, by the tail of chi-square with 400 degrees of freedom


def test_rank_by_gap(planted):
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


@pytest.mark.parametrize(
    "bad", [[[1.0, np.nan]], [[1j, 2.0]], [["a", "b"]], [1.0, 2.0], np.zeros((0, 2)), None]
)
@pytest.mark.parametrize("function", [row_basis, l1_programmes, recover_rows])
def test_a_matrix_that_is_none(function, bad):
    with pytest.raises(ValueError, match="M "):
        function(bad)


def test_basis_and_programmes_refuse():
    with pytest.raises(ValueError, match="M is zero"):
        row_basis(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="M must not be a masked array"):
        row_basis(np.ma.masked_array(np.eye(2), mask=np.eye(2)))
    with pytest.raises(ValueError, match="k must be at most the rank of M, 1, got 2"):
        row_basis(np.ones((3, 4)), k=2)
    for k in (0, 1.0, "2", True):
        with pytest.raises(ValueError, match="k must be an integer from 1 up"):
            l1_programmes(np.eye(3), k=k)
    with pytest.raises(ValueError, match="does not stand out of its noise"):
        row_basis(np.eye(3), standard_error=np.ones((3, 3)))
    with pytest.raises(ValueError, match="standard_error must not be negative"):
        row_basis(np.eye(3), standard_error=-np.ones((3, 3)))
    with pytest.raises(ValueError, match="does not stand out of its noise"):
        row_basis(np.eye(3), standard_error=np.full((3, 3), 1e300))
    with pytest.raises(ValueError, match="directions: all of them vanish"):
        l1_programmes(np.eye(2), [[0.0, 0.0]])
    with pytest.raises(ValueError, match="directions must have shape"):
        l1_programmes(np.eye(2), [[0.0, 0.0, 1.0]])
    with pytest.raises(ValueError, match="method must be one of"):
        l1_programmes(np.eye(2), method="simplex")
    for tol in (0, -1.0, np.nan, "2", 1.0):
        with pytest.raises(ValueError, match="tol must be a number above"):
            l1_programmes(np.eye(2), tol=tol)
    with pytest.raises(ValueError, match="rng must be None, a seed"):
        l1_programmes(np.eye(2), rng="today")


def test_read_only_input_is_not_touched():
    M = CASES["random"].copy()
    M.flags.writeable = False
    directions = M[:, :3].T
    l1_programmes(M, directions)
    recover_rows(M, columns="fast")
