r"""The span of the weights: leading eigenvectors of an indefinite moment, never formed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnmoments.results import Result
from nnmoments.validation import Array, check_array, check_integer, check_number, check_rng

__all__ = ["Subspace", "leading_subspace"]


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

    Examples
    --------
    >>> P = np.diag([3.0, -2.0, 0.5])
    >>> found = leading_subspace(lambda block: (P @ block)[None], 3, 2, rng=0)
    >>> found.eigenvalues.round(6), round(found.next_eigenvalue, 6), found.converged
    (array([ 3., -2.]), 0.5, True)
    """

    basis: Array
    eigenvalues: Array
    next_eigenvalue: float
    n_iter: int
    converged: bool
    status: str


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
    if not callable(operator):
        raise ValueError(f"operator must be callable, got {type(operator).__name__}")
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
