"""What the border of a thresholded unit shows: the angle to its weight, the weight, jumps across planes.

With a label oracle, which is asked where the border is, and (names that begin with ``sampled``, and
`fit_border`) from a fixed sample, whose size sets the angle that can be reached.

- `tan_alpha`, `sampled_tan_alpha`: GP Algorithm 2, EstimateTanAlpha.
- `perturb_and_accept`: GP Algorithm 1, RefineEstimate; with these, `refine_estimate` and
  `sampled_refine_estimate`.
- `fit_crossings`, `fit_border`: the same weight, from fewer labels and to smaller angles.
- `delta_correlation`, `sampled_delta_correlation`: GP Section 3.
"""

from nnmoments.borders.angles import AngleEstimate, sampled_tan_alpha, tan_alpha
from nnmoments.borders.border_fit import fit_border
from nnmoments.borders.crossings import fit_crossings
from nnmoments.borders.perturbation import perturb_and_accept, refine_estimate, sampled_refine_estimate
from nnmoments.borders.planes import DeltaCorrelation, delta_correlation, sampled_delta_correlation
from nnmoments.borders.refined import Refinement

__all__ = [
    "AngleEstimate",
    "DeltaCorrelation",
    "Refinement",
    "delta_correlation",
    "fit_border",
    "fit_crossings",
    "perturb_and_accept",
    "refine_estimate",
    "sampled_delta_correlation",
    "sampled_refine_estimate",
    "sampled_tan_alpha",
    "tan_alpha",
]
