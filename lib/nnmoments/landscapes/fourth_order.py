r"""The loss L(A) of GM (19) on a fourth-order moment, and G(A) of Ge, Lee and Ma.

With :math:`T_4 = E[y\,S_4(x)] = \sum_i \kappa_i\, w_i^{\otimes 4}` and s the sign of kappa,

.. math:: L(A) = s \sum_{i \ne j} T_4(a_i, a_i, a_j, a_j) - s\mu \sum_i T_4(a_i, a_i, a_i, a_i)
                 + \lambda \sum_i (\|a_i\|^2 - 1)^2

is small at the rows of W, if these are orthonormal. G is the same function with the score tensor of
the standard Gaussian. GM (19) prints :math:`(\|a_i\| - 1)^2` and (21) the square used in the proofs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnmoments.landscapes.high_threshold import scaled
from nnmoments.moments import FourthMoment, Moment, TensorMoment
from nnmoments.optimize import Descent, SmoothLoss, gradient_descent, quasi_newton
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_choice,
    check_instance,
    check_integer,
    check_number,
    check_rng,
    finite_result,
)

__all__ = [
    "FourthOrderLoss",
    "LandscapeRows",
    "landscape_rows",
    "orthogonal_closed_form",
    "parameter_error",
    "random_rows",
]


@dataclass(frozen=True)
class FourthOrderLoss(SmoothLoss):
    r"""L(A) of GM (19), its gradient and its Hessian.

    Parameters
    ----------
    moment : FourthMoment
        T_4, or an estimate of it.
    mu, lam : float
        The two regularisation weights; Theorem 2 asks for mu at most 0.01 over the spread of kappa
        and lambda at least 100 times its largest value.
    sign : float
        The sign of kappa: -1 for ReLU under a Gaussian, where GM print the loss for +1.
    regularizer : {"squared", "plain"}
        :math:`(\|a\|^2 - 1)^2` of (21) and the proofs, or :math:`(\|a\| - 1)^2` as (19) prints.

    Raises
    ------
    ValueError
        If a weight is not a number, lam is not above zero, or a choice is none.

    References
    ----------
    .. [1] W. Gao et al., AISTATS 2019, (19)-(21).
    .. [2] R. Ge, J. D. Lee, T. Ma, "Learning one-hidden-layer neural networks with landscape
       design", arXiv:1711.00501.

    Examples
    --------
    >>> from nnmoments.linalg import outer_power
    >>> from nnmoments.moments import TensorMoment
    >>> T4 = outer_power(np.eye(2), 4).sum(axis=0)
    >>> loss = FourthOrderLoss(TensorMoment(T4), mu=0.01, lam=100.0)
    >>> round(loss.value(np.eye(2)), 4)
    -0.02
    """

    moment: FourthMoment = field(repr=False)
    mu: float
    lam: float
    sign: float = 1.0
    regularizer: str = "squared"

    def __post_init__(self) -> None:
        check_instance("moment", self.moment, FourthMoment)
        check_number("mu", self.mu)
        check_number("lam", self.lam, above=0.0)
        object.__setattr__(self, "sign", float(check_choice("sign", self.sign, (1.0, -1.0))))
        check_choice("regularizer", self.regularizer, ("squared", "plain"))

    def value_and_gradient(self, A: Array) -> tuple[Any, Array]:
        """Return L(A) and its gradient from one pass over the moment.

        Parameters
        ----------
        A : (..., k, d) array
            Batch axes first.

        Returns
        -------
        value : float or (...) array
        gradient : (..., k, d) array

        Raises
        ------
        ValueError
            If A does not fit the moment.
        """
        A = check_array("A", A, ndim=(2, 3, 4))
        every, own = self.moment.cubic(A)
        data = every - (1.0 + self.mu) * own  # half the derivative's slots; GM (19)
        square = np.sum(A**2, axis=-1)
        if self.regularizer == "squared":
            penalty, slope = (square - 1.0) ** 2, 4.0 * (square - 1.0)
        else:
            norm = np.sqrt(square)
            penalty, slope = (norm - 1.0) ** 2, 2.0 * (1.0 - 1.0 / np.maximum(norm, 1e-300))
        value = self.sign * np.sum(data * A, axis=(-2, -1)) + self.lam * penalty.sum(axis=-1)
        gradient = 4.0 * self.sign * data + self.lam * slope[..., None] * A
        return (float(value) if value.ndim == 0 else value), gradient

    @finite_result("A")
    def hessian(self, A: Array) -> Array:
        """Return the Hessian of one A.

        Parameters
        ----------
        A : (k, d) array

        Returns
        -------
        (k d, k d) array

        Raises
        ------
        ValueError
            If A does not fit the moment.
        """
        k, d = (A := check_array("A", A, shape=(None, self.moment.d))).shape
        held = self.moment.pairs(A)
        own = held[range(k), range(k)]
        blocks = 8.0 * self.sign * held
        blocks[range(k), range(k)] = self.sign * (4.0 * (own.sum(axis=0) - own) - 12.0 * self.mu * own)
        square, eye = np.sum(A**2, axis=1), np.eye(d)
        for i, a in enumerate(A):
            if self.regularizer == "squared":
                blocks[i, i] += self.lam * (4.0 * (square[i] - 1.0) * eye + 8.0 * np.outer(a, a))
            else:
                norm = np.linalg.norm(a)
                if norm == 0.0:
                    raise ValueError("A must have no zero row: the plain regularizer has a kink there")
                along = np.outer(a / norm, a / norm)
                blocks[i, i] += 2.0 * self.lam * ((1.0 - 1.0 / norm) * eye + along / norm)
        return blocks.transpose(0, 2, 1, 3).reshape(k * d, k * d)


@dataclass(frozen=True, eq=False, repr=False)
class LandscapeRows(Result):
    """What `landscape_rows` found.

    Attributes
    ----------
    rows : (k, d) array
        Unit rows, up to sign.
    value : float
        The least L found, of the moment scaled to a largest kappa of one.
    agreement : float
        Share of the starts that ended at it.
    sign : float
        The sign of the kappas.
    descent : Descent
        The best one.
    converged : bool
        Whether it is stationary, and more than half of the starts agree.
    status : str

    Examples
    --------
    >>> from nnmoments.linalg import outer_power
    >>> from nnmoments.moments import TensorMoment
    >>> T4 = TensorMoment(outer_power(np.eye(2), 4).sum(axis=0))
    >>> found = landscape_rows(T4, 2, n_starts=3, rng=0)
    >>> found.converged, found.agreement, round(found.value, 4)  # -mu per row at the truth
    (True, 1.0, -0.02)
    """

    rows: Array
    value: float
    agreement: float
    sign: float
    descent: Descent = field(repr=False)
    converged: bool
    status: str


def landscape_rows(
    moment: Moment,
    k: int,
    *,
    whiten: bool = False,
    mu: float = 0.01,
    lam: float = 100.0,
    n_starts: int = 10,
    solver: str = "quasi-newton",
    step: float = 1e-3,
    max_iter: int = 2000,
    tol: float = 1e-8,
    rng: Any = None,
) -> LandscapeRows:
    r"""Find the rows :math:`w_i` of :math:`T_4 = \sum_i \kappa_i w_i^{\otimes 4}` by descents on L.

    The moment is scaled so that its largest :math:`|\kappa|`, the spectral norm of the unfolded tensor, is
    one; the sign of the kappas is that of their sum, :math:`\sum_{ab} T_{aabb}`.

    Rows that are independent only become orthonormal by the moment itself (`whiten`). If all kappas have
    one sign, its trace

    .. math:: M = T_4(\cdot, \cdot, I) = \sum_i \kappa_i\|w_i\|^2 w_i w_i^\top = V\Lambda V^\top

    is definite on the span of the rows, and with :math:`B = |\Lambda|^{-1/2}V^\top` the vectors
    :math:`|\kappa_i|^{1/2}\|w_i\| B w_i` are orthonormal. L is minimised for
    :math:`T_4(B^\top, \dots, B^\top)` in k dimensions, where nothing lies outside the span, and its rows
    return by :math:`w = B^+u`.

    Parameters
    ----------
    moment : Moment
        Of order 4.
    k : int
        At most d.
    whiten : bool
        Whether to project on the span of the rows and whiten there; needed unless they are orthonormal
        and k = d.
    mu, lam : float
        Weights of L; the defaults are those of Theorem 2.
    n_starts : int
        Random starts, of which the least end is kept.
    solver : {"quasi-newton", "gradient"}
        "gradient" is GM's: steps of fixed length. It needs thousands of them where L-BFGS needs dozens.
    step : float
        Length of the steps of "gradient".
    max_iter, tol : int, float
        Of each descent, see `quasi_newton`; "gradient" takes all its steps.
    rng : optional
        Seed or generator of the starts.

    Returns
    -------
    LandscapeRows

    Raises
    ------
    ValueError
        If the moment is not of order 4, or an argument is outside its range.

    References
    ----------
    .. [1] GM Section 3, Theorem 2; Section 4 for the descent.

    Examples
    --------
    >>> from nnmoments.linalg import outer_power
    >>> from nnmoments.moments import TensorMoment
    >>> T4 = TensorMoment(-outer_power(np.eye(2), 4).sum(axis=0))
    >>> found = landscape_rows(T4, 2, rng=0)
    >>> np.abs(found.rows).sum(axis=0).round(4), found.sign, found.agreement
    (array([1., 1.]), -1.0, 1.0)
    >>> oblique = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
    >>> T4 = TensorMoment(outer_power(oblique, 4).sum(axis=0))
    >>> found = landscape_rows(T4, 2, whiten=True, rng=0)
    >>> np.abs(found.rows @ oblique.T).max(axis=0).round(4)
    array([1., 1.])
    """
    if check_instance("moment", moment, Moment).order != 4:
        raise ValueError(f"moment must be of order 4, got {moment.order}")
    d = moment.d
    k = check_integer("k", k, 1, d)
    if check_choice("whiten", whiten, (True, False)):
        tensor = np.asarray(moment.contract())
        values, vectors = np.linalg.eigh(np.einsum("abcc->ab", tensor))
        leading = np.argsort(-np.abs(values))[:k]
        size = np.sqrt(np.abs(values[leading]))
        if not size.min() > 1e-8 * max(size.max(), 1e-150):
            raise ValueError(f"k must be at most the rank of the moment's trace, got {k}")
        unwhiten = vectors[:, leading] * size
        inner = moment.contract(vectors[:, leading] / size)
        found = landscape_rows(
            TensorMoment(np.asarray(inner)),
            k,
            mu=mu,
            lam=lam,
            n_starts=n_starts,
            solver=solver,
            step=step,
            max_iter=max_iter,
            tol=tol,
            rng=rng,
        )
        rows = found.rows @ unwhiten.T
        status, converged = found.status, found.converged
        if len(set(np.sign(values[leading]))) > 1:
            converged = False
            status = "kappas of both signs, which L does not allow: decompose the moment by tensors instead"
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return replace(found, rows=rows, converged=converged, status=status)
    n_starts = check_integer("n_starts", n_starts, 1)
    check_choice("solver", solver, ("quasi-newton", "gradient"))
    tensor = np.asarray(moment.contract())
    # Theorem 2 sets the largest |kappa| against lambda.
    scale = max(float(np.linalg.norm(tensor.reshape(d * d, d * d), 2)), 1e-300)
    sign = 1.0 if np.einsum("aabb->", tensor) >= 0.0 else -1.0
    loss = FourthOrderLoss(TensorMoment(tensor / scale), mu, lam, sign)

    def descend(A: Array) -> Descent:
        if solver == "gradient":
            return gradient_descent(loss, A, step=step, max_iter=max_iter)
        return quasi_newton(loss, A, max_iter=max_iter, tol=tol)

    ends = [descend(A) for A in random_rows(k, d, count=n_starts, rng=rng)]
    best = min(ends, key=lambda end: end.value)
    agreement = float(np.mean([end.value <= best.value + 1e-4 * abs(best.value) for end in ends]))
    rows = best.weights / np.linalg.norm(best.weights, axis=1, keepdims=True)
    status = f"{best.status}; {agreement:.0%} of {n_starts} starts end at the least value"
    if best.converged and agreement <= 0.5:
        status += ": T_4 is noisy, pass more samples"
    converged = best.converged and agreement > 0.5
    return LandscapeRows(rows, best.value, agreement, sign, best, converged, status)


@finite_result("A, W, kappa, mu or lam")
def orthogonal_closed_form(
    A: npt.ArrayLike, W: npt.ArrayLike, kappa: npt.ArrayLike, mu: float, lam: float
) -> float:
    r"""Return the right-hand side of GM (21), for orthonormal rows of W.

    .. math:: \sum_i \kappa_i \Big(\sum_{j \ne l} \langle w_i, a_j\rangle^2 \langle w_i, a_l\rangle^2
              - \mu \sum_j \langle w_i, a_j\rangle^4\Big) + \lambda \sum_j (\|a_j\|^2 - 1)^2

    Parameters
    ----------
    A : (m, d) array_like
    W : (k, d) array_like
        Orthonormal rows.
    kappa : (k,) array_like
    mu, lam : float

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes do not fit or a number is not finite.

    Examples
    --------
    >>> orthogonal_closed_form(np.eye(2), np.eye(2), [1.0, 1.0], 0.01, 100.0)
    -0.02
    """
    W = check_array("W", W, ndim=2)
    A, kappa = check_array("A", A, shape=(None, W.shape[1])), check_array("kappa", kappa, shape=(len(W),))
    mu, lam = check_number("mu", mu), check_number("lam", lam)
    squares = (W @ A.T) ** 2
    fourth = np.sum(squares**2, axis=1)
    crossed = squares.sum(axis=1) ** 2 - fourth
    penalty = np.sum((np.sum(A**2, axis=1) - 1.0) ** 2)
    return float(kappa @ (crossed - mu * fourth) + lam * penalty)  # GM (21)


def parameter_error(A: npt.ArrayLike, W: npt.ArrayLike, *, printed: bool = False) -> float:
    r"""Return how far A is from W up to permutation, sign and scale of its rows.

    .. math:: e(A) = \max\Big\{1 - \min_i \max_j |P_{ij}|,\; 1 - \min_j \max_i |P_{ij}|\Big\}

    GM (22) with :math:`P_{ij} = \cos(a_i, w_j)`, for an orthogonal W the paper's :math:`A W^{-1}`. If
    the rows of W are oblique, :math:`A W^{-1}` is no cosine: it can exceed one, and call wrong rows
    right. As printed, a minimum stands for the outer maximum, which calls A perfect when two of its
    rows coincide (`printed`).

    Parameters
    ----------
    A : (m, d) array_like
    W : (k, d) array_like
    printed : bool
        Take (22) as printed.

    Returns
    -------
    float
        From 0, for rows that agree, to 1.

    Raises
    ------
    ValueError
        If shapes do not fit or a number is not finite.

    Examples
    --------
    >>> A = [[1.0, 0.0], [1.0, 0.0]]
    >>> parameter_error(A, np.eye(2)), parameter_error(A, np.eye(2), printed=True)
    (1.0, 0.0)
    >>> round(parameter_error([[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.8, 0.6]]), 6)
    0.4
    """
    W = check_array("W", W, ndim=2)
    A = check_array("A", A, shape=(None, W.shape[1]))
    rows = [M / np.maximum(np.linalg.norm(M, axis=1, keepdims=True), 1e-300) for M in map(scaled, (A, W))]
    P = np.minimum(np.abs(rows[0] @ rows[1].T), 1.0)
    both = (1.0 - P.max(axis=1).min(), 1.0 - P.max(axis=0).min())
    return float(min(both) if printed else max(both))


def random_rows(k: int, d: int, *, count: int | None = None, rng: Any) -> Array:
    """Return starts with independent rows, uniform on the unit sphere.

    Parameters
    ----------
    k, d : int
    count : int, optional
        Number of starts; without it one, and no axis for them.
    rng : optional
        Seed or generator.

    Returns
    -------
    (k, d) or (count, k, d) array

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> random_rows(2, 3, rng=0).shape
    (2, 3)
    """
    k, d = check_integer("k", k, 1), check_integer("d", d, 1)
    shape: Sequence[int] = (k, d) if count is None else (check_integer("count", count, 1), k, d)
    rows = check_rng("rng", rng).standard_normal(shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
