r"""Joint non-orthogonal diagonalisation of symmetric matrices."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from nnmoments.validation import Array, check_array, check_integer, check_number

__all__ = ["JointDiagonalization", "joint_diagonalize"]

_SWEEPS = 60
_NEWTON_STEPS = 25
# Sweeps after which a start is judged: a good one has converged linearly by then.
_SETTLED = 1e-3
# Growth of the factors' condition number that marks a degenerate least-squares solution.
_DEGENERATE = 3.0
_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class JointDiagonalization:
    r"""Factors shared by a set of matrices, :math:`M_l \approx \sum_i \lambda_{li} u_i u_i^\top`.

    Attributes
    ----------
    factors : (k, k) array
        Rows :math:`u_i`, of unit length; sign and order are arbitrary.
    weights : (L, k) array
        :math:`\lambda_{li}`, the least-squares weights of those factors.
    residual : float
        :math:`\|M - \hat M\| / \|M\|` over all matrices (Frobenius).
    noise_floor : float
        The part of the residual that no k factors could explain: what lies outside the k leading
        directions of the set. A residual near it means that a global optimum was reached.
    iterations : int
        Sweeps and Newton steps together.
    converged : bool
        False also where the factors are not unique.
    status : str
        What happened, and what to do about it.
    """

    factors: Array = field(repr=False)
    weights: Array = field(repr=False)
    residual: float
    noise_floor: float
    iterations: int
    converged: bool
    status: str


def joint_diagonalize(
    matrices: Any, *, refine: bool = True, restarts: int = 4, tol: float = 1e-10, rng: Any = None
) -> JointDiagonalization:
    r"""Find vectors that diagonalise symmetric matrices together, without orthogonality.

    .. math:: \min_{U, \lambda} \sum_l \Big\| M_l - \sum_i \lambda_{li} u_i u_i^\top \Big\|_F^2

    Three steps. (1) The set spans k dimensions but for noise, so it is replaced by its k leading
    directions in the space of symmetric matrices; to first order this changes nothing in the
    optimum, and it makes the rest independent of L. (2) Sweeps that make
    :math:`W M_l W^\top` diagonal by solving all pairs (i, j) at once for the mixing that explains
    their off-diagonal entries [1]_. (3) Gauss-Newton steps on the least-squares objective above
    with the weights eliminated, whose normal matrix is a Hadamard product of small factors.

    Parameters
    ----------
    matrices : (L, k, k) array_like
        Symmetric matrices, of any signature; at least two.
    refine : bool
        Whether to take step (3). It lowers the error by a quarter to a third at moderate noise.
        Where noise is as large as the signal, least squares drifts to nearly parallel factors with
        huge opposite weights (a low-rank tensor need not have a best approximation); such a
        refinement is noticed by its conditioning and dropped.
    restarts : int
        Further starts, from random combinations of the matrices, if the sweeps do not settle or
        the residual stays far above the noise floor.
    tol : float
        Relative size of a Gauss-Newton step at which to stop.
    rng : optional
        Seed or generator of those starts.

    Returns
    -------
    JointDiagonalization

    Raises
    ------
    ValueError
        If the matrices are not symmetric, or none of the starts leads to k independent factors.

    References
    ----------
    .. [1] P. Tichavsky, A. Yeredor, "Fast approximate joint diagonalization incorporating weight
       matrices", 2009, doi:10.1109/TSP.2008.2009271.
    .. [2] V. Kuleshov, A. Chaganty, P. Liang, "Tensor factorization via matrix factorization",
       arXiv:1501.07320.

    Examples
    --------
    >>> u = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> weights = np.array([[1.0, -2.0], [3.0, 1.0], [0.5, 0.5]])
    >>> result = joint_diagonalize(np.einsum("li,ia,ib->lab", weights, u, u))
    >>> from nnmoments.linalg import match_rows
    >>> bool(match_rows(result.factors, u).worst < 1e-8), result.converged
    (True, True)
    """
    matrices = check_array("matrices", matrices, ndim=3)
    count, k, other = matrices.shape
    if k != other:
        raise ValueError(f"matrices must be square, got shape {matrices.shape}")
    if count < 2:
        raise ValueError("matrices must be at least two; one symmetric matrix has no unique factors")
    restarts = check_integer("restarts", restarts, 0)
    tol = check_number("tol", tol, above=0.0)
    total = float(np.linalg.norm(matrices))
    skew = float(np.linalg.norm(matrices - matrices.transpose(0, 2, 1)))
    if total == 0.0 or skew > 1e-8 * total:
        raise ValueError("matrices must be symmetric and not all zero")
    compressed, floor = _compress(matrices, k)
    rng = np.random.default_rng(rng)
    best: tuple[float, Array, bool, int] | None = None
    iterations = 0
    for attempt in range(restarts + 1):
        mix = rng.standard_normal(len(compressed))
        start = compressed[0] if attempt == 0 else np.tensordot(mix, compressed, 1)
        demixing, swept = _sweep(compressed, start)
        factors = _factors(demixing)
        if factors is None:
            continue
        start_factors, converged, steps = factors, swept < _SWEEPS, 0
        if refine:
            factors, loss, converged, steps = _gauss_newton(compressed, factors, tol)
        if not refine or np.linalg.cond(factors) > _DEGENERATE * np.linalg.cond(start_factors):
            factors, converged = start_factors, swept < _SWEEPS
            loss = _loss(compressed, factors)
        iterations += swept + steps
        if best is None or loss < best[0]:
            best = (loss, factors, converged, iterations)
        # Noise leaves a few times the floor; far more is a poor optimum. Sweeps without refinement
        # are trusted once they move: a start whose diagonals are dependent is a saddle.
        settled = best[0] <= 2.0 * floor + 1e-9 * total if refine else swept > 1 or attempt > 0
        if converged and settled:
            break
    if best is None:
        raise ValueError("matrices determine no k independent factors; pass fewer or more varied matrices")
    loss, factors, converged, _ = best
    weights = _weights(matrices, factors)
    residual = float(np.linalg.norm(matrices - (factors.T * weights[:, None, :]) @ factors)) / total
    status = f"converged: residual {residual:.2e}, noise floor {floor / total:.2e}"
    if _proportional(weights):
        converged = False
        status = (
            "the factors are not unique: over all matrices some of their weights vanish or are "
            "proportional; pass more varied matrices"
        )
    elif not converged:
        status = (
            f"no convergence after {iterations} iterations, residual {residual:.2e} against a noise floor "
            f"of {floor / total:.2e}; raise restarts, or reduce the noise (more samples)"
        )
    return JointDiagonalization(factors, weights, residual, floor / total, iterations, converged, status)


def _compress(matrices: Array, k: int) -> tuple[Array, float]:
    """Return the k leading directions of the set, (k, k, k) with their lengths, and the rest's norm."""
    flat = matrices.reshape(len(matrices), -1)
    if len(flat) > flat.shape[1]:
        values, vectors = np.linalg.eigh(flat.T @ flat)
        kept = vectors[:, -k:] * np.sqrt(np.maximum(values[-k:], 0.0))
        leading, rest = kept.T[::-1], values[:-k]
    else:
        values, vectors = np.linalg.eigh(flat @ flat.T)
        leading, rest = (vectors[:, -k:].T @ flat)[::-1], values[:-k]
    return leading.reshape(-1, k, k), float(np.sqrt(np.maximum(rest, 0.0).sum()))


def _sweep(matrices: Array, start: Array) -> tuple[Array, int]:
    """Diagonalise by pairwise mixing: return W with W M_l W^T nearly diagonal, and the sweeps."""
    values, vectors = np.linalg.eigh(start)
    size = np.maximum(np.abs(values), 1e-3 * np.abs(values).max())
    demixing = vectors.T / np.sqrt(size)[:, None]
    k = len(demixing)
    change = np.inf
    for sweep in range(1, _SWEEPS + 1):
        mixed = demixing @ matrices @ demixing.T
        diagonal = np.diagonal(mixed, axis1=1, axis2=2)
        gram = diagonal.T @ diagonal  # B_ij
        cross = np.einsum("lij,lj->ij", mixed, diagonal)  # C_ij = sum_l M_ij d_j
        lengths = np.diag(gram)
        determinant = np.outer(lengths, lengths) - gram**2
        determinant = np.maximum(determinant, 1e-9 * np.outer(lengths, lengths) + np.finfo(float).tiny)
        mixing = (cross * lengths[:, None] - gram * cross.T) / determinant
        np.fill_diagonal(mixing, 0.0)
        change = float(np.abs(mixing).max())
        if change > 1.0:  # far from the optimum the linearisation overshoots
            mixing /= change
        try:
            demixing = np.linalg.solve(np.eye(k) + mixing, demixing)
        except np.linalg.LinAlgError:
            return demixing, sweep
        demixing /= np.sqrt(np.sqrt(np.maximum(lengths, np.finfo(float).tiny)))[:, None]
        if change < _SETTLED:
            return demixing, sweep
    return demixing, _SWEEPS


def _factors(demixing: Array) -> Array | None:
    """Return the unit rows of W^{-T}, the factors; None if W is singular."""
    try:
        factors = np.linalg.inv(demixing).T
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(factors).all():
        return None
    return np.asarray(factors / np.linalg.norm(factors, axis=1, keepdims=True))


def _weights(matrices: Array, factors: Array) -> Array:
    """Return the least-squares weights (L, k) of unit factors."""
    values = np.sum((factors @ matrices) * factors, axis=2)  # u_i^T M_l u_i
    gram = (factors @ factors.T) ** 2
    gram[np.diag_indices_from(gram)] += _EPS * len(gram)
    return np.asarray(cho_solve(cho_factor(gram), values.T).T)


def _proportional(weights: Array) -> bool:
    """Say whether two columns of the weights are parallel to rounding: then any mixture will do."""
    lengths = np.linalg.norm(weights, axis=0)
    if lengths.min() <= 1e-12 * lengths.max():
        return True
    cosines = np.abs((weights / lengths).T @ (weights / lengths)) - np.eye(len(lengths))
    return bool(cosines.max() > 1.0 - 1e-13)


def _loss(matrices: Array, factors: Array) -> float:
    weights = _weights(matrices, factors)
    return float(np.linalg.norm(matrices - (factors.T * weights[:, None, :]) @ factors))


def _gauss_newton(matrices: Array, factors: Array, tol: float) -> tuple[Array, float, bool, int]:
    """Minimise the least-squares objective over unit factors, weights eliminated, damped."""
    k = len(factors)
    gauge = np.arange(k)
    square = float(np.sum(matrices**2))

    def evaluate(u: Array) -> tuple[Array, Array, float]:
        weights = _weights(matrices, u)
        residual = matrices - (u.T * weights[:, None, :]) @ u
        return weights, residual, float(np.sum(residual**2))

    def descent(u: Array, weights: Array, residual: Array) -> Array:
        return np.asarray(2.0 * np.einsum("li,lia->ia", weights, u @ residual))

    weights, residual, loss = evaluate(factors)
    slope = descent(factors, weights, residual)
    damping = 1e-6
    for step in range(1, _NEWTON_STEPS + 1):
        gram = factors @ factors.T
        strength = weights.T @ weights
        # Normal matrix of (u, lambda) with lambda eliminated, all blocks times Lambda_ij:
        # 2 (G_ij I + u_j u_i^T) - C (G o G)^-1 C^T, C_(ia)j = 2 G_ij u_ja
        coupling = (2.0 * gram[:, None, :] * factors.T[None, :, :]).reshape(k * k, k)
        inner = gram**2
        inner[gauge, gauge] += _EPS * k
        normal = (2.0 * factors.T[None, :, :, None] * factors[:, None, None, :]).reshape(k * k, k * k)
        normal -= coupling @ cho_solve(cho_factor(inner), coupling.T, check_finite=False)
        normal *= np.repeat(np.repeat(strength, k, axis=0), k, axis=1)
        blocks = normal.reshape(k, k, k, k)
        blocks[:, gauge, :, gauge] += 2.0 * gram * strength
        scale = np.diag(strength)
        # The length of u_i is free (lambda takes it up): fix it to its present value.
        blocks[gauge, :, gauge, :] += 4.0 * scale[:, None, None] * factors[:, :, None] * factors[:, None, :]
        diagonal = np.repeat(scale, k)
        accepted = False
        for _ in range(8):
            damped = normal.copy()
            damped[np.diag_indices_from(damped)] += damping * diagonal
            try:  # LAPACK takes the transpose, the same matrix, without a copy
                lower = cho_factor(damped.T, overwrite_a=True, check_finite=False)
                move = cho_solve(lower, slope.ravel(), check_finite=False)
            except LinAlgError:
                damping = max(10.0 * damping, 1e-6)
                continue
            move = move.reshape(k, k)
            trial = factors + move
            trial /= np.linalg.norm(trial, axis=1, keepdims=True)
            new_weights, new_residual, new_loss = evaluate(trial)
            if new_loss <= loss * (1.0 + 1e-14) + 1e-30 * square:
                accepted = True
                break
            damping = max(10.0 * damping, 1e-6)
        if not accepted:
            return factors, np.sqrt(loss), False, step
        gain = loss - new_loss
        size = float(np.abs(move).max())
        factors, weights, residual, loss = trial, new_weights, new_residual, new_loss
        damping = max(0.1 * damping, 1e-14)
        slope = descent(factors, weights, residual)
        if damping < 1e-3:  # what another step would gain
            gain = float(slope.ravel() @ cho_solve(lower, slope.ravel(), check_finite=False))
        # A step that gains a ten-thousandth of the objective is far below the noise in the factors.
        if size < tol or gain < 1e-4 * loss or loss < 1e-26 * square:
            return factors, np.sqrt(loss), True, step
    return factors, np.sqrt(loss), False, _NEWTON_STEPS
