r"""Cross-moments of labels with score tensors: :math:`T_m = E[y \otimes S_m(x)]`.

Stein's identity says what such a moment contains, :math:`T_m = E[\nabla^m E[y|x]]`, and every
decoder of this library starts from one. Moments are sums over samples: accumulators take data in
chunks, merge with ``+``, and never form a d^m tensor where only a contraction is asked for.
"""

from nnmoments.moments.crossfit import ControlVariate, control_residuals, cross_fit, fold_rows
from nnmoments.moments.estimate import CrossMoment, MomentEstimate, cross_moment, first_moment
from nnmoments.moments.forms import FourthMoment, Moment, SampledMoment, StreamedMoment, TensorMoment
from nnmoments.moments.gaussian import HermiteMoments, active_moments, controlled_moments
from nnmoments.moments.gaussian_scores import score_power
from nnmoments.moments.surrogates import (
    FunctionSurrogate,
    Polynomials,
    PolynomialSurrogate,
    RandomFeatures,
    RidgeSurrogate,
    Surrogate,
    SurrogateFamily,
    SurrogateSum,
)

__all__ = [
    "ControlVariate",
    "CrossMoment",
    "FourthMoment",
    "FunctionSurrogate",
    "HermiteMoments",
    "Moment",
    "MomentEstimate",
    "PolynomialSurrogate",
    "Polynomials",
    "RandomFeatures",
    "RidgeSurrogate",
    "SampledMoment",
    "StreamedMoment",
    "Surrogate",
    "SurrogateFamily",
    "SurrogateSum",
    "TensorMoment",
    "active_moments",
    "control_residuals",
    "controlled_moments",
    "cross_fit",
    "cross_moment",
    "first_moment",
    "fold_rows",
    "score_power",
]
