r"""The l1 programme by general solvers: what the batched solver is judged by, and its last resort.

All take Q (k, n) with orthonormal rows and directions R (C, k), one programme at a time.
"""

import numpy as np
from scipy import optimize, sparse

from nnmoments.sparse.interior_points import DualSolution, certified_gap
from nnmoments.validation import Array

__all__ = ["solve_cvxpy", "solve_exactly", "solve_highs"]


def _solution(Q: Array, R: Array, W: Array, Z: Array, keep_dual: bool) -> DualSolution:
    W = W / np.einsum("ck,ck->c", W, R)[:, None]
    Z = np.clip(Z, -1.0, 1.0)
    objective, bound = certified_gap(Q, R, W, Z)
    return DualSolution(W, bound, objective, np.zeros(len(R), dtype=np.intp), Z if keep_dual else None)


def solve_exactly(Q: Array, R: Array, *, keep_dual: bool = False) -> DualSolution:
    """Solve the duals max t, Q z = t r, |z| <= 1 by SciPy's HiGHS simplex, to a vertex.

    Examples
    --------
    >>> Q = np.linalg.qr(np.random.default_rng(0).standard_normal((50, 4)))[0].T
    >>> bool(np.all(solve_exactly(Q, Q.T[:3]).gap < 1e-9))
    True
    """
    k, n = Q.shape
    W: Array = np.empty_like(R)
    Z: Array = np.empty((len(R), n))
    goal = np.append(np.zeros(n), -1.0)
    bounds = [(-1.0, 1.0)] * n + [(None, None)]
    for c, r in enumerate(R):
        unit = r / np.linalg.norm(r)
        # Rows of length sqrt(n) bring the entries near 1, the scale that HiGHS's tolerances mean.
        equality = np.sqrt(n / k) * np.column_stack([Q, -unit])
        result = optimize.linprog(
            goal,
            A_eq=equality,
            b_eq=np.zeros(k),
            bounds=bounds,
            method="highs-ds",
            options={"dual_feasibility_tolerance": 1e-10, "primal_feasibility_tolerance": 1e-10},
        )
        W[c], Z[c] = -result.eqlin.marginals, np.asarray(result.x)[:n]
    return _solution(Q, R, W, Z, keep_dual)


def solve_highs(Q: Array, R: Array, *, keep_dual: bool = False) -> DualSolution:
    """Solve the duals in one HiGHS model: from a programme to the next only the column of t changes."""
    import highspy

    k, n = Q.shape
    # The bare binding: its subclass registers callbacks, which prints a banner that nothing silences.
    model = highspy.Highs.__base__()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("small_matrix_value", 1e-12)
    model.setOptionValue("primal_feasibility_tolerance", 1e-10)
    model.setOptionValue("dual_feasibility_tolerance", 1e-10)
    stretch = np.sqrt(n / k)
    linear = highspy.HighsLp()
    linear.num_col_, linear.num_row_ = n + 1, k
    linear.col_cost_ = np.append(np.zeros(n), -1.0)
    linear.col_lower_ = np.append(-np.ones(n), -highspy.kHighsInf)
    linear.col_upper_ = np.append(np.ones(n), highspy.kHighsInf)
    linear.row_lower_ = linear.row_upper_ = np.zeros(k)
    columns = sparse.csc_array(stretch * np.column_stack([Q, -R[0]]))
    linear.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    linear.a_matrix_.start_ = columns.indptr
    linear.a_matrix_.index_ = columns.indices
    linear.a_matrix_.value_ = columns.data
    model.passModel(linear)
    W, Z = np.empty_like(R), np.empty((len(R), n))
    for c, r in enumerate(R):
        unit = r / np.linalg.norm(r)
        for i in range(k):
            model.changeCoeff(i, n, -stretch * unit[i])
        model.run()
        if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            model.clearSolver()  # the last programme's basis can be singular for this one
            model.run()
        solution = model.getSolution()
        W[c], Z[c] = -np.asarray(solution.row_dual), np.asarray(solution.col_value)[:n]
    return _solution(Q, R, W, Z, keep_dual)


def solve_cvxpy(Q: Array, R: Array, *, keep_dual: bool = False) -> DualSolution:
    """Solve the primal programmes as one parametrised cvxpy problem (Clarabel)."""
    import cvxpy

    k, n = Q.shape
    w, r, s = cvxpy.Variable(k), cvxpy.Parameter(k), cvxpy.Variable(n)
    row = s == Q.T @ w
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.norm1(s)), [row, r @ w == 1.0])
    W, Z = np.empty_like(R), np.empty((len(R), n))
    for c, direction in enumerate(R):
        r.value = direction / np.linalg.norm(direction)
        problem.solve(solver=cvxpy.CLARABEL)
        W[c], Z[c] = w.value, row.dual_value
    Z *= np.sign(np.einsum("ck,ck->c", Z @ Q.T, R))[:, None]
    return _solution(Q, R, W, Z, keep_dual)
