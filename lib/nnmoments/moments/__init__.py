r"""Cross-moments of labels with score tensors: :math:`T_m = E[y \otimes S_m(x)]`.

Stein's identity says what such a moment contains, :math:`T_m = E[\nabla^m E[y|x]]`, and every
decoder of this library starts from one. Moments are sums over samples: accumulators take data in
chunks, merge with ``+``, and never form a d^m tensor where only a contraction is asked for.
"""

from nnmoments.moments.control import ControlVariate, control_residuals
from nnmoments.moments.estimate import CrossMoment, MomentEstimate, cross_moment

__all__ = ["ControlVariate", "CrossMoment", "MomentEstimate", "control_residuals", "cross_moment"]
