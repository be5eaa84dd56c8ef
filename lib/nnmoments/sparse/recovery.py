r"""SA Algorithm 1: the sparse rows of A from M = B A, all columns or a few programmes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nnmoments.sparse.basis import RowBasis, feasible, row_basis
from nnmoments.sparse.expansion import expansion_margin
from nnmoments.sparse.interior_points import DualSolution
from nnmoments.sparse.programme import METHODS, planted_candidates, polish, solve_directions
from nnmoments.sparse.refinement import refine_rows
from nnmoments.sparse.screening import screen
from nnmoments.sparse.selection import FALSE_ENTRY, select_rows, sparsity, support
from nnmoments.sparse.swapping import fits, improve_rows
from nnmoments.validation import Array, check_array, check_choice, check_number

__all__ = ["MissedRowCheck", "SparseRecovery", "recover_rows"]

# Failure probability that the check by random columns aims at.
_FAILURE = 1e-3


@dataclass(frozen=True)
class MissedRowCheck:
    r"""What stands behind the statement that no row was missed.

    Attributes
    ----------
    how : {"all columns", "expansion", "random columns"}
        Algorithm 1 itself; a proof from the supports found (`expansion_margin`); or a sample of
        m columns: a row of Algorithm 1's answer that a share q or more of the columns return is
        missed by m columns drawn without replacement with probability at most :math:`(1-q)^m`,
        and at most k rows can be missing, so the failure probability is at most
        :math:`k (1 - q)^m`.
    n_columns : int
        m.
    share : float
        q = 1 / (2k). Planted rows were returned by 0.8 / k of the columns each, on average.
    failure_probability : float
        0 for a proof: it holds for almost all values of the weights. On an estimated M the proof
        rests on the support, and the number is the probability of a false entry in it.
    """

    how: str
    n_columns: int
    share: float
    failure_probability: float


@dataclass(frozen=True)
class SparseRecovery:
    """Rows recovered from a moment, up to order, sign and scale.

    Attributes
    ----------
    rows : (k, n) array
        Of unit length, sparsest first; zeros are exact.
    support : (k, n) bool array
    coefficients : (k, n_y) array
        w with w^T M = the l1 row (before any refinement).
    gap : (k,) array
        Certified relative duality gaps of the programmes behind the rows.
    sources : tuple
        Column j, pair of columns (i, j) or "candidate": which programme gave each row.
    n_programmes : int
        Programmes solved in all.
    basis : RowBasis
        Row space, singular values, and how k was chosen.
    ordering : str
    refined : bool
        Whether rows were sharpened on their support (estimated M).
    check : MissedRowCheck
    skipped : int array
        Columns of M that vanish.
    status : str
    """

    rows: Array = field(repr=False)
    support: npt.NDArray[np.bool_] = field(repr=False)
    coefficients: Array = field(repr=False)
    gap: Array = field(repr=False)
    sources: tuple[object, ...] = field(repr=False)
    n_programmes: int
    basis: RowBasis = field(repr=False)
    ordering: str
    refined: bool
    check: MissedRowCheck
    skipped: npt.NDArray[np.intp] = field(repr=False)
    status: str


def recover_rows(
    M: npt.ArrayLike,
    *,
    k: int | None = None,
    columns: str = "all",
    ordering: str = "auto",
    method: str = "batched",
    standard_error: npt.ArrayLike | None = None,
    refine: bool = True,
    tol: float = 1e-9,
    rng: np.random.Generator | int | None = 0,
) -> SparseRecovery:
    r"""Recover the rows of a sparse A (k, n) from M = B A, B of full column rank. SA Algorithm 1.

    Parameters
    ----------
    M : (n_y, n) array_like
        A moment, exact or estimated.
    k : int, optional
        Number of rows; by default the rank of M, or its singular values above the noise.
    columns : {"all", "pairs", "fast"}
        One programme a column, as the paper; one for each pair of a random pairing of the columns
        (the DC variant of [1]_); or k programmes from candidate directions, and a check that
        nothing was missed.
    ordering : {"auto", "l0", "ratio"}
        What counts as sparse in the greedy choice: the number of nonzeros (the paper), or
        ||s||_1 / ||s||_2, which noise cannot upset. "auto" takes the first on an exact M, the
        second with standard errors.
    method : {"batched", "highs", "cvxpy"}
        See `l1_programmes`.
    standard_error : (n_y, n) array_like, optional
        Of an estimated M: fixes k, the support, and refines the rows on it.
    refine : bool
        With standard errors: whether to fit M = B A again on the support found.
    tol : float
        Certified relative duality gap.
    rng : optional
        Pairing, candidate directions and checking columns.

    Returns
    -------
    SparseRecovery

    Raises
    ------
    ValueError
        If M vanishes or k is above its rank, or an argument does not fit.

    References
    ----------
    .. [1] D. Spielman, H. Wang, J. Wright, "Exact recovery of sparsely-used dictionaries",
       COLT 2012, arXiv:1206.5882.
    .. [2] H. Sedghi, A. Anandkumar, "Provable methods for training neural networks with sparse
       connectivity", Algorithm 1, arXiv:1412.2693.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((5, 200)) * (rng.random((5, 200)) < 0.2)
    >>> recovery = recover_rows(rng.standard_normal((6, 5)) @ A, columns="fast")
    >>> from nnmoments.linalg import match_rows
    >>> bool(match_rows(recovery.rows, A / np.linalg.norm(A, axis=1)[:, None]).worst < 1e-8)
    True
    >>> recovery.check.how, recovery.check.failure_probability
    ('expansion', 0.0)
    """
    check_choice("columns", columns, ("all", "pairs", "fast"))
    check_choice("ordering", ordering, ("auto", "l0", "ratio"))
    check_choice("method", method, METHODS)
    tol = check_number("tol", tol, above=0.0, below=1.0)
    M = check_array("M", M, ndim=2)
    error = None
    if standard_error is not None:
        error = check_array("standard_error", standard_error, shape=M.shape)
        if not error.any():
            error = None
    basis = row_basis(M, k=k, standard_error=error)
    if ordering == "auto":
        ordering = "l0" if error is None else "ratio"
    rng = np.random.default_rng(rng)
    search = _Search(basis.Q, method, tol, ordering, error is not None, rng)
    if columns == "fast":
        spent = search.fast()
        finished = _finish(M, error, basis, search.W, refine)
        proven = len(search.W) == basis.k and expansion_margin(finished[1]) >= 0
        if proven and (error is None or not refine or fits(M, error, finished[0])):
            check = MissedRowCheck("expansion", spent, 0.0, 0.0 if error is None else FALSE_ENTRY)
        else:
            check = search.sample(spent)
            if error is None or not refine or len(search.W) < basis.k:
                finished = _finish(M, error, basis, search.W, refine)
            else:
                starts = [finished[0], *(_unit_rows(W, basis) for W in search.rivals)]
                improved = improve_rows(M, error, starts, search.pool())
                if improved is not finished[0]:
                    finished = (*refine_rows(M, error, improved), True)
    else:
        search.solve(search.used if columns == "all" else search.pairs())
        search.choose()
        check = MissedRowCheck("all columns", search.n_programmes, 0.0, 0.0)
        finished = _finish(M, error, basis, search.W, refine)
    rows, mask, refined = finished
    return SparseRecovery(
        rows,
        mask,
        basis.coefficients(search.W),
        search.gap,
        tuple(search.sources),
        search.n_programmes,
        basis,
        ordering,
        refined,
        check,
        np.setdiff1d(np.arange(M.shape[1]), search.used),
        search.status(check),
    )


def _unit_rows(W: Array, basis: RowBasis) -> Array:
    rows = W @ basis.Q
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _finish(
    M: Array, error: Array | None, basis: RowBasis, W: Array, refine: bool
) -> tuple[Array, npt.NDArray[np.bool_], bool]:
    rows = _unit_rows(W, basis)
    if error is None:
        mask = support(rows)
        rows = np.where(mask, rows, 0.0)
    elif refine and len(rows) == basis.k:
        rows, mask = refine_rows(M, error, rows)
        return rows, mask, True
    else:
        weights = basis.coefficients(W / np.linalg.norm(W, axis=1, keepdims=True))
        mask = support(rows, np.sqrt(weights**2 @ error**2))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), mask, False


class _Search:
    """The candidates in hand: solve programmes, choose rows, look for what is missing."""

    def __init__(
        self, Q: Array, method: str, tol: float, ordering: str, noisy: bool, rng: np.random.Generator
    ) -> None:
        self._Q, self._method, self._tol, self._rng = Q, method, tol, rng
        self._ordering, self._noisy = ordering, noisy
        self.used = np.flatnonzero(feasible(Q.T))
        self._order = rng.permutation(self.used)
        self.W = np.empty((0, len(Q)))
        self._seen = self.W
        self.gap = np.empty(0)
        self.sources: list[object] = []
        self.n_programmes = 0
        self.uncertified = 0
        self.rivals: list[Array] = []

    def pairs(self) -> npt.NDArray[np.intp]:
        """Pair the columns at random: (columns // 2, 2)."""
        shuffled = self._rng.permutation(self.used)
        return shuffled[: len(shuffled) // 2 * 2].reshape(-1, 2)

    def solve(self, chosen: npt.NDArray[np.intp]) -> None:
        """Add the solutions for columns (m,) or pairs of columns (m, 2)."""
        R = self._Q.T[chosen] if chosen.ndim == 1 else self._Q.T[chosen].sum(axis=1)
        keep = feasible(R)
        chosen, R = chosen[keep], R[keep]
        solution, _, _ = solve_directions(self._Q, R, method=self._method, tol=self._tol, rng=self._rng)
        names = [int(c) if chosen.ndim == 1 else tuple(map(int, c)) for c in chosen]
        self._add(R, solution, names)

    def _add(self, R: Array, solution: DualSolution, names: Sequence[object]) -> None:
        # Rounding each of thousands of copies would cost more than the solves: first one of each row.
        W = solution.W
        self.n_programmes += len(W)
        self.uncertified += int(np.sum(solution.gap > self._tol))
        first = _distinct(W)
        part = DualSolution(
            W[first], solution.bound[first], solution.objective[first], solution.iterations[first]
        )
        if not self._noisy and names[0] != "candidate":  # those are rounded already
            part = polish(self._Q, R[first], part)
        self.W = np.concatenate([self.W, part.W])
        self.gap = np.concatenate([self.gap, part.gap])
        self.sources += [names[i] for i in first]

    def choose(self) -> None:
        """Keep the sparsest independent candidates only."""
        scores = np.concatenate(
            [sparsity(self.W[i : i + 256] @ self._Q, self._ordering) for i in range(0, len(self.W), 256)]
        )
        self._seen = np.concatenate([self._seen, self.W]) if self._noisy else self.W
        kept = select_rows(self.W, scores, len(self._Q), noisy=self._noisy)
        self.W, self.gap = self.W[kept], self.gap[kept]
        self.sources = [self.sources[i] for i in kept]

    def pool(self) -> Array:
        """Return the rows of all candidates seen, sparsest first, of unit length."""
        rows = self._seen @ self._Q
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows[np.argsort(sparsity(rows, "ratio"), kind="stable")]

    def fast(self) -> int:
        """Candidate directions, and random columns until k rows are in hand; return how many columns."""
        k = len(self._Q)
        candidates = planted_candidates(self._Q, tol=self._tol, rng=self._rng)
        self._add(candidates.W, candidates, ["candidate"] * k)
        self.choose()
        spent = 0
        while len(self.W) < k and spent < len(self._order):
            self.solve(self._order[spent : spent + 2 * k])
            spent += 2 * k
            self.choose()
        return min(spent, len(self._order))

    def sample(self, spent: int) -> MissedRowCheck:
        """Look at random columns until a missed row is improbable; `spent` of them are done."""
        order = self._order
        k = len(self._Q)
        share = 1.0 / (2 * k)
        wanted = min(len(order), int(np.ceil(np.log(k / _FAILURE) / -np.log1p(-share))))
        if wanted > spent:
            part = order[spent:wanted]
            R = self._Q.T[part]
            known, _, _, _ = screen(self._Q, R, self.W, tol=self._tol)
            self.n_programmes += int(known.sum())
            if not known.all():
                kept = self.W, self.gap, self.sources
                self.solve(part[~known])
                self.choose()
                if self._noisy and len(kept[0]) == k:
                    # Whole sets are compared, not single rows.
                    self.rivals = [self.W] if len(self.W) == k else []
                    self.W, self.gap, self.sources = kept
        if wanted == len(order):
            return MissedRowCheck("all columns", wanted, 0.0, 0.0)
        return MissedRowCheck("random columns", wanted, share, k * (1.0 - share) ** wanted)

    def status(self, check: MissedRowCheck) -> str:
        k, found = len(self._Q), len(self.W)
        if found < k:
            return (
                f"only {found} of {k} independent rows were found; A is too dense or M too noisy for l1: "
                "pass more columns, a smaller k, or columns='pairs'"
            )
        text = f"{k} rows from {self.n_programmes} programmes"
        if self.uncertified:
            text += f", {self.uncertified} of them not certified to {self._tol:g}: raise tol or rescale M"
        if check.how == "random columns":
            text += f"; a missed row is possible with probability at most {check.failure_probability:.1e}"
        return text


def _distinct(W: Array) -> npt.NDArray[np.intp]:
    """Return the first of each group of solutions that are the same row up to scale, to 1e-6."""
    units = W / np.linalg.norm(W, axis=1, keepdims=True)
    rest = np.arange(len(W))
    first: list[int] = []
    while len(rest):
        c = rest[0]
        first.append(int(c))
        rest = rest[np.abs(units[rest] @ units[c]) < 1.0 - 1e-12]
    return np.asarray(first, dtype=np.intp)
