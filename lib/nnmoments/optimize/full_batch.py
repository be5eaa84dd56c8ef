"""Full-batch descent as GM run it, a quasi-Newton method beside it, and what end points are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize

from nnmoments.validation import Array, check_integer, check_number

__all__ = ["Descent", "EndPoint", "classify", "full_batch", "quasi_newton"]

# A loss below minus this has no minimum: a quartic that some direction makes negative.
_BOTTOMLESS = 1e30


class Loss(Protocol):
    """A differentiable function of a matrix of weights."""

    def value_and_gradient(self, A: Array) -> tuple[Any, Array]: ...


@dataclass(frozen=True)
class Descent:
    """Where a descent ended.

    Attributes
    ----------
    weights : array
        The last iterate.
    value : float
        The loss there.
    gradient_norm : float
    iterations : int
    converged : bool
    message : str
    trace : list
        What `watch` returned at the recorded iterations.
    """

    weights: Array = field(repr=False)
    value: float
    gradient_norm: float
    iterations: int
    converged: bool
    message: str
    trace: list[Any] = field(repr=False)


def full_batch(
    loss: Loss,
    start: Array,
    *,
    step: float,
    iterations: int,
    watch: Callable[[Array], Any] | None = None,
    every: int = 1,
) -> Descent:
    """Take steps of fixed length against the gradient, as GM's experiments do.

    Examples
    --------
    >>> from nnmoments.landscapes.fourth_order import FourthOrderLoss
    >>> from nnmoments.moments.forms import TensorMoment
    >>> loss = FourthOrderLoss(TensorMoment(np.zeros((1, 1, 1, 1))), mu=0.0, lam=1.0)
    >>> full_batch(loss, np.array([[0.5]]), step=0.05, iterations=200).weights.round(6)
    array([[1.]])
    """
    step = check_number("step", step, above=0.0)
    iterations = check_integer("iterations", iterations, 1)
    A = np.array(start, dtype=np.float64)
    trace, done = [], 0
    with np.errstate(over="ignore", invalid="ignore"):
        for done in range(iterations + 1):
            if watch is not None and done % every == 0:
                trace.append(watch(A))
            value, gradient = loss.value_and_gradient(A)
            norm = float(np.linalg.norm(gradient))
            if not np.isfinite(norm) or norm > 1e100:
                return Descent(A, float("inf"), norm, done, False, "diverged: lower the step", trace)
            if done < iterations:
                A = A - step * gradient
    small = norm <= 1e-5 * (1.0 + abs(float(value)))
    message = "stationary" if small else f"gradient {norm:.1e} left: raise iterations or the step"
    return Descent(A, float(value), norm, done, small, message, trace)


def quasi_newton(loss: Loss, start: Array, *, iterations: int = 2000, tolerance: float = 1e-8) -> Descent:
    """Minimise by L-BFGS (scipy), which needs no step length.

    Examples
    --------
    >>> from nnmoments.landscapes.fourth_order import FourthOrderLoss
    >>> from nnmoments.moments.forms import TensorMoment
    >>> loss = FourthOrderLoss(TensorMoment(np.zeros((1, 1, 1, 1))), mu=0.0, lam=1.0)
    >>> quasi_newton(loss, np.array([[0.5]])).converged
    True
    """
    start = np.asarray(start, dtype=np.float64)

    def evaluate(flat: Any) -> Any:
        value, gradient = loss.value_and_gradient(flat.reshape(start.shape))
        return float(value), gradient.reshape(-1)

    options: Any = {
        "maxiter": iterations,
        "maxfun": 4 * iterations,
        "ftol": 0.0,
        "gtol": tolerance,
        "maxcor": 20,
    }
    with np.errstate(over="ignore", invalid="ignore"):
        found = minimize(evaluate, start.reshape(-1), jac=True, method="L-BFGS-B", options=options)
    if not -_BOTTOMLESS < found.fun < np.inf or not np.isfinite(found.jac).all():
        message = "diverged: the loss is not bounded below, raise lam"
        return Descent(start, float("inf"), float("inf"), int(found.nit), False, message, [])
    norm = float(np.linalg.norm(found.jac))
    converged = norm <= max(100.0 * tolerance, 1e-6 * (1.0 + abs(float(found.fun))))
    message = "stationary" if converged else f"gradient {norm:.1e} left: raise iterations ({found.message})"
    return Descent(
        found.x.reshape(start.shape), float(found.fun), norm, int(found.nit), converged, message, []
    )


@dataclass(frozen=True)
class EndPoint:
    """A point at which a descent ended, by its gradient and its Hessian.

    Attributes
    ----------
    kind : str
        "minimum", "saddle", or "not stationary".
    gradient_norm : float
    curvature : float
        Smallest eigenvalue of the Hessian.
    """

    kind: str
    gradient_norm: float
    curvature: float


def classify(
    loss: Any, A: Array, *, gradient_tolerance: float = 1e-4, curvature_tolerance: float = 1e-6
) -> EndPoint:
    """Classify a point; tolerances are relative to the largest curvature there.

    Examples
    --------
    >>> from nnmoments.landscapes.fourth_order import FourthOrderLoss
    >>> from nnmoments.moments.forms import TensorMoment
    >>> loss = FourthOrderLoss(TensorMoment(np.zeros((1, 1, 1, 1))), mu=0.0, lam=1.0)
    >>> classify(loss, np.array([[1.0]])).kind, classify(loss, np.array([[0.0]])).kind
    ('minimum', 'saddle')
    """
    norm = float(np.linalg.norm(loss.gradient(A)))
    values = np.linalg.eigvalsh(loss.hessian(A))
    scale = float(np.abs(values).max())
    if norm > gradient_tolerance * scale:
        kind = "not stationary"
    else:
        kind = "saddle" if values[0] < -curvature_tolerance * scale else "minimum"
    return EndPoint(kind, norm, float(values[0]))
