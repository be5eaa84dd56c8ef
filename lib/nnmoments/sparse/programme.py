r"""The l1 programmes of Algorithm 1, each answer with its certificate, in the row space of a moment."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.chunks import row_chunks
from nnmoments.results import Result
from nnmoments.sparse.known_rows import candidate_directions, round_to_vertex, screen
from nnmoments.sparse.solvers import (
    GENERAL_SOLVERS,
    DualSolution,
    duality_gap,
    interior_point,
    proving_duals,
    solve_exactly,
    solver_package,
)
from nnmoments.validation import (
    Array,
    check_array,
    check_choice,
    check_integer,
    check_number,
    check_rng,
    finite_result,
)

__all__ = [
    "L1Solution",
    "RowBasis",
    "check_method",
    "check_standard_error",
    "distinct",
    "feasible",
    "l1_programmes",
    "planted_rows",
    "row_basis",
    "solve",
]

# A column shorter than this share of the longest is zero up to rounding.
_ZERO_DIRECTION = 1e-12
# A gap between consecutive singular values below this is no gap; the rank is then not asserted.
_CLEAR_GAP = 3.0
# Screening needs this many directions to a row in hand before it saves more than it costs.
_WORTH_SCREENING = 4
_CHUNK_DOUBLES = 1 << 22


@dataclass(frozen=True, eq=False, repr=False)
class RowBasis(Result):
    """A k-dimensional part of the row space of M, with orthonormal rows: :math:`Q = F M`.

    Attributes
    ----------
    Q : (k, n) array
        Orthonormal rows.
    span : (n_y, k) array
        Orthonormal columns with the span of the first k left singular vectors.
    map : (k, n_y) array
        :math:`F`. Since Q is F M and not a factor of the SVD, its short columns are as accurate,
        relative to their lengths, as its long ones. The error is that of F: rounding times the
        condition number of M on this space.
    singular_values : (min(n_y, n),) array
        All of them, so that a reader can judge the choice of k.
    k : int
    how : str
        What fixed k.
    gap : float
        Ratio of the k-th singular value to the next; infinite if there is none or it vanishes.

    Examples
    --------
    >>> M = np.array([[1.0, 0.0, 2.0], [2.0, 0.0, 4.0], [0.0, 1.0, 0.0]])
    >>> basis = row_basis(M)
    >>> Q = basis.Q
    >>> np.allclose(basis.map @ M, Q), np.allclose(Q @ Q.T, np.eye(basis.k))
    (True, True)
    """

    Q: Array = field(repr=False)
    span: Array = field(repr=False)
    map: Array = field(repr=False)
    singular_values: Array
    k: int
    how: str
    gap: float

    @finite_result("R")
    def directions(self, R: npt.ArrayLike) -> Array:
        """Map directions r to the coordinates of Q, :math:`F r`.

        Parameters
        ----------
        R : (C, n_y) array

        Returns
        -------
        (C, k) array

        Raises
        ------
        ValueError
            If a shape is another, or a number too large.
        """
        return check_array("R", R, shape=(None, self.map.shape[1]), empty=True) @ self.map.T

    @finite_result("W")
    def coefficients(self, W: npt.ArrayLike) -> Array:
        r"""Map w in the coordinates of Q to the least w with :math:`w^\top M = w_Q^\top Q`.

        Parameters
        ----------
        W : (C, k) array

        Returns
        -------
        (C, n_y) array

        Raises
        ------
        ValueError
            If a shape is another, or a number too large.
        """
        return check_array("W", W, shape=(None, self.k), empty=True) @ self.map


def row_basis(
    M: npt.ArrayLike, *, k: int | None = None, standard_error: npt.ArrayLike | None = None
) -> RowBasis:
    r"""Return an orthonormal basis of the rows of M, of dimension k.

    Without k: an exact M has its numerical rank. An estimated one has the number of singular values
    above the noise, bounded by :math:`\|E\| \le \sqrt2 \max_a (\sum_j s_{aj}^2)^{1/2} + \max_j (\sum_a
    s_{aj}^2)^{1/2}` up to lower order terms, for errors s that are independent from input to input. The
    second term and the first without :math:`\sqrt 2` are for independent labels [1]_. Indicators of
    one class of several have the covariance :math:`\operatorname{diag} p - pp^\top`, whose rows have
    the absolute sums :math:`2p_a(1 - p_a)`: by Gershgorin the factor is :math:`\sqrt 2`, which two
    classes attain.

    Parameters
    ----------
    M : (n_y, n) array_like
    k : int, optional
        Number of rows, at most the numerical rank.
    standard_error : (n_y, n) array_like, optional
        Of an estimated M.

    Returns
    -------
    RowBasis

    Raises
    ------
    ValueError
        If M vanishes or does not stand out of its noise, or k is above its rank.

    References
    ----------
    .. [1] A. Bandeira, R. van Handel, "Sharp nonasymptotic bounds on the norm of random matrices
       with independent entries", Annals of Probability 44, 2016, arXiv:1408.6185.

    Examples
    --------
    >>> row_basis([[1.0, 0.0, 2.0], [2.0, 0.0, 4.0], [0.0, 1.0, 0.0]]).k
    2
    """
    M = check_array("M", M, ndim=2)
    scale = float(np.abs(M).max())
    if scale == 0.0:
        raise ValueError("M is zero: the labels do not depend on x to first order (an even activation?)")
    left, values, _ = np.linalg.svd(M / scale, full_matrices=False)
    rank = int(np.sum(values > max(M.shape) * np.finfo(np.float64).eps * values[0]))
    values = values * scale
    if k is not None:
        k = check_integer("k", k, 1)
        if k > rank:
            raise ValueError(
                f"k must be at most the rank of M, {rank}, got {k}; singular values {values[:8]}"
            )
        how = "given"
    elif standard_error is not None:
        error = check_standard_error(standard_error, M)
        top = max(float(error.max()), np.finfo(np.float64).tiny)
        squares = (error / top) ** 2
        noise = top * (np.sqrt(2.0 * squares.sum(axis=1).max()) + np.sqrt(squares.sum(axis=0).max()))
        k = int(np.sum(values[:rank] > noise))
        if k == 0:
            raise ValueError(
                f"M does not stand out of its noise: its largest singular value is {values[0]:.3g}, that of "
                f"the noise is up to {noise:.3g}; pass more samples or a control variate"
            )
        how = f"singular values above the noise, {noise:.3g}"
    else:
        k, how = rank, "numerical rank"
    following = values[k] if k < len(values) else 0.0
    gap = float(values[k - 1] / following) if following > 0.0 else np.inf
    if gap < _CLEAR_GAP:
        how += f"; no clear gap ({values[k - 1]:.3g}, then {following:.3g})"
    F = left[:, :k].T / (values[:k, None] / scale)
    Q = F @ (M / scale)
    # Orthonormal up to rounding times the condition number; the second factor makes up for it.
    lower = np.linalg.cholesky(Q @ Q.T)
    return RowBasis(
        np.linalg.solve(lower, Q),
        left[:, :k],
        np.linalg.solve(lower, F) / scale,
        values,
        k,
        how,
        gap,
    )


def check_standard_error(standard_error: npt.ArrayLike, M: Array) -> Array:
    """Return standard errors of M's entries, none of them negative."""
    error = check_array("standard_error", standard_error, shape=M.shape)
    if error.min() < 0.0:
        raise ValueError(f"standard_error must not be negative, got {error.min()}")
    return error


@dataclass(frozen=True, eq=False, repr=False)
class L1Solution(Result):
    r"""Solutions of :math:`\min_w \|w^\top M\|_1` subject to :math:`r^\top w = 1`.

    Attributes
    ----------
    coefficients : (C, n_y) array
        w, one row a programme; `coefficients @ M` are the rows s = w^T M. For directions of the user's
        they are at a vertex, where s has k - 1 zeros; for columns they are the solver's, whose gap of
        `tol` leaves an error up to its root, and `vertices` rounds them.
    objective, bound : (C,) arrays
        The value reached, and a lower bound on the optimum that holds whatever the solver did. Both
        are of the row space as `basis.Q` holds it, which is that of M up to rounding times the
        condition number of M. With `keep_dual`, the bound is the one that the dual point proves.
    columns : (C,) int array
        Which of the requested programmes the rows are.
    skipped : int array
        Programmes without a feasible point: directions that vanish (zero columns of M).
    n_screened, n_exact : int
        How many were certified without a solve, and how many needed the exact solver.
    dual : (C, n) array or None
        Dual points z with M z = t r, :math:`|z| \le 1`, if asked for.
    in_basis, directions : (C, k) arrays
        w and r in the coordinates of `basis.Q`; zero where r leaves the column space of M.
    basis : RowBasis
        The row space in which they were solved.
    tol : float
    converged : bool
        Whether every programme is certified.
    status : str

    Examples
    --------
    >>> A = np.array([[1.0, 0.0, 2.0, 0.0, 0.0], [0.0, 3.0, 0.0, 0.0, 1.0]])
    >>> M = np.array([[1.0, 2.0], [3.0, 4.0]]) @ A
    >>> found = l1_programmes(M)
    >>> norms = np.abs(found.coefficients @ M).sum(axis=1)
    >>> found.skipped, np.allclose(norms, found.objective)
    (array([3]), True)
    """

    coefficients: Array = field(repr=False)
    objective: Array
    bound: Array
    columns: npt.NDArray[np.intp] = field(repr=False)
    skipped: npt.NDArray[np.intp]
    n_screened: int
    n_exact: int
    dual: Array | None = field(repr=False)
    in_basis: Array = field(repr=False)
    directions: Array = field(repr=False)
    basis: RowBasis = field(repr=False)
    tol: float
    converged: bool
    status: str

    @property
    def gap(self) -> Array:
        """Certified relative duality gaps; 0 where the optimum is 0."""
        share = np.divide(self.bound, self.objective, out=np.ones_like(self.bound), where=self.objective > 0)
        return np.asarray(1.0 - share)

    @property
    def certified(self) -> npt.NDArray[np.bool_]:
        """Which programmes have a gap of at most `tol`."""
        return np.asarray(self.gap <= self.tol)

    def vertices(self, *, rounded: bool = True) -> "L1Solution":
        """Return each row that solves a programme once, at the vertex next to the solver's answer.

        A linear programme has an optimum at a vertex, where s has k - 1 zeros: they are then zero to
        rounding, and not to the tolerance of the gap. A vertex that raises the objective is not taken.
        On an estimated moment there is nothing to round to.

        Parameters
        ----------
        rounded : bool
            Whether rows are moved to the vertex; false for an estimated moment.

        Returns
        -------
        L1Solution
        """
        inside = np.flatnonzero(self.in_basis.any(axis=1))
        first = inside[distinct(self.in_basis[inside])]
        W, objective = self.in_basis[first], self.objective[first]
        if rounded:
            W, objective = _vertices(self.basis.Q, self.directions[first], W, objective)
        return replace(
            self,
            coefficients=self.basis.coefficients(W),
            objective=objective,
            bound=self.bound[first],
            columns=self.columns[first],
            dual=None if self.dual is None else self.dual[first],
            in_basis=W,
            directions=self.directions[first],
        )


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
    r"""Minimise :math:`\|w^\top M\|_1` subject to :math:`r^\top w = 1`, r by default every column of M.

    Parameters
    ----------
    M : (n_y, n) array_like
    directions : (C, n_y) array_like, optional
        One direction r a row; by default the columns of M (SA Algorithm 1).
    k : int, optional
        Dimension of the row space; by default the numerical rank of M.
    method : {"batched", "highs", "cvxpy"}
        All at once by certificates and interior points; or one by one by a general solver, for
        which the extra `solvers` must be installed.
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
        A direction with a part outside the column space of M, beyond rounding, has the optimum 0: w
        along that part costs nothing, and is returned. If it does cost something, since the rank
        was cut by k or by rounding, the bound stays 0, the gap 1, and the status says so.

    Raises
    ------
    ValueError
        If M vanishes, k is above its rank, every direction vanishes, a package is missing, or an
        argument does not fit.

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
    check_method(method)
    check_choice("keep_dual", keep_dual, (True, False))
    tol = check_number("tol", tol, above=0.0, below=1.0)
    rng = check_rng("rng", rng)
    M = check_array("M", M, ndim=2)
    basis = row_basis(M, k=k)
    if directions is None:
        used = feasible(basis.Q.T)
        R = np.ascontiguousarray(basis.Q.T)[used]
        return solve(
            basis,
            R,
            columns=np.flatnonzero(used),
            skipped=np.flatnonzero(~used),
            method=method,
            tol=tol,
            keep_dual=keep_dual,
            rng=rng,
        )
    directions = check_array("directions", directions, shape=(None, len(M)))
    options: dict[str, Any] = {"method": method, "tol": tol, "keep_dual": keep_dual, "rng": rng}
    if k is None and basis.k < min(M.shape):
        # Short rows may be lost in the rounding of long ones; w^T M = (D w)^T (M / D), r.w = (r / D).(D w).
        power = np.frexp(np.abs(M).max(axis=1))[1]
        level = row_basis(np.ldexp(M, -power[:, None]))
        if level.k > basis.k:
            with np.errstate(over="ignore"):
                turned = np.ldexp(directions, -power)
            if not np.isfinite(turned).all():
                raise ValueError("directions are too large for the rows of M, which differ in size: scale M")
            found = _along(np.ldexp(M, -power[:, None]), turned, level, **options)
            span = np.linalg.qr(np.ldexp(level.span, power[:, None] - power.max()))[0]
            return replace(
                found,
                coefficients=np.ldexp(found.coefficients, -power),
                basis=replace(level, map=np.ldexp(level.map, -power), span=span),
            )
    return _along(M, directions, basis, **options)


def check_method(method: str) -> None:
    """Refuse an unknown method, and one whose package is missing, before any work."""
    check_choice("method", method, ("batched", *GENERAL_SOLVERS))
    if method in GENERAL_SOLVERS:
        solver_package(method)


def feasible(R: Array) -> npt.NDArray[np.bool_]:
    """Say for which directions r (C, k) some w has r.w = 1: those that do not vanish, to rounding."""
    lengths = np.linalg.norm(R, axis=1)
    return np.asarray(lengths > _ZERO_DIRECTION * lengths.max())


def solve(
    basis: RowBasis,
    R: Array,
    *,
    columns: npt.NDArray[np.intp],
    skipped: npt.NDArray[np.intp],
    method: str,
    tol: float,
    keep_dual: bool = False,
    rng: np.random.Generator,
) -> L1Solution:
    """Solve for directions R (C, k) in the coordinates of the basis, none of them zero."""
    found, n_screened, n_exact = _solve(basis.Q, R, method=method, tol=tol, keep_dual=keep_dual, rng=rng)
    dual, bound = None, found.bound
    if found.Z is not None:
        dual = proving_duals(basis.Q, R, found.Z)
        bound = duality_gap(basis.Q, R, found.W, dual)[1]
    open_ = 1.0 - bound / found.objective > tol
    status = f"{len(R)} programmes solved to a certified relative gap of {tol:g}"
    if open_.any():
        status = (
            f"{open_.sum()} of {len(R)} programmes stay above the gap {tol:g} "
            f"(worst {(1.0 - bound / found.objective).max():.2g}); raise tol, or rescale the columns of M"
        )
    if len(skipped):
        status += f"; {len(skipped)} directions vanish and have no feasible point: skipped"
    return L1Solution(
        basis.coefficients(found.W),
        found.objective,
        bound,
        columns,
        skipped,
        n_screened,
        n_exact,
        dual,
        found.W,
        R,
        basis,
        tol,
        not open_.any(),
        status,
    )


def _along(M: Array, directions: Array, basis: RowBasis, **options: Any) -> L1Solution:
    """Solve for directions in the coordinates of M: of any length, and also outside its column space."""
    used = np.flatnonzero(directions.any(axis=1))
    if not len(used):
        raise ValueError("directions: all of them vanish; no programme is feasible")
    r, power = _near_one(directions[used])
    away = r - r @ basis.span @ basis.span.T if basis.k < len(M) else np.zeros_like(r)
    values = basis.singular_values
    rounding = 8.0 * max(M.shape) * np.finfo(np.float64).eps * values[0] / values[basis.k - 1]
    outside = np.linalg.norm(away, axis=1) > rounding * np.linalg.norm(r, axis=1)
    R, more = _near_one(basis.directions(r[~outside]))
    power[~outside] += more
    skipped = np.setdiff1d(np.arange(len(directions)), used)
    inside = None
    if len(R):
        inside = _at_vertices(solve(basis, R, columns=used[~outside], skipped=skipped, **options), M)
    # w along the part of r that leaves the column space: r.w = 1, and w^T M = 0 but for rounding.
    along = away[outside]
    along /= np.einsum("cy,cy->c", along, r[outside])[:, None]
    scale = np.abs(M).max()
    cost = _lengths(along, M / scale)
    cost[cost <= 8.0 * len(M) * np.finfo(np.float64).eps * _lengths(np.abs(along), np.abs(M / scale))] = 0.0

    def join(within: Array | None, without: Array, exponent: int = 0) -> Array:
        whole = np.zeros((len(used), *without.shape[1:]))
        whole[outside] = without
        if within is not None:
            whole[~outside] = within
        shift = exponent * power
        return np.asarray(np.ldexp(whole, shift.reshape(-1, *[1] * (whole.ndim - 1))))

    zeros = np.zeros((outside.sum(), basis.k))
    with np.errstate(over="ignore"):
        objective = join(None if inside is None else inside.objective, cost * scale, -1)
        bound = join(None if inside is None else inside.bound, np.zeros(len(cost)), -1)
        coefficients = join(None if inside is None else inside.coefficients, along, -1)
    if not (np.isfinite(objective).all() and np.isfinite(coefficients).all()):
        raise ValueError("directions: the optimum is beyond the largest number; scale M or the directions")
    status = "" if inside is None else inside.status
    if len(cost):
        status += f"{'; ' if status else ''}{len(cost)} directions leave the column space of M: optimum 0"
    if cost.any():
        status += (
            f", but {np.sum(cost > 0)} of them only since its rank was cut to {basis.k}, and no bound is "
            "known there; scale the rows of M alike, or raise k"
        )
    dual = None
    if options["keep_dual"]:
        dual = join(None if inside is None else inside.dual, np.zeros((len(cost), M.shape[1])))
    return L1Solution(
        coefficients,
        objective,
        bound,
        used,
        skipped,
        0 if inside is None else inside.n_screened,
        0 if inside is None else inside.n_exact,
        dual,
        join(None if inside is None else inside.in_basis, zeros, -1),
        join(None if inside is None else R, zeros, 1),
        basis,
        options["tol"],
        (inside is None or inside.converged) and not cost.any(),
        status,
    )


def _at_vertices(found: L1Solution, M: Array) -> L1Solution:
    """Round solutions to vertices, and judge them on M itself: its row space is known to rounding only."""
    Q, R = found.basis.Q, found.directions
    W, objective = _vertices(Q, R, found.in_basis, found.objective)
    inside = np.sum(np.abs(W @ Q) <= 1e-11 * np.abs(W @ Q).max(axis=1, keepdims=True), axis=1) < len(Q) - 1
    if inside.any():  # of an optimal face: the simplex method goes to a corner
        corner = solve_exactly(Q, R[inside])
        W[inside], objective[inside] = _vertices(Q, R[inside], corner.W, corner.objective)
    coefficients = found.basis.coefficients(W)
    reached = _lengths(coefficients, M)
    off = reached > objective * (1.0 + found.tol)
    objective[off] = reached[off]
    status = found.status
    if off.any():
        values = found.basis.singular_values
        status += (
            f"; {off.sum()} of them are worse on M than in its row space, which is known to rounding times "
            f"its condition number, {values[0] / values[found.basis.k - 1]:.1e}: scale its rows alike"
        )
    return replace(
        found,
        coefficients=coefficients,
        in_basis=W,
        objective=objective,
        status=status,
        converged=found.converged and not off.any(),
    )


def _near_one(rows: Array) -> tuple[Array, npt.NDArray[np.int32]]:
    """Return rows scaled to largest entries from 1/2 to 1 by powers of two, which costs no accuracy."""
    power = np.frexp(np.abs(rows).max(axis=1, initial=0.0))[1]
    return np.ldexp(rows, -power[:, None]), power


def _solve(
    Q: Array, R: Array, *, method: str, tol: float, keep_dual: bool, rng: np.random.Generator
) -> tuple[DualSolution, int, int]:
    """Return solutions, and how many were screened, and solved exactly."""
    if method != "batched":
        return GENERAL_SOLVERS[method](Q, R, keep_dual=keep_dual), 0, 0
    certified = np.zeros(len(R), dtype=bool)
    W, bound, objective = np.empty_like(R), np.empty(len(R)), np.empty(len(R))
    Z = np.zeros((len(R), Q.shape[1])) if keep_dual else None
    if len(R) >= _WORTH_SCREENING * len(Q):
        rows = planted_rows(Q, tol=tol, rng=rng).W
        certified, W, bound, Z = screen(Q, R, rows, tol=tol, keep_dual=keep_dual)
        objective = _lengths(W, Q)

    def put(where: npt.NDArray[np.intp], part: DualSolution, better: npt.NDArray[np.bool_]) -> None:
        at = where[better]
        W[at], bound[at], objective[at] = part.W[better], part.bound[better], part.objective[better]
        if Z is not None and part.Z is not None:
            Z[at] = part.Z[better]

    rest = np.flatnonzero(~certified)
    if len(rest):
        inner = interior_point(Q, R[rest], tol=tol, keep_dual=keep_dual)
        put(rest, inner, np.ones(len(rest), dtype=bool))
    open_ = rest[1.0 - bound[rest] / objective[rest] > tol]
    if len(open_):
        exact = solve_exactly(Q, R[open_], keep_dual=keep_dual)
        put(open_, exact, exact.gap < 1.0 - bound[open_] / objective[open_])
    return DualSolution(W, bound, objective, Z), int(certified.sum()), len(open_)


def planted_rows(Q: Array, *, tol: float, rng: np.random.Generator) -> DualSolution:
    """Return k certified rows: candidate directions, one programme each, rounded to vertices."""
    U = candidate_directions(Q, rng=rng)
    solution = interior_point(Q, U, tol=tol)
    W, objective = _vertices(Q, U, solution.W, solution.objective)
    return replace(solution, W=W, objective=objective)


def _vertices(Q: Array, R: Array, W: Array, objective: Array) -> tuple[Array, Array]:
    """Round each solution to the vertex next to it where that does not raise its objective."""
    W, objective = W.copy(), objective.copy()
    for c in range(len(W)):
        w = round_to_vertex(Q, W[c])
        w = w / (R[c] @ w)
        value = float(np.abs(w @ Q).sum())
        if value <= objective[c] * (1.0 + 1e-12):
            W[c], objective[c] = w, value
    return W, objective


def distinct(W: Array) -> npt.NDArray[np.intp]:
    """Return the first of each group of solutions that are the same row up to scale, to 1e-6."""
    units = W / np.linalg.norm(W, axis=1, keepdims=True)
    rest = np.arange(len(W))
    first: list[int] = []
    while len(rest):
        c = rest[0]
        first.append(int(c))
        rest = rest[np.abs(units[rest] @ units[c]) < 1.0 - 1e-12]
    return np.asarray(first, dtype=np.intp)


def _lengths(W: Array, Q: Array) -> Array:
    """||w^T Q||_1 of each row, in chunks."""
    parts = row_chunks(len(W), Q.shape[1], doubles=_CHUNK_DOUBLES)
    return np.concatenate([np.empty(0), *(np.abs(W[part] @ Q).sum(axis=1) for part in parts)])
