r"""Algorithm 1 of Sedghi and Anandkumar, as it is printed."""

import numpy as np
import numpy.typing as npt

from nnmoments.sparse.programme import l1_programmes
from nnmoments.sparse.rows import Candidates, MissedRowCheck, SparseRecovery, support, unit
from nnmoments.validation import Array

__all__ = ["exact_rows", "l1_method", "sparsest_independent"]

# A row raises the rank if what it adds to the span of those kept exceeds this share of its length:
# planted rows add nearly all of theirs, a second copy of a row adds the solver's rounding.
_NEW = 1e-4


def l1_method(
    M: npt.ArrayLike,
    *,
    k: int | None = None,
    method: str = "batched",
    tol: float = 1e-9,
    rng: np.random.Generator | int | None = 0,
) -> SparseRecovery:
    r"""Recover the rows of a sparse A (k, n) from M = B A: one l1 programme a column. SA Algorithm 1.

    .. math:: s_j = w_j^\top M, \qquad w_j = \arg\min_w \|w^\top M\|_1
              \ \text{s.t.}\ (M e_j)^\top w = 1

    and of these the sparsest that are independent. Rows come up to order, sign and scale.

    Parameters
    ----------
    M : (n_y, n) array_like
        An exact moment; `recover_rows` also takes an estimated one.
    k : int, optional
        Number of rows; by default the rank of M.
    method, tol, rng : optional
        See `l1_programmes`.

    Returns
    -------
    SparseRecovery

    Raises
    ------
    ValueError
        If M vanishes, k is above its rank, or an argument does not fit.

    References
    ----------
    .. [1] H. Sedghi, A. Anandkumar, "Provable methods for training neural networks with sparse
       connectivity", Algorithm 1, arXiv:1412.2693.

    Examples
    --------
    >>> A = np.array([[3.0, 0.0, 4.0, 0.0, 0.0, 0.0], [0.0, 5.0, 0.0, 0.0, 12.0, 0.0]])
    >>> B = np.array([[1.0, 2.0], [2.0, -1.0], [0.0, 1.0]])
    >>> l1_method(B @ A).rows.round(6) + 0.0
    array([[0.6     , 0.      , 0.8     , 0.      , 0.      , 0.      ],
           [0.      , 0.384615, 0.      , 0.      , 0.923077, 0.      ]])
    """
    # for each j: solve min_w ||w^T M||_1 subject to (M e_j)^T w = 1, and set s_j = w^T M
    programmes = l1_programmes(M, k=k, method=method, tol=tol, rng=rng)
    S = Candidates.of(programmes, exact=True)  # each s_j once: copies do not raise the rank
    Q = programmes.basis.Q
    # for each i = 1 .. k: repeat v_i = argmin_{s in S} ||s||_0, S = S \ {v_i} until Rank([v_1 .. v_i]) = i
    V = S.keep(sparsest_independent(S.W, S.sparsities(Q, "l0"), programmes.basis.k))
    # A = [v_1 / ||v_1||, ..., v_k / ||v_k||]^T
    rows, mask = exact_rows(V.W @ Q)
    return SparseRecovery._of(
        V,
        rows,
        mask,
        programmes.basis,
        MissedRowCheck("all columns", V.n_programmes, 0.0, 0.0),
        ordering="l0",
        skipped=programmes.skipped,
        tol=programmes.tol,
    )


def exact_rows(rows: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return rows of unit length, zero where they differ from zero by rounding only; and where not."""
    rows = unit(rows)
    mask = support(rows)
    return unit(np.where(mask, rows, 0.0)), mask


def sparsest_independent(S: Array, norms: Array, k: int, *, new: float = _NEW) -> npt.NDArray[np.intp]:
    """Take rows in the order of their norms; keep those that raise the rank, k at most.

    Parameters
    ----------
    S : (C, m) array
        Candidates, also in the coordinates of an orthonormal basis, which keep lengths and angles.
    norms : (C,) array
        What is to be small: ||s||_0, or another measure of sparsity.
    k : int
    new : float
        Share of its length by which a row must leave the span of those kept.

    Returns
    -------
    int array
        Indices of the kept rows, sparsest first; fewer than k if they do not span.
    """
    rest = unit(S)  # what each candidate adds to the span of those kept
    kept: list[int] = []
    for j in np.argsort(norms, kind="stable"):
        length = np.linalg.norm(rest[j])
        if len(kept) < k and length > new:
            kept.append(int(j))
            v = rest[j] / length
            rest = rest - np.outer(rest @ v, v)
    return np.asarray(kept, dtype=np.intp)
