r"""Which of the candidate rows are the rows of A: Algorithm 1's greedy choice, and one for noise.

Algorithm 1 takes the candidates by :math:`\|s\|_0` and keeps those that raise the rank. On an
estimated moment every candidate is dense and the order by l0 says nothing. The ratio
:math:`\|s\|_1 / \|s\|_2` does not jump: it is scale-free, lies between 1 (one entry) and
:math:`\sqrt n` (all entries equal), and moves by the noise only.
"""

import numpy as np
import numpy.typing as npt

from nnmoments.validation import Array

__all__ = ["FALSE_ENTRY", "select_rows", "sparsity", "support"]

# Entries below this share of a row's largest count as zeros in an exact row.
_ZERO = 1e-7
# A row joins those kept if what it adds to their span exceeds this share of its length; planted
# rows add nearly all of theirs, a second copy of a row adds the solver's rounding.
_NEW = 1e-4
# The same on an estimate, where copies of a row differ by the noise.
_NEW_NOISY = 0.35
#: Probability that a threshold takes any noise entry for a weight.
FALSE_ENTRY = 0.01


def support(rows: Array, standard_error: Array | None = None) -> npt.NDArray[np.bool_]:
    r"""Return which entries of the rows differ from zero.

    Without standard errors, those above rounding. With them, those beyond
    :math:`\sqrt{2 \ln(p / 0.01)}` standard errors, p the number of entries: if all were noise, the
    probability that any is taken for a weight would be below 0.01 (union bound over Gaussian tails).

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
    """Return ||s||_0 ("l0") or ||s||_1 / ||s||_2 ("ratio") of each row; small is sparse.

    Examples
    --------
    >>> sparsity(np.array([[0.0, 2.0], [1.0, 1.0]]), "ratio").round(3)
    array([1.   , 1.414])
    """
    if ordering == "l0":
        return support(rows).sum(axis=1).astype(np.float64)
    return np.asarray(np.abs(rows).sum(axis=1) / np.linalg.norm(rows, axis=1))


def select_rows(W: Array, scores: Array, k: int, *, noisy: bool) -> npt.NDArray[np.intp]:
    """Take candidates in the order of their scores; keep those that raise the rank, k at most.

    Parameters
    ----------
    W : (C, k) array
        Candidates in the coordinates of an orthonormal row basis, so lengths and angles are those
        of the rows.
    scores : (C,) array
    k : int
    noisy : bool
        Whether copies of one row differ by more than rounding.

    Returns
    -------
    int array
        Indices of the kept candidates, sparsest first; fewer than k if they do not span.
    """
    units = W / np.linalg.norm(W, axis=1, keepdims=True)
    new = _NEW_NOISY if noisy else _NEW
    rest = units.copy()  # what each candidate adds to the span of those kept
    chosen: list[int] = []
    for i in np.argsort(scores, kind="stable"):
        length = np.linalg.norm(rest[i])
        if length <= new:
            continue
        chosen.append(int(i))
        if len(chosen) == k:
            break
        axis = rest[i] / length
        rest = rest - np.outer(rest @ axis, axis)
    return np.asarray(chosen, dtype=np.intp)
