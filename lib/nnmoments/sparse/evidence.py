r"""What rows found say for themselves: zeros beyond a generic vertex, supports that expand, equal entries."""

import itertools

import numpy as np
import numpy.typing as npt

from nnmoments.validation import Array, check_array

__all__ = ["expansion_margin", "proof_of", "sparser_pairs", "tied", "without_sparser_pairs"]

# All 2^k subsets are visited up to these k; beyond the first the margin is bounded from pairs.
_EXHAUSTIVE, _EXHAUSTIVE_COUNTS = 12, 10
# Numbers that agree to this are equal by design: of 500 random ones no two do, but for one case in 10^5.
_EQUAL = 1e-10

_Mask = npt.NDArray[np.bool_]


def proof_of(rows: Array, mask: _Mask, k: int) -> str | None:
    """Say what proves that every vector of the span, multiples of a row aside, is denser than the rows.

    Parameters
    ----------
    rows : (m, n) array
    mask : (m, n) bool array
    k : int
        Rows that are looked for.

    Returns
    -------
    {"expansion", "counting"} or None
        The condition of SA Remark 6, which holds for almost all values of the entries; or, where equal
        entries show that the values are not among these, a count of what can vanish at most.
    """
    if len(rows) < k:
        return None
    if not tied(rows, mask):
        return "expansion" if expansion_margin(mask) >= 0 else None
    return (
        "counting" if k <= _EXHAUSTIVE_COUNTS and _least_count(rows, mask) > mask.sum(axis=1).max() else None
    )


def tied(rows: Array, mask: _Mask) -> bool:
    """Say whether entries of a row, or ratios of two rows, agree: values of no continuous law."""
    if any(_most_equal(np.abs(row[nonzero])) > 1 for row, nonzero in zip(rows, mask, strict=True)):
        return True
    pairs = itertools.combinations(range(len(rows)), 2)
    return any(_most_equal(_ratios(rows, mask, i, j)) > 1 for i, j in pairs)


def sparser_pairs(rows: Array, mask: _Mask) -> list[tuple[int, int, float]]:
    """Return (i, j, c) where row_i - c row_j has fewer nonzeros than the denser of the two."""
    sizes, found = mask.sum(axis=1), []
    for i, j in itertools.combinations(range(len(rows)), 2):
        common = int((mask[i] & mask[j]).sum())
        needed = min(sizes[i], sizes[j]) - common  # so many entries more than these must vanish
        if common > needed:
            ratios = np.sort(_ratios(rows, mask, i, j))
            starts, lengths = _runs(ratios)
            if lengths.max() > needed:
                found.append((i, j, float(ratios[starts[lengths.argmax()]])))
    return found


def without_sparser_pairs(W: Array, Q: Array) -> Array:
    """Replace the denser of two rows w^T Q by their combination as long as one is sparser."""
    W = W.copy()
    while True:
        rows = W @ Q
        mask = np.abs(rows) > 1e-7 * np.abs(rows).max(axis=1, keepdims=True)
        pairs = sparser_pairs(rows, mask)
        if not pairs:
            return W
        i, j, c = pairs[0]
        w = W[i] - c * W[j]
        W[i if mask[i].sum() >= mask[j].sum() else j] = w / np.linalg.norm(w)


def _ratios(rows: Array, mask: _Mask, i: int, j: int) -> Array:
    both = mask[i] & mask[j]
    return np.asarray(rows[i, both] / rows[j, both])


def _runs(values: Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return where runs of equal numbers start in a sorted array, and how long they are."""
    new = np.diff(values, prepend=-np.inf) > _EQUAL * np.abs(values)
    starts = np.flatnonzero(new)
    return starts, np.diff(starts, append=len(values))


def _most_equal(values: Array) -> int:
    return int(_runs(np.sort(values))[1].max(initial=0))


def _least_count(rows: Array, mask: _Mask) -> int:
    r"""Return a lower bound on the nonzeros of any combination of two or more rows, whatever its weights.

    In the combination of exactly the rows in S, an entry stays where one row of S is not zero; where
    just two are, i and j, it vanishes for one ratio of weights only, so at most as many vanish as the
    ratio a_i / a_j takes one value; where more are, all may vanish.
    """
    least = mask.shape[1]
    for size in range(2, len(rows) + 1):
        for S in map(list, itertools.combinations(range(len(rows)), size)):
            held = mask[S].sum(axis=0)
            count = int((held == 1).sum())
            two = mask & (held == 2)
            for i, j in itertools.combinations(S, 2):
                ratios = _ratios(rows, two, i, j)
                count += len(ratios) - _most_equal(ratios)
            least = min(least, count)
    return least


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
