r"""Rows of an estimated moment: support by standard errors, least squares on it, exchange of rows.

An l1 row is a combination w^T M of noisy rows, dense by the noise. Once the support is known the
model :math:`M = B A + E` has few parameters, and least squares over B and the nonzero entries of A
averages the noise over them. Sets of rows are judged as a whole: does M = B A fit, with few weights?
"""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nnmoments.chunks import row_chunks
from nnmoments.sparse.programme import RowBasis, check_standard_error
from nnmoments.sparse.rows import support, unit
from nnmoments.validation import Array, check_array, check_integer

__all__ = [
    "MOST_ROWS",
    "check_comparable",
    "combined_rows",
    "excess",
    "exchange_rows",
    "fits",
    "idle_rows",
    "noisy_rows",
    "refine_rows",
    "refined_rows",
    "row_errors",
    "unseen_weights",
]

_MAX_ITER = 30
# Change of a unit row below which another round is pointless next to the noise.
_STILL = 1e-6
# Rounds of refinement before two sets of rows are compared, and candidates tried at most.
_ROUNDS_TO_COMPARE = 5
_MOST_CANDIDATES, _MOST_EXCHANGES = 15, 10
# Information criteria that differ by less leave both sets of rows possible: odds below e^2.5 = 12. Where
# rows are not known as well as this, so that weights hide in the noise, twice as much is asked.
_UNDECIDED, _WELL_KNOWN = 5.0, 0.05
# Weights more than a row has that its rival may have before it is looked at.
_MORE = 2
# Candidates more parallel than this are one row.
_SAME = 0.95
_CHUNK_DOUBLES = 1 << 22
_UNEQUAL = 1e100
#: Rows whose errors are found at most, and their combinations tried: k (k - 1) unknowns, and matrices of
#: as many squared.
MOST_ROWS = 40
# What second derivatives are given in directions that they do not see, so that they can be inverted.
_UNSEEN = 1e-13


def check_comparable(M: Array, error: Array) -> None:
    """Refuse standard errors so far from M in size that squares of one are no numbers beside the other's."""
    with np.errstate(over="ignore"):
        ratio = float(error.max()) / max(float(np.abs(M).max()), np.finfo(np.float64).tiny)
    if not 1.0 / _UNEQUAL < ratio < _UNEQUAL:
        raise ValueError(f"standard_error must be comparable to M, got {ratio:.1e} times its entries")


def noisy_rows(
    M: Array, error: Array, basis: RowBasis, W: Array, *, refine: bool
) -> tuple[Array, npt.NDArray[np.bool_], bool]:
    """Return l1 rows of unit length, their support, and whether they were refined on it."""
    rows = unit(W @ basis.Q)
    if refine and len(rows) == basis.k:
        return (*refined_rows(M, error, rows), True)
    weights = basis.coefficients(unit(W))
    mask = support(rows, np.sqrt(weights**2 @ error**2))
    return unit(rows), mask, False


def refine_rows(
    M: npt.ArrayLike, standard_error: npt.ArrayLike, rows: npt.ArrayLike, *, max_iter: int = _MAX_ITER
) -> tuple[Array, npt.NDArray[np.bool_]]:
    r"""Alternate least squares for B and for A on its support, the support by its standard errors.

    .. math:: \min_{B,\, A:\ \operatorname{supp} A \subseteq \Omega} \|D (M - B A)\|_F^2

    with D the inverse noise levels of the labels. In each round the unrestricted
    :math:`(DB)^+ D M` and its standard errors give Omega, and A is solved for on it.

    Parameters
    ----------
    M, standard_error : (n_y, n) array_like
    rows : (k, n) array_like
        A start, for instance l1 rows.
    max_iter : int
        Rounds at most; fewer if the rows stop moving.

    Returns
    -------
    rows : (k, n) array
        Of unit length; zero off the support.
    support : (k, n) bool array

    Raises
    ------
    ValueError
        If shapes do not agree, a standard error is negative or all are zero, or the rows are dependent.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> A = np.array([[0.6, 0.0, 0.8, 0.0], [0.0, 1.0, 0.0, 0.0]])
    >>> M = np.array([[1.0, 2.0], [2.0, -1.0], [0.0, 1.0]]) @ A
    >>> noise = 1e-3 * rng.standard_normal(M.shape)
    >>> rows, mask = refine_rows(M + noise, np.full(M.shape, 1e-3), A + 1e-3)
    >>> mask.astype(int)
    array([[1, 0, 1, 0],
           [0, 1, 0, 0]])
    """
    M = check_array("M", M, ndim=2)
    error = check_standard_error(standard_error, M)
    if not error.any():
        raise ValueError("standard_error must not be zero everywhere: an exact M needs no refinement")
    check_comparable(M, error)
    rows = check_array("rows", rows, shape=(None, M.shape[1]))
    if len(rows) > len(M) or np.linalg.matrix_rank(rows) < len(rows):
        raise ValueError(f"rows must be independent, and at most as many as M has: {len(M)}, got {len(rows)}")
    if np.linalg.matrix_rank(M @ np.linalg.pinv(rows)) < len(rows):
        raise ValueError("rows must be in the row space of M, which has less dimensions of them")
    scale = np.abs(M).max()
    return refined_rows(M / scale, error / scale, rows, max_iter=check_integer("max_iter", max_iter, 1))


def refined_rows(
    M: Array, standard_error: Array, rows: Array, *, max_iter: int = _MAX_ITER
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return what `refine_rows` does, of arguments known to fit."""
    target, error = _weighted(M, standard_error)
    A = unit(rows)
    mask = np.ones(A.shape, dtype=bool)
    for _ in range(max_iter):
        B = np.asarray(np.linalg.lstsq(A.T, target.T, rcond=None)[0].T, dtype=np.float64)
        if np.linalg.matrix_rank(B.T @ B, hermitian=True) < len(A):  # rows that M does not hold
            break
        inverse = np.linalg.pinv(B)
        free = inverse @ target
        mask = support(free, np.sqrt(inverse**2 @ error**2))
        # A row is never given up: its largest entry stays.
        mask[np.arange(len(A)), np.abs(free).argmax(axis=1)] = True
        fitted = _masked_least_squares(B, target, mask)
        lengths = np.linalg.norm(fitted, axis=1, keepdims=True)
        if not (lengths > 0).all():
            break
        fitted /= lengths
        change = float(np.abs(np.abs(np.einsum("ij,ij->i", fitted, A)) - 1.0).max())
        A = fitted
        if change < _STILL**2 or np.linalg.matrix_rank(A) < len(A):
            break
    return A, mask


def _weighted(M: Array, standard_error: Array) -> tuple[Array, Array]:
    """Return M and its standard errors in units of the noise of each label."""
    largest = standard_error.max()
    level = largest * np.sqrt(((standard_error / largest) ** 2).mean(axis=1, keepdims=True))
    level = np.maximum(level, 1e-3 * level.max())
    return np.asarray(M / level), np.asarray(standard_error / level)


def _masked_least_squares(B: Array, target: Array, mask: npt.NDArray[np.bool_]) -> Array:
    """Solve min ||target_j - B a_j||, a_j zero off mask_j, for every column j at once."""
    gram, right = B.T @ B, B.T @ target
    solution = np.zeros(mask.shape)
    off = ~mask.T
    for part in row_chunks(mask.shape[1], gram.size, doubles=_CHUNK_DOUBLES):
        # Off the mask: the unit matrix and a right-hand side of zero.
        matrix = np.where(off[part, :, None] | off[part, None, :], 0.0, gram)
        diagonal = np.einsum("nii->ni", matrix)
        diagonal[off[part]] = 1.0
        values = np.where(off[part], 0.0, right[:, part].T)
        solution[:, part] = np.linalg.solve(matrix, values[:, :, None])[:, :, 0].T
    return solution


def row_errors(M: Array, standard_error: Array, rows: Array, mask: npt.NDArray[np.bool_]) -> Array:
    r"""Return the standard error of each refined row, :math:`(E\|\hat a_l - a_l\|^2)^{1/2}` to first order.

    With e_j the error of column j of :math:`(DB)^+ D M`, G = (DB)^T DB and S_j the support in column j,
    least squares for B and A have the errors

    .. math:: \delta a_j = H_j G (e_j - T a_j), \qquad \sum_j P_j (e_j - T a_j) a_j^\top = 0

    where H_j is the inverse of G on S_j, :math:`P_j = G - G H_j G`, and T says how the rows mix: an error
    of B outside the span of its columns has no part. T's diagonal is 0, for lengths are free, and what is
    left of them is projected out. It is the information of the model where errors of a label are equal.

    Errors of entries count as independent, the support as known (`unseen_weights`). Any combination of
    rows can have one zero: a row that only one tells from its combinations has an infinite error.
    (Indicators of n_y classes are negatively correlated; errors are then up to
    :math:`\sqrt{n_y / (n_y - 1)}` larger for equally frequent ones.) With more than 40 rows errors are not
    known: NaN.

    Parameters
    ----------
    M, standard_error : (n_y, n) arrays
    rows : (k, n) array
        Of unit length.
    mask : (k, n) bool array
        Their support.

    Returns
    -------
    (k,) array

    Examples
    --------
    >>> row = np.array([[0.6, 0.8]])
    >>> row_errors(5.0 * row, np.full((1, 2), 0.1), row, row != 0).round(6)
    array([0.02])
    """
    k, n = rows.shape
    if k > MOST_ROWS:
        return np.full(k, np.nan)
    target, error = _weighted(M, standard_error)
    B = np.linalg.lstsq(rows.T, target.T, rcond=None)[0].T
    size = float(np.linalg.norm(B))
    B, error = B / size, error / size
    G, inverse = B.T @ B, np.linalg.pinv(B)
    if np.linalg.matrix_rank(G, hermitian=True) < k:
        return np.full(k, np.inf)
    free = ~np.eye(k, dtype=bool).ravel()  # T_lm, l != m
    n_free = int(free.sum())
    chunks = list(row_chunks(n, 8 * k * k, doubles=_CHUNK_DOUBLES))

    def column_terms(part: slice) -> tuple[Array, Array, Array]:
        """Return H_j G, P_j and the covariance of e_j for these columns."""
        on = mask[:, part].T
        both = on[:, :, None] & on[:, None, :]
        matrix = np.where(both, G, 0.0)
        diagonal = np.einsum("nii->ni", matrix)
        diagonal[~on] = 1.0
        HG = np.where(both, np.linalg.inv(matrix), 0.0) @ G
        P = np.where(on[:, :, None] | on[:, None, :], 0.0, G - G @ HG)
        return HG, P, (inverse * error[:, part].T[:, None, :] ** 2) @ inverse.T

    def paired(left: Array, a: Array) -> Array:
        """Return the products of left_l and a_m, l != m."""
        return np.asarray((left[:, :, None] * a[:, None, :]).reshape(len(a), -1)[:, free])

    J, K = np.zeros((2, k * k, k * k))
    for part in chunks:
        _, P, covariance = column_terms(part)
        a = rows[:, part].T
        squares = (a[:, :, None] * a[:, None, :]).reshape(len(a), -1)
        J += P.reshape(len(a), -1).T @ squares
        K += (P @ covariance @ P).reshape(len(a), -1).T @ squares
    # (l l', m m') -> (l m, l' m')
    J, K = (
        x.reshape(k, k, k, k).transpose(0, 2, 1, 3).reshape(k * k, -1)[np.ix_(free, free)] for x in (J, K)
    )
    scale = np.sqrt(np.where(np.diag(J) > 1e-200, np.diag(J), 1.0))
    inside = np.linalg.inv(J / scale / scale[:, None] + _UNSEEN * np.eye(n_free)) / scale / scale[:, None]
    spread = inside @ K @ inside
    total, along = np.zeros((2, k))  # E |delta a_l|^2, and of its part along a_l
    slope, cross = np.zeros((2, k, n_free))
    for part in chunks:
        HG, P, covariance = column_terms(part)
        for i in range(k):
            on = mask[i, part]
            a, q = rows[:, part].T[on], HG[on, i]
            noise = np.einsum("nij,nj->ni", covariance[on], q)
            own = np.einsum("ni,ni->n", q, noise)
            F, shared = paired(q, a), paired(np.einsum("nij,nj->ni", P[on], noise), a)
            total[i] += float(own.sum() + np.sum(F * (F @ spread - 2.0 * shared @ inside)))
            along[i] += float(a[:, i] ** 2 @ own)
            slope[i] += a[:, i] @ F
            cross[i] += a[:, i] @ shared
    along += np.einsum("li,li->l", slope, slope @ spread - 2.0 * cross @ inside)
    found = np.sqrt(np.maximum(total - along, 0.0))
    found[[not _told_apart(np.delete(rows, i, axis=0)[:, ~mask[i]].T) for i in range(k)]] = np.inf
    return np.asarray(found)


def _told_apart(others: Array) -> bool:
    """Say whether the other rows, at the zeros of a row, are independent whichever zero is left out."""
    if not others.shape[1]:
        return True
    if len(others) <= others.shape[1] or np.linalg.matrix_rank(others) < others.shape[1]:
        return False
    leverage = np.sum(np.linalg.qr(others)[0] ** 2, axis=1)
    return bool(leverage.max() < 1.0 - 1e-9)


def unseen_weights(M: Array, standard_error: Array, rows: Array, mask: npt.NDArray[np.bool_]) -> Array:
    r"""Return how long the weights off the support may be, of each row: what is too small to be seen.

    .. math:: \Big(\max(0, E_l) + 2 \sqrt{V_l}\Big)^{1/2}, \qquad
              E_l = \sum_{j \notin S_l} (\hat a_{lj}^2 - \sigma_{lj}^2), \qquad
              V_l = \sum_{j \notin S_l} (4 \sigma_{lj}^2 \hat a_{lj}^2 - 2 \sigma_{lj}^4)

    with :math:`\hat a = (DB)^+ D M` and its standard errors sigma: unbiased estimates of the squared length
    and of the first one's variance, which is at least :math:`2 \sum_j \sigma_{lj}^4`.

    Parameters
    ----------
    M, standard_error : (n_y, n) arrays
    rows : (k, n) array
        Of unit length.
    mask : (k, n) bool array
        Their support.

    Returns
    -------
    (k,) array

    Examples
    --------
    >>> row, mask = np.array([[0.6, 0.8, 0.0]]), np.array([[True, True, False]])
    >>> unseen_weights(row + [0.0, 0.0, 0.1], np.full((1, 3), 0.05), row, mask).round(3)
    array([0.162])
    """
    target, error = _weighted(M, standard_error)
    inverse = np.linalg.pinv(np.linalg.lstsq(rows.T, target.T, rcond=None)[0].T)
    variance = np.where(mask, 0.0, inverse**2 @ error**2)
    squares = np.where(mask, 0.0, inverse @ target) ** 2
    least = 2.0 * np.sum(variance**2, axis=1)
    spread = np.sqrt(np.maximum(4.0 * np.sum(variance * squares, axis=1) - least, least))
    return np.asarray(np.sqrt(np.maximum(np.sum(squares - variance, axis=1), 0.0) + 2.0 * spread))


def _misfit(M: Array, error: Array, rows: Array) -> float:
    """Chi-square of the best B for these rows."""
    B = np.linalg.lstsq(rows.T, M.T, rcond=None)[0].T if len(rows) else np.zeros((len(M), 0))
    scale = np.maximum(error, 1e-3 * error.max())
    return float(np.sum(((M - B @ rows) / scale) ** 2))


def fits(M: Array, error: Array, rows: Array) -> bool:
    """Say whether the residual of M = B A is within four standard deviations of its expectation."""
    return _misfit(M, error, rows) <= M.size + 4.0 * np.sqrt(2.0 * M.size)


def idle_rows(M: Array, error: Array, rows: Array, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    r"""Return the rows without which M fits as well: by less than :math:`\ln(n_y n)` a parameter (BIC).

    A row with m weights and its column of B have :math:`m + n_y - 1` parameters.
    """
    whole = _misfit(M, error, rows)
    gains = np.array([_misfit(M, error, np.delete(rows, i, axis=0)) for i in range(len(rows))]) - whole
    return np.flatnonzero(gains < np.log(M.size) * (mask.sum(axis=1) + len(M) - 1))


def excess(M: Array, error: Array, rows: Array) -> float:
    r"""Return what is left of M beyond the span of B, in standard deviations of what noise leaves there.

    With :math:`P = I - (DB)(DB)^+` it is :math:`\|P D M\|_F^2` less its expectation
    :math:`(1 - k/n) \sum_{aj} P_{aa} s_{aj}^2`, over the root of
    :math:`2 \sum_{abj} P_{ab}^2 s_{aj}^2 s_{bj}^2`, for independent errors of standard deviations s. Those of
    indicators of classes leave less. Weights off the support are in the span, and do not count.

    Parameters
    ----------
    M, error : (n_y, n) arrays
    rows : (k, n) array

    Returns
    -------
    float

    Examples
    --------
    >>> rows, M = np.array([[0.6, 0.8, 0.0]]), np.array([[1.2, 1.6, 0.0], [0.0, 0.0, 1.0]])
    >>> small, large = np.full((2, 3), 0.1), np.full((2, 3), 1.0)
    >>> excess(M, small, rows) > 5.0, excess(M, large, rows) < 5.0
    (True, True)
    """
    target, scaled = _weighted(M, error)
    B = np.linalg.lstsq(rows.T, target.T, rcond=None)[0].T
    P = np.eye(len(M)) - B @ np.linalg.pinv(B)
    squares = scaled**2
    expected = (1.0 - len(rows) / M.shape[1]) * float(np.sum(np.diag(P)[:, None] * squares))
    spread = float(np.sqrt(2.0 * np.sum((P**2 @ squares) * squares)))
    left = float(np.sum((P @ target) ** 2)) - expected
    return left / spread if len(rows) < len(M) and spread > 0.0 else 0.0


def combined_rows(M: Array, error: Array, rows: Array) -> tuple[Array, npt.NDArray[np.bool_], Array]:
    r"""Replace rows by their combinations with others while :math:`\chi^2 + \ln(n_y n) \|A\|_0` falls.

    Where all rows but one are right, the last is :math:`a_i - c\,a_j` where A has a sparser row. Both fit M,
    and c is the ratio of the two rows in a column where the right row has no weight.

    Parameters
    ----------
    M, error : (n_y, n) arrays
    rows : (k, n) array
        Refined rows, of unit length.

    Returns
    -------
    rows : (k, n) array
    support : (k, n) bool array
    rivals : (k,) array
        How far the farthest combination is from each row, of those whose criterion is within 5 of the best,
        or 10 where a row is known to .05 only: then M does not tell which of the two is a row of A. Each
        weight more is a zero of the rows that would be a coincidence, were the combination right, as rare
        as the rows are known well: it counts :math:`2 \ln(1/\text{error})`.
    """
    k = len(rows)
    best, rows, mask = _criterion(M, error, rows)
    for _ in range(_MOST_EXCHANGES):
        found = [
            (i, *_criterion(M, error, changed, rounds=_ROUNDS_TO_COMPARE))
            for i, changed in _combinations(M, error, rows, mask)
        ]
        least = min(found, key=lambda option: option[1], default=None)
        if least is None or least[1] >= best - 1e-6:
            break
        _, best, rows, mask = least
    best, rows, mask = _criterion(M, error, rows)
    rivals = np.zeros(k)
    known = np.hypot(row_errors(M, error, rows, mask), unseen_weights(M, error, rows, mask)).max()
    level = best + _UNDECIDED * (1.0 if known <= _WELL_KNOWN else 2.0)
    coincidence = -2.0 * float(np.log(np.clip(known, np.finfo(np.float64).tiny, 1.0)))
    for i, value, other, on in found:
        if value + coincidence * max(int(on.sum() - mask.sum()), 0) < level:
            cosine = float(np.abs(other @ rows[i]).max())
            rivals[i] = max(rivals[i], float(np.sqrt(max(2.0 - 2.0 * cosine, 0.0))))
    return rows, mask, rivals


def _criterion(
    M: Array, error: Array, rows: Array, *, rounds: int = _MAX_ITER
) -> tuple[float, Array, npt.NDArray[np.bool_]]:
    """Return chi-square and ln(n_y n) a weight of the refined rows, these, and their support."""
    fitted, mask = refined_rows(M, error, rows, max_iter=rounds)
    return _misfit(M, error, fitted) + float(np.log(M.size) * mask.sum()), fitted, mask


def _combinations(
    M: Array, error: Array, rows: Array, mask: npt.NDArray[np.bool_]
) -> list[tuple[int, Array]]:
    """Return i and the rows with the sparsest combination of rows i and j for row i, where most is gained."""
    target, scaled = _weighted(M, error)
    inverse = np.linalg.pinv(np.linalg.lstsq(rows.T, target.T, rcond=None)[0].T)
    free = inverse @ target
    found: list[tuple[int, int, Array]] = []
    for i, j in itertools.permutations(range(len(rows)), 2):
        shared = mask[i] & mask[j] & (free[j] != 0.0)
        ratios = free[i, shared] / free[j, shared]
        if not len(ratios):
            continue
        combined = free[i] - ratios[:, None] * free[j]
        noise = np.sqrt((inverse[i] - ratios[:, None] * inverse[j]) ** 2 @ scaled**2)
        on = np.array(
            [support(row[None], level[None])[0] for row, level in zip(combined, noise, strict=True)]
        )
        least = int(on.sum(axis=1).argmin())
        if 0 < on[least].sum() <= mask[i].sum() + _MORE:
            changed = rows.copy()
            changed[i] = np.where(on[least], combined[least], 0.0) / np.linalg.norm(
                combined[least, on[least]]
            )
            if np.linalg.matrix_rank(changed) == len(rows):
                found.append((int(on[least].sum() - mask[i].sum()), i, changed))
    found.sort(key=lambda option: option[0])
    return [(i, changed) for _, i, changed in found[:_MOST_CANDIDATES]]


def exchange_rows(M: Array, error: Array, starts: Sequence[Array], candidates: Array) -> Array:
    r"""Exchange rows for candidates while that lowers :math:`\chi^2 + \ln(n_y n) \|A\|_0` (BIC).

    Under noise a combination of two rows can look sparser than either, so that no order of single
    candidates is safe; a set with a wrong row fits M worse, or needs more weights.

    Parameters
    ----------
    M, error : (n_y, n) arrays
    starts : sequence of (k, n) arrays
        Sets of unit rows; the best of them is improved.
    candidates : (m, n) array
        Unit rows.

    Returns
    -------
    (k, n) array
        Unit rows; the first start unless another set is clearly better and fits.
    """

    def judged(set_of_rows: Array) -> float:
        return _criterion(M, error, set_of_rows, rounds=_ROUNDS_TO_COMPARE)[0]

    # The sets differ in one row and its column of B: by four standard deviations of a chi-square with
    # so many degrees of freedom two good fits hardly differ.
    step = 4.0 * float(np.sqrt(2.0 * sum(M.shape)))
    rows, best = starts[0], judged(starts[0])
    for other in starts[1:]:
        if (value := judged(other)) < best - step:
            rows, best = other, value
    different: list[Array] = []
    for row in candidates:
        if all(abs(row @ other) < _SAME for other in [*rows, *different]):
            different.append(row)
    for row in different[:_MOST_CANDIDATES]:
        # It can only replace a row that it resembles: the others would leave a gap in the span.
        share = np.abs(np.linalg.lstsq(rows.T, row, rcond=None)[0])
        for place in np.argsort(-share)[:2]:
            changed = rows.copy()
            changed[place] = row
            if (value := judged(changed)) < best - step:
                rows, best = changed, value
                break
    # Where no set fits (weights below the noise), there is no ground to prefer another.
    return rows if fits(M, error, refined_rows(M, error, rows)[0]) else starts[0]
