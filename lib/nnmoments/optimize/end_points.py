"""What the points are at which a descent ended."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nnmoments.optimize.losses import SmoothLoss
from nnmoments.results import Result
from nnmoments.validation import check_array, check_instance, check_number, check_result

__all__ = ["EndPoint", "classify"]


@dataclass(frozen=True, eq=False, repr=False)
class EndPoint(Result):
    """A point at which a descent ended, by its gradient and its Hessian.

    Attributes
    ----------
    kind : str
        "minimum", "saddle", or "not stationary".
    gradient_norm : float
    curvature : float
        Smallest eigenvalue of the Hessian.

    Examples
    --------
    >>> from nnmoments.landscapes import SquareLoss
    >>> loss = SquareLoss([[1.0]], [1.0], "quadratic", [1.0])  # (w^2 - 1)^2 / 2
    >>> classify(loss, [[1.0]]).kind, classify(loss, [[0.5]]).kind
    ('minimum', 'not stationary')
    >>> classify(loss, [[0.0]]).curvature
    -2.0
    """

    kind: str
    gradient_norm: float
    curvature: float


def classify(
    loss: SmoothLoss, weights: npt.ArrayLike, *, gradient_tol: float = 1e-4, curvature_tol: float = 1e-6
) -> EndPoint:
    """Classify a point; tolerances are relative to the largest curvature there.

    Parameters
    ----------
    loss : SmoothLoss
    weights : array_like
    gradient_tol : float
        A point is stationary if the gradient's norm is at most this share of the largest curvature.
    curvature_tol : float
        It is a saddle if a curvature is below minus this share.

    Returns
    -------
    EndPoint

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> class Bowl(SmoothLoss):  # (|w|^2 - 1)^2
    ...     def value_and_gradient(self, w):
    ...         excess = float(w @ w) - 1.0
    ...         return excess**2, 4.0 * excess * w
    ...     def hessian(self, w):
    ...         return 4.0 * (float(w @ w) - 1.0) * np.eye(len(w)) + 8.0 * np.outer(w, w)
    >>> classify(Bowl(), [1.0]).kind, classify(Bowl(), [0.0]).kind
    ('minimum', 'saddle')
    """
    check_instance("loss", loss, SmoothLoss)
    weights = check_array("weights", weights)
    gradient_tol = check_number("gradient_tol", gradient_tol, above=0.0)
    curvature_tol = check_number("curvature_tol", curvature_tol, above=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        norm = check_result("weights", float(np.linalg.norm(loss.gradient(weights))))
        values = np.linalg.eigvalsh(check_result("weights", loss.hessian(weights)))
    scale = float(np.abs(values).max())
    if norm > gradient_tol * scale:
        kind = "not stationary"
    else:
        kind = "saddle" if values[0] < -curvature_tol * scale else "minimum"
    return EndPoint(kind, norm, float(values[0]))
