r"""Joint non-orthogonal diagonalisation of symmetric matrices."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from nnmoments.optimize import DampedStep, Descent, LeastSquares, NormalMatrix, Tenfold, damped_newton
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_choice,
    check_integer,
    check_number,
    check_rng,
    check_sample_weight,
)

__all__ = ["JointDiagonalization", "joint_diagonalize", "scaled", "symmetry_tolerance"]

_SWEEPS = 60
# Rejected ones included: far from an optimum most are.
_NEWTON_STEPS = 200
# Sweeps after which a start is judged: a good one has converged linearly by then.
_SETTLED = 1e-3
_LIKELIHOOD_STEPS = 200
# A likelihood step this short is at rounding where the likelihood no longer falls.
_SHORT = 1e-6
# Rows of directions in which all matrices vanish grow without end.
_DIVERGED = 1e50
# Growth of the factors' condition number that marks a degenerate least-squares solution.
_DEGENERATE = 3.0
_EPS = float(np.finfo(float).eps)
# Products of single precision are symmetric to this, whatever they are held in.
_SINGLE = 1e-5


@dataclass(frozen=True, eq=False, repr=False)
class JointDiagonalization(Result):
    r"""Factors shared by a set of matrices, :math:`M_l \approx \sum_i \lambda_{li} u_i u_i^\top`.

    Attributes
    ----------
    factors : (k, k) array
        Rows :math:`u_i`, of unit length; sign and order are arbitrary.
    coefficients : (L, k) array
        :math:`\lambda_{li}`, the least-squares coefficients of those factors.
    residual : float
        :math:`\|M - \hat M\| / \|M\|` over all matrices (Frobenius).
    noise_floor : float
        The part of the residual that no k factors could explain: what lies outside the k leading
        directions of the set. A residual near it means that a global optimum was reached.
    criterion : str
        "least_squares", "likelihood" or "sweeps": what the factors are best by.
    n_iter : int
        Sweeps and Newton steps together.
    unique : bool
        Whether the matrices determine the factors: false where some coefficients vanish or are
        proportional over all matrices, so that their factors may be mixed.
    converged : bool
        False also where the factors are not unique.
    status : str
        What happened, and what to do about it.

    Examples
    --------
    >>> found = joint_diagonalize(np.array([np.diag([1.0, 2.0]), np.diag([3.0, 3.0])]))
    >>> found.unique, np.abs(found.factors).round(6) + 0.0
    (True, array([[1., 0.],
           [0., 1.]]))
    >>> joint_diagonalize(np.array([np.eye(2), 3.0 * np.eye(2)])).unique
    False
    """

    factors: Array
    coefficients: Array = field(repr=False)
    residual: float
    noise_floor: float
    criterion: str
    n_iter: int
    unique: bool
    converged: bool
    status: str


def symmetry_tolerance(value: Any, *, least: float = _SINGLE) -> float:
    """Return the relative asymmetry that rounding may leave in an array of this precision.

    Parameters
    ----------
    value : array_like
    least : float
        Doubles may hold products of single precision.

    Examples
    --------
    >>> double, single = np.eye(2), np.eye(2, dtype=np.float32)
    >>> symmetry_tolerance(double) < symmetry_tolerance(single) < 1e-3
    True
    """
    kind = np.asarray(value).dtype
    return max(least, float(np.sqrt(np.finfo(kind if kind.kind == "f" else float).eps)))


def scaled(array: Array) -> tuple[Array, float]:
    """Return an array of entries up to four and the power of four it is to be multiplied with.

    Squares of its entries neither overflow nor vanish, and their square roots round as before.

    Parameters
    ----------
    array : array

    Examples
    --------
    >>> scaled(np.array([6.0, -1.0]))
    (array([ 1.5 , -0.25]), 4.0)
    """
    unit = float(np.ldexp(1.0, (int(np.frexp(np.abs(array).max())[1]) - 1) // 2 * 2))
    return array / unit, unit


def joint_diagonalize(
    matrices: npt.ArrayLike,
    *,
    criterion: str = "auto",
    sample_weight: npt.ArrayLike | None = None,
    start: npt.ArrayLike | None = None,
    n_starts: int = 5,
    tol: float = 1e-10,
    rng: Any = None,
) -> JointDiagonalization:
    r"""Find vectors that diagonalise symmetric matrices together, without orthogonality.

    .. math:: \min_{U, \lambda} \sum_l p_l \Big\| M_l - \sum_i \lambda_{li} u_i u_i^\top \Big\|_F^2

    or

    .. math:: \min_W \sum_l p_l \log\frac{\det\operatorname{diag}(W M_l W^\top)}{\det(W M_l W^\top)}

    Least squares is right for noise that is alike in all entries. Covariances of samples have noise in
    proportion to themselves: there the second criterion is their Gaussian likelihood [3]_, W being the
    dual of U. It needs positive definite matrices.

    Three steps. (1) The set spans k dimensions except for noise, so it is replaced by its k leading
    directions in the space of symmetric matrices; to first order this changes nothing in the
    optimum, and it makes the rest independent of L. (2) Sweeps that make
    :math:`W M_l W^\top` diagonal by solving all pairs (i, j) at once for the mixing that explains
    their off-diagonal entries [1]_. (3) Gauss-Newton steps on the least squares with the coefficients
    eliminated, whose normal matrix is a Hadamard product of small factors; or Newton steps on the
    likelihood, whose Hessian is diagonal in pairs near the optimum [4]_.

    Parameters
    ----------
    matrices : (L, k, k) array_like
        Symmetric matrices, of any signature; at least two.
    criterion : {"auto", "least_squares", "likelihood", "sweeps"}
        What step (3) minimises; the last leaves it out. "auto" takes least squares, except for positive
        definite matrices whose residuals are likelier as noise in proportion to the matrices.
        Where noise is as large as the signal, least squares drifts to nearly parallel factors with
        huge opposite coefficients (a low-rank tensor need not have a best approximation); such a
        refinement is noticed by its conditioning and dropped.
    sample_weight : (L,) array_like, optional
        :math:`p_l`, as the numbers of samples behind the covariances.
    start : (k, k) array_like, optional
        A guess of the factors, the first of the starts.
    n_starts : int
        Most starts: further ones, from random combinations of the matrices, are made if the sweeps
        do not settle or the residual stays far above the noise floor.
    tol : float
        Relative size of a Newton step at which to stop.
    rng : optional
        Seed or generator of those starts.

    Returns
    -------
    JointDiagonalization

    Raises
    ------
    ValueError
        If the matrices are not symmetric, none of the starts leads to k independent factors, or the
        likelihood is asked of matrices that are not positive definite.

    References
    ----------
    .. [1] P. Tichavsky, A. Yeredor, "Fast approximate joint diagonalization incorporating weight
       matrices", 2009, doi:10.1109/TSP.2008.2009271.
    .. [2] V. Kuleshov, A. Chaganty, P. Liang, "Tensor factorization via matrix factorization",
       arXiv:1501.07320.
    .. [3] D. T. Pham, "Joint approximate diagonalization of positive definite Hermitian matrices",
       2001, doi:10.1137/S089547980035689X.
    .. [4] P. Ablin, J.-F. Cardoso, A. Gramfort, "Beyond Pham's algorithm for joint diagonalization",
       arXiv:1811.11433.

    Examples
    --------
    >>> u = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> coefficients = np.array([[1.0, -2.0], [3.0, 1.0], [0.5, 0.5]])
    >>> result = joint_diagonalize(np.einsum("li,ia,ib->lab", coefficients, u, u))
    >>> from nnmoments.linalg import match_rows
    >>> bool(match_rows(result.factors, u).worst < 1e-8), result.converged
    (True, True)
    """
    given, matrices = matrices, check_array("matrices", matrices, ndim=3)
    tolerance = symmetry_tolerance(given)
    check_choice("criterion", criterion, ("auto", "least_squares", "likelihood", "sweeps"))
    count, k, other = matrices.shape
    if k != other:
        raise ValueError(f"matrices must be square, got shape {matrices.shape}")
    if count < 2 and k > 1:
        raise ValueError("matrices must be at least two; one symmetric matrix has no unique factors")
    weight = check_sample_weight(sample_weight, count)
    guess = None if start is None else check_array("start", start, shape=(k, k))
    if guess is not None and np.linalg.matrix_rank(guess) < k:
        raise ValueError("start must have independent rows")
    n_starts = check_integer("n_starts", n_starts, 1)
    tol = check_number("tol", tol, above=0.0)
    rng = check_rng("rng", rng)
    matrices, unit = scaled(matrices)
    total = float(np.linalg.norm(matrices))
    skew = float(np.linalg.norm(matrices - matrices.transpose(0, 2, 1)))
    if total == 0.0 or skew > tolerance * total:
        raise ValueError("matrices must be symmetric and not all zero")
    definite = criterion in ("auto", "likelihood") and _definite(matrices)
    if criterion == "likelihood" and not definite:
        raise ValueError("matrices must be positive definite for the likelihood; use least_squares")
    scaled_by = np.ones(count) if weight is None else weight / weight.mean()
    weighed = matrices if weight is None else np.sqrt(scaled_by)[:, None, None] * matrices
    compressed, floor = _compress(weighed, k)
    refine = criterion in ("auto", "least_squares")
    best: tuple[float, Array, bool] | None = None
    n_iter = 0
    for attempt in range(n_starts):
        mix = rng.standard_normal(len(compressed))
        if attempt == 0 and guess is not None:
            first = _dual(_unit_rows(guess))
        else:
            first = _principal(compressed[0] if attempt == 0 else np.tensordot(mix, compressed, 1))
        demixing, swept = _sweep(compressed, first)
        swept_factors = _factors(demixing)
        n_iter += swept
        if swept_factors is None:
            continue
        factors, converged = swept_factors, swept < _SWEEPS
        if refine:
            refined = _least_squares(compressed, factors, tol)
            n_iter += refined.n_iter
            if np.linalg.cond(refined.weights) <= _DEGENERATE * np.linalg.cond(factors):
                factors, converged = refined.weights, refined.converged
        loss = float(np.linalg.norm(_residual(compressed, factors, _coefficients(compressed, factors))))
        if best is None or loss < best[0]:
            best = (loss, factors, converged)
        # Noise leaves a few times the floor; far more is a poor optimum. Sweeps without refinement
        # are trusted once they move: a start whose diagonals are dependent is a saddle.
        settled = best[0] <= 2.0 * floor + 1e-9 * total if refine else swept > 1 or attempt > 0
        if converged and settled:
            break
    if best is None:
        raise ValueError("matrices determine no k independent factors; pass fewer or more varied matrices")
    loss, factors, converged = best
    used = "least_squares" if criterion == "auto" else criterion
    if definite and (criterion == "likelihood" or loss > 1e-9 * total):
        likeliest, settled, steps = _likeliest(matrices, factors, scaled_by, tol)
        n_iter += steps
        if criterion == "likelihood" or _proportionate(matrices, factors, likeliest):
            factors, converged, used = likeliest, settled, "likelihood"
    coefficients = _coefficients(matrices, factors)
    residual = float(np.linalg.norm(_residual(matrices, factors, coefficients))) / total
    status = f"converged: residual {residual:.2e}, noise floor {floor / total:.2e}"
    unique = not (_deficient(matrices) or _proportional(coefficients))
    if not unique:
        converged = False
        status = (
            "the factors are not unique: over all matrices some of their coefficients vanish or are "
            "proportional; pass more varied matrices"
        )
    elif not converged:
        status = (
            f"no convergence after {n_iter} iterations, residual {residual:.2e} against a noise floor "
            f"of {floor / total:.2e}; raise n_starts, or reduce the noise (more samples)"
        )
    return JointDiagonalization(
        factors, unit * coefficients, residual, floor / total, used, n_iter, unique, converged, status
    )


def _definite(matrices: Array) -> bool:
    values = np.linalg.eigvalsh(matrices)
    return bool(np.all(values[:, 0] > 1e-12 * values[:, -1]))


def _likeliest(matrices: Array, factors: Array, weight: Array, tol: float) -> tuple[Array, bool, int]:
    r"""Minimise Pham's criterion over the duals W of the factors; return factors, convergence, steps.

    With :math:`W \leftarrow (I + E) W` its gradient is :math:`G_{ij} = \overline{D_{lij}/D_{lii}} - I`, and
    near the optimum its Hessian couples :math:`E_{ij}` with :math:`E_{ji}` only:
    :math:`h_{ij} E_{ij} + E_{ji} = -G_{ij}`, :math:`h_{ij} = \overline{D_{ljj}/D_{lii}}`.
    """
    p, W = weight / weight.sum(), _dual(factors)

    def loss(W: Array, D: Array) -> float:
        logs = np.log(np.diagonal(D, axis1=1, axis2=2)).sum(axis=1)
        return float(0.5 * p @ logs - np.linalg.slogdet(W)[1])

    D = W @ matrices @ W.T
    value = loss(W, D)
    for step in range(1, _LIKELIHOOD_STEPS + 1):
        diagonal = np.diagonal(D, axis1=1, axis2=2)
        G = np.einsum("l,lij,li->ij", p, D, 1.0 / diagonal)
        h = (p[:, None] / diagonal).T @ diagonal
        E = (G.T - h.T * G) / np.maximum(h * h.T - 1.0, 1e-8)
        np.fill_diagonal(E, 0.0)
        size, share = float(np.abs(E).max()), 1.0
        while share > 1e-6:
            trial = W + share * (E @ W)
            moved = trial @ matrices @ trial.T
            new = loss(trial, moved)
            if new < value:
                break
            share /= 2.0
        else:
            return _unit_rows(_dual(W)), size < _SHORT, step
        lengths = np.sqrt(p @ np.diagonal(moved, axis1=1, axis2=2))
        W, D, value = trial / lengths[:, None], moved / np.outer(lengths, lengths), new
        if share == 1.0 and size < tol:
            return _unit_rows(_dual(W)), True, step
    return _unit_rows(_dual(W)), False, _LIKELIHOOD_STEPS


def _proportionate(matrices: Array, fitted: Array, likeliest: Array) -> bool:
    """Say whether residuals are likelier as noise in proportion to the matrices than as white noise.

    Gaussian log likelihoods, each at its own factors and its own variance: of the residual as it is,
    and of the off-diagonal correlations of :math:`W M_l W^T`, with the Jacobian of that map.
    """
    count, k, _ = matrices.shape
    white = np.mean(_residual(matrices, fitted, _coefficients(matrices, fitted)) ** 2)
    W = _dual(likeliest)
    mixed = W @ matrices @ W.T
    scale = np.sqrt(np.diagonal(mixed, axis1=1, axis2=2))
    relative = np.mean((mixed / (scale[:, :, None] * scale[:, None, :]) - np.eye(k)) ** 2)
    jacobian = 2.0 / k * (np.linalg.slogdet(W)[1] - np.log(scale).sum() / count)
    return bool(0.5 * np.log(relative) - jacobian < 0.5 * np.log(white))


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


def _principal(matrix: Array) -> Array:
    """Return the W that makes W M W^T diagonal with entries of +-1, nearly."""
    values, vectors = np.linalg.eigh(matrix)
    size = np.maximum(np.abs(values), 1e-3 * np.abs(values).max())
    return np.asarray(vectors.T / np.sqrt(size)[:, None])


def _sweep(matrices: Array, demixing: Array) -> tuple[Array, int]:
    """Diagonalise by pairwise mixing: return W with W M_l W^T nearly diagonal, and the sweeps."""
    k = len(demixing)
    change = np.inf
    for sweep in range(1, _SWEEPS + 1):
        if np.abs(demixing).max() > _DIVERGED:
            return demixing, _SWEEPS
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


def _dual(rows: Array) -> Array:
    return np.asarray(np.linalg.inv(rows), dtype=np.float64).T


def _factors(demixing: Array) -> Array | None:
    """Return the unit rows of W^{-T}, the factors; None if W is singular."""
    try:
        factors = np.linalg.inv(demixing).T
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(factors).all():
        return None
    return np.asarray(factors / np.linalg.norm(factors, axis=1, keepdims=True))


def _unit_rows(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _solve_squares(gram: Array, right: Array) -> Array:
    """Solve with G o G, the normal matrix of the coefficients; least squares where it is singular."""
    squares = gram**2
    squares[np.diag_indices_from(squares)] += _EPS * len(squares)
    try:
        return np.asarray(cho_solve(cho_factor(squares), right, check_finite=False))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(squares, right, rcond=None)[0])


def _coefficients(matrices: Array, factors: Array) -> Array:
    """Return the least-squares coefficients (L, k) of unit factors."""
    values = np.sum((factors @ matrices) * factors, axis=2)  # u_i^T M_l u_i
    return _solve_squares(factors @ factors.T, values.T).T


def _residual(matrices: Array, factors: Array, coefficients: Array) -> Array:
    return np.asarray(matrices - (factors.T * coefficients[:, None, :]) @ factors)


def _deficient(matrices: Array) -> bool:
    """Say whether the matrices share a null vector to rounding: then a factor has no coefficients."""
    values = np.linalg.eigvalsh(np.einsum("lij,ljk->ik", matrices, matrices))
    return bool(values[0] <= 4.0 * len(values) * _EPS * values[-1])


def _proportional(coefficients: Array) -> bool:
    """Say whether two columns are parallel to rounding: then any mixture of their factors will do."""
    lengths = np.linalg.norm(coefficients, axis=0)
    if lengths.min() <= 1e-12 * lengths.max():
        return True
    cosines = np.abs((coefficients / lengths).T @ (coefficients / lengths)) - np.eye(len(lengths))
    return bool(cosines.max() > 1.0 - 1e-13)


class _Objective(LeastSquares):
    r"""Half of :math:`\sum_l\|M_l - \sum_i\lambda_{li}u_iu_i^\top\|^2`, coefficients eliminated."""

    def __init__(self, matrices: Array) -> None:
        self._matrices = matrices
        self.square = 0.5 * float(np.sum(matrices**2))

    def value_and_gradient(self, weights: Array) -> tuple[float, Array]:
        coefficients = _coefficients(self._matrices, weights)
        residual = _residual(self._matrices, weights, coefficients)
        slope = -2.0 * np.einsum("li,lia->ia", coefficients, weights @ residual)
        return 0.5 * float(np.sum(residual**2)), np.asarray(slope)

    def curvature(self, weights: Array) -> NormalMatrix:
        r"""Return the normal matrix of (u, lambda) with lambda eliminated, all blocks times Lambda_ij.

        .. math:: 2 (G_{ij} I + u_j u_i^\top) - C (G \circ G)^{-1} C^\top, \qquad C_{(ia)j} = 2 G_{ij} u_{ja}
        """
        k = len(weights)
        gauge = np.arange(k)
        coefficients = _coefficients(self._matrices, weights)
        gram, strength = weights @ weights.T, coefficients.T @ coefficients
        coupling = (2.0 * gram[:, None, :] * weights.T[None, :, :]).reshape(k * k, k)
        normal = (2.0 * weights.T[None, :, :, None] * weights[:, None, None, :]).reshape(k * k, k * k)
        normal -= coupling @ _solve_squares(gram, coupling.T)
        normal *= np.repeat(np.repeat(strength, k, axis=0), k, axis=1)
        blocks = normal.reshape(k, k, k, k)
        blocks[:, gauge, :, gauge] += 2.0 * gram * strength
        scale = np.diag(strength)
        # The length of u_i is free (lambda takes it up): fix it to its present value.
        blocks[gauge, :, gauge, :] += 4.0 * scale[:, None, None] * weights[:, :, None] * weights[:, None, :]
        return NormalMatrix(normal, np.repeat(scale, k).reshape(k, k))


def _least_squares(matrices: Array, factors: Array, tol: float) -> Descent:
    """Minimise the objective over unit factors, damped."""
    loss = _Objective(matrices)

    def settled(step: DampedStep) -> bool:
        if not step.accepted:
            return False
        gain = step.promise if step.damping < 1e-3 else step.gain
        # A step that gains a ten-thousandth of the objective is far below the noise in the factors.
        small = float(np.abs(step.move).max()) < tol or gain < 1e-4 * step.value
        return small or step.value < 1e-26 * loss.square

    return damped_newton(
        loss,
        factors,
        max_iter=_NEWTON_STEPS,
        damping=Tenfold(1e-6, least=1e-14, retry=1e-6),
        rounding=1e-30 * loss.square,
        stop=settled,
        retract=_unit_rows,
    )
