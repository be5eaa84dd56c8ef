r"""Densities: sample them, and evaluate their log-density derivatives and score tensors.

One convention for the whole library: :math:`S_m(x) = (-1)^m \nabla^m f(x)/f(x)`.
"""

from nnmoments.densities.density import (
    MAX_ORDER,
    Constant,
    Dense,
    Derivative,
    Diagonal,
    ScoreModel,
)
from nnmoments.densities.marginals import (
    Laplace,
    Logistic,
    Marginal,
    Normal,
    SmoothedUniform,
    StudentT,
    SymmetricBeta,
)
from nnmoments.densities.multivariate import (
    Density,
    Gaussian,
    GaussianMixture,
    Product,
    StandardNormal,
    UserDensity,
    iid,
)

__all__ = [
    "MAX_ORDER",
    "Constant",
    "Dense",
    "Density",
    "Derivative",
    "Diagonal",
    "Gaussian",
    "GaussianMixture",
    "Laplace",
    "Logistic",
    "Marginal",
    "Normal",
    "Product",
    "ScoreModel",
    "SmoothedUniform",
    "StandardNormal",
    "StudentT",
    "SymmetricBeta",
    "UserDensity",
    "iid",
]
