r"""Symmetric tensor decomposition: simultaneous diagonalisation of slices, then least squares."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from nnmoments.linalg import outer_power, symmetrize
from nnmoments.tensors.joint_diagonalization import joint_diagonalize
from nnmoments.validation import Array, check_array, check_integer

__all__ = ["SymmetricDecomposition", "decompose_symmetric", "kcl"]

_STEPS = 60


@dataclass(frozen=True)
class SymmetricDecomposition:
    r"""Unit vectors and weights with :math:`T \approx \sum_i \omega_i u_i^{\otimes m}`.

    Attributes
    ----------
    factors : (k, k) array
        Rows :math:`u_i`; for even m their sign is arbitrary.
    weights : (k,) array
    residual : float
        :math:`\|T - \hat T\| / \|T\|`.
    status : str
    """

    factors: Array = field(repr=False)
    weights: Array = field(repr=False)
    residual: float
    status: str


def kcl(tensor: Any, *, projections: int = 100, rng: Any = None) -> SymmetricDecomposition:
    r"""Decompose a third-order tensor by random projections with plug-in refinement.

    The matrices :math:`T(I, I, \theta_l)` with random :math:`\theta_l` are diagonalised together;
    then again along the directions dual to the factors found, where each matrix holds one factor.
    This is the KCL step of ZS's Algorithm 1; `decompose_symmetric` is the better estimate.

    Parameters
    ----------
    tensor : (k, k, k) array_like
        Symmetric.
    projections : int
        L of the paper.
    rng : optional

    References
    ----------
    .. [1] V. Kuleshov, A. Chaganty, P. Liang, arXiv:1501.07320, Algorithm 1.

    Examples
    --------
    >>> T = outer_power([[1.0, 0.0], [0.6, 0.8]], 3).sum(axis=0)
    >>> kcl(T, rng=0).weights.round(6)
    array([1., 1.])
    """
    tensor = _check_tensor(tensor, orders=(3,))
    rng = np.random.default_rng(rng)
    directions = rng.standard_normal((check_integer("projections", projections, 2), len(tensor)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    first = joint_diagonalize(np.tensordot(directions, tensor, 1), refine=False, rng=rng)
    dual = np.linalg.pinv(first.factors).T
    dual /= np.linalg.norm(dual, axis=1, keepdims=True)
    second = joint_diagonalize(np.tensordot(dual, tensor, 1), refine=False, rng=rng)
    return _fit(tensor, second.factors, second.status)


def decompose_symmetric(tensor: Any, *, rng: Any = None) -> SymmetricDecomposition:
    r"""Decompose a symmetric tensor of order 3 or 4 and dimension k into k rank-one terms.

    .. math:: \min_{\omega, u} \Big\| T - \sum_{i=1}^k \omega_i u_i^{\otimes m} \Big\|_F

    The slices of T span what all projections :math:`T(I, I, \theta)` span, so they are
    diagonalised in place of random ones; the result starts a damped Gauss-Newton descent on the
    objective above.

    Parameters
    ----------
    tensor : (k, ..., k) array_like
        Symmetric, of order 3 or 4.
    rng : optional
        For restarts of the diagonalisation.

    Raises
    ------
    ValueError
        If the tensor is not symmetric.

    Examples
    --------
    >>> u = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> result = decompose_symmetric(np.tensordot([2.0, -1.0], outer_power(u, 4), 1))
    >>> np.sort(result.weights).round(6)
    array([-1.,  2.])
    """
    tensor = _check_tensor(tensor, orders=(3, 4))
    k = len(tensor)
    if k == 1:
        return _fit(tensor, np.ones((1, 1)), "one factor")
    slices = tensor.reshape(-1, k, k)
    rng = np.random.default_rng(rng)
    found = joint_diagonalize(slices, rng=rng)
    start = _fit(tensor, found.factors, found.status)
    return _least_squares(tensor, start)


def _check_tensor(tensor: Any, *, orders: tuple[int, ...]) -> Array:
    tensor = check_array("tensor", tensor, ndim=orders)
    if len(set(tensor.shape)) != 1:
        raise ValueError(f"tensor must have equal extents, got shape {tensor.shape}")
    even = symmetrize(tensor)
    if np.linalg.norm(even - tensor) > 1e-8 * np.linalg.norm(tensor) or not tensor.any():
        raise ValueError("tensor must be symmetric and not zero")
    return even


def _fit(tensor: Array, factors: Array, status: str) -> SymmetricDecomposition:
    """Attach the least-squares weights to unit factors."""
    order = tensor.ndim
    powers = outer_power(factors, order).reshape(len(factors), -1)
    weights = np.asarray(np.linalg.lstsq(powers.T, tensor.ravel(), rcond=None)[0], dtype=np.float64)
    if order % 2:  # the sign of a factor is free: make its weight positive
        factors = factors * np.where(weights < 0, -1.0, 1.0)[:, None]
        weights = np.abs(weights)
    residual = np.linalg.norm(tensor - np.tensordot(weights, outer_power(factors, order), 1))
    return SymmetricDecomposition(factors, weights, float(residual / np.linalg.norm(tensor)), status)


def _contract(tensor: Array, vectors: Array) -> Array:
    """Return T(., a_i, ..., a_i), (k, d)."""
    parts = np.tensordot(vectors, tensor, 1)
    for _ in range(tensor.ndim - 2):
        parts = np.einsum("ia...,ia->i...", parts, vectors)
    return np.asarray(parts)


def _least_squares(tensor: Array, start: SymmetricDecomposition) -> SymmetricDecomposition:
    """Refine by damped Gauss-Newton on a_i = |omega_i|^(1/m) u_i, signs fixed."""
    order, k = tensor.ndim, len(tensor)
    signs = np.where(start.weights < 0, -1.0, 1.0)
    sizes = np.abs(start.weights)
    sizes = np.maximum(sizes, 1e-3 * sizes.max())
    vectors = start.factors * sizes[:, None] ** (1.0 / order)
    square = float(np.sum(tensor**2))

    def evaluate(a: Array) -> tuple[Array, float]:
        gram = a @ a.T
        contracted = _contract(tensor, a)
        inner = np.sum(contracted * a, axis=1)
        slope = contracted - (signs * gram ** (order - 1)) @ a
        return slope, square - 2.0 * float(signs @ inner) + float(signs @ gram**order @ signs)

    slope, loss = evaluate(vectors)
    damping, converged = 1e-3, False
    for _ in range(_STEPS):
        gram = vectors @ vectors.T
        outer = np.outer(signs, signs)
        # J^T J / m: blocks K^(m-1) I + (m-1) K^(m-2) a_j a_i^T
        normal = (outer * gram ** (order - 1))[:, None, :, None] * np.eye(k)[None, :, None, :]
        normal = normal + ((order - 1) * outer * gram ** (order - 2))[:, None, :, None] * (
            vectors.T[None, :, :, None] * vectors[:, None, None, :]
        )
        normal = normal.reshape(k * k, k * k)
        right = (signs[:, None] * slope).ravel()
        scale = np.maximum(np.diag(normal), 1e-12 * np.diag(normal).max())
        damped = normal + damping * np.diag(scale)
        try:
            move = cho_solve(cho_factor(damped), right).reshape(k, k)
        except np.linalg.LinAlgError:
            damping *= 10.0
            continue
        new_slope, new_loss = evaluate(vectors + move)
        if new_loss < loss:
            size = float(np.abs(move).max() / np.abs(vectors).max())
            converged = size < 1e-9 or loss - new_loss < 1e-9 * loss + 1e-15 * square
            vectors, slope, loss = vectors + move, new_slope, new_loss
            damping = max(damping / 10.0, 1e-12)
        else:
            damping *= 10.0
            converged = damping > 1e8 or loss < 1e-13 * square
        if converged:
            break
    lengths = np.linalg.norm(vectors, axis=1)
    status = "converged" if converged else f"no convergence in {_STEPS} steps; pass more samples"
    if lengths.min() == 0.0:
        return start
    refined = vectors / lengths[:, None]
    if np.linalg.cond(refined) > 3.0 * np.linalg.cond(start.factors):
        return start  # nearly parallel factors with opposite weights: noise, see joint_diagonalize
    return _fit(tensor, refined, status)
