"""Losses that decode moments or fit labels: values, gradients, Hessians, and their minima."""

from nnmoments.landscapes.fourth_order import (
    FourthOrderLoss,
    LandscapeRows,
    landscape_rows,
    orthogonal_closed_form,
    parameter_error,
    random_rows,
)
from nnmoments.landscapes.high_threshold import (
    HermiteLoss,
    Minima,
    SimultaneousLoss,
    SphereLoss,
    find_minima,
    weights_from_minima,
)
from nnmoments.landscapes.sphere import ellipsoid_rows, sphere_maxima
from nnmoments.landscapes.square_loss import (
    ConvexityConstants,
    SquareLoss,
    SquareLossOfBoth,
    convexity_constants,
    levenberg_marquardt,
    population_hessian,
)

__all__ = [
    "ConvexityConstants",
    "FourthOrderLoss",
    "HermiteLoss",
    "LandscapeRows",
    "Minima",
    "SimultaneousLoss",
    "SphereLoss",
    "SquareLoss",
    "SquareLossOfBoth",
    "convexity_constants",
    "ellipsoid_rows",
    "find_minima",
    "landscape_rows",
    "levenberg_marquardt",
    "orthogonal_closed_form",
    "parameter_error",
    "population_hessian",
    "random_rows",
    "sphere_maxima",
    "weights_from_minima",
]
