r"""The span of the weights: leading eigenvectors of an indefinite moment, never formed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnmoments.validation import Array, check_integer

__all__ = ["Subspace", "leading_subspace"]


@dataclass(frozen=True)
class Subspace:
    r"""An orthonormal basis of the eigenvectors with largest :math:`|\lambda|`.

    Attributes
    ----------
    basis : (d, k) array
        V, with orthonormal columns.
    eigenvalues : (k,) array
        Their eigenvalues, by decreasing absolute value, signs kept.
    next_eigenvalue : float
        Absolute value of the next one: compare with the k-th to judge the choice of k.
    sweeps : int
        Passes over the data.
    """

    basis: Array = field(repr=False)
    eigenvalues: Array
    next_eigenvalue: float
    sweeps: int


def leading_subspace(
    operator: Callable[[Array], Array],
    d: int,
    k: int,
    *,
    sweeps: int = 30,
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
    sweeps : int
        Most passes over the data.
    tol : float
        Sine of the angle between subspaces of successive passes at which to stop.
    rng : optional
        For the starting block.

    Raises
    ------
    ValueError
        If k > d.

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
    width = min(d, 2 * k + 5)
    block = np.linalg.qr(np.random.default_rng(rng).standard_normal((d, width)))[0]
    previous = block[:, :k]
    done = 0
    for _ in range(check_integer("sweeps", sweeps, 1)):
        done += 1
        image = operator(block)  # (r, d, q)
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
        previous = ritz[:, :k]
        if width == d or change < tol:
            break
        block = np.linalg.qr(flat if len(image) == 1 else ritz)[0][:, :width]
    following = float(abs(values[k])) if len(values) > k else 0.0
    return Subspace(np.ascontiguousarray(previous), values[:k], following, done)
