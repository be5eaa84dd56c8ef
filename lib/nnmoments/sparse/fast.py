r"""k programmes instead of one a column: candidate directions, and a check that nothing was missed."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nnmoments.sparse.algorithm1 import sparsest_independent
from nnmoments.sparse.known_rows import screen
from nnmoments.sparse.programme import RowBasis, distinct, feasible, planted_rows, solve
from nnmoments.sparse.rows import Candidates, MissedRowCheck

__all__ = ["Search"]

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

    def look_for_missed(
        self, kept: Candidates, spent: int, *, everywhere: bool = False
    ) -> tuple[MissedRowCheck, Candidates]:
        """Look at random columns until a missed row is improbable, or at all; `spent` of them are done.

        Return what the check is worth, and the rows that are not among those kept. Columns that
        return a row in hand are certified without a solve.
        """
        k, order = self.basis.k, self.order
        share = 1.0 / (2 * k)
        wanted = min(len(order), int(np.ceil(np.log(k / _FAILURE) / -np.log1p(-share))))
        if everywhere:
            wanted = len(order)
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
