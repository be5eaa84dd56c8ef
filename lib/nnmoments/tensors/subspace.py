r"""The span of the weights: leading eigenvectors of an indefinite moment, never formed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnmoments.results import Result
from nnmoments.validation import Array, check_array, check_choice, check_integer, check_number, check_rng

__all__ = ["MomentOperator", "Subspace", "leading_subspace"]

_CHUNK_DOUBLES = 1 << 22


@dataclass(frozen=True, eq=False, repr=False)
class Subspace(Result):
    r"""An orthonormal basis of the eigenvectors with largest :math:`|\lambda|`.

    Attributes
    ----------
    basis : (d, k) array
        V, with orthonormal columns.
    eigenvalues : (k,) array
        Their eigenvalues, by decreasing absolute value, signs kept.
    next_eigenvalue : float
        Absolute value of the next one: compare with the k-th to judge the choice of k.
    n_iter : int
        Passes over the data.
    converged : bool
        Whether the subspace came to rest.
    status : str
    """

    basis: Array
    eigenvalues: Array
    next_eigenvalue: float
    n_iter: int
    converged: bool
    status: str


class MomentOperator:
    r"""Products with :math:`P_2` under x ~ N(0, I), one pass over the data each, O(n d q).

    .. math:: P_2 = E[y\,S_{j}(x)(I, I, \alpha, \dots, \alpha)], \qquad j = 2, 3, 4

    Written out with :math:`a = \langle\alpha, x\rangle`, :math:`|\alpha| = 1`:
    :math:`S_2 = xx^\top - I`;
    :math:`S_3(\alpha) = a(xx^\top - I) - x\alpha^\top - \alpha x^\top`;
    :math:`S_4(\alpha, \alpha) = (a^2 - 1)(xx^\top - I) - 2a(x\alpha^\top + \alpha x^\top)
    + 2\alpha\alpha^\top`.

    Parameters
    ----------
    chunks : iterable of (X, y)
        Parts (n_i, d), (n_i,) of the sample; iterated once a product, so a list or an object whose
        `__iter__` starts again. May read memory-mapped files.
    order : {2, 3, 4}
    directions : (r, d) array_like, optional
        Unit vectors alpha; for orders 3 and 4 the operator stacks the P_2 of all of them.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((50_000, 3))
    >>> operator = MomentOperator([(X, X[:, 0] ** 2)], 2)
    >>> operator(np.eye(3))[0].round(1) + 0.0
    array([[2., 0., 0.],
           [0., 0., 0.],
           [0., 0., 0.]])
    """

    def __init__(self, chunks: Iterable[tuple[Array, Array]], order: int, *, directions: Any = None) -> None:
        self.chunks = chunks
        self.order = check_choice("order", order, (2, 3, 4))
        self.directions = None if directions is None else check_array("directions", directions, ndim=2)
        if order > 2 and self.directions is None:
            raise ValueError(f"directions are needed to contract a moment of order {order} to a matrix")

    def __call__(self, block: Array) -> Array:
        """Return P_2 times the (d, q) block, one (d, q) product a direction: (r, d, q)."""
        alphas = self.directions if self.order > 2 else None
        count = 1 if alphas is None else len(alphas)
        d, q = block.shape
        total = np.zeros((count, d, q))
        first = np.zeros((count, d))  # E[y w x] where the formulas need it
        mass, constant, n = np.zeros(count), 0.0, 0
        for X, y in self.chunks:
            rows = max(1, _CHUNK_DOUBLES // max(d, 1))
            for start in range(0, len(X), rows):
                part, labels = np.asarray(X[start : start + rows]), np.asarray(y[start : start + rows])
                images = part @ block
                if alphas is None:
                    total[0] += part.T @ (labels[:, None] * images)
                    mass[0] += labels.sum()
                else:
                    along = part @ alphas.T
                    weights = along if self.order == 3 else along**2 - 1.0
                    for r in range(count):
                        weighted = labels * weights[:, r]
                        total[r] += part.T @ (weighted[:, None] * images)
                        mass[r] += weighted.sum()
                        first[r] += (labels if self.order == 3 else 2.0 * labels * along[:, r]) @ part
                    constant += 2.0 * labels.sum() if self.order == 4 else 0.0
                n += len(part)
        if n == 0:
            raise ValueError("chunks hold no samples")
        total -= mass[:, None, None] * block
        if alphas is not None:
            for r, alpha in enumerate(alphas):
                total[r] -= np.outer(first[r], alpha @ block) + np.outer(alpha, first[r] @ block)
                total[r] += constant * np.outer(alpha, alpha @ block)
        return total / n


def leading_subspace(
    operator: Callable[[Array], Array],
    d: int,
    k: int,
    *,
    max_iter: int = 30,
    tol: float = 1e-6,
    rng: Any = None,
) -> Subspace:
    r"""Find the k-dimensional invariant subspace of largest :math:`|\lambda|`, signs mixed.

    A power iteration on an indefinite matrix stalls between eigenvalues of like size and opposite
    signs; ZS iterates on :math:`CI + P` and :math:`CI - P` instead and merges. Here one block is
    iterated with :math:`P^2 = \sum_r P_r^2`, Rayleigh-Ritz on each pass: eigenvalues of P count by
    absolute value, and each pass gives its factor :math:`|\lambda_{q+1}/\lambda_k|` for a block of
    q > k columns.

    Parameters
    ----------
    operator : callable
        Maps a (d, q) block to (r, d, q), the products with r symmetric matrices (usually one).
    d, k : int
        Dimension and number of directions, k <= d.
    max_iter : int
        Most passes over the data.
    tol : float
        Sine of the angle between subspaces of successive passes at which to stop.
    rng : optional
        For the starting block.

    Returns
    -------
    Subspace

    Raises
    ------
    ValueError
        If k > d, or the operator's products are not finite.

    References
    ----------
    .. [1] ZS, Algorithm 1, POWERMETHOD, arXiv:1706.03175.

    Examples
    --------
    >>> P = np.diag([3.0, -2.9, 0.1, 0.0])
    >>> leading_subspace(lambda block: (P @ block)[None], 4, 2, rng=0).eigenvalues.round(6)
    array([ 3. , -2.9])
    """
    d = check_integer("d", d, 1)
    k = check_integer("k", k, 1)
    if k > d:
        raise ValueError(f"k must be at most d = {d}: more than d weights have no independent span, got {k}")
    max_iter = check_integer("max_iter", max_iter, 1)
    tol = check_number("tol", tol, above=0.0)
    width = min(d, 2 * k + 5)
    block = np.linalg.qr(check_rng("rng", rng).standard_normal((d, width)))[0]
    previous, change, n_iter = block[:, :k], np.inf, 0
    while n_iter < max_iter and change >= tol:
        n_iter += 1
        image = check_array("operator", operator(block), shape=(None, d, width))  # (r, d, q)
        flat = image.transpose(1, 0, 2).reshape(d, -1)
        if len(image) == 1:
            # Rayleigh-Ritz: eigenvalues of the restriction, signs kept.
            small = block.T @ flat
            values, rotation = np.linalg.eigh((small + small.T) / 2.0)
            order = np.argsort(-np.abs(values))
            values, ritz = values[order], block @ rotation[:, order]
        else:
            left, values, _ = np.linalg.svd(flat, full_matrices=False)
            values, ritz = values[:width], left[:, :width]
        change = float(np.linalg.norm(ritz[:, :k] - previous @ (previous.T @ ritz[:, :k]), 2))
        if width == d:  # the block is the whole space: nothing is iterated
            change = 0.0
        previous = ritz[:, :k]
        block = np.linalg.qr(flat if len(image) == 1 else ritz)[0][:, :width]
    following = float(abs(values[k])) if len(values) > k else 0.0
    status = f"converged after {n_iter} passes"
    if change >= tol:
        status = f"{n_iter} passes, the span still turns by {change:.1e} > tol; raise max_iter or lower k"
    return Subspace(np.ascontiguousarray(previous), values[:k], following, n_iter, change < tol, status)
