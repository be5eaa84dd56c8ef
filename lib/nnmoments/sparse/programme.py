r"""The l1 programmes of Algorithm 1, each answer with its certificate."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from nnmoments.sparse.basis import RowBasis, feasible, row_basis
from nnmoments.sparse.candidates import candidate_directions
from nnmoments.sparse.interior_points import DualSolution, interior_point
from nnmoments.sparse.reference import solve_cvxpy, solve_exactly, solve_highs
from nnmoments.sparse.screening import screen
from nnmoments.sparse.vertex import round_to_vertex
from nnmoments.validation import Array, check_array, check_choice, check_integer, check_number

__all__ = ["METHODS", "L1Solution", "l1_programmes", "planted_candidates", "solve_directions"]

METHODS = ("batched", "highs", "cvxpy")

# Screening needs this many directions to a row in hand before it saves more than it costs.
_WORTH_SCREENING = 4


@dataclass(frozen=True)
class L1Solution:
    r"""Solutions of :math:`\min_w \|w^\top M\|_1` subject to :math:`r^\top w = 1`.

    Attributes
    ----------
    coefficients : (C, n_y) array
        w, one row a programme; `rows(M)` gives s = w^T M.
    objective, bound : (C,) arrays
        The value reached, and a lower bound on the optimum that holds whatever the solver did. Both
        are of the row space as `basis.Q` holds it, which is that of M up to rounding times the
        condition number of M.
    columns : (C,) int array
        Which of the requested programmes the rows are.
    skipped : int array
        Programmes without a feasible point: directions that vanish (zero columns of M).
    n_screened, n_exact : int
        How many were certified without a solve, and how many needed the exact solver.
    dual : (C, n) array or None
        Dual points z with M z = t r, :math:`|z| \le 1`, if asked for.
    basis : RowBasis
        The row space in which they were solved.
    tol : float
    status : str
    """

    coefficients: Array = field(repr=False)
    objective: Array = field(repr=False)
    bound: Array = field(repr=False)
    columns: npt.NDArray[np.intp] = field(repr=False)
    skipped: npt.NDArray[np.intp] = field(repr=False)
    n_screened: int
    n_exact: int
    dual: Array | None = field(repr=False)
    basis: RowBasis = field(repr=False)
    tol: float
    status: str

    @property
    def gap(self) -> Array:
        """Certified relative duality gaps."""
        return np.asarray(1.0 - self.bound / self.objective)

    @property
    def certified(self) -> npt.NDArray[np.bool_]:
        """Which programmes have a gap of at most `tol`."""
        return np.asarray(self.gap <= self.tol)


def l1_programmes(
    M: npt.ArrayLike,
    directions: npt.ArrayLike | None = None,
    *,
    k: int | None = None,
    method: str = "batched",
    tol: float = 1e-9,
    keep_dual: bool = False,
    rng: np.random.Generator | int | None = 0,
) -> L1Solution:
    r"""Minimise ||w^T M||_1 subject to r.w = 1 for many directions r, by default all columns of M.

    Parameters
    ----------
    M : (n_y, n) array_like
    directions : (C, n_y) array_like, optional
        One direction a row; by default the columns of M (SA Algorithm 1).
    k : int, optional
        Dimension of the row space; by default the numerical rank of M.
    method : {"batched", "highs", "cvxpy"}
        All at once by certificates and interior points; or one by one by a general solver.
    tol : float
        Relative duality gap that counts as solved. What the batched solver leaves above it is
        solved again by a simplex method.
    keep_dual : bool
        Whether to return the dual points (C x n doubles).
    rng : optional
        Starts the search for candidate rows; it changes the time, not the optima.

    Returns
    -------
    L1Solution

    Raises
    ------
    ValueError
        If M vanishes, k is above its rank, every direction vanishes, or an argument does not fit.

    References
    ----------
    .. [1] D. Spielman, H. Wang, J. Wright, "Exact recovery of sparsely-used dictionaries",
       COLT 2012, arXiv:1206.5882.

    Examples
    --------
    >>> A = np.array([[1.0, 0.0, 0.0, 2.0, 0.0], [0.0, 3.0, 0.0, 0.0, 1.0]])
    >>> M = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 0.0]]) @ A
    >>> solution = l1_programmes(M)
    >>> solution.columns, solution.skipped, bool(solution.certified.all())
    (array([0, 1, 3, 4]), array([2]), True)
    >>> (solution.coefficients @ M / A[0, 0]).round(6)[0] + 0.0
    array([1., 0., 0., 2., 0.])
    """
    check_choice("method", method, METHODS)
    tol = check_number("tol", tol, above=0.0, below=1.0)
    M = check_array("M", M, ndim=2)
    if k is not None:
        k = check_integer("k", k, 1)
    basis = row_basis(M, k=k)
    if directions is None:
        R = np.ascontiguousarray(basis.Q.T)
    else:
        R = basis.directions(check_array("directions", directions, shape=(None, M.shape[0])))
    used = feasible(R)
    columns, skipped = np.flatnonzero(used), np.flatnonzero(~used)
    if not len(columns):
        raise ValueError("directions: all of them vanish in the row space of M; no programme is feasible")
    solution, n_screened, n_exact = solve_directions(
        basis.Q, R[used], method=method, tol=tol, keep_dual=keep_dual, rng=np.random.default_rng(rng)
    )
    open_ = int(np.sum(solution.gap > tol))
    status = f"{len(columns)} programmes solved to a certified relative gap of {tol:g}"
    if open_:
        status = (
            f"{open_} of {len(columns)} programmes stay above the gap {tol:g} "
            f"(worst {solution.gap.max():.2g}); raise tol, or rescale the columns of M"
        )
    if len(skipped):
        status += f"; {len(skipped)} directions vanish and have no feasible point: skipped"
    return L1Solution(
        basis.coefficients(solution.W),
        solution.objective,
        solution.bound,
        columns,
        skipped,
        n_screened,
        n_exact,
        None if solution.Z is None else _feasible(basis.Q, R[used], solution),
        basis,
        tol,
        status,
    )


def solve_directions(
    Q: Array, R: Array, *, method: str, tol: float, keep_dual: bool = False, rng: np.random.Generator
) -> tuple[DualSolution, int, int]:
    """Solve for directions in the coordinates of Q; return how many were screened, and solved exactly."""
    if method == "highs":
        return solve_highs(Q, R, keep_dual=keep_dual), 0, 0
    if method == "cvxpy":
        return solve_cvxpy(Q, R, keep_dual=keep_dual), 0, 0
    certified = np.zeros(len(R), dtype=bool)
    W, bound = np.empty_like(R), np.empty(len(R))
    objective = np.empty(len(R))
    iterations = np.zeros(len(R), dtype=np.intp)
    Z = np.zeros((len(R), Q.shape[1])) if keep_dual else None
    if len(R) >= _WORTH_SCREENING * len(Q):
        rows = planted_candidates(Q, tol=tol, rng=rng).W
        certified, W, bound, Z = screen(Q, R, rows, tol=tol, keep_dual=keep_dual)
        objective = np.abs(W @ Q).sum(axis=1) if len(R) * Q.shape[1] < 1 << 22 else _norms(Q, W)
    rest = np.flatnonzero(~certified)
    if len(rest):
        inner = interior_point(Q, R[rest], tol=tol, keep_dual=keep_dual)
        _put(rest, inner, W, bound, objective, iterations, Z)
    open_ = rest[1.0 - bound[rest] / objective[rest] > tol]
    if len(open_):
        exact = solve_exactly(Q, R[open_], keep_dual=keep_dual)
        better = exact.gap < 1.0 - bound[open_] / objective[open_]
        kept = DualSolution(
            exact.W[better],
            exact.bound[better],
            exact.objective[better],
            exact.iterations[better],
            None if exact.Z is None else exact.Z[better],
        )
        _put(open_[better], kept, W, bound, objective, iterations, Z)
    return DualSolution(W, bound, objective, iterations, Z), int(certified.sum()), len(open_)


def planted_candidates(Q: Array, *, tol: float, rng: np.random.Generator) -> DualSolution:
    """Return k certified rows: candidate directions, one programme each, rounded to vertices."""
    U = candidate_directions(Q, rng=rng)
    return polish(Q, U, interior_point(Q, U, tol=tol))


def polish(Q: Array, R: Array, solution: DualSolution) -> DualSolution:
    """Round each solution to the vertex next to it where that does not raise its objective."""
    W, objective = solution.W.copy(), solution.objective.copy()
    for c in range(len(W)):
        w = round_to_vertex(Q, W[c])
        w = w / (R[c] @ w)
        value = float(np.abs(w @ Q).sum())
        if value <= objective[c] * (1.0 + 1e-12):
            W[c], objective[c] = w, value
    return replace(solution, W=W, objective=objective)


def _feasible(Q: Array, R: Array, solution: DualSolution) -> Array:
    """Scale the dual points into the box, so that each proves its own bound."""
    assert solution.Z is not None
    image = np.einsum("ck,ck->c", solution.Z @ Q.T, R) / np.einsum("ck,ck->c", R, R)
    return np.asarray(solution.Z * (solution.bound / image)[:, None])


def _norms(Q: Array, W: Array) -> Array:
    """||w^T Q||_1 of each row, in chunks."""
    size = max(1, (1 << 22) // Q.shape[1])
    return np.concatenate([np.abs(W[i : i + size] @ Q).sum(axis=1) for i in range(0, len(W), size)])


def _put(
    where: npt.NDArray[np.intp],
    part: DualSolution,
    W: Array,
    bound: Array,
    objective: Array,
    iterations: npt.NDArray[np.intp],
    Z: Array | None,
) -> None:
    W[where], bound[where], objective[where] = part.W, part.bound, part.objective
    iterations[where] = part.iterations
    if Z is not None and part.Z is not None:
        Z[where] = part.Z
