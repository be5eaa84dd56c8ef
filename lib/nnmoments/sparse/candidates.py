"""Directions near the rows of a sparse matrix, from its orthonormal row basis alone."""

import numpy as np

from nnmoments.validation import Array

__all__ = ["candidate_directions"]

# The directions only need to be near enough for a linear programme to round them.
_TOLERANCE = 1e-4
_MAX_ITER = 200


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
        if 1.0 - np.abs(np.einsum("ij,ij->i", U, last)).min() < _TOLERANCE:
            break
    return np.asarray(U)
