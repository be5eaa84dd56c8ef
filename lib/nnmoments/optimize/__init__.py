"""Descent of differentiable losses, and what the points are at which it ends."""

from nnmoments.optimize.descent import Descent, gradient_descent, quasi_newton
from nnmoments.optimize.end_points import EndPoint, classify
from nnmoments.optimize.losses import Curvature, LeastSquares, Loss, NormalMatrix, SmoothLoss
from nnmoments.optimize.newton import DampedStep, Damping, GainRatio, Tenfold, damped_newton

__all__ = [
    "Curvature",
    "DampedStep",
    "Damping",
    "Descent",
    "EndPoint",
    "GainRatio",
    "LeastSquares",
    "Loss",
    "NormalMatrix",
    "SmoothLoss",
    "Tenfold",
    "classify",
    "damped_newton",
    "gradient_descent",
    "quasi_newton",
]
