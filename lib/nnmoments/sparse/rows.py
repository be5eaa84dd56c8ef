"""Rows in hand while a recovery goes on, what counts as zero and as sparse in them, and its result."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from nnmoments.chunks import row_chunks
from nnmoments.results import Result
from nnmoments.sparse.evidence import proof_of, sparser_pairs, tied
from nnmoments.sparse.programme import L1Solution, RowBasis
from nnmoments.validation import Array

__all__ = ["FALSE_ENTRY", "Candidates", "MissedRowCheck", "SparseRecovery", "sparsity", "support", "unit"]

# Entries below this share of a row's largest count as zeros in an exact row.
_ZERO = 1e-7
#: Probability that a threshold takes any noise entry for a weight.
FALSE_ENTRY = 0.01
_SCORED_TOGETHER = 256
# Standard errors of a row, of length one. Above the first they are told: a weight is then known to 5 % of
# the row at best. Two of the second are 23 degrees: such a row is a hint, and not to be trusted.
_TOLD, _TRUSTED = 0.05, 0.2
# Standard deviations by which what is left of a moment may exceed noise.
_MOST_EXCESS = 5.0
_NONE = np.empty(0, dtype=np.intp)


def support(rows: Array, standard_error: Array | None = None) -> npt.NDArray[np.bool_]:
    r"""Return which entries of the rows differ from zero.

    Without standard errors, those above rounding. With them, those beyond
    :math:`\sqrt{2 \ln(p / 0.01)}` standard errors, p the number of entries: if all were noise, the
    probability that any is taken for a weight would be below 0.01 (union bound over Gaussian tails).

    Parameters
    ----------
    rows : (k, n) array
    standard_error : (k, n) array, optional

    Examples
    --------
    >>> support(np.array([[1.0, 1e-12]]))
    array([[ True, False]])
    """
    if standard_error is None:
        return np.asarray(np.abs(rows) > _ZERO * np.abs(rows).max(axis=-1, keepdims=True))
    level = np.sqrt(2.0 * np.log(rows.size / FALSE_ENTRY))
    return np.asarray(np.abs(rows) > level * standard_error)


def sparsity(rows: Array, ordering: str) -> Array:
    r"""Return ||s||_0 ("l0") or ||s||_1 / ||s||_2 ("ratio") of each row; small is sparse.

    On an estimated moment every candidate is dense and the order by l0 says nothing. The ratio does
    not jump: it is scale-free, lies between 1 (one entry) and :math:`\sqrt n` (all entries equal),
    and moves by the noise only.

    Examples
    --------
    >>> sparsity(np.array([[0.0, 2.0], [1.0, 1.0]]), "ratio").round(3)
    array([1.   , 1.414])
    """
    if ordering == "l0":
        return support(rows).sum(axis=1).astype(np.float64)
    return np.asarray(np.abs(rows).sum(axis=1) / np.linalg.norm(rows, axis=1))


def unit(rows: Array) -> Array:
    """Return the rows scaled to unit length."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@dataclass(frozen=True)
class Candidates:
    """Rows w^T Q in hand, where each came from, and what finding them took."""

    W: Array
    gap: Array
    sources: tuple[object, ...]
    n_programmes: int
    n_uncertified: int

    @classmethod
    def of(cls, solution: L1Solution, sources: list[object] | None = None, *, exact: bool) -> "Candidates":
        """Take each row once, at its vertex if the moment is exact."""
        found = solution.vertices(rounded=exact)
        names = found.columns.tolist() if sources is None else [sources[i] for i in found.columns]
        return cls(
            found.in_basis, found.gap, tuple(names), len(solution.gap), int(np.sum(~solution.certified))
        )

    def __len__(self) -> int:
        return len(self.W)

    def __add__(self, other: "Candidates") -> "Candidates":
        return Candidates(
            np.concatenate([self.W, other.W]),
            np.concatenate([self.gap, other.gap]),
            self.sources + other.sources,
            self.n_programmes + other.n_programmes,
            self.n_uncertified + other.n_uncertified,
        )

    def keep(self, kept: npt.NDArray[np.intp]) -> "Candidates":
        """Return those kept; the count of programmes stays."""
        return replace(self, W=self.W[kept], gap=self.gap[kept], sources=tuple(self.sources[i] for i in kept))

    def sparsities(self, Q: Array, ordering: str) -> Array:
        """Return how sparse each row is, in chunks."""
        chunks = row_chunks(len(self.W), 1, doubles=_SCORED_TOGETHER)
        return np.concatenate([sparsity(self.W[part] @ Q, ordering) for part in chunks])


@dataclass(frozen=True, eq=False, repr=False)
class MissedRowCheck(Result):
    """What stands behind the statement that no row was missed.

    Attributes
    ----------
    how : {"all columns", "expansion", "counting", "random columns"}
        Algorithm 1 itself; a proof from the supports found (`expansion_margin`), or, where entries are
        equal, from a count of what can vanish at most; or a sample of m columns: a row of Algorithm
        1's answer that a share q or more of the columns return is missed by m columns drawn without
        replacement with probability at most :math:`(1-q)^m`, and at most k rows can be missing, so the
        failure probability is at most :math:`k (1 - q)^m`.
    n_columns : int
        m.
    share : float
        q = 1 / (2k). Planted rows were returned by 0.8 / k of the columns each, on average.
    failure_probability : float
        0 for a proof: it holds for almost all values of the weights. On an estimated M the proof
        rests on the support, and the number is the probability of a false entry in it.

    Examples
    --------
    >>> from nnmoments.sparse import recover_rows
    >>> A = np.array([[1.0, 0.0, 2.0, 0.0, 0.0], [0.0, 3.0, 0.0, 0.0, 1.0]])
    >>> recover_rows(np.array([[1.0, 2.0], [3.0, 4.0]]) @ A).check
    MissedRowCheck
                      how: all columns
                n_columns: 4
                    share: 0
      failure_probability: 0
    """

    how: str
    n_columns: int
    share: float
    failure_probability: float


@dataclass(frozen=True, eq=False, repr=False)
class SparseRecovery(Result):
    r"""Rows recovered from a moment, up to order, sign and scale.

    Attributes
    ----------
    rows : (k, n) array
        Of unit length, sparsest first; zeros are exact.
    support : (k, n) bool array
    coefficients : (k, n_y) array
        w with w^T M = the l1 row (before any refinement).
    evidence : (k,) int array
        Zeros of each row beyond the k - 1 that any vertex of a k-dimensional span has. Where there are
        none, nothing says that the row is one of A: so it is if A is dense, or k too large.
    gap : (k,) array
        Certified relative duality gaps of the programmes behind the rows.
    sources : tuple
        Column j, pair of columns (i, j) or "candidate": which programme gave each row.
    n_programmes, n_uncertified : int
        Programmes solved in all, and how many of them stayed above the gap asked for.
    basis : RowBasis
        Row space, singular values, and how k was chosen.
    ordering : str
    refined : bool
        Whether rows were sharpened on their support (estimated M).
    row_error : (k,) array
        Standard errors of the rows, :math:`(E\|\hat a_l - a_l\|^2)^{1/2}`, if the support is right
        (`row_errors`); 0 on an exact M, NaN for rows of an estimated one that were not refined.
    unseen : (k,) array
        How long the weights may be that are too small to be in the support (`unseen_weights`); 0 and NaN
        likewise.
    check : MissedRowCheck
    skipped : int array
        Columns of M that vanish.
    converged : bool
        Whether k rows were found, every programme is certified, and nothing speaks against the rows:
        no more zeros than a generic vertex has, a pair with a sparser combination, equal entries
        without a proof; on an estimated M, rows whose combinations fit it as well with about as few
        weights (`combined_rows`), rows that leave more of it than noise (`excess`) or explain no more than
        noise does, rows known to less than 0.2 (`row_error` and `unseen` together), or a k below the number
        of singular values that stand out of it.
    status : str

    Examples
    --------
    >>> from nnmoments.sparse import recover_rows
    >>> A = np.array([[0.6, 0.0, 0.8, 0.0, 0.0], [0.0, 0.8, 0.0, 0.0, 0.6]])
    >>> found = recover_rows(np.array([[1.0, 2.0], [3.0, 4.0]]) @ A)
    >>> found.support.astype(int)
    array([[1, 0, 1, 0, 0],
           [0, 1, 0, 0, 1]])
    >>> found.status
    '2 rows from 4 programmes'
    """

    rows: Array
    support: npt.NDArray[np.bool_] = field(repr=False)
    coefficients: Array = field(repr=False)
    evidence: npt.NDArray[np.intp]
    gap: Array
    sources: tuple[object, ...]
    n_programmes: int
    n_uncertified: int
    basis: RowBasis = field(repr=False)
    ordering: str
    refined: bool
    row_error: Array
    unseen: Array
    check: MissedRowCheck
    skipped: npt.NDArray[np.intp]
    converged: bool
    status: str

    @classmethod
    def _of(
        cls,
        found: Candidates,
        rows: Array,
        mask: npt.NDArray[np.bool_],
        basis: RowBasis,
        check: MissedRowCheck,
        *,
        ordering: str,
        exact: bool = True,
        idle: npt.NDArray[np.intp] = _NONE,
        standing: int = 0,
        rivals: Array | None = None,
        excess: float = 0.0,
        refined: bool = False,
        row_error: Array | None = None,
        unseen: Array | None = None,
        skipped: npt.NDArray[np.intp],
        tol: float,
    ) -> "SparseRecovery":
        """Return the result with a status that says what is missing, and what to do about it."""
        k = basis.k
        evidence = np.sum(~mask, axis=1) - len(skipped) - (k - 1)
        if len(found) < k:
            status = (
                f"only {len(found)} of {k} independent rows were found; A is too dense or M too noisy for "
                "l1: pass more columns, a smaller k, or columns='pairs'"
            )
        else:
            status = f"{_counted(k, 'row')} from {_counted(found.n_programmes, 'programme')}"
            if found.n_uncertified:
                status += f", {found.n_uncertified} of them not certified to {tol:g}: raise tol or rescale M"
            if check.how == "random columns":
                status += (
                    "; a missed row of Algorithm 1's answer is possible with probability at most "
                    f"{check.failure_probability:.1e}"
                )
        unknown = np.zeros(len(rows)) if exact else np.full(len(rows), np.nan)
        row_error = unknown if row_error is None else row_error
        unseen = unknown if unseen is None else unseen
        worst = float(np.max(np.hypot(row_error, unseen), initial=0.0))
        if worst == np.inf:
            alike = _of_rows(np.flatnonzero(np.isinf(row_error)))
            status += (
                f"; no two zeros tell {alike} from combinations with another row: "
                "pass more samples or labels, or a smaller k"
            )
        elif worst > _TOLD:
            status += (
                f"; rows are known to ±{worst:.2g} only, weights too small to be seen included: "
                "pass more samples"
            )
        doubts = _doubts(rows, mask, evidence, basis, check, exact=exact, idle=idle, standing=standing)
        if excess > _MOST_EXCESS:
            doubts.append(
                f"what {_counted(k, 'row')} leave{'s' * (k == 1)} of M is {excess:.2g} standard deviations "
                "above its noise: raise k, or, if inputs are not as their score says, pass another score"
            )
        known = np.maximum(4.0 * row_error + unseen, _TOLD)
        if rivals is not None and (rivals > known).any():
            doubts.append(
                f"combinations of {_of_rows(np.flatnonzero(rivals > known))} with another, up to "
                f"{rivals.max():.2g} away, fit M as well with about as few weights: pass more samples"
            )
        return cls(
            rows,
            mask,
            basis.coefficients(found.W),
            evidence,
            found.gap,
            found.sources,
            found.n_programmes,
            found.n_uncertified,
            basis,
            ordering,
            refined,
            row_error,
            unseen,
            check,
            skipped,
            len(found) == k and not found.n_uncertified and not doubts and not worst > _TRUSTED,
            "; ".join([status, *doubts]),
        )


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'s' * (count != 1)}"


def _of_rows(numbers: npt.NDArray[np.intp]) -> str:
    """Name rows by number: "row 2", "rows 0 and 2", "rows 0, 1 and 2"."""
    *some, last = map(str, numbers)
    return f"rows {', '.join(some)} and {last}" if some else f"row {last}"


def _doubts(
    rows: Array,
    mask: npt.NDArray[np.bool_],
    evidence: npt.NDArray[np.intp],
    basis: RowBasis,
    check: MissedRowCheck,
    *,
    exact: bool,
    idle: npt.NDArray[np.intp],
    standing: int,
) -> list[str]:
    """Return what speaks against the rows found."""
    k, doubts = basis.k, []
    if standing > k:
        doubts.append(
            f"{standing} singular values of M stand out of its noise: {_counted(k, 'row')} "
            f"{'is' if k == 1 else 'are'} fewer than it holds, and the span found need not hold any of its "
            "rows; raise k"
        )
    if len(idle):
        doubts.append(
            f"{_of_rows(idle)} explain{'s' * (len(idle) == 1)} no more of M than rows fitted to its noise "
            "do: there is no evidence of more rows; pass a smaller k, or more samples"
        )
    generic = int(np.sum(evidence <= 0)) if k > 1 else 0
    if generic:
        doubts.append(
            f"{generic} of the rows {'has' if generic == 1 else 'have'} no more zeros than any vertex of a "
            f"span of dimension {k}: no evidence of rows of A, which is too dense, or k too large"
        )
    if exact and check.how not in ("expansion", "counting"):
        if pairs := sparser_pairs(rows, mask):
            doubts.append(
                f"rows {pairs[0][0]} and {pairs[0][1]} have a combination sparser than they are, so they "
                "are not the sparsest of the span: try columns='fast'"
            )
        elif k > 1 and not generic and tied(rows, mask) and proof_of(rows, mask, k) is None:
            doubts.append(
                "entries of equal size were found: then zeros do not tell rows from their combinations, and "
                "nothing proves that these are the sparsest of the span"
            )
    return doubts
