r"""Rows that need no solve: where to look for them, when one is another column's optimum, its vertex.

Most columns of a planted M return one of its k rows. Given a row s = w^T Q and a column r, w is
optimal for r exactly if some z has :math:`Q z = t r`, :math:`z_i = \operatorname{sgn} s_i` where
s_i is not zero and |z_i| <= 1 elsewhere. This is a point in the intersection of an affine space and
a box, and the affine space has the same projector for all columns that share the row.
"""

import numpy as np
import numpy.typing as npt

from nnmoments.chunks import CHUNK_DOUBLES, row_chunks
from nnmoments.sparse.solvers import duality_gap
from nnmoments.validation import Array

__all__ = ["candidate_directions", "round_to_vertex", "screen"]

# Directions only need to be near enough for a linear programme to take them to a row.
_NEAR = 1e-4
_MAX_ITER = 200
# The box is shrunk by this much: an intersection with interior is then reached in finitely many steps.
_MARGIN = 1e-3
# Planted columns took 4 steps on average, the slowest of 99 % fewer than this.
_STEPS = 25
# Entries below this share of a row's largest are zeros (rows come rounded to their vertex).
_ZERO = 1e-9
_LEAST_COLUMNS = 16
# Entries below these shares of the largest are tried as zeros, the widest first: each rounding
# makes the row accurate enough for the next, finer, look at what is zero.
_CUTS = (1e-3, 1e-4, 1e-5, 1e-7, 1e-9, 1e-11)


def candidate_directions(Q: Array, *, rng: np.random.Generator) -> Array:
    r"""Return k orthonormal directions u in which the entries of u^T Q are least Gaussian.

    The fixed point of symmetric FastICA with the log cosh contrast [1]_ on the columns of Q,
    uncentred, since a row of a sparse matrix has its mass at zero, not at its mean:

    .. math:: u \leftarrow E[x \tanh(u^\top x)] - E[1 - \tanh^2(u^\top x)]\, u,
              \qquad x = \sqrt n\, Q_{\cdot j}.

    The rows sought are nearly, not exactly, orthogonal: a direction is off by a tenth, and
    one l1 programme each takes it to the row.

    Parameters
    ----------
    Q : (k, n) array
        Orthonormal rows.
    rng : Generator
        For the start.

    Returns
    -------
    (k, k) array
        Orthonormal rows.

    References
    ----------
    .. [1] A. Hyvarinen, "Fast and robust fixed-point algorithms for independent component
       analysis", IEEE Transactions on Neural Networks 10, 1999, doi:10.1109/72.761722.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((3, 400)) * (rng.random((3, 400)) < 0.2)
    >>> Q = np.linalg.svd(A, full_matrices=False)[2]
    >>> U = candidate_directions(Q, rng=rng)
    >>> bool(np.abs(U @ (Q @ A.T) / np.linalg.norm(A, axis=1)).max(axis=0).min() > 0.95)
    True
    """
    k, n = Q.shape
    X = np.sqrt(n) * Q
    U = np.linalg.qr(rng.standard_normal((k, k)))[0]
    for _ in range(_MAX_ITER):
        G = np.tanh(U @ X)
        moved = G @ X.T / n - (1.0 - (G**2).mean(axis=1))[:, None] * U
        left, _, right = np.linalg.svd(moved)
        U, last = left @ right, U
        if 1.0 - np.abs(np.einsum("ij,ij->i", U, last)).min() < _NEAR:
            break
    return np.asarray(U)


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
    n = Q.shape[1]
    for c in range(len(rows)):
        members = np.flatnonzero(choice == c)
        if not len(members):
            continue
        box = _Box(Q, S[c])
        for chunk in row_chunks(len(members), n, doubles=max(CHUNK_DOUBLES, _LEAST_COLUMNS * n)):
            part = members[chunk]
            Z = box.search(R[part], objectives[part, c], np.sign(heights[part, c]))
            bound[part] = duality_gap(Q, R[part], W[part], Z)[1]
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
