"""Damped Newton: the steps of Gauss and Newton, of Levenberg and Marquardt."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnmoments.optimize.descent import Descent
from nnmoments.optimize.losses import Curvature, LeastSquares
from nnmoments.validation import (
    Array,
    check_array,
    check_callable,
    check_instance,
    check_integer,
    check_number,
    check_result,
)

__all__ = ["DampedStep", "Damping", "GainRatio", "Tenfold", "damped_newton"]

_EPS = float(np.finfo(float).eps)


class Damping(ABC):
    """How much a step is damped, and what becomes of that when it is accepted or rejected.

    Parameters
    ----------
    value : float
        Of the first step.
    """

    def __init__(self, value: float) -> None:
        self.value = check_number("value", value, above=0.0)

    @abstractmethod
    def accepted(self, ratio: float) -> None:
        """Lower the damping after a step that gained `ratio` times what its model promised."""

    @abstractmethod
    def rejected(self) -> None:
        """Raise it after a step that gained nothing."""


class GainRatio(Damping):
    r"""Damping by how well the model predicts, :math:`\mu \leftarrow \mu\max(1/3, 1 - (2\rho - 1)^3)`.

    Rejections in a row raise it by 2, 4, 8, ...

    References
    ----------
    .. [1] H. B. Nielsen, "Damping parameter in Marquardt's method", IMM-REP-1999-05.

    Examples
    --------
    >>> damping = GainRatio(1.0)
    >>> damping.rejected(), damping.rejected(), damping.value
    (None, None, 8.0)
    """

    def __init__(self, value: float = 1e-3) -> None:
        super().__init__(value)
        self._growth = 2.0

    def accepted(self, ratio: float) -> None:
        self.value *= max(1.0 / 3.0, 1.0 - (2.0 * min(ratio, 1.0) - 1.0) ** 3)
        self._growth = 2.0

    def rejected(self) -> None:
        self.value *= self._growth
        self._growth *= 2.0


class Tenfold(Damping):
    """Damping that falls tenfold with each step that is accepted, and rises tenfold with each other.

    Parameters
    ----------
    value : float
        Of the first step.
    least : float
        It falls no lower.
    retry : float
        It rises at least to this.

    Examples
    --------
    >>> damping = Tenfold(1e-3, retry=1.0)
    >>> damping.rejected(), damping.value
    (None, 1.0)
    """

    def __init__(self, value: float = 1e-3, *, least: float = 1e-12, retry: float = 0.0) -> None:
        super().__init__(value)
        self._least, self._retry = check_number("least", least), check_number("retry", retry)

    def accepted(self, ratio: float) -> None:
        self.value = max(0.1 * self.value, self._least)

    def rejected(self) -> None:
        self.value = max(10.0 * self.value, self._retry)


@dataclass(frozen=True)
class DampedStep:
    """One step of a damped Newton descent, for a test that may end it.

    Attributes
    ----------
    accepted : bool
    weights : array
        Where the descent is after it.
    move : array
        The step that was tried.
    value : float
        The loss where the descent is.
    gain : float
        What was gained: zero if it was rejected.
    gradient : array
        Where the descent is.
    damping : float
        Of the next step.
    """

    accepted: bool
    weights: Array
    move: Array
    value: float
    gain: float
    gradient: Array
    damping: float
    _curvature: Curvature
    _damped: float

    @property
    def promise(self) -> float:
        r"""What one more step would gain, nearly: :math:`\frac12 g^\top (N + \mu D)^{-1} g`.

        With the gradient where the descent is and the curvature, damped, of where it was: no matrix is
        factored for it.
        """
        return 0.5 * float(np.sum(self.gradient * self._curvature.solve(self.gradient, self._damped)))


def damped_newton(
    loss: LeastSquares,
    start: npt.ArrayLike,
    *,
    max_iter: int = 100,
    tol: float = 1e-15,
    damping: Damping | None = None,
    max_damping: float = 1e12,
    rounding: float = 0.0,
    stop: Callable[[DampedStep], bool] | None = None,
    retract: Callable[[Array], Array] | None = None,
) -> Descent:
    r"""Minimise by steps :math:`-(N + \mu D)^{-1}\nabla f`, of which those that descend are accepted.

    N is the loss's normal matrix, D its scale. Convergence is quadratic in the end where the residual is
    zero.

    Parameters
    ----------
    loss : LeastSquares
        Its value, gradient and curvature belong to one function: where a step promises less than
        rounding lets the value show, the gradient is zero and the descent has converged. Without this
        test only many rejected steps would show it.
    start : array_like
    max_iter : int
        At most so many steps, rejected ones included.
    tol : float
        The descent has converged, too, where no entry of a step exceeds this share of the largest weight.
    damping : Damping, optional
        How mu is chosen; `GainRatio` by default. It is used up by the descent.
    max_damping : float
        Give up when mu exceeds it: no step descends.
    rounding : float
        What rounding leaves undecided in the loss, beside the last digit of its value.
    stop : callable, optional
        Told each `DampedStep`; the descent has converged when it returns True.
    retract : callable, optional
        Maps weights to equivalent ones after each step, as to unit length.

    Returns
    -------
    Descent
        Its history holds the loss at the start and after each step.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    References
    ----------
    .. [1] K. Madsen, H. B. Nielsen, O. Tingleff, "Methods for non-linear least squares problems", 2004.

    Examples
    --------
    >>> from nnmoments.optimize.losses import NormalMatrix
    >>> class Root(LeastSquares):  # (w^2 - 2)^2 / 2
    ...     def value_and_gradient(self, w):
    ...         residual = w**2 - 2.0
    ...         return 0.5 * float(residual @ residual), 2.0 * w * residual
    ...     def curvature(self, w):
    ...         return NormalMatrix(np.diag(4.0 * w**2), np.ones(1))
    >>> found = damped_newton(Root(), [1.0])
    >>> found.weights.round(6), found.converged
    (array([1.414214]), True)
    """
    check_instance("loss", loss, LeastSquares)
    weights = check_array("start", start)
    max_iter = check_integer("max_iter", max_iter, 1)
    tol, rounding = check_number("tol", tol), check_number("rounding", rounding)
    max_damping = check_number("max_damping", max_damping)
    damping = GainRatio() if damping is None else check_instance("damping", damping, Damping)
    for name, hook in (("stop", stop), ("retract", retract)):
        if hook is not None:
            check_callable(name, hook)
    with np.errstate(over="ignore", invalid="ignore"):
        value, gradient = loss.value_and_gradient(weights)
    check_result("start", np.append(gradient, value))
    history, curvature, converged = [float(value)], None, False

    def settled(move: Array, promised: float) -> bool:
        """Say whether no step can show a gain; a step short by its damping says nothing."""
        short = damping.value <= 1.0 and np.abs(move).max() <= tol * np.abs(weights).max()
        return bool(0.0 <= promised <= rounding + _EPS * abs(value) or short)

    with np.errstate(over="ignore", invalid="ignore"):  # a trial that goes too far is rejected
        while not converged and len(history) <= max_iter and damping.value <= max_damping:
            if curvature is None:
                curvature = loss.curvature(weights)
            try:
                move = -curvature.solve(gradient, damping.value)
            except np.linalg.LinAlgError:
                move = np.full_like(weights, np.nan)
            if not np.isfinite(move).all():  # singular, or beyond the doubles
                damping.rejected()
                history.append(value)
                continue
            # What the damped model says: f(w) - f(w + h) = (mu h D h - g h) / 2.
            promised = 0.5 * float(np.sum(move * (damping.value * curvature.scale * move - gradient)))
            if settled(move, promised):
                converged = True
                break
            trial = weights + move if retract is None else retract(weights + move)
            new, new_gradient = loss.value_and_gradient(trial)
            accepted = bool(promised > 0.0 and new < value + rounding + _EPS * abs(value))
            used, mu, gain = curvature, damping.value, value - new if accepted else 0.0
            if accepted:
                damping.accepted(gain / promised)
                weights, value, gradient, curvature = trial, new, new_gradient, None
            else:
                damping.rejected()
            history.append(value)
            if stop is not None:
                converged = stop(
                    DampedStep(accepted, weights, move, value, gain, gradient, damping.value, used, mu)
                )
    n_iter, norm = len(history) - 1, float(np.linalg.norm(gradient))
    status = f"converged after {n_iter} steps"
    if damping.value > max_damping:
        status = f"no step descends after {n_iter}: start elsewhere"
    elif not converged:
        status = f"gradient {norm:.1e} left after {n_iter} steps: raise max_iter or start elsewhere"
    return Descent(weights, float(value), norm, n_iter, converged, status, np.array(history))
