"""From a nearly optimal point of an l1 programme to the vertex it stands next to."""

import numpy as np

from nnmoments.validation import Array

__all__ = ["round_to_vertex"]

# Entries below these shares of the largest are tried as zeros, the widest first: each rounding
# makes the row accurate enough for the next, finer, look at what is zero.
_CUTS = (1e-3, 1e-4, 1e-5, 1e-7, 1e-9, 1e-11)


def round_to_vertex(Q: Array, w: Array) -> Array:
    """Return w with the entries of w^T Q that should vanish made to vanish, or w itself.

    At a vertex the columns of Q where s = w^T Q vanishes have rank k - 1, and w is orthogonal to
    them. So w is the null vector of Q_Z Q_Z^T, Z the entries that look like zeros. It is accepted
    only if its entries on Z do vanish to rounding; the caller judges it by its objective.

    Parameters
    ----------
    Q : (k, n) array
        Orthonormal rows.
    w : (k,) array

    Returns
    -------
    (k,) array
        In the direction of w, of the same length.
    """
    length = float(np.linalg.norm(w))
    for cut in _CUTS:
        row = np.abs(w @ Q)
        columns = Q[:, row <= cut * row.max()]
        values, vectors = np.linalg.eigh(columns @ columns.T)
        null = vectors[:, 0]
        if len(values) > 1 and values[1] <= 1e-8 * values[-1]:
            continue  # more than one dimension is left: not a vertex of this cut
        left = np.abs(null @ columns).max(initial=0.0)
        if left <= 1e-12 * np.abs(null @ Q).max():
            return null * (length if null @ w > 0 else -length)
        if left <= cut * np.abs(null @ Q).max():
            w = null * (length if null @ w > 0 else -length)
    return w
