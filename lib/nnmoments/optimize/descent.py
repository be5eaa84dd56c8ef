"""Descent by gradients: steps of fixed length, as the papers' experiments take, and quasi-Newton."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from nnmoments.optimize.losses import Loss
from nnmoments.results import Result
from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_instance,
    check_integer,
    check_number,
)

__all__ = ["Descent", "gradient_descent", "quasi_newton"]

# A loss below minus this has no minimum: a quartic that some direction makes negative.
_BOTTOMLESS = 1e30
# A descent diverges whose gradient is longer, or whose loss is so many times higher than at the start.
_LONGEST, _HIGHEST = 1e100, 1e12


@dataclass(frozen=True, eq=False, repr=False)
class Descent(Result):
    """Where a descent ended.

    Attributes
    ----------
    weights : array
        The last iterate, in the shape of the start.
    value : float
        The loss there.
    gradient_norm : float
    n_iter : int
        Steps that were tried.
    converged : bool
    status : str
    history : (t,) array
        Values of the loss along the way.
    """

    weights: Array
    value: float
    gradient_norm: float
    n_iter: int
    converged: bool
    status: str
    history: Array = field(repr=False)


def gradient_descent(
    loss: Loss,
    start: npt.ArrayLike,
    *,
    step: float,
    max_iter: int = 1000,
    tol: float = 1e-5,
    target: float | None = None,
    fresh: Callable[[], Loss] | None = None,
    watch: Callable[[Array], Any] | None = None,
    every: int = 1,
) -> Descent:
    r"""Take steps of fixed length against the gradient, :math:`W \leftarrow W - \eta\nabla f(W)`.

    Parameters
    ----------
    loss : Loss
    start : array_like
    step : float
        eta.
    max_iter : int
        All of these steps are taken, unless the descent diverges, or `target` or `watch` ends it.
    tol : float
        The end counts as stationary if the gradient's norm is at most tol (1 + the loss's modulus).
    target : float, optional
        Stop when the loss falls to this value.
    fresh : callable, optional
        Returns the loss of a fresh sample for each step, as the theorem of ZS wants; the experiments of
        the papers use all of one sample in every step.
    watch : callable, optional
        Told the weights before every `every`-th step; the descent ends when it returns True.
    every : int

    Returns
    -------
    Descent
        Its history holds the loss before each step and at the end.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    ZS Algorithm 2; GM Section 4.

    Examples
    --------
    >>> class Square(Loss):
    ...     def value_and_gradient(self, weights):
    ...         return float(np.sum((weights - 3.0) ** 2)), 2.0 * (weights - 3.0)
    >>> gradient_descent(Square(), [0.0], step=0.2, max_iter=100).weights.round(6)
    array([3.])
    """
    check_instance("loss", loss, Loss)
    weights = check_array("start", start).copy()
    step = check_number("step", step, above=0.0)
    max_iter = check_integer("max_iter", max_iter, 0)
    tol = check_number("tol", tol, above=0.0)
    goal = -np.inf if target is None else check_number("target", target)
    every = check_integer("every", every, 1)
    for name, hook in (("fresh", fresh), ("watch", watch)):
        if hook is not None:
            check_callable(name, hook)
    history: list[float] = []
    ended = False
    with np.errstate(over="ignore", invalid="ignore"):
        while True:
            n_iter = len(history)
            told = watch(weights) if watch is not None and n_iter % every == 0 else False
            value, gradient = (loss if fresh is None else fresh()).value_and_gradient(weights)
            history.append(float(value))
            norm = float(np.linalg.norm(gradient))
            if not norm * max(step, 1.0) <= _LONGEST or history[-1] > _HIGHEST * (1.0 + abs(history[0])):
                status = f"diverged after {n_iter} steps: lower the step {step:g} or start nearer"
                return Descent(weights, float("inf"), norm, n_iter, False, status, np.array(history))
            ended = value <= goal or (isinstance(told, bool | np.bool_) and bool(told))
            if ended or n_iter == max_iter:
                break
            weights = weights - step * gradient
    small = norm <= tol * (1.0 + abs(history[-1]))
    status = f"{'ended' if ended else 'stationary'} after {n_iter} steps"
    if not ended and not small:
        status = f"gradient {norm:.1e} left after {n_iter} steps: raise max_iter or the step"
    return Descent(weights, history[-1], norm, n_iter, ended or small, status, np.array(history))


def quasi_newton(loss: Loss, start: npt.ArrayLike, *, max_iter: int = 2000, tol: float = 1e-8) -> Descent:
    """Minimise by L-BFGS (scipy), which needs no step length.

    Parameters
    ----------
    loss : Loss
    start : array_like
    max_iter : int
    tol : float
        Stop when no entry of the gradient is larger.

    Returns
    -------
    Descent
        Its history holds the loss at each evaluation.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> class Square(Loss):
    ...     def value_and_gradient(self, weights):
    ...         return float(np.sum((weights - 3.0) ** 2)), 2.0 * (weights - 3.0)
    >>> quasi_newton(Square(), [0.0]).weights.round(6)
    array([3.])
    """
    check_instance("loss", loss, Loss)
    start = check_array("start", start)
    max_iter = check_integer("max_iter", max_iter, 1)
    tol = check_number("tol", tol, above=0.0)
    history: list[float] = []

    def evaluate(flat: Any) -> Any:
        if not np.isfinite(flat).all():  # a line search went too far
            return np.inf, np.zeros_like(flat)
        value, gradient = loss.value_and_gradient(flat.reshape(start.shape))
        history.append(float(value))
        return float(value), gradient.reshape(-1)

    options: Any = {"maxiter": max_iter, "maxfun": 4 * max_iter, "ftol": 0.0, "gtol": tol, "maxcor": 20}
    with np.errstate(over="ignore", invalid="ignore"):
        found = minimize(evaluate, start.reshape(-1), jac=True, method="L-BFGS-B", options=options)
    n_iter, values = int(found.nit), np.array(history)
    if not -_BOTTOMLESS < found.fun < np.inf or not np.isfinite(found.jac).all():
        status = "diverged: the loss is not bounded below, raise lam"
        return Descent(start, float("inf"), float("inf"), n_iter, False, status, values)
    norm = float(np.linalg.norm(found.jac))
    converged = norm <= max(100.0 * tol, 1e-6 * (1.0 + abs(float(found.fun))))
    status = f"stationary after {n_iter} steps"
    if not converged:
        status = f"gradient {norm:.1e} left after {n_iter} steps: raise max_iter ({found.message})"
    return Descent(found.x.reshape(start.shape), float(found.fun), norm, n_iter, converged, status, values)
