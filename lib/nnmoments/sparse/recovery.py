r"""The sparse rows of A from M = B A, exact or estimated, by all columns or by a few programmes."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.sparse.algorithm1 import exact_rows, l1_method
from nnmoments.sparse.evidence import expansion_margin, proof_of, tied, without_sparser_pairs
from nnmoments.sparse.fast import Search
from nnmoments.sparse.noisy import (
    MOST_ROWS,
    check_comparable,
    combined_rows,
    excess,
    exchange_rows,
    fits,
    idle_rows,
    noisy_rows,
    refined_rows,
    row_errors,
    unseen_weights,
)
from nnmoments.sparse.programme import check_method, check_standard_error, feasible, row_basis
from nnmoments.sparse.rows import FALSE_ENTRY, Candidates, MissedRowCheck, SparseRecovery, sparsity, unit
from nnmoments.validation import Array, check_array, check_choice, check_number, check_rng

__all__ = ["recover_rows"]

_Rows = tuple[Array, npt.NDArray[np.bool_], bool]


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
    check_choice("refine", refine, (True, False))
    check_method(method)
    tol = check_number("tol", tol, above=0.0, below=1.0)
    rng = check_rng("rng", rng)
    M = check_array("M", M, ndim=2)
    error = None if standard_error is None else check_standard_error(standard_error, M)
    if error is not None and not error.any():
        error = None
    basis = row_basis(M, k=k, standard_error=error)
    if error is not None:
        check_comparable(M, error)
    if ordering == "auto":
        ordering = "l0" if error is None else "ratio"
    used = feasible(basis.Q.T)
    search = Search(basis, rng.permutation(np.flatnonzero(used)), error is None, ordering, method, tol, rng)
    if columns == "fast":
        found, finished, check = _fast(search) if error is None else _fast_noisy(search, M, error, refine)
    elif error is None and (columns, ordering) == ("all", "l0"):
        return l1_method(M, k=basis.k, method=method, tol=tol, rng=rng)
    else:
        found = search.choose(search.solve(np.flatnonzero(used) if columns == "all" else _pairs(search)))
        check = MissedRowCheck("all columns", found.n_programmes, 0.0, 0.0)
        finished = _finished(search, found, M, error, refine)
    rows, mask, refined = finished
    rivals = np.zeros(len(rows))
    if refined and error is not None and 1 < basis.k <= MOST_ROWS:
        rows, mask, rivals = combined_rows(M, error, rows)
    return SparseRecovery._of(
        found,
        rows,
        mask,
        basis,
        check,
        ordering=ordering,
        exact=error is None,
        **({} if error is None else _against(M, error, rows, mask, refined)),
        refined=refined,
        rivals=rivals,
        skipped=np.flatnonzero(~used),
        tol=tol,
    )


def _against(
    M: Array, error: Array, rows: Array, mask: npt.NDArray[np.bool_], refined: bool
) -> dict[str, Any]:
    """Return what an estimated M says of the rows: how many it holds, whether it needs them, their errors."""
    try:
        standing = row_basis(M, standard_error=error).k
    except ValueError:  # none
        standing = 0
    if not refined:
        return {"standing": standing}
    return {
        "standing": standing,
        "idle": idle_rows(M, error, rows, mask),
        "excess": excess(M, error, rows),
        "row_error": row_errors(M, error, rows, mask),
        "unseen": unseen_weights(M, error, rows, mask),
    }


def _pairs(search: Search) -> npt.NDArray[np.intp]:
    """Pair the columns at random: (columns // 2, 2); a column alone stays alone."""
    shuffled = search.rng.permutation(np.sort(search.order))
    return shuffled[: len(shuffled) // 2 * 2].reshape(-1, 2) if len(shuffled) > 1 else shuffled


def _finished(search: Search, found: Candidates, M: Array, error: Array | None, refine: bool) -> _Rows:
    if error is None:
        return (*exact_rows(found.W @ search.basis.Q), False)
    return noisy_rows(M, error, search.basis, found.W, refine=refine)


def _fast(search: Search) -> tuple[Candidates, _Rows, MissedRowCheck]:
    """A few programmes; the rows prove that they are enough, or further columns make it likely.

    Equal entries show values for which fewer zeros than usual are evidence: then all columns are solved,
    and rows give way to sparser combinations of two.
    """
    basis = search.basis
    found, _, spent = search.few_programmes()
    rows, mask = exact_rows(found.W @ basis.Q)
    if proof := proof_of(rows, mask, basis.k):
        return found, (rows, mask, False), MissedRowCheck(proof, spent, 0.0, 0.0)
    ties = tied(rows, mask)
    check, missed = search.look_for_missed(found, spent, everywhere=ties)
    found = search.choose(found + missed)
    if ties:
        found = replace(found, W=without_sparser_pairs(found.W, basis.Q))
    rows, mask = exact_rows(found.W @ basis.Q)
    if ties and (proof := proof_of(rows, mask, basis.k)):
        check = MissedRowCheck(proof, check.n_columns, 0.0, 0.0)
    return found, (rows, mask, False), check


def _fast_noisy(
    search: Search, M: Array, error: Array, refine: bool
) -> tuple[Candidates, _Rows, MissedRowCheck]:
    """The same under noise, where only whole sets of rows can be compared: by how M = B A fits."""
    k = search.basis.k
    found, seen, spent = search.few_programmes()
    finished = noisy_rows(M, error, search.basis, found.W, refine=refine)
    if len(found) == k and expansion_margin(finished[1]) >= 0 and (not refine or fits(M, error, finished[0])):
        return found, finished, MissedRowCheck("expansion", spent, 0.0, FALSE_ENTRY)
    check, missed = search.look_for_missed(found, spent)
    rival = search.choose(found + missed)
    if len(found) < k:
        return rival, noisy_rows(M, error, search.basis, rival.W, refine=refine), check
    found = replace(found, n_programmes=rival.n_programmes, n_uncertified=rival.n_uncertified)
    if refine:
        starts = [finished[0]]
        if len(missed) and len(rival) == k:
            starts.append(unit(rival.W @ search.basis.Q))
        pool = unit((seen + missed).W @ search.basis.Q)
        pool = pool[np.argsort(sparsity(pool, "ratio"), kind="stable")]
        better = exchange_rows(M, error, starts, pool)
        if better is not finished[0]:
            finished = (*refined_rows(M, error, better), True)
    return found, finished, check
