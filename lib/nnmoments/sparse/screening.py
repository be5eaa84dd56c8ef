r"""Certificates without solving: is a row already in hand the optimum of another column's programme?

Most columns of a planted M return one of its k rows. Given a row s = w^T Q and a column r, w is
optimal for r exactly if some z has :math:`Q z = t r`, :math:`z_i = \operatorname{sgn} s_i` where
s_i is not zero and |z_i| <= 1 elsewhere. This is a point in the intersection of an affine space and
a box, and the affine space has the same projector for all columns that share the row.
"""

import numpy as np
import numpy.typing as npt

from nnmoments.sparse.interior_points import certified_gap
from nnmoments.validation import Array

__all__ = ["screen"]

# The box is shrunk by this much: an intersection with interior is then reached in finitely many steps.
_MARGIN = 1e-3
# Planted columns took 4 steps on average, the slowest of 99 % fewer than this.
_STEPS = 25
# Entries below this share of a row's largest are zeros (rows come rounded to their vertex).
_ZERO = 1e-9
_CHUNK_DOUBLES = 1 << 20


def screen(
    Q: Array, R: Array, rows: Array, *, tol: float, keep_dual: bool = False
) -> tuple[npt.NDArray[np.bool_], Array, Array, Array | None]:
    """Try to certify, for each direction r, the row of least objective among those in hand.

    Parameters
    ----------
    Q : (k, n) array
        Orthonormal rows.
    R : (C, k) array
        Directions.
    rows : (m, k) array
        Candidate points w in the coordinates of Q.
    tol : float
        Certified relative gap that counts.
    keep_dual : bool

    Returns
    -------
    certified : (C,) bool array
    W : (C, k) array
        The candidate chosen for each direction, with r.w = 1; meaningful where certified.
    bound : (C,) array
        Certified lower bounds.
    Z : (C, n) array or None
        Dual points.
    """
    S = rows @ Q
    heights = R @ rows.T
    with np.errstate(divide="ignore"):
        objectives = np.abs(S).sum(axis=1) / np.abs(heights)
    choice = objectives.argmin(axis=1)
    W = rows[choice] / heights[np.arange(len(R)), choice][:, None]
    bound = np.zeros(len(R))
    duals = np.zeros((len(R), Q.shape[1])) if keep_dual else None
    size = max(16, _CHUNK_DOUBLES // Q.shape[1])
    for c in range(len(rows)):
        members = np.flatnonzero(choice == c)
        if not len(members):
            continue
        box = _Box(Q, S[c])
        for start in range(0, len(members), size):
            part = members[start : start + size]
            Z = box.search(R[part], objectives[part, c], np.sign(heights[part, c]))
            bound[part] = certified_gap(Q, R[part], W[part], Z)[1]
            if duals is not None:
                duals[part] = Z
    objective = objectives[np.arange(len(R)), choice]
    return 1.0 - bound / objective <= tol, W, bound, duals


class _Box:
    """Dual points of one row: its signs where the row is not zero, a box elsewhere."""

    def __init__(self, Q: Array, row: Array) -> None:
        self._zero = np.abs(row) <= _ZERO * np.abs(row).max()
        self._signs = np.sign(row[~self._zero])
        self._inside = np.ascontiguousarray(Q[:, self._zero])
        self._pull = Q[:, ~self._zero] @ self._signs
        gram = self._inside @ self._inside.T
        self._projector = np.linalg.pinv(gram, rcond=1e-10, hermitian=True) @ self._inside

    def search(self, R: Array, t: Array, signs: Array) -> Array:
        """Return z with Q z = t r for each direction, |z| <= 1 if Douglas-Rachford met the box."""
        Z = np.empty((len(R), len(self._zero)))
        Z[:, ~self._zero] = signs[:, None] * self._signs
        target = t[:, None] * R - signs[:, None] * self._pull
        open_ = np.arange(len(R))
        x = np.zeros((len(R), self._inside.shape[1]))
        for _ in range(_STEPS):
            on_space = x - (x @ self._inside.T - target[open_]) @ self._projector
            outside = np.abs(on_space).max(axis=1, initial=0.0) > 1.0
            if not outside.all():
                Z[np.ix_(open_[~outside], self._zero)] = on_space[~outside]
                open_, x, on_space = open_[outside], x[outside], on_space[outside]
            if not len(open_):
                return Z
            x += np.clip(2.0 * on_space - x, _MARGIN - 1.0, 1.0 - _MARGIN) - on_space
        Z[np.ix_(open_, self._zero)] = on_space
        return Z
