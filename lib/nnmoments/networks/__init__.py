"""Teacher networks: sample labels, and know their own moments and derivatives exactly.

Rows are neurons throughout: weights are (k, d), inputs are (n, d).
"""

from nnmoments.networks.both_signs import BothSigns, regress_both_signs
from nnmoments.networks.feed_forward import FeedForward
from nnmoments.networks.hidden_polynomial import HiddenPolynomial
from nnmoments.networks.one_hidden_layer import OneHiddenLayer
from nnmoments.networks.weights import conditioned_weights, sparse_weights

__all__ = [
    "BothSigns",
    "FeedForward",
    "HiddenPolynomial",
    "OneHiddenLayer",
    "conditioned_weights",
    "regress_both_signs",
    "sparse_weights",
]
