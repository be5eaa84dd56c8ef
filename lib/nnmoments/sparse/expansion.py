r"""The deterministic condition of SA Remark 6, and what it proves about rows in hand."""

import itertools

import numpy as np
import numpy.typing as npt

from nnmoments.validation import check_array

__all__ = ["expansion_margin"]

# All 2^k subsets are visited up to this k; beyond it the margin is bounded from pairs.
_EXHAUSTIVE = 12


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
    zero. So at least :math:`|N(S)| - |S| + 1 > d_{\max}` entries remain.)

    For large k, with o the largest overlap of two supports and any :math:`t \le |S|` rows of least
    degrees, :math:`|N(S)| \ge \sum_{i \le t} \deg_i - \binom t2 o`.

    Parameters
    ----------
    support : (k, n) array_like of bool

    Returns
    -------
    int
        For k = 1 there is no such S; the result is then 0.

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
