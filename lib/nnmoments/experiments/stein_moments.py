"""Chapter 1: Stein's lemma in numbers - cross-moments, spans, coefficients and control variates."""

import math
from typing import Any

import numpy as np

from nnmoments import activations
from nnmoments._validation import Array
from nnmoments.densities import (
    Density,
    Gaussian,
    GaussianMixture,
    Logistic,
    SmoothedUniform,
    StandardNormal,
    StudentT,
    iid,
)
from nnmoments.linalg import principal_angles
from nnmoments.moments import ControlVariate, CrossMoment, cross_moment
from nnmoments.networks import FeedForward, OneHiddenLayer, conditioned_weights
from nnmoments.sweep import Figure, grid

__all__ = ["INPUTS", "control_variates", "convergence", "defect", "property_table", "rho_table", "spans", "zs_moments"]


def input_density(name: str, d: int) -> Density:
    """Return one of the chapter's input distributions, of unit variance in every coordinate.

    The mixture has two components at distance 2 along the diagonal: far from Gaussian, and no
    product density.
    """
    match name:
        case "gaussian":
            return StandardNormal(d)
        case "mixture":
            shift = np.full(d, 1.0 / math.sqrt(d))
            return GaussianMixture([0.5, 0.5], [shift, -shift], np.eye(d) - np.outer(shift, shift) * 0.75)
        case "logistic":
            return iid(Logistic(scale=math.sqrt(3.0) / math.pi), d)
        case "student":
            return iid(StudentT(dof=6.0, scale=math.sqrt(4.0 / 6.0)), d)
        case "plateau":
            return iid(SmoothedUniform(half_width=1.5, noise=0.5), d)
    raise ValueError(f"name must be one of {', '.join(INPUTS)}, got {name!r}")


#: Names of the input distributions, as the figures call them.
INPUTS = ("gaussian", "mixture", "logistic", "student", "plateau")


def matched_gaussian(density: Density, *, rng: np.random.Generator) -> Gaussian:
    """Return the Gaussian with the mean and covariance of a large sample: the wrong score."""
    X = density.sample(100_000, rng=rng)
    return Gaussian(X.mean(axis=0), np.cov(X, rowvar=False))
