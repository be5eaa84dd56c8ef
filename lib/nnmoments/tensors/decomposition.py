r"""Symmetric tensor decomposition: simultaneous diagonalisation of slices, then least squares."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.linalg import khatri_rao, outer_power, symmetrize
from nnmoments.optimize import DampedStep, LeastSquares, NormalMatrix, Tenfold, damped_newton
from nnmoments.results import Result
from nnmoments.tensors.joint_diagonalization import (
    JointDiagonalization,
    joint_diagonalize,
    scaled,
    symmetry_tolerance,
)
from nnmoments.validation import Array, check_array, check_integer, check_rng

__all__ = ["SymmetricDecomposition", "decompose_symmetric", "kcl"]

# Growth of the factors' condition number that marks a degenerate least-squares solution.
_DEGENERATE = 3.0
# A residual that is rounding's.
_EXACT = 1e-9
# Of a restart, per entry of a unit factor.
_PERTURBED = 0.1
# Size of the terms, relative to the tensor, from which on they are said to cancel; the square of it
# where they fit to rounding.
_CANCELLING = 100.0


@dataclass(frozen=True, eq=False, repr=False)
class SymmetricDecomposition(Result):
    r"""Unit vectors and coefficients with :math:`T \approx \sum_i \omega_i u_i^{\otimes m}`.

    Attributes
    ----------
    factors : (k, k) array
        Rows :math:`u_i`; for even m their sign is arbitrary.
    coefficients : (k,) array
    residual : float
        :math:`\|T - \hat T\| / \|T\|`.
    n_iter : int
        Sweeps and Newton steps together.
    converged : bool
        False also where the factors are not unique.
    status : str

    Examples
    --------
    >>> found = decompose_symmetric(outer_power([[1.0, 0.0], [0.0, 1.0]], 3).sum(axis=0))
    >>> found.converged, bool(found.residual < 1e-12)
    (True, True)
    >>> np.abs(found.factors).sum(axis=0).round(6)
    array([1., 1.])
    """

    factors: Array
    coefficients: Array
    residual: float
    n_iter: int
    converged: bool
    status: str


def kcl(tensor: npt.ArrayLike, *, projections: int = 100, rng: Any = None) -> SymmetricDecomposition:
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
        Seed or generator of the projections, and of restarts of the diagonalisation.

    Returns
    -------
    SymmetricDecomposition

    Raises
    ------
    ValueError
        If the tensor is not symmetric, or determines no k independent factors.

    References
    ----------
    .. [1] V. Kuleshov, A. Chaganty, P. Liang, arXiv:1501.07320, Algorithm 1.

    Examples
    --------
    >>> T = outer_power([[1.0, 0.0], [0.6, 0.8]], 3).sum(axis=0)
    >>> kcl(T, rng=0).coefficients.round(6)
    array([1., 1.])
    """
    T, unit = _check_tensor(tensor, orders=(3,))
    count = check_integer("projections", projections, 2)
    rng = check_rng("rng", rng)
    if len(T) == 1:
        return _single(T, unit)
    theta = _unit_rows(rng.standard_normal((count, len(T))))
    first = _diagonalized(np.tensordot(theta, T, 1), rng=rng, criterion="sweeps")
    dual = _unit_rows(np.asarray(np.linalg.pinv(first.factors), dtype=np.float64).T)
    second = _diagonalized(np.tensordot(dual, T, 1), rng=rng, criterion="sweeps")
    return _fitted(T, unit, second.factors, first.n_iter + second.n_iter, second.converged, second.status)


def decompose_symmetric(
    tensor: npt.ArrayLike, *, n_starts: int = 10, max_iter: int = 300, rng: Any = None
) -> SymmetricDecomposition:
    r"""Decompose a symmetric tensor of order 3 or 4 and dimension k into k rank-one terms.

    .. math:: \min_{\omega, u} \Big\| T - \sum_{i=1}^k \omega_i u_i^{\otimes m} \Big\|_F

    The slices of T span what all projections :math:`T(I, I, \theta)` span, so they are
    diagonalised in place of random ones; the result starts a damped Gauss-Newton descent on the
    objective above. Ill-conditioned factors leave this objective several minima: further descents start
    from the sweeps of the diagonalisation alone, and from perturbations of the best factors so far.

    Parameters
    ----------
    tensor : (k, ..., k) array_like
        Symmetric, of order 3 or 4.
    n_starts : int
        Descents, of which the one of least residual is returned. With one, a descent that drifts to
        nearly parallel factors is dropped for its start, the safer estimate where noise is large.
    max_iter : int
        Most Gauss-Newton steps of each.
    rng : optional
        For restarts of the diagonalisation, and the perturbations.

    Returns
    -------
    SymmetricDecomposition
        Of a tensor that spans r < k directions the last k - r coefficients are zero, and it has not
        converged: factors without a coefficient are arbitrary. Neither has it where terms cancel
        each other: the tensor is near one of border rank k, and no best approximation exists.

    Raises
    ------
    ValueError
        If the tensor is not symmetric, or determines no k independent factors.

    Examples
    --------
    >>> u = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> result = decompose_symmetric(np.tensordot([2.0, -1.0], outer_power(u, 4), 1))
    >>> np.sort(result.coefficients).round(6)
    array([-1.,  2.])
    """
    given, (T, unit) = tensor, _check_tensor(tensor, orders=(3, 4))
    n_starts, max_iter = check_integer("n_starts", n_starts, 1), check_integer("max_iter", max_iter, 1)
    rng = check_rng("rng", rng)
    k = len(T)
    axes, values, _ = np.linalg.svd(T.reshape(k, -1), full_matrices=False)
    rank = int(np.sum(values > 10.0 * k * symmetry_tolerance(given, least=0.0) ** 2 * values[0]))
    if rank < k:
        return _of_low_rank(T, unit, axes.T, rank, n_starts=n_starts, max_iter=max_iter, rng=rng)
    if k == 1:
        return _single(T, unit)
    slices = T.reshape(-1, k, k)
    found = _diagonalized(slices, rng=rng)
    start = _fitted(T, unit, found.factors, found.n_iter, found.converged, found.status)
    if not found.unique:
        return start
    best = _least_squares(T, unit, start, max_iter)
    if n_starts == 1:
        return best if np.linalg.cond(best.factors) <= _DEGENERATE * np.linalg.cond(start.factors) else start
    n_iter = best.n_iter
    for attempt in range(1, n_starts):
        if best.residual < _EXACT:
            break
        if attempt == 1:
            factors = _diagonalized(slices, rng=rng, criterion="sweeps").factors
        else:
            factors = _unit_rows(best.factors + _PERTURBED * rng.standard_normal((k, k)))
        tried = _least_squares(T, unit, _fitted(T, unit, factors, 0, False, ""), max_iter)
        n_iter += tried.n_iter
        if tried.residual < best.residual:
            best = tried
    size = float(np.linalg.norm(best.coefficients / unit) / np.linalg.norm(T))
    if size > (_CANCELLING if best.residual > _EXACT else _CANCELLING**2):
        status = (
            f"border rank: terms {size:.0f} times as large as the tensor cancel, residual "
            f"{best.residual:.2e}; no best approximation by {k} terms need exist: reduce the noise"
        )
        return replace(best, converged=False, status=status, n_iter=n_iter)
    return replace(best, n_iter=n_iter)


def _of_low_rank(
    tensor: Array, unit: float, axes: Array, rank: int, **options: Any
) -> SymmetricDecomposition:
    """Decompose in the span of the tensor, and fill up with terms of coefficient zero."""
    core = tensor
    for _ in range(tensor.ndim):  # each turn contracts the first axis and puts it last
        core = np.tensordot(core, axes[:rank], axes=(0, 1))
    inner = decompose_symmetric(symmetrize(core), **options)
    factors = np.vstack([inner.factors @ axes[:rank], axes[rank:]])
    coefficients = unit * np.append(inner.coefficients, np.zeros(len(axes) - rank))
    status = (
        f"not unique: the tensor spans {rank} of {len(axes)} directions, the other terms are zero and their "
        f"factors arbitrary; within its span: {inner.status}"
    )
    return replace(inner, factors=factors, coefficients=coefficients, converged=False, status=status)


def _check_tensor(tensor: npt.ArrayLike, *, orders: tuple[int, ...]) -> tuple[Array, float]:
    """Return the tensor, symmetric to the last digit, with entries near one, and its unit."""
    given, tensor = tensor, check_array("tensor", tensor, ndim=orders)
    tolerance = symmetry_tolerance(given)
    if len(set(tensor.shape)) != 1:
        raise ValueError(f"tensor must have equal extents, got shape {tensor.shape}")
    tensor, unit = scaled(tensor)
    even = symmetrize(tensor)
    if np.linalg.norm(even - tensor) > tolerance * np.linalg.norm(tensor) or not tensor.any():
        raise ValueError("tensor must be symmetric and not zero")
    return even, unit


def _diagonalized(
    slices: Array, *, rng: np.random.Generator, criterion: str = "least_squares"
) -> JointDiagonalization:
    try:
        return joint_diagonalize(slices, criterion=criterion, rng=rng)
    except ValueError as error:
        raise ValueError("tensor determines no k independent factors; pass a smaller one") from error


def _unit_rows(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _single(tensor: Array, unit: float) -> SymmetricDecomposition:
    return _fitted(tensor, unit, np.ones((1, 1)), 0, True, "converged: one factor")


def _fitted(
    tensor: Array, unit: float, factors: Array, n_iter: int, converged: bool, status: str
) -> SymmetricDecomposition:
    """Attach the least-squares coefficients to unit factors."""
    order = tensor.ndim
    powers = outer_power(factors, order).reshape(len(factors), -1)
    coefficients = np.asarray(np.linalg.lstsq(powers.T, tensor.ravel(), rcond=None)[0], dtype=np.float64)
    if order % 2:  # the sign of a factor is free: make its coefficient positive
        factors = factors * np.where(coefficients < 0, -1.0, 1.0)[:, None]
        coefficients = np.abs(coefficients)
    residual = np.linalg.norm(tensor - np.tensordot(coefficients, outer_power(factors, order), 1))
    share = float(residual / np.linalg.norm(tensor))
    return SymmetricDecomposition(factors, unit * coefficients, share, n_iter, converged, status)


class _Objective(LeastSquares):
    r"""The objective over 2m: :math:`\frac1{2m}\|T - \sum_i\sigma_i a_i^{\otimes m}\|^2`, signs fixed."""

    def __init__(self, tensor: Array, signs: Array) -> None:
        self._tensor, self._signs, self._order = tensor, signs, tensor.ndim
        self.square = float(np.sum(tensor**2)) / (2 * tensor.ndim)

    def value_and_gradient(self, weights: Array) -> tuple[float, Array]:
        m, k = self._order, len(weights)
        powers = khatri_rao(*[weights] * (m - 1))  # a_i^(x)(m-1)
        signed = self._signs[:, None] * powers
        residual = self._tensor.reshape(k, -1) - weights.T @ signed
        return float(np.sum(residual**2)) / (2 * m), -(signed @ residual.T)

    def curvature(self, weights: Array) -> NormalMatrix:
        r"""Return the normal matrix: blocks :math:`K^{m-1} I + (m-1) K^{m-2} a_j a_i^\top`."""
        m, k = self._order, len(weights)
        gram, outer = weights @ weights.T, np.outer(self._signs, self._signs)
        normal = (outer * gram ** (m - 1))[:, None, :, None] * np.eye(k)[None, :, None, :]
        normal = normal + ((m - 1) * outer * gram ** (m - 2))[:, None, :, None] * (
            weights.T[None, :, :, None] * weights[:, None, None, :]
        )
        normal = normal.reshape(k * k, k * k)
        scale = np.diag(normal)
        return NormalMatrix(normal, np.maximum(scale, 1e-12 * scale.max()).reshape(k, k))


def _least_squares(
    tensor: Array, unit: float, start: SymmetricDecomposition, max_iter: int
) -> SymmetricDecomposition:
    """Refine by damped Gauss-Newton on a_i = |omega_i|^(1/m) u_i, signs fixed."""
    sizes = np.abs(start.coefficients) / unit
    sizes = np.maximum(sizes, 1e-3 * sizes.max())
    loss = _Objective(tensor, np.where(start.coefficients < 0, -1.0, 1.0))

    def settled(step: DampedStep) -> bool:
        if not step.accepted:
            return step.value < 1e-13 * loss.square
        size = float(np.abs(step.move).max() / np.abs(step.weights).max())
        return size < 1e-9 or step.gain < 1e-9 * step.value + 1e-15 * loss.square

    found = damped_newton(
        loss,
        start.factors * sizes[:, None] ** (1.0 / tensor.ndim),
        max_iter=max_iter,
        damping=Tenfold(1e-3, least=1e-12),
        rounding=1e-18 * loss.square,
        stop=settled,
    )
    lengths = np.linalg.norm(found.weights, axis=1)
    if lengths.min() == 0.0:
        return start
    refined = found.weights / lengths[:, None]
    n_iter = start.n_iter + found.n_iter
    fitted = _fitted(tensor, unit, refined, n_iter, found.converged, "")
    if found.converged:
        return replace(fitted, status=f"converged: residual {fitted.residual:.2e}")
    return replace(fitted, status=f"no convergence in {n_iter} steps; raise max_iter or pass more samples")
