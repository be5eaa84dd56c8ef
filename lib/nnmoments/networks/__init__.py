"""Teacher networks: sample labels, and know their own moments and derivatives exactly.

Rows are neurons throughout: weights are (k, d), inputs are (n, d).
"""

from nnmoments.networks.both_signs import BothSigns, regress_both_signs
from nnmoments.networks.coefficients import shifted_coefficient, univariate_coefficients, univariate_part
from nnmoments.networks.cut_network import CutNetwork
from nnmoments.networks.feed_forward import FeedForward
from nnmoments.networks.hidden_polynomial import HiddenPolynomial
from nnmoments.networks.one_hidden_layer import OneHiddenLayer
from nnmoments.networks.oracles import KeptSample, biased_sample, tilted_sample
from nnmoments.networks.unions import UnionOfHalfspaces, union_terms
from nnmoments.networks.weights import conditioned_weights, sparse_weights

__all__ = [
    "BothSigns",
    "CutNetwork",
    "FeedForward",
    "HiddenPolynomial",
    "KeptSample",
    "OneHiddenLayer",
    "UnionOfHalfspaces",
    "biased_sample",
    "conditioned_weights",
    "regress_both_signs",
    "shifted_coefficient",
    "sparse_weights",
    "tilted_sample",
    "union_terms",
    "univariate_coefficients",
    "univariate_part",
]
