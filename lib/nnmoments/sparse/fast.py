r"""k programmes instead of one a column: candidate directions, and a check that nothing was missed."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nnmoments.sparse.algorithm1 import sparsest_independent
from nnmoments.sparse.known_rows import screen
from nnmoments.sparse.programme import RowBasis, distinct, feasible, planted_rows, solve
from nnmoments.sparse.rows import Candidates, MissedRowCheck
from nnmoments.validation import check_array

__all__ = ["Search", "expansion_margin", "proves"]

# All 2^k subsets are visited up to this k; beyond it the margin is bounded from pairs.
_EXHAUSTIVE = 12
# Failure probability that the check by random columns aims at.
_FAILURE = 1e-3
# As for exact rows, but on an estimate copies of a row differ by the noise.
_NEW_NOISY = 0.35


@dataclass(frozen=True)
class Search:
    """Programmes in one row space, and the choice among their rows.

    Attributes
    ----------
    basis : RowBasis
    order : int array
        The columns that do not vanish, at random.
    exact : bool
        Whether copies of a row differ by rounding only.
    ordering : {"l0", "ratio"}
    method : str
    tol : float
    rng : Generator
    """

    basis: RowBasis
    order: npt.NDArray[np.intp]
    exact: bool
    ordering: str
    method: str
    tol: float
    rng: np.random.Generator

    def solve(self, chosen: npt.NDArray[np.intp]) -> Candidates:
        """Return the rows of columns (m,), or of sums of two columns (m, 2): the variant DC."""
        columns = chosen.reshape(len(chosen), -1)
        R = self.basis.Q.T[columns].sum(axis=1)
        used = feasible(R)
        names: list[object] = (
            columns[used, 0].tolist() if chosen.ndim == 1 else list(map(tuple, columns[used].tolist()))
        )
        solution = solve(
            self.basis,
            R[used],
            columns=np.arange(used.sum()),
            skipped=np.flatnonzero(~used),
            method=self.method,
            tol=self.tol,
            rng=self.rng,
        )
        return Candidates.of(solution, names, exact=self.exact)

    def choose(self, found: Candidates) -> Candidates:
        """Keep the sparsest independent rows."""
        scores = found.sparsities(self.basis.Q, self.ordering)
        options = {} if self.exact else {"new": _NEW_NOISY}
        return found.keep(sparsest_independent(found.W, scores, self.basis.k, **options))

    def few_programmes(self) -> tuple[Candidates, Candidates, int]:
        """Solve for k candidate directions, and for random columns until k rows are in hand.

        Return the rows kept, all rows seen, and how many of the columns in `order` were used.
        """
        k = self.basis.k
        planted = planted_rows(self.basis.Q, tol=self.tol, rng=self.rng)
        gap = planted.gap
        seen = Candidates(planted.W, gap, ("candidate",) * k, k, int(np.sum(gap > self.tol)))
        seen = seen.keep(distinct(seen.W))
        kept, spent = self.choose(seen), 0
        while len(kept) < k and spent < len(self.order):
            new = self.solve(self.order[spent : spent + 2 * k])
            kept, seen = self.choose(kept + new), seen + new
            spent += 2 * k
        return kept, seen, min(spent, len(self.order))

    def look_for_missed(self, kept: Candidates, spent: int) -> tuple[MissedRowCheck, Candidates]:
        """Look at random columns until a missed row is improbable; `spent` of them are done.

        Return what the check is worth, and the rows that are not among those kept. Columns that
        return a row in hand are certified without a solve.
        """
        k, order = self.basis.k, self.order
        share = 1.0 / (2 * k)
        wanted = min(len(order), int(np.ceil(np.log(k / _FAILURE) / -np.log1p(-share))))
        check = MissedRowCheck("random columns", wanted, share, k * (1.0 - share) ** wanted)
        if wanted == len(order):
            check = MissedRowCheck("all columns", wanted, 0.0, 0.0)
        none = Candidates(np.empty((0, k)), np.empty(0), (), 0, 0)
        if wanted <= spent:
            return check, none
        part = order[spent:wanted]
        known = screen(self.basis.Q, self.basis.Q.T[part], kept.W, tol=self.tol)[0]
        none = replace(none, n_programmes=int(known.sum()))
        return check, none if known.all() else none + self.solve(part[~known])


def proves(mask: npt.NDArray[np.bool_], k: int) -> bool:
    """Say whether the supports found prove that no other rows are the sparsest (SA Remark 6)."""
    return len(mask) == k and expansion_margin(mask) >= 0


def expansion_margin(support: npt.ArrayLike) -> int:
    r"""Return :math:`\min_{|S| \ge 2} |N(S)| - |S| - d_{\max}`, or a lower bound on it for k > 12.

    S runs over sets of rows, N(S) is the union of their supports and d_max the largest support.
    The condition of SA Remark 6 is that the result is not negative. SA writes it for B; it is a
    condition on the sparse factor, here A_1 [1]_: a dense B has N(S) = all n_y labels and
    d_max = n_y, and could never satisfy it.

    If it holds, then for almost all values of the nonzero entries every combination of two or
    more rows has more than d_max nonzero entries, so the rows are the k sparsest vectors in their
    span. (A combination of exactly the rows in S that vanishes on :math:`|S|` columns of N(S) meets
    :math:`|S|` independent equations with :math:`|S| - 1` free ratios: such values have measure
    zero. So at least :math:`|N(S)| - |S| + 1 > d_{max}` entries remain.)

    For large k, with o the largest overlap of two supports and any :math:`t \le |S|` rows of least degrees
    :math:`|N(S)| \ge \sum_{i \le t} \deg_i - \binom t2 o`.

    Parameters
    ----------
    support : (k, n) array_like of bool
        Or any array: what is not zero counts.

    Returns
    -------
    int
        For k = 1 there is no such S; the result is then 0.

    Raises
    ------
    ValueError
        If the support is not a matrix of finite numbers.

    References
    ----------
    .. [1] A. Anandkumar, D. Hsu, A. Javanmard, S. Kakade, "Learning linear Bayesian networks with
       latent variables", ICML 2013, arXiv:1209.5350.

    Examples
    --------
    >>> expansion_margin([[1, 1, 0, 0, 0], [0, 0, 1, 1, 0]])
    0
    >>> expansion_margin([[1, 1, 0], [0, 1, 1]])
    -1
    """
    S = check_array("support", support, ndim=2) != 0
    k = len(S)
    degrees = np.sort(S.sum(axis=1))
    largest = int(degrees[-1])
    if k == 1:
        return 0
    if k <= _EXHAUSTIVE:
        return min(
            int(S[list(rows)].any(axis=0).sum()) - size - largest
            for size in range(2, k + 1)
            for rows in itertools.combinations(range(k), size)
        )
    counts = S.astype(np.float64)
    overlaps = (counts @ counts.T).astype(np.int64)
    np.fill_diagonal(overlaps, 0)
    t = np.arange(1, k + 1)
    bounds = np.maximum.accumulate(np.cumsum(degrees) - t * (t - 1) // 2 * int(overlaps.max()))
    return int((bounds - t)[1:].min()) - largest
