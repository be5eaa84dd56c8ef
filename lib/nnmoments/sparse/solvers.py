r"""Solvers of the l1 programme: all directions at once by interior points, or one by one by LP codes.

With Q (k, n) of orthonormal rows, the programme for the direction r and its dual are

.. math:: \min_w \|w^\top Q\|_1 \ \text{s.t.}\ r^\top w = 1, \qquad
          \max_{z, t}\ t \ \text{s.t.}\ Q z = t\, r,\ |z_i| \le 1.

Every direction has the same Q. So the normal matrices :math:`Q D_c Q^\top` of all directions c are
one matrix product: the rows of D times the Khatri-Rao square of Q. The general solvers (SciPy, HiGHS,
cvxpy) take one programme at a time: they are what the interior point method is judged by, and its
last resort.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from nnmoments.chunks import row_chunks
from nnmoments.results import Result
from nnmoments.validation import Array, check_array

__all__ = [
    "GENERAL_SOLVERS",
    "DualSolution",
    "certified_gap",
    "duality_gap",
    "interior_point",
    "proving_duals",
    "solve_cvxpy",
    "solve_exactly",
    "solve_highs",
    "solver_package",
]

# Doubles in one (columns, n) array of a chunk: some twenty of them live at once, near the cache.
_CHUNK_DOUBLES = 1 << 19
# Doubles that the Khatri-Rao square of Q may hold; a longer one is rebuilt block by block.
_SQUARE_DOUBLES = 1 << 26
# A chunk this wide feeds the matrix product well; wider ones only cost memory.
_MOST_COLUMNS = 256
_LEAST_COLUMNS = 16
# Share of the way to the boundary that a step may go (Mehrotra 1992).
_STEP = 0.9995
# Single precision normal matrices serve until this relative gap; two refinements make up for them.
_SINGLE_GAP = 3e-4


@dataclass(frozen=True, eq=False, repr=False)
class DualSolution(Result):
    """Solutions of C programmes that share the row basis Q.

    Attributes
    ----------
    W : (C, k) array
        Primal solutions, scaled so that r.w = 1.
    bound : (C,) array
        Certified lower bounds on the optimal values, see `certified_gap`.
    objective : (C,) array
        Values ||w^T Q||_1 reached.
    Z : (C, n) array or None
        Dual points behind the bounds, with Q z = t r and |z| <= 1 up to the bound's allowance.
    """

    W: Array = field(repr=False)
    bound: Array
    objective: Array
    Z: Array | None = field(default=None, repr=False)

    @property
    def gap(self) -> Array:
        """Relative duality gaps, certified."""
        return np.asarray(1.0 - self.bound / self.objective)


def certified_gap(
    Q: npt.ArrayLike, R: npt.ArrayLike, W: npt.ArrayLike, Z: npt.ArrayLike
) -> tuple[Array, Array]:
    r"""Return objectives and lower bounds that hold for inexact dual points.

    For any z, any t and e = Q z - t r, every feasible w has :math:`t = z^\top s - e^\top w \le
    (\|z\|_\infty + \|e\|_2) \|s\|_1` with s = Q^T w, because the rows of Q are orthonormal:
    :math:`\|w\|_2 = \|s\|_2 \le \|s\|_1`. So the optimum is at least
    :math:`t / (\|z\|_\infty + \|e\|_2)`, whatever the residual e is.

    Parameters
    ----------
    Q : (k, n) array_like
        Orthonormal rows.
    R, W : (C, k) array_like
        Directions, none zero, and primal points with r.w = 1.
    Z : (C, n) array_like
        Dual points, none zero.

    Returns
    -------
    objective, bound : (C,) arrays

    Raises
    ------
    ValueError
        If the rows of Q are not orthonormal, a direction or a dual point vanishes, or r.w is not 1.

    Examples
    --------
    >>> Q = np.eye(2)
    >>> r, w = np.array([[1.0, 0.5]]), np.array([[1.0, 0.0]])
    >>> objective, bound = certified_gap(Q, r, w, r)
    >>> bool(objective[0] == bound[0] == 1.0)
    True
    """
    Q = check_array("Q", Q, ndim=2)
    k, n = Q.shape
    R, W = check_array("R", R, shape=(None, k)), check_array("W", W, shape=(None, k))
    Z = check_array("Z", Z, shape=(len(R), n))
    if W.shape != R.shape:
        raise ValueError(f"W must have shape {R.shape}, as R has, got {W.shape}")
    if np.abs(Q).max() > 2.0 or np.abs(Q @ Q.T - np.eye(k)).max() > 1e-8:
        raise ValueError("Q must have orthonormal rows; row_basis(M).Q has")
    for name, rows in (("R", R), ("Z", Z)):
        largest = np.abs(rows).max(axis=1)
        if not (largest.min() > 1e-150 and largest.max() < 1e150):
            raise ValueError(f"{name} must have rows with entries up to a size from 1e-150 to 1e150")
    with np.errstate(over="ignore", invalid="ignore"):
        heights = np.einsum("ck,ck->c", R, W)
    if not np.abs(heights - 1.0).max() <= 1e-6:
        raise ValueError(f"W must meet r.w = 1 in every row, got {heights[np.abs(heights - 1.0).argmax()]}")
    return duality_gap(Q, R, W, Z)


def duality_gap(Q: Array, R: Array, W: Array, Z: Array) -> tuple[Array, Array]:
    """Return what `certified_gap` does, of arguments known to fit."""
    objective = np.abs(W @ Q).sum(axis=1)
    image = Z @ Q.T
    t = np.einsum("ck,ck->c", image, R) / np.einsum("ck,ck->c", R, R)
    residual = np.linalg.norm(image - t[:, None] * R, axis=1)
    allowance = np.abs(Z).max(axis=1) + residual
    return objective, t / np.maximum(allowance, np.finfo(np.float64).tiny)


def proving_duals(Q: Array, R: Array, Z: Array) -> Array:
    """Return dual points that prove their bounds by themselves: Q z = t r to rounding, and |z| <= 1.

    The rows of Q are orthonormal, so z - Q^T (Q z - t r) has no residual left; no entry grew by more
    than the residual's length, and the scaled point proves at least what `certified_gap` allowed.
    """
    for _ in range(2):
        image = Z @ Q.T
        t = np.einsum("ck,ck->c", image, R) / np.einsum("ck,ck->c", R, R)
        Z = Z - (image - t[:, None] * R) @ Q
    return np.asarray(Z / np.maximum(np.abs(Z).max(axis=1, keepdims=True), np.finfo(np.float64).tiny))


def interior_point(
    Q: Array,
    R: Array,
    *,
    tol: float = 1e-9,
    max_iter: int = 60,
    keep_dual: bool = False,
) -> DualSolution:
    """Solve min ||w^T Q||_1, r.w = 1, for every row r of R by Mehrotra's predictor-corrector.

    Parameters
    ----------
    Q : (k, n) array
        Orthonormal rows.
    R : (C, k) array
        Directions, none of them zero.
    tol : float
        A direction is frozen when its certified relative gap is below; iterating on would only
        lose accuracy, since its normal matrix tends to rank k - 1.
    max_iter : int
    keep_dual : bool
        Whether to return the dual points, C x n doubles.

    Returns
    -------
    DualSolution
        A direction that did not reach `tol` shows it in its gap; nothing is hidden.

    Notes
    -----
    Memory is bounded: directions go in chunks, and the Khatri-Rao square of Q in blocks.

    Examples
    --------
    >>> Q = np.linalg.qr(np.random.default_rng(0).standard_normal((50, 4)))[0].T
    >>> solution = interior_point(Q, Q.T[:3])
    >>> bool(np.all(solution.gap < 1e-9)), solution.W.shape
    (True, (3, 4))
    """
    n = Q.shape[1]
    square = _Square(Q)
    doubles = int(np.clip(_CHUNK_DOUBLES, _LEAST_COLUMNS * n, _MOST_COLUMNS * n))
    parts = [
        _solve_chunk(Q, R[part], square, tol, max_iter, keep_dual)
        for part in row_chunks(len(R), n, doubles=doubles)
    ]
    return DualSolution(
        np.concatenate([p.W for p in parts]),
        np.concatenate([p.bound for p in parts]),
        np.concatenate([p.objective for p in parts]),
        np.concatenate([p.Z for p in parts if p.Z is not None]) if keep_dual else None,
    )


class _Square:
    """The products q_a q_b, a <= b, of the rows of Q, and Q D Q^T for many diagonal D from them."""

    def __init__(self, Q: Array) -> None:
        self._Q = Q
        k, n = Q.shape
        self._upper = np.triu_indices(k)
        self._width = max(1, min(n, _SQUARE_DOUBLES // len(self._upper[0])))
        place = np.empty((k, k), dtype=np.intp)
        place[self._upper] = np.arange(len(self._upper[0]))
        place.T[self._upper] = np.arange(len(self._upper[0]))
        self._place = place.reshape(-1)
        self._single: list[npt.NDArray[np.float32]] | None = None
        self._double: list[Array] | None = None

    def _blocks(self) -> Iterator[Array]:
        for start in range(0, self._Q.shape[1], self._width):
            rows = np.ascontiguousarray(self._Q[:, start : start + self._width].T)
            yield rows[:, self._upper[0]] * rows[:, self._upper[1]]

    def _kept(self, single: bool) -> Iterator[npt.NDArray[np.float32] | Array]:
        if self._width < self._Q.shape[1]:  # too long to keep
            yield from (b.astype(np.float32) for b in self._blocks()) if single else self._blocks()
        elif single:
            if self._single is None:
                self._single = [b.astype(np.float32) for b in self._blocks()]
            yield from self._single
        else:
            if self._double is None:
                self._double = list(self._blocks())
            yield from self._double

    def normal(self, D: Array, *, single: bool) -> Array:
        """Return Q diag(D_c) Q^T for every row of D, (C, k, k)."""
        # Weights of one direction may span more than the range of single precision: scale them first.
        scale = D.max(axis=1, keepdims=True)
        weights = (D / scale).astype(np.float32) if single else D
        sums = np.zeros((len(D), len(self._upper[0])))
        start = 0
        for block in self._kept(single):
            sums += weights[:, start : start + len(block)] @ block
            start += len(block)
        if single:
            sums *= scale
        return sums[:, self._place].reshape(len(D), len(self._Q), len(self._Q))


def _solve_chunk(
    Q: Array, R: Array, square: _Square, tol: float, max_iter: int, keep_dual: bool
) -> DualSolution:
    count, n = len(R), Q.shape[1]
    scale = np.linalg.norm(R, axis=1)
    W, bound = np.zeros_like(R), np.zeros(count)
    best = np.full(count, np.inf)
    duals = np.zeros((count, n)) if keep_dual else None
    state = _State.start(Q, R / scale[:, None])
    active = np.arange(count)
    for iteration in range(max_iter + 1):
        objective, lower = duality_gap(Q, state.R, state.W, state.Z)
        gap = 1.0 - lower / objective
        better = gap < best[active]
        where = active[better]
        best[where], W[where], bound[where] = gap[better], state.W[better], lower[better]
        if duals is not None:
            duals[where] = state.Z[better]
        # A gap that grows again by a lot says that rounding has taken over.
        go_on = (gap > tol) & (gap < 1e3 * np.maximum(best[active], tol))
        if iteration == max_iter or not go_on.any():
            break
        if not go_on.all():
            active, gap, state = active[go_on], gap[go_on], state.keep(go_on)
        state.step(Q, square, single=bool(gap.min() > _SINGLE_GAP))
    W /= np.einsum("ck,ck->c", W, R)[:, None]
    return DualSolution(W, bound / scale, np.abs(W @ Q).sum(axis=1), duals)


@dataclass
class _State:
    """Iterates of one chunk: w, z, t and the multipliers p, q of z <= 1 and z >= -1."""

    R: Array
    W: Array
    Z: Array
    T: Array
    P: Array
    N: Array
    above: Array  # 1 - z and 1 + z, kept apart from z: a difference would round to zero
    below: Array

    @classmethod
    def start(cls, Q: Array, R: Array) -> "_State":
        """Start at z = 0, t = 0, w = r (of unit length), which is feasible; so all iterates are."""
        S = R @ Q
        margin = np.abs(S).mean(axis=1, keepdims=True)
        P, N = np.maximum(S, 0) + margin, np.maximum(-S, 0) + margin
        ones = np.ones_like(S)
        return cls(R, R.copy(), np.zeros_like(S), np.zeros(len(R)), P, N, ones, ones.copy())

    def keep(self, mask: npt.NDArray[np.bool_]) -> "_State":
        return _State(*(getattr(self, f.name)[mask] for f in fields(self)))

    def step(self, Q: Array, square: _Square, *, single: bool) -> None:
        above, below = self.above, self.below
        upper, lower = self.P / above, self.N / below
        D = 1.0 / (upper + lower)
        residual = self.Z @ Q.T - self.T[:, None] * self.R
        mu = np.einsum("cn,cn->c", self.P, above) + np.einsum("cn,cn->c", self.N, below)
        solver = _Normal(Q, D, self.R, square, single)
        # Predictor: the target of both products is zero, so g = -p + q.
        dw, dt, dz = solver.direction(self.N - self.P, residual)
        dp = upper * dz - self.P
        dn = -lower * dz - self.N
        primal = _reach(self.P, dp, self.N, dn)
        dual = _reach(above, -dz, below, dz)
        aim = np.einsum("cn,cn->c", self.P + primal[:, None] * dp, above - dual[:, None] * dz)
        aim += np.einsum("cn,cn->c", self.N + primal[:, None] * dn, below + dual[:, None] * dz)
        target = ((aim / mu) ** 3 * mu / (2 * Q.shape[1]))[:, None]
        # Corrector: centre, and make up for the products of the predictor's steps.
        first = (target + dp * dz) / above - self.P
        second = (target - dn * dz) / below - self.N
        dw, dt, dz = solver.direction(first - second, residual)
        dp = first + upper * dz
        dn = second - lower * dz
        primal = _STEP * _reach(self.P, dp, self.N, dn)
        dual = _STEP * _reach(above, -dz, below, dz)
        self.W += primal[:, None] * dw
        self.P += primal[:, None] * dp
        self.N += primal[:, None] * dn
        self.Z += (change := dual[:, None] * dz)
        self.above = above - change
        self.below = below + change
        self.T += dual * dt


class _Normal:
    """The Newton system Q D Q^T dw - dt r = Q D g - residual, r.dw = 0, for a whole chunk."""

    def __init__(self, Q: Array, D: Array, R: Array, square: _Square, single: bool) -> None:
        self._Q, self._D, self._R, self._single = Q, D, R, single
        matrix = square.normal(D, single=single)
        # At a vertex Q D Q^T has rank k - 1; r r^T fills it up and is free, since r.dw is fixed.
        self._weight = np.einsum("cii->c", matrix) / len(Q)
        matrix += self._weight[:, None, None] * (R[:, :, None] * R[:, None, :])
        diagonal = np.einsum("cii->ci", matrix)
        diagonal += 1e-14 * self._weight[:, None] if not single else 1e-7 * self._weight[:, None]
        if single:
            small = (matrix / self._weight[:, None, None]).astype(np.float32)
            self._inverse = np.linalg.inv(small).astype(np.float64) / self._weight[:, None, None]
        else:
            self._inverse = np.linalg.inv(matrix)
        self._along = self._solve(R)

    def _solve(self, right: Array) -> Array:
        x = np.matmul(self._inverse, right[:, :, None])[:, :, 0]
        for _ in range(2 if self._single else 1):
            image = (self._D * (x @ self._Q)) @ self._Q.T
            image += (self._weight * np.einsum("ck,ck->c", self._R, x))[:, None] * self._R
            x += np.matmul(self._inverse, (right - image)[:, :, None])[:, :, 0]
        return x

    def direction(self, g: Array, residual: Array) -> tuple[Array, Array, Array]:
        x = self._solve((self._D * g) @ self._Q.T - residual)
        dt = -np.einsum("ck,ck->c", self._R, x) / np.einsum("ck,ck->c", self._R, self._along)
        dw = x + dt[:, None] * self._along
        return dw, dt, self._D * (dw @ self._Q - g)


def _reach(a: Array, da: Array, b: Array, db: Array) -> Array:
    """Return the longest steps in [0, 1] that keep a + step da and b + step db nonnegative."""
    worst = np.maximum((-da / a).max(axis=1), (-db / b).max(axis=1))
    return np.asarray(1.0 / np.maximum(worst, 1.0))


# --- one programme at a time ------------------------------------------------------------------------


def solver_package(name: str) -> Any:
    """Import the package behind a method, of the extra `solvers`."""
    package = {"highs": "highspy", "cvxpy": "cvxpy"}[name]
    try:
        return import_module(package)
    except ImportError as error:
        raise ValueError(
            f"method {name!r} needs {package}: pip install nnmoments[solvers], or take method 'batched'"
        ) from error


def _solution(Q: Array, R: Array, W: Array, Z: Array, keep_dual: bool) -> DualSolution:
    W = W / np.einsum("ck,ck->c", W, R)[:, None]
    Z = np.clip(Z, -1.0, 1.0)
    objective, bound = duality_gap(Q, R, W, Z)
    return DualSolution(W, bound, objective, Z if keep_dual else None)


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
    highspy = solver_package("highs")
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
    cvxpy = solver_package("cvxpy")
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


GENERAL_SOLVERS = {"highs": solve_highs, "cvxpy": solve_cvxpy}
